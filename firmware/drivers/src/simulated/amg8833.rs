use embedded_hal::i2c::{ErrorType, I2c, Operation};

use super::Refused;
use crate::amg8833::{CELSIUS_PER_COUNT, PIXELS};

/// An AMG8833 that looks at a scene.
#[derive(Debug, Clone)]
pub struct SimulatedAmg8833 {
    address: u8,
    /// Registers 0x00 to 0x0f that keep what is written to them.
    settings: [u8; 16],
    register: u8,
    pixels: [u16; PIXELS],
    /// What the registers 0x0e and 0x0f hold.
    pub thermistor: u16,
    /// Every byte reads so, as from a bus that nobody drives.
    pub reads_as: Option<u8>,
    /// It was unplugged.
    pub is_gone: bool,
}

impl SimulatedAmg8833 {
    /// A sensor at 25 °C, before a wall of 25 °C.
    #[must_use]
    pub fn new(address: u8) -> Self {
        let mut settings = [0; 16];
        settings[0] = 0x10; // Asleep.
        Self {
            address,
            settings,
            register: 0,
            pixels: [0x064; PIXELS],
            thermistor: 0x190,
            reads_as: None,
            is_gone: false,
        }
    }

    /// Looks at a scene, in degrees Celsius.
    pub fn see(&mut self, celsius: &[f32; PIXELS]) {
        for (pixel, celsius) in self.pixels.iter_mut().zip(celsius) {
            let count = (celsius / CELSIUS_PER_COUNT) as i16;
            *pixel = count.cast_unsigned() & 0x0fff;
        }
    }

    fn byte(&self, register: u8) -> u8 {
        if let Some(byte) = self.reads_as {
            return byte;
        }
        match register {
            0x0e..=0x0f => self.thermistor.to_le_bytes()[usize::from(register & 1)],
            0x00..=0x0d => self.settings[usize::from(register)],
            0x80..=0xff => {
                let at = usize::from(register - 0x80);
                self.pixels[at / 2].to_le_bytes()[at % 2]
            }
            _ => 0,
        }
    }
}

impl ErrorType for SimulatedAmg8833 {
    type Error = Refused;
}

impl I2c for SimulatedAmg8833 {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), Refused> {
        if address != self.address || self.is_gone {
            return Err(Refused);
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    let Some((register, values)) = bytes.split_first() else {
                        continue;
                    };
                    self.register = *register;
                    for (at, value) in values.iter().enumerate() {
                        let register = usize::from(*register) + at;
                        // The reset register reads as 0.
                        if register != 1 && register < 0x0e {
                            self.settings[register] = *value;
                        }
                    }
                }
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.byte(self.register);
                        self.register = self.register.wrapping_add(1);
                    }
                }
            }
        }
        Ok(())
    }
}
