use std::string::ToString;

use super::*;
use crate::simulated::{NoDelay, SimulatedAmg8833};

fn open(sensor: SimulatedAmg8833) -> Result<Amg8833<SimulatedAmg8833>, std::string::String> {
    let opened = Amg8833::open(sensor, ADDRESS, FrameRate::Ten, &mut NoDelay);
    opened.map_err(|error| error.to_string())
}

#[test]
fn the_data_sheet_s_codes_are_degrees() {
    // Table "Temperature register": code and degrees Celsius.
    let table = [
        (0x1f4, 125.0),
        (0x064, 25.0),
        (0x001, 0.25),
        (0x000, 0.0),
        (0xfff, -0.25),
        (0xf9c, -25.0),
        (0xf24, -55.0),
    ];
    for (code, celsius) in table {
        let found = f32::from(count_of(code)) * CELSIUS_PER_COUNT;
        assert_eq!(found, celsius, "{code:#05x}");
    }
    // What is above the twelve bits changes nothing.
    assert_eq!(count_of(0x7064), 100);
}

#[test]
fn a_frame_is_what_the_sensor_sees() {
    let mut simulated = SimulatedAmg8833::new(ADDRESS);
    let scene: [f32; PIXELS] = core::array::from_fn(|at| at as f32 * 0.75 - 10.0);
    simulated.see(&scene);
    let mut sensor = open(simulated).unwrap();
    let mut frame = [0.0; PIXELS];
    sensor.read(&mut frame).unwrap();
    assert_eq!(frame, scene);
    assert_eq!(sensor.thermistor_celsius().unwrap(), 25.0);
}

#[test]
fn a_cold_thermistor_has_a_sign_of_its_own() {
    let mut simulated = SimulatedAmg8833::new(ADDRESS);
    // Table "Thermistor register": -59.6875 °C is 0xbbb.
    simulated.thermistor = 0xbbb;
    let error = open(simulated).unwrap_err();
    assert_eq!(
        error,
        "the thermistor says -59.6875 °C, expected -20 to 100 °C of an AMG8833"
    );
}

#[test]
fn what_is_no_amg8833_is_told() {
    let elsewhere = SimulatedAmg8833::new(OTHER_ADDRESS);
    assert_eq!(
        open(elsewhere).unwrap_err(),
        "nothing answers at address 0x69"
    );
    let mut floating = SimulatedAmg8833::new(ADDRESS);
    floating.reads_as = Some(0xff);
    assert_eq!(
        open(floating).unwrap_err(),
        "register 0x03 is 0xff, expected 0x00 of an AMG8833"
    );
}

#[test]
fn a_bus_that_fails_later_is_told() {
    let mut sensor = open(SimulatedAmg8833::new(ADDRESS)).unwrap();
    let mut frame = [7.0; PIXELS];
    sensor.device.bus.is_gone = true;
    let error = sensor.read(&mut frame).unwrap_err();
    assert_eq!(error, BusError::NoAnswer { address: ADDRESS });
    assert_eq!(frame, [7.0; PIXELS]);
}
