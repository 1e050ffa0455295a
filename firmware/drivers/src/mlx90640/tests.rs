use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::simulated::SimulatedMlx90640;
use crate::simulated::mlx90640::numbers;

/// The driver computes in single precision, the twin that wrote the example in double.
const TOLERANCE_K: f32 = 5e-4;

type Sensor = Mlx90640<SimulatedMlx90640>;

fn open(simulated: SimulatedMlx90640) -> Result<Sensor, std::string::String> {
    let refresh = Refresh::of_frames_mhz(8_000).unwrap();
    Mlx90640::open(simulated, ADDRESS, refresh).map_err(|error| error.to_string())
}

/// What reads find until a frame is whole.
fn frame(sensor: &mut Sensor) -> ([f32; PIXELS], Vec<Reading>) {
    let mut celsius = [f32::NAN; PIXELS];
    let mut found = Vec::new();
    while found.last() != Some(&Reading::Frame) {
        found.push(sensor.read(&mut celsius).unwrap());
        assert!(found.len() < 20, "{found:?}");
    }
    (celsius, found)
}

fn worst(celsius: &[f32; PIXELS], kind: &str) -> f32 {
    let expected = numbers(kind, "celsius").map(|number| number.parse::<f32>().unwrap());
    let off = |(found, expected): (&f32, f32)| {
        assert!(found.is_finite(), "{found} for {expected}");
        (found - expected).abs()
    };
    celsius.iter().zip(expected).map(off).fold(0.0, f32::max)
}

#[test]
fn temperatures_are_those_of_the_independent_twin() {
    for (kind, simulated) in [
        ("chess", SimulatedMlx90640::new(ADDRESS)),
        ("interleaved", SimulatedMlx90640::interleaved(ADDRESS)),
    ] {
        assert_eq!(numbers(kind, "celsius").count(), PIXELS);
        let mut sensor = open(simulated).unwrap();
        let (celsius, _) = frame(&mut sensor);
        let worst = worst(&celsius, kind);
        assert!(worst < TOLERANCE_K, "{kind}: {worst} K");
    }
}

#[test]
fn a_frame_is_two_halves() {
    use Reading::{Frame, Half, Nothing};
    let mut sensor = open(SimulatedMlx90640::new(ADDRESS)).unwrap();
    assert_eq!(sensor.ambient_celsius(), None);
    let (_, found) = frame(&mut sensor);
    // The second look at the status finds a sub-page; the look after one was read is the first.
    assert_eq!(found, [Nothing, Half, Frame]);
    let ambient_celsius = sensor.ambient_celsius().unwrap();
    assert!((ambient_celsius - 39.5).abs() < 0.5, "{ambient_celsius}");
}

#[test]
fn a_sub_page_that_was_missed_makes_no_frame() {
    let mut sensor = open(SimulatedMlx90640::new(ADDRESS)).unwrap();
    let mut celsius = [0.0; PIXELS];
    while sensor.read(&mut celsius).unwrap() != Reading::Half {}
    // Nobody reads the next one.
    sensor
        .device
        .bus
        .clone_from(&SimulatedMlx90640::new(ADDRESS));
    let (_, found) = frame(&mut sensor);
    let halves = found.iter().filter(|r| **r == Reading::Half).count();
    assert_eq!(halves, 1, "{found:?}");
}

#[test]
fn a_sensor_faster_than_its_bus_gives_no_frame() {
    let mut simulated = SimulatedMlx90640::new(ADDRESS);
    simulated.is_hasty = true;
    let mut sensor = open(simulated).unwrap();
    let mut celsius = [0.0; PIXELS];
    let found: Vec<_> = (0..6).map(|_| sensor.read(&mut celsius).unwrap()).collect();
    assert_eq!(found, [Reading::Torn; 6]);
}

/// The EEPROM of the data sheet's worked example: every pixel is its pixel (12, 16).
fn worked_example() -> Calibration {
    let mut words = SimulatedMlx90640::new(ADDRESS).eeprom;
    words[0x40..].fill(0x08a0);
    Calibration::new(&words).unwrap()
}

fn close(found: f32, told: f64, relative: f64) {
    let off = (f64::from(found) - told).abs();
    assert!(off <= relative * told.abs(), "{found} for {told}");
}

#[test]
fn the_calibration_is_that_of_the_worked_example() {
    let calibration = worked_example();
    let pixel = calibration.pixel(11, 15);
    assert_eq!((pixel.offset, pixel.k_v), (-75.0, 0.5));
    close(pixel.k_ta, 0.005_126_953_125, 1e-7);
    close(pixel.alpha, 1.262_233_126_908_54e-7, 1e-7);
    let compensation = calibration.compensation;
    assert_eq!(compensation.offset, [-75.0, -77.0]);
    close(compensation.alpha[0], 4.074_536_263_942_72e-9, 1e-7);
    close(compensation.alpha[1], 3.851_710_062_200_84e-9, 1e-7);
    assert_eq!(calibration.gradient, 1.0);
    assert_eq!(calibration.k_s_ta, -0.001_953_125);
    close(
        calibration.ranges[1].k_s_to,
        -0.000_801_086_425_781_25,
        1e-9,
    );
    let from = calibration.ranges.map(|range| range.from_celsius);
    assert_eq!(from, [-40.0, 0.0, 160.0, 320.0]);
    assert_eq!(calibration.interleaved, None);
}

#[test]
fn the_steps_to_a_temperature_are_those_of_the_worked_example() {
    let calibration = worked_example();
    let auxiliary = Auxiliary {
        v_be: 19442,
        v_ptat: 1711,
        gain: 6273,
        supply: -13115,
        compensation: [-54, -56],
    };
    let conditions = Conditions::new(&calibration, auxiliary, 2, 1.0, 0);
    close(3.3 + conditions.supply_v, 3.319, 2e-4);
    close(conditions.ambient_celsius(), 39.184_4, 1e-6);
    close(conditions.gain, 1.017_535_469_472_34, 1e-7);
    let pixel = calibration.pixel(11, 15);
    close(
        conditions.offset_free(&pixel, 609),
        700.882_495_690_866,
        1e-5,
    );
    let surroundings_k4 = temperature::surroundings_k4(39.184, 31.0, 1.0);
    close(surroundings_k4, 9_516_495_632.56, 1e-6);
    // Its last step takes what the compensation pixel sees in the other sub-page.
    let mut conditions = conditions;
    conditions.surroundings_k4 = 9_516_495_632.56;
    let celsius = conditions.object_celsius(679.250_9, 1.187_648_7e-7);
    close(celsius, 80.363_31, 1e-6);
}

#[test]
fn broken_pixels_are_those_the_factory_marked() {
    let sensor = open(SimulatedMlx90640::new(ADDRESS)).unwrap();
    let broken: Vec<_> = sensor.calibration().broken().collect();
    assert_eq!(broken, [(0, 0), (13, 9)]);
    let mut celsius = [20.0; PIXELS];
    (celsius[0], celsius[13 * WIDTH + 9]) = (f32::NAN, 999.0);
    (celsius[1], celsius[WIDTH], celsius[WIDTH + 1]) = (21.0, 22.0, 23.0);
    sensor.calibration().mend(&mut celsius);
    assert_eq!((celsius[0], celsius[13 * WIDTH + 9]), (22.0, 20.0));
}

#[test]
fn what_is_no_mlx90640_is_told() {
    let mut floating = SimulatedMlx90640::new(ADDRESS);
    floating.reads_as = Some(0xff);
    let mut altered = [(); 3].map(|()| SimulatedMlx90640::new(ADDRESS));
    altered[0].eeprom[0x0a] |= 0x40;
    altered[1].eeprom[0x33] = 0x0068;
    altered[2].eeprom.fill(0);
    let [other, zero, blank] = altered;
    let cases = [
        (
            SimulatedMlx90640::new(0x32),
            "nothing answers at address 0x33",
        ),
        (
            floating,
            "the EEPROM holds nothing but 0xffff, expected the calibration of an MLX90640",
        ),
        (
            blank,
            "the EEPROM holds nothing but 0x0000, expected the calibration of an MLX90640",
        ),
        (
            other,
            "the EEPROM is that of an MLX90641, expected an MLX90640",
        ),
        (
            zero,
            "word 0x2433 of the EEPROM says that the sensitivity to the supply is 0",
        ),
    ];
    for (simulated, expected) in cases {
        assert_eq!(open(simulated).unwrap_err(), expected);
    }
}

#[test]
fn what_no_sensor_measures_is_told() {
    let mut sensor = open(SimulatedMlx90640::new(ADDRESS)).unwrap();
    sensor.device.bus.seen[0][0x30a] = 0x7fff;
    let mut celsius = [0.0; PIXELS];
    let error = loop {
        match sensor.read(&mut celsius) {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(error, "word 0x070a is 32767, expected the sensor's gain");
    sensor.device.bus.is_gone = true;
    let error = sensor.read(&mut celsius).unwrap_err();
    assert_eq!(error.to_string(), "nothing answers at address 0x33");
}

#[test]
fn rates_are_powers_of_two() {
    let rates: Vec<u32> = (0..40_000)
        .step_by(250)
        .filter(|mhz| Refresh::of_frames_mhz(*mhz).is_some())
        .collect();
    assert_eq!(
        rates,
        [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
    );
}

#[test]
fn any_eeprom_is_read_without_panic() {
    let mut state = 6u64;
    for _ in 0..200 {
        let words = core::array::from_fn(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 48) as u16
        });
        let Ok(calibration) = Calibration::new(&words) else {
            continue;
        };
        let auxiliary = Auxiliary {
            v_be: words[0] as i16,
            v_ptat: words[1] as i16,
            gain: words[2] as i16,
            supply: words[3] as i16,
            compensation: [words[4] as i16, words[5] as i16],
        };
        let conditions = Conditions::new(&calibration, auxiliary, 3, 0.5, 1);
        let pixel = calibration.pixel(HEIGHT - 1, WIDTH - 1);
        let _any = conditions.celsius(&pixel, i16::MIN);
    }
}
