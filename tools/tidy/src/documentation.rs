//! The rule about the model of settings: every place of it is documented.

use crate::Finding;
use settings::{Field, Node};

/// Where the groups of settings are written.
const GROUPS: &str = "sources/models/settings/src/groups.rs";

/// Groups and members without documentation, at any depth.
pub(crate) fn undocumented<'a>(groups: impl IntoIterator<Item = &'a Field>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in groups {
        walk("settings", group, &mut findings);
    }
    findings
}

fn walk(above: &str, field: &Field, findings: &mut Vec<Finding>) {
    let key = format!("{above}.{}", field.name);
    if field.doc.trim().is_empty() {
        let text = format!("{key} has no documentation; `explain` and the schema show its doc comment");
        findings.push(Finding::new(GROUPS, 1, text));
    }
    below(&key, &field.node, findings);
}

fn below(key: &str, node: &Node, findings: &mut Vec<Finding>) {
    match node {
        Node::Group(group) => group.fields.iter().for_each(|field| walk(key, field, findings)),
        Node::Map(map) => below(&format!("{key}.*"), &map.value, findings),
        Node::Leaf(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use settings::{Group, Map, Schema};

    fn field(doc: &str, node: Node) -> Field {
        Field { name: "a".to_owned(), aliases: &[], doc: doc.to_owned(), node }
    }

    fn group(fields: Vec<Field>) -> Node {
        Node::Group(Group { fields })
    }

    fn map(value: Node) -> Node {
        Node::Map(Map {
            key_type: "name",
            key_rule: "is a name",
            key_schema: || true.into(),
            check_key: |_| Ok(()),
            value: Box::new(value),
        })
    }

    #[test]
    fn places_without_documentation_are_found_at_any_depth() {
        for (root, keys) in [
            (field("A.", group(vec![])), &[][..]),
            (field(" \n", group(vec![])), &["settings.a"]),
            (field("A.", group(vec![field("", group(vec![]))])), &["settings.a.a"]),
            (field("", map(group(vec![field("", map(group(vec![])))]))), &["settings.a", "settings.a.*.a"]),
        ] {
            let findings = undocumented([&root]);
            let found: Vec<&str> =
                findings.iter().filter_map(|finding| finding.text.split(' ').next()).collect();
            assert_eq!(found, keys);
        }
    }

    #[test]
    fn the_model_is_walked_to_its_leaves() {
        fn leaves(node: &Node) -> usize {
            match node {
                Node::Group(group) => group.fields.iter().map(|field| leaves(&field.node)).sum(),
                Node::Map(map) => leaves(&map.value),
                Node::Leaf(_) => 1,
            }
        }
        let all: usize = Schema::all().groups().map(|field| leaves(&field.node)).sum();
        assert!(all > 100, "only {all} leaves: is this every group?");
    }
}
