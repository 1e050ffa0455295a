//! A trunk: a frozen net, trained by others on pictures, whose features an encoder is given.
//!
//! ```text
//! front end ─▶ trunk (frozen, ONNX) ─▶ features ─▶ encoder: dropout, linear ─▶ + ─▶ L2 ─▶ embedding
//!                       │                                                      ▲
//!                       └─▶ the anchor's head, as for a picture (with_anchor) ─┘
//! ```
//!
//! With few pairs, a linear layer on features that see edges and shapes already is more than a net
//! that has to learn those as well; and where another sense's frames look much like pictures, what the
//! anchor makes of them is more than a linear layer can learn anew.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tract_onnx::prelude::Tensor;

use crate::anchor::cache::{AnchorCache, Key, Store};
use crate::anchor::model::{Model, Output, Runner};
use crate::anchor::space::{AnchorSpace, Identity};
use crate::quantize::Quantize;

/// `[trunk]` of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// The net, ONNX, within the folder with the data sets. It is given what the front end makes.
    pub file: PathBuf,
    /// Its features, if it has several outputs.
    #[serde(default)]
    pub output: Option<Output>,
    /// Whether it also gives, behind its features, what the anchor of pictures makes of the same
    /// input, whose classifier it has to be. For an encoder with `skip`.
    #[serde(default)]
    pub with_anchor: bool,
    /// Whether its weights become integers of 8 bits before anything is learned, as a pack has them: what is
    /// learned on its features then knows their errors, and packing adds none.
    #[serde(default)]
    pub int8: bool,
}

/// A trunk, and features that it gave before.
pub struct Trunk {
    runner: Runner,
    /// Lengths of the axes of its input, the batch left out.
    input: Vec<usize>,
    known: Mutex<Store>,
}

impl TrunkConfig {
    /// The net's file: the one among the data sets, or one in the cache that is made of it, with weights of 8 bits
    /// or, of the anchor's classifier, with two outputs as one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, written or made smaller, or an anchor that is made of another net.
    pub fn file(
        &self,
        dir: &Path,
        anchor: Option<&dyn AnchorSpace>,
        cache: &AnchorCache,
    ) -> anyhow::Result<PathBuf> {
        let path = dir.join(&self.file);
        if !self.with_anchor && !self.int8 {
            return Ok(path);
        }
        let onnx = || -> anyhow::Result<Vec<u8>> {
            let onnx = if self.with_anchor {
                let anchor =
                    anchor.context("trunk.with_anchor is for a recipe that binds to images")?;
                anchor.beside(&path, self.output.as_ref())?
            } else {
                std::fs::read(&path)?
            };
            let weights = if self.int8 {
                Quantize::Int8
            } else {
                Quantize::None
            };
            Ok(weights.apply(onnx)?.0)
        };
        let onnx = onnx().with_context(|| format!("trunk {path:?}"))?;
        let id = Identity::new("trunk").bytes("file", &onnx).finish();
        cache.file(&format!("{id}-trunk.onnx"), &onnx)
    }

    /// Which output of that file it is.
    pub fn output(&self) -> Option<&Output> {
        // Of two that are one there is but one.
        self.output.as_ref().filter(|_| !self.with_anchor)
    }

    /// Loads the net, which is given inputs of this shape and gives as many features; those that it
    /// gave are kept in the cache.
    ///
    /// # Errors
    ///
    /// A file that is missing or does not fit.
    pub fn open(
        &self,
        path: &Path,
        input: &[usize],
        features: usize,
        cache: &AnchorCache,
    ) -> anyhow::Result<Trunk> {
        let open = || -> anyhow::Result<Trunk> {
            let model = Model::open(path)?;
            let shape = [&[1], input].concat();
            let runner = model.prepare(Some(std::slice::from_ref(&shape)), self.output())?;
            let (given, _) = runner.run(vec![Tensor::zero::<f32>(&shape)?])?;
            ensure!(
                given.len() == features,
                "it gives {} features, expected {features}, what the encoder takes",
                given.len()
            );
            let id = format!("{}-{}", model.digest(), output_name(self.output()));
            Ok(Trunk {
                runner,
                input: input.to_vec(),
                known: Mutex::new(cache.store(&id, features)?),
            })
        };
        open().with_context(|| format!("trunk {path:?}"))
    }
}

/// An output in the name of a file.
fn output_name(output: Option<&Output>) -> String {
    match output {
        None => "only".to_owned(),
        Some(Output::Index(index)) => index.to_string(),
        Some(Output::Name(name)) => {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            name.chars().map(plain).collect()
        }
    }
}

impl std::fmt::Debug for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trunk").field("input", &self.input).finish()
    }
}

impl Trunk {
    /// The features of what a front end made.
    ///
    /// # Errors
    ///
    /// A net that fails on it, or a cache that cannot be used.
    pub fn features(&self, values: &[f32]) -> anyhow::Result<Vec<f32>> {
        let key = Key::of_values(values);
        if let Some(known) = self.lock().get(key)? {
            return Ok(known);
        }
        // Unlocked, so that several are computed at once.
        let shape = [&[1], self.input.as_slice()].concat();
        let (features, _) = self.runner.run(vec![Tensor::from_shape(&shape, values)?])?;
        self.lock().insert(&[(key, &features)])?;
        Ok(features)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Store> {
        // What a panic left half-written, the next writer cuts off.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sensorium_model::backend::Inference;

    use super::*;
    use crate::anchor::tiny::{IMAGE, Tiny, assert_close, image_model, linear, numbers};
    use crate::export::{embed_onnx, export};
    use crate::recipe::Recipe;
    use crate::run::{Facts, RunDir, TRUNK};

    fn config() -> TrunkConfig {
        TrunkConfig {
            file: "image.onnx".into(),
            output: Some(Output::Name("rows".into())),
            with_anchor: false,
            int8: false,
        }
    }

    #[test]
    fn features_are_the_nets_and_are_kept() {
        let tiny = Tiny::new();
        let cache = AnchorCache::open(&tiny.path("cache")).unwrap();
        let trunk = config()
            .open(&tiny.path("image.onnx"), &[3, 2, 2], 4, &cache)
            .unwrap();
        let stored = || -> u64 {
            let files = std::fs::read_dir(tiny.path("cache")).unwrap();
            files.map(|f| f.unwrap().metadata().unwrap().len()).sum()
        };
        let values = numbers(12);
        let first = trunk.features(&values).unwrap();
        assert_close(&first, &linear(&values, 4));
        let size = stored();
        let again = config()
            .open(&tiny.path("image.onnx"), &[3, 2, 2], 4, &cache)
            .unwrap();
        assert_eq!(again.features(&values).unwrap(), first);
        assert_eq!(stored(), size, "nothing was computed again");
        again.features(&numbers(13)[1..]).unwrap();
        assert!(stored() > size);
    }

    #[test]
    fn a_trunk_of_integers_has_its_features_before_it_is_packed() {
        let tiny = Tiny::new();
        tiny.write("wide.onnx", image_model(40));
        let cache = AnchorCache::open(&tiny.path("cache")).unwrap();
        let config = TrunkConfig {
            file: "wide.onnx".into(),
            int8: true,
            ..config()
        };
        let file = config.file(tiny.dir(), None, &cache).unwrap();
        let trunk = config.open(&file, &[3, 2, 2], 40, &cache).unwrap();
        let (values, mut difference) = (numbers(12), 0.0f32);
        let floats = linear(&values, 40);
        for (integer, float) in trunk.features(&values).unwrap().iter().zip(&floats) {
            difference = difference.max((integer - float).abs());
        }
        let largest = floats
            .iter()
            .fold(0.0f32, |max, value| max.max(value.abs()));
        assert!(
            difference > 0.0 && difference < 0.02 * largest,
            "{difference}"
        );

        let onnx = std::fs::read(&file).unwrap();
        let (packed, summary) = Quantize::Int8.apply(onnx.clone()).unwrap();
        assert_eq!((packed, summary.unwrap().quantised), (onnx, 0));
    }

    #[test]
    fn a_trunk_that_does_not_fit_is_refused() {
        let tiny = Tiny::new();
        let cache = AnchorCache::open(&tiny.path("cache")).unwrap();
        let message = |config: TrunkConfig, features| {
            let file = config.file(tiny.dir(), None, &cache).unwrap();
            let error = config.open(&file, &[3, 2, 2], features, &cache);
            format!("{:#}", error.unwrap_err()).replace(&*tiny.dir().to_string_lossy(), "")
        };
        assert_eq!(
            message(config(), 5),
            "trunk \"/image.onnx\": it gives 4 features, expected 5, what the encoder takes"
        );
        let other = TrunkConfig {
            output: Some(Output::Name("logits".into())),
            ..config()
        };
        assert!(message(other, 4).contains("has no output \"logits\", its outputs are [\"rows\"]"));
        let missing = TrunkConfig {
            file: "no.onnx".into(),
            ..config()
        };
        assert!(message(missing, 4).starts_with("trunk \"/no.onnx\": reading"));
    }

    #[test]
    fn a_trunk_and_its_encoder_become_one_file() {
        let tiny = Tiny::new();
        let front_end = IMAGE.replace("[image]", "[front_end]\nkind = \"image\"");
        let text = format!(
            r#"
            name = "heat"
            [[data]]
            name = "pairs"
            kind = "pairs"
            [split]
            by = "group"
            held_out = ["a"]
            {front_end}
            [trunk]
            file = "image.onnx"
            [encoder]
            form = "conv"
            sense = "thermal"
            input = [4, 1]
            output = 6
            layers = []
            [text]
            model = "made-up"
            space = "small"
            phrases = "phrases.txt"
            [binding]
            to = "images"
            temperature = 0.1
            [training]
            epochs = 1
            batch = 1
            learning_rate = 1e-3
            warmup = 0.2
            beta_1 = 0.9
            beta_2 = 0.98
            weight_decay = 0.0
            clip_norm = 1.0
            [scoring]
            temperature = 0.05
            enter = 0.5
            exit = 0.3
            [[class]]
            name = "hot"
            prompts = ["hot"]
            labels = ["both", "1"]
            [[class]]
            name = "cold"
            prompts = ["cold"]
            labels = ["both"]
            "#
        );
        let recipe = Recipe::parse(&text, Path::new("heat.toml")).unwrap();
        assert_eq!(recipe.classes_of("both").collect::<Vec<_>>(), [0, 1]);
        let net = std::fs::read(tiny.path("image.onnx")).unwrap();
        let files = [("recipe.toml", text.as_bytes()), (TRUNK, &net[..])];
        let run = RunDir::begin(
            &tiny.path("run"),
            Path::new("r.toml"),
            &files,
            &Facts::default(),
            false,
        )
        .unwrap();
        let encoder = recipe.encoder.init::<Inference>(&Default::default());
        run.save_checkpoint(&encoder.unwrap()).unwrap();
        let exported = export(&run, Quantize::None).unwrap();
        let (onnx, difference) = (exported.onnx, exported.difference);
        assert!(difference < 1e-5, "{difference}");
        let embedding = embed_onnx(&onnx, &[3, 2, 2], &numbers(12)).unwrap();
        let length: f32 = embedding.iter().map(|v| v * v).sum();
        assert!(embedding.len() == 6 && (length - 1.0).abs() < 1e-5);

        let other = text.replace("input = [4, 1]", "input = [4, 1, 1]");
        assert_eq!(
            Recipe::parse(&other, Path::new("r.toml"))
                .unwrap_err()
                .to_string(),
            "\"r.toml\": encoder.input is [4, 1, 1], expected [features, 1], what a trunk gives"
        );
    }
}
