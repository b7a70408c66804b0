//! One sample after the other: reads the source, keeps time, puts each value before the rules.

use super::clock::Clock;
use super::event::{Event, Finding, Subject};
use super::old::OldLeases;
use super::rules::Rules;
use super::slow::WINDOWS;
use super::source::Source;
use super::stats::Counts;
use super::watch::Watch;
use super::windows::number_of;
use core::time::Duration;
use std::collections::HashMap;
use std::time::Instant;

/// Subjects in whose history a period is looked for in one sample at most: some 25 us each.
const SEARCHES: usize = 8;

/// See the head of this file.
pub(super) struct Sampler {
    source: Box<dyn Source>,
    clock: Clock,
    watches: Vec<Watch>,
    places: HashMap<Subject, usize>,
    /// The number of the window in which the last sample was.
    window: u64,
    /// What the source said of pauses in the last windows.
    pauses: [Duration; WINDOWS],
    /// Room for a history.
    means: Vec<f64>,
    old: Option<OldLeases>,
    /// Where the search for periods goes on.
    next_search: usize,
}

impl Sampler {
    pub(super) fn new(source: Box<dyn Source>, old: Option<OldLeases>, rules: &Rules) -> Self {
        Self {
            source,
            clock: Clock::default(),
            watches: Vec::new(),
            places: HashMap::new(),
            window: 0,
            pauses: [Duration::ZERO; WINDOWS],
            means: Vec::with_capacity(rules.history()),
            old,
            next_search: 0,
        }
    }

    /// Takes a sample; what is to be told goes to `events`.
    pub(super) fn sample(&mut self, now: Instant, rules: &Rules, counts: &mut Counts, events: &mut Vec<Event>) {
        let tick = self.clock.advance(now, rules.gap());
        counts.gaps += u64::from(tick.is_gap);
        if tick.is_step {
            counts.clock_steps += 1;
            self.watches.iter_mut().for_each(Watch::clock_stepped);
        }
        self.read(tick.at, rules, counts);
        let pause = self.pause(tick.at, rules);
        for watch in &mut self.watches {
            let (subject, fresh) = (watch.subject, watch.fresh.take());
            let bytes = fresh.unwrap_or(watch.bytes);
            let mut tell = |change, severity, finding: Finding| match change {
                Some(change) => events.push(Event { at: now, subject, change, severity, finding, bytes }),
                None => counts.held_back += 1,
            };
            // A counter that went below zero is no value.
            match fresh.filter(|&bytes| i64::try_from(bytes).is_ok()) {
                Some(bytes) => watch.sample(tick.at, bytes, rules, pause, &mut tell),
                None if is_gone(watch, tick.at, rules) => watch.end(&mut tell),
                None => {}
            }
        }
        self.search(tick.at, now, rules, counts, events);
        if let Some(old) = &mut self.old {
            old.sample(now, tick.at, rules, counts, events);
        }
        counts.subjects = self.watches.len() as u64;
    }

    /// Reads the source. It hands subjects out in the same order in most samples, so the next place is tried first.
    fn read(&mut self, at: Duration, rules: &Rules, counts: &mut Counts) {
        let Self { source, watches, places, .. } = self;
        let mut next = 0;
        source.read(&mut |subject, bytes| {
            let is_next = watches.get(next).is_some_and(|watch| watch.subject == subject);
            let place = if is_next { Some(next) } else { place_of(subject, at, rules, watches, places) };
            let Some(place) = place else {
                counts.overlooked += 1;
                return;
            };
            next = place + 1;
            let fresh = &mut watches[place].fresh;
            *fresh = Some(fresh.unwrap_or(0).saturating_add(bytes));
        });
    }

    /// The longest 99th percentile of pauses of one of the last windows.
    fn pause(&mut self, at: Duration, rules: &Rules) -> Duration {
        let window = number_of(at, rules.window());
        if window != self.window {
            self.window = window;
            self.pauses.rotate_right(1);
            self.pauses[0] = self.source.pause();
        }
        self.pauses.into_iter().max().unwrap_or_default()
    }

    /// Looks for periods in the history of some subjects.
    fn search(&mut self, at: Duration, now: Instant, rules: &Rules, counts: &mut Counts, events: &mut Vec<Event>) {
        let mut left = SEARCHES;
        for _ in 0..self.watches.len() {
            self.next_search = (self.next_search + 1) % self.watches.len();
            let watch = &mut self.watches[self.next_search];
            if !watch.is_due {
                continue;
            }
            let (subject, bytes) = (watch.subject, watch.bytes);
            watch.search(at, rules, &mut self.means, &mut |change, severity, finding| match change {
                Some(change) => events.push(Event { at: now, subject, change, severity, finding, bytes }),
                None => counts.held_back += 1,
            });
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
}

fn is_gone(watch: &Watch, at: Duration, rules: &Rules) -> bool {
    at.saturating_sub(watch.seen) > rules.slow.over
}

/// The place of a subject: its own, a new one, or that of one that is gone. `None` if there is no room for it.
fn place_of(
    subject: Subject,
    at: Duration,
    rules: &Rules,
    watches: &mut Vec<Watch>,
    places: &mut HashMap<Subject, usize>,
) -> Option<usize> {
    if let Some(&place) = places.get(&subject) {
        return Some(place);
    }
    let place = if watches.len() < rules.limits.subjects {
        watches.push(Watch::new(subject, at, rules));
        watches.len() - 1
    } else {
        let is_free = |watch: &Watch| watch.fresh.is_none() && !watch.has_alarm() && is_gone(watch, at, rules);
        let place = watches.iter().position(is_free)?;
        let gone = core::mem::replace(&mut watches[place], Watch::new(subject, at, rules));
        places.remove(&gone.subject);
        place
    };
    places.insert(subject, place);
    Some(place)
}
