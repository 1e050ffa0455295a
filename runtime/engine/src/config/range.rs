//! What numbers of a configuration, or of the command line, may be.

use super::ConfigError;

/// Checks the spacing of windows.
///
/// # Errors
///
/// A hop outside 0.02 s to 60 s.
pub fn check_hop_s(hop_s: f32) -> Result<(), ConfigError> {
    if (0.02..=60.0).contains(&hop_s) {
        return Ok(());
    }
    Err(out_of_range("hop_s", hop_s.into(), "0.02 to 60"))
}

/// Checks a score.
///
/// # Errors
///
/// A score outside 0 to 1; errors call it `key`.
pub fn check_score(key: &'static str, score: f32) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&score) {
        return Ok(());
    }
    Err(out_of_range(key, score.into(), "0 to 1"))
}

/// Checks a sample rate, if there is one.
///
/// # Errors
///
/// A rate outside 25 to 400 Hz.
pub fn check_rate_hz(rate_hz: Option<f32>) -> Result<(), ConfigError> {
    match rate_hz.filter(|rate_hz| !(25.0..=400.0).contains(rate_hz)) {
        Some(rate_hz) => Err(out_of_range("rate_hz", rate_hz.into(), "25 to 400")),
        None => Ok(()),
    }
}

/// Largest budget, in cores.
pub const MOST_CORES: f64 = 1024.0;

/// Checks a budget, if there is one.
///
/// # Errors
///
/// Less than a hundredth of a core, or more than 1024.
pub fn check_cores(cores: Option<f64>) -> Result<(), ConfigError> {
    match cores.filter(|cores| !(0.01..=MOST_CORES).contains(cores)) {
        Some(cores) => Err(out_of_range("cores", cores, "0.01 to 1024")),
        None => Ok(()),
    }
}

/// Checks how long a device is waited for, if anybody says.
///
/// # Errors
///
/// A time outside 0 to 1 000 000 s.
pub fn check_retry_s(retry_s: Option<f64>) -> Result<(), ConfigError> {
    match retry_s.filter(|retry_s| !(0.0..=1e6).contains(retry_s)) {
        Some(retry_s) => Err(out_of_range("retry_s", retry_s, "0 to 1000000")),
        None => Ok(()),
    }
}

/// Checks a rate of sound that is listened to.
///
/// # Errors
///
/// A rate outside 1000 to 192 000 Hz.
pub(super) fn check_sound_hz(rate_hz: u32) -> Result<(), ConfigError> {
    if (1_000..=192_000).contains(&rate_hz) {
        return Ok(());
    }
    Err(out_of_range("rate_hz", rate_hz.into(), "1000 to 192000"))
}

/// Checks a rate of frames.
///
/// # Errors
///
/// A rate outside 0.01 to 1000 Hz.
pub fn check_frame_hz(rate_hz: f32) -> Result<(), ConfigError> {
    if (0.01..=1000.0).contains(&rate_hz) {
        return Ok(());
    }
    Err(out_of_range("rate_hz", rate_hz.into(), "0.01 to 1000"))
}

/// Checks a speed of replay, if there is one.
///
/// # Errors
///
/// A speed that is not between 0.001 and 1 000 000.
pub fn check_speed(speed: Option<f64>) -> Result<(), ConfigError> {
    match speed.filter(|speed| !(1e-3..=1e6).contains(speed)) {
        Some(speed) => Err(out_of_range("speed", speed, "0.001 to 1000000")),
        None => Ok(()),
    }
}

pub(super) fn out_of_range(key: &'static str, found: f64, expected: &'static str) -> ConfigError {
    ConfigError::Range {
        key,
        found,
        expected,
    }
}
