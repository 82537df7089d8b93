//! No text of a template makes the engine panic. And whatever text a setting holds, one of our templates either
//! refuses it or renders a file of its format; in TOML and JSON that text stands where any other would, and nothing
//! else in the file changes.
//!
//! An input is the text of a template, or, where it begins with a byte below 32, a template of ours, the place of a
//! setting (a byte each) and the text that is put there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schnauzer::{Context, Facts, Format, Renderer, Template, parse_check};
use serde_json::{Map, Value, json};
use std::sync::{Arc, OnceLock};
use std::{fs, path::Path};

/// A text that every format and every helper writes as it is.
const PLAIN: &str = "https://plain.example.com";

/// Whose text is not copied but understood: names of registries are canonical, endpoints get a scheme.
const UNDERSTOOD: &str = "/container-registry/";

struct Ours {
    templates: Vec<Template>,
    settings: Value,
    /// Pointers to every text in the settings, and to every member of a table.
    texts: Vec<String>,
    names: Vec<String>,
}

fn ours() -> &'static Ours {
    static OURS: OnceLock<Ours> = OnceLock::new();
    OURS.get_or_init(|| {
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sources"));
        let folder = fs::read_dir(sources.join("templates")).expect("the folder of templates");
        let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let template = |path: &std::path::PathBuf| {
            let text = fs::read_to_string(path).expect("a template");
            Template::parse(&path.display().to_string(), &text).expect("a right template")
        };
        let settings = sources.join("bootstrap/schnauzer/tests/golden/full/settings.toml");
        let settings = fs::read_to_string(settings).expect("settings of a host");
        let settings: Value = toml::from_str(&settings).expect("right settings");
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        places("", &settings, &mut texts, &mut names);
        Ours { templates: paths.iter().map(template).collect(), settings, texts, names }
    })
}

fn places(here: &str, value: &Value, texts: &mut Vec<String>, names: &mut Vec<String>) {
    match value {
        Value::String(_) => texts.push(here.to_owned()),
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                places(&format!("{here}/{index}"), element, texts, names);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let below = format!("{here}/{}", name.replace('~', "~0").replace('/', "~1"));
                places(&below, member, texts, names);
                names.push(below);
            }
        }
        _ => {}
    }
}

fn context(settings: Value) -> Context {
    let os = json!({ "arch": "x86_64", "variant_id": "aws-k8s-1.28", "version_id": "0.1.0" });
    let facts = Facts { cpu_count: 4, efa_present: true, fips: false, resolvable: Arc::new(|_| false) };
    Context { settings, os, facts }
}

fuzz_target!(|input: &[u8]| {
    match input {
        [template, place, text @ ..] if *template < 32 => {
            if let Ok(text) = std::str::from_utf8(text) {
                our_template(usize::from(*template), usize::from(*place), text);
            }
        }
        _ => {
            if let Ok(text) = std::str::from_utf8(input) {
                any_template(text);
            }
        }
    }
});

fn any_template(text: &str) {
    if let Ok(template) = Template::parse("fuzz", text) {
        // What the author wrote around the values may well break the format: no more is promised than an answer.
        if let Ok(file) = Renderer::new(&context(ours().settings.clone())).render(&template) {
            let _ = parse_check(template.format(), &file);
        }
    }
}

fn our_template(template: usize, place: usize, text: &str) {
    let Ours { templates, settings, texts, names } = ours();
    let Some(template) = templates.get(template) else { return };
    let Some(pointer) = texts.get(place) else {
        if let Some(pointer) = names.get(place - texts.len()) {
            render(template, renamed(settings, pointer, text));
        }
        return;
    };
    let Some(file) = render(template, replaced(settings, pointer, text)) else { return };
    let Some(file) = read(template.format(), &file) else { return };
    if pointer.starts_with(UNDERSTOOD) || text.is_empty() {
        return;
    }
    let plain = render(template, replaced(settings, pointer, PLAIN)).expect("plain text is never refused");
    let mut expected = read(template.format(), &plain).expect("it was just checked");
    put(&mut expected, text);
    assert_eq!(file, expected, "{} with {text:?} at {pointer}", template.name());
}

/// The file, which must be one of its format, or nothing if the template refuses the settings.
fn render(template: &Template, settings: Value) -> Option<String> {
    let file = Renderer::new(&context(settings)).render(template).ok()?;
    if let Err(error) = parse_check(template.format(), &file) {
        panic!("{}: {error}\n{file}", template.name());
    }
    Some(file)
}

fn replaced(settings: &Value, pointer: &str, text: &str) -> Value {
    let mut settings = settings.clone();
    *settings.pointer_mut(pointer).expect("a place in the settings") = text.into();
    settings
}

fn renamed(settings: &Value, pointer: &str, name: &str) -> Value {
    let mut settings = settings.clone();
    let (above, old) = pointer.rsplit_once('/').expect("a pointer begins with '/'");
    let table = settings.pointer_mut(above).and_then(Value::as_object_mut).expect("a table of the settings");
    let value = table.remove(&old.replace("~1", "/").replace("~0", "~")).expect("a member of the table");
    table.insert(name.to_owned(), value);
    settings
}

fn read(format: Format, file: &str) -> Option<Value> {
    match format {
        Format::Toml => toml::from_str(file).ok(),
        Format::Json => serde_json::from_str(file).ok(),
        _ => None,
    }
}

/// Puts a text wherever the plain one stands.
fn put(value: &mut Value, text: &str) {
    match value {
        Value::String(here) => *here = here.replace(PLAIN, text),
        Value::Array(elements) => elements.iter_mut().for_each(|element| put(element, text)),
        Value::Object(members) => {
            let put_below = |(name, mut member): (String, Value)| {
                put(&mut member, text);
                (name.replace(PLAIN, text), member)
            };
            *members = std::mem::take(members).into_iter().map(put_below).collect::<Map<_, _>>();
        }
        _ => {}
    }
}
