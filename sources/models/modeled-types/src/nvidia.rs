//! Choices of the NVIDIA device plugin.

use crate::choice::choice_type;
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

choice_type! {
    /// How the device plugin names a GPU to the container runtime.
    NvidiaDeviceIdStrategy {
        /// By its unique id.
        Uuid = "uuid",
        /// By its number.
        Index = "index",
    }
}

choice_type! {
    /// How the device plugin hands GPUs to the container runtime.
    NvidiaDeviceListStrategy {
        /// In an environment variable.
        Envvar = "envvar",
        /// As mounts.
        VolumeMounts = "volume-mounts",
    }
}

choice_type! {
    /// Whether and how pods share a GPU.
    NvidiaDeviceSharingStrategy {
        /// A GPU belongs to one pod.
        None = "none",
        /// Pods take turns.
        TimeSlicing = "time-slicing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    #[test]
    fn strategies() {
        rows::<NvidiaDeviceIdStrategy>(&["uuid", "index"], &["", "UUID"]);
        rows::<NvidiaDeviceListStrategy>(&["envvar", "volume-mounts"], &["", "mounts"]);
        rows::<NvidiaDeviceSharingStrategy>(&["none", "time-slicing"], &["", "mps"]);
    }
}
