//! What lengths of frames and levels cost: `cargo run --release -p seekable --example measure -- IMAGE`

use seekable::{Options, compress};
use std::error::Error;
use std::fs::File;
use std::num::NonZeroUsize;
use std::time::Instant;

#[allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints figures")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name an image")?;
    let len = std::fs::metadata(&path)?.len() as f64;
    println!("frame KiB  level  MiB      of image  s");
    for frame_blocks in [16, 32, 64] {
        for level in [3, 9, 12, 15, 19] {
            let options = Options { frame_blocks, level, threads: NonZeroUsize::MIN.saturating_add(1) };
            let started = Instant::now();
            let table = compress(File::open(&path)?, std::io::sink(), &options)?;
            let compressed = table.compressed_len() as f64;
            println!(
                "{:<10} {level:<6} {:<8.1} {:<9.4} {:.1}",
                frame_blocks * 4,
                compressed / 1_048_576.0,
                compressed / len,
                started.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}
