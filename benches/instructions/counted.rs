//! Instructions of what is promised in them: the loops of the examples, each a thousand times, after a thousand that do not count.
//!
//! `./run` starts it. The figures are of a thousand pairs, allocations or requests; `benches/promises` divides them.

#![allow(missing_docs)] // gungraun's macros say nothing of what they make.

#[allow(dead_code)]
#[path = "../../examples/buffer_pair.rs"]
mod buffer_pair;
#[allow(dead_code)]
#[path = "../../examples/bump.rs"]
mod bump;
#[allow(dead_code)]
#[path = "../../examples/chain.rs"]
mod chain;
#[allow(dead_code)]
#[path = "../../examples/pair.rs"]
mod pair;
#[allow(dead_code)]
#[path = "../../examples/porch.rs"]
mod porch;
#[allow(dead_code)]
#[path = "../../examples/request.rs"]
mod request;

use gungraun::prelude::*;
use gungraun::{Callgrind, library_benchmark, library_benchmark_group, main};

/// Pairs, allocations or requests that are counted, and before them as many that are not.
const LENGTH: u64 = 1000;

/// What does so many of them.
type Loop = Box<dyn FnMut(u64)>;

/// A loop in its steady state.
fn steady(mut run: Loop) -> Loop {
    run(LENGTH);
    run
}

/// The loop comes back so that its end does not count.
#[inline(always)]
fn counted(mut run: Loop) -> Loop {
    run(LENGTH);
    run
}

#[library_benchmark]
#[bench::stack(steady(pair::pairs("stack")))]
#[bench::ebbtide(steady(pair::pairs("pool")))]
fn vector(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::stack(steady(pair::pairs("object_stack")))]
#[bench::ebbtide(steady(pair::pairs("object")))]
fn object(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::stack(steady(buffer_pair::pairs("stack")))]
#[bench::ebbtide(steady(buffer_pair::pairs("fill")))]
fn buffer(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::bumpalo(steady(bump::allocations("bump", "value")))]
#[bench::ebbtide(steady(bump::allocations("arena", "value")))]
fn value(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::bumpalo(steady(bump::allocations("bump", "text")))]
#[bench::ebbtide(steady(bump::allocations("arena", "text")))]
fn text(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::nothing(steady(request::requests("nothing")))]
#[bench::empty(steady(request::requests("empty")))]
fn begun(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::none(steady(chain::requests("none")))]
#[bench::five(steady(chain::requests("five")))]
fn intercepted(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::values_0(steady(porch::requests("bare", 0)))]
#[bench::values_16(steady(porch::requests("bare", 16)))]
#[bench::values_100(steady(porch::requests("bare", 100)))]
fn bare(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::values_0(steady(porch::requests("guard", 0)))]
#[bench::values_16(steady(porch::requests("guard", 16)))]
#[bench::values_100(steady(porch::requests("guard", 100)))]
fn guard(run: Loop) -> Loop {
    counted(run)
}

#[library_benchmark]
#[bench::values_0(steady(porch::requests("wrapped", 0)))]
#[bench::values_16(steady(porch::requests("wrapped", 16)))]
#[bench::values_100(steady(porch::requests("wrapped", 100)))]
fn wrapped(run: Loop) -> Loop {
    counted(run)
}

library_benchmark_group!(name = pool; benchmarks = vector, object, buffer);
library_benchmark_group!(name = arena; benchmarks = value, text);
library_benchmark_group!(name = requests; benchmarks = begun, intercepted);
library_benchmark_group!(name = hyper; benchmarks = bare, guard, wrapped);
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
    library_benchmark_groups = pool, arena, requests, hyper
);
