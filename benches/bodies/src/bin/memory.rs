//! `--help` tells what it measures.

fn main() -> std::process::ExitCode {
    ebbtide_bodies::memory::main()
}
