//! Serves the host's settings over a Unix socket.

use apiserver::{Config, start};
use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Serves the host's settings over a Unix socket
#[derive(Parser)]
#[command(name = "apiserver", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    /// Folder of the datastore
    #[arg(long, value_name = "DIR", default_value = "/var/lib/bottlerocket/datastore/current")]
    datastore_path: PathBuf,

    /// Where to listen
    #[arg(long, value_name = "FILE", default_value = wire::routes::SOCKET)]
    socket_path: PathBuf,

    /// Group that may use the socket, by number
    #[arg(long, value_name = "GID")]
    socket_gid: Option<u32>,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
        let config = Config {
            datastore_path: self.datastore_path,
            socket_path: self.socket_path,
            socket_gid: self.socket_gid,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(start(host, config))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
