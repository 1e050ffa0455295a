use std::path::Path;

use super::*;

const STREAM: &str = r#"
[[stream]]
name = "wrist"
source = { kind = "serial", port = "/dev/ttyACM0" }
"#;

fn error(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
}

#[test]
fn the_documented_file_is_understood() {
    let example: String = include_str!("../config.rs")
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!").trim_start().to_owned() + "\n")
        .collect();
    let config = Config::parse(&example).unwrap();
    assert_eq!(config.streams.len(), 10);
    assert_eq!(config.clock, Some(ClockMode::Host));
    let scoring = Scoring {
        temperature: 0.1,
        enter: 0.6,
        exit: 0.4,
    };
    assert_eq!(config.events.policy(scoring), EventPolicy::default());
    assert!(
        config.streams[1]
            .source
            .units("recorded")
            .unwrap()
            .is_some()
    );
}

#[test]
fn the_pack_says_what_the_file_does_not() {
    let config = Config::parse(STREAM).unwrap();
    let scoring = Scoring {
        temperature: 0.1,
        enter: 0.6,
        exit: 0.4,
    };
    let policy = config.events.policy(scoring);
    assert_eq!((policy.enter, policy.exit), (0.6, 0.4));
    assert_eq!(config.streams[0].hop_s, None);
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    let message = error(&format!("{STREAM}\n[events]\nmin_duration = 1\n"));
    assert!(
        message.starts_with("line 7: unknown key \"min_duration\""),
        "{message}"
    );
    assert!(
        message.ends_with("did you mean \"min_duration_s\"?"),
        "{message}"
    );
    let message = error("[[stream]]\nname = 'a'\nsource = { kind = 'seriel', port = 'x' }\n");
    assert!(message.ends_with("did you mean \"serial\"?"), "{message}");
    let message = error("[[stream]]\nname = 'a'\nsource = { kind = 'serial', prot = 'x' }\n");
    assert!(message.ends_with("did you mean \"port\"?"), "{message}");
}

#[test]
fn what_cannot_be_is_refused() {
    assert_eq!(error(""), "it holds no [[stream]]");
    assert_eq!(
        error(&format!("{STREAM}{STREAM}")),
        "stream \"wrist\" comes twice"
    );
    assert_eq!(
        error(&STREAM.replace("name =", "modality = 'audio'\nname =")),
        "stream \"wrist\": modality is audio, expected imu of a source of kind \"serial\""
    );
    assert_eq!(
        error(&STREAM.replace("name =", "hop_s = 0\nname =")),
        "hop_s is 0, expected 0.02 to 60"
    );
    assert_eq!(
        error(&format!("{STREAM}[events]\nenter = 1.5\n")),
        "enter is 1.5, expected 0 to 1"
    );
    let csv = "[[stream]]\nname = 'a'\nsource = { kind = 'csv', path = 'x', ";
    assert_eq!(
        error(&format!("{csv}rate_hz = 5 }}")),
        "rate_hz is 5, expected 25 to 400"
    );
    assert_eq!(
        error(&format!("{csv}speed = 0 }}")),
        "speed is 0, expected 0.001 to 1000000"
    );
    let frames = "[[stream]]\nname = 'a'\nsource = { kind = 'frames', path = 'x', rate_hz = ";
    assert_eq!(
        error(&format!("{frames}9.0 }}")),
        "stream \"a\": a source of kind \"frames\" needs modality = \"thermal\" or \"depth\""
    );
    let depth = frames.replace("source", "modality = 'depth'\nsource");
    assert_eq!(
        error(&format!("{depth}0.0 }}")),
        "rate_hz is 0, expected 0.01 to 1000"
    );
    let raw = depth.replace("'frames'", "'raw-frames', width = 0, height = 4");
    assert_eq!(
        error(&format!("{raw}9.0 }}")),
        "width x height is 0, expected 1 to 16777216 pixels"
    );
    let pcm = "[[stream]]\nname = 'a'\nsource = { kind = 'pcm', path = '-', rate_hz = ";
    assert_eq!(
        error(&format!("{pcm}16 }}")),
        "rate_hz is 16, expected 1000 to 192000"
    );
    assert_eq!(
        error(&format!("{pcm}16000, format = 'mp3' }}")),
        "stream \"a\": format"
    );
    assert_eq!(
        error(&format!("{csv}units = 'stone' }}")),
        "stream \"a\": units is \"stone\", expected such as \"g,rad/s\""
    );
}

#[test]
fn thermal_arrays_are_what_their_sensors_can() {
    let i2c = |rest: &str| {
        let source = format!("kind = 'i2c', bus = '/dev/i2c-1', {rest}");
        let text = format!("[[stream]]\nname = 'a'\nsource = {{ {source} }}\n");
        Config::parse(&text).map(|config| config.streams[0].modality().unwrap())
    };
    assert_eq!(i2c("sensor = 'amg8833'").unwrap(), Modality::Thermal);
    assert!(i2c("sensor = 'mlx90640', address = 0x34, rate_hz = 0.5, emissivity = 1").is_ok());
    let error = |rest| i2c(rest).unwrap_err().to_string();
    assert_eq!(
        error("sensor = 'amg8833', rate_hz = 9"),
        "rate_hz is 9, expected 1 or 10"
    );
    assert_eq!(
        error("sensor = 'mlx90640', rate_hz = 10"),
        "rate_hz is 10, expected 0.25, 0.5, 1, 2, 4, 8, 16 or 32"
    );
    assert_eq!(
        error("sensor = 'mlx90640', address = 3"),
        "address is 3, expected 8 to 119 (0x77)"
    );
    assert_eq!(
        error("sensor = 'mlx90640', emissivity = 0"),
        "emissivity is 0, expected 0.05 to 1"
    );
    assert!(error("sensor = 'amg8833', emissivity = 0.9").contains("of an mlx90640 only"));
    assert!(error("sensor = 'mlx90641'").ends_with("did you mean \"mlx90640\"?"));
    assert!(error("sensor = 'amg8833', adress = 3").ends_with("did you mean \"address\"?"));
}

#[test]
fn cameras_are_of_a_sense() {
    let v4l2 = |modality: &str, rest: &str| {
        let source = format!("kind = 'v4l2', device = '/dev/video0'{rest}");
        let text = format!("[[stream]]\nname = 'a'\n{modality}\nsource = {{ {source} }}\n");
        Config::parse(&text).map_err(|error| error.to_string())
    };
    let (thermal, depth) = ("modality = 'thermal'", "modality = 'depth'");
    assert!(v4l2(thermal, ", width = 160, height = 120, rate_hz = 9").is_ok());
    assert!(v4l2(depth, ", scale = 0.00025").is_ok());
    let error = |modality, rest| v4l2(modality, rest).unwrap_err();
    assert_eq!(
        error("", ""),
        "stream \"a\": a source of kind \"v4l2\" needs modality = \"thermal\" or \"depth\""
    );
    assert_eq!(
        error(depth, ", offset = 1"),
        "offset is 1, expected none: no distance is where nothing is counted"
    );
    assert_eq!(
        error(thermal, ", scale = 0"),
        "scale is 0, expected 0.000001 to 1000"
    );
    assert_eq!(
        error(thermal, ", width = 160"),
        "width is 160, expected height, too"
    );
    assert_eq!(
        error(thermal, ", rate_hz = 0"),
        "rate_hz is 0, expected 0.01 to 1000"
    );
}

#[test]
fn microphones_have_a_rate() {
    let alsa = |rest: &str| {
        let text = format!("[[stream]]\nname = 'a'\nsource = {{ kind = 'alsa'{rest} }}\n");
        Config::parse(&text).map_err(|error| error.to_string())
    };
    let config = alsa("").unwrap();
    assert_eq!(config.streams[0].modality().unwrap(), Modality::Audio);
    assert_eq!(config.streams[0].source.path(), Path::new("default"));
    assert_eq!(
        alsa(", rate_hz = 16").unwrap_err(),
        "rate_hz is 16, expected 1000 to 192000"
    );
}
