//! Whether the partitions of a table are where and what they have to be.

use crate::layout::Role;
use partitions::{Entry, MIB, Table, kind};

/// What is wrong with a table that is whole.
pub(super) fn problems(table: &Table) -> Vec<String> {
    let mut problems = Vec::new();
    let entries: Vec<(u32, &Entry)> = table.partitions().collect();
    for (index, (number, entry)) in entries.iter().enumerate() {
        let before = &entries[..index];
        problems.extend(place(table, *number, entry, before));
        problems.extend(name(*number, entry, before));
        if entry.kind == kind::BOOT {
            problems.extend(followers(table, *number));
        }
        let is_data = entry.kind == kind::DATA;
        if is_data && ![kind::id::DATA_PREFERRED, kind::id::DATA_FALLBACK].contains(&entry.id) {
            problems.push(format!("partition {number} is for data, but has an id that no host looks for"));
        }
    }
    if entries.is_empty() {
        problems.push("the disk has no partition".into());
    }
    let mut sets = entries.iter().filter(|(_, entry)| entry.kind == kind::BOOT).peekable();
    if sets.peek().is_some() && !sets.any(|(_, entry)| is_bootable(entry)) {
        problems.push("no set of partitions can be booted".into());
    }
    problems
}

fn place(table: &Table, number: u32, entry: &Entry, before: &[(u32, &Entry)]) -> Vec<String> {
    let mut problems = Vec::new();
    let start = entry.first * table.sector_size().bytes();
    if !start.is_multiple_of(MIB) {
        problems.push(format!("partition {number} does not begin at a whole MiB"));
    }
    if entry.sectors() == 0 || !table.usable().contains(&entry.first) || !table.usable().contains(&entry.last)
    {
        problems.push(format!("partition {number} is not within the disk"));
    }
    for (other, taken) in before {
        if entry.first <= taken.last && taken.first <= entry.last {
            problems.push(format!("partitions {other} and {number} overlap"));
        }
        if entry.id == taken.id {
            problems.push(format!("partitions {other} and {number} have the same id"));
        }
    }
    problems
}

/// The first partition of a type is set A's, the second set B's.
fn name(number: u32, entry: &Entry, before: &[(u32, &Entry)]) -> Option<String> {
    let earlier = before.iter().filter(|(_, other)| other.kind == entry.kind).count();
    let mut roles = Role::ALL.into_iter().filter(|role| role.kind() == entry.kind);
    let Some(role) = roles.nth(earlier) else {
        return Some(format!("partition {number} {} is one of its type too many", entry.label));
    };
    let expected = role.label();
    (entry.label != *expected)
        .then(|| format!("partition {number} is named '{}', not '{expected}'", entry.label))
}

/// The kernel finds root and hash tree by counting from the boot partition.
fn followers(table: &Table, boot: u32) -> Vec<String> {
    let expected = [(1, kind::ROOT, "root"), (2, kind::HASH, "hash tree")];
    let missing = expected
        .into_iter()
        .filter(|(after, kind, _)| table.get(boot + after).is_none_or(|entry| entry.kind != *kind));
    let told = missing.map(|(after, _, name)| {
        format!("partition {} is not the {name} of boot partition {boot}", boot + after)
    });
    told.collect()
}

/// As GRUB sees it.
fn is_bootable(boot: &Entry) -> bool {
    let attributes = boot.attributes;
    attributes.priority() > 0 && (attributes.is_successful() || attributes.tries_left() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;
    use crate::disk::table;
    use crate::layout::{DiskPlan, Layout};
    use crate::request::tests::least;
    use partitions::{Attributes, Guid};

    fn layout() -> Layout {
        Layout::plan(&Request::parse(&least().to_string()).unwrap())
    }

    #[test]
    fn what_the_builder_plans_has_no_problems() {
        for disk in layout().disks() {
            assert_eq!(problems(&table(disk).unwrap()), Vec::<String>::new());
        }
    }

    type Slip<T> = fn(&mut T);

    /// Slips that no table of ours can have, but one on a disk can.
    #[test]
    fn a_partition_out_of_place_is_told() {
        let table = table(&layout().system).unwrap();
        let (first, second) = (table.get(3).unwrap(), table.get(4).unwrap());
        let slips: [(Slip<Entry>, &str); 5] = [
            (|entry| entry.first += 1, "partition 4 does not begin at a whole MiB"),
            (|entry| entry.first -= 2048, "partitions 3 and 4 overlap"),
            (|entry| entry.last = entry.first - 1, "partition 4 is not within the disk"),
            (|entry| entry.last = 2 * 1024 * 2048, "partition 4 is not within the disk"),
            (|entry| entry.first = 0, "partition 4 is not within the disk"),
        ];
        for (slip, told) in slips {
            let mut entry = second.clone();
            slip(&mut entry);
            let problems = place(&table, 4, &entry, &[(3, first)]);
            assert!(problems.iter().any(|problem| problem == told), "{told}: {problems:?}");
        }
        let twin = Entry { id: first.id, ..second.clone() };
        assert_eq!(place(&table, 4, &twin, &[(3, first)]), ["partitions 3 and 4 have the same id"]);
    }

    #[test]
    fn every_slip_in_a_table_is_told() {
        fn place(plan: &mut DiskPlan, number: usize) -> &mut crate::PartitionPlace {
            &mut plan.partitions[number - 1]
        }
        let slips: [(Slip<DiskPlan>, &str); 6] = [
            (|plan| place(plan, 3).attributes = Attributes::NONE, "no set of partitions can be booted"),
            (|plan| place(plan, 4).label = "ROOT", "partition 4 is named 'ROOT', not 'BOTTLEROCKET-ROOT-A'"),
            (
                |plan| place(plan, 5).role = Role::Private,
                "partition 5 is not the hash tree of boot partition 3",
            ),
            (
                |plan| place(plan, 6).role = Role::Private,
                "partition 12 BOTTLEROCKET-PRIVATE is one of its type too",
            ),
            (|plan| place(plan, 13).id = Guid::custom([1; 16]), "partition 13 is for data, but has"),
            (|plan| plan.partitions.clear(), "the disk has no partition"),
        ];
        for (slip, told) in slips {
            let mut plan = layout().system;
            slip(&mut plan);
            let problems = problems(&table(&plan).unwrap());
            assert!(problems.iter().any(|problem| problem.contains(told)), "{told}: {problems:?}");
        }
    }
}
