//! Containers and commands of the host.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod host;

use host::TestHost;
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

const HOST_CONFIG: &str = "/etc/host-containers/host-containers.toml";
const BOOTSTRAP_CONFIG: &str = "/etc/bootstrap-containers/bootstrap-containers.toml";
const UNITS: &str = "/etc/systemd/system";

fn mode(host: &TestHost, path: &str) -> u32 {
    std::fs::metadata(host.host.path(path)).unwrap().permissions().mode() & 0o7777
}

fn link(host: &TestHost, target: &str, path: &str) {
    let path = host.host.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::remove_file(&path).ok();
    symlink(target, path).unwrap();
}

/// A host whose boot is over, with a runner and a runtime that listens.
fn running() -> (TestHost, UnixListener) {
    let host = TestHost::empty();
    link(&host, "/usr/lib/systemd/system/multi-user.target", &format!("{UNITS}/default.target"));
    host.program("host-ctr", "exit 1");
    let socket = host.host.path("/run/host-containerd/containerd.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    (host, UnixListener::bind(socket).unwrap())
}

#[test]
fn host_containers_follow_their_settings() {
    let host = TestHost::empty();
    assert!(host.expect(1, &["host-containers"]).contains("host-containers.toml: there is no such file"));
    let text = "[host-containers.admin]\nsource = \"example.com/a:1\"\nenabled = true\nsuperpowered = true\n\
                user-data = \"aGk=\"\n[host-containers.control]\nsource = \"example.com/c\"\nenabled = false\n";
    host.write(HOST_CONFIG, text, 0o600);
    // During the boot units are only enabled.
    let said = host.expect(0, &["host-containers"]);
    assert!(said.contains("do not run: this image has no /usr/bin/host-ctr"), "{said}");
    assert_eq!(host.commands(), ["systemctl enable host-containers@admin.service"]);
    assert_eq!(host.text("/local/host-containers/admin/user-data"), "hi");
    let environment = host.text("/etc/host-containers/admin.env");
    assert_eq!(environment, "CTR_SOURCE=\"example.com/a:1\"\nCTR_SUPERPOWERED=\"true\"\n");
    for (path, expected) in [
        ("/local/host-containers/admin", 0o700),
        ("/local/host-containers/admin/user-data", 0o600),
        ("/etc/host-containers/admin.env", 0o600),
        ("/local/host-containers/control", 0o700),
    ] {
        assert_eq!(mode(&host, path), expected, "{path}");
    }
    host.write(HOST_CONFIG, text.replace("user-data = \"aGk=\"\n", ""), 0o600);
    host.expect(0, &["host-containers"]);
    assert_eq!(host.host.read("/local/host-containers/admin/user-data").unwrap(), None);
}

#[test]
fn after_the_boot_host_containers_are_started_and_stopped() {
    let (host, _listener) = running();
    link(&host, "x", &format!("{UNITS}/multi-user.target.wants/host-containers@old.service"));
    link(&host, "x", &format!("{UNITS}/multi-user.target.wants/host-containers@off.service"));
    host.write("/etc/host-containers/old.env", "", 0o600);
    host.write(
        HOST_CONFIG,
        "[host-containers.bad]\nenabled = true\n[host-containers.off]\n[host-containers.on]\nsource = \"x\"\n\
         enabled = true\n",
        0o600,
    );
    let said = host.expect(1, &["host-containers"]);
    assert!(said.contains("'bad' of host-containers is not set up: it has no image"), "{said}");
    assert_eq!(
        host.commands(),
        [
            "systemctl stop host-containers@off.service",
            "/usr/bin/host-ctr clean-up --container-id off",
            "systemctl disable host-containers@off.service",
            "systemctl stop host-containers@on.service",
            "/usr/bin/host-ctr clean-up --container-id on",
            "systemctl enable --now host-containers@on.service",
            "systemctl stop host-containers@old.service",
            "systemctl disable host-containers@old.service",
            "/usr/bin/host-ctr clean-up --container-id old",
        ]
    );
    assert_eq!(host.host.read("/etc/host-containers/old.env").unwrap(), None);
    // A change of one container leaves the others alone.
    let mut one = std::process::Command::new(env!("CARGO_BIN_EXE_bootstrap"));
    one.args(["host-containers", "--root"]).arg(host.host.root());
    let output = one.env("CHANGED_SETTINGS", "settings.host-containers.on.enabled").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(host.commands().len(), 3);
}

#[test]
fn bootstrap_containers_are_enabled_for_systemd_to_start() {
    let (host, _listener) = running();
    let verb = ["bootstrap-containers", "create-containers"];
    let text = |essential| format!("[setup]\nsource = \"x\"\nmode = \"once\"\nessential = {essential}\n");
    host.write(BOOTSTRAP_CONFIG, text(false), 0o600);
    host.expect(0, &verb);
    let unit = "bootstrap-containers@setup.service";
    let (enable, disable) = (format!("systemctl enable {unit}"), format!("systemctl disable {unit}"));
    let clean_up = "/usr/bin/host-ctr clean-up --container-id boot.setup";
    assert_eq!(host.commands(), [clean_up, &enable]);
    let drop_in = format!("{UNITS}/{unit}.d/overrides.conf");
    assert_eq!(host.text(&drop_in), "[Install]\nWantedBy=configured.target\n");
    link(&host, "x", &format!("{UNITS}/configured.target.wants/{unit}"));
    host.expect(0, &verb);
    assert_eq!(host.commands(), [""; 0]);
    host.write(BOOTSTRAP_CONFIG, text(true), 0o600);
    host.expect(0, &verb);
    assert_eq!(host.text(&drop_in), "[Install]\nRequiredBy=configured.target\n");
    assert_eq!(host.commands(), [&disable, &enable].map(String::as_str));
    host.write(BOOTSTRAP_CONFIG, "", 0o600);
    host.expect(0, &verb);
    assert_eq!(host.commands(), [&format!("systemctl stop {unit}"), &disable, clean_up]);
    assert_eq!(host.host.read(&drop_in).unwrap(), None);
}

/// Settings of a host with a server, through the API.
fn set(host: &TestHost, settings: &serde_json::Value) {
    let client = apiclient::Client::new(host.host.path(wire::routes::SOCKET));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client.patch_settings("tx=t", settings)).unwrap();
    runtime.block_on(client.commit(wire::routes::TX_COMMIT, "tx=t")).unwrap();
}

#[test]
fn a_bootstrap_container_that_runs_once_is_switched_off() {
    let host = TestHost::new("metal-dev");
    let container = |mode: &str| json!({"source": "x", "mode": mode});
    set(&host, &json!({"bootstrap-containers": {"a": container("once"), "b": container("always")}}));
    for (name, mode) in [("a", "once"), ("b", "always")] {
        host.expect(0, &["bootstrap-containers", "mark-bootstrap", "--container-id", name, "--mode", mode]);
    }
    let settings = host.settings();
    assert_eq!(settings["bootstrap-containers"]["a"]["mode"], "off");
    assert_eq!(settings["bootstrap-containers"]["b"]["mode"], "always");
    host.expect(2, &["bootstrap-containers", "mark-bootstrap", "--container-id", "a", "--mode", "never"]);
}

#[test]
fn bootstrap_commands_run_in_order_and_their_failure_counts() {
    let host = TestHost::new("metal-dev");
    host.program(
        "apiclient",
        "echo \"$@\" >> $VISCO_ROOT/ran; [ \"$1\" != fail ] || { echo broken >&2; exit 3; }",
    );
    let command = |mode: &str, word: &str, essential: bool| json!({"commands": [["apiclient", word], ["apiclient", "after"]], "mode": mode, "essential": essential});
    let settings = json!({"bootstrap-commands": {
        "a": command("once", "good", true),
        "b": command("once", "fail", false),
        "c": command("off", "never", true),
        "d": command("always", "good", true),
    }});
    set(&host, &settings);
    let config = |settings: &serde_json::Value| toml::to_string(settings).unwrap();
    host.write("/etc/bootstrap-commands/bootstrap-commands.toml", config(&settings), 0o600);
    let said = host.expect(0, &["bootstrap-commands"]);
    assert!(said.contains("'b' failed: command 1 ended with exit status: 3: broken"), "{said}");
    assert_eq!(host.text("/ran"), "good\nafter\nfail\ngood\nafter\n");
    let modes = |name: &str| host.settings()["bootstrap-commands"][name]["mode"].clone();
    assert_eq!(["a", "b", "c", "d"].map(modes), ["off", "once", "off", "always"]);
    let failing = json!({"bootstrap-commands": {"a": command("always", "fail", true), "b": command("always", "x", true)}});
    host.write("/c.toml", config(&failing), 0o600);
    let said = host.expect(1, &["bootstrap-commands", "-c", "/c.toml"]);
    assert!(said.contains("essential bootstrap command 'a' failed"), "{said}");
    assert!(host.text("/ran").ends_with("fail\nx\nafter\n"));
    host.write(
        "/c.toml",
        "[bootstrap-commands.a]\ncommands = [[\"rm\", \"hunter2\"]]\nmode = \"once\"\n",
        0o600,
    );
    let said = host.expect(1, &["bootstrap-commands", "-c", "/c.toml"]);
    assert!(said.contains("use the configuration /c.toml") && !said.contains("hunter2"), "{said}");
}

#[test]
fn manifests_of_static_pods_follow_the_settings() {
    let host = TestHost::empty();
    let path = "/etc/kubernetes/static-pods-manifest.toml";
    host.expect(1, &["static-pods"]);
    host.write(
        path,
        "[a]\nenabled = true\nmanifest = \"aGk=\"\n[b]\nenabled = true\n[c]\nmanifest = \"aGk=\"\n",
        0o600,
    );
    let said = host.expect(1, &["static-pods"]);
    assert_eq!(host.text("/etc/kubernetes/static-pods/a"), "hi");
    assert_eq!(mode(&host, "/etc/kubernetes/static-pods/a"), 0o600);
    assert!(said.contains("'b' is not as it should be: it has no manifest"), "{said}");
    assert!(said.contains("'c' is not as it should be: it may run or not"), "{said}");
    host.write(path, "[a]\nenabled = false\nmanifest = \"aGk=\"\n[never]\nenabled = false\n", 0o600);
    host.expect(0, &["static-pods"]);
    assert_eq!(host.host.read("/etc/kubernetes/static-pods/a").unwrap(), None);
    host.write("/etc/kubernetes/static-pods/dropped", "hi", 0o600);
    host.write(path, "", 0o600);
    host.expect(0, &["static-pods"]);
    assert_eq!(host.host.read("/etc/kubernetes/static-pods/dropped").unwrap(), None);
}
