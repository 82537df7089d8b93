//! What the server reads from the image: the variant and the operating system's identity.

use defaults::{VARIANT_FILE, Variant};
use host::{FileError, Host, OS_RELEASE, OsRelease};
use snafu::{OptionExt, ResultExt, Snafu};
use wire::Os;

/// An image that does not say what it is.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ImageError {
    #[snafu(display("read what variant this host is"))]
    ReadVariant { source: FileError },
    #[snafu(display("{VARIANT_FILE} is missing: the image does not say what variant it is"))]
    NoVariant,
    #[snafu(display("{VARIANT_FILE} is not text"))]
    VariantText { source: std::string::FromUtf8Error },
    #[snafu(display("understand {VARIANT_FILE}"))]
    Variant { source: defaults::VariantError },
    #[snafu(display("read the identity of the operating system"))]
    ReadOs { source: FileError },
    #[snafu(display("{OS_RELEASE} is missing: the image does not say what version it is"))]
    NoOs,
}

/// What an image says of itself.
#[derive(Debug)]
pub struct Image {
    /// Setting groups, defaults, services, configuration files, generators.
    pub variant: Variant,
    /// The operating system.
    pub os: Os,
}

impl Image {
    /// Reads the image of a host.
    pub fn load(host: &Host) -> Result<Self, ImageError> {
        let variant = host.read(VARIANT_FILE).context(ReadVariantSnafu)?.context(NoVariantSnafu)?;
        let variant = String::from_utf8(variant).context(VariantTextSnafu)?;
        let variant = Variant::parse(&variant).context(VariantSnafu)?;
        let release = host.os_release().context(ReadOsSnafu)?.context(NoOsSnafu)?;
        Ok(Self { variant, os: os_of(&release) })
    }
}

/// The fields we show; what is not there is empty.
fn os_of(release: &OsRelease) -> Os {
    let field = |name| release.field(name).unwrap_or_default().to_owned();
    Os {
        pretty_name: field("PRETTY_NAME"),
        variant_id: field("VARIANT_ID"),
        version_id: field("VERSION_ID"),
        build_id: field("BUILD_ID"),
        arch: std::env::consts::ARCH.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_gives_the_identity() {
        let os = os_of(&OsRelease::new(
            "NAME=Visco\nPRETTY_NAME=\"Visco 1.2\"\nVERSION_ID=1.2.0\nVARIANT_ID=metal-dev\n",
        ));
        assert_eq!(os.pretty_name, "Visco 1.2");
        assert_eq!(os.version_id, "1.2.0");
        assert_eq!(os.variant_id, "metal-dev");
        assert_eq!(os.build_id, "");
    }
}
