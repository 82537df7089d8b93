//! The commands: from arguments to what the rest of the library does.

use crate::edits::{Pause, Refresh, Resume, SetMaxVersion, SetWaves, Withdraw};
use crate::existing::{ExistingError, Location, Product};
use crate::images::Build;
use crate::infra::DEFAULT_REPO;
use crate::keys::LocalKey;
use crate::publish::products;
use crate::publisher::{Publisher, ROOT_LIFE, Rotation};
use crate::release::{
    Change, Edit, NewRelease, NoBaseSnafu, ReleaseError, Terms, publish_change, publish_release,
};
use crate::root::{RootVersion, whole_seconds};
use crate::validate::{expiring, validate};
use crate::waves::{SimulateArgs, WavePolicyArgs, load_wave_policy};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use semver::Version;
use snafu::{OptionExt, ResultExt, Snafu};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tough::ExpirationEnforcement;
use update_metadata::{ExpirationPolicy, Offset, PolicyError, Release, UpdateId};

/// What a command is about.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The checkout
    #[arg(long, global = true, value_name = "DIR", env = "BUILDSYS_ROOT_DIR", default_value = ".")]
    pub tree: PathBuf,

    /// Repositories, their addresses and keys; without the file there is one repository, 'default', for development
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PUBLISH_INFRA_CONFIG_PATH",
        default_value = "Infra.toml"
    )]
    pub infra_config_path: PathBuf,

    /// The repository of that file
    #[arg(long, global = true, value_name = "NAME", env = "PUBLISH_REPO", default_value = DEFAULT_REPO)]
    pub repo: String,

    /// The newest root role, instead of roles/REPO.root.json
    #[arg(long, global = true, value_name = "FILE", env = "PUBLISH_REPO_ROOT_JSON")]
    pub root_role_path: Option<PathBuf>,

    /// The key that is used where none is configured, instead of keys/REPO.pem
    #[arg(long, global = true, value_name = "FILE", env = "PUBLISH_REPO_KEY")]
    pub default_key_path: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Publish the images of a build, on top of what is published
    Repo(Box<RepoArgs>),
    /// Load a repository as hosts do, fetch every target, and check what the manifest says of the images
    ValidateRepo(ValidateArgs),
    /// Fail if any metadata expire soon
    CheckRepoExpirations(ExpirationArgs),
    /// Sign the published metadata anew, with new expirations
    RefreshRepo(RefreshArgs),
    /// When which hosts may take a release
    #[command(subcommand)]
    Waves(WavesVerb),
    /// Take a release back: hosts that run it step down to the newest one that is left
    Withdraw(WithdrawArgs),
    /// Say which version is the highest that is offered
    SetMaxVersion(VersionArgs),
    /// The root role: which keys hosts trust
    #[command(subcommand)]
    Root(RootVerb),
    /// Private keys in files
    #[command(subcommand)]
    Key(KeyVerb),
}

/// What to do about waves.
#[derive(Debug, Subcommand)]
pub enum WavesVerb {
    /// Replace the waves of a release
    Set(SetWavesArgs),
    /// Stop offering a release to hosts that have not taken it
    Pause(VersionArgs),
    /// Offer it again; its waves go on where they stopped
    Resume(VersionArgs),
    /// See how a release would spread through a fleet: a table, and a curve
    Simulate(Box<SimulateArgs>),
}

/// What to do about the root role.
#[derive(Debug, Subcommand)]
pub enum RootVerb {
    /// Make the first version, and a key where none is configured
    Create(LifeArgs),
    /// Make the next version, of the keys that are configured now
    Rotate(RotateArgs),
    /// See that there is one, and print where: fetched, kept, or made for development
    Ensure,
}

/// What to do about keys.
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make an RSA key in a new file
    Create {
        /// The file
        path: PathBuf,
    },
}

/// Whose metadata.
#[derive(Clone, Debug, Args)]
pub struct ProductArgs {
    /// The variant
    #[arg(long, env = "BUILDSYS_VARIANT")]
    variant: String,

    /// The architecture
    #[arg(long, env = "BUILDSYS_ARCH")]
    arch: String,
}

/// Which published repository.
#[derive(Clone, Debug, Args)]
pub struct BaseArgs {
    /// The published repository: a folder, or an address (file, http, https) [default: that of Infra.toml, or
    /// build/repos/REPO/latest]
    #[arg(long, value_name = "WHERE")]
    base: Option<String>,
}

/// On what, from when, and where to.
#[derive(Clone, Debug, Args)]
pub struct TermsArgs {
    #[command(flatten)]
    base: BaseArgs,

    /// The new folder [default: below build/repos/REPO]
    #[arg(long, value_name = "DIR", env = "PUBLISH_REPO_OUTPUT_DIR")]
    outdir: Option<PathBuf>,

    /// How long metadata live
    #[arg(
        long,
        value_name = "FILE",
        env = "PUBLISH_EXPIRATION_POLICY_PATH",
        default_value = "tools/pubsys/policies/repo-expiration/2w-2w-1w.toml"
    )]
    repo_expiration_policy_path: PathBuf,

    /// When waves and expirations begin: a time, or 'in 2 hours' [default: now]
    #[arg(long, value_name = "WHEN", env = "RELEASE_START_TIME")]
    release_start_time: Option<Offset>,
}

/// Arguments of `repo`.
#[derive(Debug, Args)]
pub struct RepoArgs {
    #[command(flatten)]
    product: ProductArgs,

    #[command(flatten)]
    terms: TermsArgs,

    /// The folder of the build [default: build/images/ARCH-VARIANT/latest]
    #[arg(long, value_name = "DIR", env = "PUBLISH_IMAGES_DIR")]
    images: Option<PathBuf>,

    #[command(flatten)]
    wave_policy: WavePolicyArgs,

    /// The migrations between versions
    #[arg(long, value_name = "FILE", default_value = "Release.toml")]
    release_config_path: PathBuf,

    /// The folder with the migrations that Release.toml names
    #[arg(long, value_name = "DIR", default_value = "sources/models/migrations")]
    migrations: PathBuf,

    /// A URL where people read what is new
    #[arg(long, value_name = "URL")]
    release_notes: Option<String>,

    /// The highest version that is offered [default: the newest]
    #[arg(long, value_name = "VERSION")]
    max_version: Option<Version>,

    /// Another file to publish, under its own name; may be given more than once
    #[arg(long, value_name = "FILE")]
    add_target: Vec<PathBuf>,

    /// Build upon nothing, whatever is published: a repository with this release alone
    #[arg(long, env = "PUBLISH_FROM_SCRATCH", conflicts_with = "base")]
    from_scratch: bool,
}

/// Arguments of `validate-repo`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The variant [default: every one, if the repository is a folder]
    #[arg(long, requires = "arch")]
    variant: Option<String>,

    /// The architecture
    #[arg(long, requires = "variant")]
    arch: Option<String>,

    #[command(flatten)]
    base: BaseArgs,

    /// Whether to fetch and check targets too
    #[arg(long, value_name = "BOOL", env = "REPO_VALIDATE_TARGETS", default_value_t = true, action = clap::ArgAction::Set)]
    validate_targets: bool,
}

/// Arguments of `check-repo-expirations`.
#[derive(Debug, Args)]
pub struct ExpirationArgs {
    #[command(flatten)]
    product: ProductArgs,

    #[command(flatten)]
    base: BaseArgs,

    /// How soon is too soon
    #[arg(long, value_name = "WHEN", env = "REPO_METADATA_EXPIRING_WITHIN", default_value = "3 days")]
    expiration_limit: Offset,
}

/// Arguments of `refresh-repo`.
#[derive(Debug, Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    product: ProductArgs,

    #[command(flatten)]
    terms: TermsArgs,

    /// Refresh metadata that are expired: nobody vouches that they are the newest there were
    #[arg(long, env = "REPO_UNSAFE_REFRESH")]
    unsafe_refresh: bool,
}

/// Which release.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// The version
    version: Version,

    #[command(flatten)]
    product: ProductArgs,

    #[command(flatten)]
    terms: TermsArgs,
}

/// Arguments of `waves set`.
#[derive(Debug, Args)]
pub struct SetWavesArgs {
    #[command(flatten)]
    of: VersionArgs,

    /// How fast the release spreads
    #[arg(long, value_name = "FILE", env = "PUBLISH_WAVE_POLICY_PATH")]
    wave_policy_path: PathBuf,
}

/// Arguments of `withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    #[command(flatten)]
    of: VersionArgs,

    /// Why, for people: who asks a host for that version is told
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// How long a root role lives.
#[derive(Debug, Args)]
pub struct LifeArgs {
    /// When the root role expires
    #[arg(long, value_name = "WHEN", default_value = ROOT_LIFE)]
    expires: Offset,
}

/// Arguments of `root rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    #[command(flatten)]
    life: LifeArgs,

    /// Make a new key in the place of the one that was made here; that one is kept beside it
    #[arg(long)]
    fresh_key: bool,

    /// A key of the version before that Infra.toml no longer names; may be given more than once
    #[arg(long, value_name = "FILE")]
    old_root_key: Vec<PathBuf>,
}

/// What stands between the arguments and the library.
#[derive(Debug, Snafu)]
enum VerbError {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand {}", path.display()))]
    Policy { path: PathBuf, source: PolicyError },
    #[snafu(display("understand {}", path.display()))]
    Release { path: PathBuf, source: update_metadata::ReleaseError },
    #[snafu(display("{location} is not a folder here: name a --variant and an --arch"))]
    NameProduct { location: String },
    #[snafu(display("look for repositories in {}", path.display()))]
    Products { path: PathBuf, source: std::io::Error },
    #[snafu(display("{} has no repository in it", path.display()))]
    NoProducts { path: PathBuf },
}

type Outcome<T = ExitCode> = Result<T, Box<dyn Error>>;

impl Verb {
    /// Does what was asked. The place of what was made, or what was found, is printed.
    pub async fn run(self, place: &Place) -> Outcome {
        let publisher = place.open()?;
        match self {
            Self::Repo(args) => tell(&args.run(&publisher).await?.display())?,
            Self::ValidateRepo(args) => args.run(&publisher).await?,
            Self::CheckRepoExpirations(args) => return args.run(&publisher).await,
            Self::RefreshRepo(args) => {
                let expiration = if args.unsafe_refresh {
                    ExpirationEnforcement::Unsafe
                } else {
                    ExpirationEnforcement::Safe
                };
                args.product.change(&publisher, &args.terms, "refresh", expiration, &Refresh).await?;
            }
            Self::Waves(verb) => verb.run(&publisher).await?,
            Self::Withdraw(WithdrawArgs { of, reason }) => {
                of.change(&publisher, "withdraw", &Withdraw { id: of.id(), reason }).await?;
            }
            Self::SetMaxVersion(of) => {
                let ProductArgs { variant, arch } = of.product.clone();
                let edit = SetMaxVersion { variant, arch, version: of.version.clone() };
                of.change(&publisher, "max-version", &edit).await?;
            }
            Self::Root(verb) => verb.run(&publisher).await?,
            Self::Key(KeyVerb::Create { path }) => {
                tell(&LocalKey::create(&std::path::absolute(path)?)?.path.display())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Place {
    fn open(&self) -> Outcome<Publisher> {
        let tree = std::path::absolute(&self.tree)?;
        let mut publisher =
            Publisher::open(&tree, &self.infra_config_path, &self.repo, whole_seconds(Timestamp::now()))?;
        if let Some(path) = &self.root_role_path {
            publisher.roots.newest = tree.join(path);
        }
        if let Some(path) = &self.default_key_path {
            publisher.local_key = tree.join(path);
        }
        Ok(publisher)
    }
}

impl ProductArgs {
    fn product(&self) -> Product {
        Product { variant: self.variant.clone(), arch: self.arch.clone() }
    }

    async fn change(
        &self,
        publisher: &Publisher,
        terms: &TermsArgs,
        verb: &'static str,
        expiration: ExpirationEnforcement,
        edit: &dyn Edit,
    ) -> Outcome<()> {
        let change = Change { product: self.product(), verb, expiration, edit };
        tell(&publish_change(publisher, &change, &terms.terms(publisher)?).await?.display())
    }
}

impl BaseArgs {
    pub(crate) fn location(&self, publisher: &Publisher) -> Result<Location, ReleaseError> {
        publisher.location(self.base.as_deref())?.context(NoBaseSnafu)
    }
}

impl TermsArgs {
    fn start(&self, publisher: &Publisher) -> Outcome<Timestamp> {
        Ok(self.release_start_time.map_or(Ok(publisher.now), |offset| offset.from(publisher.now))?)
    }

    fn terms(&self, publisher: &Publisher) -> Outcome<Terms> {
        let (path, text) = read(publisher, &self.repo_expiration_policy_path)?;
        let output = self.outdir.as_ref().map(|path| {
            let path = publisher.tree.join(path);
            path.canonicalize().unwrap_or(path)
        });
        Ok(Terms {
            start: self.start(publisher)?,
            expiration: ExpirationPolicy::parse(&text).context(PolicySnafu { path })?,
            base: self.base.base.clone(),
            output,
        })
    }
}

impl RepoArgs {
    async fn run(&self, publisher: &Publisher) -> Outcome<PathBuf> {
        let tree = &publisher.tree;
        let product = self.product.product();
        let usual = || format!("build/images/{}-{}/latest", product.arch, product.variant).into();
        let images = tree.join(self.images.clone().unwrap_or_else(usual));
        let build = Build::load(&images)?;
        build.check(&images, &product)?;
        let (path, text) = read(publisher, &self.release_config_path)?;
        let release = Release::parse(&text).context(ReleaseSnafu { path })?;
        let new = NewRelease {
            images,
            build,
            waves: self.wave_policy.load(publisher)?,
            release,
            migrations: tree.join(&self.migrations),
            release_notes: self.release_notes.clone(),
            max_version: self.max_version.clone(),
            extra: self.add_target.iter().map(|path| tree.join(path)).collect(),
            from_scratch: self.from_scratch,
            compression: seekable::Options::default(),
        };
        Ok(publish_release(publisher, &new, &self.terms.terms(publisher)?).await?)
    }
}

impl WavesVerb {
    async fn run(self, publisher: &Publisher) -> Outcome<()> {
        match self {
            Self::Set(SetWavesArgs { of, wave_policy_path }) => {
                let start = of.terms.start(publisher)?;
                let waves = load_wave_policy(publisher, &wave_policy_path)?.waves(start)?;
                of.change(publisher, "waves", &SetWaves { id: of.id(), waves, at: publisher.now }).await
            }
            Self::Pause(of) => of.change(publisher, "pause", &Pause { id: of.id(), at: publisher.now }).await,
            Self::Resume(of) => {
                of.change(publisher, "resume", &Resume { id: of.id(), at: publisher.now }).await
            }
            Self::Simulate(args) => args.run(publisher).await,
        }
    }
}

impl VersionArgs {
    fn id(&self) -> UpdateId {
        let Product { variant, arch } = self.product.product();
        UpdateId { variant, arch, version: self.version.clone() }
    }

    async fn change(&self, publisher: &Publisher, verb: &'static str, edit: &dyn Edit) -> Outcome<()> {
        self.product.change(publisher, &self.terms, verb, ExpirationEnforcement::Safe, edit).await
    }
}

impl ValidateArgs {
    async fn run(&self, publisher: &Publisher) -> Outcome<()> {
        let location = self.base.location(publisher)?;
        let roots: Vec<RootVersion> = publisher.chain()?;
        for product in self.products(&location)? {
            let report = validate(&location, &product, &roots, self.validate_targets).await?;
            let targets = if self.validate_targets {
                format!(
                    "{} targets ({} bytes) fetched, the images of {} as the manifest says",
                    report.targets, report.bytes, report.details
                )
            } else {
                "targets not fetched".to_owned()
            };
            for id in &report.cut_off {
                tracing::warn!(
                    update = %id,
                    "the migrations do not lead its hosts to the newest version; the next release can have the missing \
                     step in its Release.toml"
                );
            }
            let (updates, roots) = (report.updates, report.roots);
            tell(&format_args!(
                "{product}: valid; {updates} updates; loads from each of {roots} versions of the root role; {targets}"
            ))?;
        }
        Ok(())
    }

    fn products(&self, location: &Location) -> Outcome<Vec<Product>> {
        if let (Some(variant), Some(arch)) = (&self.variant, &self.arch) {
            return Ok(vec![Product { variant: variant.clone(), arch: arch.clone() }]);
        }
        let path = location.folder().context(NameProductSnafu { location: location.metadata.as_str() })?;
        let found: Vec<_> = products(&path).context(ProductsSnafu { path: &path })?.into_iter().collect();
        if found.is_empty() { Ok(NoProductsSnafu { path }.fail()?) } else { Ok(found) }
    }
}

impl ExpirationArgs {
    async fn run(&self, publisher: &Publisher) -> Outcome {
        let location = self.base.location(publisher)?;
        let product = self.product.product();
        let existing = publisher.existing(&location, &product, ExpirationEnforcement::Unsafe).await?;
        let url = Box::new(location.metadata_of(&product));
        let existing = existing.ok_or(ExistingError::NoRepository { url })?;
        let limit = self.expiration_limit.from(publisher.now)?;
        let soon = expiring(&existing.expiries(), limit);
        for role in existing.expiries() {
            let (name, expires) = (role.role, role.expires);
            match soon.contains(&role) {
                _ if expires <= publisher.now => tracing::error!(role = %name, %expires, "expired"),
                true => tracing::error!(role = %name, %expires, "expires too soon"),
                false => tell(&format_args!("{name} expires at {expires}"))?,
            }
        }
        Ok(ExitCode::from(u8::from(!soon.is_empty())))
    }
}

impl RootVerb {
    async fn run(self, publisher: &Publisher) -> Outcome<()> {
        match self {
            Self::Create(life) => publisher.create_root(life.expires).await?,
            Self::Rotate(args) => {
                let rotation = Rotation { fresh_key: args.fresh_key, old_keys: args.old_root_key };
                publisher.rotate_root(&rotation, args.life.expires).await?;
            }
            Self::Ensure => drop(publisher.ensure_root().await?),
        }
        tell(&publisher.roots.newest.display())
    }
}

fn read(publisher: &Publisher, path: &Path) -> Result<(PathBuf, String), VerbError> {
    let path = publisher.tree.join(path);
    let text = std::fs::read_to_string(&path).context(ReadSnafu { path: &path })?;
    Ok((path, text))
}

fn tell(what: &dyn std::fmt::Display) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "{what}")?)
}
