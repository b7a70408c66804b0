//! One request through a chain of interceptors, over and over, for counting instructions.
//!
//! As `examples/request.rs`: two runs of different length under callgrind, and their difference.
//!
//! ```sh
//! cargo build --release --example chain
//! for way in scope none five idle dyn around; do for requests in 1000 2000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/chain $way $requests 2>&1 | grep Collected
//! done; done
//! ```

use ebbtide::intercept::Next;
use ebbtide::{Around, Chain, DynChain, Interceptor, Reset, Scope, Scopes, Verdict};
use std::convert::Infallible;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Context, Waker};

/// Counts in its state.
struct Count;

impl Interceptor<u64, u64> for Count {
    type State = Vec<u64>;

    fn before(&self, seen: &mut Vec<u64>, _: &Scope, request: &mut u64) -> ControlFlow<u64> {
        seen.push(*request);
        ControlFlow::Continue(())
    }

    fn after(&self, seen: &mut Vec<u64>, _: &Scope, response: &mut u64) {
        *response += seen.len() as u64;
    }
}

impl Around<u64, u64> for Count {
    type State = Vec<u64>;

    async fn around<N: Next<u64, u64>>(
        &self,
        seen: &mut Vec<u64>,
        _: &Scope,
        request: u64,
        next: N,
    ) -> Result<u64, N::Error> {
        seen.push(request);
        Ok(next.run(request).await? + seen.len() as u64)
    }
}

/// The least state there is.
#[derive(Default)]
struct Mark(u64);

impl Reset for Mark {
    fn reset(&mut self) -> Verdict {
        self.0 = 0;
        Verdict::Keep
    }
}

/// Does the least that an interceptor with a state can do.
struct Idle;

impl Interceptor<u64, u64> for Idle {
    type State = Mark;

    fn before(&self, mark: &mut Mark, _: &Scope, request: &mut u64) -> ControlFlow<u64> {
        mark.0 = *request;
        ControlFlow::Continue(())
    }
}

async fn handler(request: u64) -> Result<u64, Infallible> {
    Ok(black_box(request))
}

/// What does so many requests in this way.
pub(crate) fn requests(way: &str) -> Box<dyn FnMut(u64)> {
    let none = Chain::new().runner::<u64, u64>();
    let five = Chain::new().with(Count).with(Count).with(Count).with(Count).with(Count).runner();
    let idle = Chain::new().with(Idle).with(Idle).with(Idle).with(Idle).with(Idle).runner();
    let around = Chain::new().with_around(Count).with_around(Count).with_around(Count);
    let around = around.with_around(Count).with_around(Count).around_runner();
    let mut chosen = DynChain::default();
    (0..5).for_each(|_| _ = chosen.push(Count));
    let chosen = chosen.runner();
    let one: Box<dyn Fn(Scope) -> u64> = match way {
        "scope" => Box::new(|_| black_box(7)),
        "none" => Box::new(move |scope| none.run(&scope, black_box(7), black_box)),
        "five" => Box::new(move |scope| five.run(&scope, black_box(7), black_box)),
        "idle" => Box::new(move |scope| idle.run(&scope, black_box(7), black_box)),
        "dyn" => Box::new(move |scope| chosen.run(&scope, black_box(7), black_box)),
        _ => Box::new(move |scope| {
            let answer = pin!(around.run(scope, black_box(7), handler)).poll(&mut Context::from_waker(Waker::noop()));
            u64::from(answer.is_ready())
        }),
    };
    let scopes = Scopes::new();
    Box::new(move |requests| {
        for _ in 0..requests {
            let request = scopes.begin();
            black_box(one(request.scope()));
        }
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "five".to_owned());
    requests(&way)(arguments.next().and_then(|requests| requests.parse().ok()).unwrap_or(1000));
}
