//! The kernel and how it boots.

use crate::model::group;
use modeled_types::{AnyText, BootConfigKey, BootConfigValue, KmodKey, Lockdown, SysctlKey};
use std::collections::BTreeMap;

group! {
    /// The kernel.
    pub struct Kernel {
        /// How much the kernel lets root change it. A running kernel can be locked further, but never less without a
        /// reboot.
        lockdown: Lockdown,
        /// Kernel parameters, by name. Dots and slashes in a name may be used for each other. A parameter that
        /// cannot be written is logged and passed over.
        sysctl: BTreeMap<SysctlKey, AnyText>,
        /// Kernel modules, by name.
        modules: BTreeMap<KmodKey, KernelModule>,
    }
}

group! {
    /// A kernel module.
    pub struct KernelModule {
        /// Whether the module may be loaded. Once a module is listed, unset means `false`.
        allowed: bool,
        /// Whether the module is loaded at boot; it must also be allowed. Unset means `false`.
        autoload: bool,
    }
}

group! {
    /// Parameters of the next boot.
    pub struct Boot {
        /// Whether to reboot during boot when the parameters below differ from those of the running kernel. Unset
        /// means `false`.
        reboot_to_reconcile: bool,
        /// Parameters of the kernel, by name; each has a list of values, an empty one where the name alone is meant.
        #[alias("kernel-parameters")]
        kernel: BTreeMap<BootConfigKey, Vec<BootConfigValue>>,
        /// Parameters of the init process, by name; each has a list of values, an empty one where the name alone is
        /// meant.
        #[alias("init-parameters")]
        init: BTreeMap<BootConfigKey, Vec<BootConfigValue>>,
    }
}
