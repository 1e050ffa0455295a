//! Streams of a configuration, opened.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use sensorium_engine::budget::{Budget, Demand};
use sensorium_engine::config::{EventsConfig, SourceConfig, StreamConfig};
use sensorium_engine::encode::Encoder;
use sensorium_engine::event::rounded;
use sensorium_engine::pipeline::Line;
use sensorium_engine::recording::{McapFile, McapReplay};
use sensorium_engine::source::camera::{Frames, Opener};
use sensorium_engine::source::csv::Recording;
use sensorium_engine::source::pipe::{Format, Pipe};
use sensorium_engine::source::replay::Replay;
use sensorium_engine::source::retry::Retry;
use sensorium_engine::source::serial::Serial;
use sensorium_engine::source::{Frame, Source, unit};
use sensorium_engine::stream::{ClockMode, Settings, Stream};
use sensorium_media::{NumberArray, Sound, clip};
use sensorium_pack::Modality;
use serde::Serialize;

use crate::listen::rate_mhz;
use crate::sense::{Recognition, Senses};

/// Longest from one single picture to the next that is looked at, in seconds, where cores are short.
const LONGEST_STILL_S: f32 = 2.0;

/// How streams are run.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// When a score makes an event.
    pub events: &'a EventsConfig,
    /// What the times of live events mean.
    pub clock: ClockMode,
    /// What live streams share.
    pub budget: Option<&'a Arc<Budget>>,
}

/// What a stream is, for whoever asks.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// Its name.
    pub stream: String,
    /// The sense.
    pub modality: Modality,
    /// In what it is measured.
    pub unit: String,
    /// Samples or frames a second, where that is known before the first.
    pub rate_hz: Option<f64>,
    /// Where the sensor is mounted.
    pub frame_id: String,
    /// The pack that it is recognised with.
    pub pack: String,
    /// Length of a window, in seconds; none if it is one frame.
    pub window_s: Option<f64>,
    /// From one window to the next, in seconds.
    pub hop_s: f64,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stream, self.modality)?;
        if let Some(rate_hz) = self.rate_hz {
            write!(f, ", {rate_hz} Hz")?;
        }
        write!(f, " in {}; windows of ", self.unit)?;
        match self.window_s {
            Some(window_s) => write!(f, "{window_s} s")?,
            None => f.write_str("one frame")?,
        }
        write!(f, " every {} s; frame {:?}", self.hop_s, self.frame_id)
    }
}

/// A stream, ready to run.
#[derive(Debug)]
pub struct Opened {
    /// The stream and its source.
    pub line: Line,
    /// What it is.
    pub about: About,
    /// What it is recognised with.
    pub recognition: Recognition,
    /// The same in other spaces.
    pub others: Vec<(About, Recognition)>,
}

/// Opens a stream: its source, its encoder and its classes.
pub fn open(
    stream: &StreamConfig,
    how: How<'_>,
    senses: &mut Senses<'_>,
) -> anyhow::Result<Opened> {
    let How {
        events,
        clock,
        budget,
    } = how;
    let name = &stream.name;
    let mut open = || -> anyhow::Result<Opened> {
        let (pack, space) = (stream.pack.as_deref(), stream.space.as_deref());
        let mut all = senses.load_all(stream.modality()?, pack, space)?;
        if let Some(window_s) = stream.window_s {
            for recognition in &mut all {
                recognition.sense = recognition.sense.clone().with_window_s(window_s)?;
            }
        }
        let mut others = all.split_off(1);
        let recognition = all.swap_remove(0);
        let sense = &recognition.sense;
        let hop_s = stream.hop_s.unwrap_or_else(|| sense.default_hop_s());
        let (source, rate_mhz, mounted) = open_source(stream, Some(sense.encoder()))?;
        if let Some(rate_mhz) = rate_mhz {
            // So that what does not fit is told before anything is heard.
            sense.shape(rate_mhz, hop_s)?;
        }
        let about = About {
            stream: name.clone(),
            modality: sense.modality(),
            unit: source
                .unit()
                .unwrap_or_else(|| unit(sense.modality()).to_owned()),
            rate_hz: rate_mhz.map(|mhz| f64::from(mhz) / 1e3),
            frame_id: mounted,
            pack: recognition.pack_id.clone(),
            window_s: sense.window_s().map(rounded),
            hop_s: rounded(hop_s),
        };
        say!("{about}");
        let settings = Settings {
            name: name.clone(),
            hop_s,
            policy: events.policy(sense.encoder().scoring()),
            // A recording has no other time than its samples', unless it tells when they came.
            clock: if source.is_recording() && !source.tells_arrivals() {
                ClockMode::Sample
            } else {
                clock
            },
        };
        senses.warn_if_stale(&recognition, &settings);
        let is_live = !source.is_recording() && settings.clock == ClockMode::Host;
        let demand = Demand {
            hop_s: f64::from(hop_s),
            longest_hop_s: f64::from(sense.window_s().unwrap_or(LONGEST_STILL_S)),
            priority: stream.priority.unwrap_or(1.0),
        };
        let mut line = line(source, settings.clone(), &recognition);
        let others = others.drain(..).map(|other| {
            let (about, stream) = beside(&about, &settings, events, &other);
            line.others.push(stream);
            (about, other)
        });
        let others = others.collect();
        // A recording is not to say less where there is less time: it waits.
        if let (Some(budget), true) = (budget, is_live) {
            line.stream = line.stream.with_share(budget.share(demand));
            let share = |other: Stream| other.with_share(budget.share(demand));
            line.others = line.others.into_iter().map(share).collect();
        }
        Ok(Opened {
            line,
            about,
            recognition,
            others,
        })
    };
    open().with_context(|| format!("stream {name:?}"))
}

/// The same samples, recognised in another space: a stream that is called after both.
fn beside(
    about: &About,
    settings: &Settings,
    events: &EventsConfig,
    other: &Recognition,
) -> (About, Stream) {
    let sense = &other.sense;
    let about = About {
        stream: format!("{}/{}", about.stream, other.space.name()),
        window_s: sense.window_s().map(rounded),
        ..about.clone()
    };
    say!("{about}");
    let settings = Settings {
        name: about.stream.clone(),
        policy: events.policy(sense.encoder().scoring()),
        ..settings.clone()
    };
    let (sense, slot) = (sense.clone(), Arc::clone(&other.slot));
    let stream = Stream::new(settings, sense, slot, other.pack_id.clone());
    (about, stream)
}

/// A stream of a source, recognised so.
pub fn line(source: Box<dyn Source>, settings: Settings, recognition: &Recognition) -> Line {
    let Recognition {
        pack_id,
        sense,
        slot,
        ..
    } = recognition.clone();
    Line {
        source,
        clock: settings.clock,
        stream: Stream::new(settings, sense, slot, pack_id),
        others: Vec::new(),
    }
}

/// A source, its rate in millihertz where that is known before the first sample, and where the sensor
/// is mounted. Frames must be such as `encoder` takes.
pub fn open_source(
    stream: &StreamConfig,
    encoder: Option<&Encoder>,
) -> anyhow::Result<(Box<dyn Source>, Option<u32>, String)> {
    let StreamConfig {
        name,
        source: config,
        ..
    } = stream;
    let retry = stream.retry();
    let mut mounted = stream.frame_id.as_ref().unwrap_or(name).clone();
    let check_frames = |frames: &NumberArray, path: &Path| match encoder {
        Some(encoder) => encoder
            .check_frames(frames)
            .with_context(|| format!("{path:?}")),
        None => Ok(()),
    };
    let (source, rate_mhz): (Box<dyn Source>, _) = match config {
        SourceConfig::Serial { port, baud } => {
            let serial = Serial::open(port, *baud)?.with_retry(retry);
            (Box::new(serial), None)
        }
        SourceConfig::Csv {
            path,
            rate_hz,
            speed,
            ..
        } => {
            let recording = Recording::open(path, config.units(name)?)?;
            let rate_mhz = rate_mhz(&recording, *rate_hz).with_context(|| format!("{path:?}"))?;
            let replay = Replay::new(recording, rate_mhz, *speed);
            (Box::new(replay), Some(rate_mhz))
        }
        SourceConfig::Sound { path, speed } => {
            let sound = Sound::open(path)?;
            let replay = Replay::of_sound(&sound, *speed);
            (Box::new(replay), Some(sound.rate_hz.saturating_mul(1000)))
        }
        SourceConfig::Pcm { path, rate_hz, .. } => {
            let pcm = config.pcm(name)?.context("raw sound")?;
            let rate_mhz = rate_hz.saturating_mul(1000);
            let pipe = Pipe::open(path, Format::Sound(pcm), rate_mhz)?.with_retry(retry);
            (Box::new(pipe), Some(rate_mhz))
        }
        SourceConfig::Frames {
            path,
            rate_hz,
            speed,
        } => {
            let rate_mhz = frame_mhz(*rate_hz);
            let frames = clip::open(path)?;
            check_frames(&frames, path)?;
            let replay = Replay::of_frames(frames, rate_mhz, *speed);
            (Box::new(replay), Some(rate_mhz))
        }
        SourceConfig::RawFrames {
            path,
            rate_hz,
            width,
            height,
            pixel,
        } => {
            let rate_mhz = frame_mhz(*rate_hz);
            let format = Format::Frames {
                height: *height,
                width: *width,
                pixel: *pixel,
            };
            if let Some(blank) = format.blank() {
                check_frames(&blank, path)?;
            }
            let pipe = Pipe::open(path, format, rate_mhz)?.with_retry(retry);
            (Box::new(pipe), Some(rate_mhz))
        }
        SourceConfig::Mcap {
            path,
            stream: wanted,
            speed,
        } => {
            let of_file = || -> anyhow::Result<_> {
                let file = McapFile::open(path)?;
                let recorded = file.stream(wanted.as_deref())?.clone();
                let modality = stream.modality()?;
                ensure!(
                    recorded.modality == modality,
                    "stream {:?} is {}, expected {modality}",
                    recorded.name,
                    recorded.modality
                );
                let replay = McapReplay::new(&file, &recorded, *speed)?;
                Ok((file, recorded, replay))
            };
            let (file, recorded, replay) = of_file().with_context(|| format!("{path:?}"))?;
            if let Some(cut) = file.cut {
                eprintln!("sensorium: warning: {name}: {path:?}: {cut}");
            }
            if let Some(frame) = &recorded.first_frame {
                check_frames(frame, path)?;
            }
            if let (None, Some(frame_id)) = (&stream.frame_id, recorded.frame_id) {
                mounted = frame_id;
            }
            (Box::new(replay), Some(recorded.rate_mhz))
        }
        SourceConfig::Alsa(config) => {
            let (source, rate_hz) = config.microphone()?.open(retry)?;
            (source, Some(rate_hz.saturating_mul(1000)))
        }
        SourceConfig::I2c(config) => {
            let array = config.array()?;
            let unit = array.unit();
            camera(Frames::open(array, unit)?, &config.bus, check_frames, retry)?
        }
        SourceConfig::V4l2(config) => {
            let video = config.video(stream.modality()?)?;
            let unit = video.counts.unit();
            camera(
                Frames::open(video, unit)?,
                &config.device,
                check_frames,
                retry,
            )?
        }
    };
    Ok((source, rate_mhz, mounted))
}

/// A camera whose frames the encoder takes, and its rate.
fn camera<O: Opener + 'static>(
    frames: Frames<O>,
    path: &Path,
    check_frames: impl Fn(&NumberArray, &Path) -> anyhow::Result<()>,
    retry: Retry,
) -> anyhow::Result<(Box<dyn Source>, Option<u32>)> {
    let Frame {
        height,
        width,
        pixels,
    } = frames.camera().blank();
    let blank = NumberArray {
        shape: vec![1, height, width],
        numbers: pixels,
    };
    check_frames(&blank, path)?;
    let rate_mhz = frames.camera().rate_mhz();
    Ok((Box::new(frames.with_retry(retry)), Some(rate_mhz)))
}

fn frame_mhz(rate_hz: f32) -> u32 {
    (f64::from(rate_hz) * 1000.0).round() as u32
}

/// Refuses streams that cannot be read side by side.
pub fn check_stdin(streams: &[StreamConfig]) -> anyhow::Result<()> {
    let is_stdin = |stream: &&StreamConfig| stream.source.path().as_os_str() == "-";
    ensure!(
        streams.iter().filter(is_stdin).count() < 2,
        "two streams are read from stdin (\"-\"), which can be but one"
    );
    Ok(())
}

/// Opens several streams, which have to differ in name.
pub fn open_all(
    streams: &[StreamConfig],
    how: How<'_>,
    senses: &mut Senses<'_>,
) -> anyhow::Result<Vec<Opened>> {
    check_stdin(streams)?;
    let opened = streams.iter().map(|stream| open(stream, how, senses));
    opened.collect()
}
