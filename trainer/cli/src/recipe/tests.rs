use super::*;
use crate::anchor::Anchor;

const HAPT: &str = include_str!("../../../recipes/imu-hapt.toml");

fn message(text: &str) -> String {
    let path = Path::new("r.toml");
    Recipe::parse(text, path).unwrap_err().to_string()
}

fn line_of(part: &str) -> usize {
    1 + HAPT.lines().position(|line| line.contains(part)).unwrap()
}

#[test]
fn the_recipe_that_is_shipped_is_one() {
    let recipe = Recipe::parse(HAPT, Path::new("r.toml")).unwrap();
    assert_eq!(recipe.classes.len(), 12);
    assert_eq!(recipe.class_of("12"), recipe.class_named("lie to stand"));
    assert_eq!(recipe.class_of("0"), None);
    assert_eq!(recipe.encoder.input_shape(), [6, 128]);
    assert_eq!(recipe.modality(), Modality::Imu);
    assert!((0..12).all(|class| recipe.is_seen(class)));
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    let text = HAPT.replace("clip_norm", "clip_nrom");
    let expected = format!(
        "\"r.toml\", line {}: unknown key \"clip_nrom\", did you mean \"clip_norm\"?",
        line_of("clip_norm")
    );
    assert_eq!(message(&text), expected);
    let text = format!("zzz = 1\n{HAPT}");
    let expected = "\"r.toml\", line 1: unknown key \"zzz\", expected one of name, ";
    assert!(message(&text).starts_with(expected));
}

#[test]
fn a_value_that_does_not_fit_is_named() {
    for (from, to, expected) in [
        (
            "heads = 4",
            "heads = 5",
            "encoder.heads is 5, expected a divisor of dim, 128",
        ),
        (
            "gain = 0.1",
            "gain = 1.5",
            "augmentation.imu.gain is 1.5, expected at least 0 and below 1",
        ),
        (
            "samples = 128 }",
            "samples = 64 }",
            "the front end gives [6, 128], expected [6, 64], what the encoder takes",
        ),
        (
            "temperature = 0.07",
            "temperature = 0",
            "binding.temperature is 0, expected a number above 0",
        ),
        (
            "to = \"words\"\ntemperature = 0.07\nlabel_smoothing = 0.1",
            "to = \"images\"",
            "either binding.temperature or encoder.scale has to be there, not both",
        ),
        (
            "label_smoothing = 0.1",
            "label_smoothing = 0.1\nconse = { temperature = 0.07, weight = 0.5 }",
            "binding.conse is for encoders of the form conv",
        ),
        (
            "batch = 64",
            "batch = 64\nchunk = 65",
            "training.chunk is 65, expected 1 to training.batch, 64",
        ),
        (
            "[split]",
            "[pairing]\npictures = \"mnist\"\n[split]",
            "pairing.pictures: there is no data set \"mnist\"",
        ),
        (
            "epochs = 20",
            "epochs = 0",
            "training.epochs is 0, expected at least 1",
        ),
        (
            "clip_norm = 1.0",
            "clip_norm = nan",
            "training.clip_norm is NaN, expected a number above 0",
        ),
        (
            "beta_2 = 0.95",
            "beta_2 = 9.5",
            "training.beta_2 is 9.5, expected 0 to 1",
        ),
        (
            "exit = 0.35",
            "exit = 0.6",
            "scoring.exit is 0.6, expected at most scoring.enter, 0.5",
        ),
        (
            "labels = [\"2\"]",
            "labels = [\"1\"]",
            "label \"1\" belongs to two classes",
        ),
        (
            "name = \"sitting\"",
            "name = \"walking\"",
            "class \"walking\" is there twice",
        ),
        (
            "classes = [\"walking\"",
            "classes = [\"walkin\"",
            "there is no class \"walkin\", did you mean \"walking\"?",
        ),
        (
            "prompts = [\"a person sitting\"]",
            "prompts = [\" \"]",
            "class \"sitting\" has no or an empty prompt",
        ),
    ] {
        assert!(HAPT.contains(from), "{from}");
        assert_eq!(
            message(&HAPT.replace(from, to)),
            format!("\"r.toml\": {expected}")
        );
    }
}

/// A training fails on a phrase that its file of words does not have.
#[test]
fn the_words_beside_the_recipes_are_all_that_they_bind_to() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    for (words, recipes) in [
        ("imu-hapt.anchor.safetensors", &["imu-hapt.toml"][..]),
        (
            "digits/words.safetensors",
            &["digits/picture.toml", "digits/sound.toml"],
        ),
        (
            "sense-1/words.safetensors",
            &[
                "depth-to-imu/imu.toml",
                "sense-1/depth-clip.toml",
                "sense-1/depth.toml",
                "sense-1/imu.toml",
                "sense-1/imu-node.toml",
                "sense-1/sound.toml",
                "sense-1/sound-instruments.toml",
                "sense-1/thermal-clip.toml",
                "sense-1/thermal.toml",
            ],
        ),
    ] {
        let anchor = Anchor::open(&folder.join(words)).unwrap();
        for recipe in recipes {
            let recipe = Recipe::open(&folder.join(recipe)).unwrap();
            let bound = anchor.classes(&recipe).and(anchor.background(&recipe));
            assert!(bound.is_ok(), "{} of {words}: {bound:?}", recipe.name);
        }
    }
}

#[test]
fn only_classes_that_exist_can_be_left_out() {
    let path = Path::new("r.toml");
    let mut recipe = Recipe::parse(HAPT, path).unwrap();
    let mut leave = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        recipe.leave_out(&names, path)?;
        Ok::<_, RecipeError>((0..12).filter(|&class| recipe.is_seen(class)).count())
    };
    assert_eq!(leave(&["walking downstairs", "lie to stand"]).unwrap(), 10);
    assert_eq!(
        leave(&["lie to stnad"]).unwrap_err().to_string(),
        "\"r.toml\": there is no class \"lie to stnad\", did you mean \"lie to stand\"?"
    );
}

#[test]
fn what_is_no_recipe_is_refused_with_its_line() {
    assert!(message("name = ").starts_with("\"r.toml\", line 1: "));
    let text = HAPT.replace("batch = 64", "batch = \"many\"");
    assert!(message(&text).starts_with(&format!(
        "\"r.toml\", line {}: invalid type",
        line_of("batch = 64")
    )));
    let missing = Recipe::open(Path::new("/nonexistent/r")).unwrap_err();
    assert_eq!(missing.to_string(), "reading \"/nonexistent/r\"");
}
