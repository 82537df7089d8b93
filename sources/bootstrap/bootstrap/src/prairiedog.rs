//! The boot configuration that the kernel was started with.

use clap::Subcommand;
use host::Host;
use host::program::chain;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sundog::Outcome;

/// Where the kernel shows it (`admin-guide/bootconfig.rst`).
const BOOTCONFIG: &str = "/proc/bootconfig";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: PrairiedogVerb,
}

#[derive(Subcommand)]
enum PrairiedogVerb {
    /// Print the boot configuration as settings
    GenerateBootSettings,
}

pub(crate) fn generate(args: &Args, host: &Host) -> Outcome {
    let PrairiedogVerb::GenerateBootSettings = args.verb;
    match host.read(BOOTCONFIG) {
        Ok(None) => {
            Outcome::Declined(format!("this host was started without one: {BOOTCONFIG} does not exist"))
        }
        Err(e) => Outcome::failed(chain(&e)),
        Ok(Some(content)) => match parse(&String::from_utf8_lossy(&content)) {
            Ok(None) => Outcome::Declined(format!("{BOOTCONFIG} names no parameters")),
            Ok(Some(settings)) => Outcome::Made(settings),
            Err(why) => Outcome::failed(why),
        },
    }
}

/// The settings of a boot configuration; none where it names no parameters.
fn parse(text: &str) -> Result<Option<Value>, String> {
    let mut trees: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fault = |what: String| format!("{BOOTCONFIG}:{}: {what}", number + 1);
        let (key, list) = line.split_once('=').unwrap_or((line, ""));
        let values = values(list).map_err(fault)?;
        let key = key.trim();
        let (tree, name) = key.split_once('.').map_or((key, None), |(tree, name)| (tree, Some(name)));
        if !matches!(tree, "kernel" | "init") {
            return Err(fault(format!("'{key}' is neither below 'kernel' nor below 'init'")));
        }
        match name {
            Some(name) => drop(trees.entry(tree).or_default().insert(name, values)),
            None if values.is_empty() => {}
            None => return Err(fault(format!("'{key}' must have no value of its own"))),
        }
    }
    Ok((!trees.is_empty()).then(|| json!(trees)))
}

/// Values in single or double quotes, between commas. The one empty text that stands for no value is none.
fn values(list: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = list.trim();
    while let Some(quote) = rest.chars().next() {
        if !matches!(quote, '"' | '\'') {
            return Err(format!("expected a quoted value at '{rest}'"));
        }
        let (value, after) =
            rest[1..].split_once(quote).ok_or_else(|| format!("{rest} has no closing quote"))?;
        values.push(value.to_owned());
        rest = after.trim();
        match rest.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => rest = next.trim(),
            None if rest.is_empty() => {}
            _ => return Err(format!("expected another value after {value:?}, not '{rest}'")),
        }
    }
    if values == [""] {
        values.clear();
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_lists_by_name() {
        let text =
            "kernel.console = \"tty0\", 'a \"b\"'\ninit.systemd.log_level = \"debug\"\nkernel.quiet = \"\"\n";
        let expected = json!({
            "kernel": {"console": ["tty0", "a \"b\""], "quiet": []},
            "init": {"systemd.log_level": ["debug"]},
        });
        assert_eq!(parse(text), Ok(Some(expected)));
        assert_eq!(parse("kernel = \"\"\ninit = \"\"\n"), Ok(None));
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for text in [
            "other.x = \"1\"",
            "kernel = \"1\"",
            "kernel.a = 1",
            "init.a = \"1",
            "init.a = \"1\",",
            "init.a = \"1\" x",
        ] {
            let why = parse(&format!("kernel.ok = \"1\"\n{text}\n")).unwrap_err();
            assert!(why.starts_with("/proc/bootconfig:2: "), "{text}: {why}");
        }
    }
}
