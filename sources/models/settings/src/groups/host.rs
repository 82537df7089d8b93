//! Updates and certificates.

use crate::model::group;
use modeled_types::{FriendlyVersion, PemCertificateString, Url};

group! {
    /// Updates of the host.
    pub struct Updates {
        /// URL of the directory that holds the signed metadata of the update repository.
        metadata_base_url: Url,
        /// URL of the directory that holds the images of the update repository.
        targets_base_url: Url,
        /// Place of this host in the waves of an update, from 0 (first) to 2047 (last). Chosen at random at the
        /// first boot; without it no update is looked for.
        seed: u32,
        /// Version to update to: `latest`, or a version such as `v1.2.3` to stay at or go to.
        version_lock: FriendlyVersion,
        /// Whether to take an update at once instead of waiting for the wave of this host.
        ignore_waves: bool,
    }
}

group! {
    /// A bundle of certificates.
    pub struct PkiBundle {
        /// Base64 of one or more PEM certificates. Blank text removes the bundle.
        data: PemCertificateString,
        /// Whether the certificates are trusted. `false`, which is also what unset means, takes them out of the
        /// trust of the host, even where the image trusts them.
        trusted: bool,
    }
}
