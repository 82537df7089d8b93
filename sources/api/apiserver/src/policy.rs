//! Who may do what, by the credentials of the peer.

use crate::Peer;
use axum::http::Method;
use host::{FileError, Host};
use serde::Deserialize;
use snafu::{ResultExt, Snafu};
use wire::routes;

/// Where the policy is, on the host.
pub const POLICY_FILE: &str = "/etc/visco/api-policy.toml";

/// A policy that cannot be used. The server does not start with one: guessing at who was to be kept out would
/// be worse.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum PolicyError {
    #[snafu(display("read the policy of the API"))]
    ReadPolicy { source: FileError },
    #[snafu(display("{POLICY_FILE} is not text"))]
    PolicyText { source: std::string::FromUtf8Error },
    #[snafu(display("understand {POLICY_FILE}"))]
    Policy { source: toml::de::Error },
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looks.
    Read,
    /// Changes settings or applies them.
    Write,
    /// Reboots the host.
    Reboot,
}

impl Role {
    /// What a request needs.
    pub fn of(method: &Method, path: &str) -> Self {
        match (method, path) {
            (&Method::GET | &Method::HEAD, _) | (_, routes::SETTINGS_VALIDATE) => Self::Read,
            (_, routes::REBOOT) => Self::Reboot,
            _ => Self::Write,
        }
    }

    /// Its name in the policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Reboot => "reboot",
        }
    }
}

/// Who may do what. By default, whoever can open the socket may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    roles: Roles,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Roles {
    read: Members,
    write: Members,
    reboot: Members,
}

/// Who has a role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "must be \"all\" or a table with the lists 'uids' and 'gids'")]
enum Members {
    Everyone(All),
    Some(Listed),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listed {
    uids: Vec<u32>,
    gids: Vec<u32>,
}

impl Default for Members {
    fn default() -> Self {
        Self::Everyone(All::All)
    }
}

impl Policy {
    /// Reads the policy of a host; without a file it is the default.
    pub fn load(host: &Host) -> Result<Self, PolicyError> {
        match host.read(POLICY_FILE).context(ReadPolicySnafu)? {
            Some(text) => Self::parse(&String::from_utf8(text).context(PolicyTextSnafu)?),
            None => Ok(Self::default()),
        }
    }

    /// Reads a policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).context(PolicySnafu)
    }

    /// Whether a peer may do something. Those who could replace the policy always may: without the steps of the
    /// boot there would be no host.
    pub fn allows(&self, peer: Peer, role: Role) -> bool {
        let members = match role {
            Role::Read => &self.roles.read,
            Role::Write => &self.roles.write,
            Role::Reboot => &self.roles.reboot,
        };
        match members {
            Members::Everyone(_) => true,
            Members::Some(listed) => {
                listed.uids.contains(&peer.uid) || listed.gids.contains(&peer.gid) || peer.is_privileged()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid, gid, pid: 1 }
    }

    #[test]
    fn roles_are_given_by_user_and_group() {
        let policy = "[roles]\nwrite = { uids = [10001], gids = [20001] }\nreboot = { uids = [] }";
        let policy = Policy::parse(policy).unwrap();
        let rows = [
            (peer(10001, 1), Role::Write, true),
            (peer(10002, 20001), Role::Write, true),
            (peer(10002, 20002), Role::Write, false),
            (peer(10002, 20002), Role::Read, true),
            (peer(10001, 20001), Role::Reboot, false),
            (peer(0, 0), Role::Reboot, true),
        ];
        for (peer, role, allowed) in rows {
            assert_eq!(policy.allows(peer, role), allowed, "{peer:?} {role:?}");
        }
        assert!(Policy::default().allows(peer(10009, 20009), Role::Reboot));
    }

    #[test]
    fn a_policy_with_a_fault_is_refused() {
        for text in [
            "roles = 1",
            "[roles]\nwrit = \"all\"",
            "[roles]\nread = \"none\"",
            "[roles]\nread = { uid = [1] }",
            "[role]",
            "[roles]\nread = { uids = [-1] }",
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn requests_need_the_least_role() {
        let rows = [
            (Method::GET, "/settings", Role::Read),
            (Method::HEAD, "/", Role::Read),
            (Method::POST, routes::SETTINGS_VALIDATE, Role::Read),
            (Method::PATCH, "/settings", Role::Write),
            (Method::DELETE, "/tx", Role::Write),
            (Method::POST, "/tx/apply", Role::Write),
            (Method::POST, "/actions/reboot", Role::Reboot),
        ];
        for (method, path, role) in rows {
            assert_eq!(Role::of(&method, path), role, "{method} {path}");
        }
    }
}
