//! The page: one HTML file with its style and drawings in it, and no script.
//!
//! Every text from a table goes through maud, which escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::aims;
use super::chart::strip;
use super::figure;
use super::measure::{Basis, Measures, Number, ZeroShot};
use super::section;
use super::summary::{Experiment, Line, Report};
use crate::metrics::interval::Interval;

/// Nothing is fetched and nothing runs, whatever a table says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Rows of two tables that still stand side by side.
const ABREAST: usize = 20;

/// Draws the page.
pub fn render(title: &str, report: &Report) -> Markup {
    let options = &report.options;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { (title) }
                    p.lead {
                        "Measured on samples that were held out of training. Every number stands beside "
                        "what random answers would give, and with the range in which the truth probably "
                        "is."
                    }
                    div.sign {
                        (strip(0.7, Some((0.55, 0.82)), Some(0.2)))
                        span {
                            "The line runs from 0 to 1. Dot: the number. Band: its 95 % interval. Upright "
                            "mark: chance."
                        }
                    }
                    nav {
                        ul {
                            @if !report.targets.is_empty() {
                                li { a href="#targets" { "targets" } }
                            }
                            @for (i, experiment) in report.experiments.iter().enumerate() {
                                li { a href={ "#e" (i) } {
                                    (experiment.name) " " span { (experiment.sense) }
                                } }
                            }
                            @if !report.gains.is_empty() {
                                li { a href="#gains" { "with and without training" } }
                            }
                            @if !report.between.is_empty() {
                                li { a href="#between" { "sums of two senses" } }
                            }
                        }
                    }
                    @if !report.targets.is_empty() {
                        h2 id="targets" { "What was aimed at" }
                        (aims::targets(&report.targets))
                    }
                    @for (i, one) in report.experiments.iter().enumerate() {
                        (experiment(i, one))
                    }
                    @if !report.gains.is_empty() {
                        h2 id="gains" { "With and without training" }
                        @for gain in &report.gains {
                            (section::gain(gain))
                        }
                    }
                    @if !report.between.is_empty() {
                        h2 id="between" { "Sums of two senses" }
                        @for sum in &report.between {
                            (section::arithmetic(sum))
                        }
                    }
                    footer {
                        "Made by " (report.program) " report, seed " (options.seed) ", "
                        (options.resamples) " resamples for an interval over groups, "
                        (options.draws) " draws of examples for a probe."
                    }
                }
            }
        }
    }
}

fn experiment(number: usize, experiment: &Experiment) -> Markup {
    let Experiment {
        name, sense, parts, ..
    } = experiment;
    let samples: usize = parts.iter().map(|part| part.samples).sum();
    let labelled: usize = parts.iter().map(|part| part.labelled).sum();
    let groups = experiment.groups().count();
    let single = parts.len() == 1;
    html! {
        h2 id={ "e" (number) } { (name) }
        p.facts {
            "Sense " b { (sense) } " · " b { (samples) } " samples, " b { (labelled) } " of them labelled · "
            b { (experiment.classes.len()) } " classes · " b { (groups) } (if groups == 1 { " group · " } else { " groups · " })
            "embeddings of " b { (parts[0].dim) } " numbers"
            @if !single { " · " b { (parts.len()) } " tables" }
        }
        @if !experiment.class_groups.is_empty() {
            (aims::class_groups(&experiment.class_groups))
        }
        @if single {
            (part(experiment, &parts[0]))
        } @else {
            (summary(experiment))
            @if !experiment.classes.is_empty() && labelled > 0 {
                (confusion(&experiment.classes, &experiment.confusion, "All tables together. "))
            }
            @for measures in parts {
                details {
                    summary {
                        "Held out: " (measures.part)
                        span {
                            " · " (measures.samples) " samples"
                            @for number in measures.zero_shot.iter().flat_map(|z| z.numbers.first()) {
                                " · top-1 " (format!("{:.3}", number.value))
                            }
                        }
                    }
                    (part(experiment, measures))
                }
            }
        }
    }
}

/// What the numbers of [`ZeroShot`] mean.
fn meaning(name: &str) -> &'static str {
    match name {
        "top-1" => "Share of samples whose nearest class, by its words alone, is the right one.",
        "top-5" => "Share of samples with the right class among the five nearest.",
        "mean class recall" => {
            "Top-1 class by class, averaged: a rare class counts as much as a common one."
        }
        "mAP" => {
            "How far ahead each class's words rank its own samples: average precision, mean over classes."
        }
        "AUC" => "How often a sample of a class ranks before one of another: mean over classes.",
        _ => "",
    }
}

fn ends(interval: Interval) -> (f64, f64) {
    (interval.low, interval.high)
}

fn tile(number: &Number) -> Markup {
    html! {
        div.tile {
            div.name { (number.name) }
            div.value { (format!("{:.3}", number.value)) }
            (strip(number.value, number.interval.map(ends), Some(number.chance)))
            @if let Some(Interval { low, high }) = number.interval {
                div.range { "95 %: " (format!("{low:.3} to {high:.3}")) }
            }
            div.range { "chance: " (format!("{:.3}", number.chance)) }
            p.what { (meaning(number.name)) }
        }
    }
}

/// How the intervals were found, and how far to trust them.
fn basis(zero_shot: &ZeroShot, groups: usize) -> Markup {
    let has = |basis| {
        zero_shot
            .numbers
            .iter()
            .any(|number| number.basis == Some(basis))
    };
    html! {
        @if has(Basis::Groups) {
            "Intervals are over groups (people, places): whole groups are drawn again and again, for "
            "samples of one person resemble each other. "
            @if groups < 10 {
                "With only " (groups) " groups they are rough, and rather too narrow. "
            }
        } @else if has(Basis::Samples) {
            "All samples are of one group, so intervals take samples for independent (Wilson) and say "
            "nothing about other people or places. "
        }
    }
}

fn part(experiment: &Experiment, part: &Measures) -> Markup {
    html! {
        @if let Some(zero_shot) = &part.zero_shot {
            div.tiles { @for number in &zero_shot.numbers { (tile(number)) } }
            p.note {
                "Zero-shot: the encoder is told nothing but the words of the classes. "
                (basis(zero_shot, part.groups.len()))
                "Always answering the commonest class would be right for "
                (format!("{:.3}", zero_shot.commonest)) "."
                @if let Some(one) = &zero_shot.one_prompt {
                    " A class's vector is the mean over its prompts; with a single prompt a class, drawn "
                    "at random, top-1 is " (format!("{:.3}", one.mean))
                    @if let Some(deviation) = one.deviation { (format!(" ± {deviation:.3}")) }
                    "."
                }
            }
            @for &[a, b] in zero_shot.same_vectors.iter().take(5) {
                p.note.warning {
                    "The words of “" (experiment.classes[a]) "” and “" (experiment.classes[b])
                    "” have the same vector, so no encoder can tell the two apart."
                }
            }
            @if zero_shot.classes.len() <= ABREAST && (2..=ABREAST).contains(&part.groups.len()) {
                div.pair {
                    (section::groups(&part.groups))
                    (section::classes(&zero_shot.classes))
                }
            } @else {
                @if part.groups.len() > 1 { (section::groups(&part.groups)) }
                (section::classes(&zero_shot.classes))
            }
            (confusion(&experiment.classes, &zero_shot.confusion, ""))
            (section::curves(zero_shot))
        }
        (section::retrieval(&part.retrieval))
        (section::learning(part))
        @if let Some(map) = &part.map {
            (section::map(&experiment.classes, part, map))
        }
        @if let Some(sum) = &part.arithmetic {
            (section::arithmetic(sum))
        }
        @if !part.provenance.is_empty() {
            div.card { h3 { "Where this comes from" } pre { (part.provenance) } }
        }
    }
}

fn confusion(classes: &[String], counts: &[Vec<usize>], which: &str) -> Markup {
    html! {
        div.card {
            h3 { "What was taken for what" }
            p.caption {
                (which) "A row is what samples were, a column what they were named; numbers are samples. "
                "The fuller the colour, the larger the share of the row: blue on the diagonal is right, "
                "orange beside it is wrong."
            }
            (figure::confusion(classes, counts))
        }
    }
}

fn summary(experiment: &Experiment) -> Markup {
    let row = |line: &Line| {
        let spread = &line.spread;
        html! {
            tr {
                td.name { (line.name) }
                td.n { b { (format!("{:.3}", spread.mean)) } }
                td.n { @if let Some(deviation) = spread.deviation { (format!("± {deviation:.3}")) } }
                td.strip { (strip(spread.mean, Some((spread.low, spread.high)), line.chance)) }
                td.n.soft { (format!("{:.3} to {:.3}", spread.low, spread.high)) }
                td.n.soft { @if let Some(chance) = line.chance { (format!("{chance:.3}")) } @else { "–" } }
                td.n.soft { (spread.count) }
            }
        }
    };
    html! {
        div.card {
            h3 { "All " (experiment.parts.len()) " tables" }
            p.caption {
                "Each table is one training with other samples held out, such as one fold. A number is the "
                "mean over tables with its standard deviation; the band here runs from the worst table to "
                "the best."
            }
            table {
                tr {
                    th { "measure" } th.n { "mean" } th.n { "deviation" } th.strip { "0 to 1" }
                    th.n { "worst to best" } th.n { "chance" } th.n { "tables" }
                }
                @for line in &experiment.summary { (row(line)) }
            }
        }
        (section::groups(&experiment.groups().cloned().collect::<Vec<_>>()))
    }
}
