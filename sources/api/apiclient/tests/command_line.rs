//! What the program does with no server: usage, checks, completions, exit statuses.

mod server;

use server::{Ended, apiclient};
use std::process::{Command, Stdio};

/// The wrong user data of the whole-host tests.
const WRONG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/user-data/wrong");

fn check(variant: &str, text: &str) -> Ended {
    apiclient(&["check", "--variant", variant, "-"], text)
}

#[test]
fn wrong_user_data_is_told_in_one_line_with_its_place() {
    for (file, expected) in [
        ("unknown-key", ":2:1: settings.motdd is not a setting (did you mean 'settings.motd'?)"),
        (
            "wrong-type",
            ":2:1: settings.host-containers.admin.enabled must be true or false, not the text 'yes'",
        ),
        ("bad-toml", ":2:14: is not TOML: invalid basic string, expected `\"`"),
        (
            "out-of-range",
            ":2:1: settings.updates.seed must be an integer from 0 to 4294967295, not 4294967296",
        ),
        ("duplicate-table", ":3:11: is not TOML: duplicate key 'ntp'"),
        (
            "over-long-value",
            ":2:1: settings.network.hostname must be a host name: 1 to 253 lower-case letters, digits, dots and \
             hyphens; each part between dots has 1 to 63 characters and does not begin with a hyphen, not the \
             text 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'",
        ),
        ("wrong-case", ":1:11: settings.Network is not a setting (did you mean 'settings.network'?)"),
        ("empty", ": is empty; remove it, or write settings below [settings]"),
        (
            "binary-junk",
            ":1:9: is not text: byte 0xff at offset 8 is not UTF-8; user data is text, plain or compressed with \
             gzip or zstd",
        ),
        (
            "other-variant",
            ":1:11: settings.kubernetes is not a setting of this variant (checked for metal-dev)",
        ),
    ] {
        let path = format!("{WRONG}/{file}.toml");
        let ended = apiclient(&["check", "--variant", "metal-dev", &path], "");
        let expected = Ended { status: 3, stdout: String::new(), stderr: format!("{path}{expected}\n") };
        assert_eq!(ended, expected, "{file}");
    }
}

#[test]
fn every_problem_of_a_document_is_told_in_the_order_of_its_lines() {
    let text = "[settings]\nmotdd = 1\n[settings.updates]\nseed = -1\n[settings.kernel.sysctl]\na = 5\n";
    let ended = check("metal-dev", text);
    let places: Vec<&str> = ended.stderr.lines().map(|line| &line[.."standard input:0:0:".len()]).collect();
    assert_eq!(places, ["standard input:2:1:", "standard input:4:1:", "standard input:6:1:"], "{ended:?}");
    assert_eq!(ended.status, 3);
}

#[test]
fn what_is_valid_but_deserves_a_look_is_a_warning() {
    let ended = check("aws-k8s-1.28", "[settings.host-containers.mine]\nenabled = true\n");
    assert_eq!(ended.status, 0);
    assert!(ended.stderr.contains("settings.host-containers.mine.source must be set"), "{ended:?}");
    assert!(!ended.stderr.contains("control"), "{ended:?}");
}

#[test]
fn a_check_as_json_has_the_key_the_rule_and_the_place() {
    let ended = apiclient(&["check", "--json", "--variant", "metal-dev", "-"], "[settings]\nmotdd = 'x'\n");
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!({"variant": "metal-dev", "valid": false, "problems": [{
        "document": "standard input", "line": 2, "column": 1,
        "key": "settings.motdd", "rule": "is not a setting", "nearest": "settings.motd", "code": "unknown-key",
    }], "warnings": []});
    assert_eq!((document, ended.status), (expected, 3));
    let good =
        apiclient(&["check", "--json", "--variant", "metal-dev", "-"], r#"{"settings": {"motd": "x"}}"#);
    assert_eq!(good.status, 0, "{good:?}");
    assert!(good.stdout.contains("\"valid\": true"), "{good:?}");
}

#[test]
fn the_variant_of_a_check_is_that_of_the_host_or_must_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let document = "settings.kubernetes.cluster-name = 'x'";
    let nowhere = apiclient(&["--root", root, "check", "-"], document);
    assert_eq!(nowhere.status, 2);
    assert!(nowhere.stderr.contains("--variant") && nowhere.stderr.contains("aws-k8s-1.28"), "{nowhere:?}");
    let unknown = apiclient(&["check", "--variant", "metal-def", "-"], document);
    assert_eq!(unknown.status, 2);
    assert!(unknown.stderr.contains("metal-dev"), "{unknown:?}");

    let image = defaults::Catalog::embedded().variant("aws-k8s-1.28").unwrap().to_toml();
    std::fs::create_dir_all(dir.path().join("usr/share/visco")).unwrap();
    std::fs::write(dir.path().join("usr/share/visco/variant.toml"), image).unwrap();
    let here = apiclient(&["--root", root, "check", "-"], document);
    assert_eq!(here.status, 0, "{here:?}");
    assert_eq!(here.stderr, "the document is valid user data for aws-k8s-1.28\n");
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    for arguments in [
        &[][..],
        &["set"],
        &["set", "motd"],
        &["set", "=x"],
        &["set", "--json", "[]"],
        &["set", "--json", "{}", "a=b"],
        &["set", "--no-wait", "--dry-run", "a=b"],
        &["get", "settings", "/os"],
        &["get", "--no-such-option"],
        &["apply", "s3://bucket/key"],
        &["apply", "-", "-"],
        &["unset"],
        &["show"],
        &["show", "x"],
        &["raw"],
        &["-u", "/os", "status"],
        &["no-such-command"],
        &["--log-level", "loud", "status"],
    ] {
        let ended = apiclient(arguments, "");
        assert_eq!(ended.status, 2, "{arguments:?}: {ended:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn without_a_server_the_socket_and_the_remedy_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let socket = socket.to_str().unwrap();
    for arguments in [
        &["get"][..],
        &["set", "motd=x"],
        &["apply", "base64:c2V0dGluZ3MubW90ZD0neCc="],
        &["-u", "/settings"],
        &["status"],
        &["watch"],
        &["reboot"],
    ] {
        let ended = apiclient(&[&["-s", socket], arguments].concat(), "");
        let expected = format!(
            "no API server listens on {socket}; start it ('systemctl start apiserver'), or name its socket with \
             --socket-path\n"
        );
        assert_eq!(ended, Ended { status: 1, stdout: String::new(), stderr: expected }, "{arguments:?}");
    }
}

#[test]
fn a_document_that_is_none_is_refused_before_the_server_is_asked() {
    let ended = apiclient(&["-s", "/no/such/socket", "apply", "base64:W3NldHRpbmdz"], "");
    assert_eq!(ended.status, 3, "{ended:?}");
    assert!(ended.stderr.starts_with("the base64 data:1:10: is not TOML: "), "{ended:?}");
    let json = apiclient(&["-s", "/no/such/socket", "apply", "-"], "{\"settings\": {\"motd\": }}");
    assert_eq!(json.status, 3, "{json:?}");
    assert_eq!(json.stderr, "standard input:1:23: is not JSON: expected value\n");
    let missing = apiclient(&["apply", "/no/such/file"], "");
    assert_eq!(missing.status, 1, "{missing:?}");
}

#[test]
fn help_lists_the_exit_statuses() {
    let ended = apiclient(&["--help"], "");
    assert_eq!(ended.status, 0);
    assert!(ended.stdout.contains("4  settings are committed, but applying them failed"), "{ended:?}");
}

#[test]
fn completions_are_scripts_of_their_shells() {
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef apiclient"), ("fish", "complete -c apiclient")]
    {
        let script = apiclient(&["completions", shell], "");
        assert_eq!(script.status, 0);
        assert!(script.stdout.contains(word), "{shell}: {}", script.stdout);
        assert!(script.stdout.contains("rollback"), "{shell}");
    }
    let script = apiclient(&["completions", "bash"], "").stdout;
    let parsed = Command::new("bash").args(["-n", "-c", &script]).status().unwrap();
    assert!(parsed.success());
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_apiclient"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
