//! A tagger's file, what is known of it, and whether it gives what it gave where it comes from.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::{FrontEnd, Processor, SoundFrontEnd};
use sensorium_engine::keys::from_toml;
use sensorium_media::array;
use sensorium_pack::Modality;
use tract_onnx::prelude::Tensor;

use super::Args;
use crate::anchor::model::{Model, Output, Runner};
use crate::import::hub::family;
use crate::import::hub::folder::Folder;
use crate::import::names;

/// Largest difference to the golden spectrogram that is the same spectrogram.
const MAX_MEL: f32 = 1e-3;

/// Largest difference to the golden outputs that is the same tagger. Outputs are logits of about 10.
const MAX_LOGIT: f32 = 1e-2;

/// A tagger's file, and what is known of it.
pub struct Source {
    /// The net.
    pub onnx: PathBuf,
    /// The names of its outputs.
    pub names: Vec<String>,
    /// What the names are from.
    names_from: String,
    /// What it is given.
    pub front_end: FrontEnd,
    /// What the front end is from.
    made_by: String,
}

impl Source {
    /// What the arguments name: a file with its names and front end, or a folder.
    pub fn open(args: &Args) -> anyhow::Result<Self> {
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

    /// What makes its inputs.
    pub fn hears(&self) -> anyhow::Result<SoundFrontEnd> {
        built(&self.front_end).with_context(|| self.made_by.clone())
    }

    /// The output that holds a number a name, and the model prepared for one clip.
    pub fn tagger(
        &self,
        model: &Model,
        front_end: &SoundFrontEnd,
        wanted: Option<&str>,
    ) -> anyhow::Result<(String, Runner)> {
        let (path, names) = (&self.onnx, self.names.len());
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
            if wanted.is_some_and(|wanted| wanted != output) {
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
                bail!(
                    "{path:?} has several outputs of {names} numbers, say which by --output: {all:?}"
                )
            }
            (None, _) => bail!(
                "{path:?} is no tagger of these names: its outputs are {others:?}, expected one of \
                 [1, {names}], a number for each of the {names} names in {}",
                self.names_from
            ),
        }
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

/// Axes as people write them.
fn shown(axes: &[Option<usize>]) -> String {
    let axis = |len: &Option<usize>| len.map_or("any".to_owned(), |len| len.to_string());
    let axes: Vec<String> = axes.iter().map(axis).collect();
    format!("[{}]", axes.join(", "))
}

/// Whether the front end and the model give what they gave where the tagger comes from.
pub fn check_golden(
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
