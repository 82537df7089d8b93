//! What holds of every type, tried on arbitrary texts and on texts that are nearly right.

use crate::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A type must not panic; what it accepts it prints, and what it prints it accepts and prints the same.
fn settles<T: Scalar>(value: &Value) {
    let Ok(first) = check::<T>(value) else { return };
    let printed = serde_json::to_value(first).unwrap();
    let again: T =
        check(&printed).unwrap_or_else(|e| panic!("{} printed {printed} and refused it: {e}", T::NAME));
    assert_eq!(serde_json::to_value(again).unwrap(), printed, "{}", T::NAME);
}

/// As [`settles`], for types that keep the given form.
fn keeps<T: Scalar>(value: &Value) {
    settles::<T>(value);
    if let Ok(typed) = check::<T>(value) {
        assert_eq!(serde_json::to_value(typed).unwrap(), *value, "{}", T::NAME);
    }
}

/// Texts of any kind, and texts over the alphabet of numbers, units, names and quotes.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9.,%+-]{0,8}[a-zA-Zµ]{0,3}[0-9]{0,3}",
        "[a-c0-1./_:@-]{0,70}",
        "([a-z0-9]{1,4}[.:/-]?){0,5}",
        "([0-9]{1,2}(\\.[0-9])?(h|m|s|ms|us|ns)){0,4}",
        "[A-Za-z0-9+/=]{0,12}",
        "(v|latest|\"\")?[0-9]?(\\.[0-9]){0,3}(-[a-z0-9.]{1,4})?",
    ]
}

/// JSON of every form, small.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2..130_i64).prop_map(Value::from),
        texts().prop_map(Value::from),
        Just(json!("10.0.0.1")),
        Just(json!("apiclient")),
        Just(json!("v:NoSchedule")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(texts(), inner, 0..3).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

/// One property test for the types of a module.
macro_rules! properties {
    ($($test:ident: $property:ident [$($type:ty),+ $(,)?];)*) => {
        proptest! {
            $(
                #[test]
                fn $test(text in texts(), value in values()) {
                    $(
                        $property::<$type>(&Value::from(text.as_str()));
                        $property::<$type>(&value);
                    )+
                }
            )*
        }
    };
}

properties! {
    plain_values: keeps [bool, u8, u16, u32, i32, i64];
    updates: keeps [AutomaticUpdates, BandwidthLimit, DailyWindow, UpdateCheckInterval];
    numbers: keeps [NonNegativeInteger, HealthDeadline, TimeSlicingReplicas, IntegerPercent];
    texts_of_any_kind: keeps [AnyText, SingleLineString, Identifier, FriendlyVersion, ApiclientCommand, UnitName];
    urls: keeps [Url, HttpUrl, TcpEndpoint, DnsDomain];
    hosts: keeps [ValidLinuxHostname, IpAddress, EtcHostsEntries];
    encoded: keeps [ValidBase64, PemCertificateString];
    kernel: keeps [SysctlKey, KmodKey, BootConfigKey, BootConfigValue, KernelCpuSetValue, Lockdown, BootstrapMode];
    kubernetes_texts: keeps [
        KubernetesName, KubernetesLabelKey, KubernetesLabelValue, KubernetesTaintValue, KubernetesClusterName,
        KubernetesBootstrapToken, KubernetesThresholdValue, KubernetesQuantityValue, CpuManagerPolicy,
        KubernetesDurationValue, KubernetesClusterDnsIp,
    ];
    kubernetes_choices: settles [
        KubernetesTaints, KubernetesAuthenticationMode, KubernetesEvictionKey, KubernetesReservedResourceKey,
        KubernetesCloudProvider, KubernetesCpuManagerPolicyOption, TopologyManagerScope, TopologyManagerPolicy,
        KubernetesMemoryManagerPolicy, KubernetesHostnameOverrideSource,
    ];
    nvidia: keeps [NvidiaDeviceIdStrategy, NvidiaDeviceListStrategy, NvidiaDeviceSharingStrategy];
    ecs: keeps [
        EcsAttributeKey, EcsAttributeValue, EcsDurationValue, EcsAgentLogLevel, EcsAgentImagePullBehavior,
    ];
    oci: settles [OciDefaultsCapability, OciDefaultsResourceLimitType, OciLimit];
}
