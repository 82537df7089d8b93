//! Containers that administer the host.

use crate::HOST;
use crate::entry::{Common, ConfigError, entries, no_source};
use crate::plan::{Machine, Plan, Plans, Steps, gone};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct HostContainer {
    #[serde(flatten)]
    common: Common,
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    superpowered: bool,
}

/// Plans what the text of `host-containers.toml` asks for. `changed` are the settings that changed: a container is
/// left alone when all of them are of other containers; without any, every container is meant.
pub fn host_containers(text: &str, changed: &[String], machine: &Machine) -> Result<Plans, ConfigError> {
    let mut plans = Plans::default();
    let mut listed = BTreeSet::new();
    for entry in entries::<HostContainer>(text, Some(HOST.name))? {
        let (name, planned) = match entry {
            Ok((name, container)) => {
                let planned = if container.enabled && container.common.source.is_none() {
                    Err(no_source(HOST.name, &name))
                } else {
                    Ok(plan(&name, &container, machine))
                };
                (name, planned)
            }
            Err(fault) => (fault.container.clone(), Err(fault)),
        };
        if is_meant(&name, changed) {
            match planned {
                Ok(plan) => plans.plans.push(plan),
                Err(fault) => plans.faults.push(fault),
            }
        }
        listed.insert(name);
    }
    let dropped = machine.known.iter().filter(|name| !listed.contains(*name) && is_meant(name, changed));
    plans.plans.extend(dropped.map(|name| gone(&HOST, machine, name)));
    Ok(plans)
}

fn plan(name: &str, container: &HostContainer, machine: &Machine) -> Plan {
    let mut steps = Steps::new(&HOST, machine, name);
    let superpowered = if container.superpowered { "true" } else { "false" };
    steps.set_up(&container.common, ("CTR_SUPERPOWERED", superpowered));
    if machine.multi_user {
        steps.systemctl(&["stop"]);
        steps.clean_up();
    }
    match (container.enabled, machine.multi_user) {
        (true, true) => steps.systemctl(&["enable", "--now"]),
        (true, false) if !steps.is_enabled() => steps.systemctl(&["enable"]),
        (false, _) if steps.is_enabled() => steps.systemctl(&["disable"]),
        _ => {}
    }
    steps.plan(container.enabled)
}

/// Whether a change is about a container: about it alone, about all of them, or about something that all of them
/// use, such as the proxy.
fn is_meant(name: &str, changed: &[String]) -> bool {
    let group = format!("settings.{}", HOST.name);
    let meant = |key: &String| match key.strip_prefix(&group).and_then(|rest| rest.strip_prefix('.')) {
        Some(rest) => rest.split('.').next() == Some(name),
        None => true,
    };
    changed.is_empty() || changed.iter().any(meant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;

    const TEXT: &str = "[host-containers.admin]\nsource = \"example.com/admin:1\"\nenabled = true\n\
                        superpowered = true\nuser-data = \"aGk=\"\n[host-containers.control]\n\
                        source = \"example.com/$c\"\n";

    /// A plan in short: what `systemctl` and the runner are told, and the files.
    fn short(plan: &Plan) -> Vec<String> {
        let step = |step: &Step| match step {
            Step::Folder { path } => format!("folder {path}"),
            Step::Write { path, content, mode } => {
                format!("write {path} {mode:o} {}", String::from_utf8_lossy(content).escape_debug())
            }
            Step::Remove { path } => format!("remove {path}"),
            Step::Systemctl(words) => words.join(" "),
            Step::CleanUp { id } => format!("clean up {id}"),
        };
        plan.steps.iter().map(step).collect()
    }

    fn acts(plans: &Plans) -> Vec<String> {
        let is_act = |step: &String| !["folder", "write", "remove"].iter().any(|word| step.starts_with(word));
        plans.plans.iter().flat_map(short).filter(is_act).collect()
    }

    fn machine(multi_user: bool, enabled: &[&str]) -> Machine {
        let enabled = enabled.iter().map(|name| HOST.unit(name)).collect();
        Machine { multi_user, enabled, ..Machine::default() }
    }

    #[test]
    fn a_container_gets_its_folder_and_files() {
        let plans = host_containers(TEXT, &[], &machine(false, &[])).unwrap();
        assert_eq!(
            short(&plans.plans[0]),
            [
                "folder /local/host-containers/admin",
                "write /local/host-containers/admin/user-data 600 hi",
                "write /etc/host-containers/admin.env 600 CTR_SOURCE=\\\"example.com/admin:1\\\"\\nCTR_SUPERPOWERED=\\\"true\\\"\\n",
                "enable host-containers@admin.service",
            ]
        );
        assert_eq!(
            short(&plans.plans[1]),
            [
                "folder /local/host-containers/control",
                "remove /local/host-containers/control/user-data",
                "write /etc/host-containers/control.env 600 CTR_SOURCE=\\\"example.com/\\\\$c\\\"\\nCTR_SUPERPOWERED=\\\"false\\\"\\n",
            ]
        );
        assert_eq!(plans.plans.iter().map(|plan| plan.runs).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn units_follow_the_settings_and_the_phase_of_the_boot() {
        let (admin, control) = ("host-containers@admin.service", "host-containers@control.service");
        for (machine, expected) in [
            (machine(false, &["admin"]), vec![]),
            (machine(false, &["control"]), vec![format!("enable {admin}"), format!("disable {control}")]),
            (
                machine(true, &["control"]),
                vec![
                    format!("stop {admin}"),
                    format!("enable --now {admin}"),
                    format!("stop {control}"),
                    format!("disable {control}"),
                ],
            ),
            (
                Machine { can_clean_up: true, ..machine(true, &[]) },
                vec![
                    format!("stop {admin}"),
                    "clean up admin".to_owned(),
                    format!("enable --now {admin}"),
                    format!("stop {control}"),
                    "clean up control".to_owned(),
                ],
            ),
        ] {
            assert_eq!(acts(&host_containers(TEXT, &[], &machine).unwrap()), expected, "{machine:?}");
        }
    }

    #[test]
    fn only_what_a_change_is_about_is_touched() {
        for (changed, expected) in [
            (&[][..], &["admin", "control"][..]),
            (&["settings.host-containers.admin.enabled"], &["admin"]),
            (&["settings.host-containers.control"], &["control"]),
            (&["settings.host-containers.admin2.enabled"], &[]),
            (&["settings.host-containers"], &["admin", "control"]),
            (
                &["settings.host-containers.admin.enabled", "settings.network.https-proxy"],
                &["admin", "control"],
            ),
        ] {
            let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
            let plans = host_containers(TEXT, &changed, &machine(true, &[])).unwrap();
            let names: Vec<_> = plans.plans.iter().map(|plan| plan.container.as_str()).collect();
            assert_eq!(names, expected, "{changed:?}");
        }
    }

    #[test]
    fn a_container_that_the_settings_dropped_goes() {
        let mut machine = machine(true, &["old"]);
        machine.known = ["admin", "old"].map(ToOwned::to_owned).into();
        let plans = host_containers("[host-containers.admin]\n", &[], &machine).unwrap();
        assert_eq!(
            short(&plans.plans[1]),
            [
                "stop host-containers@old.service",
                "disable host-containers@old.service",
                "remove /etc/systemd/system/host-containers@old.service.d/overrides.conf",
                "remove /etc/host-containers/old.env",
            ]
        );
        // An empty file is every container dropped.
        assert_eq!(host_containers("", &[], &machine).unwrap().plans.len(), 2);
    }

    #[test]
    fn one_bad_container_does_not_hold_up_the_others() {
        let text = format!(
            "{TEXT}[host-containers.empty]\nenabled = true\n[host-containers.\"../x\"]\n[host-containers.odd]\n\
             source = \"a b\"\n[host-containers.secret]\nuser-data = \"hunter2\"\n"
        );
        let plans = host_containers(&text, &[], &machine(false, &[])).unwrap();
        assert_eq!(plans.plans.len(), 2);
        let faults: Vec<_> =
            plans.faults.iter().map(|fault| format!("{}: {}", fault.container, fault.why)).collect();
        assert_eq!(faults[0], "../x: its name must be 1 to 76 ASCII letters, digits and hyphens");
        assert_eq!(faults[1], "empty: it has no image; set settings.host-containers.empty.source");
        assert!(faults[2].starts_with("odd: must be a URL"), "{}", faults[2]);
        assert!(
            faults[3].starts_with("secret: must be base64") && !faults[3].contains("hunter2"),
            "{}",
            faults[3]
        );
        for text in ["[host-containers", "host-containers = 1", "[x]\na = 'hunter2"] {
            let error = host_containers(text, &[], &machine(false, &[])).unwrap_err().to_string();
            assert!(error.starts_with("read it as TOML") && !error.contains("hunter2"), "{error}");
        }
    }
}
