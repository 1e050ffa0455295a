//! The main numbers as a Markdown table.

use super::measure::{AT_RECALL, Number, ZeroShot};
use super::summary::{Experiment, Report};
use super::target::Outcome;

/// Classes that have a row each, where there are no more; else the page alone has them.
const MOST_CLASSES: usize = 24;

/// A row an experiment and number.
pub fn render(report: &Report) -> String {
    let mut text = targets(&report.targets);
    text += "| encoder | sense | measure | value | 95 % or spread | chance | samples |\n\
        |---|---|---|---|---|---|---|\n";
    for experiment in &report.experiments {
        let (name, sense) = (escaped(&experiment.name), experiment.sense);
        let mut add = |[measure, value, range, chance]: [String; 4], samples: usize| {
            let measure = escaped(&measure);
            text += &format!(
                "| {name} | {sense} | {measure} | {value} | {range} | {chance} | {samples} |\n"
            );
        };
        let samples = experiment.parts.iter().map(|part| part.labelled).sum();
        rows(experiment)
            .into_iter()
            .for_each(|row| add(row, samples));
        for group in &experiment.class_groups {
            for row in &group.numbers {
                add(
                    number(row, format!("{}: {}", group.name, row.name)),
                    group.samples,
                );
            }
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

/// A row a target, and below what was tried where something is missing.
fn targets(targets: &[Outcome]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let mut text = "| target | measured | 95 % or worst to best | must | goal | |\n|---|---|---|---|---|---|\n".to_owned();
    for target in targets {
        let aim = |aim: Option<f64>| aim.map_or("–".to_owned(), |aim| target.says(aim));
        let measured = target.measured.as_ref();
        let value = measured.map_or("–".to_owned(), |m| target.says(m.value));
        let range = measured.and_then(|measured| measured.range);
        let range = range.map_or("–".to_owned(), |range| {
            format!("{} to {}", target.says(range.low), target.says(range.high))
        });
        text += &format!(
            "| {} | {value} | {range} | {} | {} | {} |\n",
            escaped(&target.what),
            aim(target.must),
            aim(target.goal),
            target.verdict_in_words(),
        );
    }
    for target in targets {
        if target.has_story() {
            text += &format!(
                "\n**{}**: {}.",
                escaped(&target.what),
                target.verdict_in_words()
            );
            for beside in &target.beside {
                text += &format!(" {}: {}.", escaped(&beside.what), target.says(beside.value));
            }
            text += "\n\n";
            for tried in &target.tried {
                text += &format!("- Tried: {}\n", escaped(tried));
            }
            if let Some(wants) = &target.wants {
                text += &format!("- It wants: {}\n", escaped(wants));
            }
        }
    }
    text + "\n"
}

fn number(number: &Number, name: String) -> [String; 4] {
    let range = number
        .interval
        .map(|i| format!("{:.3} to {:.3}", i.low, i.high));
    let range = range.unwrap_or_else(|| "–".to_owned());
    let three = |value: f64| format!("{value:.3}");
    [name, three(number.value), range, three(number.chance)]
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
    let number = |row: &Number| number(row, row.name.to_owned());
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
