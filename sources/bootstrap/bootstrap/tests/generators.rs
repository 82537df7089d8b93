//! Generated settings, and the other verbs that talk to the server.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod host;

use host::TestHost;
use serde_json::{Value, json};

fn report(host: &TestHost, code: i32, args: &[&str]) -> Vec<Value> {
    let output = host.run(&[&["sundog", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["generators"].as_array().unwrap().clone()
}

fn outcome<'a>(report: &'a [Value], key: &str) -> &'a Value {
    report.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {report:?}"))
}

#[test]
fn generators_of_the_image_run_without_a_process() {
    let host = TestHost::new("metal-dev");
    host.write("/var/lib/netdog/current_ip", "127.0.0.1\n", 0o644);
    host.write("/proc/bootconfig", "kernel.quiet = \"\"\nkernel.console = \"tty0\"\n", 0o644);
    let rows = report(&host, 0, &[]);
    assert!(rows.iter().all(|row| row["outcome"] == "made"), "{rows:?}");
    let settings = host.settings();
    assert!(settings["updates"]["seed"].as_u64().is_some_and(|seed| seed < 2048));
    let url = settings["updates"]["metadata-base-url"].as_str().unwrap();
    assert!(url.starts_with("https://updates.bottlerocket.aws/2020-07-07/test/"), "{url}");
    assert!(settings["network"]["hostname"].is_string());
    // What is made once stays.
    assert_eq!(report(&host, 0, &[]), Vec::<Value>::new());
    assert_eq!(host.settings(), settings);
}

#[test]
fn each_outcome_is_told_and_the_good_are_committed() {
    let mut host = TestHost::new("metal-dev");
    host.program("decline", "echo not here >&2; exit 2");
    host.program("fail", "echo broken >&2; exit 1");
    host.program("slow", "exec sleep 60");
    host.program("wrong", "echo '\"no number\"'");
    host.program("good", "echo '\"pool.example\"' | sed 's/.*/[&]/'");
    host.generators(&[
        ("settings.motd", "'fail'"),
        ("settings.network.hostname", "'decline now'"),
        ("settings.network.hosts", "'slow'"),
        ("settings.updates.seed", "'wrong'"),
        ("settings.dns.name-servers", "'not-in-this-image --x'"),
        ("settings.dns.search-list", "'good'"),
        (
            "settings.updates.metadata-base-url",
            "\"schnauzer-v2 render --requires 'network@v1' --template '{{ settings.network.https-proxy }}'\"",
        ),
    ]);
    let before = host.settings();
    let rows = report(&host, 1, &["--deadline", "1"]);
    for (key, expected, why) in [
        ("settings.network.hostname", "declined", "not here"),
        ("settings.updates.seed", "failed", "refused: settings.updates.seed"),
        ("settings.dns.name-servers", "declined", "no program 'not-in-this-image'"),
        ("settings.updates.metadata-base-url", "declined", "needs settings.network.https-proxy"),
        ("settings.network.hosts", "failed", "longer than 1 s"),
    ] {
        let row = outcome(&rows, key);
        assert_eq!(row["outcome"], expected, "{row}");
        assert!(row["why"].as_str().unwrap().contains(why), "{row}");
        assert_eq!(row.get("remedy").is_some(), expected == "failed", "{row}");
    }
    assert_eq!(outcome(&rows, "settings.dns.search-list")["outcome"], "made");
    // It has a default: nobody asked its generator.
    assert!(rows.iter().all(|row| row["key"] != "settings.motd"));
    let mut expected = before;
    expected["dns"] = json!({"search-list": ["pool.example"]});
    assert_eq!(host.settings(), expected);
    assert_eq!(host.get("/tx/list"), json!([]));
    let said = host.expect(1, &["sundog", "--deadline", "1"]);
    assert!(said.contains("settings.network.hosts was not generated: slow"), "{said}");
    assert!(said.contains("set settings.network.hosts in user data"), "{said}");
}

#[test]
fn templates_are_rendered_for_people_and_for_programs() {
    let host = TestHost::new("metal-dev");
    let output =
        host.run(&["schnauzer-v2", "render", "--requires", "motd@v1", "--template", "<{{ settings.motd }}>"]);
    assert!(output.status.success(), "{output:?}");
    let text: String = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(text, format!("<{}>", host.settings()["motd"].as_str().unwrap()));
    host.write(
        "/t/x",
        "format = \"text\"\n[required-extensions]\nmotd = \"v1\"\n+++\n{{ settings.motd }}\n",
        0o644,
    );
    let output = host.run(&["schnauzer-v2", "render-file", "--path", "/t/x"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{}\n", host.settings()["motd"].as_str().unwrap())
    );
    assert!(
        host.expect(1, &["schnauzer-v2", "render-file", "--path", "/t/y"]).contains("/t/y does not exist")
    );
}

#[test]
fn the_committer_commits_what_is_pending_and_takes_nothing_for_success() {
    let host = TestHost::new("metal-dev");
    host.expect(0, &["settings-committer"]);
    let client = apiclient::Client::new(host.host.path(wire::routes::SOCKET));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client.patch_settings("tx=mine", &json!({"motd": "a"}))).unwrap();
    host.expect(0, &["settings-committer", "--transaction", "mine"]);
    assert_eq!(host.settings()["motd"], "a");
}

#[test]
fn the_store_is_made_once_with_its_inventory() {
    let host = TestHost::new("metal-dev");
    let link = "/var/lib/bottlerocket/inventory/application.json";
    let args = ["storewolf", "--inventory-file-symlink-path", link, "--version", "9.9.9"];
    let base = host.host.path("/var/lib/bottlerocket/datastore");
    let names = || {
        let names = std::fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let before = names();
    assert_eq!(before.len(), 2, "a store and the link to it: {before:?}");
    for _ in 0..2 {
        host.expect(0, &args);
        assert_eq!(names(), before);
        let target = std::fs::read_link(host.host.path(link)).unwrap();
        assert_eq!(target.to_str(), Some("/usr/share/bottlerocket/application-inventory.json"));
    }
}
