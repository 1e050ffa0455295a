//! Comparison with scikit-learn and numpy, by `tests/golden/metrics.py`; and what they leave open.

use serde_json::Value;

use super::arithmetic::{Gallery, Query};
use super::interval::{Spread, bootstrap, quantile, wilson};
use super::naming::share;
use super::probe::{EXACTLY, Probe};
use super::projection::Projection;
use super::retrieval::{DEPTHS, chance_at, ranks, recall_at};
use super::shots::{Labelled, draw, draws};
use super::*;

const MAX_ABS: f64 = 1e-9;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/metrics.json")).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    let entries = value.as_array().unwrap().iter();
    entries.map(|v| v.as_f64().unwrap()).collect()
}

fn places(value: &Value) -> Vec<usize> {
    list(value).into_iter().map(|v| v as usize).collect()
}

fn table(value: &Value) -> Scores {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(list).collect();
    Scores::new(rows[0].len(), rows.concat())
}

fn rows(value: &Value) -> Rows {
    let table = table(value);
    let numbers = (0..table.len()).flat_map(|i| table.row(i).to_vec());
    Rows::normalized(table.columns(), numbers)
}

#[track_caller]
fn close(actual: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!((actual - expected).abs() <= MAX_ABS, "{actual} {expected}");
}

#[track_caller]
fn all_close(actual: &[f64], expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        close(*actual, expected);
    }
}

#[test]
fn names_are_counted_as_scikit_learn_does() {
    for case in golden()["named"].as_array().unwrap() {
        let (scores, truth) = (table(&case["scores"]), places(&case["truth"]));
        let weights = list(&case["weights"]);
        let (n, classes) = (scores.len(), scores.columns());
        let ones = vec![1.0; n];
        let hits = |k| -> Vec<bool> {
            (0..n)
                .map(|i| scores.is_among_top(i, k, &[truth[i]]))
                .collect()
        };
        close(share(&hits(1), &ones).unwrap(), &case["top"]["1"]);
        close(share(&hits(2), &ones).unwrap(), &case["top"]["2"]);
        close(share(&hits(2), &weights).unwrap(), &case["top_weighted"]);
        let named: Vec<usize> = (0..n).map(|i| scores.best(i).unwrap()).collect();
        let naming = Naming::new(classes, truth.clone(), named);
        let confusion = naming.confusion();
        for (row, expected) in confusion.iter().zip(case["confusion"].as_array().unwrap()) {
            assert_eq!(*row, places(expected));
        }
        let right: usize = (0..classes).map(|class| confusion[class][class]).sum();
        close(right as f64 / n as f64, &case["accuracy"]);
        close(naming.class_recall(&ones).unwrap(), &case["class_recall"]);
        let weighted = naming.class_recall(&weights).unwrap();
        close(weighted, &case["class_recall_weighted"]);

        let thresholds: Vec<_> = (0..classes)
            .map(|class| {
                let is_true: Vec<bool> = truth.iter().map(|&t| t == class).collect();
                Ranked::new(&scores.column(class)).thresholds(&is_true, &ones)
            })
            .collect();
        let precision = mean_of_defined(thresholds.iter().map(|t| t.average_precision()));
        close(precision.unwrap(), &case["mean_average_precision"]);
        let auc: Vec<f64> = thresholds.iter().map(|t| t.auc().unwrap()).collect();
        all_close(&auc, &case["auc"]);
        close(auc.iter().sum::<f64>() / classes as f64, &case["auc_macro"]);
    }
}

#[test]
fn ranked_rows_with_ties_and_many_labels_are_measured_as_scikit_learn_does() {
    for case in golden()["tied"].as_array().unwrap() {
        let (scores, truth) = (table(&case["scores"]), table(&case["truth"]));
        let weights = list(&case["weights"]);
        let ones = vec![1.0; scores.len()];
        let is_true = |class| -> Vec<bool> {
            let column = truth.column(class);
            column.into_iter().map(|value| value == 1.0).collect()
        };
        let measured = |weights: &[f64]| -> (Vec<f64>, Vec<f64>) {
            let class = |class: usize| {
                let ranked = Ranked::new(&scores.column(class));
                let thresholds = ranked.thresholds(&is_true(class), weights);
                (
                    thresholds.average_precision().unwrap(),
                    thresholds.auc().unwrap(),
                )
            };
            (0..scores.columns()).map(class).unzip()
        };
        let (precision, auc) = measured(&ones);
        all_close(&precision, &case["average_precision"]);
        all_close(&auc, &case["auc"]);
        let count = scores.columns() as f64;
        close(
            precision.iter().sum::<f64>() / count,
            &case["mean_average_precision"],
        );
        close(auc.iter().sum::<f64>() / count, &case["auc_macro"]);
        let (precision, auc) = measured(&weights);
        all_close(&precision, &case["average_precision_weighted"]);
        all_close(&auc, &case["auc_weighted"]);

        let pooled = |table: &Scores| -> Vec<f64> {
            (0..table.len())
                .flat_map(|i| table.row(i).to_vec())
                .collect()
        };
        let all_true: Vec<bool> = pooled(&truth).into_iter().map(|v| v == 1.0).collect();
        let all = Ranked::new(&pooled(&scores)).thresholds(&all_true, &vec![1.0; all_true.len()]);
        close(all.auc().unwrap(), &case["auc_pooled"]);

        let first = Ranked::new(&scores.column(0)).thresholds(&is_true(0), &ones);
        let (false_share, true_share): (Vec<f64>, Vec<f64>) =
            first.roc().unwrap().into_iter().unzip();
        all_close(&false_share, &case["false_positive_rate"]);
        all_close(&true_share, &case["true_positive_rate"]);
        // scikit-learn's curve runs the other way, ends in a point at no recall, and goes on past
        // the threshold that has all.
        let (recall, precision): (Vec<f64>, Vec<f64>) =
            first.precision_recall().unwrap().into_iter().unzip();
        for (ours, theirs) in [(recall, &case["recall"]), (precision, &case["precision"])] {
            let mut theirs: Vec<Value> = theirs
                .as_array()
                .unwrap()
                .iter()
                .rev()
                .skip(1)
                .cloned()
                .collect();
            theirs.truncate(ours.len());
            all_close(&ours, &Value::from(theirs));
        }
    }
}

#[test]
fn a_probe_is_at_the_optimum_that_scikit_learn_finds() {
    for case in golden()["probe"].as_array().unwrap() {
        let (x, new) = (table(&case["x"]), table(&case["new"]));
        let x: Vec<&[f64]> = (0..x.len()).map(|i| x.row(i)).collect();
        let classes = case["classes"].as_u64().unwrap() as usize;
        let strength = case["strength"].as_f64().unwrap();
        let probe = Probe::fit(&x, &places(&case["labels"]), classes, strength, EXACTLY);
        for (i, expected) in case["probabilities"].as_array().unwrap().iter().enumerate() {
            let scores = probe.scores(new.row(i));
            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
            let shares: Vec<f64> = scores.iter().map(|score| score.exp() / sum).collect();
            all_close(&shares, expected);
        }
    }
}

#[test]
fn retrieval_counts_as_numpy_does() {
    let case = &golden()["retrieval"];
    let (queries, items) = (rows(&case["queries"]), rows(&case["items"]));
    let (of, group) = (places(&case["of"]), places(&case["group"]));
    let there = queries.cosines(&items);
    for (i, expected) in case["cosines"].as_array().unwrap().iter().enumerate() {
        all_close(there.row(i), expected);
    }
    let back = there.transposed();
    let check = |ranks: Vec<Option<usize>>, expected: &Value| {
        let recalls = DEPTHS.map(|k| recall_at(&ranks, k).unwrap());
        all_close(&recalls, expected);
    };
    check(ranks(&there, |q, i| of[q] == i), &case["same_item"]);
    check(ranks(&back, |i, q| of[q] == i), &case["same_item_back"]);
    check(
        ranks(&there, |q, i| group[of[q]] == group[i]),
        &case["same_group"],
    );
    check(
        ranks(&back, |i, q| group[of[q]] == group[i]),
        &case["same_group_back"],
    );
}

#[test]
fn sums_find_what_numpy_says_they_find() {
    let case = &golden()["arithmetic"];
    let items = rows(&golden()["retrieval"]["items"]);
    let labels: Vec<Vec<usize>> = case["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(places)
        .collect();
    let (a, b) = (rows(&case["a"]), rows(&case["b"]));
    let pairs: Vec<Vec<usize>> = case["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(places)
        .collect();
    let query = |i: usize| Query {
        a: (a.row(i), pairs[i][0]),
        b: (b.row(i), pairs[i][1]),
    };
    let queries: Vec<Query> = (0..pairs.len()).map(query).collect();
    let gallery = Gallery {
        rows: &items,
        labels: &labels,
    };
    let found = gallery.one_item(&queries, &DEPTHS).unwrap();
    all_close(
        &found.iter().map(|p| p.sum).collect::<Vec<_>>(),
        &case["sum"],
    );
    all_close(
        &found.iter().map(|p| p.a_alone).collect::<Vec<_>>(),
        &case["a_alone"],
    );
    all_close(
        &found.iter().map(|p| p.b_alone).collect::<Vec<_>>(),
        &case["b_alone"],
    );
    // What one item has, the items have together; and all items have everything that is asked for.
    let together = gallery.together(&queries, &[1, items.len()]).unwrap();
    assert!((0.0..=1.0).contains(&together[0].chance));
    for all in [together[1].sum, together[1].a_alone, together[1].chance] {
        assert!((all - 1.0).abs() < 1e-12);
    }
}

#[test]
fn sums_cover_two_labels_where_either_part_covers_one() {
    // Four items on two axes; a sum of the axes is as near to either.
    let items = Rows::normalized(2, [1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 0.1, 1.0]);
    let labels = [vec![0], vec![0], vec![1], vec![1]];
    let gallery = Gallery {
        rows: &items,
        labels: &labels,
    };
    let query = Query {
        a: (&[1.0, 0.02], 0),
        b: (&[0.02, 1.0], 1),
    };
    assert_eq!(gallery.one_item(&[query], &[1]), None, "no item has both");
    let at = gallery.together(&[query], &[2, 3]).unwrap();
    assert_eq!((at[0].sum, at[0].a_alone, at[0].b_alone), (1.0, 0.0, 0.0));
    assert_eq!((at[1].sum, at[1].a_alone, at[1].b_alone), (1.0, 1.0, 1.0));
    // Two of four items, of which two and two: 4 of the 6 draws have one of each.
    assert!((at[0].chance - 4.0 / 6.0).abs() < 1e-12);
    let nowhere = Query {
        b: (&[0.0, 1.0], 7),
        ..query
    };
    assert_eq!(gallery.together(&[nowhere], &[1]), None);
}

#[test]
fn a_map_has_the_principal_components() {
    let case = &golden()["projection"];
    let x = table(&case["x"]);
    let rows: Vec<&[f64]> = (0..x.len()).map(|i| x.row(i)).collect();
    let map = Projection::fit(&rows).unwrap();
    all_close(&map.variance_shares, &case["share"]);
    for (row, expected) in rows.iter().zip(case["places"].as_array().unwrap()) {
        all_close(&map.place(row).map(f64::abs), expected);
    }
    assert_eq!(Projection::fit(&[&[1.0, 2.0][..]; 5]), None, "all the same");
    // On a line the second axis has nothing to show.
    let line: Vec<[f64; 3]> = (0..6)
        .map(|i| [f64::from(i), f64::from(2 * i), 0.0])
        .collect();
    let line: Vec<&[f64]> = line.iter().map(|row| &row[..]).collect();
    let map = Projection::fit(&line).unwrap();
    assert!((map.variance_shares[0] - 1.0).abs() < 1e-12 && map.variance_shares[1].abs() < 1e-12);
    assert!((map.place(line[5])[0] - map.place(line[0])[0] - 5.0 * 5f64.sqrt()).abs() < 1e-9);
}

#[test]
fn spreads_and_intervals_are_the_textbooks() {
    let case = &golden()["spread"];
    let values = list(&case["values"]);
    close(quantile(&values, 0.025).unwrap(), &case["low"]);
    close(quantile(&values, 0.975).unwrap(), &case["high"]);
    let spread = Spread::of(&values).unwrap();
    close(spread.mean, &case["mean"]);
    close(spread.deviation.unwrap(), &case["deviation"]);
    assert_eq!(Spread::of(&[2.0]).unwrap().deviation, None);
    assert_eq!((Spread::of(&[]), quantile(&[], 0.5)), (None, None));
    // Newcombe (1998), table I: 81 of 263 and 1 of 29, by the score method without correction.
    let rounded = |hits, all| {
        let i = wilson(hits, all).unwrap();
        [i.low, i.high].map(|v| (v * 1e4).round() / 1e4)
    };
    assert_eq!(rounded(81.0, 263.0), [0.2553, 0.3662]);
    assert_eq!(rounded(1.0, 29.0), [0.0061, 0.1718]);
    assert_eq!(rounded(0.0, 20.0), [0.0, 0.1611]);
    assert_eq!(wilson(0.0, 0.0), None);
}

#[test]
fn groups_are_drawn_whole() {
    let group_of = [0, 0, 0, 1];
    let hits = [true, true, true, false];
    let interval = |seed| {
        let [interval, never] = bootstrap(&group_of, 2, 400, seed, |weights| {
            [share(&hits, weights), None]
        });
        assert_eq!(never, None, "a statistic that is never defined");
        interval.unwrap()
    };
    // Both groups alone are drawn in a quarter of the cases each.
    assert_eq!((interval(1).low, interval(1).high), (0.0, 1.0));
    // Thirty groups: the interval of a share is about as wide as the normal one.
    let group_of: Vec<usize> = (0..30).collect();
    let hits: Vec<bool> = (0..30).map(|i| i % 3 == 0).collect();
    let [wide] = bootstrap(&group_of, 30, 2000, 7, |weights| [share(&hits, weights)]);
    let wide = wide.unwrap();
    let normal = 1.96 * (1.0f64 / 3.0 * 2.0 / 3.0 / 30.0).sqrt();
    assert!(
        ((wide.high - wide.low) / 2.0 - normal).abs() < 0.03,
        "{wide:?}"
    );
    let one_group = bootstrap(&[0, 0], 1, 10, 0, |weights| {
        [share(&[true, false], weights)]
    });
    assert_eq!(one_group, [None]);
}

#[test]
fn ties_and_empty_sides_are_defined() {
    let same = Scores::new(3, vec![0.5; 6]);
    assert_eq!(same.best(0), Some(0));
    assert!(same.is_among_top(0, 2, &[1]) && !same.is_among_top(0, 1, &[1]));
    assert!(same.is_among_top(0, 1, &[2, 0]), "any of the true ones");
    let collapsed = ranks(&same, |q, i| q == i);
    assert_eq!(
        recall_at(&collapsed, 1),
        Some(0.0),
        "the same for everything finds nothing"
    );
    assert_eq!(recall_at(&collapsed, 3), Some(1.0));
    assert_eq!(recall_at(&ranks(&same, |_, _| false), 1), None);
    let thresholds = |truth: &[bool]| Ranked::new(&[0.0, -0.0, 0.0]).thresholds(truth, &[1.0; 3]);
    let mixed = thresholds(&[true, false, false]);
    assert_eq!(mixed.auc(), Some(0.5));
    assert_eq!(mixed.average_precision(), Some(1.0 / 3.0));
    assert_eq!(mixed.roc().unwrap(), [(0.0, 0.0), (1.0, 1.0)]);
    let none = thresholds(&[false; 3]);
    assert_eq!(
        (none.auc(), none.average_precision(), none.roc()),
        (None, None, None)
    );
    assert_eq!(thresholds(&[true; 3]).auc(), None);
    assert_eq!(share(&[], &[]), None);
    let zeros = Rows::normalized(2, [0.0, 0.0]);
    assert_eq!(zeros.cosines(&zeros).row(0), [0.0]);
    assert_eq!(chance_at(10, 1, 5), 0.5);
    assert_eq!(
        (chance_at(4, 2, 3), chance_at(3, 0, 2), chance_at(0, 0, 1)),
        (1.0, 0.0, 0.0)
    );
}

#[test]
fn thinning_keeps_corners() {
    use super::ranking::thinned;
    let stairs = [
        (0.0, 0.0),
        (0.0, 0.25),
        (0.0, 0.5),
        (0.5, 0.5),
        (0.75, 0.5),
        (1.0, 1.0),
    ];
    assert_eq!(
        thinned(&stairs, 100),
        [stairs[0], stairs[2], stairs[4], stairs[5]]
    );
    let many: Vec<(f64, f64)> = (0..1000)
        .map(|i| (f64::from(i), f64::from(i % 2)))
        .collect();
    let few = thinned(&many, 50);
    assert!(few.len() <= 51 && few[0] == many[0] && few.last() == many.last());
}

#[test]
fn shots_come_from_other_groups_than_the_tested_rows() {
    // Four groups; two classes on two axes, turned by the group.
    let mut numbers = Vec::new();
    let (mut classes, mut groups) = (Vec::new(), Vec::new());
    for group in 0..4 {
        for i in 0..10 {
            let class = i % 2;
            let angle = class as f64 * 1.5 + 0.1 * group as f64 + 0.01 * i as f64;
            numbers.extend([angle.cos(), angle.sin()]);
            classes.push(Some(class));
            groups.push(group);
        }
    }
    classes[0] = None;
    let rows = Rows::normalized(2, numbers);
    let labelled = Labelled {
        rows: &rows,
        classes: &classes,
        groups: &groups,
    };
    for seed in 0..20 {
        let draw = draw(&labelled, 3, 4, seed).unwrap();
        assert_eq!((draw.accuracy, draw.taught), (1.0, 8));
        // Two groups of ten, one of which may have the row without a class.
        assert!(draw.tested == 20 || draw.tested == 19, "{draw:?}");
    }
    assert_eq!(draws(&labelled, 3, 1, 5, 0), draws(&labelled, 3, 1, 5, 0));
    let (mut first, second) = super::shots::halves(
        (0..40).collect(),
        &groups,
        &mut rand::SeedableRng::seed_from_u64(3),
    );
    assert!(
        first
            .iter()
            .all(|&a| second.iter().all(|&b| groups[a] != groups[b]))
    );
    first.extend(second);
    first.sort_unstable();
    assert_eq!(first, (0..40).collect::<Vec<_>>());
    // One group: its own rows are divided.
    let labelled = Labelled {
        groups: &[0; 40],
        ..labelled
    };
    assert_eq!(draw(&labelled, 3, 16, 1).unwrap().tested, 20);
    let labelled = Labelled {
        classes: &[Some(1); 40],
        ..labelled
    };
    assert_eq!(draw(&labelled, 3, 1, 1), None, "nothing to tell apart");
}
