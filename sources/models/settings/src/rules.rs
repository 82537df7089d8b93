//! What must hold between leaves.
//!
//! The groups let any leaf stand alone. A rule looks at the whole tree and says which keys do not fit together.
//! Rules that a host cannot do without are refusals; those that a later step of the boot may still satisfy, or that
//! the consumer survives, are warnings.

use crate::groups::Settings;
use crate::{Code, Key, Schema, Violation, nest_below};
use serde_json::Value;

/// A whole tree as rules see it.
pub trait View {
    /// The value of a key.
    fn get(&self, key: &Key) -> Option<&Value>;
    /// The keys at and below a prefix, with their values.
    fn below<'a>(&'a self, prefix: &Key) -> Box<dyn Iterator<Item = (&'a Key, &'a Value)> + 'a>;
}

/// What becomes of a tree that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is not stored.
    Refuse,
    /// It is stored, and someone should look.
    Warn,
}

/// A rule between leaves.
#[derive(Debug)]
pub struct Rule {
    /// Short name, stable.
    pub id: &'static str,
    /// The prefixes of keys it is about; it is checked when a key at or below one of them changes.
    pub about: &'static [&'static str],
    /// The rule in a sentence.
    pub text: &'static str,
    /// What becomes of a tree that breaks it.
    pub severity: Severity,
    /// Finds what breaks it in the part of the tree that the prefixes cover.
    check: fn(&Settings) -> Vec<Broken>,
}

/// Where a rule is broken: the segments of the key below `settings`, and what must be.
struct Broken(Vec<String>, String);

/// Every rule.
pub const RULES: &[Rule] = &[
    Rule {
        id: "limit-pair",
        about: &["settings.oci-defaults.resource-limits"],
        text: "A resource limit has both a hard and a soft value.",
        severity: Severity::Refuse,
        check: limit_pair,
    },
    Rule {
        id: "limit-order",
        about: &["settings.oci-defaults.resource-limits"],
        text: "A soft limit is at most its hard limit.",
        severity: Severity::Refuse,
        check: limit_order,
    },
    Rule {
        id: "credential-provider-pair",
        about: &["settings.kubernetes.credential-providers"],
        text: "A credential provider has both `enabled` and `image-patterns`.",
        severity: Severity::Refuse,
        check: credential_provider_pair,
    },
    Rule {
        id: "memory-reservation-enabled",
        about: &["settings.kubernetes.memory-manager-reserved-memory"],
        text: "A memory reservation says whether it is `enabled`.",
        severity: Severity::Refuse,
        check: memory_reservation_enabled,
    },
    Rule {
        id: "image-gc-order",
        about: &[
            "settings.kubernetes.image-gc-high-threshold-percent",
            "settings.kubernetes.image-gc-low-threshold-percent",
        ],
        text: "The high threshold of image removal is above the low one.",
        severity: Severity::Refuse,
        check: image_gc_order,
    },
    Rule {
        id: "static-pod-manifest",
        about: &["settings.kubernetes.static-pods"],
        text: "An enabled static pod has a manifest.",
        severity: Severity::Refuse,
        check: static_pod_manifest,
    },
    Rule {
        id: "health-check-kind",
        about: &["settings.health.checks"],
        text: "A check of the health of a boot has only one of `unit`, `url` and `tcp`.",
        severity: Severity::Refuse,
        check: health_check_kind,
    },
    Rule {
        id: "host-container-source",
        about: &["settings.host-containers"],
        text: "An enabled host container has a source. Generators fill in those of `admin` and `control`.",
        severity: Severity::Warn,
        check: host_container_source,
    },
    Rule {
        id: "bootstrap-container-source",
        about: &["settings.bootstrap-containers"],
        text: "A bootstrap container that runs has a source.",
        severity: Severity::Warn,
        check: bootstrap_container_source,
    },
    Rule {
        id: "tls-bootstrap-token",
        about: &[
            "settings.kubernetes.authentication-mode",
            "settings.kubernetes.bootstrap-token",
            "settings.kubernetes.standalone-mode",
        ],
        text: "Authentication mode `tls` needs a bootstrap token, unless the kubelet runs alone.",
        severity: Severity::Warn,
        check: tls_bootstrap_token,
    },
    Rule {
        id: "aws-cluster-name",
        about: &[
            "settings.kubernetes.authentication-mode",
            "settings.kubernetes.cluster-name",
            "settings.kubernetes.standalone-mode",
        ],
        text: "Authentication mode `aws` needs a cluster name, unless the kubelet runs alone.",
        severity: Severity::Warn,
        check: aws_cluster_name,
    },
];

impl Schema {
    /// Checks what must hold between leaves; `changed` limits the work to rules about those keys.
    pub fn broken_rules(&self, tree: &dyn View, changed: &[Key]) -> Vec<Violation> {
        let concerned =
            |about: &Key| changed.iter().any(|k| k.is_at_or_below(about) || about.is_at_or_below(k));
        broken_in(tree, Severity::Refuse, concerned)
    }

    /// Everything in a tree that is accepted but should be looked at.
    pub fn warnings(&self, tree: &dyn View) -> Vec<Violation> {
        broken_in(tree, Severity::Warn, |_| true)
    }
}

fn broken_in(tree: &dyn View, severity: Severity, concerned: impl Fn(&Key) -> bool) -> Vec<Violation> {
    let mut broken = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.severity == severity) {
        let about: Vec<Key> = rule.about.iter().map(|k| plain_key(k)).collect();
        if !about.iter().any(&concerned) {
            continue;
        }
        let leaves: Vec<_> = about.iter().flat_map(|prefix| tree.below(prefix)).collect();
        // A tree with a leaf that does not fit its type is reported by the check of that leaf.
        let Ok(part) = serde_json::from_value::<Settings>(nest_below(leaves, 1)) else { continue };
        broken.extend((rule.check)(&part).into_iter().map(|Broken(segments, rule)| {
            let key = Key::from_segments(std::iter::once("settings".to_owned()).chain(segments));
            let key = key.map_or_else(|_| about[0].to_string(), String::from);
            Violation { key, rule, nearest: None, code: Code::Rule }
        }));
    }
    broken
}

fn plain_key(name: &str) -> Key {
    name.parse().expect("the prefixes of rules are keys")
}

fn broken<const N: usize>(segments: [&str; N], rule: impl Into<String>) -> Broken {
    Broken(segments.map(str::to_owned).to_vec(), rule.into())
}

fn health_check_kind(settings: &Settings) -> Vec<Broken> {
    let checks = settings.health.iter().flat_map(|health| health.checks.iter().flatten());
    let wrong = checks.filter_map(|(name, check)| {
        let set =
            [("unit", check.unit.is_some()), ("url", check.url.is_some()), ("tcp", check.tcp.is_some())];
        let mut set = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name));
        let (first, second) = (set.next()?, set.next()?);
        let rule = format!("must not be set together with '{first}'; a check has one of unit, url and tcp");
        Some(broken(["health", "checks", name.as_str(), second], rule))
    });
    wrong.collect()
}

fn limit_pair(settings: &Settings) -> Vec<Broken> {
    let limits = settings.oci_defaults.iter().flat_map(|o| o.resource_limits.iter().flatten());
    let missing = limits.filter_map(|(name, limit)| {
        let (has, lacks) = match (limit.hard_limit, limit.soft_limit) {
            (Some(_), None) => ("hard-limit", "soft-limit"),
            (None, Some(_)) => ("soft-limit", "hard-limit"),
            _ => return None,
        };
        let rule = format!("must be set together with '{has}'; a limit needs both");
        Some(broken(["oci-defaults", "resource-limits", name.as_str(), lacks], rule))
    });
    missing.collect()
}

fn limit_order(settings: &Settings) -> Vec<Broken> {
    let limits = settings.oci_defaults.iter().flat_map(|o| o.resource_limits.iter().flatten());
    let wrong = limits.filter_map(|(name, limit)| {
        let number = |limit: modeled_types::OciLimit| limit.get().unwrap_or(u64::MAX);
        let (hard, soft) = (limit.hard_limit?, limit.soft_limit?);
        let key = ["oci-defaults", "resource-limits", name.as_str(), "soft-limit"];
        let rule = || {
            let soft = soft.get().map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
            format!("must be at most the hard limit {}, not {soft}", i64::from(hard))
        };
        (number(soft) > number(hard)).then(|| broken(key, rule()))
    });
    wrong.collect()
}

fn credential_provider_pair(settings: &Settings) -> Vec<Broken> {
    let providers = settings.kubernetes.iter().flat_map(|k| k.credential_providers.iter().flatten());
    let mut missing = Vec::new();
    for (name, provider) in providers {
        let lacks =
            [("enabled", provider.enabled.is_none()), ("image-patterns", provider.image_patterns.is_none())];
        for (member, _) in lacks.iter().filter(|(_, lacks)| *lacks) {
            let key = ["kubernetes", "credential-providers", name.as_str(), member];
            missing
                .push(broken(key, "must be set; a credential provider needs 'enabled' and 'image-patterns'"));
        }
    }
    missing
}

fn memory_reservation_enabled(settings: &Settings) -> Vec<Broken> {
    let nodes = settings.kubernetes.iter().flat_map(|k| k.memory_manager_reserved_memory.iter().flatten());
    let missing = nodes.filter(|(_, node)| node.enabled.is_none()).map(|(name, _)| {
        let key = ["kubernetes", "memory-manager-reserved-memory", name.as_str(), "enabled"];
        broken(key, "must be set; a memory reservation says whether it takes effect")
    });
    missing.collect()
}

/// What the kubelet takes for a threshold that is not set (`KubeletConfiguration`, v1beta1).
const IMAGE_GC_DEFAULTS: (u8, u8) = (85, 80);

fn image_gc_order(settings: &Settings) -> Vec<Broken> {
    let Some(kubernetes) = &settings.kubernetes else { return Vec::new() };
    let (high, low) =
        (&kubernetes.image_gc_high_threshold_percent, &kubernetes.image_gc_low_threshold_percent);
    let percent =
        |p: &Option<modeled_types::IntegerPercent>| p.as_ref().map(modeled_types::IntegerPercent::get);
    let effective =
        (percent(high).unwrap_or(IMAGE_GC_DEFAULTS.0), percent(low).unwrap_or(IMAGE_GC_DEFAULTS.1));
    if (high.is_none() && low.is_none()) || effective.0 > effective.1 {
        return Vec::new();
    }
    let (high_name, low_name) = ("image-gc-high-threshold-percent", "image-gc-low-threshold-percent");
    let unset = |set: bool| if set { "" } else { ", the kubelet's default" };
    if high.is_some() {
        let rule = format!(
            "must be more than '{low_name}' ({}{}), not {}",
            effective.1,
            unset(low.is_some()),
            effective.0
        );
        vec![broken(["kubernetes", high_name], rule)]
    } else {
        let rule =
            format!("must be less than '{high_name}' ({}{}), not {}", effective.0, unset(false), effective.1);
        vec![broken(["kubernetes", low_name], rule)]
    }
}

fn static_pod_manifest(settings: &Settings) -> Vec<Broken> {
    let pods = settings.kubernetes.iter().flat_map(|k| k.static_pods.iter().flatten());
    let missing = pods.filter(|(_, pod)| pod.enabled == Some(true) && pod.manifest.is_none());
    let rule = "must be set to the pod's manifest in base64, because the pod is enabled";
    missing.map(|(name, _)| broken(["kubernetes", "static-pods", name.as_str(), "manifest"], rule)).collect()
}

const SOURCE_RULE: &str = "must be set to an image reference for the container to start";

fn host_container_source(settings: &Settings) -> Vec<Broken> {
    let containers = settings.host_containers.iter().flatten();
    let missing = containers.filter(|(_, c)| c.enabled == Some(true) && c.source.is_none());
    missing.map(|(name, _)| broken(["host-containers", name.as_str(), "source"], SOURCE_RULE)).collect()
}

fn bootstrap_container_source(settings: &Settings) -> Vec<Broken> {
    use modeled_types::BootstrapMode::{Always, Once};
    let containers = settings.bootstrap_containers.iter().flatten();
    let missing = containers.filter(|(_, c)| matches!(c.mode, Some(Once | Always)) && c.source.is_none());
    missing.map(|(name, _)| broken(["bootstrap-containers", name.as_str(), "source"], SOURCE_RULE)).collect()
}

fn tls_bootstrap_token(settings: &Settings) -> Vec<Broken> {
    use modeled_types::KubernetesAuthenticationMode::Tls;
    let Some(k) = &settings.kubernetes else { return Vec::new() };
    let lacks =
        k.authentication_mode == Some(Tls) && k.bootstrap_token.is_none() && k.standalone_mode != Some(true);
    let rule = "must be set for authentication mode 'tls'";
    if lacks { vec![broken(["kubernetes", "bootstrap-token"], rule)] } else { Vec::new() }
}

fn aws_cluster_name(settings: &Settings) -> Vec<Broken> {
    use modeled_types::KubernetesAuthenticationMode::Aws;
    let Some(k) = &settings.kubernetes else { return Vec::new() };
    let lacks =
        k.authentication_mode == Some(Aws) && k.cluster_name.is_none() && k.standalone_mode != Some(true);
    let rule = "must be set for authentication mode 'aws'";
    if lacks { vec![broken(["kubernetes", "cluster-name"], rule)] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    impl View for BTreeMap<Key, Value> {
        fn get(&self, key: &Key) -> Option<&Value> {
            BTreeMap::get(self, key)
        }

        fn below<'a>(&'a self, prefix: &Key) -> Box<dyn Iterator<Item = (&'a Key, &'a Value)> + 'a> {
            let prefix = prefix.clone();
            Box::new(self.iter().filter(move |(key, _)| key.is_at_or_below(&prefix)))
        }
    }

    fn tree(settings: &Value) -> BTreeMap<Key, Value> {
        Schema::all().flatten(settings).unwrap().into_iter().collect()
    }

    fn refused(settings: &Value) -> Vec<String> {
        let tree = tree(settings);
        let changed: Vec<Key> = tree.keys().cloned().collect();
        Schema::all().broken_rules(&tree, &changed).into_iter().map(|v| v.to_string()).collect()
    }

    fn limit(hard: &Value, soft: &Value) -> Value {
        json!({"oci-defaults": {"resource-limits": {"max-open-files": {"hard-limit": hard, "soft-limit": soft}}}})
    }

    fn gc(high: &Value, low: &Value) -> Value {
        json!({"kubernetes": {
            "image-gc-high-threshold-percent": high,
            "image-gc-low-threshold-percent": low,
        }})
    }

    #[test]
    fn trees_that_cannot_work_are_refused() {
        let null = Value::Null;
        let rows = [
            (limit(&json!(10), &null), "soft-limit must be set together with 'hard-limit'"),
            (limit(&null, &json!(10)), "hard-limit must be set together with 'soft-limit'"),
            (limit(&json!(10), &json!(11)), "soft-limit must be at most the hard limit 10, not 11"),
            (limit(&json!(10), &json!("unlimited")), "at most the hard limit 10, not unlimited"),
            (gc(&json!(70), &json!("80")), "high-threshold-percent must be more than"),
            (gc(&json!(80), &null), "(80, the kubelet's default), not 80"),
            (gc(&null, &json!(85)), "low-threshold-percent must be less than"),
            (
                json!({"kubernetes": {"credential-providers": {"ecr": {"enabled": true}}}}),
                "settings.kubernetes.credential-providers.ecr.image-patterns must be set",
            ),
            (
                json!({"kubernetes": {"credential-providers": {"ecr": {"image-patterns": []}}}}),
                "settings.kubernetes.credential-providers.ecr.enabled must be set",
            ),
            (
                json!({"kubernetes": {"memory-manager-reserved-memory": {"0": {"hugepages-2Mi": "1Gi"}}}}),
                "settings.kubernetes.memory-manager-reserved-memory.0.enabled must be set",
            ),
            (
                json!({"kubernetes": {"static-pods": {"p": {"enabled": true}}}}),
                "settings.kubernetes.static-pods.p.manifest must be set",
            ),
        ];
        for (settings, expected) in rows {
            let refused = refused(&settings);
            assert!(refused.len() == 1 && refused[0].contains(expected), "{settings}: {refused:?}");
        }
    }

    #[test]
    fn trees_that_work_or_are_completed_later_are_not_refused() {
        let rows = [
            limit(&json!(10), &json!(10)),
            limit(&json!(-1), &json!("unlimited")),
            gc(&json!(90), &Value::Null),
            gc(&json!(50), &json!(40)),
            json!({"kubernetes": {"static-pods": {"p": {"enabled": false}}}}),
            json!({"host-containers": {"control": {"enabled": true}}}),
            json!({"bootstrap-containers": {"b": {"mode": "once"}}}),
            json!({"kubernetes": {"authentication-mode": "aws"}}),
            json!({"kubernetes": {"authentication-mode": "tls"}}),
            json!({}),
        ];
        for settings in rows {
            assert_eq!(refused(&settings), Vec::<String>::new(), "{settings}");
        }
    }

    #[test]
    fn what_a_later_step_may_complete_is_a_warning() {
        let settings = json!({
            "host-containers": {"control": {"enabled": true}, "admin": {"enabled": false}},
            "bootstrap-containers": {"b": {"mode": "once"}, "c": {"mode": "off"}},
            "kubernetes": {"authentication-mode": "aws"},
        });
        let keys: Vec<String> = Schema::all().warnings(&tree(&settings)).into_iter().map(|v| v.key).collect();
        let expected = [
            "settings.host-containers.control.source",
            "settings.bootstrap-containers.b.source",
            "settings.kubernetes.cluster-name",
        ];
        assert_eq!(keys, expected);
        for (mode, key) in [("tls", vec!["settings.kubernetes.bootstrap-token"]), ("aws", vec![])] {
            let settings = json!({"kubernetes": {"authentication-mode": mode, "cluster-name": "c"}});
            let keys: Vec<String> =
                Schema::all().warnings(&tree(&settings)).into_iter().map(|v| v.key).collect();
            assert_eq!(keys, key);
        }
    }

    #[test]
    fn rules_about_other_keys_are_not_checked() {
        let tree = tree(&limit(&json!(10), &Value::Null));
        let broken = |changed: &str| Schema::all().broken_rules(&tree, &[changed.parse().unwrap()]).len();
        assert_eq!(broken("settings.motd"), 0);
        assert_eq!(broken("settings.oci-defaults.resource-limits.max-open-files.hard-limit"), 1);
    }

    #[test]
    fn every_rule_is_about_settings_that_exist() {
        for rule in RULES {
            for about in rule.about {
                Schema::all().find(&about.parse().unwrap()).unwrap_or_else(|e| panic!("{}: {e}", rule.id));
            }
        }
    }
}
