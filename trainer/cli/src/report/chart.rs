//! Line charts and strips as inline SVG.

use maud::{Markup, html};

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is along it.
    pub label: String,
    /// Where it begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// Marks with their words.
    pub ticks: Vec<(f64, String)>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// The main line.
    Bold,
    /// One of many.
    Thin,
    /// Something to compare with.
    Dashed,
}

/// A line with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// A CSS colour.
    pub colour: String,
    /// How it is drawn.
    pub stroke: Stroke,
    /// Where it goes.
    pub points: Vec<(f64, f64)>,
    /// Half the height of a whisker at each point; none if there are none.
    pub whiskers: Vec<f64>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

impl Axis {
    /// An axis of shares, 0 to 1.
    pub fn shares(label: &str) -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
        Self {
            label: label.to_owned(),
            low: 0.0,
            high: 1.0,
            ticks: ticks
                .iter()
                .map(|tick| (*tick, format!("{tick}")))
                .collect(),
        }
    }

    /// An axis with round marks that has room for all of some values.
    pub fn around(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        let (low, high) = match high - low {
            room if room > 0.0 && room.is_finite() => (low, high),
            _ if low.is_finite() => (low - 0.5, low + 0.5),
            _ => (0.0, 1.0),
        };
        let rough = (high - low) / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let count = (last - first) as usize;
        let tick = |i: usize| {
            let value = (first + i as f64) * step;
            (value, format!("{value:.digits$}"))
        };
        Self {
            label: label.to_owned(),
            low: first * step,
            high: last * step,
            ticks: (0..=count).map(tick).collect(),
        }
    }

    /// Where a value is between the two ends, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// A length in the SVG's units, as short as it can be written.
pub fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A chart of lines; thin ones are named by their tooltips only.
pub fn lines(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> Markup {
    let right = WIDTH - RIGHT;
    let bottom = HEIGHT - BOTTOM;
    let at_x = |value: f64| LEFT + x.share(value) * (right - LEFT);
    let at_y = |value: f64| bottom - y.share(value) * (bottom - TOP);
    let point = |&(a, b): &(f64, f64)| format!("{},{}", px(at_x(a)), px(at_y(b)));
    let dotted = |line: &Line| line.stroke == Stroke::Bold && line.points.len() <= 40;
    html! {
        svg.chart viewBox={ "0 0 " (px(WIDTH)) " " (px(HEIGHT)) } role="img" aria-label=(title) {
            @for (value, label) in &y.ticks {
                line.grid x1=(px(LEFT)) x2=(px(right)) y1=(px(at_y(*value))) y2=(px(at_y(*value))) {}
                text.tick x=(px(LEFT - 8.0)) y=(px(at_y(*value) + 4.0)) text-anchor="end" { (label) }
            }
            @for (value, label) in &x.ticks {
                line.mark x1=(px(at_x(*value))) x2=(px(at_x(*value))) y1=(px(bottom)) y2=(px(bottom + 4.0)) {}
                text.tick x=(px(at_x(*value))) y=(px(bottom + 18.0)) text-anchor="middle" { (label) }
            }
            line.axis x1=(px(LEFT)) x2=(px(right)) y1=(px(bottom)) y2=(px(bottom)) {}
            text.label x=(px((LEFT + right) / 2.0)) y=(px(HEIGHT - 6.0)) text-anchor="middle" { (x.label) }
            text.label transform={ "translate(12 " (px((TOP + bottom) / 2.0)) ") rotate(-90)" }
                text-anchor="middle" { (y.label) }
            @for line in lines {
                @for (&(a, b), half) in line.points.iter().zip(&line.whiskers) {
                    line.whisker stroke=(line.colour) x1=(px(at_x(a))) x2=(px(at_x(a)))
                        y1=(px(at_y((b - half).max(y.low)))) y2=(px(at_y((b + half).min(y.high)))) {}
                }
                polyline class={ "line " (line.stroke.class()) } stroke=(line.colour)
                    points=(line.points.iter().map(point).collect::<Vec<_>>().join(" ")) {
                    title { (line.name) }
                }
                @if dotted(line) {
                    @for &(a, b) in &line.points {
                        circle cx=(px(at_x(a))) cy=(px(at_y(b))) r="3.5" fill=(line.colour) {
                            title { (line.name) ": " (format!("{b:.3}")) }
                        }
                    }
                }
            }
        }
        @let named = lines.iter().filter(|line| line.stroke != Stroke::Thin);
        ul.legend {
            @for line in named {
                li {
                    svg.key viewBox="0 0 22 8" aria-hidden="true" {
                        line class={ "line " (line.stroke.class()) } stroke=(line.colour)
                            x1="0" x2="22" y1="4" y2="4" {}
                    }
                    (line.name)
                }
            }
        }
    }
}

impl Stroke {
    fn class(self) -> &'static str {
        match self {
            Self::Bold => "bold",
            Self::Thin => "thin",
            Self::Dashed => "dashed",
        }
    }
}

/// A share on a line from 0 to 1, with the interval around it and a mark where chance is.
pub fn strip(value: f64, interval: Option<(f64, f64)>, chance: Option<f64>) -> Markup {
    const LENGTH: f64 = 150.0;
    let at = |share: f64| px(5.0 + share.clamp(0.0, 1.0) * LENGTH);
    html! {
        svg.strip viewBox={ "0 0 " (px(LENGTH + 10.0)) " 16" } aria-hidden="true" {
            line.rail x1=(at(0.0)) x2=(at(1.0)) y1="8" y2="8" {}
            @if let Some((low, high)) = interval {
                line.range x1=(at(low)) x2=(at(high)) y1="8" y2="8" {}
            }
            @if let Some(chance) = chance {
                line.chance x1=(at(chance)) x2=(at(chance)) y1="2" y2="14" {}
            }
            circle.dot cx=(at(value)) cy="8" r="4" {}
        }
    }
}
