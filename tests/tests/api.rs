//! Sessions against the socket that follow the documented API, as existing clients hold them.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tests::TestHost;

fn host() -> TestHost {
    TestHost::boot("metal-dev", None)
}

#[test]
fn a_transaction_is_written_committed_and_gone() {
    let host = host();
    assert_eq!(host.request("PATCH", "/settings?tx=one", r#"{"motd": "a"}"#).0, 204);
    assert_eq!(host.request("GET", "/tx?tx=one", ""), (200, json!({"motd": "a"})));
    assert_eq!(host.request("GET", "/tx/list", ""), (200, json!(["one"])));
    assert_eq!(
        host.request("GET", "/settings?keys=settings.motd", "").1,
        json!({"motd": "Welcome to Visco!"})
    );
    assert_eq!(host.request("POST", "/tx/commit?tx=one", ""), (200, json!(["settings.motd"])));
    assert_eq!(host.request("GET", "/settings?keys=settings.motd", "").1, json!({"motd": "a"}));
    assert_eq!(host.request("POST", "/tx/commit?tx=one", "").0, 422, "nothing is pending any more");
    assert_eq!(host.request("GET", "/tx/list", ""), (200, json!([])));
    assert_eq!(host.request("GET", "/tx?tx=one", ""), (200, json!({})));
}

#[test]
fn a_deleted_transaction_gives_its_keys() {
    let host = host();
    host.request("PATCH", "/settings", r#"{"motd": "a", "kernel": {"sysctl": {"a.b": "1"}}}"#);
    let (status, mut keys) = host.request("DELETE", "/tx", "");
    keys.as_array_mut().unwrap().sort_by_key(Value::to_string);
    assert_eq!((status, keys), (200, json!(["settings.kernel.sysctl.\"a.b\"", "settings.motd"])));
    assert_eq!(host.request("DELETE", "/tx?tx=unknown", ""), (200, json!([])));
}

#[test]
fn pairs_are_read_by_the_type_of_their_key() {
    let host = host();
    let body =
        json!({"request_payload": ["motd=007", "settings.updates.seed=7", "updates.ignore-waves=true"]});
    assert_eq!(host.request("PATCH", "/settings/keypair?tx=p", &body.to_string()).0, 204);
    let (_, pending) = host.request("GET", "/tx?tx=p", "");
    assert_eq!(pending, json!({"motd": "007", "updates": {"seed": 7, "ignore-waves": true}}));
    let wrong = json!({"request_payload": ["motd"]});
    assert_eq!(host.request("PATCH", "/settings/keypair?tx=p", &wrong.to_string()).0, 400);
}

#[test]
fn a_refused_patch_leaves_the_transaction_as_it_was() {
    let host = host();
    host.request("PATCH", "/settings?tx=one", r#"{"motd": "a"}"#);
    let (status, error) = host.request("PATCH", "/settings?tx=one", r#"{"motd": "b", "motdd": "c"}"#);
    assert_eq!(status, 400);
    assert_eq!(error["code"], "invalid-setting");
    assert_eq!(error["violations"][0]["key"], "settings.motdd");
    assert_eq!(error["violations"][0]["nearest"], "settings.motd");
    assert_eq!(host.request("GET", "/tx?tx=one", "").1, json!({"motd": "a"}));
    assert_eq!(host.request("PATCH", "/settings?tx=one", r#"{"motd": null}"#).0, 204);
    assert_eq!(host.request("GET", "/tx?tx=one", "").1, json!({"motd": "a"}), "null leaves a field as it is");
}

#[test]
fn the_whole_model_is_shown_by_prefix() {
    let host = host();
    let members = |uri: &str| {
        let (status, body) = host.request("GET", uri, "");
        assert_eq!(status, 200, "{uri}");
        body.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(members("/"), ["configuration-files", "os", "services", "settings"]);
    // Both "services" and "settings" begin with "se".
    assert_eq!(members("/?prefix=set"), ["settings"]);
    assert_eq!(members("/?prefix=o"), ["os"]);
    assert_eq!(members("/?prefix=xyz"), Vec::<String>::new());
    assert_eq!(host.request("GET", "/?prefix=", "").0, 400);
    assert_eq!(
        host.request("GET", "/?prefix=settings.motd", "").1,
        json!({"settings": {"motd": "Welcome to Visco!"}})
    );
}

#[test]
fn tables_are_shown_by_name() {
    let host = host();
    let (_, services) = host.request("GET", "/services?names=motd", "");
    assert_eq!(services, json!({"motd": {"configuration-files": ["motd"], "restart-commands": []}}));
    assert_eq!(host.request("GET", "/services?names=nope", "").0, 404);
    let (_, files) = host.request("GET", "/configuration-files?names=motd", "");
    assert_eq!(files, json!({"motd": {"path": "/etc/motd", "template-path": "motd"}}));
    let (_, affected) =
        host.request("GET", "/metadata/affected-services?keys=settings.motd,settings.network.hostname", "");
    assert_eq!(
        affected,
        json!({"settings.motd": ["motd"], "settings.network.hostname": ["hostname", "hosts"]})
    );
    let (_, generators) = host.request("GET", "/metadata/setting-generators", "");
    assert_eq!(generators["settings.updates.seed"], "bork seed");
}

#[test]
fn unknown_paths_and_wrong_methods_are_told_apart() {
    let host = host();
    assert_eq!(host.request("GET", "/nothing", "").0, 404);
    assert_eq!(host.request("POST", "/settings", "").0, 405);
    assert_eq!(host.request("GET", "/settings?keys=a..b", "").0, 400);
    assert_eq!(host.request("GET", "/settings?keys=", "").0, 400);
    assert_eq!(host.request("PATCH", "/settings", "{").0, 400);
}

#[test]
fn a_client_that_leaves_during_its_commit_harms_nobody() {
    let host = host();
    for round in 0..60 {
        let body = format!("{{\"motd\": \"round {round}\"}}");
        assert_eq!(host.request("PATCH", "/settings?tx=leave", &body).0, 204);
        let mut stream = UnixStream::connect(host.lab.socket()).unwrap();
        stream.write_all(b"POST /tx/commit?tx=leave HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        // Long enough that the commit has begun in most rounds, short enough that it has not ended in some.
        std::thread::sleep(Duration::from_micros(round * 20));
    }
    assert_eq!(host.request("PATCH", "/settings?tx=stay", r#"{"motd": "last"}"#).0, 204);
    let (status, keys) = host.request("POST", "/tx/commit?tx=stay", "");
    assert_eq!((status, keys), (200, json!(["settings.motd"])));
    assert_eq!(host.request("GET", "/settings?keys=settings.motd", "").1, json!({"motd": "last"}));
}
