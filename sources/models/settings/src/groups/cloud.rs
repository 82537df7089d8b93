//! AWS and metrics.

use crate::model::group;
use modeled_types::{SingleLineString, Url, ValidBase64};

group! {
    /// AWS.
    pub struct Aws {
        /// Region, such as `us-west-2`. Found from the instance's metadata on AWS.
        region: SingleLineString,
        /// Base64 of an AWS configuration file, for hosts that are not EC2 instances.
        config: ValidBase64,
        /// Base64 of an AWS credentials file, for hosts that are not EC2 instances.
        credentials: ValidBase64,
        /// Profile of the two files to use.
        profile: SingleLineString,
    }
}

group! {
    /// CloudFormation.
    pub struct Cloudformation {
        /// Whether to tell the stack at boot that the instance has come up or failed to.
        should_signal: bool,
        /// Name of the stack.
        stack_name: SingleLineString,
        /// Logical id of the Auto Scaling group or instance within the stack.
        logical_resource_id: SingleLineString,
    }
}

group! {
    /// Auto Scaling.
    pub struct Autoscaling {
        /// Whether the orchestrator's agent waits until the instance has left the warm pool.
        should_wait: bool,
    }
}

group! {
    /// Metrics.
    pub struct Metrics {
        /// URL that metrics are sent to.
        metrics_url: Url,
        /// Whether to send metrics: after boot and every six hours.
        send_metrics: bool,
        /// Names of systemd units whose state is reported.
        service_checks: Vec<SingleLineString>,
    }
}
