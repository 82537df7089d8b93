//! What our partitions are known by: types, labels and the identifiers of data partitions.
//!
//! Types, labels and identifiers are those of the Bottlerocket documents, so that its tools and its disks are
//! understood; each type stands once in a set, and the first set of a table is A.

use crate::Guid;

/// The rest of GRUB when the machine starts by BIOS.
pub const BIOS_BOOT: Guid = Guid::constant("21686148-6449-6e6f-744e-656564454649");
/// The EFI system partition, which firmware starts from.
pub const EFI_SYSTEM: Guid = Guid::constant("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
/// Set B's EFI partition, of a type that firmware passes over.
pub const EFI_BACKUP: Guid = Guid::constant("b39ce39c-0a00-b4ab-2d11-f18f8237a21c");
/// Kernel, initial file system and boot menu of a set; its attributes say how the set boots.
pub const BOOT: Guid = Guid::constant("6b636168-7420-6568-2070-6c616e657421");
/// Root file system of a set.
pub const ROOT: Guid = Guid::constant("5526016a-1a97-4ea4-b39a-b7c8c6ca4502");
/// Hash tree of a set's root file system.
pub const HASH: Guid = Guid::constant("598f10af-c955-4456-6a99-7720068a6cea");
/// Room for a set's growth.
pub const RESERVED: Guid = Guid::constant("0c5d99a5-d331-4147-baef-08e2b855bdc9");
/// The datastore and what else outlives an update.
pub const PRIVATE: Guid = Guid::constant("440408bb-eb0b-4328-a6e5-a29038fad706");
/// Containers' images, volumes and logs.
pub const DATA: Guid = Guid::constant("626f7474-6c65-6474-6861-726d61726b73");

/// Identifiers that are the same on every disk.
pub mod id {
    use crate::Guid;

    /// The data partition of a disk that is meant to hold data.
    pub const DATA_PREFERRED: Guid = Guid::constant("5b94e8df-28b8-485c-9d19-362263b5944c");
    /// The data partition on the OS disk where another disk is meant to hold data.
    pub const DATA_FALLBACK: Guid = Guid::constant("69040874-417d-4e26-a764-7885f22007ea");
}

/// Labels. A data partition has none until its first boot.
pub mod label {
    /// See [`super::BIOS_BOOT`].
    pub const BIOS_BOOT: &str = "BIOS-BOOT";
    /// See [`super::EFI_SYSTEM`].
    pub const EFI_SYSTEM: &str = "EFI-SYSTEM";
    /// See [`super::EFI_BACKUP`].
    pub const EFI_BACKUP: &str = "EFI-BACKUP";
    /// See [`super::BOOT`].
    pub const BOOT_A: &str = "BOTTLEROCKET-BOOT-A";
    /// See [`super::ROOT`].
    pub const ROOT_A: &str = "BOTTLEROCKET-ROOT-A";
    /// See [`super::HASH`].
    pub const HASH_A: &str = "BOTTLEROCKET-HASH-A";
    /// See [`super::RESERVED`].
    pub const RESERVED_A: &str = "BOTTLEROCKET-RESERVED-A";
    /// See [`super::BOOT`].
    pub const BOOT_B: &str = "BOTTLEROCKET-BOOT-B";
    /// See [`super::ROOT`].
    pub const ROOT_B: &str = "BOTTLEROCKET-ROOT-B";
    /// See [`super::HASH`].
    pub const HASH_B: &str = "BOTTLEROCKET-HASH-B";
    /// See [`super::RESERVED`].
    pub const RESERVED_B: &str = "BOTTLEROCKET-RESERVED-B";
    /// See [`super::PRIVATE`].
    pub const PRIVATE: &str = "BOTTLEROCKET-PRIVATE";
    /// See [`super::DATA`].
    pub const DATA: &str = "BOTTLEROCKET-DATA";
}
