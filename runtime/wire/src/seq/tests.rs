use super::*;
use crate::{Hello, Status, stream};

fn observe(tracker: &mut SeqTracker, frames: &[(u16, u64)]) -> std::vec::Vec<Arrival> {
    frames
        .iter()
        .map(|&(seq, t)| tracker.observe(seq, t))
        .collect()
}

extern crate std;

fn hello(boot_id: u32, seq: u16, t_dev_us: u64) -> Packet {
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        firmware: [0, 1, 0],
        unique_id: [0; 12],
        boot_id,
    };
    Packet {
        stream: stream::NODE,
        seq,
        t_dev_us,
        payload: Payload::Hello(hello),
    }
}

fn status(stream: u8, seq: u16, t_dev_us: u64) -> Packet {
    Packet {
        stream,
        seq,
        t_dev_us,
        payload: Payload::Status(Status::default()),
    }
}

#[test]
fn counts_gaps_across_the_wrap() {
    let mut tracker = SeqTracker::new();
    let frames = [(0xfffe, 1), (0xffff, 2), (0, 3), (2, 5), (3, 6), (0, 70)];
    assert_eq!(
        observe(&mut tracker, &frames),
        [
            Arrival::First,
            Arrival::Next,
            Arrival::Next,
            Arrival::Gap { lost: 1 },
            Arrival::Next,
            Arrival::Gap { lost: 0xfffc },
        ]
    );
    let counts = tracker.counts();
    assert_eq!((counts.received, counts.lost, counts.old), (6, 0xfffd, 0));
}

#[test]
fn a_repeated_frame_is_old() {
    let mut tracker = SeqTracker::new();
    let frames = [(7, 10), (7, 10), (8, 20), (7, 10), (9, 30)];
    assert_eq!(
        observe(&mut tracker, &frames),
        [
            Arrival::First,
            Arrival::Old,
            Arrival::Next,
            Arrival::Old,
            Arrival::Next,
        ]
    );
    assert_eq!(tracker.counts().old, 2);
}

#[test]
fn a_block_may_carry_an_earlier_time_than_the_status_before_it() {
    let mut tracker = SeqTracker::new();
    let frames = [(0, 1_000_000), (1, 700_000), (3, 900_000)];
    assert_eq!(
        observe(&mut tracker, &frames),
        [Arrival::First, Arrival::Next, Arrival::Gap { lost: 1 }]
    );
}

/// Without device time, everything up to half of the numbers would be taken for old.
#[test]
fn an_outage_of_more_than_half_of_the_numbers_is_a_gap() {
    let mut tracker = SeqTracker::new();
    let frames = [(0, 0), (40_000, 600_000_000), (40_001, 600_100_000)];
    assert_eq!(
        observe(&mut tracker, &frames),
        [Arrival::First, Arrival::Gap { lost: 39_999 }, Arrival::Next]
    );
}

#[test]
fn a_reboot_starts_every_stream_anew() {
    let mut table = StreamTable::new();
    assert_eq!(table.observe(&hello(1, 0, 0)), Arrival::First);
    assert_eq!(table.observe(&hello(1, 1, 1_000_000)), Arrival::Next);
    let late = 50_000_000;
    assert_eq!(table.observe(&status(16, 900, late)), Arrival::First);
    assert_eq!(
        table.observe(&hello(1, 51, late)),
        Arrival::Gap { lost: 49 }
    );
    // The node boots again, and its first hello is lost.
    assert_eq!(table.observe(&status(16, 0, 100)), Arrival::Old);
    assert_eq!(table.observe(&status(16, 901, 200)), Arrival::Old);
    assert_eq!(table.observe(&status(16, 1200, 300)), Arrival::Old);
    assert_eq!(table.observe(&hello(2, 1, 1_000_000)), Arrival::Reboot);
    assert_eq!(table.observe(&status(16, 2, 1_000_100)), Arrival::First);
    assert_eq!(table.observe(&status(16, 3, 1_000_200)), Arrival::Next);

    assert_eq!((table.boot_id(), table.reboots()), (Some(2), 1));
    let counts = table.counts(16).unwrap();
    assert_eq!((counts.received, counts.lost, counts.old), (3, 0, 3));
    assert_eq!(table.counts(stream::NODE).unwrap().lost, 49);
    assert_eq!(table.counts(17), None);
}

#[test]
fn a_stream_too_many_is_told_from_the_others() {
    let mut table = StreamTable::new();
    let most = u8::try_from(MAX_STREAMS).unwrap();
    for stream in 0..most {
        assert_eq!(table.observe(&status(stream, 5, 0)), Arrival::First);
    }
    assert_eq!(table.observe(&status(most, 5, 0)), Arrival::Untracked);
    assert_eq!(table.observe(&status(0, 6, 0)), Arrival::Next);
    assert_eq!(table.iter().count(), MAX_STREAMS);
}
