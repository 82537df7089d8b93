//! From the bytes of a source to its text.

use crate::{Fault, Position};
use std::io::Read;

/// Largest user data, before and after it is decompressed: the largest body that the API server takes. It is far
/// above what any host needs, and far below what a small file could be made to decompress to.
pub const MAX_SIZE: usize = 2 << 20;

/// First bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// First bytes of a Zstandard frame (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The text of a source, decompressed where it is gzip or Zstandard.
pub fn text(name: &str, content: &[u8]) -> Result<String, Fault> {
    if content.len() > MAX_SIZE {
        return Err(too_large(name, ""));
    }
    let content = if content.starts_with(&GZIP) {
        read("gzip", name, flate2::read::MultiGzDecoder::new(content))?
    } else if content.starts_with(&ZSTD) {
        match zstd::Decoder::new(content) {
            Ok(decoder) => read("zstd", name, decoder)?,
            Err(e) => return Err(Fault::of(name, format!("is not whole zstd data: {e}"))),
        }
    } else {
        content.to_vec()
    };
    String::from_utf8(content).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let bytes = e.as_bytes();
        let before = String::from_utf8_lossy(&bytes[..valid]);
        let what = format!(
            "is not text: byte {:#04x} at offset {valid} is not UTF-8; user data is text, plain or compressed with \
             gzip or zstd",
            bytes[valid]
        );
        Fault::at(name, Position::of(&before, valid), what)
    })
}

fn read(format: &str, name: &str, decoder: impl Read) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::new();
    let one_too_many = u64::try_from(MAX_SIZE).unwrap_or(u64::MAX).saturating_add(1);
    match decoder.take(one_too_many).read_to_end(&mut content) {
        Err(e) => Err(Fault::of(name, format!("is not whole {format} data: {e}"))),
        Ok(_) if content.len() > MAX_SIZE => Err(too_large(name, " decompressed")),
        Ok(_) => Ok(content),
    }
}

fn too_large(name: &str, state: &str) -> Fault {
    Fault::of(name, format!("has more than {} MiB{state}", MAX_SIZE >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_text_is_read_as_plain_text_is() {
        let plain = b"[settings]\nmotd = 'x'\n";
        let zstd = zstd::encode_all(&plain[..], 3).unwrap();
        for content in [plain.to_vec(), gzip(plain), zstd] {
            assert_eq!(text("f", &content).unwrap().as_bytes(), plain);
        }
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_reason() {
        let bomb = vec![b'#'; MAX_SIZE + 1];
        let cut = gzip(b"[settings]\nmotd = 'x'\n");
        let cut_zstd = zstd::encode_all(&b"[settings]"[..], 3).unwrap();
        for (content, what) in [
            (b"a\nb\xff".to_vec(), "f:2:2: is not text: byte 0xff at offset 3"),
            (gzip(b"\x00\xfe"), "f:1:2: is not text"),
            (bomb.clone(), "f: has more than 2 MiB"),
            ([&GZIP[..], &bomb[..]].concat(), "f: has more than 2 MiB"),
            (gzip(&bomb), "f: has more than 2 MiB decompressed"),
            (zstd::encode_all(&bomb[..], 3).unwrap(), "f: has more than 2 MiB decompressed"),
            (cut[..cut.len() - 9].to_vec(), "f: is not whole gzip data"),
            (cut_zstd[..cut_zstd.len() - 3].to_vec(), "f: is not whole zstd data"),
            (GZIP.to_vec(), "f: is not whole gzip data"),
        ] {
            let fault = text("f", &content).unwrap_err().to_string();
            assert!(fault.starts_with(what), "{fault} / {what}");
        }
    }
}
