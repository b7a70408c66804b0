//! A handler before and after, measured in one run: start from this to measure your own.
//!
//! ```sh
//! cargo run --release --example bench_your_handler
//! ```
//!
//! The handler renders a page of 200 products. Anchor and price of each are needed twice, in the index and in the list, and
//! the index is sorted, so some hundred small texts live until the page is written. It stands here three times: `strings`, as
//! one writes it first, a `String` each; `plain`, as good as it gets without a pool, all texts as lines of one `String` that is
//! large enough from the start; and the same in request memory, string and list in the arena, the page in a pooled buffer.
//!
//! The last table stands beside a floor: the same router and layer, with a handler that answers with a copy of a page made
//! beforehand. What it costs is axum's. The program fails if the handler allocates anything above it, or if the three pages
//! are not the same. `-- --quick` takes some seconds, and tells allocations only well.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Request;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use ebbtide::Scope;
use ebbtide::bench::{CountingAllocator, Plan};
use ebbtide::http::ScopeLayer;
use std::fmt::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use tower::Service;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

struct Product {
    name: String,
    cents: u32,
}

type Shop = Arc<[Product]>;

/// What is kept of a product while its page is made.
struct Entry<'p, T> {
    name: &'p str,
    anchor: T,
    price: T,
}

/// First: two strings a product, a list of them, a string for the page.
async fn strings(State(shop): State<Shop>) -> Response {
    let mut entries = Vec::with_capacity(shop.len());
    for product in &*shop {
        let mut anchor = String::with_capacity(product.name.len());
        anchor.extend(anchor_of(&product.name));
        let mut price = String::with_capacity(ROOM_OF_PRICE);
        _ = write_price(&mut price, product.cents);
        entries.push(Entry { name: &product.name, anchor, price });
    }
    let mut page = String::with_capacity(room(&shop));
    match write_page(&mut page, &mut entries) {
        Ok(()) => Html(page).into_response(),
        Err(error) => error.to_string().into_response(),
    }
}

/// Without a pool: one string for all texts, which the list borrows from when it is whole.
async fn plain(State(shop): State<Shop>) -> Response {
    let mut texts = String::with_capacity(room_of_texts(&shop));
    write_texts(&mut texts, &shop);
    let mut entries = Vec::with_capacity(shop.len());
    entries.extend(entries_of(&shop, &texts));
    let mut page = String::with_capacity(room(&shop));
    match write_page(&mut page, &mut entries) {
        Ok(()) => Html(page).into_response(),
        Err(error) => error.to_string().into_response(),
    }
}

/// The same in request memory: string and list in the arena, the page in a pooled buffer.
async fn ebbtide(scope: Scope, State(shop): State<Shop>) -> Response {
    let (mut list, mut rest) = (scope.arena(), scope.arena());
    let mut texts = rest.string(room_of_texts(&shop));
    write_texts(&mut texts, &shop);
    let texts = &*texts.into_str();
    let mut entries = list.vec(shop.len());
    entries.extend(entries_of(&shop, texts));
    let mut page = scope.buffers().get(room(&shop));
    match write_page(&mut page, &mut entries) {
        Ok(()) => Html(page.freeze().into_bytes()).into_response(),
        Err(error) => error.to_string().into_response(),
    }
}

/// A page that was made beforehand, copied once: any answer with bytes of its own costs this.
async fn floor(State(page): State<Bytes>) -> Response {
    Html(Bytes::copy_from_slice(&page)).into_response()
}

fn anchor_of(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
}

const ROOM_OF_PRICE: usize = 16;

fn write_price(out: &mut impl Write, cents: u32) -> fmt::Result {
    write!(out, "{}.{:02} EUR", cents / 100, cents % 100)
}

/// Anchor and price of each product, a line each.
fn write_texts(texts: &mut (impl Write + Extend<char>), shop: &[Product]) {
    for product in shop {
        texts.extend(anchor_of(&product.name).chain(['\n']));
        _ = write_price(texts, product.cents);
        texts.extend(['\n']);
    }
}

fn entries_of<'p>(shop: &'p [Product], texts: &'p str) -> impl Iterator<Item = Entry<'p, &'p str>> {
    let mut lines = texts.split_terminator('\n');
    shop.iter()
        .map_while(move |product| Some(Entry { name: &product.name, anchor: lines.next()?, price: lines.next()? }))
}

/// An anchor has a byte for each character of the name.
fn room_of_texts(shop: &[Product]) -> usize {
    shop.iter().map(|product| product.name.len() + 1 + ROOM_OF_PRICE + 1).sum()
}

fn room(shop: &[Product]) -> usize {
    shop.len() * 128
}

fn write_page<T: AsRef<str>>(out: &mut impl Write, entries: &mut [Entry<'_, T>]) -> fmt::Result {
    out.write_str("<ul>")?;
    for Entry { name, anchor, price } in &*entries {
        write!(out, "<li id=\"{}\">{name}: {}</li>", anchor.as_ref(), price.as_ref())?;
    }
    out.write_str("</ul><nav>")?;
    entries.sort_unstable_by(|a, b| a.anchor.as_ref().cmp(b.anchor.as_ref()));
    for Entry { anchor, price, .. } in entries {
        write!(out, "<a href=\"#{0}\">{0}, {1}</a>", anchor.as_ref(), price.as_ref())?;
    }
    out.write_str("</nav>")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let plan = if std::env::args().any(|argument| argument == "--quick") { Plan::quick() } else { Plan::new() };
    let shop: Shop =
        (0..200).map(|i| Product { name: format!("Product No. {}", i * 7919 % 200), cents: i * 131 }).collect();
    let with = |handler| Router::new().route("/", handler).with_state(Arc::clone(&shop));
    let (strings, plain) = (with(get(strings)), with(get(plain)));
    let ebbtide = Router::new().route("/", get(ebbtide)).layer(ScopeLayer::new()).with_state(Arc::clone(&shop));
    let page = page_of(plain.clone()).await?;
    let same = page == page_of(strings.clone()).await? && page == page_of(ebbtide.clone()).await?;
    let floor = Router::new().route("/", get(floor)).layer(ScopeLayer::new()).with_state(page);
    let request = || Request::new(Body::empty());

    println!("{}\n", plan.compare_services("strings", strings, "ebbtide", ebbtide.clone(), request).await?);
    println!("{}\n", plan.compare_services("plain", plain, "ebbtide", ebbtide.clone(), request).await?);
    let above = plan.compare_services("floor", floor, "ebbtide", ebbtide, request).await?;
    println!("{above}\n");
    let allocations = above.second().allocations().unwrap_or(f64::NAN) - above.first().allocations().unwrap_or(0.0);
    println!("ebbtide's handler makes {allocations:.1} allocations a request above the floor.");
    if !same {
        println!("The pages DIFFER.");
    }
    Ok(if same && allocations < 0.05 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn page_of(mut service: Router) -> Result<Bytes, Box<dyn std::error::Error>> {
    let response = service.call(Request::new(Body::empty())).await?;
    Ok(axum::body::to_bytes(response.into_body(), usize::MAX).await?)
}
