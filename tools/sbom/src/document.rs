//! The SPDX document (SPDX 2.3, in its JSON form).

#![allow(clippy::struct_field_names, reason = "the fields have the names of the format")]

use crate::licence::{References, expression};
use crate::purl::purl;
use crate::{Crate, Debian, Materials, Rpm, TimeError, time};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const NOASSERTION: &str = "NOASSERTION";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicence>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    version_info: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<String>,
    download_location: &'static str,
    files_analyzed: bool,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicence {
    license_id: String,
    extracted_text: String,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The SPDX document of an image in which `rpms` are installed.
pub fn document(materials: &Materials, rpms: &[Rpm]) -> Result<String, TimeError> {
    let mut references = References::new();
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let mut relationships = BTreeSet::from([related(DOCUMENT, "DESCRIBES", IMAGE)]);
    let mut add = |package: Package, from: &str, kind: &'static str| {
        relationships.insert(related(from, kind, &package.id));
        packages.entry(package.id.clone()).or_insert(package);
    };
    for rpm in rpms {
        let id = id("rpm", &[&rpm.name]);
        add(rpm_package(rpm, &materials.vendor, &mut references), IMAGE, "CONTAINS");
        for debian in materials.debian.iter().filter(|debian| debian.rpm == rpm.name) {
            add(debian_package(debian), &id, "GENERATED_FROM");
        }
        for linked in materials.crates.get(&rpm.name).into_iter().flatten() {
            add(crate_package(linked, &mut references), &id, "STATIC_LINK");
        }
    }
    let image = image_package(materials);
    let mut document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: materials.name.clone(),
        document_namespace: String::new(),
        creation_info: CreationInfo {
            created: time(materials.made_at)?,
            creators: vec![format!("Tool: sbom-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages: [image].into_iter().chain(packages.into_values()).collect(),
        has_extracted_licensing_infos: references
            .into_iter()
            .map(|(license_id, extracted_text)| ExtractedLicence { license_id, extracted_text })
            .collect(),
        relationships: relationships.into_iter().collect(),
    };
    let sum = Sha256::digest(text_of(&document));
    let sum = HEXLOWER.encode(&sum[..16]);
    let base = materials.namespace.trim_end_matches('/');
    document.document_namespace = format!("{base}/{}-{}", materials.name, sum);
    Ok(text_of(&document))
}

fn text_of(document: &Document) -> String {
    serde_json::to_string_pretty(document).expect("texts make a document") + "\n"
}

fn related(from: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    }
}

/// An identifier, which may have letters, digits, dots and dashes; other characters are written as numbers.
fn id(kind: &str, parts: &[&str]) -> String {
    let mut id = format!("SPDXRef-{kind}");
    for part in parts {
        id.push('-');
        for c in part.chars() {
            match c {
                c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') => id.push(c),
                c => id.extend([".".to_owned(), format!("{:02X}", u32::from(c))]),
            }
        }
    }
    id
}

fn package(id: String, name: &str, version: &str) -> Package {
    Package {
        id,
        name: name.to_owned(),
        version_info: version.to_owned(),
        supplier: None,
        download_location: NOASSERTION,
        files_analyzed: false,
        license_concluded: NOASSERTION,
        license_declared: NOASSERTION.to_owned(),
        copyright_text: NOASSERTION,
        summary: None,
        homepage: None,
        source_info: None,
        comment: None,
        primary_package_purpose: None,
        checksums: Vec::new(),
        external_refs: Vec::new(),
    }
}

fn image_package(materials: &Materials) -> Package {
    Package {
        supplier: Some(format!("Organization: {}", materials.vendor)),
        primary_package_purpose: Some("OPERATING-SYSTEM"),
        ..package(IMAGE.to_owned(), &materials.name, &materials.version)
    }
}

fn rpm_package(rpm: &Rpm, vendor: &str, references: &mut References) -> Package {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let version = format!("{}-{}", rpm.version, rpm.release);
    let epoch = rpm.epoch.to_string();
    let shown = if rpm.epoch == 0 { version.clone() } else { format!("{epoch}:{version}") };
    let arch_and_epoch = [("arch", rpm.arch.as_str()), ("epoch", epoch.as_str())];
    let qualifiers = if rpm.epoch == 0 { &arch_and_epoch[..1] } else { &arch_and_epoch };
    let supplier = if rpm.vendor.is_empty() { vendor } else { &rpm.vendor };
    let source = rpm.source_package();
    Package {
        supplier: Some(format!("Organization: {supplier}")),
        license_declared: expression(&rpm.licence, references),
        summary: given(&rpm.summary),
        homepage: given(&rpm.url).filter(|url| url.starts_with("https://") || url.starts_with("http://")),
        source_info: source.map(|(name, version)| format!("built from the source package {name} {version}")),
        comment: given(&rpm.header_sha256).map(|_| "The checksum is that of the RPM's header."),
        checksums: checksum(&rpm.header_sha256),
        external_refs: external(purl("rpm", &[&vendor.to_lowercase(), &rpm.name], &version, qualifiers)),
        ..package(id("rpm", &[&rpm.name]), &rpm.name, &shown)
    }
}

fn debian_package(debian: &Debian) -> Package {
    let Debian { name, version, architecture, sha256, source, source_version, .. } = debian;
    Package {
        supplier: Some("Organization: Debian".to_owned()),
        source_info: (!source.is_empty())
            .then(|| format!("built from the source package {source} {source_version}")),
        checksums: checksum(sha256),
        external_refs: external(purl("deb", &["debian", name], version, &[("arch", architecture)])),
        ..package(id("deb", &[name, version, architecture]), name, version)
    }
}

fn crate_package(linked: &Crate, references: &mut References) -> Package {
    let Crate { name, version, licence, checksum: sum } = linked;
    Package {
        license_declared: expression(licence, references),
        checksums: checksum(sum),
        external_refs: external(purl("cargo", &[name], version, &[])),
        ..package(id("crate", &[name, version]), name, version)
    }
}

fn checksum(sha256: &str) -> Vec<Checksum> {
    let given = (!sha256.is_empty()).then(|| sha256.to_lowercase());
    given.map(|checksum_value| Checksum { algorithm: "SHA256", checksum_value }).into_iter().collect()
}

fn external(purl: String) -> Vec<ExternalRef> {
    vec![ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl,
    }]
}
