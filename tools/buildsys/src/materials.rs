//! What an image is made of, as the locks and manifests tell: the material of its SPDX document.

use crate::context::{self, Context};
use crate::environment::{OfVariant, Shared};
use crate::marker::Marker;
use crate::variant::SOURCE_DATE_EPOCH;
use crate::{job, sources};
use lookaside::{Lock, LockError, Pin, SourcePin};
use manifests::{Package, Tree, Variant};
use sbom::{Crate, Debian, LinkedError, Materials, Workspace};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// What the names of all RPMs begin with.
const RPM_PREFIX: &str = "visco-";
/// Whose RPMs they are.
const VENDOR: &str = "Visco";
/// The URL below which documents are named.
const NAMESPACE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/spdx");

/// Why nobody can tell what an image is made of.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read the pins of Debian packages"))]
    ReadLock {
        #[snafu(source(from(LockError, Box::new)))]
        source: Box<LockError>,
    },
    #[snafu(display(
        "the Debian package '{debian}' of the package '{package}' is not pinned in Debian.lock; run './make \
         update-lock'"
    ))]
    NotPinned { package: String, debian: String },
    #[snafu(display("gather the sources of the package '{package}'"))]
    Sources { package: String, source: sources::Error },
    #[snafu(display("lay out the sources of the package '{package}'"))]
    LayOut { package: String, source: context::Error },
    #[snafu(display("make a folder in {}", path.display()))]
    MakeFolder { path: PathBuf, source: std::io::Error },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("run cargo metadata"))]
    RunCargo { source: std::io::Error },
    #[snafu(display(
        "cargo metadata for the package '{package}' ended with {status}: {said}; if crates are missing, run \
         './make fetch'"
    ))]
    Cargo { package: String, status: ExitStatus, said: String },
    #[snafu(display("find the crates in the programs of the package '{package}'"))]
    Linked { package: String, source: LinkedError },
}

/// Of all packages that the image can be made of; which of them are installed shows inside the build.
pub(crate) fn of(environment: &OfVariant, tree: &Tree, variant: &Variant) -> Result<Materials, Error> {
    let shared = &environment.shared;
    let seen = tree.seen_by_variant(variant);
    let packages: Vec<&Package> =
        tree.packages().filter(|package| seen.contains(package.name.as_str())).collect();
    let is_repackaged =
        |package: &&Package| !package.debian_packages.is_empty() || !package.debian_sources.is_empty();
    let lock = if packages.iter().any(is_repackaged) {
        let place = lookaside::Tree::new(&shared.root, None);
        Lock::load(&place.lock_file()).context(ReadLockSnafu)?
    } else {
        Lock::default()
    };
    let (mut debian, mut crates) = (Vec::new(), BTreeMap::new());
    for package in packages {
        let marker = Marker::load(&job::marker_file(shared, &format!("packages/{}", package.name)));
        let files: Vec<String> = marker.into_iter().flat_map(|marker| marker.outputs.into_keys()).collect();
        let rpms: Vec<&str> = files.iter().filter_map(|file| rpm_name(file)).collect();
        debian.extend(repackaged(package, &rpms, &lock)?);
        if !package.source_groups.is_empty() {
            let workspace = resolve(shared, package)?;
            let linked = linked(package, &rpms, &workspace);
            crates.extend(linked.context(LinkedSnafu { package: &package.name })?);
        }
    }
    Ok(Materials {
        name: format!("{}-{}-{}", environment.name, variant.name, shared.arch),
        version: format!("{}-{}", environment.version, environment.build),
        vendor: VENDOR.to_owned(),
        rpm_prefix: RPM_PREFIX.to_owned(),
        namespace: NAMESPACE.to_owned(),
        made_at: SOURCE_DATE_EPOCH.into(),
        debian,
        crates,
    })
}

/// The name of a package, from `NAME-VERSION-RELEASE.ARCH.rpm`.
fn rpm_name(file: &str) -> Option<&str> {
    let (rest, _arch) = file.strip_suffix(".rpm")?.rsplit_once('.')?;
    let (rest, _release) = rest.rsplit_once('-')?;
    Some(rest.rsplit_once('-')?.0)
}

/// The Debian packages in the RPMs of a package: each in the one that has its name, else in that of the package.
fn repackaged(package: &Package, rpms: &[&str], lock: &Lock) -> Result<Vec<Debian>, Error> {
    let own = || format!("{RPM_PREFIX}{}", package.name);
    let rpm = |name: &str| {
        let same = format!("{RPM_PREFIX}{name}");
        if rpms.contains(&same.as_str()) { same } else { own() }
    };
    let missing = |debian| NotPinnedSnafu { package: &package.name, debian };
    let mut found = Vec::new();
    for name in &package.debian_packages {
        let Pin { name, version, architecture, sha256, source, source_version, .. } =
            lock.package(name).cloned().context(missing(name))?;
        found.push(Debian { rpm: rpm(&name), name, version, architecture, sha256, source, source_version });
    }
    for name in &package.debian_sources {
        let SourcePin { name, version, files } = lock.source(name).cloned().context(missing(name))?;
        // This file names the others by their digests.
        let control =
            files.into_iter().find(|file| Path::new(&file.file).extension() == Some("dsc".as_ref()));
        found.push(Debian {
            rpm: own(),
            name,
            version,
            architecture: "source".to_owned(),
            sha256: control.map(|file| file.sha256).unwrap_or_default(),
            source: String::new(),
            source_version: String::new(),
        });
    }
    Ok(found)
}

/// The crates in each RPM of a package: those of the program that has its name; if there is no such RPM, those of all
/// programs in that of the package.
fn linked(
    package: &Package,
    rpms: &[&str],
    workspace: &Workspace,
) -> Result<BTreeMap<String, Vec<Crate>>, LinkedError> {
    let members: Vec<&str> = workspace.members().collect();
    let programs = rpms.iter().filter_map(|rpm| Some((*rpm, rpm.strip_prefix(RPM_PREFIX)?)));
    let mut crates = BTreeMap::new();
    for (rpm, program) in programs.filter(|(_, program)| members.contains(program)) {
        crates.insert(rpm.to_owned(), workspace.crates_linked_into(&[program])?);
    }
    if crates.is_empty() {
        let rpm = format!("{RPM_PREFIX}{}", package.name);
        crates.insert(rpm, workspace.crates_linked_into(&members)?);
    }
    Ok(crates)
}

/// Asks Cargo about the workspace that the build of a package sees.
fn resolve(shared: &Shared, package: &Package) -> Result<Workspace, Error> {
    let name = &package.name;
    let mut context = Context::default();
    sources::add(&mut context, &shared.root, &package.source_groups)
        .context(SourcesSnafu { package: name })?;
    std::fs::create_dir_all(&shared.state).context(MakeFolderSnafu { path: &shared.state })?;
    let folder = tempfile::Builder::new().prefix(".sources-").tempdir_in(&shared.state);
    let folder = folder.context(MakeFolderSnafu { path: &shared.state })?;
    let laid_out = folder.path().join("context");
    context.lay_out(&laid_out).context(LayOutSnafu { package: name })?;

    // Not with the lock of the checkout, of which Cargo removes what the other crates need.
    let lock_file = laid_out.join("sources/Cargo.lock");
    let lock = std::fs::read_to_string(&lock_file).context(ReadSnafu { path: &lock_file })?;
    std::fs::remove_file(&lock_file).context(ReadSnafu { path: &lock_file })?;
    std::fs::write(&lock_file, &lock).context(ReadSnafu { path: &lock_file })?;
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--offline", "--quiet", "--format-version", "1", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", shared.arch))
        .current_dir(laid_out.join("sources"))
        .output()
        .context(RunCargoSnafu)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        CargoSnafu { package: name, status: output.status, said: said.trim().to_owned() }
    );
    let metadata = String::from_utf8_lossy(&output.stdout);
    Workspace::parse(&metadata, &lock).context(LinkedSnafu { package: name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, table: &str) -> Package {
        let text = format!("package.name = '{name}'\n[package.metadata.build-package]\n{table}");
        let file = format!("packages/{name}/Cargo.toml");
        Package::parse(Path::new(&file), &text).unwrap()
    }

    #[test]
    fn the_name_of_an_rpm_is_what_comes_before_its_version() {
        for (file, name) in [
            ("visco-libgcc-s1-12.2.0-14+deb12u1.x86_64.rpm", Some("visco-libgcc-s1")),
            ("visco-kmod-30-1.x86_64.rpm", Some("visco-kmod")),
            ("visco-kmod.rpm", None),
            ("visco-kmod-30-1.x86_64", None),
        ] {
            assert_eq!(rpm_name(file), name, "{file}");
        }
    }

    #[test]
    fn a_debian_package_is_in_the_rpm_of_its_name_or_of_the_package() {
        let package =
            package("boot", "debian-packages = ['udev', 'loader-bin']\ndebian-sources = ['loader']");
        let pin = |name: &str| {
            format!(
                "[[package]]\nname = '{name}'\nversion = '1'\narchitecture = 'amd64'\nfile = '{name}.deb'\n\
                 size = 1\nsha256 = '{0}'\nsource = 'source-of-{name}'\nsource-version = '1'\n",
                "a".repeat(64)
            )
        };
        let source = format!(
            "[[source]]\nname = 'loader'\nversion = '2'\nfiles = [{{ file = 'x.tar', size = 1, sha256 = '{0}' }}, \
             {{ file = 'x.dsc', size = 1, sha256 = '{1}' }}]",
            "b".repeat(64),
            "c".repeat(64)
        );
        let head = "sdk = { base = [], packages = [] }\n";
        let lock: Lock = toml::from_str(&[head, &pin("udev"), &pin("loader-bin"), &source].concat()).unwrap();
        let found = repackaged(&package, &["visco-boot", "visco-udev"], &lock).unwrap();
        let short: Vec<_> = found
            .iter()
            .map(|debian| {
                (debian.rpm.as_str(), debian.name.as_str(), &debian.sha256[..1], debian.source.as_str())
            })
            .collect();
        assert_eq!(
            short,
            [
                ("visco-udev", "udev", "a", "source-of-udev"),
                ("visco-boot", "loader-bin", "a", "source-of-loader-bin"),
                ("visco-boot", "loader", "c", ""),
            ]
        );
        let why = repackaged(&package, &[], &Lock::default()).unwrap_err().to_string();
        assert!(why.contains("'udev' of the package 'boot' is not pinned"), "{why}");
    }

    #[test]
    fn crates_are_in_the_rpm_of_their_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let state = tempfile::tempdir().unwrap();
        let shared = Shared {
            arch: manifests::Arch::X86_64,
            root: std::fs::canonicalize(root).unwrap(),
            state: state.path().to_owned(),
            packages: PathBuf::new(),
            logs: PathBuf::new(),
            sdk: String::new(),
            force: None,
            crate_folder: PathBuf::new(),
        };
        let package = package("os", "source-groups = ['updater/partitions', 'updater/verity']");
        let workspace = resolve(&shared, &package).unwrap();
        let names = |crates: &[Crate]| crates.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let of_rpms = linked(&package, &["visco-verity", "visco-os"], &workspace).unwrap();
        assert_eq!(of_rpms.keys().collect::<Vec<_>>(), ["visco-verity"]);
        let verity = &of_rpms["visco-verity"];
        assert!(names(verity).contains(&"sha2".to_owned()), "{verity:?}");
        assert!(verity.iter().all(|one| !one.licence.is_empty() && one.checksum.len() == 64), "{verity:?}");
        // What tests need, what runs in the compiler, what other platforms need.
        let foreign = |name: &String| ["proptest", "syn", "windows-sys"].contains(&name.as_str());
        assert!(!names(verity).iter().any(foreign), "{verity:?}");

        let of_package = linked(&package, &["visco-os"], &workspace).unwrap();
        assert!(verity.iter().all(|one| of_package["visco-os"].contains(one)));
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
    }
}
