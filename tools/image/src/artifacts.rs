//! The files that a build leaves: which, by what names, and in what form.

use crate::layout::Layout;
use crate::{ImageFormat, PartitionPlan, Request};
use std::fmt;

/// A file to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name.
    pub file: String,
    /// What is in it.
    pub source: Source,
    /// How it is stored.
    pub form: Form,
}

/// What can be in a file that a build leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The disk that the machine starts from.
    SystemDisk,
    /// The disk for data.
    DataDisk,
    /// What an update writes to the boot partition.
    Boot,
    /// What an update writes to the root partition.
    Root,
    /// What an update writes to the hash partition.
    Hash,
}

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A frame of LZ4, packed fast: for whole disks, which are mostly empty.
    Lz4Fast,
    /// A frame of LZ4, packed well: for what every host loads.
    Lz4Small,
    /// QEMU's own.
    Qcow2,
    /// VMware's, for transport.
    Vmdk,
}

/// A whole build, before anything is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where everything goes on the disks.
    pub layout: Layout,
    /// What is left in the output folder.
    pub artifacts: Vec<Artifact>,
    /// The OVA, where one was asked for.
    pub ova: Option<String>,
}

/// What is told about an image to those who publish it.
pub const METADATA_FILE: &str = "artifact-metadata.json";

impl Plan {
    /// What a request asks for.
    pub fn new(request: &Request) -> Self {
        let layout = Layout::plan(request);
        let prefix = request.file_prefix();
        let (extension, form) = match request.image_format {
            ImageFormat::Raw => ("img.lz4", Form::Lz4Fast),
            ImageFormat::Qcow2 => ("qcow2", Form::Qcow2),
            ImageFormat::Vmdk => ("vmdk", Form::Vmdk),
        };
        let artifact = |file: String, source, form| Artifact { file, source, form };
        let mut artifacts = vec![artifact(format!("{prefix}.{extension}"), Source::SystemDisk, form)];
        if request.image_layout.partition_plan == PartitionPlan::Split {
            artifacts.push(artifact(format!("{prefix}-data.{extension}"), Source::DataDisk, form));
        }
        // The root keeps the name that updaters know, whatever file system is in it.
        let update =
            [("boot.ext4", Source::Boot), ("root.ext4", Source::Root), ("root.verity", Source::Hash)];
        artifacts.extend(
            update.map(|(name, source)| artifact(format!("{prefix}-{name}.lz4"), source, Form::Lz4Small)),
        );
        let ova = request.ova_template.as_ref().map(|_| format!("{prefix}.ova"));
        Self { layout, artifacts, ova }
    }

    /// The name of the file with something.
    pub fn file_of(&self, source: Source) -> Option<&str> {
        self.artifacts
            .iter()
            .find(|artifact| artifact.source == source)
            .map(|artifact| artifact.file.as_str())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.layout)?;
        let files = self.artifacts.iter().map(|artifact| artifact.file.as_str());
        for file in files.chain(self.ova.as_deref()).chain([METADATA_FILE]) {
            writeln!(f, "{file}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::{least, with};
    use serde_json::{Value, json};

    const P: &str = "visco-metal-dev-x86_64-1.2.3-0123abcd";

    fn files(request: &Value) -> Vec<String> {
        let plan = Plan::new(&Request::parse(&request.to_string()).unwrap());
        let files = plan.artifacts.into_iter().map(|artifact| artifact.file).chain(plan.ova);
        files.map(|file| file.strip_prefix(P).unwrap().to_owned()).collect()
    }

    #[test]
    fn files_have_the_names_of_the_documents() {
        const UPDATE: [&str; 3] = ["-boot.ext4.lz4", "-root.ext4.lz4", "-root.verity.lz4"];
        let unified = with("image_layout", json!({"partition_plan": "unified"}));
        let qcow2 = with("image_format", json!("qcow2"));
        let mut ova = with("image_format", json!("vmdk"));
        ova["ova_template"] = json!("template.ovf");
        for (request, disks, rest) in [
            (least(), &[".img.lz4", "-data.img.lz4"][..], &[][..]),
            (unified, &[".img.lz4"], &[]),
            (qcow2, &[".qcow2", "-data.qcow2"], &[]),
            (ova, &[".vmdk", "-data.vmdk"], &[".ova"]),
        ] {
            assert_eq!(files(&request), [disks, &UPDATE, rest].concat());
        }
    }
}
