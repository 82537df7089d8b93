//! Deciding what a change touches. Pure: the same input gives the same plan.

use defaults::{ConfigurationFile, Service};
use snafu::{OptionExt, Snafu};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What is to be applied.
#[derive(Clone, Debug)]
pub enum Changed {
    /// Everything: every file is rendered, every service restarted.
    All,
    /// The services that changed keys affect, each with those keys, in the order in which they are to restart.
    Services(Vec<(String, Vec<String>)>),
}

/// A file to render.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlan {
    /// Its name in the table of configuration files.
    pub name: String,
    /// Where it goes, from which template, with which mode.
    pub file: ConfigurationFile,
}

/// A service to restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    /// Its name in the table of services.
    pub name: String,
    /// The restart commands, in order.
    pub commands: Vec<String>,
    /// The changed keys that affect it.
    pub changed: Vec<String>,
}

/// What has to happen so that files and services follow the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The files, in the order of their names.
    pub files: Vec<FilePlan>,
    /// The services: when everything is applied in the order of their names, else in that of the change.
    pub services: Vec<ServicePlan>,
}

impl Changed {
    /// The services that keys affect; each key has its services in the order of the table. That order is kept: what
    /// writes a file, such as the trust store, stands there before what reads it.
    pub fn by_keys(affected: BTreeMap<String, Vec<String>>) -> Self {
        let mut services: Vec<(String, Vec<String>)> = Vec::new();
        for (key, names) in affected {
            for name in names {
                match services.iter_mut().find(|(service, _)| *service == name) {
                    Some((_, keys)) => keys.push(key.clone()),
                    None => services.push((name, vec![key.clone()])),
                }
            }
        }
        Self::Services(services)
    }
}

/// Tables that contradict each other.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum PlanError {
    #[snafu(display("there is no service '{service}'"))]
    NoService { service: String },
    #[snafu(display("service '{service}' names the file '{file}', which does not exist"))]
    NoFile { service: String, file: String },
}

/// Plans what a change touches.
pub fn plan(
    changed: &Changed,
    services: &BTreeMap<String, Service>,
    files: &BTreeMap<String, ConfigurationFile>,
) -> Result<Plan, PlanError> {
    let affected = match changed {
        Changed::All => services.keys().map(|name| (name.clone(), Vec::new())).collect(),
        Changed::Services(affected) => affected.clone(),
    };
    let mut needed = BTreeMap::new();
    let mut planned = Vec::new();
    for (name, changed) in affected {
        let service = services.get(&name).context(NoServiceSnafu { service: &name })?;
        for file in &service.configuration_files {
            if let Entry::Vacant(entry) = needed.entry(file.clone()) {
                entry.insert(files.get(file).context(NoFileSnafu { service: &name, file })?.clone());
            }
        }
        planned.push(ServicePlan { name, commands: service.restart_commands.clone(), changed });
    }
    if matches!(changed, Changed::All) {
        needed.extend(files.iter().map(|(name, file)| (name.clone(), file.clone())));
    }
    let files = needed.into_iter().map(|(name, file)| FilePlan { name, file }).collect();
    Ok(Plan { files, services: planned })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> (BTreeMap<String, Service>, BTreeMap<String, ConfigurationFile>) {
        let service = |files: &[&str], commands: &[&str]| Service {
            configuration_files: files.iter().map(ToString::to_string).collect(),
            restart_commands: commands.iter().map(ToString::to_string).collect(),
        };
        let file = |path: &str| ConfigurationFile {
            path: path.to_owned(),
            template_path: "t".to_owned(),
            mode: None,
        };
        let services = [
            ("hosts", service(&["hosts"], &[])),
            ("docker", service(&["proxy-env", "docker"], &["systemctl try-restart docker.service"])),
            ("containerd", service(&["proxy-env"], &["systemctl try-restart containerd.service"])),
        ];
        let files = ["hosts", "proxy-env", "docker", "unused"]
            .map(|name| (name.to_owned(), file(&format!("/etc/{name}"))));
        (services.map(|(name, service)| (name.to_owned(), service)).into(), files.into())
    }

    fn affected(names: &[&str]) -> Changed {
        let keys = || vec!["settings.network.https-proxy".to_owned()];
        Changed::Services(names.iter().map(|name| ((*name).to_owned(), keys())).collect())
    }

    #[test]
    fn a_file_of_two_services_is_rendered_once_and_both_restart() {
        let (services, files) = tables();
        let plan = plan(&affected(&["docker", "containerd"]), &services, &files).unwrap();
        assert_eq!(plan.files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["docker", "proxy-env"]);
        assert_eq!(
            plan.services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["docker", "containerd"]
        );
        assert_eq!(plan.services[0].changed, ["settings.network.https-proxy"]);
    }

    #[test]
    fn services_keep_the_order_that_the_table_has_for_a_key() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let affected =
            [("settings.pki.a", names(&["pki", "docker"])), ("settings.proxy", names(&["docker", "api"]))];
        let affected = affected.map(|(key, services)| (key.to_owned(), services)).into();
        let Changed::Services(services) = Changed::by_keys(affected) else {
            panic!("not everything changed")
        };
        let expected = [
            ("pki", names(&["settings.pki.a"])),
            ("docker", names(&["settings.pki.a", "settings.proxy"])),
            ("api", names(&["settings.proxy"])),
        ];
        assert_eq!(services, expected.map(|(service, keys)| (service.to_owned(), keys)));
    }

    #[test]
    fn everything_is_every_file_and_every_service() {
        let (services, files) = tables();
        let plan = plan(&Changed::All, &services, &files).unwrap();
        assert_eq!((plan.files.len(), plan.services.len()), (4, 3));
    }

    #[test]
    fn nothing_affected_is_nothing_to_do() {
        let (services, files) = tables();
        assert_eq!(plan(&affected(&[]), &services, &files).unwrap(), Plan::default());
    }

    #[test]
    fn tables_that_contradict_each_other_are_told() {
        let (mut services, files) = tables();
        assert_eq!(
            plan(&affected(&["nope"]), &services, &files).unwrap_err().to_string(),
            "there is no service 'nope'"
        );
        services.get_mut("hosts").unwrap().configuration_files.push("gone".to_owned());
        let error = plan(&affected(&["hosts"]), &services, &files).unwrap_err();
        assert_eq!(error.to_string(), "service 'hosts' names the file 'gone', which does not exist");
    }
}
