//! `import tagger`: a tagger of sounds, as an encoder that words find.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use prost::Message;
use sensorium_core::bank::normalize;
use sensorium_core::feature::{FrontEnd, Processor, SoundFrontEnd};
use sensorium_engine::classes::Classes;
use sensorium_engine::keys::from_toml;
use sensorium_engine::text::TextTower;
use sensorium_media::array;
use sensorium_pack::{
    DataSet, FORMAT, Manifest, Modality, PackWriter, Provenance, Resemblance, Scoring, VERSION, npy,
};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Tensor;

use super::head::{Head, NAME_WEIGHT, PART_WEIGHT, PHRASE_WEIGHT, TEMPERATURE};
use super::hub::family;
use super::hub::folder::Folder;
use super::sounds::{self, Statistics};
use super::{graft, names};
use crate::anchor::model::{Model, Output, Runner};
use crate::anchor::{Anchor, list};
use crate::pack::{add_encoder, add_words};
use crate::progress;

/// Largest difference to the golden spectrogram that is the same spectrogram.
const MAX_MEL: f32 = 1e-3;

/// Largest difference to the golden outputs that is the same tagger. Outputs are logits of about 10.
const MAX_LOGIT: f32 = 1e-2;

/// Texts embedded at once.
const TEXTS: usize = 16;

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
    if let FrontEnd::Wave(spec) = &mut source.front_end {
        family::fit_clip(spec, &model.input_shape(0)?, args.clip_s)?;
    }
    let Source { names, .. } = &source;
    let front_end = built(&source.front_end).with_context(|| source.made_by.clone())?;
    let (logits, runner) = tagger(args, &source, &model, &front_end)?;
    if let Some(golden) = &args.golden {
        check_golden(golden, &source.front_end, &model, &logits)
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

/// A tagger's file, and what is known of it.
struct Source {
    onnx: PathBuf,
    names: Vec<String>,
    /// What the names are from.
    names_from: String,
    front_end: FrontEnd,
    /// What the front end is from.
    made_by: String,
}

impl Source {
    fn open(args: &Args) -> anyhow::Result<Self> {
        let dir = &args.tagger;
        if !dir.is_dir() {
            let names = args.names.as_ref();
            let names =
                names.context("--names is missing, which says what its outputs are called")?;
            let front_end = args.front_end.as_ref();
            let front_end = front_end
                .context("--front-end is missing, which says what the tagger was trained with")?;
            return Ok(Self {
                onnx: args.tagger.clone(),
                names: names::read(names)?,
                names_from: format!("{names:?}"),
                front_end: read_front_end(front_end)?,
                made_by: format!("{front_end:?}"),
            });
        }
        let folder = Folder::open(dir, None)?;
        let processor = folder.processor(&["feature_extractor"])?;
        let made_by = processor.place().to_owned();
        let front_end = match args.front_end.as_ref() {
            Some(path) => read_front_end(path)?,
            None => family::front_end(processor)?,
        };
        ensure!(
            Modality::Audio.takes(&front_end),
            "{made_by} is of kind {:?}, expected one of sound",
            front_end.kind()
        );
        let (names, names_from) = match &args.names {
            Some(path) => (names::read(path)?, format!("{path:?}")),
            None => (folder.labels()?, format!("{:?}", dir.join("config.json"))),
        };
        Ok(Self {
            onnx: folder.onnx(&["model"])?,
            names,
            names_from,
            front_end,
            made_by,
        })
    }
}

fn read_front_end(path: &Path) -> anyhow::Result<FrontEnd> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    let front_end = from_toml(&text).with_context(|| format!("{path:?}"))?;
    ensure!(
        Modality::Audio.takes(&front_end),
        "{path:?} is no front end of sound, expected kind = \"log-mel\" or \"wave\""
    );
    Ok(front_end)
}

/// What hears by a front end of sound.
fn built(front_end: &FrontEnd) -> anyhow::Result<SoundFrontEnd> {
    match front_end.build()? {
        Processor::Sound(front_end) => Ok(front_end),
        _ => bail!(
            "it is of kind {:?}, expected one of sound",
            front_end.kind()
        ),
    }
}

/// The output that holds a number a name, and the model prepared for one clip.
fn tagger(
    args: &Args,
    source: &Source,
    model: &Model,
    front_end: &SoundFrontEnd,
) -> anyhow::Result<(String, Runner)> {
    let (path, names) = (&source.onnx, source.names.len());
    let inputs = model.inputs()?;
    ensure!(
        inputs.len() == 1,
        "{path:?} is no tagger: its inputs are {inputs:?}, expected one"
    );
    let shape = [&[1], &front_end.output_shape()[..]].concat();
    let taken = model.input_shape(0)?;
    let fits = |(taken, given): (&Option<usize>, &usize)| taken.is_none_or(|len| len == *given);
    ensure!(
        taken.is_empty()
            || (taken.len() == shape.len() && taken.iter().zip(&shape).skip(1).all(fits)),
        "{path:?} takes {}, and the front end gives {shape:?}",
        shown(&taken)
    );
    let silence = vec![0.0f32; front_end.output_len()];
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for output in model.outputs()? {
        if args.output.as_ref().is_some_and(|wanted| *wanted != output) {
            others.push(output);
            continue;
        }
        let runner = model.prepare(
            Some(std::slice::from_ref(&shape)),
            Some(&Output::Name(output.clone())),
        )?;
        let (_, given) = runner
            .run(vec![Tensor::from_shape(&shape, &silence)?])
            .context("it does not take what the front end gives")?;
        if given == [1, names] {
            found.push((output, runner));
        } else {
            others.push(format!("{output} {given:?}"));
        }
    }
    let all: Vec<String> = found.iter().map(|(output, _)| output.clone()).collect();
    match (found.pop(), all.len()) {
        (Some(found), 1) => Ok(found),
        (Some(_), _) => {
            bail!("{path:?} has several outputs of {names} numbers, say which by --output: {all:?}")
        }
        (None, _) => bail!(
            "{path:?} is no tagger of these names: its outputs are {others:?}, expected one of \
             [1, {names}], a number for each of the {names} names in {}",
            source.names_from
        ),
    }
}

/// Axes as people write them.
fn shown(axes: &[Option<usize>]) -> String {
    let axis = |len: &Option<usize>| len.map_or("any".to_owned(), |len| len.to_string());
    let axes: Vec<String> = axes.iter().map(axis).collect();
    format!("[{}]", axes.join(", "))
}

/// Whether the front end and the model give what they gave where the tagger comes from.
fn check_golden(
    path: &Path,
    front_end: &FrontEnd,
    model: &Model,
    logits: &str,
) -> anyhow::Result<()> {
    let read = |name: &str| -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
        let array = array::open(path, Some(name))?;
        let values = array.numbers.to_f32(0..array.numbers.len());
        Ok((array.shape, values))
    };
    let rated = format!("wave_{}k", built(front_end)?.rate_hz() / 1000);
    let (_, wave) = read("wave").or_else(|_| read(&rated))?;
    // The recording is one clip, whatever it is elsewhere.
    let mut front_end = front_end.clone();
    let mut mel = None;
    match &mut front_end {
        FrontEnd::LogMel(spec) => {
            let (shape, expected) = read("mel")?;
            spec.clip_s = wave.len() as f64 / f64::from(spec.rate_hz);
            spec.frames = expected.len() / spec.mels;
            mel = Some((shape, expected));
        }
        FrontEnd::Wave(spec) => spec.clip_s = wave.len() as f64 / f64::from(spec.rate_hz),
        _ => {}
    }
    let front_end = built(&front_end)?;
    let mut features = vec![0.0; front_end.output_len()];
    front_end.clip(&wave, &mut features)?;
    if let Some((shape, expected)) = mel {
        ensure!(
            front_end.output_len() == expected.len(),
            "mel has shape {shape:?}, and the front end gives {:?} of this recording",
            front_end.output_shape()
        );
        let difference = worst(&features, &expected);
        eprintln!("golden: the spectrogram differs by {difference:.1e}, at most {MAX_MEL:.0e}");
        ensure!(
            difference <= MAX_MEL,
            "its spectrogram differs from the front end's by {difference:.2e}, expected at most \
             {MAX_MEL:.0e}: the tagger was trained with another front end"
        );
    }
    let (_, expected) = read("logits")?;
    let shape = [&[1], &front_end.output_shape()[..]].concat();
    let runner = model.prepare(
        Some(std::slice::from_ref(&shape)),
        Some(&Output::Name(logits.to_owned())),
    )?;
    let (actual, _) = runner.run(vec![Tensor::from_shape(&shape, &features)?])?;
    let difference = worst(&actual, &expected);
    eprintln!("golden: the logits differ by {difference:.1e}, at most {MAX_LOGIT:.0e}");
    ensure!(
        difference <= MAX_LOGIT,
        "its logits differ from the tagger's by {difference:.2e}, expected at most {MAX_LOGIT:.0e}"
    );
    Ok(())
}

/// The largest difference; infinite where there is none or it is no number.
fn worst(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |worst, d| {
        if d.is_nan() {
            f32::INFINITY
        } else {
            worst.max(d)
        }
    })
}

/// All that is put into words.
struct Words {
    classes: Classes,
    anchor: Anchor,
    /// Names in the sentence, and as they are where that counts, parts of names in the sentence, phrases
    /// as they are: places among the anchor's.
    names: Vec<usize>,
    bare: Vec<usize>,
    parts: Vec<usize>,
    phrases: Vec<usize>,
}

impl Words {
    fn embed(args: &Args, names: &[String]) -> anyhow::Result<Self> {
        let phrases = match &args.phrases {
            None => Vec::new(),
            Some(path) => {
                let phrases = list::lines(path)?;
                ensure!(!phrases.is_empty(), "{path:?} holds no phrase");
                phrases
            }
        };
        let said = |name: &str| args.template.replace(PLACE, name);
        let classes = match &args.classes {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("reading {path:?}"))?;
                Classes::parse(&text).with_context(|| format!("{path:?}"))?
            }
            None => names::as_classes(names, Modality::Audio, |name| said(&name.to_lowercase())),
        };
        let mut prompts = Vec::new();
        let mut places = BTreeMap::new();
        let mut place = |text: String| {
            *places.entry(text.clone()).or_insert_with(|| {
                prompts.push(text);
                prompts.len() - 1
            })
        };
        let named = names.iter().map(|name| place(said(&name.to_lowercase())));
        let named: Vec<usize> = named.collect();
        let parts = names.iter().flat_map(|name| names::parts(name));
        let parts: Vec<usize> = parts.map(|part| place(said(&part))).collect();
        let bare: Vec<usize> = match args.method {
            Method::ClassSpace => { names.iter() }
                .map(|name| place(name.to_lowercase()))
                .collect(),
            Method::Dual | Method::Conse => Vec::new(),
        };
        let phrases: Vec<usize> = phrases.into_iter().map(&mut place).collect();
        let classes_said = classes.classes.iter().flat_map(|class| &class.prompts);
        for prompt in classes_said.chain(&classes.background.prompts) {
            place(prompt.clone());
        }
        let tower = TextTower::open(&args.text_model)
            .with_context(|| format!("opening the text model {:?}", args.text_model))?;
        let bar = progress::bar(prompts.len() as u64, "texts");
        let mut rows = Vec::with_capacity(prompts.len());
        for texts in prompts.chunks(TEXTS) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            rows.extend(tower.embed(&texts)?);
            bar.inc(texts.len() as u64);
        }
        bar.finish_and_clear();
        let mut sums = vec![0.0f64; tower.dim()];
        let centred_by = if phrases.is_empty() { &named } else { &phrases };
        for &phrase in centred_by {
            for (sum, value) in sums.iter_mut().zip(&rows[phrase]) {
                *sum += f64::from(*value);
            }
        }
        let mean = |sum: f64| (sum / centred_by.len() as f64) as f32;
        Ok(Self {
            anchor: Anchor {
                text_model: args.text_model_name.clone(),
                prompts,
                rows: rows.concat(),
                centre: sums.into_iter().map(mean).collect(),
            },
            classes,
            names: named,
            bare,
            parts,
            phrases,
        })
    }

    /// The direction of a text.
    fn direction(&self, place: usize) -> Vec<f32> {
        let dim = self.anchor.dim();
        let row = &self.anchor.rows[place * dim..][..dim];
        let mut direction: Vec<f32> = row
            .iter()
            .zip(&self.anchor.centre)
            .map(|(value, centre)| value - centre)
            .collect();
        normalize(&mut direction);
        direction
    }

    /// The names for words to resemble, typed alone or in the sentence.
    fn resembled(&self) -> Vec<Vec<f32>> {
        let both = self.names.iter().zip(&self.bare).map(|(&said, &bare)| {
            let (said, bare) = (self.direction(said), self.direction(bare));
            let mut both: Vec<f32> = said.iter().zip(&bare).map(|(a, b)| a + b).collect();
            normalize(&mut both);
            both
        });
        both.collect()
    }

    fn head(&self, args: &Args, usual: Option<&Statistics>) -> anyhow::Result<Head> {
        if args.method == Method::ClassSpace {
            let usual = usual.map(|usual| (&usual.means[..], &usual.spreads[..]));
            return Ok(Head::class_space(self.names.len(), usual));
        }
        let directions = |places: &[usize]| -> Vec<Vec<f32>> {
            places.iter().map(|&place| self.direction(place)).collect()
        };
        let named = directions(&self.names);
        let Some(usual) = usual else {
            return Ok(Head::conse(&named, args.top));
        };
        let (parts, phrases) = (directions(&self.parts), directions(&self.phrases));
        let weighted = [
            (&named, NAME_WEIGHT),
            (&parts, PART_WEIGHT),
            (&phrases, PHRASE_WEIGHT),
        ];
        let words: Vec<(&[f32], f64)> = weighted
            .into_iter()
            .flat_map(|(rows, weight)| rows.iter().map(move |row| (&row[..], weight)))
            .collect();
        Ok(Head::dual(&named, &words, &usual.means, &usual.spreads)?)
    }
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
