//! The verbs.

use crate::{
    boot_report, bootstrap_commands, certdog, containers, corndog, deprecation_warning, early_boot_config,
    generators, health_check, netdog, prairiedog, schnauzer_v2, settings_committer, static_pods, storewolf,
    sundog, thar_be_settings,
};
use clap::Subcommand;
use host::Host;
use host::program::print_links;
use std::error::Error;
use std::process::ExitCode;

/// The names this program is also called by; each is the name of its verb.
pub const LINKS: &[&str] = &[
    "health-check",
    "deprecation-warning",
    "boot-report",
    "storewolf",
    "early-boot-config",
    "sundog",
    "settings-committer",
    "thar-be-settings",
    "schnauzer",
    "schnauzer-v2",
    "bork",
    "netdog",
    "prairiedog",
    "corndog",
    "certdog",
    "host-containers",
    "bootstrap-containers",
    "bootstrap-commands",
    "static-pods",
];

/// One step of the boot.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Say on the console how the boot went
    BootReport(boot_report::Args),
    /// Check whether the boot came to what it should
    HealthCheck(health_check::Args),
    /// Warn that a setting in use is deprecated
    DeprecationWarning(deprecation_warning::Args),
    /// Make sure that the folder of the datastore exists
    Storewolf(storewolf::Args),
    /// Commit user data to the datastore, once in the life of a host
    EarlyBootConfig(early_boot_config::Args),
    /// Generate the settings that are not set yet
    Sundog(sundog::Args),
    /// Commit a pending transaction
    SettingsCommitter(settings_committer::Args),
    /// Render configuration files and restart services
    TharBeSettings(thar_be_settings::Args),
    /// Render a template over the settings
    #[command(alias = "schnauzer")]
    SchnauzerV2(schnauzer_v2::Args),
    /// Make a seed for the update waves
    Bork(generators::BorkArgs),
    /// Configure the network, and tell what it says of this host
    Netdog(netdog::Args),
    /// Print the names that this program is also called by
    Links,
    /// Write and compare boot configurations, and mount the BOOT partition
    Prairiedog(prairiedog::Args),
    /// Tell the running kernel what the settings say
    Corndog(corndog::Args),
    /// Write the certificates that this host trusts
    Certdog(certdog::Args),
    /// Set host containers up, and start and stop them
    HostContainers(containers::HostArgs),
    /// Set bootstrap containers up
    BootstrapContainers(containers::BootstrapArgs),
    /// Run the commands that the settings have for the boot
    BootstrapCommands(bootstrap_commands::Args),
    /// Write the manifests of static pods
    StaticPods(static_pods::Args),
}

impl Verb {
    pub(crate) fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            Self::BootReport(args) => boot_report::run(&args, host),
            Self::HealthCheck(args) => health_check::run(&args, host),
            Self::DeprecationWarning(args) => deprecation_warning::run(&args, host),
            Self::Storewolf(args) => storewolf::run(&args, host),
            Self::EarlyBootConfig(args) => early_boot_config::run(&args, host),
            Self::Sundog(args) => sundog::run(&args, host),
            Self::SettingsCommitter(args) => settings_committer::run(&args, host),
            Self::TharBeSettings(args) => thar_be_settings::run(&args, host),
            Self::SchnauzerV2(args) => schnauzer_v2::run(&args, host),
            Self::Bork(_) => generators::print(generators::seed()),
            Self::Netdog(args) => netdog::run(&args, host),
            Self::Links => print_links(LINKS),
            Self::Prairiedog(args) => prairiedog::run(&args, host),
            Self::Corndog(args) => corndog::run(&args, host),
            Self::Certdog(args) => certdog::run(&args, host),
            Self::HostContainers(args) => containers::run_host(&args, host),
            Self::BootstrapContainers(args) => containers::run_bootstrap(&args, host),
            Self::BootstrapCommands(args) => bootstrap_commands::run(&args, host),
            Self::StaticPods(args) => static_pods::run(&args, host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_link_is_a_verb() {
        let command = crate::Args::command();
        for link in LINKS {
            assert!(command.find_subcommand(link).is_some(), "{link}");
        }
        let verbs = command.get_subcommands().map(clap::Command::get_name);
        // What prints the links is for the build of an image.
        assert_eq!(verbs.filter(|verb| !LINKS.contains(verb)).collect::<Vec<_>>(), ["links"]);
    }
}
