//! `pack`: everything that a device needs, in one file.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use sensorium_pack::npy;
use sensorium_pack::{
    DataSet, Encoder, FORMAT, Golden, Manifest, Modality, PackWriter, Provenance, Scoring, Space,
    VERSION,
};
use serde::Serialize;

use crate::anchor::Anchor;
use crate::eval::{self, Report};
use crate::export::{MAX_ABS, OnnxEncoder, examples, export};
use crate::quantize::Quantize;
use crate::recipe::{Background, Binding, Class, Recipe};
use crate::run::{Facts, RunDir};

/// Puts trainings, measured by `eval`, into one file. Equal trainings give equal bytes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trainings' folders, one an encoder.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Where the pack goes.
    #[arg(long, value_name = "FILE.pack")]
    out: PathBuf,
    /// How weights are written.
    #[arg(long, value_enum, default_value_t)]
    quantize: Quantize,
    /// The pack's name [default: the first recipe's].
    #[arg(long)]
    name: Option<String>,
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
            .add(&run, args.quantize)
            .with_context(|| format!("packing {path:?}"))?;
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
    encoders: Vec<Encoder>,
    provenance: Vec<Provenance>,
    classes: Classes,
}

impl Contents {
    fn add(&mut self, run: &RunDir, quantize: Quantize) -> anyhow::Result<()> {
        let (recipe, facts) = (run.recipe()?, run.facts()?);
        let name = &recipe.name;
        ensure!(
            self.encoders.iter().all(|encoder| encoder.name != *name),
            "there is an encoder {name:?} already"
        );
        let report = measured(run, quantize)?;
        let exported = export(run, quantize)?;
        exported.check()?;
        self.add_space(&recipe, run.anchor()?)?;
        let cosine = exported.quantised.map(|quantised| quantised.cosine);
        self.add_encoder(&recipe, exported.onnx)?;
        self.add_classes(&recipe)?;
        let mut provenance = provenance(&recipe, &facts, &report);
        if let Some(cosine) = cosine {
            let metrics = &mut provenance.metrics;
            metrics.insert(COSINE.to_owned(), f64::from(cosine));
        }
        self.provenance.push(provenance);
        Ok(())
    }

    /// Encoders trained against the same text model and centre share a space, whose words are those of
    /// all.
    fn add_space(&mut self, recipe: &Recipe, anchor: Anchor) -> anyhow::Result<()> {
        let name = &recipe.text.space;
        let mut known = self.spaces.iter_mut();
        match known.find(|(known, _)| known == name) {
            Some((_, known)) => known
                .join(anchor)
                .with_context(|| format!("space {name:?}")),
            None => {
                self.spaces.push((name.clone(), anchor));
                Ok(())
            }
        }
    }

    fn add_encoder(&mut self, recipe: &Recipe, onnx: Vec<u8>) -> anyhow::Result<()> {
        let name = &recipe.name;
        let member = |file: &str| format!("encoders/{name}/{file}");
        let (shape, examples) = (recipe.encoder.input_shape(), examples(recipe)?);
        // As the runtime runs them: one at a time.
        let model = OnnxEncoder::new(&onnx, &shape)?;
        let mut output = Vec::new();
        for example in &examples {
            output.extend(model.embed(example)?);
        }
        let encoder = Encoder {
            name: name.clone(),
            modality: recipe.modality(),
            space: recipe.text.space.clone(),
            model: member("encoder.onnx"),
            front_end: recipe.front_end.clone(),
            scoring: Scoring {
                temperature: recipe.scoring.temperature,
                enter: recipe.scoring.enter,
                exit: recipe.scoring.exit,
            },
            golden: Golden {
                input: member("golden_input.npy"),
                output: member("golden_output.npy"),
                max_abs: MAX_ABS,
            },
        };
        let input_shape = [&[examples.len()], &shape[..]].concat();
        let input = npy::to_bytes(&input_shape, &examples.concat())?;
        let output = npy::to_bytes(&[examples.len(), recipe.encoder.output()], &output)?;
        self.writer.add(&encoder.model, onnx);
        self.writer.add(&encoder.golden.input, input);
        self.writer.add(&encoder.golden.output, output);
        self.encoders.push(encoder);
        Ok(())
    }

    /// A class that two encoders know by the same words is one class of both.
    fn add_classes(&mut self, recipe: &Recipe) -> anyhow::Result<()> {
        let modality = recipe.modality();
        for class in recipe.classes.iter().filter(|class| class.default) {
            let entries = &mut self.classes.class;
            match entries
                .iter_mut()
                .find(|known| known.class.name == class.name)
            {
                None => entries.push(ClassEntry {
                    class: class.clone(),
                    modalities: vec![modality],
                }),
                Some(known) if known.class != *class => {
                    bail!("class {:?} is another in an earlier training", class.name)
                }
                Some(known) if !known.modalities.contains(&modality) => {
                    known.modalities.push(modality);
                }
                Some(_) => {}
            }
        }
        for prompt in &recipe.background.prompts {
            if !self.classes.background.prompts.contains(prompt) {
                self.classes.background.prompts.push(prompt.clone());
            }
        }
        Ok(())
    }

    fn finish(mut self, name: Option<String>) -> anyhow::Result<Vec<u8>> {
        let name = name
            .or_else(|| Some(self.encoders.first()?.name.clone()))
            .context("there is no encoder")?;
        let spaces = std::mem::take(&mut self.spaces);
        let spaces = spaces.into_iter();
        let spaces = spaces.map(|(name, anchor)| add_words(&mut self.writer, &name, &anchor));
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

fn provenance(recipe: &Recipe, facts: &Facts, report: &Report) -> Provenance {
    let mut split = match facts.held_out_groups.len() {
        count @ 0..=MAX_NAMED => format!("{count} groups {:?} held out", facts.held_out_groups),
        count => format!("{count} groups held out"),
    };
    split.push_str(&format!(
        " ({} samples), {} others trained on ({} samples)",
        facts.held_out_samples,
        facts.training_groups.len(),
        facts.training_samples
    ));
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
        metrics: report.metrics(),
    }
}
