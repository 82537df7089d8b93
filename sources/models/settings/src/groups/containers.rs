//! Containers of the host, and defaults of containers.

use crate::model::group;
use modeled_types::{
    ApiclientCommand, BootstrapMode, OciDefaultsCapability, OciDefaultsResourceLimitType, OciLimit, Url,
    ValidBase64,
};
use std::collections::BTreeMap;

group! {
    /// A container that administers the host.
    pub struct HostContainer {
        /// Image reference. Needed for the container to start.
        source: Url,
        /// Whether the container runs. Unset means `false`.
        enabled: bool,
        /// Whether the container is privileged and sees the host's file systems. Unset means `false`.
        superpowered: bool,
        /// Base64 data, decoded into `/.bottlerocket/host-containers/current/user-data` of the container.
        user_data: ValidBase64,
    }
}

group! {
    /// A container that prepares the host at boot.
    pub struct BootstrapContainer {
        /// Image reference. Needed for the container to start.
        source: Url,
        /// When the container runs. `once` turns into `off` after a run that succeeds. Unset means `off`.
        mode: BootstrapMode,
        /// Base64 data, decoded into `/.bottlerocket/bootstrap-containers/current/user-data` of the container.
        user_data: ValidBase64,
        /// Whether the boot fails when the container fails. Unset means `false`.
        essential: bool,
    }
}

group! {
    /// Commands that run at boot.
    pub struct BootstrapCommand {
        /// The commands in order, each a list of words that begins with `apiclient`.
        commands: Vec<ApiclientCommand>,
        /// When the commands run. `once` turns into `off` after a run that succeeds. Unset means `off`.
        mode: BootstrapMode,
        /// Whether the boot fails when a command fails. Unset means `false`.
        essential: bool,
    }
}

group! {
    /// The container runtime.
    pub struct ContainerRuntime {
        /// Longest line of a container's log in bytes; longer lines are split. Unset means 16384, -1 no limit.
        max_container_log_line_size: i32,
        /// How many layers of an image are downloaded at a time. Unset means 3.
        max_concurrent_downloads: i32,
        /// Whether containers may listen on ports below 1024 without a capability. Unset means `false`.
        enable_unprivileged_ports: bool,
        /// Whether containers may send ICMP echo requests without a capability. Unset means `false`.
        enable_unprivileged_icmp: bool,
    }
}

group! {
    /// Hooks of containers.
    pub struct OciHooks {
        /// Deprecated and without effect: the Log4j hot patch is no longer part of the image.
        log4j_hotpatch_enabled: bool,
    }
}

group! {
    /// Defaults of containers.
    pub struct OciDefaults {
        /// Capabilities of Linux, by name in lower case without `CAP_`: whether containers have them. Unset means
        /// not granted.
        capabilities: BTreeMap<OciDefaultsCapability, bool>,
        /// Limits of resources, by name. A limit needs both its hard and its soft value.
        resource_limits: BTreeMap<OciDefaultsResourceLimitType, ResourceLimit>,
    }
}

group! {
    /// A limit of a resource.
    pub struct ResourceLimit {
        /// What a process may raise its soft limit to; `unlimited` or -1 for no limit.
        hard_limit: OciLimit,
        /// What a process may use; `unlimited` or -1 for no limit. At most the hard limit.
        soft_limit: OciLimit,
    }
}
