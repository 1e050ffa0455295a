//! Sound files, pictures and arrays, decoded: what the trainer learns from and what the runtime is
//! given as files.
//!
//! | what | files | becomes |
//! |---|---|---|
//! | [`sound`] | WAV, FLAC, Ogg Vorbis | [`Sound`]: channels of amplitudes in -1 to 1 |
//! | [`picture`] | PNG, JPEG | [`Image<3>`](sensorium_core::feature::Image): 8-bit colours |
//! | [`picture`] | PNG, PGM, JPEG | [`Plane`]: one channel of 8 or 16 bits, such as thermal or depth |
//! | [`array`](mod@array) | `.npy`, `.npz` | [`NumberArray`]: numbers of one of seven kinds |
//! | [`idx`] | IDX, as MNIST comes | the same |
//! | [`clip`] | an array, a picture, or a folder of pictures | frames of one channel, `[frames, height, width]` |
//!
//! What a file is, its first bytes say, not its name. A file that is cut or damaged is an error
//! wherever its format lets that be seen, never a shorter sound or a picture with grey in it.
//! Nothing is allocated for what a header merely claims.

pub mod array;
pub mod clip;
#[cfg(test)]
mod damage;
mod file;
pub mod idx;
pub mod picture;
pub mod sound;

pub use file::{MAX_FILE_BYTES, OpenError, read};
pub use picture::{PictureError, Plane};
pub use sensorium_pack::npy::{NumberArray, Numbers};
pub use sound::{Pcm, Sound, SoundError};
