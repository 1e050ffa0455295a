//! The ONNX file of a text tower.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::{Beside, TextError};
use crate::encode::weights;

/// What a model input is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    Types,
    Positions,
}

type Runnable = Arc<TypedRunnableModel>;

/// A model of texts, ready to run.
pub(super) struct TextModel {
    prepared: Prepared,
    inputs: Vec<(Input, DatumType)>,
}

/// What a model is prepared for.
enum Prepared {
    /// Texts of any length, or of the one that all have.
    Once(Runnable),
    /// A length at a time, of models that cannot be prepared for all.
    Lengths {
        model: Box<InferenceModel>,
        known: Mutex<BTreeMap<usize, Runnable>>,
    },
}

impl TextModel {
    /// Reads a file, and what `beside` has of weights that lie elsewhere; for texts that all have so many
    /// tokens, if they have.
    pub(super) fn read(
        path: &Path,
        bytes: &[u8],
        beside: &Beside,
        tokens: Option<usize>,
    ) -> Result<Self, TextError> {
        let of_path = |source| TextError::Model {
            path: path.to_owned(),
            source,
        };
        let parse = |mut bytes: &[u8]| {
            let onnx = tract_onnx::onnx();
            let mut proto = onnx.proto_model_for_read(&mut bytes)?;
            let find = |location: &str| beside.get(location).map(Vec::as_slice);
            weights::fill(&mut proto, find)
                .map_err(|name| TractError::msg(format!("weight {name:?} is missing")))?;
            weights::widen(&mut proto);
            onnx.model_for_proto_model(&proto)
        };
        let model = parse(bytes).map_err(of_path)?;
        let inputs = inputs(&model).map_err(of_path)?;
        let inputs = inputs
            .into_iter()
            .map(|(name, datum_type)| Ok((input(name)?, datum_type)))
            .collect::<Result<Vec<_>, TextError>>()?;
        // Lengths stay open by default: fixing them makes the analysis of MiniLM's mask fail, and
        // leaving them open that of others.
        let once = match tokens {
            Some(_) => {
                prepared(&model, &inputs, tokens).or_else(|_| prepared(&model, &inputs, None))
            }
            None => prepared(&model, &inputs, None),
        };
        let prepared = match once {
            Ok(model) => Prepared::Once(model),
            Err(open) => {
                // Tried here with a few tokens, so that a file that is no model at all is told of.
                const FEW: usize = 4;
                let few = prepared(&model, &inputs, Some(FEW)).map_err(|_few| of_path(open))?;
                let known = Mutex::new(BTreeMap::from([(FEW, few)]));
                Prepared::Lengths {
                    model: Box::new(model),
                    known,
                }
            }
        };
        Ok(Self { prepared, inputs })
    }

    /// The model for a text of so many tokens.
    fn of(&self, tokens: usize) -> TractResult<Runnable> {
        match &self.prepared {
            Prepared::Once(model) => Ok(model.clone()),
            Prepared::Lengths { model, known } => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(model) = known.get(&tokens) {
                    return Ok(model.clone());
                }
                let model = prepared(model, &self.inputs, Some(tokens))?;
                known.insert(tokens, model.clone());
                Ok(model)
            }
        }
    }

    /// Whether it takes several texts at once.
    pub(super) fn takes_several(&self) -> bool {
        let Prepared::Once(runnable) = &self.prepared else {
            return false;
        };
        let first = runnable.model().input_fact(0);
        first.is_ok_and(|fact| fact.shape.first().is_some_and(|len| len.to_i64().is_err()))
    }

    /// The output for texts of so many tokens each, one after the other, whose padding begins at `end`; and
    /// its shape.
    pub(super) fn run(
        &self,
        ids: &[i64],
        tokens: usize,
        end: usize,
    ) -> TractResult<(Vec<f32>, Vec<usize>)> {
        let mut tensors = TVec::new();
        let texts = ids.len().checked_div(tokens).unwrap_or(0);
        for (input, datum_type) in &self.inputs {
            let places = (0..ids.len()).map(|at| at % tokens);
            let rows: Vec<i64> = match input {
                Input::Ids => ids.to_vec(),
                Input::Mask => places.map(|at| i64::from(at < end)).collect(),
                Input::Types => vec![0; ids.len()],
                Input::Positions => places.map(|at| at as i64).collect(),
            };
            let rows = Tensor::from_shape(&[texts, tokens], &rows)?;
            tensors.push(rows.cast_to_dt(*datum_type)?.into_owned().into());
        }
        let outputs = self.of(tokens)?.run(tensors)?;
        let output = outputs[0].cast_to::<f32>()?;
        let values = output.to_plain_array_view::<f32>()?;
        Ok((values.iter().copied().collect(), output.shape().to_vec()))
    }
}

/// Names and types of a model's inputs.
fn inputs(model: &InferenceModel) -> TractResult<Vec<(String, DatumType)>> {
    let outlets = model.input_outlets()?.iter().enumerate();
    outlets
        .map(|(at, outlet)| {
            let datum_type = model.input_fact(at)?.datum_type.concretize();
            Ok((
                model.node(outlet.node).name.clone(),
                datum_type.unwrap_or(DatumType::I64),
            ))
        })
        .collect()
}

fn input(name: String) -> Result<Input, TextError> {
    match name.as_str() {
        "input_ids" => Ok(Input::Ids),
        "attention_mask" => Ok(Input::Mask),
        "token_type_ids" => Ok(Input::Types),
        "position_ids" => Ok(Input::Positions),
        _ => Err(TextError::Input { name }),
    }
}

fn prepared(
    model: &InferenceModel,
    inputs: &[(Input, DatumType)],
    tokens: Option<usize>,
) -> TractResult<Runnable> {
    let prepare = || {
        let mut model = model.clone();
        if let Some(tokens) = tokens {
            for (at, (_, datum_type)) in inputs.iter().enumerate() {
                model.set_input_fact(at, datum_type.fact([1, tokens]).into())?;
            }
        }
        model.into_optimized()?.into_runnable()
    };
    // The library is known to panic on some files.
    catch_unwind(AssertUnwindSafe(prepare))
        .unwrap_or_else(|_panic| Err(TractError::msg("the inference library failed")))
}
