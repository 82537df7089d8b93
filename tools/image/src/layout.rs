//! Where everything goes on the disks: a pure function of the request.
//!
//! Sizes follow from the size of the system's disk. The factors can never grow: an update has to fit into the
//! partitions of a disk that was made long before it.

use crate::{PartitionPlan, Request};
use partitions::{Attributes, Guid, kind};
use std::fmt;

/// The disks of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The disk that the machine starts from.
    pub system: DiskPlan,
    /// The disk for data, where it has one of its own.
    pub data: Option<DiskPlan>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// Its length.
    pub size_mib: u64,
    /// The id in its partition table.
    pub id: Guid,
    /// Its partitions, in the order of their numbers and places.
    pub partitions: Vec<PartitionPlace>,
}

/// One partition of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPlace {
    /// Its number, from 1.
    pub number: u32,
    /// What it is for.
    pub role: Role,
    /// The name in the partition table.
    pub label: &'static str,
    /// Where it begins.
    pub start_mib: u64,
    /// Its length.
    pub size_mib: u64,
    /// Its own id.
    pub id: Guid,
    /// How it boots.
    pub attributes: Attributes,
}

/// One of the two sets of partitions that take turns as the running system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The first, which a fresh image starts from.
    A,
    /// The second, empty in a fresh image.
    B,
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The rest of GRUB when the machine starts by BIOS.
    BiosBoot,
    /// What UEFI firmware starts.
    Efi(Set),
    /// Kernel, initial file system and boot menu.
    Boot(Set),
    /// The root file system.
    Root(Set),
    /// The hash tree of the root file system.
    Hash(Set),
    /// Room for growth.
    Reserved(Set),
    /// What outlives an update: settings, boot configuration.
    Private,
    /// Containers' images and volumes.
    Data,
    /// Stands in for the data partition of a machine without a data disk.
    DataStub,
}

/// What the head and the tail of a disk are left for: a copy of the partition table each.
const TABLE_MIB: u64 = 1;

impl Layout {
    /// The layout that a request asks for.
    pub fn plan(request: &Request) -> Self {
        let sizes = Sizes::new(request);
        let data_mib = 1024 * u64::from(request.image_layout.data_image_size_gib);
        let data_role = match request.image_layout.partition_plan {
            PartitionPlan::Split => (Role::DataStub, 1),
            PartitionPlan::Unified => (Role::Data, data_mib),
        };

        let mut roles = vec![(Role::BiosBoot, 4)];
        roles.extend(sizes.set(Set::A));
        if request.image_features.in_place_updates {
            roles.extend(sizes.set(Set::B));
        }
        roles.push((Role::Private, sizes.private));
        roles.push(data_role);

        let data = match request.image_layout.partition_plan {
            PartitionPlan::Split => {
                let roles = [(Role::Data, data_mib - 2 * TABLE_MIB)];
                Some(DiskPlan::new(request, "data disk", data_mib, &roles))
            }
            PartitionPlan::Unified => None,
        };
        let unified_mib = if data.is_none() { data_mib } else { 0 };
        let system_mib = 1024 * sizes.os_gib + unified_mib;
        Self { system: DiskPlan::new(request, "system disk", system_mib, &roles), data }
    }

    /// All disks, the system's first.
    pub fn disks(&self) -> impl Iterator<Item = &DiskPlan> {
        std::iter::once(&self.system).chain(&self.data)
    }

    /// Every partition of every disk.
    pub fn partitions(&self) -> impl Iterator<Item = &PartitionPlace> {
        self.disks().flat_map(|disk| &disk.partitions)
    }
}

/// Sizes of the partitions of a set and of PRIVATE, in MiB.
struct Sizes {
    os_gib: u64,
    private: u64,
    /// Without a second set, the first has the room of both.
    factor: u64,
}

impl Sizes {
    fn new(request: &Request) -> Self {
        let os_gib = u64::from(request.image_layout.os_image_size_gib);
        let factor = if request.image_features.in_place_updates { 1 } else { 2 };
        // Two sets take 1000 of each 1024 MiB; tables, BIOS-BOOT and the stub share the other 24 with PRIVATE.
        Self { os_gib, private: 24 * os_gib - 7, factor }
    }

    fn set(&self, set: Set) -> [(Role, u64); 5] {
        let os = self.os_gib;
        [
            (Role::Efi(set), 5),
            (Role::Boot(set), 20 * os),
            (Role::Root(set), 460 * os),
            (Role::Hash(set), 5 * os),
            // The EFI partition came later; its room is taken from here.
            (Role::Reserved(set), 15 * os - 5),
        ]
        .map(|(role, mib)| (role, mib * self.factor))
    }
}

impl DiskPlan {
    fn new(request: &Request, name: &str, size_mib: u64, roles: &[(Role, u64)]) -> Self {
        let mut start_mib = TABLE_MIB;
        let mut partitions = Vec::new();
        for (number, (role, size_mib)) in (1..).zip(roles.iter().copied()) {
            partitions.push(PartitionPlace {
                number,
                role,
                label: role.label(),
                start_mib,
                size_mib,
                id: role.id(request),
                attributes: role.attributes(),
            });
            start_mib += size_mib;
        }
        Self { size_mib, id: request.id(name), partitions }
    }

    /// The partition with a role.
    pub fn partition(&self, role: Role) -> Option<&PartitionPlace> {
        self.partitions.iter().find(|partition| partition.role == role)
    }
}

impl PartitionPlace {
    /// Its length in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_mib * partitions::MIB
    }

    /// Where it begins, in bytes.
    pub fn start_bytes(&self) -> u64 {
        self.start_mib * partitions::MIB
    }
}

impl Role {
    /// All roles; of two with one type, the one that comes first on a disk first.
    pub(crate) const ALL: [Self; 14] = [
        Self::BiosBoot,
        Self::Efi(Set::A),
        Self::Boot(Set::A),
        Self::Root(Set::A),
        Self::Hash(Set::A),
        Self::Reserved(Set::A),
        Self::Efi(Set::B),
        Self::Boot(Set::B),
        Self::Root(Set::B),
        Self::Hash(Set::B),
        Self::Reserved(Set::B),
        Self::Private,
        Self::Data,
        Self::DataStub,
    ];

    /// The type in the partition table.
    pub fn kind(self) -> Guid {
        match self {
            Self::BiosBoot => kind::BIOS_BOOT,
            Self::Efi(Set::A) => kind::EFI_SYSTEM,
            Self::Efi(Set::B) => kind::EFI_BACKUP,
            Self::Boot(_) => kind::BOOT,
            Self::Root(_) => kind::ROOT,
            Self::Hash(_) => kind::HASH,
            Self::Reserved(_) => kind::RESERVED,
            Self::Private => kind::PRIVATE,
            Self::Data | Self::DataStub => kind::DATA,
        }
    }

    /// The name in the partition table. Data has none until a host has chosen where it goes.
    pub fn label(self) -> &'static str {
        use kind::label;
        match self {
            Self::BiosBoot => label::BIOS_BOOT,
            Self::Efi(Set::A) => label::EFI_SYSTEM,
            Self::Efi(Set::B) => label::EFI_BACKUP,
            Self::Boot(Set::A) => label::BOOT_A,
            Self::Boot(Set::B) => label::BOOT_B,
            Self::Root(Set::A) => label::ROOT_A,
            Self::Root(Set::B) => label::ROOT_B,
            Self::Hash(Set::A) => label::HASH_A,
            Self::Hash(Set::B) => label::HASH_B,
            Self::Reserved(Set::A) => label::RESERVED_A,
            Self::Reserved(Set::B) => label::RESERVED_B,
            Self::Private => label::PRIVATE,
            Self::Data | Self::DataStub => "",
        }
    }

    /// The name for people, where the partition table has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => kind::label::DATA,
            Self::DataStub => "(data, if there is no disk for it)",
            named => named.label(),
        }
    }

    fn id(self, request: &Request) -> Guid {
        match self {
            Self::Data => kind::id::DATA_PREFERRED,
            Self::DataStub => kind::id::DATA_FALLBACK,
            named => request.id(named.label()),
        }
    }

    fn attributes(self) -> Attributes {
        match self {
            Self::Boot(Set::A) => Attributes::NONE.with_priority(1).with_successful(true),
            _ => Attributes::NONE,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system disk: {}", self.system)?;
        match &self.data {
            Some(data) => write!(f, "\ndata disk: {data}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DiskPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} MiB, id {}", self.size_mib, self.id)?;
        writeln!(f, "{:>3} {:>6} {:>6}  {:<36}  {:<36}  boots  name", "no.", "at", "MiB", "type", "id")?;
        for place in &self.partitions {
            let PartitionPlace { number, role, start_mib, size_mib, id, attributes, .. } = place;
            let kind = role.kind();
            let boots = match role {
                Role::Boot(_) => format!(
                    "{}/{}/{}",
                    attributes.priority(),
                    attributes.tries_left(),
                    u8::from(attributes.is_successful())
                ),
                _ => String::new(),
            };
            let name = role.name();
            writeln!(f, "{number:>3} {start_mib:>6} {size_mib:>6}  {kind}  {id}  {boots:<5}  {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::with;
    use serde_json::json;
    use std::path::Path;

    fn plan(os_gib: u32, data_gib: u32, partition_plan: &str, in_place_updates: bool) -> Layout {
        let mut request = with(
            "image_layout",
            json!({
                "os_image_size_gib": os_gib,
                "data_image_size_gib": data_gib,
                "partition_plan": partition_plan,
            }),
        );
        request["image_features"] = json!({ "in-place-updates": in_place_updates });
        Layout::plan(&Request::parse(&request.to_string()).unwrap())
    }

    fn every_plan() -> impl Iterator<Item = (String, Layout)> {
        let sizes = [(1, 1), (2, 1), (4, 8)];
        let plans = sizes.into_iter().flat_map(|sizes| ["split", "unified"].map(|plan| (sizes, plan)));
        plans.flat_map(|((os, data), split)| {
            [(true, "two-sets"), (false, "one-set")]
                .map(|(updates, sets)| (format!("{os}-{split}-{sets}"), plan(os, data, split, updates)))
        })
    }

    /// Set `VISCO_REFRESH` to write the files anew, then look at what changed.
    #[test]
    fn layouts_are_those_of_the_documents() {
        for (name, layout) in every_plan() {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts").join(format!("{name}.txt"));
            if std::env::var_os("VISCO_REFRESH").is_some() {
                std::fs::write(&path, layout.to_string()).unwrap();
            }
            assert_eq!(layout.to_string(), std::fs::read_to_string(&path).unwrap(), "{name}");
        }
    }

    #[test]
    fn partitions_fill_every_disk_without_gap_or_overlap() {
        for (name, layout) in every_plan() {
            for disk in layout.disks() {
                let mut at = TABLE_MIB;
                for partition in &disk.partitions {
                    assert_eq!(partition.start_mib, at, "{name}: {}", partition.role.name());
                    at += partition.size_mib;
                }
                // A disk for both is as long as the two together, and has neither stub nor a second pair of tables.
                let spare = u64::from(name.contains("unified"));
                assert_eq!(disk.size_mib - at, TABLE_MIB + spare, "{name}");
            }
        }
    }

    /// The kernel command line finds root and hashes by counting from the boot partition.
    #[test]
    fn root_and_hashes_follow_the_boot_partition_of_their_set() {
        for (name, layout) in every_plan() {
            for set in [Set::A, Set::B] {
                let number = |role| layout.system.partition(role).map(|partition| partition.number);
                let Some(boot) = number(Role::Boot(set)) else {
                    assert_eq!(set, Set::B, "{name}");
                    continue;
                };
                assert_eq!(number(Role::Root(set)), Some(boot + 1), "{name}");
                assert_eq!(number(Role::Hash(set)), Some(boot + 2), "{name}");
            }
        }
    }

    #[test]
    fn no_id_is_used_twice() {
        for (name, layout) in every_plan() {
            let mut ids: Vec<Guid> = layout.disks().map(|disk| disk.id).collect();
            ids.extend(layout.partitions().map(|partition| partition.id));
            let count = ids.len();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), count, "{name}");
        }
    }

    #[test]
    fn another_build_has_other_ids() {
        let ours = plan(2, 1, "split", true);
        let mut request = crate::request::tests::least();
        request["build_id"] = json!("fedcba98");
        let theirs = Layout::plan(&Request::parse(&request.to_string()).unwrap());
        for (ours, theirs) in ours.partitions().zip(theirs.partitions()) {
            let is_data = matches!(ours.role, Role::Data | Role::DataStub);
            assert_eq!(ours.id == theirs.id, is_data, "{}", ours.role.name());
        }
    }
}
