//! The program from data to pack, on a set small enough to train in seconds.

mod small;

use sensorium_model::weights::Weights;
use sensorium_pack::Pack;
use small::{RECIPE, Small, bytes};

/// Trains into the folder `run`.
fn fit(small: &Small, run: &str, more: &str) {
    small.ok(&format!(
        "fit @r.toml --data @ --anchor @a.safetensors --threads 1 --out @{run} {more}"
    ));
}

#[test]
fn a_training_becomes_a_pack_that_verifies() {
    let small = Small::new();
    fit(&small, "run", "--epochs 12 --seed 3");
    let metrics = String::from_utf8(bytes(&small.path("run/metrics.jsonl"))).unwrap();
    assert_eq!(metrics.lines().count(), 12);

    let report: serde_json::Value =
        serde_json::from_str(&small.ok("eval @run --data @ --json")).unwrap();
    assert_eq!(report["samples"], 24);
    assert_eq!(report["held_out"][0]["group"], "4");
    let accuracy = report["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.6, "{accuracy} of three easy classes");
    let tables = small.ok("eval @run --data @");
    assert!(tables.contains("\n4: ") && tables.contains("moving: "));

    let parity = small.ok("export @run --out @e.onnx");
    assert!(
        parity.contains("differs from the checkpoint by")
            && parity.contains("cosine to the float weights' embeddings at least 0.99"),
        "{parity}"
    );
    let floats = small.ok("export @run --out @float.onnx --quantize none");
    assert!(!floats.contains("cosine"), "{floats}");
    let len = |file: &str| bytes(&small.path(file)).len();
    assert!(len("e.onnx") < len("float.onnx"));
    small.ok("pack @run --out @p.pack");
    small.ok("pack @run --out @again.pack");
    let pack_bytes = bytes(&small.path("p.pack"));
    assert_eq!(pack_bytes, bytes(&small.path("again.pack")));
    let folder = small.path("").to_string_lossy().into_owned();
    let holds = |text: &str| pack_bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(
        holds("seed 3") && !holds(&folder),
        "no path of this machine"
    );

    let pack = Pack::from_bytes(&pack_bytes).unwrap();
    let manifest = pack.manifest();
    assert_eq!(
        (manifest.name.as_str(), manifest.spaces[0].dim),
        ("small", 8)
    );
    let encoder = &manifest.encoders[0];
    assert_eq!(
        pack.member(&encoder.model).unwrap(),
        bytes(&small.path("e.onnx"))
    );
    let provenance = &manifest.provenance[0];
    assert!(provenance.binding.contains("Language-anchored"));
    assert_eq!(
        provenance.command,
        "sensorium-train fit r.toml --seed 3 --epochs 12"
    );
    assert_eq!(provenance.metrics["held-out top-1"], accuracy);
    let cosine = provenance
        .metrics
        .iter()
        .find(|(name, _)| name.contains("int8"));
    assert!((0.999..1.001).contains(cosine.unwrap().1), "{cosine:?}");
    let classes = std::str::from_utf8(pack.member(&manifest.classes).unwrap()).unwrap();
    let classes: toml::Table = classes.parse().unwrap();
    let first = &classes["class"].as_array().unwrap()[0];
    assert_eq!(first["name"].as_str(), Some("slow"));
    assert_eq!(first["modalities"][0].as_str(), Some("imu"));
    assert_eq!(
        classes["background"]["prompts"][0].as_str(),
        Some("something else")
    );
}

#[test]
fn weights_as_integers_are_measured_beside_floats() {
    let small = Small::new();
    fit(&small, "run", "--epochs 12 --seed 3");
    let text = small.ok("eval @run --data @ --quantize int8");
    let line = text
        .lines()
        .find(|line| line.starts_with("top-1 "))
        .unwrap();
    let numbers: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    let [float, int8, points] = numbers[..] else {
        panic!("{line}")
    };
    assert!((100.0 * (int8 - float) - points).abs() < 0.011, "{line}");
    assert!(points.abs() < 10.0, "{line}: two of 24 samples at most");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("int8 is off by at most "), "{last}");
    let json = small.ok("eval @run --data @ --quantize int8 --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["samples"], 24);
    assert!(json["int8"]["numbers"].as_array().unwrap().len() > 8);
    // A pack's numbers are those of the weights in it.
    let measured = String::from_utf8(bytes(&small.path("run/eval-int8.json"))).unwrap();
    let measured: serde_json::Value = serde_json::from_str(&measured).unwrap();
    small.ok("pack @run --out @p.pack");
    let pack = Pack::from_bytes(&bytes(&small.path("p.pack"))).unwrap();
    let metrics = &pack.manifest().provenance[0].metrics;
    assert_eq!(
        metrics["held-out top-1"],
        measured["accuracy"].as_f64().unwrap()
    );
    // And `report` makes a page of either.
    small.ok("report @run @run/held_out-int8.safetensors --out @r.html");
    fit(&small, "run", "--epochs 1 --seed 4");
    assert!(
        !small.path("run/eval-int8.json").exists(),
        "it was of another training"
    );
}

#[test]
fn a_training_goes_on_from_the_weights_of_another() {
    let small = Small::new();
    fit(&small, "first", "--epochs 8");
    fit(&small, "second", "--epochs 1 --from @first");
    let loss = |run: &str, epoch: usize| {
        let lines = String::from_utf8(bytes(&small.path(run).join("metrics.jsonl"))).unwrap();
        let line: serde_json::Value =
            serde_json::from_str(lines.lines().nth(epoch).unwrap()).unwrap();
        line["loss"].as_f64().unwrap()
    };
    assert!(loss("second", 0) < 0.8 * loss("first", 0));
    let facts = String::from_utf8(bytes(&small.path("second/run.json"))).unwrap();
    assert!(
        facts.contains("--from first") && facts.contains("\"from\": \""),
        "{facts}"
    );
    let command = "fit @r.toml --data @ --anchor @a.safetensors --out @x";
    assert!(
        small
            .error(&format!("{command} --from @"))
            .contains("it has no run.json")
    );
    std::fs::write(small.path("r.toml"), RECIPE.replace("dim = 16", "dim = 8")).unwrap();
    let error = small.error(&format!("{command} --from @first"));
    assert!(error.contains("is another encoder"), "{error}");
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
#[test]
fn a_device_that_the_program_was_not_built_for_is_refused() {
    let small = Small::new();
    let command = "fit @r.toml --data @ --anchor @a.safetensors --out @x --device gpu";
    assert!(small.error(command).contains("built without a GPU backend"));
}

#[test]
fn a_seed_gives_the_same_weights() {
    let small = Small::new();
    for (run, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        fit(&small, run, &format!("--seed {seed}"));
    }
    let weights = |run: &str| bytes(&small.path(run).join("checkpoint.safetensors"));
    assert_eq!(weights("a"), weights("b"));
    assert_ne!(weights("a"), weights("c"));
    let checkpoint = Weights::from_bytes(&weights("a")).unwrap();
    assert!(
        checkpoint
            .get("modality_trunks.imu.blocks.1.attn.in_proj_weight")
            .is_some()
    );
}

#[test]
fn a_class_left_out_is_reported_as_unseen_and_a_fold_is_kept_apart() {
    let small = Small::new();
    fit(&small, "run", "--unseen middling --fold 1/3");
    let report: serde_json::Value =
        serde_json::from_str(&small.ok("eval @run --data @ --json")).unwrap();
    assert_eq!(
        report["held_out"][0]["group"], "2",
        "the second of people 1 to 3"
    );
    assert_eq!(report["groups"][1]["name"], "unseen");
    assert_eq!(report["groups"][1]["samples"], 8);
    let facts = String::from_utf8(bytes(&small.path("run/run.json"))).unwrap();
    assert!(facts.contains("\"training_samples\": 32"), "{facts}");
    assert!(
        small
            .error("fit @r.toml --data @ --anchor @a.safetensors --out @x --unseen fsat")
            .contains("did you mean \"fast\"?")
    );
}

#[test]
fn what_was_held_out_is_learned_from_once_it_is_measured() {
    let small = Small::new();
    fit(&small, "run", "--epochs 2");
    let all = "fit @r.toml --data @ --anchor @a.safetensors --out @all --measured-by @run";
    assert!(small.error(all).contains("run `eval` first"));
    small.ok("eval @run --data @ --quantize int8");
    fit(&small, "all", "--epochs 2 --measured-by @run");
    let read = |file: &str| String::from_utf8(bytes(&small.path(file))).unwrap();
    let facts = read("all/run.json");
    let samples = [read("run/run.json"), facts.clone()].map(|facts| {
        let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
        let count = |key: &str| facts[key].as_u64().unwrap();
        (count("training_samples"), count("held_out_samples"))
    });
    assert_eq!(samples, [(72, 24), (96, 0)], "{facts}");
    assert_eq!(read("all/eval.json"), read("run/eval.json"));
    assert_eq!(read("all/eval-int8.json"), read("run/eval-int8.json"));
    assert!(read("all/metrics.jsonl").contains("\"held_out_accuracy\":null"));
    let weights = |run: &str| bytes(&small.path(&format!("{run}/checkpoint.safetensors")));
    assert!(weights("all") != weights("run"));
    assert!(
        small.error("eval @all --data @").contains(
            "all\" learned from all there is; its figures are those of the training that"
        )
    );
    assert!(
        small
            .error(&all.replace("@all --measured-by @run", "@x --measured-by @all"))
            .contains("it held nothing out")
    );
    small.ok("pack @all --out @p.pack");
    let pack = Pack::from_bytes(&bytes(&small.path("p.pack"))).unwrap();
    let split = &pack.manifest().provenance[0].split;
    assert_eq!(
        split,
        "nothing held out, 4 groups trained on (96 samples); the figures are of a training by the same recipe \
         with 1 groups [\"4\"] held out (24 samples), 3 others trained on (72 samples)"
    );
    std::fs::write(
        small.path("r.toml"),
        RECIPE.replace("epochs", "# more\nepochs"),
    )
    .unwrap();
    assert!(small.error(all).contains("it is of another recipe"));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let small = Small::new();
    let command = "fit @r.toml --data @ --anchor @a.safetensors --out @run";
    let write = |text: &str| std::fs::write(small.path("r.toml"), text).unwrap();

    write(&RECIPE.replace("clip_norm", "clipnorm"));
    assert!(
        small
            .error(command)
            .contains("unknown key \"clipnorm\", did you mean \"clip_norm\"?")
    );
    write(&RECIPE.replace("w.npy", "gone.npy"));
    let gone = small.error(command);
    assert!(gone.contains("data set \"made up for a test\": "), "{gone}");
    assert!(
        gone.contains("gone.npy") && gone.contains("No such file"),
        "{gone}"
    );
    write(&RECIPE.replace("\"4\"", "\"5\""));
    assert!(
        small
            .error(command)
            .contains("split: group \"5\" is to be held or left out, but the set has no such")
    );
    write(&RECIPE.replace("a fast thing", "a swift thing"));
    assert!(
        small
            .error(command)
            .contains("the anchor has no phrase \"a swift thing\"")
    );
    write(&RECIPE.replace("output = 8", "output = 9"));
    assert!(
        small
            .error(command)
            .contains("the anchor has 8 numbers a phrase, expected")
    );
    assert!(
        small
            .error("eval @run --data @")
            .contains("is not the folder of a training")
    );

    write(&RECIPE.replace("learning_rate = 5e-3", "learning_rate = 1e30"));
    let output = small.run(&format!("{command} --epochs 9"));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    let last = errors.lines().last().unwrap();
    assert!(last.contains("the loss became NaN in epoch "), "{last}");
    assert!(last.contains(", batch "), "{last}");

    write(RECIPE);
    fit(&small, "run", "--epochs 1");
    assert!(
        small
            .error("pack @run --out @p")
            .contains("run `eval` first")
    );
    std::fs::write(small.path("run/checkpoint.safetensors"), b"cut").unwrap();
    assert!(
        small
            .error("export @run --out @e")
            .contains("reading the checkpoint")
    );
}

/// A training that is killed over and over ends in the same weights as one that never was, and so
/// does one that is told to stop.
#[cfg(unix)]
#[test]
fn an_interrupted_training_goes_on_as_if_never_interrupted() {
    use std::time::Duration;
    let small = Small::new();
    let arguments = |run: &str| {
        format!("fit @r.toml --data @ --anchor @a.safetensors --threads 1 --epochs 40 --out @{run}")
    };
    small.ok(&arguments("whole"));
    let weights = |run: &str| bytes(&small.path(run).join("checkpoint.safetensors"));
    let lines = |run: &str| {
        let text = String::from_utf8(bytes(&small.path(run).join("metrics.jsonl"))).unwrap();
        let without_time = |line: &str| line.split(",\"seconds\"").next().unwrap().to_owned();
        text.lines().map(without_time).collect::<Vec<_>>()
    };

    for (run, signal) in [("killed", "KILL"), ("stopped", "INT")] {
        let mut interrupted = 0;
        for attempt in 0..200u64 {
            let mut child = small
                .command(&arguments(run))
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(20 + attempt * 17 % 90));
            // A process that has ended by itself is past all signals.
            let id = child.id().to_string();
            let sent = std::process::Command::new("kill")
                .args(["-s", signal, &id])
                .status();
            assert!(sent.is_ok());
            let status = child.wait().unwrap();
            match (status.success(), interrupted) {
                (false, _) => interrupted += 1,
                // Sooner done than the signal was sent, on a busy machine: once more.
                (true, 0) => std::fs::remove_dir_all(small.path(run)).unwrap(),
                (true, _) => break,
            }
        }
        small.ok(&arguments(run));
        assert!(interrupted > 0, "{run} was never interrupted");
        assert!(
            weights(run) == weights("whole"),
            "{run} {interrupted} times"
        );
        assert_eq!(lines(run), lines("whole"));
    }

    // A finished training is left as it is; another one begins anew.
    small.ok(&arguments("whole"));
    assert_eq!(lines("whole").len(), 40);
    small.ok(&format!("{} --seed 9", arguments("stopped")));
    assert!(weights("stopped") != weights("whole"), "another seed");
    std::fs::write(small.path("whole/state.bin"), b"cut").unwrap();
    let output = small.run(&arguments("whole"));
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    let expected = "state.bin\": it is cut off; remove it to train anew\n";
    assert!(errors.ends_with(expected), "{errors}");
    small.ok(&format!("{} --restart", arguments("whole")));
    assert!(weights("whole") == weights("killed"), "begun anew");
}

/// Killed at any moment, a training leaves a checkpoint that is whole, or none.
#[cfg(unix)]
#[test]
fn a_killed_training_leaves_a_whole_checkpoint() {
    use std::time::Duration;
    let small = Small::new();
    let path = small.path("run/checkpoint.safetensors");
    let mut found = 0;
    for pause in [1, 7, 13, 29, 51] {
        let mut child = small
            .command("fit @r.toml --data @ --anchor @a.safetensors --out @run --epochs 100000")
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..3000 {
            if path.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        if path.exists() {
            Weights::read(&path).unwrap();
            found += 1;
        }
    }
    assert!(found > 0, "no training came as far as an epoch");
}

#[test]
fn trainings_of_other_seeds_become_one_encoder() {
    let small = Small::new();
    let (before, rest) = RECIPE.split_once("[encoder]").unwrap();
    let (_, after) = rest.split_once("\n[text]").unwrap();
    let encoder = r#"[encoder]
        form = "conv"
        sense = "imu"
        input = [6, 32]
        output = 8
        layers = [
            { kind = "conv", channels = 4, kernel = [1, 5], stride = [1, 2] },
            { kind = "conv", channels = 6, kernel = [1, 3] },
            { kind = "pool", by = "mean" },
        ]"#;
    let text = format!("{before}{encoder}\n[text]{after}");
    std::fs::write(small.path("r.toml"), &text).unwrap();
    for seed in 0..3 {
        fit(
            &small,
            &format!("run{seed}"),
            &format!("--epochs 4 --seed {seed}"),
        );
    }
    let said = small.ok("mean @run0 @run1 @run2 --out @all");
    assert!(
        said.starts_with("3 trainings, seeds [0, 1, 2], in"),
        "{said}"
    );
    small.ok("eval @all --data @");
    let parity = small.ok("export @all --out @all.onnx");
    assert!(
        parity.contains("differs from the checkpoint by"),
        "{parity}"
    );
    small.ok("pack @all --out @p.pack");
    let pack = Pack::from_bytes(&bytes(&small.path("p.pack"))).unwrap();
    let command = &pack.manifest().provenance[0].command;
    assert!(
        command.contains("--seed 0")
            && command.ends_with("--seed 2 --epochs 4; sensorium-train mean"),
        "{command}"
    );

    let error = |command: &str| small.error(command);
    for out in ["@run1", "@run0/../run1"] {
        let over = error(&format!("mean @run0 @run1 --out {out}"));
        assert!(over.contains("run1\" would be written over"), "{over}");
    }
    assert!(error("mean @run0 @run0 --out @x").contains("seed 0 is there twice"));
    fit(&small, "longer", "--epochs 5 --seed 7");
    assert!(error("mean @run0 @longer --out @x").contains("in more than its seed"));
    std::fs::write(
        small.path("r.toml"),
        text.replace("channels = 6", "channels = 7"),
    )
    .unwrap();
    fit(&small, "wider", "--epochs 4 --seed 8");
    assert!(error("mean @run0 @wider --out @x").contains("has another recipe.toml than"));
    std::fs::write(small.path("r.toml"), RECIPE).unwrap();
    fit(&small, "transformer", "--epochs 4 --seed 9");
    assert!(error("mean @run0 @transformer --out @x").contains("is a transformer, expected"));
    assert!(!small.path("x").exists());
}
