//! How much memory it takes to load one modality out of a large checkpoint.
//!
//! ```text
//! checkpoint_memory make FILE --keys TSV
//! checkpoint_memory load FILE PREFIX...
//! ```
//! `make` writes a checkpoint, of the kind that FILE's ending says (`.safetensors` or `.pth`), with
//! weights that the portable generator makes; TSV has a tensor a line: name, tab, shape as in
//! `[2, 3]`. `load` reads all tensors whose names begin with one of the prefixes, holds them, and
//! says how many bytes they have and how many the process had at its largest.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use sensorium_model::checkpoint::{Checkpoint, CheckpointWriter};
use sensorium_model::portable::fill;
use sensorium_model::weights::WeightSource;

/// Spread of the weights around nought: of the order of trained ones.
const SCALE: f64 = 0.0625;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["make", file, "--keys", keys] => make(Path::new(file), Path::new(keys)),
        ["load", file, prefixes @ ..] if !prefixes.is_empty() => load(Path::new(file), prefixes),
        _ => bail!("usage: make FILE --keys TSV, or load FILE PREFIX..."),
    }
}

fn make(file: &Path, keys: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(keys).with_context(|| format!("reading {keys:?}"))?;
    let tensors = text
        .lines()
        .map(|line| tensor(line).with_context(|| format!("not a name and a shape: {line:?}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let began = Instant::now();
    let mut writer = if file.extension().is_some_and(|ending| ending == "pth") {
        CheckpointWriter::torch(file, tensors.clone())?
    } else {
        CheckpointWriter::safetensors(file, tensors.clone(), &BTreeMap::new())?
    };
    for (name, shape) in &tensors {
        let count = shape.iter().product();
        let values: Vec<f32> = fill(0, name, 0.0, SCALE, count).collect();
        writer.write(name, &values)?;
    }
    writer.finish()?;
    let bytes = std::fs::metadata(file)?.len();
    let secs = began.elapsed().as_secs_f64();
    println!("{} tensors, {bytes} bytes, {secs:.1} s", tensors.len());
    println!("peak of the process: {} bytes", peak_bytes()?);
    Ok(())
}

fn tensor(line: &str) -> Option<(String, Vec<usize>)> {
    let mut columns = line.split('\t');
    let name = columns.next()?.to_owned();
    let shape = columns.next()?.strip_prefix('[')?.strip_suffix(']')?;
    let sizes = shape.split(',').map(str::trim);
    let sizes = sizes.filter(|size| !size.is_empty()).map(str::parse);
    Some((name, sizes.collect::<Result<_, _>>().ok()?))
}

fn load(file: &Path, prefixes: &[&str]) -> anyhow::Result<()> {
    let began = Instant::now();
    let checkpoint = Checkpoint::open(file).with_context(|| format!("opening {file:?}"))?;
    let opened_secs = began.elapsed().as_secs_f64();
    let wanted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut held = Vec::new();
    for (name, _) in checkpoint.entries().filter(|(name, _)| wanted(name)) {
        held.push(checkpoint.values(name)?);
    }
    let secs = began.elapsed().as_secs_f64();
    let weights_bytes: usize = held.iter().map(|values| 4 * values.len()).sum();
    if weights_bytes == 0 {
        bail!("no tensor begins with {prefixes:?}");
    }
    let peak_bytes = peak_bytes()?;
    println!(
        "{} of {} tensors, {weights_bytes} bytes",
        held.len(),
        checkpoint.entries().len()
    );
    println!("index {opened_secs:.3} s, all {secs:.2} s");
    let ratio = peak_bytes as f64 / weights_bytes as f64;
    println!("peak of the process: {peak_bytes} bytes, {ratio:.3} x");
    Ok(())
}

/// Most memory that this process ever had, as Linux says.
fn peak_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib.context("the system does not say")?.parse()?;
    Ok(kib << 10)
}
