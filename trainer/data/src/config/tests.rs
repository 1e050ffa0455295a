use super::*;
use crate::Raw;
use crate::small::{folder, open, wav};

fn parse(text: &str) -> Result<SetConfig, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
}

#[test]
fn keys_that_no_kind_has_are_refused() {
    let key = |key: &str| parse(&format!("name = 'x'\nkind = 'pairs'\n{key}")).unwrap_err();
    assert_eq!(
        key("indx = 'a.csv'"),
        "unknown field `indx`, expected one of `index`, `list`, `columns`"
    );
    assert!(key("columns.sound = 'a'").starts_with("unknown field `sound`"));
    assert!(key("form.audio.rate = 1").starts_with("unknown field `rate`"));
    assert!(key("shards = 'a.tar'").starts_with("unknown field `shards`"));
    assert!(key("repeat = 0").starts_with("invalid value: integer `0`, expected a nonzero u32"));
    assert!(
        parse("name = 'x'\nkind = 'hdf5'")
            .unwrap_err()
            .starts_with("unknown variant `hdf5`")
    );
    assert_eq!(parse("name = 'x'").unwrap_err(), "missing field `kind`");
}

#[test]
fn a_set_is_written_as_it_is_read() {
    for text in [
        "name = 'a'\nkind = 'pairs'\nlist = '*.png'\ncolumns.image = '{name}.png'\nrepeat = 50",
        "name = 'b'\nkind = 'shards'\nshards = '{0..3}.tar'\nextensions.jpg = 'thermal'",
        "name = 'c'\nkind = 'arrays'\nindex = 'a.csv'\nrows.audio = { file = 'a.npy' }\n\
         form.audio.rate_hz = 8000\nsplit = { by = 'share', held_out = 0.25 }",
        "name = 'd'\nkind = 'idx'\nimages = 'i'\nnames = ['zero']\ncache_mib = 3",
    ] {
        let config = parse(text).unwrap();
        assert_eq!(parse(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}

#[test]
fn a_set_without_samples_is_refused() {
    let dir = folder(&[("pairs.csv", b"audio,label\n".to_vec())]);
    let error = open(dir.path(), "kind = 'pairs'").unwrap_err();
    assert_eq!(error, "data set \"set\": it has no sample");
}

#[test]
fn a_cache_keeps_as_much_as_fits() {
    let sound = wav(8_000, &[1; 100_000]);
    let files: Vec<(String, Vec<u8>)> = (0..4)
        .map(|i| (format!("{i}.wav"), sound.clone()))
        .collect();
    let mut files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.clone()))
        .collect();
    files.push(("pairs.csv", b"audio\n0.wav\n1.wav\n2.wav\n3.wav\n".to_vec()));
    let dir = folder(&files);
    // A sound is 400 000 bytes, so two of them fit.
    let set = open(dir.path(), "kind = 'pairs'\ncache_mib = 1").unwrap();
    let load = |entry| set.load(entry, Modality::Audio);
    let raws: Vec<Raw> = (0..4).map(|entry| load(entry).unwrap()).collect();
    for entry in 0..4 {
        std::fs::remove_file(dir.path().join(format!("{entry}.wav"))).unwrap();
    }
    assert_eq!(load(0).unwrap(), raws[0]);
    assert_eq!(load(1).unwrap(), raws[1]);
    assert!(load(2).is_err() && load(3).is_err());
    assert_eq!((set.name(), set.entries().len()), ("set", 4));
}
