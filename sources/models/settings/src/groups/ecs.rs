//! The ECS agent.

use crate::model::group;
use modeled_types::{
    EcsAgentImagePullBehavior, EcsAgentLogLevel, EcsAttributeKey, EcsAttributeValue, EcsDurationValue,
    SingleLineString,
};
use std::collections::BTreeMap;

group! {
    /// The ECS agent.
    pub struct Ecs {
        /// Name of the cluster to join. Unset or empty means the cluster `default`.
        cluster: SingleLineString,
        /// Attributes of the instance that tasks can be placed by, by name.
        instance_attributes: BTreeMap<EcsAttributeKey, EcsAttributeValue>,
        /// Whether tasks may run privileged containers.
        allow_privileged_containers: bool,
        /// Log drivers that tasks may use.
        logging_drivers: Vec<SingleLineString>,
        /// How much the agent writes to its log.
        loglevel: EcsAgentLogLevel,
        /// Whether the instance drains its tasks when a spot interruption is announced. Unset means `false`.
        enable_spot_instance_draining: bool,
        /// When the agent pulls images.
        image_pull_behavior: EcsAgentImagePullBehavior,
        /// How long a container may take to stop before it is killed. Unset means `30s`.
        container_stop_timeout: EcsDurationValue,
        /// How long stopped tasks are kept before their containers are removed. Unset means `3h`.
        task_cleanup_wait: EcsDurationValue,
        /// Steady rate of requests to the task metadata service, per second. Unset means 40.
        metadata_service_rps: i64,
        /// Burst rate of requests to the task metadata service, per second. Unset means 60.
        metadata_service_burst: i64,
        /// Memory kept from tasks for other processes, in MiB. Unset means 0.
        reserved_memory: u16,
        /// Time between two clean-ups of images. Unset means `30m`.
        image_cleanup_wait: EcsDurationValue,
        /// How many images a clean-up removes at most. Unset means 5.
        image_cleanup_delete_per_cycle: i64,
        /// Whether unused images are removed. Unset means `true`.
        image_cleanup_enabled: bool,
        /// How long ago an image must have been pulled to be removed. Unset means `1h`.
        image_cleanup_age: EcsDurationValue,
        /// Host of the ECS service, where it is not the one of the region.
        backend_host: SingleLineString,
        /// Whether tasks in `awsvpc` mode are kept from the instance metadata service. Unset means `false`.
        awsvpc_block_imds: bool,
        /// Whether the agent gives containers a file with their metadata. Unset means `false`.
        enable_container_metadata: bool,
    }
}
