//! JSON Schema (draft 2020-12) of the tree.

use crate::{Field, Group, Model, Node, Schema};
use serde_json::{Map, Value, json};

/// Name of the schema; it need not be fetchable.
const ID: &str = "https://github.com/visco-os/visco/schema/settings.json";

impl Schema {
    /// JSON Schema of a settings object of this variant, without an outer `settings`, as user data and the API
    /// take it.
    pub fn json_schema(&self) -> Value {
        let mut schema = members(self.groups());
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("$id".to_owned(), json!(ID));
        schema.insert("title".to_owned(), json!("Settings"));
        Value::Object(schema)
    }
}

/// JSON Schema of a model by itself.
pub(crate) fn of<T: Model>() -> Value {
    schema(&T::node())
}

fn schema(node: &Node) -> Value {
    match node {
        Node::Group(Group { fields }) => Value::Object(members(fields)),
        Node::Map(map) => json!({
            "type": "object",
            "propertyNames": (map.key_schema)(),
            "additionalProperties": schema(&map.value),
        }),
        Node::Leaf(leaf) => (leaf.schema)(),
    }
}

fn members<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Map<String, Value> {
    let mut properties = Map::new();
    for field in fields {
        let mut member = schema(&field.node);
        if let Value::Object(member) = &mut member {
            member.insert("description".to_owned(), Value::from(field.doc.as_str()));
        }
        for &alias in field.aliases {
            let mut other = member.clone();
            if let Value::Object(other) = &mut other {
                other.insert(
                    "description".to_owned(),
                    Value::from(format!("Another name of `{}`.", field.name)),
                );
            }
            properties.insert(alias.to_owned(), other);
        }
        properties.insert(field.name.clone(), member);
    }
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(properties));
    object.insert("additionalProperties".to_owned(), json!(false));
    object
}
