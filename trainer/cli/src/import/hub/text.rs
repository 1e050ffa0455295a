//! The text tower of a folder: its tokenizer, how texts are cut and filled up, and what becomes of the
//! model's output.

use anyhow::{Context, anyhow, bail, ensure};
use sensorium_engine::text::{Dense, TextTower};
use sensorium_pack::{WordsSpec, sha256_hex};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::folder::Folder;
use super::keys::Keys;
use super::net::Net;
use super::sentence::Layers;

/// Lengths beyond are how tokenizers say that they know none.
const NO_LENGTH: f64 = 1e6;

/// How texts shorter than the longest are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Filled up to the longest: the model was trained so, and its output may depend on it.
    Whole,
    /// Left as they are.
    Nothing,
}

/// A text tower, ready for a pack.
#[derive(Debug)]
pub struct TextPart {
    /// The ONNX file.
    pub model: Vec<u8>,
    /// The tokenizer's file.
    pub tokenizer: Vec<u8>,
    /// How texts become its input.
    pub words: WordsSpec,
    /// Layers after the pooling.
    pub projection: Layers,
    /// Tells it from others: folders whose text towers are the same share a space.
    pub digest: String,
}

impl TextPart {
    /// A tower of a net that has but one output.
    ///
    /// # Errors
    ///
    /// A tokenizer that is missing or not understood, or a net that takes no texts.
    pub fn new(
        folder: &Folder,
        mut net: Net,
        fill: Fill,
        mut words: WordsSpec,
        projection: Layers,
    ) -> anyhow::Result<Self> {
        let fixed = net.take_texts()?;
        let read = tokenizer(folder)?;
        let longest = [words.tokens, read.tokens].into_iter().min();
        words.tokens = longest
            .filter(|tokens| *tokens < usize::MAX)
            .with_context(|| {
                format!(
                    "{:?} does not say how long a text may be, expected \"model_max_length\"",
                    folder.dir
                )
            })?;
        if let Some(fixed) = fixed {
            words.tokens = fixed.min(words.tokens);
        }
        if fill == Fill::Whole || fixed.is_some() {
            ensure!(
                !read.fills_left,
                "{:?}: texts are filled up on the left (\"padding_side\"), which is not known here",
                folder.dir
            );
            let pad = read.pad.with_context(|| {
                format!(
                    "{:?} does not say what fills texts up, expected \"pad_token\"",
                    folder.dir
                )
            })?;
            words.pad = Some(pad);
        }
        ensure!(
            fixed.is_none_or(|fixed| fixed == words.tokens),
            "the text model takes {fixed:?} tokens, and the tokenizer gives at most {}",
            words.tokens
        );
        words.check()?;
        let digest = [
            net.digest(),
            sha256_hex(&read.file),
            serde_json::to_string(&words)?,
        ]
        .concat();
        Ok(Self {
            model: net.into_bytes()?,
            tokenizer: read.file,
            words,
            projection,
            digest: sha256_hex(digest.as_bytes()),
        })
    }

    /// The tower as the runtime has it, of a file that may be another than its own.
    ///
    /// # Errors
    ///
    /// A file that cannot be run.
    pub fn tower(&self, model: &[u8]) -> anyhow::Result<TextTower> {
        let layers = self.projection.iter().map(|(weight, bias, activation)| {
            Dense::new(weight.clone(), bias.clone(), *activation)
        });
        let tower = TextTower::with_words(
            ("text model".as_ref(), model),
            Some(("tokenizer.json".as_ref(), &self.tokenizer)),
            self.words.clone(),
            layers.collect::<Result<_, _>>()?,
        );
        Ok(tower?)
    }
}

/// A tokenizer's file, and what those beside it say.
struct Read {
    file: Vec<u8>,
    /// Most tokens, or more than any memory holds.
    tokens: usize,
    pad: Option<u32>,
    /// Whether padding comes first, which matters only where there is any.
    fills_left: bool,
}

fn tokenizer(folder: &Folder) -> anyhow::Result<Read> {
    let path = folder.path("tokenizer.json");
    let bytes = std::fs::read(&path).with_context(|| format!("reading {path:?}"))?;
    let mut json: Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{path:?} is not JSON"))?;
    let side = |part: &str| -> anyhow::Result<bool> {
        match json[part]["direction"].as_str() {
            None | Some("Right") => Ok(false),
            Some("Left") => Ok(true),
            Some(other) => bail!("{path:?}: {part} is on side {other:?}, expected Left or Right"),
        }
    };
    ensure!(
        !side("truncation")?,
        "{path:?}: texts are cut on side Left, expected Right: nothing else is known here"
    );
    let mut fills_left = side("padding")?;
    let Some(mut keys) = Keys::open_if(folder.path("tokenizer_config.json"))? else {
        let tokenizer = parsed(&bytes).with_context(|| format!("{path:?}"))?;
        let pad = pad_of_map(folder, &tokenizer)?;
        let tokens = usize::MAX;
        return Ok(Read {
            file: bytes,
            tokens,
            pad,
            fills_left,
        });
    };
    let place = keys.place().to_owned();
    let changed = settle(&mut json, &mut keys)?;
    let file = match changed {
        true => serde_json::to_vec(&json)?,
        false => bytes,
    };
    let tokenizer = parsed(&file).with_context(|| format!("{path:?}"))?;
    let length: Option<f64> = keys.take("model_max_length")?;
    let pad_token: Option<Value> = keys.take("pad_token")?;
    let ends = [
        keys.take::<Value>("bos_token")?,
        keys.take::<Value>("eos_token")?,
    ];
    for (at, key) in ["add_bos_token", "add_eos_token"].into_iter().enumerate() {
        if let Some(wanted) = keys.take::<bool>(key)? {
            let token = ends[at].as_ref().and_then(content);
            let found = has_at_end(&tokenizer, token, at == 0)?;
            ensure!(
                found == wanted,
                "{place}: {key:?} is {wanted}, and {path:?} does otherwise"
            );
        }
    }
    match keys.take::<String>("padding_side")?.as_deref() {
        None => {}
        Some("right") => fills_left = false,
        Some("left") => fills_left = true,
        Some(other) => bail!("{place}: \"padding_side\" is {other:?}, expected left or right"),
    }
    keys.only("truncation_side", "right")?;
    keys.only("split_special_tokens", false)?;
    keys.only("truncation_strategy", "longest_first")?;
    keys.only("do_basic_tokenize", true)?;
    keys.only("stride", 0)?;
    keys.pass(&[
        "tokenizer_class",
        "processor_class",
        "name_or_path",
        "special_tokens_map_file",
        "tokenizer_file",
        "added_tokens_decoder",
        "additional_special_tokens",
        "extra_special_tokens",
        "clean_up_tokenization_spaces",
        "model_input_names",
        "never_split",
        "errors",
        "unk_token",
        "cls_token",
        "sep_token",
        "mask_token",
        "sp_model_kwargs",
        "legacy",
        "use_default_system_prompt",
        "spaces_between_special_tokens",
        "backend",
        "is_local",
        "trim_offsets",
        "from_slow",
        "wordpieces_prefix",
        "chat_template",
        "max_length",
        "padding",
        "truncation",
        "pad_token_type_id",
        "model_specific_special_tokens",
        "local_files_only",
    ]);
    keys.finish()?;
    let pad = match pad_token.as_ref().and_then(content) {
        Some(token) => Some(id_of(&tokenizer, token).with_context(|| place.clone())?),
        None => pad_of_map(folder, &tokenizer)?,
    };
    let length = length.filter(|length| *length < NO_LENGTH);
    Ok(Read {
        file,
        tokens: length.map_or(usize::MAX, |length| length as usize),
        pad,
        fills_left,
    })
}

fn parsed(bytes: &[u8]) -> anyhow::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(bytes)
        .map_err(|error| anyhow!(error).context("it is not a tokenizer that is known here"))?;
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(None)
        .map_err(|error| anyhow!(error))?;
    Ok(tokenizer)
}

/// A token as files write it: a word, or an object that holds it.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str())
}

fn id_of(tokenizer: &Tokenizer, token: &str) -> anyhow::Result<u32> {
    let id = tokenizer.token_to_id(token);
    id.with_context(|| format!("\"pad_token\" is {token:?}, which the tokenizer does not know"))
}

/// The padding that `special_tokens_map.json` names.
fn pad_of_map(folder: &Folder, tokenizer: &Tokenizer) -> anyhow::Result<Option<u32>> {
    let Some(mut keys) = Keys::open_if(folder.path("special_tokens_map.json"))? else {
        return Ok(None);
    };
    let token: Option<Value> = keys.take("pad_token")?;
    let token = token.as_ref().and_then(content);
    let id = token.map(|token| id_of(tokenizer, token));
    id.transpose().with_context(|| keys.place().to_owned())
}

/// Whether a text begins or ends with a token that it does not hold itself.
fn has_at_end(tokenizer: &Tokenizer, token: Option<&str>, first: bool) -> anyhow::Result<bool> {
    let encoding = tokenizer
        .encode("a", true)
        .map_err(|error| anyhow!(error))?;
    let ids = encoding.get_ids();
    let end = if first { ids.first() } else { ids.last() };
    let token = token.and_then(|token| tokenizer.token_to_id(token));
    Ok(token.is_some() && end.copied() == token)
}

/// Whether one of several steps puts a space before texts.
fn prefixes(sequence: &Value) -> bool {
    let steps = sequence["pretokenizers"].as_array();
    steps
        .into_iter()
        .flatten()
        .any(|step| match step["type"].as_str() {
            Some("Metaspace") => step["prepend_scheme"] != "never",
            Some("ByteLevel") => step["add_prefix_space"] == true,
            _ => false,
        })
}

/// Brings a tokenizer's file to what the settings beside it say, which win; whether anything changed.
fn settle(json: &mut Value, keys: &mut Keys) -> anyhow::Result<bool> {
    let place = keys.place().to_owned();
    let mut changed = false;
    let mut set = |at: &mut Value, value: Value| {
        if *at != value {
            *at = value;
            changed = true;
        }
    };
    // SigLIP 2 learned from small letters, which its own class and the settings of Gemma's say, and its
    // file does not.
    let lowers = match keys.word("tokenizer_class") {
        Some("Siglip2Tokenizer") => true,
        Some("GemmaTokenizer" | "GemmaTokenizerFast") => keys.is_true("do_lower_case"),
        _ => false,
    };
    if lowers && !json["normalizer"].to_string().contains("\"Lowercase\"") {
        let own = json["normalizer"].take();
        let steps = [json!({"type": "Lowercase"}), own];
        let steps = steps.into_iter().filter(|step| !step.is_null());
        let steps: Vec<Value> = steps.collect();
        set(
            &mut json["normalizer"],
            json!({"type": "Sequence", "normalizers": steps}),
        );
    }
    let is_bert = json["normalizer"]["type"] == "BertNormalizer";
    for (key, setting) in [
        ("do_lower_case", "lowercase"),
        ("strip_accents", "strip_accents"),
        ("tokenize_chinese_chars", "handle_chinese_chars"),
    ] {
        let Some(wanted) = keys.take::<bool>(key)? else {
            continue;
        };
        if is_bert {
            set(&mut json["normalizer"][setting], wanted.into());
            continue;
        }
        let has = |kind: &str| json["normalizer"].to_string().contains(kind);
        let does = match key {
            "do_lower_case" => has("\"Lowercase\""),
            "strip_accents" => has("\"StripAccents\""),
            _ => false,
        };
        ensure!(
            does == wanted,
            "{place}: {key:?} is {wanted}, and the tokenizer does otherwise"
        );
    }
    if let Some(wanted) = keys.take::<bool>("add_prefix_space")? {
        let part = &mut json["pre_tokenizer"];
        match part["type"].as_str() {
            Some("ByteLevel") => set(&mut part["add_prefix_space"], wanted.into()),
            Some("Metaspace") => {
                let does = part["prepend_scheme"] != "never";
                ensure!(
                    does == wanted,
                    "{place}: \"add_prefix_space\" is {wanted}, and the tokenizer does otherwise"
                );
            }
            _ if !wanted => {}
            // As newer libraries write it for XLM-R, whose steps are two.
            Some("Sequence") if prefixes(part) => {}
            _ => bail!(
                "{place}: \"add_prefix_space\" is true, and the tokenizer knows no such thing"
            ),
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_before_texts_may_be_a_step_of_several() {
        let settled = |scheme: &str| {
            let steps = json!([
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": true}
            ]);
            let mut file = json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}});
            let mut keys = Keys::of("here".to_owned(), json!({"add_prefix_space": true})).unwrap();
            settle(&mut file, &mut keys)
        };
        assert!(!settled("always").unwrap());
        let error = settled("never").unwrap_err().to_string();
        assert!(
            error.contains("the tokenizer knows no such thing"),
            "{error}"
        );
    }
}
