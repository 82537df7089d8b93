//! Commits a pending transaction.

use crate::api::{Socket, with_client};
use apiclient::ClientError;
use host::Host;
use std::error::Error;
use std::process::ExitCode;
use wire::routes;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    socket: Socket,

    /// The transaction
    #[arg(long, value_name = "NAME", default_value = routes::LAUNCH_TRANSACTION)]
    transaction: String,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let query = format!("tx={}", apiclient::encode_query(&args.transaction));
    with_client(host, &args.socket, |client| async move {
        match client.commit(routes::TX_COMMIT, &query).await {
            Ok(committed) => {
                tracing::info!(commit = committed.commit, keys = committed.keys.len(), "committed");
            }
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 422 => {
                tracing::info!("nothing was pending");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    })
}
