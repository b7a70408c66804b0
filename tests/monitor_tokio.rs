//! A monitor on a tokio runtime, and what it writes by `tracing`.

#[path = "monitor/series.rs"]
mod series;

use ebbtide::Pool;
use ebbtide::observe::{Monitor, Subject};
use series::{Bench, MB, MINUTE, leak, ramp};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[tokio::test(start_paused = true)]
async fn samples_are_taken_until_the_handle_is_dropped() {
    let mut bytes = 0;
    let source = move |note: &mut dyn FnMut(Subject, u64)| {
        bytes += 100_000;
        note(Subject::Tag("watched"), bytes);
    };
    let monitor = Monitor::builder().build_on(source).expect("default rules");
    let sampling = monitor.sample_every(Monitor::PERIOD);
    tokio::time::sleep(Duration::from_secs(361)).await;
    assert_eq!(monitor.alarms()[0].subject, Subject::Tag("watched"), "0.4 MB/s, by the runtime's clock");
    let samples = monitor.stats().samples;
    assert!((1440..=1450).contains(&samples), "{samples}");
    drop(sampling);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(monitor.stats().samples <= samples + 1);
}

/// Notes the level and the message of each event.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(Level, String)>>>);

impl Visit for Written {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().last_mut().unwrap().1 = format!("{value:?}");
        }
    }
}

impl Subscriber for Written {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ebbtide")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push((*event.metadata().level(), String::new()));
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn events_are_written_by_their_severity() {
    let written = Written::default();
    tracing::subscriber::with_default(written.clone(), || {
        let bench = Bench::new();
        bench.run(0.0, 8.0 * MINUTE, 0.25, |at| leak(0.4, 0.0, at) + ramp(1100.0 * MB, 6.5 * MINUTE, 1.0, at));
    });
    let written = written.0.lock().unwrap();
    let lines: Vec<_> = written.iter().map(|(level, line)| (*level, line.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Level::WARN, "warning raised: slow leak, tag watched grows by 0.40 MB/s, pauses 0.0 ms; 120 MB now"),
            (Level::ERROR, "critical raised: burst, tag watched rose by 1104 MB; 1256 MB now"),
            (Level::INFO, "critical cleared: burst, tag watched rose by 4 MB; 1284 MB now"),
        ]
    );
}

#[test]
fn a_trim_is_a_pause_that_is_recorded() {
    use ebbtide::pool::Reclaims;
    let before = Reclaims::of_process();
    let pool = Pool::with_reset(|| Slow, |_| ());
    drop(pool.get());
    while pool.stats().live > 0 {
        pool.trim();
    }
    let trims = Reclaims::of_process().since(&before).trims;
    assert!(trims.count() >= 2 && trims.percentile(100) >= Duration::from_millis(20), "{trims:?}");
}

/// Takes its time when it is freed.
struct Slow;

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_reclaim_of_a_request_is_timed_now_and_then() {
    use ebbtide::Scopes;
    use ebbtide::pool::Reclaims;
    let scopes = Scopes::new();
    let touched = || {
        scopes.begin().scope().on_end(|_| ());
    };
    let before = Reclaims::of_process();
    (0..10_000).for_each(|_| touched());
    let timed = Reclaims::of_process().since(&before).requests.count();
    assert!((30..=60).contains(&timed), "one in 256, and some at the beginning: {timed}");
    let untouched = Reclaims::of_process();
    (0..10_000).for_each(|_| drop(scopes.begin()));
    (0..10_000).for_each(|_| scopes.begin().abort());
    assert_eq!(Reclaims::of_process().since(&untouched).requests.count(), 0, "nothing to reclaim");
}
