//! A host in a directory: the program of the boot steps as a process, the server in this one.

use apiserver::{Config, start};
use defaults::Catalog;
use host::Host;
use serde_json::Value;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) struct TestHost {
    pub(crate) host: Host,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _directory: TempDir,
}

impl TestHost {
    /// A host of a variant, up to the server.
    pub(crate) fn new(variant: &str) -> Self {
        let directory = TempDir::with_prefix("v").unwrap();
        let host = Host::new(directory.path());
        let variant = Catalog::embedded().variant(variant).unwrap().to_toml();
        host.replace("/usr/share/visco/variant.toml", variant.as_bytes(), 0o644).unwrap();
        host.replace("/usr/lib/os-release", b"VERSION_ID=1.2.3\nVARIANT_ID=test\n", 0o644).unwrap();
        let mut host = Self { host, server: None, _directory: directory };
        let storewolf = host.run(&["storewolf"]);
        assert!(storewolf.status.success(), "{storewolf:?}");
        host.start_server();
        host
    }

    /// A directory with nothing in it, for the verbs that need no server.
    pub(crate) fn empty() -> Self {
        let directory = TempDir::with_prefix("v").unwrap();
        Self { host: Host::new(directory.path()), server: None, _directory: directory }
    }

    /// A file, as text.
    pub(crate) fn text(&self, path: &str) -> String {
        String::from_utf8(self.host.read(path).unwrap().unwrap_or_else(|| panic!("{path} is missing")))
            .unwrap()
    }

    /// The commands that would have changed a machine since this was last asked.
    pub(crate) fn commands(&self) -> Vec<String> {
        let log = self.host.read(host::COMMAND_LOG).unwrap().unwrap_or_default();
        self.host.remove(host::COMMAND_LOG).unwrap();
        String::from_utf8(log).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) {
        self.host.replace(path, content.as_ref(), mode).unwrap();
    }

    pub(crate) fn user_data(&self, content: impl AsRef<[u8]>) {
        self.write("/var/lib/bottlerocket/user-data.toml", content, 0o600);
    }

    /// A generator that is a shell script.
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.write(&format!("/usr/bin/{name}"), format!("#!/bin/sh\n{script}\n"), 0o755);
    }

    /// Adds generators to those of the variant, and starts the server with them.
    pub(crate) fn generators(&mut self, generators: &[(&str, &str)]) {
        let path = "/usr/share/visco/variant.toml";
        let mut variant: toml::Table =
            String::from_utf8(self.host.read(path).unwrap().unwrap()).unwrap().parse().unwrap();
        let mut metadata = toml::Table::new();
        for (key, command) in generators {
            let mut here = &mut metadata;
            for segment in key.split('.') {
                let below = here.entry(segment).or_insert_with(|| toml::Table::new().into());
                here = below.as_table_mut().unwrap();
            }
            let generator: toml::Table = format!("g = {command}").parse().unwrap();
            here.insert("setting-generator".to_owned(), generator["g"].clone());
        }
        variant.insert("metadata".to_owned(), metadata.into());
        self.write(path, variant.to_string(), 0o644);
        self.stop_server();
        self.start_server();
    }

    pub(crate) fn start_server(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let host = self.host.clone();
        let config = Config {
            datastore_path: PathBuf::from("/var/lib/bottlerocket/datastore/current"),
            socket_path: PathBuf::from(wire::routes::SOCKET),
            socket_gid: None,
        };
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    result = start(&host, config) => result.unwrap(),
                    _ = stopped => {}
                }
            });
        };
        self.server = Some((stop, std::thread::spawn(serve)));
        let socket = self.host.path(wire::routes::SOCKET);
        let started = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the server listens");
            std::thread::yield_now();
        }
    }

    /// Ends the server without a word, so that only what is on the disk is left.
    pub(crate) fn stop_server(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            stop.send(()).ok();
            thread.join().unwrap();
            // A process that another test is just starting may hold a copy of the closed socket for a moment, and
            // take connections on it that nobody will answer.
            std::fs::remove_file(self.host.path(wire::routes::SOCKET)).ok();
        }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        command.args(args).arg("--root").arg(self.host.root()).output().unwrap()
    }

    /// Runs a verb, checks its exit status, and gives its standard error.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }

    pub(crate) fn get(&self, uri: &str) -> Value {
        let client = apiclient::Client::new(self.host.path(wire::routes::SOCKET));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.get(uri)).unwrap()
    }

    pub(crate) fn settings(&self) -> Value {
        self.get("/settings")
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if let Some((stop, _)) = self.server.take() {
            stop.send(()).ok();
        }
    }
}
