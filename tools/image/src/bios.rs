//! GRUB for machines that start by BIOS, without `grub-install`.
//!
//! `boot.img` is the first sector that runs; it loads the first sector of `core.img`, which loads the rest. Each
//! knows where the next is from a number in it. (GRUB 2.06, `include/grub/i386/pc/boot.h` names the places.)

use partitions::BOOT_CODE_LEN;
use snafu::{Snafu, ensure};

const SECTOR: usize = 512;

/// In `boot.img`: the first sector of `core.img`.
const KERNEL_SECTOR_AT: usize = 0x5c;
/// In `boot.img`: a jump over what takes the drive that the BIOS names; two `nop`s make it be taken.
const DRIVE_CHECK_AT: usize = 0x66;
const NOPS: [u8; 2] = [0x90, 0x90];
/// In the first sector of `core.img`: the sector, count and load segment of the rest.
const BLOCK_LIST_AT: usize = 0x1f4;
const REST_SEGMENT: u16 = 0x820;

/// Files that are not what GRUB makes.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("boot.img of GRUB is {len} bytes long; it has to be one sector of 512"))]
    BootLength { len: usize },
    #[snafu(display("boot.img of GRUB does not end with the mark of a boot sector, 55 aa"))]
    BootMark,
    #[snafu(display("core.img of GRUB is {len} bytes long; it has to be more than one sector of 512"))]
    CoreShort { len: usize },
    #[snafu(display("core.img of GRUB is {len} bytes long; the BIOS-BOOT partition holds {room}"))]
    CoreLong { len: usize, room: u64 },
}

/// What is written to a disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Loader {
    /// For the start of the disk.
    pub(crate) boot_code: [u8; BOOT_CODE_LEN],
    /// For the start of the BIOS-BOOT partition.
    pub(crate) core: Vec<u8>,
}

impl Loader {
    /// The loader for a disk whose BIOS-BOOT partition begins at the sector `first` and has room for `room` bytes.
    pub(crate) fn new(boot_img: &[u8], core_img: &[u8], first: u64, room: u64) -> Result<Self, Error> {
        ensure!(boot_img.len() == SECTOR, BootLengthSnafu { len: boot_img.len() });
        ensure!(boot_img.ends_with(&[0x55, 0xaa]), BootMarkSnafu);
        let mut boot_code = [0; BOOT_CODE_LEN];
        boot_code.copy_from_slice(&boot_img[..BOOT_CODE_LEN]);
        put(&mut boot_code, KERNEL_SECTOR_AT, &first.to_le_bytes());
        put(&mut boot_code, DRIVE_CHECK_AT, &NOPS);

        let mut core = core_img.to_vec();
        core.resize(core.len().next_multiple_of(SECTOR), 0);
        let len = core_img.len();
        ensure!(core.len() > SECTOR, CoreShortSnafu { len });
        ensure!(core.len() as u64 <= room, CoreLongSnafu { len, room });
        let rest = u16::try_from(core.len() / SECTOR - 1).ok();
        let Some(rest) = rest else { return CoreLongSnafu { len, room }.fail() };
        put(&mut core, BLOCK_LIST_AT, &(first + 1).to_le_bytes());
        put(&mut core, BLOCK_LIST_AT + 8, &rest.to_le_bytes());
        put(&mut core, BLOCK_LIST_AT + 10, &REST_SEGMENT.to_le_bytes());
        Ok(Self { boot_code, core })
    }
}

/// The sector that the boot code of a disk goes on with.
pub(crate) fn next_sector(boot_code: &[u8; BOOT_CODE_LEN]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&boot_code[KERNEL_SECTOR_AT..KERNEL_SECTOR_AT + 8]);
    u64::from_le_bytes(bytes)
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot_img() -> Vec<u8> {
        let mut boot = vec![0xbb; SECTOR];
        put(&mut boot, 510, &[0x55, 0xaa]);
        boot
    }

    #[test]
    fn each_part_names_the_next() {
        let loader = Loader::new(&boot_img(), &[0xcc; 1300], 2048, 4 << 20).unwrap();
        assert_eq!(next_sector(&loader.boot_code), 2048);
        assert_eq!(loader.boot_code[0x5b..0x68], [0xbb, 0, 8, 0, 0, 0, 0, 0, 0, 0xbb, 0xbb, 0x90, 0x90]);
        assert_eq!(loader.core.len(), 1536);
        assert_eq!(loader.core[0x1f3..0x201], [0xcc, 1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 8, 0xcc]);
        assert_eq!(loader.core[1299..1301], [0xcc, 0]);
    }

    #[test]
    fn what_grub_would_not_make_is_refused() {
        let unmarked = vec![0; SECTOR];
        for (boot, core, told) in [
            (&boot_img()[..446], 1300, "446 bytes long; it has to be one sector"),
            (&unmarked, 1300, "does not end with the mark"),
            (&boot_img(), 512, "has to be more than one sector"),
            (&boot_img(), 5 << 20, "the BIOS-BOOT partition holds 4194304"),
        ] {
            let error = Loader::new(boot, &vec![0; core], 2048, 4 << 20).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
