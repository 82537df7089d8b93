//! The steps of an update, one verb each. Every verb is also a command of its own, through a link to this program.

fn main() -> std::process::ExitCode {
    updater::main()
}
