//! A child on the system's allocator.

fn main() -> std::process::ExitCode {
    ebbtide_bodies::child::main()
}
