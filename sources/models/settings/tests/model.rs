//! What holds of the whole model.

#![recursion_limit = "256"]

use proptest::prelude::*;
use serde_json::{Value, json};
use settings::{Key, Node, Schema, Settings, nest_below, reference_markdown};
use std::collections::BTreeSet;
use std::path::Path;

/// One valid value of every setting there is, each in the form in which it is stored.
#[expect(clippy::too_many_lines, reason = "one line for each setting")]
fn full() -> Value {
    let certificate = include_str!("../../modeled-types/src/testdata/certificate.base64").trim();
    json!({
        "motd": "two\nlines",
        "updates": {
            "metadata-base-url": "https://u/m", "targets-base-url": "https://u/t", "seed": 2047,
            "version-lock": "v1.2.3", "ignore-waves": true, "automatic": "apply", "check-interval": "90m",
            "apply-window": "22:00-02:00", "bandwidth-limit": 1_000_000,
        },
        "health": {"deadline": 600, "checks": {
            "kubelet": {"unit": "kubelet.service"}, "web": {"url": "http://127.0.0.1/"}, "dns": {"tcp": "[::1]:53"},
        }},
        "host-containers": {"admin": {
            "source": "public.ecr.aws/a/b:v1", "enabled": true, "superpowered": false, "user-data": "aGk=",
        }},
        "bootstrap-containers": {"b": {
            "source": "r/b:1", "mode": "once", "user-data": "", "essential": false,
        }},
        "bootstrap-commands": {"c": {
            "commands": [["apiclient", "set", "motd=x"]], "mode": "always", "essential": true,
        }},
        "ntp": {"time-servers": ["169.254.169.123"], "options": ["iburst"]},
        "network": {
            "hostname": "n1", "hosts": [["::1", ["a"]]], "https-proxy": "http://u:p@proxy:1",
            "no-proxy": [".local"],
        },
        "dns": {"name-servers": ["10.0.0.2"], "search-list": ["a.b"]},
        "kernel": {
            "lockdown": "integrity", "sysctl": {"net.ipv4.ip_forward": "1", "vm/swappiness": "0"},
            "modules": {"udf": {"allowed": true, "autoload": false}},
        },
        "boot": {
            "reboot-to-reconcile": true, "kernel": {"console": ["tty0", "ttyS0,1"]},
            "init": {"systemd.log_level": []},
        },
        "aws": {"region": "us-west-2", "config": "aGk=", "credentials": "aGk=", "profile": "default"},
        "cloudformation": {"should-signal": true, "stack-name": "", "logical-resource-id": "x"},
        "autoscaling": {"should-wait": true},
        "metrics": {"metrics-url": "https://m", "send-metrics": false, "service-checks": ["apiserver"]},
        "pki": {"ca": {"data": certificate, "trusted": true}},
        "container-registry": {
            "mirrors": [{"registry": "docker.io", "endpoint": ["https://m"]}],
            "credentials": [{
                "registry": "r", "username": "u", "password": "p", "auth": "dTpw", "identitytoken": "t",
            }],
        },
        "container-runtime": {
            "max-container-log-line-size": -1, "max-concurrent-downloads": 3,
            "enable-unprivileged-ports": true, "enable-unprivileged-icmp": false,
        },
        "oci-hooks": {"log4j-hotpatch-enabled": false},
        "oci-defaults": {
            "capabilities": {"net-admin": true},
            "resource-limits": {"max-open-files": {"hard-limit": -1, "soft-limit": 1024}},
        },
        "kubernetes": {
            "cluster-name": "c.1", "cluster-certificate": "aGk=", "api-server": "https://k",
            "node-labels": {"p.q/x": "v", "plain": ""}, "node-taints": {"a.b/c": ["v:NoSchedule", ":E"]},
            "static-pods": {"p": {"enabled": true, "manifest": "aGk="}},
            "authentication-mode": "tls", "bootstrap-token": "abcdef.0123456789abcdef", "standalone-mode": false,
            "eviction-hard": {"memory.available": "5%"}, "eviction-soft": {"pid.available": "1Gi"},
            "eviction-soft-grace-period": {"nodefs.inodesFree": "30s"}, "eviction-max-pod-grace-period": 0,
            "kube-reserved": {"cpu": "100m"}, "system-reserved": {"ephemeral-storage": "1Gi"},
            "allowed-unsafe-sysctls": ["net.*"], "server-tls-bootstrap": true, "cloud-provider": "",
            "registry-qps": 0, "registry-burst": 1, "event-qps": 2, "event-burst": 3, "kube-api-qps": 4,
            "kube-api-burst": 5, "container-log-max-size": "10Mi", "container-log-max-files": 5,
            "cpu-cfs-quota-enforced": true, "cpu-manager-policy": "Static",
            "cpu-manager-reconcile-period": "10s", "cpu-manager-policy-options": ["full-pcpus-only"],
            "topology-manager-scope": "pod", "topology-manager-policy": "single-numa-node",
            "pod-pids-limit": -1, "image-gc-high-threshold-percent": "85", "image-gc-low-threshold-percent": 80,
            "provider-id": "aws:///z/i-0", "log-level": 0,
            "credential-providers": {"ecr": {
                "enabled": true, "image-patterns": ["*"], "cache-duration": "12h", "environment": {"A": "b"},
            }},
            "server-certificate": "aGk=", "server-key": "aGk=", "shutdown-grace-period": "1m",
            "shutdown-grace-period-for-critical-pods": "30s",
            "memory-manager-reserved-memory": {"0": {
                "enabled": true, "memory": "1Gi", "hugepages-2Mi": "0", "hugepages-1Gi": "1Gi",
            }},
            "memory-manager-policy": "Static", "reserved-cpus": "0-3,8", "max-pods": 110,
            "cluster-dns-ip": ["10.0.0.10"], "cluster-domain": "cluster.local", "node-ip": "fd00::1",
            "pod-infra-container-image": "pause:3", "hostname-override": "n",
            "hostname-override-source": "instance-id", "seccomp-default": false,
        },
        "ecs": {
            "cluster": "c", "instance-attributes": {"a.b": "x y"}, "allow-privileged-containers": false,
            "logging-drivers": ["json-file"], "loglevel": "warn", "enable-spot-instance-draining": true,
            "image-pull-behavior": "prefer-cached", "container-stop-timeout": "30s", "task-cleanup-wait": "3h",
            "metadata-service-rps": 40, "metadata-service-burst": 60, "reserved-memory": 65535,
            "image-cleanup-wait": "30m", "image-cleanup-delete-per-cycle": 5, "image-cleanup-enabled": true,
            "image-cleanup-age": "1h", "backend-host": "", "awsvpc-block-imds": true,
            "enable-container-metadata": false,
        },
        "nvidia-container-runtime": {
            "visible-devices-as-volume-mounts": true, "visible-devices-envvar-when-unprivileged": false,
        },
        "kubelet-device-plugins": {"nvidia": {
            "pass-device-specs": true, "device-id-strategy": "index", "device-list-strategy": "volume-mounts",
            "device-sharing-strategy": "time-slicing",
            "time-slicing": {
                "replicas": 2, "rename-by-default": true, "fail-requests-greater-than-one": true,
            },
        }},
    })
}

#[test]
fn every_setting_round_trips_and_is_tried_here() {
    let schema = Schema::all();
    let leaves = schema.flatten(&full()).unwrap();
    assert_eq!(nest_below(leaves.iter().map(|(k, v)| (k, v)), 1), full());
    for (key, value) in &leaves {
        assert_eq!(schema.check(key, value.clone()).unwrap(), (key.clone(), value.clone()));
        // Typed text reads the same as JSON, except where text that looks like a number stays text.
        if value.is_boolean() || value.is_number() || value.is_array() {
            assert_eq!(schema.check_text(key, &value.to_string()).unwrap().1, *value, "{key}");
        }
    }
    let typed: Settings = serde_json::from_value(full()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), full());
    for leaf in schema.leaves() {
        let tried = leaves.iter().any(|(key, _)| matches(&leaf.pattern, key));
        assert!(tried, "{} has no value in this test", leaf.pattern);
    }
}

/// Whether a key has the form of a pattern.
fn matches(pattern: &str, key: &Key) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = key.segments().collect();
    pattern.len() == key.len() && pattern.iter().zip(&key).all(|(p, k)| *p == "<name>" || p == k)
}

#[test]
fn everything_is_documented_and_explained() {
    fn walk(schema: &Schema, name: &str, node: &Node) {
        if let Node::Group(group) = node {
            for field in &group.fields {
                let name = format!("{name}.{}", field.name);
                let sentence = field.doc.ends_with('.') || field.doc.ends_with('`');
                assert!(field.doc.len() > 10 && sentence, "{name} needs a sentence: {:?}", field.doc);
                let explanation = schema.explain(&name.parse().unwrap()).unwrap();
                assert!(!explanation.rule.is_empty() && !explanation.type_name.is_empty(), "{name}");
                assert_eq!(explanation.doc, field.doc);
                if !matches!(field.node, Node::Map(_)) {
                    walk(schema, &name, &field.node);
                }
            }
        }
    }
    let schema = Schema::all();
    for field in schema.groups() {
        assert!(field.doc.ends_with('.'), "{}", field.name);
        walk(&schema, &format!("settings.{}", field.name), &field.node);
    }
    for leaf in schema.leaves() {
        assert!(leaf.doc.len() > 10, "{}", leaf.pattern);
        assert!(leaf.rule.starts_with("must "), "{}: {}", leaf.pattern, leaf.rule);
    }
}

#[test]
fn explanations_name_members() {
    let explain = |name: &str| Schema::all().explain(&name.parse().unwrap()).unwrap();
    let table = explain("settings.host-containers");
    assert_eq!((table.kind, table.type_name.as_str()), ("table", "table of groups by Identifier"));
    let names: Vec<&str> = table.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["source", "enabled", "superpowered", "user-data"]);
    assert_eq!(explain("settings").members.len(), 24);
    assert_eq!(explain("settings.boot.kernel-parameters.console").key, "settings.boot.kernel.console");
    assert_eq!(explain("settings.kernel.lockdown").rule, "must be one of: none, integrity, confidentiality");
}

#[test]
fn secrets_are_known() {
    let secret = |name: &str| Schema::all().is_secret(&name.parse().unwrap());
    for name in [
        "settings.kubernetes.bootstrap-token",
        "settings.kubernetes.server-key",
        "settings.aws.credentials",
        "settings.host-containers.admin.user-data",
        "settings.container-registry.credentials",
        "settings.no-such-key",
    ] {
        assert!(secret(name), "{name}");
    }
    assert!(!secret("settings.motd"));
    assert!(!secret("settings.kernel"));
}

#[test]
fn the_json_schema_covers_the_model() {
    let schema = Schema::with_groups(["motd", "boot", "kubernetes", "container-registry"]).unwrap();
    let json = schema.json_schema();
    assert_eq!(json["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(json["additionalProperties"], false);
    let names: BTreeSet<&str> = json["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["motd", "boot", "kubernetes", "container-registry"]));
    let kubernetes = &json["properties"]["kubernetes"];
    assert_eq!(kubernetes["additionalProperties"], false);
    assert!(kubernetes["description"].as_str().unwrap().contains("kubelet"));
    let evictions = &kubernetes["properties"]["eviction-hard"];
    assert_eq!(evictions["propertyNames"]["enum"][0], "memory.available");
    assert!(evictions["additionalProperties"]["anyOf"].is_array());
    let boot = &json["properties"]["boot"]["properties"];
    assert_eq!(boot["kernel-parameters"]["additionalProperties"], boot["kernel"]["additionalProperties"]);
}

/// The reference in the repository is that of the model; `VISCO_BLESS=1` writes it anew.
#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/settings.md");
    let current = reference_markdown(&Schema::all());
    if std::env::var_os("VISCO_BLESS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "docs/settings.md is out of date; run this test with VISCO_BLESS=1");
}

/// Values that a group may or may not take.
fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3000_i64).prop_map(Value::from),
        "[a-z0-9.:%/-]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("aGk=")),
        Just(json!("once")),
        prop::collection::vec("[a-z0-9.]{0,6}", 0..3).prop_map(|v| json!(v)),
    ]
}

/// Trees over all groups: real keys with arbitrary values, and names chosen for tables.
fn leaves() -> impl Strategy<Value = Vec<(Key, Value)>> {
    let patterns = Schema::all().leaves();
    let leaf = (prop::sample::select(patterns), "[a-zA-Z0-9./_-]{1,12}", values()).prop_filter_map(
        "names that a segment cannot hold",
        |(leaf, name, value)| {
            let segments = leaf.pattern.split('.').map(|s| if s == "<name>" { name.as_str() } else { s });
            Some((Key::from_segments(segments).ok()?, value))
        },
    );
    prop::collection::vec(leaf, 0..20)
}

proptest! {
    /// Whatever passes leaf by leaf makes a tree that flattens to the same leaves and is a `Settings`.
    #[test]
    fn checked_leaves_make_a_typed_tree(candidates in leaves()) {
        let schema = Schema::all();
        let checked: std::collections::BTreeMap<Key, Value> =
            candidates.into_iter().filter_map(|(key, value)| schema.check(&key, value).ok()).collect();
        let tree = nest_below(checked.iter(), 1);
        let again: std::collections::BTreeMap<Key, Value> = schema.flatten(&tree).unwrap().into_iter().collect();
        prop_assert_eq!(&again, &checked);
        let typed: Settings = serde_json::from_value(tree.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(typed).unwrap(), tree);
    }

    /// Text on a command line never panics, and what is taken is checked.
    #[test]
    fn text_is_taken_or_refused(leaf in prop::sample::select(Schema::all().leaves()), text in any::<String>()) {
        if let Ok(key) = leaf.pattern.replace("<name>", "n").parse::<Key>() {
            let schema = Schema::all();
            if let Ok((key, value)) = schema.check_text(&key, &text) {
                prop_assert_eq!(schema.check(&key, value.clone()).unwrap().1, value);
            }
        }
    }
}
