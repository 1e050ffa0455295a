//! Devices that are not there, or not what they are held to be: one clear line and exit status 2.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::process::Command;

/// What a command says that must fail with status 2 and print no result.
fn error(args: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_sensorium");
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?} printed results");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn thermal_arrays_that_are_not_there() {
    assert_eq!(
        error(&["run", "--thermal", "i2c:/dev/i2c-none:mlx90640"]),
        "sensorium: stream \"thermal\": cannot open the I2C bus \"/dev/i2c-none\": No such file or \
         directory (os error 2)\n"
    );
    assert_eq!(
        error(&["run", "--thermal", "i2c:/dev/null:amg8833@0x68"]),
        "sensorium: stream \"thermal\": \"/dev/null\" is no I2C bus\n"
    );
}

#[test]
fn thermal_arrays_that_are_none() {
    let said = error(&["run", "--thermal", "i2c:/dev/i2c-1:mlx90641"]);
    assert!(said.contains("did you mean \"mlx90640\"?"), "{said}");
    let said = error(&[
        "run",
        "--thermal",
        "i2c:/dev/i2c-1:mlx90640",
        "--frame-hz",
        "9",
    ]);
    assert!(
        said.contains("rate_hz is 9, expected 0.25, 0.5, 1, 2, 4, 8, 16 or 32"),
        "{said}"
    );
    let said = error(&["replay", "--thermal", "i2c:/dev/i2c-1:amg8833"]);
    assert!(
        said.contains("\"/dev/i2c-1\" is a device, expected a recording"),
        "{said}"
    );
}

#[test]
fn cameras_that_are_not_there() {
    assert_eq!(
        error(&["run", "--depth", "v4l2:/dev/video-none"]),
        "sensorium: stream \"depth\": cannot open the camera \"/dev/video-none\": No such file or \
         directory (os error 2)\n"
    );
    assert_eq!(
        error(&["run", "--thermal", "v4l2:/dev/null"]),
        "sensorium: stream \"thermal\": \"/dev/null\" is no video device\n"
    );
    let said = error(&["run", "--depth", "v4l2:"]);
    assert!(said.contains("expected v4l2:DEVICE"), "{said}");
}

#[test]
#[cfg(not(feature = "alsa"))]
fn microphones_without_the_feature() {
    let said = error(&["run", "--audio", "alsa:hw:1,0"]);
    assert!(
        said.contains("built without the feature `alsa`")
            && said.contains(
                "arecord -q -D hw:1,0 -t raw -f S16_LE -r 16000 | sensorium run --audio -"
            ),
        "{said}"
    );
}

#[test]
fn microphones_at_no_rate() {
    let said = error(&["run", "--audio", "alsa", "--rate-hz", "16"]);
    assert!(
        said.contains("rate_hz is 16, expected 1000 to 192000"),
        "{said}"
    );
}
