//! Ids that are the same in every build of one image.

use partitions::Guid;
use sha2::{Digest, Sha256};

/// An id made of names: the same names give the same id, others give another.
pub(crate) fn derive(names: &[&str]) -> Guid {
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest("visco image id", names)[..16]);
    Guid::custom(bits)
}

/// The digest of names, for one use of it.
pub(crate) fn digest(of: &str, names: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(of);
    for name in names {
        digest.update([0]);
        digest.update(name);
    }
    digest.finalize().into()
}

/// The first four bytes of an id, for formats whose ids are shorter.
pub(crate) fn short(id: Guid) -> u32 {
    let bytes = id.text_order();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_every_name_and_on_where_one_ends() {
        let ids = [&["a", "b"][..], &["a", "c"], &["ab", ""], &["ab"], &["a", "b", ""]].map(derive);
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{id} twice");
        }
        assert_eq!(ids[0], derive(&["a", "b"]));
    }
}
