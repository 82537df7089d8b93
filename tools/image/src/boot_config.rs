//! The boot configuration that the kernel finds at the end of its initial file system.
//!
//! The kernel's `Documentation/admin-guide/bootconfig.rst`: text, zeros up to a multiple of 4, length, sum of all
//! bytes, and a magic word to recognize it by.

const MAGIC: &[u8; 12] = b"#BOOTCONFIG\n";

/// The file for a text of boot configuration.
pub(crate) fn file(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let len = u32::try_from(bytes.len()).expect("boot configuration is at most 32 KiB");
    let sum = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    bytes.extend(len.to_le_bytes());
    bytes.extend(sum.to_le_bytes());
    bytes.extend(MAGIC);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_sum_follow_the_padded_text() {
        assert_eq!(file(""), b"\0\0\0\0\0\0\0\0#BOOTCONFIG\n");
        assert_eq!(file("a=1\nb\n"), b"a=1\nb\n\0\0\x08\0\0\0\x45\x01\0\0#BOOTCONFIG\n");
    }
}
