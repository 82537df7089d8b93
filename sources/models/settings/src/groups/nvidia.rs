//! GPUs.

use crate::model::group;
use modeled_types::{
    NvidiaDeviceIdStrategy, NvidiaDeviceListStrategy, NvidiaDeviceSharingStrategy, TimeSlicingReplicas,
};

group! {
    /// The NVIDIA container runtime.
    pub struct NvidiaContainerRuntime {
        /// Whether GPUs are given to containers as mounts, which only the device plugin can ask for.
        visible_devices_as_volume_mounts: bool,
        /// Whether unprivileged containers can ask for GPUs by an environment variable.
        visible_devices_envvar_when_unprivileged: bool,
    }
}

group! {
    /// Plugins of the kubelet.
    pub struct KubeletDevicePlugins {
        /// The plugin for NVIDIA GPUs.
        nvidia: NvidiaDevicePlugin,
    }
}

group! {
    /// The plugin for NVIDIA GPUs.
    pub struct NvidiaDevicePlugin {
        /// Whether the plugin passes the device files of a GPU to the kubelet.
        pass_device_specs: bool,
        /// How the plugin names a GPU to the container runtime.
        device_id_strategy: NvidiaDeviceIdStrategy,
        /// How the plugin hands GPUs to the container runtime.
        device_list_strategy: NvidiaDeviceListStrategy,
        /// Whether and how pods share a GPU.
        device_sharing_strategy: NvidiaDeviceSharingStrategy,
        /// Sharing by turns, for the strategy `time-slicing`.
        time_slicing: TimeSlicing,
    }
}

group! {
    /// Sharing by turns.
    pub struct TimeSlicing {
        /// How many pods share one GPU, at least 2. Unset means 2.
        replicas: TimeSlicingReplicas,
        /// Whether shared GPUs are offered under a name of their own, with `.shared` at its end. Unset means `true`.
        rename_by_default: bool,
        /// Whether a pod that asks for more than one shared GPU is refused. Unset means `true`.
        fail_requests_greater_than_one: bool,
    }
}
