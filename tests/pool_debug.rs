//! The switches for a value that is suspected, as the docs of `pool` promise them.

#![allow(unsafe_code)] // To read room that shows nothing, and to do what no program may.

use ebbtide::{BufferPool, DropReason, Pool, PoolBuilder, PoolDebug, Reset, Verdict};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

const CLEAN: u8 = 0;
const CHANGED: u8 = 1;
const PANICS: u8 = 2;

/// A value that somebody else can change while it waits: through `state`.
#[derive(Default)]
struct Suspect {
    state: Arc<AtomicU8>,
    poisoned: Arc<AtomicUsize>,
    resets: Arc<AtomicUsize>,
    discard: bool,
}

impl Suspect {
    fn like(other: &Suspect) -> Self {
        let (poisoned, resets) = (Arc::clone(&other.poisoned), Arc::clone(&other.resets));
        Self { poisoned, resets, ..Self::default() }
    }
}

impl Reset for Suspect {
    fn reset(&mut self) -> Verdict {
        self.resets.fetch_add(1, Relaxed);
        self.state.store(CLEAN, Relaxed);
        if self.discard { Verdict::Discard } else { Verdict::Keep }
    }
    fn poison(&mut self) {
        self.poisoned.fetch_add(1, Relaxed);
    }
    fn is_clean(&self) -> bool {
        match self.state.load(Relaxed) {
            // Not `panic!`, which would print what belongs to the test.
            PANICS => std::panic::resume_unwind(Box::new("a look that panics")),
            state => state == CLEAN,
        }
    }
}

/// A pool of suspects, and one that shares its counts with all of them.
fn suspects(builder: PoolBuilder) -> (Suspect, Pool<Suspect>) {
    let first = Suspect::default();
    let source = Suspect::like(&first);
    (first, builder.build(move || Suspect::like(&source)))
}

fn with(switches: PoolDebug) -> PoolBuilder {
    Pool::builder().debug(switches)
}

#[test]
fn without_a_pool_each_value_is_reset_and_then_freed() {
    let (counts, pool) = suspects(with(PoolDebug::none().no_pool()));
    let state = {
        let value = pool.get();
        Arc::clone(&value.state)
    };
    assert_eq!((Arc::strong_count(&state), counts.resets.load(Relaxed)), (1, 1));
    pool.prefill(3);
    pool.put(Suspect::default());
    drop(pool.get());
    let stats = pool.stats();
    assert_eq!((stats.made, stats.hits, stats.live, stats.charged_bytes), (2, 0, 0, 0));
    assert_eq!(stats.drops(DropReason::NotPooled), 6);
    // What would not be kept anyway is counted under its own reason.
    pool.get().discard = true;
    assert_eq!((pool.stats().drops(DropReason::NotPooled), pool.stats().drops(DropReason::Verdict)), (6, 1));
}

#[test]
fn without_a_pool_buffers_are_freed_too() {
    let pool = BufferPool::builder().debug(PoolDebug::none().no_pool()).build();
    let mut buffer = pool.get(1000);
    buffer.extend_from_slice(&[1; 1000]);
    buffer.extend_from_slice(&[1; 1000]); // grows: the smaller one goes back
    let bytes = buffer.freeze();
    let part = bytes.slice(10..20);
    drop(bytes);
    assert_eq!((&part[..], pool.stats().drops(DropReason::NotPooled)), (&[1; 10][..], 1));
    drop(part);
    let stats = pool.stats();
    assert_eq!((stats.drops(DropReason::NotPooled), stats.live, stats.charged_bytes, stats.hits), (2, 0, 0, 0));
}

#[test]
fn poison_comes_after_a_reset_that_keeps() {
    let (counts, pool) = suspects(with(PoolDebug::none().poison()));
    drop(pool.get());
    assert_eq!((counts.poisoned.load(Relaxed), pool.stats().idle), (1, 1));
    pool.get().discard = true;
    assert_eq!((counts.poisoned.load(Relaxed), pool.stats().idle), (1, 0));
    let (counts, pool) = suspects(Pool::builder());
    drop(pool.get());
    assert_eq!(counts.poisoned.load(Relaxed), 0, "off unless asked for");
}

#[test]
fn poison_that_panics_costs_that_one_value() {
    struct Bomb(bool);
    impl Reset for Bomb {
        fn reset(&mut self) -> Verdict {
            Verdict::Keep
        }
        fn poison(&mut self) {
            if self.0 {
                std::panic::resume_unwind(Box::new("a poison that panics"));
            }
        }
    }
    let pool = with(PoolDebug::none().poison()).build(|| Bomb(false));
    pool.get().0 = true;
    drop(pool.get());
    assert_eq!((pool.stats().drops(DropReason::Panicked), pool.stats().idle), (1, 1));
}

/// The bytes of the room behind what the vector shows, all of which are written.
fn room(value: &mut Vec<u8>) -> Vec<u8> {
    // SAFETY: what the tests put there, or the poison.
    value.spare_capacity_mut().iter().map(|byte| unsafe { byte.assume_init() }).collect()
}

#[test]
fn poison_overwrites_all_that_a_vector_keeps() {
    let pool = with(PoolDebug::none().poison()).build(|| (Vec::<u8>::new(), [String::new()], Box::new(Vec::new())));
    let mut value = pool.get();
    value.0.extend_from_slice(&[7; 100]);
    value.1[0].push_str("secret");
    value.2.extend_from_slice(b"secret");
    drop(value);
    let value = &mut *pool.get();
    let text = std::mem::take(&mut value.1[0]);
    for mut bytes in [std::mem::take(&mut value.0), text.into_bytes(), std::mem::take(&mut value.2)] {
        assert!(bytes.is_empty() && bytes.capacity() >= 6);
        assert!(room(&mut bytes).iter().all(|&byte| byte == PoolDebug::POISON));
    }
}

#[derive(ebbtide::pool::Reset)]
struct Derived {
    bytes: Vec<u8>,
    depth: u32,
    #[reset(skip)]
    left: Vec<u8>,
    #[reset(with = Vec::clear)]
    cleared: Vec<u8>,
}

#[test]
fn derived_resets_poison_and_look_at_each_field_that_has_no_attribute() {
    let pool = with(PoolDebug::none().poison()).build(|| {
        let bytes = || Vec::with_capacity(8);
        Derived { bytes: bytes(), depth: 0, left: bytes(), cleared: bytes() }
    });
    let mut value = pool.get();
    let fields = &mut *value;
    for bytes in [&mut fields.bytes, &mut fields.left, &mut fields.cleared] {
        bytes.extend_from_slice(&[1; 8]);
    }
    drop(value);
    let mut value = pool.get();
    assert_eq!(room(&mut value.bytes), [PoolDebug::POISON; 8]);
    assert_eq!(room(&mut value.cleared), [1; 8]);
    assert_eq!(value.left, [1; 8]);
    assert!(value.is_clean(), "`left` is not looked at");
    value.depth = 1;
    assert!(!value.is_clean());
    value.depth = 0;
    value.bytes.push(1);
    assert!(!value.is_clean());
}

#[test]
fn a_value_that_was_changed_while_it_waited_is_never_lent() {
    let (_, pool) = suspects(with(PoolDebug::none().verify()));
    for state in [CHANGED, PANICS] {
        let before = pool.stats().drops(DropReason::Damaged);
        let waiting = [pool.get(), pool.get(), pool.get()];
        let states = waiting.each_ref().map(|value| Arc::clone(&value.state));
        drop(waiting);
        states[1].store(state, Relaxed);
        states[2].store(state, Relaxed);
        let made = pool.stats().made;
        let got = [pool.get(), pool.get(), pool.get()];
        assert!(got.iter().any(|value| Arc::ptr_eq(&value.state, &states[0])), "the next is taken");
        assert!(got.iter().all(|value| value.is_clean()));
        assert_eq!(states.each_ref().map(Arc::strong_count), [2, 1, 1], "dropped");
        assert_eq!((pool.stats().drops(DropReason::Damaged) - before, pool.stats().made - made), (2, 2));
    }
    let stats = pool.stats();
    // Three made at first, then two for each round's damage; one hit a round and two of the second round's first three.
    assert_eq!((stats.live, stats.gets(), stats.made), (3, 12, 7));
}

#[test]
fn try_get_never_lends_a_damaged_value_either() {
    let (_, pool) = suspects(with(PoolDebug::none().verify()));
    let state = Arc::clone(&pool.get().state);
    state.store(CHANGED, Relaxed);
    assert!(pool.try_get().is_none());
    assert_eq!((pool.stats().live, pool.stats().drops(DropReason::Damaged)), (0, 1));
}

#[test]
fn nobody_looks_without_the_switch() {
    let switches = [PoolDebug::none(), PoolDebug::none().poison()];
    // Behind a full fence, as under `verify`, too.
    for (switches, full) in switches.into_iter().flat_map(|switches| [(switches, false), (switches, true)]) {
        let (_, pool) = suspects(with(switches).full_fence(full));
        let state = Arc::clone(&pool.get().state);
        state.store(CHANGED, Relaxed);
        assert!(Arc::ptr_eq(&pool.get().state, &state));
        assert_eq!(pool.stats().drops(DropReason::Damaged), 0);
    }
}

#[test]
fn a_value_from_another_thread_is_looked_at_too() {
    let (_, pool) = suspects(with(PoolDebug::none().verify()).max_thread_idle(1));
    let values: Vec<_> = (0..8).map(|_| pool.get()).collect();
    let states: Vec<_> = values.iter().map(|value| Arc::clone(&value.state)).collect();
    std::thread::scope(|threads| threads.spawn(|| drop(values)).join().unwrap());
    states.iter().for_each(|state| state.store(CHANGED, Relaxed));
    assert!(pool.try_get().is_none());
    assert_eq!(pool.stats().drops(DropReason::Damaged), 8);
}

/// Leaves a buffer in the pool, written to after it went back.
#[cfg(not(miri))] // It is what no program may do.
fn write_after_return(pool: &BufferPool, at: usize) {
    let mut buffer = pool.get(1000);
    buffer.extend_from_slice(&[1; 1000]);
    let stale = buffer.as_mut_ptr();
    drop(buffer);
    // SAFETY: the memory is the pool's, and waits: nobody else is at it. That nobody may be is what the test is about.
    unsafe { stale.wrapping_add(at).write_volatile(2) };
}

#[cfg(not(miri))]
#[test]
fn a_buffer_that_was_written_to_after_its_return_is_never_lent() {
    let switches = PoolDebug::none().poison().verify();
    for at in [0, 999] {
        let pool = BufferPool::builder().debug(switches).build();
        write_after_return(&pool, at);
        assert!(pool.get(1000).is_empty());
        assert_eq!((pool.stats().drops(DropReason::Damaged), pool.stats().made), (1, 2));
        drop(pool.get(1000));
        assert_eq!((pool.stats().drops(DropReason::Damaged), pool.stats().hits), (1, 1), "a sound one is lent");
    }
    // Without poison nothing shows.
    let pool = BufferPool::builder().debug(PoolDebug::none().verify()).build();
    write_after_return(&pool, 0);
    drop(pool.get(1000));
    assert_eq!(pool.stats().hits, 1);
}

#[test]
fn a_foreign_type_is_neither_poisoned_nor_looked_at() {
    let pool = with(PoolDebug::none().poison().verify()).build_with_reset(|| vec![7_u8], |_| {});
    drop(pool.get());
    assert_eq!((&**pool.get(), pool.stats().hits), (&[7_u8][..], 1));
}

/// Says which process this is: unset in the one that cargo starts.
const CHILD: &str = "EBBTIDE_TEST_CHILD";

/// What the test of that name does in a process of its own, with `switches` in its environment: what it prints on stderr.
fn in_a_process(test: &str, switches: &str) -> String {
    let this = std::env::current_exe().expect("a test runs from a file");
    let mut child = Command::new(this);
    child.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    let output = child.env(CHILD, "1").env("EBBTIDE_POOLS", switches).output().expect("the file can be run again");
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stdout));
    printed
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The lines that are ours.
fn ours(printed: &str) -> Vec<&str> {
    printed.lines().filter(|line| line.starts_with("ebbtide: ")).collect()
}

#[test]
fn the_environment_switches_for_the_whole_process() {
    if is_child() {
        let (counts, pool) = suspects(with(PoolDebug::none().poison()));
        drop(pool.get());
        drop(BufferPool::new().get(10));
        assert_eq!((pool.stats().idle, counts.poisoned.load(Relaxed)), (0, 1), "both are on");
        assert_eq!(pool.stats().drops(DropReason::NotPooled), 1);
        return;
    }
    let printed = in_a_process("the_environment_switches_for_the_whole_process", "sanitize,no-pool,Verify");
    assert_eq!(ours(&printed), [r#"ebbtide: EBBTIDE_POOLS: unknown: "sanitize", "Verify""#], "{printed}");
}

#[test]
fn damage_is_named_ever_more_rarely() {
    if is_child() {
        let (_, pool) = suspects(Pool::builder().name("suspects"));
        for _ in 0..100 {
            let state = Arc::clone(&pool.get().state);
            state.store(CHANGED, Relaxed);
        }
        assert_eq!(pool.stats().drops(DropReason::Damaged), 99);
        return;
    }
    let printed = in_a_process("damage_is_named_ever_more_rarely", "verify");
    let expected = [1, 2, 4, 8, 16, 32, 64]
        .map(|so_far| format!("ebbtide: suspects: a value was changed while it waited ({so_far} so far)"));
    assert_eq!(ours(&printed), expected, "{printed}");
}
