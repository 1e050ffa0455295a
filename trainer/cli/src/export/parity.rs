//! Whether the exported file computes what the encoder does.

use anyhow::Context;
use burn::prelude::*;
use burn::tensor::TensorData;
use sensorium_core::ImuSample;
use sensorium_core::feature::ImuFrontEnd;
use sensorium_model::ImuEncoder;
use sensorium_model::backend::Inference;
use sensorium_model::imu::CHANNELS;
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

/// The embeddings that an ONNX file gives for `count` windows at once, in tract.
pub fn embed_onnx(onnx: &[u8], count: usize, windows: &[f32]) -> anyhow::Result<Vec<f32>> {
    use tract_onnx::prelude::Tensor;
    let shape = [count, CHANNELS, windows.len() / count / CHANNELS];
    let run = || -> TractResult<Vec<f32>> {
        let mut reader = onnx;
        let model = tract_onnx::onnx()
            .model_for_read(&mut reader)?
            .with_input_fact(0, f32::fact(shape).into())?
            .into_optimized()?
            .into_runnable()?;
        let outputs = model.run(tvec!(Tensor::from_shape(&shape, windows)?.into()))?;
        let output = outputs[0].to_plain_array_view::<f32>()?;
        Ok(output.iter().copied().collect())
    };
    run().context("running the exported file")
}

/// The embeddings that the encoder gives for `count` windows.
pub fn embed(encoder: &ImuEncoder<Inference>, count: usize, windows: &[f32]) -> Vec<f32> {
    let shape = [count, CHANNELS, windows.len() / count / CHANNELS];
    let data = TensorData::new(windows.to_vec(), shape);
    let output = encoder.forward(Tensor::from_data(data, &Default::default()));
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
    use sensorium_model::ImuEncoderConfig;

    #[test]
    fn an_exported_encoder_computes_the_same_with_and_without_extra_keys() {
        let front_end = ImuFrontEnd {
            rate_hz: 50.0,
            samples: 32,
            units: "g,rad/s".parse().unwrap(),
        };
        let (count, windows) = windows(&front_end).unwrap();
        for bias_kv in [true, false] {
            let config = ImuEncoderConfig {
                samples: 32,
                dim: 24,
                blocks: 3,
                heads: 3,
                output: 20,
                bias_kv,
                ..ImuEncoderConfig::edge()
            };
            let encoder: ImuEncoder<Inference> = config.init(&Default::default()).unwrap();
            let onnx = to_onnx(&encoder.to_weights(), &config).unwrap();
            let expected = embed(&encoder, count, &windows);
            let actual = embed_onnx(&onnx, count, &windows).unwrap();
            assert!(max_abs(&actual, &expected) < 1e-5, "bias_kv {bias_kv}");
            let alone = embed_onnx(&onnx, 1, &windows[..6 * 32]).unwrap();
            assert!(max_abs(&alone, &expected[..20]) < 1e-5);
            assert_eq!(onnx, to_onnx(&encoder.to_weights(), &config).unwrap());
        }
    }

    #[test]
    fn what_is_no_number_is_no_match() {
        assert_eq!(max_abs(&[1.0], &[f32::NAN]), f32::INFINITY);
        assert_eq!(max_abs(&[1.0], &[1.0, 2.0]), f32::INFINITY);
        assert_eq!(max_abs(&[1.0, 2.0], &[1.0, 1.5]), 0.5);
    }
}
