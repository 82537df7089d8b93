//! The guest's side of the port: a character device without end of file.

use host::Host;
use rustix::fs::OFlags;
use snafu::{ResultExt, Snafu};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Name of the port, which the virtual machine gives it and the guest finds it by.
pub const PORT: &str = "visco.api";

/// Where the kernel lists the ports, each a folder with its name in `name`.
const PORTS: &str = "/sys/class/virtio-ports";

/// A port that could not be opened.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum PortError {
    #[snafu(display("list the ports in {}", path.display()))]
    List { path: PathBuf, source: std::io::Error },
    #[snafu(display("open the port {}", path.display()))]
    Open { path: PathBuf, source: std::io::Error },
}

/// An open port: the device, or a socket that plays one in tests.
#[derive(Debug)]
pub enum Port {
    /// The device. A port without anybody at its other end reads as ended.
    Device(AsyncFd<File>),
    /// The socket.
    Socket(UnixStream),
}

/// The device of the port, if the machine has one. It is looked for in sysfs: the name in `/dev/virtio-ports` is
/// udev's work and comes later.
pub(crate) fn find(host: &Host) -> Result<Option<PathBuf>, PortError> {
    let path = host.path(PORTS);
    let entries = match std::fs::read_dir(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.context(ListSnafu { path: &path })?,
    };
    for entry in entries {
        let entry = entry.context(ListSnafu { path: &path })?;
        // A port that goes away while we look has no name.
        let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT {
            return Ok(Some(host.path("/dev").join(entry.file_name())));
        }
    }
    Ok(None)
}

impl Port {
    /// Opens a port. Only one at a time can hold it.
    pub async fn open(path: &Path) -> Result<Self, PortError> {
        let is_socket = std::fs::metadata(path).context(OpenSnafu { path })?.file_type().is_socket();
        if is_socket {
            return UnixStream::connect(path).await.map(Self::Socket).context(OpenSnafu { path });
        }
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let device = options.open(path).and_then(watched).context(OpenSnafu { path })?;
        Ok(Self::Device(device))
    }
}

/// A device whose readiness can be waited for.
#[allow(unsafe_code)]
fn watched(device: File) -> std::io::Result<AsyncFd<File>> {
    // SAFETY: a `File` owns its descriptor, gives the same one every time, and keeps it open until it is dropped,
    // which the `AsyncFd` does after it has ended its registration.
    unsafe { AsyncFd::register(device) }.map_err(Into::into)
}

impl AsyncRead for Port {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let device = match self.get_mut() {
            Self::Device(device) => device,
            Self::Socket(socket) => return Pin::new(socket).poll_read(context, buffer),
        };
        loop {
            let mut guard = ready!(device.poll_read_ready(context))?;
            // Nobody at the other end: the readiness will not go away, and waiting for it would spin.
            let hung_up = guard.ready().is_read_closed();
            match guard.try_io(|device| device.get_ref().read(buffer.initialize_unfilled())) {
                Ok(count) => {
                    buffer.advance(count?);
                    return Poll::Ready(Ok(()));
                }
                Err(_) if hung_up => return Poll::Ready(Ok(())),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Port {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let device = match self.get_mut() {
            Self::Device(device) => device,
            Self::Socket(socket) => return Pin::new(socket).poll_write(context, bytes),
        };
        loop {
            let mut guard = ready!(device.poll_write_ready(context))?;
            let hung_up = guard.ready().is_write_closed();
            match guard.try_io(|device| device.get_ref().write(bytes)) {
                Ok(written) => return Poll::Ready(written),
                Err(_) if hung_up => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
                Err(_) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        assert_eq!(find(&host).unwrap(), None);
        for (device, name) in [("vport1p1", "org.other.0\n"), ("vport2p3", "visco.api\n")] {
            let folder = host.path(PORTS).join(device);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("name"), name).unwrap();
        }
        // A console is a port without a name.
        std::fs::create_dir(host.path(PORTS).join("vport0p0")).unwrap();
        assert_eq!(find(&host).unwrap(), Some(dir.path().join("dev/vport2p3")));
    }
}
