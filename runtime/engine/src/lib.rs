//! From live sensors to named events: sources, encoders, classes, streams and sinks.
//!
//! ```text
//! source ─▶ stream (window ─▶ encode ─▶ bank ─▶ event policy) ─▶ sink
//!                             ▲         ▲
//!                           pack ─▶ space ◀─ classes.toml
//! ```
//!
//! What happens to a sample is in `sensorium-core`, which has no operating system; here are the
//! threads, files and ports around it.

pub mod bank;
pub mod budget;
pub mod calibrate;
pub mod classes;
pub mod config;
pub mod embed;
pub mod encode;
pub mod event;
pub mod example;
pub mod fuse;
pub mod health;
pub mod input;
pub mod join;
pub mod keys;
pub mod labelled;
pub mod ledger;
pub mod pipeline;
pub mod queue;
pub mod recording;
pub mod resemblance;
pub mod sense;
pub mod sink;
pub mod slot;
pub mod source;
pub mod space;
pub mod stream;
mod sys;
pub mod take;
pub mod text;
pub mod vitals;
