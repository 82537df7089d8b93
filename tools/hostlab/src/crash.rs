//! Killing the server while it commits, again and again.
//!
//! Every round writes one new number under many keys in one transaction, and kills the server (SIGKILL) at a moment
//! drawn from the time a commit takes. After the restart all keys must hold the same number: the last one whose
//! commit was answered, or the one that was under way.

use crate::http::Connection;
use crate::{BootError, Lab, LabError, Random, Running};
use serde_json::Value;
use snafu::{ResultExt, Snafu, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Keys in one commit: enough that a torn one would show.
const KEYS: usize = 20;

/// What to kill, and how often.
#[derive(clap::Args, Clone, Debug)]
pub struct CrashArgs {
    /// Directory of the host
    #[arg(long)]
    pub dir: PathBuf,
    /// Where the built programs are
    #[arg(long, value_name = "DIR")]
    pub programs: PathBuf,
    /// How often to kill
    #[arg(long, default_value_t = 1000)]
    pub kills: u32,
    /// Chooses the moments
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What a run of kills found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// Times the server was killed.
    pub kills: u32,
    /// Rounds whose commit had been answered before the kill.
    pub answered: u32,
    /// Unanswered commits that were there after the restart.
    pub kept: u32,
    /// Unanswered commits of which nothing was there after the restart.
    pub dropped: u32,
}

/// A crash that left what must never be.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum CrashError {
    #[snafu(display("lay out the host"))]
    Lab { source: LabError },
    #[snafu(display("start the server in round {round}"))]
    Boot { round: u32, source: BootError },
    #[snafu(display("talk to the server in round {round}"))]
    Talk { round: u32, source: std::io::Error },
    #[snafu(display("round {round} left a torn commit: the keys hold {values:?}"))]
    Torn { round: u32, values: Vec<String> },
    #[snafu(display("round {round} lost an answered commit: the keys hold {found}, not {expected}"))]
    Lost { round: u32, found: String, expected: String },
}

/// Kills the server of a host again and again while it commits.
pub fn crash(args: &CrashArgs) -> Result<CrashReport, CrashError> {
    let CrashArgs { dir, programs, kills, seed } = args;
    let lab = Lab::prepare(dir, programs, "metal-dev").context(LabSnafu)?;
    let mut random = Random::new(*seed);
    let mut report = CrashReport::default();
    let running = lab.start_fresh(0)?;
    let (usual, mut running) = usual_commit(&lab, running)?;
    let mut last = "0".to_owned();
    for round in 1..=*kills {
        let next = round.to_string();
        let span = u64::try_from(usual.as_nanos()).unwrap_or(u64::MAX).max(1);
        let delay = Duration::from_nanos(random.below(span + span / 2));
        let answered = commit_and_kill(&lab, running, &next, delay).context(TalkSnafu { round })?;
        running = lab.start_server().context(BootSnafu { round })?;
        let values = read(&lab).context(TalkSnafu { round })?;
        let found = values.first().cloned().unwrap_or_default();
        ensure!(values.len() == KEYS && values.iter().all(|v| *v == found), TornSnafu { round, values });
        report.kills += 1;
        match (answered, found == next, found == last) {
            (true, true, _) => report.answered += 1,
            (false, true, _) => report.kept += 1,
            (false, false, true) => report.dropped += 1,
            _ => return LostSnafu { round, found, expected: if answered { next } else { last } }.fail(),
        }
        last = found;
    }
    Ok(report)
}

impl Lab {
    fn start_fresh(&self, round: u32) -> Result<Running, CrashError> {
        let folder = self.host.path("/var/lib/bottlerocket/datastore/current");
        std::fs::create_dir_all(&folder).context(TalkSnafu { round })?;
        self.start_server().context(BootSnafu { round })
    }
}

fn body(number: &str) -> String {
    let members: Vec<String> = (0..KEYS).map(|key| format!("\"crash.key-{key}\":\"{number}\"")).collect();
    format!("{{\"kernel\":{{\"sysctl\":{{{}}}}}}}", members.join(","))
}

/// How long the first commit of a fresh server takes when nobody disturbs it: that is the one that is killed.
fn usual_commit(lab: &Lab, mut running: Running) -> Result<(Duration, Running), CrashError> {
    let round = 0_u32;
    let mut taken = Vec::new();
    for _ in 0..15 {
        let time = time_commit(lab).context(TalkSnafu { round })?;
        taken.push(time);
        running.kill().context(TalkSnafu { round })?;
        running = lab.start_server().context(BootSnafu { round })?;
    }
    taken.sort_unstable();
    Ok((taken[taken.len() / 2], running))
}

fn time_commit(lab: &Lab) -> std::io::Result<Duration> {
    let mut connection = Connection::open(&lab.socket())?;
    connection.succeed("PATCH", "/settings?tx=crash", &body("0"))?;
    let started = Instant::now();
    connection.succeed("POST", "/tx/commit?tx=crash", "")?;
    Ok(started.elapsed())
}

/// Starts a commit, kills the server `delay` later, and tells whether the commit was answered.
fn commit_and_kill(lab: &Lab, running: Running, number: &str, delay: Duration) -> std::io::Result<bool> {
    let mut connection = Connection::open(&lab.socket())?;
    connection.succeed("PATCH", "/settings?tx=crash", &body(number))?;
    let committing =
        std::thread::spawn(move || connection.succeed("POST", "/tx/commit?tx=crash", "").is_ok());
    // Sleeping is too coarse for moments within one commit.
    let started = Instant::now();
    while started.elapsed() < delay {
        std::hint::spin_loop();
    }
    running.kill()?;
    Ok(committing.join().unwrap_or(false))
}

fn read(lab: &Lab) -> std::io::Result<Vec<String>> {
    let answer =
        Connection::open(&lab.socket())?.succeed("GET", "/settings?prefix=settings.kernel.sysctl", "")?;
    let document: Value = serde_json::from_slice(&answer.body)?;
    let members = document["kernel"]["sysctl"].as_object().into_iter().flatten();
    Ok(members
        .filter(|(name, _)| name.starts_with("crash."))
        .map(|(_, value)| value.as_str().unwrap_or_default().to_owned())
        .collect())
}
