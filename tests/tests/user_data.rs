//! User data of the kind people use ends as the right files; wrong user data ends in one clear report.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use base64::Engine;
use serde_json::json;
use tests::TestHost;

const REAL: &[u8] = include_bytes!("../user-data/real.toml");
const CERTIFICATE: &str = include_str!("../user-data/certificate.pem");

/// The real user data with a bundle of certificates.
fn real() -> Vec<u8> {
    let bundle = base64::engine::general_purpose::STANDARD.encode(CERTIFICATE);
    let mut text = REAL.to_vec();
    text.extend(format!("[settings.pki.company]\ntrusted = true\ndata = \"{bundle}\"\n").bytes());
    text
}

#[test]
fn real_user_data_ends_as_the_right_files() {
    let host = TestHost::boot("metal-dev", Some(&real()));
    assert_eq!(host.failed_steps(), Vec::<&str>::new());

    assert_eq!(host.file("/etc/motd"), "Property of <Example & Sons>\n\"Handle with care\"\n");
    let corndog = host.toml("/etc/corndog.toml");
    assert_eq!(corndog["sysctl"], json!({"net.core.somaxconn": "4096", "vm.max_map_count": "262144"}));
    assert_eq!(corndog["lockdown"], "none");
    assert!(host.file("/etc/modprobe.d/modprobe.conf").contains("install sctp /bin/true"));

    let chrony = host.file("/etc/chrony.conf");
    let pools: Vec<&str> = chrony.lines().filter(|line| line.starts_with("pool ")).collect();
    assert_eq!(pools, ["pool 169.254.169.123 iburst", "pool time.example.com iburst"]);

    let hosts = host.file("/etc/hosts");
    assert!(hosts.contains("10.0.0.5 db db.example.com\n"), "{hosts}");
    assert!(hosts.contains("10.0.0.6 cache\n"), "{hosts}");
    assert!(host.file("/etc/network/hostname.env").contains("node-7.example.com"));

    let proxy = host.file("/etc/network/proxy.env");
    assert!(proxy.contains("http://user:p%40ss=1&x@proxy.example.com:3128"), "{proxy}");
    assert!(proxy.contains("10.0.0.0/8,.example.com,localhost,127.0.0.1"), "{proxy}");
    assert_eq!(host.mode("/etc/network/proxy.env"), 0o600);

    let containers = host.toml("/etc/host-containers/host-containers.toml");
    let admin = &containers["host-containers"]["admin"];
    assert_eq!(admin["source"], "registry.example.com/visco/admin:v1");
    assert_eq!(admin["enabled"], true);
    assert_eq!(admin["user-data"], "eyJzc2giOnsiYXV0aG9yaXplZC1rZXlzIjpbInNzaC1lZDI1NTE5IEFBQUEiXX19");

    let registries = host.toml("/etc/host-containers/host-ctr.toml");
    assert_eq!(
        registries["mirrors"]["docker.io"]["endpoints"],
        json!(["https://mirror.example.com", "https://mirror2.example.com"])
    );
    let credentials = &registries["creds"]["registry-1.docker.io"];
    assert_eq!(credentials["password"], "it's a \"secret\" \\ = &");
    assert_eq!(host.mode("/etc/host-containers/host-ctr.toml"), 0o600);

    let certificates = host.toml("/etc/certdog.toml");
    assert_eq!(certificates["company"]["trusted"], true);

    let resolver = host.toml("/etc/netdog.toml");
    assert_eq!(resolver["name-servers"], json!(["10.0.0.2", "fd00::2"]));
    assert_eq!(resolver["search-list"], json!(["example.com"]));

    let docker = host.file("/etc/docker/daemon.json");
    let docker: serde_json::Value = serde_json::from_str(&docker).unwrap();
    assert_eq!(
        docker["registry-mirrors"],
        json!(["https://mirror.example.com", "https://mirror2.example.com"])
    );
}

#[test]
fn a_kubernetes_host_renders_its_runtime() {
    let host = TestHost::boot("metal-k8s-1.28", Some(&real()));
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    let containerd = host.toml("/etc/containerd/config.toml");
    assert_eq!(containerd["version"], 2);
    let text = host.file("/etc/containerd/config.toml");
    assert!(text.contains("https://mirror.example.com"), "{text}");
    assert_eq!(host.mode("/etc/containerd/config.toml"), 0o600);
}

#[test]
fn user_data_is_read_once() {
    let mut host = TestHost::boot("metal-dev", Some(b"[settings]\nmotd = \"first\"\n"));
    assert!(host.client(&["set", "motd=changed"]).status.success());
    host.lab.give_user_data(b"[settings]\nmotd = \"second\"\n").unwrap();
    host.reboot();
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    assert_eq!(host.file("/etc/motd"), "changed\n");
    let (_, commits) = host.request("GET", "/commits?limit=100", "");
    let messages: Vec<&str> =
        commits.as_array().unwrap().iter().filter_map(|commit| commit["message"].as_str()).collect();
    assert_eq!(messages.iter().filter(|message| **message == "user data").count(), 1, "{messages:?}");
}

#[test]
fn a_host_without_user_data_comes_up_with_defaults() {
    let host = TestHost::boot("metal-dev", None);
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    assert_eq!(host.file("/etc/motd"), "Welcome to Visco!\n");
}

/// Wrong user data, each with what the report must say: the file, the place, what would be right.
const WRONG: [(&str, &[u8], &[&str]); 10] = [
    (
        "unknown key",
        include_bytes!("../user-data/wrong/unknown-key.toml"),
        &[":2", "settings.motdd", "settings.motd"],
    ),
    (
        "wrong type",
        include_bytes!("../user-data/wrong/wrong-type.toml"),
        &[":2", "settings.host-containers.admin.enabled", "true or false"],
    ),
    ("bad TOML", include_bytes!("../user-data/wrong/bad-toml.toml"), &[":2:", "TOML"]),
    (
        "out of range",
        include_bytes!("../user-data/wrong/out-of-range.toml"),
        &[":2", "settings.updates.seed", "4294967295"],
    ),
    (
        "duplicate table",
        include_bytes!("../user-data/wrong/duplicate-table.toml"),
        &[":3:", "TOML", "duplicate"],
    ),
    (
        "over-long value",
        include_bytes!("../user-data/wrong/over-long-value.toml"),
        &[":2", "settings.network.hostname", "63"],
    ),
    (
        "wrong case",
        include_bytes!("../user-data/wrong/wrong-case.toml"),
        &["settings.Network", "settings.network"],
    ),
    ("empty file", include_bytes!("../user-data/wrong/empty.toml"), &["empty"]),
    ("binary junk", include_bytes!("../user-data/wrong/binary-junk.toml"), &["not text"]),
    (
        "key of another variant",
        include_bytes!("../user-data/wrong/other-variant.toml"),
        &["settings.kubernetes", "variant"],
    ),
];

#[test]
fn wrong_user_data_leaves_the_store_untouched_and_says_what_is_wrong() {
    let clean = TestHost::boot("metal-dev", None).request("GET", "/settings", "").1;
    for (what, text, said) in WRONG {
        let host = TestHost::boot("metal-dev", Some(text));
        assert_eq!(host.failed_steps(), ["early-boot-config"], "{what}");
        let mut settings = host.request("GET", "/settings", "").1;
        // The place in the update waves is drawn at random on every host.
        settings["updates"]["seed"] = clean["updates"]["seed"].clone();
        assert_eq!(settings, clean, "{what}: the store has something of it");
        assert_eq!(host.file("/etc/motd"), "Welcome to Visco!\n", "{what}: the host comes up with defaults");
        let report = host.file("/run/visco/user-data-report.txt");
        assert!(report.contains("/var/lib/bottlerocket/user-data.toml"), "{what}: {report}");
        for part in said {
            assert!(report.contains(part), "{what}: no '{part}' in: {report}");
        }
        let faults = report.lines().filter(|line| line.contains("user-data.toml")).count();
        assert_eq!(faults, 1, "{what}: one error, one line: {report}");
    }
}

#[test]
fn mended_user_data_is_read_at_the_next_boot() {
    let mut host = TestHost::boot("metal-dev", Some(b"[settings]\nmotdd = \"x\"\n"));
    assert_eq!(host.failed_steps(), ["early-boot-config"]);
    host.lab.give_user_data(b"[settings]\nmotd = \"mended\"\n").unwrap();
    host.reboot();
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    assert_eq!(host.file("/etc/motd"), "mended\n");
}
