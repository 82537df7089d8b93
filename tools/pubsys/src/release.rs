//! A release: images and migrations into a repository.

use crate::existing::{Existing, Product};
use crate::images::{self, Build, ImageError, TargetFile};
use crate::migrations::{self, MigrationError};
use crate::publish::{Content, NewTarget, Publication, PublishError, stage};
use crate::publisher::{Publisher, PublisherError};
use jiff::Timestamp;
use seekable::Options;
use semver::Version;
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tough::ExpirationEnforcement;
use update_metadata::{
    ChainError, EditError, ExpirationPolicy, Manifest, Migrations, PolicyError, Release, Update, WavePolicy,
    chain,
};

/// A change of a repository that was not made.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum ReleaseError {
    #[snafu(transparent)]
    Publisher { source: PublisherError },
    #[snafu(transparent)]
    Image { source: ImageError },
    #[snafu(transparent)]
    Migration { source: MigrationError },
    #[snafu(transparent)]
    Publish { source: PublishError },
    #[snafu(display("change the manifest"))]
    Edit { source: Box<EditError> },
    #[snafu(display("apply the policies from {start} on"))]
    Policy { start: Timestamp, source: PolicyError },
    #[snafu(display("{}: add {} to [migrations] of Release.toml{}", ways.join(", "), steps.join(", "), if *fresh {
        ", with the names of migrations in it if there are any"
    } else {
        ""
    }))]
    NoWay { ways: Vec<String>, steps: Vec<String>, fresh: bool },
    #[snafu(display("there is no published repository to change; name it with --base"))]
    NoBase,
    #[snafu(display("there is no {product} in the published repository"))]
    NoProduct { product: Product },
}

/// What is common to every change of a repository.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When it begins.
    pub start: Timestamp,
    /// How long the metadata live.
    pub expiration: ExpirationPolicy,
    /// The published repository, if not that of `Infra.toml` or the latest one here.
    pub base: Option<String>,
    /// The new folder, if not the usual one.
    pub output: Option<PathBuf>,
}

/// A release to be published.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// The folder of the build.
    pub images: PathBuf,
    /// What it is a build of.
    pub build: Build,
    /// How fast it spreads.
    pub waves: WavePolicy,
    /// The migration graph.
    pub release: Release,
    /// The folder with migrations.
    pub migrations: PathBuf,
    /// A URL for people.
    pub release_notes: Option<String>,
    /// The highest version to be offered, if not the newest.
    pub max_version: Option<Version>,
    /// Other files to be targets, under their own names.
    pub extra: Vec<PathBuf>,
    /// Build upon nothing, whatever is published.
    pub from_scratch: bool,
    /// How images are compressed.
    pub compression: Options,
}

/// Publishes a release, and says where.
pub async fn publish_release(
    publisher: &Publisher,
    new: &NewRelease,
    terms: &Terms,
) -> Result<PathBuf, ReleaseError> {
    publisher.ensure_root().await?;
    let keys = publisher.signing_keys()?;
    let product = new.build.product();
    let base = if new.from_scratch { None } else { publisher.location(terms.base.as_deref())? };
    let existing = match &base {
        Some(location) => publisher.base(location, &product).await?,
        None => None,
    };
    // Everything that can be refused is refused before the long work of compressing.
    let manifest = existing.as_ref().map_or_else(Manifest::new, |existing| existing.manifest.clone());
    let waves = new.waves.waves(terms.start).context(PolicySnafu { start: terms.start })?;
    let images = new.build.images();
    let mut update = Update {
        variant: product.variant.clone(),
        arch: product.arch.clone(),
        version: new.build.version.clone(),
        max_version: new.build.version.clone(),
        waves,
        images,
        image_details: None,
        release_notes: new.release_notes.clone(),
        withdrawn: None,
        paused: false,
        paused_at: None,
        extra: serde_json::Map::new(),
    };
    with_update(manifest.clone(), &update, new)?;
    let migrations = migrations::collect(&new.release.migrations, &new.migrations, existing.as_ref()).await?;
    let prepared = images::prepare(&new.build, &new.images, &publisher.cache(), &new.compression)?;
    update.image_details = Some(prepared.details);
    let manifest = with_update(manifest, &update, new)?;

    let file = |TargetFile { name, path }| NewTarget { name, content: Content::File(path) };
    let bytes =
        |packed: migrations::Packed| NewTarget { name: packed.name, content: Content::Bytes(packed.content) };
    let extra = new.extra.iter().map(|path| NewTarget {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        content: Content::File(path.clone()),
    });
    let targets =
        prepared.targets.into_iter().map(file).chain(migrations.into_iter().map(bytes)).chain(extra);
    let output = terms.output.clone().unwrap_or_else(|| publisher.repos().join(new.build.name_version()));
    let expirations =
        terms.expiration.expirations(terms.start).context(PolicySnafu { start: terms.start })?;
    let publication = Publication {
        product,
        roots: publisher.roots.clone(),
        chain: publisher.chain()?,
        keys,
        existing,
        base,
        manifest,
        targets: targets.collect(),
        expirations,
        now: publisher.now,
        output,
        repos: publisher.repos(),
    };
    stage(&publication).await?.commit()?;
    Ok(publication.output)
}

/// The manifest with the release in it. Pure.
fn with_update(mut manifest: Manifest, update: &Update, new: &NewRelease) -> Result<Manifest, ReleaseError> {
    let before = manifest.clone();
    manifest.add_update(update.clone(), new.max_version.clone()).map_err(Box::new).context(EditSnafu)?;
    let lost = manifest.set_migrations(new.release.migrations.clone());
    for edge in lost {
        tracing::warn!(%edge, "Release.toml no longer has a step that the published manifest has");
    }
    let stranded = stranded(&before, &manifest, update);
    if stranded.is_empty() { Ok(manifest) } else { no_way(&before.migrations, &stranded).fail() }
}

/// Versions that are offered and lose their way to the newest one, and the newest one before the new one if it has
/// none to that: a version that is held back will be offered some day.
fn stranded(before: &Manifest, after: &Manifest, update: &Update) -> Vec<ChainError> {
    let were: BTreeSet<_> = before.cut_off().into_iter().map(|(id, _)| id).collect();
    let cut_off = after.cut_off().into_iter().filter(|(id, _)| !were.contains(id)).map(|(_, error)| error);
    let to = &update.version;
    let others = after.updates.iter().filter(|other| {
        other.variant == update.variant && other.arch == update.arch && other.withdrawn.is_none()
    });
    let newest = others.map(|other| &other.version).filter(|version| *version < to).max();
    let newest = newest.and_then(|newest| chain(&after.migrations, newest, to).err());
    let mut stranded: Vec<_> = cut_off.collect();
    stranded.extend(newest.filter(|error| !stranded.contains(error)));
    stranded
}

/// The error that says which steps are missing: those that were published, or else one over the whole gap.
fn no_way(published: &Migrations, stranded: &[ChainError]) -> NoWaySnafu<Vec<String>, Vec<String>, bool> {
    let (mut ways, mut steps, mut fresh) = (BTreeSet::new(), BTreeSet::new(), false);
    for ChainError { from, to, nearest } in stranded {
        ways.insert(format!("hosts of {from} cannot come to {to}"));
        let gap = nearest.as_ref().unwrap_or(from);
        let known = published.iter().rev().find(|(edge, _)| edge.from() == gap && edge.to() <= to);
        fresh |= known.is_none();
        steps.insert(match known {
            Some((edge, names)) => format!("\"{edge}\" = {names:?}"),
            None => format!("\"({gap}, {to})\" = []"),
        });
    }
    NoWaySnafu { ways: ways.into_iter().collect(), steps: steps.into_iter().collect(), fresh }
}

/// A change of what is published already.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Of what.
    pub product: Product,
    /// What it is called; the new folder is named by it.
    pub verb: &'static str,
    /// Whether metadata that are expired are taken over.
    pub expiration: ExpirationEnforcement,
    /// What changes in the manifest; nothing where it is only signed anew.
    pub edit: &'a dyn Edit,
}

/// What a publisher changes in a manifest. Pure.
pub trait Edit: std::fmt::Debug {
    /// Changes the manifest.
    fn apply(&self, manifest: &mut Manifest) -> Result<(), ReleaseError>;
}

/// Publishes a change, and says where.
pub async fn publish_change(
    publisher: &Publisher,
    change: &Change<'_>,
    terms: &Terms,
) -> Result<PathBuf, ReleaseError> {
    let keys = publisher.signing_keys()?;
    let Some(base) = publisher.location(terms.base.as_deref())? else { return NoBaseSnafu.fail() };
    let existing = publisher.existing(&base, &change.product, change.expiration).await?;
    ensure!(existing.is_some(), NoProductSnafu { product: change.product.clone() });
    let mut manifest =
        existing.as_ref().map(|Existing { manifest, .. }| manifest.clone()).unwrap_or_default();
    change.edit.apply(&mut manifest)?;
    let stamp = publisher.now.strftime("%Y-%m-%dT%H-%M-%SZ");
    let output = terms.output.clone();
    let output = output.unwrap_or_else(|| publisher.repos().join(format!("{stamp}-{}", change.verb)));
    let expirations =
        terms.expiration.expirations(terms.start).context(PolicySnafu { start: terms.start })?;
    let publication = Publication {
        product: change.product.clone(),
        roots: publisher.roots.clone(),
        chain: publisher.chain()?,
        keys,
        existing,
        base: Some(base),
        manifest,
        targets: Vec::new(),
        expirations,
        now: publisher.now,
        output,
        repos: publisher.repos(),
    };
    stage(&publication).await?.commit()?;
    Ok(publication.output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(versions: &[&str], edges: &[&str]) -> Manifest {
        let update = |version: &&str| {
            json!({
                "variant": "demo", "arch": "x86_64", "version": version, "max_version": "9.0.0", "waves": {},
                "images": {"boot": "b", "root": "r", "hash": "h"},
            })
        };
        let updates: Vec<_> = versions.iter().map(update).collect();
        let edge = |edge: &&str| ((*edge).to_owned(), json!(["m"]));
        let edges: serde_json::Map<_, _> = edges.iter().map(edge).collect();
        let manifest = json!({ "updates": updates, "migrations": edges });
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn versions_that_lose_their_way_are_named_with_the_missing_steps() {
        let published = manifest(&["1.0.0", "1.1.0"], &["(1.0.0, 1.1.0)"]);
        let cut_off = manifest(&["0.9.0", "1.0.0"], &[]);
        for (before, added, edges, expected) in [
            (&published, "1.2.0", &["(1.0.0, 1.1.0)", "(1.1.0, 1.2.0)"][..], None),
            (
                &published,
                "1.2.0",
                &["(1.1.0, 1.2.0)"],
                Some(
                    "hosts of 1.0.0 cannot come to 1.2.0: add \"(1.0.0, 1.1.0)\" = [\"m\"] to [migrations] of \
                     Release.toml",
                ),
            ),
            (
                &published,
                "1.2.0",
                &["(1.0.0, 1.1.0)"],
                Some(
                    "hosts of 1.0.0 cannot come to 1.2.0, hosts of 1.1.0 cannot come to 1.2.0: add \
                     \"(1.1.0, 1.2.0)\" = [] to [migrations] of Release.toml, with the names of migrations in it if \
                     there are any",
                ),
            ),
            // An older version that leads nowhere.
            (
                &published,
                "1.0.5",
                &["(1.0.0, 1.1.0)", "(1.0.0, 1.0.5)"],
                Some(
                    "hosts of 1.0.5 cannot come to 1.1.0: add \"(1.0.5, 1.1.0)\" = [] to [migrations] of \
                     Release.toml, with the names of migrations in it if there are any",
                ),
            ),
            // What had no way before is no reason.
            (&cut_off, "1.1.0", &["(1.0.0, 1.1.0)"], None),
        ] {
            let versions: Vec<_> = before.updates.iter().map(|update| update.version.to_string()).collect();
            let versions: Vec<_> = versions.iter().map(String::as_str).chain([added]).collect();
            let after = manifest(&versions, edges);
            let stranded = stranded(before, &after, after.updates.last().unwrap());
            let found = (!stranded.is_empty())
                .then(|| no_way(&before.migrations, &stranded).fail::<()>().unwrap_err().to_string());
            assert_eq!(found.as_deref(), expected, "{added} by {edges:?}");
        }
    }
}
