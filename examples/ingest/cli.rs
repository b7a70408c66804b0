//! The command line.

use crate::documents::Input;
use crate::serve::{Mode, Settings};
use lexopt::prelude::{Long, Short, ValueExt};
use std::net::SocketAddr;
use std::time::Duration;

pub const HELP: &str = "\
ingest: an axum service that sums up JSON documents, three times over, to see what ebbtide changes.

    cargo run --release --example ingest                    the demonstration, under two minutes
    cargo run --release --example ingest -- --quick         the same in under 20 seconds, less exact
    cargo run --release --example ingest -- --serve ebbtide just the service, for curl or a load tool

Modes: `floor` reads and drops every frame and answers nothing; what it costs, any axum server costs. `plain` copies its
body's frames by hand and builds its summary in standard types. `ebbtide` does the same work in request memory that flows back.
`keeping` is plain with the body taken as axum's `Bytes` does; it appears in the scene with trickled uploads only.

The demonstration starts itself once for each mode, drives all three with real HTTP over loopback in interleaved rounds,
and prints a table, a scene with clients that trickle their uploads, the ledger of what is still out, and a verdict.
It ends with code 1 if anything is still out or an answer was not the expected one.

DEMONSTRATION
    --quick             fewer and shorter rounds
    --input PATH        send this JSON file, every file of this folder, or standard input (`-`); without it,
                        examples/data/metadata.json and pieces of it. Broken and empty files are sent as they are.
    --rounds N          interleaved rounds                                [15, quick: 5]
    --connections N     connections kept alive to each mode               [8]
    --quiet SECONDS     until memory is looked at, after the load and
                        after each scene                                  [5, quick: 1]

SERVICE
    --serve MODE        serve one mode until Ctrl-C or SIGTERM: floor, plain, keeping or ebbtide
    --listen ADDRESS    where                                             [127.0.0.1:3000]
    --console[=ADDRESS] who holds memory, to be looked at: pages, alarms, metrics and
                        profiles on a port of their own                   [127.0.0.1:9090]
                        Without --serve it serves ebbtide.

    POST /ingest takes a document, with or without Content-Length, and answers with its summary. Errors are JSON too:
    400 where the document is broken (line and column), 401 without the token, 413 beyond the limit (at once if the
    Content-Length says so, else when the limit is passed), 429 over the quota.

BOTH
    --token TOKEN       what `authorization: Bearer` must bring           [ebb-and-flow]
    --quota N           requests a minute for each `x-client` header      [10000000]
    --body-limit SIZE   largest body, such as 65536, 512K or 16M          [16M]
    --help              this text
";

/// What the user wants.
pub enum Wish {
    Help,
    Demonstrate(Demonstration),
    Serve {
        mode: Mode,
        listen: SocketAddr,
        console: Option<SocketAddr>,
        settings: Settings,
    },
    /// Hidden: what the demonstration starts.
    Child {
        mode: Mode,
        settings: Settings,
    },
}

/// How the demonstration is to be.
pub struct Demonstration {
    pub quick: bool,
    pub input: Input,
    pub rounds: usize,
    pub connections: usize,
    quiet: Option<u64>,
    pub settings: Settings,
}

impl Demonstration {
    /// How long a child is left alone before its memory is looked at.
    pub fn quiet(&self) -> Duration {
        Duration::from_secs(self.quiet.unwrap_or(if self.quick { 1 } else { 5 }))
    }
}

/// Reads the command line.
pub fn wish() -> Result<Wish, lexopt::Error> {
    let mut wanted = Wanted::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Wish::Help),
            Long("quick") => wanted.quick = true,
            Long("input") => wanted.input = input(arguments.value()?),
            Long("rounds") => wanted.rounds = Some(at_least_one(arguments.value()?)?),
            Long("connections") => wanted.connections = at_least_one(arguments.value()?)?,
            Long("quiet") => wanted.quiet = Some(arguments.value()?.parse()?),
            Long("serve") => wanted.serve = Some(arguments.value()?.parse()?),
            Long("child") => wanted.child = Some(arguments.value()?.parse()?),
            Long("console") => {
                let address = arguments.optional_value().map(|address| address.parse()).transpose()?;
                wanted.console = Some(address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9090))));
            }
            Long("listen") => wanted.listen = arguments.value()?.parse()?,
            Long("token") => wanted.settings.token = arguments.value()?.string()?,
            Long("quota") => wanted.settings.quota = arguments.value()?.parse()?,
            Long("body-limit") => wanted.settings.body_limit = arguments.value()?.parse_with(size)?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(wanted.into_wish())
}

/// The command line as it was found, over what holds without it.
struct Wanted {
    quick: bool,
    input: Input,
    rounds: Option<usize>,
    connections: usize,
    quiet: Option<u64>,
    serve: Option<Mode>,
    child: Option<Mode>,
    listen: SocketAddr,
    console: Option<SocketAddr>,
    settings: Settings,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            quick: false,
            input: Input::Own,
            rounds: None,
            connections: 8,
            quiet: None,
            serve: None,
            child: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            console: None,
            settings: Settings {
                body_limit: 16 << 20,
                quota: 10_000_000,
                token: "ebb-and-flow".to_owned(),
                show_log: false,
            },
        }
    }
}

impl Wanted {
    fn into_wish(self) -> Wish {
        let Self { quick, input, connections, quiet, listen, console, settings, .. } = self;
        if let Some(mode) = self.child {
            return Wish::Child { mode, settings };
        }
        // There is something to look at in a service only, so the console asks for one.
        if let Some(mode) = self.serve.or(console.map(|_| Mode::Ebbtide)) {
            return Wish::Serve { mode, listen, console, settings: Settings { show_log: true, ..settings } };
        }
        let rounds = self.rounds.unwrap_or(if quick { 5 } else { 15 });
        Wish::Demonstrate(Demonstration { quick, input, rounds, connections, quiet, settings })
    }
}

fn input(path: std::ffi::OsString) -> Input {
    if path == "-" { Input::Stdin } else { Input::Path(path.into()) }
}

fn at_least_one(value: std::ffi::OsString) -> Result<usize, lexopt::Error> {
    value.parse_with(|text| match text.parse::<usize>() {
        Ok(0) => Err("one at least".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    })
}

/// A number of bytes, with `K` or `M` for the binary thousands. Less than 2 GiB: summaries find texts by 32 bits, the body's and
/// copied ones.
fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    let bytes = number.checked_mul(unit).filter(|bytes| *bytes < 1 << 31);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| "less than 2048M".to_owned())
}
