//! `import tagger`: a tagger of sounds, as an encoder that words find.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use prost::Message;
use sensorium_pack::{
    DataSet, FORMAT, Manifest, Modality, PackWriter, Provenance, Resemblance, Scoring, VERSION, npy,
};
use tract_onnx::pb::ModelProto;

use super::graft;
use super::head::TEMPERATURE;
use super::hub::family;
use super::sounds::{self, Statistics};
use crate::anchor::model::Model;
use crate::pack::{add_encoder, add_words};

mod source;
mod words;

use source::Source;
use words::Words;

/// What stands for a name in the sentence.
const PLACE: &str = "{}";

const CLASSES: &str = "classes.toml";

/// How scores are made of cosines; events begin and end at these scores.
const SCORING: Scoring = Scoring {
    temperature: 0.05,
    enter: 0.5,
    exit: 0.35,
};

/// In class space: of ESC-10's folds 1 and 2, 0.97 right at a mean score of 0.90.
const CLASS_SPACE_TEMPERATURE: f32 = 0.03;

const EXAMPLE: &str = "Example:
  sensorium-train import tagger mn04_as.onnx --names audioset_labels.csv \\
    --front-end trainer/recipes/taggers/mn04.toml --golden golden.npz --text-model minilm \\
    --sounds recordings --out mn04.pack
  sensorium-train import tagger ast-finetuned --text-model minilm --method conse \\
    --phrases trainer/recipes/sense-1/phrases.txt --out ast.pack
  sensorium classify --pack mn04.pack --text-model minilm --classes mine.toml --modality audio a.wav";

/// Makes an encoder that words find of a tagger of sounds, without training.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The tagger: spectrogram `[n, ...]` to logits `[n, names]`, before any sigmoid. Or a folder as
    /// model hubs publish classifiers, which says names and front end itself.
    #[arg(value_name = "TAGGER.onnx|DIR")]
    tagger: PathBuf,
    /// Names of its outputs: CSV with a column display_name, name, label or class, or a name a line.
    #[arg(long, value_name = "LABELS.csv")]
    names: Option<PathBuf>,
    /// What it was trained with, as data: the keys of a recipe's `front_end`.
    #[arg(long, value_name = "FE.toml")]
    front_end: Option<PathBuf>,
    /// Folder with the text model, model.onnx and tokenizer.json.
    #[arg(long, value_name = "DIR")]
    text_model: PathBuf,
    /// The text model's name; `classify` asks for it.
    #[arg(long, value_name = "NAME", default_value = "all-MiniLM-L6-v2")]
    text_model_name: String,
    /// File with a phrase a line; their mean embedding is the centre of the space, so the same file
    /// makes the same space [default: the names].
    #[arg(long, value_name = "FILE")]
    phrases: Option<PathBuf>,
    /// How its outputs become embeddings.
    #[arg(long, value_enum, default_value_t = Method::ClassSpace)]
    method: Method,
    /// By `conse`, how many of the most probable names count [default: all].
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// Folders of everyday recordings, for `class-space` and `dual`: what the tagger says of them is
    /// what is usual.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    sounds: Vec<PathBuf>,
    /// The output with the logits, if several have one number a name.
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// A recording and what the tagger makes of it, to check the front end by: .npz with arrays
    /// wave (or wave_32k), mel and logits.
    #[arg(long, value_name = "FILE.npz")]
    golden: Option<PathBuf>,
    /// The sentence that names are put into.
    #[arg(long, value_name = "TEXT", default_value = "the sound of {}")]
    template: String,
    /// The pack's default classes [default: the tagger's names].
    #[arg(long, value_name = "C.toml")]
    classes: Option<PathBuf>,
    /// What the tagger was trained on.
    #[arg(long, value_name = "TEXT", default_value = "not stated")]
    data: String,
    /// Licence of the tagger's weights and of what it was trained on, as the manifest tells it.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "not stated: ask who published the tagger"
    )]
    licence: String,
    /// Name of the space, to be that of other packs [default: sense-1; in class space, the pack's name].
    #[arg(long)]
    space: Option<String>,
    /// The pack's name [default: the tagger's file name].
    #[arg(long)]
    name: Option<String>,
    /// Length of a clip, where the tagger takes samples of any number.
    #[arg(long, value_name = "SECONDS")]
    clip_s: Option<f64>,
    /// Where the pack goes.
    #[arg(long, value_name = "FILE.pack")]
    out: PathBuf,
}

/// How outputs become embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The outputs themselves, in a space of their own, where a word is its resemblance to the names.
    ClassSpace,
    /// A linear map that does nearly that in the text model's space, where other senses are.
    Dual,
    /// The names' embeddings, weighted by probability.
    Conse,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(
        args.template.contains(PLACE),
        "--template is {:?}, expected a sentence with {PLACE} where the name goes",
        args.template
    );
    ensure!(
        args.method != Method::Dual || !args.sounds.is_empty(),
        "--method dual needs --sounds, folders of recordings that tell what is usual"
    );
    let mut source = Source::open(args)?;
    let model = Model::open(&source.onnx)?;
    family::fit_clip(&mut source.front_end, args.clip_s, || model.input_shape(0))?;
    let Source { names, .. } = &source;
    let front_end = source.hears()?;
    let (logits, runner) = source.tagger(&model, &front_end, args.output.as_deref())?;
    if let Some(golden) = &args.golden {
        source::check_golden(golden, &source.front_end, &model, &logits)
            .with_context(|| format!("{golden:?}"))?;
    }
    ensure!(
        args.top
            .is_none_or(|top| args.method == Method::Conse && (1..=names.len()).contains(&top)),
        "--top is {}, expected --method conse and 1 to {}, as many as there are names",
        args.top.unwrap_or(0),
        names.len()
    );
    let usual = match args.method == Method::Conse || args.sounds.is_empty() {
        true => None,
        false => Some(Statistics::of(
            &sounds::find(&args.sounds)?,
            &front_end,
            &runner,
        )?),
    };
    ensure!(
        usual.as_ref().is_none_or(|usual| !usual.within_one),
        "output {logits:?} of {:?} is never below 0 or above 1: these are probabilities, expected \
         the logits before the sigmoid",
        source.onnx
    );
    let words = Words::embed(args, names)?;
    let head = words.head(args, usual.as_ref())?;
    let path = &source.onnx;
    let bytes = std::fs::read(path).with_context(|| format!("reading {path:?}"))?;
    let proto = ModelProto::decode(&bytes[..]).with_context(|| format!("{path:?}"))?;
    let onnx = graft::graft(proto, &logits, &head).with_context(|| format!("{path:?}"))?;
    let pack = pack(args, &source, &words, onnx, usual.as_ref())?;
    sensorium_pack::write_whole(&args.out, &pack)
        .with_context(|| format!("writing {:?}", args.out))?;
    println!(
        "{} bytes in {:?}: {} names, {} numbers an embedding",
        pack.len(),
        args.out,
        names.len(),
        head.dim
    );
    Ok(())
}

fn pack(
    args: &Args,
    source: &Source,
    words: &Words,
    onnx: Vec<u8>,
    usual: Option<&Statistics>,
) -> anyhow::Result<Vec<u8>> {
    let names_from = match &args.names {
        Some(path) => file_name(path),
        None => "config.json".to_owned(),
    };
    let stem = args.tagger.file_stem().unwrap_or_default();
    let name = match &args.name {
        Some(name) => name.clone(),
        None => stem.to_string_lossy().into_owned(),
    };
    let in_class_space = args.method == Method::ClassSpace;
    let space_name = match &args.space {
        Some(space) => space.as_str(),
        None if in_class_space => &name,
        None => "sense-1",
    };
    let mut writer = PackWriter::new();
    let mut space = add_words(&mut writer, space_name, &words.anchor)?;
    if in_class_space {
        let member = format!("spaces/{space_name}/names.npy");
        let names = words.resembled();
        let shape = [names.len(), words.anchor.dim()];
        writer.add(&member, npy::to_bytes(&shape, &names.concat())?);
        space.dim = names.len() + 1;
        space.resemblance = Some(Resemblance {
            names: member,
            temperature: TEMPERATURE,
        });
    }
    let scoring = Scoring {
        temperature: match in_class_space {
            true => CLASS_SPACE_TEMPERATURE,
            false => SCORING.temperature,
        },
        ..SCORING
    };
    let sense = (Modality::Audio, &source.front_end);
    let (encoder, _) = add_encoder(&mut writer, (&name, space_name), sense, scoring, onnx)?;
    writer.add(CLASSES, toml::to_string(&words.classes)?.into_bytes());
    let binding = match usual {
        _ if in_class_space => format!(
            "Not trained here: outputs of the tagger {}, {}, in a space whose axes are the names in {}; \
             words are in it by what they resemble among the names, by the text model (method class \
             space).",
            file_name(&args.tagger),
            match usual {
                Some(usual) => format!(
                    "standardised by {} windows of everyday sound",
                    usual.windows
                ),
                None => "as they are".to_owned(),
            },
            names_from
        ),
        Some(usual) => format!(
            "Not trained here: outputs of the tagger {}, standardised by {} windows of everyday \
             sound and mapped into the text model's space by ridge regression over the names in \
             {} (method dual).",
            file_name(&args.tagger),
            usual.windows,
            names_from
        ),
        None => format!(
            "Not trained here: embeddings of the names in {}, weighted by the probabilities that \
             the tagger {} gives{} (method ConSE).",
            names_from,
            file_name(&args.tagger),
            match args.top {
                Some(top) => format!(", the {top} greatest of them"),
                None => String::new(),
            }
        ),
    };
    let provenance = Provenance {
        encoder: name.clone(),
        binding,
        data: vec![DataSet {
            name: args.data.clone(),
            licence: args.licence.clone(),
        }],
        split: "the tagger's own".to_owned(),
        command: command(args),
        seed: 0,
        commit: None,
        metrics: BTreeMap::new(),
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION,
        name,
        spaces: vec![space],
        encoders: vec![encoder],
        classes: CLASSES.to_owned(),
        provenance: vec![provenance],
        members: Vec::new(),
    };
    Ok(writer.to_bytes(manifest)?)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The command that made a pack, with the names of its files.
fn command(args: &Args) -> String {
    let mut words = vec![format!(
        "sensorium-train import tagger {}",
        file_name(&args.tagger)
    )];
    for (option, path) in [
        ("names", &args.names),
        ("front-end", &args.front_end),
        ("phrases", &args.phrases),
    ] {
        words.extend(
            path.iter()
                .map(|path| format!("--{option} {}", file_name(path))),
        );
    }
    let method = args.method.to_possible_value();
    let method = method.as_ref().map_or("", |method| method.get_name());
    words.push(format!("--method {method}"));
    words.extend(args.top.iter().map(|top| format!("--top {top}")));
    words.join(" ")
}
