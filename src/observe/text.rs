//! The books as text that Prometheus scrapes: version 0.0.4 of its format, with no other crate.

use super::families::{DROPS, Family, Kind, POOL, PROCESS, RECLAIMS, TAG, kinds};
use super::ledger::PoolEntry;
use super::snapshot::Snapshot;
use crate::pool::DropReason;
use core::fmt::{self, Write};
use core::time::Duration;

/// Bounds of the histogram of reclaims, in nanoseconds: powers of two, up to which the counts are exact. From 1 microsecond to 1 second.
const BUCKETS: [u64; 11] =
    [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30];

impl Snapshot {
    /// The `Content-Type` of what [`write_prometheus`](Self::write_prometheus) writes.
    pub const PROMETHEUS: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Writes all numbers in Prometheus' text format: of the process, of each tag, of each pool.
    ///
    /// **Cost**: about 90 bytes a line; 11 lines a tag and 20 a pool. It allocates nothing itself.
    ///
    /// # Errors
    ///
    /// Only what `out` answers.
    pub fn write_prometheus(&self, out: &mut impl Write) -> fmt::Result {
        families(out, &PROCESS, core::slice::from_ref(self), |_, _| Ok(()))?;
        families(out, &TAG, self.tags(), |out, entry| label(out, "{tag=\"", entry.tag, "\"}"))?;
        families(out, &POOL, self.pools(), |out, entry| {
            pool(out, entry)?;
            out.write_str("}")
        })?;
        self.write_drops(out)?;
        self.write_reclaims(out)
    }

    fn write_drops(&self, out: &mut impl Write) -> fmt::Result {
        let (name, help) = DROPS;
        head(out, name, help, "counter")?;
        for entry in self.pools() {
            for reason in DropReason::ALL {
                out.write_str(name)?;
                pool(out, entry)?;
                out.write_str(",reason=\"")?;
                out.write_str(reason.name())?;
                out.write_str("\"}")?;
                end(out, entry.stats.drops(reason))?;
            }
        }
        Ok(())
    }

    fn write_reclaims(&self, out: &mut impl Write) -> fmt::Result {
        let (name, help) = RECLAIMS;
        head(out, name, help, "histogram")?;
        for (kind, times) in kinds(self) {
            for le in BUCKETS.map(Duration::from_nanos) {
                writeln!(out, "{name}_bucket{{kind=\"{kind}\",le=\"{}\"}} {}", le.as_secs_f64(), times.at_most(le))?;
            }
            let (sum, count) = (times.sum().as_secs_f64(), times.count());
            writeln!(out, "{name}_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {count}")?;
            writeln!(out, "{name}_sum{{kind=\"{kind}\"}} {sum}\n{name}_count{{kind=\"{kind}\"}} {count}")?;
        }
        Ok(())
    }
}

/// The labels of a pool, still open. A pool that has no size classes has no label for one.
fn pool(out: &mut impl Write, entry: &PoolEntry) -> fmt::Result {
    label(out, "{pool=\"", entry.pool, "\"")?;
    if entry.class_bytes == 0 { Ok(()) } else { write!(out, ",class_bytes=\"{}\"", entry.class_bytes) }
}

/// All lines of a family stand together: the format wants it so.
fn families<W: Write, E>(
    out: &mut W,
    families: &[Family<E>],
    entries: &[E],
    labels: impl Fn(&mut W, &E) -> fmt::Result,
) -> fmt::Result {
    for family in families {
        head(out, family.name, family.help, kind(family.kind))?;
        for entry in entries {
            out.write_str(family.name)?;
            labels(out, entry)?;
            end(out, (family.of)(entry))?;
        }
    }
    Ok(())
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    }
}

fn head(out: &mut impl Write, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// The value at the end of a line. There are ten thousand of them in a scrape of a thousand tags, so it does without the
/// machinery of `write!`.
fn end(out: &mut impl Write, mut value: u64) -> fmt::Result {
    let mut text = *b" 18446744073709551615\n";
    let mut at = text.len() - 1;
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8; // below 10
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text[at - 1] = b' ';
    out.write_str(core::str::from_utf8(&text[at - 1..]).unwrap_or_default())
}

/// A label's value between what stands before and after it, with a backslash before what would end it.
fn label(out: &mut impl Write, before: &str, value: &str, after: &str) -> fmt::Result {
    out.write_str(before)?;
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            b'\n' => "\\n",
            _ => continue,
        };
        // Each of the three is a letter of its own, so that the text can be cut there.
        out.write_str(&value[plain..at])?;
        out.write_str(escaped)?;
        plain = at + 1;
    }
    out.write_str(&value[plain..])?;
    out.write_str(after)
}

#[cfg(test)]
mod tests {
    use super::{end, label};

    #[test]
    fn numbers_are_written_as_they_are() {
        for value in [0, 7, 10, 999, 1_000_000_007, u64::MAX - 1, u64::MAX] {
            let mut text = String::new();
            end(&mut text, value).unwrap();
            assert_eq!(text, format!(" {value}\n"));
        }
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        for (value, escaped) in [("", ""), ("ö", "ö"), ("\"ö\\", "\\\"ö\\\\"), ("\n\n", "\\n\\n"), ("a\"b", "a\\\"b")]
        {
            let mut text = String::new();
            label(&mut text, "<", value, ">").unwrap();
            assert_eq!(text, format!("<{escaped}>"));
        }
    }
}
