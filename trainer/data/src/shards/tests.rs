use super::*;
use crate::small::{chain, flipped, folder, npy_f32, open, pgm, png, read_all, tar, wav};

const CONFIG: &str = "kind = 'shards'
    shards = '{a,b}.tar'
    form.imu = { rate_hz = 50, units = 'g,rad/s' }";

fn first() -> Vec<u8> {
    let long = format!("{}/0001", "deep".repeat(40));
    tar(&[
        ("clips/0000.png", &png(2, 1, [1, 2, 3])),
        ("clips/0000.wav", &wav(8_000, &[0, 16_384])),
        ("clips/0000.cls", b"7\n"),
        (
            "clips/0000.json",
            b"{\"label\": \"no\", \"group\": \"ann\", \"split\": 2, \"more\": []}",
        ),
        ("clips/README", b"nothing"),
        (&format!("{long}.depth.pgm"), &pgm(1, &[500, 600])),
        (&format!("{long}.txt"), b" a wall "),
    ])
}

fn second() -> Vec<u8> {
    tar(&[
        ("./x.npy", &npy_f32(&[1, 6], &[1.0; 6])),
        ("./only.json", b"{}"),
        ("./x.json", b"{\"label\": \"walking\"}"),
    ])
}

fn shards() -> tempfile::TempDir {
    folder(&[("a.tar", first()), ("b.tar", second())])
}

#[test]
fn members_of_one_name_are_a_sample() {
    let dir = shards();
    let set = open(dir.path(), CONFIG).unwrap();
    let [first, second, third] = set.entries() else {
        panic!("{:?}", set.entries())
    };
    assert_eq!(first.name, "a.tar/clips/0000");
    assert_eq!(
        first.senses,
        [Modality::Image, Modality::Audio].into_iter().collect()
    );
    let facts = (
        first.label.as_deref(),
        first.group.as_deref(),
        first.split.as_deref(),
    );
    assert_eq!(facts, (Some("7"), Some("ann"), Some("2")));
    assert!(
        second.name.ends_with("deep/0001"),
        "long names too: {}",
        second.name
    );
    assert_eq!(
        second.senses,
        [Modality::Depth, Modality::Text].into_iter().collect()
    );
    assert_eq!(
        (third.name.as_str(), third.label.as_deref()),
        ("b.tar/x", Some("walking"))
    );
    // In any order, as often as wanted.
    for _ in 0..2 {
        assert_eq!(
            set.load(1, Modality::Text).unwrap(),
            Raw::Text("a wall".into())
        );
        assert!(matches!(
            set.load(2, Modality::Imu).unwrap(),
            Raw::Imu { samples, .. } if samples == [[1.0; 6]]
        ));
        assert!(matches!(
            set.load(0, Modality::Audio).unwrap(),
            Raw::Sound { samples, rate_hz: 8_000 } if samples == [0.0, 0.5]
        ));
        let depth = set.load(1, Modality::Depth).unwrap();
        assert!(matches!(depth, Raw::Frames { frames, .. } if frames.shape == [1, 2, 1]));
    }
    assert_eq!(
        chain(&set.load(2, Modality::Audio).unwrap_err()),
        "set: audio of \"b.tar/x\": the sample has none"
    );
}

/// An anchor of a picture is found again wherever the picture lies.
#[test]
fn keys_are_those_of_files() {
    let dir = shards();
    let set = open(dir.path(), CONFIG).unwrap();
    let key = set.content_key(0, Modality::Image).unwrap();
    assert_eq!(key, ContentKey::of(&png(2, 1, [1, 2, 3])));
}

#[test]
fn extensions_may_mean_something_else() {
    let dir = folder(&[(
        "a.tar",
        tar(&[
            ("0.jpg", &png(1, 1, [5; 3])),
            ("0.name", b"frog"),
            ("0.txt", b"no"),
        ]),
    )]);
    let set = open(
        dir.path(),
        "kind = 'shards'
         shards = 'a.tar'
         extensions = { jpg = 'thermal', name = 'label', txt = 'ignored' }",
    )
    .unwrap();
    assert_eq!(set.entries()[0].senses, Modality::Thermal.into());
    assert_eq!(set.entries()[0].label.as_deref(), Some("frog"));
    let error = open(
        dir.path(),
        "kind = 'shards'\nshards = 'a.tar'\nextensions.jpg = 'smell'",
    );
    assert!(
        error
            .unwrap_err()
            .starts_with("unknown variant `smell`, expected one of `imu`")
    );
}

/// The start of the end mark: two empty blocks, of which one is enough.
fn end(tar: &[u8]) -> usize {
    tar.len() - 1024
}

#[test]
fn a_cut_shard_is_refused_with_the_place() {
    let dir = shards();
    let whole = first();
    for len in 0..whole.len() {
        std::fs::write(dir.path().join("a.tar"), &whole[..len]).unwrap();
        let opened = open(dir.path(), CONFIG);
        if len >= end(&whole) + 512 {
            // Within the second empty block, all members are there.
            if let Ok(set) = opened {
                assert_eq!(set.entries().len(), 3);
            }
            continue;
        }
        let error = opened.unwrap_err();
        assert!(error.contains("a.tar\" "), "cut at {len}: {error}");
        assert!(error.contains("byte "), "cut at {len}: {error}");
    }
    std::fs::write(dir.path().join("a.tar"), &whole[..560]).unwrap();
    let error = open(dir.path(), CONFIG).unwrap_err();
    let expected = format!(
        "a.tar\" breaks off at byte 560: \"clips/0000.png\" ends at byte {}",
        512 + png(2, 1, [1, 2, 3]).len()
    );
    assert!(error.ends_with(&expected), "{error}");
    std::fs::write(dir.path().join("a.tar"), &whole[..end(&whole)]).unwrap();
    let error = open(dir.path(), CONFIG).unwrap_err();
    assert!(
        error.ends_with("expected more members or the end mark"),
        "{error}"
    );
}

#[test]
fn damaged_heads_do_no_harm() {
    let dir = shards();
    let whole = second();
    for seed in 0..500 {
        std::fs::write(dir.path().join("b.tar"), flipped(&whole, seed)).unwrap();
        if let Ok(set) = open(dir.path(), CONFIG) {
            read_all(&*set);
        }
    }
}

/// A head whose sum is right and whose size is not.
fn hostile(size: [u8; 12], kind: u8) -> Vec<u8> {
    let mut bytes = second();
    bytes[124..136].copy_from_slice(&size);
    bytes[156] = kind;
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|&byte| u32::from(byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

#[test]
fn hostile_sizes_are_refused() {
    let dir = shards();
    let mut largest = [0xff; 12];
    largest[0] = 0x80;
    let octal = *b"77777777777\0";
    for size in [largest, [0xff; 12], octal, *b"not a number"] {
        for kind in [b'0', b'L', b'x', b'g', b'S', b'5'] {
            std::fs::write(dir.path().join("b.tar"), hostile(size, kind)).unwrap();
            let error = open(dir.path(), CONFIG).unwrap_err();
            assert!(error.contains("b.tar\" "), "{error}");
        }
    }
}

#[test]
fn facts_that_are_none_break_their_sample_only() {
    let dir = folder(&[(
        "a.tar",
        tar(&[
            ("0.txt", b"zero"),
            ("0.json", b"{\"label\": "),
            ("1.txt", b"one"),
            ("1.json", b"{\"label\": \"one\"}"),
        ]),
    )]);
    let set = open(dir.path(), "kind = 'shards'\nshards = 'a.tar'").unwrap();
    assert_eq!(set.entries()[0].label, None);
    let error = chain(&set.load(0, Modality::Text).unwrap_err());
    let expected = "set: text of \"a.tar/0\": its .json is no object of text: ";
    assert!(error.starts_with(expected), "{error}");
    assert!(set.load(1, Modality::Text).is_ok());
}

#[test]
fn what_is_wrong_with_shards_is_named() {
    let dir = folder(&[
        ("twice.tar", tar(&[("0.wav", b"a"), ("0.flac", b"b")])),
        ("empty.tar", tar(&[])),
        ("text.tar", b"this is no tar file at all".repeat(40)),
    ]);
    let message = |pattern: &str| {
        open(
            dir.path(),
            &format!("kind = 'shards'\nshards = '{pattern}'"),
        )
        .unwrap_err()
    };
    let error = message("twice.tar");
    let expected = "twice.tar\" has audio of \"0\" twice, the second time as \"0.flac\"";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(message("empty.tar"), "data set \"set\": it has no sample");
    assert!(message("{0..1}.tar").contains("reading \""));
    assert!(message("text.tar").contains("text.tar\" cannot be read from byte 0 on: "));
    assert!(
        message("{0..1.tar")
            .ends_with("expected braces around first..last or around words with commas")
    );
}

#[test]
fn a_shard_that_became_shorter_breaks_its_samples() {
    let dir = shards();
    let set = open(dir.path(), CONFIG).unwrap();
    std::fs::write(dir.path().join("b.tar"), &second()[..520]).unwrap();
    let error = chain(&set.load(2, Modality::Imu).unwrap_err());
    assert!(error.contains("b.tar\" cannot be read: "), "{error}");
}
