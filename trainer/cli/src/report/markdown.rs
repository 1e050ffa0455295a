//! The main numbers as a Markdown table.

use super::measure::{AT_RECALL, Number, ZeroShot};
use super::summary::{Experiment, Report};

/// Classes that have a row each, where there are no more; else the page alone has them.
const MOST_CLASSES: usize = 24;

/// A row an experiment and number.
pub fn render(report: &Report) -> String {
    let mut text = "| encoder | sense | measure | value | 95 % or spread | chance | samples |\n\
        |---|---|---|---|---|---|---|\n"
        .to_owned();
    for experiment in &report.experiments {
        for [measure, value, range, chance] in rows(experiment) {
            let (name, sense) = (escaped(&experiment.name), experiment.sense);
            let samples: usize = experiment.parts.iter().map(|part| part.labelled).sum();
            let measure = escaped(&measure);
            text += &format!(
                "| {name} | {sense} | {measure} | {value} | {range} | {chance} | {samples} |\n"
            );
        }
    }
    for gain in &report.gains {
        for at in &gain.at {
            let (name, samples) = (escaped(&gain.name), gain.samples);
            let difference = at.trained - at.unbound;
            let range = { at.interval }.map(|i| format!("{:+.3} to {:+.3}", i.low, i.high));
            let range = range.unwrap_or_else(|| "–".to_owned());
            text += &format!(
                "| {name} | | paired anchor, recall@{}, more than unbound | {difference:+.3} | {range} | – | {samples} |\n",
                at.k
            );
        }
    }
    text
}

fn rows(experiment: &Experiment) -> Vec<[String; 4]> {
    let three = |value: f64| format!("{value:.3}");
    let or_dash = |value: Option<f64>| value.map_or("–".to_owned(), three);
    if !experiment.summary.is_empty() {
        let row = |line: &super::summary::Line| {
            let spread = &line.spread;
            let deviation = or_dash(spread.deviation);
            let range = format!("± {deviation} ({:.3} to {:.3})", spread.low, spread.high);
            [
                line.name.clone(),
                three(spread.mean),
                range,
                or_dash(line.chance),
            ]
        };
        return experiment.summary.iter().map(row).collect();
    }
    let range = |low: f64, high: f64| format!("{low:.3} to {high:.3}");
    let part = &experiment.parts[0];
    let number = |number: &Number| {
        let interval = number.interval.map(|i| range(i.low, i.high));
        let interval = interval.unwrap_or_else(|| "–".to_owned());
        [
            number.name.to_owned(),
            three(number.value),
            interval,
            three(number.chance),
        ]
    };
    let zero_shot = part
        .zero_shot
        .iter()
        .flat_map(|zero_shot| &zero_shot.numbers);
    let few_shot = part.few_shot.iter().map(|row| {
        let deviation = or_dash(row.accuracy.deviation);
        let name = format!("probe, {} a class", row.shots);
        [
            name,
            three(row.accuracy.mean),
            format!("± {deviation}"),
            "–".to_owned(),
        ]
    });
    let retrieval = part.retrieval.iter().flat_map(|row| {
        row.at.iter().map(move |at| {
            let name = format!(
                "{} → {}, {}, recall@{}",
                row.query, row.item, row.truth, at.k
            );
            let interval = at.interval.map_or("–".to_owned(), |i| range(i.low, i.high));
            [name, three(at.recall), interval, three(at.chance)]
        })
    });
    let few = |found: &&ZeroShot| found.classes.len() <= MOST_CLASSES;
    let classes = part.zero_shot.iter().filter(few);
    let classes = classes.flat_map(|found| &found.classes);
    let alarms = classes.filter_map(|class| {
        let alarms = class.false_alarms?;
        let name = format!(
            "false alarms an hour of {:?}, {AT_RECALL} of it found",
            class.name
        );
        let (low, high) = (alarms.interval.low, alarms.interval.high);
        let interval = format!("{low:.1} to {high:.1}");
        Some([
            name,
            format!("{:.1}", alarms.per_hour),
            interval,
            "–".to_owned(),
        ])
    });
    zero_shot
        .map(number)
        .chain(few_shot)
        .chain(retrieval)
        .chain(alarms)
        .collect()
}

/// A cell's text, with nothing that ends the cell or begins a tag.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
