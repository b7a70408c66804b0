//! A child whose allocations are counted, on the system's allocator.

use ebbtide::bench::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn main() -> std::process::ExitCode {
    ebbtide_bodies::child::main()
}
