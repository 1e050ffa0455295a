use sensorium_wire::{ImuBlock, ImuRawBlock, ImuSample, Payload};

/// Where samples come from: the driver of one sensor.
///
/// A driver that reads a data-ready bit or line returns one sample a call. One with a FIFO hands
/// out what it fetched in a burst, sample by sample, with the times at which they were taken.
pub trait SampleSource {
    /// The form in which samples travel: [`ImuBlock`] for SI units, [`ImuRawBlock`] for counts.
    type Block: Block;
    /// What can go wrong on the way to the sensor. The node counts it and tries again.
    type Error;

    /// How often the sensor samples, in millihertz. Not 0: such samples cannot be sent, and count as
    /// dropped. Asked for every sample, after [`read`](Self::read), as is the scale: a sensor may
    /// change both at any time.
    fn rate_mhz(&self) -> u32;

    /// What one count means; `()` for SI units.
    fn scale(&self) -> <Self::Block as Block>::Scale;

    /// The next sample, if there is one. Must not wait for it.
    ///
    /// # Errors
    ///
    /// If the sensor cannot be read now.
    fn read(&mut self, now_us: u64)
    -> Result<Reading<<Self::Block as Block>::Sample>, Self::Error>;
}

impl<S: SampleSource + ?Sized> SampleSource for &mut S {
    type Block = S::Block;
    type Error = S::Error;

    fn rate_mhz(&self) -> u32 {
        S::rate_mhz(self)
    }

    fn scale(&self) -> <Self::Block as Block>::Scale {
        S::scale(self)
    }

    fn read(
        &mut self,
        now_us: u64,
    ) -> Result<Reading<<Self::Block as Block>::Sample>, Self::Error> {
        S::read(self, now_us)
    }
}

/// What reading a sensor found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reading<T> {
    /// A sample.
    Sample {
        /// When it was taken, in microseconds since boot.
        t_us: u64,
        /// Its values.
        sample: T,
    },
    /// The sensor overwrote this many samples before they were read. They count as sampled and
    /// dropped.
    Missed(u32),
    /// Nothing new.
    Nothing,
}

/// What one count of a raw sample means.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ImuScale {
    /// Acceleration of one count, in m/s².
    pub accel_mps2_per_lsb: f32,
    /// Angular rate of one count, in rad/s.
    pub gyro_radps_per_lsb: f32,
}

/// A form in which samples travel. Implemented here for the blocks of [`sensorium_wire`].
pub trait Block: Clone + core::fmt::Debug + sealed::Sealed {
    /// One sample.
    type Sample: Copy;
    /// What the values of a sample mean.
    type Scale: Copy + core::fmt::Debug + PartialEq;

    /// A block without samples yet, whose first one will have number `index`.
    fn empty(index: u64, rate_mhz: u32, scale: Self::Scale) -> Self;

    /// Adds a sample; returns whether there was room.
    fn push(&mut self, sample: Self::Sample) -> bool;

    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no more room.
    fn is_full(&self) -> bool;

    /// The message that carries this block.
    fn into_payload(self) -> Payload;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for sensorium_wire::ImuBlock {}
    impl Sealed for sensorium_wire::ImuRawBlock {}
}

impl Block for ImuBlock {
    type Sample = ImuSample;
    type Scale = ();

    fn empty(index: u64, rate_mhz: u32, (): ()) -> Self {
        Self {
            index,
            rate_mhz,
            samples: heapless::Vec::new(),
        }
    }

    fn push(&mut self, sample: ImuSample) -> bool {
        self.samples.push(sample).is_ok()
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn is_full(&self) -> bool {
        self.samples.is_full()
    }

    fn into_payload(self) -> Payload {
        Payload::Imu(self)
    }
}

impl Block for ImuRawBlock {
    type Sample = [i16; 6];
    type Scale = ImuScale;

    fn empty(index: u64, rate_mhz: u32, scale: ImuScale) -> Self {
        Self {
            index,
            rate_mhz,
            accel_mps2_per_lsb: scale.accel_mps2_per_lsb,
            gyro_radps_per_lsb: scale.gyro_radps_per_lsb,
            samples: heapless::Vec::new(),
        }
    }

    fn push(&mut self, sample: [i16; 6]) -> bool {
        self.samples.push(sample).is_ok()
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn is_full(&self) -> bool {
        self.samples.is_full()
    }

    fn into_payload(self) -> Payload {
        Payload::ImuRaw(self)
    }
}
