//! Settings and other parts of the model, by prefix.

use super::failure::{Failure, NotObjectSnafu, usage};
use super::session::Session;
use super::{Exit, output};
use crate::encode_query;
use serde_json::{Map, Value};
use snafu::ensure;
use user_data::merge;

/// What is shown when nothing is named.
const DEFAULT_PREFIXES: [&str; 2] = ["os.", "settings."];

/// What to ask for, in order.
fn uris(targets: &[String]) -> Result<Vec<String>, Failure> {
    let by_prefix = |prefix: &str| format!("/?prefix={}", encode_query(prefix));
    match targets {
        [] => Ok(DEFAULT_PREFIXES.map(by_prefix).to_vec()),
        [uri] if uri.starts_with('/') => Ok(vec![uri.clone()]),
        prefixes if prefixes.iter().any(|target| target.starts_with('/')) => {
            Err(usage("give either prefixes or one URI, not both"))
        }
        prefixes => Ok(prefixes.iter().map(|prefix| by_prefix(prefix)).collect()),
    }
}

pub(super) async fn run(session: &Session, targets: &[String]) -> Result<Exit, Failure> {
    let uris = uris(targets)?;
    if let [uri] = uris.as_slice() {
        output::json(&session.client.get::<Value>(uri).await?)?;
        return Ok(Exit::Done);
    }
    let mut model = Value::Object(Map::new());
    for uri in uris {
        let part: Value = session.client.get(&uri).await?;
        ensure!(part.is_object(), NotObjectSnafu { uri });
        merge(&mut model, part);
    }
    output::json(&model)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_requests() {
        for (targets, expected) in [
            (&[][..], Some(&["/?prefix=os.", "/?prefix=settings."][..])),
            (&["/settings?keys=a"], Some(&["/settings?keys=a"])),
            (&["settings.a.\"b.c\"", "os"], Some(&["/?prefix=settings.a.%22b.c%22", "/?prefix=os"])),
            (&["settings", "/os"], None),
            (&["/settings", "/os"], None),
        ] {
            let targets: Vec<String> = targets.iter().map(|&t| t.to_owned()).collect();
            let found = uris(&targets).ok();
            assert_eq!(found, expected.map(|e| e.iter().map(|&u| u.to_owned()).collect()), "{targets:?}");
        }
    }
}
