//! `grub.cfg` of a set of partitions, and the kernel command line in it.
//!
//! GRUB's own configuration has chosen the set, set `$root` to its boot partition, exported that partition's id as
//! `$boot_uuid` and the PRIVATE partition as `$private_dev`, and reads this file with `configfile`. What comes after
//! that, when this file ends, is a restart.

use crate::Request;
use std::fmt::Write;

/// How long a message of GRUB can be read before the machine restarts.
const PAUSE_S: u32 = 5;

/// The text of `grub.cfg`. `dm_table` is the verified root device, its ids said by `$boot_uuid`.
///
/// There is no `menuentry`: a menu is where GRUB goes when an entry fails, and it waits there for a human. A plain
/// script that fails ends in a restart, which counts as a try of the set.
pub(crate) fn grub_cfg(request: &Request, dm_table: &str) -> String {
    let mut text = format!("# Boots {} {}.\n", request.pretty_name, request.version);
    let parameters = command_line(request, dm_table).join(" ");
    // The place for `superusers` and `check_signatures`, once GRUB checks this file's signature.
    let _ = writeln!(text, "if linux ($root)/vmlinuz {parameters}; then");
    if request.image_features.grub_set_private_var {
        // A missing file would fail the command, and with it the whole set.
        text.push_str("  set boot_config=\n");
        text.push_str("  if [ -f \"($private_dev)/bootconfig.data\" ]; then\n");
        text.push_str("    set boot_config=\"($private_dev)/bootconfig.data\"\n");
        text.push_str("  fi\n");
        text.push_str("  if initrd ($root)/initrd $boot_config; then\n");
    } else {
        text.push_str("  if initrd ($root)/initrd; then\n");
    }
    text.push_str("    boot\n  fi\nfi\n");
    text.push_str("echo \"This system could not be started. Restarting, which counts as a try.\"\n");
    let _ = writeln!(text, "sleep {PAUSE_S}\nreboot");
    text
}

/// The parameters as GRUB's script has them, those of the variant first: of two that say the same, most users of
/// the command line take the last, so a variant cannot undo what keeps the host safe.
fn command_line(request: &Request, dm_table: &str) -> Vec<String> {
    let mut parameters: Vec<String> =
        request.kernel_parameters.iter().map(|parameter| quoted(parameter)).collect();
    if request.image_features.grub_set_private_var {
        parameters.push("bootconfig".into());
    }
    let fixed = [
        "root=/dev/dm-0",
        // Without `rootwait`: the initial file system waits for the disk, and a kernel that could not unpack it would
        // wait for ever, where it has to give up.
        "rootfstype=erofs",
        "ro",
        "raid=noautodetect",
        "random.trust_cpu=on",
        // A kernel that gives up has to restart, or the tries of the set never run out.
        "panic=2",
        // Without AppArmor: nothing in the image could load a profile, and a container runtime that finds it on
        // refuses to start containers. The place for SELinux (`selinux=1 enforcing=1`), once there is a policy.
        "lsm=landlock,lockdown,yama,bpf",
    ];
    parameters.extend(fixed.map(Into::into));
    parameters.push(format!("dm-mod.create=\"{dm_table}\""));
    // Not after `--`, where only the arguments of the first program are: systemd reads them from /proc/cmdline.
    let systemd = ["systemd.log_target=journal-or-kmsg", "systemd.log_color=0", "systemd.show_status=true"];
    parameters.extend(systemd.map(Into::into));
    parameters
}

/// A word for GRUB's script. A request has no parameter with a quote in it.
fn quoted(parameter: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.,:=/@%+-".contains(c);
    if parameter.chars().all(is_plain) { parameter.into() } else { format!("'{parameter}'") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::{least, with};
    use serde_json::{Value, json};

    fn menu(request: &Value) -> String {
        grub_cfg(&Request::parse(&request.to_string()).unwrap(), "root,,,ro,0 8 verity ...")
    }

    #[test]
    fn the_menu_tries_once_and_restarts() {
        assert_eq!(
            menu(&with("kernel_parameters", json!(["console=ttyS0,115200n8", "crashkernel=2G-:256M"]))),
            "# Boots Visco OS 1.2.3.\n\
             if linux ($root)/vmlinuz console=ttyS0,115200n8 crashkernel=2G-:256M root=/dev/dm-0 \
             rootfstype=erofs ro raid=noautodetect random.trust_cpu=on panic=2 \
             lsm=landlock,lockdown,yama,bpf dm-mod.create=\"root,,,ro,0 8 verity ...\" systemd.log_target=journal-or-kmsg systemd.log_color=0 \
             systemd.show_status=true; then\n  \
             if initrd ($root)/initrd; then\n    boot\n  fi\nfi\n\
             echo \"This system could not be started. Restarting, which counts as a try.\"\n\
             sleep 5\nreboot\n"
        );
    }

    #[test]
    fn no_failure_leads_to_a_prompt() {
        for request in [least(), with("image_features", json!({"grub-set-private-var": true}))] {
            let menu = menu(&request);
            assert!(!menu.contains("menuentry") && !menu.contains("normal"), "{menu}");
            assert!(menu.ends_with("\nreboot\n"), "{menu}");
        }
    }

    #[test]
    fn boot_configuration_is_read_where_the_image_says_so_and_the_file_is_there() {
        let menu = menu(&with("image_features", json!({"grub-set-private-var": true})));
        assert!(menu.contains(" bootconfig root="), "{menu}");
        assert!(menu.contains("if [ -f \"($private_dev)/bootconfig.data\" ]"), "{menu}");
        assert!(menu.contains("initrd ($root)/initrd $boot_config;"), "{menu}");
    }

    #[test]
    fn a_parameter_cannot_leave_its_place_in_the_script() {
        for (parameter, is) in [("a;reboot", " 'a;reboot' "), ("a=$x", " 'a=$x' "), ("a={b}", " 'a={b}' ")] {
            let menu = menu(&with("kernel_parameters", json!([parameter])));
            assert!(menu.contains(is), "{parameter}: {menu}");
        }
    }
}
