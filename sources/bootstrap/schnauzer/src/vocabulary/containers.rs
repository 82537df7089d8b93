//! Helpers of `oci-defaults`, `ecs` and `container-registry`.

use super::{Call, Kind, Row};
use serde_json::{Map, Value, json};

pub(super) const ROWS: &[Row] = &[
    Row { extension: "oci-defaults", name: "oci_defaults", args: 2, kind: Kind::Literal, run: oci_defaults },
    Row {
        extension: "ecs",
        name: "ecs_metadata_service_limits",
        args: 2,
        kind: Kind::Value,
        run: ecs_metadata_service_limits,
    },
    Row {
        extension: "container-registry",
        name: "mirror_endpoints",
        args: 1,
        kind: Kind::Literal,
        run: mirror_endpoints,
    },
    Row {
        extension: "container-registry",
        name: "registry_credentials",
        args: 1,
        kind: Kind::Literal,
        run: registry_credentials,
    },
];

/// What a limit is called by a setting and by Linux.
const LIMITS: [(&str, &str); 16] = [
    ("max-address-space", "AS"),
    ("max-core-file-size", "CORE"),
    ("max-cpu-time", "CPU"),
    ("max-data-size", "DATA"),
    ("max-file-locks", "LOCKS"),
    ("max-file-size", "FSIZE"),
    (LOCKED_MEMORY, "MEMLOCK"),
    ("max-msgqueue-size", "MSGQUEUE"),
    ("max-nice-priority", "NICE"),
    ("max-open-files", "NOFILE"),
    ("max-pending-signals", "SIGPENDING"),
    ("max-processes", "NPROC"),
    ("max-realtime-priority", "RTPRIO"),
    ("max-realtime-timeout", "RTTIME"),
    ("max-resident-set", "RSS"),
    ("max-stack-size", "STACK"),
];

const LOCKED_MEMORY: &str = "max-locked-memory";

#[derive(Clone, Copy)]
enum Runtime {
    Containerd,
    Docker,
}

/// The section is named by the last word of the second argument's path, so an absent section is known too.
fn oci_defaults(call: &Call) -> Result<Value, String> {
    let runtime = match call.text(0)? {
        "containerd" => Runtime::Containerd,
        "docker" => Runtime::Docker,
        other => return Err(format!("argument 1 must be \"containerd\" or \"docker\", not \"{other}\"")),
    };
    let empty = Map::new();
    let members = match call.args[1] {
        Value::Object(members) => members,
        Value::Null => &empty,
        _ => return Err(call.mismatch(1, "a map")),
    };
    match call.paths[1].and_then(|path| path.rsplit(['.', '/']).next()) {
        Some("capabilities") => capabilities(runtime, members),
        Some("resource-limits") => resource_limits(runtime, members, call.facts.efa_present),
        _ => Err("argument 2 must be a path that ends in 'capabilities' or 'resource-limits'".into()),
    }
}

fn capabilities(runtime: Runtime, members: &Map<String, Value>) -> Result<Value, String> {
    let mut granted = Vec::new();
    for (name, value) in members {
        let value = value.as_bool().ok_or_else(|| format!("capability '{name}' must be a boolean"))?;
        if value {
            granted.push(format!("CAP_{}", name.to_uppercase().replace('-', "_")));
        }
    }
    granted.sort_unstable();
    Ok(match runtime {
        Runtime::Docker => json!(granted),
        Runtime::Containerd => json!({ "bounding": granted, "effective": granted, "permitted": granted }),
    })
}

/// In the order of the settings' names.
fn resource_limits(
    runtime: Runtime,
    members: &Map<String, Value>,
    efa_present: bool,
) -> Result<Value, String> {
    if let Some(name) = members.keys().find(|name| LIMITS.iter().all(|(known, _)| known != name)) {
        return Err(format!("'{name}' is not a resource limit"));
    }
    // An EFA device pins the memory it transfers to and from.
    let unlimited = json!({ "hard-limit": -1, "soft-limit": -1 });
    let mut limits = Vec::new();
    for (name, linux) in LIMITS {
        let pair = match members.get(name) {
            Some(pair) => pair,
            None if name == LOCKED_MEMORY && efa_present => &unlimited,
            None => continue,
        };
        let limit = |which: &str| {
            let number = pair.get(which).and_then(Value::as_i64).filter(|number| *number >= -1);
            number.ok_or_else(|| format!("'{name}' needs a number as '{which}'"))
        };
        limits.push((linux, limit("hard-limit")?, limit("soft-limit")?));
    }
    Ok(match runtime {
        Runtime::Containerd => limits
            .iter()
            .map(|(linux, hard, soft)| {
                json!({ "type": format!("RLIMIT_{linux}"), "hard": oci_limit(*hard), "soft": oci_limit(*soft) })
            })
            .collect(),
        Runtime::Docker => limits
            .iter()
            .map(|(linux, hard, soft)| {
                let name = linux.to_lowercase();
                (name.clone(), json!({ "Name": name, "Hard": hard, "Soft": soft }))
            })
            .collect::<Map<_, _>>()
            .into(),
    })
}

/// The OCI runtime specification has unsigned limits; `RLIM_INFINITY` is the largest.
fn oci_limit(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

fn ecs_metadata_service_limits(call: &Call) -> Result<Value, String> {
    let number = |index: usize, fallback: i64| match call.args[index] {
        Value::Null => Ok(fallback),
        value => value.as_i64().ok_or_else(|| call.mismatch(index, "a whole number")),
    };
    Ok(format!("{},{}", number(0, 40)?, number(1, 60)?).into())
}

/// Registry to endpoints; entries of the same registry are put together, each endpoint once. Takes the list form
/// and the older table form.
fn mirror_endpoints(call: &Call) -> Result<Value, String> {
    let mut by_registry: Map<String, Value> = Map::new();
    let mut add = |registry: &str, endpoints: &Value| {
        let endpoints =
            endpoints.as_array().ok_or_else(|| format!("mirror '{registry}' needs a list of endpoints"))?;
        let known = by_registry.entry(registry).or_insert_with(|| json!([]));
        let known = known.as_array_mut().expect("inserted as a list");
        for endpoint in endpoints {
            if !known.contains(endpoint) {
                known.push(endpoint.clone());
            }
        }
        Ok::<(), String>(())
    };
    match call.args[0] {
        Value::Null => {}
        Value::Object(table) => {
            table.iter().try_for_each(|(registry, endpoints)| add(registry, endpoints))?;
        }
        Value::Array(list) => {
            for (registry, entry) in named(list, "mirror")? {
                add(registry, entry.get("endpoint").unwrap_or(&json!([])))?;
            }
        }
        _ => return Err(call.mismatch(0, "a list")),
    }
    Ok(by_registry.into())
}

/// Registry to its credentials, under the name that Docker Hub's registry has; the last entry of a registry counts.
fn registry_credentials(call: &Call) -> Result<Value, String> {
    let list = match call.args[0] {
        Value::Null => return Ok(json!({})),
        Value::Array(list) => list,
        _ => return Err(call.mismatch(0, "a list")),
    };
    let mut by_registry = Map::new();
    for (registry, entry) in named(list, "credential")? {
        let registry = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let mut members = entry.clone();
        members.retain(|member, value| member != "registry" && !value.is_null());
        by_registry.insert(registry.to_owned(), members.into());
    }
    Ok(by_registry.into())
}

/// The entries of a list with the registry each is for.
#[allow(clippy::type_complexity)]
fn named<'a>(list: &'a [Value], what: &str) -> Result<Vec<(&'a str, &'a Map<String, Value>)>, String> {
    let pair = |(index, entry): (usize, &'a Value)| {
        let registry = entry.get("registry").and_then(Value::as_str);
        let registry = registry.ok_or_else(|| format!("{what} {} needs a 'registry'", index + 1))?;
        Ok((registry, entry.as_object().expect("has a member")))
    };
    list.iter().enumerate().map(pair).collect()
}
