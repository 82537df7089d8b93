//! One line on the console that says how the boot went.

use host::program::chain;
use host::{Command, CommandError, Host};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

/// A boot that takes longer is told about as far as it came.
const LIMIT: Duration = Duration::from_mins(10);
/// `systemctl` answers at once, except when it waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// What is timed: a unit, and what it stands for.
const MILESTONES: [(&str, &str); 3] =
    [("basic.target", "basic system"), ("apiserver.service", "API"), ("configured.target", "configured")];

#[derive(clap::Args)]
pub(crate) struct Args {}

/// A manager of units that does not answer.
#[derive(Debug, Snafu)]
enum AskError {
    #[snafu(display("ask systemctl for {what}"))]
    Run { what: &'static str, source: CommandError },
    #[snafu(display("ask systemctl for {what}: it ended with {status}: {stderr}"))]
    Refused { what: &'static str, status: ExitStatus, stderr: String },
}

pub(crate) fn run(_: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout();
    if !host.is_machine() {
        writeln!(out, "visco: a host in a directory has no units to report")?;
        return Ok(ExitCode::SUCCESS);
    }
    // It ends with a status of its own when units failed, which is asked for below.
    let waited = ask(host, &["is-system-running", "--wait"], LIMIT);
    let failed = answer(
        host,
        "failed units",
        &["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"],
    )?;
    let units: Vec<&str> = MILESTONES.iter().map(|(unit, _)| *unit).collect();
    let show = ["show", "--property=Id,ActiveEnterTimestampMonotonic"];
    let times = answer(host, "times of units", &[&show[..], &units].concat())?;
    writeln!(out, "visco: {}", line(&times, &failed, waited.err().map(|e| chain(&e)).as_deref()))?;
    Ok(ExitCode::SUCCESS)
}

fn answer(host: &Host, what: &'static str, words: &[&str]) -> Result<String, AskError> {
    let output = ask(host, words, ANSWER_LIMIT).context(RunSnafu { what })?;
    ensure!(output.status.success(), RefusedSnafu { what, status: output.status, stderr: output.stderr });
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ask(host: &Host, words: &[&str], timeout: Duration) -> Result<host::Output, CommandError> {
    let argv = ["systemctl"].iter().chain(words).map(ToString::to_string).collect();
    host.run(&Command { argv, env: Vec::new(), stdin: Vec::new(), timeout })
}

/// What the console shows, from what `systemctl` says of times and of failed units.
fn line(times: &str, failed: &str, unfinished: Option<&str>) -> String {
    let times = entered(times);
    let milestones = MILESTONES.map(|(unit, name)| match times.get(unit) {
        Some(time) => format!("{name} after {}.{:03} s", time.as_secs(), time.subsec_millis()),
        None => format!("{name} not reached"),
    });
    let failed: Vec<&str> = failed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let failed = match &failed[..] {
        [] => "no unit failed".to_owned(),
        [unit] => format!("1 unit failed: {unit}"),
        units => format!("{} units failed: {}", units.len(), units.join(", ")),
    };
    let state = unfinished.map_or_else(|| "up".to_owned(), |why| format!("not up yet ({why})"));
    format!("{state}: {}, {failed}", milestones.join(", "))
}

/// When each unit became active, since the kernel started; units that never did are left out.
fn entered(shown: &str) -> BTreeMap<&str, Duration> {
    let blocks = shown.split("\n\n").filter_map(|block| {
        let of = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let micros: u64 = of("ActiveEnterTimestampMonotonic")?.parse().ok()?;
        (micros > 0).then_some((of("Id")?, Duration::from_micros(micros)))
    });
    blocks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: &str = "Id=basic.target\nActiveEnterTimestampMonotonic=5000000\n\n\
                         Id=apiserver.service\nActiveEnterTimestampMonotonic=6123456\n\n\
                         Id=configured.target\nActiveEnterTimestampMonotonic=9000000\n";

    #[test]
    fn the_line_names_milestones_and_failures() {
        for (times, failed, unfinished, expected) in [
            (
                TIMES,
                "",
                None,
                "up: basic system after 5.000 s, API after 6.123 s, configured after 9.000 s, no unit failed",
            ),
            (TIMES, "a.service loaded failed failed A\n", None, {
                "up: basic system after 5.000 s, API after 6.123 s, configured after 9.000 s, 1 unit failed: a.service"
            }),
            (
                "Id=apiserver.service\nActiveEnterTimestampMonotonic=1500000\n\nId=configured.target\n\
                 ActiveEnterTimestampMonotonic=0\n",
                "a.service x\nb.mount y\n",
                Some("late"),
                "not up yet (late): basic system not reached, API after 1.500 s, configured not reached, 2 units failed: a.service, b.mount",
            ),
        ] {
            assert_eq!(line(times, failed, unfinished), expected);
        }
    }
}
