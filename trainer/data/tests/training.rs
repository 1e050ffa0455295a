//! What a training does with sets: opens them as a recipe says, divides and joins them, and draws
//! batches from them, some samples of which are broken.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::path::Path;

use rand::Rng;
use sensorium_data::augment::View;
use sensorium_data::{
    Augmentations, BatchError, Broken, DataSet, Draw, Epoch, Modality, Pairing, Raw, Sampler,
    SetConfig, Tally, batch,
};

/// Digits that are spoken by four people, 100 of each, and pictures of them.
const RECIPE: &str = r#"
    [[data]]
    name = "spoken"
    kind = "pairs"
    dir = "spoken"
    index = "labels.csv"
    columns.group = "speaker"
    split = { by = "group", held_out = ["3"] }
    repeat = 2
    form.audio.rate_hz = 8000

    [[data]]
    name = "seen"
    kind = "idx"
    dir = "seen"
    images = "images"
    labels = "labels"
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    split = { by = "share", held_out = 0.2 }
"#;

const DIGITS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

#[derive(serde::Deserialize)]
struct Recipe {
    data: Vec<SetConfig>,
}

fn wav(level: i16) -> Vec<u8> {
    let data = level.to_le_bytes().repeat(80);
    let mut bytes = b"RIFF\xc4\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend(8_000u32.to_le_bytes());
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data\xa0\0\0\0");
    bytes.extend(data);
    bytes
}

fn idx(shape: &[u32], values: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|len| len.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Sound `i` has the level `i`, picture `i` the grey `i % 10`; every `broken`th sound is missing.
fn write(dir: &Path, broken: usize) {
    let (spoken, seen) = (dir.join("spoken"), dir.join("seen"));
    std::fs::create_dir_all(&spoken).unwrap();
    std::fs::create_dir_all(&seen).unwrap();
    let mut labels = "audio,label,speaker\n".to_owned();
    for i in 0..400 {
        labels.push_str(&format!("{i:03}.wav,{},{}\n", DIGITS[i % 10], i / 100));
        if i % broken != 0 {
            std::fs::write(spoken.join(format!("{i:03}.wav")), wav(i as i16)).unwrap();
        }
    }
    std::fs::write(spoken.join("labels.csv"), labels).unwrap();
    let digits = || (0..200).map(|i| i % 10);
    let grey = digits().flat_map(|digit| [digit; 4]).collect();
    std::fs::write(seen.join("images"), idx(&[200, 2, 2], grey)).unwrap();
    std::fs::write(seen.join("labels"), idx(&[200], digits().collect())).unwrap();
}

type Sets = (Vec<SetConfig>, Vec<Box<dyn DataSet>>);

fn open(dir: &Path) -> Sets {
    let recipe: Recipe = toml::from_str(RECIPE).unwrap();
    let sets = recipe
        .data
        .iter()
        .map(|set| set.open(dir).unwrap())
        .collect();
    (recipe.data, sets)
}

/// What one step draws: the sound, and the digit of the picture that was found for it.
type Step = Vec<(Vec<f32>, u8)>;

fn train(dir: &Path, threads: usize) -> Result<(Vec<Step>, Broken), BatchError> {
    let (configs, sets) = open(dir);
    let splits: Vec<_> = configs
        .iter()
        .zip(&sets)
        .map(|(config, set)| config.split.as_ref().unwrap().apply(set.entries()).unwrap())
        .collect();
    let (spoken, seen) = (&sets[0], &sets[1]);
    let pairing = Pairing::by_label(
        (spoken.entries(), &splits[0].training),
        (seen.entries(), &splits[1].training),
    )
    .unwrap();
    let digit = |entry: usize| {
        let label = spoken.entries()[entry].label.as_deref();
        DIGITS
            .iter()
            .position(|digit| Some(*digit) == label)
            .unwrap()
    };
    let items: Vec<usize> = pairing.first().collect();
    let classes: Vec<usize> = items.iter().map(|&entry| digit(entry)).collect();
    let sampler = Sampler::new(items, &classes, 0.5);
    let augmenters = toml::from_str::<Augmentations>("audio = { gain_db = 3, speed = 0.1 }");
    let audio = augmenters.unwrap().check().unwrap().audio;
    let tally = Tally::new(spoken.entries().len());
    let step = |step| {
        batch(32, 7, step, &tally, |_, random| {
            let entry = sampler.draw(random);
            let partner = pairing.draw(entry, random).unwrap();
            let Raw::Sound { samples, rate_hz } = spoken.load(entry, Modality::Audio)? else {
                panic!("no sound")
            };
            let Raw::Image(image) = seen.load(partner, Modality::Image)? else {
                panic!("no picture")
            };
            let [grey, ..] = View::WHOLE.image(&image).pixels()[0];
            assert_eq!(
                usize::from(grey),
                digit(entry),
                "a picture of the same digit"
            );
            assert!(entry < 300, "the fourth speaker is held out");
            Ok((audio.apply(&samples, rate_hz, random), grey))
        })
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let steps = pool.install(|| (0..30).map(step).collect::<Result<_, _>>())?;
    Ok((steps, tally.broken()))
}

#[test]
fn a_training_is_the_same_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 150);
    let (alone, broken) = train(dir.path(), 1).unwrap();
    assert_eq!(
        (alone.clone(), broken.clone()),
        train(dir.path(), 4).unwrap()
    );
    assert!(alone.iter().all(|step| step.len() == 32));
    // Of the three that are missing, two are not held out.
    assert_eq!(broken.broken, 2);
    assert!(broken.named[0].starts_with("spoken: audio of \"000.wav\": reading \""));
}

#[test]
fn a_training_on_a_broken_set_stops_with_the_list() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 3);
    let error = train(dir.path(), 2).unwrap_err().to_string();
    let mut lines = error.lines();
    let head = lines.next().unwrap();
    assert!(
        head.ends_with(" of 400 samples are broken, expected at most 1 in 100"),
        "{error}"
    );
    assert!(
        lines.all(|line| line.contains(".wav") || line.ends_with(" more")),
        "{error}"
    );
}

#[test]
fn an_epoch_repeats_each_set_as_the_recipe_says() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1000);
    let (configs, sets) = open(dir.path());
    let sizes: Vec<(usize, u32)> = configs
        .iter()
        .zip(&sets)
        .map(|(config, set)| (set.entries().len(), config.repeat.get()))
        .collect();
    let epoch = Epoch::new(&sizes, 1, 0);
    assert_eq!(epoch.len(), 2 * 400 + 200);
    let mut draws: Vec<Draw> = (0..epoch.len()).filter_map(|at| epoch.get(at)).collect();
    draws.sort_unstable();
    draws.dedup();
    assert_eq!(draws.len(), 600);
}

/// A batch that is made again after a break has the same numbers, whatever was drawn before.
#[test]
fn a_step_does_not_depend_on_the_steps_before() {
    let tally = Tally::new(1);
    let step = |step| batch(4, 1, step, &tally, |_, random| Ok(random.random::<u64>())).unwrap();
    let (first, second) = (step(0), step(1));
    assert_eq!((step(1), step(0)), (second, first));
}
