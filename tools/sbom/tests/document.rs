//! The document of a small image, held to a file that the validator accepted (`tools/sbom/validate`). Run with
//! `VISCO_BLESS=1` to write the file anew, validate it, and review the difference.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use sbom::{Crate, Debian, INVENTORY_FILE, Materials, QUERY_FORMAT, Rpm, document, parse_query};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const QUERY: &str = "\
visco-os\t0\t0.1.0\t1\tx86_64\tMIT OR Apache-2.0\thttps://github.com/visco-os/visco\tVisco\tUnspecified\t\
visco-os-0.1.0-1.src.rpm\t00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\tThe programs of the host\n\
visco-libstdc++\t1\t12.2.0\t1\tx86_64\tGPL-3.0-or-later WITH GCC-exception-3.1\t(none)\t(none)\tUnspecified\t\
visco-libstdc++-12.2.0-1.src.rpm\t(none)\tA library\n\
visco-curl\t0\t7.88\t1\tx86_64\tcurl AND GPLv9+\tno address\t(none)\tUnspecified\t(none)\t(none)\tTransfers \"files\"\n";

struct Parts {
    materials: Materials,
    rpms: Vec<Rpm>,
}

fn parts() -> Parts {
    let debian = |rpm: &str| Debian {
        rpm: rpm.to_owned(),
        name: "libstdc++6".to_owned(),
        version: "1:12.2.0-14+deb12u1".to_owned(),
        architecture: "amd64".to_owned(),
        sha256: "ff".repeat(32),
        source: "gcc-12".to_owned(),
        source_version: "12.2.0-14".to_owned(),
    };
    let linked = Crate {
        name: "serde_json".to_owned(),
        version: "1.0.1".to_owned(),
        licence: "MIT OR Apache-2.0".to_owned(),
        checksum: "0011223344556677".repeat(4),
    };
    let materials = Materials {
        name: "visco-metal-dev-x86_64".to_owned(),
        version: "0.1.0-0123abcd".to_owned(),
        vendor: "Visco".to_owned(),
        rpm_prefix: "visco-".to_owned(),
        namespace: "https://github.com/visco-os/visco/spdx".to_owned(),
        made_at: 1_735_689_600,
        debian: vec![debian("visco-libstdc++"), debian("visco-not-installed")],
        crates: ["visco-os", "visco-not-installed"].map(|rpm| (rpm.to_owned(), vec![linked.clone()])).into(),
    };
    Parts { materials, rpms: parse_query(QUERY).unwrap() }
}

fn written(parts: &Parts) -> String {
    document(&parts.materials, &parts.rpms).unwrap()
}

#[test]
fn a_document_is_the_one_that_was_validated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image.spdx.json");
    let text = written(&parts());
    if std::env::var_os("VISCO_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(text == std::fs::read_to_string(&path).unwrap(), "differs from {}:\n{text}", path.display());
}

#[test]
fn order_of_the_input_makes_no_difference_and_content_does() {
    let mut turned = parts();
    turned.rpms.reverse();
    turned.materials.debian.extend(parts().materials.debian);
    assert_eq!(written(&turned), written(&parts()));

    let namespace = |text: &str| serde_json::from_str::<Value>(text).unwrap()["documentNamespace"].clone();
    let mut other = parts();
    other.rpms[0].version.push('1');
    assert_ne!(namespace(&written(&other)), namespace(&written(&parts())));
}

#[test]
fn every_relationship_names_elements_of_the_document() {
    let document: Value = serde_json::from_str(&written(&parts())).unwrap();
    let ids: Vec<&Value> =
        document["packages"].as_array().unwrap().iter().map(|package| &package["SPDXID"]).collect();
    for relationship in document["relationships"].as_array().unwrap() {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            let id = &relationship[end];
            assert!(id == "SPDXRef-DOCUMENT" || ids.contains(&id), "{relationship}");
        }
    }
}

fn sbom(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sbom")).args(args).output().unwrap()
}

#[test]
fn the_program_describes_an_image_beside_and_inside_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (materials, packages, root, output) =
        (place("materials.json"), place("packages.tsv"), place("root"), place("output"));
    std::fs::write(&materials, serde_json::to_string(&parts().materials).unwrap()).unwrap();
    std::fs::write(&packages, QUERY).unwrap();
    let describe = || {
        let options = [
            ("--materials", &materials),
            ("--packages", &packages),
            ("--root", &root),
            ("--output", &output),
        ];
        let options = options.iter().flat_map(|(name, value)| [Path::new(*name), value.as_path()]);
        sbom(&[Path::new("describe")].into_iter().chain(options).collect::<Vec<_>>())
    };
    let made = describe();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&output.join("visco-metal-dev-x86_64-0.1.0-0123abcd-sbom.spdx.json")), written(&parts()));
    let inventory = read(&output.join(INVENTORY_FILE));
    assert!(inventory.contains("\"libstdc++\""), "{inventory}");
    assert_eq!(read(&root.join("usr/share/bottlerocket").join(INVENTORY_FILE)), inventory);

    std::fs::write(&packages, "visco-os\n").unwrap();
    let refused = describe();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("packages.tsv: line 1 of the package query has 1 fields, not 12"), "{said}");
}

#[test]
fn the_program_says_what_to_ask() {
    assert_eq!(sbom(&[Path::new("query-format")]).stdout, QUERY_FORMAT.as_bytes());
}
