//! What goes over the API socket: routes, documents and error codes, shared by server and clients so that they
//! cannot drift apart.
//!
//! The crate holds data only. Run its tests with `cargo test -p wire`.

mod commit;
mod error;
mod event;
mod job;
mod os;
pub mod routes;
mod settings;
mod status;

pub use commit::{
    Author, Change, Commit, CommitSummary, Committed, MARK_USER_DATA, Tampered, Trial, Verification,
};
pub use error::{Code, ErrorBody, ViolationSchema};
pub use event::Event;
pub use job::{ApplyReport, CommandResult, FileResult, FileState, Job, JobState, ServiceResult};
pub use os::Os;
pub use settings::{
    ConfigurationFile, Diff, DiffChange, DiffFile, DiffService, Explanation, KeyPairs, Origin, OriginValue,
    Service, Validation,
};
pub use status::{Quarantined, Status};
/// Updates of the host, as the program that makes them writes it down.
pub use update_status::{
    CommandResult as UpdateCommandResult, CommandStatus as UpdateCommandStatus, Image as UpdateImage,
    Progress as UpdateProgress, State as UpdateState, Status as UpdateStatus, Turn as UpdateTurn,
    UpdateResult, Verb as UpdateCommand,
};
