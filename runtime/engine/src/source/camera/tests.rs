use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sensorium_media::Numbers;

use super::*;
use crate::queue::{Popped, Queue};

/// What each opening of a camera gives, and then an error.
#[derive(Debug, Clone)]
struct Script(Arc<Mutex<VecDeque<Vec<Shot>>>>);

#[derive(Debug)]
struct Scripted(VecDeque<Shot>);

fn gone() -> SourceError {
    SourceError::OpenPipe {
        path: "camera".into(),
        source: ErrorKind::NotFound.into(),
    }
}

impl Opener for Script {
    fn open(&self) -> Result<Box<dyn Camera>, SourceError> {
        let shots = self.0.lock().unwrap().pop_front().ok_or_else(gone)?;
        Ok(Box::new(Scripted(shots.into())))
    }
}

impl Camera for Scripted {
    fn next(&mut self) -> Result<Option<Shot>, SourceError> {
        self.0.pop_front().map(Some).ok_or_else(gone)
    }

    fn rate_mhz(&self) -> u32 {
        10_000
    }

    fn blank(&self) -> Frame {
        shot(0, None).frame
    }
}

fn shot(taken_ms: i64, number: Option<u32>) -> Shot {
    Shot {
        frame: Frame {
            height: 1,
            width: 1,
            pixels: Numbers::F32(vec![taken_ms as f32]),
        },
        taken_ns: 5_000_000_000 + taken_ms * 1_000_000,
        number,
    }
}

/// What is said of openings at 10 Hz, as index and time of each frame.
fn said(openings: Vec<Vec<Shot>>, retry: Retry) -> (Vec<Option<(u64, u64)>>, String) {
    let script = Script(Arc::new(Mutex::new(openings.into())));
    let frames = Frames::open(script, "degrees".into()).unwrap();
    assert_eq!(frames.unit().unwrap(), "degrees");
    let (queue, stop) = (Queue::new(u64::MAX), AtomicBool::new(false));
    let error = Box::new(frames.with_retry(retry))
        .run(Feed::new(&queue, &stop, true))
        .unwrap_err();
    queue.close();
    let signal = || match queue.pop(Duration::ZERO).0 {
        Popped::Item(Signal::Block(block)) => Some(Some((block.index, block.t_us))),
        Popped::Item(Signal::Gone) => Some(None),
        Popped::End => None,
        other => panic!("{other:?}"),
    };
    (std::iter::from_fn(signal).collect(), error.to_string())
}

#[test]
fn what_did_not_come_is_known_by_time() {
    let shots = [0, 98, 205, 360, 520, 1020].map(|ms| shot(ms, None));
    let (said, error) = said(vec![shots.to_vec()], Retry::For(Duration::ZERO));
    let expected = [
        (0, 0),
        (1, 98_000),
        (2, 205_000),
        (3, 360_000),
        (4, 520_000),
        (9, 1_020_000),
    ];
    assert_eq!(said[..6], expected.map(Some));
    assert_eq!((said[6], said.len()), (None, 7));
    assert_eq!(error, "cannot open \"camera\"");
}

#[test]
fn what_did_not_come_is_known_by_the_devices_count() {
    let shots = [(0, 7), (100, 8), (400, 11), (420, 12)];
    let shots = shots.map(|(ms, number)| shot(ms, Some(number)));
    let (said, _) = said(vec![shots.to_vec()], Retry::For(Duration::ZERO));
    let indices: Vec<_> = said.into_iter().flatten().map(|(index, _)| index).collect();
    assert_eq!(indices, [0, 1, 4, 5]);
}

#[test]
fn a_camera_that_comes_back_goes_on_where_it_would_be() {
    let openings = vec![
        vec![shot(0, Some(40)), shot(100, Some(41))],
        vec![shot(2_100, Some(0)), shot(2_200, Some(1))],
    ];
    let (said, _) = said(openings, Retry::For(Duration::from_millis(250)));
    let expected = [
        Some((0, 0)),
        Some((1, 100_000)),
        None,
        Some((21, 2_100_000)),
        Some((22, 2_200_000)),
        None,
    ];
    assert_eq!(said, expected);
}
