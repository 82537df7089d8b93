//! All sources together.

use crate::Provider;
use host::Host;
use serde_json::{Map, Value};
use settings::Violation;
use user_data::{Document, Fault, locate, merge};

/// What all sources gave.
#[derive(Debug, Default)]
pub struct Collected {
    /// What could be read, in the order of the sources.
    pub documents: Vec<Document>,
    /// What could not.
    pub faults: Vec<Fault>,
}

/// Asks all providers in their order.
pub fn collect(host: &Host, providers: &[Box<dyn Provider>]) -> Collected {
    let mut collected = Collected::default();
    for provider in providers {
        match provider.provide(host) {
            Ok(document) => collected.documents.extend(document),
            Err(fault) => collected.faults.push(fault),
        }
    }
    collected
}

impl Collected {
    /// The settings of all documents, later ones winning leaf by leaf.
    pub fn settings(&self) -> Value {
        let mut merged = Value::Object(Map::new());
        for document in &self.documents {
            merge(&mut merged, document.settings.clone());
        }
        merged
    }

    /// The place to blame for a broken rule: where the winning source names the key, or the nearest table above
    /// it that a source names.
    pub fn locate(&self, violation: &Violation) -> Fault {
        let what = violation.to_string();
        if let Some((document, position)) = locate(&self.documents, &violation.key) {
            return Fault::at(&document.name, position, what);
        }
        let names: Vec<&str> = self.documents.iter().map(|document| document.name.as_str()).collect();
        Fault::of(&names.join(", "), what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers;
    use serde_json::json;

    #[test]
    fn later_sources_win_and_are_blamed() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        for (path, text) in [
            ("/local/user-data-defaults.toml", "[settings]\nmotd = 'a'\nntp.time-servers = ['a', 'b']\n"),
            ("/var/lib/bottlerocket/user-data.toml", "[settings.ntp]\ntime-servers = ['c']\n"),
            ("/media/cdrom/user-data", "# drive\n[settings]\nmotd = 'b'\n"),
            ("/local/user-data-overrides.toml", "[settings.kernel]\nlockdown = 'none'\n"),
        ] {
            host.replace(path, text.as_bytes(), 0o600).unwrap();
        }
        let collected = collect(&host, &providers("vmware"));
        assert_eq!(collected.faults, []);
        let expected = json!({"motd": "b", "ntp": {"time-servers": ["c"]}, "kernel": {"lockdown": "none"}});
        assert_eq!(collected.settings(), expected);
        for (key, place) in [
            ("settings.motd", "/media/cdrom/user-data:3:1: settings.motd is wrong"),
            ("settings.ntp.time-servers", "/var/lib/bottlerocket/user-data.toml:2:1: "),
            ("settings.kernel.lockdown.x", "/local/user-data-overrides.toml:2:1: settings.kernel.lockdown.x"),
            ("not a key", "/local/user-data-defaults.toml, /var/lib"),
        ] {
            let violation = Violation {
                key: key.to_owned(),
                rule: "is wrong".to_owned(),
                nearest: None,
                code: settings::Code::BadValue,
            };
            let fault = collected.locate(&violation).to_string();
            assert!(fault.starts_with(place), "{fault} / {place}");
        }
        // Without its platform the drive is not read.
        assert_eq!(collect(&host, &providers("aws")).settings()["motd"], json!("a"));
    }

    #[test]
    fn one_bad_source_does_not_hide_another() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        host.replace("/local/user-data-defaults.toml", b"", 0o600).unwrap();
        host.replace("/local/user-data-overrides.toml", b"\xff", 0o600).unwrap();
        let faults = collect(&host, &providers("aws")).faults;
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
