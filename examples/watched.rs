//! A request that takes sixteen values, over and over, for counting instructions: what it costs to watch them.
//!
//! As `examples/request.rs`: two runs of different length under callgrind, and their difference.
//!
//! ```sh
//! cargo build --release --example watched
//! for way in plain tagged sampled both; do for requests in 10000 20000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/watched $way $requests 2>&1 | grep Collected
//! done; done
//! ```
//!
//! `plain` is without a detector and without a tag; in `tagged` one interceptor takes two of the sixteen under its name, and
//! `all` takes all of them under a name; `sampled` and `both` have a detector.

use ebbtide::observe::{LeakDetector, tagged};
use ebbtide::request::with_current;
use ebbtide::{BufferPool, Pool, Scopes};
use std::hint::black_box;

const VALUES: usize = 16;
/// Of these, those that are taken under a name.
const TAGGED: usize = 2;

struct Pools {
    scopes: Scopes,
    texts: Pool<String>,
    buffers: BufferPool,
}

/// Takes so many values, in turn of both pools, and fills each a little.
fn take(pools: &Pools, values: usize) {
    for value in 0..values {
        if value % 2 == 0 {
            pools.texts.get().push_str(black_box("sixteen bytes ok"));
        } else {
            pools.buffers.get(black_box(512)).extend_from_slice(black_box(b"sixteen bytes ok"));
        }
    }
}

fn request(pools: &Pools, under_a_name: usize) {
    let request = pools.scopes.begin();
    with_current(&mut Some(request.handle()), || {
        if under_a_name > 0 {
            tagged("interceptor", || take(pools, under_a_name));
        }
        take(pools, VALUES - under_a_name);
    });
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "plain".to_owned());
    let requests: u64 = arguments.next().and_then(|requests| requests.parse().ok()).unwrap_or(1000);
    let pools = Pools { scopes: Scopes::new(), texts: Pool::new(String::new), buffers: BufferPool::new() };
    let _leaks = matches!(way.as_str(), "sampled" | "both").then(LeakDetector::new);
    let under_a_name = match way.as_str() {
        "tagged" | "both" => TAGGED,
        "all" => VALUES,
        _ => 0,
    };
    (0..requests).for_each(|_| request(&pools, under_a_name));
}
