//! The socket, and telling the service manager about it.

use rustix::fs::{Gid, Mode};
use snafu::{ResultExt, Snafu, ensure};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Names the socket of the service manager (`sd_notify(3)`).
const NOTIFY: &str = "NOTIFY_SOCKET";

/// A socket that could not be listened on.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ListenError {
    #[snafu(display("another server listens on {}", path.display()))]
    InUse { path: PathBuf },
    #[snafu(display("{} is in the way: it is not a socket", path.display()))]
    NotASocket { path: PathBuf },
    #[snafu(display("look at {}", path.display()))]
    Look { path: PathBuf, source: std::io::Error },
    #[snafu(display("listen on {}", path.display()))]
    Bind { path: PathBuf, source: std::io::Error },
    #[snafu(display("take over the socket of the service manager"))]
    Activation { source: std::io::Error },
}

/// The listening socket.
#[derive(Debug)]
pub(crate) enum Listening {
    /// The service manager opened it, and will keep it.
    Inherited(UnixListener),
    /// We made it, and its file.
    Own(UnixListener),
}

/// Listens on the socket that the service manager opened for us, else on a new one.
pub(crate) fn listen(path: &Path, gid: Option<u32>) -> Result<Listening, ListenError> {
    match listenfd::ListenFd::from_env().take_unix_listener(0).context(ActivationSnafu)? {
        Some(listener) => Ok(Listening::Inherited(listener)),
        None => open(path, gid).map(Listening::Own),
    }
}

/// Makes the socket. A file that a dead server left is replaced; a server that lives is left alone.
fn open(path: &Path, gid: Option<u32>) -> Result<UnixListener, ListenError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => {
            ensure!(found.file_type().is_socket(), NotASocketSnafu { path });
            ensure!(UnixStream::connect(path).is_err(), InUseSnafu { path });
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(ListenError::Look { path: path.into(), source }),
    }
    bind(path, gid).context(BindSnafu { path })
}

/// Binds in a folder that nobody else can look into and moves the socket to its place once its group and mode are
/// right, so that there is no moment at which others could connect.
fn bind(path: &Path, gid: Option<u32>) -> std::io::Result<UnixListener> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    let private = folder.join(format!(".api.{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let listener = bind_in(&private.join("s"), path, gid);
    // It is empty, or holds a socket that nobody listens on.
    drop(std::fs::remove_dir_all(&private));
    listener
}

fn bind_in(private: &Path, path: &Path, gid: Option<u32>) -> std::io::Result<UnixListener> {
    let listener = UnixListener::bind(private)?;
    rustix::fs::chown(private, None, gid.map(Gid::from_raw))?;
    rustix::fs::chmod(private, Mode::from_raw_mode(0o660))?;
    std::fs::rename(private, path)?;
    Ok(listener)
}

/// Tells the service manager something, if there is one that listens.
pub(crate) fn notify(state: &str) {
    let Some(socket) = std::env::var_os(NOTIFY) else { return };
    if let Err(error) = send(&socket.to_string_lossy(), state) {
        tracing::warn!(%error, state, "tell the service manager");
    }
}

fn send(socket: &str, state: &str) -> std::io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_socket_has_its_mode_and_replaces_only_a_dead_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/api.sock");
        let first = open(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        assert!(matches!(open(&path, None), Err(ListenError::InUse { .. })));
        drop(first);
        assert!(path.exists(), "a dead server leaves its socket");
        let _second = open(&path, None).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(open(&path, None), Err(ListenError::NotASocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_service_manager_hears_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("visco-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_name).unwrap();
        for (socket, name) in [(by_path, path.display().to_string()), (by_name, format!("@{name}"))] {
            send(&name, "READY=1").unwrap();
            let mut text = [0; 16];
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..length], b"READY=1");
        }
    }
}
