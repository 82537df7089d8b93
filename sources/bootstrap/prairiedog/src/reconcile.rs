//! Whether what the kernel was started with is what the settings want.

use crate::{BootConfig, Config};

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user does not want reboots for it.
    NotAsked,
    /// The kernel was started with what is wanted.
    InForce,
    /// The kernel reads no boot configuration: no reboot would change that.
    Ignored,
    /// The host was rebooted for just this, and it did not help: something else is wrong.
    TriedBefore,
    /// The host is to be rebooted.
    Reboot,
}

/// Decides whether to reboot. `running` is what the kernel was started with, none for a kernel that reads no boot
/// configuration; `tried` is the text for which the host was last rebooted.
pub fn reconcile(config: &Config, running: Option<&BootConfig>, tried: Option<&str>) -> Verdict {
    let wanted = config.wanted();
    match running {
        _ if !config.reboot_to_reconcile => Verdict::NotAsked,
        None if wanted.is_empty() => Verdict::InForce,
        None => Verdict::Ignored,
        Some(running) if *running == wanted => Verdict::InForce,
        Some(_) if tried == Some(wanted.text().as_str()) => Verdict::TriedBefore,
        Some(_) => Verdict::Reboot,
    }
}

/// Whether a boot configuration is wanted of a kernel that reads none, by the settings or by the command line.
pub fn ignored(kernel_reads: bool, command_line: &str, wanted: &BootConfig) -> bool {
    !kernel_reads && (!wanted.is_empty() || command_line.split_whitespace().any(|word| word == "bootconfig"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_rebooted_once_and_only_where_it_can_help() {
        let asked = "reboot-to-reconcile = true\n[kernel]\nquiet = []\n";
        let (same, other, none) = (Some("kernel.quiet = \"\""), Some("kernel.quiet = \"1\""), Some(""));
        let text = Some("kernel.quiet\n");
        for (config, running, tried, expected) in [
            (asked, same, None, Verdict::InForce),
            (asked, same, text, Verdict::InForce),
            (asked, other, None, Verdict::Reboot),
            (asked, none, None, Verdict::Reboot),
            (asked, none, Some("kernel.other\n"), Verdict::Reboot),
            (asked, none, text, Verdict::TriedBefore),
            (asked, None, None, Verdict::Ignored),
            ("reboot-to-reconcile = true", None, None, Verdict::InForce),
            ("reboot-to-reconcile = true", Some("kernel = \"\"\ninit = \"\""), None, Verdict::InForce),
            ("reboot-to-reconcile = true", other, None, Verdict::Reboot),
            ("[kernel]\nquiet = []", other, None, Verdict::NotAsked),
            ("", None, None, Verdict::NotAsked),
        ] {
            let (config, running) =
                (Config::parse(config).unwrap(), running.map(|r| BootConfig::parse(r).unwrap()));
            assert_eq!(
                reconcile(&config, running.as_ref(), tried),
                expected,
                "{config:?} {running:?} {tried:?}"
            );
        }
    }

    #[test]
    fn only_a_wish_that_nobody_hears_is_ignored() {
        let (some, none) = (BootConfig::parse("kernel.a").unwrap(), BootConfig::default());
        for (kernel_reads, command_line, wanted, expected) in [
            (true, "bootconfig", &some, false),
            (false, "quiet", &some, true),
            (false, "quiet bootconfig\n", &none, true),
            (false, "quiet bootconfig.x=1", &none, false),
        ] {
            assert_eq!(
                ignored(kernel_reads, command_line, wanted),
                expected,
                "{kernel_reads} {command_line}"
            );
        }
    }
}
