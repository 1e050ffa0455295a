//! `eval`: what an encoder gets right on people whom it was not trained on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use rayon::prelude::*;
use sensorium_core::bank::{ClassBank, normalize};
use sensorium_data::SampleError;
use sensorium_engine::classes::Classes;
use sensorium_model::backend::Inference;
use sensorium_model::ops::FusedBackend;
use sensorium_model::{Input, Tower};
use sensorium_pack::Modality;
use serde::Serialize;

use crate::anchor::Anchor;
use crate::anchor::cache::AnchorCache;
use crate::anchor::spec::open_space;
use crate::export::{OnnxEncoder, export};
use crate::quantize::Quantize;
use crate::recipe::Recipe;
use crate::run::{RunDir, TRUNK};
use crate::samples::Samples;
use crate::table;

mod calibration;
mod few;
mod held_out;
mod int8;
mod mounting;
mod report;

use few::FewShots;
use int8::Comparison;
use mounting::{CHANGES, Change, Mounted, Mountings};
pub use report::Report;

/// What was measured, in a training's folder.
pub const FILE: &str = "eval.json";

/// What was measured of the encoder with weights as integers.
pub const INT8_FILE: &str = "eval-int8.json";

/// Samples, and windows, that are embedded at once.
const BATCH: usize = 256;

/// Measures a training on the people, speakers or sequences that it held out.
///
/// What `report` makes a page of goes into the training's folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The training's folder.
    run: PathBuf,
    /// Folder with the data sets.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What embedded the pictures, if the training was bound to pictures: as for `fit`. Without it
    /// nothing is said of finding one by the other.
    #[arg(long, value_name = "SPACE.toml|RUN_DIR")]
    images: Option<PathBuf>,
    /// Folder with the text model, for a space of --images that has one, instead of its own.
    #[arg(long, value_name = "DIR", requires = "images")]
    text_model: Option<PathBuf>,
    /// Where embeddings of pictures, and features of a trunk, are kept [default: beside the training].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Measure the encoder with weights as integers as well, by the file that `export` writes, and say
    /// how far its numbers are from the others.
    #[arg(long, value_enum, default_value_t = Quantize::None)]
    quantize: Quantize,
    /// Only the classes of this class file, in its words: what the encoder is worth where somebody
    /// says it otherwise. Nothing is written then.
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    classes: Option<PathBuf>,
    /// Where the table of the same samples goes as the pictures' space has them, taken for pictures:
    /// what the training is worth beyond its trunk.
    #[arg(long, value_name = "FILE.safetensors", requires = "images")]
    unbound: Option<PathBuf>,
    /// Only what an inertial encoder loses where the sensor is turned, has other axes or another rate.
    /// Nothing is written then.
    #[arg(long, conflicts_with_all = ["images", "quantize"])]
    mounting: bool,
    /// Only what a linear probe over embeddings names rightly that is given so many examples of each class
    /// of a group, those of some held-out people, and tested on the others. Nothing is written then.
    #[arg(long, value_name = "EXAMPLES", conflicts_with_all = ["images", "quantize", "mounting"])]
    shots: Option<usize>,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn cache_folder(&self) -> PathBuf {
        let folder = self.cache.clone();
        folder.unwrap_or_else(|| self.run.join("anchors"))
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let run = RunDir::open(&args.run)?;
    let (mut recipe, mut anchor, facts) = (run.recipe()?, run.anchor()?, run.facts()?);
    if let Some(path) = &args.classes {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
        let classes = Classes::parse(&text).with_context(|| format!("classes {path:?}"))?;
        recipe.reword(&classes, path)?;
        anchor.learn(&recipe.classes, args.text_model.as_deref())?;
    }
    ensure!(
        facts.measured_by.is_none(),
        "{:?} learned from all there is; its figures are those of the training that it was measured by",
        args.run
    );
    let trunk = recipe.trunk.as_ref().map(|_| run.path(TRUNK));
    let samples = Samples::open(&recipe, &args.data, trunk.as_deref(), &args.cache_folder())?;
    let split = samples.split(&recipe.split, facts.fold)?;
    ensure!(
        split.held_out_groups == facts.held_out_groups
            && split.held_out.len() == facts.held_out_samples,
        "{:?} is not the data that the training was given",
        args.data
    );
    let encoder = run.encoder::<Inference>(&Default::default())?;
    let images = match &args.images {
        None => None,
        Some(path) => {
            let cache = AnchorCache::open(&args.cache_folder())?;
            let text_model = args.text_model.as_deref();
            Some((open_space(path, &args.data, text_model, &cache)?, cache))
        }
    };
    let images = images.as_ref().map(|(space, cache)| (&**space, cache));
    if let Some(shots) = args.shots {
        ensure!(
            !recipe.groups.is_empty(),
            "--shots: {:?} has no [[group]] of classes",
            recipe.name
        );
        let embedded = embed(&encoder, &samples, &split.held_out)?;
        let few = FewShots::new(&recipe, &samples, &embedded, shots);
        let text = match args.json {
            true => serde_json::to_string(&few)? + "\n",
            false => few.to_string(),
        };
        return print(&text);
    }
    if args.mounting {
        ensure!(
            recipe.modality() == Modality::Imu,
            "--mounting is for encoders of imu, and {:?} is one of {}",
            recipe.name,
            recipe.modality()
        );
        let measured = |change: Change| {
            let mounted = Mounted {
                encoder: &encoder,
                change,
            };
            let embedded = embed(&mounted, &samples, &split.held_out)?;
            let predictions = Predictions::new(&recipe, &anchor, &samples, &embedded)?;
            Ok(Report::new(&recipe, &predictions, &facts.held_out_groups))
        };
        let reports: anyhow::Result<Vec<_>> = CHANGES.into_iter().map(measured).collect();
        let mountings = Mountings::new(&reports?);
        let text = match args.json {
            true => serde_json::to_string(&mountings)? + "\n",
            false => mountings.to_string(),
        };
        return print(&text);
    }
    let measured = |embedded: Embedded| -> anyhow::Result<_> {
        let predictions = Predictions::new(&recipe, &anchor, &samples, &embedded)?;
        let report = Report::new(&recipe, &predictions, &facts.held_out_groups);
        let table = held_out::table(&run, images, &recipe, &anchor, &samples, &embedded)?;
        Ok((report, table, embedded.items))
    };
    let keeps = args.classes.is_none();
    let (report, table, items) = measured(embed(&encoder, &samples, &split.held_out)?)?;
    if keeps {
        run.write_json(FILE, &report)?;
        table.write(&run.path(table::FILE))?;
    }
    if let (Some(path), Some((space, _))) = (&args.unbound, images) {
        held_out::unbound(&table, space, &samples, &items)?.write(path)?;
    }
    let int8 = match args.quantize {
        Quantize::None => None,
        Quantize::Int8 => {
            let exported = export(&run, Quantize::Int8)?;
            let encoder = OnnxEncoder::new(&exported.onnx, &samples.input_shape())?;
            let (other, mut others, _) = measured(embed(&encoder, &samples, &split.held_out)?)?;
            others.name.push_str(", int8");
            if keeps {
                run.write_json(INT8_FILE, &other)?;
                others.write(&run.path(int8::TABLE))?;
            }
            Some(Comparison::new([&report, &other], [&table, &others]))
        }
    };
    let broken = samples.tally.broken();
    if broken.broken > 0 {
        eprintln!("{broken}");
    }
    let text = if args.json {
        let object = match &int8 {
            None => serde_json::to_string(&report)?,
            Some(int8) => serde_json::to_string(&WithInt8 {
                report: &report,
                int8,
            })?,
        };
        object + "\n"
    } else {
        let int8 = int8.map_or_else(String::new, |int8| format!("\n{int8}"));
        format!("{report}{int8}")
    };
    print(&text)
}

/// Prints; whoever stops to read has read enough.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// What `--json` prints if the weights as integers are measured too.
#[derive(Serialize)]
struct WithInt8<'a> {
    #[serde(flatten)]
    report: &'a Report,
    int8: &'a Comparison,
}

/// What makes embeddings of windows.
pub trait Embedder: Sync {
    /// What it is given for all windows of a sample.
    ///
    /// # Errors
    ///
    /// A sample that is broken.
    fn windows(&self, samples: &Samples, item: usize) -> Result<Vec<Vec<f32>>, SampleError> {
        samples.windows(item)
    }

    /// The embeddings of some windows of one shape, one after the other.
    ///
    /// # Errors
    ///
    /// Windows that it fails on.
    fn embed(&self, shape: &[usize], windows: &[&Vec<f32>]) -> anyhow::Result<Vec<f32>>;
}

impl<B: FusedBackend> Embedder for Tower<B> {
    fn embed(&self, shape: &[usize], windows: &[&Vec<f32>]) -> anyhow::Result<Vec<f32>> {
        let mut rows = Vec::new();
        for some in windows.chunks(BATCH) {
            let values = some.iter().flat_map(|window| window.iter().copied());
            let input = Input::of_shape(values.collect(), shape, &Default::default());
            rows.extend(Tower::embed(self, input).into_data().iter::<f32>());
        }
        Ok(rows)
    }
}

impl Embedder for OnnxEncoder {
    /// A file holds its trunk, so it is given what the front end makes.
    fn windows(&self, samples: &Samples, item: usize) -> Result<Vec<Vec<f32>>, SampleError> {
        samples.inputs(item)
    }

    fn embed(&self, _: &[usize], windows: &[&Vec<f32>]) -> anyhow::Result<Vec<f32>> {
        let rows = windows.par_iter().map(|window| self.embed(window));
        Ok(rows.collect::<anyhow::Result<Vec<_>>>()?.concat())
    }
}

/// Samples and their embeddings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// Those that are not broken.
    pub items: Vec<usize>,
    /// A row each, of length 1.
    pub rows: Vec<f32>,
}

/// The embeddings of some samples: of each window of a sample, averaged, as the runtime does.
pub fn embed(
    encoder: &impl Embedder,
    samples: &Samples,
    items: &[usize],
) -> anyhow::Result<Embedded> {
    let shape = samples.shape();
    let mut embedded = Embedded::default();
    for block in items.chunks(BATCH) {
        let windows: Vec<_> = block
            .par_iter()
            .map(|&item| samples.tally.sift(encoder.windows(samples, item)))
            .collect();
        let whole = block.iter().zip(windows);
        let whole: Vec<_> = whole
            .filter_map(|(&item, windows)| Some((item, windows?)))
            .collect();
        samples.tally.check()?;
        let (items, windows): (Vec<usize>, Vec<Vec<Vec<f32>>>) = whole.into_iter().unzip();
        embedded.items.extend(items);
        let rows = embed_windows(encoder, shape, &windows)?;
        embedded.rows.extend(rows.into_iter().flatten());
    }
    Ok(embedded)
}

/// One embedding of length 1 for the windows of each recording: the direction of their mean.
pub fn embed_windows(
    encoder: &impl Embedder,
    shape: &[usize],
    recordings: &[Vec<Vec<f32>>],
) -> anyhow::Result<Vec<Vec<f32>>> {
    let all: Vec<&Vec<f32>> = recordings.iter().flatten().collect();
    let rows = encoder.embed(shape, &all)?;
    let dim = rows.len() / all.len().max(1);
    let mut rows = rows.chunks_exact(dim.max(1));
    let mean = |windows: &Vec<Vec<f32>>| {
        let mut mean = vec![0.0; dim];
        for row in rows.by_ref().take(windows.len()) {
            let pairs = mean.iter_mut().zip(row);
            pairs.for_each(|(sum, value): (&mut f32, &f32)| *sum += value);
        }
        normalize(&mut mean);
        mean
    };
    Ok(recordings.iter().map(mean).collect())
}

/// What an encoder says of some samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// The person, speaker or sequence of each sample.
    pub groups: Vec<String>,
    /// The class of each sample.
    pub classes: Vec<usize>,
    /// The cosines of each sample to all classes.
    pub cosines: Vec<Vec<f32>>,
    /// The cosines of each sample to the background prompts.
    pub background: Vec<Vec<f32>>,
}

impl Predictions {
    /// Compares embeddings with the recipe's words. Samples without a class are left out.
    pub fn new(
        recipe: &Recipe,
        anchor: &Anchor,
        samples: &Samples,
        embedded: &Embedded,
    ) -> anyhow::Result<Self> {
        let (classes, background) = (anchor.classes(recipe)?, anchor.background(recipe)?);
        let bank = |rows| ClassBank::new(anchor.dim(), rows);
        let (Some(classes), Some(background)) = (bank(&classes), bank(&background)) else {
            anyhow::bail!("the anchor holds no numbers");
        };
        let mut predictions = Self {
            groups: Vec::new(),
            classes: Vec::new(),
            cosines: Vec::new(),
            background: Vec::new(),
        };
        let rows = embedded.rows.chunks_exact(anchor.dim());
        for (&item, embedding) in embedded.items.iter().zip(rows) {
            let item = &samples.items()[item];
            let Some(class) = item.class else {
                continue;
            };
            predictions.groups.push(item.group.clone());
            predictions.classes.push(class);
            predictions
                .cosines
                .push(classes.cosines(embedding).collect());
            predictions
                .background
                .push(background.cosines(embedding).collect());
        }
        Ok(predictions)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Number of classes that cosines are to.
    pub fn class_count(&self) -> usize {
        self.cosines.first().map_or(0, Vec::len)
    }

    /// The class of a sample that is named, among some.
    pub fn named(&self, window: usize, among: &[usize]) -> Option<usize> {
        let cosines = &self.cosines[window];
        let best = |a: usize, b: usize| if cosines[b] > cosines[a] { b } else { a };
        among.iter().copied().reduce(best)
    }

    /// Share of all windows that are named rightly among all classes.
    pub fn accuracy(&self) -> f64 {
        let all: Vec<usize> = (0..self.class_count()).collect();
        self.share(|_| true, &all).unwrap_or(0.0)
    }

    /// Share of the windows that `counts` takes that are named rightly among some classes; none
    /// if it takes no window.
    pub fn share(&self, counts: impl Fn(usize) -> bool, among: &[usize]) -> Option<f64> {
        let (mut right, mut total) = (0u32, 0u32);
        for window in (0..self.len()).filter(|&window| counts(window)) {
            total += 1;
            right += u32::from(self.named(window, among) == Some(self.classes[window]));
        }
        (total > 0).then(|| f64::from(right) / f64::from(total))
    }
}
