//! Streams that are named on the command line, without a configuration.

use std::env;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use sensorium_engine::config::{Config, SourceConfig, StreamConfig, check_frame_hz, check_retry_s};
use sensorium_engine::recording::{McapFile, is_mcap};
use sensorium_engine::source::pipe::Pixel;
use sensorium_pack::Modality;

use crate::address;

/// What to listen to: the streams of a configuration, or those that are named one by one.
#[derive(Debug, Clone, clap::Args)]
pub struct Listen {
    /// The configuration; see `docs/configuration.md`. Without it, what to listen to is said by the
    /// options below.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The port that a node of inertial samples is on; may be repeated.
    #[arg(long, value_name = "PORT", conflicts_with = "config")]
    serial: Vec<PathBuf>,
    /// Raw sound on stdin (-) or in a FIFO, a WAV, FLAC or Ogg file, or a microphone (alsa, or
    /// alsa:DEVICE; where built with the feature `alsa`); may be repeated.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    audio: Vec<PathBuf>,
    /// What a sample of raw sound is: u8, s16le, s24le, s32le or f32le; one channel.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "s16le",
        conflicts_with = "config"
    )]
    format: String,
    #[command(flatten)]
    cameras: Cameras,
    /// Speed of the port, in bits per second.
    #[arg(long, default_value_t = 921_600, conflicts_with = "config")]
    baud: u32,
    /// How long a port or FIFO that went away is waited for, in seconds; for ever by default.
    #[arg(long, value_name = "SECONDS", conflicts_with = "config")]
    retry_s: Option<f64>,
}

impl Listen {
    /// Whether nothing is said of what to listen to.
    pub fn is_empty(&self) -> bool {
        let Self {
            config,
            serial,
            audio,
            cameras,
            ..
        } = self;
        let paths = serial.iter().chain(audio).chain(&cameras.thermal);
        config.is_none() && paths.chain(&cameras.depth).next().is_none()
    }

    /// The configuration, or one of the streams that are named: raw sound of so many samples a
    /// second, and the only stream called `stream`.
    pub fn config(&self, rate_hz: Option<u32>, stream: Option<&str>) -> anyhow::Result<Config> {
        if let Some(path) = &self.config {
            ensure!(
                self.cameras.thermal.is_empty() && self.cameras.depth.is_empty(),
                "--thermal and --depth cannot be used with --config: name them in {path:?}"
            );
            return Ok(Config::open(path, env::vars_os())?);
        }
        let serial = self.serial.iter().map(|port| {
            let source = SourceConfig::Serial {
                port: port.clone(),
                baud: self.baud,
            };
            Ok(StreamConfig::new(Modality::Imu.to_string(), None, source))
        });
        let audio = self.audio.iter().map(|path| self.sound(path, rate_hz));
        let mut streams = serial.chain(audio).collect::<anyhow::Result<Vec<_>>>()?;
        streams.extend(self.cameras.streams(Some(1.0))?);
        check_retry_s(self.retry_s)?;
        for stream in &mut streams {
            stream.retry_s = self.retry_s;
        }
        ensure!(
            !streams.is_empty(),
            "nothing to listen to: give --serial PORT, --audio PATH, --thermal PATH, --depth PATH or \
             --config FILE"
        );
        let config = Config::new(named(streams, stream)?);
        Ok(config.with_variables(env::vars_os())?)
    }

    /// Sound: raw where it comes from a pipe; a file is played as fast as it was.
    fn sound(&self, path: &Path, rate_hz: Option<u32>) -> anyhow::Result<StreamConfig> {
        if let Some(device) = address::microphone(path, rate_hz)? {
            return Ok(StreamConfig::new(Modality::Audio.to_string(), None, device));
        }
        if !is_pipe(path) {
            let source = SourceConfig::Sound {
                path: path.to_owned(),
                speed: Some(1.0),
            };
            return Ok(StreamConfig::new(Modality::Audio.to_string(), None, source));
        }
        let rate_hz = rate_hz.with_context(|| {
            format!("--audio {path:?}: how many samples a second? Say it as --rate-hz 16000")
        })?;
        let source = SourceConfig::Pcm {
            path: path.to_owned(),
            rate_hz,
            format: self.format.clone(),
            channels: 1,
        };
        let stream = StreamConfig::new(Modality::Audio.to_string(), None, source);
        stream.source.pcm(&stream.name)?;
        Ok(stream)
    }
}

/// Frames of cameras, as folders, arrays, or raw in a FIFO.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Cameras {
    /// Thermal frames: a folder of 16-bit PNG or PGM, an array .npy [t, h, w], a FIFO of raw
    /// frames, a sensor on a bus (i2c:/dev/i2c-1:mlx90640), or a camera of Y16 pixels in hundredths of a
    /// kelvin (v4l2:/dev/video0); may be repeated.
    #[arg(long, value_name = "PATH")]
    pub thermal: Vec<PathBuf>,
    /// Depth frames in millimetres, as --thermal, or a camera of Z16 pixels (v4l2:/dev/video2).
    #[arg(long, value_name = "PATH")]
    pub depth: Vec<PathBuf>,
    /// Frames a second of --thermal and --depth; of a device, its own by default.
    #[arg(long, value_name = "HZ")]
    pub frame_hz: Option<f32>,
    /// Size of raw frames, such as 160x120; 16 bits a pixel, little-endian. Of a v4l2 camera, as it is
    /// set by default.
    #[arg(long, value_name = "WxH")]
    pub frame_size: Option<FrameSize>,
}

/// Size of raw frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSize {
    width: usize,
    height: usize,
}

impl FrameSize {
    /// Width and height, as devices have them.
    fn words(self) -> Option<(u32, u32)> {
        Some((self.width.try_into().ok()?, self.height.try_into().ok()?))
    }
}

impl FromStr for FrameSize {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parsed = text.split_once('x').and_then(|(width, height)| {
            let (width, height) = (width.parse().ok()?, height.parse().ok()?);
            Some(Self { width, height })
        });
        parsed.context("expected WIDTHxHEIGHT, such as 160x120")
    }
}

impl Cameras {
    /// Their streams, called by their sense.
    pub fn streams(&self, speed: Option<f64>) -> anyhow::Result<Vec<StreamConfig>> {
        let senses = [
            (Modality::Thermal, &self.thermal),
            (Modality::Depth, &self.depth),
        ];
        let mut streams = Vec::new();
        for (modality, paths) in senses {
            for path in paths {
                let source = self.source(modality, path, speed)?;
                streams.push(StreamConfig::new(
                    modality.to_string(),
                    Some(modality),
                    source,
                ));
            }
        }
        Ok(streams)
    }

    fn source(
        &self,
        modality: Modality,
        path: &Path,
        speed: Option<f64>,
    ) -> anyhow::Result<SourceConfig> {
        let size = self.frame_size.and_then(FrameSize::words);
        if let Some(device) = address::camera(modality, path, self.frame_hz, size)? {
            return Ok(device);
        }
        let rate_hz = self.frame_hz.with_context(|| {
            format!("--{modality} {path:?}: how many frames a second? Say it as --frame-hz 9")
        })?;
        check_frame_hz(rate_hz)?;
        let path = path.to_owned();
        if !is_pipe(&path) {
            return Ok(SourceConfig::Frames {
                path,
                rate_hz,
                speed,
            });
        }
        let size = self.frame_size.with_context(|| {
            format!("--{modality} {path:?}: how large is a frame? Say it as --frame-size 160x120")
        })?;
        Ok(SourceConfig::RawFrames {
            path,
            rate_hz,
            width: size.width,
            height: size.height,
            pixel: Pixel::U16,
        })
    }
}

/// Whether samples come raw and one after the other: from stdin, a FIFO or a device.
pub fn is_pipe(path: &Path) -> bool {
    let is_special = |kind: std::fs::FileType| kind.is_fifo() || kind.is_char_device();
    path.as_os_str() == "-"
        || path
            .metadata()
            .is_ok_and(|meta| is_special(meta.file_type()))
}

/// Recordings by what they are: each stream of an MCAP file, or the one that is asked for; inertial
/// samples in CSV, sound else.
pub fn recordings(
    path: &Path,
    (rate_hz, units): (Option<f32>, Option<String>),
    speed: Option<f64>,
    stream: Option<&str>,
) -> anyhow::Result<Vec<StreamConfig>> {
    if !is_mcap(path) {
        return Ok(vec![recording(path, (rate_hz, units), speed)?]);
    }
    ensure!(
        rate_hz.is_none() && units.is_none(),
        "--rate-hz and --units are for files that do not say; {path:?} says its own"
    );
    let of_file = || -> anyhow::Result<_> {
        let file = McapFile::open(path)?;
        Ok(match stream {
            Some(name) => vec![file.stream(Some(name))?.clone()],
            None => file.streams,
        })
    };
    let streams = of_file().with_context(|| format!("{path:?}"))?.into_iter();
    let config = streams.map(|stream| {
        let source = SourceConfig::Mcap {
            path: path.to_owned(),
            stream: Some(stream.name.clone()),
            speed,
        };
        StreamConfig::new(stream.name, Some(stream.modality), source)
    });
    Ok(config.collect())
}

fn recording(
    path: &Path,
    (rate_hz, units): (Option<f32>, Option<String>),
    speed: Option<f64>,
) -> anyhow::Result<StreamConfig> {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let path = path.to_owned();
    let source = match extension.to_str() {
        Some("wav" | "flac" | "ogg" | "oga") => SourceConfig::Sound { path, speed },
        Some("npy" | "npz" | "png" | "pgm") => {
            bail!("{path:?} holds frames; say of what: --thermal {path:?} or --depth {path:?}")
        }
        _ if path.is_dir() => {
            bail!(
                "{path:?} is a folder of frames; say of what: --thermal {path:?} or --depth {path:?}"
            )
        }
        _ => SourceConfig::Csv {
            path,
            rate_hz,
            units,
            speed,
        },
    };
    let name = match source {
        SourceConfig::Sound { .. } => Modality::Audio,
        _ => Modality::Imu,
    };
    Ok(StreamConfig::new(name.to_string(), None, source))
}

/// Gives streams of one name numbers, or the only one the name that was asked for.
pub fn named(
    mut streams: Vec<StreamConfig>,
    name: Option<&str>,
) -> anyhow::Result<Vec<StreamConfig>> {
    if let Some(name) = name {
        ensure!(
            streams.len() == 1,
            "--stream {name:?} names one stream, and there are {}; a configuration names several",
            streams.len()
        );
        name.clone_into(&mut streams[0].name);
    }
    for at in 0..streams.len() {
        let name = streams[at].name.clone();
        let before = streams[..at].iter();
        let of_sense = |stream: &&StreamConfig| {
            stream.name == name || stream.name.starts_with(&format!("{name}-"))
        };
        match before.filter(of_sense).count() {
            0 => {}
            count => streams[at].name = format!("{name}-{}", count + 1),
        }
    }
    Ok(streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_sense_are_numbered() {
        let paths = ["a.wav", "b.csv", "c.FLAC"];
        let streams = paths.map(|path| recording(path.as_ref(), (None, None), None).unwrap());
        let named = named(streams.to_vec(), None).unwrap();
        let names: Vec<&str> = named.iter().map(|stream| &*stream.name).collect();
        assert_eq!(names, ["audio", "imu", "audio-2"]);
        let error = super::named(named, Some("x")).unwrap_err().to_string();
        assert!(error.contains("there are 3"), "{error}");
    }

    #[test]
    fn frames_need_a_rate_and_raw_ones_a_size() {
        let mut cameras = Cameras {
            thermal: vec!["-".into()],
            ..Cameras::default()
        };
        let error = |cameras: &Cameras| cameras.streams(None).unwrap_err().to_string();
        assert!(error(&cameras).ends_with("Say it as --frame-hz 9"));
        cameras.frame_hz = Some(9.0);
        assert!(error(&cameras).ends_with("Say it as --frame-size 160x120"));
        cameras.frame_size = Some("32x24".parse().unwrap());
        let streams = cameras.streams(None).unwrap();
        assert_eq!(streams[0].source.kind(), "raw-frames");
        assert!("32".parse::<FrameSize>().is_err() && "ax2".parse::<FrameSize>().is_err());
    }
}
