//! All packages and variants, and how they hang together.

use crate::crates::{Crate, Dependencies, tidy};
use crate::keys::{self, ReadManifestSnafu};
use crate::names::did_you_mean;
use crate::package::Package;
use crate::variant::Variant;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The packages and variants of the tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    packages: BTreeMap<String, Package>,
    variants: BTreeMap<String, Variant>,
    /// Names of packages by their folders.
    folders: BTreeMap<PathBuf, String>,
}

/// What is wrong with the tree, or with a request for a part of it.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("list {}", folder.display()))]
    List { folder: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Manifest { source: keys::Error },
    #[snafu(display("the packages {} and {} are both named '{name}'", first.display(), second.display()))]
    SameName { name: String, first: PathBuf, second: PathBuf },
    #[snafu(display("there is no variant '{name}'{hint} (the variants are {})", valid.join(", ")))]
    UnknownVariant { name: String, hint: String, valid: Vec<String> },
    #[snafu(display("there is no package '{name}'{hint} (./make list names them all)"))]
    UnknownPackage { name: String, hint: String },
    #[snafu(display("'{name}' depends on {}, where there is no package{hint}", folder.display()))]
    MissingDependency { name: String, folder: PathBuf, hint: String },
    #[snafu(display(
        "packages need each other in a circle: {}; turn one of these build-dependencies into a dependency at run \
         time, or leave it out",
        cycle.join(" -> ")
    ))]
    Cycle { cycle: Vec<String> },
}

impl Tree {
    /// Reads the manifests below the root of the tree. A folder without a manifest is no package, and neither is a
    /// crate without metadata.
    pub fn load(root: &Path) -> Result<Self, Error> {
        let packages = manifests(&root.join("packages"))?;
        let packages = packages.iter().map(|(file, text)| Package::parse(file, text));
        let variants = manifests(&root.join("variants"))?;
        let variants = variants.iter().map(|(file, text)| Variant::parse(file, text));
        Self::new(packages.collect::<Result<Vec<_>, _>>()?, variants.collect::<Result<Vec<_>, _>>()?)
    }

    /// A tree of packages and variants, checked: every dependency is there, and none leads back to its start.
    pub fn new(packages: Vec<Package>, variants: Vec<Variant>) -> Result<Self, Error> {
        let mut tree = Self::default();
        for package in packages {
            let name = package.name.clone();
            tree.folders.insert(tidy(&package.folder), name.clone());
            if let Some(first) = tree.packages.get(&name) {
                let (first, second) = (&first.folder, &package.folder);
                return SameNameSnafu { name, first, second }.fail();
            }
            tree.packages.insert(name, package);
        }
        tree.variants = variants.into_iter().map(|variant| (variant.name.clone(), variant)).collect();
        tree.check()?;
        Ok(tree)
    }

    /// All packages, by name.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// All variants, by name.
    pub fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.variants.values()
    }

    /// A package by its name or the name of its crate.
    pub fn package(&self, name: &str) -> Result<&Package, Error> {
        let by_crate = || self.packages().find(|package| package.crate_name == name);
        self.packages.get(name).or_else(by_crate).with_context(|| UnknownPackageSnafu {
            name,
            hint: did_you_mean(name, self.packages.keys().map(String::as_str)),
        })
    }

    /// A variant by its name or the name of its crate.
    pub fn variant(&self, name: &str) -> Result<&Variant, Error> {
        let by_crate = || self.variants().find(|variant| variant.crate_name == name);
        self.variants.get(name).or_else(by_crate).with_context(|| UnknownVariantSnafu {
            name,
            hint: did_you_mean(name, self.variants.keys().map(String::as_str)),
            valid: self.variants.keys().cloned().collect::<Vec<_>>(),
        })
    }

    /// Names of the packages whose RPMs the build of a package sees: its build dependencies, and all that these
    /// need at run time.
    pub fn seen_by_package(&self, package: &Package) -> BTreeSet<&str> {
        self.with_run_closure(package.dependencies.build.iter())
    }

    /// Names of the packages whose RPMs the image of a variant can be made of.
    pub fn seen_by_variant(&self, variant: &Variant) -> BTreeSet<&str> {
        let dependencies = &variant.dependencies;
        self.with_run_closure(dependencies.build.iter().chain(&dependencies.run))
    }

    /// Names of all packages that have to be built for a package, without itself.
    pub fn needed_by_package(&self, package: &Package) -> BTreeSet<&str> {
        self.needed(&package.dependencies)
    }

    /// Names of all packages that have to be built for a variant.
    pub fn needed_by_variant(&self, variant: &Variant) -> BTreeSet<&str> {
        self.needed(&variant.dependencies)
    }

    fn needed(&self, dependencies: &Dependencies) -> BTreeSet<&str> {
        self.closure(dependencies.build.iter().chain(&dependencies.run), |package| {
            package.dependencies.build.iter().chain(&package.dependencies.run).collect()
        })
    }

    fn with_run_closure<'a>(&self, folders: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<&str> {
        self.closure(folders, |package| package.dependencies.run.iter().collect())
    }

    fn closure<'a>(
        &self,
        folders: impl Iterator<Item = &'a PathBuf>,
        next: impl Fn(&Package) -> Vec<&PathBuf>,
    ) -> BTreeSet<&str> {
        let mut open: Vec<&str> = folders.map(|folder| self.folders[folder].as_str()).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(
                    next(&self.packages[name]).into_iter().map(|folder| self.folders[folder].as_str()),
                );
            }
        }
        found
    }

    fn check(&self) -> Result<(), Error> {
        let packages = self.packages().map(|package| (&package.name, &package.dependencies));
        let variants = self.variants().map(|variant| (&variant.name, &variant.dependencies));
        for (name, dependencies) in packages.chain(variants) {
            for folder in dependencies.build.iter().chain(&dependencies.run) {
                let last = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
                let known: Vec<_> = self.folders.keys().filter_map(|folder| last(folder)).collect();
                let wanted = last(folder).unwrap_or_default();
                let hint = did_you_mean(&wanted, known.iter().map(String::as_str));
                ensure!(self.folders.contains_key(folder), MissingDependencySnafu { name, folder, hint });
            }
        }
        let mut done = BTreeSet::new();
        for name in self.packages.keys() {
            self.visit(name, &mut Vec::new(), &mut done)?;
        }
        Ok(())
    }

    /// Walks the dependencies of a package; `open` is the way to it.
    fn visit<'a>(
        &'a self,
        name: &'a str,
        open: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Result<(), Error> {
        if done.contains(name) {
            return Ok(());
        }
        if let Some(start) = open.iter().position(|other| *other == name) {
            let cycle: Vec<_> = open[start..].iter().chain([&name]).copied().map(str::to_owned).collect();
            return CycleSnafu { cycle }.fail();
        }
        open.push(name);
        let dependencies = &self.packages[name].dependencies;
        for folder in dependencies.build.iter().chain(&dependencies.run) {
            self.visit(&self.folders[folder], open, done)?;
        }
        open.pop();
        done.insert(name);
        Ok(())
    }
}

/// The manifests one level below a folder, with their texts, in the order of their names.
fn manifests(folder: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries.context(ListSnafu { folder })?,
    };
    for entry in entries {
        let file = entry.context(ListSnafu { folder })?.path().join("Cargo.toml");
        if !file.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&file).context(ReadManifestSnafu { file: &file })?;
        // What is no manifest at all is refused later, with its place.
        if Crate::parse(&file, &text).map_or(true, |subject| subject.has_metadata()) {
            found.push((file, text));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package of lines like `a: build b c run d`.
    fn package(line: &str) -> Package {
        let (name, rest) = line.split_once(':').unwrap();
        let (build, run) = rest.split_once("run").unwrap_or((rest, ""));
        let list = |names: &str| {
            let names = names.split_whitespace().filter(|word| *word != "build");
            names.map(|name| format!("{name} = {{ path = '../{name}' }}\n")).collect::<Vec<_>>().concat()
        };
        let text = format!(
            "package.name = '{name}'\n[package.metadata.build-package]\n[build-dependencies]\n{}[dependencies]\n{}",
            list(build),
            list(run)
        );
        Package::parse(&Path::new("/t/packages").join(name).join("Cargo.toml"), &text).unwrap()
    }

    fn variant(dependencies: &str) -> Variant {
        let list = dependencies.split_whitespace();
        let list: Vec<_> =
            list.map(|name| format!("{name} = {{ path = '../../packages/{name}' }}\n")).collect();
        let list = list.concat();
        let text = format!(
            "package.name = 'metal-dev'\n[package.metadata.build-variant]\n[build-dependencies]\n{list}"
        );
        Variant::parse(Path::new("/t/variants/metal-dev/Cargo.toml"), &text).unwrap()
    }

    fn tree(lines: &[&str], dependencies: &str) -> Result<Tree, String> {
        let packages = lines.iter().map(|line| package(line)).collect();
        Tree::new(packages, vec![variant(dependencies)]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_build_sees_its_build_dependencies_and_what_they_need_at_run_time() {
        let tree =
            tree(&["a: build b run x", "b: build c run d", "c:", "d: run e", "e:", "x:"], "a").unwrap();
        let seen = tree.seen_by_package(tree.package("a").unwrap());
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["b", "d", "e"]);
        let variant = tree.variant("metal-dev").unwrap();
        assert_eq!(tree.seen_by_variant(variant).into_iter().collect::<Vec<_>>(), ["a", "x"]);
        assert_eq!(tree.needed_by_variant(variant).len(), 6);
        assert_eq!(tree.needed_by_package(tree.package("b").unwrap()), BTreeSet::from(["c", "d", "e"]));
    }

    #[test]
    fn a_circle_of_packages_is_named_in_its_order() {
        for (lines, circle) in
            [(&["a: build b", "b: run c", "c: build b"][..], "b -> c -> b;"), (&["a: build a"], "a -> a;")]
        {
            let why = tree(lines, "").unwrap_err();
            assert!(why.starts_with(&format!("packages need each other in a circle: {circle}")), "{why}");
        }
    }

    #[test]
    fn a_dependency_that_is_not_there_is_named() {
        let why = tree(&["systemd: build glibd", "glibc:"], "").unwrap_err();
        assert_eq!(
            why,
            "'systemd' depends on /t/packages/glibd, where there is no package; did you mean 'glibc'?"
        );
        let why = tree(&["glibc:"], "glib").unwrap_err();
        assert!(why.starts_with("'metal-dev' depends on /t/packages/glib, where"), "{why}");
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        let tree = tree(&["glibc:"], "").unwrap();
        assert_eq!(
            tree.variant("metal-deb").unwrap_err().to_string(),
            "there is no variant 'metal-deb'; did you mean 'metal-dev'? (the variants are metal-dev)"
        );
        assert_eq!(
            tree.package("glib").unwrap_err().to_string(),
            "there is no package 'glib'; did you mean 'glibc'? (./make list names them all)"
        );
    }

    #[test]
    fn two_packages_of_one_name_are_refused() {
        let mut second = package("b:");
        second.name = "a".into();
        let why = Tree::new(vec![package("a:"), second], vec![]).unwrap_err().to_string();
        assert_eq!(why, "the packages /t/packages/a and /t/packages/b are both named 'a'");
    }

    #[test]
    fn a_tree_is_read_from_its_folders() {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("packages/a/Cargo.toml", "package.name = 'a'\n[package.metadata.build-package]"),
            ("packages/macros/Cargo.toml", "package.name = 'macros'"),
            ("packages/packages.rs", ""),
            (
                "variants/x-y/Cargo.toml",
                "package.name = 'x-y'\n[package.metadata.build-variant]\n\
                 [build-dependencies]\na = { path = '../../packages/a' }",
            ),
            ("variants/Cargo.toml", "[workspace]"),
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::load(root.path()).unwrap();
        assert_eq!(tree.packages().count(), 1);
        let variant = tree.variant("x-y").unwrap();
        assert_eq!(tree.seen_by_variant(variant), BTreeSet::from(["a"]));
        assert_eq!(Tree::load(&root.path().join("none")).unwrap().packages().count(), 0);
    }
}
