//! From the image and the store to a listening server.

use crate::api::{Api, BodyLimit};
use crate::app::Parts;
use crate::events::Events;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::policy::PolicyError;
use crate::socket::Listening;
use crate::{App, Image, ImageError, Limits, ListenError, Peer, Policy, serve, socket};
use datastore::{OpenOptions, Opened, Store, StoreError};
use host::Host;
use serde_json::Value;
use settings::{Key, Schema, UnknownGroup};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use wire::MARK_USER_DATA;

/// What the server is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the datastore, on the host.
    pub datastore_path: PathBuf,
    /// Where to listen, on the host.
    pub socket_path: PathBuf,
    /// Group that may use the socket.
    pub socket_gid: Option<u32>,
}

/// A server that could not start.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum StartError {
    #[snafu(display("read the image"))]
    Image { source: ImageError },
    #[snafu(display("the image names a settings group that this server does not know"))]
    Group { source: UnknownGroup },
    #[snafu(display("read who may use the API"))]
    ReadPolicy { source: PolicyError },
    #[snafu(display("{} does not exist; 'storewolf' makes it at boot", path.display()))]
    NoDatastore { path: PathBuf },
    #[snafu(display("open the store"))]
    OpenStore { source: StoreError },
    #[snafu(display("replace the defaults"))]
    ReplaceDefaults { source: StoreError },
    #[snafu(display("open the socket"))]
    Socket { source: ListenError },
    #[snafu(display("serve the socket"))]
    Serve { source: std::io::Error },
    #[snafu(display("handle signals"))]
    Signals { source: std::io::Error },
}

/// Runs the server until it is told to stop (SIGTERM, SIGINT).
pub async fn start(host: &Host, config: Config) -> Result<(), StartError> {
    let (app, run_jobs) = open(host, &config)?;
    let app = Arc::new(app);
    let path = host.path(&config.socket_path);
    let (listener, ours) = match socket::listen(&path, config.socket_gid).context(SocketSnafu)? {
        Listening::Inherited(listener) => (listener, false),
        Listening::Own(listener) => (listener, true),
    };
    listener.set_nonblocking(true).context(ServeSnafu)?;
    let listener = UnixListener::from_std(listener).context(ServeSnafu)?;
    let mut terminate = signal(SignalKind::terminate()).context(SignalsSnafu)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(SignalsSnafu)?;
    tokio::spawn(run_jobs);
    let watched = app.clone();
    tokio::spawn(async move { watched.watch_trials().await });
    tracing::info!(socket = %path.display(), "ready");
    socket::notify("READY=1");
    let limits = Limits::default();
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        socket::notify("STOPPING=1");
    };
    serve(listener, Api::new(app, BodyLimit(limits.body)), limits, stop).await;
    if ours {
        // The store is still locked, so that no other server has made a new one. The next start would replace it.
        drop(std::fs::remove_file(&path));
    }
    Ok(())
}

/// Opens everything but the socket. Gives the server and the task that runs its jobs.
pub fn open(
    host: &Host,
    config: &Config,
) -> Result<(App, impl Future<Output = ()> + Send + use<>), StartError> {
    let image = Image::load(host).context(ImageSnafu)?;
    let schema = Schema::with_groups(&image.variant.groups).context(GroupSnafu)?;
    let policy = Policy::load(host).context(ReadPolicySnafu)?;
    let folder = host.path(&config.datastore_path);
    ensure!(folder.is_dir(), NoDatastoreSnafu { path: folder });
    let file = folder.join("settings.db");
    let options = OpenOptions { set_damaged_aside: true, ..OpenOptions::default() };
    let mut opened = Store::open_with(&file, &options).context(OpenStoreSnafu)?;
    opened.quarantine(|key, value| check(&schema, key, value));
    if let Some(aside) = &opened.set_aside {
        tracing::error!(aside = %aside.display(), "the datastore was damaged; starting with an empty one");
    }
    for leaf in &opened.quarantined {
        tracing::warn!(layer = leaf.layer, key = leaf.key, why = leaf.why, "a stored value is left out");
    }
    let Opened { mut store, snapshot, .. } = opened;
    let defaults = valid_defaults(&schema, &image.variant.settings);
    let now = jiff::Timestamp::now().as_millisecond();
    let snapshot = store
        .replace_defaults(snapshot, defaults, Peer::own().author(), now)
        .context(ReplaceDefaultsSnafu)?;
    let marks: BTreeMap<String, u64> = store
        .mark(MARK_USER_DATA)
        .context(OpenStoreSnafu)?
        .map(|commit| (MARK_USER_DATA.to_owned(), commit))
        .into_iter()
        .collect();
    let trials = store.trials().context(OpenStoreSnafu)?;
    let (events, metrics) = (Events::default(), Arc::new(Metrics::default()));
    let (jobs, run_jobs) = Jobs::new(host.clone(), events.clone(), metrics.clone());
    let host = host.clone();
    let app = App::new(Parts { host, image, schema, policy, jobs, events, metrics, store, snapshot, marks });
    app.trials.resume(&trials);
    Ok((app, run_jobs))
}

fn check(schema: &Schema, key: &Key, value: &Value) -> Result<(), String> {
    match schema.check(key, value.clone()) {
        Ok((canonical, _)) if canonical == *key => Ok(()),
        Ok((canonical, _)) => Err(format!("its name is now {canonical}")),
        Err(violation) => Err(violation.to_string()),
    }
}

/// The defaults of the image, without those that are not valid: an image with one wrong default must still come
/// up and be reachable.
fn valid_defaults(schema: &Schema, settings: &Value) -> Vec<(Key, Value)> {
    if let Ok(leaves) = schema.flatten(settings) {
        return leaves;
    }
    let Value::Object(groups) = settings else { return Vec::new() };
    let mut valid = Vec::new();
    for (name, value) in groups {
        let group = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        match schema.flatten(&group) {
            Ok(leaves) => valid.extend(leaves),
            Err(violations) => {
                for violation in violations {
                    tracing::error!(%violation, "a default of the image is not valid");
                }
                valid.extend(valid_leaves(schema, name, value));
            }
        }
    }
    valid
}

/// The leaves of a group that are valid each for itself.
fn valid_leaves(schema: &Schema, group: &str, value: &Value) -> Vec<(Key, Value)> {
    let Ok(root) = Key::from_segments(["settings", group]) else { return Vec::new() };
    let mut valid = Vec::new();
    let mut left = vec![(root, value)];
    while let Some((key, value)) = left.pop() {
        match (schema.check(&key, value.clone()), value) {
            (Ok(leaf), _) => valid.push(leaf),
            (Err(_), Value::Object(members)) => {
                left.extend(members.iter().filter_map(|(name, v)| Some((key.child(name).ok()?, v))));
            }
            (Err(_), _) => {}
        }
    }
    valid
}
