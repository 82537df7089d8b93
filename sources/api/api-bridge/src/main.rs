//! The guest's end: connects what comes through the virtual machine's port to the API socket.

use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Connects what comes through a virtual machine's port to the API socket
#[derive(Parser)]
#[command(name = "api-bridge", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    /// The port: a character device, or a Unix socket that plays one; looked for by its name where none is given
    #[arg(long, value_name = "FILE")]
    port: Option<PathBuf>,

    /// The API socket
    #[arg(long, value_name = "FILE", default_value = wire::routes::SOCKET)]
    socket_path: PathBuf,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(api_bridge::serve(host, self.port.as_deref(), &self.socket_path))? {}
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
