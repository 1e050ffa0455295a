//! Devices as the command line names them: `i2c:/dev/i2c-1:mlx90640`, `v4l2:/dev/video0`, `alsa`.

use std::path::Path;

use anyhow::{Context, ensure};
use sensorium_engine::config::{AlsaConfig, I2cConfig, SourceConfig, V4l2Config};
use sensorium_engine::keys::hint;
use sensorium_engine::source::i2c::Kind;
use sensorium_pack::Modality;

/// What an I2C sensor is named by.
const I2C: &str = "i2c:BUS:SENSOR or i2c:BUS:SENSOR@ADDRESS, such as i2c:/dev/i2c-1:mlx90640@0x33";

/// The microphone that an address names; none if it is the path of something else.
pub fn microphone(address: &Path, rate_hz: Option<u32>) -> anyhow::Result<Option<SourceConfig>> {
    let device = match address.to_str() {
        Some("alsa") => "default",
        Some(text) => match text.strip_prefix("alsa:") {
            Some(device) => device,
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    ensure!(
        !device.is_empty(),
        "--audio {address:?}: expected alsa, or alsa:DEVICE as `arecord -L` lists them"
    );
    let config = AlsaConfig {
        device: device.to_owned(),
        rate_hz,
    };
    config.microphone()?;
    Ok(Some(SourceConfig::Alsa(config)))
}

/// The camera that an address names; none if it is the path of something else.
pub fn camera(
    modality: Modality,
    address: &Path,
    rate_hz: Option<f32>,
    size: Option<(u32, u32)>,
) -> anyhow::Result<Option<SourceConfig>> {
    let Some((kind, rest)) = address.to_str().and_then(|text| text.split_once(':')) else {
        return Ok(None);
    };
    let config = match kind {
        "i2c" => i2c(modality, rest, rate_hz).map(SourceConfig::I2c),
        "v4l2" => v4l2(modality, rest, rate_hz, size).map(SourceConfig::V4l2),
        _ => return Ok(None),
    };
    config
        .map(Some)
        .with_context(|| format!("--{modality} {address:?}"))
}

fn i2c(modality: Modality, rest: &str, rate_hz: Option<f32>) -> anyhow::Result<I2cConfig> {
    let (bus, sensor) = rest
        .rsplit_once(':')
        .with_context(|| format!("expected {I2C}"))?;
    let (sensor, address) = match sensor.split_once('@') {
        Some((sensor, address)) => (sensor, Some(number(address)?)),
        None => (sensor, None),
    };
    let kind = Kind::named(sensor).with_context(|| {
        let known = Kind::ALL.map(Kind::name);
        let hint = hint(sensor, known.into_iter());
        format!(
            "sensor {sensor:?} is not known, expected {}{hint}",
            known.join(" or ")
        )
    })?;
    ensure!(
        modality == Modality::Thermal,
        "{sensor} is a thermal sensor: give it as --thermal"
    );
    let config = I2cConfig {
        bus: bus.into(),
        sensor: kind,
        address,
        rate_hz,
        emissivity: None,
    };
    config.array()?;
    Ok(config)
}

fn v4l2(
    modality: Modality,
    device: &str,
    rate_hz: Option<f32>,
    size: Option<(u32, u32)>,
) -> anyhow::Result<V4l2Config> {
    ensure!(
        !device.is_empty(),
        "expected v4l2:DEVICE, such as v4l2:/dev/video0"
    );
    let config = V4l2Config {
        rate_hz,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        ..V4l2Config::new(device.into())
    };
    config.video(modality)?;
    Ok(config)
}

/// A number of 8 bits, as `51` or `0x33`.
fn number(text: &str) -> anyhow::Result<u8> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("address {text:?}, expected such as 0x33"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(modality: Modality, address: &str) -> Result<Option<SourceConfig>, String> {
        camera(modality, address.as_ref(), None, Some((160, 120)))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_sensor_on_a_bus() {
        let config = named(Modality::Thermal, "i2c:/dev/i2c-1:mlx90640@0x34").unwrap();
        let Some(SourceConfig::I2c(config)) = config else {
            panic!("{config:?}");
        };
        assert_eq!(config.bus, Path::new("/dev/i2c-1"));
        assert_eq!(
            (config.sensor, config.address),
            (Kind::Mlx90640, Some(0x34))
        );
        assert_eq!(named(Modality::Thermal, "frames/"), Ok(None));
        assert_eq!(named(Modality::Thermal, "C:/frames"), Ok(None));
    }

    #[test]
    fn a_microphone() {
        let named = |address: &str| microphone(address.as_ref(), Some(8000));
        for (address, device) in [("alsa", "default"), ("alsa:hw:1,0", "hw:1,0")] {
            let Ok(Some(SourceConfig::Alsa(config))) = named(address) else {
                panic!("{address}");
            };
            assert_eq!((&*config.device, config.rate_hz), (device, Some(8000)));
        }
        assert_eq!(named("alsa.wav").unwrap(), None);
        assert!(named("alsa:").is_err());
    }

    #[test]
    fn a_camera() {
        let config = named(Modality::Depth, "v4l2:/dev/video2").unwrap();
        let Some(SourceConfig::V4l2(config)) = config else {
            panic!("{config:?}");
        };
        assert_eq!(config.device, Path::new("/dev/video2"));
        assert_eq!((config.width, config.height), (Some(160), Some(120)));
        let error = named(Modality::Thermal, "v4l2:").unwrap_err();
        assert!(error.ends_with("expected v4l2:DEVICE, such as v4l2:/dev/video0"));
    }

    #[test]
    fn what_names_no_sensor_is_told() {
        let error = |modality, address| named(modality, address).unwrap_err();
        assert_eq!(
            error(Modality::Thermal, "i2c:/dev/i2c-1"),
            "--thermal \"i2c:/dev/i2c-1\": expected i2c:BUS:SENSOR or i2c:BUS:SENSOR@ADDRESS, such as \
             i2c:/dev/i2c-1:mlx90640@0x33"
        );
        assert!(
            error(Modality::Thermal, "i2c:/dev/i2c-1:mlx9064")
                .ends_with("expected amg8833 or mlx90640, did you mean \"mlx90640\"?")
        );
        assert!(
            error(Modality::Thermal, "i2c:/dev/i2c-1:amg8833@99x")
                .contains("address \"99x\", expected such as 0x33")
        );
        assert!(
            error(Modality::Thermal, "i2c:/dev/i2c-1:amg8833@0x80").contains("expected 8 to 119")
        );
        assert!(error(Modality::Depth, "i2c:/dev/i2c-1:amg8833").ends_with("give it as --thermal"));
    }
}
