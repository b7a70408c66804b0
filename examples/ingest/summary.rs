//! The work of one request: walk a JSON document once and sum up what stands at which path.
//!
//! No tree of values is built. A `DeserializeSeed` carries the summary through `serde_json`, and each value is counted
//! at the node of its path: `$.packages[].name` is one node, however many packages there are. Where nodes and texts
//! live is the business of [`Memory`], so that the modes `plain` and `ebbtide` run the very same code on a different
//! memory. Strings without escapes stay where they are, in the body; only others are copied, and only when kept.

use crate::table::Key;
use crate::table::Memory;
use crate::table::Table;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;
use std::fmt;

/// A document with more distinct paths than this has the rest of its values skipped, and says so. One that is made of
/// nothing but new paths would otherwise cost many times its own size.
pub const MOST_PATHS: usize = 50_000;

/// What was found in one document.
pub struct Summary<'m, M> {
    pub table: Table<'m, M>,
    pub bytes: usize,
    pub values: u64,
    pub skipped: u64,
}

impl<'m, M: Memory> Summary<'m, M> {
    /// Sums up `document`, or says where it stops being JSON.
    pub fn of(document: &'m [u8], memory: M) -> serde_json::Result<Self> {
        // One look at the whole text is cheaper than one at each string. Without it, the parser says where it is wrong.
        let text = std::str::from_utf8(document);
        let table = Table::new(text.unwrap_or_default(), memory);
        let mut summary = Self { table, bytes: document.len(), values: 0, skipped: 0 };
        match text {
            Ok(text) => summary.parse(serde_json::Deserializer::from_str(text))?,
            Err(_) => summary.parse(serde_json::Deserializer::from_slice(document))?,
        }
        Ok(summary)
    }

    fn parse<R: Read<'m>>(&mut self, mut parser: serde_json::Deserializer<R>) -> serde_json::Result<()> {
        At { node: Table::<'m, M>::ROOT, summary: self }.deserialize(&mut parser)?;
        parser.end()
    }

    /// Counts an object's value without looking at it; its path found no room.
    fn skip<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        self.skipped += 1;
        map.next_value::<IgnoredAny>().map(drop)
    }
}

/// How many nodes to make room for at first. A node for each 32 bytes is right for small documents with many names;
/// large ones repeat themselves, and the largest still have one for each few hundred bytes.
pub fn expected_paths(document: &[u8]) -> usize {
    (document.len() / 32).clamp(8, 128).max(document.len() / 384).min(MOST_PATHS)
}

/// What kinds of value stood at a path, one bit a kind.
#[derive(Clone, Copy, Default)]
pub struct Kinds(u8);

impl Kinds {
    const NAMES: [&'static str; 6] = ["null", "boolean", "number", "string", "array", "object"];
    const NULL: u8 = 0;
    const BOOLEAN: u8 = 1;
    const NUMBER: u8 = 2;
    const STRING: u8 = 3;
    const ARRAY: u8 = 4;
    const OBJECT: u8 = 5;

    fn add(&mut self, kind: u8) {
        self.0 |= 1 << kind;
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().enumerate().filter(move |(kind, _)| self.0 & (1 << kind) != 0).map(|(_, name)| name)
    }
}

/// A number as it stood in the document; a float would lose the last digits of large whole ones.
#[derive(Clone, Copy)]
pub enum Number {
    Whole(i64),
    Large(u64),
    Real(f64),
}

impl Number {
    fn less_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a < b,
            (Self::Large(a), Self::Large(b)) => a < b,
            (a, b) => a.rounded() < b.rounded(),
        }
    }

    fn rounded(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Large(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// The least and the greatest number at a path.
#[derive(Clone, Copy)]
pub struct Range {
    pub min: Number,
    pub max: Number,
}

impl Range {
    pub fn widen(&mut self, number: Number) {
        if number.less_than(self.min) {
            self.min = number;
        } else if self.max.less_than(number) {
            self.max = number;
        }
    }
}

/// The seed and visitor of the value that is read next: the summary, and the node of the value's path.
struct At<'x, 'm, M> {
    node: u32,
    summary: &'x mut Summary<'m, M>,
}

impl<'m, M: Memory> At<'_, 'm, M> {
    fn count(&mut self, kind: u8) {
        self.summary.values += 1;
        let node = self.summary.table.node_mut(self.node);
        node.count += 1;
        node.kinds.add(kind);
    }

    fn number(mut self, number: Number) {
        self.count(Kinds::NUMBER);
        self.summary.table.widen_range(self.node, number);
    }

    fn string(mut self, text: Key<'m, '_>) {
        self.count(Kinds::STRING);
        self.summary.table.offer_longest(self.node, text);
    }
}

impl<'m, M: Memory> DeserializeSeed<'m> for At<'_, 'm, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'m>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'m, M: Memory> Visitor<'m> for At<'_, 'm, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.count(Kinds::NULL);
        Ok(())
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        self.count(Kinds::BOOLEAN);
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.number(Number::Whole(number));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.number(i64::try_from(number).map_or(Number::Large(number), Number::Whole));
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.number(Number::Real(number));
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'m str) -> Result<(), E> {
        self.string(Key::InBody(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.string(Key::Passing(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'m>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.count(Kinds::ARRAY);
        let mut node = None;
        loop {
            let seed = Item { of: self.node, node, summary: self.summary };
            node = items.next_element_seed(seed)?;
            if node.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'m>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.count(Kinds::OBJECT);
        let mut before = None;
        while let Some(found) = map.next_key_seed(Name { of: self.node, before, summary: self.summary })? {
            match found {
                Some(node) => map.next_value_seed(At { node, summary: self.summary })?,
                None => self.summary.skip(&mut map)?,
            }
            before = found.or(before);
        }
        Ok(())
    }
}

/// The seed of an array's item. The node of the items is made with the first of them, so that an empty array has none.
struct Item<'x, 'm, M> {
    of: u32,
    node: Option<u32>,
    summary: &'x mut Summary<'m, M>,
}

impl<'m, M: Memory> DeserializeSeed<'m> for Item<'_, 'm, M> {
    type Value = u32;

    fn deserialize<D: Deserializer<'m>>(self, deserializer: D) -> Result<u32, D::Error> {
        let node = self.node.unwrap_or_else(|| self.summary.table.item(self.of));
        At { node, summary: self.summary }.deserialize(deserializer)?;
        Ok(node)
    }
}

/// The seed of an object's key: gives the node of that key, or none where there is no room for one more path.
struct Name<'x, 'm, M> {
    of: u32,
    before: Option<u32>,
    summary: &'x mut Summary<'m, M>,
}

impl<'m, M: Memory> DeserializeSeed<'m> for Name<'_, 'm, M> {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'m>>(self, deserializer: D) -> Result<Option<u32>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'m, M: Memory> Visitor<'m> for Name<'_, 'm, M> {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'m str) -> Result<Option<u32>, E> {
        Ok(self.summary.table.member(self.of, self.before, Key::InBody(name), MOST_PATHS))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<u32>, E> {
        Ok(self.summary.table.member(self.of, self.before, Key::Passing(name), MOST_PATHS))
    }
}
