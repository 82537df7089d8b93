//! What goes over the port, as values and as bytes; pure.
//!
//! Before it is stuffed, a frame is: kind (1 byte), life it comes from (4), life it is for (4), stream (4), payload,
//! CRC-32 of all that (4); numbers are little-endian.

/// Most payload of one frame: small enough that streams take turns quickly.
pub const MAX_PAYLOAD: usize = 8 << 10;

/// Bytes of a frame before its payload.
const HEAD: usize = 13;
/// Bytes of a frame after its payload.
const TAIL: usize = 4;
/// Most bytes a stuffed frame has, its final zero left out.
const MAX_STUFFED: usize = cobs::max_encoding_length(HEAD + MAX_PAYLOAD + TAIL);

/// Ends every frame, and occurs in none.
pub const END: u8 = 0;

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The sender lives, and speaks this version of the protocol.
    Hello(u8),
    /// A new stream.
    Open(u32),
    /// Bytes of a stream.
    Data(u32, Vec<u8>),
    /// This many more bytes of a stream are welcome.
    Credit(u32, u32),
    /// No more bytes of a stream will come.
    Finish(u32),
    /// A stream is gone, in both directions.
    Reset(u32),
}

/// A frame: who says what to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The life of the sender.
    pub from: u32,
    /// The life it is for; 0 where the sender knows none.
    pub to: u32,
    /// What it says.
    pub body: Body,
}

impl Frame {
    /// Appends the frame as bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, stream, number);
        let payload: &[u8] = match &self.body {
            Body::Hello(version) => {
                (kind, stream, number) = (1, 0, [*version, 0, 0, 0]);
                &number[..1]
            }
            Body::Open(id) => {
                (kind, stream) = (2, *id);
                &[]
            }
            Body::Data(id, data) => {
                (kind, stream) = (3, *id);
                data
            }
            Body::Credit(id, bytes) => {
                (kind, stream, number) = (4, *id, bytes.to_le_bytes());
                &number
            }
            Body::Finish(id) => {
                (kind, stream) = (5, *id);
                &[]
            }
            Body::Reset(id) => {
                (kind, stream) = (6, *id);
                &[]
            }
        };
        let mut plain = Vec::with_capacity(HEAD + payload.len() + TAIL);
        plain.push(kind);
        for part in [self.from, self.to, stream] {
            plain.extend_from_slice(&part.to_le_bytes());
        }
        plain.extend_from_slice(payload);
        plain.extend_from_slice(&crc32fast::hash(&plain).to_le_bytes());
        out.extend_from_slice(&cobs::encode_vec(&plain));
        out.push(END);
    }

    /// Reads a frame from its bytes, the final zero left out; `None` where they are not one.
    pub fn decode(stuffed: &[u8]) -> Option<Self> {
        let plain = cobs::decode_vec(stuffed).ok()?;
        let (rest, crc) = plain.split_last_chunk()?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (kind, rest) = rest.split_first()?;
        let (from, rest) = number(rest)?;
        let (to, rest) = number(rest)?;
        let (stream, payload) = number(rest)?;
        let body = match (kind, payload) {
            (1, &[version]) => Body::Hello(version),
            (2, &[]) => Body::Open(stream),
            (3, data) if data.len() <= MAX_PAYLOAD => Body::Data(stream, data.to_vec()),
            (4, &[a, b, c, d]) => Body::Credit(stream, u32::from_le_bytes([a, b, c, d])),
            (5, &[]) => Body::Finish(stream),
            (6, &[]) => Body::Reset(stream),
            _ => return None,
        };
        Some(Self { from, to, body })
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

/// Bytes that are no frame: some were lost, or come from somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// Finds frames in a stream of bytes, whatever else is in it; holds no more than one frame.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Vec<u8>,
    /// What is here cannot become a frame; wait for its end.
    lost: bool,
}

impl Decoder {
    /// Takes bytes; gives the frames that they complete. Ends that follow each other end nothing.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<Result<Frame, Damaged>> {
        let mut frames = Vec::new();
        while let Some(at) = bytes.iter().position(|byte| *byte == END) {
            self.keep(&bytes[..at]);
            if self.lost {
                frames.push(Err(Damaged));
            } else if !self.partial.is_empty() {
                frames.push(Frame::decode(&self.partial).ok_or(Damaged));
            }
            self.partial.clear();
            self.lost = false;
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
        frames
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.lost |= self.partial.len() + bytes.len() > MAX_STUFFED;
        if self.lost {
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body() -> impl Strategy<Value = Body> {
        prop_oneof![
            any::<u8>().prop_map(Body::Hello),
            any::<u32>().prop_map(Body::Open),
            (any::<u32>(), prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..1200))
                .prop_map(|(id, data)| Body::Data(id, data)),
            (any::<u32>(), any::<u32>()).prop_map(|(id, bytes)| Body::Credit(id, bytes)),
            any::<u32>().prop_map(Body::Finish),
            any::<u32>().prop_map(Body::Reset),
        ]
    }

    fn frame() -> impl Strategy<Value = Frame> {
        (any::<u32>(), any::<u32>(), body()).prop_map(|(from, to, body)| Frame { from, to, body })
    }

    fn bytes_of(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        bytes
    }

    fn feed_in_pieces(bytes: &[u8], piece: usize) -> Vec<Frame> {
        let mut decoder = Decoder::default();
        bytes.chunks(piece).flat_map(|piece| decoder.feed(piece)).flatten().collect()
    }

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(
            frames in prop::collection::vec(frame(), 0..6),
            piece in 1usize..3000,
        ) {
            prop_assert_eq!(feed_in_pieces(&bytes_of(&frames), piece), frames);
        }

        #[test]
        fn frames_after_garbage_and_an_end_come_back(
            garbage in prop::collection::vec(any::<u8>(), 0..20_000),
            frames in prop::collection::vec(frame(), 1..4),
            piece in 1usize..3000,
        ) {
            let bytes = [garbage, vec![END], bytes_of(&frames)].concat();
            let found = feed_in_pieces(&bytes, piece);
            prop_assert!(found.ends_with(&frames), "{found:?}");
        }

        #[test]
        fn a_frame_cut_anywhere_costs_itself_only(
            cut in frame(),
            next in prop::collection::vec(frame(), 1..4),
            at in any::<prop::sample::Index>(),
        ) {
            let mut bytes = bytes_of(&[cut]);
            bytes.truncate(at.index(bytes.len() - 1));
            bytes.push(END);
            bytes.extend(bytes_of(&next));
            prop_assert_eq!(feed_in_pieces(&bytes, 100), next);
        }

        #[test]
        fn a_changed_byte_is_noticed(frame in frame(), at in any::<prop::sample::Index>(), by in 1u8..) {
            let mut bytes = bytes_of(&[frame]);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let found = Decoder::default().feed(&bytes);
            prop_assert!(found.iter().all(Result::is_err), "{found:?}");
        }

        #[test]
        fn garbage_never_panics_and_is_never_kept(garbage in prop::collection::vec(1u8.., 0..40_000)) {
            let mut decoder = Decoder::default();
            prop_assert_eq!(decoder.feed(&garbage), vec![]);
            prop_assert!(decoder.partial.len() <= MAX_STUFFED);
        }
    }

    #[test]
    fn the_largest_frame_fits() {
        for byte in [0, 1, 255] {
            let frame = Frame { from: 1, to: 2, body: Body::Data(3, vec![byte; MAX_PAYLOAD]) };
            assert_eq!(Decoder::default().feed(&bytes_of(std::slice::from_ref(&frame))), [Ok(frame)]);
        }
    }
}
