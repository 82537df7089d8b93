//! The developer's end: connections to a socket become streams.

use crate::Link;
use std::convert::Infallible;
use std::io::Result;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// Connects every client of a socket to a stream of its own, until the socket fails. Where the guest is not there, or
/// goes, a client sees the end of its connection.
pub async fn listen(link: &Link, clients: &UnixListener) -> Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            client = clients.accept() => {
                let (client, _) = client?;
                let link = link.clone();
                connections.spawn(async move {
                    let carried = async { link.open().await?.carry(client).await };
                    if let Err(error) = carried.await {
                        tracing::debug!(%error, "a connection to the guest ended early");
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
