//! The developer's end of the API port: a socket in the machine's folder.

use super::record::Record;
use api_bridge::{Link, Role};
use std::io::Result;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// How long a wait of a thread that only watches may take before it looks whether the machine is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Serves connections to `clients` through QEMU's end of the port, in threads that end with the machine. `life` is
/// this end's number.
pub(crate) fn serve(port: UnixStream, clients: UnixListener, record: Record, life: u32) -> Result<()> {
    port.set_nonblocking(true)?;
    clients.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let link = Link::new(Role::Opener, life);
    let watched = link.clone();
    std::thread::spawn(move || watch(&record, &watched));
    std::thread::spawn(move || {
        let served = runtime.block_on(async {
            let port = tokio::net::UnixStream::from_std(port)?;
            let clients = tokio::net::UnixListener::from_std(clients)?;
            tokio::select! {
                ended = link.run(port) => ended,
                Err(failed) = api_bridge::listen(&link, &clients) => Err(failed),
            }
        });
        if let Err(error) = served {
            // It is gone with QEMU, whose end the record tells.
            tracing::debug!(%error, "the API port has ended");
        }
    });
    Ok(())
}

/// Tells the link when the guest has closed the port: a reset of the machine does that too, and the guest itself
/// cannot say it any more.
fn watch(record: &Record, link: &Link) {
    let mut was_open = false;
    while record.look(|seen| seen.ended.is_none()) {
        let changed = record.wait(LOOK_AGAIN, |seen| {
            (seen.is_port_open != was_open || seen.ended.is_some()).then_some(seen.is_port_open)
        });
        if changed == Some(false) && was_open {
            link.forget_peer();
        }
        was_open = changed.unwrap_or(was_open);
    }
}
