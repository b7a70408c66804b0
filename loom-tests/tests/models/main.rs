//! The models. Each is a test with the name that it prints and that `mutants` knows it by.

#[cfg(loom)]
mod audit;
#[cfg(loom)]
mod budget;
#[cfg(loom)]
mod census;
#[cfg(loom)]
mod counts;
#[cfg(loom)]
mod depot;
#[cfg(loom)]
mod gate;
#[cfg(loom)]
mod lanes;
#[cfg(loom)]
mod magazines;
#[cfg(loom)]
mod shared;
#[cfg(loom)]
mod slot;
#[cfg(loom)]
mod tiers;

#[cfg(loom)]
#[global_allocator]
static OVERWRITING: loom_tests::Overwriting = loom_tests::Overwriting;

#[cfg(not(loom))]
#[test]
#[ignore = "NO MODEL RAN: set RUSTFLAGS=\"--cfg loom\""]
fn no_model_ran() {
    panic!("NO MODEL RAN: set RUSTFLAGS=\"--cfg loom\"");
}
