//! Normalisation and scale.

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use sensorium_model::backend::Inference;
use sensorium_model::encoder::{normalise, stretch};

use super::encoders::{at, numbers};
use super::folder::Folder;
use super::report::{Report, Tolerance};

const FILE: &str = "postprocessor.safetensors";

/// Rounding of 64 bits.
const TOLERANCE: Tolerance = Tolerance::Relative(1e-12);

/// Compares all cases.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if !folder.has(FILE) {
        return Ok(());
    }
    let vectors = folder.vectors(FILE)?;
    let x = vectors.get("x")?;
    let [rows, dim] = x.shape[..] else {
        anyhow::bail!("x has shape {:?}, expected 2 axes", x.shape);
    };
    let wide = (&Default::default(), DType::F64);
    let data = TensorData::new(x.values.clone(), [rows, dim]);
    let unit = normalise(Tensor::<Inference, 2>::from_data(data, wide));
    for case in vectors.stems(".log_scale") {
        let log_scale = vectors.get(&format!("{case}.log_scale"))?.scalar()?;
        let log_scale = Tensor::from_data(TensorData::new(vec![log_scale], [1]), wide);
        let actual = numbers(stretch(unit.clone(), log_scale));
        let item = format!("{case}.y");
        let expected = &vectors.get(&item)?.values;
        report.compare(
            "post-processed",
            at(FILE, &item),
            &actual,
            expected,
            TOLERANCE,
        );
        report.same("input", at(FILE, &format!("{case}.log_scale")), true);
        report.same("input", at(FILE, "x"), true);
    }
    Ok(())
}
