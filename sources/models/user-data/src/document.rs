//! One document of user data.

mod json;
mod toml_text;

use crate::place::{Places, nearest};
use crate::{Fault, Position, content};
use serde_json::Value;

/// The table that holds settings.
const SETTINGS: &str = "settings";

/// How user data may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// In TOML.
    Toml,
    /// In TOML, or as a JSON object.
    TomlOrJson,
}

/// One document of user data.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it comes from, for people.
    pub name: String,
    /// The settings, without the outer `settings`.
    pub settings: Value,
    /// What it holds beside settings, which is ignored.
    pub ignored: Vec<Fault>,
    pub(crate) text: String,
    pub(crate) places: Places,
}

/// What a parser makes of a text.
struct Root {
    settings: Option<Value>,
    places: Places,
}

/// What a parser does not accept.
struct Refusal {
    offset: usize,
    what: String,
}

impl Document {
    /// Reads user data from the bytes of a source, which may be compressed.
    pub fn read(name: &str, content: &[u8], syntax: Syntax) -> Result<Self, Fault> {
        Self::parse(name, &content::text(name, content)?, syntax)
    }

    /// Parses user data: a text with a `settings` table.
    pub fn parse(name: &str, text: &str, syntax: Syntax) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::of(name, "is empty; remove it, or write settings below [settings]"));
        }
        // No TOML begins with a brace, and a JSON document that does not has no member 'settings'.
        let parsed = match syntax {
            Syntax::TomlOrJson if text.trim_start().starts_with('{') => json::parse(text),
            Syntax::Toml | Syntax::TomlOrJson => toml_text::parse(text),
        };
        let Root { settings, places } =
            parsed.map_err(|refusal| Fault::at(name, Position::of(text, refusal.offset), refusal.what))?;
        let ignored = beside_settings(name, text, &places);
        let settings = settings.ok_or_else(|| no_settings(name, &ignored))?;
        let document = Self { name: name.to_owned(), settings, ignored, text: text.to_owned(), places };
        if document.settings.is_object() {
            return Ok(document);
        }
        let what = "settings must be a table of settings";
        Err(Fault { position: document.position(&[SETTINGS]), ..Fault::of(name, what) })
    }

    /// Where a path stands, beginning with `settings`; where it does not stand in the text, the nearest place
    /// above it does.
    pub fn position(&self, path: &[&str]) -> Option<Position> {
        nearest(&self.places, path).map(|(_, offset)| Position::of(&self.text, offset))
    }
}

/// What stands beside the settings, in the order of the text.
fn beside_settings(name: &str, text: &str, places: &Places) -> Vec<Fault> {
    let mut beside: Vec<_> = places.iter().filter(|(member, _)| *member != SETTINGS).collect();
    beside.sort_by_key(|(_, place)| place.offset);
    let fault = |(member, place): (&String, &crate::place::Place)| {
        let what = format!("'{member}' is not [settings] and is ignored{}", near_settings(member));
        Fault::at(name, Position::of(text, place.offset), what)
    };
    beside.into_iter().map(fault).collect()
}

fn no_settings(name: &str, ignored: &[Fault]) -> Fault {
    match ignored.iter().find(|other| other.what.contains("did you mean")) {
        Some(near) => Fault { what: format!("there is no [settings] table: {}", near.what), ..near.clone() },
        None => Fault::of(name, "has no [settings] table, which holds all that user data can say"),
    }
}

fn near_settings(name: &str) -> &'static str {
    let near = strsim::damerau_levenshtein(&name.to_lowercase(), SETTINGS) <= 2;
    if near { "; did you mean 'settings'?" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(text: &str) -> Result<Document, String> {
        Document::parse("f", text, Syntax::TomlOrJson).map_err(|fault| fault.to_string())
    }

    #[test]
    fn settings_are_read_and_the_rest_is_named() {
        for (text, ignored) in [
            (
                "[owner]\nname = 'x'\nborn = 1979-05-27\n[settings]\nmotd = \"a\"\n[settings.kernel.sysctl]\n\
                 \"a.b\" = '1'\n[another]\n",
                ["f:1:2: 'owner' is not", "f:8:2: 'another' is not"],
            ),
            (
                "{\"owner\": [1, {}],\n\"settings\": {\"motd\": \"a\", \"kernel\": {\"sysctl\": {\"a.b\": \"1\"}}},\n\
                 \"another\": {}}",
                ["f:1:2: 'owner' is not", "f:3:1: 'another' is not"],
            ),
        ] {
            let document = parse(text).unwrap();
            assert_eq!(document.settings, json!({"motd": "a", "kernel": {"sysctl": {"a.b": "1"}}}));
            let said: Vec<_> = document.ignored.iter().map(ToString::to_string).collect();
            assert_eq!(said, ignored.map(|start| format!("{start} [settings] and is ignored")), "{text}");
        }
    }

    #[test]
    fn toml_and_json_give_the_same_settings() {
        let expected =
            json!({"motd": "hi", "kernel": {"sysctl": {"a.b": "1"}}, "n": 255, "l": [1, 2.5, true]});
        for text in [
            "[settings]\nmotd = 'hi'\nn = 0xff\nl = [1, 2.5, true]\n[settings.kernel.sysctl]\n'a.b' = '1'\n",
            r#"{"settings": {"motd": "hi", "n": 255, "l": [1, 2.5, true], "kernel": {"sysctl": {"a.b": "1"}}}}"#,
        ] {
            assert_eq!(parse(text).unwrap().settings, expected, "{text}");
        }
        let json = Document::parse("f", "{\"settings\": {}}", Syntax::Toml).unwrap_err().to_string();
        assert!(json.starts_with("f:1:1: is not TOML: "), "{json}");
    }

    #[test]
    fn numbers_keep_their_type() {
        let text = "settings = { a = 0x1F, b = -1_000, c = 1.5, d = [true, 1], e = 0b11, f = 0o17, \
                    g = 18446744073709551615 }";
        let expected = json!({"a": 31, "b": -1000, "c": 1.5, "d": [true, 1], "e": 3, "f": 15, "g": u64::MAX});
        assert_eq!(parse(text).unwrap().settings, expected);
    }

    #[test]
    fn a_key_is_found_where_its_value_is_given_or_else_the_table_above_it() {
        let toml = "# x\n[settings]\n  motd = 'ü'\n[settings.kernel.sysctl]\na.b = 1\n'c.d' = 2\n";
        let tables = "[settings]\nmotd = 'a'\nntp.time-servers = []\n\n[settings.kernel.sysctl]\n  \"a.b\" = '1'\n\
                      [settings.host-containers.admin]\nenabled = true\n[settings.host-containers.control]\n\
                      enabled = false\n";
        let json =
            "{\"settings\":\n {\"motd\": \"\\\"}\",\n  \"kernel\": {\"sysctl\": [{\"a\": 1}], \"x\": 2}}}";
        for (text, path, expected) in [
            (toml, &["settings", "motd"][..], Some("3:3")),
            (toml, &["settings", "kernel", "sysctl", "c.d"], Some("6:1")),
            (toml, &["settings", "kernel", "sysctl", "a", "b"], Some("5:3")),
            (toml, &["settings", "kernel", "nowhere"], Some("4:11")),
            (toml, &["elsewhere"], None),
            (tables, &["settings", "motd"], Some("2:1")),
            (tables, &["settings", "ntp", "time-servers"], Some("3:5")),
            (tables, &["settings", "kernel"], Some("5:11")),
            (tables, &["settings", "kernel", "sysctl", "a.b"], Some("6:3")),
            (tables, &["settings", "host-containers", "admin", "enabled"], Some("8:1")),
            (tables, &["settings", "host-containers", "control", "enabled"], Some("10:1")),
            (tables, &["settings", "host-containers", "control", "source"], Some("9:27")),
            (tables, &["settings", "motd", "x"], Some("2:1")),
            (json, &["settings", "motd"], Some("2:3")),
            (json, &["settings", "kernel", "sysctl", "a"], Some("3:14")),
            (json, &["settings", "kernel", "x"], Some("3:36")),
        ] {
            let found = parse(text).unwrap().position(path).map(|at| at.to_string());
            assert_eq!(found.as_deref(), expected, "{path:?}");
        }
    }

    #[test]
    fn what_is_not_user_data_is_refused_with_its_place() {
        let deep = format!("[settings]\na = {}1{}", "[".repeat(60), "]".repeat(60));
        let too_deep = format!("[settings.{0}]\n{0} = 1", ["a"; 70].join("."));
        assert!(parse(&deep).is_ok());
        for (text, expected) in [
            ("", "f: is empty; remove it, or write settings below [settings]"),
            (" \n\n", "f: is empty; remove it, or write settings below [settings]"),
            ("# nothing\n", "f: has no [settings] table, which holds all that user data can say"),
            ("{}", "f: has no [settings] table"),
            ("[1]", "f: has no [settings] table"),
            ("[setings]\nmotd = 'x'\n", "f:1:2: there is no [settings] table: 'setings' is not [settings]"),
            ("[Settings]\nmotd = 'x'\n", "f:1:2: there is no [settings] table: 'Settings' is not [settings]"),
            ("{\"setting\": {}}", "f:1:2: there is no [settings] table: 'setting' is not [settings]"),
            ("settings = 1\n", "f:1:1: settings must be a table of settings"),
            ("{\"settings\": []}", "f:1:2: settings must be a table of settings"),
            ("[settings]\nmotd = 'x\n", "f:2:10: is not TOML: "),
            ("[settings]\nmotd = 'x'\nmotd = 'y'\n", "f:3:1: is not TOML: duplicate key 'motd'"),
            ("[settings.a]\n[settings.a]\n", "f:2:11: is not TOML: duplicate key 'a'"),
            (
                "[settings]\na = 1979-05-27\n",
                "f:2:5: settings.a cannot hold a date; write it as text, \"1979-05-27\"",
            ),
            ("[settings]\na = [1, inf]\n", "f:2:9: settings.a cannot hold inf"),
            (
                "[settings]\na.b = 99999999999999999999\n",
                "f:2:7: settings.a.b cannot hold an integer of more than 64 bits",
            ),
            (&too_deep, "f:2:113: is nested more than 127 tables deep"),
            ("{\"settings\": {\"motd\": }}", "f:1:23: is not JSON: expected value"),
            ("{\"settings\":\n {\"motd\": \"ü\" 1}}", "f:2:15: is not JSON: expected `,` or `}`"),
            ("{\"settings\": {}} {}", "f:1:18: is not JSON: trailing characters"),
            ("{", "f:1:1: is not JSON: EOF while parsing an object"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.starts_with(expected), "{text:?}\n  {fault}\n  {expected}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Document::read("f", &content, Syntax::TomlOrJson));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(\\PC|[\\n\\[\\]=.'\"{},:]){0,60}") {
            if let Ok(document) = parse(&text) {
                prop_assert!(document.settings.is_object());
            }
            drop(parse(&format!("{{{text}")));
        }

        #[test]
        fn what_is_parsed_prints_back_the_same(
            leaves in proptest::collection::btree_map("[a-z]{1,5}", "\\PC{0,8}", 0..6),
        ) {
            let root = json!({ "settings": leaves });
            for text in [toml::to_string(&root).unwrap(), root.to_string()] {
                prop_assert_eq!(parse(&text).unwrap().settings, json!(leaves));
            }
        }

        #[test]
        fn every_member_of_json_has_a_place(name in "[a-z\"\\\\ .]{1,8}", value in any::<i32>()) {
            let text = json!({"settings": {&name: {"below": value}}}).to_string();
            let document = parse(&text).unwrap();
            let at = document.position(&["settings", &name, "below"]).unwrap();
            prop_assert!(text[at.column - 1..].starts_with("\"below\""));
        }
    }
}
