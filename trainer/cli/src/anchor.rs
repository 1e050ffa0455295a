//! `anchor`: what encoders are bound to, embedded once.
//!
//! Of a recipe, its words: a training needs no text model then, and the pack carries the same rows,
//! so that many words can be typed on a device that has no text model either. Of a [space](spec) of
//! pictures and texts, any pictures and texts, past a [cache].

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sensorium_core::bank::{class_vector, normalize};
use sensorium_engine::text::TextTower;
use sensorium_model::weights::Weights;
use serde::{Deserialize, Serialize};

use crate::recipe::{Class, Recipe};

pub mod cache;
mod checkpoint;
pub mod conse;
pub mod embed;
pub mod list;
pub mod model;
pub mod packed;
mod pair;
pub mod space;
pub mod spec;
mod table;
#[cfg(test)]
pub mod tiny;
mod token;
mod tower;

use cache::AnchorCache;
use embed::Embedder;
use spec::{AnchorSpec, Folders};
use table::{Index, Table};

/// What `anchor --help` ends with.
const EXAMPLE: &str = r#"Examples:
  sensorium-train anchor recipe.toml --text-model minilm --out words.safetensors
  sensorium-train anchor imu.toml audio.toml --text-model minilm --out words.safetensors
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
    /// The recipe, or several whose encoders share a space, or what a space is made of.
    #[arg(value_name = "FILE.toml", required = true)]
    files: Vec<PathBuf>,
    /// Folder with the text model, model.onnx and tokenizer.json; of a space that has one, instead of
    /// its own.
    #[arg(long, value_name = "DIR", required_unless_present = "content")]
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
    /// Of a space: folder with the data sets, for files that are not beside its own.
    #[arg(long, value_name = "DIR", requires = "content")]
    data: Option<PathBuf>,
    /// Where the embeddings go.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match (&args.cache, &args.text_model) {
        (Some(cache), _) => embed_in_space(args, &AnchorCache::open(cache)?),
        (None, Some(text_model)) => embed_recipe(args, text_model),
        (None, None) => anyhow::bail!("neither --text-model nor --cache is given"),
    }
}

fn embed_recipe(args: &Args, text_model: &Path) -> anyhow::Result<()> {
    let open = |path: &PathBuf| -> anyhow::Result<_> {
        let recipe = Recipe::open(path)?;
        let phrases = read_phrases(path, &recipe)?;
        Ok((recipe, phrases))
    };
    let opened = args.files.iter().map(open);
    let (recipes, phrases): (Vec<_>, Vec<_>) = opened
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    for (path, (recipe, other)) in args.files.iter().zip(recipes.iter().zip(&phrases)) {
        ensure!(
            recipe.text.model == recipes[0].text.model && *other == phrases[0],
            "{path:?} has another text.model, or other text.phrases, than {:?}, expected one \
             space",
            args.files[0]
        );
    }
    let anchor = Anchor::embed(&recipes, &phrases[0], text_model)?;
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
    let [file] = &args.files[..] else {
        anyhow::bail!(
            "{} files, expected one that says what a space is made of",
            args.files.len()
        );
    };
    let spec = AnchorSpec::read(file)?;
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
    let at = Folders {
        base: file.parent().unwrap_or(Path::new("")),
        data: args.data.as_deref(),
        text_model: args.text_model.as_deref(),
    };
    let space = spec.open(&at, cache).with_context(|| format!("{file:?}"))?;
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

/// Cosine of one prompt's embeddings from which two text models are taken for the same.
const SAME_MODEL_COSINE: f32 = 0.99;

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
    /// Embeds the prompts of recipes that share a space, at least one, and the phrases whose mean is
    /// its centre.
    pub fn embed(
        recipes: &[Recipe],
        phrases: &[String],
        text_model: &Path,
    ) -> anyhow::Result<Self> {
        let first = recipes
            .first()
            .context("no recipe, expected at least one")?;
        let tower = TextTower::open(text_model)
            .with_context(|| format!("opening the text model {text_model:?}"))?;
        for recipe in recipes {
            ensure!(
                tower.dim() == recipe.encoder.output(),
                "the text model gives {} numbers, expected encoder.output, {}",
                tower.dim(),
                recipe.encoder.output()
            );
        }
        let mut prompts: Vec<String> = Vec::new();
        let words = recipes.iter().flat_map(|recipe| {
            let classes = recipe.classes.iter().flat_map(|class| &class.prompts);
            classes.chain(&recipe.background.prompts)
        });
        for prompt in words.chain(phrases) {
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
            text_model: first.text.model.clone(),
            prompts,
            rows: rows.concat(),
            centre: sums.into_iter().map(mean).collect(),
        })
    }

    /// Whether a text model is the one that embedded the phrases, by the first of them.
    ///
    /// # Errors
    ///
    /// Another one.
    pub fn ensure_made_by(&self, tower: &TextTower) -> anyhow::Result<()> {
        ensure!(
            tower.dim() == self.dim(),
            "it gives {} numbers, expected {}, those of {:?}",
            tower.dim(),
            self.dim(),
            self.text_model
        );
        let Some(prompt) = self.prompts.first() else {
            return Ok(());
        };
        let mut pair = [
            tower.embed(&[prompt])?.remove(0),
            self.rows[..tower.dim()].to_vec(),
        ];
        pair.iter_mut().for_each(|row| normalize(row));
        let cosine: f32 = pair[0].iter().zip(&pair[1]).map(|(a, b)| a * b).sum();
        ensure!(
            cosine >= SAME_MODEL_COSINE,
            "it embeds {prompt:?} at a cosine of {cosine:.3} to the training's, expected \
             {SAME_MODEL_COSINE}: it is not {:?}",
            self.text_model
        );
        Ok(())
    }

    /// Takes in the words of classes that it does not know.
    ///
    /// # Errors
    ///
    /// Words that it does not know, and no text model to ask, or another than its own.
    pub fn learn(&mut self, classes: &[Class], text_model: Option<&Path>) -> anyhow::Result<()> {
        let mut new: Vec<&String> = classes.iter().flat_map(|class| &class.prompts).collect();
        new.retain(|prompt| !self.prompts.contains(prompt));
        let Some(first) = new.first() else {
            return Ok(());
        };
        let dir = text_model.with_context(|| {
            format!("the training does not know the words {first:?}; give --text-model")
        })?;
        let tower = TextTower::open(dir).with_context(|| format!("text model {dir:?}"))?;
        let made = self.ensure_made_by(&tower);
        made.with_context(|| format!("text model {dir:?}"))?;
        for prompt in new {
            self.rows.extend(tower.embed(&[prompt])?.remove(0));
            self.prompts.push(prompt.clone());
        }
        Ok(())
    }

    /// Takes in the phrases of another anchor of the same space.
    ///
    /// # Errors
    ///
    /// Another text model, another centre, or other numbers for the same phrase.
    pub fn join(&mut self, other: Self) -> anyhow::Result<()> {
        ensure!(
            self.text_model == other.text_model && self.centre == other.centre,
            "an earlier training has another text model or centre; one space needs the same \
             text.phrases"
        );
        let dim = self.dim();
        for (prompt, row) in other.prompts.into_iter().zip(other.rows.chunks_exact(dim)) {
            match self.prompts.iter().position(|known| *known == prompt) {
                None => {
                    self.prompts.push(prompt);
                    self.rows.extend(row);
                }
                Some(place) => ensure!(
                    self.rows[place * dim..][..dim] == *row,
                    "an earlier training has other numbers for {prompt:?}"
                ),
            }
        }
        Ok(())
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
