use super::*;

const DIM: usize = 3;
const RECORD: usize = KEY_LEN + 4 * DIM + CHECK_LEN;

fn key(i: usize) -> Key {
    Key::of_text(&i.to_string())
}

fn row(i: usize) -> Vec<f32> {
    (0..DIM).map(|k| (i * DIM + k) as f32 + 0.5).collect()
}

fn fill(dir: &Path, rows: std::ops::Range<usize>) -> Store {
    let mut store = open(dir);
    for i in rows {
        store.insert(&[(key(i), &row(i))]).unwrap();
    }
    store
}

fn open(dir: &Path) -> Store {
    AnchorCache::open(dir).unwrap().store("space", DIM).unwrap()
}

#[test]
fn what_was_put_in_comes_out_after_opening_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = fill(dir.path(), 0..5);
    assert_eq!((store.places.len(), store.counts.damaged), (5, 0));
    drop(store);
    let mut store = open(dir.path());
    assert_eq!((store.places.len(), store.counts.damaged), (5, 0));
    for i in 0..5 {
        assert_eq!(store.get(key(i)).unwrap(), Some(row(i)));
    }
    assert_eq!(store.get(key(5)).unwrap(), None);
    // The same again adds nothing.
    store
        .insert(&[(key(0), &row(0)), (key(4), &row(4))])
        .unwrap();
    let len = std::fs::metadata(dir.path().join("space.anchors"))
        .unwrap()
        .len();
    assert_eq!(len as usize, HEAD_LEN + 5 * RECORD);
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_records_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..3);
    let path = dir.path().join("space.anchors");
    let whole = std::fs::read(&path).unwrap();
    for len in 0..=whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        let kept = len.saturating_sub(HEAD_LEN) / RECORD;
        let mut store = open(dir.path());
        assert_eq!(
            (store.places.len(), store.counts.damaged),
            (kept, 0),
            "cut at {len}"
        );
        store.insert(&[(key(7), &row(7))]).unwrap();
        drop(store);
        let mut store = open(dir.path());
        assert_eq!(
            (store.places.len(), store.counts.damaged),
            (kept + 1, 0),
            "cut at {len}"
        );
        for i in 0..3 {
            let expected = (i < kept).then(|| row(i));
            assert_eq!(store.get(key(i)).unwrap(), expected, "cut at {len}");
        }
        assert_eq!(store.get(key(7)).unwrap(), Some(row(7)), "cut at {len}");
    }
}

#[test]
fn a_byte_altered_anywhere_is_never_read_as_an_embedding() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..3);
    let path = dir.path().join("space.anchors");
    let whole = std::fs::read(&path).unwrap();
    for byte in 0..whole.len() {
        let mut altered = whole.clone();
        altered[byte] ^= 0x10;
        std::fs::write(&path, &altered).unwrap();
        let mut store = open(dir.path());
        // A head that is not right says nothing of the records: all are computed anew.
        let hit = byte.checked_sub(HEAD_LEN).map(|byte| byte / RECORD);
        for i in 0..3 {
            let expected = hit.is_some_and(|hit| hit != i).then(|| row(i));
            assert_eq!(store.get(key(i)).unwrap(), expected, "byte {byte}");
        }
        let missing: Vec<usize> = match hit {
            None => vec![0, 1, 2],
            Some(hit) => vec![hit],
        };
        for i in missing {
            store.insert(&[(key(i), &row(i))]).unwrap();
        }
        let mut store = open(dir.path());
        for i in 0..3 {
            assert_eq!(store.get(key(i)).unwrap(), Some(row(i)), "byte {byte}");
        }
    }
}

#[test]
fn an_embedding_altered_while_the_file_is_open_is_not_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = fill(dir.path(), 0..2);
    let path = dir.path().join("space.anchors");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEAD_LEN + KEY_LEN] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(store.get(key(0)).unwrap(), None);
    assert_eq!(store.get(key(1)).unwrap(), Some(row(1)));
    assert_eq!(store.counts.damaged, 1);
    store.insert(&[(key(0), &row(0))]).unwrap();
    assert_eq!(store.get(key(0)).unwrap(), Some(row(0)));
    // Begun anew by somebody else: nothing is found, and nothing is wrong.
    std::fs::write(&path, b"").unwrap();
    assert_eq!(store.get(key(1)).unwrap(), None);
    store.insert(&[(key(3), &row(3))]).unwrap();
    assert_eq!(store.get(key(3)).unwrap(), Some(row(3)));
    assert_eq!(open(dir.path()).places.len(), 1);
}

#[test]
fn two_writers_fill_one_file_together() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let dir = dir.path();
            // Every second one is written by both.
            scope.spawn(move || {
                let mut store = open(dir);
                for i in 0..40 {
                    if i % 2 == 0 || i % 4 == 1 + 2 * half {
                        store.insert(&[(key(i), &row(i))]).unwrap();
                    }
                }
            });
        }
    });
    let mut store = open(dir.path());
    assert_eq!((store.places.len(), store.counts.damaged), (40, 0));
    let len = std::fs::metadata(dir.path().join("space.anchors"))
        .unwrap()
        .len();
    assert_eq!(len as usize, HEAD_LEN + 40 * RECORD, "none is there twice");
    for i in 0..40 {
        assert_eq!(store.get(key(i)).unwrap(), Some(row(i)));
    }
}

#[test]
fn other_dimensions_begin_a_file_anew() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..3);
    let cache = AnchorCache::open(dir.path()).unwrap();
    let mut store = cache.store("space", DIM + 1).unwrap();
    assert_eq!(store.places.len(), 0);
    store.insert(&[(key(0), &[1.0; DIM + 1])]).unwrap();
    assert_eq!(store.get(key(0)).unwrap(), Some(vec![1.0; DIM + 1]));
    assert!(cache.store("space", 0).is_err());
}

#[test]
fn keys_tell_content_and_shape_apart() {
    let image = |width, height, value| {
        let pixels = vec![[value; 3]; width * height];
        Key::of_image(&Image::new(width, height, pixels).unwrap())
    };
    assert_eq!(image(2, 3, 9), image(2, 3, 9));
    assert_ne!(image(2, 3, 9), image(3, 2, 9));
    assert_ne!(image(2, 3, 9), image(2, 3, 8));
    assert_ne!(Key::of_text("a"), Key::of_text("b"));
}

#[test]
fn only_what_is_missing_is_computed_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = fill(dir.path(), 0..2);
    let keys = [0, 5, 1, 5, 6].map(key);
    let expected = [0, 5, 1, 5, 6].map(row).to_vec();
    let found = store.complete(&keys, |missing| {
        assert_eq!(missing, [1, 4]);
        Ok(vec![row(5), row(6)])
    });
    assert_eq!(found.unwrap(), expected);
    let counts = |hits, misses| Counts {
        hits,
        misses,
        damaged: 0,
    };
    assert_eq!(store.counts(), counts(3, 2));
    drop(store);
    let mut store = open(dir.path());
    let found = store.complete(&keys, |_| unreachable!("all is there"));
    assert_eq!(found.unwrap(), expected);
    assert_eq!(store.counts(), counts(5, 0));
    let error = store
        .complete(&[key(9)], |_| Ok(vec![vec![1.0]]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 embeddings of Some(1) numbers, expected 1 of 3"
    );
    let error = store.complete(&[key(9)], |_| anyhow::bail!("no such model"));
    assert_eq!(error.unwrap_err().to_string(), "no such model");
    assert_eq!(store.get(key(9)).unwrap(), None);
}
