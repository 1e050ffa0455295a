//! The sensor node on the host: the very code of [`sensorium_node`], fed with recorded samples, on
//! one end of a pty, or on any other writer.
//!
//! ```text
//!  samples ─▶ Node (sensorium-node) ─▶ Destroyer ─▶ Blocking | Buffered ─▶ pty ─▶ reader
//!               simulated time           --destroy     back-pressure | drops
//! ```
//!
//! # Time
//!
//! The node's clock is simulated: it stands at the time of sample `i`,
//! [`sample_time_us`](sensorium_wire::sample_time_us)`(i, rate)`, when the node takes it. So the
//! bytes depend only on the samples and the [`Settings`], and the times are those which a reader of
//! the recording computes. [`Speed`] says how simulated time goes by: at [`Speed::Max`] as fast as
//! the link takes bytes, and a full link makes time stand still; at [`Speed::Times`] as on a device,
//! where a full link costs samples, which the node counts.
//!
//! # Examples
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use sensorium_host_sim::{Blocking, Settings, simulate};
//! use sensorium_wire::ImuSample;
//!
//! let samples = vec![ImuSample::default(); 100];
//! let mut bytes = Vec::new();
//! let stop = AtomicBool::new(false);
//! let settings = Settings { destroy: 0.1, seed: 7, ..Settings::at_rate_mhz(50_000) };
//! let report = simulate(samples, &settings, Blocking::new(&mut bytes, &stop), &stop);
//! assert_eq!((report.status.sent, report.status.dropped), (100, 0));
//! ```

mod damage;
mod link;
mod pty;
pub mod scene;
mod simulate;

pub use damage::{DamageCounts, Destroyer};
pub use link::{Blocking, Buffered};
pub use pty::Pty;
pub use simulate::{Report, Settings, Speed, simulate};
