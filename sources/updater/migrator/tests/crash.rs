//! The machine stops at every step of a migration: the next boot finds the settings of before or of after, whichever
//! set it boots, and ends with nothing left over.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod lab;

use host::Host;
use lab::{Lab, Repository, settings, steps};
use migrator::{Execution, Planned, Step};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn repository() -> Repository {
    Repository::default().edge(
        "1.0.0",
        "1.1.0",
        &[("m", "{ rename = { from = 'settings.old', to = 'settings.new' } }, { remove = { keys = ['settings.gone'] } }")],
    )
}

fn after() -> BTreeMap<&'static str, Value> {
    let mut after = settings();
    after.insert("user-data", json!({"settings.motd": "user", "settings.new.a": 1}));
    after.insert("api", json!({"settings.motd": "api", "settings.new.b": [true]}));
    after
}

/// A host with something of every kind to remove, which a run was cut short on before.
fn lab() -> Lab {
    let lab = Lab::new("1.0.0");
    for version in ["0.7.0", "0.8.0", "0.9.0"] {
        lab.fill(&format!("v{version}_0123456789abcdef"), &settings());
    }
    lab.link("v1", "v1.0");
    fs::create_dir(lab.folder().join(".v1.1.0_0123456789abcdef.new")).unwrap();
    lab.link(".current.new", "v1.1.0_0123456789abcdef");
    lab
}

/// Copies a folder with its links, as a disk that was pulled out.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What boots after the machine stopped: either version, with the disk as it is.
fn boots(lab: &Lab, at: &str) {
    let clones = ["1.0.0", "1.1.0"].map(|version| {
        let clone = Lab::empty();
        fs::remove_dir_all(clone.folder()).unwrap();
        copy(&lab.folder(), &clone.folder());
        (version, clone)
    });
    for (version, clone) in clones {
        let seen = clone.layers();
        assert!(seen == settings() || seen == after(), "{at}: neither before nor after: {seen:?}");
        clone
            .migrate(version, &repository())
            .unwrap_or_else(|e| panic!("{at}, {version}: {}", host::program::chain(&e)));
        // The boot after that removes what this one could not know to be left over.
        clone.migrate(version, &repository()).unwrap();
        let expected = if version == "1.0.0" { settings() } else { after() };
        assert_eq!(clone.layers(), expected, "{at}, {version}");
        let names = clone.names();
        assert!(names.contains(&format!("current -> v{version}")), "{at}, {version}: {names:?}");
        assert!(names.len() <= 4, "{at}, {version}: {names:?}");
    }
}

#[test]
fn the_machine_may_stop_at_every_step() {
    let count = steps(&lab().plan("1.1.0", &repository()).unwrap()).len();
    assert!(count >= 10, "the migration became trivial: {count} steps");
    for stop in 0..=count {
        let lab = lab();
        let Planned::Migrate(plan) = lab.plan("1.1.0", &repository()).unwrap() else {
            panic!("nothing planned")
        };
        let mut execution = Execution::new(&plan, &lab.host, 1);
        for step in &plan.steps()[..stop] {
            execution.perform(step).unwrap();
        }
        drop(execution);
        let is_flipped = plan.steps()[..stop].contains(&Step::Flip);
        assert_eq!(lab.layers(), if is_flipped { after() } else { settings() }, "after {stop} steps");
        boots(&lab, &format!("stopped after {stop} of {count} steps"));
    }
}

/// Leaves the folder of stores as a machine that stopped may leave it.
type Disturb = fn(&Path, &Host);

/// States in the middle of steps, which their order allows.
#[test]
fn the_machine_may_stop_in_the_middle_of_a_step() {
    let rows: [(&str, Disturb); 5] = [
        ("half a copy", |folder, _| {
            fs::write(folder.join(".v1.1.0_00000000000000aa.new/settings.db"), "half").unwrap();
        }),
        ("a copy without its log", |folder, _| {
            let source = folder.join("current/settings.db");
            fs::copy(source, folder.join(".v1.1.0_00000000000000aa.new/settings.db")).unwrap();
        }),
        ("a new link that is not renamed", |folder, _| {
            drop(fs::remove_file(folder.join(".current.new")));
            std::os::unix::fs::symlink("v1.1.0_00000000000000aa", folder.join(".current.new")).unwrap();
        }),
        ("an old store half removed", |folder, _| {
            let old = folder.join(".v0.7.0_0123456789abcdef.old");
            fs::rename(folder.join("v0.7.0_0123456789abcdef"), &old).unwrap();
            fs::remove_file(old.join("settings.db")).unwrap();
        }),
        ("an old store renamed", |folder, _| {
            fs::rename(folder.join("v0.7.0_0123456789abcdef"), folder.join(".v0.7.0_0123456789abcdef.old"))
                .unwrap();
        }),
    ];
    for (what, change) in rows {
        let lab = lab();
        fs::create_dir(lab.folder().join(".v1.1.0_00000000000000aa.new")).unwrap();
        change(&lab.folder(), &lab.host);
        boots(&lab, what);
    }
}

/// A step that fails, where the machine goes on: everything is as before, at once.
#[test]
fn a_step_that_fails_is_taken_back() {
    let lab = lab();
    let Planned::Migrate(plan) = lab.plan("1.1.0", &repository()).unwrap() else { panic!("nothing planned") };
    // A folder stands where the new link is to be made.
    fs::remove_file(lab.folder().join(".current.new")).unwrap();
    let mut plan = plan;
    plan.remove_first.clear();
    fs::create_dir_all(lab.folder().join(".current.new/full")).unwrap();
    let error = host::program::chain(&migrator::execute(&plan, &lab.host, 1).unwrap_err());
    assert!(
        error.starts_with(&format!("link {} to v1.1.0_", lab.folder().join("current").display())),
        "{error}"
    );
    assert_eq!(lab.layers(), settings());
    assert!(!lab.folder().join(plan.target.to_string()).exists(), "the copy is gone");
    boots(&lab, "a failed step");
}
