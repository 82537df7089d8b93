//! Containers that prepare the host at boot.

use crate::BOOTSTRAP;
use crate::entry::{Common, ConfigError, entries, no_source};
use crate::plan::{Machine, Plan, Plans, Step, Steps, gone};
use modeled_types::BootstrapMode;
use serde::Deserialize;
use std::collections::BTreeSet;

/// What waits for bootstrap containers.
const TARGET: &str = "configured.target";

#[derive(Deserialize)]
struct BootstrapContainer {
    #[serde(flatten)]
    common: Common,
    #[serde(default)]
    mode: BootstrapMode,
    #[serde(default)]
    essential: bool,
}

/// Plans what the text of `bootstrap-containers.toml` asks for. Nothing is started: systemd starts what is enabled
/// on its way to the target, once in a boot.
pub fn bootstrap_containers(text: &str, machine: &Machine) -> Result<Plans, ConfigError> {
    let mut plans = Plans::default();
    let mut listed = BTreeSet::new();
    for entry in entries::<BootstrapContainer>(text, None)? {
        match entry {
            Ok((name, container)) => {
                if container.mode != BootstrapMode::Off && container.common.source.is_none() {
                    plans.faults.push(no_source(BOOTSTRAP.name, &name));
                } else {
                    plans.plans.push(plan(&name, &container, machine));
                }
                listed.insert(name);
            }
            Err(fault) => {
                listed.insert(fault.container.clone());
                plans.faults.push(fault);
            }
        }
    }
    let dropped = machine.known.iter().filter(|name| !listed.contains(*name));
    plans.plans.extend(dropped.map(|name| gone(&BOOTSTRAP, machine, name)));
    Ok(plans)
}

fn plan(name: &str, container: &BootstrapContainer, machine: &Machine) -> Plan {
    let mut steps = Steps::new(&BOOTSTRAP, machine, name);
    steps.set_up(&container.common, ("CTR_MODE", container.mode.as_str()));
    let runs = container.mode != BootstrapMode::Off;
    let enabled = steps.is_enabled();
    if !runs {
        if enabled {
            steps.systemctl(&["disable"]);
        }
        steps.clean_up();
        return steps.plan(runs);
    }
    let relation = if container.essential { "RequiredBy" } else { "WantedBy" };
    let drop_in = format!("[Install]\n{relation}={TARGET}\n");
    let same = machine.drop_ins.get(name) == Some(&drop_in);
    if enabled && !same {
        // Its links were made by the old drop-in.
        steps.systemctl(&["disable"]);
    }
    if !enabled {
        steps.clean_up();
    }
    if !same {
        let path = BOOTSTRAP.drop_in(name);
        steps.list.push(Step::Write { path, content: drop_in.into_bytes(), mode: 0o644 });
    }
    if !enabled || !same {
        steps.systemctl(&["enable"]);
    }
    steps.plan(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "bootstrap-containers@a.service";
    const WANTED: &str = "[Install]\nWantedBy=configured.target\n";

    fn machine(enabled: bool, drop_in: Option<&str>, can_clean_up: bool) -> Machine {
        Machine {
            can_clean_up,
            enabled: enabled.then(|| UNIT.to_owned()).into_iter().collect(),
            drop_ins: drop_in.map(|text| ("a".to_owned(), text.to_owned())).into_iter().collect(),
            ..Machine::default()
        }
    }

    fn words(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| match step {
            Step::Systemctl(words) => words.join(" "),
            Step::CleanUp { id } => format!("clean up {id}"),
            Step::Write { path, content, .. } if path.ends_with("/overrides.conf") => {
                String::from_utf8_lossy(content).lines().nth(1).unwrap().to_owned()
            }
            _ => String::new(),
        };
        steps.iter().map(word).filter(|word| !word.is_empty()).collect()
    }

    #[test]
    fn a_container_is_enabled_for_the_target_and_never_started() {
        let (enable, disable) = (format!("enable {UNIT}"), format!("disable {UNIT}"));
        let text = |rest: &str| format!("[a]\nsource = \"x\"\n{rest}");
        let (once, essential) = (text("mode = \"once\"\n"), text("mode = \"always\"\nessential = true\n"));
        for (text, machine, expected) in [
            (&once, machine(false, None, false), vec!["WantedBy=configured.target", &enable]),
            (
                &once,
                machine(false, None, true),
                vec!["clean up boot.a", "WantedBy=configured.target", &enable],
            ),
            (&once, machine(true, Some(WANTED), true), vec![]),
            (&essential, machine(false, None, false), vec!["RequiredBy=configured.target", &enable]),
            (
                &essential,
                machine(true, Some(WANTED), true),
                vec![&disable, "RequiredBy=configured.target", &enable],
            ),
            (&text(""), machine(false, None, false), vec![]),
            (&text("mode = \"off\"\n"), machine(true, Some(WANTED), true), vec![&disable, "clean up boot.a"]),
        ] {
            let plans = bootstrap_containers(text, &machine).unwrap();
            assert_eq!(words(&plans.plans[0].steps), expected, "{text} {machine:?}");
        }
    }

    #[test]
    fn a_container_gets_its_folder_and_files() {
        let text = "[a]\nsource = \"x\"\nmode = \"once\"\nuser-data = \"aGk=\"\n";
        let plans = bootstrap_containers(text, &machine(true, Some(WANTED), false)).unwrap();
        let write = |path: &str, content: &str| Step::Write {
            path: path.to_owned(),
            content: content.into(),
            mode: 0o600,
        };
        let expected = [
            Step::Folder { path: "/local/bootstrap-containers/a".to_owned() },
            write("/local/bootstrap-containers/a/user-data", "hi"),
            write("/etc/bootstrap-containers/a.env", "CTR_SOURCE=\"x\"\nCTR_MODE=\"once\"\n"),
        ];
        assert_eq!(plans.plans[0].steps, expected);
    }

    #[test]
    fn what_cannot_be_set_up_is_named_and_what_was_dropped_goes() {
        let mut machine = machine(true, None, false);
        machine.known = ["a".to_owned(), "b".to_owned()].into();
        let text = "[b]\nmode = \"once\"\n[c]\nmode = \"off\"\n[d]\nmode = \"sometimes\"\n";
        let plans = bootstrap_containers(text, &machine).unwrap();
        let names: Vec<_> = plans.plans.iter().map(|plan| plan.container.as_str()).collect();
        assert_eq!(names, ["c", "a"]);
        assert_eq!(words(&plans.plans[1].steps), [format!("disable {UNIT}")]);
        let faults: Vec<_> = plans.faults.iter().map(|fault| fault.why.as_str()).collect();
        assert_eq!(faults[0], "it has no image; set settings.bootstrap-containers.b.source");
        assert!(faults[1].starts_with("must be one of: off, once, always"), "{}", faults[1]);
    }
}
