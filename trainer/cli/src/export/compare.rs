//! Whether the exported file computes what the encoder does.

use std::sync::Arc;

use anyhow::Context;
use sensorium_model::backend::Inference;
use sensorium_model::{Input, Tower};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, TypedRunnableModel,
    tvec,
};

use crate::contained::contained;

/// Largest difference of an embedding's numbers that is the same embedding.
pub const MAX_ABS: f32 = 1e-4;

/// An exported file, prepared to run on one input at a time, as the runtime does.
pub struct OnnxEncoder {
    shape: Vec<usize>,
    model: Arc<TypedRunnableModel>,
}

impl OnnxEncoder {
    /// Prepares a file for inputs of a shape.
    ///
    /// # Errors
    ///
    /// What tract cannot run.
    pub fn new(onnx: &[u8], shape: &[usize]) -> anyhow::Result<Self> {
        Self::of_shape(onnx, [&[1], shape].concat())
    }

    fn of_shape(onnx: &[u8], shape: Vec<usize>) -> anyhow::Result<Self> {
        let mut reader = onnx;
        let load = || -> TractResult<_> {
            tract_onnx::onnx()
                .model_for_read(&mut reader)?
                .with_input_fact(0, f32::fact(&shape).into())?
                .into_optimized()?
                .into_runnable()
        };
        let model = contained(load).context("running the exported file")?;
        Ok(Self { shape, model })
    }

    /// The embedding of an input.
    ///
    /// # Errors
    ///
    /// What tract fails on.
    pub fn embed(&self, input: &[f32]) -> anyhow::Result<Vec<f32>> {
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&self.shape, input)?;
            let outputs = self.model.run(tvec!(input.into()))?;
            let output = outputs[0].to_plain_array_view::<f32>()?;
            Ok(output.iter().copied().collect())
        };
        contained(run).context("running the exported file")
    }
}

/// The embeddings that an ONNX file gives in tract for all inputs of this shape at once.
pub fn embed_onnx(onnx: &[u8], shape: &[usize], inputs: &[f32]) -> anyhow::Result<Vec<f32>> {
    let count = inputs.len() / shape.iter().product::<usize>();
    OnnxEncoder::of_shape(onnx, [&[count], shape].concat())?.embed(inputs)
}

/// The embeddings that the encoder gives for all inputs at once.
pub fn embed(encoder: &Tower<Inference>, inputs: &[f32]) -> Vec<f32> {
    let shape = encoder.config().input_shape();
    let input = Input::of_shape(inputs.to_vec(), &shape, &Default::default());
    let output = encoder.embed(input);
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
    use crate::export::to_onnx;
    use burn::tensor::{Tensor, TensorData};
    use sensorium_model::conv::{Activation, Conse, ConvConfig, LayerConfig, Norm, Pooling};
    use sensorium_model::weights::Weights;
    use sensorium_model::{EncoderConfig, InputConfig, Sense, TowerConfig};

    fn wave(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    /// Two inputs at once and one alone give what the encoder gives, and equal weights equal bytes.
    fn same_when_exported(config: &TowerConfig) {
        let encoder: Tower<Inference> = config.init(&Default::default()).unwrap();
        same_when_written(&encoder, config);
    }

    fn same_when_written(encoder: &Tower<Inference>, config: &TowerConfig) {
        let weights = encoder.to_weights();
        let onnx = to_onnx(&weights, config).unwrap();
        let shape = config.input_shape();
        let len = shape.iter().product::<usize>();
        let values = wave(2 * len);
        let expected = embed(encoder, &values);
        let actual = embed_onnx(&onnx, &shape, &values).unwrap();
        assert!(max_abs(&actual, &expected) < 1e-5, "{config:?}");
        let alone = embed_onnx(&onnx, &shape, &values[..len]).unwrap();
        assert!(max_abs(&alone, &expected[..config.output()]) < 1e-5);
        assert_eq!(onnx, to_onnx(&weights, config).unwrap());
    }

    #[test]
    fn an_exported_net_computes_the_same_with_every_kind_of_layer() {
        let conv = |channels, groups, stride, norm, residual| LayerConfig::Conv {
            channels,
            kernel: [3, 5],
            stride,
            groups,
            norm,
            activation: if residual {
                Activation::Gelu
            } else {
                Activation::Relu
            },
            residual,
        };
        let pool = |by, kernel| LayerConfig::Pool { by, kernel };
        let layers = [
            LayerConfig::Level { floor: 0.01 },
            LayerConfig::Centre { spread: true },
            LayerConfig::Detail { scale: 0.1 },
            conv(8, 1, [1, 2], Norm::Batch, false),
            conv(8, 8, [1, 1], Norm::None, true),
            conv(8, 2, [1, 1], Norm::Group(4), false),
            LayerConfig::Centre { spread: false },
            LayerConfig::Dropout { share: 0.5 },
            pool(Pooling::MeanMax, Some([1, 3])),
        ];
        let device = Default::default();
        for input in [vec![6, 31], vec![2, 9, 20], vec![3, 4, 9, 16]] {
            let mut layers = layers.to_vec();
            if input.len() == 4 {
                layers.push(LayerConfig::JoinFrames {});
                layers.push(conv(5, 1, [1, 1], Norm::Batch, false));
            }
            layers.push(LayerConfig::JoinRows {});
            layers.push(pool(Pooling::Mean, None));
            let config = TowerConfig::Conv(ConvConfig {
                sense: Sense::Depth,
                input,
                layers,
                output: 20,
                dropout: 0.1,
                skip: false,
                scale: None,
                learn_scale: false,
                conse: None,
            });
            let conse = Conse {
                words: 7,
                temperature: 0.1,
                weight: 0.5,
            };
            let words = Tensor::from_data(TensorData::new(wave(7 * 20), [7, 20]), &device);
            let encoder: Tower<Inference> = config.init(&device).unwrap();
            let encoder = encoder.with_conse(conse, words);
            same_when_written(&encoder, &encoder.config());
        }
    }

    #[test]
    fn what_goes_past_the_linear_layer_does_so_in_the_file() {
        let config = TowerConfig::Conv(ConvConfig {
            sense: Sense::Thermal,
            input: vec![50, 1],
            layers: Vec::new(),
            output: 20,
            dropout: 0.1,
            skip: true,
            scale: None,
            learn_scale: false,
            conse: None,
        });
        let encoder: Tower<Inference> = config.init(&Default::default()).unwrap();
        same_when_written(&encoder, &config);
        // It starts as what goes past, at zeros; not so after a training.
        let mut weights = Weights::new();
        weights.insert("thermal.head.weight", &[20, 30], wave(600));
        weights.insert("thermal.head.bias", &[20], wave(20));
        same_when_written(&encoder.with_weights(&weights).unwrap(), &config);
    }

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
                same_when_exported(&TowerConfig::Transformer(EncoderConfig {
                    input,
                    dim: 24,
                    blocks: 3,
                    heads: 3,
                    output: 20,
                    bias_kv,
                    ..EncoderConfig::edge(input.sense())
                }));
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
