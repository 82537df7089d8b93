//! The container in which a boot loader hands a boot configuration to the kernel.

use crate::BootConfig;
use snafu::{Snafu, ensure};

/// What ends the container (`BOOTCONFIG_MAGIC` of the kernel).
const MAGIC: &[u8; 12] = b"#BOOTCONFIG\n";
/// The length of a container is a multiple of this, as that of an initial RAM disk.
const ALIGNMENT: usize = 4;
/// Longest text that a kernel reads (`XBC_DATA_MAX`).
const LONGEST: usize = 32 * 1024 - 1;

/// A boot configuration that no kernel reads.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[snafu(display(
    "write a boot configuration of {length} bytes: a kernel reads at most {LONGEST}; have fewer parameters"
))]
pub struct TooLong {
    length: usize,
}

/// The container: the text, zeros up to the alignment, the length of both, their sum, the magic. Numbers are 32 bits,
/// little-endian.
pub fn blob(config: &BootConfig) -> Result<Vec<u8>, TooLong> {
    let mut blob = config.text().into_bytes();
    blob.resize(blob.len().next_multiple_of(ALIGNMENT), 0);
    let length = blob.len();
    ensure!(length <= LONGEST, TooLongSnafu { length });
    let size = u32::try_from(length).expect("checked against a smaller bound");
    let sum: u32 = blob.iter().map(|byte| u32::from(*byte)).sum();
    blob.extend(size.to_le_bytes());
    blob.extend(sum.to_le_bytes());
    blob.extend(MAGIC);
    Ok(blob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot_config::arbitrary::boot_config;
    use proptest::prelude::*;

    /// The text in a container, found as the kernel finds it: from the end (`get_boot_config_from_initrd`).
    fn text(blob: &[u8]) -> String {
        let (rest, magic) = blob.split_last_chunk::<12>().unwrap();
        assert_eq!(magic, MAGIC);
        let (rest, sum) = rest.split_last_chunk::<4>().unwrap();
        let (rest, size) = rest.split_last_chunk::<4>().unwrap();
        assert_eq!(rest.len(), u32::from_le_bytes(*size) as usize);
        let found: u32 = rest.iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(found, u32::from_le_bytes(*sum));
        String::from_utf8(rest.to_vec()).unwrap().trim_end_matches('\0').to_owned()
    }

    #[test]
    fn the_empty_container_is_known_to_the_byte() {
        let expected = b"kernel\ninit\n\x0c\0\0\0\x49\x04\0\0#BOOTCONFIG\n";
        assert_eq!(blob(&BootConfig::default()).unwrap(), expected);
    }

    #[test]
    fn what_no_kernel_reads_is_refused() {
        let long = BootConfig::parse(&format!("kernel.a = \"{}\"", "x".repeat(LONGEST))).unwrap();
        let error = blob(&long).unwrap_err().to_string();
        assert!(
            error.starts_with("write a boot configuration of 32784 bytes: a kernel reads at most 32767"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(config in boot_config()) {
            let blob = blob(&config).unwrap();
            prop_assert_eq!(blob.len() % ALIGNMENT, 0);
            prop_assert_eq!(BootConfig::parse(&text(&blob)), Ok(config));
        }
    }
}
