//! JSON into structs that live in a request's arena: no allocation on the heap, and no string copied that need not be.
//!
//! `#[derive(Deserialize)]` cannot do it: a `&str` field fails on a string with escapes, since there is no place to
//! unescape it into, and a `Cow` or `String` needs `Drop`. So a seed carries the cursor along. A string without escapes is
//! borrowed from the body, which the request keeps (`Scope::adopt`); another one is unescaped into the arena.
//!
//! ```sh
//! cargo run --example arena_json
//! ```

use ebbtide::arena::ArenaFull;
use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::{Arena, Scope, Scopes};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// A document. What it refers to is in the body or in the arena, both of which live for `'s`.
#[derive(Debug, PartialEq)]
struct Doc<'s> {
    title: &'s str,
    tags: &'s [&'s str],
    pages: u32,
}

/// The quota of the request is used up: the client's error, not the parser's.
fn full<E: Error>(full: ArenaFull) -> E {
    E::custom(full)
}

/// Reads a string.
struct Text<'a, 's>(&'a mut Arena<'s>);

impl<'s> DeserializeSeed<'s> for Text<'_, 's> {
    type Value = &'s str;

    fn deserialize<D: Deserializer<'s>>(self, deserializer: D) -> Result<&'s str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s> Visitor<'s> for Text<'_, 's> {
    type Value = &'s str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    /// It stands in the body as it is.
    fn visit_borrowed_str<E: Error>(self, text: &'s str) -> Result<&'s str, E> {
        Ok(text)
    }

    /// It was unescaped into serde_json's own buffer, which the next string overwrites.
    fn visit_str<E: Error>(self, text: &str) -> Result<&'s str, E> {
        self.0.try_alloc_str(text).map(|text| &*text).map_err(full)
    }
}

/// Reads an array of strings, with a second cursor: the list grows in it while the texts need the first.
struct Texts<'a, 's>(&'a mut Arena<'s>, &'s Scope);

impl<'s> DeserializeSeed<'s> for Texts<'_, 's> {
    type Value = &'s [&'s str];

    fn deserialize<D: Deserializer<'s>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'s> Visitor<'s> for Texts<'_, 's> {
    type Value = &'s [&'s str];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'s>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut lists = self.1.arena();
        let mut list = lists.try_vec(0).map_err(full)?;
        while let Some(text) = items.next_element_seed(Text(self.0))? {
            list.try_push(text).map_err(|refused| full(refused.reason()))?;
        }
        Ok(list.into_slice())
    }
}

/// Reads a document.
struct Whole<'a, 's>(&'a mut Arena<'s>, &'s Scope);

impl<'s> DeserializeSeed<'s> for Whole<'_, 's> {
    type Value = Doc<'s>;

    fn deserialize<D: Deserializer<'s>>(self, deserializer: D) -> Result<Doc<'s>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'s> Visitor<'s> for Whole<'_, 's> {
    type Value = Doc<'s>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'s>>(self, mut fields: A) -> Result<Doc<'s>, A::Error> {
        let Self(arena, scope) = self;
        let (mut title, mut tags, mut pages) = (None, None, None);
        // Names may have escapes too.
        while let Some(name) = fields.next_key_seed(Text(arena))? {
            match name {
                "title" => title = Some(fields.next_value_seed(Text(arena))?),
                "tags" => tags = Some(fields.next_value_seed(Texts(arena, scope))?),
                "pages" => pages = Some(fields.next_value()?),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Doc {
            title: title.ok_or_else(|| A::Error::missing_field("title"))?,
            tags: tags.unwrap_or_default(),
            pages: pages.ok_or_else(|| A::Error::missing_field("pages"))?,
        })
    }
}

/// Parses a body, which the request keeps from now on.
fn parse(scope: &Scope, body: impl AsRef<[u8]> + Send + 'static) -> serde_json::Result<Doc<'_>> {
    let body = scope.adopt(body);
    let mut json = serde_json::Deserializer::from_slice(body);
    let doc = Whole(&mut scope.arena(), scope).deserialize(&mut json)?;
    json.end()?;
    Ok(doc)
}

/// What a derive makes of the same document; its strings can only be borrowed.
#[derive(Debug, Deserialize)]
struct Plain<'b> {
    title: &'b str,
}

const PLAIN: &str = r#"{"title": "Ebb and flow", "tags": ["sea", "moon"], "pages": 320}"#;
/// A new line, an accent, a surrogate pair, and a name with an escape in it.
const ESCAPED: &str = r#"{"title": "Ebb\nand flow", "t\u0061gs": ["mar\u00e9e", "\ud83c\udf0a", "sea"], "pages": 7, "by": {"no": "one"}}"#;
/// Half of a surrogate pair is no character.
const BROKEN: &str = r#"{"title": "\ud83c", "pages": 1}"#;

/// One request: its body arrives in a pooled buffer, and everything goes back at the end.
fn request(scopes: &Scopes, body: &str, check: impl FnOnce(serde_json::Result<Doc<'_>>)) {
    let guard = scopes.begin();
    let scope = guard.scope();
    let mut received = scope.buffers().get(body.len());
    received.extend_from_slice(body.as_bytes());
    check(parse(&scope, received.freeze()));
}

/// Heap allocations of a hundred requests, after some that made room for them.
fn allocations(scopes: &Scopes, body: &str) -> u64 {
    let one = || request(scopes, body, |doc| assert!(doc.is_ok()));
    (0..3).for_each(|_| one());
    let ((), report) = AllocReport::of(|| (0..100).for_each(|_| one()));
    report.allocations + report.reallocations
}

pub(crate) fn main() {
    let scopes = Scopes::new();
    request(&scopes, PLAIN, |doc| {
        assert_eq!(doc.unwrap(), Doc { title: "Ebb and flow", tags: &["sea", "moon"], pages: 320 });
    });
    request(&scopes, ESCAPED, |doc| {
        assert_eq!(doc.unwrap(), Doc { title: "Ebb\nand flow", tags: &["marée", "🌊", "sea"], pages: 7 });
    });
    request(&scopes, BROKEN, |doc| println!("half of a surrogate pair: {}", doc.unwrap_err()));

    assert_eq!(serde_json::from_str::<Plain<'_>>(PLAIN).unwrap().title, "Ebb and flow");
    println!("an escape for a `&str` field: {}", serde_json::from_str::<Plain<'_>>(ESCAPED).unwrap_err());

    let small = Scopes::builder().quota(100).build();
    request(&small, ESCAPED, |doc| println!("beyond the quota: {}", doc.unwrap_err()));

    let (plain, escaped) = (allocations(&scopes, PLAIN), allocations(&scopes, ESCAPED));
    println!("heap allocations of 100 requests: {plain} without escapes, {escaped} with");
    // With escapes, serde_json has a buffer of its own to unescape into, and lets it grow once.
    assert!(plain == 0 && escaped <= 200);
    assert_eq!(scopes.stats().open(), 0);
}
