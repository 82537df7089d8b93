//! Running generators.

use crate::Task;
use host::{Command, CommandError, Host};
use serde_json::Value;
use settings::Key;
use snafu::{ResultExt, Snafu};
use std::error::Error as StdError;
use std::io::ErrorKind;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Exit status by which a generator declines.
const DECLINED: i32 = 2;
/// How many generators wait for something at the same time.
const MAX_WAITING: usize = 16;
/// How much of a generator's words is repeated in a report, from their end.
const MAX_WORDS: usize = 400;

/// How generators are run.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long each may take.
    pub deadline: Duration,
    /// Variables added to the environment of foreign ones.
    pub env: Vec<(String, String)>,
}

/// What became of a generator.
#[derive(Debug)]
pub enum Outcome {
    /// It made a value.
    Made(Value),
    /// It leaves the setting unset, for this reason.
    Declined(String),
    /// It failed.
    Failed(GeneratorError),
}

/// One generator that ran.
#[derive(Debug)]
pub struct Report {
    /// The key.
    pub key: Key,
    /// The command line.
    pub command: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What this process makes of a command line.
pub enum Builtin {
    /// Made already, without waiting for anything.
    Done(Outcome),
    /// To be made by a function that may wait.
    Waits(Box<dyn FnOnce() -> Outcome + Send>),
    /// Not built in: a program is to be run.
    Foreign,
}

/// A generator that gave nothing usable.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub))]
#[allow(missing_docs)]
pub enum GeneratorError {
    #[snafu(display("split the command line '{command}'"))]
    Split { command: String, source: shell_words::ParseError },
    #[snafu(display("this host has no program '{program}'"))]
    NoProgram { program: String },
    #[snafu(display("run the generator"))]
    Run { source: CommandError },
    #[snafu(display("it took longer than {} s", deadline.as_secs_f64()))]
    TooLong { deadline: Duration },
    #[snafu(display("it ended with {status}{}", quoted(words)))]
    Failed { status: ExitStatus, words: String },
    #[snafu(display("it did not print one JSON value"))]
    Output { source: serde_json::Error },
    #[snafu(display("make the value"))]
    Builtin { source: Box<dyn StdError + Send + Sync> },
    #[snafu(display("the value it made is refused: {why}"))]
    Refused { why: String },
}

impl Outcome {
    /// A failure of a built-in generator.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(GeneratorError::Builtin { source: source.into() })
    }
}

/// Runs all tasks; results are in their order. Those that wait for something do so at the same time.
pub fn run(
    host: &Host,
    tasks: &[Task],
    limits: &Limits,
    builtin: impl Fn(&[String]) -> Builtin,
) -> Vec<Report> {
    let mut reports: Vec<Option<Report>> = Vec::new();
    let mut waiting: Vec<(usize, Wait)> = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        let started = Instant::now();
        let done = match shell_words::split(&task.command).context(SplitSnafu { command: &task.command }) {
            Err(error) => Some(Outcome::Failed(error)),
            Ok(argv) => match builtin(&argv) {
                Builtin::Done(outcome) => Some(outcome),
                Builtin::Waits(work) => {
                    waiting.push((index, Wait::Function(work)));
                    None
                }
                Builtin::Foreign => {
                    waiting.push((index, Wait::Program(argv)));
                    None
                }
            },
        };
        reports.push(done.map(|outcome| task.report(outcome, started)));
    }
    for (index, report) in wait_for_all(host, tasks, limits, waiting) {
        reports[index] = Some(report);
    }
    reports.into_iter().map(|report| report.expect("every task was done at once or waited for")).collect()
}

enum Wait {
    Function(Box<dyn FnOnce() -> Outcome + Send>),
    Program(Vec<String>),
}

fn wait_for_all(
    host: &Host,
    tasks: &[Task],
    limits: &Limits,
    waiting: Vec<(usize, Wait)>,
) -> Vec<(usize, Report)> {
    let workers = waiting.len().min(MAX_WAITING);
    let next = AtomicUsize::new(0);
    let waiting: Vec<_> =
        waiting.into_iter().map(|(i, wait)| (i, std::sync::Mutex::new(Some(wait)))).collect();
    let work = || {
        let mut reports = Vec::new();
        while let Some((index, slot)) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
            let wait = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let started = Instant::now();
            let outcome = match wait.expect("each index is handed out once") {
                Wait::Function(work) => call(work, limits.deadline),
                Wait::Program(argv) => run_program(host, argv, limits),
            };
            reports.push((*index, tasks[*index].report(outcome, started)));
        }
        reports
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|t| t.join().expect("a generator thread does not panic")).collect()
    })
}

/// Calls a function that may wait, for no longer than the deadline. A function cannot be stopped from outside:
/// one that is late is left behind, and ends with the process.
fn call(work: Box<dyn FnOnce() -> Outcome + Send>, deadline: Duration) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    // Nobody may be waiting any more when the value comes.
    std::thread::spawn(move || drop(sender.send(work())));
    receiver.recv_timeout(deadline).unwrap_or_else(|_| Outcome::Failed(TooLongSnafu { deadline }.build()))
}

fn run_program(host: &Host, argv: Vec<String>, limits: &Limits) -> Outcome {
    let mut command = Command::new(argv);
    command.timeout = limits.deadline;
    command.env.clone_from(&limits.env);
    let output = match host.run(&command) {
        Ok(output) => output,
        Err(CommandError::Start { program, source }) if source.kind() == ErrorKind::NotFound => {
            // An image without a program that its own table names is at fault; a directory just has fewer programs.
            return if host.is_machine() {
                Outcome::Failed(NoProgramSnafu { program }.build())
            } else {
                Outcome::Declined(format!("this directory has no program '{program}'"))
            };
        }
        Err(CommandError::TimedOut { timeout, .. }) => {
            return Outcome::Failed(TooLongSnafu { deadline: timeout }.build());
        }
        Err(source) => return Outcome::Failed(GeneratorError::Run { source }),
    };
    match output.status.code() {
        Some(0) => match serde_json::from_slice(&output.stdout) {
            Ok(value) => Outcome::Made(value),
            Err(source) => Outcome::Failed(GeneratorError::Output { source }),
        },
        Some(DECLINED) => Outcome::Declined(tail(&output.stderr)),
        _ => Outcome::Failed(FailedSnafu { status: output.status, words: tail(&output.stderr) }.build()),
    }
}

/// The end of what a program said, on one line.
fn tail(text: &str) -> String {
    let text = text.trim();
    let start = text.ceil_char_boundary(text.len().saturating_sub(MAX_WORDS));
    text[start..].lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

fn quoted(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

impl Task {
    fn report(&self, outcome: Outcome, started: Instant) -> Report {
        Report { key: self.key.clone(), command: self.command.clone(), outcome, took: started.elapsed() }
    }
}

impl Report {
    /// What a person can do about a failure.
    pub fn remedy(&self) -> String {
        match &self.outcome {
            Outcome::Failed(GeneratorError::Split { .. }) => {
                format!("set {} in user data; the image is faulty", self.key)
            }
            _ => format!("set {} in user data", self.key),
        }
    }
}
