//! Makes the simulated recordings of the demo: a person in front of a depth camera, and below a thermal
//! array.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sensorium_host_sim::scene::{Recording, ceiling, wall};

/// Write simulated recordings: depth.npz and thermal.npy, and beside each a CSV file of what happens in it.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The folder; it is made if it is missing.
    out: PathBuf,
    /// Decides about noise.
    #[arg(long, default_value_t = 4)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sensorium-scene: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    fs::create_dir_all(&args.out).with_context(|| format!("making {:?}", args.out))?;
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    write(&args.out, "depth.npz", &wall(&mut rng))?;
    write(&args.out, "thermal.npy", &ceiling(&mut rng))
}

fn write(folder: &Path, name: &str, recording: &Recording) -> anyhow::Result<()> {
    let path = folder.join(name);
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).with_context(|| format!("writing {path:?}"))
    };
    write(&path, &recording.to_bytes(name.ends_with(".npz"))?)?;
    write(&path.with_extension("csv"), recording.labels().as_bytes())?;
    let seconds = recording.frames.shape[0] as f64 / recording.rate_hz;
    eprintln!(
        "sensorium-scene: {path:?}: {seconds:.1} s at {} Hz",
        recording.rate_hz
    );
    Ok(())
}
