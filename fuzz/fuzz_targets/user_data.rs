//! Whatever bytes a source of user data holds, reading them never panics; what a variant accepts of them are leaves
//! that are accepted again as they are, and that build a tree of the same leaves.
#![no_main]

use defaults::Catalog;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use settings::{Key, Schema, nest_below};
use std::slice::from_ref;
use std::sync::OnceLock;
use user_data::{Document, Syntax, locate};

/// Two variants whose groups differ most.
const VARIANTS: [&str; 2] = ["aws-k8s-1.28-nvidia", "metal-dev"];

fn schemas() -> &'static [Schema; 2] {
    static SCHEMAS: OnceLock<[Schema; 2]> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let catalog = Catalog::embedded();
        VARIANTS.map(|name| catalog.variant(name).expect("a variant").schema().expect("known groups"))
    })
}

fuzz_target!(|content: &[u8]| {
    let Ok(document) = Document::read("fuzz", content, Syntax::TomlOrJson) else { return };
    for schema in schemas() {
        match schema.flatten(&document.settings) {
            Ok(leaves) => accepted(schema, leaves),
            Err(violations) => {
                assert!(!violations.is_empty(), "refused for no reason");
                for violation in violations {
                    // As the report of bad user data does, to name the line.
                    let place = locate(from_ref(&document), &violation.key);
                    assert!(
                        place.is_some() || violation.key.parse::<Key>().is_err(),
                        "{} has no place",
                        violation.key
                    );
                }
            }
        }
    }
});

fn accepted(schema: &Schema, mut leaves: Vec<(Key, Value)>) {
    for (key, value) in &leaves {
        let again = schema.check(key, value.clone());
        assert_eq!(again.as_ref(), Ok(&(key.clone(), value.clone())), "{key} is not stored as it is checked");
    }
    let tree = nest_below(leaves.iter().map(|(key, value)| (key, value)), 1);
    let mut again = schema.flatten(&tree).expect("a tree of accepted leaves is accepted");
    leaves.sort_by(|(a, _), (b, _)| a.cmp(b));
    again.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(leaves, again, "the tree of the leaves has other leaves");
}
