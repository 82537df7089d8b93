//! Updates, health of a boot, and certificates.

use crate::model::group;
use modeled_types::{
    AutomaticUpdates, BandwidthLimit, DailyWindow, FriendlyVersion, HealthDeadline, HttpUrl, Identifier,
    PemCertificateString, TcpEndpoint, UnitName, UpdateCheckInterval, Url,
};
use std::collections::BTreeMap;

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
        /// How much of an update this host does by itself: nothing, download it to the inactive set, or also activate
        /// it and reboot. A version that fell back is not taken again by itself.
        automatic: AutomaticUpdates,
        /// How often this host looks for updates by itself. Only used where it does anything by itself.
        check_interval: UpdateCheckInterval,
        /// The part of every day, in UTC, in which this host may activate an update and reboot by itself. Unset means
        /// at any time; downloads do not wait for it.
        apply_window: DailyWindow,
        /// The most bytes per second that an update is downloaded with. Unset means no limit.
        bandwidth_limit: BandwidthLimit,
    }
}

group! {
    /// What a boot must come to before it counts as good.
    pub struct Health {
        /// Seconds from the start of the kernel until which all checks must have passed. A version that has never
        /// passed them is then restarted, up to three times, and the host goes back to the version before; one that
        /// has passed them in an earlier boot stays up and reports. Unset means 300.
        deadline: HealthDeadline,
        /// Checks of your own, by name, beside those that every host has: settings applied, API, container runtime.
        /// Each is repeated until it passes or the deadline is over.
        checks: BTreeMap<Identifier, HealthCheck>,
    }
}

group! {
    /// A check that a boot must pass. It has one of the three.
    pub struct HealthCheck {
        /// A systemd unit that must be active.
        unit: UnitName,
        /// A URL that must answer a GET with a status from 200 to 399.
        url: HttpUrl,
        /// A host and port that must take a TCP connection.
        tcp: TcpEndpoint,
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
