//! A link at work: bytes between the port, the state machine and the sockets.

use crate::mux::{Mux, Read, Role, StreamId};
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

/// How often an end greets that has not met the other: what it said may have been lost with the last guest.
const GREET_EVERY: Duration = Duration::from_millis(500);
/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// One end of a link, shared by all who use it.
#[derive(Clone, Debug)]
pub struct Link {
    mux: Arc<Mutex<Mux>>,
    /// Tells everybody who waits that something has changed. Waking a few dozen tasks too many costs less than
    /// being wrong about whom to wake.
    changed: watch::Sender<()>,
}

/// A stream of a link; reset when dropped, unless both directions have finished.
#[derive(Debug)]
pub struct Stream {
    link: Link,
    id: StreamId,
}

impl Link {
    /// An end in a new life: `life` is a random number.
    pub fn new(role: Role, life: u32) -> Self {
        Self { mux: Arc::new(Mutex::new(Mux::new(role, life))), changed: watch::Sender::new(()) }
    }

    /// Whether the other end is known.
    pub fn is_up(&self) -> bool {
        self.with(|mux| mux.is_up())
    }

    /// The other end is gone: drops all streams.
    pub fn forget_peer(&self) {
        self.change(Mux::forget_peer);
    }

    /// Carries bytes between the port and the streams until the port ends or fails; all streams end with it.
    pub async fn run(&self, port: impl AsyncRead + AsyncWrite) -> Result<()> {
        let (reader, writer) = tokio::io::split(port);
        let ended = tokio::select! {
            ended = self.pump_in(reader) => ended,
            ended = self.pump_out(writer) => ended,
        };
        self.forget_peer();
        ended
    }

    /// Opens a stream; waits while there are too many, fails while the other end is not known.
    pub async fn open(&self) -> Result<Stream> {
        self.until(|mux| match mux.open() {
            Some(id) => Some(Ok(Stream { link: self.clone(), id })),
            None if mux.is_up() => None,
            None => Some(Err(Error::new(ErrorKind::NotConnected, "the other end is not there"))),
        })
        .await
    }

    /// The next stream that the other end opens.
    pub async fn accept(&self) -> Stream {
        self.until(|mux| mux.accept().map(|id| Stream { link: self.clone(), id })).await
    }

    async fn pump_in(&self, mut reader: impl AsyncRead + Unpin) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = reader.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            self.change(|mux| mux.receive(&chunk[..count]));
        }
    }

    async fn pump_out(&self, mut writer: impl AsyncWrite + Unpin) -> Result<()> {
        let mut out = Vec::new();
        loop {
            let mut changed = self.changed.subscribe();
            out.clear();
            self.with(|mux| mux.transmit(&mut out));
            if out.is_empty() {
                // It fails only once the sender is gone, and that is ours.
                if tokio::time::timeout(GREET_EVERY, changed.changed()).await.is_err() {
                    self.with(Mux::greet);
                }
                continue;
            }
            // There is room in the streams again.
            self.changed.send_replace(());
            writer.write_all(&out).await?;
            writer.flush().await?;
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Mux) -> T) -> T {
        act(&mut self.mux.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Acts on the state, and tells everybody.
    fn change<T>(&self, act: impl FnOnce(&mut Mux) -> T) -> T {
        let done = self.with(act);
        self.changed.send_replace(());
        done
    }

    /// Waits until `act` gives something.
    async fn until<T>(&self, mut act: impl FnMut(&mut Mux) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(done) = self.with(&mut act) {
                self.changed.send_replace(());
                return done;
            }
            // It fails only once the sender is gone, and that is ours.
            drop(changed.changed().await);
        }
    }
}

impl Stream {
    /// Carries bytes between the stream and a socket until both directions have ended.
    pub async fn carry(&self, socket: impl AsyncRead + AsyncWrite) -> Result<()> {
        let (reader, writer) = tokio::io::split(socket);
        tokio::try_join!(self.send(reader), self.deliver(writer)).map(|((), ())| ())
    }

    /// From the socket into the stream; reads no more than the stream takes.
    async fn send(&self, mut reader: impl AsyncRead + Unpin) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let room = self.link.until(|mux| match mux.writable(self.id) {
                Some(0) => None,
                room => Some(room),
            });
            let room = room.await.ok_or(ErrorKind::ConnectionReset)?;
            let most = room.min(CHUNK);
            let count = tokio::select! {
                count = reader.read(&mut chunk[..most]) => count?,
                // A client that says nothing still learns that the other end is gone.
                () = self.gone() => return Err(ErrorKind::ConnectionReset.into()),
            };
            if count == 0 {
                self.link.change(|mux| mux.finish(self.id));
                return Ok(());
            }
            self.link.change(|mux| mux.write(self.id, &chunk[..count]));
        }
    }

    /// From the stream to the socket; takes no more than the socket does.
    async fn deliver(&self, mut writer: impl AsyncWrite + Unpin) -> Result<()> {
        loop {
            let read = self.link.until(|mux| match mux.read(self.id, CHUNK) {
                Read::Wait => None,
                read => Some(read),
            });
            match read.await {
                Read::Data(data) => writer.write_all(&data).await?,
                Read::End => return writer.shutdown().await,
                Read::Wait | Read::Gone => return Err(ErrorKind::ConnectionReset.into()),
            }
        }
    }

    async fn gone(&self) {
        self.link.until(|mux| mux.writable(self.id).is_none().then_some(())).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.link.change(|mux| mux.release(self.id));
    }
}
