//! The scenarios, in the order of SPECIFICATION.md.

use crate::load::repeat;
use crate::{Outcome, check_update, deltas, installs, migrations, reference};
use hostlab::http::Connection;
use hostlab::{Lab, PROGRAMS, Running};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::subscriber::NoSubscriber;

const VARIANT: &str = "aws-k8s-1.28";

/// A measuring run.
#[derive(Debug)]
pub struct Suite {
    lab: Lab,
    programs: PathBuf,
    references: PathBuf,
    time: Duration,
}

/// One measured promise: `value` must not be above `bound`.
struct Row {
    scenario: &'static str,
    value: f64,
    bound: f64,
    unit: &'static str,
    detail: String,
}

/// Rows as they are measured; whoever waits sees them come.
struct Table<'a> {
    out: &'a mut dyn Write,
    kept: bool,
}

impl<'a> Table<'a> {
    fn begin(out: &'a mut dyn Write) -> std::io::Result<Self> {
        let [scenario, value, bound, unit, word] = ["scenario", "measured", "bound", "unit", "kept"];
        writeln!(out, "{scenario:<28} {value:>10} {bound:>10} {unit:<5} {word:<5} detail")?;
        Ok(Self { out, kept: true })
    }

    fn push(&mut self, row: Row) -> std::io::Result<()> {
        let holds = row.value <= row.bound;
        self.kept &= holds;
        let Row { scenario, value, bound, unit, detail } = row;
        let word = if holds { "yes" } else { "NO" };
        writeln!(self.out, "{scenario:<28} {value:>10.3} {bound:>10.3} {unit:<5} {word:<5} {detail}")
    }

    fn note(&mut self, text: &str) -> std::io::Result<()> {
        writeln!(self.out, "{text}")
    }
}

impl Suite {
    /// Lays out a fresh host below `scratch`.
    pub fn new(programs: &Path, scratch: &Path, time: Duration) -> Outcome<Self> {
        let dir = scratch.join("bench-host");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        let lab = Lab::prepare(&dir, programs, VARIANT)?;
        lab.give_user_data(user_data(100).as_bytes())?;
        let references = scratch.join("bench-references");
        std::fs::create_dir_all(&references)?;
        Ok(Self { lab, programs: programs.to_owned(), references, time })
    }

    /// Measures everything; tells whether every promise was kept.
    ///
    /// `image` is the folder of a built image; without one its boots are left out.
    pub fn run(&self, image: Option<&Path>, out: &mut impl Write) -> Outcome<bool> {
        // What runs in this process tells nobody what it does: the table is what is read.
        tracing::subscriber::with_default(NoSubscriber::default(), || self.measure(image, out))
    }

    fn measure(&self, image: Option<&Path>, out: &mut impl Write) -> Outcome<bool> {
        let mut rows = Table::begin(out)?;
        let running = self.boot_chain(&mut rows)?;
        self.memory(&running, &mut rows)?;
        self.reads(&mut rows)?;
        self.commits(&mut rows)?;
        self.client(&mut rows)?;
        self.check_update(&mut rows)?;
        self.migrations(&mut rows)?;
        self.sizes(&mut rows)?;
        self.updates(&mut rows)?;
        self.waves(&mut rows)?;
        match image {
            Some(image) => {
                self.deltas(image, &mut rows)?;
                self.boots(image, &mut rows)?;
            }
            None => rows.note(
                "no image is built: what is fetched of one, and its boots, are left out; ./make builds one",
            )?,
        }
        Ok(rows.kept)
    }

    /// A fleet of the largest size, through the policy that is the default.
    fn waves(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let hosts = "10000000";
        let started = Instant::now();
        let mut command = std::process::Command::new(self.programs.join("pubsys"));
        let output = command.args(["waves", "simulate", "--hosts", hosts]).output()?;
        let value = started.elapsed().as_secs_f64();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let detail = format!("pubsys waves simulate --hosts {hosts}");
        rows.push(Row { scenario: "waves-simulate", value, bound: 10.0, unit: "s", detail })?;
        Ok(())
    }

    /// What an update fetches, beside the whole release in its full form.
    fn deltas(&self, image: &Path, rows: &mut Table<'_>) -> Outcome<()> {
        let folder = self.references.join("deltas");
        let release = deltas::Release::read(image, &folder)?;
        let full = release.full;
        for (change, bound) in deltas::CHANGES.iter().zip([0.025, 0.07, 0.25, 0.3, 0.95]) {
            let fetched = release.update(change)?;
            let share = |bytes: u64| mib(bytes) / mib(full);
            let detail = format!(
                "{}: {:.1} MiB of {:.1}; casync {:.1}, {:.2} x",
                change.what,
                mib(fetched.by_blocks),
                mib(full),
                mib(fetched.casync),
                share(fetched.casync),
            );
            let value = share(fetched.by_blocks);
            rows.push(Row { scenario: change.scenario, value, bound, unit: "x", detail })?;
        }
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }

    /// Boots of a built image, in a virtual machine.
    fn boots(&self, image: &Path, rows: &mut Table<'_>) -> Outcome<()> {
        let boot = crate::boot::measure(image, &self.references.join("boot"))?;
        let bare = boot.bare.as_secs_f64();
        for (scenario, time, bound) in
            [("boot-until-api", boot.api, 2.0), ("boot-until-configured", boot.configured, 2.5)]
        {
            let time = time.as_secs_f64();
            let detail = format!("{time:.1} s of the guest's clock; kernel and systemd alone {bare:.1} s");
            rows.push(Row { scenario, value: time / bare, bound, unit: "x", detail })?;
        }
        Ok(())
    }

    fn boot_chain(&self, rows: &mut Table<'_>) -> Outcome<Running> {
        let before = children_cpu()?;
        let mut starts = 0_i32;
        let running = self.lab.boot(|step| {
            starts += 1;
            if !step.succeeded() {
                eprintln!("{} failed", step.step.program);
            }
        })?;
        let steps = children_cpu()?.saturating_sub(before);
        let total = steps + process_cpu(running.pid())?;
        let detail = format!("{starts} programs, {VARIANT} with a 100-key user data");
        rows.push(Row { scenario: "boot-chain-cpu", value: ms(total), bound: 60.0, unit: "ms", detail })?;
        let detail = "programs started by the boot chain".to_owned();
        rows.push(Row {
            scenario: "boot-chain-starts",
            value: f64::from(starts),
            bound: 8.0,
            unit: "",
            detail,
        })?;
        Ok(running)
    }

    fn get(&self, clients: usize) -> Outcome<crate::load::Latencies> {
        let get = |connection: &mut Connection, _| connection.succeed("GET", "/settings", "").map(drop);
        Ok(repeat(&self.lab.socket(), clients, self.time, get)?)
    }

    fn reads(&self, rows: &mut Table<'_>) -> Outcome<()> {
        self.fill(300)?;
        let body = Connection::open(&self.lab.socket())?.succeed("GET", "/settings", "")?.body.len();
        let floor = reference::canned_answer(&self.references, body, self.time)?;
        let small = self.get(1)?;
        let detail = format!(
            "p50 {:.1} us, {:.0}/s with 300 keys; canned answer of {body} bytes {:.1} us",
            us(small.median()),
            small.rate(),
            us(floor.median())
        );
        let ratio = small.median().as_secs_f64() / floor.median().as_secs_f64();
        rows.push(Row { scenario: "get-settings", value: ratio, bound: 5.3, unit: "x", detail })?;
        let crowd = self.get(16)?;
        let detail = format!("p99 of 16 clients; p50 {:.0} us", us(crowd.median()));
        let value = ms(crowd.quantile(0.99));
        rows.push(Row { scenario: "get-settings-16-clients", value, bound: 2.0, unit: "ms", detail })?;
        self.fill(1300)?;
        let large = self.get(1)?;
        let ratio = large.median().as_secs_f64() / small.median().as_secs_f64();
        let detail = format!("p50 {:.1} us with 1,300 keys, beside 300 keys", us(large.median()));
        rows.push(Row { scenario: "get-settings-1300-keys", value: ratio, bound: 4.0, unit: "x", detail })?;
        self.long_history()?;
        let late = self.get(1)?;
        let ratio = late.median().as_secs_f64() / large.median().as_secs_f64();
        let detail = "after 10,000 commits and with 1,000 open transactions, beside before".to_owned();
        rows.push(Row {
            scenario: "get-settings-long-history",
            value: ratio,
            bound: 1.25,
            unit: "x",
            detail,
        })?;
        Ok(())
    }

    /// Brings the host to `keys` settings or more.
    fn fill(&self, keys: usize) -> Outcome<()> {
        let mut connection = Connection::open(&self.lab.socket())?;
        connection.succeed("PATCH", "/settings?tx=fill", &sysctls(keys, "filled"))?;
        connection.succeed("POST", "/tx/commit?tx=fill", "")?;
        Ok(())
    }

    fn long_history(&self) -> Outcome<()> {
        let mut connection = Connection::open(&self.lab.socket())?;
        for count in 0..10_000 {
            connection.succeed("PATCH", "/settings?tx=many", &sysctls(1, &count.to_string()))?;
            connection.succeed("POST", "/tx/commit?tx=many", "")?;
        }
        for count in 0..1000 {
            connection.succeed("PATCH", &format!("/settings?tx=open-{count}"), &sysctls(1, "open"))?;
        }
        Ok(())
    }

    fn commits(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let floor = reference::canned_answer(&self.references, 64, self.time)?.median();
        let bare = reference::sqlite_transaction(&self.references, 1, self.time)?;
        let commit = |keys: usize| {
            repeat(&self.lab.socket(), 1, self.time, move |connection, count| {
                connection.succeed("PATCH", "/settings?tx=bench", &sysctls(keys, &count.to_string()))?;
                connection.succeed("POST", "/tx/commit?tx=bench", "").map(drop)
            })
        };
        let one = commit(1)?.median();
        // Two requests are two times the floor of the socket.
        let ratio = (one.saturating_sub(2 * floor)).as_secs_f64() / bare.as_secs_f64();
        let detail = format!(
            "PATCH + commit {:.0} us, less twice the socket's floor of {:.1} us; bare SQLite transaction {:.0} us",
            us(one),
            us(floor),
            us(bare)
        );
        rows.push(Row { scenario: "commit-1-key", value: ratio, bound: 3.5, unit: "x", detail })?;
        let hundred = commit(100)?.median();
        let bare = reference::sqlite_transaction(&self.references, 100, self.time)?;
        let ratio = hundred.as_secs_f64() / bare.as_secs_f64();
        let detail = format!("PATCH + commit {:.2} ms; bare SQLite {:.2} ms", ms(hundred), ms(bare));
        rows.push(Row { scenario: "commit-100-keys", value: ratio, bound: 6.0, unit: "x", detail })?;
        Ok(())
    }

    fn client(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let start = reference::process_start()?;
        let mut taken = Vec::new();
        for count in 0..40 {
            let started = Instant::now();
            let mut command = std::process::Command::new(self.lab.host.path("/usr/bin/apiclient"));
            command.env(host::program::ROOT_VARIABLE, self.lab.host.root());
            let output = command.args(["set", &format!("motd=round {count}")]).output()?;
            taken.push(started.elapsed());
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
        }
        taken.sort_unstable();
        let median = taken[taken.len() / 2];
        let ratio = median.as_secs_f64() / start.as_secs_f64();
        let detail = format!(
            "apiclient set until applied {:.1} ms; starting a program {:.2} ms",
            ms(median),
            ms(start)
        );
        rows.push(Row { scenario: "set-until-applied", value: ratio, bound: 24.0, unit: "x", detail })?;
        Ok(())
    }

    /// With a repository in a folder, so that what is measured is the program and not the network.
    fn check_update(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let updates = 200;
        let median =
            check_update::check(&self.programs.join("updater"), &self.references.join("updates"), updates)?;
        let detail = format!("updog check-update, a repository in a folder with {updates} updates");
        rows.push(Row { scenario: "check-update", value: ms(median), bound: 30.0, unit: "ms", detail })?;
        Ok(())
    }

    fn migrations(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let measured = migrations::measure(&self.references)?;
        let ratio = measured.migration.as_secs_f64() / measured.copies.as_secs_f64();
        let detail = format!(
            "{:.1} ms from a signed copy of a repository, on {} keys; as many bare synced copies of the store {:.1} ms",
            ms(measured.migration),
            migrations::KEYS,
            ms(measured.copies)
        );
        rows.push(Row { scenario: "migrations-50", value: ratio, bound: 1.0, unit: "x", detail })?;
        Ok(())
    }

    fn memory(&self, running: &Running, rows: &mut Table<'_>) -> Outcome<()> {
        let mut connection = Connection::open(&self.lab.socket())?;
        for _ in 0..100_000 {
            connection.succeed("GET", "/settings", "")?;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        let detail =
            format!("resident memory of the server after 100,000 requests for all settings of {VARIANT}");
        rows.push(Row { scenario: "server-memory", value: kib / 1024.0, bound: 9.0, unit: "MiB", detail })?;
        Ok(())
    }

    fn sizes(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let mut total = 0;
        let mut detail = String::new();
        for (program, _) in PROGRAMS {
            let bytes = std::fs::metadata(self.programs.join(program))?.len();
            total += bytes;
            write!(detail, "{program} {:.1}  ", mib(bytes))?;
        }
        rows.push(Row { scenario: "program-size", value: mib(total), bound: 28.0, unit: "MiB", detail })?;
        Ok(())
    }

    fn updates(&self, rows: &mut Table<'_>) -> Outcome<()> {
        let folder = self.references.join("update");
        let times = installs::times(&folder)?;
        let detail = format!(
            "256 MiB, nine tenths of it from the running set, {:.0} ms; copying, flushing and hashing as much {:.0} ms",
            ms(times.by_blocks),
            ms(times.copy_and_hash)
        );
        let value = times.by_blocks.as_secs_f64() / times.copy_and_hash.as_secs_f64();
        rows.push(Row { scenario: "install-by-blocks", value, bound: 8.0, unit: "x", detail })?;
        let detail = format!(
            "the same as a full image {:.0} ms; decompressing it {:.0} ms",
            ms(times.full),
            ms(times.decompress)
        );
        let value = times.full.as_secs_f64() / (times.copy_and_hash + times.decompress).as_secs_f64();
        rows.push(Row { scenario: "install-full", value, bound: 3.5, unit: "x", detail })?;
        let value = mib(installs::memory(&folder)?);
        let detail = "most resident memory while a root of 1840 MiB is installed by blocks".to_owned();
        rows.push(Row { scenario: "install-memory", value, bound: 64.0, unit: "MiB", detail })?;
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }
}

fn sysctls(keys: usize, value: &str) -> String {
    let members: Vec<String> = (0..keys).map(|key| format!("\"bench.key-{key:05}\":\"{value}\"")).collect();
    format!("{{\"kernel\":{{\"sysctl\":{{{}}}}}}}", members.join(","))
}

fn user_data(keys: usize) -> String {
    let mut text = "[settings]\nmotd = \"bench\"\n[settings.kernel.sysctl]\n".to_owned();
    for key in 0..keys {
        writeln!(text, "\"bench.user-{key:05}\" = \"1\"").expect("writing to a String does not fail");
    }
    text
}

/// Processor time of all children that have ended.
fn children_cpu() -> Outcome<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let total = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(total.num_microseconds().cast_unsigned()))
}

/// Processor time of all threads of a process, from the scheduler.
fn process_cpu(pid: u32) -> Outcome<Duration> {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
