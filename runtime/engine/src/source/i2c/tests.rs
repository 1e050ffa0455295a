use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use embedded_hal::i2c::{ErrorType, I2c, Operation};
use sensorium_drivers::simulated::{SimulatedAmg8833, SimulatedMlx90640};

use super::super::camera::Frames;
use super::super::retry::Retry;
use super::super::{Feed, Samples, Signal, Source};
use super::*;
use crate::queue::{Popped, Queue};

/// A simulated sensor on a bus that several may hold.
#[derive(Debug)]
struct Shared<S>(Arc<Mutex<S>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> ErrorType for Shared<S> {
    type Error = Fault;
}

impl<S: I2c> I2c for Shared<S> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        let done = self.0.lock().unwrap().transaction(address, operations);
        // As the Raspberry Pi's adapter says it.
        done.map_err(|_refused| Fault(io::Error::from_raw_os_error(121)))
    }
}

/// Opens what is simulated.
#[derive(Debug)]
struct Simulated<S>(Array, Shared<S>);

impl<S: I2c + Send + std::fmt::Debug + 'static> Opener for Simulated<S> {
    fn open(&self) -> Result<Box<dyn Camera>, SourceError> {
        Ok(Box::new(self.0.begin(Wire::new(self.1.clone()))?))
    }
}

fn array(kind: Kind, rate_mhz: u32) -> Array {
    Array::new("/dev/i2c-9".as_ref(), kind, None, Some(rate_mhz), None).unwrap()
}

/// What a source says until `enough`, which may change the sensor.
fn said<S: I2c + Send + std::fmt::Debug + 'static>(
    array: &Array,
    sensor: &Shared<S>,
    mut enough: impl FnMut(&Signal) -> bool,
) -> Result<(), SourceError> {
    let opener = Simulated(array.clone(), sensor.clone());
    let source = Frames::open(opener, array.unit())?.with_retry(Retry::Ever);
    let (queue, stop) = (Queue::new(u64::MAX), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let result = Box::new(source).run(Feed::new(&queue, &stop, true));
            queue.close();
            result
        });
        loop {
            match queue.pop(Duration::from_secs(10)).0 {
                Popped::Item(signal) if !enough(&signal) => {}
                Popped::Nothing => panic!("nothing came"),
                _ => break,
            }
        }
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap()
    })
}

fn frame(signal: &Signal) -> Option<&Frame> {
    let Signal::Block(block) = signal else {
        return None;
    };
    assert!(block.t_host_ns.is_some());
    match &block.samples {
        Samples::Frames(frames) => frames.first(),
        _ => None,
    }
}

#[test]
fn frames_of_an_mlx90640_are_degrees() {
    let simulated = SimulatedMlx90640::new(mlx90640::ADDRESS);
    let array = array(Kind::Mlx90640, 32_000);
    assert_eq!(
        array.unit(),
        "degrees Celsius of surfaces of emissivity 0.95"
    );
    let mut seen = Vec::new();
    said(&array, &Shared(Arc::new(Mutex::new(simulated))), |signal| {
        seen.extend(frame(signal).cloned());
        seen.len() == 3
    })
    .unwrap();
    assert_eq!((seen[0].width, seen[0].height), (32, 24));
    let Numbers::F32(celsius) = &seen[2].pixels else {
        panic!("{:?}", seen[2]);
    };
    // The scene that it looks at goes from -30 to 380 °C.
    assert!((celsius[767] - 380.0).abs() < 1.0, "{}", celsius[767]);
    assert!(celsius.is_sorted_by(|a, b| b - a > -12.0));
}

#[test]
fn a_sensor_that_comes_back_is_read_again() {
    let sensor = Shared(Arc::new(Mutex::new(SimulatedAmg8833::new(
        amg8833::ADDRESS,
    ))));
    let mut scene = [21.5; amg8833::PIXELS];
    scene[9] = 36.25;
    sensor.0.lock().unwrap().see(&scene);
    let (mut before, mut gone, mut after) = (0, 0, 0);
    said(&array(Kind::Amg8833, 10_000), &sensor, |signal| {
        if let Some(frame) = frame(signal) {
            assert_eq!(frame.pixels, Numbers::F32(scene.to_vec()));
            if gone == 0 && before == 1 {
                sensor.0.lock().unwrap().is_gone = true;
            }
            *(if gone == 0 { &mut before } else { &mut after }) += 1;
        } else {
            assert_eq!(*signal, Signal::Gone);
            sensor.0.lock().unwrap().is_gone = false;
            gone += 1;
        }
        after == 2
    })
    .unwrap();
    assert!(before >= 2 && gone == 1, "{before} {gone}");
}

/// Everything that an error says.
fn whole(error: SourceError) -> String {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    said
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let nobody = Shared(Arc::new(Mutex::new(SimulatedAmg8833::new(0x11))));
    let opened = said(&array(Kind::Amg8833, 1_000), &nobody, |_| true);
    assert_eq!(
        whole(opened.unwrap_err()),
        "amg8833 on \"/dev/i2c-9\": nothing answers at address 0x69"
    );
    let mut floating = SimulatedMlx90640::new(mlx90640::ADDRESS);
    floating.reads_as = Some(0xff);
    let floating = Shared(Arc::new(Mutex::new(floating)));
    let opened = said(&array(Kind::Mlx90640, 8_000), &floating, |_| true);
    assert_eq!(
        whole(opened.unwrap_err()),
        "mlx90640 on \"/dev/i2c-9\": the EEPROM holds nothing but 0xffff, expected the calibration of \
         an MLX90640"
    );
}

#[test]
fn a_bus_that_is_too_slow_ends_the_stream() {
    let mut hasty = SimulatedMlx90640::new(mlx90640::ADDRESS);
    hasty.is_hasty = true;
    let hasty = Shared(Arc::new(Mutex::new(hasty)));
    let error = said(&array(Kind::Mlx90640, 32_000), &hasty, |_| false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mlx90640 on \"/dev/i2c-9\": 16 times it measured anew before the bus had carried what it \
         measured, expected a faster bus, or a lower rate_hz"
    );
}

#[test]
fn files_that_are_no_bus_are_told() {
    let error = Wire::open("/dev/null".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "\"/dev/null\" is no I2C bus");
    let error = Wire::open("/nonexistent".as_ref()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open the I2C bus \"/nonexistent\""
    );
}

#[test]
fn rates_are_those_of_the_sensor() {
    let has = |kind, mhz| Array::new("x".as_ref(), kind, None, Some(mhz), None).is_some();
    assert!(has(Kind::Amg8833, 10_000) && !has(Kind::Amg8833, 8_000));
    assert!(has(Kind::Mlx90640, 250) && !has(Kind::Mlx90640, 9_000));
}
