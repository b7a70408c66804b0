//! Old leases, by a monitor that has a leak detector. There is one detector in a process, so that there is one test at a time.

#[path = "monitor/series.rs"]
mod series;

use axum::body::Body;
use ebbtide::observe::{
    Change, Console, Event, Finding, LeakDetector, Monitor, Rule, Severity, Subject, leaked_on_purpose, tagged,
};
use ebbtide::{BufferPool, Pool};
use http::Request;
use http_body_util::BodyExt;
use series::Bench;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tower::ServiceExt;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|broken| broken.into_inner())
}

/// One lease in 256, suspected after a minute.
fn detector() -> Arc<LeakDetector> {
    Arc::new(LeakDetector::new().with_sampling(256))
}

fn bench() -> Bench {
    Bench::of(Monitor::builder().leaks(detector()))
}

/// So many leases that three of them are sampled, or four.
fn many<T>(mut take: impl FnMut() -> T) -> Vec<T> {
    (0..1000).map(|_| take()).collect()
}

/// Samples once a second, of no subject but old leases, and what was told of them.
fn run(bench: &Bench, from: u32, to: u32) -> Vec<(f64, Event)> {
    (from..=to).for_each(|second| bench.sample(f64::from(second), None));
    bench.told()
}

fn line(event: &Event) -> u32 {
    event.finding.site().expect("a place").line()
}

#[test]
fn an_old_lease_is_told_of_by_tag_place_age_and_number() {
    let _alone = alone();
    let bench = bench();
    let buffers = BufferPool::builder().name("frames").build();
    let held = many(|| tagged("decoder", || buffers.get(1000)));
    let taken = line!() - 1;
    assert_eq!(run(&bench, 0, 60), [], "not older than a minute yet");
    let [(at, event)] = run(&bench, 61, 300)[..] else { panic!("one, and once: {:?}", bench.monitor.recent()) };
    assert_eq!((at, event.subject, event.severity), (61.0, Subject::Tag("decoder"), Severity::Warning));
    assert_eq!((event.rule(), event.change), (Rule::OldLeases, Change::Raised));
    let Finding::OldLeases { site, leases, age } = event.finding else { panic!("{event}") };
    assert_eq!((site.file(), site.line(), age), (file!(), taken, Duration::from_secs(61)));
    assert!((2..=4).contains(&leases) && (leases * 1024..leases * 1200).contains(&event.bytes), "{event:?}");
    let text = format!(
        "warning raised: old leases, tag decoder has {leases} sampled leases out for up to 61 s, taken at {site}; {} kB now",
        (event.bytes + 500) / 1000
    );
    assert_eq!(event.to_string(), text);
    assert_eq!((bench.monitor.alarms(), bench.monitor.stats().raised(Rule::OldLeases)), (vec![event], 1));
    drop(held);
}

#[test]
fn an_alarm_is_over_when_nothing_so_old_was_out_for_five_minutes() {
    let _alone = alone();
    let bench = bench();
    let pool = Pool::builder().name("sessions").build(String::new);
    let held = many(|| pool.get());
    let told = run(&bench, 0, 100);
    assert_eq!((told.len(), told[0].1.subject), (1, Subject::Pool("sessions")), "without a tag");
    drop(held);
    let [(at, event)] = run(&bench, 101, 500)[..] else { panic!("{:?}", bench.monitor.recent()) };
    assert_eq!((at, event.change, event.bytes), (401.0, Change::Cleared, 0));
    assert!(event.to_string().contains("pool sessions has no old lease of tests/monitor_leaks.rs:"), "{event}");
    assert!(bench.monitor.alarms().is_empty());
}

#[test]
fn each_place_has_an_alarm_of_its_own() {
    let _alone = alone();
    let bench = bench();
    let pool = Pool::new(String::new);
    let mut held = many(|| tagged("cache", || pool.get()));
    let first = line!() - 1;
    let told = run(&bench, 0, 100);
    assert_eq!((told.len(), line(&told[0].1)), (1, first));
    held.extend(many(|| tagged("cache", || pool.get())));
    let second = line!() - 1;
    let told = run(&bench, 101, 200);
    assert_eq!((told.len(), told[0].0, line(&told[0].1)), (1, 162.0, second));
    assert_eq!(bench.monitor.alarms().iter().map(line).collect::<Vec<_>>(), [first, second]);
    drop(held);
    assert_eq!(run(&bench, 201, 600).len(), 2);
    assert!(bench.monitor.alarms().is_empty());
}

#[test]
fn what_comes_again_waits_for_the_cool_down_of_its_place() {
    let _alone = alone();
    let bench = Bench::of(Monitor::builder().leaks(detector()).cool_down(Duration::from_secs(1000)));
    let pool = Pool::new(String::new);
    let again = || many(|| pool.get());
    let held = again();
    assert_eq!(run(&bench, 0, 61).len(), 1);
    drop(held);
    assert_eq!(run(&bench, 62, 400).len(), 1, "it is over");
    let held = again();
    assert_eq!(run(&bench, 401, 1060), []);
    assert_eq!(bench.monitor.stats().held_back, 1);
    let told = run(&bench, 1061, 1100);
    assert_eq!((told.len(), told[0].0, told[0].1.change), (1, 1061.0, Change::Raised));
    drop(held);
}

#[test]
fn what_is_meant_to_stay_out_raises_no_alarm() {
    let _alone = alone();
    let bench = bench();
    let pool = Pool::new(String::new);
    let sockets = many(|| leaked_on_purpose(|| tagged("websocket", || pool.get())));
    assert_eq!(run(&bench, 0, 7200), []);
    let held = many(|| tagged("websocket", || pool.get()));
    assert_eq!(run(&bench, 7201, 7300).len(), 1, "what would be told otherwise");
    drop((sockets, held));
}

#[test]
fn a_clock_that_steps_back_makes_no_lease_old() {
    let _alone = alone();
    let bench = bench();
    let pool = Pool::new(String::new);
    let held = many(|| pool.get());
    for clock in [0.0, 50.0, -3600.0, -3590.0, -90_000.0, 0.0, 60.0] {
        bench.sample(clock, None);
    }
    assert_eq!(bench.told(), []);
    bench.sample(61.0, None);
    assert_eq!(bench.told().len(), 1);
    drop(held);
}

#[test]
fn leases_that_come_and_go_raise_no_alarm_however_many() {
    let _alone = alone();
    let bench = bench();
    let pool = Pool::new(String::new);
    let mut held = Vec::new();
    for second in 0..600 {
        // Each of them is out for 50 to 60 seconds.
        if second % 10 == 0 {
            held.push(many(|| pool.get()));
        }
        if held.len() > 5 {
            drop(held.remove(0));
        }
        bench.sample(f64::from(second), None);
    }
    assert_eq!(bench.told(), []);
}

#[test]
fn places_are_bounded_and_those_left_out_are_counted() {
    let _alone = alone();
    let bench = Bench::of(Monitor::builder().leaks(detector()).max_subjects(1));
    let pool = Pool::new(String::new);
    let held = [many(|| tagged("a", || pool.get())), many(|| tagged("b", || pool.get()))];
    assert_eq!(run(&bench, 0, 61).len(), 1);
    let overlooked = bench.monitor.stats().overlooked;
    assert!((1..=4).contains(&overlooked), "the other place's leases in one sample: {overlooked}");
    drop(held);
}

#[test]
fn the_detector_still_tells_its_own_poll_once() {
    let _alone = alone();
    let detector = detector();
    let bench = Bench::of(Monitor::builder().leaks(Arc::clone(&detector)));
    let pool = Pool::builder().name("polled too").build(String::new);
    let held = many(|| pool.get());
    assert_eq!(run(&bench, 0, 100).len(), 1);
    let now = bench.monitor.recent()[0].at;
    let mut told = Vec::new();
    let old = detector.poll(now, |lease| told.push(lease.pool()));
    assert_eq!(told, vec!["polled too"; old]);
    assert_eq!((old > 0, detector.poll(now, |_| panic!("twice"))), (true, old));
    drop(held);
}

/// What a console answers that shows the alarms of a monitor.
fn ask(monitor: &Monitor, path: &str) -> String {
    let router = Console::new().monitor(monitor).router();
    let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(async { router.oneshot(request).await.unwrap().into_body().collect().await.unwrap() });
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[test]
fn the_console_and_the_metrics_show_it() {
    let _alone = alone();
    let monitor = Monitor::builder().leaks(detector()).build().expect("default rules");
    let pool = Pool::new(String::new);
    let held = many(|| tagged("keeps <all>", || pool.get()));
    let begin = Instant::now();
    (0..=61).for_each(|second| monitor.sample_at(begin + Duration::from_secs(second)));
    let page = ask(&monitor, "/debug/ebbtide");
    let alarm = page.lines().find(|line| line.contains("<b>old leases</b>")).expect("the alarm");
    assert!(
        alarm.contains("tag keeps &lt;all&gt; has ") && alarm.contains("taken at tests/monitor_leaks.rs:"),
        "{alarm}"
    );
    let json: serde_json::Value = serde_json::from_str(&ask(&monitor, "/debug/ebbtide/json")).unwrap();
    let alarm = &json["alarms"][0];
    assert_eq!((&alarm["rule"], &alarm["subject"]), (&"old leases".into(), &"tag keeps <all>".into()));
    let metrics = ask(&monitor, "/debug/ebbtide/metrics");
    assert!(metrics.contains("\nebbtide_alarms{rule=\"old leases\"} 1\n"));
    assert!(metrics.contains("\nebbtide_alarms_raised_total{rule=\"old leases\"} 1\n"));
    drop(held);
}
