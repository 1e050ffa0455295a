use proptest::prelude::*;

use super::*;

/// Four samples of each of five people.
const PEOPLE: [&str; 20] = [
    "0", "1", "2", "3", "4", "0", "1", "2", "3", "4", "0", "1", "2", "3", "4", "0", "1", "2", "3",
    "4",
];

fn held(people: &[&str]) -> Vec<String> {
    people.iter().map(|&person| person.to_owned()).collect()
}

/// Both sides together are the whole, and nobody is on both.
fn check(groups: &[&str], split: &Split, total: usize) {
    assert_eq!(split.training.len() + split.held_out.len(), total);
    let of = |samples: &[usize]| -> BTreeSet<String> {
        samples.iter().map(|&i| groups[i].to_owned()).collect()
    };
    let (training, held_out) = (of(&split.training), of(&split.held_out));
    assert!(training.is_disjoint(&held_out));
    assert_eq!(training, split.training_groups.iter().cloned().collect());
    assert_eq!(held_out, split.held_out_groups.iter().cloned().collect());
}

#[test]
fn nobody_is_on_both_sides() {
    let split = Split::new(&PEOPLE, &held(&["3", "1"])).unwrap();
    assert_eq!(split.held_out_groups, ["1", "3"]);
    assert_eq!(split.training_groups, ["0", "2", "4"]);
    check(&PEOPLE, &split, 20);
    for fold in 0..3 {
        let inner = split.inner(&PEOPLE, fold, 3).unwrap();
        check(&PEOPLE, &inner, 12);
        let expected = &split.training_groups[fold..=fold];
        assert_eq!(inner.held_out_groups, expected);
    }
}

#[test]
fn numbers_are_in_the_order_of_their_value() {
    let groups = ["10", "b", "9", "a", "2"];
    let split = Split::new(&groups, &["9".into()]).unwrap();
    assert_eq!(split.training_groups, ["2", "10", "a", "b"]);
    let inner = split.inner(&groups, 1, 2).unwrap();
    assert_eq!(inner.held_out_groups, ["10", "b"]);
    assert_eq!((inner.training, inner.held_out), (vec![3, 4], vec![0, 1]));
}

#[test]
fn a_division_that_cannot_be_is_refused() {
    let message = |people: &[&str]| Split::new(&PEOPLE, &held(people)).unwrap_err().to_string();
    assert_eq!(
        message(&["9"]),
        "group \"9\" is to be held or left out, but the set has no such group"
    );
    assert_eq!(
        message(&["0", "1", "2", "3", "4"]),
        "all 5 groups are held out, none is left to train on"
    );
    let split = Split::new(&PEOPLE, &held(&["0"])).unwrap();
    for (fold, folds) in [(2, 2), (0, 1), (0, 5)] {
        let error = split.inner(&PEOPLE, fold, folds).unwrap_err();
        assert!(
            matches!(error, SplitError::Fold { groups: 4, .. }),
            "{error}"
        );
    }
}

fn entries(sides: &[(&str, &str)]) -> Vec<Entry> {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let entry = |(i, &(group, split)): (usize, &(&str, &str))| Entry {
        name: format!("{i}.wav"),
        group: some(group),
        split: some(split),
        ..Entry::default()
    };
    sides.iter().enumerate().map(entry).collect()
}

fn config(text: &str) -> SplitConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn a_set_may_bring_its_own_division() {
    let own = entries(&[("a", "train"), ("b", "test"), ("", "test"), ("", "")]);
    let by_column = config("by = 'column'\nheld_out = ['test']");
    let split = by_column.apply(&own).unwrap();
    assert_eq!(split.held_out, [1, 2]);
    assert_eq!(split.training_groups, ["3.wav", "a"]);
    let torn = entries(&[("a", "train"), ("a", "test")]);
    assert_eq!(
        by_column.apply(&torn).unwrap_err().to_string(),
        "\"a\" is on both sides of the set's own division"
    );
    assert_eq!(
        by_column
            .apply(&entries(&[("a", "")]))
            .unwrap_err()
            .to_string(),
        "split \"test\" is to be held or left out, but the set has no such split"
    );
}

#[test]
fn settings_that_are_none_are_refused() {
    assert!(toml::from_str::<SplitConfig>("by = 'chance'\nheld_out = 0.1").is_err());
    assert!(toml::from_str::<SplitConfig>("by = 'group'\nheld_out = []\nseed = 1").is_err());
    let one = entries(&[("a", "")]);
    let error = |text| config(text).apply(&one).unwrap_err().to_string();
    assert_eq!(
        error("by = 'share'\nheld_out = 1.0"),
        "held_out is 1, expected more than 0 and less than 1"
    );
    assert_eq!(
        error("by = 'share'\nheld_out = 1e-9"),
        "none of 1 groups is held out"
    );
}

proptest! {
    #[test]
    fn sides_are_disjoint_and_whole(
        numbers in prop::collection::vec(0u32..30, 2..200), share in 0.05f64..0.95, seed: u64,
    ) {
        let names: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let groups: Vec<&str> = names.iter().map(String::as_str).collect();
        let own: Vec<Entry> = names
            .iter()
            .map(|name| Entry { group: Some(name.clone()), ..Entry::default() })
            .collect();
        if let Ok(split) = (SplitConfig::Share { held_out: share, seed }).apply(&own) {
            check(&groups, &split, groups.len());
            let total = split.training.len();
            if let Ok(inner) = split.inner(&groups, 1, 2) {
                check(&groups, &inner, total);
            }
            // Whether a group is held out does not depend on the others.
            let fewer = &own[..own.len() / 2 + 1];
            if let Ok(part) = (SplitConfig::Share { held_out: share, seed }).apply(fewer) {
                for group in &part.held_out_groups {
                    prop_assert!(split.held_out_groups.contains(group));
                }
            }
        }
    }
}

#[test]
fn a_share_is_about_that_share() {
    let names: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
    let sides: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let split = config("by = 'share'\nheld_out = 0.2")
        .apply(&entries(&sides))
        .unwrap();
    assert!(
        (350..450).contains(&split.held_out.len()),
        "{}",
        split.held_out.len()
    );
}

#[test]
fn who_is_left_out_is_on_neither_side() {
    let mut split = Split::new(&PEOPLE, &held(&["3"])).unwrap();
    split
        .leave_out(&held(&["0", "4"]), |item| PEOPLE[item])
        .unwrap();
    assert_eq!(split.training_groups, ["1", "2"]);
    check(&PEOPLE, &split, 12);
    // Who is held out cannot be left out as well: nothing would be measured on them.
    for group in ["3", "9"] {
        let error = split
            .leave_out(&held(&[group]), |item| PEOPLE[item])
            .unwrap_err();
        let expected = format!(
            "training group {group:?} is to be held or left out, but the set has no such training \
             group"
        );
        assert_eq!(error.to_string(), expected);
    }
    let error = split
        .leave_out(&held(&["1", "2"]), |item| PEOPLE[item])
        .unwrap_err();
    assert_eq!(error, SplitError::Nobody { groups: 2 });
}
