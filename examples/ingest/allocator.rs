//! The allocator below the counting one: the system's, unless `--cfg ebbtide_alloc` names another, as under the benches.

use ebbtide::bench::CountingAllocator;

#[cfg(not(any(ebbtide_alloc = "mimalloc", ebbtide_alloc = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[cfg(ebbtide_alloc = "mimalloc")]
#[global_allocator]
static ALLOCATOR: CountingAllocator<mimalloc::MiMalloc> = CountingAllocator::over(mimalloc::MiMalloc);

#[cfg(ebbtide_alloc = "jemalloc")]
#[global_allocator]
static ALLOCATOR: CountingAllocator<tikv_jemallocator::Jemalloc> = CountingAllocator::over(tikv_jemallocator::Jemalloc);
