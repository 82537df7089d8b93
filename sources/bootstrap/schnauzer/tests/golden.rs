//! The templates of `sources/templates`, rendered over two hosts and compared with files. `VISCO_BLESS=1` writes
//! the files; review them in the diff.

#![allow(clippy::unwrap_used)]

use schnauzer::{Context, Facts, Renderer, Template, parse_check};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn templates() -> Vec<Template> {
    let folder = here().join("../../templates");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let parse = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        Template::parse(name, &fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    };
    paths.iter().map(parse).collect()
}

fn context(case: &str, efa_present: bool) -> Context {
    let text = fs::read_to_string(here().join("tests/golden").join(case).join("settings.toml")).unwrap();
    let settings: Value = toml::from_str(&text).unwrap();
    let os = json!({ "arch": "x86_64", "variant_id": "aws-k8s-1.28", "version_id": "0.1.0" });
    let facts = Facts { cpu_count: 4, efa_present, fips: false, resolvable: Arc::new(|_| false) };
    Context { settings, os, facts }
}

fn check(case: &str, efa_present: bool) {
    let context = context(case, efa_present);
    let renderer = Renderer::new(&context);
    for template in templates() {
        let name = template.name();
        let text = renderer.render(&template).unwrap_or_else(|error| panic!("{case}: {error}"));
        parse_check(template.format(), &text)
            .unwrap_or_else(|error| panic!("{case}: {name}: {error}\n{text}"));
        assert_eq!(
            Renderer::new(&context).render(&template).unwrap(),
            text,
            "{case}: {name} renders two ways"
        );
        let golden = here().join("tests/golden").join(case).join(name);
        if env::var_os("VISCO_BLESS").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let expected =
            fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        assert_eq!(text, expected, "{case}: {name}; VISCO_BLESS=1 accepts the new text");
    }
}

#[test]
fn templates_render_a_host_with_hardly_any_settings() {
    check("minimal", false);
}

#[test]
fn templates_render_a_host_with_every_setting_and_nasty_values() {
    check("full", true);
}

/// No setting is needed for a file to exist, not even its group.
#[test]
fn templates_render_without_any_settings() {
    let mut context = context("minimal", false);
    context.settings = json!({});
    let renderer = Renderer::new(&context);
    for template in templates() {
        let text = renderer.render(&template).unwrap_or_else(|error| panic!("{error}"));
        parse_check(template.format(), &text).unwrap_or_else(|error| panic!("{}: {error}", template.name()));
    }
}

/// What the golden files of nasty values look like when their readers read them.
#[test]
fn nasty_values_arrive_unchanged() {
    let context = context("full", true);
    let renderer = Renderer::new(&context);
    let read = |name: &str| -> Value {
        let template = templates().into_iter().find(|template| template.name() == name).unwrap();
        toml::from_str(&renderer.render(&template).unwrap()).unwrap()
    };
    let settings = &context.settings;
    let credentials = &read("host-ctr-toml")["creds"];
    assert_eq!(
        credentials["registry-1.docker.io"]["password"],
        settings["container-registry"]["credentials"][0]["password"]
    );
    assert_eq!(credentials["old.example.com"], json!({ "identitytoken": "to=ken" }));
    assert_eq!(read("corndog-toml")["sysctl"], settings["kernel"]["sysctl"]);
    assert_eq!(read("prairiedog-toml"), settings["boot"]);
    assert_eq!(read("cfsignal-toml")["stack_name"], settings["cloudformation"]["stack-name"]);
    assert_eq!(read("bootstrap-commands-toml")["bootstrap-commands"], settings["bootstrap-commands"]);
}
