//! What has to happen to a container.

use crate::Family;
use crate::entry::Common;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the machine before a plan is made.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Whether the boot is over, so that units are started and stopped, not only enabled and disabled.
    pub multi_user: bool,
    /// Whether what is left of a container can be cleaned up: the runtime listens and there is a runner.
    pub can_clean_up: bool,
    /// The containers that were set up before.
    pub known: BTreeSet<String>,
    /// The units that are enabled.
    pub enabled: BTreeSet<String>,
    /// The drop-ins of units, by container.
    pub drop_ins: BTreeMap<String, String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a folder that only root may enter.
    Folder {
        /// Where.
        path: String,
    },
    /// Replace a file.
    Write {
        /// Where.
        path: String,
        /// What it holds.
        content: Vec<u8>,
        /// Its mode.
        mode: u32,
    },
    /// Remove a file, if it is there.
    Remove {
        /// Where.
        path: String,
    },
    /// Run `systemctl` with these arguments.
    Systemctl(Vec<String>),
    /// Clean up what a container left in the runtime.
    CleanUp {
        /// What the runtime calls it.
        id: String,
    },
}

/// What has to happen to one container, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub container: String,
    /// Whether it is to run, now or at the next opportunity.
    pub runs: bool,
    /// The steps.
    pub steps: Vec<Step>,
}

/// A container that cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name.
    pub container: String,
    /// Why not.
    pub why: String,
}

/// What has to happen to all containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    /// Those that can be set up, in the order of their names.
    pub plans: Vec<Plan>,
    /// The others.
    pub faults: Vec<Fault>,
}

/// The steps that both families have.
pub(crate) struct Steps<'a> {
    pub(crate) family: &'a Family,
    pub(crate) machine: &'a Machine,
    pub(crate) container: &'a str,
    pub(crate) list: Vec<Step>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(family: &'a Family, machine: &'a Machine, container: &'a str) -> Self {
        Self { family, machine, container, list: Vec::new() }
    }

    /// The folder of the container with its user data, and its environment, if it has a source.
    pub(crate) fn set_up(&mut self, common: &Common, variable: (&str, &str)) {
        let folder = format!("{}/{}", self.family.folder, self.container);
        self.list.push(Step::Folder { path: folder.clone() });
        let path = format!("{folder}/user-data");
        self.list.push(match &common.user_data {
            // User data can hold secrets.
            Some(data) => Step::Write { path, content: data.decode(), mode: 0o600 },
            None => Step::Remove { path },
        });
        if let Some(source) = &common.source {
            let (name, value) = variable;
            let text = format!("CTR_SOURCE={}\n{name}={}\n", quoted(source.as_str()), quoted(value));
            let path = self.family.environment_file(self.container);
            // A source can carry a password.
            self.list.push(Step::Write { path, content: text.into_bytes(), mode: 0o600 });
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.machine.enabled.contains(&self.family.unit(self.container))
    }

    pub(crate) fn systemctl(&mut self, words: &[&str]) {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.push(self.family.unit(self.container));
        self.list.push(Step::Systemctl(words));
    }

    pub(crate) fn clean_up(&mut self) {
        if self.machine.can_clean_up {
            self.list.push(Step::CleanUp { id: self.family.id(self.container) });
        }
    }

    pub(crate) fn remove(&mut self, path: String) {
        self.list.push(Step::Remove { path });
    }

    pub(crate) fn plan(self, runs: bool) -> Plan {
        Plan { container: self.container.to_owned(), runs, steps: self.list }
    }
}

/// The plan for a container that the settings no longer have: its unit goes, its folder stays.
pub(crate) fn gone(family: &Family, machine: &Machine, container: &str) -> Plan {
    let mut steps = Steps::new(family, machine, container);
    if machine.multi_user {
        steps.systemctl(&["stop"]);
    }
    if steps.is_enabled() {
        steps.systemctl(&["disable"]);
    }
    steps.clean_up();
    steps.remove(family.drop_in(container));
    steps.remove(family.environment_file(container));
    steps.plan(false)
}

/// A value for an environment file (systemd.exec(5), `EnvironmentFile=`).
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}
