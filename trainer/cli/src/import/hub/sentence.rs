//! Sentence encoders: what the modules after the transformer do.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use sensorium_model::checkpoint::Checkpoint;
use sensorium_model::weights::WeightSource;
use sensorium_pack::npy::Array;
use sensorium_pack::{Activation, Pooling, WordsSpec};
use serde::Deserialize;
use serde_json::Value;

use super::folder::Folder;
use super::keys::{Keys, read_json};
use super::text::{Fill, TextPart};

/// Dense layers: weight `[outputs, inputs]`, bias `[outputs]`, and what is done to the sum.
pub type Layers = Vec<(Array, Option<Array>, Activation)>;

/// Outputs with a vector a token, and with one of all.
const TOKENS: [&str; 2] = ["last_hidden_state", "token_embeddings"];
const SENTENCE: &str = "sentence_embedding";

/// Files that may hold the settings of the transformer, as its kinds name them.
const SETTINGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Models with a learned vector for each place, and for no more.
const ABSOLUTE: [&str; 8] = [
    "albert",
    "bert",
    "camembert",
    "distilbert",
    "electra",
    "mpnet",
    "roberta",
    "xlm-roberta",
];

/// An entry of `modules.json`.
#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Module {
    /// The last part of its type.
    fn kind(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }
}

/// Whether a folder is one of a sentence encoder.
pub fn is_sentence(folder: &Folder) -> bool {
    folder.path("modules.json").is_file()
}

/// The text tower of a sentence encoder; `pooling` is that of folders that say none.
///
/// # Errors
///
/// A module, or a key of one, that is not understood.
pub fn text(folder: &Folder, pooling: Option<Pooling>) -> anyhow::Result<TextPart> {
    let mut words = WordsSpec {
        tokens: usize::MAX,
        ..WordsSpec::default()
    };
    let mut projection = Vec::new();
    words.prefix = prefix(folder)?;
    if is_sentence(folder) {
        (words.pooling, projection) = modules(folder, !words.prefix.is_empty())?;
    } else {
        let pooling = pooling.with_context(|| {
            format!("{:?} has no modules.json, which says how tokens become one vector; say it by --pooling", folder.dir)
        })?;
        words.pooling = pooling;
    }
    let mut settings = SETTINGS.iter().map(|file| folder.path(file));
    let mut longest = None;
    if let Some(path) = settings.find(|path| path.is_file()) {
        let mut keys = Keys::open(&path)?;
        longest = keys.take::<usize>("max_seq_length")?;
        words.lowercase = keys.take("do_lower_case")?.unwrap_or(false);
        keys.only("transformer_task", "feature-extraction")?;
        keys.only("method", "forward")?;
        keys.only("method_output_name", "last_hidden_state")?;
        keys.only("module_output_name", "token_embeddings")?;
        // As the library writes it since version 5.4: what texts become; other senses are none of them.
        if let Some(mut senses) = keys.within("modality_config")? {
            if let Some(mut text) = senses.within("text")? {
                text.only("method", "forward")?;
                text.only("method_output_name", "last_hidden_state")?;
                text.finish()?;
            }
            senses.finish()?;
        }
        keys.finish()?;
    }
    // Settings may ask for more than there is; what is beyond would fail.
    let places = places(folder);
    let is_bound = ABSOLUTE.contains(&folder.word(&["model_type"]).unwrap_or_default());
    words.tokens = match (longest, places) {
        (Some(longest), Some(places)) if is_bound => longest.min(places),
        _ => longest.or(places).unwrap_or(usize::MAX),
    };
    let mut net = folder.net(&["model"])?;
    let pools = net.outputs().iter().any(|output| TOKENS.contains(output));
    if pools {
        net.keep(&TOKENS)?;
    } else {
        // The file has all the modules in it.
        net.keep(&[SENTENCE])?;
        words.pooling = Pooling::None;
        projection.clear();
    }
    TextPart::new(folder, net, Fill::Nothing, words, projection)
}

/// Tokens that the model has places for.
pub fn places(folder: &Folder) -> Option<usize> {
    /// Models whose places begin after the number of the padding.
    const AFTER_PADDING: [&str; 4] = ["roberta", "xlm-roberta", "camembert", "mpnet"];
    let places = folder.number(&["max_position_embeddings"])? as usize;
    let kind = folder.word(&["model_type"]).unwrap_or_default();
    let lost = match AFTER_PADDING.contains(&kind) {
        true => folder.number(&["pad_token_id"]).unwrap_or(1.0) as usize + 1,
        false => 0,
    };
    places.checked_sub(lost).filter(|places| *places > 0)
}

/// What `modules.json` lists after the transformer; `prompts` says whether something stands before texts.
fn modules(folder: &Folder, prompts: bool) -> anyhow::Result<(Pooling, Layers)> {
    let path = folder.path("modules.json");
    let modules: Vec<Module> =
        serde_json::from_value(read_json(&path)?).with_context(|| format!("{path:?}"))?;
    let kinds: Vec<&str> = modules.iter().map(Module::kind).collect();
    let [first, second, others @ ..] = &modules[..] else {
        bail!("{path:?} lists {kinds:?}, expected Transformer and Pooling at least");
    };
    ensure!(
        first.kind() == "Transformer" && second.kind() == "Pooling",
        "{path:?} lists {kinds:?}, expected Transformer and Pooling first"
    );
    ensure!(
        first.path.is_empty(),
        "{path:?}: the transformer is in {:?}, expected in the folder itself",
        first.path
    );
    let pooling = pooling(&folder.path(&second.path), prompts)?;
    let mut layers = Vec::new();
    let mut others = others.iter().peekable();
    while let Some(module) = others.next() {
        match module.kind() {
            "Dense" => layers.push(dense(&folder.path(&module.path))?),
            // In training only.
            "Dropout" => {}
            // Embeddings are normalised in any case.
            "Normalize" if others.peek().is_none() => {}
            _ => bail!(
                "{path:?}: module {:?} is not understood here, expected Dense, and Normalize as the \
                 last",
                module.kind
            ),
        }
    }
    Ok((pooling, layers))
}

/// The one way of pooling that a module's settings ask for.
fn pooling(dir: &Path, prompts: bool) -> anyhow::Result<Pooling> {
    let mut keys = Keys::open(&dir.join("config.json"))?;
    let place = keys.place().to_owned();
    let mut asked = Vec::new();
    for (key, pooling) in [
        ("pooling_mode_cls_token", Pooling::First),
        ("pooling_mode_mean_tokens", Pooling::Mean),
        ("pooling_mode_max_tokens", Pooling::Max),
        ("pooling_mode_mean_sqrt_len_tokens", Pooling::MeanSqrtLen),
        ("pooling_mode_weightedmean_tokens", Pooling::WeightedMean),
        ("pooling_mode_lasttoken", Pooling::EndOfText),
    ] {
        if keys.take(key)?.unwrap_or(false) {
            asked.push(pooling);
        }
    }
    if let Some(word) = keys.take::<String>("pooling_mode")? {
        asked.push(match word.as_str() {
            "cls" => Pooling::First,
            "mean" => Pooling::Mean,
            "max" => Pooling::Max,
            "mean_sqrt_len_tokens" => Pooling::MeanSqrtLen,
            "weightedmean" => Pooling::WeightedMean,
            "lasttoken" => Pooling::EndOfText,
            _ => bail!("{place}: \"pooling_mode\" is {word:?}, which is not understood"),
        });
    }
    let includes = keys.take("include_prompt")?.unwrap_or(true);
    ensure!(
        includes || !prompts,
        "{place}: \"include_prompt\" is false, and there is a default prompt: leaving its tokens out is \
         not known here"
    );
    keys.pass(&["word_embedding_dimension", "embedding_dimension"]);
    keys.finish()?;
    match asked[..] {
        [pooling] => Ok(pooling),
        _ => bail!(
            "{place} asks for {} ways of pooling, expected one",
            asked.len()
        ),
    }
}

fn dense(dir: &Path) -> anyhow::Result<(Array, Option<Array>, Activation)> {
    let mut keys = Keys::open(&dir.join("config.json"))?;
    let place = keys.place().to_owned();
    let shape = [keys.expect("out_features")?, keys.expect("in_features")?];
    let bias = keys.take("bias")?.unwrap_or(true);
    let activation: Option<String> = keys.take("activation_function")?;
    let activation = match activation
        .as_deref()
        .and_then(|name| name.rsplit('.').next())
    {
        None | Some("Tanh") => Activation::Tanh,
        Some("Identity") => Activation::Identity,
        Some(other) => {
            bail!("{place}: \"activation_function\" is {other:?}, expected Identity or Tanh")
        }
    };
    keys.only("module_input_name", "sentence_embedding")?;
    keys.only("module_output_name", "sentence_embedding")?;
    keys.finish()?;
    let files = ["model.safetensors", "pytorch_model.bin"].map(|file| dir.join(file));
    let file = files.iter().find(|file| file.is_file());
    let file = file.with_context(|| format!("{dir:?} has no model.safetensors"))?;
    let read = || -> anyhow::Result<_> {
        let weights = Checkpoint::open(file)?;
        let weight = Array {
            values: weights.values_of("linear.weight", &shape)?,
            shape: shape.to_vec(),
        };
        let bias = bias.then(|| -> anyhow::Result<Array> {
            Ok(Array {
                values: weights.values_of("linear.bias", &shape[..1])?,
                shape: shape[..1].to_vec(),
            })
        });
        Ok((weight, bias.transpose()?, activation))
    };
    read().with_context(|| format!("{file:?}"))
}

/// What stands before every text by default.
fn prefix(folder: &Folder) -> anyhow::Result<String> {
    let Some(mut keys) = Keys::open_if(folder.path("config_sentence_transformers.json"))? else {
        return Ok(String::new());
    };
    let prompts: Option<Value> = keys.take("prompts")?;
    let default: Option<String> = keys.take("default_prompt_name")?;
    keys.pass(&["__version__", "similarity_fn_name", "model_type"]);
    let place = keys.place().to_owned();
    keys.finish()?;
    let Some(name) = default else {
        return Ok(String::new());
    };
    let prompt = prompts.as_ref().and_then(|prompts| prompts[&name].as_str());
    let prompt = prompt.with_context(|| format!("{place}: there is no prompt {name:?}"))?;
    Ok(prompt.to_owned())
}
