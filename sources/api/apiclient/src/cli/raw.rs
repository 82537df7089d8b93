//! A request as it is, and the reboot.

use super::failure::Failure;
use super::session::Session;
use super::{Exit, output};
use bytes::Bytes;
use hyper::Method;

/// A request.
#[derive(clap::Args, Debug)]
pub(super) struct Raw {
    /// URI to ask for, like /settings?keys=settings.motd
    #[arg(short, long)]
    uri: Option<String>,

    /// Method of the request
    #[arg(short, long, visible_short_alias = 'X', default_value = "GET")]
    method: Method,

    /// Body of the request
    #[arg(short, long)]
    data: Option<String>,
}

impl Raw {
    /// Whether any of it was given.
    pub(super) fn is_given(&self) -> bool {
        self.uri.is_some() || self.data.is_some() || self.method != Method::GET
    }
}

pub(super) async fn run(session: &Session, raw: Raw) -> Result<Exit, Failure> {
    let Some(uri) = raw.uri else {
        return Err(super::failure::usage(
            "name what to ask for with --uri, like 'apiclient raw --uri /settings'",
        ));
    };
    let answer = session.client.send(raw.method.clone(), &uri, raw.data.map(Bytes::from)).await?;
    if session.verbose {
        output::say(&answer.status.to_string());
    }
    let answer = answer.checked(&raw.method, &uri)?;
    if !answer.body.is_empty() {
        match serde_json::from_slice::<serde_json::Value>(&answer.body) {
            Ok(document) => output::json(&document)?,
            Err(_) => output::bytes(&answer.body)?,
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn reboot(session: &Session) -> Result<Exit, Failure> {
    session.client.request(Method::POST, wire::routes::REBOOT, None).await?;
    Ok(Exit::Done)
}
