//! `anchor`: what encoders are bound to, embedded once.
//!
//! Of a recipe, its words: a training needs no text model then, and the pack carries the same rows,
//! so that many words can be typed on a device that has no text model either. Of a [space](spec) of
//! pictures and texts, any pictures and texts, past a [cache].

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sensorium_core::bank::class_vector;
use sensorium_engine::text::TextTower;
use sensorium_model::weights::Weights;
use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;

pub mod cache;
mod checkpoint;
mod conse;
pub mod embed;
pub mod list;
mod model;
mod pair;
pub mod space;
pub mod spec;
mod table;
#[cfg(test)]
mod tiny;
mod token;
mod tower;

use cache::AnchorCache;
use embed::Embedder;
use spec::AnchorSpec;
use table::{Index, Table};

/// What `anchor --help` ends with.
const EXAMPLE: &str = r#"Examples:
  sensorium-train anchor recipe.toml --text-model minilm --out words.safetensors
  sensorium-train anchor space.toml --images photos --texts names.txt --cache anchors --out photos.safetensors

A space of two ONNX files, here SigLIP's as model hubs have them (paths are relative to the file):
  kind = "onnx"
  name = "siglip"
  image_model = "onnx/vision_model.onnx"
  image_output = "pooler_output"
  text_model = "onnx/text_model.onnx"
  text_output = "pooler_output"
  [image]
  resize = { exact = [224, 224] }
  interpolation = "bicubic"
  mean = [0.5, 0.5, 0.5]
  std = [0.5, 0.5, 0.5]
  [tokenizer]
  kind = "file"
  file = "tokenizer.json"
  tokens = 64
  pad = "</s>"
Other kinds: "conse" (a classifier and a text model), "checkpoint" (an ImageBind checkpoint), "run"
(an earlier training of an encoder of pictures)."#;

/// Embeds the words of a recipe, or pictures and texts in a space of both.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLE,
    group = clap::ArgGroup::new("content").args(["images", "texts"]).multiple(true)
)]
pub struct Args {
    /// The recipe, or what the space is made of.
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Of a recipe: folder with the text model, model.onnx and tokenizer.json.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "content",
        conflicts_with_all = ["content", "cache"]
    )]
    text_model: Option<PathBuf>,
    /// Of a space: folders of pictures, files with the path of one a line, or pictures.
    #[arg(long, value_name = "DIR|LIST", num_args = 1.., requires = "cache")]
    images: Vec<PathBuf>,
    /// Of a space: file with a text a line; `#` begins a comment.
    #[arg(long, value_name = "FILE", requires = "cache")]
    texts: Option<PathBuf>,
    /// Of a space: folder that keeps embeddings, so that none is computed twice.
    #[arg(long, value_name = "DIR", requires = "content")]
    cache: Option<PathBuf>,
    /// Where the embeddings go.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match (&args.text_model, &args.cache) {
        (Some(text_model), _) => embed_recipe(args, text_model),
        (None, Some(cache)) => embed_in_space(args, &AnchorCache::open(cache)?),
        (None, None) => anyhow::bail!("neither --text-model nor --cache is given"),
    }
}

fn embed_recipe(args: &Args, text_model: &Path) -> anyhow::Result<()> {
    let recipe = Recipe::open(&args.file)?;
    let phrases = read_phrases(&args.file, &recipe)?;
    let anchor = Anchor::embed(&recipe, &phrases, text_model)?;
    anchor.to_weights()?.write(&args.out)?;
    eprintln!(
        "{} phrases of {} numbers in {:?}",
        anchor.prompts.len(),
        anchor.dim(),
        args.out
    );
    Ok(())
}

fn embed_in_space(args: &Args, cache: &AnchorCache) -> anyhow::Result<()> {
    let spec = AnchorSpec::read(&args.file)?;
    // First what is cheap, so that a mistake shows before models are loaded.
    let pictures = list::pictures(&args.images)?;
    let texts = match &args.texts {
        None => Vec::new(),
        Some(path) => {
            let texts = list::lines(path)?;
            ensure!(!texts.is_empty(), "{path:?} holds no text");
            texts
        }
    };
    let base = args.file.parent().unwrap_or(Path::new(""));
    let space = spec
        .open(base, cache)
        .with_context(|| format!("{:?}", args.file))?;
    let mut embedder = Embedder::new(space.as_ref(), cache)?;
    let image_rows = embedder.images(&pictures, |path| spec.picture(path))?;
    let words: Vec<&str> = texts.iter().map(String::as_str).collect();
    let text_rows = embedder.texts(&words)?;
    let counts = embedder.counts();
    let table = Table {
        index: Index {
            space: space.name().to_owned(),
            id: space.id(),
            images: pictures.into_iter().map(|picture| picture.name).collect(),
            texts,
        },
        dim: space.dim(),
        image_rows: image_rows.concat(),
        text_rows: text_rows.concat(),
    };
    table.write(&args.out)?;
    if counts.damaged > 0 {
        eprintln!(
            "{} records of the cache were altered and are not used",
            counts.damaged
        );
    }
    eprintln!(
        "{} pictures and {} texts of {} numbers in {:?}: {} were in the cache, {} computed",
        table.index.images.len(),
        table.index.texts.len(),
        table.dim,
        args.out,
        counts.hits,
        counts.misses
    );
    Ok(())
}

/// Phrases, their embeddings, and the centre of the space.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    /// Name of the text model.
    pub text_model: String,
    /// The phrases.
    pub prompts: Vec<String>,
    /// Their embeddings as the text model gives them, one after the other.
    pub rows: Vec<f32>,
    /// What is subtracted from every embedding.
    pub centre: Vec<f32>,
}

/// What does not fit into an array.
#[derive(Serialize, Deserialize)]
struct Words {
    text_model: String,
    prompts: Vec<String>,
}

const WORDS: &str = "words";
const ROWS: &str = "prompt_rows";
const CENTRE: &str = "centre";

impl Anchor {
    /// Embeds a recipe's prompts, and the phrases whose mean is the centre.
    pub fn embed(recipe: &Recipe, phrases: &[String], text_model: &Path) -> anyhow::Result<Self> {
        let tower = TextTower::open(text_model)
            .with_context(|| format!("opening the text model {text_model:?}"))?;
        ensure!(
            tower.dim() == recipe.encoder.output(),
            "the text model gives {} numbers, expected encoder.output, {}",
            tower.dim(),
            recipe.encoder.output()
        );
        let mut prompts: Vec<String> = Vec::new();
        let classes = recipe.classes.iter().flat_map(|class| &class.prompts);
        for prompt in classes.chain(&recipe.background.prompts).chain(phrases) {
            if !prompts.contains(prompt) {
                prompts.push(prompt.clone());
            }
        }
        let words: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let rows = tower.embed(&words)?;
        let mut sums = vec![0.0f64; tower.dim()];
        for phrase in phrases {
            let place = prompts.iter().position(|prompt| prompt == phrase);
            for (sum, &value) in sums.iter_mut().zip(place.iter().flat_map(|&i| &rows[i])) {
                *sum += f64::from(value);
            }
        }
        let mean = |sum: f64| (sum / phrases.len() as f64) as f32;
        Ok(Self {
            text_model: recipe.text.model.clone(),
            prompts,
            rows: rows.concat(),
            centre: sums.into_iter().map(mean).collect(),
        })
    }

    /// Numbers in an embedding.
    pub fn dim(&self) -> usize {
        self.centre.len()
    }

    /// The embedding of a phrase, not centred.
    fn row(&self, prompt: &str) -> anyhow::Result<&[f32]> {
        let place = self.prompts.iter().position(|known| known == prompt);
        place
            .and_then(|place| self.rows.chunks_exact(self.dim()).nth(place))
            .with_context(|| {
                format!("the anchor has no phrase {prompt:?}; make it anew with `anchor`")
            })
    }

    /// The vector of a class in the centred space.
    pub fn class(&self, prompts: &[String]) -> anyhow::Result<Vec<f32>> {
        let rows = prompts
            .iter()
            .map(|prompt| self.row(prompt))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut vector = vec![0.0; self.dim()];
        class_vector(rows, &self.centre, &mut vector);
        Ok(vector)
    }

    /// The vectors of a recipe's classes, one after the other.
    pub fn classes(&self, recipe: &Recipe) -> anyhow::Result<Vec<f32>> {
        let vectors = recipe
            .classes
            .iter()
            .map(|class| self.class(&class.prompts));
        Ok(vectors.collect::<anyhow::Result<Vec<_>>>()?.concat())
    }

    /// The vectors of a recipe's background prompts, one after the other: each is a class of its
    /// own, as in the runtime.
    pub fn background(&self, recipe: &Recipe) -> anyhow::Result<Vec<f32>> {
        let prompts = recipe.background.prompts.iter();
        let vectors = prompts.map(|prompt| self.class(std::slice::from_ref(prompt)));
        Ok(vectors.collect::<anyhow::Result<Vec<_>>>()?.concat())
    }

    /// As a file holds it.
    pub fn to_weights(&self) -> anyhow::Result<Weights> {
        let mut weights = Weights::new();
        let shape = [self.prompts.len(), self.dim()];
        weights.insert(ROWS, &shape, self.rows.clone());
        weights.insert(CENTRE, &[self.dim()], self.centre.clone());
        // One entry: the format keeps its metadata in no fixed order, and equal anchors should be
        // equal files.
        let words = Words {
            text_model: self.text_model.clone(),
            prompts: self.prompts.clone(),
        };
        weights.set_metadata(WORDS, serde_json::to_string(&words)?);
        Ok(weights)
    }

    /// Reads a file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            let weights = Weights::read(path)?;
            let words = weights.metadata(WORDS).context("it holds no words")?;
            let Words {
                text_model,
                prompts,
            } = serde_json::from_str(words)?;
            let dim = weights.get(CENTRE).map_or(0, |array| array.values.len());
            Ok(Self {
                text_model,
                rows: weights.expect(ROWS, &[prompts.len(), dim])?.to_vec(),
                centre: weights.expect(CENTRE, &[dim])?.to_vec(),
                prompts,
            })
        };
        read().with_context(|| format!("reading the anchor {path:?}"))
    }
}

/// The phrases whose mean is the centre: a line each, `#` begins a comment.
pub fn read_phrases(recipe_path: &Path, recipe: &Recipe) -> anyhow::Result<Vec<String>> {
    let path = recipe_path.with_file_name(&recipe.text.phrases);
    let phrases = list::lines(&path)?;
    ensure!(!phrases.is_empty(), "{path:?} holds no phrase");
    Ok(phrases)
}

#[cfg(test)]
mod tests;
