//! `pack`: everything that a device needs, in one file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_pack::npy;
use sensorium_pack::{
    DataSet, Encoder, FORMAT, Golden, Manifest, Modality, PackWriter, Provenance, Scoring, Space,
    Tower, VERSION,
};
use serde::Serialize;

use crate::anchor::Anchor;
use crate::distil;
use crate::eval::Report;
use crate::export::{MAX_ABS, embed_onnx, examples, export};
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
        Binding::Images { .. } => format!(
            "Bound through images: trained on pairs of {sense} and pictures alone, against frozen \
             embeddings of the pictures (space {}). It never met a word; text names it because the \
             pictures' space is that of {text}.",
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
            .add(&run)
            .with_context(|| format!("packing {path:?}"))?;
    }
    if let Some(dir) = &args.text {
        contents
            .add_tower(dir)
            .with_context(|| format!("packing the text tower {dir:?}"))?;
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

/// A pack under construction.
#[derive(Debug, Default)]
struct Contents {
    writer: PackWriter,
    anchors: Vec<(Space, Anchor)>,
    encoders: Vec<Encoder>,
    provenance: Vec<Provenance>,
    classes: Classes,
}

impl Contents {
    fn add(&mut self, run: &RunDir) -> anyhow::Result<()> {
        let (recipe, facts) = (run.recipe()?, run.facts()?);
        let name = &recipe.name;
        ensure!(
            self.encoders.iter().all(|encoder| encoder.name != *name),
            "there is an encoder {name:?} already"
        );
        let report: Report = run
            .read_json("eval.json")
            .context("it is not measured yet; run `eval` first")?;
        let (onnx, difference) = export(run)?;
        ensure!(
            difference <= MAX_ABS,
            "the exported encoder differs from the checkpoint by {difference:.2e}, expected at \
             most {MAX_ABS:.0e}"
        );
        self.add_space(&recipe, run.anchor()?)?;
        self.add_encoder(&recipe, onnx)?;
        self.add_classes(&recipe)?;
        self.provenance.push(provenance(&recipe, &facts, &report));
        Ok(())
    }

    /// Encoders trained against the same words share a space.
    fn add_space(&mut self, recipe: &Recipe, anchor: Anchor) -> anyhow::Result<()> {
        let name = &recipe.text.space;
        if let Some((_, known)) = self.anchors.iter().find(|(space, _)| space.name == *name) {
            if *known != anchor {
                bail!("space {name:?} has other words or numbers in an earlier training");
            }
            return Ok(());
        }
        let member = |file: &str| format!("spaces/{name}/{file}");
        let space = Space {
            name: name.clone(),
            dim: anchor.dim(),
            text_model: anchor.text_model.clone(),
            centre: member("centre.npy"),
            prompts: member("prompts.json"),
            prompt_rows: member("prompt_rows.npy"),
            tower: None,
        };
        let rows = [anchor.prompts.len(), anchor.dim()];
        let centre = npy::to_bytes(&[anchor.dim()], &anchor.centre)?;
        self.writer.add(&space.centre, centre);
        let prompts = serde_json::to_vec_pretty(&anchor.prompts)?;
        self.writer.add(&space.prompts, prompts);
        let prompt_rows = npy::to_bytes(&rows, &anchor.rows)?;
        self.writer.add(&space.prompt_rows, prompt_rows);
        self.anchors.push((space, anchor));
        Ok(())
    }

    fn add_tower(&mut self, dir: &Path) -> anyhow::Result<()> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).with_context(|| format!("reading {path:?}"))
        };
        let content = ["model.onnx", "tokenizer.json", "tower.json"].map(read);
        let [model, tokenizer, report] = content;
        let (model, tokenizer, report) = (model?, tokenizer?, report?);
        let made: distil::Report = serde_json::from_slice(&report).context("reading tower.json")?;
        ensure!(
            (made.model_bytes, made.tokenizer_bytes) == (model.len(), tokenizer.len()),
            "tower.json is of files of {} and {} bytes, expected {} and {}",
            made.model_bytes,
            made.tokenizer_bytes,
            model.len(),
            tokenizer.len()
        );
        let fits =
            |space: &Space| space.text_model == made.teacher && space.dim == made.tower.output;
        let spaces = self.anchors.iter().map(|(space, _)| space);
        let known: Vec<String> = spaces
            .clone()
            .map(|space| format!("{} of {} numbers", space.text_model, space.dim))
            .collect();
        ensure!(
            spaces.clone().any(fits),
            "its teacher is {} of {} numbers, and the spaces are of {known:?}",
            made.teacher,
            made.tower.output
        );
        let member = |file: &str| format!("text/{}/{file}", made.name);
        let tower = Tower {
            model: member("model.onnx"),
            tokenizer: member("tokenizer.json"),
            report: member("tower.json"),
        };
        for (space, _) in self.anchors.iter_mut().filter(|(space, _)| fits(space)) {
            space.tower = Some(tower.clone());
        }
        self.writer.add(&tower.model, model);
        self.writer.add(&tower.tokenizer, tokenizer);
        self.writer.add(&tower.report, report);
        Ok(())
    }

    fn add_encoder(&mut self, recipe: &Recipe, onnx: Vec<u8>) -> anyhow::Result<()> {
        let name = &recipe.name;
        let member = |file: &str| format!("encoders/{name}/{file}");
        let (shape, examples) = (recipe.encoder.input_shape(), examples(recipe)?);
        // As the runtime runs them: one at a time.
        let mut output = Vec::new();
        for example in &examples {
            output.extend(embed_onnx(&onnx, &shape, example)?);
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
        for class in &recipe.classes {
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
        const CLASSES: &str = "classes.toml";
        let classes = toml::to_string(&self.classes)?;
        self.writer.add(CLASSES, classes.into_bytes());
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            name,
            spaces: self.anchors.into_iter().map(|(space, _)| space).collect(),
            encoders: self.encoders,
            classes: CLASSES.to_owned(),
            provenance: self.provenance,
            members: Vec::new(),
        };
        Ok(self.writer.to_bytes(manifest)?)
    }
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
