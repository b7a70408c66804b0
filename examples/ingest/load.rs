//! The load: several connections to each mode, in interleaved rounds, and what they measured.

use crate::client::{Client, Framing};
use crate::documents::Document;
use crate::serve::Mode;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Everything measured of one mode.
#[derive(Default)]
pub struct Measured {
    pub per_second: Vec<f64>,
    pub requests: u64,
    pub latencies: Vec<Duration>,
    pub statuses: BTreeMap<StatusCode, u64>,
    /// Answers that were not the expected ones.
    pub unexpected: u64,
}

/// The connections to one mode.
pub struct Load {
    expects_answers: bool,
    documents: Arc<[Document]>,
    workers: Vec<Worker>,
    pub measured: Measured,
}

/// One connection and where it is in the documents. It goes through all of them, with and without length by turns.
struct Worker {
    client: Client,
    next: usize,
}

#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    statuses: BTreeMap<StatusCode, u64>,
    unexpected: u64,
}

impl Load {
    /// `documents` must not be empty.
    pub fn new(mode: Mode, address: SocketAddr, token: &str, documents: Arc<[Document]>, connections: usize) -> Self {
        let workers = (0..connections).map(|number| Worker {
            client: Client::new(address, format!("load-{number}"), token),
            // Spread out, so that the large documents do not come from all connections at once.
            next: number * documents.len() / connections,
        });
        let workers = workers.collect();
        Self { expects_answers: mode != Mode::Floor, documents, workers, measured: Measured::default() }
    }

    /// Lets all connections send for `span`, one request after the other on each: the requests per second.
    pub async fn round(&mut self, span: Duration) -> io::Result<f64> {
        let began = Instant::now();
        let mut running = JoinSet::new();
        for worker in self.workers.drain(..) {
            running.spawn(worker.send_until(began + span, Arc::clone(&self.documents), self.expects_answers));
        }
        let mut requests = 0;
        while let Some(done) = running.join_next().await {
            let (worker, tally) = done.map_err(io::Error::other)??;
            self.workers.push(worker);
            requests += tally.latencies.len() as u64;
            self.measured.add(tally);
        }
        let per_second = requests as f64 / began.elapsed().as_secs_f64();
        self.measured.per_second.push(per_second);
        Ok(per_second)
    }
}

impl Worker {
    async fn send_until(
        mut self,
        end: Instant,
        documents: Arc<[Document]>,
        expects: bool,
    ) -> io::Result<(Self, Tally)> {
        let mut tally = Tally::default();
        loop {
            let document = &documents[self.next % documents.len()];
            // With an odd and an even number of documents alike, each is sent in both ways.
            let framing = Framing::BOTH[(self.next + self.next / documents.len()) % 2];
            self.next += 1;
            let began = Instant::now();
            let sent = self.client.send(document, framing).await;
            let ended = Instant::now();
            match sent {
                Ok(answer) => {
                    tally.latencies.push(ended - began);
                    *tally.statuses.entry(answer.status).or_default() += 1;
                    tally.unexpected += u64::from(expects && answer.status != document.expected);
                }
                // Nothing is refused in mid-body here, unless the quota is small.
                Err(error) if error.kind() == io::ErrorKind::Other => tally.unexpected += 1,
                Err(error) => return Err(error),
            }
            if ended >= end {
                return Ok((self, tally));
            }
        }
    }
}

impl Measured {
    fn add(&mut self, tally: Tally) {
        self.requests += tally.latencies.len() as u64;
        self.latencies.extend(tally.latencies);
        self.unexpected += tally.unexpected;
        for (status, count) in tally.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }
}
