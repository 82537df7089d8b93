//! Checking user data against a variant, with no server.

use defaults::Variant;
use serde::Serialize;
use serde_json::Value;
use settings::{Key, UnknownGroup, View, Violation};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::slice::from_ref;
use user_data::Document;

/// A rule broken by a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The document; absent when several could be to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The line of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The rule.
    #[serde(flatten)]
    pub violation: Violation,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, line, column, violation } = self;
        match (document, line, column) {
            (Some(document), Some(line), Some(column)) => {
                write!(f, "{document}:{line}:{column}: {violation}")
            }
            (Some(document), ..) => write!(f, "{document}: {violation}"),
            (None, ..) => write!(f, "{violation}"),
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What a server would refuse.
    pub problems: Vec<Problem>,
    /// What it would accept, but somebody should look at.
    pub warnings: Vec<Problem>,
}

/// Checks documents as they would be applied one after the other on the defaults of a variant: every setting by
/// itself, then, where all of them are in order, the rules between settings.
pub fn check(variant: &Variant, documents: &[Document]) -> Result<Checked, UnknownGroup> {
    let schema = variant.schema()?;
    let mut tree = Tree(schema.flatten(&variant.settings).unwrap_or_default().into_iter().collect());
    let (mut changed, mut problems) = (Vec::new(), Vec::new());
    for document in documents {
        match schema.flatten(&document.settings) {
            Ok(leaves) => {
                changed.extend(leaves.iter().map(|(key, _)| key.clone()));
                tree.0.extend(leaves);
            }
            Err(violations) => {
                problems.extend(violations.into_iter().map(|v| problem(from_ref(document), v)));
            }
        }
    }
    let mut warnings = Vec::new();
    if problems.is_empty() {
        let found =
            schema.warnings(&tree).into_iter().filter(|found| concerns(variant, documents, &found.key));
        warnings.extend(found.map(|violation| problem(documents, violation)));
        let broken = schema.broken_rules(&tree, &changed);
        problems.extend(broken.into_iter().map(|violation| problem(documents, violation)));
    }
    problems.sort_by_key(|p| (p.line, p.column));
    problems.sort_by_key(|p| documents.iter().position(|d| Some(&d.name) == p.document.as_ref()));
    Ok(Checked { problems, warnings })
}

/// Whether a warning is about documents: the table of its key is in one, and no generator makes the value.
fn concerns(variant: &Variant, documents: &[Document], key: &str) -> bool {
    let Ok(key) = key.parse::<Key>() else { return true };
    let segments: Vec<&str> = key.segments().skip(1).collect();
    let table = segments.split_last().map(|(_, table)| table).unwrap_or_default();
    let in_document = |document: &Document| {
        table.iter().try_fold(&document.settings, |here, segment| here.get(segment)).is_some()
    };
    documents.iter().any(in_document) && !variant.metadata.generators().iter().any(|(made, _)| *made == key)
}

/// What a server said of the settings of documents, each with its place in them.
pub(crate) fn locate(documents: &[Document], violations: &[Violation]) -> Vec<Problem> {
    violations.iter().map(|violation| problem(documents, violation.clone())).collect()
}

/// A broken rule, and the place of the value to blame.
fn problem(documents: &[Document], violation: Violation) -> Problem {
    let (document, at) = user_data::locate(documents, &violation.key).unzip();
    let document = match (document, documents) {
        (None, [only]) => Some(only),
        (found, _) => found,
    };
    Problem {
        document: document.map(|document| document.name.clone()),
        line: at.map(|at| at.line),
        column: at.map(|at| at.column),
        violation,
    }
}

/// All settings as they would be.
struct Tree(BTreeMap<Key, Value>);

impl View for Tree {
    fn get(&self, key: &Key) -> Option<&Value> {
        self.0.get(key)
    }

    fn below<'a>(&'a self, prefix: &Key) -> Box<dyn Iterator<Item = (&'a Key, &'a Value)> + 'a> {
        let prefix = prefix.clone();
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let near = self.0.range(from).take_while({
            let prefix = prefix.clone();
            move |(key, _)| key.as_str().starts_with(prefix.as_str())
        });
        Box::new(near.filter(move |(key, _)| key.is_at_or_below(&prefix)))
    }
}
