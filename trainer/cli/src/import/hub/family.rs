//! Which kinds of folders are known, and what of each goes into a pack.

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::{FrontEnd, WaveAxes};
use sensorium_pack::{Modality, Pooling, WordsSpec};

use super::folder::Folder;
use super::keys::Keys;
use super::text::{Fill, TextPart};
use super::{image, sentence, sound};

/// The kinds of folders that are known.
const KNOWN: &str = "clip, siglip, clap, a classifier of sounds or pictures, or a sentence encoder \
                     (a folder with modules.json, or --pooling), or LanguageBind's";

/// Cosines over it before the softmax, by family: CLIP's learned scale ends at its bound of 100 in all
/// published ones, SigLIP's at 110 or so, CLAP's between 15 and 20.
const CLIP_TEMPERATURE: f32 = 0.01;
const SIGLIP_TEMPERATURE: f32 = 0.01;
const CLAP_TEMPERATURE: f32 = 0.06;

/// Of a classifier's logits at length 1, whose cosines to its names are the shares of each.
const CLASSIFIER_TEMPERATURE: f32 = 0.1;

/// An encoder of a folder, ready for a pack.
#[derive(Debug)]
pub struct EncoderPart {
    /// Its sense.
    pub modality: Modality,
    /// How its input is made.
    pub front_end: FrontEnd,
    /// Its file, of rows of length 1.
    pub onnx: Vec<u8>,
    /// Numbers of a row.
    pub dim: usize,
    /// Cosines are divided by it before the softmax.
    pub temperature: f32,
}

/// What goes into a pack of a folder.
#[derive(Debug, Default)]
pub struct Parts {
    /// The text tower.
    pub text: Option<TextPart>,
    /// Encoders of other senses.
    pub encoders: Vec<EncoderPart>,
    /// The names of a classifier's outputs, which are the axes of its space.
    pub names: Option<Vec<String>>,
}

/// What folders may leave open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// How tokens become one vector.
    pub pooling: Option<Pooling>,
    /// Length of a clip of sound, of nets that take samples of any number.
    pub clip_s: Option<f64>,
}

/// Reads what a folder holds.
///
/// # Errors
///
/// A folder of no known kind, or one of which something is missing or not understood.
pub fn read(folder: &Folder, choices: Choices) -> anyhow::Result<Parts> {
    let Choices { pooling, clip_s } = choices;
    let family = folder.word(&["model_type"]).unwrap_or_default();
    ensure!(
        clip_s.is_none() || is_classifier(folder),
        "--clip-s is for nets that take samples of any number, and {:?} holds none",
        folder.dir
    );
    match family {
        _ if is_classifier(folder) => classifier(folder, clip_s),
        "clip" | "mobileclip" => pair(folder, Modality::Image, Fill::Whole, CLIP_TEMPERATURE),
        "siglip" => pair(folder, Modality::Image, Fill::Whole, SIGLIP_TEMPERATURE),
        "clap" => pair(folder, Modality::Audio, Fill::Nothing, CLAP_TEMPERATURE),
        _ if sentence::is_sentence(folder) || pooling.is_some() => Ok(Parts {
            text: Some(sentence::text(folder, pooling)?),
            ..Parts::default()
        }),
        _ => bail!("{:?} is of kind {family:?}, expected {KNOWN}", folder.dir),
    }
}

/// A text tower and one of pictures or sounds, trained together.
fn pair(
    folder: &Folder,
    modality: Modality,
    fill: Fill,
    temperature: f32,
) -> anyhow::Result<Parts> {
    let (file, embeds, part) = match modality {
        Modality::Audio => ("audio_model", "audio_embeds", "feature_extractor"),
        _ => ("vision_model", "image_embeds", "image_processor"),
    };
    // SigLIP's towers pool by themselves and project nothing, so theirs are the embeddings.
    let is_siglip = folder.word(&["model_type"]) == Some("siglip");
    let outputs = |embeds| match is_siglip {
        true => vec![embeds, "pooler_output"],
        false => vec![embeds],
    };
    let mut net = folder.net(&["text_model", "model"])?;
    net.keep(&outputs("text_embeds"))?;
    let mut words = WordsSpec {
        pooling: Pooling::None,
        tokens: usize::MAX,
        ..WordsSpec::default()
    };
    if let Some(places) = folder.number(&["text_config", "max_position_embeddings"]) {
        // Texts of RoBERTa's kind have their places after the number of the padding.
        let lost = match modality {
            Modality::Audio => {
                folder
                    .number(&["text_config", "pad_token_id"])
                    .unwrap_or(1.0)
                    + 1.0
            }
            _ => 0.0,
        };
        words.tokens = (places - lost).max(1.0) as usize;
    }
    let text = TextPart::new(folder, net, fill, words, Vec::new()).context("the text tower")?;
    let front_end = front_end(folder.processor(&[part])?)?;
    let encoder = encoder(
        folder,
        (modality, front_end),
        &[file, "model"],
        &outputs(embeds),
    )?;
    Ok(Parts {
        text: Some(text),
        encoders: vec![EncoderPart {
            temperature,
            ..encoder
        }],
        names: None,
    })
}

fn is_classifier(folder: &Folder) -> bool {
    let architecture = folder.config["architectures"][0].as_str();
    architecture.is_some_and(|name| name.ends_with("Classification"))
}

/// A classifier, whose names are the axes of its space.
fn classifier(folder: &Folder, clip_s: Option<f64>) -> anyhow::Result<Parts> {
    let names = folder.labels()?;
    let parts = ["feature_extractor", "image_processor"];
    let mut front_end = front_end(folder.processor(&parts)?)?;
    fit_clip(&mut front_end, clip_s, || {
        Ok(folder.net(&["model"])?.only_input()?.1)
    })?;
    let modality = match &front_end {
        FrontEnd::LogMel(_) | FrontEnd::Wave(_) => Modality::Audio,
        _ => Modality::Image,
    };
    let encoder = encoder(folder, (modality, front_end), &["model"], &["logits"])?;
    Ok(Parts {
        text: None,
        encoders: vec![EncoderPart {
            temperature: CLASSIFIER_TEMPERATURE,
            ..encoder
        }],
        names: Some(names),
    })
}

/// The front end of a file that says what makes inputs.
pub fn front_end(keys: Keys) -> anyhow::Result<FrontEnd> {
    let kind = keys.word("feature_extractor_type");
    let is_sound = kind.is_some_and(|kind| sound::KINDS.contains(&kind));
    Ok(match is_sound || keys.has("sampling_rate") {
        true => sound::front_end(keys)?,
        false => FrontEnd::Image(image::front_end(keys)?),
    })
}

/// Makes clips of samples as long as a net takes them, whose input has these axes; where it takes any, as
/// long as is asked for.
///
/// # Errors
///
/// Another length asked for than the net takes, or one where clips are not of samples.
pub fn fit_clip(
    front_end: &mut FrontEnd,
    clip_s: Option<f64>,
    axes: impl FnOnce() -> anyhow::Result<Vec<Option<usize>>>,
) -> anyhow::Result<()> {
    let FrontEnd::Wave(spec) = front_end else {
        ensure!(
            clip_s.is_none(),
            "--clip-s is for nets that take samples of any number, and this one is given what a front end \
             {:?} makes",
            front_end.kind()
        );
        return Ok(());
    };
    let axes = axes()?;
    if axes.len() == 3 {
        spec.axes = WaveAxes::ChannelSample;
    }
    let taken = axes.last().copied().flatten();
    let taken_s = taken.map(|samples| samples as f64 / f64::from(spec.rate_hz));
    if let (Some(taken_s), Some(clip_s)) = (taken_s, clip_s) {
        ensure!(
            taken_s == clip_s,
            "--clip-s is {clip_s}, and the net takes {taken_s} s"
        );
    }
    spec.clip_s = taken_s.or(clip_s).unwrap_or(spec.clip_s);
    Ok(())
}

fn encoder(
    folder: &Folder,
    (modality, front_end): (Modality, FrontEnd),
    files: &[&str],
    outputs: &[&str],
) -> anyhow::Result<EncoderPart> {
    let made = || -> anyhow::Result<(Vec<u8>, usize)> {
        let shape = front_end.build()?.output_shape();
        let mut net = folder.net(files)?;
        net.keep(outputs)?;
        net.ensure_takes(&shape)?;
        net.into_encoder(&shape)
    };
    let (onnx, dim) = made().with_context(|| format!("the encoder of {modality}"))?;
    Ok(EncoderPart {
        onnx,
        dim,
        modality,
        front_end,
        temperature: 1.0,
    })
}
