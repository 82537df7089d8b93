//! Types of the kubelet.

use crate::choice::choice_type;
use crate::text::{made_of, require, text_type};
use crate::{IpAddress, Kind, Refusal, Scalar, check};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest name of an object, and of the prefix of a label (Kubernetes, "Object Names and IDs").
const NAME_BYTES: usize = 253;
/// Longest name and value of a label (Kubernetes, "Labels and Selectors").
const LABEL_BYTES: usize = 63;

text_type! {
    /// Name of a Kubernetes object.
    KubernetesName,
    rule: "must be 1 to 253 lower-case letters, digits, dots and hyphens",
    schema: json!({"type": "string", "pattern": "^[0-9a-z.-]{1,253}$"}),
    check: |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        require(made_of(text, NAME_BYTES, allowed), KubernetesName::RULE)
    }
}

/// Whether a text is the name of a label, or a value that is not empty.
fn is_label(text: &str) -> bool {
    made_of(text, LABEL_BYTES, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

text_type! {
    /// Name of a label or taint, with an optional prefix before a slash (Kubernetes, "Labels and Selectors").
    KubernetesLabelKey,
    rule: "must be 1 to 63 letters, digits, '.', '_' and '-' that begin and end with a letter or digit, with an \
           optional prefix of up to 253 letters, digits, '.' and '-' and a slash before them",
    schema: json!({
        "type": "string",
        "pattern": "^([A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
    }),
    check: |text| {
        let prefix_allowed = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
        let good = match text.split_once('/') {
            Some((prefix, name)) => made_of(prefix, NAME_BYTES, prefix_allowed) && is_label(name),
            None => is_label(text),
        };
        require(good, KubernetesLabelKey::RULE)
    }
}

text_type! {
    /// Value of a label (Kubernetes, "Labels and Selectors").
    KubernetesLabelValue,
    rule: "must be empty, or 1 to 63 letters, digits, '.', '_' and '-' that begin and end with a letter or digit",
    schema: json!({"type": "string", "pattern": "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"}),
    check: |text| require(text.is_empty() || is_label(text), KubernetesLabelValue::RULE)
}

text_type! {
    /// Value and effect of a taint (Kubernetes, "Taints and Tolerations").
    KubernetesTaintValue,
    rule: "must be 'value:Effect' or ':Effect', such as 'gpu:NoSchedule'; the value is that of a label, the effect \
           is 1 to 253 letters and digits",
    schema: json!({
        "type": "string",
        "pattern": "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?:[A-Za-z0-9]{1,253}$",
    }),
    check: |text| {
        let good = text.split_once(':').is_some_and(|(value, effect)| {
            (value.is_empty() || is_label(value)) && made_of(effect, NAME_BYTES, |b| b.is_ascii_alphanumeric())
        });
        require(good, KubernetesTaintValue::RULE)
    }
}

/// The taints under one key, at least one. A single text is taken for a list of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct KubernetesTaints(Vec<KubernetesTaintValue>);

impl KubernetesTaints {
    /// The taints.
    pub fn values(&self) -> &[KubernetesTaintValue] {
        &self.0
    }
}

impl TryFrom<Value> for KubernetesTaints {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        match &value {
            Value::String(_) => check(&value).map(|one| Self(vec![one])),
            Value::Array(list) if !list.is_empty() => {
                let each = list.iter().enumerate().map(|(n, taint)| {
                    check(taint).map_err(|e| Refusal::new(format!("must hold taints; element {} {e}", n + 1)))
                });
                each.collect::<Result<_, _>>().map(Self)
            }
            _ => Err(Refusal::new(Self::RULE)),
        }
    }
}

impl Scalar for KubernetesTaints {
    const NAME: &'static str = "list of KubernetesTaintValue";
    const RULE: &'static str = "must be a list of one or more taints such as 'gpu:NoSchedule'";
    const KIND: Kind = Kind::TextOrList;

    fn json_schema() -> Value {
        let taint = KubernetesTaintValue::json_schema();
        json!({"anyOf": [taint, {"type": "array", "minItems": 1, "items": taint}]})
    }
}

text_type! {
    /// Name of a cluster.
    KubernetesClusterName,
    rule: "must be 1 to 63 letters, digits, '.', '_' and '-' that begin and end with a letter or digit",
    schema: json!({"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"}),
    check: |text| require(is_label(text), KubernetesClusterName::RULE)
}

choice_type! {
    /// How the kubelet proves to the cluster who it is.
    KubernetesAuthenticationMode {
        /// With the AWS identity of the machine.
        Aws = "aws",
        /// With a bootstrap token and then a certificate.
        Tls = "tls",
    }
}

text_type! {
    /// A bootstrap token: its public id and its secret (Kubernetes, "Authenticating with Bootstrap Tokens").
    KubernetesBootstrapToken,
    rule: "must be 6 lower-case letters or digits, a dot, and 16 lower-case letters or digits",
    secret: true,
    schema: json!({"type": "string", "pattern": "^[a-z0-9]{6}\\.[a-z0-9]{16}$"}),
    check: |text| {
        let part = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let good = text.split_once('.').is_some_and(|(id, secret)| part(id, 6) && part(secret, 16));
        require(good, KubernetesBootstrapToken::RULE)
    }
}

choice_type! {
    /// A resource whose shortage makes the kubelet evict pods (Kubernetes, "Node-pressure Eviction").
    KubernetesEvictionKey {
        /// Memory.
        MemoryAvailable = "memory.available",
        /// Space of the file system of the kubelet.
        NodefsAvailable = "nodefs.available",
        /// Inodes of the file system of the kubelet.
        NodefsInodesFree = "nodefs.inodesFree",
        /// Space of the file system of the images.
        ImagefsAvailable = "imagefs.available",
        /// Inodes of the file system of the images.
        ImagefsInodesFree = "imagefs.inodesFree",
        /// Process ids.
        PidAvailable = "pid.available",
    }
}

/// Whether a text is a quantity: an optional sign, digits and dots, and a suffix of the decimal, binary or
/// exponent kind. The digits are not looked at closely: old hosts may have stored such values.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let suffix = unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let known = match suffix.as_bytes() {
        [] | [b'n' | b'u' | b'm' | b'k' | b'E' | b'P' | b'T' | b'G' | b'M' | b'K'] => true,
        [b'E' | b'P' | b'T' | b'G' | b'M' | b'K', suffix] => *suffix == b'i',
        [b'e', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    known && suffix.len() < unsigned.len()
}

text_type! {
    /// A quantity of a resource (Kubernetes API, `resource.Quantity`).
    KubernetesQuantityValue,
    rule: "must be a quantity such as '500m', '1Gi' or '1e3'",
    schema: json!({"type": "string", "pattern": "^[+-]?[0-9.]+(e[0-9]*|[EPTGMK]i?|[numk])?$"}),
    check: |text| require(is_quantity(text), KubernetesQuantityValue::RULE)
}

text_type! {
    /// A threshold of eviction: a quantity, or a percentage below 100 (Kubernetes, "Node-pressure Eviction").
    KubernetesThresholdValue,
    rule: "must be a quantity such as '100Mi', or a percentage from 0% to below 100%",
    schema: json!({
        "type": "string",
        "anyOf": [
            {"pattern": "^\\+?([0-9]{1,2}(\\.[0-9]*)?|\\.[0-9]+)%$"},
            {"pattern": "^[+-]?[0-9.]+(e[0-9]*|[EPTGMK]i?|[numk])?$"},
        ],
    }),
    check: |text| {
        let good = match text.strip_suffix('%') {
            Some(number) => number.parse::<f32>().is_ok_and(|n| (0.0..100.0).contains(&n)),
            None => is_quantity(text),
        };
        require(good, KubernetesThresholdValue::RULE)
    }
}

choice_type! {
    /// A resource that can be reserved.
    KubernetesReservedResourceKey {
        /// Processor time.
        Cpu = "cpu",
        /// Memory.
        Memory = "memory",
        /// Local disk space.
        EphemeralStorage = "ephemeral-storage",
    }
}

choice_type! {
    /// Who manages the machine for the cluster. Two quote characters are taken for the empty text.
    KubernetesCloudProvider {
        /// The kubelet's built-in AWS code.
        Aws = "aws",
        /// A controller in the cluster.
        External = "external",
        /// Nobody.
        None = "" | "\"\"",
    }
}

text_type! {
    /// Policy of the CPU manager; the case is kept as given.
    CpuManagerPolicy,
    rule: "must be 'static' or 'none'",
    schema: json!({"enum": ["static", "none", "Static", "None"]}),
    check: |text| require(matches!(text, "static" | "none" | "Static" | "None"), CpuManagerPolicy::RULE)
}

choice_type! {
    /// An option of the static policy of the CPU manager.
    KubernetesCpuManagerPolicyOption {
        /// Give out whole physical cores only.
        FullPcpusOnly = "full-pcpus-only",
    }
}

/// Whether a text is one or more numbers with units, each unit at most once and in the given order; a unit may
/// have several spellings.
pub(crate) fn is_duration(text: &str, units: &[&[&str]]) -> bool {
    let mut rest = text;
    let mut units = units.iter();
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(unit_at);
        let digits = |text: &str| made_of(text, usize::MAX, |b| b.is_ascii_digit());
        let is_number = number.split_once('.').map_or(digits(number), |(a, b)| digits(a) && digits(b));
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        if !is_number || !units.any(|spellings| spellings.contains(&unit)) {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

text_type! {
    /// A duration as Go writes it, with its parts from hours down to milliseconds in order.
    KubernetesDurationValue,
    rule: "must be a duration such as '1h30m' or '500ms'; its parts are h, m, s, ms in this order",
    schema: json!({
        "type": "string",
        "minLength": 1,
        "pattern": "^([0-9]+(\\.[0-9]+)?h)?([0-9]+(\\.[0-9]+)?m)?([0-9]+(\\.[0-9]+)?s)?([0-9]+(\\.[0-9]+)?ms)?$",
    }),
    check: |text| {
        require(is_duration(text, &[&["h"], &["m"], &["s"], &["ms"]]), KubernetesDurationValue::RULE)
    }
}

choice_type! {
    /// What the topology manager aligns.
    TopologyManagerScope {
        /// Each container by itself.
        Container = "container",
        /// All containers of a pod together.
        Pod = "pod",
    }
}

choice_type! {
    /// How strictly the topology manager aligns resources to NUMA nodes.
    TopologyManagerPolicy {
        /// Not at all.
        None = "none",
        /// Refuse pods that cannot be aligned.
        Restricted = "restricted",
        /// Align where possible.
        BestEffort = "best-effort",
        /// Refuse pods that do not fit one node.
        SingleNumaNode = "single-numa-node",
    }
}

choice_type! {
    /// Policy of the memory manager. Lower case is taken too.
    KubernetesMemoryManagerPolicy {
        /// Guaranteed pods get memory of certain NUMA nodes.
        Static = "Static" | "static",
        /// Memory is not managed.
        None = "None" | "none",
    }
}

choice_type! {
    /// Where the name comes from under which a node registers.
    KubernetesHostnameOverrideSource {
        /// The private DNS name of the instance.
        PrivateDnsName = "private-dns-name",
        /// The id of the instance.
        InstanceId = "instance-id",
    }
}

/// The DNS server of a cluster: one address or a list, printed in the form it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct KubernetesClusterDnsIp {
    addresses: Vec<IpAddress>,
    is_list: bool,
}

impl KubernetesClusterDnsIp {
    /// The addresses, in order.
    pub fn addresses(&self) -> &[IpAddress] {
        &self.addresses
    }
}

impl TryFrom<Value> for KubernetesClusterDnsIp {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        let refusal = |_| Refusal::new(Self::RULE);
        match &value {
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(n, ip)| {
                    check(ip).map_err(|e| Refusal::new(format!("must hold addresses; element {} {e}", n + 1)))
                })
                .collect::<Result<_, _>>()
                .map(|addresses| Self { addresses, is_list: true }),
            one => check(one).map_err(refusal).map(|ip| Self { addresses: vec![ip], is_list: false }),
        }
    }
}

impl From<KubernetesClusterDnsIp> for Value {
    fn from(value: KubernetesClusterDnsIp) -> Value {
        let mut texts = value.addresses.into_iter().map(|ip| Value::from(String::from(ip)));
        if value.is_list { texts.collect() } else { texts.next().expect("one address was given") }
    }
}

impl Scalar for KubernetesClusterDnsIp {
    const NAME: &'static str = "KubernetesClusterDnsIp";
    const RULE: &'static str = "must be an IPv4 or IPv6 address, or a list of them";
    const KIND: Kind = Kind::TextOrList;

    fn json_schema() -> Value {
        let ip = IpAddress::json_schema();
        json!({"anyOf": [ip, {"type": "array", "items": ip}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{json_rows, normalised, rows};

    #[test]
    fn names_and_labels() {
        let (x63, x64) = ("x".repeat(63), "x".repeat(64));
        let (p253, p254) = (format!("{}/x", "p".repeat(253)), format!("{}/x", "p".repeat(254)));
        rows::<KubernetesName>(&["a", "a.b-c", &"a".repeat(253)], &["", "A", "a_b", &"a".repeat(254)]);
        rows::<KubernetesLabelKey>(
            &["x", "p.q/x", "a_b", "A.b-c/D_e.f", &x63, &p253],
            &["", "/x", "-x", "x-", "x/", "a/b/c", "p_q/x", "x y", &x64, &p254],
        );
        rows::<KubernetesLabelValue>(
            &["", "a", "a_b.c-d", &x63],
            &["-", "a-", ".a", "a b", "ä", "a/b", &x64],
        );
        rows::<KubernetesClusterName>(&["a", "my-cluster.1"], &["", "-a", "a b", &x64]);
    }

    #[test]
    fn taints() {
        rows::<KubernetesTaintValue>(
            &["v:NoExecute", ":NoSchedule", "a-b:E1"],
            &["", "v", "v:", ":", "-v:E", "v:No-Schedule", "a:b:c"],
        );
        json_rows::<KubernetesTaints>(
            &[json!(["v:E"]), json!([":E", "v:E"])],
            &[json!([]), json!("v"), json!(["v:E", "v"]), json!([5]), json!({}), json!(5)],
        );
        normalised::<KubernetesTaints>(&json!("v:E"), &json!(["v:E"]));
    }

    #[test]
    fn tokens() {
        rows::<KubernetesBootstrapToken>(
            &["abcdef.0123456789abcdef"],
            &["", "abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcde", "abcdef.0123456789abcdeff"],
        );
    }

    #[test]
    fn quantities_and_thresholds() {
        let quantities =
            ["1", "1.5", "+1", "-1", "500m", "1Gi", "1K", "1k", "12e3", "12E", "1n", "1u", "1.2.3", "5e"];
        let not_quantities = ["", "+", "Gi", "m", "x", "12ki", "1Kii", "1 Gi", "1mi", "1e3x", "--1", "1ee3"];
        rows::<KubernetesQuantityValue>(&quantities, &not_quantities);
        rows::<KubernetesQuantityValue>(&[], &["0%"]);
        rows::<KubernetesThresholdValue>(&quantities, &not_quantities);
        rows::<KubernetesThresholdValue>(
            &["0%", "99.9%", "5%", "1Gi", "100m", "12e3"],
            &["100%", "x%", "%", "-1%", "NaN%", "inf%", "12ki", "1Kii", ""],
        );
    }

    #[test]
    fn durations() {
        rows::<KubernetesDurationValue>(
            &["1h30m", "1.5h", "20ms", "1m1ms", "1h1m1s1ms", "0s"],
            &["", "5", "1m1h", "1ns", "1..5s", "1s1s", ".5s", "5.s", "h", "-1s", "1h ", "1us"],
        );
    }

    #[test]
    fn policies_keep_or_normalise_their_case() {
        rows::<CpuManagerPolicy>(&["static", "none", "Static", "None"], &["", "STATIC"]);
        rows::<KubernetesMemoryManagerPolicy>(&["Static", "None"], &["", "STATIC"]);
        normalised::<KubernetesMemoryManagerPolicy>(&json!("static"), &json!("Static"));
        normalised::<KubernetesMemoryManagerPolicy>(&json!("none"), &json!("None"));
        rows::<KubernetesCloudProvider>(&["aws", "external", ""], &["Aws", "gcp", " "]);
        normalised::<KubernetesCloudProvider>(&json!("\"\""), &json!(""));
    }

    #[test]
    fn choices() {
        rows::<KubernetesAuthenticationMode>(&["aws", "tls"], &["", "AWS"]);
        rows::<KubernetesEvictionKey>(
            &[
                "memory.available",
                "nodefs.available",
                "nodefs.inodesFree",
                "imagefs.available",
                "imagefs.inodesFree",
                "pid.available",
            ],
            &["", "memory", "nodefs.inodesfree"],
        );
        rows::<KubernetesReservedResourceKey>(&["cpu", "memory", "ephemeral-storage"], &["", "pid"]);
        rows::<KubernetesCpuManagerPolicyOption>(&["full-pcpus-only"], &["", "align-by-socket"]);
        rows::<TopologyManagerScope>(&["container", "pod"], &["", "node"]);
        rows::<TopologyManagerPolicy>(
            &["none", "restricted", "best-effort", "single-numa-node"],
            &["", "None"],
        );
        rows::<KubernetesHostnameOverrideSource>(&["private-dns-name", "instance-id"], &["", "dns"]);
    }

    #[test]
    fn cluster_dns_keeps_its_form() {
        json_rows::<KubernetesClusterDnsIp>(
            &[json!("10.0.0.10"), json!(["10.0.0.10"]), json!([]), json!(["fd00::A", "10.0.0.10"])],
            &[json!(""), json!("dns"), json!(["dns"]), json!(5), json!({}), json!([5])],
        );
    }
}
