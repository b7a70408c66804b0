//! Whole `tower` services, compared: requests through each by turns, their responses read to the end.

use super::comparison::Comparison;
use super::plan::Plan;
use super::turns::{Counting, Way, take_turns};
use http::{Request, Response, StatusCode};
use http_body::Body;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// A service failed, or a body of its responses did; nothing was compared.
#[derive(Debug)]
pub struct ServiceError {
    name: String,
    source: BoxError,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.name)
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Compares two services, by the usual [`Plan`]: see [`Plan::compare_services`].
///
/// # Errors
///
/// When a service or a body fails.
pub async fn compare_services<A, B, Q, RA, RB>(
    first: &str,
    a: A,
    second: &str,
    b: B,
    request: impl FnMut() -> Request<Q>,
) -> Result<Comparison, ServiceError>
where
    A: Service<Request<Q>, Response = Response<RA>, Error: Into<BoxError>>,
    B: Service<Request<Q>, Response = Response<RB>, Error: Into<BoxError>>,
    RA: Body<Error: Into<BoxError>>,
    RB: Body<Error: Into<BoxError>>,
{
    Plan::new().compare_services(first, a, second, b, request).await
}

impl Plan {
    /// Compares two services, an axum `Router` or any other, by the same requests, one after the other: time until the
    /// response's body has ended, and what all threads of the process allocate meanwhile.
    ///
    /// `request` is called outside of the measured time. Where the two do not answer with the same status and as many
    /// bytes, or one does not always do so, the comparison has a note about it.
    ///
    /// **Cost**: as [`compare`](Self::compare).
    ///
    /// # Errors
    ///
    /// When a service or a body fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::Body, routing::get};
    /// use ebbtide::{bench::Plan, http::ScopeLayer};
    /// use http::Request;
    ///
    /// let plain = Router::new().route("/", get(|| async { "hello" }));
    /// let layered = plain.clone().layer(ScopeLayer::new());
    /// let request = || Request::new(Body::empty());
    /// let comparison = Plan::quick().compare_services("plain", plain, "layered", layered, request).await?;
    /// println!("{comparison}");
    /// # Ok::<(), ebbtide::bench::ServiceError>(())
    /// # }).unwrap();
    /// ```
    pub async fn compare_services<A, B, Q, RA, RB>(
        &self,
        first: &str,
        a: A,
        second: &str,
        b: B,
        mut request: impl FnMut() -> Request<Q>,
    ) -> Result<Comparison, ServiceError>
    where
        A: Service<Request<Q>, Response = Response<RA>, Error: Into<BoxError>>,
        B: Service<Request<Q>, Response = Response<RB>, Error: Into<BoxError>>,
        RA: Body<Error: Into<BoxError>>,
        RB: Body<Error: Into<BoxError>>,
    {
        let request = std::cell::RefCell::new(&mut request);
        let next = || (request.borrow_mut())();
        let mut a = Requests { name: first, service: a, next, answers: Answers::default() };
        let mut b = Requests { name: second, service: b, next, answers: Answers::default() };
        let mut comparison = take_turns(self, Counting::Process, [first, second], &mut a, &mut b).await?;
        comparison.notes.extend(differing([(first, &a.answers), (second, &b.answers)]));
        Ok(comparison)
    }
}

/// One service, and what it is sent.
struct Requests<'n, S, N> {
    name: &'n str,
    service: S,
    next: N,
    answers: Answers,
}

impl<Q, R, S, N> Way for Requests<'_, S, N>
where
    S: Service<Request<Q>, Response = Response<R>, Error: Into<BoxError>>,
    R: Body<Error: Into<BoxError>>,
    N: Fn() -> Request<Q>,
{
    type Input = Vec<Request<Q>>;
    type Error = ServiceError;

    fn prepare(&mut self, calls: usize) -> Vec<Request<Q>> {
        (0..calls).map(|_| (self.next)()).collect()
    }

    async fn run(&mut self, requests: Vec<Request<Q>>) -> Result<(), ServiceError> {
        for request in requests {
            let answer = answered(&mut self.service, request).await;
            self.answers.add(answer.map_err(|source| ServiceError { name: self.name.to_owned(), source })?);
        }
        Ok(())
    }
}

/// Sends one request and reads the response to its end: its status, and how many bytes its body had.
async fn answered<Q, R, S>(service: &mut S, request: Request<Q>) -> Result<(StatusCode, u64), BoxError>
where
    S: Service<Request<Q>, Response = Response<R>, Error: Into<BoxError>>,
    R: Body<Error: Into<BoxError>>,
{
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
    let response = service.call(request).await.map_err(Into::into)?;
    let (status, mut body) = (response.status(), pin!(response.into_body()));
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(Into::into)?;
        bytes += frame.data_ref().map_or(0, |data| bytes::Buf::remaining(data) as u64);
    }
    Ok((status, bytes))
}

/// The first answer of a service, and whether all others were like it.
#[derive(Default)]
struct Answers {
    first: Option<(StatusCode, u64)>,
    vary: bool,
}

impl Answers {
    fn add(&mut self, answer: (StatusCode, u64)) {
        self.vary |= *self.first.get_or_insert(answer) != answer;
    }
}

/// Notes on answers that are not alike.
fn differing(answers: [(&str, &Answers); 2]) -> Vec<String> {
    let mut notes: Vec<String> = answers
        .iter()
        .filter(|(_, answers)| answers.vary)
        .map(|(name, _)| format!("{name} did not answer all requests with the same status and as many bytes"))
        .collect();
    if let [(a, Answers { first: Some(first), .. }), (b, Answers { first: Some(second), .. })] = answers {
        if first != second {
            let told = |name: &str, (status, bytes): &(StatusCode, u64)| format!("{name} {status} with {bytes} bytes");
            notes.push(format!("the answers differ: {}, {}", told(a, first), told(b, second)));
        }
    }
    notes
}
