//! The build of the image of one variant.

use crate::context::{self, Context};
use crate::digest::{self, Digests};
use crate::environment::{self, Lookup, OfVariant};
use crate::job::{self, Job, Outcome, marker_file, state_folder};
use crate::materials;
use crate::package::{self, add_rpms, changed, directives};
use crate::progress::What;
use defaults::{Catalog, CatalogError, Composition};
use manifests::{Arch, ImageFeature, ImageFormat, SettingsSource, Tree, TreeError, Variant};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The one time that everything in an image bears: 2025-01-01.
pub(crate) const SOURCE_DATE_EPOCH: u32 = 1_735_689_600;

/// The programs that run inside the build of an image.
const TOOLS: [&str; 2] = ["image", "sbom"];

/// The file of a variant's folder, and of its build, that describes the machine of an OVA.
const OVF_TEMPLATE: &str = "template.ovf";

/// The file of a build with the root of trust of updates, which goes into the image.
const ROOT_JSON: &str = "root.json";

/// Features that an image cannot have yet.
const LATER: [ImageFeature; 2] = [ImageFeature::Fips, ImageFeature::UefiSecureBoot];

/// Why an image could not be built.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(transparent)]
    Environment { source: environment::Error },
    #[snafu(transparent)]
    Tree { source: TreeError },
    #[snafu(transparent)]
    Package { source: package::Error },
    #[snafu(transparent)]
    Job { source: job::Error },
    #[snafu(transparent)]
    Context { source: context::Error },
    #[snafu(transparent)]
    Materials { source: materials::Error },
    #[snafu(transparent)]
    Hash { source: digest::Error },
    #[snafu(display("the variant '{variant}' is not made for {arch}, only for {}", supported.join(", ")))]
    UnsupportedArch { variant: String, arch: Arch, supported: Vec<&'static str> },
    #[snafu(display(
        "the variant '{variant}' asks for the image feature '{feature}', which is not there yet"
    ))]
    FeatureLater { variant: String, feature: String },
    #[snafu(display("compose the settings of the variant '{variant}'"))]
    Compose {
        variant: String,
        #[snafu(source(from(CatalogError, Box::new)))]
        source: Box<CatalogError>,
    },
    #[snafu(display("there is no program {}, which images are made with; run './make' to build it", path.display()))]
    NoTool { path: PathBuf },
    #[snafu(display(
        "there is {}, which describes disks of the image-format 'vmdk'; the variant '{variant}' has another", path.display()
    ))]
    TemplateFormat { path: PathBuf, variant: String },
    #[snafu(display(
        "there is no root of trust {}, which hosts check their updates against; './make root-role' makes it, or set \
         PUBLISH_REPO_ROOT_JSON", path.display()
    ))]
    NoRoot { path: PathBuf },
    #[snafu(display("point {} to the image", path.display()))]
    Link { path: PathBuf, source: std::io::Error },
}

/// Builds the image of the variant that the environment names, and tells Cargo what to watch.
pub fn build(lookup: Lookup, cargo: &mut dyn Write, tell: &dyn Fn(What)) -> Result<Outcome, Error> {
    let tracked = OfVariant::tracked().map(|name| format!("rerun-if-env-changed={name}"));
    directives(cargo, tracked)?;
    let environment = OfVariant::read(lookup)?;
    let shared = &environment.shared;
    let tree = Tree::load(&shared.root)?;
    let folder = shared.crate_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let variant = tree.variant(&folder)?;
    check(variant, shared.arch)?;
    let Some(packages) = &variant.included_packages else {
        let text = format!("warning=the variant {folder} has no included-packages, so it has no image");
        directives(cargo, std::iter::once(text))?;
        return Ok(Outcome::Unchanged);
    };
    let version = format!("{}-{}", environment.version, environment.build);
    let place = format!("variants/{}/{version}", variant.name);
    let image = environment.output.join(&version);
    let mut watched = vec![
        variant.folder.clone(),
        shared.root.join("Dockerfile"),
        marker_file(shared, &place),
        image.clone(),
    ];
    watched.extend(TOOLS.map(|name| environment.tools.join(name)));
    watched.extend(std::env::current_exe());
    watched.push(environment.root_json.clone());
    directives(cargo, watched.iter().map(|path| changed(path)))?;

    let _lock = job::lock(shared, &place)?;
    let hashes = state_folder(shared, &place).join("hashes.json");
    let mut digests = Digests::load(&hashes);
    let job = Job {
        shared,
        place: &place,
        log: format!("image-{}", variant.name),
        target: "variant",
        context: plan(&environment, &tree, variant)?,
        arguments: BTreeMap::from([
            ("PACKAGES", packages.join(" ")),
            ("VARIANT", variant.name.clone()),
            ("VERSION_ID", environment.version.clone()),
            ("BUILD_ID", environment.build.clone()),
            ("PRETTY_NAME", environment.pretty_name.clone()),
            ("IMAGE_NAME", environment.name.clone()),
        ]),
        output: image,
    };
    let outcome = job.run(&mut digests, tell)?;
    digests.save(&hashes)?;
    point_latest(&environment.output, &version)?;
    Ok(outcome)
}

/// Refuses a variant that cannot be built for the architecture, or not at all yet.
pub(crate) fn check(variant: &Variant, arch: Arch) -> Result<(), Error> {
    let supported: Vec<_> = variant.supported_arches.iter().map(|arch| arch.name()).collect();
    ensure!(
        variant.supported_arches.contains(&arch),
        UnsupportedArchSnafu { variant: &variant.name, arch, supported }
    );
    match LATER.iter().find(|feature| variant.image_features.contains(feature)) {
        Some(feature) => {
            let feature = json!(feature).as_str().unwrap_or_default().to_owned();
            FeatureLaterSnafu { variant: &variant.name, feature }.fail()
        }
        None => Ok(()),
    }
}

/// Decides what the build sees.
fn plan(environment: &OfVariant, tree: &Tree, variant: &Variant) -> Result<Context, Error> {
    let mut context = Context::default();
    context.add_file("Dockerfile", environment.shared.root.join("Dockerfile"))?;
    for name in TOOLS {
        let path = environment.tools.join(name);
        ensure!(path.is_file(), NoToolSnafu { path });
        context.add_file(name, path)?;
    }
    let template = template(variant)?;
    let has_template = template.is_some();
    if let Some(path) = template {
        context.add_file(OVF_TEMPLATE, path)?;
    }
    context.add_text("request.json", format!("{:#}\n", request(environment, variant, has_template)))?;
    context.add_text("variant.toml", settings(variant)?)?;
    if let Some(path) = root_json(environment, variant)? {
        context.add_file(ROOT_JSON, path)?;
    }
    let seen = tree.seen_by_variant(variant);
    add_rpms(&mut context, &environment.shared, &variant.name, seen)?;
    let materials = materials::of(environment, tree, variant)?;
    context.add_text("materials.json", format!("{:#}\n", json!(materials)))?;
    Ok(context)
}

/// The description of the machine of an OVA, if the variant has one.
fn template(variant: &Variant) -> Result<Option<PathBuf>, Error> {
    let path = variant.folder.join(OVF_TEMPLATE);
    let there = path.is_file();
    ensure!(
        !there || variant.image_format == ImageFormat::Vmdk,
        TemplateFormatSnafu { path, variant: &variant.name }
    );
    Ok(there.then_some(path))
}

/// The root of trust of updates, of an image that can be updated.
fn root_json<'a>(environment: &'a OfVariant, variant: &Variant) -> Result<Option<&'a Path>, Error> {
    if !variant.image_features.contains(&ImageFeature::InPlaceUpdates) {
        return Ok(None);
    }
    let path = environment.root_json.as_path();
    ensure!(path.is_file(), NoRootSnafu { path });
    Ok(Some(path))
}

/// The file of an image that says what variant it is.
fn settings(variant: &Variant) -> Result<String, Error> {
    let composition = match &variant.settings {
        SettingsSource::Like(other) => Composition::Like(other),
        SettingsSource::Lists { groups, fragments } => Composition::Lists { groups, fragments },
    };
    let composed = Catalog::embedded().compose(&variant.name, &composition);
    Ok(composed.context(ComposeSnafu { variant: &variant.name })?.to_toml())
}

/// What the program `image` is asked.
fn request(environment: &OfVariant, variant: &Variant, has_template: bool) -> Value {
    let has = |feature| variant.image_features.contains(&feature);
    let layout = &variant.image_layout;
    let mut request = json!({
        "name": environment.name,
        "pretty_name": environment.pretty_name,
        "variant": variant.name,
        "arch": environment.shared.arch,
        "version": environment.version,
        "build_id": environment.build,
        "image_layout": {
            "os_image_size_gib": layout.os_image_size_gib,
            "data_image_size_gib": layout.data_image_size_gib,
            "publish_image_size_hint_gib": layout.publish_image_size_hint_gib,
            "partition_plan": layout.partition_plan,
        },
        "kernel_parameters": variant.kernel_parameters,
        "image_features": {
            "in-place-updates": has(ImageFeature::InPlaceUpdates),
            "grub-set-private-var": has(ImageFeature::GrubSetPrivateVar),
        },
        "image_format": variant.image_format,
        "root_compression": layout.root_compression,
        "source_date_epoch": SOURCE_DATE_EPOCH,
    });
    if has_template {
        request["ova_template"] = json!(format!("/host/{OVF_TEMPLATE}"));
    }
    request
}

/// Makes `latest` lead to the folder of a version.
fn point_latest(folder: &Path, version: &str) -> Result<(), Error> {
    let latest = folder.join("latest");
    if std::fs::read_link(&latest).is_ok_and(|target| target == Path::new(version)) {
        return Ok(());
    }
    let new = folder.join(".latest");
    let point = || {
        // A link that an interrupted run left.
        if new.is_symlink() {
            std::fs::remove_file(&new)?;
        }
        std::os::unix::fs::symlink(version, &new)?;
        std::fs::rename(&new, &latest)
    };
    point().context(LinkSnafu { path: &latest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Shared;

    fn variant(table: &str) -> Variant {
        let text = format!("package.name = 'x-y'\n[package.metadata.build-variant]\n{table}");
        Variant::parse(Path::new("variants/x-y/Cargo.toml"), &text).unwrap()
    }

    fn environment() -> OfVariant {
        let folder = |name: &str| std::path::PathBuf::from(name);
        OfVariant {
            shared: Shared {
                arch: Arch::X86_64,
                root: folder("/r"),
                state: folder("/s"),
                packages: folder("/p"),
                logs: folder("/l"),
                sdk: "sdk:1".into(),
                force: None,
                crate_folder: folder("/r/variants/x-y"),
            },
            output: folder("/o"),
            tools: folder("/t"),
            name: "visco".into(),
            pretty_name: "Visco OS".into(),
            version: "1.2.3".into(),
            build: "abcdef01".into(),
            root_json: folder("/r/roles/default.root.json"),
        }
    }

    #[test]
    fn only_an_image_that_can_be_updated_needs_a_root_of_trust() {
        let mut environment = environment();
        let fixed = variant("image-features = { in-place-updates = false }");
        assert_eq!(root_json(&environment, &fixed).unwrap(), None);
        let why = root_json(&environment, &variant("")).unwrap_err().to_string();
        assert!(why.starts_with("there is no root of trust /r/roles/default.root.json,"), "{why}");
        let file = tempfile::NamedTempFile::new().unwrap();
        environment.root_json = file.path().to_owned();
        assert_eq!(root_json(&environment, &variant("")).unwrap(), Some(file.path()));
    }

    #[test]
    fn the_request_is_one_that_image_understands() {
        let variant = variant(
            "image-format = 'qcow2'\nkernel-parameters = ['quiet']\nimage-features = { in-place-updates = false }\n\
             image-layout = { os-image-size-gib = 4, partition-plan = 'unified', root-compression = 'lz4hc' }",
        );
        let text = request(&environment(), &variant, false).to_string();
        let request = image::Request::parse(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(request.variant, "x-y");
        assert_eq!(request.kernel_parameters, ["quiet"]);
        assert_eq!(request.image_layout.os_image_size_gib, 4);
        assert!(!request.image_features.in_place_updates);
        assert_eq!(request.root_compression, image::RootCompression::Lz4hc);
        assert_eq!(request.ova_template, None);
    }

    #[test]
    fn a_template_makes_an_ova_of_disks_of_vmware() {
        let root = tempfile::tempdir().unwrap();
        let mut variant = variant("image-format = 'vmdk'");
        variant.folder = root.path().to_owned();
        assert_eq!(template(&variant).unwrap(), None);
        std::fs::write(root.path().join("template.ovf"), "").unwrap();
        assert_eq!(template(&variant).unwrap(), Some(root.path().join("template.ovf")));
        let request = image::Request::parse(&request(&environment(), &variant, true).to_string()).unwrap();
        assert_eq!(request.ova_template, Some("/host/template.ovf".into()));

        variant.image_format = ImageFormat::Qcow2;
        let why = template(&variant).unwrap_err().to_string();
        assert!(why.contains("template.ovf, which describes disks of the image-format 'vmdk'"), "{why}");
    }

    #[test]
    fn the_document_is_named_like_the_files_of_the_image() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("packages")).unwrap();
        std::fs::create_dir(root.path().join("variants")).unwrap();
        let (environment, variant) = (environment(), variant(""));
        let materials = materials::of(&environment, &Tree::load(root.path()).unwrap(), &variant).unwrap();
        let request = image::Request::parse(&request(&environment, &variant, false).to_string()).unwrap();
        assert_eq!(materials.document_file(), format!("{}-sbom.spdx.json", request.file_prefix()));
    }

    #[test]
    fn settings_are_composed_like_those_of_another_variant_or_of_lists() {
        for table in [
            "settings.like = 'metal-dev'",
            "settings = { groups = ['@common'], fragments = ['@off-head', '@metrics-public'] }",
        ] {
            let composed = defaults::Variant::parse(&settings(&variant(table)).unwrap()).unwrap();
            assert_eq!(composed.name, "x-y", "{table}");
        }
        let why = host::program::chain(&settings(&variant("settings.like = 'metal-deb'")).unwrap_err());
        assert!(why.contains("'x-y'") && why.contains("did you mean 'metal-dev'?"), "{why}");
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let why = check(&variant("supported-arches = ['aarch64']"), Arch::X86_64).unwrap_err().to_string();
        assert_eq!(why, "the variant 'x-y' is not made for x86_64, only for aarch64");
        let why = check(&variant("image-features = { fips = true }"), Arch::X86_64).unwrap_err().to_string();
        assert_eq!(why, "the variant 'x-y' asks for the image feature 'fips', which is not there yet");
        assert!(check(&variant(""), Arch::X86_64).is_ok());
    }

    #[test]
    fn latest_leads_to_the_last_image() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["1.0.0-a", "1.0.0-a", "1.1.0-b"] {
            point_latest(folder.path(), version).unwrap();
            let target = std::fs::read_link(folder.path().join("latest")).unwrap();
            assert_eq!(target, Path::new(version));
        }
    }
}
