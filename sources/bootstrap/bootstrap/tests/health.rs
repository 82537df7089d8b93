//! Checks of a boot's health: what passes, what does not and is told, and that the deadline ends the waiting.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod host;

use host::TestHost;
use std::io::{Read, Write};
use std::net::TcpListener;

const CONFIG: &str = "/etc/health.toml";
const LATE: &str = "400.00 100.00\n";

/// A `systemctl` that knows one active unit.
fn with_systemctl(host: &TestHost, active: &str) {
    let script = format!("#!/bin/sh\n[ \"$2\" = {active} ] && echo active && exit 0\necho failed\nexit 3\n");
    host.write("/usr/bin/systemctl", script, 0o755);
}

/// A server that answers every connection with this status.
fn http_server(status: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap();
            let asked = String::from_utf8_lossy(&request[..len]).starts_with("GET /healthz?a=b HTTP/1.1\r\n");
            let status = if asked { status } else { "400 Bad Request" };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    port
}

#[test]
fn units_are_asked_for() {
    for (what, unit, other) in [
        ("settings", "settings-applier.service", "containerd.service"),
        ("container-runtime", "containerd.service", "settings-applier.service"),
    ] {
        let host = TestHost::empty();
        host.write("/proc/uptime", LATE, 0o644);
        with_systemctl(&host, unit);
        host.expect(0, &["health-check", what]);
        with_systemctl(&host, other);
        let said = host.expect(1, &["health-check", what]);
        assert!(said.contains(&format!("not healthy 300 s after the start: {unit} is failed")), "{said}");
    }
}

#[test]
fn the_api_must_answer() {
    let host = TestHost::new("metal-dev");
    host.write("/proc/uptime", LATE, 0o644);
    host.expect(0, &["health-check", "api"]);
    let host = TestHost::empty();
    host.write("/proc/uptime", LATE, 0o644);
    let said = host.expect(1, &["health-check", "api"]);
    assert!(said.contains("ask the API server for the version of the host: "), "{said}");
}

#[test]
fn checks_of_the_settings() {
    let (good, bad) = (http_server("204 No Content"), http_server("503 Service Unavailable"));
    // Nobody listens where a listener was just closed.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = TestHost::empty();
    host.write("/proc/uptime", LATE, 0o644);
    with_systemctl(&host, "a.service");
    host.expect(0, &["health-check", "user"]);
    let checks = |lines: &[String]| format!("deadline = 300\n{}\n", lines.join("\n"));
    let passing = [
        "[checks.a]\nunit = 'a.service'".to_owned(),
        format!("[checks.b]\nurl = 'http://127.0.0.1:{good}/healthz?a=b'"),
        format!("[checks.c]\ntcp = '127.0.0.1:{good}'"),
    ];
    host.write(CONFIG, checks(&passing), 0o644);
    host.expect(0, &["health-check", "user"]);
    for (check, why) in [
        ("unit = 'b.service'".to_owned(), "check 'd': b.service is failed".to_owned()),
        (
            format!("url = 'http://127.0.0.1:{bad}/healthz?a=b'"),
            format!("check 'd': http://127.0.0.1:{bad}/healthz?a=b answers with 503 Service Unavailable"),
        ),
        (
            format!("tcp = '127.0.0.1:{closed}'"),
            format!("check 'd': connect to 127.0.0.1:{closed}: Connection refused"),
        ),
        (String::new(), "check 'd' says nothing to check".to_owned()),
        ("unit = 'b'".to_owned(), "use the configuration /etc/health.toml".to_owned()),
    ] {
        let mut lines = passing.to_vec();
        lines.push(format!("[checks.d]\n{check}"));
        host.write(CONFIG, checks(&lines), 0o644);
        let said = host.expect(1, &["health-check", "user"]);
        assert!(said.contains(&why), "{check}: {said}");
    }
}

#[test]
fn a_check_is_repeated_until_the_deadline() {
    let host = TestHost::empty();
    host.write(CONFIG, "deadline = 30\n", 0o644);
    host.write("/proc/uptime", "29.90 1.00\n", 0o644);
    // The first attempt finds nothing; it is there for the second.
    let script =
        "#!/bin/sh\n[ -e \"$VISCO_ROOT/up\" ] && exit 0\n: > \"$VISCO_ROOT/up\"\necho activating\nexit 3\n";
    host.write("/usr/bin/systemctl", script, 0o755);
    let said = host.expect(0, &["health-check", "settings"]);
    assert!(said.contains("not healthy yet: settings-applier.service is activating"), "{said}");
    host.write("/proc/uptime", "30.00 1.00\n", 0o644);
    with_systemctl(&host, "none");
    let said = host.expect(1, &["health-check", "settings"]);
    assert!(said.contains("not healthy 30 s after the start"), "{said}");
}
