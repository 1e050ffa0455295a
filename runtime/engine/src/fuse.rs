//! One event where several streams tell of one thing, and none where senses that must agree do not.
//!
//! ```text
//! wrist  ──── falling ─────┐
//! ceiling ──── falling ────┴▶ one event, told at once; `fusion` names both
//!
//! all = ["imu", "audio"]:
//! wrist  ──── glass breaking ─┐
//! mic    ──── glass breaking ─┴▶ told once both have said so, within `within_s`
//! ```
//!
//! Times of different streams are compared as far as their clocks allow: what their uncertainty leaves
//! open counts as near. Streams whose times nobody knows, uncertain by more than ten seconds, stay
//! apart. Times of samples (`clock = "sample"`) are taken to have begun together. A stream may tell of
//! an event after the others have ended it: then it goes on, with the same id, and ends again.

use std::collections::BTreeMap;

use sensorium_core::event::Phase;
use sensorium_pack::Modality;
use serde::Serialize;

use crate::classes::{Class, WITHIN_S};
use crate::event::{Event, event_id};

/// Events of one class from several streams are one if they are no further apart, in seconds.
pub const MERGE_WITHIN_S: f32 = 1.0;

/// Times that are less certain say nothing about what comes together.
const MOST_UNCERTAIN_NS: u64 = 10_000_000_000;

/// How much later than another a stream may tell of the same time.
const LATENESS_NS: i64 = 30_000_000_000;

/// Events that wait for another sense, at most; then the oldest is forgotten.
const WAITING: usize = 256;

/// Events of streams that wait together for another sense, at most.
const PARTS: usize = 16;

/// What one stream has to do with an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The stream.
    pub stream: String,
    /// Its sense.
    pub modality: Modality,
    /// Its mean score so far.
    pub score: f64,
}

/// Turns events of streams into events of the world.
#[derive(Debug, Clone)]
pub struct Fuser {
    rules: BTreeMap<String, Rule>,
    merge_within_ns: i64,
    groups: Vec<Group>,
}

/// Senses that must agree on a class.
#[derive(Debug, Clone)]
struct Rule {
    all: Vec<Modality>,
    within_ns: i64,
}

/// Events of streams that are one.
#[derive(Debug, Clone)]
struct Group {
    /// The newest report of each.
    parts: Vec<Event>,
    /// Id and start as they were first told.
    told: Option<(String, i64)>,
}

impl Fuser {
    /// A stage for these classes that has seen nothing. Events of one class that are no further apart
    /// than `merge_within_s` are one; none are, if it is 0.
    #[must_use]
    pub fn new(classes: &[Class], merge_within_s: f32) -> Self {
        let rules = classes.iter().filter(|class| !class.all.is_empty());
        let rule = |class: &Class| Rule {
            all: class.all.clone(),
            within_ns: nanos(class.within_s.unwrap_or(WITHIN_S)),
        };
        Self {
            rules: rules
                .map(|class| (class.name.clone(), rule(class)))
                .collect(),
            merge_within_ns: nanos(merge_within_s),
            groups: Vec::new(),
        }
    }

    /// A class that no event can be told of with these senses, and the sense that it lacks.
    #[must_use]
    pub fn lacking(&self, senses: &[Modality]) -> Option<(&str, Modality)> {
        self.rules.iter().find_map(|(class, rule)| {
            let lacking = rule.all.iter().find(|sense| !senses.contains(sense))?;
            Some((class.as_str(), *lacking))
        })
    }

    /// Takes an event of a stream; gives what is to be told.
    pub fn take(&mut self, event: Event) -> Vec<Event> {
        let rule = self.rules.get(&event.class);
        let within_ns = match rule {
            None if self.merge_within_ns == 0 => return vec![event],
            None => self.merge_within_ns,
            Some(rule) => rule.within_ns,
        };
        self.groups
            .retain(|group| !group.is_past(&event, within_ns));
        let same_class = |group: &&Group| group.class() == event.class;
        let known = |group: &Group| group.parts.iter().any(|part| part.id == event.id);
        let groups = || {
            self.groups
                .iter()
                .enumerate()
                .filter(|(_, g)| same_class(g))
        };
        let joins = |group: &Group| group.is_open_to(&event) && group.is_near(&event, within_ns);
        let at = groups()
            .find(|(_, group)| known(group))
            .or_else(|| groups().find(|(_, group)| joins(group)));
        let at = match at {
            Some((at, _)) => at,
            None => {
                if self.groups.len() >= WAITING {
                    let oldest = self.groups.iter().position(Group::is_over);
                    oldest.map(|at| self.groups.remove(at));
                }
                self.groups.push(Group {
                    parts: Vec::new(),
                    told: None,
                });
                self.groups.len() - 1
            }
        };
        self.groups[at].take(event, rule)
    }
}

impl Group {
    fn class(&self) -> &str {
        self.parts.first().map_or("", |part| &part.class)
    }

    fn is_over(&self) -> bool {
        self.parts.iter().all(Event::is_end)
    }

    /// Whether another event can belong to it: what one stream alone tells of is not joined to what it
    /// told of before.
    fn is_open_to(&self, event: &Event) -> bool {
        let is_its_own = self.parts.iter().all(|part| part.stream == event.stream);
        !(is_its_own && self.told.is_some() && self.is_over())
    }

    /// Whether nothing can belong to it any more, now that a stream tells of `event`.
    fn is_past(&self, event: &Event, within_ns: i64) -> bool {
        let mut parts = self.parts.iter();
        self.is_over()
            && parts.all(|part| apart_ns(part, event) > within_ns.saturating_add(LATENESS_NS))
    }

    fn is_near(&self, event: &Event, within_ns: i64) -> bool {
        let near = |part: &Event| {
            let uncertain_ns = part.t_uncertainty_ns.max(event.t_uncertainty_ns);
            let slack_ns = part.t_uncertainty_ns.saturating_add(event.t_uncertainty_ns);
            let slack_ns = i64::try_from(slack_ns).unwrap_or(i64::MAX);
            uncertain_ns <= MOST_UNCERTAIN_NS
                && apart_ns(part, event) <= within_ns.saturating_add(slack_ns)
        };
        self.parts.iter().any(near)
    }

    fn take(&mut self, event: Event, rule: Option<&Rule>) -> Vec<Event> {
        let (is_update, is_end) = (event.phase == Phase::Update.name(), event.is_end());
        let known = self.parts.iter_mut().find(|part| part.id == event.id);
        let is_new = known.is_none();
        match known {
            Some(part) => *part = event,
            None => self.add(event),
        }
        if self.told.is_none() {
            let heard = |sense: &Modality| self.parts.iter().any(|part| part.modality == *sense);
            if rule.is_some_and(|rule| !rule.all.iter().all(heard)) {
                return Vec::new();
            }
            let mut told = vec![self.merged(Phase::Start, rule)];
            if self.is_over() {
                told.push(self.merged(Phase::End, rule));
            }
            return told;
        }
        if self.is_over() {
            return vec![self.merged(Phase::End, rule)];
        }
        if is_new || (is_update && !is_end) {
            return vec![self.merged(Phase::Update, rule)];
        }
        Vec::new()
    }

    /// Adds an event of a stream. What that stream told of before is kept only until the whole is told,
    /// for what may still agree with it.
    fn add(&mut self, event: Event) {
        let is_before = |part: &Event| part.stream == event.stream && part.is_end();
        let before = self.parts.iter().position(is_before);
        match before.filter(|_| self.told.is_some() || self.parts.len() >= PARTS) {
            Some(at) => self.parts[at] = event,
            None => self.parts.push(event),
        }
    }

    /// The event that all parts are of.
    fn merged(&mut self, phase: Phase, rule: Option<&Rule>) -> Event {
        let mut merged = self.parts[0].clone();
        let (parts, is_first) = (&self.parts, self.told.is_none());
        let lowest = |of: fn(&Event) -> f64| parts.iter().map(of).fold(f64::INFINITY, f64::min);
        let highest = |of: fn(&Event) -> f64| parts.iter().map(of).fold(-f64::INFINITY, f64::max);
        // Agreement is as sure as the less sure of those who agree; else one is enough.
        let pick = |of| {
            if rule.is_some() {
                lowest(of)
            } else {
                highest(of)
            }
        };
        merged.phase = phase.name();
        merged.score = pick(|part| part.score);
        merged.margin = pick(|part| part.margin);
        merged.coverage = lowest(|part| part.coverage);
        for part in parts {
            if is_first {
                merged.t_start_ns = merged.t_start_ns.min(part.t_start_ns);
            }
            merged.t_end_ns = merged.t_end_ns.max(part.t_end_ns);
            if part.t_uncertainty_ns > merged.t_uncertainty_ns {
                merged.t_uncertainty_ns = part.t_uncertainty_ns;
                merged.clock = part.clock;
            }
        }
        // Of several events of one stream the last says how sure it is.
        let streams: BTreeMap<&str, &Event> = { parts.iter() }
            .map(|part| (part.stream.as_str(), part))
            .collect();
        if streams.len() > 1 {
            let part = |event: &&Event| Part {
                stream: event.stream.clone(),
                modality: event.modality,
                score: event.score,
            };
            merged.fusion = streams.values().map(part).collect();
        }
        let (id, t_start_ns) = self.told.get_or_insert_with(|| match merged.fusion[..] {
            [] => (merged.id.clone(), merged.t_start_ns),
            _ => {
                let streams: Vec<&str> = streams.into_keys().collect();
                let id = event_id(&streams.join("+"), &merged.class, merged.t_start_ns);
                (id, merged.t_start_ns)
            }
        });
        merged.id.clone_from(id);
        merged.t_start_ns = *t_start_ns;
        merged
    }
}

/// How long the one had been over when the other began; 0 if they overlap. What is not over yet may
/// reach as far as it likes.
fn apart_ns(a: &Event, b: &Event) -> i64 {
    let gap_ns = |first: &Event, second: &Event| match first.is_end() {
        true => second.t_start_ns.saturating_sub(first.t_end_ns),
        false => i64::MIN,
    };
    gap_ns(a, b).max(gap_ns(b, a)).max(0)
}

fn nanos(seconds: f32) -> i64 {
    (f64::from(seconds) * 1e9) as i64
}

#[cfg(test)]
mod tests;
