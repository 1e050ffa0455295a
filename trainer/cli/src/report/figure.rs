//! The confusion matrix and the map of the space, as inline SVG.

use maud::{Markup, html};

use super::chart::px;
use super::measure::Map;

/// Colours that differ on a light and on a dark page; more classes go round the colour circle.
const COLOURS: [&str; 12] = [
    "#4c8be2", "#e8853a", "#3fa66a", "#d9534f", "#9a6fd0", "#a8754f", "#e07bb5", "#7f8c99",
    "#b5a72a", "#22a6b8", "#6a5acd", "#c2516e",
];

/// The colour of a class.
pub fn colour(class: usize) -> String {
    // The golden angle: neighbours lie far apart, and no two hues meet soon.
    let hue = || format!("hsl({} 55% 55%)", px(class as f64 * 137.508 % 360.0));
    COLOURS
        .get(class)
        .map_or_else(hue, |&colour| colour.to_owned())
}

/// A text of at most `most` characters.
pub fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// Characters of a class's name beside a figure.
const NAME: usize = 26;
/// Width of a character, a little more than the mean one has.
const CHARACTER: f64 = 6.4;

/// Size of a cell from which empty ones and counts are drawn.
const DRAWN: f64 = 20.0;

/// Counts as a heat map: a row is what it was, a column what it was named, and a cell's colour its
/// share of the row.
pub fn confusion(classes: &[String], counts: &[Vec<usize>]) -> Markup {
    let n = classes.len();
    let cell = match n {
        0..=14 => 38.0,
        15..=30 => 26.0,
        _ => 14.0,
    };
    let names: Vec<String> = classes.iter().map(|name| short(name, NAME)).collect();
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let left = longest as f64 * CHARACTER + 40.0;
    // Column names stand at 50 degrees.
    let top = longest as f64 * CHARACTER * 0.77 + 24.0;
    let overhang = longest as f64 * CHARACTER * 0.65;
    let (width, height) = (
        left + n as f64 * cell + overhang.max(8.0),
        top + n as f64 * cell + 4.0,
    );
    let at = |i: usize| i as f64 * cell;
    html! {
        svg.confusion viewBox={ "0 0 " (px(width)) " " (px(height)) } width=(px(width)) height=(px(height))
            role="img" aria-label="confusion matrix" {
            @for (i, name) in names.iter().enumerate() {
                @let (x, y) = (left + at(i) + cell / 2.0 + 3.0, top - 7.0);
                text.tick transform={ "translate(" (px(x)) " " (px(y)) ") rotate(-50)" } {
                    title { (classes[i]) }
                    (name)
                }
                text.tick x=(px(left - 8.0)) y=(px(top + at(i) + cell / 2.0 + 4.0)) text-anchor="end" {
                    title { (classes[i]) }
                    (name)
                }
            }
            @if cell < DRAWN {
                @for row in 0..n {
                    rect.empty x=(px(left)) y=(px(top + at(row) + 0.75)) width=(px(n as f64 * cell))
                        height=(px(cell - 1.5)) rx="3" {}
                }
            }
            @for (row, counts) in counts.iter().enumerate() {
                @let all = counts.iter().sum::<usize>();
                @let drawn = |count: usize| count > 0 || cell >= DRAWN;
                @for (column, &count) in counts.iter().enumerate().filter(|(_, count)| drawn(**count)) {
                    @let share = count as f64 / all.max(1) as f64;
                    @let (x, y) = (left + at(column), top + at(row));
                    g.cell {
                        title {
                            (classes[row]) " named " (classes[column]) ": " (count) " of " (all)
                            " (" (format!("{share:.3}")) ")"
                        }
                        @if cell >= DRAWN {
                            rect.empty x=(px(x + 0.75)) y=(px(y + 0.75)) width=(px(cell - 1.5))
                                height=(px(cell - 1.5)) rx="3" {}
                        }
                        @if count > 0 {
                            rect class=(if row == column { "right" } else { "wrong" })
                                x=(px(x + 0.75)) y=(px(y + 0.75)) width=(px(cell - 1.5))
                                height=(px(cell - 1.5)) rx="3" fill-opacity=(format!("{:.3}", 0.12 + 0.88 * share)) {}
                        }
                        @if count > 0 && cell >= DRAWN {
                            text class=(if share > 0.45 { "count on" } else { "count" })
                                font-size=(px(count_size(count, cell)))
                                x=(px(x + cell / 2.0)) y=(px(y + cell / 2.0 + 4.0))
                                text-anchor="middle" { (count) }
                        }
                    }
                }
            }
        }
    }
}

/// A size at which a count fits into its cell.
fn count_size(count: usize, cell: f64) -> f64 {
    let digits = count.to_string().len() as f64;
    ((cell - 5.0) / (digits * 0.6)).min(12.0)
}

/// Samples as dots, class vectors as diamonds with their names, anchors as squares.
pub fn map(classes: &[String], map: &Map) -> Markup {
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 540.0;
    const EDGE: f64 = 24.0;
    let samples = map.samples.iter().map(|point| &point.place);
    let all = samples.chain(&map.classes).chain(&map.anchors);
    let [(x_low, x_high), (y_low, y_high)] = [0, 1].map(|axis| {
        all.clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
                (low.min(place[axis]), high.max(place[axis]))
            })
    });
    // One scale for both axes, or distances would lie.
    let scale =
        ((WIDTH - 2.0 * EDGE) / (x_high - x_low)).min((HEIGHT - 2.0 * EDGE) / (y_high - y_low));
    let scale = if scale.is_finite() { scale } else { 1.0 };
    let at = |place: &[f64; 2]| {
        [
            WIDTH / 2.0 + (place[0] - (x_low + x_high) / 2.0) * scale,
            HEIGHT / 2.0 - (place[1] - (y_low + y_high) / 2.0) * scale,
        ]
    };
    let fill = |class: Option<usize>| class.map_or("var(--soft)".to_owned(), colour);
    let places: Vec<[f64; 2]> = map.classes.iter().map(at).collect();
    let names: Vec<String> = classes.iter().map(|name| short(name, NAME)).collect();
    let labels = spread_labels(&names, &places, WIDTH, HEIGHT);
    html! {
        svg.map viewBox={ "0 0 " (px(WIDTH)) " " (px(HEIGHT)) } role="img" aria-label="map of the space" {
            @for place in &map.anchors {
                @let [x, y] = at(place);
                rect.anchor x=(px(x - 2.5)) y=(px(y - 2.5)) width="5" height="5" {}
            }
            @for point in &map.samples {
                @let [x, y] = at(&point.place);
                circle cx=(px(x)) cy=(px(y)) r="3" fill=(fill(point.class)) fill-opacity="0.6" {
                    title {
                        (point.name)
                        @if let Some(name) = point.class.and_then(|class| classes.get(class)) {
                            ": " (name)
                        }
                    }
                }
            }
            @for (class, [x, y]) in places.iter().enumerate() {
                path.class-mark fill=(colour(class)) d={
                    "M" (px(*x)) " " (px(y - 7.0)) "l7 7l-7 7l-7-7z"
                } { title { (classes[class]) } }
            }
            @for (class, [x, y]) in labels.iter().enumerate() {
                text.class-name x=(px(*x)) y=(px(*y)) { (names[class]) }
            }
        }
    }
}

/// Where names stand beside their marks: moved down until none covers another.
fn spread_labels(names: &[String], places: &[[f64; 2]], width: f64, height: f64) -> Vec<[f64; 2]> {
    const LINE: f64 = 14.0;
    // They are bold.
    const BOLD: f64 = CHARACTER * 1.15;
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|&a, &b| places[a][1].total_cmp(&places[b][1]));
    let mut labels = vec![[0.0; 2]; places.len()];
    let mut placed: Vec<[f64; 3]> = Vec::new();
    for label in order {
        let [x, y] = places[label];
        let length = names[label].chars().count() as f64 * BOLD;
        let x = if x + 12.0 + length > width {
            x - 12.0 - length
        } else {
            x + 12.0
        };
        let mut y = y + 4.0;
        let covers = |y: f64| {
            placed
                .iter()
                .any(|[from, to, line]| x < *to && x + length > *from && (y - line).abs() < LINE)
        };
        while covers(y) && y < height {
            y += 2.0;
        }
        placed.push([x, x + length, y]);
        labels[label] = [x, y];
    }
    labels
}
