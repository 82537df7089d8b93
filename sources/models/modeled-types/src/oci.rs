//! Defaults of containers: capabilities and resource limits.

use crate::choice::choice_type;
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

choice_type! {
    /// A capability of Linux (`capabilities(7)`), in lower case, without `CAP_`, with hyphens.
    OciDefaultsCapability {
        /// `CAP_AUDIT_CONTROL`.
        AuditControl = "audit-control",
        /// `CAP_AUDIT_READ`.
        AuditRead = "audit-read",
        /// `CAP_AUDIT_WRITE`.
        AuditWrite = "audit-write",
        /// `CAP_BLOCK_SUSPEND`.
        BlockSuspend = "block-suspend",
        /// `CAP_BPF`.
        Bpf = "bpf",
        /// `CAP_CHECKPOINT_RESTORE`.
        CheckpointRestore = "checkpoint-restore",
        /// `CAP_CHOWN`.
        Chown = "chown",
        /// `CAP_DAC_OVERRIDE`.
        DacOverride = "dac-override",
        /// `CAP_DAC_READ_SEARCH`.
        DacReadSearch = "dac-read-search",
        /// `CAP_FOWNER`.
        Fowner = "fowner",
        /// `CAP_FSETID`.
        Fsetid = "fsetid",
        /// `CAP_IPC_LOCK`.
        IpcLock = "ipc-lock",
        /// `CAP_IPC_OWNER`.
        IpcOwner = "ipc-owner",
        /// `CAP_KILL`.
        Kill = "kill",
        /// `CAP_LEASE`.
        Lease = "lease",
        /// `CAP_LINUX_IMMUTABLE`.
        LinuxImmutable = "linux-immutable",
        /// `CAP_MAC_ADMIN`.
        MacAdmin = "mac-admin",
        /// `CAP_MAC_OVERRIDE`.
        MacOverride = "mac-override",
        /// `CAP_MKNOD`.
        Mknod = "mknod",
        /// `CAP_NET_ADMIN`.
        NetAdmin = "net-admin",
        /// `CAP_NET_BIND_SERVICE`.
        NetBindService = "net-bind-service",
        /// `CAP_NET_BROADCAST`.
        NetBroadcast = "net-broadcast",
        /// `CAP_NET_RAW`.
        NetRaw = "net-raw",
        /// `CAP_PERFMON`.
        Perfmon = "perfmon",
        /// `CAP_SETGID`.
        Setgid = "setgid",
        /// `CAP_SETFCAP`.
        Setfcap = "setfcap",
        /// `CAP_SETPCAP`.
        Setpcap = "setpcap",
        /// `CAP_SETUID`.
        Setuid = "setuid",
        /// `CAP_SYS_ADMIN`.
        SysAdmin = "sys-admin",
        /// `CAP_SYS_BOOT`.
        SysBoot = "sys-boot",
        /// `CAP_SYS_CHROOT`.
        SysChroot = "sys-chroot",
        /// `CAP_SYS_MODULE`.
        SysModule = "sys-module",
        /// `CAP_SYS_NICE`.
        SysNice = "sys-nice",
        /// `CAP_SYS_PACCT`.
        SysPacct = "sys-pacct",
        /// `CAP_SYS_PTRACE`.
        SysPtrace = "sys-ptrace",
        /// `CAP_SYS_RAWIO`.
        SysRawio = "sys-rawio",
        /// `CAP_SYS_RESOURCE`.
        SysResource = "sys-resource",
        /// `CAP_SYS_TIME`.
        SysTime = "sys-time",
        /// `CAP_SYS_TTY_CONFIG`.
        SysTtyConfig = "sys-tty-config",
        /// `CAP_SYSLOG`.
        Syslog = "syslog",
        /// `CAP_WAKE_ALARM`.
        WakeAlarm = "wake-alarm",
    }
}

impl OciDefaultsCapability {
    /// The name Linux gives it, such as `CAP_NET_ADMIN`.
    pub fn linux_name(self) -> String {
        format!("CAP_{}", self.as_str().to_ascii_uppercase().replace('-', "_"))
    }
}

choice_type! {
    /// A resource that has a limit (`getrlimit(2)`).
    OciDefaultsResourceLimitType {
        /// `RLIMIT_AS`.
        MaxAddressSpace = "max-address-space",
        /// `RLIMIT_CORE`.
        MaxCoreFileSize = "max-core-file-size",
        /// `RLIMIT_CPU`.
        MaxCpuTime = "max-cpu-time",
        /// `RLIMIT_DATA`.
        MaxDataSize = "max-data-size",
        /// `RLIMIT_LOCKS`.
        MaxFileLocks = "max-file-locks",
        /// `RLIMIT_FSIZE`.
        MaxFileSize = "max-file-size",
        /// `RLIMIT_MEMLOCK`.
        MaxLockedMemory = "max-locked-memory",
        /// `RLIMIT_MSGQUEUE`.
        MaxMsgqueueSize = "max-msgqueue-size",
        /// `RLIMIT_NICE`.
        MaxNicePriority = "max-nice-priority",
        /// `RLIMIT_NOFILE`.
        MaxOpenFiles = "max-open-files",
        /// `RLIMIT_SIGPENDING`.
        MaxPendingSignals = "max-pending-signals",
        /// `RLIMIT_NPROC`.
        MaxProcesses = "max-processes",
        /// `RLIMIT_RTPRIO`.
        MaxRealtimePriority = "max-realtime-priority",
        /// `RLIMIT_RTTIME`.
        MaxRealtimeTimeout = "max-realtime-timeout",
        /// `RLIMIT_RSS`.
        MaxResidentSet = "max-resident-set",
        /// `RLIMIT_STACK`.
        MaxStackSize = "max-stack-size",
    }
}

impl OciDefaultsResourceLimitType {
    /// The name Linux gives it, such as `RLIMIT_NOFILE`.
    pub fn linux_name(self) -> &'static str {
        match self {
            Self::MaxAddressSpace => "RLIMIT_AS",
            Self::MaxCoreFileSize => "RLIMIT_CORE",
            Self::MaxCpuTime => "RLIMIT_CPU",
            Self::MaxDataSize => "RLIMIT_DATA",
            Self::MaxFileLocks => "RLIMIT_LOCKS",
            Self::MaxFileSize => "RLIMIT_FSIZE",
            Self::MaxLockedMemory => "RLIMIT_MEMLOCK",
            Self::MaxMsgqueueSize => "RLIMIT_MSGQUEUE",
            Self::MaxNicePriority => "RLIMIT_NICE",
            Self::MaxOpenFiles => "RLIMIT_NOFILE",
            Self::MaxPendingSignals => "RLIMIT_SIGPENDING",
            Self::MaxProcesses => "RLIMIT_NPROC",
            Self::MaxRealtimePriority => "RLIMIT_RTPRIO",
            Self::MaxRealtimeTimeout => "RLIMIT_RTTIME",
            Self::MaxResidentSet => "RLIMIT_RSS",
            Self::MaxStackSize => "RLIMIT_STACK",
        }
    }
}

/// A resource limit. `unlimited` is taken for -1, the number it prints as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "i64")]
pub struct OciLimit(i64);

impl OciLimit {
    /// The limit, unless there is none.
    pub fn get(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl TryFrom<Value> for OciLimit {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        let limit = match &value {
            Value::String(text) if text == "unlimited" => Some(-1),
            Value::Number(number) => number.as_i64().filter(|&n| n >= -1),
            _ => None,
        };
        limit.map(Self).ok_or_else(|| Refusal::new(Self::RULE))
    }
}

impl From<OciLimit> for i64 {
    fn from(limit: OciLimit) -> i64 {
        limit.0
    }
}

impl Scalar for OciLimit {
    const NAME: &'static str = "OciLimit";
    const RULE: &'static str =
        "must be an integer from -1 to 9223372036854775807, or 'unlimited' (the same as -1)";
    const KIND: Kind = Kind::IntegerOrText;

    fn json_schema() -> Value {
        json!({"anyOf": [{"type": "integer", "minimum": -1, "maximum": i64::MAX}, {"const": "unlimited"}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{json_rows, normalised, rows};

    #[test]
    fn capabilities_have_their_linux_names() {
        rows::<OciDefaultsCapability>(
            &["net-admin", "bpf", "sys-tty-config"],
            &["", "CAP_BPF", "net_admin", "all"],
        );
        assert_eq!(OciDefaultsCapability::ALL.len(), 41);
        assert_eq!(OciDefaultsCapability::SysTtyConfig.linux_name(), "CAP_SYS_TTY_CONFIG");
    }

    #[test]
    fn resources_have_their_linux_names() {
        rows::<OciDefaultsResourceLimitType>(&["max-open-files"], &["", "nofile", "RLIMIT_NOFILE"]);
        assert_eq!(OciDefaultsResourceLimitType::ALL.len(), 16);
        assert_eq!(OciDefaultsResourceLimitType::MaxOpenFiles.linux_name(), "RLIMIT_NOFILE");
    }

    #[test]
    fn limits_print_as_numbers() {
        json_rows::<OciLimit>(
            &[json!(-1), json!(0), json!(1024), json!(i64::MAX)],
            &[
                json!(-2),
                json!("10"),
                json!(1.5),
                json!("Unlimited"),
                json!(u64::MAX),
                json!(true),
                json!(""),
            ],
        );
        normalised::<OciLimit>(&json!("unlimited"), &json!(-1));
    }
}
