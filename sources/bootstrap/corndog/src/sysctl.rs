//! Kernel parameters: which file a name means, and which is written first.

use std::collections::BTreeMap;

/// A kernel parameter to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, as the user wrote it.
    pub key: String,
    /// The paths below `/proc/sys` that the name can mean; the first that exists is meant.
    pub paths: Vec<String>,
    /// The text to write.
    pub value: String,
}

/// A kernel parameter that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name, as the user wrote it.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// Puts kernel parameters in the order in which they are written.
///
/// The order follows from the names alone. Parameters that reset or preset others come before these, so that the
/// special wins over the general: `ip_forward` of IPv4 resets every interface, `all` and `default` preset them.
pub fn plan(sysctl: &BTreeMap<String, String>) -> (Vec<Parameter>, Vec<Fault>) {
    let mut by_path: BTreeMap<(u8, String), Parameter> = BTreeMap::new();
    let mut faults = Vec::new();
    for (key, value) in sysctl {
        let mut fault = |why: String| faults.push(Fault { key: key.clone(), why });
        let paths = paths(key);
        let Some(first) = paths.first() else {
            fault("is not the name of a kernel parameter".to_owned());
            continue;
        };
        let place = (rank(first), first.clone());
        match by_path.get(&place) {
            Some(other) if other.value != *value => {
                fault(format!("is the parameter that '{}' sets to '{}'", other.key, other.value));
            }
            Some(_) => {}
            None => {
                by_path.insert(place, Parameter { key: key.clone(), paths, value: value.clone() });
            }
        }
    }
    (by_path.into_values().collect(), faults)
}

/// The paths that a name can mean, the likeliest first; none for a name that cannot be one.
///
/// The first separator decides, as in `sysctl.d(5)`: after a slash, dots are part of names; after a dot, slashes stand
/// for dots of names, as in `net.ipv4.conf.eth0/100.forwarding`. A name that mixes both may also have been written
/// where every dot and every slash separates.
fn paths(key: &str) -> Vec<String> {
    let swapped = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let exact = match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => key.chars().map(swapped).collect(),
        _ => key.to_owned(),
    };
    let mut paths = vec![exact, key.replace('.', "/")];
    paths.dedup();
    paths.retain(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")));
    paths
}

/// How special a parameter is: lower ones are written first.
fn rank(path: &str) -> u8 {
    let has = |name| path.split('/').any(|part| part == name);
    match () {
        () if path == "net/ipv4/ip_forward" => 0,
        () if has("all") => 1,
        () if has("default") => 2,
        () => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sysctl(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn dots_and_slashes_separate_and_either_may_be_part_of_a_name() {
        for (key, expected) in [
            ("vm", &["vm"][..]),
            ("vm.swappiness", &["vm/swappiness"]),
            ("vm/swappiness", &["vm/swappiness"]),
            (
                "net.ipv4.conf.eth0/100.forwarding",
                &["net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0/100/forwarding"],
            ),
            (
                "net/ipv4/conf/eth0.100/forwarding",
                &["net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0/100/forwarding"],
            ),
            ("net/ipv4.ip_forward", &["net/ipv4.ip_forward", "net/ipv4/ip_forward"]),
            ("", &[]),
            ("/vm/x", &[]),
            ("a/../b", &[]),
            ("../../etc", &[]),
            ("a..b", &[]),
            ("a.", &[]),
        ] {
            assert_eq!(paths(key), expected, "{key}");
        }
    }

    #[test]
    fn the_general_is_written_before_the_special() {
        let (parameters, faults) = plan(&sysctl(&[
            ("net.ipv4.conf.aaa.forwarding", "0"),
            ("net.ipv4.conf.default.forwarding", "1"),
            ("net.ipv4.conf.all.forwarding", "1"),
            ("net.ipv4.ip_forward", "1"),
            ("kernel.panic", "5"),
        ]));
        let keys: Vec<_> = parameters.iter().map(|parameter| parameter.key.as_str()).collect();
        let expected = [
            "net.ipv4.ip_forward",
            "net.ipv4.conf.all.forwarding",
            "net.ipv4.conf.default.forwarding",
            "kernel.panic",
            "net.ipv4.conf.aaa.forwarding",
        ];
        assert_eq!((keys, faults), (expected.to_vec(), Vec::new()));
    }

    #[test]
    fn one_parameter_under_two_names_has_one_value() {
        let (parameters, faults) =
            plan(&sysctl(&[("a.b", "1"), ("a/b", "1"), ("c.d", "1"), ("c/d", "2"), ("..", "3")]));
        let set: Vec<_> = parameters.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(set, [("a.b", "1"), ("c.d", "1")]);
        let faults: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.key, fault.why)).collect();
        assert_eq!(
            faults,
            ["..: is not the name of a kernel parameter", "c/d: is the parameter that 'c.d' sets to '1'"]
        );
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_folder_of_parameters(key in "[a./]{0,12}") {
            for path in paths(&key) {
                prop_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".." && !part.is_empty()));
            }
        }
    }
}
