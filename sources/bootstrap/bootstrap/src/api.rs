//! The API socket, as every verb uses it.

use apiclient::Client;
use host::Host;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the server listens.
#[derive(clap::Args)]
pub(crate) struct Socket {
    /// Socket of the API server
    #[arg(long, visible_alias = "api-socket", value_name = "FILE", default_value = wire::routes::SOCKET)]
    pub(crate) socket_path: PathBuf,
}

/// Runs a verb that talks to the server.
pub(crate) fn with_client<F>(
    host: &Host,
    socket: &Socket,
    verb: impl FnOnce(Client) -> F,
) -> Result<ExitCode, Box<dyn Error>>
where
    F: Future<Output = Result<ExitCode, Box<dyn Error>>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(verb(Client::new(host.path(&socket.socket_path))))
}
