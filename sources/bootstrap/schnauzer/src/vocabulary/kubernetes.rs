//! Helpers of `kubernetes`: taints and reserved resources.

use super::{Call, Kind, Row};
use serde_json::Value;

pub(super) const ROWS: &[Row] = &[
    Row {
        extension: "kubernetes",
        name: "join_node_taints",
        args: 1,
        kind: Kind::Value,
        run: join_node_taints,
    },
    Row {
        extension: "kubernetes",
        name: "kube_reserve_cpu",
        args: 1,
        kind: Kind::Value,
        run: kube_reserve_cpu,
    },
    Row {
        extension: "kubernetes",
        name: "kube_reserve_memory",
        args: 2,
        kind: Kind::Value,
        run: kube_reserve_memory,
    },
];

/// `KEY=VALUE:EFFECT` for every taint, in the order of keys; a taint without value is `KEY=:EFFECT`.
fn join_node_taints(call: &Call) -> Result<Value, String> {
    let Value::Object(taints) = call.args[0] else {
        return if call.args[0].is_null() { Ok("".into()) } else { Err(call.mismatch(0, "a map")) };
    };
    let mut joined = Vec::new();
    for (key, values) in taints {
        let values = values.as_array().ok_or_else(|| format!("the taints of '{key}' must be a list"))?;
        for value in values {
            let value = value.as_str().ok_or_else(|| format!("a taint of '{key}' must be text"))?;
            joined.push(format!("{key}={value}"));
        }
    }
    Ok(joined.join(",").into())
}

fn kube_reserve_cpu(call: &Call) -> Result<Value, String> {
    match call.args[0] {
        Value::Null => Ok(format!("{}m", reserved_millicores(call.facts.cpu_count)).into()),
        Value::String(_) | Value::Number(_) => Ok(call.args[0].clone()),
        _ => Err(call.mismatch(0, "text or a number")),
    }
}

/// 60 for the first core, 10, 5 and 5 for the next three, 2.5 for each further one, rounded down.
fn reserved_millicores(cores: u32) -> u32 {
    match cores {
        0 => 0,
        1 => 60,
        2 => 70,
        3 => 75,
        cores => 80 + (cores - 4) * 5 / 2,
    }
}

fn kube_reserve_memory(call: &Call) -> Result<Value, String> {
    match (call.args[0], call.args[1]) {
        (_, value @ (Value::String(_) | Value::Number(_))) => Ok(value.clone()),
        (Value::Number(pods), Value::Null) => {
            let pods = pods.as_u64().and_then(|pods| u32::try_from(pods).ok());
            let pods = pods.ok_or("argument 1 must be a number of pods")?;
            Ok(format!("{}Mi", u64::from(pods) * 11 + 255).into())
        }
        (_, Value::Null) => Err(call.mismatch(0, "a number of pods")),
        _ => Err(call.mismatch(1, "text or a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::reserved_millicores;

    #[test]
    fn reserved_cpu_grows_slower_with_more_cores() {
        for (cores, millicores) in [(0, 0), (1, 60), (2, 70), (3, 75), (4, 80), (5, 82), (6, 85), (48, 190)] {
            assert_eq!(reserved_millicores(cores), millicores, "{cores} cores");
        }
    }
}
