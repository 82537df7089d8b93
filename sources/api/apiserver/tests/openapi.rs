//! The document of the API and the router say the same.

#![allow(clippy::unwrap_used)]

mod server;

use serde_json::Value;
use server::TestHost;
use std::path::Path;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn document() -> Value {
    serde_json::to_value(apiserver::api::document()).unwrap()
}

/// `VISCO_BLESS=1 cargo test -p apiserver` writes the document anew.
#[test]
fn the_committed_document_is_the_one_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.yaml");
    let text = serde_yaml_ng::to_string(&document()).unwrap();
    if std::env::var_os("VISCO_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(text == committed, "openapi.yaml is not the document of the code; refresh it with VISCO_BLESS=1");
}

#[tokio::test]
async fn every_documented_route_exists_with_exactly_its_methods() {
    let host = TestHost::new();
    let server = host.open();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30);
    for (path, item) in paths {
        let uri = path.replace("{id}", "18446744073709551614");
        for method in METHODS {
            if path == "/events" && method == "get" {
                continue; // It answers, and never ends.
            }
            let answer = server.call(&method.to_uppercase(), &uri, "").await;
            let known = !answer.text.contains("there is nothing at") && answer.status != 405;
            assert_eq!(item.get(method).is_some(), known, "{method} {path}: {answer:?}");
        }
    }
}

/// The constants that clients use are the paths of the document, and the other way round.
#[test]
fn every_route_of_the_router_is_documented() {
    let source = include_str!("../src/api/mod.rs");
    let routes = include_str!("../../wire/src/routes.rs");
    let mut found = 0;
    let document = document();
    for line in source.lines() {
        let Some(name) = line.trim().strip_prefix(".route(routes::") else { continue };
        let name = name.split(',').next().unwrap();
        let constant = format!("pub const {name}: &str = \"");
        let path = routes.split(&constant).nth(1).unwrap().split('"').next().unwrap();
        let item = &document["paths"][path];
        assert!(item.is_object(), "{path} is not in the document");
        for method in METHODS {
            let has = line.contains(&format!(" {method}(")) || line.contains(&format!(".{method}("));
            assert_eq!(item.get(method).is_some(), has, "{method} {path}");
        }
        found += 1;
    }
    assert_eq!(found, document["paths"].as_object().unwrap().len());
}
