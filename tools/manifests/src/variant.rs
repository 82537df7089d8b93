//! One variant: what its image holds and how the image is laid out.

use crate::arch::Arch;
use crate::crates::{Crate, Dependencies};
use crate::keys::{BadValueSnafu, Error, Keys, ParseManifestSnafu};
use serde::{Deserialize, Serialize};
use snafu::{OptionExt, ResultExt, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

const TABLE: &str = "build-variant";
const KEYS: &[&str] = &[
    "image-features",
    "image-format",
    "image-layout",
    "included-packages",
    "kernel-parameters",
    "settings",
    "supported-arches",
];
const LAYOUT_KEYS: &[&str] = &[
    "data-image-size-gib",
    "os-image-size-gib",
    "partition-plan",
    "publish-image-size-hint-gib",
    "root-compression",
];
const SETTINGS_KEYS: &[&str] = &["fragments", "groups", "like"];
const FEATURE_KEYS: &[&str] = &[
    "erofs-root-partition",
    "fips",
    "grub-set-private-var",
    "host-containers",
    "in-place-updates",
    "systemd-networkd",
    "uefi-secure-boot",
    "xfs-data-partition",
];

/// A variant, as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant {
    /// Its name: that of its folder.
    pub name: String,
    /// The name of its crate, which may hold no dots.
    pub crate_name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The packages that it names.
    pub dependencies: Dependencies,
    /// Names of the packages of the image, without those that they need; none if no image is made of the variant.
    pub included_packages: Option<Vec<String>>,
    /// The form of the finished disk.
    pub image_format: ImageFormat,
    /// Sizes and partitions.
    pub image_layout: ImageLayout,
    /// What it can be built for.
    pub supported_arches: BTreeSet<Arch>,
    /// What goes first on the command line of the kernel.
    pub kernel_parameters: Vec<String>,
    /// The features that the image has: those that are so by default, and the manifest's changes to them.
    pub image_features: BTreeSet<ImageFeature>,
    /// What its settings are composed of.
    pub settings: SettingsSource,
}

/// The form of a finished disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// The bytes of the disk.
    #[default]
    Raw,
    /// For QEMU.
    Qcow2,
    /// For VMware.
    Vmdk,
}

/// Sizes and partitions of the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ImageLayout {
    /// Size of the disk that holds the system.
    pub os_image_size_gib: NonZeroU32,
    /// Size of what holds the data.
    pub data_image_size_gib: NonZeroU32,
    /// How large the disks together should at least be where the image is published.
    pub publish_image_size_hint_gib: NonZeroU32,
    /// One disk or two.
    pub partition_plan: PartitionPlan,
    /// How the root file system stores its files.
    pub root_compression: RootCompression,
}

/// Where the data partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionPlan {
    /// On a second disk.
    #[default]
    Split,
    /// On the one disk.
    Unified,
}

/// How the root file system stores its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootCompression {
    /// As they are: fastest to build and to boot.
    #[default]
    None,
    /// Compressed with LZ4: about half the size.
    Lz4hc,
}

/// Something that an image may or may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFeature {
    /// The root file system is an EROFS.
    ErofsRootPartition,
    /// Cryptography as FIPS wants it.
    Fips,
    /// The boot loader reads the kernel's boot configuration from the private partition.
    GrubSetPrivateVar,
    /// Containers of the host, beside those of the orchestrator.
    HostContainers,
    /// Two sets of partitions, so that one can be updated while the other runs.
    InPlaceUpdates,
    /// networkd configures the network.
    SystemdNetworkd,
    /// The firmware verifies what it boots.
    UefiSecureBoot,
    /// The data partition is an XFS.
    XfsDataPartition,
}

/// What the settings of a variant are composed of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsSource {
    /// What another variant's are composed of, by a recipe of `variants.toml`.
    Like(String),
    /// Lists of the variant's own, in which `@name` stands for a list of `variants.toml`.
    Lists {
        /// Groups of settings that exist.
        groups: Vec<String>,
        /// Fragments of defaults, later ones over earlier ones.
        fragments: Vec<String>,
    },
}

impl Default for ImageLayout {
    fn default() -> Self {
        let gib = |size| NonZeroU32::new(size).expect("no default is zero");
        Self {
            os_image_size_gib: gib(2),
            data_image_size_gib: gib(1),
            publish_image_size_hint_gib: gib(22),
            partition_plan: PartitionPlan::default(),
            root_compression: RootCompression::default(),
        }
    }
}

impl ImageFeature {
    /// What an image has unless its manifest says otherwise.
    pub const DEFAULT: [Self; 4] =
        [Self::ErofsRootPartition, Self::HostContainers, Self::InPlaceUpdates, Self::SystemdNetworkd];
}

/// The written form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    included_packages: Option<Vec<String>>,
    #[serde(default)]
    image_format: ImageFormat,
    #[serde(default)]
    image_layout: ImageLayout,
    supported_arches: Option<Vec<String>>,
    #[serde(default)]
    kernel_parameters: Vec<String>,
    #[serde(default)]
    image_features: BTreeMap<ImageFeature, bool>,
    #[serde(default)]
    settings: WrittenSettings,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenSettings {
    like: Option<String>,
    groups: Option<Vec<String>>,
    fragments: Option<Vec<String>>,
}

impl Variant {
    /// Reads the text of the manifest `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let subject = Crate::parse(file, text)?;
        let table = subject.table(file, TABLE)?;
        Keys { file, table: "[package.metadata.build-variant]", valid: KEYS }.check_table(table)?;
        for (name, valid) in
            [("image-layout", LAYOUT_KEYS), ("settings", SETTINGS_KEYS), ("image-features", FEATURE_KEYS)]
        {
            Keys { file, table: name, valid }.check(table.get(name))?;
        }
        let document: Document = table.clone().try_into().context(ParseManifestSnafu { file })?;
        let folder = subject.folder.file_name().and_then(|name| name.to_str());
        let name = folder.unwrap_or(&subject.name).to_owned();
        let same = name.replace('.', "_") == subject.name;
        let what = format!("the crate of the variant '{name}' is named '{}'", subject.name);
        ensure!(same, BadValueSnafu { file, what });
        for parameter in &document.kernel_parameters {
            let what = format!("the kernel parameter '{parameter}' is empty or holds white space");
            ensure!(
                !parameter.is_empty() && !parameter.contains(char::is_whitespace),
                BadValueSnafu { file, what }
            );
        }
        Ok(Self {
            crate_name: subject.name,
            folder: subject.folder,
            dependencies: subject.dependencies,
            included_packages: document.included_packages,
            image_format: document.image_format,
            image_layout: document.image_layout,
            supported_arches: arches(file, document.supported_arches)?,
            kernel_parameters: document.kernel_parameters,
            image_features: features(&document.image_features),
            settings: document.settings.check(file, &name)?,
            name,
        })
    }
}

fn arches(file: &Path, names: Option<Vec<String>>) -> Result<BTreeSet<Arch>, Error> {
    let Some(names) = names else { return Ok(BTreeSet::from(Arch::ALL)) };
    let arches = names.iter().map(|name| {
        name.parse()
            .map_err(|error: crate::UnknownArch| BadValueSnafu { file, what: error.to_string() }.build())
    });
    arches.collect()
}

fn features(changes: &BTreeMap<ImageFeature, bool>) -> BTreeSet<ImageFeature> {
    let mut features = BTreeSet::from(ImageFeature::DEFAULT);
    for (feature, wanted) in changes {
        if *wanted {
            features.insert(*feature);
        } else {
            features.remove(feature);
        }
    }
    features
}

impl WrittenSettings {
    fn check(self, file: &Path, name: &str) -> Result<SettingsSource, Error> {
        let source = match (self.like, self.groups, self.fragments) {
            (None, None, None) => Some(SettingsSource::Like(name.to_owned())),
            (Some(like), None, None) => Some(SettingsSource::Like(like)),
            (None, Some(groups), Some(fragments)) => Some(SettingsSource::Lists { groups, fragments }),
            _ => None,
        };
        let what = "'settings' has either 'like', or 'groups' and 'fragments'";
        source.context(BadValueSnafu { file, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "variants/metal-dev-1.2/Cargo.toml";

    fn parse(table: &str) -> Result<Variant, String> {
        let text = format!("package.name = 'metal-dev-1_2'\n[package.metadata.build-variant]\n{table}");
        Variant::parse(Path::new(FILE), &text).map_err(|error| chain(&error))
    }

    fn chain(error: &dyn std::error::Error) -> String {
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
    }

    #[test]
    fn an_empty_table_has_the_documented_defaults() {
        let variant = parse("").unwrap();
        assert_eq!(variant.name, "metal-dev-1.2");
        assert_eq!(variant.included_packages, None);
        assert_eq!(variant.image_format, ImageFormat::Raw);
        let layout = variant.image_layout;
        let sizes =
            [layout.os_image_size_gib, layout.data_image_size_gib, layout.publish_image_size_hint_gib];
        assert_eq!(sizes.map(NonZeroU32::get), [2, 1, 22]);
        assert_eq!(layout.partition_plan, PartitionPlan::Split);
        assert_eq!(layout.root_compression, RootCompression::None);
        assert_eq!(variant.supported_arches, BTreeSet::from(Arch::ALL));
        assert_eq!(variant.settings, SettingsSource::Like("metal-dev-1.2".into()));
        assert!(variant.image_features.contains(&ImageFeature::InPlaceUpdates));
    }

    #[test]
    fn every_key_is_read() {
        let variant = parse(
            "included-packages = ['release']\nimage-format = 'vmdk'\nsupported-arches = ['x86_64']\n\
             kernel-parameters = ['console=ttyS0', 'quiet']\nimage-features = { fips = true, in-place-updates = false }\n\
             image-layout = { os-image-size-gib = 3, data-image-size-gib = 4, publish-image-size-hint-gib = 5, \
             partition-plan = 'unified', root-compression = 'lz4hc' }\nsettings = { groups = ['@common'], fragments = ['defaults'] }",
        )
        .unwrap();
        assert_eq!(variant.included_packages.as_deref(), Some(["release".to_owned()].as_slice()));
        assert_eq!(variant.image_format, ImageFormat::Vmdk);
        assert_eq!(variant.supported_arches, BTreeSet::from([Arch::X86_64]));
        assert_eq!(variant.kernel_parameters, ["console=ttyS0", "quiet"]);
        assert!(variant.image_features.contains(&ImageFeature::Fips));
        assert!(!variant.image_features.contains(&ImageFeature::InPlaceUpdates));
        assert_eq!(variant.image_layout.partition_plan, PartitionPlan::Unified);
        assert_eq!(variant.image_layout.root_compression, RootCompression::Lz4hc);
        assert_eq!(
            variant.settings,
            SettingsSource::Lists { groups: vec!["@common".into()], fragments: vec!["defaults".into()] }
        );
    }

    #[test]
    fn faults_are_named_with_their_file() {
        for (table, part) in [
            (
                "include-packages = []",
                "unknown key 'include-packages' in [package.metadata.build-variant]; did you mean 'included-packages'?",
            ),
            ("image-layout = { os-image-size = 2 }", "unknown key 'os-image-size' in image-layout"),
            (
                "image-features = { fibs = true }",
                "unknown key 'fibs' in image-features; did you mean 'fips'?",
            ),
            ("settings = { lik = 'x' }", "unknown key 'lik' in settings; did you mean 'like'?"),
            ("settings = { groups = [] }", "'settings' has either 'like', or 'groups' and 'fragments'"),
            ("image-layout = { os-image-size-gib = 0 }", "nonzero"),
            ("image-layout = { root-compression = 'zstd' }", "expected `none` or `lz4hc`"),
            ("image-format = 'iso'", "unknown variant `iso`, expected one of `raw`, `qcow2`, `vmdk`"),
            ("supported-arches = ['amd64']", "there is no architecture 'amd64'; did you mean 'x86_64'?"),
            ("kernel-parameters = ['a b']", "the kernel parameter 'a b' is empty or holds white space"),
        ] {
            let why = parse(table).unwrap_err();
            assert!(why.contains(part) && why.contains(FILE), "{table}: {why}");
        }
    }

    #[test]
    fn the_crate_of_a_variant_is_named_like_its_folder() {
        let text = "package.name = 'other'\n[package.metadata.build-variant]";
        let why = Variant::parse(Path::new(FILE), text).unwrap_err().to_string();
        assert!(why.ends_with("the crate of the variant 'metal-dev-1.2' is named 'other'"), "{why}");
    }

    #[test]
    fn the_lists_of_keys_are_those_of_the_types() {
        fn knows<T: serde::de::DeserializeOwned>(key: &str) -> bool {
            let table = toml::Table::from_iter([(key.to_owned(), toml::Value::Boolean(true))]);
            table.try_into::<T>().err().is_none_or(|error| !error.to_string().contains("unknown"))
        }
        assert!(KEYS.iter().all(|key| knows::<Document>(key)));
        assert!(LAYOUT_KEYS.iter().all(|key| knows::<ImageLayout>(key)));
        assert!(SETTINGS_KEYS.iter().all(|key| knows::<WrittenSettings>(key)));
        assert!(FEATURE_KEYS.iter().all(|key| knows::<BTreeMap<ImageFeature, bool>>(key)));
        assert!(!knows::<Document>("other"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = Variant::parse(Path::new(FILE), &text);
            let _ = parse(&text);
        }
    }
}
