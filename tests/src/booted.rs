//! A boot of an image in a virtual machine, judged by what its console says and by its API.

use crate::built::{DiskFile, succeed, text};
use hostlab::vm::{Files, Machine, Seen, VmError, failed_units, trouble};
use partitions::Health;
use partitions::kind::{id, label};
use serde_json::Value;
use std::fs::File;
use std::time::Duration;
use wire::{Job, JobState, routes};

/// Longest boot, on a machine that is emulated and shares its processors.
pub const BOOT_LIMIT: Duration = Duration::from_mins(10);
/// Longest end of a system, by its own doing.
pub const END_LIMIT: Duration = Duration::from_mins(3);
/// How the line begins that a host writes when its boot is over.
pub(crate) const REPORT: &str = "visco: up: ";
/// The same where the boot did not come to its end.
const NO_END: &str = "visco: not up yet";
/// What the first line of a kernel says.
pub(crate) const KERNEL: &str = "Linux version ";
/// How many lines of the console a failure shows.
const SHOWN_LINES: usize = 60;
/// A boot that came to its end.
#[derive(Debug)]
pub struct Booted {
    /// The machine.
    pub machine: Machine,
    /// What is tested with it.
    pub what: &'static str,
}

/// The disk of a machine that is off, found sound by tools that are not ours.
pub fn sound_disk(files: &Files) -> DiskFile {
    let disk = DiskFile::open(files.disk());
    assert!(succeed("sgdisk", &["-v", text(&disk.path)]).contains("No problems found"));
    let reading = partitions::read(&mut File::open(&disk.path).unwrap()).unwrap();
    assert_eq!([&reading.primary, &reading.backup], [&Health::Good, &Health::Good]);
    for ext4 in [disk.place(label::PRIVATE), disk.place_of_id(id::DATA_PREFERRED)] {
        succeed("e2fsck", &["-fn", &ext4]);
    }
    disk
}

impl Booted {
    /// Waits for the end of a boot whose console begins at line `place` and which takes no more than so many resets.
    pub fn after(machine: Machine, what: &'static str, place: usize, resets: u64) -> Self {
        let begun = machine.record().now();
        let question = |seen: &Seen| {
            let lines = || seen.console.from(place).map(|line| line.text.as_str());
            let bad = lines().find(|line| line.contains(NO_END) || trouble(line).is_some());
            if let Some(line) = bad.map(str::to_owned) {
                return Some(Err(line));
            }
            if seen.resets > resets {
                return Some(Err("the machine was reset".to_owned()));
            }
            // It is whole only when it has ended.
            let ended = seen.console.lines().iter().skip(place).map(|line| line.text.as_str());
            let mut reports = ended.filter(|line| line.contains(REPORT));
            reports.next().map(|line| Ok(line.to_owned()))
        };
        let report = match machine.wait_until("the report of the boot", BOOT_LIMIT, question) {
            Ok(Ok(line)) => line,
            Ok(Err(line)) => panic!("the boot went wrong: {line}\n{}", shown(&machine)),
            Err(error) => failed(&machine, &error),
        };
        let taken = machine.record().now().saturating_sub(begun).as_secs_f64();
        let (api, configured) = times(&report).unwrap_or_else(|| panic!("the report has no times: {report}"));
        eprintln!(
            "figure: {what}: API after {api:.1} s, configured after {configured:.1} s of the guest; {taken:.1} s of \
             the clock from its start to the report"
        );
        assert!(0.0 < api && api <= configured, "{report}");
        let failed = machine.record().look(|seen| {
            let lines = &seen.console.lines()[place..];
            failed_units(lines).into_iter().map(str::to_owned).collect::<Vec<_>>()
        });
        assert!(report.contains(", no unit failed"), "{report}\n{failed:?}\n{}", shown(&machine));
        assert_eq!(failed, Vec::<String>::new(), "{}", shown(&machine));
        machine.wait_for_api(END_LIMIT).unwrap();
        Self { machine, what }
    }

    /// As [`Booted::after`], of the boot that begins with the kernel of this number.
    ///
    /// QEMU tells some restarts twice, so kernels are counted, not resets.
    pub fn after_kernel(machine: Machine, what: &'static str, number: usize) -> Self {
        let begun = machine.wait_until("the kernel to start", BOOT_LIMIT, |seen| {
            let lines = seen.console.lines().iter().enumerate();
            let mut kernels = lines.filter(|(_, line)| line.text.contains(KERNEL));
            kernels.nth(number - 1).map(|(place, _)| (place, seen.resets))
        });
        let (place, resets) = begun.unwrap_or_else(|e| failed(&machine, &e));
        Self::after(machine, what, place, resets)
    }

    /// Restarts the host by its API.
    #[must_use]
    pub fn reboot(self) -> Self {
        let Self { machine, what } = self;
        let kernels = kernels(&machine);
        match machine.request("POST", routes::REBOOT, "") {
            // A host that goes down at once takes its answer along; the next kernel tells whether it went.
            Ok(_) | Err(VmError::Request { .. }) => {}
            Err(error) => failed(&machine, &error),
        }
        Self::after_kernel(machine, what, kernels + 1)
    }

    /// The document at a path of the API.
    pub fn get(&self, uri: &str) -> Value {
        let answer = self.machine.request("GET", uri, "").unwrap_or_else(|e| failed(&self.machine, &e));
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{uri} is no JSON: {e}"))
    }

    /// A setting, by the path below `settings`.
    pub fn setting(&self, key: &str) -> Value {
        let document = self.get(&format!("{}?keys=settings.{key}", routes::SETTINGS));
        key.split('.').fold(document, |value, name| value[name].clone())
    }

    /// Sets settings, and waits until they are applied.
    pub fn set(&self, document: &Value) {
        let query = "tx=test";
        let request = |method, uri: String, body: String| {
            self.machine.request(method, &uri, &body).unwrap_or_else(|e| failed(&self.machine, &e))
        };
        request("PATCH", format!("{}?{query}", routes::SETTINGS), document.to_string());
        let answer = request("POST", format!("{}?{query}", routes::TX_COMMIT_AND_APPLY), String::new());
        let job =
            answer.head.lines().find_map(|line| line.strip_prefix(routes::JOB_HEADER)?.strip_prefix(": "));
        let job = format!("{}/{}?wait=30", routes::JOBS, job.expect("a job applies the settings"));
        loop {
            let job: Job = serde_json::from_value(self.get(&job)).expect("a job is told as it is documented");
            if job.state.is_final() {
                assert_eq!(job.state, JobState::Succeeded, "{job:?}");
                break;
            }
        }
    }

    /// The lines of the console with these words.
    pub fn lines(&self, words: &str) -> Vec<String> {
        self.machine.record().look(|seen| {
            let lines = seen.console.lines().iter().filter(|line| line.text.contains(words));
            lines.map(|line| line.text.clone()).collect()
        })
    }
}

/// Ends a test that cannot go on, with the end of the console.
pub fn failed(machine: &Machine, error: &VmError) -> ! {
    panic!("{}\n{}", host::program::chain(error), shown(machine))
}

/// The last lines of the console; the whole of it is kept where the folder of the machine is not.
fn shown(machine: &Machine) -> String {
    let kept = std::env::temp_dir().join("visco-console.log");
    std::fs::copy(machine.files().console_log(), &kept).unwrap();
    format!("{}\n(the whole console: {})", machine.tail(SHOWN_LINES), kept.display())
}

/// How many kernels have started since power-on.
pub fn kernels(machine: &Machine) -> usize {
    let count = |seen: &Seen| seen.console.lines().iter().filter(|line| line.text.contains(KERNEL)).count();
    machine.record().look(count)
}

/// When the API answered and when the host was configured, of the report of a boot.
fn times(report: &str) -> Option<(f64, f64)> {
    let after = |name: &str| {
        let (_, rest) = report.split_once(&format!("{name} after "))?;
        rest.split_once(" s")?.0.parse().ok()
    };
    Some((after("API")?, after("configured")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_a_boot_is_understood() {
        let report =
            "[   30.1] bootstrap[400]: visco: up: API after 6.123 s, configured after 9.3 s, no unit failed";
        assert_eq!(times(report), Some((6.123, 9.3)));
        assert_eq!(times("visco: up: API after 6.123 s, configured not reached, no unit failed"), None);
    }
}
