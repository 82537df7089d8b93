//! One machine that is killed again and again, each time while an update does something else.

use crate::booted::{BOOT_LIMIT, Booted, KERNEL, REPORT, failed, kernels};
use crate::built::{DiskFile, succeed, text};
use crate::updates::{
    KEPT, MOTD, UpdateLab, boot_state, client, last_update, set_boot_state, switch_off, tool, version, wait,
};
use hostlab::Random;
use hostlab::vm::{Machine, Seen, Spec, VmError};
use partitions::kind::label;
use serde_json::{Value, json};
use signpost::{BootState, Command, SetName};
use std::process::Stdio;
use std::time::{Duration, Instant};
use wire::routes;

/// What the tests print of it.
const WHAT: &str = "killed";
/// How often a host is asked how far it is.
const PAUSE: Duration = Duration::from_millis(200);
/// How far an installation is when the root is written, and when it has been read back, in thousandths.
const ROOT_WRITTEN: u64 = 700;
const READ_BACK: u64 = 950;

/// What an update does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It fetches the next version and writes it to the other set.
    Install,
    /// It lets the other set boot next, and the host goes down.
    Switch,
    /// The next version boots for the first time.
    FirstBoot,
}

impl Phase {
    /// Each of them once at least. An installation that was cut is gone on with, which is cut, too.
    pub const ALL: [Self; 4] = [Self::Install, Self::Install, Self::Switch, Self::FirstBoot];
}

/// A machine, and the disk that all of its lives have in common.
#[derive(Debug)]
pub struct Chain<'a> {
    lab: &'a UpdateLab,
    spec: Spec,
    random: Random,
    /// None only while it is off.
    booted: Option<Booted>,
    /// How long it takes to boot here, by which moments are chosen.
    usual_boot: Duration,
    kills: u32,
    begun: Instant,
}

impl<'a> Chain<'a> {
    /// A machine that runs the first version.
    pub fn begin(lab: &'a UpdateLab, random: Random) -> Self {
        let spec = lab.spec(WHAT, Some(lab.prepared()));
        let begun = Instant::now();
        let booted = Booted::after(Machine::start(&spec).unwrap(), WHAT, 0, 0);
        let usual_boot = begun.elapsed();
        Self { lab, spec, random, booted: Some(booted), usual_boot, kills: 0, begun }
    }

    /// Orders an update, kills the machine at a moment of a phase of it, and finds the host up again.
    pub fn kill(&mut self, phase: Phase) {
        let booted = self.running_first(phase);
        let kernels_before = kernels(&booted.machine);
        order(&booted);
        let at = match phase {
            Phase::Install => self.wait_in_install(&booted),
            Phase::Switch => self.wait_in_switch(&booted, kernels_before),
            Phase::FirstBoot => self.wait_in_first_boot(&booted, kernels_before),
        };
        booted.machine.power_cut();

        let state = boot_state(&DiskFile::open(self.spec.dir.join("disk.img")));
        let set = state.next().unwrap_or_else(|| panic!("no set boots: {state:?}"));
        match phase {
            Phase::Install => assert_eq!(set, SetName::A, "nothing was activated yet: {state:?}"),
            // What was being done decides.
            Phase::Switch => {}
            Phase::FirstBoot => assert_eq!(set, SetName::B, "it has tries left: {state:?}"),
        }
        self.kills += 1;
        eprintln!("figure: kill {} in {phase:?}, {at}: set {set} boots", self.kills);
        self.boot(set);
    }

    /// Lets an update through, whatever was cut, and switches the machine off.
    pub fn end(mut self) {
        let booted = self.booted.take().expect("it runs");
        if version(&booted) == self.lab.first.said("version") {
            let before = kernels(&booted.machine);
            client(&booted, &["update", "apply", "--check", "--reboot"]);
            let Booted { machine, what } = booted;
            self.booted = Some(Booted::after_kernel(machine, what, before + 1));
        } else {
            self.booted = Some(booted);
        }
        let booted = self.found(SetName::B);
        eprintln!("figure: {} kills in {:.0} s", self.kills, self.begun.elapsed().as_secs_f64());
        switch_off(booted);
    }

    /// Boots the machine, whose table says that this set is next.
    fn boot(&mut self, set: SetName) {
        let machine = Machine::start(&self.spec).unwrap();
        self.booted = Some(Booted::after_kernel(machine, WHAT, 1));
        self.booted = Some(self.found(set));
    }

    /// The machine that runs, found to run this set with the settings that belong to it.
    fn found(&mut self, set: SetName) -> Booted {
        let booted = self.booted.take().expect("it runs");
        let (image, text) = match set {
            SetName::A => (&self.lab.first, MOTD[0]),
            SetName::B => (&self.lab.next, MOTD[1]),
        };
        assert_eq!(version(&booted), image.said("version"));
        assert_eq!(booted.setting("motd"), text);
        assert_eq!(booted.setting("ntp.time-servers"), json!([KEPT]));
        if set == SetName::B {
            let known = last_update(&booted);
            assert_eq!(known["last_update"]["result"], "succeeded", "{known}");
        }
        booted
    }

    /// The machine with the first version. Where it runs the next one, it goes back as `signpost rollback-to-inactive`
    /// would have it; what is to be installed again is not there any more then.
    fn running_first(&mut self, phase: Phase) -> Booted {
        let booted = self.booted.take().expect("it runs");
        if version(&booted) == self.lab.first.said("version") {
            return booted;
        }
        let disk = switch_off(booted);
        let after = |state: BootState, command| {
            let started = state.started().expect("a set boots");
            started.apply(command).unwrap_or_else(|e| panic!("{command}: {e}"))
        };
        set_boot_state(&disk, |state| after(state, Command::RollbackToInactive));
        if phase == Phase::Install {
            set_boot_state(&disk, |state| after(state, Command::ClearInactive));
            let root = disk.range(label::ROOT_B);
            let (offset, length) = (root.start.to_string(), (root.end - root.start).to_string());
            let hole = ["--punch-hole", "--offset", &offset, "--length", &length, text(&disk.path)];
            succeed("fallocate", &hole);
        }
        self.boot(SetName::A);
        self.booted.take().expect("it runs")
    }

    /// Waits until an installation is so far as chance has it.
    fn wait_in_install(&mut self, booted: &Booted) -> String {
        let share = self.random.below(READ_BACK);
        let begun = Instant::now();
        while begun.elapsed() < BOOT_LIMIT {
            let known = status_if_any(booted).unwrap_or_default();
            let progress = &known["progress"];
            if let Some(place) = place(progress).filter(|place| *place >= share) {
                return format!("{place} thousandths through it ({})", progress["phase"]);
            }
            let state = &known["update_state"];
            assert!(
                state != "Staged" && state != "Ready",
                "the installation was over before {share}: {known}"
            );
            wait(PAUSE);
        }
        panic!("no installation came to {share} thousandths\n{}", booted.machine.tail(40))
    }

    /// Waits until what was installed is being activated or the host goes down for it.
    fn wait_in_switch(&mut self, booted: &Booted, kernels_before: usize) -> String {
        let begun = Instant::now();
        loop {
            let known = status_if_any(booted).unwrap_or_default();
            if known["update_state"] == "Ready"
                || (known["update_state"] == "Staged" && known["progress"]["command"] != "prepare")
            {
                break;
            }
            assert!(
                begun.elapsed() < BOOT_LIMIT,
                "nothing is activated: {known}\n{}",
                booted.machine.tail(40)
            );
            assert_eq!(kernels(&booted.machine), kernels_before, "the host went down unseen");
            wait(PAUSE);
        }
        // It goes down in less than half the time that it takes to come up.
        let moment = self.moment(self.usual_boot / 2);
        let ended =
            until(booted, "the next kernel", moment, |seen| kernel_lines(seen).count() > kernels_before);
        after(moment, ended, "it was installed", "the next kernel")
    }

    /// Waits until the next version has started, and a while.
    fn wait_in_first_boot(&mut self, booted: &Booted, kernels_before: usize) -> String {
        let machine = &booted.machine;
        let started = machine.wait_until("the next version to start", BOOT_LIMIT, |seen| {
            kernel_lines(seen).nth(kernels_before)
        });
        let place = started.unwrap_or_else(|e| failed(machine, &e));
        let moment = self.moment(self.usual_boot);
        let ended = until(booted, "the report of the boot", moment, |seen| {
            seen.console.lines().iter().skip(place).any(|line| line.text.contains(REPORT))
        });
        assert_eq!(kernels(machine), kernels_before + 1, "it is its first boot");
        after(moment, ended, "its kernel started", "the report of its boot")
    }

    fn moment(&mut self, span: Duration) -> Duration {
        Duration::from_millis(self.random.below(u64::try_from(span.as_millis()).unwrap().max(1)))
    }
}

/// Orders the whole update and does not wait for it.
fn order(booted: &Booted) {
    let mut client = std::process::Command::new(tool("apiclient"));
    client.arg("--socket-path").arg(booted.machine.files().api());
    client.args(["update", "apply", "--check", "--reboot"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = client.spawn().unwrap();
    // It ends with the machine at the latest.
    std::thread::spawn(move || child.wait());
}

/// What a host knows of its updates; nothing while it is at work and does not say, or is going down.
fn status_if_any(booted: &Booted) -> Option<Value> {
    match booted.machine.request("GET", routes::UPDATES_STATUS, "") {
        Ok(answer) => Some(serde_json::from_slice(&answer.body).expect("a status is JSON")),
        Err(VmError::Refused { status: 404 | 423, .. } | VmError::Request { .. }) => None,
        Err(error) => failed(&booted.machine, &error),
    }
}

/// How far an installation is, in thousandths, by what the host says; nothing where it does something else.
fn place(progress: &Value) -> Option<u64> {
    let share = |done: &str, all: &str, of: u64| {
        let [done, all] = [done, all].map(|name| progress[name].as_u64().unwrap_or_default());
        (of * done).checked_div(all).unwrap_or_default().min(of)
    };
    if progress["command"] != "prepare" {
        return None;
    }
    Some(match progress["phase"].as_str()?.split_once(' ') {
        Some(("root", "read-back")) => {
            ROOT_WRITTEN + share("bytes_done", "bytes_total", READ_BACK - ROOT_WRITTEN)
        }
        Some(("root", _)) => share("blocks_done", "blocks", ROOT_WRITTEN),
        Some(("boot" | "hash", _)) => READ_BACK,
        // What comes before the root is written.
        _ => 0,
    })
}

/// Waits for the end of a phase, for so long at most; tells whether it came.
fn until(booted: &Booted, what: &str, limit: Duration, mut question: impl FnMut(&Seen) -> bool) -> bool {
    match booted.machine.wait_until(what, limit, |seen| question(seen).then_some(())) {
        Ok(()) => true,
        Err(VmError::Late { .. }) => false,
        Err(error) => failed(&booted.machine, &error),
    }
}

fn after(moment: Duration, ended: bool, begin: &str, end: &str) -> String {
    if ended {
        return format!("at {end}, which came less than {:.1} s after {begin}", moment.as_secs_f64());
    }
    format!("{:.1} s after {begin}", moment.as_secs_f64())
}

/// Where kernels started on the console.
fn kernel_lines(seen: &Seen) -> impl Iterator<Item = usize> {
    let lines = seen.console.lines().iter().enumerate();
    lines.filter(|(_, line)| line.text.contains(KERNEL)).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_installation_only_grows() {
        let of = |command: &str, phase: &str, blocks: u64, bytes: u64| {
            place(&json!({
                "command": command, "phase": phase,
                "blocks_done": blocks, "blocks": 1000, "bytes_done": bytes, "bytes_total": 100,
            }))
        };
        assert_eq!(of("refresh", "begin", 0, 0), None);
        assert_eq!(place(&Value::Null), None);
        let places = [
            of("prepare", "begin", 0, 0),
            of("prepare", "tree fetch", 0, 50),
            of("prepare", "root copy", 400, 50),
            of("prepare", "root fetch", 1000, 100),
            of("prepare", "root read-back", 1000, 60),
            of("prepare", "boot fetch", 10, 10),
        ];
        assert_eq!(places, [0, 0, 280, 700, 850, 950].map(Some));
    }
}
