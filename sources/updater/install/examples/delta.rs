//! What an update costs: `cargo run --release -p install --example delta -- OLD_ROOT NEW_ROOT [NEW_ROOT_LZ4]`
//!
//! Prints how much of the new image is copied from the old one and how much is fetched, beside the full image: the
//! one named last, or else all frames. `FRAME_BLOCKS` and `LEVEL` in the environment change how it is compressed.

use install::{BlockSet, Decision, Index, decide, plan};
use seekable::{Options, compress};
use std::env;
use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use verity::{BLOCK, Salt, Tree};

#[allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints figures")]
fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(Into::into).collect();
    let [old, new, full @ ..] = &paths[..] else {
        return Err("name the old and the new image of the root file system".into());
    };
    let mut options = Options::default();
    if let Ok(blocks) = env::var("FRAME_BLOCKS") {
        options.frame_blocks = blocks.parse()?;
    }
    if let Ok(level) = env::var("LEVEL") {
        options.level = level.parse()?;
    }
    let salt = Salt::new(b"salt")?;
    let old = Index::of_tree(&Tree::build(File::open(old)?, salt.clone())?);
    let tree = Tree::build(File::open(new)?, salt)?.verified()?;
    let table = compress(File::open(new)?, std::io::sink(), &options)?;
    let full_len = match full.first() {
        Some(path) => path.metadata()?.len(),
        None => table.compressed_len(),
    };
    let plan = plan(&tree, &BlockSet::default(), &old);
    let (totals, requests) = (plan.totals(), plan.requests(&table));
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let blocks = |count: u64| mib(count * BLOCK as u64);
    let fetched: u64 = requests.iter().map(install::Request::len).sum();
    println!(
        "{:.1} MiB: {:.2} copied, {:.2} zero, {:.2} fetched in {} requests of {:.2} MiB, {:.1} % of the full {:.1} MiB",
        blocks(tree.data_blocks()),
        blocks(totals.copied),
        blocks(totals.zero),
        blocks(totals.fetched),
        requests.len(),
        mib(fetched),
        100.0 * fetched as f64 / full_len as f64,
        mib(full_len),
    );
    if let decision @ Decision::Full { .. } = decide(plan, &tree, Some(&table), full_len) {
        println!("decided: {decision}");
    }
    Ok(())
}
