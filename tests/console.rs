//! The console: who may ask, what is answered, and how a browser shows it.

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use ebbtide::http::ScopeLayer;
use ebbtide::observe::{Console, LeakDetector, Monitor, tagged};
use ebbtide::{Chain, Interceptor, Pool, Pooled, Scope};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::io::Read;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tower::ServiceExt;

async fn ask(router: Router, method: Method, host: Option<&str>, path: &str) -> (http::response::Parts, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let (head, body) = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    (head, String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned())
}

async fn get(path: &str) -> (http::response::Parts, String) {
    ask(Console::new().router(), Method::GET, Some("localhost:9090"), path).await
}

#[tokio::test]
async fn each_page_answers_in_its_own_type() {
    for (path, kind) in [
        ("", "text/html; charset=utf-8"),
        ("/json", "application/json"),
        ("/dump", "text/plain; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/pprof", "application/octet-stream"),
    ] {
        let (head, body) = get(&format!("/debug/ebbtide{path}")).await;
        assert_eq!((head.status, head.headers["content-type"].to_str().unwrap()), (StatusCode::OK, kind));
        assert_eq!(head.headers["cache-control"], "no-store");
        assert_eq!(head.headers["x-content-type-options"], "nosniff");
        assert!(!body.is_empty());
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        for path in ["", "/json", "/dump", "/metrics", "/pprof"] {
            let path = format!("/debug/ebbtide{path}");
            let (head, _) = ask(Console::new().router(), method.clone(), Some("localhost"), &path).await;
            assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn only_allowed_hosts_are_answered() {
    let console = || Console::new().allow_host("metrics.internal");
    for (host, status) in [
        (Some("localhost"), StatusCode::OK),
        (Some("LOCALHOST:8080"), StatusCode::OK),
        (Some("127.0.0.1:9090"), StatusCode::OK),
        (Some("[::1]:9090"), StatusCode::OK),
        (Some("metrics.internal:9090"), StatusCode::OK),
        (Some("evil.example"), StatusCode::FORBIDDEN),
        (Some("localhost.evil.example"), StatusCode::FORBIDDEN),
        (Some("localhost@evil.example"), StatusCode::FORBIDDEN),
        (Some("no host"), StatusCode::FORBIDDEN),
        (Some(""), StatusCode::FORBIDDEN),
        (None, StatusCode::FORBIDDEN),
    ] {
        for path in ["", "/json", "/dump", "/metrics", "/pprof"] {
            let (head, _) = ask(console().router(), Method::GET, host, &format!("/debug/ebbtide{path}")).await;
            assert_eq!(head.status, status, "{host:?} {path}");
        }
    }
    // HTTP/2 names the host in the URI.
    let (head, _) = ask(console().router(), Method::GET, None, "http://localhost:9090/debug/ebbtide").await;
    assert_eq!(head.status, StatusCode::OK);
    let (head, _) = ask(console().router(), Method::GET, Some("localhost"), "http://evil.example/debug/ebbtide").await;
    assert_eq!(head.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_path_is_the_users() {
    let router = || Router::new().merge(Console::new().at("/ops/memory").router());
    let (head, page) = ask(router(), Method::GET, Some("localhost"), "/ops/memory").await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(page.contains("href=\"/ops/memory/pprof\""));
    assert_eq!(ask(router(), Method::GET, Some("localhost"), "/debug/ebbtide").await.0.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn names_are_text_and_only_the_pages_own_script_may_run() {
    let pool = Pool::builder().name("<img src=x onerror=alert(1)> {{nonce}}").build(Vec::<u8>::new);
    let lease = pool.get();
    let (head, page) = get("/debug/ebbtide").await;
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; {{nonce}}") && !page.contains("<img"));
    let policy = head.headers["content-security-policy"].to_str().unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches(&format!("<script nonce=\"{nonce}\">")).count(), 1);
    assert_eq!(page.matches(&format!("<style nonce=\"{nonce}\">")).count(), 1);
    let (other, _) = get("/debug/ebbtide").await;
    assert_ne!(other.headers["content-security-policy"], policy, "each page has its own");
    drop(lease);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let (_, page) = get("/debug/ebbtide").await;
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn what_is_lent_is_on_the_page_and_in_the_numbers() {
    let pool = Pool::builder().name("on the page").build(|| Vec::<u8>::with_capacity(3 << 20));
    let lease = pool.get();
    let (_, page) = get("/debug/ebbtide").await;
    let row = page.lines().find(|line| line.contains("on the page")).expect("a row without any script");
    assert!(row.contains("<td class=\"n\">3.0 MiB</td>"), "{row}");
    let (_, json) = get("/debug/ebbtide/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let pools = json["pools"].as_array().unwrap();
    let entry = pools.iter().find(|entry| entry["pool"] == "on the page").unwrap();
    assert_eq!((&entry["outstanding"], &entry["misses"], &entry["drops"]["full"]), (&1.into(), &1.into(), &0.into()));
    assert!(json["process"]["in_use_bytes"].as_u64().unwrap() >= 3 << 20);
    let (_, text) = get("/debug/ebbtide/metrics").await;
    assert!(text.contains("\nebbtide_pool_outstanding{pool=\"on the page\"} 1\n"));
    drop(lease);
}

#[tokio::test]
async fn what_is_taken_under_a_tag_is_on_every_page() {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(1 << 20));
    let lease = tagged("holds <much>", || pool.get());
    let (_, page) = get("/debug/ebbtide").await;
    let row = page.lines().find(|line| line.contains("data-key=\"tag holds &lt;much&gt;\"")).expect("a row");
    assert!(row.contains("<td class=\"n\">1.0 MiB</td><td class=\"n\">1</td>"), "{row}");
    assert!(row.contains("data-idle=\"0\""), "{row}");
    for (path, line) in [
        ("json", "\"tag\":\"holds <much>\""),
        ("metrics", "\nebbtide_tag_outstanding{tag=\"holds <much>\"} 1\n"),
        ("dump", "\nholds <much> "),
    ] {
        let (_, text) = get(&format!("/debug/ebbtide/{path}")).await;
        assert!(text.contains(line), "{text}");
    }
    drop(lease);
    let (_, page) = get("/debug/ebbtide").await;
    let row = page.lines().find(|line| line.contains("data-key=\"tag holds &lt;much&gt;\"")).expect("a row");
    // In use, values, idle, retained.
    let cells = "<td class=\"n zero\">0 B</td><td class=\"n zero\">0</td><td class=\"n\">1.0 MiB</td><td class=\"n\">1.0 MiB</td>";
    assert!(row.contains(cells), "{row}");
    let (_, json) = get("/debug/ebbtide/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entry = json["tags"].as_array().unwrap().iter().find(|entry| entry["tag"] == "holds <much>").unwrap();
    assert_eq!((&entry["idle"], &entry["outstanding"]), (&1.into(), &0.into()));
    assert_eq!(entry["idle_bytes"], entry["retained_bytes"]);
    let (_, text) = get("/debug/ebbtide/metrics").await;
    let line = format!("\nebbtide_tag_idle_bytes{{tag=\"holds <much>\"}} {}\n", entry["idle_bytes"]);
    assert!(text.contains(&line), "{text}");
}

#[tokio::test]
async fn the_oldest_leases_are_shown_with_their_call_sites() {
    let leaks = Arc::new(LeakDetector::new().with_sampling(256));
    let pool = Pool::builder().name("sampled").build(Vec::<u8>::new);
    let leases: Vec<_> = (0..1024).map(|_| tagged("samples", || pool.get())).collect();
    let site = format!("{}:{}:", file!(), line!() - 1);
    leases.iter().for_each(|lease| Pooled::touch(lease, "seen <here>"));
    let router = Console::new().leaks(leaks).router();
    let answered = |path: &'static str| ask(router.clone(), Method::GET, Some("localhost"), path);
    let (_, page) = answered("/debug/ebbtide").await;
    let row = page.lines().find(|line| line.contains(&site)).expect("a lease with its site");
    assert!(row.contains("<td>samples</td><td>sampled</td><td>seen &lt;here&gt;</td>"), "{row}");
    let (_, json) = answered("/debug/ebbtide/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let lease = json["leases"].as_array().unwrap().iter().find(|lease| lease["pool"] == "sampled").unwrap();
    assert_eq!((&lease["tag"], &lease["touched"][0]), (&"samples".into(), &"seen <here>".into()));
    let request = Request::get("/debug/ebbtide/pprof").header("host", "localhost").body(Body::empty()).unwrap();
    let file = router.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains(site.trim_end_matches(':')), "the profile has the call site");
    drop(leases);
}

/// A console on a port of its own. Each time the overview is asked for, `before` runs.
async fn served(console: Console, before: impl Fn() + Clone + Send + Sync + 'static) -> String {
    let router = console.router().layer(from_fn(move |request, next: axum::middleware::Next| {
        before();
        next.run(request)
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/debug/ebbtide")
}

/// What the document is when so many milliseconds of the page's own time are over.
async fn browsed(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    chromium.args(["--disable-sync", "--virtual-time-budget=8000", "--dump-dom"]);
    chromium.arg(format!("--user-data-dir={}", folder.path().display())).arg(url);
    let output = tokio::task::spawn_blocking(move || chromium.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn chromium_loads_the_page_and_keeps_it_up_to_date() {
    let pool = Pool::builder().name("grows while one looks").build(|| Vec::<u8>::with_capacity(1 << 20));
    let held: Arc<Mutex<Vec<Pooled<Vec<u8>>>>> = Arc::default();
    let url = served(Console::new(), {
        let held = Arc::clone(&held);
        move || held.lock().unwrap().push(pool.get())
    });
    let document = browsed(&url.await).await;
    let row = document.lines().find(|line| line.contains("grows while one looks")).unwrap();
    let out = held.lock().unwrap().len();
    assert!(out >= 5, "asked {out} times");
    assert!(row.contains(&format!("<td class=\"n\">{out}.0 MiB</td>")), "{row}");
    let line = row.split("<path class=\"line").nth(1).unwrap().split('"').nth(2).unwrap();
    assert!(line.matches('L').count() >= 4, "{line}");
    assert!(document.contains("<section id=\"chart\" class=\"chart\"><h2>"), "the chart is shown");
    assert!(document.contains(" MiB/s</small>"), "the rate of allocation is shown");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn chromium_draws_what_each_tag_has_in_use_idle_and_retained() {
    let pool = Pool::builder().name("by tag").build(|| Vec::<u8>::with_capacity(3 << 20));
    let held = tagged("in <use>", || pool.get());
    drop(tagged("left idle", || pool.get()));
    let url = served(Console::new(), || ()).await;
    for (view, entries) in [
        ("", ["in &lt;use&gt; <b>3.0 MiB</b>", "left idle <b>0 B</b>"]),
        ("#in-use", ["in &lt;use&gt; <b>3.0 MiB</b>", "left idle <b>0 B</b>"]),
        ("#idle", ["in &lt;use&gt; <b>0 B</b>", "left idle <b>3.0 MiB</b>"]),
        ("#retained", ["in &lt;use&gt; <b>3.0 MiB</b>", "left idle <b>3.0 MiB</b>"]),
    ] {
        let document = browsed(&format!("{url}{view}")).await;
        let chart = document.split("<section id=\"by-tag\"").nth(1).unwrap().split("</section>").next().unwrap();
        assert!(!chart.contains("hidden"), "{view}: {chart}");
        let current = if view.is_empty() { "#in-use" } else { view };
        assert!(chart.contains(&format!("<a href=\"{current}\" aria-current=\"true\">")), "{view}: {chart}");
        assert_eq!(chart.matches("aria-current").count(), 1);
        for entry in entries {
            assert!(chart.contains(&format!("<span>{entry}</span></li>")), "{view}: {chart}");
        }
        assert!(chart.matches("<path class=\"line tag").count() >= 2, "{view}: {chart}");
        assert!(chart.matches('L').count() >= 8, "it goes on, second by second: {chart}");
    }
    drop(held);
}

/// Keeps what it takes: a leak, by a name that could do harm.
struct Keeps {
    pool: Pool<Vec<u8>>,
    kept: Arc<Mutex<Vec<Pooled<Vec<u8>>>>>,
}

impl<Req, Res> Interceptor<Req, Res> for Keeps {
    type State = ();

    fn name(&self) -> &'static str {
        "keeps <b>it all</b>"
    }

    fn before(&self, (): &mut (), _: &Scope, _: &mut Req) -> ControlFlow<Res> {
        self.kept.lock().unwrap().push(self.pool.get());
        ControlFlow::Continue(())
    }
}

/// A server with an interceptor that leaks 0.4 MB a second, on a clock of the test's own; and the monitor that saw it.
async fn leaked() -> (Monitor, Arc<Mutex<Vec<Pooled<Vec<u8>>>>>) {
    let pool = Pool::builder().name("kept").build(|| Vec::<u8>::with_capacity(400_000));
    let kept = Arc::default();
    let keeps = Keeps { pool, kept: Arc::clone(&kept) };
    let app = Router::new()
        .route("/", axum::routing::get(|| async { "fine" }))
        .layer(ScopeLayer::new().chain(Chain::new().with(keeps)));
    let (monitor, begin) = (Monitor::new(), Instant::now());
    for second in 0..400 {
        let response = app.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "fine");
        monitor.sample_at(begin + Duration::from_secs(second));
    }
    (monitor, kept)
}

#[tokio::test]
async fn an_alarm_is_shown_where_an_interceptor_leaks() {
    let (monitor, kept) = leaked().await;
    let router = Console::new().monitor(&monitor).router();
    let (_, page) = ask(router.clone(), Method::GET, Some("localhost"), "/debug/ebbtide").await;
    assert!(
        page.contains("<li class=\"warning\"><b>slow leak</b>: tag keeps &lt;b&gt;it all&lt;/b&gt; grows by"),
        "{page}"
    );
    assert!(page.contains("<tr class=\"warning\" data-key=\"tag keeps"), "its row stands out");
    assert!(page.contains("<h2>Imbalances"), "each request ended while it was out");
    let (_, text) = ask(router.clone(), Method::GET, Some("localhost"), "/debug/ebbtide/metrics").await;
    let on = text.lines().find_map(|line| line.strip_prefix("ebbtide_alarms{rule=\"slow leak\"} ")).expect("a gauge");
    assert_ne!(on, "0");
    assert!(text.contains("\nebbtide_alarms_raised_total{rule=\"burst\"} 0\n"), "{text}");
    let (_, json) = ask(router, Method::GET, Some("localhost"), "/debug/ebbtide/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let alarms = json["alarms"].as_array().unwrap();
    assert!(
        alarms.iter().any(|alarm| alarm["subject"] == "tag keeps <b>it all</b>" && alarm["rule"] == "slow leak"),
        "{json}"
    );
    assert!(json["imbalances"].as_array().unwrap().iter().any(|left| left["tag"] == "keeps <b>it all</b>"), "{json}");
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn chromium_shows_an_alarm_where_an_interceptor_leaks() {
    let (monitor, kept) = leaked().await;
    let document = browsed(&served(Console::new().monitor(&monitor), || ()).await).await;
    assert!(
        document.contains("<b>slow leak</b>: tag keeps &lt;b&gt;it all&lt;/b&gt; grows by 0.40 MB/s"),
        "{document}"
    );
    assert!(
        document.contains(") ebbtide</title>"),
        "the title counts alarms, so that a tab in the background tells of them"
    );
    drop(kept);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let router = Console::new().router();
    let request = Request::head("/debug/ebbtide").header("host", "localhost").body(Body::empty()).unwrap();
    let response: Response<Body> = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
