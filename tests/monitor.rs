//! The monitor's rules at and around their thresholds, on made-up series, each from sixty phases.

#[path = "monitor/series.rs"]
mod series;

use ebbtide::observe::{Burst, Change, Event, Finding, Monitor, MonitorBuilder, Periodic, Rule, Severity, SlowLeak};
use series::{Bench, HOUR, MB, MINUTE, PHASES, leak, noise, ramp, saw, sine, told};
use std::time::Duration;

/// Four samples a second.
const EVERY: f64 = 0.25;

fn of(rule: Rule, events: &[(f64, Event)]) -> Vec<(f64, Change, Severity)> {
    let same = events.iter().filter(|(_, event)| event.rule() == rule);
    same.map(|(at, event)| (*at, event.change, event.severity)).collect()
}

fn show(events: &[(f64, Event)]) -> String {
    events.iter().map(|(at, event)| format!("{:.1} min: {event}\n", at / MINUTE)).collect()
}

/// Nothing is told of the series, whatever its phase.
fn is_silent(name: &str, seconds: f64, every: f64, series: impl Fn(u32, f64) -> f64) {
    for phase in 0..PHASES {
        let events = told(seconds, every, |at| series(phase, at));
        assert!(events.is_empty(), "{name}, phase {phase}:\n{}", show(&events));
    }
}

#[test]
fn a_leak_above_the_limit_is_told_within_six_minutes() {
    for phase in 0..PHASES {
        let begin = 60.0 + f64::from(phase);
        let events = told(begin + 7.0 * MINUTE, EVERY, |at| 100.0 * MB + leak(0.31, begin, at));
        let &[(at, Change::Raised, Severity::Warning)] = &of(Rule::SlowLeak, &events)[..] else {
            panic!("phase {phase}:\n{}", show(&events));
        };
        assert!(at >= begin + 4.0 * MINUTE && at <= begin + 6.0 * MINUTE + EVERY, "phase {phase}: {}", at - begin);
        let Finding::SlowLeak { bytes_per_second, .. } = events[0].1.finding else { panic!("{}", show(&events)) };
        assert!(bytes_per_second > 300_000.0 && bytes_per_second < 311_000.0, "{bytes_per_second}");
    }
}

#[test]
fn a_leak_below_the_limit_is_not_told() {
    is_silent("0.29 MB/s", 30.0 * MINUTE, EVERY, |phase, at| 100.0 * MB + leak(0.29, f64::from(phase), at));
}

#[test]
fn noise_hides_no_leak() {
    for phase in 0..PHASES {
        let series = |at| 100.0 * MB + leak(0.4, f64::from(phase), at) + 20.0 * MB * noise(phase, at);
        let events = told(10.0 * MINUTE, EVERY, series);
        assert_eq!(of(Rule::SlowLeak, &events).len(), 1, "phase {phase}:\n{}", show(&events));
    }
}

#[test]
fn a_leak_is_critical_with_long_pauses_only() {
    let case = |rate: f64, pause: u64| {
        let bench = Bench::new();
        bench.value.set_pause(Duration::from_micros(pause));
        bench.run(0.0, 8.0 * MINUTE, EVERY, |at| leak(rate, 0.0, at));
        of(Rule::SlowLeak, &bench.told())
            .into_iter()
            .map(|(_, change, severity)| (change, severity))
            .collect::<Vec<_>>()
    };
    for (rate, pause, severity) in [
        (0.51, 10_001, Severity::Critical),
        (0.51, 10_000, Severity::Warning),
        (0.49, 10_001, Severity::Warning),
        (2.0, 0, Severity::Warning),
    ] {
        assert_eq!(case(rate, pause), [(Change::Raised, severity)], "{rate} MB/s, {pause} us");
    }
}

#[test]
fn pauses_that_grow_long_make_a_leak_critical() {
    let bench = Bench::new();
    bench.run(0.0, 8.0 * MINUTE, EVERY, |at| leak(0.6, 0.0, at));
    bench.value.set_pause(Duration::from_millis(50));
    bench.run(8.0 * MINUTE, 10.0 * MINUTE, EVERY, |at| leak(0.6, 0.0, at));
    let changes: Vec<_> = bench.told().iter().map(|(_, event)| (event.change, event.severity)).collect();
    assert_eq!(changes, [(Change::Raised, Severity::Warning), (Change::Escalated, Severity::Critical)]);
    assert_eq!(bench.monitor.alarms()[0].severity, Severity::Critical);
}

#[test]
fn a_saw_tooth_is_no_leak() {
    for (period, every) in [(60.0, EVERY), (59.0, 1.0), (61.0, 1.0), (150.0, 1.0)] {
        is_silent("saw-tooth", 15.0 * MINUTE, every, |phase, at| {
            100.0 * MB + saw(480.0 * MB, period, at + period * f64::from(phase) / f64::from(PHASES))
        });
    }
}

#[test]
fn a_step_is_no_leak() {
    is_silent("step", 20.0 * MINUTE, EVERY, |phase, at| {
        100.0 * MB + ramp(95.0 * MB, 7.0 * MINUTE + f64::from(phase), 1e-9, at)
    });
    is_silent("step in noise", 20.0 * MINUTE, EVERY, |phase, at| {
        100.0 * MB + ramp(95.0 * MB, 7.0 * MINUTE + f64::from(phase), 1e-9, at) + 30.0 * MB * noise(phase, at)
    });
}

#[test]
fn noise_is_no_leak() {
    is_silent("noise", 15.0 * MINUTE, EVERY, |phase, at| 100.0 * MB + 300.0 * MB * noise(phase, at));
    // Another level each minute, in a band below the 72 MB that a rise over four minutes needs.
    is_silent("slow noise", 3.0 * HOUR, 5.0, |phase, at| 100.0 * MB + 71.0 * MB * noise(phase, (at / MINUTE).floor()));
}

#[test]
fn a_mixture_without_a_leak_is_silent() {
    is_silent("mixture", 30.0 * MINUTE, EVERY, |phase, at| {
        let shifted = at + f64::from(phase);
        200.0 * MB
            + saw(480.0 * MB, 45.0, shifted)
            + sine(30.0 * MB, 30.0 * MINUTE, at + 30.0 * f64::from(phase))
            + ramp(95.0 * MB, 20.0 * MINUTE + f64::from(phase), 1.0, at)
            + 20.0 * MB * noise(phase, at)
            + leak(0.05, 0.0, at)
    });
}

#[test]
fn a_leak_in_a_mixture_is_told() {
    for phase in 0..PHASES {
        let shifted = f64::from(phase);
        let events = told(12.0 * MINUTE, 0.5, |at| {
            200.0 * MB
                + saw(480.0 * MB, 45.0, at + shifted)
                + ramp(95.0 * MB, 3.0 * MINUTE + shifted, 1.0, at)
                + 20.0 * MB * noise(phase, at)
                + leak(0.5, MINUTE, at)
        });
        let first = of(Rule::SlowLeak, &events).first().copied();
        assert!(matches!(first, Some((_, Change::Raised, Severity::Warning))), "phase {phase}:\n{}", show(&events));
    }
}

#[test]
fn an_alarm_holds_down_to_half_its_limit() {
    let changes = |rate: f64| {
        let bench = Bench::new();
        bench.run(0.0, 25.0 * MINUTE, 0.5, |at| leak(0.4 - rate, 0.0, at.min(8.0 * MINUTE)) + leak(rate, 0.0, at));
        of(Rule::SlowLeak, &bench.told()).into_iter().map(|(_, change, _)| change).collect::<Vec<_>>()
    };
    assert_eq!(changes(0.16), [Change::Raised]);
    assert_eq!(changes(0.14), [Change::Raised, Change::Cleared]);
}

/// A load of 96 MB around its mean, every 30 minutes: its steepest five minutes are above the limit.
fn steep_load(phase: u32, at: f64) -> f64 {
    400.0 * MB + sine(96.0 * MB, 30.0 * MINUTE, at + 30.0 * f64::from(phase))
}

#[test]
fn a_found_period_withdraws_the_leak_that_it_explains() {
    let mut withdrawn = 0;
    for phase in 0..PHASES {
        let events = told(5.0 * HOUR, 5.0, |at| steep_load(phase, at));
        let hint = events.iter().find(|(_, event)| event.rule() == Rule::Periodic).expect("a hint").0;
        assert!((90.0 * MINUTE..=100.0 * MINUTE).contains(&hint), "phase {phase}: {}", hint / MINUTE);
        let slow = of(Rule::SlowLeak, &events);
        assert!(!slow.is_empty() && slow.len() <= 8, "phase {phase}:\n{}", show(&events));
        let late: Vec<_> = slow.iter().filter(|(at, ..)| *at > hint + MINUTE).collect();
        assert!(late.iter().all(|(_, change, _)| *change != Change::Raised), "phase {phase}:\n{}", show(&events));
        withdrawn += slow.iter().filter(|(_, change, _)| *change == Change::Withdrawn).count();
        let balance = slow.iter().map(|(_, change, _)| if *change == Change::Raised { 1 } else { -1 }).sum::<i32>();
        assert_eq!(balance, 0, "each alarm ends, phase {phase}:\n{}", show(&events));
    }
    assert!(withdrawn > 0);
}

#[test]
fn a_leak_that_begins_under_a_known_period_is_told() {
    for phase in 0..PHASES {
        let (begin, bench) = (3.0 * HOUR, Bench::new());
        let series = |at| steep_load(phase, at) + leak(0.4, begin, at);
        bench.run(0.0, begin, 5.0, series);
        bench.told();
        bench.run(begin, begin + 1.5 * HOUR, 5.0, series);
        let events = bench.told();
        let slow = of(Rule::SlowLeak, &events);
        let Some(&(at, Change::Raised, _)) = slow.first() else { panic!("phase {phase}:\n{}", show(&events)) };
        assert!(at <= begin + 8.0 * MINUTE, "phase {phase}:\n{}", show(&events));
        assert_eq!(slow.len(), 1, "it stays, phase {phase}:\n{}", show(&events));
    }
}

#[test]
fn a_step_under_a_known_period_is_no_leak() {
    for phase in 0..PHASES {
        let (begin, bench) = (3.0 * HOUR, Bench::new());
        let series = |at| steep_load(phase, at) + ramp(700.0 * MB, begin, 1.0, at);
        bench.run(0.0, begin - 5.0, 5.0, series);
        bench.told();
        bench.run(begin - 5.0, begin + 2.0 * HOUR, 5.0, series);
        let slow = of(Rule::SlowLeak, &bench.told());
        assert_eq!(slow, [], "phase {phase}");
    }
}

#[test]
fn a_leak_under_a_periodic_load_from_the_beginning_is_told_and_stays() {
    for phase in 0..PHASES {
        let events = told(4.0 * HOUR, 5.0, |at| steep_load(phase, at) + leak(0.35, 0.0, at));
        let slow = of(Rule::SlowLeak, &events);
        assert!(slow.iter().any(|(at, change, _)| *change == Change::Raised && *at < 31.0 * MINUTE), "phase {phase}");
        assert_eq!(
            slow.last().map(|(_, change, _)| *change),
            Some(Change::Raised),
            "phase {phase}:\n{}",
            show(&events)
        );
    }
}

#[test]
fn a_rise_of_a_gigabyte_in_ten_seconds_is_a_burst() {
    let bursts = |seconds: f64, height: f64, phase: u32| {
        let begin = 60.0 + f64::from(phase) / 60.0;
        let events = told(2.0 * MINUTE, EVERY, |at| 100.0 * MB + ramp(height * MB, begin, seconds, at));
        of(Rule::Burst, &events).iter().filter(|(_, change, _)| *change == Change::Raised).count()
    };
    for phase in 0..PHASES {
        assert_eq!(bursts(9.9, 1015.0, phase), 1, "phase {phase}");
        assert_eq!(bursts(10.3, 1015.0, phase), 0, "phase {phase}");
        assert_eq!(bursts(1.0, 1000.0, phase), 0, "not more than a gigabyte, phase {phase}");
        assert_eq!(bursts(1.0, 1001.0, phase), 1, "phase {phase}");
    }
}

#[test]
fn a_burst_is_told_at_once_and_over_after_a_minute() {
    let bench = Bench::new();
    bench.run(0.0, 3.0 * MINUTE, EVERY, |at| ramp(2000.0 * MB, 30.0, 10.0, at));
    let events = bench.told();
    let changes: Vec<_> = events.iter().map(|(at, event)| (*at, event.change, event.severity)).collect();
    // More than 1,000 MB after 5 s; the rise in ten seconds is down to 500 MB at 47.5 s.
    assert_eq!(changes, [(35.25, Change::Raised, Severity::Critical), (107.5, Change::Cleared, Severity::Critical)]);
    assert_eq!(events[0].1.finding, Finding::Burst { bytes: 1_050_000_000 });
}

#[test]
fn an_amplitude_above_the_limit_is_a_hint() {
    let hints = |percent: f64, minutes: f64, phase: u32| {
        let swing = |at| sine(percent / 2.0 * MB, minutes * MINUTE, at + minutes * f64::from(phase));
        let events = told(2.0 * HOUR, 5.0, |at| 100.0 * MB + swing(at) + 2.0 * MB * noise(phase, at));
        of(Rule::Periodic, &events).len()
    };
    for phase in 0..PHASES {
        assert_eq!(hints(41.0 * 1.01, 30.0, phase), 1, "41 % of the mean, which noise raises by 1 %; phase {phase}");
        assert_eq!(hints(39.0 * 1.01, 30.0, phase), 0, "phase {phase}");
        assert_eq!(hints(60.0, 15.0, phase), 0, "15 minutes, phase {phase}");
        assert_eq!(hints(60.0, 22.0, phase), 1, "22 minutes, phase {phase}");
        assert_eq!(hints(60.0, 45.0, phase), 0, "45 minutes, phase {phase}");
    }
}

#[test]
fn a_hint_tells_period_and_amplitude() {
    let events = told(2.0 * HOUR, 5.0, |at| 100.0 * MB + sine(30.0 * MB, 30.0 * MINUTE, at));
    let Finding::Periodic { period, percent } = events[0].1.finding else { panic!("{}", show(&events)) };
    assert!((period.as_secs_f64() / MINUTE - 30.0).abs() < 0.5 && (percent - 60.0).abs() < 1.0, "{}", show(&events));
    assert_eq!(events[0].1.severity, Severity::Hint);
}

#[test]
fn a_hint_is_over_when_its_period_is_lost() {
    let load = |at: f64| if at < 3.0 * HOUR { sine(30.0 * MB, 30.0 * MINUTE, at) } else { 0.0 };
    let events = told(7.0 * HOUR, 5.0, |at| 100.0 * MB + load(at) + 9.0 * MB * noise(1, at));
    let changes: Vec<_> = events.iter().map(|(_, event)| (event.rule(), event.change)).collect();
    assert_eq!(changes, [(Rule::Periodic, Change::Raised), (Rule::Periodic, Change::Cleared)], "{}", show(&events));
    assert!(events[1].0 > 3.0 * HOUR, "{}", show(&events));
}

#[test]
fn steps_and_noise_have_no_period() {
    is_silent("noise", 3.0 * HOUR, 5.0, |phase, at| 100.0 * MB + 90.0 * MB * noise(phase, at));
    is_silent("steps", 4.5 * HOUR, 5.0, |phase, at| {
        let begin = HOUR + 3.0 * MINUTE * f64::from(phase);
        100.0 * MB + ramp(95.0 * MB, begin, 1.0, at) - ramp(60.0 * MB, begin + 47.0 * MINUTE, 1.0, at)
    });
}

#[test]
fn rules_follow_their_numbers() {
    let rules = || SlowLeak::default().above(50_000).over(Duration::from_secs(60));
    let run = |builder: MonitorBuilder, rate: f64| {
        let bench = Bench::of(builder);
        bench.run(0.0, 2.0 * MINUTE, EVERY, |at| leak(rate, 0.0, at));
        bench.told().len()
    };
    let periodic = Periodic::default().around(Duration::from_secs(300));
    let slow = |rate| run(Monitor::builder().periodic(periodic).slow_leak(rules()), rate);
    assert_eq!((slow(0.049), slow(0.051)), (0, 1));
    let critical = rules().critical_above(50_000).pause_limit(Duration::ZERO);
    let bench = Bench::of(Monitor::builder().periodic(periodic).slow_leak(critical));
    bench.value.set_pause(Duration::from_nanos(1));
    bench.run(0.0, 2.0 * MINUTE, EVERY, |at| leak(0.06, 0.0, at));
    assert_eq!(bench.told()[0].1.severity, Severity::Critical);
    let burst = Burst::default().above(1_000_000).within(Duration::from_secs(2));
    let bursts = |rate| run(Monitor::builder().burst(burst), rate);
    assert_eq!((bursts(0.499), bursts(0.501)), (0, 1));
    let bench = Bench::of(Monitor::builder().periodic(Periodic::default().above_percent(70.0)));
    bench.run(0.0, 2.0 * HOUR, 5.0, |at| 100.0 * MB + sine(34.0 * MB, 30.0 * MINUTE, at));
    assert_eq!(bench.told().len(), 0);
}
