//! Settings of recipes, checked.

use thiserror::Error;

/// A setting that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("{name} is {value}, expected {expected}")]
pub struct SettingError {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub value: f32,
    /// What it has to be.
    pub expected: &'static str,
}

pub(crate) fn fits(
    name: &'static str,
    value: f32,
    expected: &'static str,
    fits: bool,
) -> Result<(), SettingError> {
    if fits {
        return Ok(());
    }
    Err(SettingError {
        name,
        value,
        expected,
    })
}

pub(crate) fn positive(name: &'static str, value: f32) -> Result<(), SettingError> {
    let is_positive = value > 0.0 && value.is_finite();
    fits(name, value, "a number above 0", is_positive)
}

/// A strength: 0 is nothing.
pub(crate) fn strength(name: &'static str, value: f32) -> Result<(), SettingError> {
    let is_strength = (0.0..f32::INFINITY).contains(&value);
    fits(name, value, "a number from 0 on", is_strength)
}

/// A relative change, which must not turn a value round.
pub(crate) fn below_one(name: &'static str, value: f32) -> Result<(), SettingError> {
    let is_below = (0.0..1.0).contains(&value);
    fits(name, value, "at least 0 and below 1", is_below)
}

/// A probability or a share.
pub(crate) fn share(name: &'static str, value: f32) -> Result<(), SettingError> {
    fits(name, value, "0 to 1", (0.0..=1.0).contains(&value))
}
