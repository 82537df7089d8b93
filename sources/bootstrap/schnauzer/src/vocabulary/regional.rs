//! Helpers of `aws` and `updates` that look a region up.

use super::{Call, Kind, Row};
use crate::regions;
use serde_json::Value;

pub(super) const ROWS: &[Row] = &[
    Row { extension: "aws", name: "ecr-prefix", args: 1, kind: Kind::Value, run: ecr_prefix },
    Row { extension: "updates", name: "tuf-prefix", args: 1, kind: Kind::Value, run: tuf_prefix },
    Row { extension: "updates", name: "metadata-prefix", args: 1, kind: Kind::Value, run: metadata_prefix },
];

fn ecr_prefix(call: &Call) -> Result<Value, String> {
    Ok(regions::ecr_host(call.text(0)?, call.facts.fips).into())
}

fn tuf_prefix(call: &Call) -> Result<Value, String> {
    Ok(regions::update_repository(call.text(0)?).into())
}

fn metadata_prefix(call: &Call) -> Result<Value, String> {
    let own = regions::has_own_repository(call.text(0)?);
    Ok(if own { "/metadata" } else { "" }.into())
}
