//! From changed keys to files and restarts.
//!
//! [`plan`] decides, from the tables of the image, which services the changed keys affect, which files those
//! services have and which commands restart them. [`execute`] renders all files, replaces those that differ, and
//! runs the commands in the order of the plan, going on past a failure; the report says what became of each.
//!
//! Run its tests with `cargo test -p thar-be-settings`.

mod execute;
mod plan;

pub use execute::{Mode, Render, execute};
pub use plan::{Changed, FilePlan, Plan, PlanError, ServicePlan, plan};
