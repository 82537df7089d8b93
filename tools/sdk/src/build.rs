//! Building an SDK image.

use crate::inputs::{Inputs, InputsError};
use host::{Command, CommandError, Host};
use lookaside::Tree;
use snafu::{ResultExt, Snafu, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A minute is usual; a busy machine needs ten.
const LIMIT: Duration = Duration::from_hours(1);
/// Folders that are links into `/usr` on a merged system; packages of the release still name some of them.
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];
/// Lines of a failed build that are shown.
const SHOWN: usize = 30;

/// An SDK image that could not be built.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum BuildError {
    #[snafu(transparent)]
    Inputs { source: InputsError },
    #[snafu(display("prepare {}", path.display()))]
    Prepare { path: PathBuf, source: std::io::Error },
    #[snafu(display("run {program}"))]
    Run { program: String, source: CommandError },
    #[snafu(display("{what}: {program} ended with {status}:\n{tail}"))]
    Failed { what: &'static str, program: String, status: std::process::ExitStatus, tail: String },
}

/// The tag of the checkout's SDK image, which is there afterwards: it is built, telling on `progress`, if it is not.
/// `docker` is the client to use.
pub fn ensure(tree: &Tree, docker: &str, progress: &mut dyn Write) -> Result<String, BuildError> {
    let inputs = Inputs::load(tree)?;
    let tag = inputs.tag().to_owned();
    if run(&[docker, "image", "inspect", &tag])?.status.success() {
        return Ok(tag);
    }
    inputs.check()?;
    // Progress that nobody reads is not worth failing for.
    drop(writeln!(progress, "building the SDK image {tag}: about a minute"));
    let context = tree.root().join("build/state/sdk");
    lay_out(&inputs, &context)?;
    let folder = context.display().to_string();
    checked(
        "build the SDK image",
        &[docker, "build", "--network", "none", "--progress=plain", "--tag", &tag, &folder],
    )?;
    fs::remove_dir_all(&context).context(PrepareSnafu { path: context })?;
    Ok(tag)
}

/// Makes the context of the build: the Dockerfile, the packages, and two archives.
fn lay_out(inputs: &Inputs, context: &Path) -> Result<(), BuildError> {
    if context.exists() {
        fs::remove_dir_all(context).context(PrepareSnafu { path: context })?;
    }
    let (base, debs) = (context.join("base"), context.join("debs"));
    for folder in [&base, &debs] {
        fs::create_dir_all(folder).context(PrepareSnafu { path: folder })?;
    }
    let path = context.join("Dockerfile");
    fs::write(&path, &inputs.dockerfile).context(PrepareSnafu { path })?;
    for deb in &inputs.packages {
        let path = debs.join(deb.file_name().expect("a package has a name"));
        fs::hard_link(deb, &path)
            .or_else(|_| fs::copy(deb, &path).map(drop))
            .context(PrepareSnafu { path })?;
    }
    for name in MERGED {
        let (path, link) = (base.join("usr").join(name), base.join(name));
        fs::create_dir_all(&path).context(PrepareSnafu { path })?;
        symlink(Path::new("usr").join(name), &link).context(PrepareSnafu { path: link })?;
    }
    let files = context.join("base.deb.tar").display().to_string();
    let into = base.display().to_string();
    for deb in &inputs.base {
        let unpacked =
            checked("unpack a package", &["dpkg-deb", "--fsys-tarfile", &deb.display().to_string()])?;
        fs::write(&files, unpacked).context(PrepareSnafu { path: &files })?;
        let unpack = ["tar", "--extract", "--file", &files, "--directory", &into, "--keep-directory-symlink"];
        checked("unpack a package", &[&unpack[..], &["--no-same-owner"]].concat())?;
    }
    fs::remove_file(&files).context(PrepareSnafu { path: &files })?;
    archive(&base, &context.join("base.tar"), &[])?;
    fs::remove_dir_all(&base).context(PrepareSnafu { path: base })?;
    archive(&inputs.toolchain, &context.join("rust.tar"), &["--exclude=./share"])
}

/// Packs a folder, owned by root whoever builds.
fn archive(folder: &Path, archive: &Path, options: &[&str]) -> Result<(), BuildError> {
    let (folder, archive) = (folder.display().to_string(), archive.display().to_string());
    let mut argv = vec!["tar", "--create", "--file", &archive, "--directory", &folder];
    argv.extend(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    argv.extend(options);
    argv.push(".");
    checked("pack an archive", &argv).map(drop)
}

/// Runs a program that must succeed; its output.
fn checked(what: &'static str, argv: &[&str]) -> Result<Vec<u8>, BuildError> {
    let output = run(argv)?;
    let tail = || {
        let lines: Vec<&str> = output.stderr.lines().collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    };
    ensure!(
        output.status.success(),
        FailedSnafu { what, program: argv[0], status: output.status, tail: tail() }
    );
    Ok(output.stdout)
}

fn run(argv: &[&str]) -> Result<host::Output, BuildError> {
    let command = Command {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: vec![("DOCKER_BUILDKIT".into(), "1".into())],
        stdin: Vec::new(),
        timeout: LIMIT,
    };
    Host::new("/").run(&command).context(RunSnafu { program: argv[0] })
}
