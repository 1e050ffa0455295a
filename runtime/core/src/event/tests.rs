use super::*;
extern crate std;
use proptest::prelude::*;
use std::vec::Vec;

const HOP_US: u64 = 500_000;

fn policy() -> EventPolicy {
    EventPolicy {
        update_every_us: 10_000_000,
        ..EventPolicy::default()
    }
}

/// Phase, start and end (in hops) of each report on a series of scores, none standing for a window
/// that never came.
fn reports(policy: EventPolicy, scores: &[Option<f32>]) -> Vec<(Phase, u64, u64)> {
    let mut tracker = EventTracker::new(policy);
    let mut out = Vec::new();
    for (hop, score) in scores.iter().enumerate() {
        let t_start_us = hop as u64 * HOP_US;
        if let Some(score) = *score {
            let t_end_us = t_start_us + HOP_US;
            let seen = Observation {
                t_start_us,
                t_end_us,
                score,
                margin: score,
                coverage: 1.0,
            };
            out.extend(tracker.observe(seen));
        }
    }
    out.extend(tracker.finish());
    out.iter()
        .map(|r| (r.phase, r.t_start_us / HOP_US, r.t_end_us / HOP_US))
        .collect()
}

fn some(scores: &[f32]) -> Vec<Option<f32>> {
    scores.iter().copied().map(Some).collect()
}

#[test]
fn an_event_starts_late_enough_and_ends_where_the_median_falls() {
    let scores = some(&[0.1, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]);
    assert_eq!(
        reports(policy(), &scores),
        [(Phase::Start, 2, 4), (Phase::End, 2, 6)]
    );
}

#[test]
fn one_odd_window_neither_starts_nor_ends_an_event() {
    assert_eq!(
        reports(policy(), &some(&[0.1, 0.1, 0.99, 0.1, 0.1, 0.1])),
        []
    );
    let scores = some(&[0.9, 0.9, 0.9, 0.9, 0.0, 0.9, 0.9]);
    assert_eq!(
        reports(policy(), &scores),
        [(Phase::Start, 1, 3), (Phase::End, 1, 7)]
    );
}

#[test]
fn between_exit_and_enter_an_event_goes_on_but_none_begins() {
    let scores = some(&[0.4, 0.4, 0.4, 0.9, 0.9, 0.9, 0.4, 0.4, 0.4, 0.1, 0.1]);
    assert_eq!(
        reports(policy(), &scores),
        [(Phase::Start, 4, 6), (Phase::End, 4, 10)]
    );
}

#[test]
fn what_is_shorter_than_the_minimum_is_never_told() {
    let long = EventPolicy {
        min_duration_us: 4 * HOP_US,
        ..policy()
    };
    assert_eq!(reports(long, &some(&[0.9, 0.9, 0.9, 0.1, 0.1, 0.1])), []);
}

#[test]
fn after_the_end_the_class_is_quiet_for_the_cool_down() {
    let cool = EventPolicy {
        cool_down_us: 6 * HOP_US,
        median_windows: 1,
        ..policy()
    };
    let scores = some(&[0.9, 0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]);
    assert_eq!(
        reports(cool, &scores),
        [
            (Phase::Start, 0, 2),
            (Phase::End, 0, 2),
            (Phase::Start, 8, 10),
            (Phase::End, 8, 10)
        ]
    );
}

#[test]
fn a_gap_ends_the_event_where_it_was_last_seen() {
    let mut scores = some(&[0.9; 6]);
    scores.extend([None; 10]);
    scores.extend(some(&[0.9; 5]));
    assert_eq!(
        reports(policy(), &scores),
        [
            (Phase::Start, 1, 3),
            (Phase::End, 1, 6),
            (Phase::Start, 17, 19),
            (Phase::End, 17, 21)
        ]
    );
}

#[test]
fn a_long_event_is_told_again() {
    let often = EventPolicy {
        update_every_us: 4 * HOP_US,
        ..policy()
    };
    let ends: Vec<_> = reports(often, &some(&[0.9; 12]))
        .iter()
        .map(|r| (r.0, r.2))
        .collect();
    assert_eq!(
        ends,
        [
            (Phase::Start, 3),
            (Phase::Update, 7),
            (Phase::Update, 11),
            (Phase::End, 12)
        ]
    );
}

#[test]
fn a_report_carries_means() {
    let mut tracker = EventTracker::new(EventPolicy {
        median_windows: 1,
        ..policy()
    });
    let mut observe = |hop: u64, score, coverage| {
        tracker.observe(Observation {
            t_start_us: hop * HOP_US,
            t_end_us: (hop + 1) * HOP_US,
            score,
            margin: score / 2.0,
            coverage,
        })
    };
    assert!(observe(0, 1.0, 1.0).is_empty());
    let report = observe(1, 0.5, 0.5)[0];
    assert_eq!(
        (report.score, report.margin, report.coverage),
        (0.75, 0.375, 0.75)
    );
}

proptest! {
    /// Starts and ends alternate, events do not overlap, and nothing is left open.
    #[test]
    fn reports_are_well_formed(
        scores in proptest::collection::vec(proptest::option::weighted(0.9, 0.0f32..=1.0), 0..300),
        median_windows in 0usize..20,
        cool_down_us in 0u64..3_000_000,
    ) {
        let policy = EventPolicy { median_windows, cool_down_us, ..EventPolicy::default() };
        let mut open = None;
        let mut last_end = 0;
        for (phase, start, end) in reports(policy, &scores) {
            prop_assert!(start < end);
            match phase {
                Phase::Start => {
                    prop_assert!(open.is_none() && start >= last_end);
                    open = Some(start);
                }
                Phase::Update => prop_assert_eq!(open, Some(start)),
                Phase::End => {
                    prop_assert_eq!(open.take(), Some(start));
                    last_end = end;
                }
            }
        }
        prop_assert_eq!(open, None);
    }
}
