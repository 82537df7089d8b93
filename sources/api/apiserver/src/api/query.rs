//! Query parameters.

use crate::app::setting_key;
use crate::{ApiError, CommitOptions, Peer, trials};
use datastore::{Layer, TransactionName};
use serde::Deserialize;
use settings::Key;
use std::time::Duration;
use wire::routes;

/// Names a transaction, and what to do with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    pub tx: Option<String>,
    pub layer: Option<String>,
    pub message: Option<String>,
    pub mark: Option<String>,
    pub keys: Option<String>,
    #[serde(rename = "try")]
    pub trial: Option<String>,
}

impl Change {
    pub(super) fn name(&self) -> Result<TransactionName, ApiError> {
        TransactionName::parse(self.tx.as_deref().unwrap_or(routes::DEFAULT_TRANSACTION))
            .map_err(ApiError::Pending)
    }

    /// The layer written to: as asked for, else user data during launch and the API layer afterwards.
    pub(super) fn layer(&self, peer: Peer) -> Result<Layer, ApiError> {
        let bad = |what: String| Err(ApiError::BadRequest { what });
        let Some(name) = &self.layer else {
            let launching = self.tx.as_deref() == Some(routes::LAUNCH_TRANSACTION) && peer.is_privileged();
            return Ok(if launching { Layer::UserData } else { Layer::Api });
        };
        match Layer::from_name(name) {
            Some(Layer::Default) => {
                bad("the layer 'default' comes from the image and cannot be written".to_owned())
            }
            Some(Layer::Api) => Ok(Layer::Api),
            Some(layer) if peer.is_privileged() => Ok(layer),
            Some(layer) => {
                Err(ApiError::Forbidden { what: format!("only root may write the layer '{layer}'") })
            }
            None => bad(format!("'{name}' is not a layer; it must be generated, user-data or api")),
        }
    }

    /// How to commit.
    pub(super) fn options(&self, peer: Peer) -> Result<CommitOptions, ApiError> {
        if let Some(mark) = self.mark.as_ref().filter(|_| !peer.is_privileged()) {
            return Err(ApiError::Forbidden { what: format!("only root may set the mark '{mark}'") });
        }
        Ok(CommitOptions {
            message: self.message.clone().unwrap_or_default(),
            marks: self.mark.iter().cloned().collect(),
            trial: self.trial.as_deref().map(trial_limit).transpose()?,
            ends_trial: None,
        })
    }
}

fn trial_limit(text: &str) -> Result<Duration, ApiError> {
    let longest = trials::LONGEST.as_secs();
    match text.parse() {
        Ok(seconds) if (1..=longest).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => {
            let what = format!("'try' is '{text}'; it must be a number of seconds from 1 to {longest}");
            Err(ApiError::BadRequest { what })
        }
    }
}

/// Selects by names or by a prefix.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Select {
    pub keys: Option<String>,
    pub names: Option<String>,
    pub prefix: Option<String>,
}

impl Select {
    /// The keys, which the request must name.
    pub(super) fn required_keys(&self) -> Result<Vec<Key>, ApiError> {
        required_keys(self.keys.as_deref())
    }

    /// The prefix, if there is one; an empty one is an error.
    pub(super) fn prefix(&self) -> Result<Option<&str>, ApiError> {
        match self.prefix.as_deref() {
            Some("") => Err(ApiError::BadRequest { what: "the prefix is empty".to_owned() }),
            prefix => Ok(prefix),
        }
    }
}

/// The keys of a comma-separated list that the request must have.
pub(super) fn required_keys(list: Option<&str>) -> Result<Vec<Key>, ApiError> {
    list.map_or_else(|| Err(ApiError::BadRequest { what: "the query needs 'keys'".to_owned() }), keys)
}

/// Splits a comma-separated list; an empty one is an error.
pub(super) fn split<'a>(what: &str, list: &'a str) -> Result<Vec<&'a str>, ApiError> {
    if list.is_empty() {
        return Err(ApiError::BadRequest { what: format!("the list '{what}' is empty") });
    }
    let mut items: Vec<&str> = list.split(',').collect();
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

/// The keys of a comma-separated list.
pub(super) fn keys(list: &str) -> Result<Vec<Key>, ApiError> {
    split("keys", list)?.into_iter().map(|name| name.parse().map_err(ApiError::BadKey)).collect()
}

/// Keys of settings, whose first segment `settings` may be left out.
pub(super) fn setting_keys(list: Option<&str>) -> Result<Vec<Key>, ApiError> {
    let Some(list) = list else { return required_keys(None) };
    split("keys", list)?.into_iter().map(|name| setting_key(name).map_err(ApiError::BadKey)).collect()
}
