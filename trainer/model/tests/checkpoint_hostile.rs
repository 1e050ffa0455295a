//! Checkpoints with flipped bits: whatever they claim, reading them neither panics nor takes much
//! memory. A process of its own, so that the memory of other tests is not counted.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::collections::BTreeMap;
use std::io::Cursor;

use sensorium_model::checkpoint::{Checkpoint, CheckpointWriter};
use sensorium_model::portable::fill;
use sensorium_model::weights::WeightSource;

/// Files of each kind that are tried.
const TRIES: usize = 20_000;

/// Most memory that may be reserved meanwhile, in KiB. The files have a few KiB.
const MAX_GROWTH_KIB: u64 = 64 << 10;

fn read_all(bytes: &[u8]) -> usize {
    let Ok(checkpoint) = Checkpoint::from_reader(Cursor::new(bytes)) else {
        return 0;
    };
    let names: Vec<&str> = checkpoint.entries().map(|(name, _)| name).collect();
    for name in names {
        _ = checkpoint.values(name);
        _ = checkpoint.doubles(name);
        _ = checkpoint.integers(name);
    }
    1
}

/// Most virtual memory that this process ever had; none where the system does not say.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn small_safetensors() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    let tensors = vec![
        ("weight".to_owned(), vec![4, 3]),
        ("bias".to_owned(), vec![4]),
    ];
    let metadata = BTreeMap::from([("config".to_owned(), "{}".to_owned())]);
    let mut writer = CheckpointWriter::safetensors(&path, tensors, &metadata).unwrap();
    writer.write("weight", &[0.5; 12]).unwrap();
    writer.write("bias", &[0.5; 4]).unwrap();
    writer.finish().unwrap();
    std::fs::read(&path).unwrap()
}

#[test]
fn flipped_bits_do_no_harm() {
    let golden = include_bytes!("../src/checkpoint/golden.pth").to_vec();
    let before = peak_kib();
    for file in [small_safetensors(), golden] {
        // Uniform over 0 .. 2, as positions in the file and as what happens there.
        let mut noise = fill(1, "flips", 1.0, 1.0, usize::MAX);
        let mut below = |limit: usize| {
            let uniform = noise.next().unwrap();
            ((uniform / 2.0 * limit as f32) as usize).min(limit - 1)
        };
        let mut readable = 0;
        for _ in 0..TRIES {
            let mut broken = file.clone();
            for _ in 0..=below(3) {
                let at = below(broken.len());
                broken[at] ^= match below(3) {
                    0 => 1 << below(8),
                    1 => 0xff,
                    _ => below(256) as u8,
                };
            }
            readable += read_all(&broken);
        }
        // Both outcomes were seen: damage to numbers does not show, damage to the index does.
        assert!(readable > 0 && readable < TRIES, "{readable}");
    }
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < MAX_GROWTH_KIB, "{} KiB", after - before);
    }
}
