//! The guest's end.

use crate::port::{PORT, Port, PortError, find};
use crate::{Link, Role, Stream};
use host::Host;
use rustix::rand::{GetRandomFlags, getrandom};
use snafu::{ResultExt, Snafu};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// How long to wait before the port is looked for or opened again: nobody may be at its other end yet.
const PAUSE: Duration = Duration::from_millis(250);

/// A guest's end that cannot work.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum GuestError {
    #[snafu(display("draw a number for this life"))]
    Random { source: std::io::Error },
}

/// Serves the port for as long as the program runs: waits for it, opens it, connects every stream that comes
/// through it to the API socket, and starts again when it ends.
pub async fn serve(host: &Host, port: Option<&Path>, socket: &Path) -> Result<Infallible, GuestError> {
    let socket = host.path(socket);
    let mut told = String::new();
    loop {
        let ended = match open(host, port).await {
            Ok(Some((path, port))) => {
                tracing::info!(port = %path.display(), "serving the API");
                told.clear();
                session(port, &socket).await?
            }
            Ok(None) => format!("this machine has no port '{PORT}' yet"),
            Err(error) => host::program::chain(&error),
        };
        // Each reason once, not four times a second.
        if told != ended {
            tracing::info!(reason = %ended, "waiting for the port");
            told = ended;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(host: &Host, port: Option<&Path>) -> Result<Option<(PathBuf, Port)>, PortError> {
    let Some(path) = port.map(Path::to_owned).map_or_else(|| find(host), |path| Ok(Some(path)))? else {
        return Ok(None);
    };
    let port = Port::open(&path).await?;
    Ok(Some((path, port)))
}

/// Serves an open port until it ends; gives the reason. Every session is a life of its own.
async fn session(port: Port, socket: &Path) -> Result<String, GuestError> {
    let link = Link::new(Role::Acceptor, life().context(RandomSnafu)?);
    let accepting = async {
        let mut streams = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                stream = link.accept() => {
                    streams.spawn(connect(stream, socket.to_owned()));
                }
                Some(_) = streams.join_next() => {}
            }
        }
    };
    tokio::select! {
        ended = link.run(port) => Ok(ended.map_or_else(|e| e.to_string(), |()| "the port has ended".to_owned())),
        () = accepting => Ok(String::new()),
    }
}

/// Connects a stream to the API; where nobody listens, the stream ends and the client sees that.
async fn connect(stream: Stream, socket: PathBuf) {
    let carried = async { stream.carry(UnixStream::connect(&socket).await?).await };
    if let Err(error) = carried.await {
        tracing::debug!(%error, socket = %socket.display(), "a connection ended early");
    }
}

/// A random number for a life.
fn life() -> std::io::Result<u32> {
    let mut number = [0; 4];
    getrandom(&mut number, GetRandomFlags::empty())?;
    Ok(u32::from_le_bytes(number))
}
