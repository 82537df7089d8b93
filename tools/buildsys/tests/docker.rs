//! Whole builds, by the real program, cargo and docker. They need docker and the SDK image that
//! `BUILDSYS_SDK_IMAGE` names: `cargo test -p buildsys --test docker -- --ignored`.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tree with small packages, built like the real one.
struct Lab {
    root: tempfile::TempDir,
}

/// What a run of the program printed, and whether it succeeded.
#[derive(Debug)]
struct Run {
    success: bool,
    text: String,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { root: tempfile::tempdir().unwrap() };
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for file in [
            "Dockerfile",
            "packages/packages.rs",
            "packages/macros/Cargo.toml",
            "variants/Cargo.toml",
            "variants/variants.rs",
        ] {
            lab.write(file, &std::fs::read_to_string(tree.join(file)).unwrap());
        }
        lab.write("Cargo.toml", "[workspace]\nmembers = []");
        lab.write("Cargo.lock", "version = 4\n");
        lab.write("roles/default.root.json", "{}\n");
        lab.variant("");
        lab.write("packages/macros/test.macros", "%_cross_os visco-\n%debug_package %{nil}\n");
        lab
    }

    fn variant(&self, table: &str) {
        self.crate_at(
            "variants/test-dev",
            "variants.rs",
            &format!("[package.metadata.build-variant]\n{table}"),
        );
    }

    fn crate_at(&self, folder: &str, library: &str, manifest: &str) {
        let (kind, name) = folder.split_once('/').unwrap();
        let workspace = if kind == "packages" { "../../variants" } else { ".." };
        self.write(
            &format!("{folder}/Cargo.toml"),
            &format!(
                "[package]\nname = '{name}'\nversion = '0.1.0'\nedition = '2024'\npublish = false\n\
                 workspace = '{workspace}'\n[lib]\npath = '../{library}'\n{manifest}\n"
            ),
        );
        let verb = format!("build-{}", kind.trim_end_matches('s'));
        let build = format!(
            "fn main() {{\n    let status = std::process::Command::new(\"buildsys\").arg(\"{verb}\").status();\n    \
             std::process::exit(status.unwrap().code().unwrap_or(1));\n}}\n"
        );
        self.write(&format!("{folder}/build.rs"), &build);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A package with one file, `/usr/share/NAME`, that its `%install` makes with `script`.
    fn package(&self, name: &str, version: &str, script: &str, manifest: &str) {
        self.crate_at(&format!("packages/{name}"), "packages.rs", manifest);
        self.write(
            &format!("packages/{name}/{name}.spec"),
            &format!(
                "Name: %{{_cross_os}}{name}\nVersion: {version}\nRelease: 1\nSummary: A test\nLicense: MIT\n\
                 Source0: {name}.txt\n%description\nA test.\n%install\n\
                 mkdir -p %{{buildroot}}/usr/share\n{script}\n%files\n/usr/share/{name}\n"
            ),
        );
        self.write(&format!("packages/{name}/{name}.txt"), "text\n");
    }

    fn tiny(&self, version: &str) {
        let script = "install -m 0644 %{_sourcedir}/tiny.txt %{buildroot}/usr/share/tiny";
        self.package("tiny", version, script, "[package.metadata.build-package]");
    }

    fn build(&self, package: &str) -> Run {
        self.build_with(package, &[])
    }

    fn build_with(&self, package: &str, environment: &[(&str, &str)]) -> Run {
        self.run(&["--package", package], environment)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut buildsys = Command::new(env!("CARGO_BIN_EXE_buildsys"));
        buildsys.args(["build", "--root"]).arg(self.root.path()).args(arguments);
        // The tests run inside a build of the whole tree; only the SDK image of it is theirs too.
        for (name, _) in std::env::vars_os() {
            let said = name.to_string_lossy();
            let is_of_a_build = said.starts_with("BUILDSYS_") || said.starts_with("PUBLISH_");
            if is_of_a_build && name != "BUILDSYS_SDK_IMAGE" {
                buildsys.env_remove(name);
            }
        }
        let output = buildsys.envs(environment.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Run { success: output.status.success(), text }
    }

    fn rpms(&self, package: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(&format!("build/rpms/{package}"))).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Run {
    fn built(&self) -> Vec<&str> {
        assert!(self.success, "{}", self.text);
        let lines = self.text.lines().filter(|line| line.contains(": built in"));
        lines.map(|line| line.split([']', ':']).nth(1).unwrap().trim()).collect()
    }

    fn fails_with(&self, parts: &[&str]) {
        assert!(!self.success, "{}", self.text);
        for part in parts {
            assert!(self.text.contains(part), "no '{part}' in {}", self.text);
        }
    }
}

#[test]
#[ignore = "needs docker and the SDK image"]
fn a_package_is_built_once_and_again_when_its_sources_change() {
    let lab = Lab::new();
    lab.tiny("1");
    assert_eq!(lab.build("tiny").built(), ["tiny"]);
    let rpm = "visco-tiny-1-1.x86_64.rpm";
    assert_eq!(lab.rpms("tiny"), [rpm]);
    let first = std::fs::read(lab.path("build/rpms/tiny").join(rpm)).unwrap();

    let again = lab.build("tiny");
    assert!(again.text.starts_with("package tiny is up to date"), "{}", again.text);

    // A new time with the old content makes cargo ask, and nothing is run.
    lab.tiny("1");
    assert_eq!(lab.build("tiny").built(), [""; 0]);

    lab.write("packages/tiny/tiny.txt", "other\n");
    assert_eq!(lab.build("tiny").built(), ["tiny"]);
    assert_ne!(std::fs::read(lab.path("build/rpms/tiny").join(rpm)).unwrap(), first);

    // Back, and without the layers of docker: the same bytes as before.
    lab.write("packages/tiny/tiny.txt", "text\n");
    assert_eq!(lab.build_with("tiny", &[("BUILDSYS_FORCE", "1")]).built(), ["tiny"]);
    assert_eq!(std::fs::read(lab.path("build/rpms/tiny").join(rpm)).unwrap(), first);

    lab.tiny("2");
    assert_eq!(lab.build("tiny").built(), ["tiny"]);
    assert_eq!(lab.rpms("tiny"), ["visco-tiny-2-1.x86_64.rpm"], "the RPM of the old version is gone");

    std::fs::remove_dir_all(lab.path("build/rpms")).unwrap();
    assert_eq!(lab.build("tiny").built(), ["tiny"], "what is gone is made again");
}

#[test]
#[ignore = "needs docker and the SDK image"]
fn a_build_sees_the_packages_it_declares_and_no_other() {
    let lab = Lab::new();
    lab.tiny("1");
    let listing = |needs: &str| {
        lab.package(
            "user",
            "1",
            "ls -R /deps > %{buildroot}/usr/share/user; grep -q tiny %{buildroot}/usr/share/user",
            &format!("[package.metadata.build-package]\n[{needs}]\ntiny = {{ path = '../tiny' }}"),
        );
        lab.build("user")
    };
    listing("dependencies").fails_with(&["error: user: docker build ended with", "build/logs/user.log"]);
    let run = listing("build-dependencies");
    assert!(run.built().contains(&"user"), "{}", run.text);

    // A change that leaves the RPM as it was builds the one package, and not those above it.
    let spec = lab.path("packages/tiny/tiny.spec");
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(&spec, format!("# A comment.\n{text}")).unwrap();
    assert_eq!(lab.build("user").built(), ["tiny"]);
}

#[test]
#[ignore = "needs docker and the SDK image"]
fn programs_of_the_tree_are_built_from_source_groups_alone() {
    let lab = Lab::new();
    lab.write("Cargo.toml", "[workspace]\nresolver = '3'\nmembers = ['sources/a', 'tools/t']");
    lab.write("Cargo.lock", "version = 4\n[[package]]\nname = 'a'\nversion = '1.0.0'\n[[package]]\nname = 't'\nversion = '1.0.0'\n");
    let manifest = "[package]\nname = 'a'\nversion = '1.0.0'\nedition = '2024'\n[dev-dependencies]\nt.path = '../../tools/t'";
    lab.write("sources/a/Cargo.toml", manifest);
    lab.write("sources/a/src/main.rs", "fn main() { println!(\"one\") }");
    let script = "cargo build --locked --offline --manifest-path %{_cross_sources}/Cargo.toml\n\
                  $CARGO_TARGET_DIR/debug/a > %{buildroot}/usr/share/program";
    lab.package("program", "1", script, "[package.metadata.build-package]\nsource-groups = ['a']");
    assert_eq!(lab.build("program").built(), ["program"]);
    let first = std::fs::read(lab.path("build/rpms/program/visco-program-1-1.x86_64.rpm")).unwrap();

    // Changed, with a time before that of the last build: cargo in the container must not take it for old.
    lab.write("sources/a/src/main.rs", "fn main() { println!(\"two\") }");
    let file = std::fs::File::options().write(true).open(lab.path("sources/a/src/main.rs")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    lab.write("sources/a/README.md", "Cargo looks at times, and a new file here makes it ask.");
    assert_eq!(lab.build("program").built(), ["program"]);
    assert_ne!(std::fs::read(lab.path("build/rpms/program/visco-program-1-1.x86_64.rpm")).unwrap(), first);
}

#[test]
#[ignore = "needs docker and the SDK image"]
fn what_is_wrong_is_said_in_one_line_that_helps() {
    let lab = Lab::new();
    lab.tiny("1");
    for (table, parts) in [
        (
            "debian-packages = ['socat']",
            &["error: tiny: ", "'socat'", "not pinned in Debian.lock; run './make update-lock'"][..],
        ),
        (
            "external-files = [{ url = 'https://example.com/a.tar', sha512 = 'HASH' }]",
            &["a.tar is missing", "run './make fetch'"],
        ),
        (
            "debian-package = []",
            &["unknown key 'debian-package'", "did you mean 'debian-packages'?", "packages/tiny/Cargo.toml"],
        ),
    ] {
        lab.write("Debian.lock", "sdk = { base = [], packages = [] }\n");
        let table = table.replace("HASH", &"a".repeat(128));
        lab.crate_at("packages/tiny", "packages.rs", &format!("[package.metadata.build-package]\n{table}"));
        lab.build("tiny").fails_with(parts);
    }

    let hash = "a".repeat(128);
    let place = format!("build/lookaside/sources/{hash}/a.tar");
    lab.write(&place, "not what was asked for");
    let table = format!("external-files = [{{ url = 'https://example.com/a.tar', sha512 = '{hash}' }}]");
    lab.crate_at("packages/tiny", "packages.rs", &format!("[package.metadata.build-package]\n{table}"));
    lab.build("tiny").fails_with(&[&place, &format!("its sha512 should be {hash} and is "), "./make fetch"]);

    lab.tiny("1");
    lab.write("packages/tiny/tiny.spec", "Source0: gone.txt\n");
    lab.build("tiny").fails_with(&["the spec of 'tiny' names the file 'gone.txt', which is neither in"]);

    lab.tiny("1");
    let sdk = [("BUILDSYS_SDK_IMAGE", "visco-sdk:none")];
    lab.build_with("tiny", &sdk)
        .fails_with(&["there is no SDK image visco-sdk:none here; make it with './make sdk'"]);
    let stopped = [("DOCKER_HOST", "unix:///nonexistent.sock")];
    lab.build_with("tiny", &stopped)
        .fails_with(&["the docker daemon does not answer; start it with 'sudo systemctl start docker'"]);
    lab.build("tinny").fails_with(&["there is no package 'tinny'; did you mean 'tiny'?"]);
    lab.build_with("tiny", &[("BUILDSYS_ARCH", "amd64")]).fails_with(&["'amd64'; did you mean 'x86_64'?"]);

    lab.package("other", "1", "", "[package.metadata.build-package]\n[dependencies]\ntiny.path = '../tiny'");
    lab.crate_at(
        "packages/tiny",
        "packages.rs",
        "[package.metadata.build-package]\n[build-dependencies]\nother.path = '../other'",
    );
    lab.build("tiny").fails_with(&["packages need each other in a circle: other -> tiny -> other"]);
}

#[test]
#[ignore = "needs docker and the SDK image"]
fn a_full_disk_is_named_with_what_is_left() {
    let lab = Lab::new();
    let script =
        "mkdir -p %{buildroot}/usr/share; echo 'cp: error writing: No space left on device' >&2; exit 1";
    lab.package("tiny", "1", script, "[package.metadata.build-package]");
    lab.build("tiny").fails_with(&["the disk is full: ", "MiB are free at /", "./make clean"]);
}

/// `image` has tests of its own; here counts what it is given.
const IMAGE: &str = "#!/bin/bash\nset -e\nwhile [ $# != 0 ]; do case $1 in --request) request=$2;; --root) root=$2;; \
                     --output) output=$2;; esac; shift; done\nmkdir -p $output\ncp $request $output/request.json\n\
                     (cd $root; find . -type f | sort) > $output/files\ncp $root/usr/share/visco/variant.toml $output\n";

/// The program `sbom` as it runs in the SDK image.
fn static_sbom() -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("static");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--locked", "--package", "sbom", "--target", &triple])
        .args(["--config", &format!("target.{triple}.rustflags = ['-C', 'target-feature=+crt-static']")])
        .arg("--target-dir")
        .arg(&target)
        .status();
    assert!(built.unwrap().success());
    target.join(triple).join("debug/sbom")
}

#[test]
#[ignore = "needs docker and the SDK image"]
fn an_image_holds_what_its_packages_require_and_nothing_else() {
    let lab = Lab::new();
    let script =
        |name: &str| format!("install -m 0644 %{{_sourcedir}}/{name}.txt %{{buildroot}}/usr/share/{name}");
    lab.package("spare", "1", &script("spare"), "[package.metadata.build-package]");
    lab.package("base", "1", &script("base"), "[package.metadata.build-package]");
    let needs =
        "[package.metadata.build-package]\n[dependencies]\nbase.path = '../base'\nspare.path = '../spare'";
    lab.package("tiny", "1", &script("tiny"), needs);
    let spec = lab.path("packages/tiny/tiny.spec");
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(&spec, text.replace("License:", "Requires: %{_cross_os}base\nLicense:")).unwrap();

    lab.variant(
        "included-packages = ['tiny']\nsettings.like = 'metal-dev'\n\
         [build-dependencies]\ntiny = { path = '../../packages/tiny' }",
    );
    lab.run(&["--variant", "test-dev"], &[]).fails_with(&["there is no program", "build/tools/image"]);
    lab.write("build/tools/image", IMAGE);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(lab.path("build/tools/image"), mode).unwrap();
    lab.run(&["--variant", "test-dev"], &[]).fails_with(&["there is no program", "build/tools/sbom"]);
    std::fs::copy(static_sbom(), lab.path("build/tools/sbom")).unwrap();
    let variables = [("BUILDSYS_VERSION_IMAGE", "1.2.3"), ("BUILDSYS_VERSION_BUILD", "abcdef01")];
    assert!(lab.run(&["--variant", "test-dev"], &variables).built().contains(&"image test-dev"));

    let read = |name: &str| {
        std::fs::read_to_string(lab.path("build/images/x86_64-test-dev/latest").join(name)).unwrap()
    };
    let right = [
        "usr/share/base",
        "usr/share/bottlerocket/application-inventory.json",
        "usr/share/factory/etc/ld.so.cache",
        "usr/share/tiny",
        "usr/share/updog/root.json",
        "usr/share/visco/variant.toml",
    ];
    assert_eq!(read("files"), right.map(|file| format!("./{file}\n")).concat());
    let json = |name: &str| -> Value { serde_json::from_str(&read(name)).unwrap() };
    let names = |list: &Value, name: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&json("application-inventory.json")["Content"], "Name"), ["base", "tiny"]);
    let document = json("visco-test-dev-x86_64-1.2.3-abcdef01-sbom.spdx.json");
    assert_eq!(names(&document["packages"], "name"), ["visco-test-dev-x86_64", "visco-base", "visco-tiny"]);
    assert!(read("request.json").contains("1.2.3") && read("variant.toml").contains("test-dev"));

    let again = lab.run(&["--variant", "test-dev"], &variables);
    assert!(again.text.starts_with("image test-dev is up to date"), "{}", again.text);
    lab.run(&["--variant", "test-deb"], &[]).fails_with(&[
        "there is no variant 'test-deb'; did you mean 'test-dev'? (the variants are test-dev)",
    ]);
}
