//! The part of the tree that a variant has, and checks against it.

use crate::model::{Field, Group, Leaf, Map, Model, Node};
use crate::{Key, Settings};
use modeled_types::{Kind, describe};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

/// A rule broken at a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The key, as far as it could be read.
    pub key: String,
    /// The rule, as a sentence without its subject ("must be one line of text").
    pub rule: String,
    /// The nearest valid name, when a name was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// What kind of fault it is, for machines.
    #[serde(default)]
    pub code: Code,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// No variant has such a setting.
    UnknownKey,
    /// Another variant has the setting, this one does not.
    OtherVariant,
    /// The value does not obey the rule of its type.
    #[default]
    BadValue,
    /// The key names a group or a table, not a value.
    NotALeaf,
    /// The value does not fit to others.
    Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.rule)?;
        match &self.nearest {
            Some(nearest) => write!(f, " (did you mean '{nearest}'?)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Violation {}

/// A group that no model has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownGroup(pub String);

impl fmt::Display for UnknownGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no settings group '{}'", self.0)
    }
}

impl std::error::Error for UnknownGroup {}

/// The settings that one variant has.
#[derive(Clone, Debug)]
pub struct Schema {
    groups: Vec<&'static Field>,
}

/// What a key path leads to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The key in its canonical spelling, aliases replaced.
    pub key: Key,
    /// Documentation of the nearest documented place at or above it.
    pub doc: &'static str,
    /// What stands there.
    pub node: &'static Node,
}

/// The whole model, built once.
fn model() -> &'static Group {
    static MODEL: OnceLock<Group> = OnceLock::new();
    MODEL.get_or_init(|| match Settings::node() {
        Node::Group(group) => group,
        other => unreachable!("the root of the model is a group, not {other:?}"),
    })
}

impl Schema {
    /// Every group of every variant.
    pub fn all() -> Self {
        Self { groups: model().fields.iter().collect() }
    }

    /// The named groups.
    pub fn with_groups<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, UnknownGroup> {
        let groups = names
            .into_iter()
            .map(|name| {
                let name = name.as_ref();
                model().fields.iter().find(|f| f.name == name).ok_or_else(|| UnknownGroup(name.to_owned()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }

    /// The groups, in the order of the model.
    pub fn groups(&self) -> impl Iterator<Item = &'static Field> {
        self.groups.iter().copied()
    }

    /// Follows a key from `settings` down. Accepts aliases.
    pub fn find(&self, key: &Key) -> Result<Found, Violation> {
        let mut segments = key.segments();
        if segments.next() != Some("settings") {
            let rule = "is not a setting; names of settings begin with 'settings.'";
            return Err(violation(key, rule, self.right_case(key), Code::UnknownKey));
        }
        let Some(first) = segments.next() else {
            return Err(violation(key, "is the whole tree; name a setting below it", None, Code::NotALeaf));
        };
        let root = "settings".parse::<Key>().expect("a plain word is a key");
        let field = self
            .group(first)
            .ok_or_else(|| self.look_elsewhere(self.unknown_group(key, first), key.segments().last()))?;
        let mut found = Found { key: below(&root, &field.name)?, doc: &field.doc, node: &field.node };
        for segment in segments {
            found = step(&found, segment).map_err(|v| self.look_elsewhere(v, key.segments().last()))?;
        }
        Ok(found)
    }

    /// Follows a key to a leaf.
    pub fn leaf(&self, key: &Key) -> Result<(Key, &'static Leaf), Violation> {
        let found = self.find(key)?;
        match found.node {
            Node::Leaf(leaf) => Ok((found.key, leaf)),
            Node::Group(group) => {
                let members: Vec<&str> = group.fields.iter().map(|f| f.name.as_str()).collect();
                let rule = format!("is a group, not a value; its members are {}", members.join(", "));
                Err(violation(key, rule, None, Code::NotALeaf))
            }
            Node::Map(map) => {
                let rule = format!("is a table of values by name; a name {}", map.key_rule);
                Err(violation(key, rule, None, Code::NotALeaf))
            }
        }
    }

    /// Checks one leaf. Gives the canonical key and the value as it is stored.
    pub fn check(&self, key: &Key, value: Value) -> Result<(Key, Value), Violation> {
        let (key, leaf) = self.leaf(key)?;
        let value = check_leaf(&key, leaf, value)?;
        Ok((key, value))
    }

    /// Reads the text of `key=value` as the type of the key asks for, and checks it.
    pub fn check_text(&self, key: &Key, text: &str) -> Result<(Key, Value), Violation> {
        let (key, leaf) = self.leaf(key)?;
        let value = read_text(leaf.kind, text).ok_or_else(|| {
            let given =
                if leaf.secret { String::new() } else { format!(", not {}", describe(&Value::from(text))) };
            violation(&key, format!("{}{given}", leaf.rule), None, Code::BadValue)
        })?;
        let value = check_leaf(&key, leaf, value)?;
        Ok((key, value))
    }

    /// Flattens a settings object (without an outer `settings`) to checked leaves, or lists all that is wrong in
    /// it. Members that are null, and empty objects, leave no trace.
    pub fn flatten(&self, settings: &Value) -> Result<Vec<(Key, Value)>, Vec<Violation>> {
        let root = "settings".parse::<Key>().expect("a plain word is a key");
        let Value::Object(members) = settings else {
            return Err(vec![violation(&root, "must be a table of settings", None, Code::BadValue)]);
        };
        let (mut leaves, mut wrong) = (Vec::new(), Vec::new());
        for (name, value) in members {
            match self.group(name) {
                Some(field) => match below(&root, &field.name) {
                    Ok(key) => walk(&key, &field.node, value, &mut leaves, &mut wrong),
                    Err(v) => wrong.push(v),
                },
                None => wrong.push(self.unknown_group(&key_for_error(&root, name), name)),
            }
        }
        wrong.extend(given_twice(&leaves));
        if wrong.is_empty() {
            return Ok(leaves);
        }
        Err(wrong.into_iter().map(|v| self.look_elsewhere(v, None)).collect())
    }

    fn group(&self, name: &str) -> Option<&'static Field> {
        self.groups.iter().copied().find(|f| f.name == name || f.aliases.contains(&name))
    }

    /// The setting meant by a name in the wrong case or without its first segment.
    fn right_case(&self, key: &Key) -> Option<String> {
        let lower = key.as_str().to_ascii_lowercase();
        // Beginning with `settings.` it cannot come back here.
        let name = if lower.starts_with("settings.") { lower } else { format!("settings.{lower}") };
        let found = self.find(&name.parse().ok()?).ok()?;
        Some(found.key.to_string())
    }

    /// Where nothing near a wrong name fits, names the one setting elsewhere whose last part is `last`, or is the
    /// last part of the wrong key.
    fn look_elsewhere(&self, mut violation: Violation, last: Option<&str>) -> Violation {
        if violation.code != Code::UnknownKey || violation.nearest.is_some() {
            return violation;
        }
        let wrong: Option<Key> = violation.key.parse().ok();
        let Some(last) = last.or_else(|| wrong.as_ref().and_then(|key| key.segments().last())) else {
            return violation;
        };
        let leaves = self.leaves();
        let mut same = leaves.iter().filter(|leaf| leaf.name == last && !leaf.pattern.contains('<'));
        if let (Some(only), None) = (same.next(), same.next()) {
            violation.nearest = Some(only.pattern.clone());
        }
        violation
    }

    fn unknown_group(&self, key: &Key, name: &str) -> Violation {
        if model().fields.iter().any(|f| f.name == name) {
            return violation(key, "is not a setting of this variant", None, Code::OtherVariant);
        }
        let names = self.groups.iter().map(|f| f.name.as_str());
        violation(
            key,
            "is not a setting",
            nearest(name, names).map(|n| format!("settings.{n}")),
            Code::UnknownKey,
        )
    }
}

fn step(found: &Found, segment: &str) -> Result<Found, Violation> {
    match found.node {
        Node::Group(group) => {
            let field = member(&found.key, group, segment)?;
            Ok(Found { key: below(&found.key, &field.name)?, doc: &field.doc, node: &field.node })
        }
        Node::Map(map) => {
            let key = map_member(&found.key, map, segment)?;
            Ok(Found { key, doc: found.doc, node: &map.value })
        }
        Node::Leaf(_) => {
            let key = below(&found.key, segment)?;
            let rule = format!("is not a setting; {} is a value", found.key);
            Err(violation(&key, rule, Some(found.key.to_string()), Code::UnknownKey))
        }
    }
}

fn walk(
    key: &Key,
    node: &'static Node,
    value: &Value,
    leaves: &mut Vec<(Key, Value)>,
    wrong: &mut Vec<Violation>,
) {
    if value.is_null() {
        return;
    }
    let members = match (node, value) {
        (Node::Leaf(leaf), value) => {
            match check_leaf(key, leaf, value.clone()) {
                Ok(value) => leaves.push((key.clone(), value)),
                Err(v) => wrong.push(v),
            }
            return;
        }
        (_, Value::Object(members)) => members,
        (_, _) => {
            let rule = format!("must be a table, not {}", describe(value));
            wrong.push(violation(key, rule, None, Code::BadValue));
            return;
        }
    };
    for (name, value) in members {
        let next = match node {
            Node::Group(group) => {
                member(key, group, name).and_then(|f| below(key, &f.name).map(|k| (k, &f.node)))
            }
            Node::Map(map) => map_member(key, map, name).map(|k| (k, &*map.value)),
            Node::Leaf(_) => unreachable!("leaves returned above"),
        };
        match next {
            Ok((key, node)) => walk(&key, node, value, leaves, wrong),
            Err(v) => wrong.push(v),
        }
    }
}

fn member(key: &Key, group: &'static Group, name: &str) -> Result<&'static Field, Violation> {
    let found = group.fields.iter().find(|f| f.name == name || f.aliases.contains(&name));
    found.ok_or_else(|| {
        let nearest = nearest(name, group.fields.iter().map(|f| f.name.as_str()));
        violation(
            &key_for_error(key, name),
            "is not a setting",
            nearest.map(|n| format!("{key}.{n}")),
            Code::UnknownKey,
        )
    })
}

fn map_member(key: &Key, map: &Map, name: &str) -> Result<Key, Violation> {
    if let Err(why) = (map.check_key)(name) {
        let schema = (map.key_schema)();
        let known = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let near = nearest(name, known).and_then(|n| key.child(n).ok()).map(String::from);
        let key = key_for_error(key, name);
        return Err(violation(&key, format!("has a name that {why}"), near, Code::UnknownKey));
    }
    below(key, name)
}

fn below(key: &Key, segment: &str) -> Result<Key, Violation> {
    key.child(segment)
        .map_err(|e| violation(key, format!("cannot hold the name '{segment}': {e}"), None, Code::UnknownKey))
}

/// The key of a wrong name where it has one, else the key above it.
fn key_for_error(above: &Key, name: &str) -> Key {
    above.child(name).unwrap_or_else(|_| above.clone())
}

/// Keys that a tree holds more than once: by their name and by an alias. Neither value is more right.
fn given_twice(leaves: &[(Key, Value)]) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    let again = leaves.iter().filter(|(key, _)| !seen.insert(key));
    again
        .map(|(key, _)| {
            violation(key, "is given twice, once by another name of it; remove one", None, Code::BadValue)
        })
        .collect()
}

fn check_leaf(key: &Key, leaf: &Leaf, value: Value) -> Result<Value, Violation> {
    (leaf.check)(value).map_err(|why| violation(key, why, None, Code::BadValue))
}

fn read_text(kind: Kind, text: &str) -> Option<Value> {
    let json = || serde_json::from_str::<Value>(text).ok();
    match kind {
        Kind::Text => Some(Value::from(text)),
        Kind::Bool => text.parse::<bool>().ok().map(Value::from),
        Kind::Integer => json().filter(Value::is_number).or_else(|| Some(Value::from(text))),
        Kind::IntegerOrText => Some(json().filter(Value::is_number).unwrap_or_else(|| Value::from(text))),
        Kind::TextOrList => Some(json().filter(Value::is_array).unwrap_or_else(|| Value::from(text))),
        Kind::List | Kind::Json => json(),
    }
}

/// The name that was meant by `wrong`: the same but for its case, or else the closest one that is close enough, or
/// else the shortest one that goes on after it.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_ascii_lowercase();
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    let close = || {
        let with_distance =
            names.iter().map(|&name| (strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase()), name));
        with_distance.filter(|(distance, name)| *distance <= (name.len().min(wrong.len()) / 3).max(1)).min()
    };
    let longer =
        || names.iter().filter(|name| name.strip_prefix(&*lower).is_some_and(|rest| rest.starts_with('-')));
    close().map(|(_, name)| name).or_else(|| longer().min_by_key(|name| name.len()).copied())
}

fn violation(key: &Key, rule: impl Into<String>, nearest: Option<String>, code: Code) -> Violation {
    Violation { key: key.to_string(), rule: rule.into(), nearest, code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> Key {
        name.parse().unwrap()
    }

    #[test]
    fn a_tree_flattens_to_checked_leaves() {
        let tree = json!({"motd": "hi", "kernel": {"sysctl": {"net.ipv4.ip_forward": "1"}}});
        let leaves = Schema::all().flatten(&tree).unwrap();
        let expected = vec![
            (key("settings.kernel.sysctl.\"net.ipv4.ip_forward\""), json!("1")),
            (key("settings.motd"), json!("hi")),
        ];
        let mut sorted = leaves;
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(sorted, expected);
    }

    #[test]
    fn every_fault_of_a_tree_is_named_with_the_nearest_valid_name() {
        let tree = json!({"motdd": "hi", "kernel": {"sysctll": {}, "sysctl": {"a": 5}}});
        let mut wrong = Schema::all().flatten(&tree).unwrap_err();
        wrong.sort_by(|a, b| a.key.cmp(&b.key));
        let rows: Vec<_> = wrong.iter().map(|v| (v.key.as_str(), v.nearest.as_deref())).collect();
        assert_eq!(
            rows,
            [
                ("settings.kernel.sysctl.a", None),
                ("settings.kernel.sysctll", Some("settings.kernel.sysctl")),
                ("settings.motdd", Some("settings.motd")),
            ]
        );
    }

    #[test]
    fn a_setting_is_not_given_by_two_of_its_names() {
        let tree =
            json!({"boot": {"kernel": {"a": [], "b": []}, "kernel-parameters": {"a": ["x"], "c": []}}});
        let wrong = Schema::all().flatten(&tree).unwrap_err();
        let keys: Vec<_> = wrong.iter().map(|v| v.key.as_str()).collect();
        assert_eq!(keys, ["settings.boot.kernel.a"]);
    }

    #[test]
    fn a_key_of_another_variant_is_told_apart_from_an_unknown_one() {
        let schema = Schema::with_groups(["motd"]).unwrap();
        let wrong = schema.find(&key("settings.kernel.sysctl.a")).unwrap_err();
        assert_eq!(wrong.rule, "is not a setting of this variant");
    }

    #[test]
    fn wrong_names_lead_to_the_right_ones() {
        let rows = [
            ("Settings.Motd", Some("settings.motd")),
            ("MOTD", Some("settings.motd")),
            ("motd", Some("settings.motd")),
            ("settings.MOTD", Some("settings.motd")),
            ("settings.Kernel.Lockdown", Some("settings.kernel")),
            ("settings.kernel.lockdwon", Some("settings.kernel.lockdown")),
            ("settings.hostname", Some("settings.network.hostname")),
            ("settings.host.hostname", Some("settings.host-containers")),
            ("settings.kubernetes.hostname", Some("settings.kubernetes.hostname-override")),
            ("settings.kubernetes.time-servers", Some("settings.ntp.time-servers")),
            ("settings.kubernetes.kube-reserved.memroy", Some("settings.kubernetes.kube-reserved.memory")),
            ("settings.oci-defaults.capabilities.CAP_BPF", None),
            ("settings.motd.text", Some("settings.motd")),
            ("settings.enabled", None),
            ("settings.qqqqqqqq", None),
        ];
        for (wrong, right) in rows {
            let violation = Schema::all().leaf(&key(wrong)).unwrap_err();
            assert_eq!(violation.nearest.as_deref(), right, "{wrong}");
            assert_eq!(violation.code, Code::UnknownKey, "{wrong}");
        }
    }

    #[test]
    fn faults_have_their_code() {
        let schema = Schema::with_groups(["motd", "kernel", "boot", "kubernetes"]).unwrap();
        let code = |name: &str, value: Value| schema.check(&key(name), value).unwrap_err().code;
        assert_eq!(code("settings.ntp.options", json!([])), Code::OtherVariant);
        assert_eq!(code("settings.kernel", json!({})), Code::NotALeaf);
        assert_eq!(code("settings.kernel.sysctl", json!({})), Code::NotALeaf);
        assert_eq!(code("settings", json!({})), Code::NotALeaf);
        assert_eq!(code("settings.motd", json!(5)), Code::BadValue);
        assert_eq!(code("settings.kernel.sysctl.\"a..b\"", json!("1")), Code::UnknownKey);
        let old: Violation = serde_json::from_value(json!({"key": "a", "rule": "b"})).unwrap();
        assert_eq!(old.code, Code::BadValue);
    }

    #[test]
    fn refusals_read_well() {
        let rows = [
            (
                json!({"kubernetes": {"log-level": 300}}),
                "settings.kubernetes.log-level must be an integer from 0 to 255, not 300",
            ),
            (
                json!({"kubernetes": {"seccomp-default": "yes"}}),
                "settings.kubernetes.seccomp-default must be true or false, not the text 'yes'",
            ),
            (json!({"kernel": 5}), "settings.kernel must be a table, not 5"),
            (
                json!({"ntp": {"options": ["a", "b\nc"]}}),
                "settings.ntp.options has a wrong element: element 2 must be one line of text, not the text 'b\\nc'",
            ),
            (
                json!({"ntp": {"options": "iburst"}}),
                "settings.ntp.options must be a list, not the text 'iburst'",
            ),
            (
                json!({"container-registry": {"mirrors": [{"registry": "a", "endpoints": []}]}}),
                "settings.container-registry.mirrors has a wrong element: element 1 has no member 'endpoints'; its members are registry, endpoint",
            ),
            (
                json!({"container-registry": {"mirrors": [{"registry": "a"}, {"registry": "a"}]}}),
                "settings.container-registry.mirrors must have one entry for each registry; 'a' has two",
            ),
            (
                json!({"container-registry": {"creds": [{"registry": "a", "password": "hunter2\n"}]}}),
                "settings.container-registry.credentials has a wrong element: element 1 has a wrong 'password', which must be one line of text",
            ),
            (
                json!({"kubernetes": {"credential-providers": {"p": {"environment": {"A B": "c"}}}}}),
                "settings.kubernetes.credential-providers.p.environment cannot hold the name 'A B': 'A B' has the character ' '; a segment holds letters, digits, '_', '-' and '/', and dots only inside double quotes",
            ),
            (
                json!({"host-containers": {"": {"enabled": true}}}),
                "settings.host-containers has a name that must be 1 to 76 ASCII letters, digits and hyphens, not the empty text",
            ),
        ];
        for (settings, expected) in rows {
            let wrong = Schema::all().flatten(&settings).unwrap_err();
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert_eq!(wrong[0].to_string(), expected);
        }
        let long = json!({"kubernetes": {"node-labels": {format!("{}/x", "p".repeat(253)): "v"}}});
        let wrong = Schema::all().flatten(&long).unwrap_err();
        assert!(wrong[0].rule.ends_with("at most 255 are allowed"), "{}", wrong[0]);
    }

    #[test]
    fn other_forms_of_input_become_the_one_that_is_stored() {
        let settings = json!({
            "boot": {"kernel-parameters": {"console": ["tty0"]}, "init-parameters": {"a": []}},
            "container-registry": {"creds": [{"registry": "r"}], "mirrors": {"r": ["https://m"]}},
            "kubernetes": {"node-taints": {"a": "v:NoSchedule"}, "cloud-provider": "\"\""},
            "oci-defaults": {"resource-limits": {"max-processes": {"hard-limit": "unlimited"}}},
        });
        let leaves = Schema::all().flatten(&settings).unwrap();
        assert_eq!(
            crate::nest_below(leaves.iter().map(|(k, v)| (k, v)), 1),
            json!({
                "boot": {"kernel": {"console": ["tty0"]}, "init": {"a": []}},
                "container-registry": {
                    "credentials": [{"registry": "r"}],
                    "mirrors": [{"registry": "r", "endpoint": ["https://m"]}],
                },
                "kubernetes": {"node-taints": {"a": ["v:NoSchedule"]}, "cloud-provider": ""},
                "oci-defaults": {"resource-limits": {"max-processes": {"hard-limit": -1}}},
            })
        );
    }

    #[test]
    fn text_is_read_by_the_type_of_its_key() {
        let rows = [
            ("settings.motd", "007", json!("007")),
            ("settings.updates.version-lock", "1.20.0", json!("1.20.0")),
            ("settings.updates.ignore-waves", "true", json!(true)),
            ("settings.container-runtime.max-concurrent-downloads", "-1", json!(-1)),
            ("settings.kubernetes.image-gc-high-threshold-percent", "70", json!(70)),
            ("settings.kubernetes.cluster-dns-ip", "10.0.0.10", json!("10.0.0.10")),
            ("settings.kubernetes.cluster-dns-ip", "[\"10.0.0.10\"]", json!(["10.0.0.10"])),
            ("settings.ntp.options", "[\"iburst\"]", json!(["iburst"])),
        ];
        for (name, text, expected) in rows {
            assert_eq!(Schema::all().check_text(&key(name), text).unwrap().1, expected, "{name}={text}");
        }
        let wrong = Schema::all().check_text(&key("settings.updates.ignore-waves"), "yes").unwrap_err();
        assert_eq!(wrong.rule, "must be true or false, not the text 'yes'");
    }
}
