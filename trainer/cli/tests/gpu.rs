//! `fit` on a GPU, or on a driver that takes a CPU for one: small, as the latter is slow.
#![cfg(all(feature = "flex", any(feature = "wgpu", feature = "cuda")))]
#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

mod small;

use std::io::Write;

use small::{RECIPE, Small, bytes};

/// Loss and held-out accuracy of each epoch.
fn epochs(small: &Small, run: &str) -> Vec<(f64, f64)> {
    let lines = String::from_utf8(bytes(&small.path(run).join("metrics.jsonl"))).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let number = |line: &serde_json::Value, name: &str| line[name].as_f64().unwrap();
    lines
        .map(|line| (number(&line, "loss"), number(&line, "held_out_accuracy")))
        .collect()
}

/// From the same weights, with nothing dropped at random, both devices go the same way.
#[test]
fn a_training_on_a_gpu_is_that_on_cpu_cores() {
    let small = Small::new();
    let recipe = RECIPE.replace("drop_path = 0.1", "drop_path = 0.0");
    std::fs::write(
        small.path("r.toml"),
        recipe.replace("dropout = 0.1", "dropout = 0.0"),
    )
    .unwrap();
    let fit = |more: &str| {
        let command = "fit @r.toml --data @ --anchor @a.safetensors --threads 1";
        small.run(&format!("{command} {more}"))
    };
    let first = fit("--device cpu --epochs 1 --out @first");
    assert!(first.status.success(), "{first:?}");
    let gpu = fit("--device gpu --epochs 6 --from @first --out @gpu");
    let errors = String::from_utf8(gpu.stderr).unwrap();
    if !gpu.status.success() && errors.contains("no device for") {
        // Past the harness, which shows what a test prints only if it fails.
        let _ = writeln!(std::io::stderr(), "a training on a GPU: skipped: {errors}");
        return;
    }
    assert!(gpu.status.success(), "{errors}");
    let cpu = fit("--device cpu --epochs 6 --from @first --out @cpu");
    assert!(cpu.status.success(), "{cpu:?}");

    let (gpu, cpu) = (epochs(&small, "gpu"), epochs(&small, "cpu"));
    assert_eq!((gpu.len(), cpu.len()), (6, 6));
    assert!(gpu[5].0 < 0.8 * gpu[0].0, "{gpu:?}");
    for (gpu, cpu) in gpu.iter().zip(&cpu) {
        assert!((gpu.0 - cpu.0).abs() < 0.01 * cpu.0, "{gpu:?} {cpu:?}");
        // One of 24 samples may be on the border of two classes.
        assert!((gpu.1 - cpu.1).abs() < 1.5 / 24.0, "{gpu:?} {cpu:?}");
    }
    let facts = |run: &str| String::from_utf8(bytes(&small.path(run).join("run.json"))).unwrap();
    assert!(!facts("gpu").contains("flex"), "{}", facts("gpu"));

    // The same with products of 16 bits: near it, and not it.
    let half = fit("--device gpu --precision f16 --epochs 6 --from @first --out @half");
    let errors = String::from_utf8(half.stderr).unwrap();
    if !half.status.success() && errors.contains("no products of such numbers") {
        let _ = writeln!(std::io::stderr(), "a training in f16: skipped: {errors}");
        return;
    }
    assert!(half.status.success(), "{errors}");
    let half = epochs(&small, "half");
    assert_eq!(half.len(), 6);
    for (half, gpu) in half.iter().zip(&gpu) {
        assert!((half.0 - gpu.0).abs() < 0.02 * gpu.0, "{half:?} {gpu:?}");
    }
    assert_ne!(half, gpu);
    assert!(
        facts("half").contains("products in f16"),
        "{}",
        facts("half")
    );
}
