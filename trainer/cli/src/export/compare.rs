//! Whether the exported file computes what the encoder does.

use crate::export::encoder::input_shape;
use anyhow::Context;
use sensorium_core::ImuSample;
use sensorium_core::feature::ImuFrontEnd;
use sensorium_model::backend::Inference;
use sensorium_model::{Encoder, Input};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, TractResult, tvec,
};

/// Largest difference of an embedding's numbers that is the same embedding.
pub const MAX_ABS: f32 = 1e-4;

/// Made-up windows that look like a sensor's: at rest, walking, and being turned over.
pub fn windows(front_end: &ImuFrontEnd) -> anyhow::Result<(usize, Vec<f32>)> {
    let wave = |hz: f32, t: f32, phase: f32| (std::f32::consts::TAU * hz * t + phase).sin();
    let rest = |_: f32| ImuSample {
        accel_mps2: [9.78, -0.42, 0.61],
        gyro_radps: [0.01, -0.02, 0.005],
    };
    let walk = |t: f32| ImuSample {
        accel_mps2: [
            9.81 + 2.6 * wave(1.9, t, 0.3) + 1.1 * wave(3.8, t, 1.2),
            -0.5 + 1.3 * wave(0.95, t, 0.0),
            0.4 + 1.6 * wave(1.9, t, 2.1),
        ],
        gyro_radps: [
            0.8 * wave(0.95, t, 0.4),
            0.5 * wave(1.9, t, 1.0),
            0.4 * wave(0.95, t, 2.5),
        ],
    };
    let turn = |t: f32| {
        let angle = (t - 1.28).clamp(-0.75, 0.75) + 0.75;
        ImuSample {
            accel_mps2: [9.81 * angle.cos(), 0.3, 9.81 * angle.sin()],
            gyro_radps: [0.05, -f32::from(u8::from((0.53..2.03).contains(&t))), 0.0],
        }
    };
    let kinds: [&dyn Fn(f32) -> ImuSample; 3] = [&rest, &walk, &turn];
    let mut values = vec![0.0; kinds.len() * front_end.output_len()];
    let rows = values.chunks_exact_mut(front_end.output_len());
    for (kind, row) in kinds.iter().zip(rows) {
        let times = (0..front_end.samples).map(|i| i as f32 / front_end.rate_hz);
        let samples: Vec<ImuSample> = times.map(kind).collect();
        front_end.extract(&samples, front_end.rate_hz, row)?;
    }
    Ok((kinds.len(), values))
}

/// The embeddings that an ONNX file gives in tract for all inputs of this shape at once.
pub fn embed_onnx(onnx: &[u8], shape: &[usize], inputs: &[f32]) -> anyhow::Result<Vec<f32>> {
    use tract_onnx::prelude::Tensor;
    let count = inputs.len() / shape.iter().product::<usize>();
    let shape = [&[count], shape].concat();
    let run = || -> TractResult<Vec<f32>> {
        let mut reader = onnx;
        let model = tract_onnx::onnx()
            .model_for_read(&mut reader)?
            .with_input_fact(0, f32::fact(&shape).into())?
            .into_optimized()?
            .into_runnable()?;
        let outputs = model.run(tvec!(Tensor::from_shape(&shape, inputs)?.into()))?;
        let output = outputs[0].to_plain_array_view::<f32>()?;
        Ok(output.iter().copied().collect())
    };
    run().context("running the exported file")
}

/// The embeddings that the encoder gives for all inputs at once.
pub fn embed(encoder: &Encoder<Inference>, inputs: &[f32]) -> Vec<f32> {
    let shape = input_shape(encoder.config());
    let input = Input::of_shape(inputs.to_vec(), &shape, &Default::default());
    let output = encoder.forward(input);
    output.into_data().iter::<f32>().collect()
}

/// The largest difference of two lists; infinite if one is longer or holds no number somewhere.
pub fn max_abs(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |worst, difference| {
        if difference.is_nan() {
            f32::INFINITY
        } else {
            worst.max(difference)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::encoder::to_onnx;
    use sensorium_model::{EncoderConfig, InputConfig};

    #[test]
    fn an_exported_encoder_computes_the_same_for_every_sense_with_and_without_extra_keys() {
        let (patch, side) = (4, 12);
        for input in [
            InputConfig::Imu {
                samples: 32,
                patch: 8,
            },
            InputConfig::Imu { samples: 37, patch },
            InputConfig::Audio {
                mels: 10,
                frames: 17,
                patch,
                stride: 3,
            },
            InputConfig::Depth { side, patch },
            InputConfig::Thermal { side: 14, patch },
            InputConfig::Vision {
                frames: 2,
                side,
                patch: [2, 4, 4],
            },
        ] {
            for bias_kv in [true, false] {
                let config = EncoderConfig {
                    input,
                    dim: 24,
                    blocks: 3,
                    heads: 3,
                    output: 20,
                    bias_kv,
                    ..EncoderConfig::edge(input.sense())
                };
                let encoder: Encoder<Inference> = config.init(&Default::default()).unwrap();
                let onnx = to_onnx(&encoder.to_weights(), &config).unwrap();
                let shape = input_shape(&config);
                let len = shape.iter().product::<usize>();
                let values: Vec<f32> = (0..2 * len).map(|i| (i as f32 * 0.37).sin()).collect();
                let expected = embed(&encoder, &values);
                let actual = embed_onnx(&onnx, &shape, &values).unwrap();
                assert!(max_abs(&actual, &expected) < 1e-5, "{input:?}, {bias_kv}");
                let alone = embed_onnx(&onnx, &shape, &values[..len]).unwrap();
                assert!(max_abs(&alone, &expected[..20]) < 1e-5);
                assert_eq!(onnx, to_onnx(&encoder.to_weights(), &config).unwrap());
            }
        }
    }

    #[test]
    fn what_is_no_number_is_no_match() {
        assert_eq!(max_abs(&[1.0], &[f32::NAN]), f32::INFINITY);
        assert_eq!(max_abs(&[1.0], &[1.0, 2.0]), f32::INFINITY);
        assert_eq!(max_abs(&[1.0, 2.0], &[1.0, 1.5]), 0.5);
    }
}
