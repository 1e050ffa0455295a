//! Where events go.

use std::io::{self, Write};

use sensorium_core::event::Phase;

use crate::event::Event;

/// Width of a full bar.
const BAR_LEN: usize = 10;

/// What takes events.
pub trait Sink {
    /// Takes an event.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn event(&mut self, event: &Event) -> io::Result<()>;
}

/// One JSON object a line, each written at once: a reader never sees half of one.
#[derive(Debug)]
pub struct JsonLines<W>(pub W);

impl<W: Write> Sink for JsonLines<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}

/// For people: time, what happened, and a bar as long as the score. A line is written at once, too.
#[derive(Debug)]
pub struct Human<W>(pub W);

impl<W: Write> Sink for Human<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let time_ns = if event.phase == Phase::Start.name() {
            event.t_start_ns
        } else {
            event.t_end_ns
        };
        let seconds = (event.t_end_ns - event.t_start_ns) as f64 / 1e9;
        let line = format!(
            "{}  {:6} {:18} {:.2} {}  {:6.1} s  {}\n",
            time_of_day(time_ns),
            event.phase,
            event.class,
            event.score,
            bar(event.score),
            seconds,
            streams(event),
        );
        self.0.write_all(line.as_bytes())?;
        self.0.flush()
    }
}

/// The streams that tell of an event.
fn streams(event: &Event) -> String {
    if event.fusion.is_empty() {
        return event.stream.clone();
    }
    let streams = event.fusion.iter().map(|part| part.stream.as_str());
    streams.collect::<Vec<_>>().join(" + ")
}

/// Hours, minutes and seconds of a time since 1970 (UTC) or since a recording began.
#[must_use]
pub fn time_of_day(t_ns: i64) -> String {
    let millis = t_ns.div_euclid(1_000_000);
    let seconds = millis.div_euclid(1000);
    format!(
        "{:02}:{:02}:{:02}.{}",
        seconds.div_euclid(3600).rem_euclid(24),
        seconds.div_euclid(60).rem_euclid(60),
        seconds.rem_euclid(60),
        millis.rem_euclid(1000) / 100
    )
}

/// A score from 0 to 1 as a bar.
#[must_use]
pub fn bar(score: f64) -> String {
    let filled = (score.clamp(0.0, 1.0) * BAR_LEN as f64).round() as usize;
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR_LEN - filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensorium_pack::Modality;

    fn event() -> Event {
        Event {
            id: "c5f9d1ff5ac03f80".to_owned(),
            phase: "end",
            class: "walking".to_owned(),
            score: 0.8125,
            margin: 0.7,
            modality: Modality::Imu,
            stream: "wrist".to_owned(),
            t_start_ns: 3_661_000_000_000,
            t_end_ns: 3_665_250_000_000,
            t_uncertainty_ns: 0,
            clock: "unsynced",
            pack: "p@1".to_owned(),
            bank: "b".to_owned(),
            coverage: 1.0,
            fusion: Vec::new(),
        }
    }

    #[test]
    fn a_line_of_json_has_the_contract_s_keys_in_order() {
        let mut sink = JsonLines(Vec::new());
        sink.event(&event()).unwrap();
        assert_eq!(
            String::from_utf8(sink.0).unwrap(),
            "{\"id\":\"c5f9d1ff5ac03f80\",\"phase\":\"end\",\"class\":\"walking\",\
             \"score\":0.8125,\"margin\":0.7,\"modality\":\"imu\",\"stream\":\"wrist\",\
             \"t_start_ns\":3661000000000,\"t_end_ns\":3665250000000,\"t_uncertainty_ns\":0,\
             \"clock\":\"unsynced\",\"pack\":\"p@1\",\"bank\":\"b\",\"coverage\":1.0}\n"
        );
    }

    #[test]
    fn a_line_for_people_has_time_and_bar() {
        let mut sink = Human(Vec::new());
        sink.event(&event()).unwrap();
        assert_eq!(
            String::from_utf8(sink.0).unwrap(),
            "01:01:05.2  end    walking            0.81 ████████░░     4.2 s  wrist\n"
        );
        assert_eq!(bar(f64::NAN).chars().count(), BAR_LEN);
        assert_eq!(time_of_day(-1), "23:59:59.9");
    }
}
