//! The build of one package.

use crate::context::{self, Context};
use crate::digest::{self, Algorithm, Digests};
use crate::environment::{self, Lookup, OfPackage, Shared};
use crate::job::{self, Job, Outcome, marker_file, state_folder};
use crate::marker::Marker;
use crate::progress::What;
use crate::{sources, spec};
use lookaside::{Lock, LockError};
use manifests::{Package, Tree, TreeError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Files of a package's folder that Cargo reads and the build does not.
const OF_CARGO: &[&str] = &["Cargo.toml", "README.md", "build.rs", "target"];

/// The line of the Dockerfile where the stages of images begin.
const STAGES_OF_VARIANTS: &str =
    "# ---------------------------------------------------------------- variant\n";

/// Why a package could not be built.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(transparent)]
    Environment { source: environment::Error },
    #[snafu(transparent)]
    Tree { source: TreeError },
    #[snafu(transparent)]
    Job { source: job::Error },
    #[snafu(transparent)]
    Context { source: context::Error },
    #[snafu(transparent)]
    Sources { source: sources::Error },
    #[snafu(display("check the inputs of the package '{package}'"))]
    Check { package: String, source: digest::Error },
    #[snafu(display("read the pins of Debian packages"))]
    ReadLock {
        #[snafu(source(from(LockError, Box::new)))]
        source: Box<LockError>,
    },
    #[snafu(display("read {}", path.display()))]
    ReadDockerfile { path: PathBuf, source: std::io::Error },
    #[snafu(display("read the spec of the package '{package}' at {}", path.display()))]
    ReadSpec { package: String, path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "the spec of '{package}' names the file '{file}', which is neither in {} nor among the external-files and \
         Debian packages of its Cargo.toml",
        folder.display()
    ))]
    MissingSource { package: String, file: String, folder: PathBuf },
    #[snafu(display(
        "the Debian package '{debian}' of the package '{package}' is not pinned in Debian.lock; run './make \
         update-lock'"
    ))]
    NotPinned { package: String, debian: String },
    #[snafu(display("{} is missing, which the package '{package}' is built from; run './make fetch'", path.display()))]
    NotFetched { package: String, path: PathBuf },
    #[snafu(display(
        "there are no RPMs of '{dependency}', which '{name}' is built from; run './make' to build them"
    ))]
    NotBuilt { name: String, dependency: String },
    #[snafu(display("tell cargo what to watch"))]
    Tell { source: std::io::Error },
}

/// Builds the package that the environment names, and tells Cargo what to watch.
pub fn build(lookup: Lookup, cargo: &mut dyn Write, tell: &dyn Fn(What)) -> Result<Outcome, Error> {
    let tracked = OfPackage::tracked().map(|name| format!("rerun-if-env-changed={name}"));
    directives(cargo, tracked)?;
    let environment = OfPackage::read(lookup)?;
    let shared = &environment.shared;
    let tree = Tree::load(&shared.root)?;
    let folder = shared.crate_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let package = package_in(&tree, &folder)?;
    let place = format!("packages/{}", package.name);
    directives(cargo, watched(&environment, package, &place).map(|path| changed(&path)))?;

    let _lock = job::lock(shared, &place)?;
    let hashes = state_folder(shared, &place).join("hashes.json");
    let mut digests = Digests::load(&hashes);
    let context = plan(&environment, &tree, package, &mut digests)?;
    let job = Job {
        shared,
        place: &place,
        log: package.name.clone(),
        target: "package",
        context,
        arguments: BTreeMap::from([("PACKAGE", package.name.clone())]),
        output: shared.packages.join(&package.name),
    };
    let outcome = job.run(&mut digests, tell)?;
    digests.save(&hashes).context(CheckSnafu { package: &package.name })?;
    Ok(outcome)
}

fn package_in<'a>(tree: &'a Tree, folder: &str) -> Result<&'a Package, Error> {
    let found = tree.packages().find(|package| package.folder.file_name().is_some_and(|name| name == folder));
    found.map_or_else(|| Ok(tree.package(folder)?), Ok)
}

/// Prints directives to Cargo.
pub(crate) fn directives(cargo: &mut dyn Write, lines: impl Iterator<Item = String>) -> Result<(), Error> {
    for line in lines {
        writeln!(cargo, "cargo:{line}").context(TellSnafu)?;
    }
    Ok(())
}

/// The directive that watches a file or a folder.
pub(crate) fn changed(path: &Path) -> String {
    format!("rerun-if-changed={}", path.display())
}

/// What a package is built from, and what it made: outputs that are gone are made again. Only what exists is
/// watched: Cargo runs a build each time for a file that does not.
fn watched(environment: &OfPackage, package: &Package, place: &str) -> impl Iterator<Item = PathBuf> {
    let shared = &environment.shared;
    let root = &shared.root;
    let mut paths = vec![
        package.folder.clone(),
        root.join("Dockerfile"),
        root.join("packages/macros"),
        marker_file(shared, place),
        shared.packages.join(&package.name),
    ];
    paths.extend(package.source_groups.iter().map(|group| root.join("sources").join(group)));
    if !package.source_groups.is_empty() {
        paths.push(root.join("Cargo.toml"));
    }
    if !package.source_groups.is_empty() || package.crates {
        paths.push(root.join("Cargo.lock"));
    }
    if !package.debian_packages.is_empty() || !package.debian_sources.is_empty() {
        paths.push(root.join("Debian.lock"));
    }
    paths.extend(std::env::current_exe());
    paths.into_iter()
}

/// Decides what the build sees.
fn plan(
    environment: &OfPackage,
    tree: &Tree,
    package: &Package,
    digests: &mut Digests,
) -> Result<Context, Error> {
    let root = &environment.shared.root;
    let mut context = Context::default();
    context.add_text("Dockerfile", stages_of_packages(root)?)?;
    context.add_folder("macros", &root.join("packages/macros"), &|name| name.ends_with(".macros"))?;
    context.add_folder("package", &package.folder, &is_of_build)?;
    add_fetched(&mut context, environment, package, digests)?;
    check_sources(&context, package)?;
    sources::add(&mut context, root, &package.source_groups)?;
    add_rpms(&mut context, &environment.shared, &package.name, tree.seen_by_package(package))?;
    Ok(context)
}

/// The part of the Dockerfile that builds packages: a change of the rest builds no package again.
fn stages_of_packages(root: &Path) -> Result<String, Error> {
    let path = root.join("Dockerfile");
    let text = std::fs::read_to_string(&path).context(ReadDockerfileSnafu { path })?;
    let (stages, _) = text.split_once(STAGES_OF_VARIANTS).unwrap_or((&text, ""));
    Ok(stages.to_owned())
}

fn is_of_build(name: &str) -> bool {
    !OF_CARGO.contains(&name) && !name.split('/').any(|part| part.starts_with('.') || part.ends_with('~'))
}

/// Adds what the package is made of that was fetched, checked against its pins.
fn add_fetched(
    context: &mut Context,
    environment: &OfPackage,
    package: &Package,
    digests: &mut Digests,
) -> Result<(), Error> {
    let root = &environment.shared.root;
    let place = lookaside::Tree::new(root, Some(environment.lookaside.clone()));
    let mut add = |name: &str, path: PathBuf, hash: Option<(Algorithm, &str)>| -> Result<(), Error> {
        ensure!(path.is_file(), NotFetchedSnafu { package: &package.name, path });
        if let Some((algorithm, wanted)) = hash {
            digests.check(algorithm, &path, wanted).context(CheckSnafu { package: &package.name })?;
        }
        Ok(context.add_file(format!("lookaside/{name}"), path)?)
    };
    for file in &package.external_files {
        let path = place.external(&file.sha512, &file.name);
        add(&file.name, path, Some((Algorithm::Sha512, &file.sha512)))?;
    }
    if !package.debian_packages.is_empty() || !package.debian_sources.is_empty() {
        let lock = Lock::load(&place.lock_file()).context(ReadLockSnafu)?;
        for debian in &package.debian_packages {
            let pin = lock.package(debian);
            let pin = pin.context(NotPinnedSnafu { package: &package.name, debian })?;
            add(&pin.file, place.debian().join(&pin.file), Some((Algorithm::Sha256, &pin.sha256)))?;
        }
        for debian in &package.debian_sources {
            let pin = lock.source(debian);
            let pin = pin.context(NotPinnedSnafu { package: &package.name, debian })?;
            for part in &pin.files {
                let hash = Some((Algorithm::Sha256, part.sha256.as_str()));
                add(&part.file, place.debian().join(&part.file), hash)?;
            }
        }
    }
    if package.crates {
        // Named by the hash of the lock, which pins each crate in it.
        let lock = lookaside::sha256_of_file(&root.join("Cargo.lock"));
        let name = lock.map_or_else(|_| "Cargo.lock".to_owned(), |hash| format!("{hash}.tar"));
        add("crates.tar", place.crates().join(name), None)?;
    }
    Ok(())
}

/// Refuses a spec with a source that the build would not find.
fn check_sources(context: &Context, package: &Package) -> Result<(), Error> {
    let path = package.spec();
    let text = std::fs::read_to_string(&path);
    let text = text.context(ReadSpecSnafu { package: &package.name, path })?;
    for file in spec::local_sources(&text) {
        let there = |folder: &str| context.names().any(|name| name == format!("{folder}/{file}"));
        let (name, folder) = (&package.name, &package.folder);
        ensure!(there("package") || there("lookaside"), MissingSourceSnafu { package: name, file, folder });
    }
    Ok(())
}

/// Adds the RPMs of packages that are built.
pub(crate) fn add_rpms<'a>(
    context: &mut Context,
    shared: &Shared,
    name: &str,
    dependencies: impl IntoIterator<Item = &'a str>,
) -> Result<(), Error> {
    for dependency in dependencies {
        let marker = Marker::load(&marker_file(shared, &format!("packages/{dependency}")));
        let marker = marker.context(NotBuiltSnafu { name, dependency })?;
        for rpm in marker.outputs.keys() {
            let path = shared.packages.join(dependency).join(rpm);
            ensure!(path.is_file(), NotBuiltSnafu { name, dependency });
            context.add_file(format!("rpms/{rpm}"), path)?;
        }
    }
    Ok(())
}
