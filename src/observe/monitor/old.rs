//! The old-leases rule: sampled leases that are out for long, by who took them and where.
//!
//! Its definition stands at [`MonitorBuilder::leaks`](super::MonitorBuilder::leaks), since its numbers are the detector's.
//!
//! # Invariants
//!
//! - (a) A place is kept as long as its alarm is on or cools down, and there are at most as many as subjects.

use super::alarm::{Alarm, Verdict};
use super::event::{Event, Finding, Severity, Subject};
use super::rules::Rules;
use super::stats::Counts;
use super::watch::settle;
use crate::observe::LeakDetector;
use crate::pool::records::{LeaseRecord, each_old};
use core::panic::Location;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Who took leases, and where.
type Place = (Subject, &'static Location<'static>);

/// See the head of this file.
#[derive(Debug)]
pub(super) struct OldLeases {
    leaks: Arc<LeakDetector>,
    places: BTreeMap<Place, Old>,
}

/// What is known of a place.
#[derive(Debug, Default)]
struct Old {
    alarm: Alarm,
    /// Its old leases in this sample: how many, their bytes, and the age of the oldest.
    leases: u64,
    bytes: u64,
    age: Duration,
}

impl OldLeases {
    pub(super) fn new(leaks: Arc<LeakDetector>) -> Self {
        Self { leaks, places: BTreeMap::new() }
    }

    /// Polls the detector; what is to be told goes to `events`.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        at: Duration,
        rules: &Rules,
        counts: &mut Counts,
        events: &mut Vec<Event>,
    ) {
        self.look(now, rules, counts);
        let patience = rules.patience(rules.slow.over);
        self.places.retain(|&(subject, site), old| {
            let &mut Old { leases, bytes, age, .. } = old;
            let finding = Finding::OldLeases { site, leases, age };
            let verdict = if leases > 0 { Verdict::Raise(Severity::Warning) } else { Verdict::Quiet };
            let mut tell = |change, severity, finding| match change {
                Some(change) => events.push(Event { at: now, subject, change, severity, finding, bytes }),
                None => counts.held_back += 1,
            };
            settle(&mut old.alarm, &mut tell, finding, |alarm| alarm.judge(at, verdict, patience));
            old.alarm.is_remembered(at, patience.cool_down)
        });
    }

    /// Adds up the old leases of each place.
    fn look(&mut self, now: Instant, rules: &Rules, counts: &mut Counts) {
        let Self { leaks, places } = self;
        places.values_mut().for_each(|old| (old.leases, old.bytes, old.age) = (0, 0, Duration::ZERO));
        each_old(now, leaks.age(), |lease| {
            let place = (taker(lease), lease.site());
            if places.len() >= rules.limits.subjects && !places.contains_key(&place) {
                counts.overlooked += 1;
                return;
            }
            let old = places.entry(place).or_default();
            old.leases += 1;
            old.bytes = old.bytes.saturating_add(lease.bytes());
            old.age = old.age.max(lease.age());
        });
    }
}

fn taker(lease: &LeaseRecord) -> Subject {
    if lease.tag().is_empty() { Subject::Pool(lease.pool()) } else { Subject::Tag(lease.tag()) }
}
