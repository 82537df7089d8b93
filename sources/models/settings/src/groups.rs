//! The groups of settings.

mod cloud;
mod containers;
mod ecs;
mod host;
mod kernel;
mod kubernetes;
mod network;
mod nvidia;
mod registry;

use crate::model::group;
use modeled_types::{AnyText, Identifier};
use std::collections::BTreeMap;

pub use cloud::{Autoscaling, Aws, Cloudformation, Metrics};
pub use containers::{
    BootstrapCommand, BootstrapContainer, ContainerRuntime, HostContainer, OciDefaults, OciHooks,
    ResourceLimit,
};
pub use ecs::Ecs;
pub use host::{Health, HealthCheck, PkiBundle, Updates};
pub use kernel::{Boot, Kernel, KernelModule};
pub use kubernetes::{CredentialProvider, Kubernetes, MemoryReservation, StaticPod};
pub use network::{Dns, Network, Ntp};
pub use nvidia::{KubeletDevicePlugins, NvidiaContainerRuntime, NvidiaDevicePlugin, TimeSlicing};
pub use registry::{ContainerRegistry, Credential, Credentials, Mirror, Mirrors};

group! {
    /// All settings of all variants; a variant has some of these groups.
    pub struct Settings {
        /// Message of the day, shown to people who log in. Any text, of any number of lines.
        motd: AnyText,
        /// Where updates of the host come from, and which of them it takes.
        updates: Updates,
        /// What a boot must come to before the host counts it as good and keeps the version that booted.
        health: Health,
        /// Containers that administer the host, by name. They run apart from the workload, in their own containerd.
        host_containers: BTreeMap<Identifier, HostContainer>,
        /// Containers that prepare the host at boot, before the workload starts, by name.
        bootstrap_containers: BTreeMap<Identifier, BootstrapContainer>,
        /// API client commands that run at boot, by name, in the order of their names.
        bootstrap_commands: BTreeMap<Identifier, BootstrapCommand>,
        /// Time servers.
        ntp: Ntp,
        /// Host name, hosts file and proxy.
        network: Network,
        /// Name resolution. What is set here takes the place of what DHCP says.
        dns: Dns,
        /// Kernel parameters, modules and lockdown.
        kernel: Kernel,
        /// Kernel and init parameters of the next boot.
        boot: Boot,
        /// Region and credentials for AWS.
        aws: Aws,
        /// The signal to a CloudFormation stack that this instance has come up.
        cloudformation: Cloudformation,
        /// Behaviour in an Auto Scaling group.
        autoscaling: Autoscaling,
        /// Anonymous health metrics sent to the maintainers of the image.
        metrics: Metrics,
        /// Certificate bundles to trust or distrust, by name.
        pki: BTreeMap<Identifier, PkiBundle>,
        /// Mirrors of and credentials for container registries.
        container_registry: ContainerRegistry,
        /// The container runtime of the workload.
        container_runtime: ContainerRuntime,
        /// Hooks that run at the start of every container.
        oci_hooks: OciHooks,
        /// What containers of the workload may do and use unless they ask for something else.
        oci_defaults: OciDefaults,
        /// The kubelet and the cluster it joins.
        kubernetes: Kubernetes,
        /// The ECS agent and the cluster it joins.
        ecs: Ecs,
        /// How the NVIDIA container runtime gives GPUs to containers.
        nvidia_container_runtime: NvidiaContainerRuntime,
        /// Plugins that offer devices to the kubelet.
        kubelet_device_plugins: KubeletDevicePlugins,
    }
}
