//! How the service behaves, apart from how fast it is: each document once, what must be refused, uploads cut off.

use crate::client::{Client, Framing};
use crate::documents::Document;
use crate::serve::Settings;
use axum::body::Bytes;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one mode answered to each document, by its place in the list and its framing.
pub struct Answers {
    pub statuses: BTreeMap<StatusCode, u64>,
    pub bodies: Vec<Option<(StatusCode, Bytes)>>,
}

/// Sends every document to one mode, with and without its length.
pub async fn each_once(address: SocketAddr, token: &str, documents: &[Document]) -> io::Result<Answers> {
    let mut client = Client::new(address, "each-once", token);
    let mut answers = Answers { statuses: BTreeMap::new(), bodies: Vec::new() };
    for document in documents {
        for framing in Framing::BOTH {
            let answer = match client.send(document, framing).await {
                Ok(answer) => Some((answer.status, answer.body)),
                // The answer to a body that is refused half-way may be lost with its connection.
                Err(error) if error.kind() == io::ErrorKind::Other => None,
                Err(error) => return Err(error),
            };
            if let Some((status, _)) = &answer {
                *answers.statuses.entry(*status).or_default() += 1;
            }
            answers.bodies.push(answer);
        }
    }
    Ok(answers)
}

/// An answer that has not come by then does not come.
const SILENCE: Duration = Duration::from_secs(3);

/// A request that must be refused in a certain way.
pub struct Refusal {
    pub what: &'static str,
    pub expected: u16,
    pub got: Option<u16>,
    /// A part of the answer's body that must be there.
    pub says: &'static str,
    pub said: bool,
}

impl Refusal {
    pub fn is_right(&self) -> bool {
        self.got == Some(self.expected) && self.said
    }
}

/// Tries what must be refused, over bare sockets: a proper client would not even send some of it.
pub async fn refusals(address: SocketAddr, settings: &Settings) -> io::Result<Vec<Refusal>> {
    let length = "content-length";
    let beyond = settings.body_limit as u64 + 1;
    let right = format!("authorization: Bearer {}\r\n", settings.token);
    let wrong = format!("authorization: Bearer {}x\r\n", settings.token);
    let broken = "{\"a\": [1,\n 2,]}";
    // One piece after the other, for ever if need be: the service has to end it.
    let endless = format!("{:x}\r\n{}\r\n", 65536, " ".repeat(65536));
    let cases = [
        ("no token", 401, "no bearer token", format!("{length}: 2\r\n\r\n{{}}"), None),
        ("a wrong token", 401, "token is wrong", format!("{wrong}{length}: 2\r\n\r\n{{}}"), None),
        ("an empty body", 400, "\"line\":1", format!("{right}{length}: 0\r\n\r\n"), None),
        (
            "broken JSON",
            400,
            "\"line\":2,\"column\":4",
            format!("{right}{length}: {}\r\n\r\n{broken}", broken.len()),
            None,
        ),
        (
            "a claim beyond the limit, 10 bytes sent",
            413,
            "limit",
            format!("{right}{length}: {beyond}\r\n\r\n[1, 2, 3, "),
            None,
        ),
        ("chunks beyond the limit", 413, "limit", format!("{right}transfer-encoding: chunked\r\n\r\n"), Some(endless)),
    ];
    let mut refusals = Vec::new();
    for (what, expected, says, rest, more) in cases {
        let head = format!("POST /ingest HTTP/1.1\r\nhost: localhost\r\nx-client: conduct\r\n{rest}");
        let answer = converse(address, &head, more, says).await?;
        let got = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        refusals.push(Refusal { what, expected, got, says, said: answer.contains(says) });
    }
    Ok(refusals)
}

/// Sends `head`, then `more` again and again until there is an answer. Gives the answer up to and with `says`, or what
/// there was of it before the connection ended or fell silent.
async fn converse(address: SocketAddr, head: &str, more: Option<String>, says: &str) -> io::Result<String> {
    let (mut input, mut output) = TcpStream::connect(address).await?.into_split();
    output.write_all(head.as_bytes()).await?;
    let sending = tokio::spawn(async move {
        while let Some(more) = &more {
            if output.write_all(more.as_bytes()).await.is_err() {
                break;
            }
        }
        output
    });
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(says) {
        match tokio::time::timeout(SILENCE, input.read_buf(&mut answer)).await {
            Ok(Ok(1..)) => {}
            _ => break,
        }
    }
    sending.abort();
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// How many uploads are cut off.
pub const ABORTED: usize = 40;

/// Begins uploads and goes away in the middle of them: with and without length, politely (FIN) and not (RST).
pub async fn abort_uploads(address: SocketAddr, token: &str, document: &[u8]) -> io::Result<()> {
    for number in 0..ABORTED {
        let mut socket = TcpStream::connect(address).await?;
        let half = &document[..document.len() / 2];
        let framing = match number % 2 {
            0 => format!("content-length: {}\r\n\r\n", document.len().max(2)),
            _ => format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", document.len().max(2)),
        };
        let head = format!("POST /ingest HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{framing}");
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(half).await?;
        // Long enough for most to be in the hands of the handler when it ends.
        tokio::time::sleep(Duration::from_millis(3)).await;
        if number % 4 < 2 {
            socket.shutdown().await?;
        } else {
            socket.set_zero_linger()?;
        }
    }
    Ok(())
}
