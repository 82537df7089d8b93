//! The reference of all settings, as a document.

use crate::{Field, Node, RULES, Schema, Severity};
use std::fmt::Write;

/// Writes the reference of the settings of a schema as Markdown.
pub fn reference_markdown(schema: &Schema) -> String {
    let mut text = String::from(
        "# Settings\n\n\
         Every setting, by group. A variant has some of the groups. This file is written from the model in\n\
         `sources/models/settings`; a test keeps it up to date.\n",
    );
    let leaves = schema.leaves();
    for field in schema.groups() {
        group(&mut text, field);
        let own = format!("settings.{}", field.name);
        let below = format!("{own}.");
        for leaf in leaves.iter().filter(|l| l.pattern == own || l.pattern.starts_with(&below)) {
            // A String takes whatever is written to it.
            let _ = write!(
                text,
                "\n- `{}` ({})\\\n  {}\\\n  *It {}.*\n",
                leaf.pattern,
                leaf.type_name,
                leaf.doc.replace('\n', "\n  "),
                leaf.rule.replace('*', "\\*").replace('<', "\\<"),
            );
        }
    }
    text.push_str("\n## Rules between settings\n");
    for (title, severity) in [("Refused", Severity::Refuse), ("Accepted with a warning", Severity::Warn)] {
        let _ = write!(text, "\n{title} when broken:\n\n");
        for rule in RULES.iter().filter(|rule| rule.severity == severity) {
            let _ = writeln!(text, "- {} (`{}`)", rule.text, rule.id);
        }
    }
    text
}

fn group(text: &mut String, field: &Field) {
    let _ = write!(text, "\n## {}\n", field.name);
    // The only document of a bare value is that of the value itself.
    if !matches!(field.node, Node::Leaf(_)) {
        let _ = write!(text, "\n{}\n", field.doc);
    }
}
