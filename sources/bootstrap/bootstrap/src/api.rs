//! The API socket, as every verb uses it.

use apiclient::{Client, ClientError};
use host::Host;
use serde_json::json;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use wire::routes;

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

/// Switches off what has run the one time it was to run, and applies that.
pub(crate) async fn switch_off(client: &Client, group: &str, name: &str) -> Result<(), ClientError> {
    let transaction = format!("tx={}", apiclient::encode_query(&format!("{group}-{name}")));
    client.patch_settings(&transaction, &json!({group: {name: {"mode": "off"}}})).await?;
    client.commit(routes::TX_COMMIT_AND_APPLY, &transaction).await.map(drop)
}
