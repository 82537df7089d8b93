//! How long a built image takes to boot, beside the same kernel and systemd with nothing of ours.
//!
//! Both boots are of one disk, in one kind of machine, and both times are of the guest's own clock, which starts with
//! the kernel. The reference is systemd's own `basic.target`, with every mount and program of this project masked.

use hostlab::vm::{Files, Kernel, Machine, Spec, choose_accelerator, find_image};
use partitions::Table;
use partitions::kind::label;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longest boot.
const LIMIT: Duration = Duration::from_mins(10);
/// What is ours on the way to `basic.target`.
const OURS: [&str; 6] = [
    "local.mount",
    "mnt.mount",
    "opt.mount",
    "prepare-local.service",
    "var-lib-bottlerocket.mount",
    "var.mount",
];
/// How the line begins that a host writes when its boot is over.
const REPORT: &str = "visco: up: ";
/// What systemd says when it has reached what it was to start.
const STARTED: &str = "Startup finished in ";

/// Times since the kernel started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// Kernel and systemd alone, up to `basic.target`.
    pub(crate) bare: Duration,
    /// The API answers.
    pub(crate) api: Duration,
    /// The host is configured.
    pub(crate) configured: Duration,
}

/// Boots the image of this folder three times: once to fill its disk, once to be measured, once bare.
pub(crate) fn measure(image: &Path, scratch: &Path) -> Result<Boot, Box<dyn Error>> {
    let mut spec = Spec::new(scratch, find_image(image)?);
    spec.accelerator = choose_accelerator();
    spec.is_fresh = true;
    // The first boot makes file systems and generates settings; it is not what is measured.
    run(&spec, report)?;
    spec.is_fresh = false;
    let (api, configured) = run(&spec, report)?;
    spec.kernel = Some(bare_kernel(&Machine::prepare(&spec)?)?);
    let bare = run(&spec, started)?;
    Ok(Boot { bare, api, configured })
}

/// Starts a machine, waits for a line that answers, and ends it.
fn run<T>(spec: &Spec, answer: fn(&str) -> Option<T>) -> Result<T, Box<dyn Error>> {
    let mut machine = Machine::start(spec)?;
    let question = |seen: &hostlab::vm::Seen| seen.console.from(0).find_map(|line| answer(&line.text));
    let answer = machine.wait_until("the boot to end", LIMIT, question)?;
    if spec.kernel.is_none() {
        machine.press_power_button()?;
        machine.wait_until_off(LIMIT)?;
    }
    Ok(answer)
}

/// The kernel of set A, its command line with nothing of ours.
fn bare_kernel(files: &Files) -> Result<Kernel, Box<dyn Error>> {
    let table: Table = partitions::read(&mut File::open(files.disk())?)?.table;
    let (_, boot) = table.with_label(label::BOOT_A).ok_or("the disk has no set A")?;
    let place = format!("{}?offset={}", files.disk().display(), table.byte_range(boot).start);
    let take = |name: &str| -> Result<std::path::PathBuf, Box<dyn Error>> {
        let to = files.dir().join(name);
        let request = format!("dump /{name} {}", to.display());
        let status = Command::new("debugfs").args(["-R", &request, &place]).output()?.status;
        if status.success() && to.exists() { Ok(to) } else { Err(format!("set A has no {name}").into()) }
    };
    std::fs::create_dir_all(files.dir().join("grub"))?;
    let menu = std::fs::read_to_string(take("grub/grub.cfg")?)?;
    let line = menu.split_once("linux ($root)/vmlinuz ").and_then(|(_, rest)| rest.split_once("; then"));
    let line = line.ok_or("the boot menu of set A starts no kernel")?.0;
    let masks = OURS.map(|unit| format!("systemd.mask={unit}")).join(" ");
    let (own, init) = line.split_once(" -- ").unwrap_or((line, ""));
    let own = own.replace("$boot_uuid", &boot.id.to_string());
    let command_line = format!(
        "{own} systemd.unit=basic.target {masks} -- {init} systemd.log_target=console systemd.log_level=info"
    );
    Ok(Kernel { image: take("vmlinuz")?, initrd: take("initrd")?, command_line })
}

/// The times in the report of a boot.
fn report(line: &str) -> Option<(Duration, Duration)> {
    let report = line.split_once(REPORT)?.1;
    let after = |what: &str| {
        let seconds = report.split_once(&format!("{what} after "))?.1.split_once(" s")?.0;
        seconds.parse().ok().map(Duration::from_secs_f64)
    };
    Some((after("API")?, after("configured")?))
}

/// The sum in systemd's own report: `Startup finished in 3.210s (kernel) + 1min 2.003s (userspace) = 1min 5.213s.`
fn started(line: &str) -> Option<Duration> {
    let sum = line.split_once(STARTED)?.1.rsplit_once("= ")?.1.trim_end().trim_end_matches('.');
    sum.split(' ').map(part).sum()
}

fn part(text: &str) -> Option<Duration> {
    let units = [("min", 60.0), ("ms", 0.001), ("s", 1.0)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reports_are_read() {
        let line = "[   12.1] visco: up: basic system after 5.000 s, API after 6.123 s, configured after 9.000 s, no unit failed";
        assert_eq!(report(line), Some((Duration::from_millis(6123), Duration::from_secs(9))));
        assert_eq!(report("visco: up: API not reached"), None);
        for (line, expected) in [
            ("systemd[1]: Startup finished in 3.210s (kernel) + 2.003s (userspace) = 5.213s.", Some(5213)),
            ("Startup finished in 800ms (kernel) + 1min 2s (userspace) = 1min 2.800s.\r", Some(62_800)),
            ("systemd[1]: Startup", None),
        ] {
            assert_eq!(started(line), expected.map(Duration::from_millis), "{line}");
        }
    }
}
