//! What `#[derive(Reset)]` promises. That a field cannot be forgotten is shown in `compile_fail/derive`.

#![cfg(feature = "derive")]

use ebbtide::{DropReason, Pool, Reset, Verdict};
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Writes its name down when it is reset, and keeps the bytes that it was made with.
struct Probe {
    name: &'static str,
    verdict: Verdict,
    bytes: (usize, usize),
    log: Rc<RefCell<Vec<&'static str>>>,
}

impl Reset for Probe {
    fn reset(&mut self) -> Verdict {
        self.log.borrow_mut().push(self.name);
        self.verdict
    }
    fn retained_bytes(&self) -> usize {
        self.bytes.0
    }
    fn used_bytes(&self) -> usize {
        self.bytes.1
    }
}

#[derive(Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn probe(&self, name: &'static str, verdict: Verdict) -> Probe {
        Probe { name, verdict, bytes: (100, 10), log: Rc::clone(&self.0) }
    }
    fn read(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

#[derive(Reset)]
struct Three {
    first: Probe,
    second: Probe,
    third: Probe,
}

#[derive(Default, Debug, PartialEq, Reset)]
struct Plain {
    text: String,
    numbers: (u8, i64, f64),
    words: [Vec<u16>; 2],
    on: bool,
    letter: char,
    waited: Duration,
    next: Option<Box<Plain>>,
    r#type: u32,
}

#[derive(Clone, Copy, Default, Debug, PartialEq)]
enum State {
    #[default]
    Idle,
    Busy,
}

#[derive(Reset)]
struct Client {
    #[reset(with = |tags| tags.clear())]
    tags: Rc<RefCellTags>,
    #[reset(default)]
    state: State,
    #[reset(default)]
    since: Option<Instant>,
    #[reset(skip)]
    id: usize,
    #[reset(with = worn)]
    uses: u32,
    #[reset(with = Vec::clear)]
    headers: Vec<u8>,
}

/// A foreign type, as far as the derive knows.
#[derive(Default)]
struct RefCellTags(RefCell<Vec<&'static str>>);

impl RefCellTags {
    fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

/// A client is good for three uses.
fn worn(uses: &mut u32) -> Verdict {
    if *uses >= 3 { Verdict::Discard } else { Verdict::Keep }
}

fn client() -> Client {
    Client { tags: Rc::default(), state: State::Idle, since: None, id: 7, uses: 0, headers: Vec::with_capacity(64) }
}

#[test]
fn all_fields_are_reset() {
    let mut value = Plain {
        text: "secret".into(),
        numbers: (1, -1, 0.5),
        words: [vec![1], vec![2, 3]],
        on: true,
        letter: 'x',
        waited: Duration::from_secs(1),
        next: Some(Box::default()),
        r#type: 4,
    };
    assert_eq!(value.reset(), Verdict::Keep);
    assert_eq!(value, Plain::default());
    assert!(value.text.capacity() >= 6 && value.words[1].capacity() >= 2);
}

#[test]
fn fields_are_reset_in_the_order_of_their_declaration() {
    let log = Log::default();
    let [third, first, second] = ["third", "first", "second"].map(|name| log.probe(name, Verdict::Keep));
    assert_eq!(Three { third, second, first }.reset(), Verdict::Keep);
    assert_eq!(log.read(), ["first", "second", "third"]);
}

#[test]
fn one_discard_is_enough_and_all_fields_are_reset_all_the_same() {
    for wants_to_go in ["first", "second", "third"] {
        let log = Log::default();
        let [first, second, third] = ["first", "second", "third"]
            .map(|name| log.probe(name, if name == wants_to_go { Verdict::Discard } else { Verdict::Keep }));
        assert_eq!(Three { first, second, third }.reset(), Verdict::Discard);
        assert_eq!(log.read(), ["first", "second", "third"]);
    }
}

#[test]
fn bytes_are_the_sums_of_the_fields() {
    let log = Log::default();
    let [first, second, mut third] = ["first", "second", "third"].map(|name| log.probe(name, Verdict::Keep));
    third.bytes = (1, 0);
    let mut value = Three { first, second, third };
    assert_eq!((value.retained_bytes(), value.used_bytes()), (201, 20));
    value.third.bytes = (usize::MAX, usize::MAX);
    assert_eq!((value.retained_bytes(), value.used_bytes()), (usize::MAX, usize::MAX));
}

#[test]
fn attributes_say_what_becomes_of_a_field() {
    let mut client = client();
    client.tags.0.borrow_mut().push("slow");
    (client.state, client.since, client.uses) = (State::Busy, Some(Instant::now()), 2);
    client.headers.push(1);
    assert_eq!(client.reset(), Verdict::Keep);
    assert!(client.tags.0.borrow().is_empty() && client.headers.is_empty());
    assert_eq!((client.state, client.since, client.id, client.uses), (State::Idle, None, 7, 2));
    client.uses = 3;
    assert_eq!(client.reset(), Verdict::Discard);
}

#[test]
fn only_fields_that_reset_themselves_count_bytes() {
    let client = client();
    assert!(client.headers.capacity() >= 64);
    assert_eq!((client.retained_bytes(), client.used_bytes()), (0, 0));
}

#[test]
fn tuple_and_unit_structs_can_derive() {
    #[derive(Reset)]
    struct Pair(Vec<u8>, #[reset(skip)] &'static str);
    #[derive(Reset)]
    struct Unit;
    #[derive(Reset)]
    struct Empty {}

    let mut pair = Pair(vec![1, 2], "kept");
    assert_eq!((pair.used_bytes(), pair.reset()), (2, Verdict::Keep));
    assert_eq!((pair.0.len(), pair.1), (0, "kept"));
    assert_eq!((Unit.reset(), Unit.retained_bytes(), Empty {}.reset()), (Verdict::Keep, 0, Verdict::Keep));
}

/// Neither `Default` nor `Reset`.
#[derive(Clone, Copy)]
struct Opaque;

#[derive(Reset)]
struct Generic<'a, K: Eq, V = Opaque, const N: usize = 2>
where
    K: Clone,
{
    all: HashMap<K, V>,
    last: Option<V>,
    #[reset(default)]
    some: Vec<V>,
    #[reset(skip)]
    name: &'a K,
    #[reset(with = |rows| rows.iter_mut().for_each(Vec::clear))]
    rows: [Vec<V>; N],
    kind: PhantomData<fn(V)>,
}

#[derive(Debug, Reset)]
struct Wrapper<T>(T);

/// The bound of a public struct may name a private type.
#[derive(Debug, Reset)]
pub struct Outer<T> {
    inner: Wrapper<Vec<T>>,
    boxed: Box<[Wrapper<u8>; 4]>,
}

#[test]
fn bounds_are_those_of_the_field_types() {
    // Nothing is asked of `Opaque`: only of the fields that hold it.
    let mut value: Generic<'_, &str> = Generic {
        all: HashMap::from([("key", Opaque)]),
        last: Some(Opaque),
        some: vec![Opaque],
        name: &"kept",
        rows: [vec![Opaque], vec![Opaque, Opaque]],
        kind: PhantomData,
    };
    assert_eq!(value.reset(), Verdict::Keep);
    assert!(value.all.is_empty() && value.last.is_none() && value.some.is_empty());
    assert!(value.rows.iter().all(Vec::is_empty));
    assert_eq!(*value.name, "kept");

    let mut outer = Outer { inner: Wrapper(vec![Opaque]), boxed: Box::new([1, 2, 3, 4].map(Wrapper)) };
    outer.reset();
    assert!(outer.inner.0.is_empty() && outer.boxed.iter().all(|wrapper| wrapper.0 == 0));
    assert_eq!(outer.used_bytes(), 4);
}

#[test]
fn a_struct_that_ends_unsized_can_derive() {
    #[derive(Reset)]
    struct Tail<T: ?Sized> {
        head: u8,
        tail: T,
    }
    let mut value: Box<Tail<dyn Reset>> = Box::new(Tail { head: 1, tail: vec![1_u8] });
    assert_eq!(value.reset(), Verdict::Keep);
    assert_eq!((value.head, value.tail.used_bytes()), (0, 0));
}

#[test]
fn names_of_the_user_do_not_meet_those_of_the_macro() {
    #![allow(non_camel_case_types, dead_code)]
    mod core {}
    mod ebbtide {}
    struct Verdict;
    struct Option;
    fn keep() -> u32 {
        9
    }
    #[derive(::ebbtide::Reset)]
    struct keep_too {
        keep: u32,
        #[reset(with = |call| *call = keep())]
        call: u32,
    }
    let mut value = keep_too { keep: 1, call: 2 };
    assert!(value.reset() == ::ebbtide::Verdict::Keep);
    assert_eq!((value.keep, value.call), (0, 9));
}

#[test]
fn a_pool_goes_by_the_derived_reset() {
    #[derive(Reset)]
    struct Job {
        body: Vec<u8>,
        #[reset(with = |broken: &mut bool| if *broken { Verdict::Discard } else { Verdict::Keep })]
        broken: bool,
    }
    let pool = Pool::builder().max_value_bytes(4096).build(|| Job { body: Vec::new(), broken: false });
    pool.get().body.extend_from_slice(b"stale");
    assert!(pool.get().body.is_empty());
    pool.get().body.reserve(1 << 20);
    assert_eq!(pool.stats().drops(DropReason::Oversize), 1);
    pool.get().broken = true;
    assert_eq!((pool.stats().drops(DropReason::Verdict), pool.stats().made), (1, 2));
}
