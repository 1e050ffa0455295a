//! Cards of the page: targets and what came of them, and groups of classes.

use maud::{Markup, html};

use super::chart::strip;
use super::measure::ClassGroup;
use super::target::{Outcome, Verdict};

/// Targets, a row each, and below the rows what is known of those that fell short.
pub fn targets(targets: &[Outcome]) -> Markup {
    let short: Vec<&Outcome> = targets.iter().filter(|target| target.has_story()).collect();
    html! {
        div.card {
            p.caption {
                "A must is the least that will do, a goal what was hoped for. Ranges are 95 % intervals; of a mean "
                "over tables or files, the worst and the best of them."
            }
            table {
                tr {
                    th { "target" } th.n { "measured" } th.n { "range" } th.n { "must" } th.n { "goal" } th { "" }
                }
                @for target in targets { (row(target)) }
            }
        }
        @if !short.is_empty() {
            div.card {
                h3 { "Where something is missing" }
                @for target in short { (story(target)) }
            }
        }
    }
}

fn row(target: &Outcome) -> Markup {
    let measured = target.measured.as_ref();
    let range = measured.and_then(|measured| measured.range);
    let aim = |aim: Option<f64>| aim.map_or("–".to_owned(), |aim| target.says(aim));
    let missed = matches!(target.verdict, Verdict::Missed { .. });
    html! {
        tr {
            td.name { (target.what) }
            td.n { b { @if let Some(measured) = measured { (target.says(measured.value)) } @else { "–" } } }
            td.n.soft {
                @if let Some(range) = range { (target.says(range.low)) " to " (target.says(range.high)) }
                @else { "–" }
            }
            td.n { (aim(target.must)) }
            td.n { (aim(target.goal)) }
            td class=(if missed { "missed" } else { "reached" }) { (target.verdict_in_words()) }
        }
    }
}

fn story(target: &Outcome) -> Markup {
    html! {
        p { b { (target.what) } ": " (target.verdict_in_words()) "." }
        ul {
            @for beside in &target.beside { li { (beside.what) ": " (target.says(beside.value)) "." } }
            @for tried in &target.tried { li { "Tried: " (tried) } }
            @if let Some(wants) = &target.wants { li { "It wants: " (wants) } }
        }
    }
}

/// Groups of classes, a row a number.
pub fn class_groups(groups: &[ClassGroup]) -> Markup {
    html! {
        div.card {
            h3 { "Some of the classes" }
            p.caption {
                "Of all tables together. Sensitivity is the share of a group's samples that are named any of its "
                "classes, specificity the share of the others of the same data that are named none. Chance names "
                "all classes equally often."
            }
            table {
                tr {
                    th { "classes" } th { "measure" } th.n { "value" } th.strip { "0 to 1" } th.n { "95 %" }
                    th.n { "chance" } th.n { "samples" } th.n { "of" }
                }
                @for group in groups {
                    @for number in &group.numbers {
                        tr {
                            td.name { (group.name) }
                            td { (number.name) }
                            td.n { b { (format!("{:.3}", number.value)) } }
                            td.strip {
                                (strip(number.value, number.interval.map(|i| (i.low, i.high)), Some(number.chance)))
                            }
                            td.n.soft {
                                @if let Some(interval) = number.interval {
                                    (format!("{:.3} to {:.3}", interval.low, interval.high))
                                }
                            }
                            td.n.soft { (format!("{:.3}", number.chance)) }
                            td.n.soft { (if number.name == "specificity" { group.others } else { group.samples }) }
                            td.n.soft { (group.groups) }
                        }
                    }
                }
            }
        }
    }
}
