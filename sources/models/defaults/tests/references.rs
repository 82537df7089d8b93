//! What the composed variants refer to exists, and what exists is referred to.

use defaults::{Catalog, Variant};
use settings::Schema;
use std::collections::BTreeSet;

fn variants() -> impl Iterator<Item = Variant> {
    let catalog = Catalog::embedded();
    let names: Vec<String> = catalog.variants().map(str::to_owned).collect();
    names.into_iter().map(move |name| catalog.variant(&name).expect("every variant composes"))
}

fn schema(variant: &Variant) -> Schema {
    variant.schema().unwrap_or_else(|unknown| panic!("{}: {unknown}", variant.name))
}

#[test]
fn defaults_are_valid_settings_of_their_variant() {
    for variant in variants() {
        let leaves = schema(&variant).flatten(&variant.settings);
        let leaves = leaves.unwrap_or_else(|wrong| panic!("{}: {wrong:#?}", variant.name));
        assert!(leaves.iter().any(|(key, _)| key.as_str() == "settings.motd"), "{}", variant.name);
    }
}

#[test]
fn metadata_is_about_settings_of_its_variant() {
    for variant in variants() {
        let schema = schema(&variant);
        let generators = variant.metadata.generators();
        for key in variant.metadata.affected().map(|(key, _)| key).chain(generators.keys()) {
            schema.find(key).unwrap_or_else(|wrong| panic!("{}: {wrong}", variant.name));
        }
    }
}

#[test]
fn every_service_is_affected_by_some_setting() {
    for variant in variants() {
        let affected: BTreeSet<&str> =
            variant.metadata.affected().flat_map(|(_, services)| services).map(String::as_str).collect();
        let services: BTreeSet<&str> = variant.services.keys().map(String::as_str).collect();
        assert_eq!(affected, services, "{}", variant.name);
    }
}

#[test]
fn every_configuration_file_belongs_to_some_service() {
    for variant in variants() {
        let used: BTreeSet<&String> =
            variant.services.values().flat_map(|service| &service.configuration_files).collect();
        let files: BTreeSet<&String> = variant.configuration_files.keys().collect();
        assert_eq!(used, files, "{}", variant.name);
    }
}

#[test]
fn every_fragment_serves_some_variant() {
    let catalog = Catalog::embedded();
    let used: BTreeSet<String> =
        catalog.variants().flat_map(|name| catalog.fragments(name).unwrap()).cloned().collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fragments");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all: BTreeSet<String> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(used, all);
}
