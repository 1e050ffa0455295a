use proptest::prelude::*;
use sensorium_media::Numbers;

use super::*;
use crate::small::{chain, flipped, folder, npy, npy_f32, npz, open, pgm, png, read_all, wav};

fn table(text: &str) -> Vec<u8> {
    text.into()
}

fn load(set: &dyn DataSet, entry: usize, sense: Modality) -> Raw {
    set.load(entry, sense).unwrap()
}

fn fault(set: &dyn DataSet, entry: usize, sense: Modality) -> String {
    chain(&set.load(entry, sense).unwrap_err())
}

fn imu(set: &dyn DataSet, entry: usize) -> Vec<crate::Sample> {
    match load(set, entry, Modality::Imu) {
        Raw::Imu { samples, .. } => samples,
        other => panic!("{}", other.kind()),
    }
}

fn frames(set: &dyn DataSet, entry: usize, sense: Modality) -> NumberArray {
    match load(set, entry, sense) {
        Raw::Frames { frames, .. } => frames,
        other => panic!("{}", other.kind()),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_folder_with_pairs_reads_as_written() {
    let dir = folder(&[
        (
            "pairs.csv",
            table(
                "image,audio,text,label,group,split,seconds\n\
                 dog.png,dog.wav, a dog barks ,dog,animals,train,1\n\
                 cat.png,,,cat,,,2\n",
            ),
        ),
        ("dog.png", png(3, 2, [1, 2, 3])),
        ("cat.png", png(1, 1, [9, 9, 9])),
        ("dog.wav", wav(8_000, &[0, 16_384, -32_768])),
    ]);
    let set = open(dir.path(), "kind = 'pairs'").unwrap();
    let senses = [Modality::Image, Modality::Audio, Modality::Text];
    let dog = Entry {
        name: "dog.wav".into(),
        senses: senses.into_iter().collect(),
        label: some("dog"),
        group: some("animals"),
        split: some("train"),
    };
    assert_eq!(set.entries()[0], dog);
    let cat = Entry {
        name: "cat.png".into(),
        senses: Modality::Image.into(),
        label: some("cat"),
        ..Entry::default()
    };
    assert_eq!(set.entries()[1], cat);
    assert_eq!(
        load(&*set, 0, Modality::Audio),
        Raw::Sound {
            samples: vec![0.0, 0.5, -1.0],
            rate_hz: 8_000
        }
    );
    assert_eq!(
        load(&*set, 0, Modality::Text),
        Raw::Text("a dog barks".into())
    );
    let Raw::Image(image) = load(&*set, 0, Modality::Image) else {
        panic!("no picture")
    };
    assert_eq!(
        (image.width(), image.height(), image.pixels()[5]),
        (3, 2, [1, 2, 3])
    );
    assert_eq!(
        fault(&*set, 1, Modality::Audio),
        "set: audio of \"cat.png\": the sample has none"
    );
    assert_eq!(set.following(0), None);
}

#[test]
fn columns_have_other_names_are_made_of_several_or_are_none() {
    let dir = folder(&[
        (
            "labels.csv",
            table("file,kind,group,take\na.png,x,animals,1\na.png,y,animals,2\n,z,,3\n"),
        ),
        ("visible/a.png", png(1, 1, [0; 3])),
        ("thermal/a.png", png(1, 1, [7; 3])),
    ]);
    let set = open(
        dir.path(),
        "kind = 'pairs'
         index = 'labels.csv'
         columns = { image = 'visible/{file}', thermal = 'thermal/{file}', label = 'kind', \
         group = '', split = 'take {take} of {kind}' }",
    )
    .unwrap();
    let [first, second, third] = set.entries() else {
        panic!("{:?}", set.entries())
    };
    assert_eq!(
        (first.label.as_deref(), first.group.as_deref()),
        (Some("x"), None)
    );
    assert_eq!(first.split.as_deref(), Some("take 1 of x"));
    assert_eq!(first.name, "thermal/a.png");
    assert_eq!(second.name, "thermal/a.png (row 2)", "names are unique");
    assert_eq!(
        (third.name.as_str(), third.senses.is_empty()),
        ("row 3", true)
    );
    let heat = frames(&*set, 0, Modality::Thermal);
    assert_eq!(
        (heat.shape, heat.numbers),
        (vec![1, 1, 1], Numbers::U8(vec![7]))
    );
}

#[test]
fn a_cell_may_be_the_first_characters_of_a_column() {
    let dir = folder(&[(
        "pairs.csv",
        table(
            "text,take,a:1\n\
             one,2017-02-03 light,x\n\
             two,2017é02,y\n\
             three,,z\n",
        ),
    )]);
    let config = "kind = 'pairs'\ncolumns = { group = 'day {take:5}', label = '{a:1}' }";
    let set = open(dir.path(), config).unwrap();
    let cells = |entry: usize| {
        let Entry { group, label, .. } = &set.entries()[entry];
        (group.as_deref(), label.as_deref())
    };
    assert_eq!(cells(0), (Some("day 2017-"), Some("x")));
    assert_eq!(cells(1), (Some("day 2017é"), Some("y")));
    assert_eq!(cells(2), (None, Some("z")));
}

#[test]
fn files_of_the_same_name_belong_together() {
    let dir = folder(&[
        ("color_2.png", png(1, 1, [2; 3])),
        ("color_1.png", png(1, 1, [1; 3])),
        ("color_.png", png(1, 1, [1; 3])),
        ("depth_1.pgm", pgm(2, &[1000, 65_535])),
        ("notes.txt", table("")),
    ]);
    let set = open(
        dir.path(),
        "kind = 'pairs'
         list = 'color_*.png'
         columns = { image = 'color_{name}.png', depth = 'depth_{name}.pgm' }",
    )
    .unwrap();
    let names: Vec<&str> = set
        .entries()
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(names, ["1", "2"]);
    let depth = frames(&*set, 0, Modality::Depth);
    assert_eq!(depth.numbers, Numbers::U16(vec![1000, 65_535]));
    let broken = fault(&*set, 1, Modality::Depth);
    assert!(
        broken.starts_with("set: depth of \"2\": reading \""),
        "{broken}"
    );
    assert!(broken.contains("depth_2.pgm\": "), "{broken}");
    for pattern in ["color.png", "*/a.png", "*_*.png"] {
        let error = open(dir.path(), &format!("kind = 'pairs'\nlist = '{pattern}'"));
        let error = error.unwrap_err();
        assert!(
            error.ends_with("expected one star, in the name of the file"),
            "{error}"
        );
    }
    let error = open(dir.path(), "kind = 'pairs'\nlist = 'no/*.png'").unwrap_err();
    assert!(error.starts_with("data set \"set\": reading \""), "{error}");
}

#[test]
fn a_clip_may_be_a_folder_of_pictures() {
    let dir = folder(&[
        ("pairs.csv", table("depth\nclip\nempty\n")),
        ("clip/0.pgm", pgm(1, &[1])),
        ("clip/1.pgm", pgm(1, &[2])),
        ("empty/notes", table("x")),
    ]);
    let set = open(dir.path(), "kind = 'pairs'\nform.depth.rate_hz = 5").unwrap();
    assert_eq!(frames(&*set, 0, Modality::Depth).shape, [2, 1, 1]);
    let key = set.content_key(0, Modality::Depth).unwrap();
    std::fs::write(dir.path().join("clip/1.pgm"), pgm(1, &[3])).unwrap();
    assert_ne!(set.content_key(0, Modality::Depth).unwrap(), key);
    assert!(fault(&*set, 1, Modality::Depth).contains("holds no .png, .pgm, .jpg or .jpeg file"));
}

/// Windows `[n, t, 6]` in the order of the table, as HAPT comes.
#[test]
fn windows_are_rows_and_may_follow_each_other() {
    let ramp: Vec<f32> = (0..48).map(|i| i as f32).collect();
    let rows = "user,recording,start_sample,label\n1,0,0,a\n1,0,2,a\n1,0,4,b\n2,0,6,b\n";
    let dir = folder(&[
        ("w.npy", npy_f32(&[4, 2, 6], &ramp)),
        ("w.csv", table(rows)),
    ]);
    let config = "kind = 'arrays'
         index = 'w.csv'
         rows.imu.file = 'w.npy'
         columns.group = 'user'
         follow = { recording = 'recording', start = 'start_sample' }
         form.imu = { rate_hz = 50, units = 'g,rad/s' }";
    let set = open(dir.path(), config).unwrap();
    assert_eq!(imu(&*set, 1)[1], [18.0, 19.0, 20.0, 21.0, 22.0, 23.0]);
    let following: Vec<_> = (0..4).map(|i| set.following(i)).collect();
    assert_eq!(following, [Some(1), None, None, None]);
    assert_eq!(set.entries()[3].group.as_deref(), Some("2"));
    assert_eq!(set.entries()[3].name, "row 4");

    std::fs::write(dir.path().join("w.csv"), rows.replace("2,0,6,b\n", "")).unwrap();
    let error = open(dir.path(), config).unwrap_err();
    assert!(
        error.contains("w.csv\" has 3 rows, expected 4, as \""),
        "{error}"
    );
    std::fs::write(dir.path().join("w.csv"), rows).unwrap();
    let error = open(dir.path(), &config.replace("form.imu", "form.depth = {} #")).unwrap_err();
    let expected =
        "data set \"set\": it has imu, but not the setting form.imu, its rate_hz and units";
    assert_eq!(error, expected);
}

/// Two arrays of one table, as UTD-MHAD comes: 3 and 2 samples, 1 and 2 frames.
fn slices() -> (tempfile::TempDir, &'static str) {
    let imu: Vec<u8> = (0..30i16).flat_map(i16::to_le_bytes).collect();
    let depth = npy("|u1", &[3, 1, 2], vec![0, 1, 2, 3, 4, 255]);
    let other = npy("|u1", &[1], vec![0]);
    let dir = folder(&[
        ("imu.npy", npy("<i2", &[5, 6], imu)),
        ("depth.npz", npz(&[("depth", depth), ("other", other)])),
        (
            "sequences.csv",
            table("action,subject,a,n,from,to\nwave,1,0,3,0,1\nclap,2,3,2,1,3\nrun,2,4,2,1,4\n"),
        ),
    ]);
    let config = "kind = 'arrays'
         index = 'sequences.csv'
         columns = { label = 'action', group = 'subject' }
         rows.imu = { file = 'imu.npy', start = 'a', length = 'n' }
         rows.depth = { file = 'depth.npz', array = 'depth', start = 'from', end = 'to' }
         form.imu = { rate_hz = 50, units = 'g,deg/s', accel_scale = 0.5, gyro_scale = 2 }
         form.depth = { scale = 20, rate_hz = 9.5 }";
    (dir, config)
}

#[test]
fn samples_are_slices_of_long_arrays_scaled() {
    let (dir, config) = slices();
    let set = open(dir.path(), config).unwrap();
    assert_eq!(imu(&*set, 0).len(), 3);
    assert_eq!(imu(&*set, 1)[0], [9.0, 9.5, 10.0, 42.0, 44.0, 46.0]);
    let depth = frames(&*set, 1, Modality::Depth);
    assert_eq!(depth.shape, [2, 1, 2]);
    assert_eq!(depth.numbers, Numbers::U16(vec![40, 60, 80, 5100]));
    // A sample that the arrays do not hold is broken, the others are not.
    assert_eq!(
        fault(&*set, 2, Modality::Imu),
        "set: imu of \"row 3\": it is rows 4 to 6 of 5"
    );
    assert!(fault(&*set, 2, Modality::Depth).ends_with("it is rows 1 to 4 of 3"));
    assert!(fault(&*set, 0, Modality::Audio).ends_with("the sample has none"));
}

#[test]
fn rows_count_from_the_beginning_of_a_recording() {
    let dir = folder(&[
        (
            "data.npz",
            npz(&[("data", npy("|u1", &[5, 1, 1], vec![0, 6, 12, 18, 24]))]),
        ),
        (
            "sequences.csv",
            table("recording,start,length\nmon,0,2\ntue,2,3\n"),
        ),
        (
            "segments.csv",
            table(
                "recording,start_frame,end_frame,action\ntue,1,3,fall\nmon,0,2,walk\nmon,1,3,sit\n",
            ),
        ),
    ]);
    let config = "kind = 'arrays'
         index = 'segments.csv'
         columns = { label = 'action', group = 'recording' }
         rows.thermal = { file = 'data.npz', start = 'start_frame', end = 'end_frame' }
         recordings.index = 'sequences.csv'
         form.thermal = { scale = 0.5, offset = 10, rate_hz = 9 }";
    let set = open(dir.path(), config).unwrap();
    let heat = frames(&*set, 0, Modality::Thermal);
    assert_eq!(heat.numbers, Numbers::F32(vec![19.0, 22.0]));
    assert_eq!(
        frames(&*set, 1, Modality::Thermal).numbers,
        Numbers::F32(vec![10.0, 13.0])
    );
    // The next recording is not a part of this one.
    assert!(fault(&*set, 2, Modality::Thermal).ends_with("it is rows 1 to 3 of 2"));
    std::fs::write(
        dir.path().join("segments.csv"),
        "recording,start_frame,end_frame,action\nwed,0,1,fall\n",
    )
    .unwrap();
    let error = open(dir.path(), config).unwrap_err();
    assert!(
        error.ends_with("segments.csv\", row 1: there is no recording \"wed\""),
        "{error}"
    );
}

#[test]
fn what_lies_between_listed_rows_is_sampled_too() {
    let table = |text: &str| text.as_bytes().to_vec();
    let dir = folder(&[
        ("heat.npy", npy("|u1", &[12, 1, 1], (0..12).collect())),
        (
            "sequences.csv",
            table("recording,start,length\nmon,0,9\ntue,9,3\n"),
        ),
        (
            "segments.csv",
            table("recording,start,end,action\nmon,7,8,fall\nmon,3,4,walk\ntue,0,1,sit\n"),
        ),
    ]);
    let config = "kind = 'arrays'
         index = 'segments.csv'
         columns = { label = 'action', group = '{recording} {action}' }
         rows.thermal = { file = 'heat.npy', start = 'start', end = 'end' }
         recordings = { index = 'sequences.csv', between = { label = 'else', rows = 2 } }";
    let set = open(dir.path(), config).unwrap();
    let found: Vec<_> = (0..set.entries().len())
        .map(|entry| {
            let label = set.entries()[entry].label.clone().unwrap_or_default();
            let heat = frames(&*set, entry, Modality::Thermal);
            (label, heat.numbers)
        })
        .collect();
    let heat = |label: &str, numbers: &[u8]| (label.to_owned(), Numbers::U8(numbers.to_vec()));
    assert_eq!(
        found,
        [
            heat("fall", &[7]),
            heat("walk", &[3]),
            heat("sit", &[9]),
            heat("else", &[0, 1]),
            heat("else", &[4, 5]),
            heat("else", &[10, 11]),
        ]
    );
}

#[test]
fn a_margin_belongs_to_what_is_listed_and_is_no_gap() {
    let dir = folder(&[
        ("heat.npy", npy("|u1", &[20, 1, 1], (0..20).collect())),
        (
            "sequences.csv",
            b"recording,start,length\nmon,0,14\ntue,14,6\n".to_vec(),
        ),
        (
            "segments.csv",
            b"recording,start,end,action\nmon,1,2,walk\nmon,9,10,fall\ntue,3,5,sit\ntue,4,7,lie\n"
                .to_vec(),
        ),
    ]);
    let config = "kind = 'arrays'
         index = 'segments.csv'
         columns = { label = 'action' }
         rows.thermal = { file = 'heat.npy', start = 'start', end = 'end' }
         recordings = { index = 'sequences.csv', margin = 2, between = { label = 'else', rows = 2 } }";
    let set = open(dir.path(), config).unwrap();
    let labels: Vec<_> = set
        .entries()
        .iter()
        .map(|entry| entry.label.as_deref().unwrap())
        .collect();
    // Tuesday's second stretch ends behind its recording, whose gap is too short for a piece.
    assert_eq!(labels, ["walk", "fall", "sit", "lie", "else", "else"]);
    let heat = |entry| frames(&*set, entry, Modality::Thermal).numbers;
    // As far as the recording goes, and no further.
    assert_eq!(heat(0), Numbers::U8((0..4).collect()));
    assert_eq!(heat(1), Numbers::U8((7..12).collect()));
    assert_eq!(heat(2), Numbers::U8((15..20).collect()));
    assert!(fault(&*set, 3, Modality::Thermal).ends_with("it is rows 4 to 7 of 6"));
    // Pieces have none, and keep off those of others.
    assert_eq!(heat(4), Numbers::U8(vec![4, 5]));
    assert_eq!(heat(5), Numbers::U8(vec![12, 13]));
}

#[test]
fn what_is_wrong_with_a_table_is_named() {
    let (dir, config) = slices();
    let message = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        open(dir.path(), &config.replace(from, to)).unwrap_err()
    };
    for (from, to, expected) in [
        (
            "'action'",
            "'acton'",
            "has no column \"acton\", only [\"action\", \"subject\", \"a\", \"n\", \"from\", \"to\"]",
        ),
        (
            "'action'",
            "'{action'",
            "columns.label is \"{action\", expected a column's name, or text with names in {}",
        ),
        (
            "'action'",
            "'a}b'",
            "columns.label is \"a}b\", expected a column's name, or text with names in {}",
        ),
        (
            "'n'",
            "'action'",
            "row 1: action is \"wave\", expected a whole number",
        ),
        (
            "'to'",
            "'from'",
            "row 1: it ends at 0, expected a number above its start, 0",
        ),
        (
            "start = 'a', ",
            "",
            "rows.imu has start, length and end [\"length\"], expected none of them, or start and one other",
        ),
        (
            "sequences.csv",
            "no.csv",
            "No such file or directory (os error 2)",
        ),
        ("imu.npy", "sequences.csv", "it is not a .npy or .npz file"),
        (
            "array = 'depth', ",
            "",
            "the .npz holds [\"depth\", \"other\"], expected one array",
        ),
        (
            "scale = 20",
            "scale = 0",
            "form.depth.scale is 0, expected a number above 0",
        ),
        (
            "scale = 20",
            "offset = 1",
            "form.depth.offset is 1, expected 0, which stands for no measurement",
        ),
    ] {
        let error = message(from, to);
        assert!(
            error.starts_with("data set \"set\": ") && error.ends_with(expected),
            "{error}"
        );
    }
    assert!(message("g,deg/s", "g").contains("units are \"g\", expected g or m/s2"));
}

#[test]
fn an_array_of_another_form_breaks_its_samples() {
    let dir = folder(&[
        ("t.csv", table("label\na\nb\n")),
        ("five.npy", npy_f32(&[2, 5], &[0.0; 10])),
        (
            "nan.npy",
            npy_f32(&[2, 1, 6], &[[0.0; 11].as_slice(), &[f32::NAN]].concat()),
        ),
    ]);
    let with = |file| {
        let form = "form.imu = { rate_hz = 50, units = 'g,rad/s' }";
        let config = format!("kind = 'arrays'\nindex = 't.csv'\nrows.imu.file = '{file}'\n{form}");
        open(dir.path(), &config).unwrap()
    };
    assert!(
        fault(&*with("five.npy"), 0, Modality::Imu)
            .ends_with("it has shape [5], expected [samples, 6]")
    );
    let nan = with("nan.npy");
    assert_eq!(imu(&*nan, 0), [[0.0; 6]]);
    assert!(fault(&*nan, 1, Modality::Imu).ends_with("row 0 holds a value that is not finite"));
}

#[test]
fn equal_content_has_equal_keys() {
    let dir = folder(&[
        (
            "pairs.csv",
            table("audio,text\na.wav,x\nb.wav,x\nc.wav,y\n"),
        ),
        ("a.wav", wav(8_000, &[1, 2])),
        ("b.wav", wav(8_000, &[1, 2])),
        ("c.wav", wav(8_000, &[1, 3])),
    ]);
    let set = open(dir.path(), "kind = 'pairs'").unwrap();
    let key = |entry, sense| set.content_key(entry, sense).unwrap();
    assert_eq!(key(0, Modality::Audio), key(1, Modality::Audio));
    assert_ne!(key(0, Modality::Audio), key(2, Modality::Audio));
    assert_eq!(key(0, Modality::Text), key(1, Modality::Text));
    assert_eq!(
        key(2, Modality::Audio),
        ContentKey::of(&wav(8_000, &[1, 3]))
    );
    let (dir, config) = slices();
    let set = open(dir.path(), config).unwrap();
    let key = |entry| set.content_key(entry, Modality::Imu).unwrap();
    assert_ne!(key(0), key(1));
    // SHA-256 of nothing, from FIPS 180-4's test vectors.
    assert!(
        ContentKey::of(b"")
            .to_string()
            .starts_with("e3b0c44298fc1c149afbf4c8996fb924")
    );
}

#[test]
fn files_that_are_cut_or_damaged_are_broken_samples() {
    let (sound, heat) = (wav(8_000, &[1, 2, 3]), npy_f32(&[1, 2, 2], &[1.0; 4]));
    let dir = folder(&[("pairs.csv", table("audio,thermal\na.wav,t.npy\n"))]);
    let set = open(dir.path(), "kind = 'pairs'").unwrap();
    for (file, whole, sense) in [
        ("a.wav", &sound, Modality::Audio),
        ("t.npy", &heat, Modality::Thermal),
    ] {
        let path = dir.path().join(file);
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let broken = fault(&*set, 0, sense);
            assert!(
                broken.starts_with(&format!("set: {sense} of \"a.wav\": ")),
                "{len}: {broken}"
            );
        }
        for seed in 0..100 {
            std::fs::write(&path, flipped(whole, seed)).unwrap();
            read_all(&*set);
        }
        std::fs::write(&path, whole).unwrap();
        assert!(set.load(0, sense).is_ok());
    }
}

#[test]
fn arrays_and_tables_that_are_cut_or_damaged_do_no_harm() {
    let (dir, config) = slices();
    for file in ["imu.npy", "depth.npz", "sequences.csv"] {
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            match open(dir.path(), config) {
                Ok(set) => {
                    assert_eq!(file, "sequences.csv", "cut at {len}");
                    read_all(&*set);
                }
                Err(error) => assert!(error.starts_with("data set \"set\": "), "{error}"),
            }
        }
        for seed in 0..150 {
            std::fs::write(&path, flipped(&whole, seed)).unwrap();
            if let Ok(set) = open(dir.path(), config) {
                read_all(&*set);
            }
        }
        std::fs::write(&path, &whole).unwrap();
    }
}

proptest! {
    #[test]
    fn no_table_panics(text in "[ -~\n\"]{0,200}", template in "[a-z{}/]{0,12}") {
        let dir = folder(&[("pairs.csv", text.into_bytes())]);
        let config = format!("kind = 'pairs'\ncolumns.text = '{template}'");
        if let Ok(set) = open(dir.path(), &config) {
            read_all(&*set);
        }
    }
}
