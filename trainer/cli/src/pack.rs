//! `pack`: everything that a device needs, in one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::FrontEnd;
use sensorium_pack::npy;
use sensorium_pack::{
    DataSet, Encoder, FORMAT, Golden, Manifest, Modality, PackWriter, Provenance, Scoring, Space,
    Tower, VERSION, WordsSpec,
};
use serde::Serialize;

use crate::anchor::Anchor;
use crate::distil;
use crate::eval::{self, Report};
use crate::export::{MAX_ABS, OnnxEncoder, Tolerance, examples_of, export};
use crate::quantize::Quantize;
use crate::recipe::{Background, Binding, Class, Recipe};
use crate::run::{Facts, RunDir};

mod picture;
mod shared;

use picture::PictureTower;

/// Puts trainings, measured by `eval`, into one file. Equal trainings give equal bytes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trainings' folders, one an encoder.
    #[arg(required_unless_present = "images")]
    runs: Vec<PathBuf>,
    /// A space of kind conse, whose tower of pictures goes into the pack.
    #[arg(long, value_name = "SPACE.toml", requires_all = ["data", "text_model"])]
    images: Option<PathBuf>,
    /// Folder with the data sets, for what that space is made of.
    #[arg(long, value_name = "DIR", requires = "images")]
    data: Option<PathBuf>,
    /// Folder with that space's text model.
    #[arg(long, value_name = "DIR", requires = "images")]
    text_model: Option<PathBuf>,
    /// Where the words of its categories are kept [default: beside the pack].
    #[arg(long, value_name = "DIR", requires = "images")]
    cache: Option<PathBuf>,
    /// Where the pack goes.
    #[arg(long, value_name = "FILE.pack")]
    out: PathBuf,
    /// How weights are written.
    #[arg(long, value_enum, default_value_t)]
    quantize: Quantize,
    #[command(flatten)]
    tolerance: Tolerance,
    /// The pack's name [default: the first recipe's].
    #[arg(long)]
    name: Option<String>,
    /// Folder with a text tower that `distil` made, so that any words can be typed on the device:
    /// it goes into every space of its teacher.
    #[arg(long, value_name = "DIR")]
    text: Option<PathBuf>,
}

/// What an encoder was bound to, in plain words.
fn binding(recipe: &Recipe, facts: &Facts) -> String {
    let (sense, text) = (recipe.modality(), &recipe.text.model);
    match recipe.binding {
        Binding::Words { .. } => format!(
            "Language-anchored: trained directly against frozen sentence embeddings ({text}) of \
             the names and descriptions of its classes. It was not bound through images as \
             ImageBind's encoders are, and its space is the text model's."
        ),
        Binding::Teacher { mixtures, .. } => format!(
            "Taught by another encoder of {sense} (a pack, {}): trained on {mixtures} mixtures of \
             recordings to score words as that one does. What words mean for {sense} it has from \
             its teacher; its space is that of {text}.",
            facts
                .images
                .as_deref()
                .map_or("unknown", |id| &id[..id.len().min(16)])
        ),
        Binding::Images { sense: bound, .. } => format!(
            "Bound through {bound}: trained on pairs of {sense} and {bound} alone, against frozen \
             embeddings of the latter (space {}). It never met a word; text names it because the \
             space of {bound} is that of {text}.",
            facts
                .images
                .as_deref()
                .map_or("unknown", |id| &id[..id.len().min(16)])
        ),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut contents = Contents::default();
    for path in &args.runs {
        let run = RunDir::open(path)?;
        contents
            .add(&run, args.quantize, args.tolerance)
            .with_context(|| format!("packing {path:?}"))?;
    }
    if let Some(path) = &args.images {
        let tower = PictureTower::open(args, path);
        let added = tower.and_then(|tower| contents.add_pictures(tower, args.quantize));
        added.with_context(|| format!("packing {path:?}"))?;
    }
    if let Some(dir) = &args.text {
        let added = contents.add_tower(dir);
        added.with_context(|| format!("packing the text tower {dir:?}"))?;
    }
    let bytes = contents.finish(args.name.clone())?;
    sensorium_pack::write_whole(&args.out, &bytes)
        .with_context(|| format!("writing {:?}", args.out))?;
    println!("{} bytes in {:?}", bytes.len(), args.out);
    Ok(())
}

/// `classes.toml`.
#[derive(Debug, Default, Serialize)]
struct Classes {
    class: Vec<ClassEntry>,
    background: Background,
}

#[derive(Debug, Serialize)]
struct ClassEntry {
    #[serde(flatten)]
    class: Class,
    modalities: Vec<Modality>,
}

/// What the least cosine of an embedding by int8 weights is called in a pack's provenance.
const COSINE: &str = "least cosine of embeddings by int8 weights to those by float weights";

/// What `eval` measured: of the weights as they are written, if it did.
fn measured(run: &RunDir, quantize: Quantize) -> anyhow::Result<Report> {
    if quantize == Quantize::Int8 && run.path(eval::INT8_FILE).is_file() {
        return run.read_json(eval::INT8_FILE);
    }
    let report = run.read_json(eval::FILE);
    let report = report.context("it is not measured yet; run `eval` first")?;
    if quantize == Quantize::Int8 {
        eprintln!(
            "the pack's numbers are of float weights; `eval --quantize int8` measures those in it"
        );
    }
    Ok(report)
}

/// A pack under construction.
#[derive(Debug, Default)]
struct Contents {
    writer: PackWriter,
    spaces: Vec<(String, Anchor)>,
    /// Of spaces, by their names.
    towers: BTreeMap<String, Tower>,
    encoders: Vec<Encoder>,
    provenance: Vec<Provenance>,
    classes: Classes,
}

/// The folder of encoders.
const ENCODERS: &str = "encoders";

/// Beside the encoders, what several of them have.
const SHARED_WEIGHTS: &str = "weights.bin";

impl Contents {
    fn add(
        &mut self,
        run: &RunDir,
        quantize: Quantize,
        tolerance: Tolerance,
    ) -> anyhow::Result<()> {
        let (recipe, facts) = (run.recipe()?, run.facts()?);
        let name = &recipe.name;
        ensure!(
            self.encoders.iter().all(|encoder| encoder.name != *name),
            "there is an encoder {name:?} already"
        );
        run.ended()?;
        let report = measured(run, quantize)?;
        let exported = export(run, quantize)?;
        exported.check(tolerance)?;
        self.add_space(&recipe.text.space, run.anchor()?)?;
        let cosine = exported.quantised.map(|quantised| quantised.cosine);
        self.add_encoder(&recipe, exported.onnx)?;
        self.add_classes(recipe.modality(), &recipe.classes, &recipe.background)?;
        let mut provenance = provenance(&recipe, &facts, &report);
        provenance.commit = run.commit()?;
        if let Some(cosine) = cosine {
            let metrics = &mut provenance.metrics;
            metrics.insert(COSINE.to_owned(), f64::from(cosine));
        }
        self.provenance.push(provenance);
        Ok(())
    }

    /// Encoders trained against the same text model and centre share a space, whose words are those of
    /// all.
    fn add_space(&mut self, name: &str, anchor: Anchor) -> anyhow::Result<()> {
        let mut known = self.spaces.iter_mut();
        match known.find(|(known, _)| known == name) {
            Some((_, known)) => known
                .join(anchor)
                .with_context(|| format!("space {name:?}")),
            None => {
                self.spaces.push((name.to_owned(), anchor));
                Ok(())
            }
        }
    }

    fn add_tower(&mut self, dir: &Path) -> anyhow::Result<()> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).with_context(|| format!("reading {path:?}"))
        };
        let content = ["model.onnx", "tokenizer.json", "tower.json", distil::TAUGHT].map(read);
        let [model, tokenizer, report, taught] = content;
        let taught =
            taught.context("a tower of before has none; the same `distil` once more writes it");
        let (model, tokenizer, report, taught) = (model?, tokenizer?, report?, taught?);
        let made: distil::Report = serde_json::from_slice(&report).context("reading tower.json")?;
        ensure!(
            (made.model_bytes, made.tokenizer_bytes) == (model.len(), tokenizer.len()),
            "tower.json is of files of {} and {} bytes, expected {} and {}",
            made.model_bytes,
            made.tokenizer_bytes,
            model.len(),
            tokenizer.len()
        );
        let fits = |anchor: &Anchor| {
            anchor.text_model == made.teacher && anchor.dim() == made.tower.output
        };
        let anchors = self.spaces.iter().map(|(_, anchor)| anchor);
        let known: Vec<String> = anchors
            .clone()
            .map(|anchor| format!("{} of {} numbers", anchor.text_model, anchor.dim()))
            .collect();
        ensure!(
            anchors.clone().any(fits),
            "its teacher is {} of {} numbers, and the spaces are of {known:?}",
            made.teacher,
            made.tower.output
        );
        let member = |file: &str| format!("text/{}/{file}", made.name);
        let told = member("tower.json");
        let tower = Tower {
            model: member("model.onnx"),
            tokenizer: Some(member("tokenizer.json")),
            report: Some(told.clone()),
            taught: Some(member(distil::TAUGHT)),
            words: Some(WordsSpec {
                tokens: made.tower.tokens,
                ..WordsSpec::default()
            }),
            projection: Vec::new(),
        };
        for (name, _) in self.spaces.iter().filter(|(_, anchor)| fits(anchor)) {
            self.towers.insert(name.clone(), tower.clone());
        }
        self.writer.add(&tower.model, model);
        self.writer.add(&member("tokenizer.json"), tokenizer);
        self.writer.add(&told, report);
        self.writer.add(&member(distil::TAUGHT), taught);
        Ok(())
    }

    fn add_encoder(&mut self, recipe: &Recipe, onnx: Vec<u8>) -> anyhow::Result<()> {
        let (name, space) = (&recipe.name, &recipe.text.space);
        let scoring = Scoring {
            temperature: recipe.scoring.temperature,
            enter: recipe.scoring.enter,
            exit: recipe.scoring.exit,
        };
        let sense = (recipe.modality(), &recipe.front_end);
        self.add_file((name, space), sense, scoring, onnx)
    }

    /// An encoder's file, with what it gives for a few examples.
    fn add_file(
        &mut self,
        names: (&str, &str),
        sense: (Modality, &FrontEnd),
        scoring: Scoring,
        onnx: Vec<u8>,
    ) -> anyhow::Result<()> {
        let (encoder, _) = add_encoder(&mut self.writer, names, sense, scoring, onnx)?;
        self.encoders.push(encoder);
        Ok(())
    }

    /// A class that two encoders know by the same words is one class of both, whatever their data call
    /// it.
    fn add_classes(
        &mut self,
        modality: Modality,
        classes: &[Class],
        background: &Background,
    ) -> anyhow::Result<()> {
        for class in classes.iter().filter(|class| class.default) {
            let entries = &mut self.classes.class;
            match entries
                .iter_mut()
                .find(|known| known.class.name == class.name)
            {
                None => entries.push(ClassEntry {
                    class: class.clone(),
                    modalities: vec![modality],
                }),
                Some(known) if known.class.prompts != class.prompts => bail!(
                    "class {:?} is said as {:?} in an earlier training, expected {:?}",
                    class.name,
                    known.class.prompts,
                    class.prompts
                ),
                Some(known) => {
                    for label in &class.labels {
                        if !known.class.labels.contains(label) {
                            known.class.labels.push(label.clone());
                        }
                    }
                    if !known.modalities.contains(&modality) {
                        known.modalities.push(modality);
                    }
                }
            }
        }
        for prompt in &background.prompts {
            if !self.classes.background.prompts.contains(prompt) {
                self.classes.background.prompts.push(prompt.clone());
            }
        }
        Ok(())
    }

    /// A tower of pictures that nothing was trained for.
    fn add_pictures(&mut self, tower: PictureTower, quantize: Quantize) -> anyhow::Result<()> {
        let PictureTower {
            spec,
            space,
            front_end,
            onnx,
            words,
            provenance,
        } = tower;
        self.add_space(&space, words)?;
        let (onnx, _) = quantize.apply(onnx)?;
        let sense = (Modality::Image, &front_end);
        self.add_file((&spec.name, &space), sense, spec.scoring, onnx)?;
        self.add_classes(Modality::Image, &spec.classes, &Background::default())?;
        self.provenance.push(provenance);
        Ok(())
    }

    fn finish(mut self, name: Option<String>) -> anyhow::Result<Vec<u8>> {
        let name = name
            .or_else(|| Some(self.encoders.first()?.name.clone()))
            .context("there is no encoder")?;
        let models = self.encoders.iter().map(|encoder| encoder.model.as_str());
        share_weights(&mut self.writer, &models.collect::<Vec<_>>())?;
        let spaces = std::mem::take(&mut self.spaces);
        let spaces = spaces.into_iter();
        let spaces = spaces.map(|(name, anchor)| {
            let mut space = add_words(&mut self.writer, &name, &anchor)?;
            space.tower = self.towers.remove(&name);
            Ok(space)
        });
        let spaces = spaces.collect::<anyhow::Result<Vec<_>>>()?;
        const CLASSES: &str = "classes.toml";
        let classes = toml::to_string(&self.classes)?;
        self.writer.add(CLASSES, classes.into_bytes());
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            name,
            spaces,
            encoders: self.encoders,
            classes: CLASSES.to_owned(),
            provenance: self.provenance,
            members: Vec::new(),
        };
        Ok(self.writer.to_bytes(manifest)?)
    }
}

/// Keeps once what several encoders have; `models` are their members.
fn share_weights(writer: &mut PackWriter, models: &[&str]) -> anyhow::Result<()> {
    let files = models.iter().filter_map(|path| writer.get(path));
    let mut files: Vec<Vec<u8>> = files.map(<[u8]>::to_vec).collect();
    if let Some(weights) = shared::share(&mut files, SHARED_WEIGHTS)? {
        writer.add(&format!("{ENCODERS}/{SHARED_WEIGHTS}"), weights);
        for (path, file) in models.iter().zip(files) {
            writer.add(path, file);
        }
    }
    Ok(())
}

/// The members of an encoder of a name and a space, with what it gives for a few examples; what the
/// manifest says of it, and the length of its embeddings.
pub fn add_encoder(
    writer: &mut PackWriter,
    (name, space): (&str, &str),
    (modality, front_end): (Modality, &FrontEnd),
    scoring: Scoring,
    onnx: Vec<u8>,
) -> anyhow::Result<(Encoder, usize)> {
    let member = |file: &str| format!("{ENCODERS}/{name}/{file}");
    let shape = front_end.build()?.output_shape();
    let examples = examples_of(front_end, modality)?;
    // As the runtime runs them: one at a time.
    let model = OnnxEncoder::new(&onnx, &shape)?;
    let mut output = Vec::new();
    for example in &examples {
        output.extend(model.embed(example)?);
    }
    let encoder = Encoder {
        name: name.to_owned(),
        modality,
        space: space.to_owned(),
        model: format!("{ENCODERS}/{name}.onnx"),
        front_end: front_end.clone(),
        scoring,
        golden: Golden {
            input: member("golden_input.npy"),
            output: member("golden_output.npy"),
            max_abs: MAX_ABS,
        },
    };
    let input_shape = [&[examples.len()], &shape[..]].concat();
    let input = npy::to_bytes(&input_shape, &examples.concat())?;
    let dim = output.len() / examples.len().max(1);
    let output = npy::to_bytes(&[examples.len(), dim], &output)?;
    writer.add(&encoder.model, onnx);
    writer.add(&encoder.golden.input, input);
    writer.add(&encoder.golden.output, output);
    Ok((encoder, dim))
}

/// The members of a space, and what the manifest says of it.
pub fn add_words(writer: &mut PackWriter, name: &str, anchor: &Anchor) -> anyhow::Result<Space> {
    let member = |file: &str| format!("spaces/{name}/{file}");
    let space = Space {
        name: name.to_owned(),
        dim: anchor.dim(),
        text_model: anchor.text_model.clone(),
        centre: member("centre.npy"),
        prompts: member("prompts.json"),
        prompt_rows: member("prompt_rows.npy"),
        tower: None,
        resemblance: None,
    };
    let rows = [anchor.prompts.len(), anchor.dim()];
    let centre = npy::to_bytes(&[anchor.dim()], &anchor.centre)?;
    writer.add(&space.centre, centre);
    let prompts = serde_json::to_vec_pretty(&anchor.prompts)?;
    writer.add(&space.prompts, prompts);
    let prompt_rows = npy::to_bytes(&rows, &anchor.rows)?;
    writer.add(&space.prompt_rows, prompt_rows);
    Ok(space)
}

/// Most people, speakers or sequences that are named one by one.
const MAX_NAMED: usize = 20;

/// How the data were divided, in plain words.
fn division(facts: &Facts) -> String {
    let (training, samples) = (facts.training_groups.len(), facts.training_samples);
    if let Some(measured_by) = &facts.measured_by {
        return format!(
            "nothing held out, {training} groups trained on ({samples} samples); the figures are of a training by \
             the same recipe with {}",
            division(measured_by)
        );
    }
    let held_out = match facts.held_out_groups.len() {
        count @ 0..=MAX_NAMED => format!("{count} groups {:?} held out", facts.held_out_groups),
        count => format!("{count} groups held out"),
    };
    let held_out_samples = facts.held_out_samples;
    format!(
        "{held_out} ({held_out_samples} samples), {training} others trained on ({samples} samples)"
    )
}

fn provenance(recipe: &Recipe, facts: &Facts, report: &Report) -> Provenance {
    let mut split = division(facts);
    if let Some((fold, folds)) = facts.fold {
        split.push_str(&format!(
            "; an inner fold, {fold} of {folds}, of the recipe's training groups"
        ));
    }
    if !recipe.unseen_classes.is_empty() {
        split.push_str(&format!(
            "; classes never trained on: {:?}",
            recipe.unseen_classes
        ));
    }
    Provenance {
        encoder: recipe.name.clone(),
        binding: binding(recipe, facts),
        data: recipe
            .data
            .iter()
            .map(|set| DataSet {
                name: set.name.clone(),
                licence: set.licence.clone(),
            })
            .collect(),
        split,
        command: facts.command.clone(),
        seed: facts.seed,
        commit: None,
        metrics: report.metrics(),
    }
}
