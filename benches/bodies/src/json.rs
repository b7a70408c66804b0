//! A document of 64 KiB, in and out: into values that own their strings, and into an arena.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ebbtide::http::{PooledBody, PooledJson};
use ebbtide::{Arena, Scope};
use http_body_util::BodyExt;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::LazyLock;

/// One of a document's items, as a user writes it.
#[derive(Deserialize, Serialize)]
pub(crate) struct Owned {
    id: u64,
    name: String,
    tags: Vec<String>,
    note: String,
}

/// The same in the arena, or in the body.
#[derive(Serialize)]
struct Item<'s> {
    id: u64,
    name: &'s str,
    tags: &'s [&'s str],
    note: &'s str,
}

/// A document of about `bytes` bytes. Each eighth note has an escape in it.
pub(crate) fn document(bytes: usize) -> Vec<u8> {
    let mut items: Vec<Owned> = Vec::new();
    for id in 0..bytes as u64 / 133 {
        let note = if id % 8 == 0 { "it said \"no\",\nand went" } else { "nothing much to say about this one" };
        items.push(Owned {
            id,
            name: format!("item number {id} of the document"),
            tags: vec![format!("tag-{}", id % 7), "measured".into(), format!("group-{}", id % 31)],
            note: note.into(),
        });
    }
    serde_json::to_vec(&items).unwrap_or_default()
}

/// axum's own way.
pub(crate) async fn plain(Json(items): Json<Vec<Owned>>) -> Json<Vec<Owned>> {
    Json(items)
}

/// The way that changes one line of it.
pub(crate) async fn pooled(PooledJson(items): PooledJson<Vec<Owned>>) -> PooledJson<Vec<Owned>> {
    PooledJson(items)
}

/// Nothing on the heap but what the parser unescapes into.
pub(crate) async fn arena(scope: Scope, body: PooledBody) -> Response {
    let body = scope.adopt(body);
    answer(&scope, body)
}

/// The floor: reads and drops every frame, and answers with as many bytes that were there before.
pub(crate) async fn floor(request: Request) -> Response {
    let mut body = request.into_body();
    while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
    ([(CONTENT_TYPE, "application/json")], Bytes::from_static(&DOCUMENT)).into_response()
}

static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| document(super::spent::DOCUMENT));

/// The same work on a document that was there before, while the one that comes is dropped: what is hyper's own.
pub(crate) async fn dropped(scope: Scope, request: Request) -> Response {
    let mut body = request.into_body();
    while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
    answer(&scope, &DOCUMENT)
}

fn answer<'s>(scope: &'s Scope, body: &'s [u8]) -> Response {
    let mut json = serde_json::Deserializer::from_slice(body);
    match Items(&mut scope.arena(), scope).deserialize(&mut json).and_then(|items| json.end().map(|()| items)) {
        Ok(items) => PooledJson(items).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// Reads a string: as it stands in the body, or unescaped into the arena.
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

    fn visit_borrowed_str<E: Error>(self, text: &'s str) -> Result<&'s str, E> {
        Ok(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<&'s str, E> {
        self.0.try_alloc_str(text).map(|text| &*text).map_err(E::custom)
    }
}

/// Reads the tags, whose list grows in a second cursor.
struct Tags<'a, 's>(&'a mut Arena<'s>, &'s Scope);

impl<'s> DeserializeSeed<'s> for Tags<'_, 's> {
    type Value = &'s [&'s str];

    fn deserialize<D: Deserializer<'s>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'s> Visitor<'s> for Tags<'_, 's> {
    type Value = &'s [&'s str];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'s>>(self, mut texts: A) -> Result<Self::Value, A::Error> {
        let mut lists = self.1.arena();
        let mut list = lists.try_vec(0).map_err(A::Error::custom)?;
        while let Some(text) = texts.next_element_seed(Text(self.0))? {
            list.try_push(text).map_err(|refused| A::Error::custom(refused.reason()))?;
        }
        Ok(list.into_slice())
    }
}

/// Reads one item.
struct One<'a, 's>(&'a mut Arena<'s>, &'s Scope);

impl<'s> DeserializeSeed<'s> for One<'_, 's> {
    type Value = Item<'s>;

    fn deserialize<D: Deserializer<'s>>(self, deserializer: D) -> Result<Item<'s>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'s> Visitor<'s> for One<'_, 's> {
    type Value = Item<'s>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'s>>(self, mut fields: A) -> Result<Item<'s>, A::Error> {
        let mut item = Item { id: 0, name: "", tags: &[], note: "" };
        while let Some(name) = fields.next_key_seed(Text(self.0))? {
            match name {
                "id" => item.id = fields.next_value()?,
                "name" => item.name = fields.next_value_seed(Text(self.0))?,
                "tags" => item.tags = fields.next_value_seed(Tags(self.0, self.1))?,
                "note" => item.note = fields.next_value_seed(Text(self.0))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(item)
    }
}

/// Reads the document. Its list grows in a cursor of its own too.
struct Items<'a, 's>(&'a mut Arena<'s>, &'s Scope);

impl<'s> DeserializeSeed<'s> for Items<'_, 's> {
    type Value = &'s [Item<'s>];

    fn deserialize<D: Deserializer<'s>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'s> Visitor<'s> for Items<'_, 's> {
    type Value = &'s [Item<'s>];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'s>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut lists = self.1.arena();
        let mut list = lists.try_vec(0).map_err(A::Error::custom)?;
        while let Some(item) = items.next_element_seed(One(self.0, self.1))? {
            list.try_push(item).map_err(|refused| A::Error::custom(refused.reason()))?;
        }
        Ok(list.into_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All three ways do the same work: what goes in comes out.
    #[test]
    fn the_arena_holds_the_same_document() {
        let bytes = document(64 << 10);
        assert!((60_000..70_000).contains(&bytes.len()));
        let scopes = ebbtide::Scopes::new();
        let guard = scopes.begin();
        let scope = guard.scope();
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let items = Items(&mut scope.arena(), &scope).deserialize(&mut json).map(serde_json::to_vec);
        assert_eq!(items.ok().and_then(Result::ok), Some(bytes.clone()));
    }
}
