//! Targets, and the groups of classes that they are of.

use super::*;
use crate::report::target;

#[test]
fn groups_of_classes_are_judged_over_all_tables_together() {
    // Ann's samples are p and q, both of class 0, both nearest to it; q is of class 1 as well.
    let report = Report::new(&[small()], OPTIONS).unwrap();
    let [group] = &report.experiments[0].class_groups[..] else {
        panic!("{:?}", report.experiments[0].class_groups);
    };
    assert_eq!((group.samples, group.others, group.groups), (2, 0, 1));
    let names: Vec<_> = group.numbers.iter().map(|n| (n.name, n.value)).collect();
    assert_eq!(names, [("top-1", 1.0), ("top-1 among themselves", 1.0)]);

    let grouped = |range: std::ops::Range<usize>| Table {
        class_groups: vec![crate::table::ClassGroup {
            name: "on foot or not".to_owned(),
            of: "person".to_owned(),
            classes: vec![0, 1],
        }],
        ..people("people", range)
    };
    let report = Report::new(&[grouped(0..2), grouped(2..5)], OPTIONS).unwrap();
    let experiment = &report.experiments[0];
    let group = &experiment.class_groups[0];
    // Of 24 samples a person 6 are of each class, and of every ninth (8, 17), one is of classes 0 and
    // 1, the other of 1 and 2.
    assert_eq!((group.samples, group.others, group.groups), (60, 60, 5));
    let value = |name: &str| {
        let number = group.numbers.iter().find(|number| number.name == name);
        number.unwrap()
    };
    let among_own = value("top-1 among themselves").value;
    assert!(value("top-1").value <= among_own);
    // By hand, from what was taken for what: of 5 people and 24 samples each.
    let named = |rows: [usize; 2], columns: [usize; 2]| -> usize {
        let cells = rows
            .iter()
            .flat_map(|&r| columns.iter().map(move |&c| (r, c)));
        cells.map(|(r, c)| experiment.confusion[r][c]).sum()
    };
    assert_eq!(
        value("sensitivity").value,
        named([0, 1], [0, 1]) as f64 / 60.0
    );
    assert_eq!(
        value("specificity").value,
        named([2, 3], [2, 3]) as f64 / 60.0
    );
    assert!(value("specificity").interval.is_some());
    assert!(page(&report).contains("on foot or not"));
    assert!(markdown::render(&report).contains("on foot or not: specificity"));
}

/// Targets of a file.
fn targets(text: &str) -> anyhow::Result<Vec<target::Target>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("targets.toml");
    std::fs::write(&path, text).unwrap();
    target::read(&path)
}

#[test]
fn targets_are_compared_with_what_was_measured() {
    let text = r#"
        [[target]]
        what = "all"
        encoder = "small"
        must = 0.9
        goal = 1.0

        [[target]]
        what = "feet & <hands>"
        encoder = "small"
        classes = "feet"
        measure = "top-1 among themselves"
        must = 0.9

        [[target]]
        what = "pairs"
        encoder = "small"
        measure = "imu samples → depth anchors, the paired one, recall@1"
        times_chance = true
        must = 2.0
        goal = 3.0
        beside = [{ what = "a linear layer", value = 1.75 }]
        tried = ["more of the same"]
        wants = "other pairs"

        [[target]]
        what = "in other words"
        files = ["a.json", "b.json"]
        at = "/groups/0/share"
        weight_at = "/groups/0/samples"
        must = 0.5
        goal = 0.8

        [[target]]
        what = "bytes"
        files = ["a.json"]
        at = "/bytes"
        at_most = true
        must = 5.0

        [[target]]
        what = "of another encoder"
        encoder = "large"
        goal = 0.5
    "#;
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "a.json",
        r#"{"bytes": 4.5, "groups": [{"share": 0.5, "samples": 1}]}"#,
    );
    write("b.json", r#"{"groups": [{"share": 0.7, "samples": 3}]}"#);
    let mut report = Report::new(&[small()], OPTIONS).unwrap();
    report.targets =
        target::compare(targets(text).unwrap(), &report.experiments, dir.path()).unwrap();
    let said: Vec<String> = { report.targets.iter() }
        .map(|target| format!("{}: {}", target.what, target.verdict_in_words()))
        .collect();
    assert_eq!(
        said,
        [
            "all: goal reached",
            "feet & <hands>: reached",
            // Three of four, beside a half.
            "pairs: missed by 0.5 × chance",
            "in other words: must reached, goal missed by 0.150",
            "bytes: reached",
            "of another encoder: not measured here",
        ]
    );
    let html = page(&report);
    for part in [
        "feet &amp; &lt;hands&gt;",
        "Tried: more of the same",
        "It wants: other pairs",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let markdown = markdown::render(&report);
    let rows = [
        "| in other words | 0.650 | 0.500 to 0.700 | 0.500 | 0.800 | must reached, goal missed by 0.150 |",
        "| pairs | 1.5 × chance | ",
        "\n**pairs**: missed by 0.5 × chance. a linear layer: 1.8 × chance.\n\n- Tried: more of the same\n",
    ];
    for row in rows {
        assert!(markdown.contains(row), "{row}\n{markdown}");
    }
}

#[test]
fn targets_that_cannot_be_meant_are_refused() {
    let refused = |text: &str| format!("{:#}", targets(text).unwrap_err());
    let unknown = refused("[[target]]\nwhat = \"a\"\nencodr = \"small\"\nmust = 1.0\n");
    assert!(
        unknown.contains("line 3") && unknown.contains("did you mean \"encoder\"?"),
        "{unknown}"
    );
    let nowhere = refused("[[target]]\nwhat = \"a\"\nmust = 1.0\n");
    assert!(
        nowhere.contains("\"a\" needs either encoder, or files and at"),
        "{nowhere}"
    );
    let both = refused(
        "[[target]]\nwhat = \"a\"\nencoder = \"b\"\nfiles = [\"c\"]\nat = \"/d\"\nmust = 1.0\n",
    );
    assert!(both.contains("needs either"), "{both}");
    let nothing = refused("[[target]]\nwhat = \"a\"\nencoder = \"b\"\n");
    assert!(nothing.contains("neither must nor goal"), "{nothing}");

    let report = Report::new(&[small()], OPTIONS).unwrap();
    let compared = |rest: &str| {
        let text = format!("[[target]]\nwhat = \"a\"\nmust = 1.0\n{rest}");
        let outcome = target::compare(targets(&text).unwrap(), &report.experiments, Path::new("/"));
        format!("{:#}", outcome.unwrap_err())
    };
    let measure = compared("encoder = \"small\"\nmeasure = \"top-2\"\n");
    assert!(
        measure
            .contains("target \"a\": encoder \"small\" has no number \"top-2\", only [\"top-1\""),
        "{measure}"
    );
    let classes = compared("encoder = \"small\"\nclasses = \"hands\"\n");
    assert!(
        classes.contains("measures no classes \"hands\", only [\"feet\"]"),
        "{classes}"
    );
    let probe =
        compared("encoder = \"small\"\nmeasure = \"probe, 1 a class\"\ntimes_chance = true\n");
    assert!(
        probe.contains("nobody knows the chance") || probe.contains("has no number"),
        "{probe}"
    );
}
