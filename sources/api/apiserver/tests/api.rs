//! The API without its socket: what clients of the documented API get, and what is new.

#![allow(clippy::unwrap_used)]

mod server;

use apiserver::Peer;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use server::TestHost;

#[tokio::test]
async fn requests_get_the_documented_answers() {
    let host = TestHost::new();
    let server = host.open();
    let rows: &[(&str, &str, &str, u16, Option<Value>)] = &[
        ("GET", "/settings", "", 200, Some(json!({"motd": "hello"}))),
        (
            "GET",
            "/settings?keys=settings.motd,settings.kernel.lockdown",
            "",
            200,
            Some(json!({"motd": "hello"})),
        ),
        ("GET", "/settings?keys=settings.kernel.lockdown", "", 200, Some(json!({}))),
        ("GET", "/settings?keys=settings.motd&prefix=kernel", "", 200, Some(json!({"motd": "hello"}))),
        ("GET", "/settings?prefix=mo", "", 200, Some(json!({"motd": "hello"}))),
        ("GET", "/settings?prefix=settings.motd", "", 200, Some(json!({"motd": "hello"}))),
        ("GET", "/settings?prefix=settings", "", 200, Some(json!({"motd": "hello"}))),
        ("GET", "/settings?prefix=xyz", "", 200, Some(json!({}))),
        ("GET", "/settings?unknown=1", "", 200, Some(json!({"motd": "hello"}))),
        ("GET", "/settings?keys=", "", 400, None),
        ("GET", "/settings?prefix=", "", 400, None),
        ("GET", "/settings?prefix=a%20b", "", 400, None),
        ("GET", "/settings?keys=a..b", "", 400, None),
        ("GET", "/?prefix=se", "", 200, None),
        ("GET", "/?prefix=xyz", "", 200, Some(json!({}))),
        ("GET", "/?prefix=", "", 400, None),
        ("GET", "/os?prefix=os.version", "", 200, Some(json!({"version_id": "1.0.0"}))),
        ("GET", "/tx?tx=unknown", "", 200, Some(json!({}))),
        ("GET", "/tx/list", "", 200, Some(json!([]))),
        ("DELETE", "/tx?tx=unknown", "", 200, Some(json!([]))),
        ("POST", "/tx/commit", "", 422, None),
        ("POST", "/tx/commit_and_apply?tx=none", "", 422, None),
        ("POST", "/tx/commit?tx=bad%20name", "", 400, None),
        ("PATCH", "/settings", r#"{"motd": 5}"#, 400, None),
        ("PATCH", "/settings", r#"{"motdd": "x"}"#, 400, None),
        ("PATCH", "/settings", "{", 400, None),
        ("PATCH", "/settings", "[]", 400, None),
        ("PATCH", "/settings?layer=default", r#"{"motd": "x"}"#, 400, None),
        ("PATCH", "/settings?layer=nonsense", r#"{"motd": "x"}"#, 400, None),
        ("PATCH", "/settings/keypair", r#"{"request_payload": ["motd"]}"#, 400, None),
        ("PATCH", "/settings/keypair", r#"{"payload": ["motd=x"]}"#, 400, None),
        (
            "GET",
            "/metadata/affected-services?keys=settings.motd,settings.kernel",
            "",
            200,
            Some(json!({"settings.motd": ["login"]})),
        ),
        ("GET", "/metadata/affected-services", "", 400, None),
        ("GET", "/metadata/setting-generators", "", 200, Some(json!({}))),
        ("GET", "/metadata/templates?keys=settings.motd", "", 200, Some(json!({}))),
        ("GET", "/metadata/templates", "", 400, None),
        (
            "GET",
            "/services?names=login",
            "",
            200,
            Some(json!({"login":
            {"configuration-files": ["motd"], "restart-commands": ["systemctl try-restart login.service"]}})),
        ),
        ("GET", "/services?names=log", "", 404, None),
        ("GET", "/services?prefix=services.lo", "", 200, None),
        (
            "GET",
            "/configuration-files",
            "",
            200,
            Some(json!({"motd": {"path": "/etc/motd", "template-path": "motd"}})),
        ),
        ("GET", "/nonsense", "", 404, None),
        ("PUT", "/settings", "", 405, None),
        ("GET", "/actions/reboot", "", 405, None),
        ("GET", "/jobs/1", "", 404, None),
        ("GET", "/jobs/x", "", 404, None),
        ("GET", "/commits/999", "", 404, None),
        ("POST", "/commits/999/revert", "", 404, None),
        ("POST", "/commits/1/confirm", "", 409, None),
        ("POST", "/tx/commit?try=0", "", 400, None),
        ("GET", "/explain?key=motdd", "", 404, None),
    ];
    for (method, uri, body, status, expected) in rows {
        let answer = server.call(method, uri, body).await;
        assert_eq!(answer.status, *status, "{method} {uri} {body}: {answer:?}");
        if let Some(expected) = expected {
            assert_eq!(answer.json(), *expected, "{method} {uri}");
        }
        if answer.status.as_u16() >= 400 {
            let error: wire::ErrorBody = serde_json::from_str(&answer.text).unwrap();
            assert!(!error.message.is_empty(), "{method} {uri}");
        }
    }
    assert_eq!(server.get("/tx/list").await.json(), json!([]), "refused writes leave no transaction");
}

#[tokio::test]
async fn bodies_are_json_of_limited_size() {
    let host = TestHost::new();
    let server = host.open();
    let send = async |content_type: Option<&str>, body: String| {
        let mut request = Request::builder().method("PATCH").uri("/settings");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        server.send(request.body(Body::from(body)).unwrap()).await.status.as_u16()
    };
    assert_eq!(send(None, r#"{"motd": "x"}"#.into()).await, 204);
    assert_eq!(send(Some("application/json; charset=utf-8"), r#"{"motd": "x"}"#.into()).await, 204);
    assert_eq!(send(Some("text/plain"), r#"{"motd": "x"}"#.into()).await, 415);
    assert_eq!(send(None, " ".repeat(apiserver::api::MAX_BODY + 1)).await, 413);
}

#[tokio::test]
async fn errors_are_json_or_one_line_of_text() {
    let host = TestHost::new();
    let server = host.open();
    let json = server.call("PATCH", "/settings", r#"{"motdd": "x"}"#).await.json();
    assert_eq!(json["code"], "invalid-setting");
    assert_eq!(json["violations"][0]["key"], "settings.motdd");
    assert_eq!(json["violations"][0]["nearest"], "settings.motd");
    let request = Request::builder().method("PATCH").uri("/settings").header("accept", "text/plain");
    let text = server.send(request.body(Body::from(r#"{"motdd": "x"}"#)).unwrap()).await;
    assert_eq!(text.status, 400);
    assert!(text.text.contains("did you mean 'settings.motd'?"), "{}", text.text);
    assert_eq!(text.text.lines().count(), 1);
}

#[tokio::test]
async fn a_transaction_is_committed_once_and_null_changes_nothing() {
    let host = TestHost::new();
    let server = host.open();
    server.call("PATCH", "/settings?tx=t", r#"{"motd": "hi"}"#).await;
    server.call("PATCH", "/settings?tx=t", r#"{"motd": null}"#).await;
    assert_eq!(server.get("/tx?tx=t").await.json(), json!({"motd": "hi"}));
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "hello"}), "pending is not live");
    let committed = server.call("POST", "/tx/commit?tx=t", "").await;
    assert_eq!(committed.json(), json!(["settings.motd"]));
    assert_eq!(committed.number("visco-commit"), 2);
    assert_eq!(server.call("POST", "/tx/commit?tx=t", "").await.status, 422);
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "hi"}));
    assert_eq!(server.get("/").await.json()["settings"], json!({"motd": "hi"}));
    let again =
        server.call("PATCH", "/settings/keypair?tx=t", r#"{"request_payload": ["settings.motd=007"]}"#);
    assert_eq!(again.await.status, 204);
    assert_eq!(server.get("/tx?tx=t").await.json(), json!({"motd": "007"}));
    assert_eq!(server.call("DELETE", "/tx?tx=t", "").await.json(), json!(["settings.motd"]));
}

#[tokio::test]
async fn unset_uncovers_the_layer_below_and_says_where_a_value_is() {
    let host = TestHost::new();
    let server = host.open();
    let refused = server.call("DELETE", "/settings?keys=motd", "").await;
    assert_eq!(refused.status, 404);
    assert!(refused.text.contains("it comes from 'default'"), "{}", refused.text);
    let unknown = server.call("DELETE", "/settings?keys=motdd", "").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.text.contains("settings.motd'")),
        (404, true),
        "{unknown:?}"
    );
    assert_eq!(server.call("DELETE", "/settings", "").await.status, 400);
    server.set(r#"{"motd": "hi", "kernel": {"sysctl": {"a": "1", "b": "2"}}}"#).await;
    assert_eq!(server.call("DELETE", "/settings?keys=settings.motd,kernel.sysctl", "").await.status, 204);
    let diff = server.get("/tx/diff").await.json();
    assert_eq!(diff["changes"].as_array().unwrap().len(), 3);
    let motd = diff["changes"].as_array().unwrap().iter().find(|c| c["key"] == "settings.motd").unwrap();
    let expected = json!({"key": "settings.motd", "layer": "api", "old": "hi", "effective-old": "hi",
        "effective-new": "hello"});
    assert_eq!(*motd, expected);
    assert_eq!(diff["services"][0]["name"], "login");
    assert_eq!(diff["files"], json!([{"name": "motd", "path": "/etc/motd"}]));
    server.call("POST", "/tx/commit", "").await;
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "hello"}));
}

#[tokio::test]
async fn validation_stores_nothing() {
    let host = TestHost::new();
    let server = host.open();
    let valid = server.call("POST", "/settings/validate", r#"{"motd": "x"}"#).await;
    assert_eq!((valid.status.as_u16(), &valid.json()["valid"]), (200, &json!(true)));
    assert_eq!(server.call("POST", "/settings/validate", r#"{"motd": 1}"#).await.status, 400);
    assert_eq!(server.get("/tx/list").await.json(), json!([]));
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "hello"}));
}

#[tokio::test]
async fn the_history_tells_and_goes_back() {
    let host = TestHost::new();
    let server = host.open();
    let one = server.set(r#"{"motd": "one"}"#).await.number("visco-commit");
    let two = server.set(r#"{"kernel": {"sysctl": {"a": "1"}}}"#).await.number("visco-commit");
    let history: Vec<wire::CommitSummary> =
        serde_json::from_value(server.get("/commits").await.json()).unwrap();
    assert_eq!(history.iter().map(|c| c.id).collect::<Vec<_>>(), [3, 2, 1]);
    let page = server.get("/commits?limit=1&before=3").await.json();
    assert_eq!(page[0]["id"], 2);
    let shown = server.get(&format!("/commits/{one}")).await.json();
    assert_eq!(shown["changes"], json!([{"layer": "api", "key": "settings.motd", "new": "one"}]));
    assert_eq!(shown["author"]["pid"], std::process::id());
    assert_eq!(server.get("/commits/verify").await.json()["intact"], true);
    let origin = server.get("/settings/origin?keys=motd").await.json();
    assert_eq!(origin[0]["values"][0]["layer"], "api");
    assert_eq!(origin[0]["values"][0]["by"]["id"], one);
    assert_eq!(origin[0]["values"][1]["layer"], "default");

    let reverted = server.call("POST", &format!("/commits/{one}/revert"), "").await;
    assert_eq!(reverted.status, 200, "{reverted:?}");
    assert!(reverted.headers.contains_key("visco-job"));
    assert_eq!(server.get("/settings?keys=settings.motd").await.json(), json!({"motd": "hello"}));
    assert_eq!(server.call("POST", &format!("/commits/{one}/revert"), "").await.status, 409, "changed since");
    let restored = server.call("POST", &format!("/commits/{two}/restore"), "").await;
    assert_eq!(restored.json(), json!(["settings.motd"]));
    assert_eq!(server.get("/settings?keys=settings.motd").await.json(), json!({"motd": "one"}));
}

#[tokio::test]
async fn a_trial_ends_by_itself_or_by_confirmation() {
    let host = TestHost::new();
    let server = host.open();
    server.call("PATCH", "/settings", r#"{"motd": "risky"}"#).await;
    let tried = server.call("POST", "/tx/commit_and_apply?try=1", "").await.number("visco-commit");
    assert_eq!(server.get("/status").await.json()["trials"][0]["commit"], tried);
    let mut events = server.api.app().events.stream();
    next_event(&mut events, "trial-ended").await;
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "hello"}));
    assert_eq!(server.get("/status").await.json()["trials"], json!([]));

    server.call("PATCH", "/settings", r#"{"motd": "good"}"#).await;
    let tried = server.call("POST", "/tx/commit?try=60", "").await.number("visco-commit");
    assert_eq!(server.call("POST", &format!("/commits/{tried}/confirm"), "").await.status, 204);
    assert_eq!(server.call("POST", &format!("/commits/{tried}/confirm"), "").await.status, 409);
    assert_eq!(server.get("/status").await.json()["trials"], json!([]));
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "good"}));
}

#[tokio::test]
async fn a_trial_that_ended_while_the_server_was_down_is_undone_at_the_start() {
    let host = TestHost::new();
    let server = host.open();
    server.call("PATCH", "/settings", r#"{"motd": "risky"}"#).await;
    server.call("POST", "/tx/commit?try=1", "").await;
    server.stop().await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let server = host.open();
    let mut events = server.api.app().events.stream();
    next_event(&mut events, "trial-ended").await;
    assert_eq!(server.get("/settings").await.json(), json!({"motd": "hello"}));
}

async fn next_event(events: &mut Body, kind: &str) -> String {
    use http_body_util::BodyExt;
    let next = async {
        loop {
            let frame = events.frame().await.unwrap().unwrap().into_data().unwrap();
            let text = String::from_utf8(frame.to_vec()).unwrap();
            if text.starts_with(&format!("event: {kind}\n")) {
                return text;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), next).await.expect("the event comes")
}

#[tokio::test]
async fn jobs_report_and_events_tell() {
    let host = TestHost::new();
    let server = host.open();
    let mut events = server.api.app().events.stream();
    server.call("PATCH", "/settings", r#"{"motd": "a"}"#).await;
    let first = server.call("POST", "/tx/commit_and_apply", "").await;
    let commit = next_event(&mut events, "commit").await;
    assert!(commit.contains("\"settings.motd\""), "{commit}");
    next_event(&mut events, "job").await;
    let job = server.get(&format!("/jobs/{}?wait=10", first.number("visco-job"))).await.json();
    assert_eq!((&job["state"], &job["commits"]), (&json!("succeeded"), &json!([2])));
    server.call("PATCH", "/settings", r#"{"kernel": {"lockdown": "none"}}"#).await;
    let second = server.call("POST", "/tx/commit_and_apply", "").await;
    let job = server.get(&format!("/jobs/{}?wait=10", second.number("visco-job"))).await.json();
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().unwrap().contains("no luck"), "{job}");
    let status = server.get("/status").await.json();
    assert_eq!(status["jobs-failed"], 1);
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("visco_api_jobs_total{result=\"failed\"} 1"), "{metrics}");
    assert!(metrics.contains("visco_api_commit_seconds_count 2"), "{metrics}");
}

#[tokio::test]
async fn a_host_in_a_directory_records_a_reboot() {
    let host = TestHost::new();
    let server = host.open();
    assert_eq!(server.call("POST", "/actions/reboot", "").await.status, 204);
    let log = host.host().read(host::COMMAND_LOG).unwrap().unwrap();
    assert_eq!(log, b"systemctl reboot --check-inhibitors=yes\n");
}

#[tokio::test]
async fn roles_and_layers_are_for_those_who_have_them() {
    let host = TestHost::new();
    host.write("etc/visco/api-policy.toml", "[roles]\nwrite = { uids = [10001] }\nreboot = { uids = [] }\n");
    let server = host.open();
    let user = |uid| Peer { uid, gid: 20001, pid: 1 };
    let rows = [
        (10001, "PATCH", "/settings", 204),
        (10001, "PATCH", "/settings?layer=user-data", 403),
        (10001, "PATCH", "/settings?layer=generated", 403),
        (10001, "POST", "/tx/commit?mark=user-data", 403),
        (10001, "POST", "/actions/reboot", 403),
        (10002, "PATCH", "/settings", 403),
        (10002, "DELETE", "/tx", 403),
        (10002, "POST", "/settings/validate", 200),
        (10002, "GET", "/settings", 200),
        (server.peer.uid, "PATCH", "/settings?layer=user-data", 204),
        (server.peer.uid, "POST", "/actions/reboot", 204),
    ];
    for (uid, method, uri, status) in rows {
        let request =
            Request::builder().method(method).uri(uri).body(Body::from(r#"{"motd": "x"}"#)).unwrap();
        let answer = server.send_as(user(uid), request).await;
        assert_eq!(answer.status, status, "{uid} {method} {uri}: {answer:?}");
    }
}

#[tokio::test]
async fn a_server_comes_up_with_a_bad_default_and_a_bad_stored_value() {
    let host = TestHost::new();
    let server = host.open();
    server.set(r#"{"motd": "good"}"#).await;
    server.stop().await;
    let db = rusqlite::Connection::open(host.root.path().join("var/store/settings.db")).unwrap();
    db.execute("UPDATE settings SET value = '5' WHERE layer = 'api'", []).unwrap();
    db.close().unwrap();
    host.write(
        "usr/share/visco/variant.toml",
        &server::VARIANT
            .replace("motd = \"hello\"", "motd = \"hello\"\nkernel.sysctl.a = 5\nkernel.lockdown = 'none'"),
    );
    let server = host.open();
    assert_eq!(
        server.get("/settings").await.json(),
        json!({"motd": "hello", "kernel": {"lockdown": "none"}})
    );
    let status = server.get("/status").await.json();
    assert_eq!(status["quarantined"][0]["key"], "settings.motd");
    assert_eq!(server.call("DELETE", "/settings?keys=motd", "").await.status, 204);
    server.call("POST", "/tx/commit", "").await;
    assert_eq!(server.get("/status").await.json()["quarantined"], json!([]));
}

#[tokio::test]
async fn a_bad_policy_and_a_second_server_are_refused() {
    let host = TestHost::new();
    let server = host.open();
    let error = apiserver::open(&host.host(), &host.config()).err().unwrap();
    let text = host::program::chain(&error);
    assert!(text.contains("in use by another process"), "{text}");
    server.stop().await;
    host.write("etc/visco/api-policy.toml", "[roles]\nread = 5\n");
    let error = apiserver::open(&host.host(), &host.config()).err().unwrap();
    let text = host::program::chain(&error);
    assert!(text.contains("/etc/visco/api-policy.toml"), "{text}");
}
