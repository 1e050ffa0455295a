//! Folders of LanguageBind: depth, thermal, sound or pictures, each with the text tower that all share.
//!
//! ```text
//! DEPTH_DIR ─weights─▶ LoRA merged ─▶ ONNX ─┐
//! THERMAL_DIR ─────────────────────▶ ONNX ──┼▶ one space, one text tower ─▶ pack
//! AUDIO_DIR ───────────────────────▶ ONNX ──┘
//! ```
//!
//! What the processors of the publication do is written down here, since its folders have no files that
//! say it; numbers that its configuration has are read from there.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::{
    DepthSpec, Extent, FrontEnd, Holes, ImageSpec, Log, LogMelSpec, Measure, Padding, Resize,
    Scaling, SoundAxes, ThermalSpec,
};
use sensorium_core::text::{CONTEXT, ClipTokenizer};
use sensorium_engine::classes::Classes;
use sensorium_engine::join::text_part;
use sensorium_model::checkpoint::Checkpoint;
use sensorium_model::encoder::{MAX_SCALE, Names};
use sensorium_model::weights::WeightSource;
use sensorium_model::{EncoderConfig, InputConfig, Sense};
use sensorium_pack::{
    DataSet, Encoder, Golden, Modality, PackWriter, Pooling, Provenance, Scoring, Splitter, Tower,
    WordsSpec, npy,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::folder::Folder;
use crate::anchor::Anchor;
use crate::export::{Activation, Form, MAX_ABS, examples_of};
use crate::import::contents::{COSINE, ENTER, EXIT, TRIED, least_of};
use crate::import::large::{LargePack, Written};
use crate::import::options::Options;
use crate::pack::add_words;
use crate::quantize::Quantize;

#[cfg(test)]
mod tests;
mod towers;

use towers::{Towers, block_counts};

/// What `model_type` begins with.
const FAMILY: &str = "LanguageBind";

/// The space of all folders.
const SPACE: &str = "languagebind";

/// Kinds that are known, and those that are not.
const KNOWN: &str =
    "LanguageBindDepth, LanguageBindThermal, LanguageBindAudio or LanguageBindImage";

const LICENCE: &str = "MIT, code and models, as published";
const DATA: &str = "VIDAL-10M (Zhu et al. 2024), CC BY-NC 4.0";

/// CLIP's vocabulary.
const VOCABULARY: usize = 49_408;

/// Whether a folder is one of these.
pub fn is_one(dir: &Path) -> bool {
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap_or_default();
    let config: Value = serde_json::from_str(&text).unwrap_or_default();
    let kind = config["model_type"].as_str();
    kind.is_some_and(|kind| kind.starts_with(FAMILY))
}

/// A folder, of which everything is known but the weights.
struct Source {
    folder: Folder,
    modality: Modality,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    vision: EncoderConfig,
    text: EncoderConfig,
    form: [Form; 2],
    grid: [usize; 2],
    lora_scale: Option<f32>,
}

/// Makes one pack of some folders.
///
/// # Errors
///
/// A folder of another family or with something missing, one whose text tower is another than the first
/// one's, or two of one sense.
pub fn run(dirs: &[PathBuf], options: &Options) -> anyhow::Result<()> {
    let open = |dir: &PathBuf| {
        let opened = Source::open(dir, options.quantize);
        opened.with_context(|| format!("importing {dir:?}"))
    };
    let sources = dirs.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let [first, ..] = &sources[..] else {
        bail!("there is no folder");
    };
    for (at, source) in sources.iter().enumerate() {
        let twice = sources[..at]
            .iter()
            .find(|other| other.modality == source.modality);
        ensure!(
            twice.is_none(),
            "{:?} is of {} as well, and a sense is imported once",
            source.folder.dir,
            source.modality
        );
    }
    let classes = options.classes()?;
    let mut pack = LargePack::create(&options.out)?;
    let of_first = first.add_text(&mut pack, options, classes.as_ref());
    let digest = of_first.with_context(|| format!("importing {:?}", first.folder.dir))?;
    for source in &sources {
        let mut add = || -> anyhow::Result<()> {
            ensure!(
                source.digest()? == digest,
                "its text tower is not that of {:?}, so it does not share its space",
                first.folder.dir
            );
            source.add_encoder(&mut pack, options)
        };
        add().with_context(|| format!("importing {:?}", source.folder.dir))?;
    }
    let name = options.name.clone().unwrap_or_else(|| match &sources[..] {
        [one] => one.folder.name.clone(),
        _ => SPACE.to_owned(),
    });
    let encoders = pack.encoders.len();
    let text = classes.as_ref().map(toml::to_string).transpose()?;
    pack.finish(name, &text.unwrap_or_default())?;
    let bytes = std::fs::metadata(&options.out).map_or(0, |file| file.len());
    println!(
        "{bytes} bytes in {:?}: 1 space, {encoders} encoders",
        options.out
    );
    Ok(())
}

impl Source {
    fn open(dir: &Path, quantize: Quantize) -> anyhow::Result<Self> {
        let folder = Folder::open(dir, None)?;
        let kind = folder.word(&["model_type"]).unwrap_or_default();
        let modality = match kind.strip_prefix(FAMILY) {
            Some("Depth") => Modality::Depth,
            Some("Thermal") => Modality::Thermal,
            Some("Audio") => Modality::Audio,
            Some("Image") => Modality::Image,
            _ => bail!("it is of kind {kind:?}, expected {KNOWN}"),
        };
        let files = ["model.safetensors", "pytorch_model.bin"];
        let found = files
            .map(|file| folder.path(file))
            .into_iter()
            .find(|path| path.is_file());
        let path = found.with_context(|| format!("it has no {}", files.join(" or ")))?;
        let checkpoint = Checkpoint::open(&path).with_context(|| format!("{path:?}"))?;
        let config = Config {
            folder: &folder,
            weights: &checkpoint,
        };
        let patch = config.patch()?;
        let (front_end, size) = config.front_end(modality)?;
        let grid = size.map(|side| side / patch);
        ensure!(
            grid.iter().all(|count| *count > 0),
            "inputs of {size:?} hold no patch of {patch}"
        );
        Ok(Self {
            vision: config.vision(patch, size)?,
            text: config.text()?,
            form: [
                config.form("vision_config", Some(size), quantize)?,
                config.form("text_config", None, quantize)?,
            ],
            lora_scale: config.lora_scale()?,
            front_end,
            grid,
            modality,
            checkpoint,
            folder,
        })
    }

    fn towers(&self) -> anyhow::Result<Towers<'_, Checkpoint>> {
        Towers::new(&self.checkpoint, self.lora_scale, self.grid)
    }

    /// What tells the text tower from others.
    fn digest(&self) -> anyhow::Result<String> {
        let towers = self.towers()?;
        let mut sha256 = Sha256::new();
        for name in towers.names() {
            if Names(Sense::Text).has(name) {
                sha256.update(name);
                let values = towers.values(name)?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                sha256.update(&bytes);
            }
        }
        let digest = sha256.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Writes the tower, and what it gives for some phrases.
    fn add_text(
        &self,
        pack: &mut LargePack,
        options: &Options,
        classes: Option<&Classes>,
    ) -> anyhow::Result<String> {
        let towers = self.towers()?;
        let model = format!("text/{SPACE}/model.onnx");
        let of_classes = classes.iter().flat_map(|classes| {
            let prompts = classes.classes.iter().flat_map(|class| &class.prompts);
            prompts.chain(&classes.background.prompts)
        });
        let mut prompts: Vec<String> = TRIED.map(str::to_owned).to_vec();
        for prompt in of_classes {
            if !prompts.contains(prompt) {
                prompts.push(prompt.clone());
            }
        }
        let tokenizer = ClipTokenizer::new();
        let ids = prompts
            .iter()
            .map(|prompt| tokenizer.ids(prompt).map(i64::from).to_vec());
        let ids: Vec<Vec<i64>> = ids.collect();
        let run = |form: Form| -> anyhow::Result<(Written, Vec<Vec<f32>>)> {
            let written = pack.write(&model, &towers, &self.text, form)?;
            let rows = written.embed_texts(&ids)?;
            Ok((written, rows))
        };
        let (written, rows, least) = smaller(run, self.form[1], options, "the text tower")?;
        pack.add_written(&model, written)?;
        let anchor = Anchor {
            text_model: format!("{SPACE}'s own (CLIP's)"),
            prompts,
            rows: rows.concat(),
            centre: vec![0.0; self.text.output],
        };
        let mut writer = PackWriter::new();
        let mut space = add_words(&mut writer, SPACE, &anchor)?;
        pack.add_all(&writer)?;
        space.tower = Some(Tower {
            model,
            tokenizer: None,
            report: None,
            taught: None,
            words: Some(WordsSpec {
                tokens: CONTEXT,
                pad: Some(0),
                splitter: Splitter::Clip,
                pooling: Pooling::None,
                ..WordsSpec::default()
            }),
            projection: Vec::new(),
        });
        pack.spaces.push(space);
        let told = self.provenance(&text_part(SPACE), "the text tower", options, least);
        pack.provenance.push(told);
        self.digest()
    }

    fn add_encoder(&self, pack: &mut LargePack, options: &Options) -> anyhow::Result<()> {
        let towers = self.towers()?;
        let (modality, front_end) = (self.modality, &self.front_end);
        let name = format!("{SPACE}-{modality}");
        let model = format!("encoders/{name}.onnx");
        let shape = front_end.build()?.output_shape();
        let examples = examples_of(front_end, modality)?;
        let part = format!("the encoder of {modality}");
        let run = |form: Form| -> anyhow::Result<(Written, Vec<Vec<f32>>)> {
            let written = pack.write(&model, &towers, &self.vision, form)?;
            let rows = written.embed(&shape, &examples)?;
            Ok((written, rows))
        };
        let (written, rows, least) = smaller(run, self.form[0], options, &part)?;
        eprintln!("{modality}: {} bytes", written.len());
        let encoder = Encoder {
            modality,
            space: SPACE.to_owned(),
            model,
            front_end: front_end.clone(),
            scoring: Scoring {
                temperature: self.temperature()?,
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
        let output = npy::to_bytes(&[count, self.vision.output], &rows.concat())?;
        pack.add(&encoder.golden.output, &output)?;
        pack.add_written(&encoder.model, written)?;
        pack.encoders.push(encoder);
        pack.provenance
            .push(self.provenance(&name, &part, options, least));
        Ok(())
    }

    fn temperature(&self) -> anyhow::Result<f32> {
        let log_scale = self.checkpoint.values_of("logit_scale", &[])?[0];
        let scale = f64::from(log_scale).exp().min(MAX_SCALE);
        ensure!(
            scale.is_finite() && scale > 0.0,
            "weight \"logit_scale\" is {log_scale}, expected the logarithm of a scale"
        );
        Ok((1.0 / scale) as f32)
    }

    fn provenance(
        &self,
        part: &str,
        what: &str,
        options: &Options,
        least: Option<f32>,
    ) -> Provenance {
        let own = self.folder.licence();
        let data = match options.data.as_str() {
            "not stated" => DATA,
            said => said,
        };
        let merged = match self.lora_scale {
            Some(_) => ", LoRA merged",
            None => "",
        };
        let metrics = least.map(|least| (COSINE.to_owned(), f64::from(least)));
        Provenance {
            encoder: part.to_owned(),
            binding: format!(
                "Not trained here: {what} of the published model {} (LanguageBind, Zhu et al. 2024{merged}). \
                 Its space is that of a CLIP text tower, which its authors bound the sense to.",
                self.folder.name
            ),
            data: vec![DataSet {
                name: data.to_owned(),
                licence: options
                    .licence
                    .clone()
                    .or(own)
                    .unwrap_or_else(|| LICENCE.to_owned()),
            }],
            split: "the publisher's own".to_owned(),
            command: format!("sensorium-train import hub {}", self.folder.name),
            seed: 0,
            commit: None,
            metrics: metrics.into_iter().collect(),
        }
    }
}

/// A model as it shall be written, what it gives, and the least cosine of that to what float weights
/// give, if it is of integers.
fn smaller(
    run: impl Fn(Form) -> anyhow::Result<(Written, Vec<Vec<f32>>)>,
    form: Form,
    options: &Options,
    part: &str,
) -> anyhow::Result<(Written, Vec<Vec<f32>>, Option<f32>)> {
    if options.quantize == Quantize::None {
        let (written, rows) = run(form)?;
        return Ok((written, rows, None));
    }
    let floats = Form {
        quantize: Quantize::None,
        ..form
    };
    let (_, floats) = run(floats)?;
    let (written, rows) = run(form)?;
    let least = least_of(&floats, &rows, part, options.min_cosine)?;
    Ok((written, rows, Some(least)))
}

/// A configuration and the weights that it is of.
struct Config<'a> {
    folder: &'a Folder,
    weights: &'a Checkpoint<File>,
}

impl Config<'_> {
    fn number(&self, part: &str, key: &str) -> Option<f64> {
        let nested = self.folder.number(&[part, key]);
        nested.or_else(|| self.folder.number(&[key]))
    }

    /// A whole number above 0; `default`, that of the library's classes, where nothing is said.
    fn count(&self, part: &str, key: &str, default: usize) -> anyhow::Result<usize> {
        let Some(found) = self.number(part, key) else {
            return Ok(default);
        };
        ensure!(
            found >= 1.0 && found.fract() == 0.0,
            "config.json: \"{part}.{key}\" is {found}, expected a whole number above 0"
        );
        Ok(found as usize)
    }

    fn vision_count(&self, key: &str, default: usize) -> anyhow::Result<usize> {
        self.count("vision_config", key, default)
    }

    fn axes(&self, name: &str) -> anyhow::Result<&[usize]> {
        let shape = self.weights.shape(name);
        shape.with_context(|| format!("weight {name:?} is missing"))
    }

    fn patch(&self) -> anyhow::Result<usize> {
        let name = "vision_model.embeddings.patch_embedding.weight";
        let shape = self.axes(name)?;
        match shape {
            [_, 3, height, width] if height == width && *height > 0 => Ok(*height),
            _ => bail!("weight {name:?} has shape {shape:?}, expected [width, 3, patch, patch]"),
        }
    }

    fn vision(&self, patch: usize, size: [usize; 2]) -> anyhow::Result<EncoderConfig> {
        let time = self.folder.config["vision_config"]["add_time_attn"].as_bool();
        ensure!(
            time != Some(true),
            "config.json: \"vision_config.add_time_attn\" is true: attention over the frames of a video is \
             not known here"
        );
        let input = InputConfig::Vision {
            frames: 1,
            side: size[0],
            patch: [1, patch, patch],
        };
        self.encoder(
            input,
            "vision_config",
            "vision_model.embeddings.class_embedding",
        )
    }

    fn text(&self) -> anyhow::Result<EncoderConfig> {
        let name = "text_model.embeddings.token_embedding.weight";
        let places = "text_model.embeddings.position_embedding.weight";
        let ([vocabulary, _], [context, _]) = (self.axes(name)?, self.axes(places)?) else {
            bail!("weights {name:?} and {places:?} are expected to have 2 axes");
        };
        ensure!(
            (*vocabulary, *context) == (VOCABULARY, CONTEXT),
            "texts are of {context} tokens of {vocabulary}, expected {CONTEXT} of {VOCABULARY}, CLIP's"
        );
        let input = InputConfig::Text {
            vocabulary: *vocabulary,
            context: *context,
        };
        self.encoder(input, "text_config", "text_model.final_layer_norm.bias")
    }

    fn encoder(
        &self,
        input: InputConfig,
        part: &str,
        vector: &str,
    ) -> anyhow::Result<EncoderConfig> {
        let (head, layers, heads) = match input {
            InputConfig::Text { .. } => ("text_projection.weight", 0, 8),
            _ => ("visual_projection.weight", 1, 12),
        };
        let ([dim], [output, _]) = (self.axes(vector)?, self.axes(head)?) else {
            bail!("weights {vector:?} and {head:?} are expected to have 1 and 2 axes");
        };
        let config = EncoderConfig {
            input,
            dim: *dim,
            blocks: block_counts(self.weights)[layers],
            heads: self.count(part, "num_attention_heads", heads)?,
            output: *output,
            bias_kv: false,
            drop_path: 0.0,
            dropout: 0.0,
            scale: None,
            learn_scale: false,
        };
        config.check()?;
        Ok(config)
    }

    fn form(
        &self,
        part: &str,
        size: Option<[usize; 2]>,
        quantize: Quantize,
    ) -> anyhow::Result<Form> {
        let activation = match self.folder.word(&[part, "hidden_act"]) {
            Some("gelu") => Activation::Gelu,
            Some("quick_gelu") | None => Activation::QuickGelu,
            Some(other) => bail!(
                "config.json: \"{part}.hidden_act\" is {other:?}, expected \"gelu\" or \"quick_gelu\""
            ),
        };
        Ok(Form {
            norm_epsilon: self.number(part, "layer_norm_eps").unwrap_or(1e-5),
            activation,
            size,
            quantize,
        })
    }

    /// What LoRA's products are multiplied by, if there are any.
    fn lora_scale(&self) -> anyhow::Result<Option<f32>> {
        let rank = self.number("vision_config", "lora_r").unwrap_or(0.0);
        if rank <= 0.0 {
            return Ok(None);
        }
        let alpha = self.number("vision_config", "lora_alpha");
        let alpha = alpha.context("config.json has no \"vision_config.lora_alpha\"")?;
        Ok(Some((alpha / rank) as f32))
    }

    /// The front end of a sense, and height and width of what it gives.
    fn front_end(&self, modality: Modality) -> anyhow::Result<(FrontEnd, [usize; 2])> {
        let clip = ImageSpec::reference();
        if modality == Modality::Audio {
            let spec = self.sound()?;
            let size = [spec.mels, spec.frames];
            return Ok((FrontEnd::LogMel(spec), size));
        }
        let side = self.vision_count("image_size", 224)?;
        let (mean, std) = (clip.mean.to_vec(), clip.std.to_vec());
        let front_end = match modality {
            Modality::Depth => {
                let max_depth = self.number("vision_config", "max_depth").unwrap_or(10.0);
                ensure!(
                    max_depth > 0.01 && max_depth.is_finite(),
                    "config.json: \"vision_config.max_depth\" is {max_depth}, expected more than 0.01: \
                     pictures that are divided by their own largest distance are not known here"
                );
                // (d / max - mean) / std, with the division in both.
                FrontEnd::Depth(DepthSpec {
                    measure: Measure::Metric,
                    baseline_m: None,
                    focal_px: None,
                    clip_m: [0.01, max_depth],
                    holes: Holes::Near,
                    side,
                    scaling: Scaling::Bicubic,
                    mean: mean.iter().map(|mean| mean * max_depth).collect(),
                    std: std.iter().map(|std| std * max_depth).collect(),
                })
            }
            Modality::Thermal => FrontEnd::Thermal(ThermalSpec {
                range: [0.0, 255.0],
                count_scale: 1.0,
                count_offset: 0.0,
                side,
                scaling: Scaling::Bicubic,
                mean,
                std,
            }),
            _ => FrontEnd::Image(ImageSpec {
                resize: Resize::ShorterSide(side),
                crop: Some([side; 2]),
                ..clip
            }),
        };
        Ok((front_end, [side; 2]))
    }

    /// Kaldi's filter bank of three parts of a recording.
    fn sound(&self) -> anyhow::Result<LogMelSpec> {
        let number = |key: &str, default| self.number("vision_config", key).unwrap_or(default);
        let frames = self.vision_count("target_length", 1036)?;
        let rate_hz = self.vision_count("audio_sample_rate", 16_000)?;
        let reference = LogMelSpec::reference();
        let of_rate = |n: usize| n * rate_hz / reference.rate_hz as usize;
        let (window, hop) = (of_rate(reference.window), of_rate(reference.hop));
        let samples = frames.saturating_sub(1) * hop + window;
        Ok(LogMelSpec {
            rate_hz: u32::try_from(rate_hz).context("\"audio_sample_rate\"")?,
            clip_s: samples as f64 / rate_hz as f64,
            padding: Padding::Frames,
            remove_mean: vec![Extent::Clip, Extent::Frame],
            fft: window.next_power_of_two(),
            window,
            hop,
            mels: self.vision_count("num_mel_bins", 112)?,
            f_max_hz: rate_hz as f64 / 2.0,
            log: Log::Ln,
            frames,
            offset: -number("audio_mean", -4.267_739_3),
            scale: 2.0 * number("audio_std", 4.568_997_4),
            axes: SoundAxes::ChannelMelFrame,
            thirds: true,
            ..reference
        })
    }
}
