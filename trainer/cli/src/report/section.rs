//! The parts of the page that say one thing each.

use maud::{Markup, html};

use super::chart::{self, Axis, Line, Stroke, strip};
use super::figure::{self, colour};
use super::gain::Gain;
use super::measure::{
    AT_RECALL, AtDepth, Class, Curves, Group, Map, Measures, Retrieval, ZeroShot,
};
use super::sum::{self, Arithmetic};
use crate::metrics::interval::Interval;

/// Rows of a table on the page; the JSON has all.
const ROWS: usize = 200;
/// Classes that are named beside the map.
const LEGEND: usize = 40;

fn three(value: f64) -> String {
    format!("{value:.3}")
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), three)
}

fn ends(interval: Interval) -> (f64, f64) {
    (interval.low, interval.high)
}

fn rest(rows: usize) -> Markup {
    html! {
        @if rows > ROWS {
            p.caption { "… and " (rows - ROWS) " more, which the JSON has." }
        }
    }
}

/// Person by person.
pub fn groups(groups: &[Group]) -> Markup {
    if groups.is_empty() {
        return html! {};
    }
    html! {
        div.card {
            h3 { "Group by group" }
            p.caption {
                "A group is a person, speaker, place or sequence that training did not meet. Top-1 with "
                "Wilson's interval, and the mean recall over the classes that the group has."
            }
            div.scroll { table {
                tr { th { "group" } th.n { "samples" } th.n { "top-1" } th.strip { "0 to 1" } th.n { "class recall" } }
                @for group in groups.iter().take(ROWS) {
                    tr {
                        td.name { (group.name) }
                        td.n.soft { (group.samples) }
                        td.n { b { (three(group.top_1)) } }
                        td.strip { (strip(group.top_1, group.interval.map(ends), None)) }
                        td.n { (or_dash(group.class_recall)) }
                    }
                }
            } }
            (rest(groups.len()))
        }
    }
}

/// Class by class.
pub fn classes(classes: &[Class]) -> Markup {
    let alarms = classes.iter().any(|class| class.false_alarms.is_some());
    html! {
        div.card {
            h3 { "Class by class" }
            p.caption {
                "Recall: share of the class's samples that were named rightly. AP and AUC: how well the "
                "class's words set its samples apart from all others."
                @if let Some(hours) = classes.iter().find_map(|c| Some(c.false_alarms?.hours)) {
                    " False alarms: recordings of something else, about " (format!("{hours:.1}")) " hours of them, "
                    "that score as high as the " (format!("{:.0} %", AT_RECALL * 100.0)) " of the class's own that "
                    "score highest, an hour; each counts once, however long it is."
                }
            }
            div.scroll { table {
                tr { th { "class" } th.n { "samples" } th.n { "recall" } th.strip { "0 to 1" } th.n { "AP" } th.n { "AUC" } @if alarms { th.n { "false alarms/h" } } }
                @for class in classes.iter().take(ROWS) {
                    tr {
                        td.name title=(class.prompts.join(" · ")) { (class.name) }
                        td.n.soft { (class.samples) }
                        td.n { b { (or_dash(class.recall)) } }
                        td.strip {
                            @if let Some(recall) = class.recall {
                                (strip(recall, class.interval.map(ends), None))
                            }
                        }
                        td.n { (or_dash(class.average_precision)) }
                        td.n { (or_dash(class.auc)) }
                        @if alarms {
                            td.n { (class.false_alarms.map_or_else(|| "–".to_owned(), |a| format!("{:.1}", a.per_hour))) }
                        }
                    }
                }
            } }
            (rest(classes.len()))
        }
    }
}

/// ROC and precision-recall curves.
pub fn curves(zero_shot: &ZeroShot) -> Markup {
    let chart =
        |title: &str, x: &str, y: &str, curve: fn(&Curves) -> &Vec<(f64, f64)>, more: Vec<Line>| {
            let class = |(i, class): (usize, &Class)| Line {
                name: class.name.clone(),
                colour: colour(i),
                stroke: Stroke::Thin,
                points: curve(&class.curves).clone(),
                whiskers: Vec::new(),
            };
            let mut lines: Vec<Line> = zero_shot.classes.iter().enumerate().map(class).collect();
            lines.extend(more);
            lines.push(Line {
                name: "all classes pooled".to_owned(),
                colour: "var(--accent)".to_owned(),
                stroke: Stroke::Bold,
                points: curve(&zero_shot.pooled).clone(),
                whiskers: Vec::new(),
            });
            chart::lines(title, &Axis::shares(x), &Axis::shares(y), &lines)
        };
    let chance = Line {
        name: "chance".to_owned(),
        colour: "var(--chance)".to_owned(),
        stroke: Stroke::Dashed,
        points: vec![(0.0, 0.0), (1.0, 1.0)],
        whiskers: Vec::new(),
    };
    html! {
        div.pair {
            div.card {
                h3 { "False alarms against hits (ROC)" }
                p.caption {
                    "Going down the ranking by similarity: share of the others that were let in, and of "
                    "the class's own samples that were found. Further up and left is better; a thin line "
                    "a class."
                }
                (chart("ROC curves", "share of others let in", "share of own found", |c| &c.roc, vec![chance]))
            }
            div.card {
                h3 { "How pure the finds are (precision and recall)" }
                p.caption {
                    "The same ranking: how much of the class has been found, and which share of the finds "
                    "is right. Further up and right is better."
                }
                (chart("precision-recall curves", "share of own found (recall)", "share of finds right (precision)",
                    |c| &c.precision_recall, Vec::new()))
            }
        }
    }
}

/// Retrieval, both ways.
pub fn retrieval(rows: &[Retrieval]) -> Markup {
    if rows.is_empty() {
        return html! {};
    }
    let cell = |at: &AtDepth| {
        let interval = at
            .interval
            .map(|i| format!("{:.3} to {:.3}", i.low, i.high));
        html! {
            td.n title=[interval] { b { (three(at.recall)) } }
            td.n.soft { (three(at.chance)) }
        }
    };
    html! {
        div.card {
            h3 { "Finding one kind with another" }
            p.caption {
                "Recall@k: share of the queries with at least one right item among the k nearest, and "
                "beside it the same with items in random order. Ties count against it. Intervals "
                "(Wilson, over queries) are in the tooltips."
            }
            table {
                tr {
                    th { "asked with" } th { "searched" } th { "right is" } th.n { "queries" } th.n { "items" }
                    @for at in &rows[0].at { th.n { "recall@" (at.k) } th.n { "chance" } }
                }
                @for row in rows {
                    tr {
                        td { (row.query) } td { (row.item) } td.soft { (row.truth) }
                        td.n.soft { (row.queries) } td.n.soft { (row.items) }
                        @for at in &row.at { (cell(at)) }
                    }
                }
            }
        }
    }
}

/// The linear probe and the training curves.
pub fn learning(part: &Measures) -> Markup {
    let has_accuracy = part.training.iter().any(|epoch| epoch.held_out.is_some());
    html! {
        @if !part.few_shot.is_empty() { (few_shot(part)) }
        @if !part.training.is_empty() {
            div.pair {
                (loss(part))
                @if has_accuracy { (held_out(part)) }
            }
        }
    }
}

fn flat(name: &str, colour: &str, value: f64, x: &Axis) -> Line {
    Line {
        name: format!("{name} {value:.3}"),
        colour: colour.to_owned(),
        stroke: Stroke::Dashed,
        points: vec![(x.low, value), (x.high, value)],
        whiskers: Vec::new(),
    }
}

fn few_shot(part: &Measures) -> Markup {
    let doublings = |shots: usize| (shots as f64).log2();
    let ticks = part
        .few_shot
        .iter()
        .map(|row| (doublings(row.shots), row.shots.to_string()));
    let ticks: Vec<(f64, String)> = ticks.collect();
    let x = Axis {
        label: "labelled examples a class".to_owned(),
        low: -0.25,
        high: ticks.last().map_or(0.0, |tick| tick.0) + 0.25,
        ticks,
    };
    let point = |row: &super::measure::FewShot| (doublings(row.shots), row.accuracy.mean);
    let deviations = part
        .few_shot
        .iter()
        .map(|row| row.accuracy.deviation.unwrap_or(0.0));
    let mut lines = vec![Line {
        name: "linear probe, mean and deviation of draws".to_owned(),
        colour: "var(--accent)".to_owned(),
        stroke: Stroke::Bold,
        points: part.few_shot.iter().map(point).collect(),
        whiskers: deviations.collect(),
    }];
    for number in part
        .zero_shot
        .iter()
        .flat_map(|zero_shot| zero_shot.numbers.first())
    {
        lines.push(flat("zero-shot", "var(--soft)", number.value, &x));
        lines.push(flat("chance", "var(--chance)", number.chance, &x));
    }
    let one_group = part.groups.len() < 2;
    html! {
        div.card {
            h3 { "With a few examples" }
            p.caption {
                "A linear classifier (regularised logistic regression) on embeddings that stay as they "
                "are, given so many labelled examples of each class. "
                @if one_group {
                    "Examples and tests are of the same group, as there is only one."
                } @else {
                    "Examples are of a random half of the groups, tests of the other half."
                }
            }
            div.split {
            div { (chart::lines("few-shot accuracy", &x, &Axis::shares("share named rightly"), &lines)) }
            table {
                tr { th { "examples a class" } th.n { "named rightly" } th.n { "deviation" } th.n { "given" } th.n { "tested" } }
                @for row in &part.few_shot {
                    tr {
                        td { (row.shots) }
                        td.n { b { (three(row.accuracy.mean)) } }
                        td.n.soft { @if let Some(deviation) = row.accuracy.deviation { "± " (three(deviation)) } }
                        td.n.soft { (format!("{:.0}", row.taught)) }
                        td.n.soft { (format!("{:.0}", row.tested)) }
                    }
                }
            }
            }
            p.caption {
                "Given and tested: examples that the classifier was given and samples it was tested on, "
                "mean over " (part.few_shot[0].accuracy.count) " draws. A class with too few examples "
                "gives all it has."
            }
        }
    }
}

fn epochs(part: &Measures) -> Axis {
    Axis::around(
        "epoch",
        part.training.iter().map(|epoch| f64::from(epoch.epoch)),
    )
}

fn loss(part: &Measures) -> Markup {
    let points = part
        .training
        .iter()
        .map(|epoch| (f64::from(epoch.epoch), epoch.loss));
    let y = Axis::around("loss", part.training.iter().map(|epoch| epoch.loss));
    let line = Line {
        name: "loss on training samples".to_owned(),
        colour: "var(--accent)".to_owned(),
        stroke: Stroke::Bold,
        points: points.collect(),
        whiskers: Vec::new(),
    };
    html! {
        div.card {
            h3 { "Training" }
            p.caption { "Mean loss of each epoch's steps: how far the encoder still is from its anchors." }
            (chart::lines("training loss", &epochs(part), &y, &[line]))
        }
    }
}

fn held_out(part: &Measures) -> Markup {
    let point = |epoch: &crate::table::Epoch| Some((f64::from(epoch.epoch), epoch.held_out?));
    let line = Line {
        name: "top-1 on held-out samples".to_owned(),
        colour: colour(2),
        stroke: Stroke::Bold,
        points: part.training.iter().filter_map(point).collect(),
        whiskers: Vec::new(),
    };
    html! {
        div.card {
            h3 { "Held-out samples while training" }
            p.caption { "Share of held-out samples that were named rightly after each epoch." }
            (chart::lines("held-out top-1", &epochs(part), &Axis::shares("share named rightly"), &[line]))
        }
    }
}

/// The map, and what it leaves out.
pub fn map(classes: &[String], part: &Measures, map: &Map) -> Markup {
    let [first, second] = map.variance_shares;
    html! {
        div.card {
            h3 { "Map of the space" }
            p.caption {
                "The two directions in which the samples differ most. They hold "
                (format!("{:.0} % and {:.0} %", first * 100.0, second * 100.0))
                " of the variance; what differs in the others is not seen here. Dots are samples, diamonds "
                "the vectors of the classes' words"
                @if !map.anchors.is_empty() { ", small squares anchors" }
                "."
                @if map.samples.len() < part.samples {
                    " " (map.samples.len()) " of " (part.samples) " samples are drawn."
                }
            }
            (figure::map(classes, map))
            ul.legend {
                @for (i, name) in classes.iter().enumerate().take(LEGEND) {
                    li {
                        svg.swatch viewBox="0 0 10 10" aria-hidden="true" { circle cx="5" cy="5" r="5" fill=(colour(i)) {} }
                        (name)
                    }
                }
            }
        }
    }
}

/// Recall with training and without.
pub fn gain(gain: &Gain) -> Markup {
    html! {
        div.card {
            h3 { (gain.name) " and the same unbound" }
            p.caption {
                "Share of " (gain.samples) " samples whose paired anchor is among the k nearest. The difference "
                "has an interval of 95 % by a paired bootstrap over " (gain.groups) " groups."
            }
            table {
                tr {
                    th.n { "k" } th.n { "trained" } th.strip { "0 to 1" } th.n { "unbound" } th.n { "difference" }
                }
                @for at in &gain.at {
                    tr {
                        td.n { (at.k) }
                        td.n { b { (three(at.trained)) } }
                        td.strip { (strip(at.trained, None, Some(at.unbound))) }
                        td.n { (three(at.unbound)) }
                        td.n {
                            (format!("{:+.3}", at.trained - at.unbound))
                            @if let Some(interval) = at.interval {
                                " (" (format!("{:+.3}", interval.low)) " to " (format!("{:+.3}", interval.high)) ")"
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Sums of two embeddings.
pub fn arithmetic(sum: &Arithmetic) -> Markup {
    let row = |what: &str, at: &sum::AtDepth| {
        html! {
            tr {
                td { (what) } td.n { (at.k) }
                td.n { b { (three(at.parts.sum)) } }
                td.strip { (strip(at.parts.sum, None, Some(at.parts.chance))) }
                td.n { (three(at.parts.a_alone)) }
                td.n { (three(at.parts.b_alone)) }
                td.n.soft { (three(at.parts.chance)) }
            }
        }
    };
    html! {
        div.card {
            h3 { "Embedding arithmetic: " (sum.a) " + " (sum.b) }
            p.caption {
                "Two embeddings of different classes are added, and the nearest of " (sum.count) " "
                (sum.items) " looked at, none of which is part of a sum. Share of " (sum.queries)
                " sums that find both classes, beside what either part finds alone. "
                @if sum.one_item.is_some() { "“One item” asks for a single item of both classes; " }
                @if sum.one_item.is_some() { "“together”" } @else { "“Together”" }
                " asks that the k nearest items have both between them."
            }
            table {
                tr {
                    th { "right is" } th.n { "k" } th.n { "sum" } th.strip { "0 to 1" }
                    th.n { (sum.a) " alone" } th.n { (sum.b) " alone" } th.n { "chance" }
                }
                @for at in sum.one_item.iter().flatten() { (row("both in one item", at)) }
                @for at in sum.together.iter().flatten() { (row("both together", at)) }
            }
        }
    }
}
