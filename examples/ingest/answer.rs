//! The answer of a request as JSON: a summary, or what was wrong.
//!
//! Paths are written straight into the response while it is serialised, from the last node up to the root; no string
//! is made for them.

use crate::summary::{Number, Range, Summary};
use crate::table::{Memory, Node, Table};
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::fmt;

/// Longest strings are shown up to this many bytes: a document may be one string of 16 MiB.
const SHOWN: usize = 80;

impl<'m, M: Memory> Summary<'m, M> {
    /// About as many bytes as this takes as JSON.
    pub fn expected_json(&self) -> usize {
        256 + 96 * self.table.nodes().len()
    }

    /// This summary, ready to be serialised.
    pub fn json(&self) -> Json<'_, 'm, M> {
        Json { summary: self }
    }
}

/// A summary as JSON.
pub struct Json<'x, 'm, M> {
    summary: &'x Summary<'m, M>,
}

impl<M: Memory> Serialize for Json<'_, '_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Summary", 5)?;
        json.serialize_field("bytes", &self.summary.bytes)?;
        json.serialize_field("values", &self.summary.values)?;
        json.serialize_field("paths", &self.summary.table.nodes().len())?;
        json.serialize_field("skipped", &self.summary.skipped)?;
        json.serialize_field("fields", &Fields(&self.summary.table))?;
        json.end()
    }
}

struct Fields<'x, 'm, M>(&'x Table<'m, M>);

impl<M: Memory> Serialize for Fields<'_, '_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.nodes().iter().map(|node| Field { table: self.0, node }))
    }
}

struct Field<'x, 'm, M> {
    table: &'x Table<'m, M>,
    node: &'x Node,
}

impl<M: Memory> Serialize for Field<'_, '_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("path", &format_args!("{}", Path { table: self.table, node: self.node }))?;
        json.serialize_entry("count", &self.node.count)?;
        json.serialize_entry("types", &Types(self.node))?;
        if let Some(range) = self.table.range(self.node) {
            json.serialize_entry("range", range)?;
        }
        if let Some(longest) = self.node.longest {
            json.serialize_entry("longest", &Longest(self.table.read(longest)))?;
        }
        json.end()
    }
}

struct Types<'x>(&'x Node);

impl Serialize for Types<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.kinds.names())
    }
}

struct Longest<'x>(&'x str);

impl Serialize for Longest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Longest", 2)?;
        json.serialize_field("bytes", &self.0.len())?;
        json.serialize_field("text", beginning(self.0, SHOWN))?;
        json.end()
    }
}

/// The beginning of `text`, up to `most` bytes and between two characters.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Range", 2)?;
        json.serialize_field("min", &self.min)?;
        json.serialize_field("max", &self.max)?;
        json.end()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Whole(number) => serializer.serialize_i64(number),
            Self::Large(number) => serializer.serialize_u64(number),
            Self::Real(number) => serializer.serialize_f64(number),
        }
    }
}

/// The path of a node, written as `$.packages[].name`; a key that is no plain word stands as `["a key"]`. As deep as
/// `serde_json` lets a document be, 128 levels.
struct Path<'x, 'm, M> {
    table: &'x Table<'m, M>,
    node: &'x Node,
}

impl<M: Memory> fmt::Display for Path<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if std::ptr::eq(self.node, &self.table.nodes()[0]) {
            return f.write_str("$");
        }
        let parent = &self.table.nodes()[self.node.parent as usize];
        Path { table: self.table, node: parent }.fmt(f)?;
        match self.node.name {
            None => f.write_str("[]"),
            Some(name) => write_name(self.table.read(name), f),
        }
    }
}

fn write_name(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(plain) {
        f.write_str(".")?;
        f.write_str(name)
    } else {
        write!(f, "[{name:?}]")
    }
}

/// What was wrong with a request, and where in the document if that is known.
#[derive(serde::Serialize)]
pub struct Problem {
    pub error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    pub fn new(error: &'static str) -> Self {
        Self { error, line: None, column: None, detail: None }
    }

    /// Where a document stops being JSON.
    pub fn in_document(error: &serde_json::Error) -> Self {
        Self {
            error: "the document is not JSON",
            line: Some(error.line()),
            column: Some(error.column()),
            detail: Some(error.to_string()),
        }
    }
}
