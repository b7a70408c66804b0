//! The parent: load on both servers by turns, and what came of it.

use crate::serve::SIZES;
use crate::{OURS, THEIRS, json};
use bytes::Bytes;
use ebbtide::bench::{Interval, median};
use flate2::read::GzDecoder;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Connections to each server. They are kept.
const CONNECTIONS: usize = 4;
const ENCODINGS: [&str; 2] = ["gzip", "zstd"];
/// Fewer rounds say nothing.
const FEWEST: usize = 15;

/// What is asked for.
struct Wish {
    rounds: usize,
    /// Of each server in each round.
    span: Duration,
}

impl Wish {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let mut wish = Self { rounds: 31, span: Duration::from_millis(200) };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => wish = Self { rounds: FEWEST, span: Duration::from_millis(40) },
                "--rounds" => wish.rounds = arguments.next().ok_or("--rounds wants a number")?.parse()?,
                other => return Err(format!("{other} is not known: [--quick] [--rounds N]").into()),
            }
        }
        if wish.rounds < FEWEST { Err(format!("fewer than {FEWEST} rounds say nothing").into()) } else { Ok(wish) }
    }
}

/// Prints requests a second and processor time of both, and the promise that is made of them.
pub(crate) async fn compare(arguments: &[String]) -> Outcome<()> {
    let wish = Wish::read(arguments)?;
    let (mut ours, mut theirs) = (Server::start(OURS).await?, Server::start(THEIRS).await?);
    println!("| response | requests/s, {OURS} / {THEIRS} | ratio | server's processor time, us | ratio |");
    println!("|---|---:|---:|---:|---:|");
    let mut promises = Vec::new();
    for encoding in ENCODINGS {
        for size in SIZES {
            let name = format!("{encoding}, {} KiB", size >> 10);
            for server in [&mut ours, &mut theirs] {
                server.check(encoding, size).await?;
            }
            let (mut our_turns, mut their_turns) = (Turns::default(), Turns::default());
            // The first round is the warm-up.
            for round in 0..=wish.rounds {
                let mut turns = [(&mut ours, &mut our_turns), (&mut theirs, &mut their_turns)];
                turns.rotate_left(round % 2);
                for (server, turns) in turns {
                    turns.note(round > 0, server.turn(encoding, size, wish.span).await?);
                }
            }
            promises.push((name.clone(), our_turns.print(&name, &their_turns)));
        }
    }
    println!("\n| promise | measured | |\n|---|---:|---|");
    for (name, ratio) in promises {
        let verdict = match ratio {
            Interval { low, .. } if low > 1.0 => "met",
            Interval { high, .. } if high < 1.0 => "**missed**",
            _ => "open: the interval holds the bar",
        };
        println!("| {name}: requests/s ahead of {THEIRS}'s over the loopback | {ratio} | {verdict} |");
    }
    Ok(())
}

/// What the turns of one server came to.
#[derive(Default)]
struct Turns {
    per_second: Vec<f64>,
    /// Microseconds of processor time for a request, where the system tells.
    processor: Vec<f64>,
}

impl Turns {
    fn note(&mut self, counts: bool, (per_second, processor): (f64, Option<f64>)) {
        if counts {
            self.per_second.push(per_second);
            self.processor.extend(processor);
        }
    }

    /// Returns the ratio of the requests a second.
    fn print(&self, name: &str, theirs: &Self) -> Interval {
        let ratio = Interval::of_ratios(&self.per_second, &theirs.per_second);
        let processor = Interval::of_ratios(&self.processor, &theirs.processor);
        let [ours_a_second, theirs_a_second, ours, theirs] =
            [&self.per_second, &theirs.per_second, &self.processor, &theirs.processor].map(|turns| median(turns));
        println!(
            "| {name} | {ours_a_second:.0} / {theirs_a_second:.0} | {ratio} | {ours:.1} / {theirs:.1} | {processor} |"
        );
        ratio
    }
}

type Connection = SendRequest<Empty<Bytes>>;

/// A server in a process of its own, killed when this is dropped.
struct Server {
    process: Child,
    connections: Vec<Connection>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    async fn start(way: &str) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let process = command.args(["child", way]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut server = Self { process, connections: Vec::new() };
        let mut line = String::new();
        BufReader::new(server.process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address: SocketAddr = line.trim().parse()?;
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            server.connections.push(sender);
        }
        Ok(server)
    }

    /// Whether the response is what was asked for.
    async fn check(&mut self, encoding: &str, size: usize) -> Outcome<()> {
        let answer = self.connections[0].send_request(request(encoding, size)).await?;
        if answer.headers().get(header::CONTENT_ENCODING).is_none_or(|value| value != encoding) {
            return Err(format!("not in {encoding}: {answer:?}").into());
        }
        let body = answer.into_body().collect().await?.to_bytes();
        let mut plain = Vec::with_capacity(2 * size);
        match encoding {
            "gzip" => _ = GzDecoder::new(&*body).read_to_end(&mut plain)?,
            _ => _ = zstd_safe::decompress(&mut plain, &body).map_err(zstd_safe::get_error_name)?,
        }
        if plain == json(size) { Ok(()) } else { Err(format!("{size} bytes by {encoding} are others").into()) }
    }

    /// Lets all connections ask for `span`. Requests a second, and microseconds of the server's processor time for one.
    async fn turn(&mut self, encoding: &'static str, size: usize, span: Duration) -> Outcome<(f64, Option<f64>)> {
        let (before, began) = (self.processor(), Instant::now());
        let asked: Vec<_> =
            self.connections.drain(..).map(|one| tokio::spawn(ask(one, encoding, size, span))).collect();
        let mut requests = 0;
        for asked in asked {
            let (connection, sent) = asked.await??;
            self.connections.push(connection);
            requests += sent;
        }
        let (requests, took) = (f64::from(requests), began.elapsed());
        let processor = self.processor().zip(before).map(|(after, before)| (after - before) / requests);
        Ok((requests / took.as_secs_f64(), processor))
    }

    /// Microseconds that the server's one thread had a processor, where the system tells.
    fn processor(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.process.id())).ok()?;
        let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
        Some(nanoseconds / 1000.0)
    }
}

fn request(encoding: &str, size: usize) -> Request<Empty<Bytes>> {
    let request =
        Request::get(format!("/{size}")).header(header::HOST, "test").header(header::ACCEPT_ENCODING, encoding);
    request.body(Empty::new()).expect("a request")
}

async fn ask(
    mut connection: Connection,
    encoding: &'static str,
    size: usize,
    span: Duration,
) -> Outcome<(Connection, u32)> {
    let (began, mut sent) = (Instant::now(), 0);
    while began.elapsed() < span {
        let mut body = connection.send_request(request(encoding, size)).await?.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        sent += 1;
    }
    Ok((connection, sent))
}
