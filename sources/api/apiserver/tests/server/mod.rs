//! A host in a temporary folder, and clients of its server.

// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::unused_self, clippy::missing_panics_doc)]

use apiserver::api::{Api, BodyLimit};
use apiserver::{Config, Limits, Peer, serve};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use host::Host;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::UnixListener;

pub const VARIANT: &str = r#"
name = "metal-dev"
groups = ["motd", "kernel"]

[settings]
motd = "hello"

[services.login]
configuration-files = ["motd"]
restart-commands = ["systemctl try-restart login.service"]

[configuration-files.motd]
path = "/etc/motd"
template-path = "motd"

[metadata.settings.motd]
affected-services = ["login"]
"#;

/// An applier that reports what it was asked, slowly enough to be caught running.
const APPLIER: &str = "#!/bin/sh\nkeys=$(cat)\nsleep 0.1\ncase \"$keys\" in *lockdown*) echo 'no luck' >&2; exit 3;; esac\n\
    echo '{\"files\":[],\"services\":[]}'\n";

pub struct TestHost {
    pub root: TempDir,
}

impl TestHost {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = Self { root };
        host.write("usr/share/visco/variant.toml", VARIANT);
        host.write(
            "usr/lib/os-release",
            "PRETTY_NAME=Visco\nVARIANT_ID=metal-dev\nVERSION_ID=1.0.0\nBUILD_ID=b\n",
        );
        host.write("usr/bin/thar-be-settings", APPLIER);
        let applier = host.root.path().join("usr/bin/thar-be-settings");
        std::fs::set_permissions(applier, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(host.root.path().join("var/store")).unwrap();
        host
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn host(&self) -> Host {
        Host::new(self.root.path())
    }

    pub fn config(&self) -> Config {
        Config {
            datastore_path: PathBuf::from("/var/store"),
            socket_path: PathBuf::from("/run/api.sock"),
            socket_gid: None,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.root.path().join("run/api.sock")
    }

    /// A server without its socket, with its tasks.
    pub fn open(&self) -> Server {
        let (app, jobs) = apiserver::open(&self.host(), &self.config()).unwrap();
        let app = Arc::new(app);
        let watched = app.clone();
        let tasks = vec![tokio::spawn(jobs), tokio::spawn(async move { watched.watch_trials().await })];
        Server { api: Api::new(app, BodyLimit::default()), peer: Peer::own(), tasks }
    }

    /// A server with its socket.
    pub fn serve(&self, limits: Limits) -> Server {
        let server = self.open();
        std::fs::create_dir_all(self.socket().parent().unwrap()).unwrap();
        let listener = UnixListener::bind(self.socket()).unwrap();
        let api = Api::new(server.api.app().clone(), BodyLimit(limits.body));
        let mut server = server;
        server.tasks.push(tokio::spawn(serve(listener, api, limits, std::future::pending())));
        server
    }
}

pub struct Server {
    pub api: Api,
    pub peer: Peer,
    pub tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn number(&self, header: &str) -> u64 {
        self.headers[header].to_str().unwrap().parse().unwrap()
    }
}

impl Server {
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_as(self.peer, request).await
    }

    pub async fn send_as(&self, peer: Peer, request: Request<Body>) -> Answer {
        let (parts, body) = self.api.answer(peer, request).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn call(&self, method: &str, uri: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(uri).body(Body::from(body.to_owned())).unwrap();
        self.send(request).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.call("GET", uri, "").await
    }

    /// Sets and commits; gives the commit.
    pub async fn set(&self, settings: &str) -> Answer {
        let patched = self.call("PATCH", "/settings", settings).await;
        assert_eq!(patched.status, 204, "{patched:?}");
        let committed = self.call("POST", "/tx/commit", "").await;
        assert_eq!(committed.status, 200, "{committed:?}");
        committed
    }

    /// Ends its tasks, and with them its hold on the store.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            drop(task.await);
        }
    }
}
