use super::*;
use crate::small::{chain, flipped, folder, idx, open, read_all};

const CONFIG: &str = "kind = 'idx'\nimages = 'images'\nlabels = 'labels'\nnames = ['zero', 'one']";

fn digits() -> tempfile::TempDir {
    folder(&[
        ("images", idx(&[3, 1, 2], &[0, 1, 2, 3, 4, 5])),
        ("labels", idx(&[3], &[1, 0, 7])),
    ])
}

#[test]
fn pictures_are_named_and_labelled() {
    let dir = digits();
    let set = open(dir.path(), CONFIG).unwrap();
    let labels: Vec<_> = set
        .entries()
        .iter()
        .map(|entry| entry.label.as_deref())
        .collect();
    assert_eq!(labels, [Some("one"), Some("zero"), Some("7")]);
    let Raw::Image(image) = set.load(1, Modality::Image).unwrap() else {
        panic!("no picture")
    };
    assert_eq!(image.pixels(), [[2; 3], [3; 3]]);
    assert_eq!(
        chain(&set.load(2, Modality::Audio).unwrap_err()),
        "set: audio of \"images[2]\": the sample has none"
    );
    let key = |entry| set.content_key(entry, Modality::Image).unwrap();
    assert_ne!(key(0), key(1));
    assert!(set.content_key(0, Modality::Text).is_err());
    let unlabelled = open(dir.path(), "kind = 'idx'\nimages = 'images'").unwrap();
    assert_eq!(unlabelled.entries()[0].label, None);
}

#[test]
fn files_that_do_not_fit_each_other_are_refused() {
    let dir = digits();
    std::fs::write(dir.path().join("labels"), idx(&[2], &[1, 0])).unwrap();
    let error = open(dir.path(), CONFIG).unwrap_err();
    assert!(
        error.ends_with("has shape [2], expected [3] of whole numbers"),
        "{error}"
    );
    let error = open(dir.path(), "kind = 'idx'\nimages = 'labels'").unwrap_err();
    assert!(
        error.ends_with("expected [samples, height, width] of bytes"),
        "{error}"
    );
}

#[test]
fn files_that_are_cut_or_damaged_are_refused() {
    let dir = digits();
    for file in ["images", "labels"] {
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert!(open(dir.path(), CONFIG).is_err(), "{file} cut at {len}");
        }
        for seed in 0..200 {
            std::fs::write(&path, flipped(&whole, seed)).unwrap();
            if let Ok(set) = open(dir.path(), CONFIG) {
                read_all(&*set);
            }
        }
        std::fs::write(&path, whole).unwrap();
    }
}
