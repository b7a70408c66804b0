//! What large buffers have to do with the system's pages. A process of its own, since it looks at its resident set.
#![cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]

use ebbtide::{BufferPool, PooledBuf};
use std::fs::read_to_string;

/// Bytes of all buffers together, and how many there are at most: more of a class would not be kept.
const ALL: usize = 64 << 20;
const MOST: usize = 1024;
const PAGE: usize = 4096;
const HUGE: usize = 2 << 20;

#[test]
fn large_buffers_and_their_pages() {
    raise_the_thresholds_of_glibc();
    for bytes in [256 << 10, 64 << 10, 16 << 10] {
        for (way, give_up) in WAYS {
            pages_go_back(bytes, way, *give_up);
        }
    }
    blocks_of_two_mebibytes_ask_for_huge_pages();
}

type GiveUp = fn(&BufferPool);

const WAYS: &[(&str, GiveUp)] = &[
    ("ageing", |pool| (0..3).for_each(|_| while !pool.trim() {})),
    ("clear", BufferPool::clear),
    ("close", BufferPool::close),
];

/// From its first block of many MiB that comes back, glibc keeps blocks up to this size itself instead of handing them to the
/// system: as in a process that has run for a while.
fn raise_the_thresholds_of_glibc() {
    drop(std::hint::black_box(vec![1_u8; 31 << 20]));
}

fn pool() -> BufferPool {
    BufferPool::builder().max_idle_bytes(2 * ALL).build()
}

/// Written buffers of `bytes`, with small blocks between them that stay: without those, glibc would see the end of
/// its heap free.
fn filled(pool: &BufferPool, bytes: usize) -> (Vec<PooledBuf>, Vec<Box<[u8]>>) {
    let one = |_| {
        let mut buffer = pool.get(bytes);
        buffer.resize(bytes, 7);
        (buffer, vec![7; 1000].into_boxed_slice())
    };
    (0..MOST.min(ALL / bytes)).map(one).unzip()
}

fn pages_go_back(bytes: usize, way: &str, give_up: GiveUp) {
    let pool = pool();
    let (buffers, _between) = filled(&pool, bytes);
    let (all, full) = (buffers.len() * bytes, resident());
    drop(buffers);
    assert!(resident() >= full - all / 8, "what waits keeps its pages");
    give_up(&pool);
    assert_eq!(pool.stats().idle, 0);
    let after = resident();
    // The ends of a block are in no whole page of its own: of 16 KiB, three in four go.
    assert!(after <= full - all / 8 * 5, "{after} bytes of {full} are resident after {way}, in blocks of {bytes}");
}

fn blocks_of_two_mebibytes_ask_for_huge_pages() {
    let pool = pool();
    for (bytes, is_huge) in [
        (HUGE, true),
        (HUGE / 4 * 5, true),
        (HUGE / 2 * 3, false),
        (2 * HUGE, true),
        (6 * HUGE, true),
        (HUGE / 4 * 3, false),
    ] {
        let mut buffer = pool.get(bytes);
        buffer.extend_from_slice(b"x");
        let begin = buffer.as_ptr().addr();
        assert!(!is_huge || begin % HUGE == 0, "a block of {bytes} bytes at {begin:x}");
        assert_eq!(asks_for_huge_pages(begin), is_huge, "{bytes} bytes");
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let pages = read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * PAGE
}

/// Whether the mapping around `address` is marked so.
fn asks_for_huge_pages(address: usize) -> bool {
    let maps = read_to_string("/proc/self/smaps").unwrap();
    let mut is_inside = false;
    for line in maps.lines() {
        let word = line.split_whitespace().next().unwrap_or_default();
        if let Some((begin, end)) = word.split_once('-') {
            let [begin, end] = [begin, end].map(|hex| usize::from_str_radix(hex, 16).unwrap());
            is_inside = (begin..end).contains(&address);
        } else if is_inside && word == "VmFlags:" {
            return line.split_whitespace().any(|flag| flag == "hg");
        }
    }
    panic!("nothing is mapped at {address:x}");
}
