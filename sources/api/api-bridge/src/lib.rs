//! Carries connections to the API over one serial port of a virtual machine.
//!
//! A developer's machine has no way to a socket inside a virtual machine. `hostlab vm` gives the machine a port
//! named [`PORT`] (virtio-serial), which is one stream of bytes between the two. Both ends run a [`Link`] on it: at
//! the developer's end every connection to `build/vm/api.sock` becomes a stream of the link, at the guest's end
//! (the program `api-bridge`) every new stream is connected to `/run/api.sock`.
//!
//! ```text
//! apiclient ── build/vm/api.sock ── Link(Opener) ══ virtio port ══ Link(Acceptor) ── /run/api.sock ── apiserver
//!                                   in hostlab        frames        in api-bridge
//! ```
//!
//! # Why frames of our own
//!
//! The port outlives both ends. When the guest reboots nothing is closed: what it had sent half stays half, and what
//! was on its way to it waits in QEMU and reaches the next guest. So the link must find its feet from any byte on,
//! and must never take bytes of an earlier life for its own. Multiplexers such as `yamux` (or HTTP/2) start together
//! on a fresh connection and take any surprise for a fatal error: beneath them one would need frames that
//! resynchronise and carry who talks to whom. With those, what is left of a multiplexer is a counter of credits.
//!
//! - A [`frame`] is stuffed so that it holds no zero (COBS), ends with a zero, and carries a CRC-32: whatever
//!   came before, the zero ends it, and the next frame is whole.
//! - Each life of an end draws a number. Every frame names the life it comes from and the one it is for; what is
//!   for an earlier one is dropped. A greeting from a new life drops all streams of the old one.
//! - A stream has a window: an end sends no more than the other has said it can hold, and reads no more from its
//!   socket than it can hold to send. One slow client stops its own stream, and memory has a bound
//!   ([`MAX_STREAMS`] streams of two [`WINDOW`]s at each end).
//!
//! # Why this is safe
//!
//! Whoever reaches the port is root of the host's settings, as whoever opens `/run/api.sock` as root is. Therefore:
//!
//! - The program comes in an RPM of its own, which only dev variants hold. In a production image there is no
//!   program that opens the port.
//! - There is no network listener at either end. Without a virtual machine whose owner gave it the port, nothing is
//!   there to open.
//! - Who can reach the other end: the one who runs the virtual machine. The socket is `0600` in a folder `0700`; its
//!   owner owns the disk and the memory of the machine anyway, and gains nothing.
//!
//! What it does not do: it knows nothing of HTTP, does not encrypt, and does not survive a restart of either end
//! with its streams alive; clients see the end of their connection and connect again.
//!
//! Run its tests with `cargo test -p api-bridge`; `tests/tests/channel.rs` of the repository joins the real programs.

mod clients;
pub mod frame;
mod guest;
mod link;
mod mux;
mod port;

pub use clients::listen;
pub use guest::{GuestError, serve};
pub use link::{Link, Stream};
pub use mux::{MAX_STREAMS, Mux, Read, Role, StreamId, WINDOW};
pub use port::{PORT, Port, PortError};
