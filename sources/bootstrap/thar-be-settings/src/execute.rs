//! Performing a plan.

use crate::{FilePlan, Plan, ServicePlan};
use defaults::ConfigurationFile;
use host::program::chain;
use host::{Command, Host, Output, Replaced};
use std::error::Error;
use std::time::Duration;
use wire::{ApplyReport, CommandResult, FileResult, FileState, ServiceResult};

/// Mode of a file whose row names none.
const DEFAULT_MODE: u32 = 0o644;
/// How long a restart command may take. Stopping a container runtime with its containers takes minutes.
const RESTART_LIMIT: Duration = Duration::from_mins(5);
/// Where drop-ins of units are; the manager has to read them again when one changes.
const UNIT_FOLDER: &str = "/etc/systemd/";

/// Exit status of `systemctl` when a unit does not exist (LSB 5.0, "Init Script Actions": not installed).
const NO_SUCH_UNIT: i32 = 5;

/// How a plan is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A change: a file that cannot be rendered stops everything before anything is written.
    Change,
    /// The whole host, at boot: what can be done is done.
    Everything,
    /// Nothing is written or run; the report says what would be.
    DryRun,
}

/// Renders a file.
pub type Render<'a> = dyn Fn(&FilePlan) -> Result<String, Box<dyn Error>> + 'a;

/// Performs a plan and reports on every file and service.
pub fn execute(plan: &Plan, host: &Host, render: &Render<'_>, mode: Mode) -> ApplyReport {
    let rendered: Vec<(&FilePlan, Result<String, String>)> = plan
        .files
        .iter()
        .map(|file| (file, render(file).map_err(|e| format!("render it: {}", chain(e.as_ref())))))
        .collect();
    let broken = rendered.iter().any(|(_, text)| text.is_err());
    if broken && mode == Mode::Change {
        let why = "not written, because another file of this change cannot be rendered";
        let files = rendered.iter().map(|(file, text)| {
            result(file, FileState::Failed, Some(text.as_ref().err().map_or(why, String::as_str)))
        });
        return ApplyReport { files: files.collect(), services: Vec::new() };
    }
    let files: Vec<FileResult> = rendered
        .iter()
        .map(|(file, text)| match text {
            Ok(text) => put(file, text, host, mode),
            Err(why) => result(file, FileState::Failed, Some(why)),
        })
        .collect();
    let reload = mode == Mode::Change
        && files.iter().any(|f| f.state == FileState::Written && f.path.starts_with(UNIT_FOLDER));
    let mut services = Vec::new();
    if reload {
        let command = act("systemctl daemon-reload", &[], host, mode);
        services.push(ServiceResult { name: "systemd".to_owned(), commands: vec![command] });
    }
    services.extend(plan.services.iter().map(|service| restart(service, host, mode)));
    ApplyReport { files, services }
}

fn put(plan: &FilePlan, text: &str, host: &Host, mode: Mode) -> FileResult {
    let file_mode = match file_mode(&plan.file) {
        Ok(file_mode) => file_mode,
        Err(why) => return result(plan, FileState::Failed, Some(&why)),
    };
    if mode == Mode::DryRun {
        let same = host.holds(&plan.file.path, text.as_bytes(), file_mode);
        return result(plan, if same { FileState::Unchanged } else { FileState::Planned }, None);
    }
    match host.replace(&plan.file.path, text.as_bytes(), file_mode) {
        Ok(Replaced::Written) => result(plan, FileState::Written, None),
        Ok(Replaced::Unchanged) => result(plan, FileState::Unchanged, None),
        Err(e) => result(plan, FileState::Failed, Some(&chain(&e))),
    }
}

fn file_mode(file: &ConfigurationFile) -> Result<u32, String> {
    file.mode.as_deref().map_or(Ok(DEFAULT_MODE), |mode| {
        u32::from_str_radix(mode, 8).map_err(|_| format!("its mode '{mode}' is not an octal number"))
    })
}

fn result(plan: &FilePlan, state: FileState, error: Option<&str>) -> FileResult {
    FileResult {
        name: plan.name.clone(),
        path: plan.file.path.clone(),
        state,
        error: error.map(ToOwned::to_owned),
    }
}

/// Runs the commands of a service in order; one that fails ends this service's commands, not those of others.
fn restart(service: &ServicePlan, host: &Host, mode: Mode) -> ServiceResult {
    let mut commands = Vec::new();
    for line in &service.commands {
        let done = act(line, &service.changed, host, mode);
        let failed = done.error.is_some();
        commands.push(done);
        if failed {
            break;
        }
    }
    ServiceResult { name: service.name.clone(), commands }
}

fn act(line: &str, changed: &[String], host: &Host, mode: Mode) -> CommandResult {
    let mut result = CommandResult { command: line.to_owned(), recorded: mode == Mode::DryRun, error: None };
    if mode == Mode::DryRun {
        return result;
    }
    let argv = match shell_words::split(line) {
        Ok(argv) => argv,
        Err(e) => {
            result.error = Some(format!("split the command line: {e}"));
            return result;
        }
    };
    let tries = argv.iter().any(|word| word.starts_with("try-"));
    let mut command = Command::new(argv);
    command.timeout = RESTART_LIMIT;
    if !changed.is_empty() {
        command.env.push(("CHANGED_SETTINGS".to_owned(), changed.join(" ")));
    }
    match host.act(&command) {
        Ok(None) => result.recorded = true,
        // "Restart it if it runs" is done when there is no such unit: the variant left its package out.
        Ok(Some(Output { status, .. })) if tries && status.code() == Some(NO_SUCH_UNIT) => {
            tracing::info!(command = line, "no such unit in this image");
        }
        Ok(Some(Output { status, stderr, .. })) if !status.success() => {
            result.error = Some(format!("ended with {status}: {}", stderr.trim_end()));
        }
        // A command may have something to say although it succeeded.
        Ok(Some(Output { stderr, .. })) => {
            stderr.lines().for_each(|said| tracing::info!(command = line, "{said}"));
        }
        Err(e) => result.error = Some(chain(&e)),
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::COMMAND_LOG;

    fn file(name: &str, mode: Option<&str>) -> FilePlan {
        FilePlan {
            name: name.to_owned(),
            file: ConfigurationFile {
                path: format!("/etc/{name}"),
                template_path: name.to_owned(),
                mode: mode.map(ToOwned::to_owned),
            },
        }
    }

    fn plan() -> Plan {
        let service = |name: &str, commands: &[&str]| ServicePlan {
            name: name.to_owned(),
            commands: commands.iter().map(ToString::to_string).collect(),
            changed: vec!["settings.motd".to_owned()],
        };
        Plan {
            files: vec![file("good", None), file("secret", Some("0600"))],
            services: vec![service("a", &["one 'two words'", "three"]), service("b", &["four"])],
        }
    }

    fn text(file: &FilePlan) -> Result<String, Box<dyn Error>> {
        if file.name == "bad" { Err("a value is missing".into()) } else { Ok(format!("{}\n", file.name)) }
    }

    fn states(report: &ApplyReport) -> Vec<FileState> {
        report.files.iter().map(|f| f.state).collect()
    }

    #[test]
    fn files_are_written_once_and_commands_run_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let report = execute(&plan(), &host, &text, Mode::Change);
        assert!(report.succeeded());
        assert_eq!(states(&report), [FileState::Written, FileState::Written]);
        assert!(host.holds("/etc/secret", b"secret\n", 0o600));
        assert_eq!(host.read(COMMAND_LOG).unwrap().unwrap(), b"one two words\nthree\nfour\n");
        let again = execute(&plan(), &host, &text, Mode::Change);
        assert_eq!(states(&again), [FileState::Unchanged, FileState::Unchanged]);
    }

    #[test]
    fn a_change_with_a_file_that_cannot_be_rendered_touches_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let mut plan = plan();
        plan.files.push(file("bad", None));
        let report = execute(&plan, &host, &text, Mode::Change);
        assert_eq!(states(&report), [FileState::Failed; 3]);
        assert_eq!(report.files[2].error.as_deref(), Some("render it: a value is missing"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn at_boot_what_can_be_done_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let mut plan = plan();
        plan.files.insert(0, file("bad", None));
        let report = execute(&plan, &host, &text, Mode::Everything);
        assert!(!report.succeeded());
        assert_eq!(states(&report), [FileState::Failed, FileState::Written, FileState::Written]);
        assert_eq!(report.services.len(), 2);
    }

    #[test]
    fn a_dry_run_says_what_would_happen_and_does_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        host.replace("/etc/good", b"good\n", 0o644).unwrap();
        let report = execute(&plan(), &host, &text, Mode::DryRun);
        assert_eq!(states(&report), [FileState::Unchanged, FileState::Planned]);
        assert_eq!(host.read(COMMAND_LOG).unwrap(), None);
        assert_eq!(host.read("/etc/secret").unwrap(), None);
    }

    #[test]
    fn a_failing_command_ends_its_service_and_no_other() {
        let machine = Host::new("/");
        let service = |name: &str, commands: &[&str]| ServicePlan {
            name: name.to_owned(),
            commands: commands.iter().map(ToString::to_string).collect(),
            changed: Vec::new(),
        };
        let services = vec![service("a", &["false", "true"]), service("b", &["true"])];
        let report = execute(&Plan { files: Vec::new(), services }, &machine, &text, Mode::Everything);
        assert_eq!(report.services[0].commands.len(), 1);
        assert!(
            report.services[0].commands[0].error.as_deref().unwrap().starts_with("ended with exit status: 1")
        );
        assert!(report.services[1].commands[0].error.is_none());
    }

    #[test]
    fn changed_unit_drop_ins_make_the_manager_read_its_units_again() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let mut plan = plan();
        plan.files[0].file.path = "/etc/systemd/system/x.service.d/10.conf".to_owned();
        let report = execute(&plan, &host, &text, Mode::Change);
        assert_eq!(report.services[0].commands[0].command, "systemctl daemon-reload");
        let again = execute(&plan, &host, &text, Mode::Change);
        assert_eq!(again.services[0].name, "a", "nothing changed, nothing to read again");
    }
}
