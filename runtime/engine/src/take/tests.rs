use super::*;
use sensorium_core::ImuSample;

const RATE_MHZ: u32 = 1_000_000;

const PLAN: Plan = Plan {
    takes: 2,
    seconds: 1.0,
    countdown_s: 2,
};

/// A tenth of a second of sound, from a tenth of a second on.
fn sound(tenth: u64, value: impl Fn(u64) -> f32) -> Signal {
    let index = tenth * 100;
    Signal::Block(Block {
        index,
        t_us: index * 1000,
        rate_mhz: RATE_MHZ,
        offsets_us: None,
        samples: Samples::Sound((index..index + 100).map(value).collect()),
        t_host_ns: None,
    })
}

fn hum(n: u64) -> f32 {
    (n as f32 * 0.7).sin() * 0.1
}

fn directed(signals: impl IntoIterator<Item = Signal>) -> (Director, Vec<Cue>) {
    let (mut director, mut cues) = (Director::new(Modality::Audio, PLAN), Vec::new());
    for signal in signals {
        director.hear(&signal, &mut |cue| cues.push(cue));
    }
    (director, cues)
}

#[test]
fn takes_are_counted_down_to_by_the_samples() {
    let (director, cues) = directed((0..100).map(|tenth| sound(tenth, hum)));
    let of_take = |take| {
        [
            Cue::Countdown { take, seconds: 2 },
            Cue::Countdown { take, seconds: 1 },
            Cue::Begin { take },
            Cue::Taken { take },
        ]
    };
    assert_eq!(cues, [of_take(1), of_take(2)].concat());
    assert!(director.is_done());
    // What was heard in the second after the countdown, and nothing else.
    let expected = Samples::Sound((2000..3000).map(hum).collect());
    assert_eq!(director.taken[0].samples, expected);
    assert_eq!(director.taken[1].rate_mhz, RATE_MHZ);
}

#[test]
fn what_cannot_be_used_is_taken_again() {
    // Silent from half of the first take on, and well again later.
    let silent = |tenth: u64| match tenth {
        25..60 => sound(tenth, |_| 0.0),
        _ => sound(tenth, hum),
    };
    let (director, cues) = directed((0..150).map(silent));
    let rejected: Vec<&Cue> = { cues.iter() }
        .filter(|cue| matches!(cue, Cue::Rejected { .. }))
        .collect();
    let why = Rejection::Fault(Fault::Silent);
    assert_eq!(rejected[0], &Cue::Rejected { take: 1, why });
    assert!(director.is_done() && director.rejected.is_none());
    // A third of the take is missing.
    let lossy = (0..100).filter(|tenth| !(22..26).contains(tenth));
    let (_, cues) = directed(lossy.map(|tenth| sound(tenth, hum)));
    let missing = |cue: &Cue| match cue {
        Cue::Rejected {
            why: Rejection::Missing { coverage },
            ..
        } => Some(*coverage),
        _ => None,
    };
    let coverage = cues.iter().find_map(missing).unwrap();
    assert!((coverage - 0.6).abs() < 1e-6, "{cues:?}");
    // A writer that leaves in the middle of it.
    let mut signals: Vec<Signal> = (0..25).map(|tenth| sound(tenth, hum)).collect();
    signals.push(Signal::Gone);
    let (director, cues) = directed(signals);
    let why = Rejection::Interrupted;
    assert_eq!(cues.last(), Some(&Cue::Rejected { take: 1, why }));
    assert_eq!(director.rejected, Some((1, why)));
    assert_eq!(why.to_string(), "the device went away or began anew");
}

#[test]
fn a_stuck_sensor_is_no_take_of_any_sense() {
    let block = |tenth: u64| {
        let index = tenth * 10;
        Signal::Block(Block {
            index,
            t_us: index * 10_000,
            rate_mhz: 100_000,
            offsets_us: None,
            samples: Samples::Imu(vec![ImuSample::default(); 10]),
            t_host_ns: None,
        })
    };
    let (mut director, mut cues) = (Director::new(Modality::Imu, PLAN), Vec::new());
    for tenth in 0..60 {
        director.hear(&block(tenth), &mut |cue| cues.push(cue));
    }
    let is_stuck = |cue: &Cue| {
        let Cue::Rejected { why, .. } = cue else {
            return false;
        };
        matches!(why, Rejection::Fault(Fault::Stuck { .. }))
    };
    assert!(cues.iter().any(is_stuck), "{cues:?}");
}

/// Says signals, and ends.
#[derive(Debug)]
struct Script(Vec<Signal>);

impl Source for Script {
    fn run(self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        for signal in self.0 {
            if !feed.push(signal) {
                break;
            }
        }
        Ok(())
    }
}

#[test]
fn a_source_that_ends_or_is_never_well_is_said() {
    let taken = |signals: Vec<Signal>| {
        let stop = AtomicBool::new(false);
        take(
            Box::new(Script(signals)),
            Modality::Audio,
            PLAN,
            &stop,
            &mut |_| (),
        )
    };
    let whole = taken((0..100).map(|tenth| sound(tenth, hum)).collect()).unwrap();
    assert_eq!(whole.len(), 2);
    let error = taken((0..60).map(|tenth| sound(tenth, hum)).collect()).unwrap_err();
    assert_eq!(error.to_string(), "it ended after 1 of 2 takes");
    let error = taken((0..800).map(|tenth| sound(tenth, |_| 0.0)).collect()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10 takes in a row could not be used, the last because nothing but zeros comes"
    );
}
