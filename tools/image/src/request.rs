//! What to build: the document that `buildsys` writes and `image` reads.

use crate::ids;
use partitions::Guid;
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu, ensure};
use std::fmt;
use std::path::{Path, PathBuf};

/// Everything about an image that does not come from its root tree.
///
/// A new field is optional and has a default, so that an older `buildsys` can still ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// First part of the name of every file made, `visco`.
    pub name: String,
    /// Name of the system as people read it.
    pub pretty_name: String,
    /// Name of the variant, `metal-dev`.
    pub variant: String,
    /// Processor of the machines that run the image.
    pub arch: Arch,
    /// Version of the system, without a leading `v`.
    pub version: String,
    /// What tells two builds of one version apart: a short commit id.
    pub build_id: String,
    /// Sizes of the disks.
    #[serde(default)]
    pub image_layout: ImageLayout,
    /// The variant's part of the kernel command line, a parameter each.
    #[serde(default)]
    pub kernel_parameters: Vec<String>,
    /// What the image is made to be able to do.
    #[serde(default)]
    pub image_features: ImageFeatures,
    /// The form of the whole-disk images.
    #[serde(default)]
    pub image_format: ImageFormat,
    /// How the root file system stores its files.
    #[serde(default)]
    pub root_compression: RootCompression,
    /// Template of the OVF description; makes an OVA of a `vmdk` image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ova_template: Option<PathBuf>,
    /// The time, in seconds of the UNIX epoch, that everything in the image bears.
    pub source_date_epoch: u32,
}

/// A processor architecture, by the name `uname` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arch {
    /// 64-bit Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "aarch64")]
    Aarch64,
}

/// Sizes of the disks, and where the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageLayout {
    /// Size of the system's disk, without the data of the unified plan.
    pub os_image_size_gib: u32,
    /// Size of the data partition (unified) or disk (split) in the image.
    pub data_image_size_gib: u32,
    /// Size of all disks together when a machine is made of the image.
    pub publish_image_size_hint_gib: u32,
    /// Whether data has a disk of its own.
    pub partition_plan: PartitionPlan,
}

/// Whether data has a disk of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionPlan {
    /// Two disks: system and data.
    #[default]
    Split,
    /// One disk; data is its last partition and grows with it.
    Unified,
}

/// What the image is made to be able to do, by the names of the variant's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ImageFeatures {
    /// Two sets of partitions, so that a running system can write its successor.
    pub in_place_updates: bool,
    /// The kernel reads boot configuration from the PRIVATE partition. Needs a GRUB that sets `$private_dev`.
    pub grub_set_private_var: bool,
}

/// The form of the whole-disk images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// The bytes of the disk, compressed with LZ4.
    #[default]
    Raw,
    /// For QEMU and what builds on it.
    Qcow2,
    /// For VMware, in the stream-optimized form that an OVA needs.
    Vmdk,
}

/// How the root file system stores its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootCompression {
    /// As they are: fastest to build and to boot.
    #[default]
    None,
    /// LZ4 in clusters of 64 KiB: about half the size.
    Lz4hc,
}

/// A request that cannot be met.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read the request {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand the request"))]
    Parse { source: serde_json::Error },
    #[snafu(display(
        "{field} of the request is '{value}'; it has to begin with a letter or digit and hold only letters, \
         digits, '.', '_', '+', '-' and '~'"
    ))]
    Word { field: &'static str, value: String },
    #[snafu(display("pretty_name of the request is {value:?}; it has to be one line of text"))]
    Line { value: String },
    #[snafu(display("{field} of the request is {value}; it has to be between 1 and {most}"))]
    Size { field: &'static str, value: u32, most: u32 },
    #[snafu(display(
        "publish_image_size_hint_gib of the request is {hint}; the disks of the image already take {disks} GiB"
    ))]
    Hint { hint: u32, disks: u32 },
    #[snafu(display(
        "the kernel parameter {value:?} has to be printable ASCII without blanks, quotes and backslashes"
    ))]
    Parameter { value: String },
    #[snafu(display("ova_template is given, which needs the image_format 'vmdk'"))]
    OvaFormat,
}

/// Largest sizes that are not surely a slip of the pen.
const MOST_OS_GIB: u32 = 1024;
const MOST_DATA_GIB: u32 = 65536;

impl Request {
    /// The request in a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(&std::fs::read_to_string(path).context(ReadSnafu { path })?)
    }

    /// The request in a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let request: Self = serde_json::from_str(text).context(ParseSnafu)?;
        request.check()?;
        Ok(request)
    }

    /// Whether an image can be made of it, as far as its values tell.
    pub fn check(&self) -> Result<(), Error> {
        let words = [
            ("name", &self.name),
            ("variant", &self.variant),
            ("version", &self.version),
            ("build_id", &self.build_id),
        ];
        for (field, value) in words {
            ensure!(is_word(value), WordSnafu { field, value });
        }
        let value = &self.pretty_name;
        ensure!(!value.is_empty() && !value.contains(char::is_control), LineSnafu { value });

        let layout = &self.image_layout;
        let sizes = [
            ("os_image_size_gib", layout.os_image_size_gib, MOST_OS_GIB),
            ("data_image_size_gib", layout.data_image_size_gib, MOST_DATA_GIB),
        ];
        for (field, value, most) in sizes {
            ensure!((1..=most).contains(&value), SizeSnafu { field, value, most });
        }
        let hint = layout.publish_image_size_hint_gib;
        let disks = layout.os_image_size_gib + layout.data_image_size_gib;
        ensure!(hint >= disks, HintSnafu { hint, disks });
        for value in &self.kernel_parameters {
            ensure!(is_parameter(value), ParameterSnafu { value });
        }
        ensure!(self.ova_template.is_none() || self.image_format == ImageFormat::Vmdk, OvaFormatSnafu);
        Ok(())
    }

    /// What the names of all files made begin with.
    pub fn file_prefix(&self) -> String {
        let Self { name, variant, arch, version, build_id, .. } = self;
        format!("{name}-{variant}-{arch}-{version}-{build_id}")
    }

    /// An id for something in this image: the same in every build of it, another in any other image.
    pub fn id(&self, of: &str) -> Guid {
        ids::derive(&[&self.file_prefix(), of])
    }

    /// The salt of the variant's hash trees, which says nothing of a version: a host compares the tree of an update with
    /// that of its own system digest by digest, and equal blocks have equal digests only under one salt.
    pub fn salt(&self) -> [u8; 32] {
        let Self { name, variant, arch, .. } = self;
        ids::digest("visco verity salt", &[name, variant, &arch.to_string()])
    }

    /// Sizes that the disks of a machine should have: the system's, and the data's if it has its own.
    pub fn publish_sizes_gib(&self) -> (u32, Option<u32>) {
        let ImageLayout { os_image_size_gib: os, publish_image_size_hint_gib: hint, .. } = self.image_layout;
        match self.image_layout.partition_plan {
            PartitionPlan::Split => (os, Some(hint - os)),
            PartitionPlan::Unified => (hint, None),
        }
    }
}

/// What may be part of a file name, of a shell-like file and of an id.
fn is_word(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_legal)
}

/// What reaches the kernel as one word. `--` would hand all that follows to init.
fn is_parameter(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_graphic() && !"\"'\\`".contains(c);
    !text.is_empty() && text != "--" && text.chars().all(is_legal)
}

impl Default for ImageLayout {
    fn default() -> Self {
        Self {
            os_image_size_gib: 2,
            data_image_size_gib: 1,
            publish_image_size_hint_gib: 22,
            partition_plan: PartitionPlan::default(),
        }
    }
}

impl Default for ImageFeatures {
    fn default() -> Self {
        Self { in_place_updates: true, grub_set_private_var: false }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A request with nothing but what has to be said.
    pub(crate) fn least() -> Value {
        json!({
            "name": "visco",
            "pretty_name": "Visco OS",
            "variant": "metal-dev",
            "arch": "x86_64",
            "version": "1.2.3",
            "build_id": "0123abcd",
            "source_date_epoch": 1_735_689_600,
        })
    }

    /// The least request with one more value.
    pub(crate) fn with(field: &str, value: Value) -> Value {
        let mut request = least();
        request[field] = value;
        request
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let request = Request::parse(&least().to_string()).unwrap();
        assert_eq!(request.image_layout.os_image_size_gib, 2);
        assert_eq!(request.image_layout.data_image_size_gib, 1);
        assert_eq!(request.image_layout.partition_plan, PartitionPlan::Split);
        assert!(request.image_features.in_place_updates);
        assert_eq!(request.image_format, ImageFormat::Raw);
        assert_eq!(request.publish_sizes_gib(), (2, Some(20)));
        assert_eq!(request.file_prefix(), "visco-metal-dev-x86_64-1.2.3-0123abcd");
    }

    #[test]
    fn a_request_comes_back_from_its_text() {
        let request = Request::parse(&least().to_string()).unwrap();
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(Request::parse(&text).unwrap(), request);
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let layout = |field: &str, value: Value| ("image_layout", json!({ field: value }));
        for ((field, value), told) in [
            (("nmae", json!("visco")), "unknown field `nmae`"),
            (("arch", json!("i386")), "unknown variant `i386`"),
            (("version", json!("1.2 3")), "version of the request is '1.2 3'"),
            (("variant", json!("../x")), "variant of the request is '../x'"),
            (("build_id", json!("")), "build_id of the request is ''"),
            (("pretty_name", json!("a\nb")), "it has to be one line"),
            (("kernel_parameters", json!(["a b"])), "the kernel parameter \"a b\""),
            (("kernel_parameters", json!(["--"])), "the kernel parameter \"--\""),
            (("kernel_parameters", json!(["a='b'"])), "without blanks, quotes"),
            (("image_features", json!({"in-place": true})), "unknown field `in-place`"),
            (("image_format", json!("vhd")), "unknown variant `vhd`"),
            (("ova_template", json!("x.ovf")), "needs the image_format 'vmdk'"),
            (layout("os_image_size_gib", json!(0)), "os_image_size_gib of the request is 0"),
            (layout("data_image_size_gib", json!(100_000)), "between 1 and 65536"),
            (layout("publish_image_size_hint_gib", json!(2)), "already take 3 GiB"),
            (layout("partition_plan", json!("both")), "unknown variant `both`"),
        ] {
            let error = Request::parse(&with(field, value).to_string()).unwrap_err();
            let text = host::program::chain(&error);
            assert!(text.contains(told), "{field}: {text}");
        }
    }
}
