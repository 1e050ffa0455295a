//! `fit`: trains an encoder against frozen words or pictures, or by a teacher.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use burn::backend::Autodiff;
use sensorium_data::{Split, SplitConfig};
use sensorium_model::backend::{self, Differentiable};
use sensorium_model::conv::{LayerConfig, words_name};
use sensorium_model::loss::InfoNce;
use sensorium_model::precision::{Products, with_products};
use sensorium_model::weights::Weights;
use sensorium_model::{EncoderConfig, TowerConfig};

use crate::anchor::cache::AnchorCache;
use crate::anchor::packed::PackSpace;
use crate::anchor::space::AnchorSpace;
use crate::anchor::spec::open_space;
use crate::anchor::{Anchor, read_phrases};
use crate::recipe::{self, Binding, Recipe};
use crate::run::{Facts, RunDir, TRUNK};
use crate::samples::Samples;

mod device;
mod everything;
mod mixture;
mod picture;
pub mod schedule;
pub mod state;
mod target;
pub mod train;

use device::{Device, Precision};
use everything::Measured;
use mixture::Mixtures;
pub use picture::Pictures;
use target::Targets;
use train::Training;

/// Trains an encoder.
///
/// Ctrl-C saves and stops; the same command goes on from there, as it does after a crash from the
/// last whole epoch, and ends in the same weights as if nothing had happened.
///
/// Example: sensorium-train fit trainer/recipes/imu-hapt.toml --data DIR
///   --anchor trainer/recipes/imu-hapt.anchor.safetensors --out run
/// The encoder to be used, once that one is measured: the same with --measured-by run --out run-all
/// Of sound, taught by an imported tagger: sensorium-train fit trainer/recipes/sense-1/sound.toml
///   --data DIR --text-model minilm --teacher mn04.pack --out run
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recipe.
    recipe: PathBuf,
    /// Folder with the data sets.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Words embedded before, by `anchor`.
    #[arg(
        long,
        value_name = "FILE.safetensors",
        required_unless_present_any = ["text_model", "images"]
    )]
    anchor: Option<PathBuf>,
    /// Folder with the text model, to embed the words now, if there is no --anchor; for a space of
    /// --images that has a text model, instead of its own.
    #[arg(long, value_name = "DIR")]
    text_model: Option<PathBuf>,
    /// What embeds the pictures that the recipe binds to: a file as `anchor` takes it, or the folder
    /// of an earlier training, whose words are then this one's as well. Of another sense, only the
    /// latter.
    #[arg(long, value_name = "SPACE.toml|RUN_DIR")]
    images: Option<PathBuf>,
    /// The pack whose encoder of the same sense teaches this one, if the recipe binds to a teacher.
    #[arg(long, value_name = "FILE.pack")]
    teacher: Option<PathBuf>,
    /// Where embeddings of pictures and mixtures, and features of a trunk, are kept, to be computed
    /// once [default: beside the training].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Begin with the weights of an earlier training, of an encoder of the same dimensions, instead of
    /// random ones.
    #[arg(long, value_name = "RUN_DIR")]
    from: Option<PathBuf>,
    /// The training's folder.
    #[arg(long, value_name = "RUN_DIR")]
    out: PathBuf,
    /// Seed of weights, batches and augmentation.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Instead of the recipe's.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// What to compute on [default: the GPU that the program was built for, else CPU cores].
    #[arg(long, value_enum)]
    device: Option<Device>,
    /// Numbers that products with weights are computed of, on a GPU: 16 bits take less time and memory.
    /// Weights, sums and all else have 32 bits.
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Threads to compute with [default: one a core].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Hold out this person, speaker or sequence instead of those of the recipe; may be repeated.
    #[arg(long, value_name = "GROUP")]
    hold_out: Vec<String>,
    /// Leave out this person, speaker or sequence, neither to train on nor to measure on; may be
    /// repeated.
    #[arg(long, value_name = "GROUP")]
    leave_out: Vec<String>,
    /// Hold out a part of the training groups instead of the recipe's, which take no part: for
    /// choices that must not be made on them.
    #[arg(long, value_name = "I/N", value_parser = parse_fold)]
    fold: Option<(usize, usize)>,
    /// Learn from all there is, also from what this training by the same recipe held out: for an encoder to be
    /// used, of which nothing can be measured any more. Its figures are those of that training.
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["hold_out", "fold"])]
    measured_by: Option<PathBuf>,
    /// Train anew even if the folder holds a part of the same training.
    #[arg(long)]
    restart: bool,
    /// Leave a class out of training, to see what its words alone are worth; may be repeated.
    #[arg(long, value_name = "CLASS")]
    unseen: Vec<String>,
}

fn parse_fold(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/');
    let numbers = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    numbers.ok_or_else(|| "expected a fold from 0 on and the number of folds, such as 0/5".into())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut recipe = Recipe::open(&args.recipe)?;
    recipe.leave_out(&args.unseen, &args.recipe)?;
    if !args.hold_out.is_empty() {
        let held_out = args.hold_out.clone();
        recipe.split = SplitConfig::Group { held_out };
    }
    let binds_images = matches!(recipe.binding, Binding::Images { .. });
    ensure!(
        binds_images == args.images.is_some(),
        "the recipe binds to {}, so --images {}",
        if binds_images { "images" } else { "words" },
        if binds_images {
            "is needed"
        } else {
            "has no use"
        }
    );
    let has_teacher = matches!(recipe.binding, Binding::Teacher { .. });
    ensure!(
        has_teacher == args.teacher.is_some(),
        "the recipe {}, so --teacher {}",
        if has_teacher {
            "binds to a teacher"
        } else {
            "does not bind to a teacher"
        },
        if has_teacher {
            "is needed"
        } else {
            "has no use"
        }
    );
    let copy = recipe::read(&args.recipe)?.into_bytes();
    let measured = args.measured_by.as_deref();
    let measured = measured.map(|path| Measured::open(path, &recipe, &copy));
    let measured = measured.transpose()?;
    let anchor = words(args, &recipe)?;
    let first = args
        .from
        .as_deref()
        .map(|from| weights_of(from, &recipe))
        .transpose()?;
    let (device, products) = (
        Device::or_best(args.device)?,
        Products::from(args.precision),
    );
    device.check(products)?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build_global()
            .context("starting the threads")?;
    }

    let images = match &args.images {
        None => None,
        Some(path) => {
            let cache = AnchorCache::open(&cache_folder(args))?;
            let text_model = args.text_model.as_deref();
            Some((open_space(path, &args.data, text_model, &cache)?, cache))
        }
    };
    let trunk = recipe.trunk.as_ref().map(|trunk| {
        let space = images.as_ref().map(|(space, _)| &**space);
        trunk.file(&args.data, space, &AnchorCache::open(&cache_folder(args))?)
    });
    let trunk = trunk.transpose()?;
    let samples = Samples::open(&recipe, &args.data, trunk.as_deref(), &cache_folder(args))?;
    let mut split = samples.split(&recipe.split, args.fold)?;
    if measured.is_some() {
        everything::join(&mut split);
    }
    split
        .leave_out(&args.leave_out, |item| &samples.items()[item].group)
        .context("--leave-out")?;
    // Classes that are left out take no part. To learn words a sample needs a class, to learn
    // pictures it needs none.
    split.training.retain(|&item| {
        let class = samples.items()[item].class;
        class.map_or(binds_images || has_teacher, |class| recipe.is_seen(class))
    });
    ensure!(
        split.training.len() >= recipe.training.batch,
        "{} samples to train on, expected at least training.batch, {}",
        split.training.len(),
        recipe.training.batch
    );

    let teacher = match &args.teacher {
        None => None,
        Some(path) => {
            let cache = AnchorCache::open(&cache_folder(args))?;
            Some((PackSpace::open(path, &recipe, &anchor)?, cache))
        }
    };
    let epochs = args.epochs.map_or(recipe.training.epochs, |n| n as usize);
    let anchor_bytes = anchor.to_weights()?.to_bytes()?;
    let facts = facts(
        args,
        epochs,
        &split,
        match (&images, &teacher) {
            (Some((space, _)), _) => Some(&**space),
            (None, Some((space, _))) => Some(space),
            (None, None) => None,
        },
        device.backend(products),
        first.as_ref().map(|(_, digest)| digest.clone()),
        measured.as_ref().map(Measured::facts),
    );
    let mut files: Vec<(&str, &[u8])> = vec![
        ("recipe.toml", &copy),
        ("anchor.safetensors", &anchor_bytes),
    ];
    let read = |path| std::fs::read(&path).with_context(|| format!("reading the trunk {path:?}"));
    let trunk = trunk.map(read);
    let trunk = trunk.transpose()?;
    files.extend(trunk.iter().map(|bytes| (TRUNK, &bytes[..])));
    let run = RunDir::begin(&args.out, &args.recipe, &files, &facts, args.restart)?;
    eprintln!(
        "{} samples of {} groups to train on, {} of {} held out; {} on {}",
        split.training.len(),
        split.training_groups.len(),
        split.held_out.len(),
        split.held_out_groups.len(),
        recipe.name,
        facts.backend
    );
    let fit = Fit {
        recipe: &recipe,
        anchor: &anchor,
        samples: &samples,
        split: &split,
        images: images.as_ref(),
        teacher: teacher.as_ref(),
        run: &run,
        first: first.as_ref().map(|(weights, _)| weights),
        seed: args.seed,
        epochs,
    };
    let status = with_products(products, || fit.on(device))?;
    if let Some(measured) = measured.filter(|_| status == ExitCode::SUCCESS) {
        measured.tell(&run)?;
    }
    let broken = samples.tally.broken();
    if broken.broken > 0 {
        eprintln!("{broken}");
    }
    Ok(status)
}

/// What a training is made of, whatever it is computed on.
struct Fit<'a> {
    recipe: &'a Recipe,
    anchor: &'a Anchor,
    samples: &'a Samples,
    split: &'a Split,
    images: Option<&'a (Box<dyn AnchorSpace>, AnchorCache)>,
    teacher: Option<&'a (PackSpace, AnchorCache)>,
    run: &'a RunDir,
    first: Option<&'a Weights>,
    seed: u64,
    epochs: usize,
}

impl Fit<'_> {
    /// Trains on a device.
    fn on(&self, device: Device) -> anyhow::Result<ExitCode> {
        match device {
            #[cfg(feature = "flex")]
            Device::Cpu => self.with::<Autodiff<backend::Cpu>>(),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Device::Gpu => self.with::<Autodiff<backend::Gpu>>(),
            #[cfg(not(all(feature = "flex", any(feature = "wgpu", feature = "cuda"))))]
            device => Err(device.absent()),
        }
    }

    fn with<B: Differentiable>(&self) -> anyhow::Result<ExitCode> {
        let (targets, pictures, mixtures) = match self.teacher {
            Some(teacher) => {
                let (targets, mixtures) = self.taught::<B>(teacher)?;
                (targets, None, Some(mixtures))
            }
            None => {
                let (targets, pictures) = self.bound_to::<B>()?;
                (targets, pictures, None)
            }
        };
        let training = Training {
            recipe: self.recipe,
            anchor: self.anchor,
            samples: self.samples,
            split: self.split,
            targets: &targets,
            pictures: pictures.as_ref(),
            mixtures: mixtures.as_ref(),
            run: self.run,
            first: self.first,
            seed: self.seed,
            epochs: self.epochs,
        };
        training.run()
    }

    /// What a teacher says of mixtures of the samples.
    fn taught<B: Differentiable>(
        &self,
        (teacher, cache): &(PackSpace, AnchorCache),
    ) -> anyhow::Result<(Targets<B>, Mixtures)> {
        let (recipe, samples) = (self.recipe, self.samples);
        let Binding::Teacher {
            mixtures,
            parts,
            softer_db,
            temperature,
            pull,
        } = recipe.binding
        else {
            anyhow::bail!("the recipe does not bind to a teacher");
        };
        let sampler = samples.sampler(&self.split.training, recipe.training.class_balance);
        let kind = mixture::Kind {
            count: mixtures,
            parts,
            softer_db,
            seed: self.seed,
        };
        let (mixtures, rows) = Mixtures::make(samples, &sampler, kind, teacher, cache)?;
        let words = teacher.words()?;
        let targets = Targets::teacher(rows, words, recipe.encoder.output(), temperature, pull);
        Ok((targets, mixtures))
    }

    /// What the recipe binds to: its words, or the pictures of its samples.
    fn bound_to<B: Differentiable>(&self) -> anyhow::Result<(Targets<B>, Option<Pictures>)> {
        let Self {
            recipe,
            anchor,
            samples,
            split,
            images,
            ..
        } = *self;
        let (sense, loss, temperature, same_above, views) = match recipe.binding {
            Binding::Words {
                temperature,
                label_smoothing,
                pull,
                ..
            } => {
                let config = InfoNce {
                    temperature,
                    label_smoothing,
                };
                return Ok((Targets::words(recipe, anchor, config, pull)?, None));
            }
            Binding::Images {
                sense,
                loss,
                temperature,
                same_above,
                views,
            } => (sense, loss, temperature, same_above, views),
            Binding::Teacher { .. } => anyhow::bail!("--teacher is needed"),
        };
        let (space, cache) = images.context("--images is needed")?;
        ensure!(
            space.sense() == sense,
            "--images embeds {}, expected binding.sense, {sense}",
            space.sense()
        );
        ensure!(
            space.dim() == recipe.encoder.output(),
            "the pictures' embeddings have {} numbers, expected encoder.output, {}",
            space.dim(),
            recipe.encoder.output()
        );
        let wanted = picture_split(recipe, samples)?.map_or_else(Vec::new, |split| split.training);
        let items = &split.training;
        let pictures = Pictures::embed(recipe, samples, items, &wanted, views, &**space, cache)?;
        let rows = pictures.rows.clone();
        let targets = Targets::images(rows, views, space.dim(), loss, temperature, same_above)?;
        Ok((targets, Some(pictures)))
    }
}

/// Where embeddings are kept.
fn cache_folder(args: &Args) -> PathBuf {
    let folder = args.cache.clone();
    folder.unwrap_or_else(|| args.out.join("anchors"))
}

/// The weights of an earlier training, and the hash of the file that they are from.
fn weights_of(from: &Path, recipe: &Recipe) -> anyhow::Result<(Weights, String)> {
    let run = RunDir::open(from)?;
    let (weights, config) = run.checkpoint()?;
    ensure!(
        learned(&config) == learned(&recipe.encoder),
        "--from {from:?} is another encoder than that of the recipe, expected the same but for what \
         it drops at random"
    );
    let bytes = std::fs::read(run.path("checkpoint.safetensors"))
        .with_context(|| format!("reading the checkpoint of {from:?}"))?;
    // The words that it leans towards are those of the recipe.
    let words = words_name(config.sense());
    let mut learned = Weights::new();
    for (name, array) in weights.iter().filter(|(name, _)| *name != words) {
        learned.insert(name, &array.shape, array.values.clone());
    }
    Ok((learned, sensorium_pack::sha256_hex(&bytes)))
}

/// What decides which weights an encoder learns.
fn learned(config: &TowerConfig) -> TowerConfig {
    match config.clone() {
        TowerConfig::Transformer(config) => TowerConfig::Transformer(EncoderConfig {
            dropout: 0.0,
            drop_path: 0.0,
            ..config
        }),
        TowerConfig::Conv(mut config) => {
            config.dropout = 0.0;
            config.conse = None;
            for layer in &mut config.layers {
                if let LayerConfig::Dropout { share } = layer {
                    *share = 0.0;
                }
            }
            TowerConfig::Conv(config)
        }
    }
}

/// The words of the space, all that the recipe needs among them.
fn words(args: &Args, recipe: &Recipe) -> anyhow::Result<Anchor> {
    let of_run = args.images.as_ref().filter(|path| path.is_dir());
    let anchor = match (&args.anchor, &args.text_model, of_run) {
        (Some(path), _, _) => Anchor::open(path)?,
        (None, Some(dir), _) => {
            let phrases = read_phrases(&args.recipe, recipe)?;
            Anchor::embed(std::slice::from_ref(recipe), &phrases, dir)?
        }
        (None, None, Some(run)) => RunDir::open(run)?.anchor()?,
        (None, None, None) => {
            anyhow::bail!("neither --anchor nor --text-model is given, for the words of the space")
        }
    };
    let output = recipe.encoder.output();
    ensure!(
        anchor.dim() == output,
        "the anchor has {} numbers a phrase, expected encoder.output, {output}",
        anchor.dim(),
    );
    ensure!(
        anchor.text_model == recipe.text.model,
        "the anchor was made by {:?}, expected text.model, {:?}",
        anchor.text_model,
        recipe.text.model
    );
    // Before anything is written: a phrase that the anchor lacks would only be found after an epoch.
    anchor.classes(recipe)?;
    anchor.background(recipe)?;
    Ok(anchor)
}

/// How the set of pictures is divided, where there is one.
pub fn picture_split(recipe: &Recipe, samples: &Samples) -> anyhow::Result<Option<Split>> {
    let Some(set) = samples.picture_set() else {
        return Ok(None);
    };
    let config = &recipe.data[set];
    let split = config
        .split
        .as_ref()
        .map(|split| split.apply(samples.entries(set)));
    let split = split.transpose();
    split.with_context(|| format!("data set {:?}: split", config.name))
}

/// The command as anyone could repeat it: without this machine's folders.
fn facts(
    args: &Args,
    epochs: usize,
    split: &Split,
    space: Option<&dyn AnchorSpace>,
    backend: String,
    from: Option<String>,
    measured_by: Option<&Facts>,
) -> Facts {
    let name = |path: &Path| {
        path.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let mut command = format!(
        "sensorium-train fit {} --seed {} --epochs {epochs}",
        name(&args.recipe),
        args.seed
    );
    if let Some(from) = &args.from {
        command.push_str(&format!(" --from {}", name(from)));
    }
    if let Some(images) = &args.images {
        command.push_str(&format!(" --images {}", name(images)));
    }
    if let Some(teacher) = &args.teacher {
        command.push_str(&format!(" --teacher {}", name(teacher)));
    }
    for group in &args.hold_out {
        command.push_str(&format!(" --hold-out {group:?}"));
    }
    for group in &args.leave_out {
        command.push_str(&format!(" --leave-out {group:?}"));
    }
    if let Some((fold, folds)) = args.fold {
        command.push_str(&format!(" --fold {fold}/{folds}"));
    }
    for class in &args.unseen {
        command.push_str(&format!(" --unseen {class:?}"));
    }
    if let Some(measured_by) = &args.measured_by {
        command.push_str(&format!(" --measured-by {}", name(measured_by)));
    }
    Facts {
        command,
        seed: args.seed,
        epochs,
        hold_out: args.hold_out.clone(),
        fold: args.fold,
        unseen_classes: args.unseen.clone(),
        backend,
        from,
        images: space.map(AnchorSpace::id),
        training_groups: split.training_groups.clone(),
        held_out_groups: split.held_out_groups.clone(),
        training_samples: split.training.len(),
        held_out_samples: split.held_out.len(),
        measured_by: measured_by.cloned().map(Box::new),
    }
}

#[cfg(test)]
mod tests;
