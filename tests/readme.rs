//! The README's example, against a real socket, and its list of recipes.

mod common;

use axum::{Router, routing::post};
use ebbtide::{
    BufferPool, Scope, Scopes,
    http::{PooledBody, ScopeLayer},
};
use std::collections::BTreeSet;

async fn shout(scope: Scope, body: PooledBody) -> String {
    let mut arena = scope.arena(); // this request's memory
    let text = arena.alloc_str_lossy(&body); // no malloc
    tokio::task::yield_now().await; // still Send
    text.to_uppercase()
} // response sent: everything flows back

#[tokio::test(flavor = "multi_thread")]
async fn the_example_shouts_and_everything_flows_back() {
    let scopes = Scopes::builder().buffers(BufferPool::new()).build();
    let app = Router::new().route("/", post(shout)).layer(ScopeLayer::with(scopes.clone()));
    let address = common::serve(app).await;
    for text in ["hello", "", "straße \u{1F30A}"] {
        let response = common::post(address, "/", "text/plain", text).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert!(response.ends_with(&text.to_uppercase()), "{response}");
    }
    common::until("all requests have ended", || scopes.stats().open() == 0).await;
    assert_eq!((scopes.stats().ended, scopes.stats().late), (3, 0));
}

#[tokio::test]
async fn the_example_as_it_stands_has_a_layer_of_its_own() {
    let app = Router::new().route("/", post(shout)).layer(ScopeLayer::new());
    let address = common::serve(app).await;
    assert!(common::post(address, "/", "text/plain", "as it stands").await.ends_with("AS IT STANDS"));
}

#[tokio::test]
async fn without_the_layer_the_extractor_says_what_is_missing() {
    let address = common::serve(Router::new().route("/", post(shout))).await;
    let response = common::post(address, "/", "text/plain", "hello").await;
    assert!(response.starts_with("HTTP/1.1 500"), "{response}");
    assert!(response.contains("add `.layer(ScopeLayer::new())` to the router"), "{response}");
}

#[test]
fn each_recipe_is_in_the_list_and_the_list_names_no_other() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = include_str!("../README.md");
    let linked: BTreeSet<&str> = text.split("](").filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    let linked: BTreeSet<&str> = linked.into_iter().filter(|path| path.starts_with("examples/recipe_")).collect();
    let entries = std::fs::read_dir(root.join("examples")).expect("the examples");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let recipes = names.filter(|name| name.starts_with("recipe_"));
    let files = recipes.map(|name| {
        if name.ends_with(".rs") { format!("examples/{name}") } else { format!("examples/{name}/main.rs") }
    });
    let files: BTreeSet<String> = files.filter(|path| root.join(path).is_file()).collect();
    assert_eq!(linked, files.iter().map(String::as_str).collect());
}
