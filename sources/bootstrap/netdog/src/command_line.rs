//! The interface that the kernel command line names: `netdog.default-interface=NAME:OPTION[,OPTION]`.
//!
//! The options are `dhcp4` and `dhcp6`; with a `?` behind it, the host is online without that server's answer.

use crate::fault::{Faults, Rule};
use crate::{Addressing, Config, Device, Dhcp, InterfaceName, Link};

/// The parameter.
pub const PARAMETER: &str = "netdog.default-interface";

/// Parses the kernel command line that was read from `name`; `None` where it names no interface.
pub fn parse(name: &str, command_line: &str) -> Result<Option<Config>, Faults> {
    let value = |word: &'_ str| word.strip_prefix(PARAMETER)?.strip_prefix('=').map(str::to_owned);
    // The kernel lets a value, or a whole parameter, stand in double quotes.
    let words = command_line.split_ascii_whitespace().map(|word| word.replace('"', ""));
    let values: Vec<String> = words.filter_map(|word| value(&word)).collect();
    let device = match values.as_slice() {
        [] => return Ok(None),
        [value] => device(value),
        _ => Err(Rule::CommandLineTwice { count: values.len() }),
    };
    match device {
        Ok(device) => Ok(Some(Config::new(vec![device], None))),
        Err(rule) => Err(Faults::at_key(name, PARAMETER, rule)),
    }
}

fn device(text: &str) -> Result<Device, Rule> {
    let form = || Rule::CommandLineForm { text: text.to_owned() };
    let (name, options) = text.split_once(':').ok_or_else(form)?;
    if name.is_empty() || options.is_empty() {
        return Err(form());
    }
    let name: InterfaceName = name.parse()?;
    let mut addressing = Addressing { eager: true, ..Addressing::default() };
    for option in options.split(',') {
        let required = option.strip_suffix('?');
        let dhcp = Dhcp { optional: required.is_some(), route_metric: None };
        let (place, option) = match required.unwrap_or(option) {
            "dhcp4" => (&mut addressing.dhcp4, "dhcp4"),
            "dhcp6" => (&mut addressing.dhcp6, "dhcp6"),
            _ => return Err(Rule::CommandLineOption { option: option.to_owned() }),
        };
        if place.replace(dhcp).is_some() {
            return Err(Rule::CommandLineOptionTwice { option });
        }
    }
    Ok(Device { link: Link::Named(name), addressing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_read_from_the_command_line() {
        let on = |optional| Some(Dhcp { optional, route_metric: None });
        for (text, dhcp4, dhcp6) in [
            ("eth0:dhcp4", on(false), None),
            ("eth0:dhcp4?", on(true), None),
            ("eth0:dhcp6", None, on(false)),
            ("eth0:dhcp4,dhcp6?", on(false), on(true)),
            ("eth0:dhcp6,dhcp4", on(false), on(false)),
        ] {
            for line in [format!("quiet {PARAMETER}={text} ro\n"), format!("\"{PARAMETER}={text}\"")] {
                let config = parse("c", &line).unwrap().unwrap();
                let device = config.primary().unwrap();
                assert_eq!(device.id().to_string(), "eth0", "{line}");
                let addressing = Addressing {
                    dhcp4: dhcp4.clone(),
                    dhcp6: dhcp6.clone(),
                    eager: true,
                    ..Addressing::default()
                };
                assert_eq!(device.addressing, addressing, "{line}");
            }
        }
    }

    #[test]
    fn a_command_line_may_name_none() {
        for line in
            ["", "quiet root=/dev/dm-0 ro", "netdog.default-interfaces=x", "xnetdog.default-interface=x"]
        {
            assert_eq!(parse("c", line), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (values, expected) in [
            (&["eth0:dhcp4", "eth1:dhcp4"][..], "is named 2 times;"),
            (&["eth0:dhcp4", "eth0:dhcp4"], "is named 2 times;"),
            (&[""], "is ''; write NAME:dhcp4"),
            (&["eth0"], "is 'eth0'; write NAME:dhcp4"),
            (&["eth0:"], "is 'eth0:'; write NAME:dhcp4"),
            (&[":dhcp4"], "is ':dhcp4'; write NAME:dhcp4"),
            (&["eth0.1:dhcp4"], "'eth0.1' holds '.';"),
            (&["eth0:dhcp"], "has the option 'dhcp'; it must be"),
            (&["eth0:dhcp4,"], "has the option ''; it must be"),
            (&["eth0:dhcp4??"], "has the option 'dhcp4??'; it must be"),
            (&["eth0:DHCP4"], "has the option 'DHCP4'; it must be"),
            (&["eth0:dhcp4,dhcp4?"], "has the option dhcp4 twice;"),
            (&["eth0:dhcp6?,dhcp4,dhcp6"], "has the option dhcp6 twice;"),
        ] {
            let line: Vec<String> = values.iter().map(|value| format!("{PARAMETER}={value}")).collect();
            let faults = parse("/proc/cmdline", &line.join(" ")).unwrap_err().to_string();
            let expected = format!("/proc/cmdline: {PARAMETER} {expected}");
            assert!(faults.starts_with(&expected), "{values:?}: {faults}");
        }
    }
}
