//! The model in words.

use crate::{Code, Field, Key, Node, Schema, Violation};
use modeled_types::Kind;
use serde::Serialize;

/// What a key is for and what may stand there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The key in its canonical spelling.
    pub key: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What a value must be, or for a table what a name in it must be.
    pub rule: String,
    /// Documentation, in Markdown.
    pub doc: String,
    /// `group`, `table`, or the form of the value: `boolean`, `integer`, `text`, ...
    pub kind: &'static str,
    /// The members of a group; of a table of groups, those of each entry.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Documentation, in Markdown.
    pub doc: String,
}

/// A leaf, or a kind of leaves whose names the user chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeafDoc {
    /// Its key, with `<name>` where the user chooses a name.
    pub pattern: String,
    /// The last part of the pattern.
    pub name: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What a value must be.
    pub rule: String,
    /// Documentation, in Markdown.
    pub doc: String,
    /// Whether a value may be a secret.
    pub secret: bool,
}

impl Schema {
    /// Says what a key is for. The key may name a leaf, a group, a table or all settings.
    pub fn explain(&self, key: &Key) -> Result<Explanation, Violation> {
        if key.as_str() == "settings" {
            return Ok(Explanation {
                key: key.to_string(),
                type_name: "group".to_owned(),
                rule: "has the members below".to_owned(),
                doc: "All settings of this variant.".to_owned(),
                kind: "group",
                members: members(self.groups()),
            });
        }
        let found = self.find(key)?;
        let (type_name, rule, kind, members) = match found.node {
            Node::Leaf(leaf) => (leaf.type_name.clone(), leaf.rule.clone(), kind_name(leaf.kind), Vec::new()),
            Node::Group(group) => {
                ("group".to_owned(), "has the members below".to_owned(), "group", members(&group.fields))
            }
            Node::Map(map) => {
                let (of, below) = match &*map.value {
                    Node::Group(group) => ("groups", members(&group.fields)),
                    Node::Leaf(leaf) => (leaf.type_name.as_str(), Vec::new()),
                    Node::Map(_) => ("tables", Vec::new()),
                };
                let type_name = format!("table of {of} by {}", map.key_type);
                (type_name, format!("is a table; each name {}", map.key_rule), "table", below)
            }
        };
        Ok(Explanation {
            key: found.key.to_string(),
            type_name,
            rule,
            doc: found.doc.to_owned(),
            kind,
            members,
        })
    }

    /// Every leaf of this variant, in the order of the model.
    pub fn leaves(&self) -> Vec<LeafDoc> {
        let mut leaves = Vec::new();
        for field in self.groups() {
            collect("settings", field, &mut leaves);
        }
        leaves
    }

    /// Whether the value of a key may be a secret, which must not be shown or logged. An unknown key may be one.
    pub fn is_secret(&self, key: &Key) -> bool {
        match self.leaf(key) {
            Ok((_, leaf)) => leaf.secret,
            Err(violation) => violation.code != Code::NotALeaf,
        }
    }
}

fn members<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Vec<Member> {
    fields.into_iter().map(|f| Member { name: f.name.clone(), doc: f.doc.clone() }).collect()
}

fn collect(above: &str, field: &Field, leaves: &mut Vec<LeafDoc>) {
    let mut pattern = format!("{above}.{}", field.name);
    let mut node = &field.node;
    while let Node::Map(map) = node {
        pattern.push_str(".<name>");
        node = &map.value;
    }
    match node {
        Node::Group(group) => group.fields.iter().for_each(|f| collect(&pattern, f, leaves)),
        Node::Leaf(leaf) => leaves.push(LeafDoc {
            name: pattern.rsplit('.').next().unwrap_or_default().to_owned(),
            pattern,
            type_name: leaf.type_name.clone(),
            rule: leaf.rule.clone(),
            doc: field.doc.clone(),
            secret: leaf.secret,
        }),
        Node::Map(_) => unreachable!("tables were passed above"),
    }
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Integer => "integer",
        Kind::Text => "text",
        Kind::IntegerOrText => "integer or text",
        Kind::List => "list",
        Kind::TextOrList => "text or list",
        Kind::Json => "table or list",
    }
}
