//! Documents: what is written is what is run, and what cannot be meant is refused with one clear line.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

use migrations::{Document, MAX_SIZE, Name, Row, to_target};
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn a_source_file_becomes_the_same_target_every_time() {
    let source = "
        description = 'The banner moves.'

        [[rows]]
        rename = { from = 'settings.motd', to = 'settings.banner.text' }

        [[rows]]
        replace = { key = 'settings.banner.text', old = 'hello', new = 'welcome' }
    ";
    let target = String::from_utf8(to_target(source).unwrap()).unwrap();
    assert_eq!(
        target,
        r#"{"description":"The banner moves.","rows":[{"rename":{"from":"settings.motd","to":"settings.banner.text"}},{"replace":{"key":"settings.banner.text","new":"welcome","old":"hello"}}],"visco-migration":1}"#
    );
    assert_eq!(Document::from_target(target.as_bytes()).unwrap(), Document::from_toml(source).unwrap());
}

/// Update.md 8.5, each by the row that does its work.
#[test]
fn every_stock_migration_of_the_documents_can_be_written() {
    let stock = [
        ("AddSettings", "add = { keys = ['settings.metrics.send-metrics'] }"),
        ("AddPrefixes", "add = { prefixes = ['settings.boot', 'settings.kernel.sysctl'] }"),
        ("RemoveSettings", "remove = { keys = ['settings.ecs.old'] }"),
        (
            "ReplaceString",
            "replace = { key = 'settings.host-containers.admin.source', old = 'r/admin:v0.1', new = 'r/admin:v0.2' }",
        ),
        (
            "ReplaceLists",
            "replace-list = { key = 'settings.ntp.time-servers', old = ['a'], new = ['a', 'b'] }",
        ),
        ("ReplaceTemplate", "regenerate = { keys = ['settings.updates.metadata-base-url'] }"),
        ("ReplaceSchnauzer", "regenerate = { keys = ['settings.host-containers.control.source'] }"),
        ("AddMetadata", "add-metadata = { keys = ['settings.motd'], metadata = ['affected-services'] }"),
        ("RemoveMetadata", "remove-metadata = { keys = ['services.x'], metadata = ['y'] }"),
        (
            "ReplaceMetadata",
            "replace-metadata = { key = 'settings.x', metadata = 'setting-generator', old = 'a', new = 'b' }",
        ),
        (
            "ReplaceMetadataLists",
            "replace-metadata-lists = { key = 'settings.x', metadata = 'affected-services', old = ['a'], new = [] }",
        ),
        ("NoOp", "no-op = {}"),
    ];
    for (name, row) in stock {
        let target =
            to_target(&format!("rows = [{{ {row} }}]")).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(Document::from_target(&target).unwrap().rows.len(), 1, "{name}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let rows = [
        ("rename = { from = 'settings..a', to = 'settings.b' }", "row 2: 'settings..a' has an empty segment"),
        (
            "rename = { from = 'motd', to = 'settings.b' }",
            "row 2: 'motd' is not a setting; settings are named",
        ),
        (
            "rename = { from = 'settings.a', to = 'settings.a' }",
            "row 2: 'settings.a' and 'settings.a' are the same",
        ),
        (
            "rename = { from = 'settings.a', to = 'settings.a.b' }",
            "one below the other, so it cannot be undone",
        ),
        ("rename = { from = 'settings.a' }", "row 2: missing field `to`"),
        (
            "rename = { from = 'settings.a', to = 'settings.b', by = 1 }",
            "row 2: unknown field `by`, expected",
        ),
        ("renamed = {}", "row 2: unknown variant `renamed`, expected one of `rename`, `move`"),
        ("move = { from = 'settings.a', to = 'settings.b', members = [] }", "row 2: it moves no 'members'"),
        (
            "move = { from = 'settings.a', to = 'settings.b', members = [' '] }",
            "row 2: 'members': ' ' has the character",
        ),
        ("add = {}", "row 2: it names no keys"),
        (
            "remove = { keys = ['settings.a'], back = { 'settings.b' = 1 } }",
            "row 2: 'settings.b' in 'back' is not among",
        ),
        (
            "remove = { keys = ['settings.a'], back = { 'settings.a' = {} } }",
            "row 2: {} in 'back' is not a value",
        ),
        ("replace = { key = 'settings.a', old = 1, new = 1 }", "row 2: 'old' and 'new' are the same"),
        (
            "replace = { key = 'settings.a', old = 1, new = { b = 2 } }",
            "row 2: {\"b\":2} in 'new' is not a value",
        ),
        ("replace = { key = 'settings.a', old = 1, new = 1979-05-27 }", "in 'new' is not a value"),
        (
            "replace-list = { key = 'settings.a', old = ['a'], new = [1] }",
            "row 2: invalid type: integer `1`, expected a string",
        ),
        ("regenerate = { keys = [] }", "row 2: it names no keys"),
        ("no-op = { a = 1 }", "row 2: unknown field `a`"),
    ];
    for (row, expected) in rows {
        let fault = Document::from_toml(&format!("rows = [{{ no-op = {{}} }}, {{ {row} }}]"))
            .unwrap_err()
            .to_string();
        assert!(fault.contains(expected), "{row}: {fault}");
        assert!(!fault.contains('\n'), "{row}: {fault}");
    }
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    let toml = [
        ("", "'rows': they are missing; a migration that does nothing has 'rows = []'"),
        ("rows = 1", "'rows': 1 is not a list"),
        ("rows = []\nrow = 1", "'row': there is no such member; there are 'description', 'rows'"),
        ("rows = []\n\n  rows = []", "line 3, column 3: duplicate key"),
        ("rows = [", "line 1, column 9: "),
        ("description = 1\nrows = []", "'description': 1 is not text"),
    ];
    for (text, expected) in toml {
        let fault = Document::from_toml(text).unwrap_err().to_string();
        assert!(fault.starts_with(expected), "{text:?}: {fault}");
    }
    let json = [
        ("", "line 1, column 0: EOF while parsing a value"),
        ("[]", "the document: it is not a migration; one has 'visco-migration': 1"),
        (
            "{\"visco-migration\": 2}",
            "'visco-migration': 2 is a form of migrations that this version cannot read",
        ),
        ("{\"visco-migration\": 1}", "'rows': they are missing"),
        ("{\"visco-migration\": 1, \"rows\": [], \"x\": 0}", "'x': there is no such member"),
        ("{\"visco-migration\": 1, \"rows\": []} {}", "line 1, column 36: trailing characters"),
    ];
    for (text, expected) in json {
        let fault = Document::from_target(text.as_bytes()).unwrap_err().to_string();
        assert!(fault.starts_with(expected), "{text:?}: {fault}");
    }
    assert!(
        Document::from_target(&vec![b' '; MAX_SIZE + 1]).unwrap_err().to_string().contains("at most 1048576")
    );
    let many = json!({"visco-migration": 1, "rows": vec![json!({"no-op": {}}); 4097]}).to_string();
    assert_eq!(
        Document::from_target(many.as_bytes()).unwrap_err().to_string(),
        "'rows': 4097 are too many; at most 4096 are allowed"
    );
}

/// The source files of this crate are what a publisher makes targets of.
#[test]
fn every_source_file_is_named_as_its_target_and_can_be_read() {
    for folder in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let folder = folder.unwrap().path();
        let version = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if !folder.is_dir() || !version.starts_with('v') {
            continue;
        }
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(file.extension().unwrap(), "toml", "{}", file.display());
            let name = Path::new(&file).file_stem().unwrap().to_str().unwrap().to_owned();
            let target = format!("migrate_{version}_{name}.lz4");
            target.parse::<Name>().unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
            let text = fs::read_to_string(&file).unwrap();
            let document =
                Document::from_toml(&text).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
            assert!(!document.description.is_empty(), "{}: says why", file.display());
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_read_prints_back_the_same(text in "\\PC{0,64}", rows in prop::collection::vec(0..4_u8, 0..4)) {
        // Anything at all must be answered, not panicked over.
        drop(Document::from_toml(&text));
        drop(Document::from_target(text.as_bytes()));
        let rows = rows.into_iter().map(|kind| match kind {
            0 => Row::NoOp {},
            1 => Row::Add { keys: vec!["settings.a".parse().unwrap()], prefixes: vec![] },
            2 => Row::Replace { key: "settings.a".parse().unwrap(), old: json!(text), new: json!([text]) },
            _ => Row::Rename { from: "settings.a".parse().unwrap(), to: "settings.b".parse().unwrap() },
        });
        let document = Document { description: text.clone(), rows: rows.collect() };
        prop_assert_eq!(Document::from_target(&document.to_target()), Ok(document));
    }
}
