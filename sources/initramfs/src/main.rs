//! The program `/init` of the initramfs; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Anywhere else it would mount over the developer's machine and then restart it.
    if std::process::id() != 1 {
        eprintln!("init: this is the first program of a host's boot; it runs only as process 1");
        return ExitCode::FAILURE;
    }
    initramfs::boot::run();
    ExitCode::FAILURE
}
