//! A comparison as text, as Markdown and as JSON.

use super::comparison::{Comparison, Side};
use super::interval::Interval;
use std::fmt::{self, Write as _};

/// One line of a table.
struct Row {
    what: &'static str,
    cells: [String; 3],
}

impl Comparison {
    /// A Markdown table, with the notes below it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace(['\r', '\n'], " ");
        let [first, second] = self.sides.each_ref().map(|side| cell(side.name()));
        let mut page = format!("| | {first} | {second} | {second} to {first} |\n|---|---:|---:|---:|\n");
        for Row { what, cells: [first, second, ratio] } in self.rows() {
            page.push_str(&format!("| {what} | {first} | {second} | {ratio} |\n"));
        }
        page.push_str(&format!("\n{} rounds by turns; intervals are of 95 %, by bootstrap.\n", self.rounds()));
        for note in self.notes() {
            page.push_str(&format!("- {}\n", cell(note)));
        }
        page
    }

    /// One JSON object. Times are nanoseconds, memory is bytes; what was not counted is `null`.
    #[must_use]
    pub fn json(&self) -> String {
        let notes: Vec<String> = self.notes().iter().map(|note| json_text(note)).collect();
        format!(
            "{{\"first\":{},\"second\":{},\"p50_ratio\":{},\"p99_ratio\":{},\"within_noise\":{},\"rounds\":{},\"notes\":[{}]}}",
            json_side(self.first()),
            json_side(self.second()),
            json_interval(self.ratio()),
            json_interval(self.p99_ratio()),
            self.is_within_noise(),
            self.rounds(),
            notes.join(",")
        )
    }

    fn rows(&self) -> Vec<Row> {
        let times = |what, of: fn(&Side) -> f64, ratio: String| Row {
            what,
            cells: [time(of(self.first())), time(of(self.second())), ratio],
        };
        let counts = |what, of: fn(&Side) -> Option<f64>, places| {
            let [first, second] = self.sides.each_ref().map(of);
            Row { what, cells: [count(first, places), count(second, places), by(second, first)] }
        };
        vec![
            times("p50", Side::p50, self.ratio().to_string()),
            times("p99", Side::p99, self.p99_ratio().to_string()),
            counts("allocations a call", Side::allocations, 1),
            counts("bytes allocated a call", Side::bytes, 0),
            counts("bytes live at the peak", |side| side.peak.map(|peak| peak as f64), 0),
        ]
    }
}

/// A table for a terminal, with the notes below it.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.sides.each_ref().map(Side::name);
        let heads = [first.to_owned(), second.to_owned(), format!("{second} to {first}")];
        let rows = self.rows();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row.cells[column].chars().count());
            cells.chain([heads[column].chars().count()]).max().unwrap_or_default() + 2
        };
        let widths = [width(0), width(1), width(2)];
        let mut line = |what: &str, cells: &[String; 3]| {
            write!(f, "{what:<24}")?;
            cells.iter().zip(widths).try_for_each(|(cell, width)| write!(f, "{cell:>width$}"))?;
            f.write_char('\n')
        };
        line("", &heads)?;
        rows.iter().try_for_each(|row| line(row.what, &row.cells))?;
        write!(f, "{} rounds by turns; intervals are of 95 %, by bootstrap", self.rounds())?;
        self.notes().iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

/// Nanoseconds in a unit that suits.
fn time(nanos: f64) -> String {
    match nanos {
        0.0..1e3 => format!("{nanos:.1} ns"),
        1e3..1e6 => format!("{:.2} us", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

fn count(value: Option<f64>, places: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.places$}"))
}

/// A ratio, where there is one.
fn by(above: Option<f64>, below: Option<f64>) -> String {
    match (above, below) {
        (Some(above), Some(below)) if below > 0.0 => format!("{:.2}", above / below),
        _ => "-".to_owned(),
    }
}

fn json_side(side: &Side) -> String {
    let optional = |value: Option<f64>| value.map_or("null".to_owned(), json_number);
    format!(
        "{{\"name\":{},\"p50_ns\":{},\"p99_ns\":{},\"allocations\":{},\"bytes\":{},\"peak_bytes\":{},\"calls_a_sample\":{}}}",
        json_text(side.name()),
        json_number(side.p50),
        json_number(side.p99),
        optional(side.allocations),
        optional(side.bytes),
        optional(side.peak.map(|peak| peak as f64)),
        side.batch
    )
}

fn json_interval(interval: Interval) -> String {
    let [median, low, high] = [interval.median, interval.low, interval.high].map(json_number);
    format!("{{\"median\":{median},\"low\":{low},\"high\":{high}}}")
}

/// JSON has no infinity, which the ratio to nothing would be.
fn json_number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { "null".to_owned() }
}

fn json_text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::super::comparison::tests::{compared, rounds};
    use super::*;

    const PLAIN: [f64; 3] = [1000.0, 1100.0, 900.0];
    const EBBTIDE: [f64; 3] = [500.0, 550.0, 450.0];

    #[test]
    fn text_has_a_line_for_each_figure() {
        let text = compared(&PLAIN, &EBBTIDE).to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["plain", "ebbtide", "ebbtide", "to", "plain"]);
        assert_eq!(lines[1], ["p50", "1.00", "us", "500.0", "ns", "0.50", "[0.50,", "0.50]"]);
        assert_eq!(lines[3], ["allocations", "a", "call", "2.0", "2.0", "1.00"]);
        assert_eq!(lines[5], ["bytes", "live", "at", "the", "peak", "64", "64", "1.00"]);
        let table: Vec<usize> = text.lines().take(6).map(|line| line.chars().count()).collect();
        assert!(table.iter().all(|width| *width == table[0]), "columns stand below each other: {text}");
    }

    #[test]
    fn markdown_is_a_table_that_a_name_cannot_break() {
        let page = Comparison::of(["a|b\nc", "d"], [rounds(&PLAIN), rounds(&PLAIN)], true).markdown();
        assert!(
            page.starts_with("| | a\\|b c | d | d to a\\|b c |\n|---|---:|---:|---:|\n| p50 | 1.00 us | 1.00 us |")
        );
        assert!(page.contains("\n- p50: within noise, the interval of the ratio holds 1\n"), "{page}");
    }

    #[test]
    fn json_is_read_back_by_another_parser() {
        let name = "\"quoted\\\" and \n new";
        let comparison = Comparison::of([name, "\u{1}"], [rounds(&PLAIN), rounds(&EBBTIDE)], true);
        let json: serde_json::Value = serde_json::from_str(&comparison.json()).expect("JSON");
        assert_eq!(json["first"]["name"], name);
        assert_eq!(json["second"]["name"], "\u{1}");
        assert_eq!(json["second"]["p50_ns"], 500.0);
        assert_eq!(json["p50_ratio"]["median"], 0.5);
        assert_eq!(json["within_noise"], false);
        assert_eq!(json["notes"], serde_json::json!([]));
    }

    #[test]
    fn json_says_null_where_there_is_no_number() {
        let comparison = Comparison::of(["nothing", "some"], [rounds(&[0.0]), rounds(&[1.0])], false);
        let json: serde_json::Value = serde_json::from_str(&comparison.json()).expect("JSON");
        assert!(json["p50_ratio"]["median"].is_null() && json["first"]["allocations"].is_null());
    }
}
