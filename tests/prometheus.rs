//! The text that Prometheus scrapes: its form, and what `promtool` says of it.

use ebbtide::observe::{Ledger, Monitor, PoolEntry, Snapshot, TagEntry};
use ebbtide::{DropReason, Pool};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

fn tag(tag: &'static str, outstanding: u64, outstanding_bytes: u64) -> TagEntry {
    let mut entry = TagEntry::default();
    (entry.tag, entry.outstanding, entry.outstanding_bytes) = (tag, outstanding, outstanding_bytes);
    entry
}

fn pool(pool: &'static str) -> PoolEntry {
    let mut entry = PoolEntry::default();
    entry.pool = pool;
    entry
}

fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    snapshot.write_prometheus(&mut text).unwrap();
    text
}

#[test]
fn each_tag_and_pool_has_a_line_of_each_number() {
    let mut snapshot = Snapshot::new();
    snapshot.add_tag(&tag("auth", 3, 300));
    snapshot.add_tag(&tag("gzip", 0, 0));
    snapshot.add_pool(&pool("parsers"));
    let text = text(&snapshot);
    for line in [
        "# TYPE ebbtide_tag_in_use_bytes gauge\nebbtide_tag_in_use_bytes{tag=\"auth\"} 300\nebbtide_tag_in_use_bytes{tag=\"gzip\"} 0\n",
        "# TYPE ebbtide_tag_taken_total counter\nebbtide_tag_taken_total{tag=\"auth\"} 0\n",
        "\nebbtide_pool_idle_bytes{pool=\"parsers\"} 0\n",
        "\nebbtide_pool_drops_total{pool=\"parsers\",reason=\"not_pooled\"} 0\n",
        "\nebbtide_in_use_bytes 0\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn lines_of_one_name_stand_together_and_none_appears_twice() {
    let mut snapshot = Snapshot::new();
    let twins = [(); 2].map(|()| Pool::builder().name("twins").build(Vec::<u8>::new));
    let leases = twins.each_ref().map(Pool::get);
    snapshot.take(&Ledger::process());
    let text = text(&snapshot);
    assert!(text.contains("\nebbtide_pool_outstanding{pool=\"twins\"} 2\n"), "{text}");
    let (mut series, mut families) = (BTreeSet::new(), Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, _) = line.rsplit_once(' ').unwrap();
        assert!(series.insert(name), "{name} appears twice");
        // The three parts of a histogram are one family.
        let name = name.split('{').next().unwrap();
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        families.push(part.unwrap_or(name));
    }
    families.dedup();
    assert_eq!(families.iter().collect::<BTreeSet<_>>().len(), families.len(), "{families:?}");
    drop(leases);
}

#[test]
fn the_value_of_a_label_is_escaped() {
    let mut snapshot = Snapshot::new();
    snapshot.add_tag(&tag("a \"b\" \\ c\nd\u{e9}", 7, 0));
    let line = "\nebbtide_tag_outstanding{tag=\"a \\\"b\\\" \\\\ c\\nd\u{e9}\"} 7\n";
    assert!(text(&snapshot).contains(line), "{}", text(&snapshot));
}

#[test]
fn what_a_pool_did_is_in_its_numbers() {
    let pool = Pool::builder().name("what a pool did").max_idle(1).build(|| Vec::<u8>::with_capacity(1000));
    drop((pool.get(), pool.get()));
    let lease = pool.get();
    let stats = pool.stats();
    assert_eq!((stats.made, stats.hits, stats.drops(DropReason::Full)), (2, 1, 1));
    assert!(stats.made_bytes >= 2000 && stats.made_bytes < 2500, "{stats:?}");
    let mut snapshot = Snapshot::new();
    snapshot.take(&Ledger::process());
    let text = text(&snapshot);
    for (name, value) in [
        ("misses_total", 2),
        ("hits_total", 1),
        ("outstanding", 1),
        ("allocated_bytes_total", stats.made_bytes),
        ("in_use_bytes", stats.charged_bytes),
    ] {
        let line = format!("\nebbtide_pool_{name}{{pool=\"what a pool did\"}} {value}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    drop(lease);
}

#[test]
fn allocated_bytes_count_growth_when_it_comes_back() {
    let pool = Pool::new(Vec::<u8>::new);
    pool.get().reserve_exact(10_000);
    let grown = pool.stats().made_bytes;
    assert!((10_000..11_000).contains(&grown), "{grown}");
    drop(pool.get());
    assert_eq!(pool.stats().made_bytes, grown);
}

#[test]
fn reclaims_are_a_histogram_whose_buckets_add_up() {
    let pool = Pool::new(Vec::<u8>::new);
    drop(pool.get());
    pool.trim();
    let mut snapshot = Snapshot::new();
    snapshot.take(&Ledger::process());
    let text = text(&snapshot);
    let of = |name: &str| -> Vec<u64> {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
    };
    let buckets = of("ebbtide_reclaim_seconds_bucket{kind=\"trim\"");
    assert_eq!(buckets.len(), 12);
    assert!(buckets.is_sorted() && buckets[11] > 0, "{buckets:?}");
    assert_eq!(of("ebbtide_reclaim_seconds_count{kind=\"trim\"}"), buckets[11..]);
    assert!(text.contains("kind=\"trim\",le=\"0.001048576\"}"), "{text}");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_text() {
    let pool = Pool::builder().name("pro\\m\"tool\n").build(Vec::<u8>::new);
    let lease = pool.get();
    let mut snapshot = Snapshot::new();
    snapshot.take(&Ledger::process());
    snapshot.add_tag(&tag("auth \"v2\"", 1, 100));
    let mut text = text(&snapshot);
    Monitor::new().write_prometheus(&mut text).unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
    drop(lease);
}
