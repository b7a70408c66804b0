//! What reads the books, where values say that they keep as much as can be said: sums neither panic nor wrap, but for those of
//! counters, which wrap as the counters do.

use axum::body::Body;
use ebbtide::observe::{Console, Dump, DumpDiff, LeakDetector, Ledger, PoolEntry, Profile, Snapshot, TagEntry, tagged};
use ebbtide::{Pool, Reset, Verdict};
use http::Request;
use http_body_util::BodyExt;
use std::time::{Instant, SystemTime};
use tower::ServiceExt;

/// Never to be kept.
struct Never;

impl Reset for Never {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        usize::MAX
    }
}

fn written(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    snapshot.write_prometheus(&mut text).unwrap();
    text
}

#[tokio::test]
async fn pools_of_values_that_are_never_to_be_kept_are_shown() {
    let detector = LeakDetector::new().with_sampling(1);
    // Two values of each wrap the counter nearly once; so together they do, and with whatever else was made.
    let pools = [(); 3].map(|()| Pool::builder().name("never").build(|| Never));
    let other = Pool::builder().name("other").build(|| vec![0_u8; 100]);
    drop(other.get());
    let (mut before, mut after) = (Dump::new(), Dump::new());
    before.take();
    let leases: Vec<_> =
        pools.iter().flat_map(|pool| [pool, pool]).map(|pool| tagged("extreme", || pool.get())).collect();
    after.take();
    let mut diff = DumpDiff::new();
    diff.take(&before, &after);
    assert!(before.to_string().len() < after.to_string().len() && !diff.to_string().is_empty());

    let mut snapshot = Snapshot::new();
    snapshot.take(&Ledger::process());
    let entry = snapshot.pools().iter().find(|entry| entry.pool == "never").unwrap();
    let each = isize::MAX as u64;
    assert_eq!((entry.stats.made, entry.stats.made_bytes), (6, each.wrapping_mul(6)));
    let text = written(&snapshot);
    let others = other.stats().made_bytes;
    assert!(
        text.contains(&format!("\nebbtide_allocated_bytes_total {}\n", entry.stats.made_bytes.wrapping_add(others)))
    );

    let sampled = detector.leases(Instant::now());
    let mut profile = Profile::new(&snapshot);
    profile.add_leases(&sampled);
    profile.write(SystemTime::now(), Vec::new()).unwrap();
    for page in ["", "/json", "/dump", "/metrics", "/pprof"] {
        let request = Request::get(format!("/debug/ebbtide{page}")).header("host", "localhost");
        let answer = Console::new().router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    drop(leases);
}

#[test]
fn bytes_that_are_there_add_up_to_the_most_at_most_and_counted_ones_wrap() {
    let mut snapshot = Snapshot::new();
    let (mut pool, mut tag) = (PoolEntry::default(), TagEntry::default());
    (pool.stats.live, pool.stats.charged_bytes, pool.stats.made, pool.stats.made_bytes) = (1, u64::MAX, 1, u64::MAX);
    (tag.outstanding, tag.outstanding_bytes, tag.idle_bytes) = (1, u64::MAX, u64::MAX);
    (tag.taken_bytes, tag.escaped_bytes) = (u64::MAX, u64::MAX);
    for name in ["a", "a", "b"] {
        (pool.pool, tag.tag) = (name, name);
        snapshot.add_pool(&pool);
        snapshot.add_tag(&tag);
    }
    let text = written(&snapshot);
    let (most, twice, thrice) = (u64::MAX, u64::MAX - 1, u64::MAX - 2);
    for line in [
        format!("ebbtide_in_use_bytes {most}"),
        format!("ebbtide_allocated_bytes_total {thrice}"),
        format!("ebbtide_pool_retained_bytes{{pool=\"a\"}} {most}"),
        format!("ebbtide_pool_allocated_bytes_total{{pool=\"a\"}} {twice}"),
        format!("ebbtide_tag_in_use_bytes{{tag=\"a\"}} {most}"),
        format!("ebbtide_tag_idle_bytes{{tag=\"a\"}} {most}"),
        format!("ebbtide_tag_taken_bytes_total{{tag=\"a\"}} {twice}"),
        format!("ebbtide_tag_escaped_bytes_total{{tag=\"a\"}} {twice}"),
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is not in\n{text}");
    }
    let mut profile = Profile::new(&snapshot);
    let site = std::panic::Location::caller();
    profile.add_lease("a", ("a", 0), site, u64::MAX);
    profile.add_lease("a", ("a", 0), site, u64::MAX);
    profile.write(SystemTime::now(), Vec::new()).unwrap();
}
