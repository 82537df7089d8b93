//! What builds tell the front that started them, past Cargo, which shows no output of build scripts.
//!
//! The front listens at a Unix datagram socket and names it in [`VARIABLE`]; each build sends a few datagrams, one
//! event each. That needs no terminal, mixes no lines of builds that run side by side, and a build that nobody
//! listens to goes on all the same.

use serde::{Deserialize, Serialize};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment variable that names the socket.
pub const VARIABLE: &str = "BUILDSYS_PROGRESS";

/// Largest event, in bytes: the text of an error with the tail of a log fits.
const EVENT_BYTES: usize = 64 * 1024;

/// Something that happened to a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What is built: `systemd`, or `image metal-dev`.
    pub name: String,
    /// What happened to it.
    pub what: What,
}

/// What can happen to a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Its inputs are those of last time: nothing had to be done.
    Unchanged,
    /// Docker builds it.
    Started,
    /// It is built, after so long.
    Finished(Duration),
    /// It could not be built, for this reason.
    Failed(String),
}

/// Tells the front; without one nobody is told.
pub fn tell(socket: Option<&Path>, event: &Event) {
    let Some(socket) = socket else { return };
    let mut event = event.clone();
    if let What::Failed(text) = &mut event.what {
        *text = tail(text, EVENT_BYTES / 4).to_owned();
    }
    let text = serde_json::to_vec(&event).expect("an event is JSON");
    // A front that is gone has nobody left to show the event to; the build is not the worse for it.
    let _ = UnixDatagram::unbound().and_then(|sender| sender.send_to(&text, socket));
}

/// The end of a text, at most so many bytes of it.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let start = text.len().saturating_sub(bytes);
    let start = (start..=text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    &text[start..]
}

/// The front's end.
#[derive(Debug)]
pub struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Listener {
    /// Listens at a socket in the folder, which must be an own one with a short path.
    pub fn bind(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("progress");
        Ok(Self { socket: UnixDatagram::bind(&path)?, path })
    }

    /// Where builds find it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next event, if one comes within the time.
    pub fn next(&self, wait: Duration) -> std::io::Result<Option<Event>> {
        self.socket.set_read_timeout(Some(wait))?;
        let mut bytes = vec![0; EVENT_BYTES];
        match self.socket.recv(&mut bytes) {
            Ok(read) => Ok(serde_json::from_slice(&bytes[..read]).ok()),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_arrive_in_order_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::bind(folder.path()).unwrap();
        let long = "ä".repeat(EVENT_BYTES);
        let whats = [What::Started, What::Finished(Duration::from_millis(1500)), What::Unchanged];
        for what in whats.iter().cloned().chain([What::Failed(long)]) {
            tell(Some(listener.path()), &Event { name: "a".into(), what });
        }
        for what in whats {
            let event = listener.next(Duration::from_secs(5)).unwrap();
            assert_eq!(event, Some(Event { name: "a".into(), what }));
        }
        let Some(Event { what: What::Failed(text), .. }) = listener.next(Duration::from_secs(5)).unwrap()
        else {
            panic!("a failure was sent")
        };
        assert!(text.ends_with('ä') && text.len() <= EVENT_BYTES / 4, "{}", text.len());
        assert_eq!(listener.next(Duration::from_millis(1)).unwrap(), None);
    }

    #[test]
    fn a_build_goes_on_where_nobody_listens() {
        let event = Event { name: "a".into(), what: What::Started };
        tell(None, &event);
        tell(Some(Path::new("/nonexistent/progress")), &event);
    }
}
