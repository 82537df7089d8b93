//! Who is at the other end of a connection.

use datastore::Author;
use tokio::net::UnixStream;

/// The process at the other end, as the kernel names it (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its process id; 0 where the kernel does not say.
    pub pid: i32,
}

impl Peer {
    /// The peer of a connection.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid().unwrap_or(0) })
    }

    /// The server itself.
    pub fn own() -> Self {
        Self {
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            pid: std::process::id().cast_signed(),
        }
    }

    /// Whether it is root or runs as the server does: a step of the boot rather than a user.
    pub fn is_privileged(self) -> bool {
        self.uid == 0 || self.uid == rustix::process::getuid().as_raw()
    }

    /// The peer as the author of a commit. Its program is asked for by process id; a peer that has gone is
    /// nameless.
    pub fn author(self) -> Author {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid));
        let program = name.map(|name| name.trim_end().to_owned()).unwrap_or_default();
        Author { uid: self.uid, pid: self.pid, program }
    }
}
