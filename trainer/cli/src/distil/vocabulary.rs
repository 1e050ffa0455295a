//! The tokens that a small tower keeps of its teacher's.
//!
//! Other tokens fall apart into those that are kept: a WordPiece tokenizer takes the longest piece it
//! knows, and single letters stay, so every Latin word still has tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

/// What continues a word begins with it.
const CONTINUES: &str = "##";

/// A tokenizer and its tokens.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    json: String,
    /// By number.
    tokens: Vec<String>,
}

impl Vocabulary {
    /// Reads the teacher's tokenizer, and keeps as many tokens as `most`, all of which texts have,
    /// besides single letters, digits and signs, and special tokens: in turn what texts have most
    /// often, and what stands first in the file. Its order is how often the teacher's own texts have a
    /// token, which says better than phrases made of a dictionary what people will type. Texts are cut
    /// after `longest` tokens.
    ///
    /// # Errors
    ///
    /// A file that is no tokenizer of word pieces.
    pub fn reduced(
        path: &Path,
        texts: &[String],
        most: usize,
        longest: usize,
    ) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            let file: Value = serde_json::from_slice(&std::fs::read(path)?)?;
            let whole = Self::from_json(&file, longest)?;
            let counts = whole.count(texts)?;
            let special = special(&file);
            let is_needed =
                |id: &usize| special.contains(&whole.tokens[*id]) || is_single(&whole.tokens[*id]);
            let ids = 0..whole.len();
            let (needed, in_order): (Vec<usize>, Vec<usize>) = ids
                .filter(|id| is_needed(id) || counts[*id] > 0)
                .partition(is_needed);
            let mut by_count = in_order.clone();
            by_count.sort_by_key(|id| (u32::MAX - counts[*id], *id));
            let mut kept: BTreeSet<usize> = needed.into_iter().take(most).collect();
            for id in by_count.into_iter().zip(in_order).flat_map(|(a, b)| [a, b]) {
                if kept.len() == most {
                    break;
                }
                kept.insert(id);
            }
            let numbers: BTreeMap<&str, usize> = kept
                .iter()
                .enumerate()
                .map(|(new, old)| (whole.tokens[*old].as_str(), new))
                .collect();
            Self::from_json(&with_vocabulary(file, &numbers)?, longest)
        };
        read().with_context(|| format!("the tokenizer {path:?}"))
    }

    /// Reads what [`json`](Self::json) gave.
    ///
    /// # Errors
    ///
    /// As [`reduced`](Self::reduced).
    pub fn from_json(file: &Value, longest: usize) -> anyhow::Result<Self> {
        ensure!(
            file["model"]["type"] == "WordPiece",
            "its model is {}, expected WordPiece",
            file["model"]["type"]
        );
        let mut file = file.clone();
        file["padding"] = Value::Null;
        file["truncation"] = json!({
            "max_length": longest, "strategy": "LongestFirst", "stride": 0, "direction": "Right"
        });
        let json = serde_json::to_string(&file)?;
        let tokenizer = Tokenizer::from_bytes(&json);
        let tokenizer = tokenizer.map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut numbered: Vec<(u32, String)> = { tokenizer.get_vocab(true).into_iter() }
            .map(|(token, id)| (id, token))
            .collect();
        numbered.sort_unstable();
        let is_whole = numbered
            .iter()
            .enumerate()
            .all(|(at, (id, _))| at == *id as usize);
        ensure!(is_whole, "its tokens are not numbered from 0 without gaps");
        Ok(Self {
            tokenizer,
            json,
            tokens: numbered.into_iter().map(|(_, token)| token).collect(),
        })
    }

    /// The tokenizer's file.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens of each text.
    pub fn encode(&self, texts: &[String]) -> anyhow::Result<Vec<Vec<u32>>> {
        let ids = texts.iter().map(|text| {
            let encoding = self.tokenizer.encode(text.as_str(), true);
            let encoding = encoding.map_err(|error| anyhow::anyhow!("{text:?}: {error}"))?;
            Ok(encoding.get_ids().to_vec())
        });
        ids.collect()
    }

    /// A text for each token, that the token alone makes up; none for special tokens.
    pub fn alone(&self) -> Vec<Option<&str>> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let alone = self.tokens.iter().enumerate().map(|(id, token)| {
            let is_special = added.contains_key(&(id as u32));
            (!is_special).then(|| token.strip_prefix(CONTINUES).unwrap_or(token))
        });
        alone.collect()
    }

    fn count(&self, texts: &[String]) -> anyhow::Result<Vec<u32>> {
        let mut counts = vec![0u32; self.len()];
        for id in self.encode(texts)?.into_iter().flatten() {
            counts[id as usize] += 1;
        }
        Ok(counts)
    }
}

/// A letter, digit or sign of ASCII, by itself or in a word.
fn is_single(token: &str) -> bool {
    let piece = token.strip_prefix(CONTINUES).unwrap_or(token);
    piece.len() == 1 && piece.is_ascii()
}

/// Special tokens that the tokenizer needs: those that it puts around texts, and for what it does not
/// know.
fn special(file: &Value) -> Vec<String> {
    let mut special = vec!["[PAD]".to_owned()];
    special.extend(file["model"]["unk_token"].as_str().map(str::to_owned));
    if let Some(tokens) = file["post_processor"]["special_tokens"].as_object() {
        special.extend(tokens.keys().cloned());
    }
    special
}

/// The file with other tokens and numbers, everywhere that it has them.
fn with_vocabulary(mut file: Value, numbers: &BTreeMap<&str, usize>) -> anyhow::Result<Value> {
    let vocabulary: Map<String, Value> = numbers
        .iter()
        .map(|(token, id)| ((*token).to_owned(), json!(id)))
        .collect();
    file["model"]["vocab"] = Value::Object(vocabulary);
    if let Some(added) = file["added_tokens"].as_array_mut() {
        added.retain_mut(|token| {
            let id = token["content"].as_str().and_then(|name| numbers.get(name));
            if let Some(id) = id {
                token["id"] = json!(id);
            }
            id.is_some()
        });
    }
    if let Some(special) = file
        .pointer_mut("/post_processor/special_tokens")
        .and_then(Value::as_object_mut)
    {
        for (name, token) in special {
            let id = numbers.get(name.as_str());
            let id = id.with_context(|| format!("token {name:?} is not in its vocabulary"))?;
            token["ids"] = json!([id]);
        }
    }
    Ok(file)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A small tokenizer that, like many published ones, asks for padding that nobody wants.
    pub fn file() -> Value {
        let words = [
            "[PAD]", "[unused]", "[UNK]", "[CLS]", "[SEP]", "dog", "dogs", "##s", "zebra", "d",
            "##o", "##g", "z", "##e", "##b", "##r", "##a",
        ];
        let vocabulary: Map<String, Value> = { words.iter().enumerate() }
            .map(|(id, word)| ((*word).to_owned(), json!(id)))
            .collect();
        let added = |id: usize, name: &str| {
            json!({"id": id, "content": name, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false})
        };
        json!({
            "version": "1.0", "truncation": null,
            "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
                "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": [added(0, "[PAD]"), added(2, "[UNK]"), added(3, "[CLS]"), added(4, "[SEP]")],
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [3], "tokens": ["[CLS]"]},
                    "[SEP]": {"id": "[SEP]", "ids": [4], "tokens": ["[SEP]"]}}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocabulary}
        })
    }

    #[test]
    fn rare_tokens_fall_apart_and_numbers_have_no_gaps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        std::fs::write(&path, file().to_string()).unwrap();
        let texts = ["dog", "dog", "dogs", "zebra"].map(str::to_owned).to_vec();
        // 4 special tokens, 9 single letters, and room for two words.
        let kept = Vocabulary::reduced(&path, &texts, 14, 16).unwrap();
        assert_eq!(kept.len(), 14);
        let words = |vocabulary: &Vocabulary, text: &str| -> Vec<String> {
            let ids = &vocabulary.encode(&[text.to_owned()]).unwrap()[0];
            ids.iter()
                .map(|id| vocabulary.tokens[*id as usize].clone())
                .collect()
        };
        assert_eq!(words(&kept, "Dog"), ["[CLS]", "dog", "[SEP]"]);
        assert_eq!(words(&kept, "dogs"), ["[CLS]", "dog", "##s", "[SEP]"]);
        assert_eq!(words(&kept, "zebra")[1..4], ["z", "##e", "##b"]);
        assert_eq!(words(&kept, "дом"), ["[CLS]", "[UNK]", "[SEP]"]);
        let alone = kept.alone();
        assert_eq!(alone[0], None);
        assert!(alone.contains(&Some("s")) && !alone.contains(&Some("##s")));
        let again: Value = serde_json::from_str(kept.json()).unwrap();
        assert_eq!(
            Vocabulary::from_json(&again, 16).unwrap().tokens,
            kept.tokens
        );
        let short = Vocabulary::reduced(&path, &texts, 14, 3).unwrap();
        assert_eq!(
            short.encode(&["dog dog dog".to_owned()]).unwrap()[0].len(),
            3
        );
    }

    #[test]
    fn other_tokenizers_are_refused() {
        let mut other = file();
        other["model"]["type"] = json!("BPE");
        let error = Vocabulary::from_json(&other, 8).unwrap_err().to_string();
        assert_eq!(error, "its model is \"BPE\", expected WordPiece");
    }
}
