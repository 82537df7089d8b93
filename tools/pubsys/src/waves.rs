//! `waves simulate`: how a release spreads through a fleet, before it does.

mod chart;
mod simulation;

use clap::Args;
use semver::Version;
use simulation::{Fleet, SimulationError, simulate};
use snafu::{OptionExt, ResultExt, Snafu};
use std::io::Write;
use std::path::{Path, PathBuf};
use tough::ExpirationEnforcement;
use update_metadata::{Offset, PolicyError, UpdateId, WavePolicy};

use crate::delta::delta_len;
use crate::existing::Product;
use crate::publisher::Publisher;
use crate::release::NoProductSnafu;
use crate::verbs::BaseArgs;

/// Most hosts of a fleet: what a simulation gets through in seconds.
const MAX_HOSTS: u64 = 10_000_000;

/// The policy of a release.
#[derive(Debug, Args)]
pub(crate) struct WavePolicyArgs {
    /// How fast the release spreads
    #[arg(
        long,
        value_name = "FILE",
        env = "PUBLISH_WAVE_POLICY_PATH",
        default_value = "tools/pubsys/policies/waves/default-waves.toml"
    )]
    wave_policy_path: PathBuf,
}

/// Arguments of `waves simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[command(flatten)]
    wave_policy: WavePolicyArgs,

    /// When the release starts, for a policy with times in it: a time, or 'in 2 hours' [default: now]
    #[arg(long, value_name = "WHEN", env = "RELEASE_START_TIME")]
    release_start_time: Option<Offset>,

    /// How many hosts there are
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=MAX_HOSTS))]
    hosts: u64,

    /// How often a host looks for updates
    #[arg(long, value_name = "SPAN", default_value = "1 hour")]
    check_interval: Offset,

    /// How much later than that it may look, at random each time
    #[arg(long, value_name = "SPAN", default_value = "15 minutes")]
    check_jitter: Offset,

    /// How many bytes a host fetches [default: those of --from and --to, else bytes are not counted]
    #[arg(long, value_name = "NUMBER")]
    delta_bytes: Option<u64>,

    #[command(flatten)]
    delta: DeltaArgs,

    /// What is counted together
    #[arg(long, value_name = "SPAN", default_value = "1 hour")]
    step: Offset,

    /// Where the seeds of hosts and the times of their checks come from: the same number, the same fleet
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    random_seed: u64,

    /// Draw the curve into a file, as an SVG image
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Between which published versions hosts go.
#[derive(Debug, Args)]
struct DeltaArgs {
    /// The published version that hosts run: what they fetch is computed as they do it
    #[arg(
        long,
        value_name = "VERSION",
        conflicts_with = "delta_bytes",
        requires_all = ["to", "variant", "arch"]
    )]
    from: Option<Version>,

    /// The published version that they go to
    #[arg(long, value_name = "VERSION", requires = "from")]
    to: Option<Version>,

    /// The variant of these versions
    #[arg(long, env = "BUILDSYS_VARIANT")]
    variant: Option<String>,

    /// Their architecture
    #[arg(long, env = "BUILDSYS_ARCH")]
    arch: Option<String>,

    #[command(flatten)]
    base: BaseArgs,
}

/// Why nothing is simulated.
#[derive(Debug, Snafu)]
pub(crate) enum WavesError {
    #[snafu(display("read {}", path.display()))]
    ReadPolicy { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand {}", path.display()))]
    Policy { path: PathBuf, source: PolicyError },
    #[snafu(display("'{offset}' is no span of time for {argument}; '1 hour' is"))]
    NoSpan { argument: &'static str, offset: Offset },
    #[snafu(display("simulate {}", path.display()))]
    Simulate { path: PathBuf, source: SimulationError },
    #[snafu(display("draw the curve into {}", path.display()))]
    WriteChart { path: PathBuf, source: std::io::Error },
}

impl WavePolicyArgs {
    pub(crate) fn load(&self, publisher: &Publisher) -> Result<WavePolicy, WavesError> {
        load_wave_policy(publisher, &self.wave_policy_path)
    }
}

/// Reads a policy of the checkout.
pub(crate) fn load_wave_policy(publisher: &Publisher, path: &Path) -> Result<WavePolicy, WavesError> {
    let path = publisher.tree.join(path);
    let text = std::fs::read_to_string(&path).context(ReadPolicySnafu { path: &path })?;
    WavePolicy::parse(&text).context(PolicySnafu { path })
}

impl SimulateArgs {
    /// Prints the table, and draws the curve.
    pub(crate) async fn run(&self, publisher: &Publisher) -> Result<(), Box<dyn std::error::Error>> {
        let path = &self.wave_policy.wave_policy_path;
        let start = self.release_start_time.map_or(Ok(publisher.now), |offset| offset.from(publisher.now))?;
        let waves = self.wave_policy.load(publisher)?.waves(start).context(PolicySnafu { path })?;
        let delta_bytes = match self.delta_bytes {
            None => self.delta.len(publisher).await?,
            given => given,
        };
        let curve = simulate(&waves, start, &self.fleet()?, delta_bytes).context(SimulateSnafu { path })?;

        if let Some(svg) = &self.svg {
            let svg = publisher.tree.join(svg);
            std::fs::write(&svg, curve.svg(&title(path))).context(WriteChartSnafu { path: &svg })?;
        }
        let mut stdout = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut stdout, &curve)?;
            writeln!(stdout)?;
        } else {
            write!(stdout, "{curve}")?;
        }
        Ok(())
    }

    fn fleet(&self) -> Result<Fleet, WavesError> {
        Ok(Fleet {
            hosts: self.hosts,
            check_interval_secs: seconds("--check-interval", self.check_interval)?,
            check_jitter_secs: seconds("--check-jitter", self.check_jitter)?,
            step_secs: seconds("--step", self.step)?,
            random_seed: self.random_seed,
        })
    }
}

impl DeltaArgs {
    /// What a host fetches; `None` where no versions are named.
    async fn len(&self, publisher: &Publisher) -> Result<Option<u64>, Box<dyn std::error::Error>> {
        let Self { from: Some(from), to: Some(to), variant: Some(variant), arch: Some(arch), base } = self
        else {
            return Ok(None);
        };
        let product = Product { variant: variant.clone(), arch: arch.clone() };
        let location = base.location(publisher)?;
        let existing = publisher.existing(&location, &product, ExpirationEnforcement::Safe).await?;
        let existing = existing.with_context(|| NoProductSnafu { product })?;
        let id = |version: &Version| UpdateId {
            variant: variant.clone(),
            arch: arch.clone(),
            version: version.clone(),
        };
        let bytes = delta_len(&existing, &id(from), &id(to)).await?;
        tracing::info!(%from, %to, bytes, "what a host fetches");
        Ok(Some(bytes))
    }
}

fn seconds(argument: &'static str, offset: Offset) -> Result<u64, WavesError> {
    let span = offset.span().context(NoSpanSnafu { argument, offset })?;
    Ok(span.as_secs().unsigned_abs())
}

fn title(policy: &Path) -> String {
    policy.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: SimulateArgs,
    }

    #[test]
    fn arguments_become_a_fleet() {
        let read = |line: &str| Program::try_parse_from(line.split(' ')).map(|program| program.args);
        let args = read("x --hosts 5 --check-jitter=90=minutes".replace("90=", "90 ").as_str());
        assert!(args.is_err(), "a span is one argument");
        let args = Program::try_parse_from([
            "x",
            "--hosts",
            "5",
            "--check-interval",
            "2 days",
            "--step",
            "10 minutes",
        ]);
        let fleet = args.unwrap().args.fleet().unwrap();
        assert_eq!((fleet.hosts, fleet.check_interval_secs), (5, 172_800));
        assert_eq!((fleet.check_jitter_secs, fleet.step_secs), (900, 600));
        for line in ["x --hosts 0", "x --hosts 10000001", "x --step often"] {
            assert!(read(line).is_err(), "{line}");
        }
        let time = read("x --step 2031-03-02T08:00:00Z").unwrap();
        let error = time.fleet().err().unwrap().to_string();
        assert_eq!(error, "'2031-03-02T08:00:00Z' is no span of time for --step; '1 hour' is");
    }
}
