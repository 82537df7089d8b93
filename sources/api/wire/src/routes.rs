//! Paths, query names, headers and names of transactions.

/// Where the server listens, below the root of the host.
pub const SOCKET: &str = "/run/api.sock";

/// The transaction of a request that names none.
pub const DEFAULT_TRANSACTION: &str = "default";
/// The transaction that every step of the boot writes into.
pub const LAUNCH_TRANSACTION: &str = "bottlerocket-launch";

/// Response header that holds the number of the apply job a request started.
pub const JOB_HEADER: &str = "visco-job";
/// Response header that holds the number of the commit a request made.
pub const COMMIT_HEADER: &str = "visco-commit";

/// The whole model.
pub const ROOT: &str = "/";
/// The operating system.
pub const OS: &str = "/os";
/// Settings.
pub const SETTINGS: &str = "/settings";
/// Checks settings without storing them.
pub const SETTINGS_VALIDATE: &str = "/settings/validate";
/// Where values come from.
pub const SETTINGS_ORIGIN: &str = "/settings/origin";
/// Settings as `key=value` pairs.
pub const KEYPAIR: &str = "/settings/keypair";
/// A pending transaction.
pub const TX: &str = "/tx";
/// Names of pending transactions.
pub const TX_LIST: &str = "/tx/list";
/// What a transaction would change.
pub const TX_DIFF: &str = "/tx/diff";
/// Commits a transaction.
pub const TX_COMMIT: &str = "/tx/commit";
/// Applies settings to the host.
pub const TX_APPLY: &str = "/tx/apply";
/// Commits a transaction and applies what it changed.
pub const TX_COMMIT_AND_APPLY: &str = "/tx/commit_and_apply";
/// Services that keys affect.
pub const AFFECTED_SERVICES: &str = "/metadata/affected-services";
/// Generators of settings.
pub const SETTING_GENERATORS: &str = "/metadata/setting-generators";
/// Templates of settings; always empty, kept for clients that ask.
pub const TEMPLATES: &str = "/metadata/templates";
/// Services.
pub const SERVICES: &str = "/services";
/// Configuration files.
pub const CONFIGURATION_FILES: &str = "/configuration-files";
/// Apply jobs.
pub const JOBS: &str = "/jobs";
/// One apply job.
pub const JOB: &str = "/jobs/{id}";
/// The history.
pub const COMMITS: &str = "/commits";
/// One commit.
pub const COMMIT: &str = "/commits/{id}";
/// Checks the history against its chain of hashes.
pub const COMMITS_VERIFY: &str = "/commits/verify";
/// Undoes one commit.
pub const COMMIT_REVERT: &str = "/commits/{id}/revert";
/// Goes back to the state right after a commit.
pub const COMMIT_RESTORE: &str = "/commits/{id}/restore";
/// Ends the trial of a commit: it stays.
pub const COMMIT_CONFIRM: &str = "/commits/{id}/confirm";
/// Commits, jobs and trials as they happen.
pub const EVENTS: &str = "/events";
/// The JSON Schema of the settings of this variant.
pub const SCHEMA: &str = "/schema";
/// What is known about a key.
pub const EXPLAIN: &str = "/explain";
/// Counters and times, as Prometheus reads them.
pub const METRICS: &str = "/metrics";
/// The document of this API.
pub const OPENAPI: &str = "/openapi.json";
/// Reboots the host.
pub const REBOOT: &str = "/actions/reboot";
/// Has the host look for updates.
pub const REFRESH_UPDATES: &str = "/actions/refresh-updates";
/// Has the chosen update written to the inactive set of partitions.
pub const PREPARE_UPDATE: &str = "/actions/prepare-update";
/// Has the update that was written boot next.
pub const ACTIVATE_UPDATE: &str = "/actions/activate-update";
/// Has the running system boot next again.
pub const DEACTIVATE_UPDATE: &str = "/actions/deactivate-update";
/// Forgets that a version fell back.
pub const FORGET_UPDATE: &str = "/actions/forget-update";
/// What the host knows of its update.
pub const UPDATES_STATUS: &str = "/updates/status";
/// State of the server.
pub const STATUS: &str = "/status";

/// Query name: puts a commit on trial for so many seconds.
pub const QUERY_TRY: &str = "try";
