//! Documents of the API as text for people.

use super::Exit;
use super::failure::Failure;
use super::output::{self, Format, Paint, Tone, plain, table};
use serde_json::Value;
use wire::{ApplyReport, Change, CommandResult, CommitSummary, Diff, FileState, Job, JobState};

/// How much of a value is shown: enough to recognise it, not enough to give a long secret away.
const VALUE_WIDTH: usize = 60;

/// A value in one line, cut when it is long.
pub(super) fn value(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_WIDTH {
        return text;
    }
    let cut: String = text.chars().take(VALUE_WIDTH / 2).collect();
    format!("{cut}... ({} bytes)", text.len())
}

/// A value that may be absent.
fn optional(found: Option<&Value>) -> String {
    found.map_or_else(|| "(not set)".to_owned(), value)
}

/// "1 file", "2 files".
pub(super) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// What became of a job.
pub(super) fn job(job: &Job, keys: usize, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(commit) = job.commits.iter().max() {
        lines.push(format!("commit {commit}: {}", count(keys as u64, "setting")));
    }
    let rows = job.report.as_ref().map(report_rows).unwrap_or_default();
    if rows.is_empty() && job.state == JobState::Succeeded {
        lines.push("  no file or service is concerned".to_owned());
    }
    lines.extend(table(&rows, paint).into_iter().map(|line| format!("  {line}")));
    if job.state == JobState::Failed {
        let why = job.error.as_deref().unwrap_or("not everything could be brought in line");
        let text = format!("the settings are committed, but applying them failed: {why}");
        lines.push(paint.paint(Tone::Bad, &text));
    }
    lines
}

fn report_rows(report: &ApplyReport) -> Vec<Vec<(Tone, String)>> {
    let files = report.files.iter().map(|file| {
        let (tone, state) = match file.state {
            FileState::Written => (Tone::Good, "written".to_owned()),
            FileState::Unchanged => (Tone::Faint, "unchanged".to_owned()),
            FileState::Planned => (Tone::Plain, "would be written".to_owned()),
            FileState::Failed => {
                (Tone::Bad, format!("failed: {}", file.error.as_deref().unwrap_or("no reason was given")))
            }
        };
        vec![plain("file"), plain(&file.path), (tone, state)]
    });
    let commands = report.services.iter().flat_map(|service| {
        service.commands.iter().map(|command| {
            vec![plain(format!("service {}", service.name)), plain(&command.command), command_state(command)]
        })
    });
    files.chain(commands).collect()
}

fn command_state(command: &CommandResult) -> (Tone, String) {
    match &command.error {
        Some(error) => (Tone::Bad, format!("failed: {error}")),
        None if command.recorded => (Tone::Faint, "recorded, not run".to_owned()),
        None => (Tone::Good, "done".to_owned()),
    }
}

/// What a transaction would change, on stdout.
pub(super) fn diff(diff: &Diff, format: Format) -> Result<Exit, Failure> {
    match format {
        Format::Json => output::json(diff)?,
        Format::Human => diff_lines(diff, Paint::stdout()).iter().try_for_each(|line| output::line(line))?,
    }
    Ok(Exit::Done)
}

fn diff_lines(diff: &Diff, paint: Paint) -> Vec<String> {
    if diff.changes.is_empty() {
        return vec!["nothing would change".to_owned()];
    }
    let mut lines = Vec::new();
    for change in &diff.changes {
        lines.push(change.key.clone());
        lines.extend(old_and_new(change.effective_old.as_ref(), change.effective_new.as_ref(), paint));
        if change.effective_old == change.effective_new {
            lines.push(format!("  (layer {} changes, the value in effect stays)", change.layer));
        }
    }
    let files = diff.files.iter().map(|file| vec![plain("file"), plain(&file.path)]);
    let services = diff.services.iter().flat_map(|service| {
        let row = |command: &String| vec![plain(format!("service {}", service.name)), plain(command)];
        service.restart_commands.iter().map(row)
    });
    lines.extend(table(&files.chain(services).collect::<Vec<_>>(), paint));
    lines
}

fn old_and_new(old: Option<&Value>, new: Option<&Value>, paint: Paint) -> [String; 2] {
    [
        paint.paint(Tone::Bad, &format!("  - {}", optional(old))),
        paint.paint(Tone::Good, &format!("  + {}", optional(new))),
    ]
}

/// The changes of a commit.
pub(super) fn changes(changes: &[Change], paint: Paint) -> Vec<String> {
    let one = |change: &Change| {
        let head = format!("{} ({})", change.key, change.layer);
        let [old, new] = old_and_new(change.old.as_ref(), change.new.as_ref(), paint);
        [head, old, new]
    };
    changes.iter().flat_map(one).collect()
}

/// The history as a table.
pub(super) fn history(commits: &[CommitSummary], paint: Paint) -> Vec<String> {
    let head = ["COMMIT", "TIME", "BY", "LAYER", "CHANGES", "MESSAGE"];
    let mut rows = vec![head.iter().map(|name| (Tone::Faint, (*name).to_owned())).collect::<Vec<_>>()];
    rows.extend(commits.iter().map(|commit| {
        vec![
            plain(commit.id.to_string()),
            plain(seconds(&commit.time)),
            plain(by(commit)),
            plain(&commit.layer),
            plain(commit.change_count.to_string()),
            plain(note(commit)),
        ]
    }));
    table(&rows, paint)
}

/// Who made a commit.
pub(super) fn by(commit: &CommitSummary) -> String {
    let author = &commit.author;
    if author.program.is_empty() {
        format!("uid {}", author.uid)
    } else {
        format!("{} (uid {})", author.program, author.uid)
    }
}

/// The message of a commit, and what else is worth a word.
pub(super) fn note(commit: &CommitSummary) -> String {
    let mut notes: Vec<String> = Some(commit.message.clone()).into_iter().filter(|m| !m.is_empty()).collect();
    notes.extend(commit.trial.iter().map(|until| format!("on trial until {}", seconds(until))));
    notes.extend(commit.ends_trial.iter().map(|of| format!("ends the trial of commit {of}")));
    notes.join("; ")
}

/// A time without its fraction of a second.
pub(super) fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wire::{DiffChange, DiffFile, DiffService, FileResult, ServiceResult};

    #[test]
    fn long_values_are_cut_and_secrets_with_them() {
        assert_eq!(value(&json!("short")), "\"short\"");
        let secret = value(&json!("s".repeat(500)));
        assert_eq!(secret, format!("\"{}... (502 bytes)", "s".repeat(29)));
    }

    #[test]
    fn a_job_is_told_file_by_file_and_command_by_command() {
        let file = |path: &str, state, error: Option<&str>| FileResult {
            name: "n".into(),
            path: path.into(),
            state,
            error: error.map(Into::into),
        };
        let command = |command: &str, recorded, error: Option<&str>| CommandResult {
            command: command.into(),
            recorded,
            error: error.map(Into::into),
        };
        let report = ApplyReport {
            files: vec![
                file("/etc/motd", FileState::Written, None),
                file("/etc/hosts", FileState::Unchanged, None),
                file("/etc/x", FileState::Failed, Some("no template")),
            ],
            services: vec![ServiceResult {
                name: "ntp".into(),
                commands: vec![
                    command("systemctl restart chronyd", true, None),
                    command("true", false, None),
                    command("false", false, Some("exit status 1")),
                ],
            }],
        };
        let failed = Job {
            id: 1,
            commits: vec![6, 7],
            state: JobState::Failed,
            keys: None,
            report: Some(report),
            error: None,
        };
        let lines = job(&failed, 2, Paint::none());
        assert_eq!(
            lines,
            [
                "commit 7: 2 settings",
                "  file         /etc/motd                  written",
                "  file         /etc/hosts                 unchanged",
                "  file         /etc/x                     failed: no template",
                "  service ntp  systemctl restart chronyd  recorded, not run",
                "  service ntp  true                       done",
                "  service ntp  false                      failed: exit status 1",
                "the settings are committed, but applying them failed: not everything could be brought in line",
            ]
        );
    }

    #[test]
    fn a_diff_shows_values_in_effect_and_what_is_done_about_them() {
        let change = |key: &str, old: Option<Value>, new: Option<Value>| DiffChange {
            key: key.into(),
            layer: "api".into(),
            old: None,
            new: new.clone(),
            effective_old: old,
            effective_new: new,
        };
        let diff = Diff {
            changes: vec![
                change("settings.motd", Some(json!("a")), Some(json!("b"))),
                change("settings.x", Some(json!(1)), Some(json!(1))),
                change("settings.y", Some(json!(1)), None),
            ],
            services: vec![DiffService {
                name: "motd".into(),
                keys: vec!["settings.motd".into()],
                restart_commands: vec!["true".into()],
            }],
            files: vec![DiffFile { name: "motd".into(), path: "/etc/motd".into() }],
        };
        assert_eq!(
            diff_lines(&diff, Paint::none()),
            [
                "settings.motd",
                "  - \"a\"",
                "  + \"b\"",
                "settings.x",
                "  - 1",
                "  + 1",
                "  (layer api changes, the value in effect stays)",
                "settings.y",
                "  - 1",
                "  + (not set)",
                "file          /etc/motd",
                "service motd  true",
            ]
        );
        assert_eq!(diff_lines(&Diff::default(), Paint::none()), ["nothing would change"]);
    }
}
