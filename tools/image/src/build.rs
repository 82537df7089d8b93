//! Makes an image: performs a [`Plan`] with what is in a root tree.

use crate::artifacts::{Artifact, Form, METADATA_FILE, Plan, Source};
use crate::bios::Loader;
use crate::disk::{self, Content};
use crate::filesystems::erofs::Erofs;
use crate::filesystems::ext4::Ext4;
use crate::filesystems::fat::Fat;
use crate::layout::{PartitionPlace, Role, Set};
use crate::metadata::{self, Metadata};
use crate::toolbox::Toolbox;
use crate::tree::{self, Parts};
use crate::{Request, bios, boot_config, boot_menu, filesystems, ids, lz4, ova, request, toolbox, vmdk};
use partitions::{BOOT_CODE_LEN, MIB};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use verity::{Access, Mapping, Salt, Target, Tree};

/// Label of the file system of PRIVATE, by which GRUB can find it. Its partition's label is too long for ext4.
pub const PRIVATE_FS_LABEL: &str = "VISCO-PRIVATE";
/// Label of the EFI file system.
pub const EFI_FS_LABEL: &str = "EFI-SYSTEM";
/// Label of the file system of a boot partition.
pub(crate) const BOOT_FS_LABEL: &str = "VISCO-BOOT";
/// The file of boot configuration on PRIVATE.
const BOOT_CONFIG_FILE: &str = "bootconfig.data";

/// Why there is no image.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("check the request"))]
    Request { source: request::Error },
    #[snafu(display("make a folder to work in below {}", path.display()))]
    WorkFolder { path: PathBuf, source: io::Error },
    #[snafu(display("prepare the tools"))]
    Tools { source: toolbox::Error },
    #[snafu(display("take the root tree {} apart", path.display()))]
    TakeApart { path: PathBuf, source: tree::Error },
    #[snafu(display("make the file system of {name}"))]
    FileSystem { name: &'static str, source: filesystems::Error },
    #[snafu(display("{what} takes {}; the partition {label} holds {}", mib(*len), mib(*room)))]
    TooLarge { what: &'static str, len: u64, label: &'static str, room: u64 },
    #[snafu(display("the layout has no partition {name}"))]
    NoPartition { name: &'static str },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: io::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: io::Error },
    #[snafu(display("measure what is in {}", path.display()))]
    Measure { path: PathBuf, source: tree::Error },
    #[snafu(display("build the hash tree of the root file system"))]
    HashTree { source: verity::BuildError },
    #[snafu(display("make the salt of the root file system's hash tree"))]
    MakeSalt { source: verity::HexError },
    #[snafu(display("prepare GRUB for BIOS"))]
    Bios { source: bios::Error },
    #[snafu(display("write the disk"))]
    Disk { source: disk::Error },
    #[snafu(display("make {file}"))]
    MakeArtifact { file: String, source: toolbox::Error },
    #[snafu(display("pack {file}"))]
    Pack { file: String, source: io::Error },
    #[snafu(display("make {file} the same every time"))]
    Vmdk { file: String, source: vmdk::Error },
    #[snafu(display("make an OVA of the template {}", template.display()))]
    Ova { template: PathBuf, source: ova::Error },
    #[snafu(display("write the metadata"))]
    WriteMetadata { source: metadata::Error },
    #[snafu(display("move {file} to {}", to.display()))]
    Move { file: String, to: PathBuf, source: io::Error },
}

/// Makes the image that `request` describes of the root tree `tree`, and leaves it in the folder `output`.
/// `say` is told what is being done. Nothing is left in `output` unless all of it is.
pub fn build(request: &Request, tree: &Path, output: &Path, say: &dyn Fn(&str)) -> Result<Plan, Error> {
    request.check().context(RequestSnafu)?;
    let plan = Plan::new(request);
    let make_work = || {
        fs::create_dir_all(output)?;
        tempfile::Builder::new().prefix(".image-").tempdir_in(output)
    };
    let work = make_work().context(WorkFolderSnafu { path: output })?;
    let toolbox = Toolbox::new(work.path(), request.source_date_epoch).context(ToolsSnafu)?;
    let build = Build { request, plan: &plan, work: &work, toolbox, say };

    say("taking the root tree apart");
    let parts = tree::take_apart(tree, work.path(), request).context(TakeApartSnafu { path: tree })?;
    let system = build.partitions(&parts)?;
    let disks = build.disks(&system)?;
    let files = build.artifacts(&system, &disks)?;
    let metadata = build.path(METADATA_FILE);
    metadata::write(&system.metadata, &metadata).context(WriteMetadataSnafu)?;
    for file in files.into_iter().chain([METADATA_FILE.into()]) {
        let to = output.join(&file);
        fs::rename(build.path(&file), &to).context(MoveSnafu { file, to })?;
    }
    Ok(plan)
}

struct Build<'a> {
    request: &'a Request,
    plan: &'a Plan,
    work: &'a TempDir,
    toolbox: Toolbox,
    say: &'a dyn Fn(&str),
}

/// What goes on the disks.
struct System {
    boot: PathBuf,
    root: PathBuf,
    hash: PathBuf,
    contents: Vec<(Role, Content)>,
    data: PathBuf,
    boot_code: [u8; BOOT_CODE_LEN],
    metadata: Metadata,
}

/// Files with whole disks.
struct Disks {
    system: PathBuf,
    data: Option<PathBuf>,
}

impl Build<'_> {
    fn path(&self, file: &str) -> PathBuf {
        self.work.path().join(file)
    }

    fn place(&self, role: Role) -> Result<&PartitionPlace, Error> {
        let found = self.plan.layout.partitions().find(|place| place.role == role);
        found.context(NoPartitionSnafu { name: role.name() })
    }

    /// Makes what goes into each partition.
    fn partitions(&self, parts: &Parts) -> Result<System, Error> {
        let mut metadata = Metadata::new(self.request, self.plan);

        (self.say)("making the root file system");
        let (root, root_len) = self.root(&parts.root)?;
        metadata.fill(Role::Root(Set::A), root_len);

        (self.say)("hashing it");
        let (hash, tree) = self.hash_tree(&root)?;
        metadata.fill(Role::Hash(Set::A), tree.image_len());
        metadata.root_hash = tree.root_hash().to_string();
        metadata.salt = tree.salt().to_string();

        (self.say)("making the other file systems");
        self.write_boot_menu(&parts.boot, &tree)?;
        let (boot, boot_len) = self.boot(&parts.boot)?;
        metadata.fill(Role::Boot(Set::A), boot_len);
        let (efi, efi_len) = self.efi(&parts.efi)?;
        metadata.fill(Role::Efi(Set::A), efi_len);
        let (private, private_len) = self.private()?;
        metadata.fill(Role::Private, private_len);
        let data = self.data()?;

        let mut contents = vec![
            (Role::Efi(Set::A), Content::File(efi)),
            (Role::Boot(Set::A), Content::File(boot.clone())),
            (Role::Root(Set::A), Content::File(root.clone())),
            (Role::Hash(Set::A), Content::File(hash.clone())),
            (Role::Private, Content::File(private)),
            // On the system's disk only in the unified plan.
            (Role::Data, Content::File(data.clone())),
        ];
        let mut boot_code = [0; BOOT_CODE_LEN];
        if let Some(loader) = self.loader(parts)? {
            metadata.fill(Role::BiosBoot, loader.core.len() as u64);
            boot_code = loader.boot_code;
            contents.push((Role::BiosBoot, Content::Bytes(loader.core)));
        }
        Ok(System { boot, root, hash, contents, data, boot_code, metadata })
    }

    fn root(&self, from: &Path) -> Result<(PathBuf, u64), Error> {
        let place = self.place(Role::Root(Set::A))?;
        let to = self.path("root.erofs");
        let Request { source_date_epoch: epoch, root_compression: compression, .. } = *self.request;
        let file_system = Erofs { id: self.request.id("root file system"), epoch, compression };
        file_system.make(&self.toolbox, from, &to).context(FileSystemSnafu { name: place.label })?;
        let len = length(&to)?;
        ensure_fits("the root file system", len, place)?;
        Ok((to, len))
    }

    /// The hash tree, with the salt of every version of this variant: trees of two versions compare by their digests.
    fn hash_tree(&self, root: &Path) -> Result<(PathBuf, Tree), Error> {
        let salt = Salt::new(&self.request.salt()).context(MakeSaltSnafu)?;
        let data = File::open(root).context(ReadSnafu { path: root })?;
        let tree = Tree::build(data, salt).context(HashTreeSnafu)?;
        ensure_fits("the hash tree of the root", tree.image_len(), self.place(Role::Hash(Set::A))?)?;

        let path = self.path("root.verity");
        let write = || {
            let mut file = BufWriter::new(File::create_new(&path)?);
            tree.write_to(&mut file, self.request.id("hash tree").text_order())?;
            file.flush()
        };
        write().context(WriteSnafu { path: &path })?;
        Ok((path, tree))
    }

    fn write_boot_menu(&self, boot: &Path, tree: &Tree) -> Result<(), Error> {
        let path = boot.join("grub/grub.cfg");
        let menu = boot_menu::grub_cfg(self.request, &mapping(tree).to_string());
        let folder = boot.join("grub");
        fs::create_dir_all(&folder).context(WriteSnafu { path: &folder })?;
        // The place to sign it, and kernel and initial file system beside it.
        write_private(&path, &menu).context(WriteSnafu { path: &path })
    }

    fn boot(&self, from: &Path) -> Result<(PathBuf, u64), Error> {
        let place = self.place(Role::Boot(Set::A))?;
        // Told here, by name, rather than by mke2fs as the block it could not get.
        ensure_fits("the kernel with its initial file system and boot menu", content_len(from)?, place)?;
        let to = self.path("boot.ext4");
        let file_system =
            Ext4 { journal: false, shrink: true, ..self.ext4("boot", BOOT_FS_LABEL, place.size_bytes()) };
        file_system.make(&self.toolbox, Some(from), &to).context(FileSystemSnafu { name: place.label })?;
        let len = length(&to)?;
        ensure_fits("the boot file system", len, place)?;
        Ok((to, len))
    }

    fn efi(&self, from: &Path) -> Result<(PathBuf, u64), Error> {
        let place = self.place(Role::Efi(Set::A))?;
        let len = content_len(from)?;
        ensure_fits("what firmware starts", len, place)?;
        let to = self.path("efi.fat");
        let file_system = Fat {
            id: ids::short(self.request.id("EFI file system")),
            label: EFI_FS_LABEL,
            epoch: self.request.source_date_epoch,
            size_bytes: place.size_bytes(),
        };
        file_system.make(&self.toolbox, from, &to).context(FileSystemSnafu { name: place.label })?;
        Ok((to, len))
    }

    fn private(&self) -> Result<(PathBuf, u64), Error> {
        let place = self.place(Role::Private)?;
        let from = self.path("private");
        let config = from.join(BOOT_CONFIG_FILE);
        let bytes = boot_config::file("");
        let write = || {
            fs::create_dir(&from)?;
            fs::write(&config, &bytes)
        };
        write().context(WriteSnafu { path: &config })?;
        let to = self.path("private.ext4");
        // Many small files, and room for each one's data in as few blocks as possible.
        let file_system = Ext4 {
            bytes_per_inode: 4096,
            checksums: false,
            ..self.ext4("PRIVATE", PRIVATE_FS_LABEL, place.size_bytes())
        };
        file_system.make(&self.toolbox, Some(&from), &to).context(FileSystemSnafu { name: place.label })?;
        Ok((to, bytes.len() as u64))
    }

    /// Empty: the host makes its folders when it first boots, and the file system grows with its partition.
    fn data(&self) -> Result<PathBuf, Error> {
        let to = self.path("data.ext4");
        let file_system = self.ext4("data", "", self.place(Role::Data)?.size_bytes());
        let name = Role::Data.name();
        file_system.make(&self.toolbox, None, &to).context(FileSystemSnafu { name })?;
        Ok(to)
    }

    fn ext4(&self, name: &'static str, label: &'static str, size_bytes: u64) -> Ext4 {
        Ext4 {
            name,
            label,
            id: self.request.id(&format!("{name} file system")),
            epoch: self.request.source_date_epoch,
            size_bytes,
            journal: true,
            checksums: true,
            bytes_per_inode: 16384,
            shrink: false,
        }
    }

    fn loader(&self, parts: &Parts) -> Result<Option<Loader>, Error> {
        let Some(files) = &parts.bios else { return Ok(None) };
        let place = self.place(Role::BiosBoot)?;
        let first = place.start_bytes() / disk::SECTOR_SIZE.bytes();
        let loader = Loader::new(&files.boot_img, &files.core_img, first, place.size_bytes());
        loader.context(BiosSnafu).map(Some)
    }

    fn disks(&self, system: &System) -> Result<Disks, Error> {
        (self.say)("writing the disks");
        let layout = &self.plan.layout;
        let path = self.path("system.img");
        disk::write(&layout.system, &system.boot_code, &system.contents, &path).context(DiskSnafu)?;
        let Some(plan) = &layout.data else { return Ok(Disks { system: path, data: None }) };
        let data = self.path("data.img");
        let contents = [(Role::Data, Content::File(system.data.clone()))];
        disk::write(plan, &[0; BOOT_CODE_LEN], &contents, &data).context(DiskSnafu)?;
        Ok(Disks { system: path, data: Some(data) })
    }

    /// Makes all files to be left, at the same time; gives their names.
    fn artifacts(&self, system: &System, disks: &Disks) -> Result<Vec<String>, Error> {
        (self.say)("packing");
        let (toolbox, work, request) = (&self.toolbox, self.work.path(), self.request);
        let sources = self.plan.artifacts.iter().filter_map(|artifact| {
            let source = match artifact.source {
                Source::SystemDisk => &disks.system,
                Source::DataDisk => disks.data.as_ref()?,
                Source::Boot => &system.boot,
                Source::Root => &system.root,
                Source::Hash => &system.hash,
            };
            Some((artifact, source))
        });
        std::thread::scope(|scope| {
            let running: Vec<_> = sources
                .map(|(artifact, source)| scope.spawn(|| pack(toolbox, request, artifact, source, work)))
                .collect();
            running.into_iter().try_for_each(|thread| thread.join().expect("packing does not panic"))
        })?;
        let mut files: Vec<String> =
            self.plan.artifacts.iter().map(|artifact| artifact.file.clone()).collect();
        if let (Some(file), Some(template)) = (&self.plan.ova, &request.ova_template) {
            (self.say)("making the OVA");
            self.ova(file, template)?;
            files.push(file.clone());
        }
        Ok(files)
    }

    fn ova(&self, file: &str, template: &Path) -> Result<(), Error> {
        let text = fs::read_to_string(template).context(ReadSnafu { path: template })?;
        let (root_gib, data_gib) = self.request.publish_sizes_gib();
        let disk = |source, gib: u32| {
            let file = self.plan.file_of(source)?.to_owned();
            Some(ova::Disk { path: self.path(&file), file, size_bytes: u64::from(gib) * 1024 * MIB })
        };
        let root = disk(Source::SystemDisk, root_gib).context(NoPartitionSnafu { name: "root" })?;
        let data = data_gib.and_then(|gib| disk(Source::DataDisk, gib));
        let prefix = self.request.file_prefix();
        let make = || {
            let description = ova::describe(&text, &root, data.as_ref())?;
            let disks: Vec<ova::Disk> = [root].into_iter().chain(data).collect();
            ova::write(&prefix, &description, &disks, self.request.source_date_epoch, &self.path(file))
        };
        make().context(OvaSnafu { template })
    }
}

fn pack(
    toolbox: &Toolbox,
    request: &Request,
    artifact: &Artifact,
    source: &Path,
    work: &Path,
) -> Result<(), Error> {
    let Artifact { file, form, .. } = artifact;
    let to = work.join(file);
    let words: &[&str] = match form {
        Form::Lz4Fast => return lz4::pack(source, &to).context(PackSnafu { file }),
        // The level that the documents say; our own packer knows only the fast one.
        Form::Lz4Small => &["lz4", "-q", "-9", "--content-size"],
        // One after the other (-m 1), or the order of the clusters may change from run to run.
        Form::Qcow2 => &["qemu-img", "convert", "-m", "1", "-f", "raw", "-O", "qcow2"],
        Form::Vmdk => {
            const OPTIONS: &str = "subformat=streamOptimized,adapter_type=lsilogic";
            &["qemu-img", "convert", "-m", "1", "-f", "raw", "-O", "vmdk", "-o", OPTIONS]
        }
    };
    let mut argv: Vec<_> = words.iter().map(Path::new).collect();
    argv.extend([source, &to]);
    toolbox.run(&argv).context(MakeArtifactSnafu { file })?;
    if *form == Form::Vmdk {
        vmdk::set_content_id(&to, ids::short(request.id(file))).context(VmdkSnafu { file })?;
    }
    Ok(())
}

/// The root device as the kernel command line has it. GRUB knows which set it boots by the id of its boot
/// partition; root and hash tree are the next two.
fn mapping(tree: &Tree) -> Mapping {
    let device = |after_boot: u32| format!("PARTUUID=$boot_uuid/PARTNROFF={after_boot}");
    Mapping {
        name: "root".into(),
        access: Access::ReadOnly,
        target: Target {
            data_device: device(1),
            hash_device: device(2),
            data_blocks: tree.data_blocks(),
            hash_start: 1,
            root_hash: tree.root_hash(),
            salt: tree.salt().clone(),
            options: ["restart_on_corruption", "ignore_zero_blocks"].map(Into::into).into(),
        },
    }
}

fn ensure_fits(what: &'static str, len: u64, place: &PartitionPlace) -> Result<(), Error> {
    let (label, room) = (place.label, place.size_bytes());
    ensure!(len <= room, TooLargeSnafu { what, len, label, room });
    Ok(())
}

fn length(path: &Path) -> Result<u64, Error> {
    Ok(fs::metadata(path).context(ReadSnafu { path })?.len())
}

/// The bytes of all files below a folder.
fn content_len(folder: &Path) -> Result<u64, Error> {
    let mut sum = 0;
    for path in tree::paths_below(folder).context(MeasureSnafu { path: folder })? {
        let path = folder.join(path);
        let metadata = fs::symlink_metadata(&path).context(ReadSnafu { path })?;
        sum += if metadata.is_file() { metadata.len() } else { 0 };
    }
    Ok(sum)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// A length for people, never rounded to one that would fit.
fn mib(bytes: u64) -> String {
    let hundredths = (bytes * 100).div_ceil(MIB);
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => format!("{whole} MiB"),
        (whole, part) => format!("{whole}.{part:02} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_too_large_does_not_look_as_if_it_fitted() {
        for (bytes, text) in [(0, "0 MiB"), (MIB, "1 MiB"), (MIB + 1, "1.01 MiB"), (920 * MIB, "920 MiB")] {
            assert_eq!(mib(bytes), text);
        }
    }

    #[test]
    fn the_root_device_is_the_two_partitions_after_the_chosen_boot_partition() {
        let tree = Tree::build(&[1; 8192][..], Salt::new(&[0xab]).unwrap()).unwrap();
        let text = mapping(&tree).to_string();
        let hash = tree.root_hash();
        assert_eq!(
            text,
            format!(
                "root,,,ro,0 16 verity 1 PARTUUID=$boot_uuid/PARTNROFF=1 PARTUUID=$boot_uuid/PARTNROFF=2 4096 \
                 4096 2 1 sha256 {hash} ab 2 restart_on_corruption ignore_zero_blocks"
            )
        );
        assert_eq!(text.parse(), Ok(mapping(&tree)));
    }
}
