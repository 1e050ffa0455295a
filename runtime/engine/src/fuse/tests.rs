use super::*;
use crate::classes::Classes;

const S: i64 = 1_000_000_000;

fn event(stream: &str, phase: Phase, from: i64, to: i64) -> Event {
    Event {
        id: event_id(stream, "falling", from * S),
        phase: phase.name(),
        class: "falling".to_owned(),
        score: if stream == "mic" { 0.6 } else { 0.9 },
        margin: 0.5,
        modality: if stream == "mic" {
            Modality::Audio
        } else {
            Modality::Imu
        },
        stream: stream.to_owned(),
        t_start_ns: from * S,
        t_end_ns: to * S,
        t_uncertainty_ns: 1_000_000,
        clock: "synced",
        pack: "p@1".to_owned(),
        bank: "b".to_owned(),
        coverage: 1.0,
        fusion: Vec::new(),
    }
}

fn fuser(more: &str) -> Fuser {
    let classes = Classes::parse(&format!("[[class]]\nname = 'falling'\n{more}")).unwrap();
    Fuser::new(&classes.classes, MERGE_WITHIN_S)
}

fn tell(fuser: &mut Fuser, events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    events
        .into_iter()
        .flat_map(|event| fuser.take(event))
        .collect()
}

fn phases(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.phase).collect()
}

#[test]
fn one_stream_passes_unchanged() {
    let events = [
        event("wrist", Phase::Start, 0, 1),
        event("wrist", Phase::Update, 0, 6),
        event("wrist", Phase::End, 0, 7),
        event("wrist", Phase::Start, 8, 9),
        event("wrist", Phase::End, 8, 9),
    ];
    assert_eq!(tell(&mut fuser(""), events.clone()), events);
}

#[test]
fn what_two_streams_tell_of_is_one_event() {
    let told = tell(
        &mut fuser(""),
        [
            event("wrist", Phase::Start, 10, 11),
            event("ceiling", Phase::Start, 9, 11),
            event("wrist", Phase::End, 10, 12),
            event("ceiling", Phase::Update, 9, 14),
            event("ceiling", Phase::End, 9, 15),
            event("ceiling", Phase::Start, 40, 41),
        ],
    );
    assert_eq!(phases(&told), ["start", "update", "update", "end", "start"]);
    assert!(told[..4].iter().all(|event| event.id == told[0].id));
    let (start, end) = (&told[0], &told[3]);
    assert!(start.fusion.is_empty());
    let streams: Vec<&str> = end.fusion.iter().map(|part| part.stream.as_str()).collect();
    assert_eq!(streams, ["ceiling", "wrist"]);
    // It keeps the start that it was told with.
    assert_eq!((end.t_start_ns, end.t_end_ns), (10 * S, 15 * S));
    assert_ne!(told[4].id, told[0].id);
}

#[test]
fn a_stream_that_lags_tells_of_the_same_event() {
    let told = tell(
        &mut fuser(""),
        [
            event("wrist", Phase::Start, 10, 11),
            event("wrist", Phase::End, 10, 12),
            // The next of the same stream is another.
            event("wrist", Phase::Start, 12, 13),
            event("ceiling", Phase::Start, 9, 10),
            event("ceiling", Phase::End, 9, 11),
        ],
    );
    assert_eq!(phases(&told), ["start", "end", "start", "update", "end"]);
    let same = |n: usize| told[n].id == told[0].id;
    assert!(same(1) && !same(2) && same(3) && same(4));
    assert_eq!((told[4].t_end_ns, told[4].fusion.len()), (12 * S, 2));
}

#[test]
fn a_stream_that_flickers_beside_one_that_does_not_is_one_event_of_bounded_size() {
    let mut fuser = fuser("");
    let mut told = fuser.take(event("ceiling", Phase::Start, 0, 1));
    for n in 1..1000 {
        let (from, to) = (10 * n, 10 * n + 5);
        told.extend(fuser.take(event("wrist", Phase::Start, from, to)));
        told.extend(fuser.take(event("wrist", Phase::End, from, to)));
    }
    told.extend(fuser.take(event("ceiling", Phase::End, 0, 10_000)));
    assert!(told.iter().all(|event| event.id == told[0].id));
    let (first, last) = (told.first().unwrap(), told.last().unwrap());
    assert_eq!((first.phase, last.phase), ("start", "end"));
    assert_eq!((last.stream.as_str(), last.fusion.len()), ("ceiling", 2));
    assert_eq!(fuser.groups[0].parts.len(), 2);
}

#[test]
fn what_is_apart_or_at_no_known_time_is_two_events() {
    let mut apart = fuser("");
    tell(
        &mut apart,
        [
            event("wrist", Phase::Start, 0, 1),
            event("wrist", Phase::End, 0, 2),
        ],
    );
    assert_eq!(
        phases(&apart.take(event("ceiling", Phase::Start, 4, 5))),
        ["start"]
    );
    let mut unknown = event("ceiling", Phase::Start, 10, 11);
    unknown.t_uncertainty_ns = u64::MAX;
    let told = tell(
        &mut fuser(""),
        [event("wrist", Phase::Start, 10, 11), unknown],
    );
    assert_eq!(phases(&told), ["start", "start"]);
    assert_ne!(told[0].id, told[1].id);
    let classes = Classes::parse("[[class]]\nname = 'falling'").unwrap();
    let never = &mut Fuser::new(&classes.classes, 0.0);
    let events = ["wrist", "ceiling"].map(|stream| event(stream, Phase::Start, 10, 11));
    assert_eq!(tell(never, events.clone()), events);
}

#[test]
fn senses_that_must_agree_tell_once_both_have() {
    let agreeing = "all = ['imu', 'audio']\nwithin_s = 2";
    let told = tell(
        &mut fuser(agreeing),
        [
            event("wrist", Phase::Start, 10, 11),
            event("wrist", Phase::End, 10, 12),
            event("mic", Phase::Start, 13, 14),
            event("mic", Phase::End, 13, 15),
        ],
    );
    assert_eq!(phases(&told), ["start", "end"]);
    assert_eq!((told[1].t_start_ns, told[1].t_end_ns), (10 * S, 15 * S));
    // As sure as the less sure of them.
    assert_eq!((told[1].score, told[1].fusion.len()), (0.6, 2));
    // The same in the other order, if one stream lags.
    let told = tell(
        &mut fuser(agreeing),
        [
            event("mic", Phase::Start, 13, 14),
            event("mic", Phase::End, 13, 15),
            event("wrist", Phase::Start, 10, 11),
            event("wrist", Phase::End, 10, 12),
        ],
    );
    assert_eq!(phases(&told), ["start", "end"]);
    assert_eq!(told[0].t_start_ns, 10 * S);
}

#[test]
fn one_sense_alone_is_not_told_however_often() {
    let mut agreeing = fuser("all = ['imu', 'audio']\nwithin_s = 2");
    for n in 0..1000 {
        let (from, to) = (100 * n, 100 * n + 5);
        let events = [
            event("wrist", Phase::Start, from, to),
            event("wrist", Phase::End, from, to),
            event("mic", Phase::Start, from + 20, to + 20),
            event("mic", Phase::End, from + 20, to + 20),
        ];
        assert_eq!(tell(&mut agreeing, events), []);
    }
    assert!(agreeing.groups.len() <= 3, "{}", agreeing.groups.len());
    assert_eq!(
        agreeing.lacking(&[Modality::Imu]),
        Some(("falling", Modality::Audio))
    );
    assert_eq!(agreeing.lacking(&[Modality::Audio, Modality::Imu]), None);
}

#[test]
fn uncertain_clocks_are_given_the_benefit_of_the_doubt() {
    let mut events = [
        event("wrist", Phase::Start, 10, 11),
        event("wrist", Phase::End, 10, 12),
        event("mic", Phase::Start, 20, 21),
    ];
    let agreeing = "all = ['imu', 'audio']\nwithin_s = 2";
    assert_eq!(tell(&mut fuser(agreeing), events.clone()), []);
    events[1].t_uncertainty_ns = 3 * S as u64;
    events[2].t_uncertainty_ns = 3 * S as u64;
    let told = tell(&mut fuser(agreeing), events);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].t_uncertainty_ns, 3 * S as u64);
}
