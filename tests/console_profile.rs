//! A profile of the console with backtraces. The detector is the process's, so this is a process of its own.

use axum::body::Body;
use ebbtide::Pool;
use ebbtide::observe::{Console, LeakDetector};
use http::{Request, StatusCode};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tower::ServiceExt;

#[test]
fn a_profile_with_backtraces_keeps_nobody_from_reading() {
    let leaks = Arc::new(LeakDetector::new().with_sampling(256).with_backtraces());
    let pool = Pool::builder().name("traced").build(Vec::<u8>::new);
    let leases: Vec<_> = (0..200_000).map(|_| pool.get()).collect();
    let router = Console::new().leaks(leaks).router();
    let answer = |path: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        let began = Instant::now();
        let response = runtime.block_on(router.clone().oneshot(request)).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        began.elapsed()
    };
    // Others use the machine, so one try of several has to show it. Where a reading waits for the profile, it does so in each.
    let is_free = (0..5).any(|_| {
        thread::scope(|threads| {
            let profile = threads.spawn(|| answer("/debug/ebbtide/pprof"));
            let mut longest = Duration::ZERO;
            while !profile.is_finished() {
                longest = longest.max(answer("/debug/ebbtide/metrics"));
            }
            longest < profile.join().unwrap() / 3
        })
    });
    assert!(is_free, "a reading took as long as a profile");
    drop(leases);
}
