//! Numbers of byte pairs.

use anyhow::ensure;
use sensorium_core::text::{CONTEXT, ClipTokenizer};
use serde::Deserialize;

use super::folder::Folder;
use super::report::{Report, Tolerance};

const FILE: &str = "text.json";

#[derive(Debug, Deserialize)]
struct Texts {
    context_length: usize,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    text: String,
    ids: Vec<f64>,
    eos_index: usize,
}

/// Compares all texts, number by number.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if !folder.has(FILE) {
        return Ok(());
    }
    let texts: Texts = folder.json(FILE)?;
    ensure!(
        texts.context_length == CONTEXT,
        "a context of {}, expected {CONTEXT}",
        texts.context_length
    );
    let tokenizer = ClipTokenizer::new();
    for (index, case) in texts.cases.iter().enumerate() {
        let ids = tokenizer.ids(&case.text).map(f64::from);
        let mut expected = case.ids.clone();
        expected.resize(CONTEXT, 0.0);
        let item = format!("{FILE}: cases {index}");
        report.compare("numbers", &item, &ids, &expected, Tolerance::Exact);
        // The end is the first of the largest numbers, which is where encoders look.
        let largest = ids.iter().fold(0.0f64, |a, b| a.max(*b));
        let end = ids.iter().position(|id| *id == largest);
        report.same("end", &item, end == Some(case.eos_index));
    }
    Ok(())
}
