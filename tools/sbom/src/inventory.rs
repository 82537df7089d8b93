//! `application-inventory.json`, which a host shows to fleet managers.

use crate::{Materials, Rpm, TimeError, time};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inventory<'a> {
    content: Vec<Application<'a>>,
}

#[allow(clippy::struct_field_names, reason = "the fields have the names of the format")]
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase")]
struct Application<'a> {
    name: &'a str,
    publisher: &'a str,
    version: &'a str,
    release: &'a str,
    epoch: String,
    installed_time: &'a str,
    application_type: &'a str,
    architecture: &'a str,
    url: &'a str,
    summary: &'a str,
}

/// The inventory of an image in which `rpms` are installed. Their prefix is left out of their names.
pub fn inventory(materials: &Materials, rpms: &[Rpm]) -> Result<String, TimeError> {
    let installed_time = &time(materials.made_at)?;
    let application = |rpm| application(rpm, materials, installed_time);
    let mut content: Vec<_> = rpms.iter().map(application).collect();
    content.sort();
    let text = serde_json::to_string_pretty(&Inventory { content }).expect("texts make a document");
    Ok(text + "\n")
}

fn application<'a>(rpm: &'a Rpm, materials: &'a Materials, installed_time: &'a str) -> Application<'a> {
    Application {
        name: rpm.name.strip_prefix(&materials.rpm_prefix).unwrap_or(&rpm.name),
        publisher: &materials.vendor,
        version: &rpm.version,
        release: &rpm.release,
        epoch: rpm.epoch.to_string(),
        installed_time,
        application_type: if rpm.group.is_empty() { "Unspecified" } else { &rpm.group },
        architecture: &rpm.arch,
        url: &rpm.url,
        summary: &rpm.summary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn materials(made_at: i64) -> Materials {
        let text = serde_json::json!({
            "name": "x", "version": "1", "vendor": "Visco", "rpm_prefix": "visco-", "namespace": "", "made_at": made_at,
            "debian": [], "crates": {},
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn packages_are_listed_by_their_names_without_the_prefix() {
        let rpm = |name: &str| Rpm { name: name.to_owned(), version: "30".to_owned(), ..Rpm::default() };
        let rpms = [rpm("visco-zlib"), rpm("visco-kmod")];
        let text = inventory(&materials(1_735_689_600), &rpms).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let kmod = &value["Content"][0];
        for (field, expected) in [
            ("Name", "kmod"),
            ("Publisher", "Visco"),
            ("Version", "30"),
            ("Epoch", "0"),
            ("InstalledTime", "2025-01-01T00:00:00Z"),
            ("ApplicationType", "Unspecified"),
        ] {
            assert_eq!(kmod[field], expected, "{field}");
        }
        assert_eq!(value["Content"][1]["Name"], "zlib");
        assert!(inventory(&materials(i64::MAX), &[]).is_err());
    }
}
