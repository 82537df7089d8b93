//! How long it takes to parse and to render all templates of a host: `cargo run --release -p schnauzer --example
//! render_all`.

use schnauzer::{Context, Facts, Renderer, Template};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

#[allow(clippy::print_stdout, clippy::unwrap_used)]
fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts: Vec<(String, String)> = std::fs::read_dir(here.join("../../templates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let settings = std::fs::read_to_string(here.join("tests/golden/full/settings.toml")).unwrap();
    let facts = Facts { cpu_count: 4, efa_present: true, fips: false, resolvable: Arc::new(|_| false) };
    let context = Context {
        settings: toml::from_str(&settings).unwrap(),
        os: serde_json::json!({ "arch": "x86_64" }),
        facts,
    };

    let start = Instant::now();
    let templates: Vec<Template> =
        texts.iter().map(|(name, text)| Template::parse(name, text).unwrap()).collect();
    let parsed = start.elapsed();
    let start = Instant::now();
    let renderer = Renderer::new(&context);
    let bytes: usize = templates.iter().map(|template| renderer.render(template).unwrap().len()).sum();
    println!(
        "{} templates: parsed in {parsed:?}, rendered to {bytes} bytes in {:?}",
        templates.len(),
        start.elapsed()
    );
}
