//! The boot configuration, and the partition this system was started from.

use crate::generators::print;
use ::prairiedog::{BootConfig, Config, Verdict, blob, boot_partition, ignored, reconcile};
use clap::Subcommand;
use host::program::chain;
use host::{Command, FileError, Host};
use snafu::{OptionExt, ResultExt, Snafu};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use sundog::Outcome;

/// Where the kernel shows its boot configuration; a kernel that reads none has no such file.
const BOOTCONFIG: &str = "/proc/bootconfig";
/// What the boot loader said to the kernel.
const COMMAND_LINE: &str = "/proc/cmdline";
/// Where the boot loader finds the boot configuration of the next boot.
const BLOB: &str = "/var/lib/bottlerocket/bootconfig.data";
/// The text for which the host was last rebooted; without it a host could reboot for ever.
const TRIED: &str = "/var/lib/bottlerocket/bootconfig.tried";
/// What is mounted where.
const MOUNTS: &str = "/proc/self/mountinfo";
/// Where the BOOT partition is mounted.
const BOOT: &str = "/boot";
/// Where block devices are, by the id of their partition.
const PARTITIONS: &str = "/dev/disk/by-partuuid";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the settings say
    #[arg(short, long, global = true, value_name = "FILE", default_value = "/etc/prairiedog.toml")]
    config_path: PathBuf,

    #[command(subcommand)]
    verb: PrairiedogVerb,
}

#[derive(Subcommand)]
enum PrairiedogVerb {
    /// Mount the BOOT partition that this system was started from
    PrepareBoot,
    /// Write the boot configuration of the next boot
    GenerateBootConfig,
    /// Print the boot configuration of this boot as settings
    GenerateBootSettings,
    /// Reboot if the settings ask for it and want another boot configuration
    RebootIfRequired,
}

#[derive(Debug, Snafu)]
enum PrairiedogError {
    #[snafu(display("find out what the kernel was started with"))]
    Read { source: FileError },
    #[snafu(display("find out what the kernel was started with: {BOOTCONFIG} is not as expected"))]
    Parse { source: ::prairiedog::ParseError },
    #[snafu(display("find out what the kernel was started with: {COMMAND_LINE} does not exist"))]
    NoCommandLine,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    match args.verb {
        PrairiedogVerb::PrepareBoot => prepare_boot(host)?,
        PrairiedogVerb::GenerateBootConfig => generate_boot_config(args, host)?,
        PrairiedogVerb::GenerateBootSettings => return print(boot_settings(host)),
        PrairiedogVerb::RebootIfRequired => reboot_if_required(args, host)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the verb generates, if it is a generator.
pub(crate) fn generator(args: &Args, host: &Host) -> Option<Outcome> {
    matches!(args.verb, PrairiedogVerb::GenerateBootSettings).then(|| boot_settings(host))
}

fn boot_settings(host: &Host) -> Outcome {
    match running(host) {
        Ok(None) => {
            Outcome::Declined(format!("this kernel reads no boot configuration: {BOOTCONFIG} does not exist"))
        }
        Err(e) => Outcome::failed(chain(&e)),
        Ok(Some(config)) => config
            .settings()
            .map_or_else(|| Outcome::Declined(format!("{BOOTCONFIG} names no parameters")), Outcome::Made),
    }
}

/// What the kernel was started with; none for a kernel that reads no boot configuration.
fn running(host: &Host) -> Result<Option<BootConfig>, PrairiedogError> {
    let content = host.read(BOOTCONFIG).context(ReadSnafu)?;
    let parse = |content: Vec<u8>| BootConfig::parse(&String::from_utf8_lossy(&content));
    content.map(parse).transpose().context(ParseSnafu)
}

fn command_line(host: &Host) -> Result<String, PrairiedogError> {
    let content = host.read(COMMAND_LINE).context(ReadSnafu)?.context(NoCommandLineSnafu)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

fn prepare_boot(host: &Host) -> Result<(), Box<dyn Error>> {
    let mounts = host.read(MOUNTS)?.unwrap_or_default();
    let mount_point = |line: &str| line.split(' ').nth(4) == Some(BOOT);
    if String::from_utf8_lossy(&mounts).lines().any(mount_point) {
        tracing::info!("{BOOT} is mounted already");
        return Ok(());
    }
    let device = active_boot_device(host)?;
    let options = "ro,nosuid,nodev,noexec,noatime";
    let mount = ["mount", "-t", "ext4", "-o", options, "--make-private", &device, BOOT];
    Ok(host.order(&Command::new(mount))?)
}

/// The device of the BOOT partition of the running system.
fn active_boot_device(host: &Host) -> Result<String, Box<dyn Error>> {
    Ok(format!("{PARTITIONS}/{}", boot_partition(&command_line(host)?)?))
}

fn generate_boot_config(args: &Args, host: &Host) -> Result<(), Box<dyn Error>> {
    let wanted = config(args, host)?.wanted();
    // It can hold no secrets: anybody may read it from the running kernel.
    host.replace(BLOB, &blob(&wanted)?, 0o644)?;
    let kernel_reads = host.path(BOOTCONFIG).exists();
    let command_line = command_line(host).unwrap_or_default();
    if ignored(kernel_reads, &command_line, &wanted) {
        say_ignored();
    }
    Ok(())
}

fn say_ignored() {
    tracing::warn!(
        "this kernel ignores boot configuration ({BOOTCONFIG} does not exist): settings.boot.kernel and \
         settings.boot.init have no effect with it"
    );
}

fn reboot_if_required(args: &Args, host: &Host) -> Result<(), Box<dyn Error>> {
    let config = config(args, host)?;
    let running = running(host)?;
    let tried = host.read(TRIED)?.map(|text| String::from_utf8_lossy(&text).into_owned());
    match reconcile(&config, running.as_ref(), tried.as_deref()) {
        Verdict::NotAsked => {}
        Verdict::InForce => host.remove(TRIED)?,
        Verdict::Ignored => say_ignored(),
        Verdict::TriedBefore => tracing::warn!(
            "the host was rebooted for settings.boot, and the kernel was started with another boot configuration all \
             the same; it is not rebooted again"
        ),
        Verdict::Reboot => {
            // What the next boot starts with must be on the disk before it begins.
            let wanted = config.wanted();
            host.replace(BLOB, &blob(&wanted)?, 0o644)?;
            host.replace(TRIED, wanted.text().as_bytes(), 0o644)?;
            tracing::info!("rebooting: settings.boot wants another boot configuration");
            host.order(&Command::new(["systemctl", "reboot"]))?;
            wait_for_the_end(host);
        }
    }
    Ok(())
}

/// The boot must not go on while the machine goes down. In a directory nothing does.
fn wait_for_the_end(host: &Host) {
    while host.is_machine() {
        std::thread::park();
    }
}

fn config(args: &Args, host: &Host) -> Result<Config, Box<dyn Error>> {
    Ok(crate::config::load_if_present(host, &args.config_path, Config::parse)?.unwrap_or_default())
}
