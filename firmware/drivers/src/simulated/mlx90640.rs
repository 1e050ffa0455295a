use embedded_hal::i2c::{ErrorType, I2c, Operation};

use super::Refused;

/// Words of the EEPROM and of the RAM.
const WORDS: usize = 0x340;

/// A row of pixels, and how many there are.
const WIDTH: usize = 32;
const PIXELS: usize = 768;

/// What one sensor keeps and sees; `mlx90640.py` says where it is from.
const EXAMPLE: &str = include_str!("mlx90640.txt");

/// An MLX90640 that looks at a scene of -30 to 380 °C.
#[derive(Debug, Clone)]
pub struct SimulatedMlx90640 {
    address: u8,
    /// The words from 0x2400.
    pub eeprom: [u16; WORDS],
    /// What is measured as each sub-page.
    pub seen: [[u16; WORDS]; 2],
    ram: [u16; WORDS],
    status: u16,
    control: u16,
    place: u16,
    /// So many looks at the status it takes until the next sub-page is there.
    pub looks: u32,
    left: u32,
    /// It measures faster than anybody reads.
    pub is_hasty: bool,
    /// Every byte reads so, as from a bus that nobody drives.
    pub reads_as: Option<u8>,
    /// It was unplugged.
    pub is_gone: bool,
}

impl SimulatedMlx90640 {
    /// A sensor whose calibration is for reading as a chess board, as those that are sold are.
    #[must_use]
    pub fn new(address: u8) -> Self {
        Self::of("chess", address)
    }

    /// The same whose calibration is for reading row by row.
    #[must_use]
    pub fn interleaved(address: u8) -> Self {
        Self::of("interleaved", address)
    }

    fn of(kind: &str, address: u8) -> Self {
        Self {
            address,
            eeprom: words(kind, "eeprom"),
            seen: [words(kind, "ram 0"), words(kind, "ram 1")],
            ram: [0; WORDS],
            status: 1,
            control: 0x1901,
            place: 0,
            looks: 2,
            left: 2,
            is_hasty: false,
            reads_as: None,
            is_gone: false,
        }
    }

    /// Has measured the next sub-page: every other pixel, and all that is not a pixel.
    fn measure(&mut self) {
        let sub_page = self.status & 1 ^ 1;
        let seen = &self.seen[usize::from(sub_page)];
        for (at, (word, seen)) in self.ram.iter_mut().zip(seen).enumerate() {
            let square = (at / WIDTH + at % WIDTH) % 2;
            if at >= PIXELS || square == usize::from(sub_page) {
                *word = *seen;
            }
        }
        self.status = sub_page | 0x0008;
    }

    fn word(&mut self, place: u16) -> u16 {
        if place == 0x8000 && self.status & 0x0008 == 0 {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                self.measure();
            }
        }
        if let Some(byte) = self.reads_as {
            return u16::from_be_bytes([byte; 2]);
        }
        let at = |first: u16| usize::from(place - first);
        match place {
            0x0400..0x0740 => self.ram[at(0x0400)],
            0x2400..0x2740 => self.eeprom[at(0x2400)],
            0x8000 => self.status,
            0x800d => self.control,
            _ => 0,
        }
    }

    fn set(&mut self, place: u16, word: u16) {
        match place {
            0x8000 => {
                // What was measured last cannot be written.
                self.status = word & 0x0018 | self.status & 0x0007;
                self.left = if self.is_hasty { 1 } else { self.looks };
            }
            0x800d => self.control = word,
            _ => {}
        }
    }
}

/// Words of the example, by the line before them.
///
/// # Panics
///
/// If the file lacks them.
fn words(kind: &str, name: &str) -> [u16; WORDS] {
    let mut numbers = numbers(kind, name).map(|word| u16::from_str_radix(word, 16));
    core::array::from_fn(|_| match numbers.next() {
        Some(Ok(word)) => word,
        other => panic!("{kind} {name}: {other:?}"),
    })
}

/// Numbers of the example, by the line before them.
pub(crate) fn numbers<'a>(kind: &'a str, name: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    let is_title = |line: &str| line.starts_with("chess ") || line.starts_with("interleaved ");
    EXAMPLE
        .lines()
        .skip_while(move |line| line.strip_prefix(kind).map(str::trim) != Some(name))
        .skip(1)
        .take_while(move |line| !is_title(line))
        .flat_map(str::split_whitespace)
}

impl ErrorType for SimulatedMlx90640 {
    type Error = Refused;
}

impl I2c for SimulatedMlx90640 {
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
                    let (words, _) = bytes.as_chunks();
                    let mut words = words.iter().map(|word| u16::from_be_bytes(*word));
                    if let Some(place) = words.next() {
                        self.place = place;
                    }
                    for word in words {
                        self.set(self.place, word);
                        self.place = self.place.wrapping_add(1);
                    }
                }
                Operation::Read(bytes) => {
                    let (words, _) = bytes.as_chunks_mut();
                    for word in words {
                        *word = self.word(self.place).to_be_bytes();
                        self.place = self.place.wrapping_add(1);
                    }
                }
            }
        }
        Ok(())
    }
}
