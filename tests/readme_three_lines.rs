//! "Add it to your server", in the README: no more than three lines. A process of its own, since it reads the process's books.

mod common;

#[path = "readme/after.rs"]
mod after;
#[path = "readme/before.rs"]
mod before;

use axum::Router;
use ebbtide::observe::Ledger;

const README: &str = include_str!("../README.md");
const BEFORE: &str = include_str!("readme/before.rs");
const AFTER: &str = include_str!("readme/after.rs");
const PROMISED: usize = 3;

/// The section's difference: that of `Cargo.toml`, then that of the code.
fn shown() -> (Vec<&'static str>, Vec<&'static str>) {
    let (_, section) = README.split_once("\n## Add it to your server\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("an end");
    let (_, fenced) = section.split_once("```diff\n").expect("a difference");
    let (difference, _) = fenced.split_once("\n```").expect("its end");
    let (manifest, code) = difference.split_once(" // src/main.rs\n").expect("the code");
    let lines = |text: &'static str| text.lines().filter(|line| !line.trim().is_empty()).collect();
    (lines(manifest), lines(code))
}

/// The lines that come in. None goes.
fn added(lines: &[&'static str]) -> Vec<&'static str> {
    assert!(!lines.iter().any(|line| line.starts_with('-')), "{lines:?}");
    lines.iter().filter_map(|line| line.strip_prefix('+')).collect()
}

#[test]
fn an_axum_user_changes_no_more_than_three_lines() {
    let (manifest, code) = shown();
    let (manifest, new) = (added(&manifest), added(&code));
    assert_eq!(manifest.len() + new.len(), PROMISED, "{manifest:?} {new:?}");

    // What is shown stands in the server, in this order, and without the new lines it is the server that was there.
    let mut server = AFTER.lines();
    for line in &code {
        let line = &line[1..];
        assert!(server.any(|other| other == line), "{line} is not where the README shows it");
    }
    let mut left = new.clone();
    let is_old = |line: &&str| left.iter().position(|new| new == line).map(|at| left.remove(at)).is_none();
    let old: Vec<&str> = AFTER.lines().filter(is_old).collect();
    assert_eq!((old, left), (BEFORE.lines().collect(), Vec::new()));

    let [dependency] = manifest[..] else { panic!("{manifest:?}") };
    let version = env!("CARGO_PKG_VERSION").rsplit_once('.').expect("three numbers").0;
    assert_eq!(dependency, format!(r#"ebbtide = {{ version = "{version}", features = ["axum"] }}"#));
    assert!(include_str!("../Cargo.toml").contains("\naxum = ["), "the feature is there");
}

/// Requests that have begun in this process.
fn begun() -> u64 {
    let mut begun = 0;
    Ledger::process().each_pool(|entry| {
        if entry.pool == "request slots" {
            begun += entry.stats.gets();
        }
    });
    begun
}

async fn answers(app: Router) -> [String; 3] {
    let address = common::serve(app).await;
    let shouted = common::post(address, "/shout", "text/plain", "hello").await;
    let length = common::post(address, "/length", "text/plain", "hello").await;
    let bodies = [shouted, length, common::get(address, "/health").await];
    bodies.map(|answer| answer.rsplit_once("\r\n\r\n").expect("a body").1.to_owned())
}

#[tokio::test]
async fn a_server_with_these_lines_answers_as_before_and_gives_each_request_a_scope() {
    let plain = answers(before::app()).await;
    assert_eq!((plain[0].as_str(), plain[1].as_str(), begun()), ("HELLO", "5", 0));
    assert_eq!((answers(after::app()).await, begun()), (plain, 3));
}
