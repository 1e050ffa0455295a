use heapless::Deque;

use crate::{Block, Reading, SampleSource};

/// Samples read in one poll at most: deeper than the block, so that a FIFO read in bursts keeps up,
/// and an end to a driver that never says [`Reading::Nothing`].
const READS_PER_POLL: usize = 64;

/// Reads a source, cuts blocks, and keeps them until the link has room.
#[derive(Debug)]
pub(crate) struct Sampler<S: SampleSource, const QUEUE: usize> {
    pub source: S,
    pub counts: SampleCounts,
    max_block_age_us: u64,
    /// Number of the next sample.
    index: u64,
    open: Option<OpenBlock<S::Block>>,
    queue: Deque<Stamped<S::Block>, QUEUE>,
}

/// What the sampler counts: its part of a [`Status`](sensorium_wire::Status).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SampleCounts {
    pub sampled: u64,
    pub dropped: u64,
    pub missed: u64,
    pub sensor_errors: u32,
}

/// A block and the time of its first sample.
#[derive(Debug, Clone)]
pub(crate) struct Stamped<B> {
    pub t_us: u64,
    pub block: B,
}

/// A block that is being filled.
#[derive(Debug)]
struct OpenBlock<B: Block> {
    stamped: Stamped<B>,
    /// What the block says of all of its samples.
    rate_mhz: u32,
    scale: B::Scale,
    /// Time of its last sample.
    last_us: u64,
}

impl<B: Block> OpenBlock<B> {
    /// Whether a sample at `t_us` can go into this block. Otherwise a new one says what is different.
    fn continues(&self, t_us: u64, rate_mhz: u32, scale: B::Scale) -> bool {
        self.rate_mhz == rate_mhz
            && self.scale == scale
            && is_evenly_spaced(self.last_us, t_us, rate_mhz)
    }
}

impl<S: SampleSource, const QUEUE: usize> Sampler<S, QUEUE> {
    pub fn new(source: S, max_block_age_us: u32) -> Self {
        Self {
            source,
            counts: SampleCounts::default(),
            max_block_age_us: u64::from(max_block_age_us),
            index: 0,
            open: None,
            queue: Deque::new(),
        }
    }

    /// Reads what the sensor has.
    pub fn sample(&mut self, now_us: u64) {
        for _ in 0..READS_PER_POLL {
            match self.source.read(now_us) {
                Ok(Reading::Sample { t_us, sample }) => self.take(t_us, sample),
                Ok(Reading::Missed(samples)) => self.miss(samples),
                Ok(Reading::Nothing) => break,
                Err(_counted) => {
                    let errors = &mut self.counts.sensor_errors;
                    *errors = errors.saturating_add(1);
                    break;
                }
            }
        }
        let due = self
            .open
            .as_ref()
            .is_some_and(|open| now_us.saturating_sub(open.stamped.t_us) >= self.max_block_age_us);
        if due {
            self.close_block();
        }
    }

    /// Ends the block that is being filled, and queues it. If there is no room, the oldest block in
    /// the queue makes some: news is worth more than history.
    pub fn close_block(&mut self) {
        let Some(open) = self.open.take() else { return };
        if self.queue.is_full()
            && let Some(oldest) = self.queue.pop_front()
        {
            self.counts.dropped += len(&oldest.block);
        }
        if let Err(refused) = self.queue.push_back(open.stamped) {
            // Only a queue of no length at all.
            self.counts.dropped += len(&refused.block);
        }
    }

    /// The oldest block that waits.
    pub fn pop(&mut self) -> Option<Stamped<S::Block>> {
        self.queue.pop_front()
    }

    pub fn has_blocks(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Samples in memory here.
    pub fn waiting(&self) -> u64 {
        let open = self
            .open
            .as_ref()
            .map_or(0, |open| len(&open.stamped.block));
        let queued = self.queue.iter().map(|stamped| len(&stamped.block));
        open + queued.sum::<u64>()
    }

    fn take(&mut self, t_us: u64, sample: <S::Block as Block>::Sample) {
        let index = self.index;
        self.index += 1;
        self.counts.sampled += 1;
        let (rate_mhz, scale) = (self.source.rate_mhz(), self.source.scale());
        if let Some(open) = &self.open
            && !open.continues(t_us, rate_mhz, scale)
        {
            self.close_block();
        }
        let open = self.open.get_or_insert_with(|| OpenBlock {
            stamped: Stamped {
                t_us,
                block: S::Block::empty(index, rate_mhz, scale),
            },
            rate_mhz,
            scale,
            last_us: t_us,
        });
        open.last_us = t_us;
        let block = &mut open.stamped.block;
        if !block.push(sample) {
            self.counts.dropped += 1;
        }
        if block.is_full() {
            self.close_block();
        }
    }

    fn miss(&mut self, samples: u32) {
        let samples = u64::from(samples);
        self.close_block();
        self.index += samples;
        self.counts.sampled += samples;
        self.counts.dropped += samples;
        self.counts.missed += samples;
    }
}

/// Whether a sample at `t_us` is nearer to one period after one at `last_us` than to none or two.
fn is_evenly_spaced(last_us: u64, t_us: u64, rate_mhz: u32) -> bool {
    let period_us = 1_000_000_000 / u64::from(rate_mhz.max(1));
    let step_us = t_us.saturating_sub(last_us);
    step_us >= period_us / 2 && step_us <= period_us + period_us.div_ceil(2)
}

pub(crate) fn len<B: Block>(block: &B) -> u64 {
    u64::try_from(block.len()).unwrap_or(u64::MAX)
}
