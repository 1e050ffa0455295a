use super::*;

use std::fs;

use sensorium_pack::Modality;

const MAIN: &str = r#"
pack = "main.pack"
cores = 2.0

[[stream]]
name = "wrist"
source = { kind = "serial", port = "/dev/ttyACM0" }
hop_s = 0.5

[events]
enter = 0.5
exit = 0.3
"#;

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// A folder with a main file and files of `conf.d`.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("robot.toml");
    fs::write(&main, MAIN).unwrap();
    fs::create_dir(folder.path().join(FOLDER)).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(FOLDER).join(name), text).unwrap();
    }
    (folder, main)
}

/// What is wrong with them, causes and all, without the folder's name.
fn error(files: &[(&str, &str)], pairs: &[(&str, &str)]) -> String {
    let (folder, main) = folder(files);
    let error = Config::open(&main, variables(pairs)).unwrap_err();
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        message += &format!(": {error}");
        cause = error.source();
    }
    message.replace(folder.path().to_str().unwrap(), "DIR")
}

#[test]
fn what_comes_later_counts() {
    let (_folder, main) = folder(&[
        ("20-site.toml", "cores = 0.5\n[events]\nenter = 0.9\n"),
        (
            "10-mic.toml",
            "cores = 1.5\n[[stream]]\nname = 'wrist'\npriority = 2.0\n[[stream]]\nname = 'mic'\n\
             source = { kind = 'pcm', path = '-', rate_hz = 16000 }\n",
        ),
        ("notes.txt", "no TOML at all"),
        (".20-site.toml.swp.toml", "nor this"),
    ]);
    let config = Config::open(&main, []).unwrap();
    assert_eq!(config.cores, Some(0.5));
    assert_eq!(config.pack.unwrap(), Path::new("main.pack"));
    assert_eq!(
        (config.events.enter, config.events.exit),
        (Some(0.9), Some(0.3))
    );
    let [wrist, mic] = &config.streams[..] else {
        panic!("{:?}", config.streams);
    };
    assert_eq!(wrist.source.path(), Path::new("/dev/ttyACM0"));
    assert_eq!((wrist.hop_s, wrist.priority), (Some(0.5), Some(2.0)));
    assert_eq!(mic.modality().unwrap(), Modality::Audio);

    let over = variables(&[
        ("SENSORIUM_CORES", "3"),
        ("SENSORIUM_PACK", "2024"),
        ("SENSORIUM_CLOCK", "sample"),
        ("SENSORIUM_EVENTS_MEDIAN_WINDOWS", "5"),
        ("SENSORIUM_HTTP", ""),
        ("SENSORIUM_TARGET_DIR", "/tmp"),
        ("CORES", "9"),
    ]);
    let config = Config::open(&main, over.clone()).unwrap();
    assert_eq!(config.cores, Some(3.0));
    assert_eq!(config.pack.as_deref(), Some(Path::new("2024")));
    assert_eq!(config.clock, Some(crate::stream::ClockMode::Sample));
    assert_eq!(
        (config.events.median_windows, config.events.enter),
        (Some(5), Some(0.9))
    );
    assert_eq!(config.http, None);
    let without_files = Config::new(Vec::new()).with_variables(over).unwrap();
    assert_eq!(without_files.cores, Some(3.0));
}

#[test]
fn without_a_folder_a_file_is_all() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("robot.toml");
    fs::write(&main, MAIN).unwrap();
    assert_eq!(
        Config::open(&main, []).unwrap(),
        Config::parse(MAIN).unwrap()
    );
}

#[test]
fn errors_say_where() {
    assert_eq!(
        error(&[("10.toml", "\ncore = 1.0\n")], &[]),
        "configuration \"DIR/conf.d/10.toml\": line 2: unknown key \"core\", did you mean \"cores\"?"
    );
    assert_eq!(
        error(&[("10.toml", "cores = 0.0\n")], &[]),
        "configuration \"DIR/conf.d/10.toml\": cores is 0, expected 0.01 to 1024"
    );
    assert_eq!(
        error(
            &[("10.toml", "[[stream]]\nname = 'wirst'\nhop_s = 1.0\n")],
            &[]
        ),
        "configuration \"DIR/robot.toml\": stream \"wirst\" has no source"
    );
    let twice = "[[stream]]\nname = 'a'\n".repeat(2);
    assert_eq!(
        error(&[("10.toml", &twice)], &[]),
        "configuration \"DIR/conf.d/10.toml\": stream \"a\" comes twice"
    );
    assert_eq!(
        error(&[], &[("SENSORIUM_CORSE", "1")]),
        "SENSORIUM_CORSE in the environment: unknown key \"corse\", did you mean \"cores\"?"
    );
    assert_eq!(
        error(&[], &[("SENSORIUM_EVENTS_ENTRE", "1")]),
        "SENSORIUM_EVENTS_ENTRE in the environment: unknown key \"entre\", did you mean \"enter\"?"
    );
    assert_eq!(
        error(&[], &[("SENSORIUM_CORES", "-1")]),
        "SENSORIUM_CORES in the environment: cores is -1, expected 0.01 to 1024"
    );
    let message = error(&[], &[("SENSORIUM_CORES", "many")]);
    assert!(
        message.starts_with("SENSORIUM_CORES in the environment: invalid type: string \"many\""),
        "{message}"
    );
}
