//! The calls that led to a lease, read out of the text of its backtrace: std hands out nothing else.
//!
//! | line of the text | what it says |
//! |---|---|
//! | `   4: app::load` | a call, the innermost first; without a number, one that was inlined into the next |
//! | `             at ./src/main.rs:7:20` | where the call before it stands; missing without debug symbols |
//!
//! A text that reads otherwise one day has no calls to be found; then the place where the lease was taken stands alone, as it does
//! without a backtrace.

use core::panic::Location;
use std::backtrace::Backtrace;

/// Where std ends the part of a stack that is the program's.
const OUTERMOST: &str = "__rust_begin_short_backtrace";
/// What std calls a function without a symbol.
const UNKNOWN: &str = "<unknown>";

/// One frame of a stack. What is no place in a file is at line 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: u32,
}

impl Call {
    /// A frame that is none: a tag, a pool, a size.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A place in a function that nobody knows.
    fn at(site: &Location<'_>) -> Self {
        Self { name: format!("{}:{}", site.file(), site.line()), file: site.file().to_owned(), line: site.line() }
    }

    fn is_at(&self, site: &Location<'_>) -> bool {
        // The one is as the compiler was told it, the other has its folder before it.
        self.line == site.line() && self.file.ends_with(site.file())
    }

    /// Whether it is of this crate, or of what it stands on: nothing that a user looks for at the inner end of a stack.
    fn is_below(&self) -> bool {
        let name = self.name.trim_start_matches(['<', '&']);
        ["ebbtide::", "std::", "core::", "alloc::"].iter().any(|own| name.starts_with(own))
    }
}

/// The calls that led to a lease that was taken at `site`, the innermost first: at least that place.
pub(super) fn calls(site: &Location<'_>, backtrace: Option<&Backtrace>) -> Vec<Call> {
    let known = backtrace.map(|trace| outside(read(&trace.to_string()), site));
    known.filter(|calls| !calls.is_empty()).unwrap_or_else(|| vec![Call::at(site)])
}

/// All calls of a text.
fn read(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(place) = line.strip_prefix("at ").and_then(place) {
            if let Some(call) = calls.last_mut() {
                (call.file, call.line) = (place.0.to_owned(), place.1);
            }
        } else if let Some(name) = numbered(line) {
            calls.push(Call::named(name));
        } else if !calls.is_empty() {
            calls.push(Call::named(line));
        }
    }
    calls
}

/// The name behind a number.
fn numbered(line: &str) -> Option<&str> {
    let (number, name) = line.split_once(": ")?;
    number.parse::<u32>().ok().map(|_| name)
}

/// File and line of `./file:line:column`, or without a column.
fn place(text: &str) -> Option<(&str, u32)> {
    let (front, last) = text.rsplit_once(':')?;
    let last = last.parse().ok()?;
    let with_column = front.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
    let (file, line) = with_column.unwrap_or((front, last));
    Some((file.trim_start_matches("./"), line))
}

/// Those that are the program's: from the one that took the lease to where its thread began.
fn outside(mut calls: Vec<Call>, site: &Location<'_>) -> Vec<Call> {
    calls.retain(|call| call.name != UNKNOWN);
    if let Some(end) = calls.iter().position(|call| call.name.contains(OUTERMOST)) {
        calls.truncate(end);
    }
    let below = calls.iter().take_while(|call| call.is_below()).count();
    let taken = calls.iter().position(|call| call.is_at(site)).unwrap_or(0);
    calls.drain(..below.max(taken));
    if let Some(first) = calls.first_mut().filter(|first| first.line == 0) {
        (first.file, first.line) = (site.file().to_owned(), site.line());
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::{Call, calls, outside, read};
    use core::panic::Location;
    use std::backtrace::Backtrace;

    const TEXT: &str = "   0: ebbtide::pool::records::LeaseRecord::new
             at ./src/pool/records.rs:80:9
   1: <T as ebbtide::pool::hooks::Hooks>::take
      <ebbtide::pool::Pool<T> as core::clone::Clone>::clone
   2: <app::Load as core::ops::function::FnOnce<()>>::call_once
             at ./app/load.rs:7:20
      app::run::{{closure}}
             at /home/user/app/run.rs:30
   3: <unknown>
   4: ebbtide::intercept::run::Runner<L>::run
   5: std::sys::backtrace::__rust_begin_short_backtrace
             at /rustc/0123/library/std/src/sys/backtrace.rs:158:18
   6: main
";

    fn call(name: &str, file: &str, line: u32) -> Call {
        Call { name: name.to_owned(), file: file.to_owned(), line }
    }

    /// What is left of the text for a lease that was taken here.
    fn left(text: &str) -> Vec<Call> {
        outside(read(text), Location::caller())
    }

    #[test]
    fn each_line_is_a_call_or_the_place_of_one() {
        let calls = read(TEXT);
        assert_eq!(calls.len(), 9);
        assert_eq!(calls[0], call("ebbtide::pool::records::LeaseRecord::new", "src/pool/records.rs", 80));
        assert_eq!(calls[2], Call::named("<ebbtide::pool::Pool<T> as core::clone::Clone>::clone"));
        assert_eq!(calls[4], call("app::run::{{closure}}", "/home/user/app/run.rs", 30), "inlined, without a column");
    }

    #[test]
    fn the_crates_own_calls_are_left_out_at_the_inner_end_only() {
        let text = TEXT.replace("<T as ebb", "<ebb");
        let expected = [
            call("<app::Load as core::ops::function::FnOnce<()>>::call_once", "app/load.rs", 7),
            call("app::run::{{closure}}", "/home/user/app/run.rs", 30),
            Call::named("ebbtide::intercept::run::Runner<L>::run"),
        ];
        assert_eq!(left(&text), expected);
    }

    #[test]
    fn the_place_where_it_was_taken_is_known_by_file_and_line() {
        let here = Location::caller();
        let at_here = format!("app/load.rs:7:20\n   7: app::taker\n at ./{}:{}:3", here.file(), here.line());
        let calls = outside(read(&TEXT.replace("app/load.rs:7:20", &at_here)), here);
        assert_eq!(calls[0].name, "app::taker");
    }

    #[test]
    fn a_call_without_a_place_stands_where_the_lease_was_taken() {
        let first = &left("   0: app::load\n   1: app::run\n")[0];
        assert_eq!((first.name.as_str(), first.file.as_str()), ("app::load", file!()));
        assert!(first.line > 0);
    }

    #[test]
    fn where_no_call_is_known_the_place_stands_alone() {
        for text in ["", "unsupported backtrace", "   0: <unknown>\n", "   0: std::backtrace::Backtrace::create\n"] {
            assert_eq!(left(text), [], "{text}");
        }
        let here = Location::caller();
        let alone = [call(&format!("{}:{}", here.file(), here.line()), here.file(), here.line())];
        assert_eq!(calls(here, None), alone);
        assert_eq!(calls(here, Some(&Backtrace::disabled())), alone);
    }

    #[test]
    fn a_true_backtrace_reads_like_this() {
        let trace = Backtrace::force_capture();
        let line = line!() - 1;
        let calls = read(&trace.to_string());
        let here = calls.iter().find(|call| call.name.ends_with("a_true_backtrace_reads_like_this"));
        let here = here.expect("this function");
        assert!(here.line == line && here.file.ends_with("src/observe/pprof/calls.rs"), "{here:?}");
    }
}
