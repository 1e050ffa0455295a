//! Files of every sense to embeddings.
//!
//! | sense | files |
//! |---|---|
//! | imu | recordings as CSV; arrays `[samples, 6]`, or `[rows, samples, 6]` of a row each |
//! | audio | WAV, FLAC, Ogg Vorbis at any rate; channels are averaged |
//! | image | PNG, JPEG |
//! | thermal | PNG, PGM, JPEG of grey, a folder of them, arrays `[h, w]` or `[t, h, w]` |
//! | depth | the same of 16 bits, in millimetres |

use std::path::{Path, PathBuf};

use sensorium_core::feature::{ImuUnits, Processor};
use sensorium_media::clip::{self, ClipError};
use sensorium_media::picture::{self, PictureError};
use sensorium_media::{OpenError, Sound, SoundError};
use sensorium_pack::{Encoder as Entry, Modality, Pack};
use thiserror::Error;

use crate::encode::{EncodeError, Encoder};
use crate::input::{InputError, read_imu};

/// Why a file has no embedding.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// It holds no inertial samples.
    #[error(transparent)]
    Imu(#[from] InputError),
    /// It is no sound.
    #[error(transparent)]
    Sound(#[from] OpenError<SoundError>),
    /// It is no picture.
    #[error(transparent)]
    Picture(#[from] OpenError<PictureError>),
    /// It holds no frames.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A sound says its own rate, and it is another.
    #[error(
        "{path:?} has {actual} samples a second, not the {expected} of --rate-hz; leave that out"
    )]
    Rate {
        /// The file.
        path: PathBuf,
        /// The file's rate.
        actual: u32,
        /// The rate that was asked for.
        expected: f32,
    },
    /// The encoder has no embedding for what the file holds.
    #[error("{path:?}, row {row}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// The row within it.
        row: usize,
        /// What is wrong.
        source: Box<EncodeError>,
    },
}

/// What files do not say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Recorded {
    /// Samples or frames a second; of inertial samples the encoder's by default.
    pub rate_hz: Option<f32>,
    /// Units of inertial arrays, and of columns that name none; the encoder's by default.
    pub units: Option<ImuUnits>,
}

/// What a file became.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedFile {
    /// One embedding, or one a row of an inertial array.
    pub rows: Vec<Vec<f32>>,
    /// Whether it is a sound in which nothing ever moves. It has an embedding all the same, since
    /// silence may be what is listened for.
    pub is_silent: bool,
}

/// The pack's encoders for a sense, one at least; those of one space only, if it is named.
pub(crate) fn entries<'a>(
    pack: &'a Pack,
    modality: Modality,
    space: Option<&str>,
) -> Result<Vec<&'a Entry>, EncodeError> {
    let manifest = pack.manifest();
    let of_sense = { manifest.encoders.iter() }.filter(|entry| entry.modality == modality);
    let wanted = of_sense
        .clone()
        .filter(|entry| space.is_none_or(|space| entry.space == space));
    let wanted: Vec<&Entry> = wanted.collect();
    if !wanted.is_empty() {
        return Ok(wanted);
    }
    let mut known: Vec<String> = of_sense.map(|entry| entry.space.clone()).collect();
    known.dedup();
    match space {
        Some(space) if !known.is_empty() => Err(EncodeError::NoSpace {
            pack: manifest.name.clone(),
            modality,
            space: space.to_owned(),
            known,
        }),
        _ => Err(EncodeError::none_in(pack, modality)),
    }
}

/// The encoders of a pack for one sense: in each space one, or one of stills and one of clips.
#[derive(Debug, Clone)]
pub struct Encoders(Vec<Encoder>);

impl Encoders {
    /// Loads and self-tests them.
    ///
    /// # Errors
    ///
    /// The pack has none, or one that cannot be used.
    pub fn load(pack: &Pack, modality: Modality) -> Result<Self, EncodeError> {
        Self::load_in(pack, modality, None)
    }

    /// As [`load`](Self::load), those of one space only, if it is named.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), or the space has none.
    pub fn load_in(
        pack: &Pack,
        modality: Modality,
        space: Option<&str>,
    ) -> Result<Self, EncodeError> {
        let entries = entries(pack, modality, space)?;
        let load = |entry| Encoder::load_entry(pack, entry);
        Ok(Self(
            entries.into_iter().map(load).collect::<Result<_, _>>()?,
        ))
    }

    /// All of them, in the pack's order.
    #[must_use]
    pub fn all(&self) -> &[Encoder] {
        &self.0
    }

    /// Names of their spaces, each once.
    #[must_use]
    pub fn spaces(&self) -> Vec<&str> {
        let mut spaces = Vec::new();
        for encoder in &self.0 {
            if !spaces.contains(&encoder.space()) {
                spaces.push(encoder.space());
            }
        }
        spaces
    }

    /// The places of the encoders that take a file, one in each space: of clips or of stills, as the file
    /// is, where the space has both; else its first.
    ///
    /// # Errors
    ///
    /// A file that has to be looked into and cannot be read.
    pub fn for_file(&self, path: &Path) -> Result<Vec<usize>, EmbedError> {
        let in_space = |space| self.for_file_in(path, space);
        self.spaces()
            .into_iter()
            .filter_map(|space| in_space(space).transpose())
            .collect()
    }

    /// As [`for_file`](Self::for_file), in one space; none if it has no encoder.
    ///
    /// # Errors
    ///
    /// As [`for_file`](Self::for_file).
    pub fn for_file_in(&self, path: &Path, space: &str) -> Result<Option<usize>, EmbedError> {
        let of_clips = |encoder: &Encoder| matches!(encoder.processor(), Processor::Frames(_));
        let place = |clips: bool| {
            let is_it = |e: &Encoder| e.space() == space && of_clips(e) == clips;
            self.0.iter().position(is_it)
        };
        Ok(match (place(true), place(false)) {
            (Some(clips), Some(stills)) => Some(if clip::is_clip(path)? { clips } else { stills }),
            (clips, stills) => clips.or(stills),
        })
    }
}

impl Encoder {
    /// The embeddings of a file: one, or one a row of an inertial array.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is not what this encoder's sense takes.
    pub fn embed_file(&self, path: &Path, recorded: Recorded) -> Result<EmbeddedFile, EmbedError> {
        let mut is_silent = false;
        let at = |row: usize| {
            move |source| EmbedError::Encode {
                path: path.to_owned(),
                row,
                source: Box::new(source),
            }
        };
        let embedding = match self.processor() {
            Processor::Imu(front_end, _) => {
                let is_array = path.extension().is_some_and(|extension| extension == "npy");
                let units = recorded.units.or(is_array.then_some(front_end.units));
                let rate_hz = recorded.rate_hz.unwrap_or(front_end.rate_hz);
                let rows = read_imu(path, units)?;
                let embed = |(row, samples): (usize, &Vec<_>)| {
                    let embedding = self.embed_imu(samples, rate_hz);
                    embedding.map_err(at(row))
                };
                let rows = rows.iter().enumerate().map(embed);
                return Ok(EmbeddedFile {
                    rows: rows.collect::<Result<_, _>>()?,
                    is_silent,
                });
            }
            Processor::Sound(front_end) => {
                let sound = open_sound(path, recorded.rate_hz)?;
                let samples = sound.mono();
                is_silent = samples.iter().all(|sample| *sample == samples[0]);
                self.embed_sound(front_end, &samples, sound.rate_hz)
            }
            Processor::Image(front_end) => {
                let picture = match front_end.spec().background {
                    Some(background) => picture::open_rgb_over(path, background)?,
                    None => picture::open_rgb(path)?,
                };
                self.run(&front_end.extract(&picture))
            }
            Processor::Thermal(_) | Processor::Depth(_) | Processor::Frames(_) => {
                let rate_hz = recorded.rate_hz.map(f64::from);
                self.embed_frames(&clip::open(path)?, rate_hz)
            }
        };
        Ok(EmbeddedFile {
            rows: vec![embedding.map_err(at(0))?],
            is_silent,
        })
    }
}

fn open_sound(path: &Path, rate_hz: Option<f32>) -> Result<Sound, EmbedError> {
    let sound = Sound::open(path)?;
    match rate_hz {
        Some(expected) if expected != sound.rate_hz as f32 => Err(EmbedError::Rate {
            path: path.to_owned(),
            actual: sound.rate_hz,
            expected,
        }),
        _ => Ok(sound),
    }
}
