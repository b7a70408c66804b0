//! The allocator under a bench: glibc's, unless `--cfg ebbtide_alloc` names another. See `README.md` here.

#[cfg(ebbtide_alloc = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(ebbtide_alloc = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
