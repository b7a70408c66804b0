//! The house rules: who may import whom, where `unsafe` and loom may stand, how a file looks.
//!
//! The table below is the house itself, drawn from the top floor down. Each rule returns what breaks it, and each
//! has a test in which a planted offence is found.

#[path = "house/scan.rs"]
mod scan;

use scan::{Attribute, Named, Token};
use std::{collections::BTreeMap, fs, path::Path};

/// A module of the crate's top level, and the modules that it may import. Arrows point down: a module stands
/// above everything that it imports.
const HOUSE: &[(&str, &[&str])] = &[
    // Porch: knows HTTP; knows no atomics and no unsafe.
    ("http", &["intercept", "request", "buffer", "pool", "arena"]),
    // Beside the stair: reads counters.
    ("observe", &["intercept", "request", "buffer", "pool", "arena", "raw", "sync"]),
    ("bench", &["raw", "sync"]),
    ("tokio", &["request", "pool", "buffer"]),
    // Hall: what one request owns, and who is handed what.
    ("intercept", &["request", "pool", "arena", "raw", "sync"]),
    ("request", &["buffer", "pool", "arena", "raw", "sync"]),
    // Rooms: each usable on its own. Each size class of buffers is a pool.
    ("buffer", &["pool", "raw", "sync"]),
    ("pool", &["raw", "sync"]),
    ("arena", &["raw", "sync"]),
    // Basement: every unsafe line.
    ("raw", &["sync"]),
    // Ground: std or loom.
    ("sync", &[]),
    // For readers and tests only.
    ("guide", &[]),
];

/// Arrows that point up all the same: file, module it imports, reason.
const UPWARD: &[(&str, &str, &str)] = &[
    (
        "raw/impls.rs",
        "buffer",
        "`BufMut` is an unsafe trait, so its impl stands in the basement, and Rust wants it on the public type",
    ),
    ("raw/impls.rs", "pool", "`Counted` is an unsafe trait too, and the node of a buffer implements it"),
];

/// Files outside `sync` that may name loom or std's atomics: file, reason.
const OWN_ATOMICS: &[(&str, &str)] = &[
    ("raw/ring.rs", "`sync` mounts it as its queue, in models only"),
    ("raw/counting.rs", "a global allocator counts; it publishes nothing, and a model must not see it"),
];

/// Lines that one file may have.
const LONGEST: usize = 500;

/// Lines that each file of a recipe stays under: what is longer is not read.
const RECIPE: usize = 80;

/// One source file.
struct File {
    /// Below `src/`, such as `raw/slot.rs`.
    name: String,
    text: String,
    tokens: Vec<Token>,
    module: Vec<String>,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        let parts = name.trim_end_matches(".rs").split('/').map(str::to_owned);
        let module = parts.filter(|part| !matches!(part.as_str(), "mod" | "lib")).collect();
        Self { name: name.to_owned(), text: text.to_owned(), tokens: scan::tokens(text), module }
    }

    /// The module of the top level that the file belongs to; `None` for `lib.rs`.
    fn floor(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    fn named(&self) -> Vec<Named> {
        scan::named(&self.tokens, &self.module)
    }

    fn attributes(&self) -> Vec<Attribute> {
        scan::attributes(&self.tokens)
    }

    fn offence(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.name)
    }
}

/// The files below a folder, by their path from it.
fn read(folder: &Path) -> Vec<File> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a folder of sources") {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(folder).expect("a path below the folder").to_string_lossy().into_owned();
                found.push(File::new(&name, &fs::read_to_string(&path).expect("a source in UTF-8")));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn sources() -> Vec<File> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The sources of the derive macro, a crate of its own beside the house.
fn derive_sources() -> Vec<File> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("derive/src"))
}

fn allowed(floor: &str) -> Option<&'static [&'static str]> {
    HOUSE.iter().find(|(name, _)| *name == floor).map(|(_, below)| *below)
}

/// What the crate's root hands out under a short name, and the module that it comes from.
fn handed_out(files: &[File]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in files {
        // `pub use pool::Pool` needs no root in lib.rs; give it one.
        if file.name == "lib.rs" {
            let mut rooted = Vec::new();
            for (at, token) in file.tokens.iter().enumerate() {
                rooted.push(token.clone());
                let opens = token.text == "use" && file.tokens.get(at + 1).is_some_and(|next| next.text != "crate");
                for text in ["crate", "::"].into_iter().filter(|_| opens) {
                    rooted.push(Token { text: text.to_owned(), line: token.line });
                }
            }
            for Named { path, .. } in scan::named(&rooted, &[]) {
                if let [_, floor, .., name] = path.as_slice() {
                    found.insert(name.clone(), floor.clone());
                }
            }
        }
        let exported = file.tokens.windows(3).filter(|three| three[0].text == "macro_rules" && three[1].text == "!");
        for three in exported {
            let floor = file.floor().unwrap_or_default();
            found.insert(three[2].text.clone(), floor.to_owned());
        }
    }
    found
}

/// Imports that the table does not allow.
fn bad_imports(files: &[File]) -> Vec<String> {
    let handed_out = handed_out(files);
    let mut offences = Vec::new();
    for file in files {
        let Some(floor) = file.floor() else { continue };
        let Some(below) = allowed(floor) else {
            offences.push(file.offence(1, &format!("module {floor} is not in the table of tests/house.rs")));
            continue;
        };
        for Named { path, line, .. } in file.named() {
            if path[0] != "crate" {
                continue;
            }
            let target = match path.get(1).map(String::as_str) {
                None | Some("*") => {
                    offences.push(file.offence(line, "imports the whole crate, which hides what it uses"));
                    continue;
                }
                Some(name) if allowed(name).is_some() => name,
                Some(name) => handed_out.get(name).map_or(name, String::as_str),
            };
            let upward = UPWARD.iter().any(|(name, module, _)| *name == file.name && *module == target);
            if allowed(target).is_none() {
                offences.push(file.offence(line, &format!("module {target} is not in the table of tests/house.rs")));
            } else if target != floor && !below.contains(&target) && !upward {
                offences.push(file.offence(line, &format!("{floor} may not import {target}")));
            }
        }
    }
    offences.dedup();
    offences
}

/// `unsafe`, or a lint that lets it in, outside the basement.
fn bad_unsafe(files: &[File]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.floor() != Some("raw")) {
        for token in file.tokens.iter().filter(|token| token.text == "unsafe") {
            offences.push(file.offence(token.line, "unsafe outside src/raw"));
        }
        for Attribute { tokens, .. } in file.attributes() {
            let firm = matches!(tokens[0].text.as_str(), "deny" | "forbid");
            for token in tokens.iter().filter(|token| token.text == "unsafe_code" && !firm) {
                offences.push(file.offence(token.line, "unsafe_code is allowed outside src/raw"));
            }
        }
    }
    offences
}

/// loom, or std's atomics, anywhere but where the choice between them is made.
fn bad_sync(files: &[File]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.floor() != Some("sync")) {
        for Attribute { tokens, item } in file.attributes() {
            let text: String = tokens.iter().map(|token| token.text.as_str()).collect();
            let gate = file.name == "lib.rs" && item == ["mod", "raw"];
            let tests = text == "cfg(all(test,not(loom)))";
            for token in tokens.iter().filter(|token| token.text == "loom" && !gate && !tests) {
                offences.push(file.offence(token.line, "cfg(loom) outside src/sync.rs and the `mod raw` lines"));
            }
        }
        let own = OWN_ATOMICS.iter().any(|(name, _)| *name == file.name);
        for Named { path, line, within } in file.named() {
            let tests = within.iter().any(|module| module == "tests");
            let atomics = path[0] != "crate" && path.iter().any(|part| part == "atomic");
            if (path[0] == "loom" || atomics) && !own && !tests {
                offences.push(file.offence(line, &format!("{} outside src/sync.rs", path.join("::"))));
            }
        }
    }
    offences
}

/// `feature = ".."` on something that is no module, nor a name that leaves one.
fn bad_features(files: &[File]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.floor() != Some("sync")) {
        for Attribute { tokens, item } in file.attributes() {
            let gate = tokens[0].text == "cfg" && tokens.iter().any(|token| token.text == "feature");
            let whole = item.first().is_some_and(|word| word == "mod" || word == "use");
            if gate && !whole {
                offences.push(file.offence(tokens[0].line, "a feature gates something that is not a module"));
            }
        }
    }
    offences
}

/// Files too long, without an opening, or with something left open.
fn bad_shape(files: &[File]) -> Vec<String> {
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["todo", "!("], ["unimplemented", "!("]].map(|half| half.concat());
    let mut offences = Vec::new();
    for file in files {
        let length = file.text.lines().count();
        if length > LONGEST {
            offences.push(file.offence(LONGEST, &format!("{length} lines; {LONGEST} is the limit")));
        }
        if !file.text.starts_with("//!") {
            offences.push(file.offence(1, "does not open with `//!`"));
        }
        for (at, line) in file.text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(mark.as_str())) {
                offences.push(file.offence(at + 1, &format!("something is left open: {mark}")));
            }
        }
    }
    offences
}

/// Recipes that are too long.
fn bad_recipes(files: &[File]) -> Vec<String> {
    let lengths = files.iter().map(|file| (&file.name, file.text.lines().count()));
    let long = lengths.filter(|(name, length)| name.starts_with("recipe_") && *length >= RECIPE);
    long.map(|(name, length)| format!("examples/{name}: {length} lines; a recipe stays under {RECIPE}")).collect()
}

fn none(offences: Vec<String>) {
    assert!(offences.is_empty(), "{} offences against the house rules:\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn imports_follow_the_table() {
    none(bad_imports(&sources()));
}

#[test]
fn unsafe_stands_in_the_basement_only() {
    none(bad_unsafe(&sources()));
}

#[test]
fn std_or_loom_is_decided_in_one_place() {
    none(bad_sync(&sources()));
}

#[test]
fn features_gate_modules() {
    none(bad_features(&sources()));
}

#[test]
fn files_open_with_their_subject_and_stay_short() {
    none(bad_shape(&sources()));
    none(bad_shape(&derive_sources()));
}

#[test]
fn each_recipe_stays_under_eighty_lines() {
    none(bad_recipes(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))));
}

#[test]
fn arrows_of_the_table_point_down() {
    for (at, (name, below)) in HOUSE.iter().enumerate() {
        for target in *below {
            let stands = HOUSE.iter().position(|(other, _)| other == target);
            assert!(stands.is_some_and(|stands| stands > at), "{target} does not stand below {name}");
        }
    }
}

#[test]
fn every_exception_is_still_needed() {
    let files = sources();
    let file = |name: &str| files.iter().find(|file| file.name == name);
    for (name, module, reason) in UPWARD {
        let named = file(name).map(File::named).unwrap_or_default();
        let used = named.iter().any(|named| named.path.get(1).is_some_and(|part| part == module));
        assert!(used, "{name} no longer imports {module}; strike the exception ({reason})");
    }
    for (name, reason) in OWN_ATOMICS {
        let named = file(name).map(File::named).unwrap_or_default();
        let used = named.iter().any(|named| named.path[0] == "loom" || named.path.iter().any(|part| part == "atomic"));
        assert!(used, "{name} no longer has atomics of its own; strike the exception ({reason})");
    }
}

/// The offences of one planted file beside a root that hands out `Pool`.
fn planted(rule: fn(&[File]) -> Vec<String>, name: &str, text: &str) -> Vec<String> {
    let root = File::new("lib.rs", "//! Root.\nmod pool;\npub use pool::{Pool, Pooled as Lease};\n");
    rule(&[root, File::new(name, text)])
}

#[test]
fn a_planted_import_is_found() {
    for text in [
        "use crate::request::Scope;",
        "use crate::{sync::Arc, request::{Scope, self}};",
        "use {crate::request as hall};",
        "use super::request::Scope;",
        "mod tests { use super::super::request; }",
        "fn f() { g::<crate::request::Scope>() }",
        "fn f() { format!(\"{}\", crate::request::NAME) }",
        "fn f(x: &super::request::Scope) {}",
        "use ebbtide::request::Scope;",
        "/* a /* nested */ comment */ use crate::request::Scope;",
        "const A: char = '\"'; use crate::request::B; const C: char = '\"';",
        "const A: &str = r#\"\\\"#; use crate::request::B;",
        "fn f<'a>(x: &'a u8) {} use crate::request::B;",
        "use crate::r#request::Scope;",
    ] {
        let offences = planted(bad_imports, "pool.rs", text);
        assert_eq!(offences, ["src/pool.rs:1: pool may not import request"], "in {text}");
    }
}

#[test]
fn a_planted_import_through_the_root_is_found() {
    for text in ["use crate::Pool;", "use crate::Pooled;", "use super::{super::Pool};"] {
        let offences = planted(bad_imports, "raw/slot.rs", text);
        assert_eq!(offences, ["src/raw/slot.rs:1: raw may not import pool"], "in {text}");
    }
    for text in ["use crate::*;", "use super::*;", "use crate as all;"] {
        assert_eq!(planted(bad_imports, "raw.rs", text).len(), 1, "in {text}");
    }
}

#[test]
fn an_unknown_module_is_named() {
    let found = planted(bad_imports, "attic/box.rs", "//! Old things.");
    assert_eq!(found, ["src/attic/box.rs:1: module attic is not in the table of tests/house.rs"]);
    let found = planted(bad_imports, "pool.rs", "\nuse crate::attic::Box;");
    assert_eq!(found, ["src/pool.rs:2: module attic is not in the table of tests/house.rs"]);
}

#[test]
fn what_is_no_import_is_left_alone() {
    for text in [
        "// use crate::request::Scope;",
        "/// [`crate::request::Scope`]\nstruct A;",
        "/* use crate::request; */",
        "const A: &str = \"use crate::request;\";",
        "const A: &str = r##\"\"# use crate::request;\"##;",
        "pub(in crate::request) struct A;",
        "use crate::raw::{slot::Slot, unwind::{caught, self}}; use super::sync;",
        "mod tests { use super::*; } mod more { use super::tests; }",
        "use bytes::request::super_::A; use crate::Pool; use self::inner::A;",
    ] {
        assert_eq!(planted(bad_imports, "pool.rs", text), [""; 0], "in {text}");
    }
}

#[test]
fn planted_unsafe_is_found() {
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe impl Send for A {}",
        "#[allow(unsafe_code)] mod a {}",
        "#![allow(dead_code, unsafe_code)]",
        "#![cfg_attr(test, allow(unsafe_code))]",
    ] {
        assert_eq!(planted(bad_unsafe, "pool.rs", text).len(), 1, "in {text}");
        assert_eq!(planted(bad_unsafe, "raw/pool.rs", text), [""; 0], "in {text}");
    }
    assert_eq!(planted(bad_unsafe, "pool.rs", "#![deny(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";"), [""; 0]);
}

#[test]
fn planted_loom_and_atomics_are_found() {
    for text in [
        "#[cfg(loom)] fn f() {}",
        "#[cfg(not(loom))]\nmod raw;",
        "#[cfg_attr(loom, allow(dead_code))] fn f() {}",
        "use loom::sync::Arc;",
        "use std::{fmt, sync::atomic::AtomicU8};",
        "fn f(a: &core::sync::atomic::AtomicU8) {}",
    ] {
        assert_eq!(planted(bad_sync, "raw/slot.rs", text).len(), 1, "in {text}");
        assert_eq!(planted(bad_sync, "sync/modelled.rs", text), [""; 0], "in {text}");
    }
    for text in ["#[cfg(all(test, not(loom)))]\nmod tests { use std::sync::atomic::AtomicU8; }", "use std::sync::Arc;"]
    {
        assert_eq!(planted(bad_sync, "raw/slot.rs", text), [""; 0], "in {text}");
    }
    let root = |text| bad_sync(&[File::new("lib.rs", text)]).len();
    assert_eq!(root("#[cfg(all(loom, feature = \"loom\"))]\n#[doc(hidden)]\npub mod raw;"), 0);
    assert_eq!(root("#[cfg(all(loom, feature = \"loom\"))]\npub mod pool;"), 1);
}

#[test]
fn planted_feature_gate_is_found() {
    assert_eq!(planted(bad_features, "pool.rs", "impl A { #[cfg(feature = \"bench\")] fn f() {} }").len(), 1);
    assert_eq!(planted(bad_features, "pool.rs", "#[cfg(feature = \"bench\")] pub(crate) mod a;"), [""; 0]);
}

#[test]
fn planted_shape_is_found() {
    let long = format!("//! Long.\n{}", "\n".repeat(LONGEST));
    assert_eq!(planted(bad_shape, "a.rs", &long).len(), 1);
    assert_eq!(planted(bad_shape, "a.rs", "use std::fmt;").len(), 1);
    let open = ["//! A.\n// TO", "DO: finish\n"].concat();
    assert_eq!(planted(bad_shape, "a.rs", &open).len(), 1);
}

#[test]
fn a_planted_long_recipe_is_found() {
    let (short, long) = ("\n".repeat(RECIPE - 1), "\n".repeat(RECIPE));
    assert_eq!(planted(bad_recipes, "recipe_grpc/main.rs", &long).len(), 1);
    assert_eq!(planted(bad_recipes, "recipe_grpc/main.rs", &short), [""; 0]);
    assert_eq!(planted(bad_recipes, "porch.rs", &long), [""; 0]);
}
