//! Profiles: what stands in them, and what `go tool pprof` reads out of them.

use ebbtide::Pool;
use ebbtide::observe::{Ledger, PoolEntry, Profile, Snapshot, TagEntry};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::panic::Location;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number at the front of `rest`.
fn varint(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, after) = rest.split_first().expect("a whole number");
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

/// The fields of a message: number, and the number or the bytes that stand there.
fn fields(mut rest: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let value = varint(&mut rest);
        let length = if key & 7 == 2 { usize::try_from(value).unwrap() } else { 0 };
        assert!(matches!(key & 7, 0 | 2), "only numbers and bytes are written");
        let (bytes, after) = rest.split_at(length);
        rest = after;
        found.push((key >> 3, value, bytes));
    }
    found
}

/// A list of numbers.
fn packed(mut rest: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        numbers.push(varint(&mut rest));
    }
    numbers
}

/// A stack, innermost first, with what its samples sum up to, in the order of the types.
type Stacks = BTreeMap<Vec<String>, Vec<u64>>;

/// Reads a profile: its types, and its samples by stack.
fn read(file: &[u8]) -> (Vec<String>, Stacks) {
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let all = fields(&bytes);
    let of = |field| all.iter().filter(move |(number, ..)| *number == field).map(|(.., bytes)| fields(bytes));
    let first = |message: &[(u64, u64, &[u8])], field| {
        message.iter().find(|(number, ..)| *number == field).map_or(0, |(_, value, _)| *value)
    };
    let strings: Vec<_> = all
        .iter()
        .filter(|(field, ..)| *field == 6)
        .map(|(.., text)| String::from_utf8(text.to_vec()).unwrap())
        .collect();
    assert_eq!(strings[0], "");
    let text = |number: u64| strings[usize::try_from(number).unwrap()].clone();
    let functions: BTreeMap<u64, String> =
        of(5).map(|function| (first(&function, 1), text(first(&function, 2)))).collect();
    let locations: BTreeMap<u64, String> = of(4)
        .map(|location| {
            let (.., line) = location.iter().find(|(field, ..)| *field == 4).unwrap();
            (first(&location, 1), functions[&first(&fields(line), 1)].clone())
        })
        .collect();
    let mut stacks = Stacks::new();
    for sample in of(2) {
        let list = |field| packed(sample.iter().find(|(number, ..)| *number == field).unwrap().2);
        let values = list(2);
        let sums = stacks
            .entry(list(1).iter().map(|location| locations[location].clone()).collect())
            .or_insert_with(|| vec![0; values.len()]);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    (of(1).map(|kind| text(first(&kind, 1))).collect(), stacks)
}

fn tag(tag: &'static str, outstanding: u64, outstanding_bytes: u64, tasks: u64) -> TagEntry {
    let mut entry = TagEntry::default();
    (entry.tag, entry.outstanding, entry.outstanding_bytes, entry.tasks) = (tag, outstanding, outstanding_bytes, tasks);
    entry
}

fn pool(pool: &'static str, live: u64, idle: u64, charged_bytes: u64) -> PoolEntry {
    let mut entry = PoolEntry::default();
    entry.pool = pool;
    (entry.stats.live, entry.stats.idle, entry.stats.charged_bytes) = (live, idle, charged_bytes);
    entry.stats.made_bytes = 10 * charged_bytes;
    entry
}

fn written(profile: &Profile<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    profile.write(UNIX_EPOCH + Duration::from_secs(1_800_000_000), &mut file).unwrap();
    file
}

fn sample() -> Snapshot {
    let mut snapshot = Snapshot::new();
    snapshot.add_tag(&tag("auth", 6, 600, 0));
    let mut gzip = tag("gzip", 1, 100, 2);
    gzip.idle_bytes = 300;
    snapshot.add_tag(&gzip);
    snapshot.add_pool(&pool("buffers", 20, 10, 2000));
    snapshot
}

fn stack(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn each_byte_stands_once_within_a_sample_type() {
    let (types, stacks) = read(&written(&Profile::new(&sample())));
    let names = [
        "outstanding_objects",
        "outstanding_bytes",
        "idle_bytes",
        "pool_outstanding_objects",
        "pool_outstanding_bytes",
        "pool_idle_bytes",
        "allocated_bytes",
        "tasks",
    ];
    assert_eq!(types, names);
    assert_eq!(stacks[&stack(&["auth"])], [6, 600, 0, 0, 0, 0, 0, 0]);
    assert_eq!(stacks[&stack(&["gzip"])], [1, 100, 300, 0, 0, 0, 0, 2]);
    assert_eq!(
        stacks[&stack(&["(no tag)"])],
        [3, 300, 700, 0, 0, 0, 0, 0],
        "the pool has 10 out and 10 idle, of 100 bytes"
    );
    assert_eq!(stacks[&stack(&["buffers"])], [0, 0, 0, 10, 1000, 1000, 20_000, 0]);
}

#[test]
fn what_is_idle_adds_up_to_what_the_pools_have() {
    let mut snapshot = Snapshot::new();
    for (name, idle_bytes) in [("a", 2000), ("b", 1), ("c", 999)] {
        let mut entry = tag(name, 0, 0, 0);
        entry.idle_bytes = idle_bytes;
        snapshot.add_tag(&entry);
    }
    // Two thirds of what the tags left idle are lent under no name.
    snapshot.add_pool(&pool("buffers", 30, 10, 3000));
    let (_, stacks) = read(&written(&Profile::new(&snapshot)));
    let sum = |kind: usize| stacks.values().map(|values| values[kind]).sum::<u64>();
    assert_eq!((sum(2), sum(5)), (1000, 1000));
    assert_eq!((stacks[&stack(&["a"])][2], stacks[&stack(&["c"])][2]), (666, 334));
}

#[test]
fn the_sites_of_a_tag_share_its_numbers_by_what_was_sampled_there() {
    let snapshot = sample();
    let mut profile = Profile::new(&snapshot);
    let (here, there) = (Location::caller(), another_place());
    for _ in 0..2 {
        profile.add_lease("auth", ("buffers", 0), here, 50);
    }
    profile.add_lease("auth", ("buffers", 0), there, 70);
    let (_, stacks) = read(&written(&profile));
    let of = |site: &Location<'_>| &stacks[&stack(&[&format!("{}:{}", site.file(), site.line()), "auth"])];
    assert_eq!((of(here)[0], of(there)[0]), (4, 2));
    assert_eq!(of(here)[1] + of(there)[1], 600);
    assert!((350..355).contains(&of(here)[1]), "600 * 100 / 170: {:?}", of(here));
    let of = |site: &Location<'_>| &stacks[&stack(&[&format!("{}:{}", site.file(), site.line()), "buffers"])];
    assert_eq!((of(here)[3], of(there)[3]), (6, 4), "the pool has 10 out");
    assert_eq!(of(here)[4] + of(there)[4], 1000);
    assert_eq!(stacks[&stack(&["buffers"])], [0, 0, 0, 0, 0, 1000, 20_000, 0]);
    assert_eq!(stacks[&stack(&["gzip"])][1], 100, "nothing of it was sampled");
}

#[test]
fn a_size_class_stands_below_its_pool() {
    let mut snapshot = Snapshot::new();
    let mut entry = pool("buffers", 3, 1, 300);
    entry.class_bytes = 4096;
    snapshot.add_pool(&entry);
    let mut profile = Profile::new(&snapshot);
    let here = Location::caller();
    profile.add_lease("", ("buffers", 4096), here, 4096);
    let (_, stacks) = read(&written(&profile));
    let site = format!("{}:{}", here.file(), here.line());
    assert_eq!(stacks[&stack(&[&site, "4096 bytes", "buffers"])], [0, 0, 0, 2, 8192, 0, 0, 0]);
    assert_eq!(stacks[&stack(&["4096 bytes", "buffers"])], [0, 0, 0, 0, 0, 4096, 3000, 0]);
}

#[test]
fn a_sampled_lease_without_a_tag_stands_under_none() {
    let snapshot = sample();
    let mut profile = Profile::new(&snapshot);
    let here = Location::caller();
    profile.add_lease("", ("buffers", 0), here, 50);
    let (_, stacks) = read(&written(&profile));
    assert_eq!(stacks[&stack(&[&format!("{}:{}", here.file(), here.line()), "(no tag)"])][..2], [3, 300]);
}

fn another_place() -> &'static Location<'static> {
    Location::caller()
}

/// What `go tool pprof` says of a file.
fn pprof(arguments: &[&str]) -> String {
    let output = Command::new("go").args(["tool", "pprof"]).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
#[ignore = "needs go"]
fn go_tool_pprof_shows_tags_sites_and_pools() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, file: &[u8]| {
        let path = folder.path().join(name).into_os_string().into_string().unwrap();
        std::fs::write(&path, file).unwrap();
        path
    };
    let mut snapshot = sample();
    let before = path("before", &written(&Profile::new(&snapshot)));
    snapshot.add_tag(&tag("auth", 1, 4096, 0));
    let mut profile = Profile::new(&snapshot);
    let site = Location::caller();
    profile.add_lease("auth", ("buffers", 0), site, 1);
    let after = path("after", &written(&profile));

    let top = pprof(&["-top", "-cum", &after]);
    let place = format!("{}:{}", site.file(), site.line());
    assert!(top.contains("Type: outstanding_bytes"), "{top}");
    assert!(top.lines().any(|line| line.contains("4696B") && line.ends_with(&place)), "{top}");
    let idle = pprof(&["-top", "-sample_index=pool_idle_bytes", &after]);
    assert!(idle.lines().any(|line| line.contains("1000B") && line.ends_with("buffers")), "{idle}");
    let idle = pprof(&["-top", "-sample_index=idle_bytes", &after]);
    assert!(idle.lines().any(|line| line.contains("300B") && line.ends_with("gzip")), "{idle}");
    let tags = pprof(&["-tags", &after]);
    assert!(tags.contains("tag: Total") && tags.contains(": auth\n") && tags.contains(": gzip\n"), "{tags}");
    let grown = pprof(&["-top", "-cum", &format!("-diff_base={before}"), &after]);
    assert!(grown.lines().any(|line| line.contains("4096B") && line.ends_with("auth")), "{grown}");
    assert!(!grown.contains("gzip"), "{grown}");
}

#[test]
fn what_a_pool_lends_is_in_the_profile_of_the_process() {
    let pool = Pool::builder().name("in the profile").build(|| Vec::<u8>::with_capacity(1000));
    let leases = [pool.get(), pool.get()];
    let mut snapshot = Snapshot::new();
    snapshot.take(&Ledger::process());
    let mut file = Vec::new();
    Profile::new(&snapshot).write(SystemTime::now(), &mut file).unwrap();
    let (_, stacks) = read(&file);
    let stats = pool.stats();
    let expected = [0, 0, 0, 2, stats.charged_bytes, 0, stats.made_bytes, 0];
    assert_eq!(stacks[&stack(&["in the profile"])], expected);
    drop(leases);
}
