//! Whether the boot came to what it should: one check of a kind, repeated until it passes or the deadline is over.

use crate::api::Socket;
use crate::config::{load_if_present, secret_toml};
use bytes::Bytes;
use host::program::chain;
use host::{Command, CommandError, Host};
use http_body_util::Empty;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use modeled_types::{HealthDeadline, HttpUrl, Identifier, TcpEndpoint, UnitName};
use serde::Deserialize;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::routes;

/// Deadline of a host whose configuration does not say: a boot takes seconds, a slow network a minute or two.
const DEADLINE: Duration = Duration::from_mins(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// Limit of one attempt: what takes longer is not healthy.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
/// Its success is that every file was written and every service took its settings.
const APPLIER: &str = "settings-applier.service";
const RUNTIME: &str = "containerd.service";

const EXIT_CODES: &str = "Exit status: 0 the check passed before the deadline; 1 it did not; 2 wrong usage.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// What is checked
    #[arg(value_enum)]
    what: What,

    /// What the settings say
    #[arg(short, long, value_name = "FILE", default_value = "/etc/health.toml")]
    config_path: PathBuf,

    #[command(flatten)]
    socket: Socket,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum What {
    /// The settings were applied
    Settings,
    /// The API answers
    Api,
    /// The container runtime is up
    ContainerRuntime,
    /// The checks that the settings have
    User,
}

/// The configuration file, as its template writes it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Config {
    deadline: Option<HealthDeadline>,
    #[serde(default)]
    checks: BTreeMap<Identifier, Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    unit: Option<UnitName>,
    url: Option<HttpUrl>,
    tcp: Option<TcpEndpoint>,
}

/// What is not as it should be, or cannot be found out.
#[derive(Debug, Snafu)]
enum Unhealthy {
    #[snafu(display("ask systemctl for the state of {unit}"))]
    Ask { unit: String, source: CommandError },
    #[snafu(display("{unit} is {state}"))]
    NotActive { unit: String, state: String },
    #[snafu(display("ask the API server for the version of the host"))]
    Api { source: apiclient::ClientError },
    #[snafu(display("no answer from {whom} within {} s", ATTEMPT_LIMIT.as_secs()))]
    Late { whom: String },
    #[snafu(display("connect to {whom}"))]
    Connect { whom: String, source: std::io::Error },
    #[snafu(display("ask {url}"))]
    Http { url: String, source: hyper::Error },
    #[snafu(display("{url} answers with {status}"))]
    Status { url: String, status: StatusCode },
    #[snafu(display("{}", checks.join("; ")))]
    Checks { checks: Vec<String> },
    #[snafu(display("check '{name}' says nothing to check; give it a unit, a url or a tcp endpoint"))]
    Nothing { name: String },
    #[snafu(transparent)]
    Config { source: crate::config::ConfigError },
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(until_deadline(args, host))
}

/// Checks until the check passes; the deadline counts from the start of the kernel, and one attempt is always made.
async fn until_deadline(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let mut seen = String::new();
    loop {
        let Err(unhealthy) = attempt(args, host).await else {
            tracing::info!("healthy");
            return Ok(ExitCode::SUCCESS);
        };
        // What is read here again may have been written since.
        let config = config(args, host).unwrap_or_default();
        let deadline = config
            .deadline
            .map_or(DEADLINE, |seconds| Duration::from_secs(seconds.get().unsigned_abs().into()));
        if host.uptime()? >= deadline {
            return Err(format!(
                "not healthy {} s after the start: {}",
                deadline.as_secs(),
                chain(&unhealthy)
            )
            .into());
        }
        let text = chain(&unhealthy);
        if text != seen {
            tracing::info!("not healthy yet: {text}");
            seen = text;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(args: &Args, host: &Host) -> Result<(), Unhealthy> {
    match args.what {
        What::Settings => active(host, APPLIER),
        What::Api => api(args, host).await,
        What::ContainerRuntime => active(host, RUNTIME),
        What::User => user(&config(args, host)?.checks, host).await,
    }
}

fn config(args: &Args, host: &Host) -> Result<Config, Unhealthy> {
    Ok(load_if_present(host, &args.config_path, secret_toml)?.unwrap_or_default())
}

fn active(host: &Host, unit: &str) -> Result<(), Unhealthy> {
    let mut command = Command::new(["systemctl", "is-active", unit]);
    command.timeout = ATTEMPT_LIMIT;
    let output = host.run(&command).context(AskSnafu { unit })?;
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), NotActiveSnafu { unit, state });
    Ok(())
}

async fn api(args: &Args, host: &Host) -> Result<(), Unhealthy> {
    let client = apiclient::Client::new(host.path(&args.socket.socket_path));
    let answer = timeout(ATTEMPT_LIMIT, client.get::<serde_json::Value>(routes::OS)).await;
    answer.ok().context(LateSnafu { whom: "the API server" })?.context(ApiSnafu)?;
    Ok(())
}

/// All checks; those that fail are named together.
async fn user(checks: &BTreeMap<Identifier, Check>, host: &Host) -> Result<(), Unhealthy> {
    let mut failed = Vec::new();
    for (name, check) in checks {
        let result = match check {
            Check { unit: Some(unit), .. } => active(host, unit.as_str()),
            Check { url: Some(url), .. } => answers(url).await,
            Check { tcp: Some(endpoint), .. } => connect(endpoint.as_str()).await.map(drop),
            _ => NothingSnafu { name: name.as_str() }.fail(),
        };
        if let Err(unhealthy) = result {
            failed.push(format!("check '{name}': {}", chain(&unhealthy)));
        }
    }
    ensure!(failed.is_empty(), ChecksSnafu { checks: failed });
    Ok(())
}

async fn connect(endpoint: &str) -> Result<TcpStream, Unhealthy> {
    let stream = timeout(ATTEMPT_LIMIT, TcpStream::connect(endpoint)).await;
    stream.ok().context(LateSnafu { whom: endpoint })?.context(ConnectSnafu { whom: endpoint })
}

async fn answers(url: &HttpUrl) -> Result<(), Unhealthy> {
    let parsed = url.parsed();
    let host = parsed.host_str().unwrap_or_default();
    let authority = format!("{host}:{}", parsed.port_or_known_default().unwrap_or(80));
    let url = url.as_str();
    let ask = async {
        let stream = TokioIo::new(connect(&authority).await?);
        let handshake = hyper::client::conn::http1::handshake(stream).await;
        let (mut sender, connection) = handshake.context(HttpSnafu { url })?;
        // It ends with the exchange; what it has to report, the exchange reports.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::get(&parsed[url::Position::BeforePath..url::Position::AfterQuery])
            .header(HOST, &authority)
            .body(Empty::<Bytes>::new())
            .expect("a parsed URL makes a request");
        sender.send_request(request).await.context(HttpSnafu { url })
    };
    let answer = timeout(ATTEMPT_LIMIT, ask).await.ok().context(LateSnafu { whom: url })??;
    let status = answer.status();
    ensure!(status.is_success() || status.is_redirection(), StatusSnafu { url, status });
    Ok(())
}
