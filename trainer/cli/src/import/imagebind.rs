//! `import imagebind`: the reference's checkpoint, or some of its encoders, as a pack.
//!
//! ```text
//! checkpoint ─shapes─▶ dimensions ─▶ front end ─▶ made-up recordings ─┐
//!      └──one weight at a time─┬─▶ this project's own forward pass ◀──┘─▶ golden outputs ─┐
//!                              └─▶ ONNX, its weights beside it ───────────────────────────┴▶ pack
//! ```
//!
//! What the encoders shall give comes from another implementation than that which runs the pack, so the
//! self-test at the first loading tells whether both are the same.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use burn::prelude::*;
use burn::tensor::TensorData;
use sensorium_core::text::ClipTokenizer;
use sensorium_engine::classes::Classes;
use sensorium_engine::join::text_part;
use sensorium_model::backend::Inference;
use sensorium_model::checkpoint::Checkpoint;
use sensorium_model::encoder::{MAX_SCALE, Names};
use sensorium_model::weights::WeightSource;
use sensorium_model::{EncoderConfig, Input, Sense, TowerConfig};
use sensorium_pack::{
    DataSet, Encoder, FrontEnd, Golden, Modality, PackWriter, Pooling, Provenance, Scoring,
    Splitter, Tower, WordsSpec, npy,
};

use super::contents::{COSINE, ENTER, EXIT, TRIED, least_of};
use super::large::LargePack;
use super::onnx::no_words;
use super::options::Options;
use crate::anchor::Anchor;
use crate::export::{Form, MAX_ABS, Rounded, examples_of};
use crate::pack::add_words;
use crate::quantize::Quantize;

mod config;
mod front_end;
#[cfg(test)]
mod tests;

use config::Settings;

const EXAMPLE: &str = "Examples:
  sensorium-train import imagebind imagebind_huge.pth --modality audio,imu --text classes mine.toml \\
    --quantize int8 --out imagebind.pack
  sensorium-train import imagebind imagebind_huge.pth --modality audio,depth,thermal,imu,text --out all.pack

The published weights are licensed CC BY-NC-SA 4.0: not for commercial use.";

/// The space of a checkpoint's encoders, and what its parts are called after.
const NAME: &str = "imagebind";

const LICENCE: &str = "not stated; the weights that ImageBind's authors publish are CC BY-NC-SA 4.0: \
                       not for commercial use";

/// Makes a pack of a checkpoint of ImageBind: all of its encoders, or some.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The checkpoint: .pth, whose pickle is never executed, or .safetensors.
    #[arg(value_name = "CKPT")]
    checkpoint: PathBuf,
    /// The encoders, of audio, depth, thermal, imu, vision and text [default: all that it has].
    #[arg(long, value_name = "SENSE,...", value_delimiter = ',', value_parser = sense)]
    modality: Vec<Sense>,
    /// What knows words: the text tower, which is large, or only the classes of a file [default: the
    /// tower, if text is among the encoders].
    #[arg(long, value_names = ["tower|classes", "C.toml"], num_args = 1..=2)]
    text: Vec<String>,
    /// Front ends of senses, as tables of a manifest's form (`depth`, `thermal`, `imu`, ...), instead of
    /// the default ones.
    #[arg(long, value_name = "F.toml")]
    front_ends: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

fn sense(name: &str) -> Result<Sense, String> {
    let name = if name == "image" { "vision" } else { name };
    let known = Sense::ALL.into_iter().find(|sense| sense.name() == name);
    known.ok_or_else(|| "expected audio, depth, thermal, imu, vision or text".to_owned())
}

/// What knows words.
enum Words {
    Tower,
    Classes(Classes),
    Nothing,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let path = &args.checkpoint;
    let checkpoint = Checkpoint::open(path).with_context(|| format!("{path:?}"))?;
    let import = Import::new(args, &checkpoint).with_context(|| format!("{path:?}"))?;
    import.run().with_context(|| format!("importing {path:?}"))
}

/// An import, of which everything is known but the weights.
struct Import<'a> {
    args: &'a Args,
    checkpoint: &'a Checkpoint,
    encoders: Vec<(EncoderConfig, FrontEnd)>,
    /// Of the encoder of texts, if one is needed.
    text: Option<EncoderConfig>,
    words: Words,
    classes: Option<Classes>,
    name: String,
}

impl<'a> Import<'a> {
    fn new(args: &'a Args, checkpoint: &'a Checkpoint) -> anyhow::Result<Self> {
        let has = |sense: &Sense| {
            checkpoint
                .names()
                .iter()
                .any(|name| Names(*sense).has(name))
        };
        let known: Vec<Sense> = Sense::ALL.into_iter().filter(has).collect();
        ensure!(!known.is_empty(), "it has no weights by ImageBind's names");
        let mut wanted = match args.modality.is_empty() {
            true => known.clone(),
            false => args.modality.clone(),
        };
        wanted.sort();
        wanted.dedup();
        let words = words(args, &wanted)?;
        let with_text = !matches!(words, Words::Nothing);
        if let Some(sense) = wanted
            .iter()
            .chain(with_text.then_some(&Sense::Text))
            .find(|sense| !known.contains(sense))
        {
            let known: Vec<&str> = known.iter().map(|sense| sense.name()).collect();
            bail!(
                "it has no encoder of {sense}, it has those of {}",
                known.join(", ")
            );
        }
        let settings = Settings::beside(&args.checkpoint)?;
        let read = |sense: Sense| {
            let read = config::read(checkpoint, sense, &settings);
            read.with_context(|| format!("the encoder of {sense}"))
        };
        let front_ends = args
            .front_ends
            .as_deref()
            .map(front_end::open)
            .transpose()?;
        let front_ends = front_ends.unwrap_or_default();
        let senses = wanted.iter().filter(|sense| **sense != Sense::Text);
        let encoders = senses.map(|sense| {
            let config = read(*sense)?;
            let own = front_ends.get(&modality(*sense));
            let front_end = front_end::checked(own, &config);
            Ok((
                config,
                front_end.with_context(|| format!("the encoder of {sense}"))?,
            ))
        });
        let encoders = encoders.collect::<anyhow::Result<Vec<_>>>()?;
        let text = with_text.then(|| read(Sense::Text)).transpose()?;
        let dims = encoders.iter().map(|(config, _)| config).chain(&text);
        let dims: Vec<usize> = dims.map(|config| config.output).collect();
        ensure!(
            dims.windows(2).all(|pair| pair[0] == pair[1]),
            "its encoders give embeddings of {dims:?} numbers, expected one length"
        );
        let stem = args.checkpoint.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        Ok(Self {
            args,
            checkpoint,
            encoders,
            text,
            words,
            classes: args.options.classes()?,
            name: args.options.name.clone().unwrap_or(stem),
        })
    }

    fn form(&self) -> Form {
        Form {
            quantize: self.args.options.quantize,
            ..Form::default()
        }
    }

    fn run(mut self) -> anyhow::Result<()> {
        let out = &self.args.options.out;
        let mut pack = LargePack::create(out)?;
        let classes = match std::mem::replace(&mut self.words, Words::Nothing) {
            Words::Tower => {
                self.add_words(&mut pack, true)?;
                self.classes.clone()
            }
            Words::Classes(classes) => {
                self.classes.get_or_insert(classes);
                self.add_words(&mut pack, false)?;
                self.classes.clone()
            }
            Words::Nothing => {
                let dim = self.encoders.first().map_or(0, |(config, _)| config.output);
                let mut writer = PackWriter::new();
                pack.spaces
                    .push(add_words(&mut writer, NAME, &no_words(dim))?);
                pack.add_all(&writer)?;
                None
            }
        };
        for (config, front_end) in &self.encoders {
            let sense = config.sense();
            self.add_encoder(&mut pack, config, front_end)
                .with_context(|| format!("the encoder of {sense}"))?;
        }
        let classes = classes.as_ref().map(toml::to_string).transpose()?;
        let (spaces, encoders) = (pack.spaces.len(), pack.encoders.len());
        pack.finish(self.name, &classes.unwrap_or_default())?;
        let bytes = std::fs::metadata(out).map_or(0, |file| file.len());
        println!("{bytes} bytes in {out:?}: {spaces} spaces, {encoders} encoders");
        Ok(())
    }

    /// What the encoder of these dimensions gives, with weights as they are written; and the least cosine
    /// to float weights, if these are others.
    fn outputs(
        &self,
        config: &EncoderConfig,
        input: &Input<Inference>,
    ) -> anyhow::Result<(Vec<f32>, Option<f32>)> {
        let floats = embed(config, self.checkpoint, input.clone())?;
        let options = &self.args.options;
        if options.quantize == Quantize::None {
            return Ok((floats, None));
        }
        let integers = embed(config, &Rounded(self.checkpoint), input.clone())?;
        let rows = |values: &[f32]| values.chunks(config.output).map(<[f32]>::to_vec).collect();
        let (floats, rows): (Vec<_>, Vec<_>) = (rows(&floats), rows(&integers));
        let part = format!("the encoder of {}", config.sense());
        let least = least_of(&floats, &rows, &part, options.min_cosine)?;
        Ok((integers, Some(least)))
    }

    fn add_words(&self, pack: &mut LargePack, tower: bool) -> anyhow::Result<()> {
        let config = self.text.as_ref().context("the encoder of text")?;
        let classes = self.classes.iter().flat_map(|classes| {
            let prompts = classes.classes.iter().flat_map(|class| &class.prompts);
            prompts.chain(&classes.background.prompts)
        });
        let tried = if tower { &TRIED[..] } else { &[] };
        let mut prompts: Vec<String> = tried.iter().map(|tried| (*tried).to_owned()).collect();
        for prompt in classes {
            if !prompts.contains(prompt) {
                prompts.push(prompt.clone());
            }
        }
        let rows = match prompts.is_empty() {
            true => (Vec::new(), None),
            false => {
                let embedded = self.outputs(config, &texts(&prompts));
                embedded.context("the encoder of text")?
            }
        };
        let anchor = Anchor {
            text_model: format!("{NAME}'s own ({})", self.name),
            prompts,
            rows: rows.0,
            centre: vec![0.0; config.output],
        };
        let mut writer = PackWriter::new();
        let mut space = add_words(&mut writer, NAME, &anchor)?;
        pack.add_all(&writer)?;
        if tower {
            let model = format!("text/{NAME}/model.onnx");
            let len = pack.add_model(&model, self.checkpoint, config, self.form());
            let len = len.context("the encoder of text")?;
            eprintln!("text: {len} bytes");
            space.tower = Some(Tower {
                model,
                tokenizer: None,
                report: None,
                taught: None,
                words: Some(WordsSpec {
                    tokens: config.input.tokens(),
                    pad: Some(0),
                    splitter: Splitter::Clip,
                    pooling: Pooling::None,
                    ..WordsSpec::default()
                }),
                projection: Vec::new(),
            });
            pack.provenance
                .push(self.provenance(&text_part(NAME), Sense::Text, rows.1));
        }
        pack.spaces.push(space);
        Ok(())
    }

    fn add_encoder(
        &self,
        pack: &mut LargePack,
        config: &EncoderConfig,
        front_end: &FrontEnd,
    ) -> anyhow::Result<()> {
        let sense = config.sense();
        let name = format!("{NAME}-{}", modality(sense));
        let examples = examples_of(front_end, modality(sense))?;
        let shape = TowerConfig::Transformer(*config).input_shape();
        let input = Input::of_shape(examples.concat(), &shape, &Default::default());
        let (output, least) = self.outputs(config, &input)?;
        let encoder = Encoder {
            modality: modality(sense),
            space: NAME.to_owned(),
            model: format!("encoders/{name}.onnx"),
            front_end: front_end.clone(),
            scoring: Scoring {
                temperature: self.temperature(sense)?,
                enter: ENTER,
                exit: EXIT,
            },
            golden: Golden {
                input: format!("encoders/{name}/golden_input.npy"),
                output: format!("encoders/{name}/golden_output.npy"),
                max_abs: MAX_ABS,
            },
            name: name.clone(),
        };
        let count = examples.len();
        let input = npy::to_bytes(&[&[count], &shape[..]].concat(), &examples.concat())?;
        pack.add(&encoder.golden.input, &input)?;
        let output = npy::to_bytes(&[count, config.output], &output)?;
        pack.add(&encoder.golden.output, &output)?;
        let len = pack.add_model(&encoder.model, self.checkpoint, config, self.form())?;
        eprintln!(
            "{sense}: width {}, {} blocks of {} heads; {len} bytes",
            config.dim, config.blocks, config.heads
        );
        pack.encoders.push(encoder);
        pack.provenance.push(self.provenance(&name, sense, least));
        Ok(())
    }

    /// One over the scale of the sense; pictures have none of their own, and are compared by the texts'.
    fn temperature(&self, sense: Sense) -> anyhow::Result<f32> {
        let of = if sense == Sense::Vision {
            Sense::Text
        } else {
            sense
        };
        let name = Names(of).log_scale();
        if sense == Sense::Vision && self.checkpoint.shape(&name).is_none() {
            return Ok(1.0 / MAX_SCALE as f32);
        }
        let log_scale = self.checkpoint.values_of(&name, &[])?[0];
        let scale = f64::from(log_scale).exp().min(MAX_SCALE);
        ensure!(
            scale.is_finite() && scale > 0.0,
            "weight {name:?} is {log_scale}, expected the logarithm of a scale"
        );
        Ok((1.0 / scale) as f32)
    }

    fn provenance(&self, part: &str, sense: Sense, least: Option<f32>) -> Provenance {
        let options = &self.args.options;
        let weights = match options.quantize {
            Quantize::None => "weights as published",
            Quantize::Int8 => "weights as int8, a scale an output channel",
        };
        let metrics = least.map(|least| (COSINE.to_owned(), f64::from(least)));
        Provenance {
            encoder: part.to_owned(),
            binding: format!(
                "Not trained here: the encoder of {sense} of a checkpoint of ImageBind (Girdhar et al. \
                 2023), {weights}. Its space is that of the checkpoint, bound through pictures."
            ),
            data: vec![DataSet {
                name: options.data.clone(),
                licence: options
                    .licence
                    .clone()
                    .unwrap_or_else(|| LICENCE.to_owned()),
            }],
            split: "the publisher's own".to_owned(),
            command: format!("sensorium-train import imagebind {}", self.name),
            seed: 0,
            commit: None,
            metrics: metrics.into_iter().collect(),
        }
    }
}

fn words(args: &Args, wanted: &[Sense]) -> anyhow::Result<Words> {
    let words: Vec<&str> = args.text.iter().map(String::as_str).collect();
    Ok(match words[..] {
        [] if wanted.contains(&Sense::Text) => Words::Tower,
        [] => Words::Nothing,
        ["tower"] => Words::Tower,
        ["classes", path] => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
            Words::Classes(Classes::parse(&text).with_context(|| format!("{path:?}"))?)
        }
        _ => bail!(
            "--text is {:?}, expected tower, or classes and a file",
            words.join(" ")
        ),
    })
}

/// As packs call it.
fn modality(sense: Sense) -> Modality {
    match sense {
        Sense::Vision => Modality::Image,
        Sense::Text => Modality::Text,
        Sense::Audio => Modality::Audio,
        Sense::Depth => Modality::Depth,
        Sense::Thermal => Modality::Thermal,
        Sense::Imu => Modality::Imu,
    }
}

fn texts(prompts: &[String]) -> Input<Inference> {
    let tokenizer = ClipTokenizer::new();
    let ids = prompts.iter().flat_map(|prompt| tokenizer.ids(prompt));
    let ids: Vec<i64> = ids.map(i64::from).collect();
    let shape = [prompts.len(), ids.len() / prompts.len().max(1)];
    Input::Text(Tensor::from_data(
        TensorData::new(ids, shape),
        &Default::default(),
    ))
}

/// One embedding an input, one after the other.
fn embed(
    config: &EncoderConfig,
    weights: &impl WeightSource,
    input: Input<Inference>,
) -> anyhow::Result<Vec<f32>> {
    let rows = config.forward_from::<Inference>(weights, input, &Default::default())?;
    Ok(rows.into_data().convert::<f32>().iter().collect())
}
