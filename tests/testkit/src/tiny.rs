//! Packs of encoders so small that a test knows what they say: each averages the parts of its input.

use std::fmt::Write as _;

use sensorium_pack::npy;
use sensorium_pack::{
    Encoder, FORMAT, FrontEnd, Golden, Manifest, Modality, PackWriter, Scoring, Space, VERSION,
};

use crate::onnx::averaging_encoder;

/// An encoder with a space of its own, or, of a sense that there is already, in that one's. Its features are cut into as many equal parts as there are
/// words; the means of the parts, normalised, are the embedding, so each word is an axis.
#[derive(Debug, Clone)]
pub struct Tiny {
    /// The sense, which is the name of its first encoder too.
    pub modality: Modality,
    /// Its front end, as a manifest has it.
    pub front_end: &'static str,
    /// What the parts are called.
    pub words: &'static [&'static str],
}

/// A pack of such encoders, whose default classes are their words.
///
/// # Panics
///
/// If a front end is none.
#[must_use]
pub fn tiny_pack(encoders: &[Tiny]) -> Vec<u8> {
    match build(encoders) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{error}"),
    }
}

fn build(tiny: &[Tiny]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut writer = PackWriter::new();
    let (mut spaces, mut encoders, mut classes) = (Vec::new(), Vec::new(), String::new());
    for Tiny {
        modality,
        front_end,
        words,
    } in tiny
    {
        let dim = words.len();
        let is_second = encoders
            .iter()
            .any(|known: &Encoder| known.modality == *modality);
        let name = match is_second {
            true => format!("{modality} too"),
            false => modality.to_string(),
        };
        let front_end: FrontEnd = serde_json::from_str(front_end)?;
        let shape = [&[1], &front_end.build()?.output_shape()[..]].concat();
        let len: usize = shape.iter().product();
        let member = |file: &str| format!("{name}/{file}");
        let mut add = |file: &str, content: Vec<u8>| writer.add(&member(file), content);
        let axes: Vec<f32> = (0..dim * dim)
            .map(|at| f32::from(u8::from(at % (dim + 1) == 0)))
            .collect();
        // Falls along the input, so that no two parts are alike.
        let input: Vec<f32> = (0..len).map(|at| 1.0 - at as f32 / len as f32).collect();
        let output = averages(&input, dim);
        add("encoder.onnx", averaging_encoder(&shape[1..], dim));
        if !is_second {
            add("centre.npy", npy::to_bytes(&[dim], &vec![0.0; dim])?);
            add("prompts.json", serde_json::to_vec(words)?);
            add("prompts.npy", npy::to_bytes(&[dim, dim], &axes)?);
            spaces.push(Space {
                name: format!("{modality} words"),
                dim,
                text_model: "none".into(),
                centre: member("centre.npy"),
                prompts: member("prompts.json"),
                prompt_rows: member("prompts.npy"),
                tower: None,
                resemblance: None,
            });
        }
        add("input.npy", npy::to_bytes(&shape, &input)?);
        add("output.npy", npy::to_bytes(&[1, dim], &output)?);
        let golden = Golden {
            input: member("input.npy"),
            output: member("output.npy"),
            max_abs: 1e-5,
        };
        encoders.push(Encoder {
            modality: *modality,
            space: format!("{modality} words"),
            model: member("encoder.onnx"),
            front_end,
            scoring: Scoring {
                temperature: 0.1,
                enter: 0.5,
                exit: 0.3,
            },
            golden,
            name,
        });
        for word in words.iter().filter(|_| !is_second) {
            writeln!(
                classes,
                "[[class]]\nname = {word:?}\nmodalities = [\"{modality}\"]"
            )?;
        }
    }
    writer.add("classes.toml", classes.into_bytes());
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        name: "tiny".into(),
        spaces,
        encoders,
        classes: "classes.toml".into(),
        provenance: Vec::new(),
        members: Vec::new(),
    };
    Ok(writer.to_bytes(manifest)?)
}

/// What the encoder gives: the mean of each part, normalised.
#[must_use]
pub fn averages(features: &[f32], parts: usize) -> Vec<f32> {
    let part = features.len() / parts;
    let mean = |values: &[f32]| values.iter().sum::<f32>() / part as f32;
    let means: Vec<f32> = features.chunks_exact(part).take(parts).map(mean).collect();
    let norm = means.iter().map(|v| v * v).sum::<f32>().sqrt();
    means.into_iter().map(|v| v / norm).collect()
}
