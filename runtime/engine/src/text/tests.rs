use super::*;

/// A folder with a text model, named by the environment: too large to be kept with the sources.
const MODEL_VARIABLE: &str = "SENSORIUM_TEXT_MODEL";

fn tower() -> Option<TextTower> {
    let Some(dir) = std::env::var_os(MODEL_VARIABLE) else {
        println!("skipped: {MODEL_VARIABLE} names no folder with model.onnx and tokenizer.json");
        return None;
    };
    Some(TextTower::open(Path::new(&dir)).unwrap())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn unrelated_texts_are_nearly_orthogonal() {
    let Some(tower) = tower() else { return };
    let texts = [
        "a dog barks at the mailman",
        "quarterly tax returns",
        "photosynthesis in green leaves",
        "the goalkeeper saved a penalty",
        "integer arithmetic on a microcontroller",
    ];
    let rows = tower.embed(&texts).unwrap();
    let mut sum = 0.0;
    for i in 0..rows.len() {
        assert!((dot(&rows[i], &rows[i]) - 1.0).abs() < 1e-5);
        for j in 0..i {
            sum += dot(&rows[i], &rows[j]);
        }
    }
    let mean = sum / 10.0;
    assert!(mean.abs() < 0.1, "mean cosine of unrelated texts is {mean}");
    let near = tower.embed(&["a puppy is barking"]).unwrap();
    assert!(dot(&near[0], &rows[0]) > 0.5);
}

#[test]
fn a_prompt_embeds_alike_alone_and_in_company() {
    let Some(tower) = tower() else { return };
    let alone = tower.embed(&["a person walking"]).unwrap();
    let company = tower.embed(&[
        "a person jumping over a very long fence",
        "a person walking",
    ]);
    assert_eq!(alone[0], company.unwrap()[1]);
    assert_eq!(alone[0].len(), tower.dim());
    let error = tower.embed(&["a person walking", " "]).unwrap_err();
    assert_eq!(error.to_string(), "prompt 1 is empty");
}

/// The tower of the built-in pack.
fn built_in() -> TextTower {
    let bytes = include_bytes!("../../packs/sense-1.pack");
    let pack = sensorium_pack::Pack::from_bytes(bytes).unwrap();
    let tower = pack.manifest().spaces[0].tower.clone().unwrap();
    let file = |name: &str| pack.member(name).unwrap().to_vec();
    let (model, tokenizer) = (file(&tower.model), file(&tower.tokenizer.unwrap()));
    TextTower::of(("m".as_ref(), &model), ("t".as_ref(), &tokenizer)).unwrap()
}

#[test]
fn many_prompts_embed_as_they_do_alone() {
    let tower = built_in();
    assert!(tower.model.takes_several());
    let activities = ["walking", "sitting down", "a man on a very long ladder"];
    // More of one length than run together, in turn with others.
    let numbers = (0..3 * TOGETHER).map(|at| format!("{} {at}", activities[at % 3]));
    let prompts: Vec<String> = numbers.collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let (many, alone) = (tower.embed_many(&prompts), tower.embed(&prompts));
    let (many, alone) = (many.unwrap(), alone.unwrap());
    assert_eq!(many.len(), prompts.len());
    for (many, alone) in many.iter().flatten().zip(alone.iter().flatten()) {
        assert!((many - alone).abs() < 1e-5, "{many} {alone}");
    }
    let error = tower.embed_many(&["walking", " "]).unwrap_err();
    assert_eq!(error.to_string(), "prompt 1 is empty");
    assert_eq!(tower.embed_many(&[]).unwrap(), Vec::<Vec<f32>>::new());
}

#[test]
fn a_folder_without_the_files_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = TextTower::open(dir.path()).unwrap_err();
    assert!(matches!(&error, TextError::Read { path, .. } if path.ends_with("tokenizer.json")));
    assert!(error.to_string().starts_with("reading "));
}

#[test]
fn files_of_another_kind_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    std::fs::write(dir.path().join("model.onnx"), "no model").unwrap();
    let error = TextTower::open(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("tokenizer.json\" is not a tokenizer"),
        "{error}"
    );

    let tokenizer = r###"{"version": "1.0", "model": {"type": "WordPiece",
        "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[UNK]": 0}}, "padding": null, "truncation": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null}"###;
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer).unwrap();
    std::fs::remove_file(dir.path().join("model.onnx")).unwrap();
    let error = TextTower::open(dir.path()).unwrap_err();
    assert!(matches!(&error, TextError::Read { path, .. } if path.ends_with("model.onnx")));

    std::fs::write(dir.path().join("model.onnx"), b"not a model at all").unwrap();
    let error = TextTower::open(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("model.onnx\" is not a usable text model"),
        "{error}"
    );
}

#[test]
fn every_error_says_what_was_expected() {
    let input = TextError::Input {
        name: "pixels".to_owned(),
    };
    assert_eq!(
        input.to_string(),
        "the text model has an input \"pixels\", expected input_ids, attention_mask, token_type_ids \
         or position_ids"
    );
    let output = TextError::Output {
        shape: vec![1, 384],
        expected: "[1, 5, D]".to_owned(),
    };
    assert_eq!(
        output.to_string(),
        "the text model's output has shape [1, 384], expected [1, 5, D]"
    );
}
