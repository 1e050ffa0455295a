use sensorium_pack::Modality;
use serde_json::Value;

use super::measure::Basis;
use super::summary::Report;
use super::*;
use crate::table::{Anchors, Class, UNBOUND, tests::small};

mod target;

const OPTIONS: Options = Options {
    seed: 3,
    draws: 4,
    resamples: 50,
};

/// Six people, four classes on four axes, told apart more or less; every ninth sample is of two.
fn people(name: &str, people: std::ops::Range<usize>) -> Table {
    const NAMES: [&str; 4] = ["walking", "sitting <down>", "a & b", "\"lying\""];
    let wave = |i: usize| (i as f32 * 1.7 + 0.3).sin();
    let axis =
        |class: usize| -> Vec<f32> { (0..6).map(|d| f32::from(u8::from(d == class))).collect() };
    let mut table = Table {
        name: name.to_owned(),
        dim: 6,
        embeddings: vec![],
        names: vec![],
        labels: vec![],
        also: vec![],
        groups: vec![],
        seconds: vec![],
        classes: NAMES
            .iter()
            .enumerate()
            .map(|(class, name)| Class {
                name: (*name).to_owned(),
                prompts: vec![format!("someone {name}")],
                vector: axis(class),
                prompt_vectors: vec![],
            })
            .collect(),
        anchors: None,
        ..small()
    };
    for person in people {
        for i in 0..24 {
            let class = i % 4;
            let two = i % 9 == 8;
            let other = (class + 1) % 4;
            let noise = |d: usize| 0.5 * wave(person * 1000 + i * 10 + d);
            let mut row: Vec<f32> = (0..6).map(noise).collect();
            row[class] += 1.0;
            row[other] += f32::from(u8::from(two));
            table.embeddings.extend(row);
            table.names.push(format!("p{person}-{i}"));
            table.labels.push(Some(class));
            table.also.push(if two { vec![other] } else { vec![] });
            table.groups.push(format!("person {person}"));
        }
    }
    table
}

fn page(report: &Report) -> String {
    page::render("All <of> it", report).into_string()
}

#[test]
fn small_numbers_are_those_counted_by_hand() {
    let report = Report::new(&[small()], OPTIONS).unwrap();
    let part = &report.experiments[0].parts[0];
    let zero_shot = part.zero_shot.as_ref().unwrap();
    assert_eq!((part.samples, part.labelled), (4, 3));
    assert_eq!(zero_shot.confusion, [[2, 0], [0, 1]]);
    let top_1 = &zero_shot.numbers[0];
    assert_eq!((top_1.name, top_1.value), ("top-1", 1.0));
    // One of three samples is of both classes, so it cannot be named wrongly.
    assert!((top_1.chance - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(top_1.basis, Some(Basis::Groups));
    assert!(
        zero_shot
            .numbers
            .iter()
            .all(|number| number.name != "top-5")
    );
    assert_eq!(part.groups[1].name, "bob");
    assert_eq!((part.groups[0].samples, part.groups[0].top_1), (2, 1.0));
    let one_prompt = zero_shot.one_prompt.unwrap();
    assert_eq!((one_prompt.mean, one_prompt.count), (1.0, 20));

    let ways: Vec<_> = part
        .retrieval
        .iter()
        .map(|r| (&r.query[..], &r.item[..], r.truth))
        .collect();
    let (paired, same) = ("the paired one", "one of the same class");
    assert_eq!(
        ways,
        [
            ("imu samples", "depth anchors", paired),
            ("depth anchors", "imu samples", paired),
            ("imu samples", "depth anchors", same),
            ("depth anchors", "imu samples", same),
            ("imu samples", "class words", same),
            ("class words", "imu samples", same),
        ]
    );
    assert!(zero_shot.same_vectors.is_empty());
    let mut twins = small();
    twins.classes[1].vector = vec![2.0, 0.0];
    let twins = Report::new(&[twins], OPTIONS).unwrap();
    let zero_shot = twins.experiments[0].parts[0].zero_shot.as_ref().unwrap();
    assert_eq!(zero_shot.same_vectors, [[0, 1]]);
    assert!(page(&twins).contains("have the same vector"));
    // p and q are nearer to d1, r to d2, and s to d1 though it is d2's.
    let there = &part.retrieval[0];
    assert_eq!(
        (there.queries, there.items, there.at[0].recall),
        (4, 2, 0.75)
    );
    assert_eq!((there.at[0].chance, there.at[1].recall), (0.5, 1.0));
    // Only the first anchor has a class, which two samples are of.
    assert_eq!(
        (part.retrieval[3].queries, part.retrieval[3].at[0].recall),
        (1, 1.0)
    );
    assert_eq!(
        report.experiments[0].to_string(),
        format!(
            "small: top-1 1.000 ({:.3} to 1.000), chance 0.667, 4 samples",
            top_1.interval.unwrap().low
        )
    );
}

#[test]
fn people_are_told_apart_and_sums_find_both() {
    let report = Report::new(&[people("all", 0..6)], OPTIONS).unwrap();
    let part = &report.experiments[0].parts[0];
    let zero_shot = part.zero_shot.as_ref().unwrap();
    for number in &zero_shot.numbers {
        let interval = number.interval.unwrap();
        assert!(
            interval.low <= number.value && number.value <= interval.high,
            "{number:?}"
        );
        assert!(number.value > 2.0 * number.chance - 0.2, "{number:?}");
    }
    let shots: Vec<usize> = part.few_shot.iter().map(|row| row.shots).collect();
    assert_eq!(shots, [1, 2, 4, 8, 16]);
    assert!(part.few_shot[4].accuracy.mean > part.few_shot[0].accuracy.mean);
    assert_eq!(
        (part.few_shot[4].taught, part.few_shot[4].tested),
        (64.0, 72.0)
    );
    let sum = part.arithmetic.as_ref().unwrap();
    assert_eq!(
        (&sum.a[..], &sum.b[..], sum.count),
        ("imu sample", "class words", 72)
    );
    let first = sum.one_item.as_ref().unwrap()[0].parts;
    assert!(
        first.sum > first.a_alone && first.sum > first.b_alone,
        "{first:?}"
    );
    assert!(first.a_alone >= 0.0 && first.chance < 0.1, "{first:?}");
}

#[test]
fn folds_are_summed_up() {
    let folds = [people("fold", 0..3), people("fold", 3..6)];
    let report = Report::new(&folds, OPTIONS).unwrap();
    let [experiment] = &report.experiments[..] else {
        panic!("{} experiments", report.experiments.len())
    };
    let value = |part: usize| {
        let zero_shot = experiment.parts[part].zero_shot.as_ref().unwrap();
        zero_shot.numbers[0].value
    };
    let line = &experiment.summary[0];
    assert_eq!((&line.name[..], line.spread.count), ("top-1", 2));
    assert!((line.spread.mean - (value(0) + value(1)) / 2.0).abs() < 1e-12);
    assert_eq!(experiment.confusion.iter().flatten().sum::<usize>(), 144);
    assert_eq!(experiment.groups().count(), 6);
    assert_eq!(experiment.parts[1].part, "person 3, person 4, person 5");
    let many = Report::new(&[people("many", 0..6)], OPTIONS).unwrap();
    let part = &many.experiments[0].parts[0].part;
    assert_eq!(part, "person 0, person 1, person 2 and 3 more");
    assert!(page(&report).contains("Held out: person 3, person 4, person 5"));
    let text = markdown::render(&report);
    assert!(text.contains("| fold | imu | top-1 | "), "{text}");
    let columns = |line: &str| line.matches('|').count() - line.matches("\\|").count();
    assert!(text.lines().all(|line| columns(line) == 8), "{text}");
}

#[test]
fn two_senses_of_one_space_are_summed() {
    let depth = Table {
        sense: sensorium_pack::Modality::Depth,
        ..people("depth", 6..9)
    };
    let report = Report::new(&[people("imu", 0..3), depth], OPTIONS).unwrap();
    let [sum] = &report.between[..] else {
        panic!("{:?}", report.between)
    };
    assert_eq!((&sum.a[..], &sum.b[..]), ("imu sample", "depth sample"));
    let at = &sum.together.as_ref().unwrap()[2];
    assert!(
        at.parts.sum > at.parts.a_alone && at.parts.sum > at.parts.b_alone,
        "{at:?}"
    );
    assert!(page(&report).contains("imu sample + depth sample"));
}

#[test]
fn what_a_table_says_is_text_and_nothing_else() {
    let evil = "<script>alert('x')</script>\"><img src=x onerror=\"y\">&amp;|";
    let mut table = people("a", 0..3);
    table.name = evil.to_owned();
    table.classes[0].name = evil.to_owned();
    table.classes[0].prompts = vec![evil.to_owned()];
    table.names[0] = evil.to_owned();
    table.groups[0] = evil.to_owned();
    table.provenance = evil.to_owned();
    let mut second = table.clone();
    second.groups[0] = "</style></svg>".to_owned();
    let report = Report::new(&[table, second], OPTIONS).unwrap();
    let html = page::render(evil, &report).into_string();
    for harmful in ["<script", "<img", "</style></svg>", "onerror=\""] {
        assert!(!html.contains(harmful), "{harmful}");
    }
    let escaped = "&lt;script&gt;alert('x')&lt;/script&gt;&quot;&gt;&lt;img";
    assert!(html.matches(escaped).count() > 8);
    assert_eq!(html.matches("<style>").count(), 1);
    let markdown = markdown::render(&report);
    assert!(
        !markdown.contains('<') && markdown.contains("&lt;script>"),
        "{markdown}"
    );
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let html = page(&Report::new(&[people("all", 0..6)], OPTIONS).unwrap());
    for outside in [
        "http:", "https:", "src=", "url(", "@import", "<link", "<script",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    for tag in [
        "svg", "div", "table", "tr", "td", "ul", "li", "text", "polyline", "g",
    ] {
        let opened =
            html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let again = page(&Report::new(&[people("all", 0..6)], OPTIONS).unwrap());
    assert!(html == again, "equal seeds give equal pages");
}

/// Everything with three decimals that is not in a tag.
fn shown(html: &str) -> Vec<String> {
    let body = html.split_once("<body>").unwrap().1;
    let texts = body
        .split('<')
        .map(|piece| piece.split_once('>').map_or("", |(_, text)| text));
    let words = texts.flat_map(|text| text.split(|c: char| !c.is_ascii_digit() && c != '.'));
    let is_number = |word: &&str| {
        let parts = word.split_once('.');
        parts.is_some_and(|(whole, part)| {
            !whole.is_empty() && part.len() == 3 && !part.contains('.')
        })
    };
    words.filter(is_number).map(str::to_owned).collect()
}

fn numbers(value: &Value, found: &mut Vec<f64>) {
    match value {
        Value::Number(number) => found.extend(number.as_f64()),
        Value::Array(values) => values.iter().for_each(|value| numbers(value, found)),
        Value::Object(values) => values.values().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

#[test]
fn json_has_every_number_of_the_page() {
    let mut with_anchors = small();
    with_anchors.name = "anchored".to_owned();
    let tables = [people("fold", 0..3), people("fold", 3..6), with_anchors];
    let report = Report::new(&tables, OPTIONS).unwrap();
    let mut known = Vec::new();
    numbers(&serde_json::to_value(&report).unwrap(), &mut known);
    let mut known: Vec<String> = known.iter().map(|number| format!("{number:.3}")).collect();
    // A cell's tooltip has its share of the row, which the counts give.
    for counts in report.experiments.iter().flat_map(|e| &e.confusion) {
        let all = counts.iter().sum::<usize>().max(1) as f64;
        known.extend(
            counts
                .iter()
                .map(|&count| format!("{:.3}", count as f64 / all)),
        );
    }
    for part in report.experiments.iter().flat_map(|e| &e.parts) {
        for counts in part.zero_shot.iter().flat_map(|z| &z.confusion) {
            let all = counts.iter().sum::<usize>().max(1) as f64;
            known.extend(
                counts
                    .iter()
                    .map(|&count| format!("{:.3}", count as f64 / all)),
            );
        }
    }
    let shown = shown(&page(&report));
    assert!(shown.len() > 300, "{}", shown.len());
    for number in shown {
        assert!(known.contains(&number), "{number}");
    }
}

/// Four sounds of an hour each; the second class finds its one sample, and one of the others is as near.
#[test]
fn false_alarms_are_counted_by_the_hour_of_what_is_something_else() {
    let table = Table {
        seconds: vec![3600.0; 4],
        labels: vec![Some(0), Some(1), None, Some(0)],
        also: vec![],
        anchors: None,
        embeddings: vec![1.0, 0.0, 0.6, 0.8, 0.0, 1.0, 1.0, 0.1],
        ..small()
    };
    let options = Options {
        seed: 0,
        draws: 2,
        resamples: 10,
    };
    let measures = Prepared::new(&table).measure(&options);
    let classes = measures.zero_shot.unwrap().classes;
    let alarms = |class: usize| classes[class].false_alarms.unwrap();
    assert_eq!((alarms(1).count, alarms(1).hours), (1, 3.0));
    assert!((alarms(1).per_hour - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!((alarms(0).count, alarms(0).hours), (0, 2.0));
    let (low, high) = (alarms(0).interval.low, alarms(0).interval.high);
    assert!(low == 0.0 && (1.8..1.9).contains(&high), "{low} {high}");
}

#[test]
fn tables_with_little_in_them_give_a_page_all_the_same() {
    let no_classes = Table {
        classes: vec![],
        class_groups: vec![],
        labels: vec![None; 4],
        also: vec![],
        anchors: None,
        ..small()
    };
    let one_sample = Table {
        embeddings: vec![0.0, 0.0],
        names: vec!["only".to_owned()],
        labels: vec![Some(1)],
        also: vec![],
        groups: vec![String::new()],
        seconds: vec![],
        anchors: None,
        training: vec![],
        ..small()
    };
    let same_everywhere = Table {
        embeddings: vec![1.0; 8],
        ..small()
    };
    let nobody_labelled = Table {
        labels: vec![None; 4],
        also: vec![],
        ..small()
    };
    for table in [no_classes, one_sample, same_everywhere, nobody_labelled] {
        let report = Report::new(&[table], OPTIONS).unwrap();
        let html = page(&report);
        assert!(!html.contains("NaN") && !html.contains("inf\""), "{html}");
        let json = serde_json::to_string(&report).unwrap();
        let mut values = Vec::new();
        numbers(&serde_json::from_str(&json).unwrap(), &mut values);
        assert!(values.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn tables_of_one_name_have_to_fit() {
    let error = |second: Table| {
        Report::new(&[small(), second], OPTIONS)
            .unwrap_err()
            .to_string()
    };
    let wide = Table {
        dim: 4,
        ..people("small", 0..1)
    };
    assert_eq!(
        error(wide),
        "two tables \"small\" differ: one has embeddings of 2 numbers, another of 4"
    );
    let depth = Table {
        sense: sensorium_pack::Modality::Depth,
        ..small()
    };
    assert_eq!(
        error(depth),
        "two tables \"small\" differ: one is of imu, another of depth"
    );
    let mut renamed = small();
    renamed.classes[1].name = "sit".to_owned();
    assert_eq!(
        error(renamed),
        "two tables \"small\" differ: one has the classes [\"walk\", \"rest\"], another [\"walk\", \
         \"sit\"]"
    );
}

#[test]
fn a_gain_is_measured_on_the_same_samples_with_and_without_training() {
    let anchored = |name: String, noise: f32| {
        let mut table = people(&name, 0..3);
        let axes: Vec<f32> = (0..table.len() * table.dim)
            .map(|i| (i as f32 * 2.3).sin())
            .collect();
        table.embeddings = axes
            .iter()
            .enumerate()
            .map(|(i, v)| v + noise * (i as f32 * 5.1 + 0.7).cos())
            .collect();
        table.anchors = Some(Anchors {
            sense: Modality::Image,
            names: table.names.clone(),
            labels: table.labels.clone(),
            of: (0..table.len()).collect(),
            rows: axes,
        });
        table
    };
    let tables = [
        anchored("heat".to_owned(), 0.1),
        anchored(format!("heat{UNBOUND}"), 3.0),
    ];
    let report = Report::new(&tables, OPTIONS).unwrap();
    let [gain] = &report.gains[..] else {
        panic!("{:?}", report.gains);
    };
    assert_eq!((gain.samples, gain.groups), (72, 3));
    let first = gain.at[0];
    assert!(first.trained > 0.95 && first.unbound < 0.3, "{first:?}");
    let interval = first.interval.unwrap();
    let difference = first.trained - first.unbound;
    assert!(
        (interval.low..=interval.high).contains(&difference),
        "{first:?}"
    );
    assert!(page(&report).contains("With and without training"));
    let row = "| heat | | paired anchor, recall@1, more than unbound | +";
    assert!(markdown::render(&report).contains(row));
    // Other samples are no pair.
    let mut other = tables;
    other[1].names.reverse();
    assert!(Report::new(&other, OPTIONS).unwrap().gains.is_empty());
}
