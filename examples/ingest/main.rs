//! `ingest`: a JSON service in three modes, and a demonstration that drives and compares them. `--help` tells the rest.
//!
//! | file | subject |
//! |---|---|
//! | `summary`, `table`, `memory`, `answer` | the work of a request: one walk over a document, the same in every mode |
//! | `interceptors` | access log, token check, quota |
//! | `plain`, `pooled` | the modes: who owns body, summary, states and response |
//! | `serve`, `child`, `allocator` | a service on a socket; one in a process of its own, with a heap that counts |
//! | `documents`, `client`, `load`, `conduct`, `trickle` | what is sent, and how |
//! | `report`, `demonstrate`, `cli` | what is made of it |

// `pub` here says what other files of the example may use; nothing outside can reach any of it.
#![allow(unreachable_pub)]

mod allocator;
mod answer;
mod child;
mod cli;
mod client;
mod conduct;
mod copied;
mod demonstrate;
mod documents;
mod interceptors;
mod load;
mod memory;
mod plain;
mod pooled;
mod report;
mod serve;
mod summary;
mod table;
mod trickle;

use cli::Wish;
use ebbtide::observe::{Console, LeakDetector, Monitor, Sampling};
use serve::{Ledger, Mode, Settings};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let outcome = match cli::wish() {
        Ok(wish) => fulfil(wish),
        Err(error) => {
            eprintln!("ingest: {error}; `--help` explains everything");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ingest: {error}");
            ExitCode::from(2)
        }
    }
}

/// False if something is still out or did not behave.
fn fulfil(wish: Wish) -> io::Result<bool> {
    match wish {
        Wish::Help => {
            print!("{}", cli::HELP);
            Ok(true)
        }
        // One thread for all clients leaves most of the machine to the service.
        Wish::Demonstrate(wish) => {
            Builder::new_current_thread().enable_all().build()?.block_on(demonstrate::run(&wish))
        }
        Wish::Child { mode, settings } => Runtime::new()?.block_on(child::run(mode, &settings)).map(|()| true),
        Wish::Serve { mode, listen, console, settings } => serve(mode, listen, console, &settings),
    }
}

/// Serves until a signal, then says what is still out.
fn serve(mode: Mode, listen: SocketAddr, console: Option<SocketAddr>, settings: &Settings) -> io::Result<bool> {
    let runtime = Runtime::new()?;
    let entered = runtime.enter();
    let (router, ledger) = serve::router(mode, settings);
    drop(entered);
    let report = runtime.block_on(async {
        let listener = bound(listen).await?;
        greet(mode, listener.local_addr()?, settings);
        let watching = match console {
            Some(address) => Some(watch(bound(address).await?)?),
            None => None,
        };
        let report = serve::run(listener, router, &ledger, signalled()).await;
        drop(watching);
        report
    })?;
    println!("{report}");
    Ok(settle(&ledger) && report.is_clean())
}

async fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    TcpListener::bind(address).await.map_err(named)
}

/// Serves the console, and watches until the handle is dropped.
fn watch(listener: TcpListener) -> io::Result<Sampling> {
    println!("the console is on http://{}/debug/ebbtide", listener.local_addr()?);
    let leaks = Arc::new(LeakDetector::new());
    let monitor = Monitor::builder().leaks(Arc::clone(&leaks)).build().map_err(io::Error::other)?;
    let console = Console::new().monitor(&monitor).leaks(leaks).router();
    tokio::spawn(async move { axum::serve(listener, console).await });
    Ok(monitor.sample_every(Monitor::PERIOD))
}

fn greet(mode: Mode, address: SocketAddr, settings: &Settings) {
    println!("{} listens on http://{address}; Ctrl-C stops it. Try:", mode.name());
    println!("  curl -H 'authorization: Bearer {}' --data-binary @file.json http://{address}/ingest", settings.token);
}

async fn signalled() {
    ebbtide::tokio::terminated().await;
    println!("stopping ..");
}

/// Names what is still out. True if nothing is.
fn settle(ledger: &Ledger) -> bool {
    let outstanding = ledger.outstanding();
    for number in &outstanding {
        println!("{} {}", number.out, number.what);
    }
    outstanding.iter().all(|number| number.out == 0)
}
