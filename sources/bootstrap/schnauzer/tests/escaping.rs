//! No value leaves its place: whatever text a setting holds, rendering fails or the file's real reader finds
//! exactly that text there, and nothing else in the file.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use schnauzer::{Context, Error, Facts, Format, Template, parse_check, render};
use serde_json::{Value, json};
use std::sync::Arc;

fn context(value: &Value) -> Context {
    let facts = Facts { cpu_count: 1, efa_present: false, fips: false, resolvable: Arc::new(|_| false) };
    Context { settings: json!({ "g": value }), os: json!({}), facts }
}

/// Text that favours what formats give a meaning to.
fn text() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(
        "\"'\\\n\r\t\u{0}\u{1b}\u{7f}\u{85}\u{a0}\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff} #;!%$`{}[]=:,&|*?<>@~-abn0é\u{1f600}"
            .chars()
            .collect::<Vec<_>>(),
    );
    let piece = prop_oneof![
        8 => sign.prop_map(String::from),
        2 => any::<char>().prop_map(String::from),
        1 => prop::sample::select(vec!["${X}", "%n", "%%", "$$", "\\n", "\\u0041", "{{x}}", "\"\"\"", "'''", "\\x41", "---", "+++"])
            .prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn rendered(format: &str, body: &str, value: &Value) -> Result<String, Error> {
    let front = r#"required-extensions = { g = "v1", std = { version = "v1", helpers = ["join_array", "toml_encode"] } }"#;
    let template = Template::parse("t", &format!("format = \"{format}\"\n{front}\n+++\n{body}")).unwrap();
    let text = render(&template, &context(value))?;
    parse_check(template.format(), &text).unwrap_or_else(|error| panic!("{value}: {error}\n{text}"));
    Ok(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn toml_holds_every_text(x in text(), y in text()) {
        let value = json!({ "x": x, "list": [x, y], "map": { x.clone(): y } });
        let body = "a = \"{{settings.g.x}}\"\nb = \"\"\"<{{settings.g.x}}>\"\"\"\nlist = {{literal settings.g.list}}\n\
                    list2 = [{{join_array \", \" settings.g.list}}]\nlist3 = {{toml_encode settings.g.list}}\n\
                    map = {{literal settings.g.map}}\n{{#each settings.g.map}}\n[t.\"{{@key}}\"]\nv = \"{{this}}\"\n{{/each}}\n";
        let file: Value = toml::from_str(&rendered("toml", body, &value).unwrap()).unwrap();
        let expected = json!({
            "a": x, "b": format!("<{x}>"), "list": value["list"], "list2": value["list"], "list3": value["list"],
            "map": value["map"], "t": { x.clone(): { "v": y } },
        });
        prop_assert_eq!(file, expected);
    }

    #[test]
    fn json_and_yaml_hold_every_text(x in text(), y in text()) {
        let value = json!({ "x": x, "list": [x, y], "map": { x.clone(): y } });
        let expected = json!({ "a": x, "list": value["list"], "list2": value["list"], "map": value["map"] });
        let body = "{\"a\": \"{{settings.g.x}}\", \"list\": {{literal settings.g.list}}, \
                    \"list2\": [{{join_array \", \" settings.g.list}}], \"map\": {{literal settings.g.map}}}\n";
        let file: Value = serde_json::from_str(&rendered("json", body, &value).unwrap()).unwrap();
        prop_assert_eq!(&file, &expected);
        let body = "a: \"{{settings.g.x}}\"\nlist:\n{{#each settings.g.list}}\n  - \"{{this}}\"\n{{/each}}\n\
                    list2: {{literal settings.g.list}}\nmap: {{literal settings.g.map}}\n";
        let file: Value = serde_yaml_ng::from_str(&rendered("yaml", body, &value).unwrap()).unwrap();
        prop_assert_eq!(&file, &expected);
    }

    #[test]
    fn environment_files_hold_text_or_refuse_it(x in text()) {
        let body = "A=\"{{settings.g.x}}\"\nB={{literal settings.g.x}}\nC=\"<{{settings.g.x}}>\"\n";
        match rendered("env", body, &json!({ "x": x })) {
            Ok(file) => prop_assert_eq!(environment(&file), [
                ("A".to_owned(), x.clone()), ("B".to_owned(), x.clone()), ("C".to_owned(), format!("<{x}>")),
            ]),
            Err(error) => {
                prop_assert!(x.chars().any(|c| c.is_control() && c != '\t'), "{}", error);
                prop_assert!(error.to_string().contains("settings.g.x"), "{}", error);
            }
        }
    }

    #[test]
    fn units_hold_text_or_refuse_it(x in text()) {
        let body = "[Service]\nEnvironment=\"A={{settings.g.x}}\"\nExecStart=/bin/a \\\n  \"{{settings.g.x}}\"\n";
        match rendered("ini", body, &json!({ "x": x })) {
            Ok(file) => {
                let lines: Vec<&str> = file.lines().collect();
                prop_assert_eq!(lines.len(), 4);
                prop_assert_eq!(unit_word(lines[1].strip_prefix("Environment=").unwrap()), format!("A={x}"));
                prop_assert_eq!(unit_word(lines[3].trim_start()).split("$$").collect::<Vec<_>>().join("$"), x);
            }
            Err(_) => prop_assert!(x.chars().any(|c| c.is_control() && c != '\t')),
        }
    }

    #[test]
    fn lines_hold_words_or_refuse_them(x in text()) {
        if let Ok(file) = rendered("lines", "pool {{settings.g.x}} iburst\n", &json!({ "x": x })) {
            let words: Vec<&str> = file.split_whitespace().collect();
            prop_assert_eq!(words, ["pool", &x, "iburst"]);
            prop_assert_eq!(file.matches('\n').count(), 1);
        } else {
            prop_assert!(!x.chars().all(|c| c.is_ascii_alphanumeric()) || x.is_empty());
        }
        if let Ok(file) = rendered("hosts", "192.0.2.1 {{settings.g.x}}\n", &json!({ "x": x })) {
            prop_assert_eq!(file, format!("192.0.2.1 {x}\n"));
        }
    }

    #[test]
    fn plain_text_is_as_it_is(x in text()) {
        prop_assert_eq!(rendered("text", "<{{settings.g.x}}>", &json!({ "x": x })).unwrap(), format!("<{x}>"));
    }

    #[test]
    fn parsing_never_panics(front in ".{0,40}", body in "[{}#/ a-z\"'.@!&>*^~\\[\\]|()=\n]{0,60}") {
        let _ = Template::parse("t", &format!("format = \"toml\"\n+++\n{body}"));
        let _ = Template::parse("t", &format!("{front}\n+++\n{body}"));
        let _ = front.parse::<schnauzer::Requirement>();
        for format in [Format::Toml, Format::Json, Format::Yaml, Format::Env, Format::Ini, Format::Lines, Format::Hosts] {
            let _ = parse_check(format, &body);
        }
    }
}

/// Reads an environment file as systemd.exec(5) says: in double quotes a backslash protects `"`, `\`, `` ` ``
/// and `$`, a backslash before a line break joins lines, and any other backslash is itself.
fn environment(file: &str) -> Vec<(String, String)> {
    let mut assignments = Vec::new();
    let mut rest = file.chars().peekable();
    while rest.peek().is_some() {
        let name: String = rest.by_ref().take_while(|c| *c != '=').collect();
        assert_eq!(rest.next(), Some('"'), "{file}");
        let mut value = String::new();
        loop {
            match rest.next().expect("a closing quote") {
                '"' => break,
                '\\' => match rest.next().expect("a character after the backslash") {
                    c @ ('"' | '\\' | '`' | '$') => value.push(c),
                    '\n' => {}
                    other => value.extend(['\\', other]),
                },
                c => value.push(c),
            }
        }
        assert_eq!(rest.next(), Some('\n'), "{file}");
        assignments.push((name, value));
    }
    assignments
}

/// Reads one double-quoted word of a unit as systemd.syntax(7) says, then resolves `%%`.
fn unit_word(text: &str) -> String {
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("one quoted word");
    let mut word = String::new();
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => panic!("the quote closes early: {text}"),
            '\\' => match rest.next().expect("a character after the backslash") {
                c @ ('"' | '\\') => word.push(c),
                other => panic!("unknown escape {other:?}: {text}"),
            },
            '%' => {
                assert_eq!(rest.next(), Some('%'), "a specifier: {text}");
                word.push('%');
            }
            c => word.push(c),
        }
    }
    word
}
