//! The validated scalar types that settings are made of.
//!
//! Every type wraps one value, checks it once when it is made, and keeps the text it was given: what was
//! accepted is printed back the same. (Three types normalise instead and say so: [`OciLimit`],
//! [`KubernetesMemoryManagerPolicy`] and [`KubernetesCloudProvider`].) A type also says what it is in words, so
//! that an error, the documentation and the JSON Schema of a setting all come from the same place.
//!
//! [`check`] makes one value of a type out of JSON and, where that fails, says in plain words what was given and
//! what would be right. Values of types marked secret are never repeated in an error.
//!
//! The crate is pure: it knows neither settings nor files. Run its tests with `cargo test -p modeled-types`.

mod choice;
mod ecs;
mod encoded;
mod hostname;
mod kernel;
mod kubernetes;
mod number;
mod nvidia;
mod oci;
mod scalar;
mod text;
mod update;
mod url;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use crate::url::{DnsDomain, HttpUrl, TcpEndpoint, Url};
pub use choice::{BootstrapMode, Lockdown};
pub use ecs::{
    EcsAgentImagePullBehavior, EcsAgentLogLevel, EcsAttributeKey, EcsAttributeValue, EcsDurationValue,
};
pub use encoded::{PemCertificateString, ValidBase64};
pub use hostname::{EtcHostsEntries, HostsEntry, IpAddress, ValidLinuxHostname};
pub use kernel::{BootConfigKey, BootConfigValue, KernelCpuSetValue, KmodKey, SysctlKey};
pub use kubernetes::{
    CpuManagerPolicy, KubernetesAuthenticationMode, KubernetesBootstrapToken, KubernetesCloudProvider,
    KubernetesClusterDnsIp, KubernetesClusterName, KubernetesCpuManagerPolicyOption, KubernetesDurationValue,
    KubernetesEvictionKey, KubernetesHostnameOverrideSource, KubernetesLabelKey, KubernetesLabelValue,
    KubernetesMemoryManagerPolicy, KubernetesName, KubernetesQuantityValue, KubernetesReservedResourceKey,
    KubernetesTaintValue, KubernetesTaints, KubernetesThresholdValue, TopologyManagerPolicy,
    TopologyManagerScope,
};
pub use number::{HealthDeadline, IntegerPercent, NonNegativeInteger, TimeSlicingReplicas};
pub use nvidia::{NvidiaDeviceIdStrategy, NvidiaDeviceListStrategy, NvidiaDeviceSharingStrategy};
pub use oci::{OciDefaultsCapability, OciDefaultsResourceLimitType, OciLimit};
pub use scalar::{Kind, Refusal, Scalar, check, describe};
pub use text::{AnyText, ApiclientCommand, FriendlyVersion, Identifier, SingleLineString, UnitName};
pub use update::{AutomaticUpdates, BandwidthLimit, DailyWindow, UpdateCheckInterval};
