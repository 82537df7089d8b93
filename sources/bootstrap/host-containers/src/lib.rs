//! Containers that belong to the host: host containers administer it, bootstrap containers prepare it at boot.
//!
//! Each container is a unit, `host-containers@NAME.service` or `bootstrap-containers@NAME.service`, with a file of
//! environment variables and a folder of its own. [`host_containers`] and [`bootstrap_containers`] make [`Plan`]s from
//! the configuration file and what is known of the [`Machine`]: one plan a container, so that one that cannot be set
//! up does not hold up the others.
//!
//! The crate decides and touches nothing: the verbs `host-containers` and `bootstrap-containers` of the program
//! `bootstrap` look at the machine and perform the plans. Nor does it run containers: the units start `host-ctr` for
//! that. Run its tests with `cargo test -p host-containers`.

mod bootstrap;
mod entry;
mod host;
mod plan;

pub use bootstrap::bootstrap_containers;
pub use entry::ConfigError;
pub use host::host_containers;
pub use plan::{Fault, Machine, Plan, Plans, Step};

/// The containers that administer the host.
pub const HOST: Family = Family {
    name: "host-containers",
    environment: "/etc/host-containers",
    folder: "/local/host-containers",
    id_prefix: "",
};

/// The containers that prepare the host at boot.
pub const BOOTSTRAP: Family = Family {
    name: "bootstrap-containers",
    environment: "/etc/bootstrap-containers",
    folder: "/local/bootstrap-containers",
    id_prefix: "boot.",
};

/// A family of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its group of settings; the name of its unit before the `@`.
    pub name: &'static str,
    /// The folder of the files of environment variables.
    pub environment: &'static str,
    /// The folder of the containers' own folders.
    pub folder: &'static str,
    id_prefix: &'static str,
}

impl Family {
    /// The unit of a container.
    pub fn unit(&self, container: &str) -> String {
        format!("{}@{container}.service", self.name)
    }

    /// The drop-in of a container's unit.
    pub fn drop_in(&self, container: &str) -> String {
        format!("/etc/systemd/system/{}.d/overrides.conf", self.unit(container))
    }

    fn environment_file(&self, container: &str) -> String {
        format!("{}/{container}.env", self.environment)
    }

    fn id(&self, container: &str) -> String {
        format!("{}{container}", self.id_prefix)
    }
}
