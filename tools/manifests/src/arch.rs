//! Processor architectures.

use crate::names::did_you_mean;
use serde::{Deserialize, Serialize};
use snafu::Snafu;
use std::fmt;
use std::str::FromStr;

/// An architecture that images are built for, by the name that `uname -m` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// 64-bit Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

/// A name that is none of an architecture.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display("there is no architecture '{name}'{hint} (the architectures are x86_64, aarch64)"))]
pub struct UnknownArch {
    name: String,
    hint: String,
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The name that `uname -m` and RPM use.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The name that Go and Debian use.
    pub fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        let found = Self::ALL.into_iter().find(|arch| arch.name() == name);
        found.ok_or_else(|| {
            // The names that Go and Debian use are not near by letters, but surely meant.
            let other = Self::ALL.into_iter().find(|arch| arch.go_name() == name).map(Self::name);
            let hint = other.map_or_else(
                || did_you_mean(name, Self::ALL.map(Self::name)),
                |other| format!("; did you mean '{other}'?"),
            );
            UnknownArch { name: name.to_owned(), hint }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_architectures_are_those_of_uname() {
        for arch in Arch::ALL {
            assert_eq!(arch.name().parse(), Ok(arch));
            let read: Document = toml::from_str(&format!("arch = '{arch}'")).unwrap();
            assert_eq!(read.arch, arch);
        }
        for (name, part) in
            [("amd64", "mean 'x86_64'?"), ("x86-64", "mean 'x86_64'?"), ("riscv64", "'riscv64' (the")]
        {
            let why = name.parse::<Arch>().unwrap_err().to_string();
            assert!(why.contains(part), "{name}: {why}");
        }
    }

    #[derive(Deserialize)]
    struct Document {
        arch: Arch,
    }
}
