//! User data, from its sources to the datastore.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod host;

use bootstrap::{EXIT_REFUSED, REPORT};
use host::TestHost;
use serde_json::json;

const VERB: &[&str] = &["early-boot-config"];

#[test]
fn sources_are_merged_and_read_once() {
    let mut host = TestHost::new("vmware-dev");
    host.write("/local/user-data-defaults.toml", "[settings]\nmotd = 'defaults'\n", 0o600);
    host.user_data("[settings]\nmotd = 'local'\nntp.time-servers = ['a.example', 'b.example']\n");
    host.write("/media/cdrom/user-data", "[settings.ntp]\ntime-servers = ['c.example']\n", 0o600);
    host.write(
        "/local/user-data-overrides.toml",
        "other = 1\n[settings.kernel.sysctl]\n\"a.b\" = '1'\n",
        0o600,
    );
    let said = host.expect(0, VERB);
    assert!(said.contains("/local/user-data-overrides.toml:1:1: 'other' is not [settings]"), "{said}");
    let check = |host: &TestHost| {
        let settings = host.settings();
        assert_eq!(settings["motd"], "local");
        assert_eq!(settings["ntp"]["time-servers"], json!(["c.example"]));
        assert_eq!(settings["kernel"]["sysctl"]["a.b"], "1");
        assert_eq!(host.get("/tx/list"), json!([]));
        host.get("/status")
    };
    let first = check(&host);
    host.user_data("[settings]\nmotd = 'too late'\n");
    host.stop_server();
    host.start_server();
    assert!(host.expect(0, VERB).contains("at an earlier boot"));
    let second = check(&host);
    assert_eq!(second["marks"], first["marks"]);
}

#[test]
fn no_user_data_is_read_once_too() {
    let host = TestHost::new("metal-dev");
    let before = host.settings();
    host.expect(0, VERB);
    assert_eq!(host.settings(), before);
    assert!(host.get("/status")["marks"]["user-data"].is_u64());
}

#[test]
fn faulty_user_data_leaves_the_store_untouched() {
    let host = TestHost::new("metal-dev");
    let before = (host.settings(), host.get("/status"));
    let long = format!("[settings.kernel.sysctl]\n\"a.b\" = '1'\n\"{}\" = '2'\n", "x".repeat(300));
    let file = "/var/lib/bottlerocket/user-data.toml";
    for (text, place, what) in [
        ("[settings]\nmotd = 'a'\nmotdd = 'b'\n".as_bytes(), ":3:1:", "did you mean 'settings.motd'"),
        (b"[settings]\nmotd = 7\n", ":2:1:", "settings.motd must be"),
        (b"[settings\nmotd = 'a'\n", ":1:10:", "is not TOML"),
        (b"[settings.updates]\nseed = 4294967296\n", ":2:1:", "settings.updates.seed"),
        (b"[settings.ntp]\n[settings.ntp]\n", ":2:11:", "duplicate key"),
        (long.as_bytes(), ":1:18:", "settings.kernel.sysctl has a name"),
        (b"[settings]\nMOTD = 'a'\n", ":2:1:", "settings.MOTD is not a setting"),
        (b"", ":", "is empty"),
        (b"\x00\xff\x80", ":1:2:", "is not text"),
        (b"[settings.ecs]\ncluster = 'a'\n", ":1:11:", "is not a setting of this variant"),
    ] {
        host.user_data(text);
        let said = host.expect(i32::from(EXIT_REFUSED), VERB);
        let lines: Vec<_> = said.lines().filter(|line| line.contains(file)).collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(
            lines[0].contains(&format!("{file}{place}")) && lines[0].contains(what),
            "{place} {what}\n{said}"
        );
        let report = String::from_utf8(host.host.read(REPORT).unwrap().unwrap()).unwrap();
        assert!(report.contains(lines[0]), "{report}");
        assert_eq!((host.settings(), host.get("/status")), before, "{said}");
        assert_eq!(host.get("/tx/list"), json!([]), "{said}");
    }
    host.user_data("[settings]\nmotd = 'mended'\n");
    host.expect(0, VERB);
    assert_eq!(host.settings()["motd"], "mended");
    assert_eq!(host.host.read(REPORT).unwrap(), None);
}

#[test]
fn a_crash_around_the_commit_loses_neither_data_nor_mark() {
    let mut host = TestHost::new("metal-dev");
    host.user_data("[settings]\nmotd = 'a'\n");
    // Before: the server is gone, and nothing is marked.
    host.stop_server();
    let said = host.expect(1, VERB);
    assert!(said.contains("no API server listens"), "{said}");
    host.start_server();
    assert_eq!(host.get("/status")["marks"], json!({}));
    // After: both are on the disk.
    host.expect(0, VERB);
    host.stop_server();
    host.start_server();
    assert_eq!(host.settings()["motd"], "a");
    assert!(host.get("/status")["marks"]["user-data"].is_u64());
}

#[test]
fn a_patch_without_its_commit_is_made_again() {
    let mut host = TestHost::new("metal-dev");
    host.user_data("[settings]\nmotd = 'a'\n");
    let client = apiclient::Client::new(host.host.path(wire::routes::SOCKET));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client.patch_settings("tx=bottlerocket-launch", &json!({"motd": "a"}))).unwrap();
    host.stop_server();
    host.start_server();
    assert_eq!(host.get("/status")["marks"], json!({}));
    host.expect(0, VERB);
    assert_eq!(host.settings()["motd"], "a");
}
