//! The name of an SDK image.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Hexadecimal digits of the digest that a tag shows: enough that no two images of one project share them.
const DIGITS: usize = 16;

/// The tag of the image of these inputs, each a name and what stands for its content.
pub(crate) fn tag<'a>(inputs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut digest = Sha256::new();
    for (name, content) in inputs {
        for part in [name, content] {
            // Lengths first, so that no two lists of inputs read alike.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    let digits = HEXLOWER.encode(&digest.finalize()[..DIGITS / 2]);
    format!("visco-sdk-x86_64:{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_moves_the_tag() {
        let one = tag([("a", "1"), ("b", "2")]);
        assert_eq!(one, tag([("a", "1"), ("b", "2")]));
        for other in [tag([("a", "1")]), tag([("a", "1"), ("b", "3")]), tag([("a", "1b"), ("", "2")])] {
            assert_ne!(one, other);
        }
        assert_eq!(one.len(), "visco-sdk-x86_64:".len() + DIGITS);
    }
}
