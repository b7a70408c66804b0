//! The books through the `metrics` facade: the same names and numbers as in the Prometheus text.

use ebbtide::observe::{PoolEntry, Snapshot, TagEntry};
use metrics::Unit;
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::collections::BTreeMap;

fn sample() -> Snapshot {
    let mut tag = TagEntry::default();
    (tag.tag, tag.outstanding_bytes, tag.taken, tag.imbalances) = ("auth", 300, 7, 1);
    let mut pool = PoolEntry::default();
    pool.pool = "parsers";
    (pool.stats.live, pool.stats.idle, pool.stats.charged_bytes, pool.stats.made) = (4, 1, 400, 9);
    let mut snapshot = Snapshot::new();
    snapshot.add_tag(&tag);
    snapshot.add_pool(&pool);
    pool.class_bytes = 4096;
    snapshot.add_pool(&pool);
    snapshot
}

/// The series of the text, without the comments.
fn text(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let mut text = String::new();
    snapshot.write_prometheus(&mut text).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("ebbtide_reclaim_seconds"));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[test]
fn the_facade_gets_what_the_text_says() {
    let recorder = DebuggingRecorder::new();
    let snapshot = sample();
    let mut found = BTreeMap::new();
    metrics::with_local_recorder(&recorder, || {
        Snapshot::describe();
        snapshot.record();
        snapshot.record();
    });
    for (key, unit, help, value) in recorder.snapshotter().snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        let labels: Vec<_> = key.labels().map(|label| format!("{}=\"{}\"", label.key(), label.value())).collect();
        if key.name() == "ebbtide_reclaim_seconds" {
            assert_eq!((unit, labels.len()), (Some(Unit::Seconds), 2));
            continue; // a histogram in the text
        }
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        assert!(help.is_some(), "{key} is not described");
        assert_eq!(unit == Some(Unit::Bytes), key.name().contains("_bytes"), "{key}");
        assert_eq!(kind == MetricKind::Counter, key.name().ends_with("_total"), "{key}");
        let value = match value {
            DebugValue::Counter(value) => value,
            DebugValue::Gauge(value) => value.0 as u64,
            DebugValue::Histogram(_) => panic!("there is no histogram"),
        };
        found.insert(format!("{}{labels}", key.name()), value);
    }
    assert_eq!(found, text(&snapshot));
    assert_eq!(found["ebbtide_in_use_bytes"], 300 + 3 * 4096);
    assert_eq!(found["ebbtide_tag_taken_total{tag=\"auth\"}"], 7);
}
