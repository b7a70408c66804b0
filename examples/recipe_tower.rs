//! ebbtide with tower alone: any http service under `ScopeLayer`, beside other layers, here with a chain of one interceptor. It talks
//! to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_tower
//! ```

use bytes::Bytes;
use ebbtide::{Chain, Ending, Interceptor, Scope, Scopes, http::ScopeLayer};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::ops::ControlFlow;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower::{ServiceBuilder, service_fn};

/// Notes each request's path, lets nobody into the cellar, and tells the path when the response is sent.
struct Doorkeeper(UnboundedSender<String>);

impl Interceptor<Request<Incoming>, Response<Full<Bytes>>> for Doorkeeper {
    type State = String;

    fn before(
        &self,
        path: &mut String,
        _: &Scope,
        request: &mut Request<Incoming>,
    ) -> ControlFlow<Response<Full<Bytes>>> {
        path.push_str(request.uri().path());
        if path != "/cellar" {
            return ControlFlow::Continue(());
        }
        let mut refusal = Response::new(Full::default());
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        ControlFlow::Break(refusal)
    }

    fn ended(&self, path: &mut String, ending: &Ending) {
        let _ = self.0.send(format!("{path} {:?}", ending.outcome()));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (scopes, (tell, mut told)) = (Scopes::new(), unbounded_channel());
    let layer = ScopeLayer::with(scopes.clone()).chain(Chain::new().with(Doorkeeper(tell)));
    let service = ServiceBuilder::new().concurrency_limit(100).layer(layer).service(service_fn(
        async |request: Request<Incoming>| {
            let scope = Scope::current().expect("below the layer");
            let text = ebbtide::arena_format!(scope.arena(), "this is {}", request.uri().path());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes()))))
        },
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });

    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for (path, status, body) in [("/hall", 200, "this is /hall"), ("/cellar", 403, "")] {
        let answer = client.get(format!("http://{address}{path}").parse()?).await?;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.into_body().collect().await?.to_bytes(), body);
        assert_eq!(told.recv().await, Some(format!("{path} Finished")));
    }
    server.abort();
    println!("all requests have ended: {:?}", scopes.stats());
    Ok(())
}
