//! The kubelet.

use crate::model::group;
use modeled_types::{
    CpuManagerPolicy, DnsDomain, Identifier, IntegerPercent, IpAddress, KernelCpuSetValue,
    KubernetesAuthenticationMode, KubernetesBootstrapToken, KubernetesCloudProvider, KubernetesClusterDnsIp,
    KubernetesClusterName, KubernetesCpuManagerPolicyOption, KubernetesDurationValue, KubernetesEvictionKey,
    KubernetesHostnameOverrideSource, KubernetesLabelKey, KubernetesLabelValue,
    KubernetesMemoryManagerPolicy, KubernetesQuantityValue, KubernetesReservedResourceKey, KubernetesTaints,
    KubernetesThresholdValue, NonNegativeInteger, SingleLineString, TopologyManagerPolicy,
    TopologyManagerScope, Url, ValidBase64, ValidLinuxHostname,
};
use std::collections::BTreeMap;

group! {
    /// The kubelet.
    pub struct Kubernetes {
        /// Name of the cluster. Needed to authenticate with AWS.
        cluster_name: KubernetesClusterName,
        /// Base64 of the PEM certificate of the cluster's authority.
        cluster_certificate: ValidBase64,
        /// URL of the cluster's API server.
        api_server: Url,
        /// Labels the node registers with, by name.
        node_labels: BTreeMap<KubernetesLabelKey, KubernetesLabelValue>,
        /// Taints the node registers with: under each name a list such as `["value:NoSchedule"]`, or one such text.
        node_taints: BTreeMap<KubernetesLabelKey, KubernetesTaints>,
        /// Pods that the kubelet runs from files instead of from the cluster, by name.
        static_pods: BTreeMap<Identifier, StaticPod>,
        /// How the kubelet proves to the cluster who it is.
        authentication_mode: KubernetesAuthenticationMode,
        /// Token for joining the cluster, in authentication mode `tls`.
        bootstrap_token: KubernetesBootstrapToken,
        /// Whether the kubelet runs without a cluster, for static pods alone.
        standalone_mode: bool,
        /// Amounts below which pods are evicted at once, by resource.
        eviction_hard: BTreeMap<KubernetesEvictionKey, KubernetesThresholdValue>,
        /// Amounts below which pods are evicted after a grace period, by resource.
        eviction_soft: BTreeMap<KubernetesEvictionKey, KubernetesThresholdValue>,
        /// How long a soft threshold must be crossed before pods are evicted, by resource.
        eviction_soft_grace_period: BTreeMap<KubernetesEvictionKey, KubernetesDurationValue>,
        /// Longest time in seconds that an evicted pod may take to stop, for soft thresholds.
        eviction_max_pod_grace_period: NonNegativeInteger,
        /// Resources kept for the kubelet and the container runtime. Computed from the size of the machine when
        /// unset.
        kube_reserved: BTreeMap<KubernetesReservedResourceKey, KubernetesQuantityValue>,
        /// Resources kept for the rest of the host.
        system_reserved: BTreeMap<KubernetesReservedResourceKey, KubernetesQuantityValue>,
        /// Names or patterns, such as `net.ipv4.*`, of unsafe kernel parameters that pods may set.
        allowed_unsafe_sysctls: Vec<SingleLineString>,
        /// Whether the kubelet asks the cluster for its server certificate instead of signing one itself.
        server_tls_bootstrap: bool,
        /// Who manages the machine for the cluster: `aws`, `external`, or nobody when empty.
        cloud_provider: KubernetesCloudProvider,
        /// Image pulls per second. Unset means 5, and 0 no limit.
        registry_qps: i32,
        /// Image pulls in a burst. Unset means 10.
        registry_burst: i32,
        /// Events created per second, where 0 is no limit.
        event_qps: i32,
        /// Events created in a burst.
        event_burst: i32,
        /// Requests to the API server per second.
        kube_api_qps: i32,
        /// Requests to the API server in a burst.
        kube_api_burst: i32,
        /// Size at which the log file of a container is rotated. Unset means `10Mi`.
        container_log_max_size: KubernetesQuantityValue,
        /// How many log files of a container are kept. Unset means 5.
        container_log_max_files: i32,
        /// Whether the CPU limits of containers are enforced by quota. Unset means `true`.
        cpu_cfs_quota_enforced: bool,
        /// Policy of the CPU manager. Unset means `none`.
        cpu_manager_policy: CpuManagerPolicy,
        /// Time between two corrections by the CPU manager. Unset means `10s`.
        cpu_manager_reconcile_period: KubernetesDurationValue,
        /// Options of the policy `static` of the CPU manager.
        cpu_manager_policy_options: Vec<KubernetesCpuManagerPolicyOption>,
        /// What the topology manager aligns. Unset means `container`.
        topology_manager_scope: TopologyManagerScope,
        /// How strictly the topology manager aligns resources to NUMA nodes. Unset means `none`.
        topology_manager_policy: TopologyManagerPolicy,
        /// How many processes a pod may have. Unset means 1048576.
        pod_pids_limit: i64,
        /// Disk usage in percent above which unused images are removed. Unset means 85. More than the low threshold.
        image_gc_high_threshold_percent: IntegerPercent,
        /// Disk usage in percent at which the removal of images stops. Unset means 80. Less than the high threshold.
        image_gc_low_threshold_percent: IntegerPercent,
        /// Id of the machine with its cloud provider, such as `aws:///us-west-2a/i-0123`.
        provider_id: Url,
        /// How much the kubelet writes to its log. Unset means 2.
        log_level: u8,
        /// Programs that get credentials for pulling images, by name.
        credential_providers: BTreeMap<Identifier, CredentialProvider>,
        /// Base64 of the PEM certificate that the kubelet serves with. Takes effect together with the key.
        server_certificate: ValidBase64,
        /// Base64 of the PEM key that the kubelet serves with. Takes effect together with the certificate.
        server_key: ValidBase64,
        /// How long a shutdown of the host waits for pods to stop. Unset means not at all.
        shutdown_grace_period: KubernetesDurationValue,
        /// The part of the shutdown grace period that is kept for critical pods.
        shutdown_grace_period_for_critical_pods: KubernetesDurationValue,
        /// Memory kept from pods, by NUMA node.
        memory_manager_reserved_memory: BTreeMap<Identifier, MemoryReservation>,
        /// Policy of the memory manager. Takes effect when some memory reservation is enabled.
        memory_manager_policy: KubernetesMemoryManagerPolicy,
        /// Processors kept from pods, such as `0-3,8`.
        reserved_cpus: KernelCpuSetValue,
        /// How many pods the node runs at most. Found from the instance type on AWS; else unset means 110.
        max_pods: u32,
        /// Address of the cluster's name server, or a list of addresses. Found from the cluster on AWS.
        cluster_dns_ip: KubernetesClusterDnsIp,
        /// Domain of the cluster.
        cluster_domain: DnsDomain,
        /// Address the node registers with. Found from the network when unset.
        node_ip: IpAddress,
        /// Deprecated: image of the pause container. On AWS it is part of the host image and this has no effect.
        pod_infra_container_image: SingleLineString,
        /// Name under which the node registers, instead of its host name.
        hostname_override: ValidLinuxHostname,
        /// Where the name under which the node registers comes from when it is not set.
        hostname_override_source: KubernetesHostnameOverrideSource,
        /// Whether pods run under the runtime's seccomp profile unless they ask for another. Kubernetes 1.25 and
        /// later; unset means `false`.
        seccomp_default: bool,
    }
}

group! {
    /// A pod run from a file.
    pub struct StaticPod {
        /// Whether the pod runs.
        enabled: bool,
        /// Base64 of the pod's manifest. Needed when the pod is enabled.
        manifest: ValidBase64,
    }
}

group! {
    /// A program that gets credentials for pulling images.
    pub struct CredentialProvider {
        /// Whether the program is used. Needed together with the image patterns.
        enabled: bool,
        /// Patterns of the images it is used for, such as `*.dkr.ecr.*.amazonaws.com`.
        image_patterns: Vec<SingleLineString>,
        /// How long its credentials are kept, where it does not say so itself. Unset means `12h`.
        cache_duration: KubernetesDurationValue,
        /// Environment variables of the program, by name.
        environment: BTreeMap<SingleLineString, SingleLineString>,
    }
}

group! {
    /// Memory of a NUMA node kept from pods.
    pub struct MemoryReservation {
        /// Whether the reservation takes effect. Needed with every reservation.
        enabled: bool,
        /// How much ordinary memory is kept.
        memory: KubernetesQuantityValue,
        /// How much memory in huge pages of 2 MiB is kept.
        #[name("hugepages-2Mi")]
        hugepages_2mi: KubernetesQuantityValue,
        /// How much memory in huge pages of 1 GiB is kept.
        #[name("hugepages-1Gi")]
        hugepages_1gi: KubernetesQuantityValue,
    }
}
