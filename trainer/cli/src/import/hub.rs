//! `import hub`: folders as model hubs publish them, as packs.
//!
//! ```text
//! config.json, *_config.json ─▶ front ends ─┐
//! tokenizer.json ─▶ how words are said ─────┼─▶ pack ─▶ against the folder's golden outputs ─▶ file
//! onnx/*.onnx ─▶ one output, of length 1 ───┘
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use sensorium_engine::join::text_part;
use sensorium_pack::{Pack, Pooling, write_whole};

use super::contents::{Contents, NewEncoder, Told};
use super::onnx;
use super::options::Options;
use crate::quantize::Quantize;

pub mod family;
pub mod folder;
mod golden;
mod image;
mod keys;
mod languagebind;
pub mod net;
mod sentence;
mod sound;
#[cfg(test)]
mod tests;
pub mod text;
mod widen;

pub use keys::read_json;

use family::{Choices, Parts};
use folder::Folder;
use golden::{Golden, Limit};
use text::TextPart;

/// What a folder of one encoder says of it, beside its ONNX file.
const ENCODER: &str = "encoder.toml";
const ENCODER_ONNX: &str = "encoder.onnx";

const EXAMPLE: &str = "Examples:
  sensorium-train import hub clip-vit-base-patch32 --out clip.pack
  sensorium-train import hub siglip-base --variant fp16 --classes mine.toml --out siglip.pack
  sensorium-train import hub clap-htsat-unfused --quantize int8 --out clap.pack
  sensorium-train import hub LanguageBind_Depth LanguageBind_Thermal LanguageBind_Audio --out bind.pack
  sensorium embed --pack clap.pack --modality audio a.wav --text \"a dog barking\" --out rows.npy

Folders: CLIP (OpenCLIP and MobileCLIP as they are published with a config.json of CLIP), SigLIP, CLAP,
sentence encoders, classifiers of sounds (AST, wav2vec 2.0 and its kind) or pictures, LanguageBind (depth, thermal, audio, image:
their weights as PyTorch has them), and folders of an encoder.onnx with an encoder.toml (see import onnx). Where a folder has golden outputs (golden/golden.safetensors), the pack
is only written if it gives the same.";

/// Makes a pack of folders as model hubs publish them: ONNX files, and what makes their inputs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The folders; those with the same text tower share a space.
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Which of the ONNX files, by what their names end with, such as quantized, fp16 or int8.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// How tokens become one vector, of folders that do not say it.
    #[arg(long, value_enum)]
    pooling: Option<PoolingArg>,
    /// Length of a clip of sound, where the net takes samples of any number (wav2vec 2.0 and its kind)
    /// [default: 2].
    #[arg(long, value_name = "SECONDS")]
    clip_s: Option<f64>,
    #[command(flatten)]
    options: Options,
}

/// How tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingArg {
    /// Their mean.
    Mean,
    /// The first of them.
    Cls,
    /// The largest of each number.
    Max,
    /// The last of them.
    Last,
}

impl PoolingArg {
    fn pooling(self) -> Pooling {
        match self {
            Self::Mean => Pooling::Mean,
            Self::Cls => Pooling::First,
            Self::Max => Pooling::Max,
            Self::Last => Pooling::EndOfText,
        }
    }
}

/// A folder that is in the pack.
struct Done {
    dir: PathBuf,
    space: String,
    text: Option<TextPart>,
    encoders: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let options = &args.options;
    if args.dirs.iter().any(|dir| languagebind::is_one(dir)) {
        return languagebind::run(&args.dirs, options);
    }
    let mut contents = Contents::new(options.weights(), options.classes()?);
    let mut done: Vec<Done> = Vec::new();
    for dir in &args.dirs {
        let added = add(args, dir, &mut contents, &done);
        done.push(added.with_context(|| format!("importing {dir:?}"))?);
    }
    let name = match (&options.name, &args.dirs[..]) {
        (Some(name), _) => name.clone(),
        (None, [first, ..]) => folder::name(first)?,
        (None, []) => String::new(),
    };
    let bytes = contents.finish(name)?;
    let pack = Pack::from_bytes(&bytes)?;
    // Golden outputs are those of the files as they were trained.
    let limit = match (options.quantize, &args.variant) {
        (Quantize::None, None) => Limit::Float,
        _ => Limit::Cosine(options.min_cosine),
    };
    for folder in &done {
        check(folder, &pack, limit).with_context(|| format!("{:?}", folder.dir))?;
    }
    write_whole(&options.out, &bytes).with_context(|| format!("writing {:?}", options.out))?;
    let manifest = pack.manifest();
    println!(
        "{} bytes in {:?}: {} spaces, {} encoders",
        bytes.len(),
        options.out,
        manifest.spaces.len(),
        manifest.encoders.len()
    );
    Ok(())
}

/// Adds what a folder holds.
fn add(args: &Args, dir: &Path, contents: &mut Contents, done: &[Done]) -> anyhow::Result<Done> {
    let Options { data, quantize, .. } = &args.options;
    if dir.join(ENCODER).is_file() {
        return add_encoder_folder(args, dir, contents);
    }
    let folder = Folder::open(dir, args.variant.as_deref())?;
    let choices = Choices {
        pooling: args.pooling.map(PoolingArg::pooling),
        clip_s: args.clip_s,
    };
    let Parts {
        text,
        encoders,
        names,
    } = family::read(&folder, choices)?;
    let family = folder.word(&["model_type"]).unwrap_or("another kind");
    let quantised = match quantize {
        Quantize::None => "weights as published",
        Quantize::Int8 => "weights as int8, a scale an output channel",
    };
    let command = format!("sensorium-train import hub {}", folder.name);
    let told = |what: &str| Told {
        binding: format!(
            "Not trained here: {what} of the published model {} ({family}), {quantised}. Its space is \
             the model's own.",
            folder.name
        ),
        data: data.clone(),
        licence: args.options.licence_or(folder.licence()),
        command: command.clone(),
    };
    let shared = text.as_ref().and_then(|text| {
        let same = |done: &&Done| {
            let other = done.text.as_ref();
            other.is_some_and(|other| other.digest == text.digest)
        };
        done.iter().find(same).map(|done| done.space.clone())
    });
    let space = match (shared, &text, &names) {
        (Some(space), _, _) => space,
        (None, Some(text), _) => {
            let least = contents.add_text(&folder.name, text)?;
            let part = text_part(&folder.name);
            contents.tell(&part, &told("the text tower"), least);
            folder.name.clone()
        }
        (None, None, Some(names)) => {
            contents.add_names(&folder.name, names)?;
            folder.name.clone()
        }
        (None, None, None) => anyhow::bail!("there is nothing that words could be compared with"),
    };
    let mut added = Vec::new();
    for part in encoders {
        let name = format!("{}-{}", folder.name, part.modality);
        if let Some(names) = &names {
            ensure!(
                part.dim == names.len(),
                "the classifier gives {} numbers, and config.json has {} names",
                part.dim,
                names.len()
            );
        }
        let what = match names {
            Some(_) => format!(
                "the logits, at length 1, of the classifier of {}",
                part.modality
            ),
            None => format!("the encoder of {}", part.modality),
        };
        let least = contents.add_encoder(NewEncoder::of(part, &name, &space))?;
        contents.tell(&name, &told(&what), least);
        added.push(name);
    }
    Ok(Done {
        dir: dir.to_owned(),
        space,
        text,
        encoders: added,
    })
}

/// Adds the encoder of a folder that is none of a hub, but says what it takes.
fn add_encoder_folder(args: &Args, dir: &Path, contents: &mut Contents) -> anyhow::Result<Done> {
    let name = folder::name(dir)?;
    let part = onnx::read(&dir.join(ENCODER_ONNX), &dir.join(ENCODER))?;
    contents.add_anchor(&name, onnx::no_words(part.dim))?;
    let encoder = format!("{name}-{}", part.modality);
    let least = contents.add_encoder(NewEncoder::of(part, &encoder, &name))?;
    let command = format!("sensorium-train import hub {name}");
    contents.tell(&encoder, &onnx::told(&name, &args.options, &command), least);
    Ok(Done {
        dir: dir.to_owned(),
        space: name,
        text: None,
        encoders: vec![encoder],
    })
}

/// Compares what the pack gives with a folder's golden outputs, if it has any.
fn check(done: &Done, pack: &Pack, limit: Limit) -> anyhow::Result<()> {
    let Some(golden) = Golden::open(&done.dir)? else {
        return Ok(());
    };
    if let Some(text) = &done.text {
        golden.check_words(pack, &done.space, text, limit)?;
    }
    let encoders = done.encoders.iter();
    let mut encoders = encoders.map(|name| golden.check_encoder(pack, name, limit));
    encoders.try_for_each(|checked| checked)
}
