//! The host and GRUB choose alike: the rule of GRUB's module, compiled for this machine, and ours get the same tables.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use partitions::Attributes;
use signpost::{BootState, SetName};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The bits that matter: all priorities, all tries, both marks.
const VALUES: u64 = 1 << 9;
const SHIFT: u32 = 48;

/// Every pair of what two sets can say, each with other bits that mean nothing here, and every single set.
fn tables() -> Vec<(u64, Option<u64>)> {
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut with_noise = |bits: u64| {
        // Xorshift: any bits will do, the same in every run.
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        bits << SHIFT | noise & !((VALUES - 1) << SHIFT)
    };
    let mut tables: Vec<_> = (0..VALUES).map(|a| (with_noise(a), None)).collect();
    for a in 0..VALUES {
        tables.extend((0..VALUES).map(|b| (with_noise(a), Some(with_noise(b)))));
    }
    tables
}

/// What ours says, in the words of the other.
fn ours(a: u64, b: Option<u64>) -> String {
    let [running, private] = [a, 0].map(Attributes::from_bits);
    let state = BootState { active: SetName::A, running, other: b.map(Attributes::from_bits), private };
    let index = match state.next() {
        None => -1,
        Some(SetName::A) => 0,
        Some(SetName::B) => 1,
    };
    let after = state.started().unwrap_or(state);
    let sets = [SetName::A, SetName::B].into_iter().filter_map(|set| after.of(set));
    sets.fold(index.to_string(), |line, set| format!("{line} {:016x}", set.bits()))
}

#[test]
fn the_host_and_grub_choose_alike() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("rule");
    let compiled = Command::new("cc")
        .args(["-std=gnu99", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(here.join("../../../packages/grub"))
        .arg("-o")
        .args([&program, &here.join("tests/rule.c")])
        .status()
        .expect("the C compiler runs, as it does for Rust's linker");
    assert!(compiled.success());

    let tables = tables();
    let mut lines = String::new();
    for (a, b) in &tables {
        let b = b.map(|b| format!(" {b:x}")).unwrap_or_default();
        writeln!(lines, "{a:x}{b}").unwrap();
    }
    let mut child =
        Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the rule runs");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), tables.len());
    for ((a, b), grub) in tables.iter().zip(answers.lines()) {
        assert_eq!(ours(*a, *b), grub, "{a:016x} {b:016x?}");
    }
}
