//! Reads what is to be played.

use std::path::Path;

use anyhow::Context;
use sensorium_wire::ImuSample;

/// Reads a CSV file of acceleration along x, y, z in m/s² and angular rate about x, y, z in rad/s.
pub fn read(path: &Path) -> anyhow::Result<Vec<ImuSample>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the recording {}", path.display()))?;
    let rows = text.lines().enumerate();
    rows.map(|(at, line)| row(line).with_context(|| format!("{}, line {}", path.display(), at + 1)))
        .collect()
}

fn row(line: &str) -> anyhow::Result<ImuSample> {
    let values: Result<Vec<f32>, _> = line.split(',').map(|value| value.trim().parse()).collect();
    let &[ax, ay, az, gx, gy, gz] = &values.context("not a number")?[..] else {
        anyhow::bail!("not six columns");
    };
    Ok(ImuSample {
        accel_mps2: [ax, ay, az],
        gyro_radps: [gx, gy, gz],
    })
}
