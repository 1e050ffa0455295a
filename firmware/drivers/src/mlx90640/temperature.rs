//! From counts to degrees Celsius (data sheet, section 11.2).

use super::calibration::{Calibration, Pixel, Range};

/// Temperature at which the factory measured, in degrees Celsius.
const FACTORY_CELSIUS: f32 = 25.0;

/// 0 °C in kelvin.
const ZERO_CELSIUS_K: f32 = 273.15;

/// How much warmer the sensor is than what surrounds it and is mirrored in what it looks at, in
/// kelvin (section 11.2.2.9).
const SELF_HEATING_K: f32 = 8.0;

/// Words of RAM that all pixels share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Auxiliary {
    pub(super) v_be: i16,
    pub(super) v_ptat: i16,
    pub(super) gain: i16,
    pub(super) supply: i16,
    /// The compensation pixel in each sub-page.
    pub(super) compensation: [i16; 2],
}

/// What holds for all pixels of one sub-page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Conditions {
    /// Supply above the factory's 3.3 V, in volts.
    pub(super) supply_v: f32,
    /// The sensor's temperature above the factory's, in kelvin.
    pub(super) warmer_k: f32,
    pub(super) gain: f32,
    emissivity: f32,
    /// What the sensor and its surroundings radiate towards it, in K⁴.
    pub(super) surroundings_k4: f32,
    /// What the compensation pixel takes off every other one.
    pub(super) gradient_ir: f32,
    pub(super) gradient_alpha: f32,
    alpha: f32,
    interleaved: Option<[f32; 3]>,
    ranges: [Range; 4],
}

impl Conditions {
    pub(super) fn new(
        calibration: &Calibration,
        auxiliary: Auxiliary,
        resolution: u8,
        emissivity: f32,
        sub_page: usize,
    ) -> Self {
        let Calibration {
            supply,
            ptat,
            compensation,
            ..
        } = calibration;
        let finer = i32::from(supply.resolution) - i32::from(resolution);
        let volts = f32::from(auxiliary.supply) * libm::ldexpf(1.0, finer);
        let supply_v = (volts - supply.at_25) / supply.k_vdd;
        let v_ptat = f32::from(auxiliary.v_ptat);
        let v_ptat_art = v_ptat / (v_ptat * ptat.alpha + f32::from(auxiliary.v_be)) * 262_144.0;
        let warmer_k = (v_ptat_art / (1.0 + ptat.k_v * supply_v) - ptat.at_25) / ptat.k_t;
        let gain = calibration.gain / f32::from(auxiliary.gain);
        let ambient_celsius = FACTORY_CELSIUS + warmer_k;

        let second = match (sub_page, calibration.interleaved) {
            (1, Some([c, ..])) => c,
            _ => 0.0,
        };
        let offset = (compensation.offset[sub_page] + second)
            * (1.0 + compensation.k_ta * warmer_k)
            * (1.0 + compensation.k_v * supply_v);
        let seen = f32::from(auxiliary.compensation[sub_page]) * gain - offset;
        Self {
            supply_v,
            warmer_k,
            gain,
            emissivity,
            surroundings_k4: surroundings_k4(
                ambient_celsius,
                ambient_celsius - SELF_HEATING_K,
                emissivity,
            ),
            gradient_ir: calibration.gradient * seen,
            gradient_alpha: calibration.gradient * compensation.alpha[sub_page],
            alpha: 1.0 + calibration.k_s_ta * warmer_k,
            interleaved: calibration.interleaved,
            ranges: calibration.ranges,
        }
    }

    /// Temperature of the sensor, in degrees Celsius.
    pub(super) fn ambient_celsius(&self) -> f32 {
        FACTORY_CELSIUS + self.warmer_k
    }

    /// What a pixel looks at, in degrees Celsius.
    pub(super) fn celsius(&self, pixel: &Pixel, count: i16) -> f32 {
        let ir = (self.offset_free(pixel, count) - self.gradient_ir) / self.emissivity;
        let alpha = (pixel.alpha - self.gradient_alpha) * self.alpha;
        let guess = self.object_celsius(ir, alpha);
        let is_in = |range: &&Range| guess >= range.from_celsius;
        let range = self.ranges[1..].iter().rev().find(is_in);
        let range = range.unwrap_or(&self.ranges[0]);
        let slope = 1.0 + range.k_s_to * (guess - range.from_celsius);
        fourth_root(ir / (alpha * range.alpha * slope) + self.surroundings_k4) - ZERO_CELSIUS_K
    }

    /// A pixel's counts without gain and offset.
    pub(super) fn offset_free(&self, pixel: &Pixel, count: i16) -> f32 {
        let offset =
            pixel.offset * (1.0 + pixel.k_ta * self.warmer_k) * (1.0 + pixel.k_v * self.supply_v);
        f32::from(count) * self.gain - offset + self.pattern_difference(pixel)
    }

    /// What a pixel's offset differs by where the factory measured rows in turn.
    fn pattern_difference(&self, pixel: &Pixel) -> f32 {
        let Some([_, by_column, by_row]) = self.interleaved else {
            return 0.0;
        };
        let sign = if pixel.row.is_multiple_of(2) {
            1.0
        } else {
            -1.0
        };
        // Of four columns, the second is one way, the fourth the other.
        let step = match pixel.column % 4 {
            1 => -1.0,
            3 => 1.0,
            _ => 0.0,
        };
        -sign * (by_row + by_column * step)
    }

    /// As if sensitivity changed with temperature as it does from 0 °C on.
    pub(super) fn object_celsius(&self, ir: f32, alpha: f32) -> f32 {
        let k_s_to = self.ranges[1].k_s_to;
        let cube = alpha * alpha * alpha;
        let sensitivity = fourth_root(cube * (ir + alpha * self.surroundings_k4)) * k_s_to;
        let alpha = alpha * (1.0 - k_s_to * ZERO_CELSIUS_K) + sensitivity;
        fourth_root(ir / alpha + self.surroundings_k4) - ZERO_CELSIUS_K
    }
}

/// What comes from the sensor at one temperature, and is mirrored by a surface from what is at
/// another, in K⁴ (section 11.2.2.9).
pub(super) fn surroundings_k4(ambient_celsius: f32, mirrored_celsius: f32, emissivity: f32) -> f32 {
    let fourth_power = |celsius: f32| {
        let square = (celsius + ZERO_CELSIUS_K) * (celsius + ZERO_CELSIUS_K);
        square * square
    };
    let (ambient, mirrored) = (
        fourth_power(ambient_celsius),
        fourth_power(mirrored_celsius),
    );
    mirrored - (mirrored - ambient) / emissivity
}

fn fourth_root(value: f32) -> f32 {
    libm::sqrtf(libm::sqrtf(value))
}
