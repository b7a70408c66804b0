//! Made-up series of bytes over time, and a monitor that watches one.
#![allow(dead_code)] // Each test binary uses its part.

use ebbtide::observe::{Event, Monitor, MonitorBuilder, Source, Subject};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// 1 MB is 1,000,000 bytes.
pub(crate) const MB: f64 = 1e6;
pub(crate) const MINUTE: f64 = 60.0;
pub(crate) const HOUR: f64 = 3600.0;
pub(crate) const TAG: Subject = Subject::Tag("watched");
/// As many phases, or seeds, each series is tried with.
pub(crate) const PHASES: u32 = 60;

/// Grows by so many MB/s from `begin` seconds on.
pub(crate) fn leak(rate: f64, begin: f64, at: f64) -> f64 {
    (at - begin).max(0.0) * rate * MB
}

/// Rises from 0 to `height` bytes and falls back at once, every `period` seconds.
pub(crate) fn saw(height: f64, period: f64, at: f64) -> f64 {
    (at / period).rem_euclid(1.0) * height
}

/// Rises from 0 to `height` bytes within `seconds` from `begin` on, and stays there.
pub(crate) fn ramp(height: f64, begin: f64, seconds: f64, at: f64) -> f64 {
    ((at - begin) / seconds).clamp(0.0, 1.0) * height
}

/// Goes up and down by `peak` bytes around 0, every `period` seconds.
pub(crate) fn sine(peak: f64, period: f64, at: f64) -> f64 {
    (at / period * std::f64::consts::TAU).sin() * peak
}

/// Between 0 and 1, evenly, another one for each `at`.
pub(crate) fn noise(seed: u32, at: f64) -> f64 {
    // SplitMix64.
    let mut mixed = at.to_bits() ^ u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for factor in [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A value that a test sets, and the pauses that go with it.
#[derive(Clone, Default)]
pub(crate) struct Value(Arc<Mutex<(Option<u64>, Duration)>>);

impl Value {
    pub(crate) fn set(&self, bytes: Option<f64>) {
        self.0.lock().unwrap().0 = bytes.map(|bytes| bytes as u64);
    }

    pub(crate) fn set_pause(&self, pause: Duration) {
        self.0.lock().unwrap().1 = pause;
    }
}

impl Source for Value {
    fn read(&mut self, note: &mut dyn FnMut(Subject, u64)) {
        if let Some(bytes) = self.0.lock().unwrap().0 {
            note(TAG, bytes);
        }
    }

    fn pause(&mut self) -> Duration {
        self.0.lock().unwrap().1
    }
}

/// A monitor, the value that it watches, and what it told when.
pub(crate) struct Bench {
    pub(crate) monitor: Monitor,
    pub(crate) value: Value,
    begin: Instant,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(Monitor::builder())
    }

    pub(crate) fn of(builder: MonitorBuilder) -> Self {
        let (value, told) = (Value::default(), Arc::<Mutex<Vec<Event>>>::default());
        let monitor = builder
            .on_event({
                let told = Arc::clone(&told);
                move |event| told.lock().unwrap().push(*event)
            })
            .build_on(value.clone())
            .expect("rules that go together");
        // Room for clocks that step back.
        Self { monitor, value, begin: Instant::now() + Duration::from_secs(1_000_000), told }
    }

    /// Takes a sample: `bytes` by a clock that shows `clock` seconds; without bytes the value is missing.
    pub(crate) fn sample(&self, clock: f64, bytes: Option<f64>) {
        self.value.set(bytes);
        let offset = Duration::from_secs_f64(clock.abs());
        self.monitor.sample_at(if clock < 0.0 { self.begin - offset } else { self.begin + offset });
    }

    /// Runs a series from `from` to `to`, with a sample every `every` seconds.
    pub(crate) fn run(&self, from: f64, to: f64, every: f64, series: impl Fn(f64) -> f64) {
        let samples = ((to - from) / every).round() as u64;
        for sample in 0..samples {
            let at = from + sample as f64 * every;
            self.sample(at, Some(series(at)));
        }
    }

    /// What was told since the last look, with its time in seconds.
    pub(crate) fn told(&self) -> Vec<(f64, Event)> {
        let events = std::mem::take(&mut *self.told.lock().unwrap());
        events.into_iter().map(|event| (event.at.saturating_duration_since(self.begin).as_secs_f64(), event)).collect()
    }
}

/// What a monitor with default rules tells of a series that is sampled every `every` seconds.
pub(crate) fn told(seconds: f64, every: f64, series: impl Fn(f64) -> f64) -> Vec<(f64, Event)> {
    let bench = Bench::new();
    bench.run(0.0, seconds, every, series);
    bench.told()
}
