//! In which order an encoder takes the six inertial channels.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::IMU_CHANNELS;

/// The channels' names, in our order.
const NAMES: [&str; IMU_CHANNELS] = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"];

/// An order of the six channels, written as a list of `acc_x` to `gyro_z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct ImuOrder([usize; IMU_CHANNELS]);

/// The list is no order of the six channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("order is expected to hold acc_x, acc_y, acc_z, gyro_x, gyro_y and gyro_z, each once")]
pub struct ImuOrderError;

impl Default for ImuOrder {
    fn default() -> Self {
        Self(core::array::from_fn(|channel| channel))
    }
}

impl ImuOrder {
    /// Whether it is acceleration x, y, z, then angular rate x, y, z.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Brings features `[6, samples]` from our order into this one.
    ///
    /// # Panics
    ///
    /// If the features are not of six channels.
    pub fn arrange(&self, features: &mut [f32]) {
        if self.is_default() {
            return;
        }
        assert!(
            features.len().is_multiple_of(IMU_CHANNELS),
            "arrange: channels"
        );
        let ours = features.to_vec();
        let samples = ours.len() / IMU_CHANNELS;
        for (row, channel) in self.0.iter().enumerate() {
            let channel = &ours[channel * samples..][..samples];
            features[row * samples..][..samples].copy_from_slice(channel);
        }
    }
}

impl TryFrom<Vec<String>> for ImuOrder {
    type Error = ImuOrderError;

    fn try_from(names: Vec<String>) -> Result<Self, ImuOrderError> {
        let place = |name: &String| NAMES.iter().position(|known| known == name);
        let places: Option<Vec<usize>> = names.iter().map(place).collect();
        let order = places.and_then(|places| places.try_into().ok());
        let order: [usize; IMU_CHANNELS] = order.ok_or(ImuOrderError)?;
        let has = |channel: usize| order.contains(&channel);
        if !(0..IMU_CHANNELS).all(has) {
            return Err(ImuOrderError);
        }
        Ok(Self(order))
    }
}

impl From<ImuOrder> for Vec<String> {
    fn from(order: ImuOrder) -> Self {
        let name = |channel: usize| NAMES[channel].to_owned();
        order.0.into_iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &str) -> Result<ImuOrder, ImuOrderError> {
        let names: Vec<String> = names.split(' ').map(String::from).collect();
        names.try_into()
    }

    #[test]
    fn channels_are_brought_into_another_order() {
        let gyro_first = order("gyro_x gyro_y gyro_z acc_x acc_y acc_z").unwrap();
        let mut features: Vec<f32> = (0..12).map(|n| n as f32).collect();
        gyro_first.arrange(&mut features);
        assert_eq!(features[..6], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(features[6..], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let names: Vec<String> = gyro_first.into();
        assert_eq!(ImuOrder::try_from(names), Ok(gyro_first));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for names in [
            "acc_x acc_y acc_z gyro_x gyro_y",
            "acc_x acc_y acc_z gyro_x gyro_y gyro_y",
            "acc_x acc_y acc_z gyro_x gyro_y mag_z",
        ] {
            assert_eq!(order(names), Err(ImuOrderError), "{names}");
        }
        assert!(
            order("acc_x acc_y acc_z gyro_x gyro_y gyro_z")
                .unwrap()
                .is_default()
        );
    }
}
