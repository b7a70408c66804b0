//! What is alive under a name: tagged scopes, and tasks. Nothing that has no name comes here.
//!
//! An entry is made by an [`Enrolled`] and goes with its drop, so the roll is as large as what is alive. Keys rise, so the
//! first entry of a tag is its oldest.

use super::content::Content;
use super::scopes::Shared;
use crate::pool::{self, LiveTask};
use crate::raw::slot::Handle;
use crate::sync::Arc;
use core::fmt;
use core::time::Duration;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Instant;

/// Tags that are told apart among the late ones; those of further tags count as [`OTHERS`].
const LATE_TAGS: usize = 64;
const OTHERS: &str = "(others)";

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scope,
    // Only a runtime spawns.
    #[allow(dead_code)]
    Task,
}

#[derive(Debug)]
struct Entry {
    tag: &'static str,
    kind: Kind,
    since: Instant,
}

#[derive(Debug, Default)]
struct Live {
    entries: BTreeMap<u64, Entry>,
    next: u64,
}

/// The entries, and how many of them were late.
#[derive(Debug, Default)]
pub(super) struct Roll {
    live: Mutex<Live>,
    late: Mutex<BTreeMap<&'static str, u64>>,
}

impl Roll {
    pub(super) fn is_empty(&self) -> bool {
        self.live.lock().entries.is_empty()
    }

    /// Sums by tag, the oldest first.
    pub(super) fn tags(&self) -> Vec<Tagged> {
        let now = Instant::now();
        let mut tags: Vec<Tagged> = Vec::new();
        for entry in self.live.lock().entries.values() {
            let known = tags.iter().position(|tagged| tagged.tag == entry.tag);
            let at = known.unwrap_or_else(|| {
                let oldest = now.saturating_duration_since(entry.since);
                tags.push(Tagged { tag: entry.tag, scopes: 0, tasks: 0, oldest });
                tags.len() - 1
            });
            match entry.kind {
                Kind::Scope => tags[at].scopes += 1,
                Kind::Task => tags[at].tasks += 1,
            }
        }
        tags
    }

    pub(super) fn late(&self) -> Vec<(&'static str, u64)> {
        self.late.lock().iter().map(|(tag, count)| (*tag, *count)).collect()
    }

    fn count_late(&self, tag: &'static str) {
        let mut late = self.late.lock();
        let full = late.len() >= LATE_TAGS && !late.contains_key(tag);
        *late.entry(if full { OTHERS } else { tag }).or_default() += 1;
    }
}

/// An entry in the roll, which goes with it.
pub(crate) struct Enrolled {
    shared: Arc<Shared>,
    key: u64,
    tag: &'static str,
    /// For the books of the process, which know of all scopes.
    _task: Option<LiveTask>,
}

impl Enrolled {
    pub(super) fn new(shared: &Arc<Shared>, tag: &'static str, kind: Kind) -> Self {
        let since = Instant::now();
        let mut live = shared.roll.live.lock();
        let key = live.next;
        live.next += 1;
        live.entries.insert(key, Entry { tag, kind, since });
        drop(live);
        let task = (kind == Kind::Task).then(|| LiveTask::of(pool::tag(tag)));
        Self { shared: Arc::clone(shared), key, tag, _task: task }
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.shared.roll.live.lock().entries.remove(&self.key);
    }
}

impl fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enrolled").field(&self.tag).finish()
    }
}

/// The tag of a scope and its clones.
#[derive(Debug)]
pub(super) struct Tag {
    entry: Enrolled,
    handle: Handle<Content>,
}

impl Tag {
    pub(super) fn new(shared: &Arc<Shared>, name: &'static str, handle: Handle<Content>) -> Self {
        Self { entry: Enrolled::new(shared, name, Kind::Scope), handle }
    }

    pub(super) fn name(&self) -> &'static str {
        self.entry.tag
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        if self.handle.is_closed() {
            self.entry.shared.roll.count_late(self.entry.tag);
        }
    }
}

/// What is alive under one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tagged {
    /// The name that was given.
    pub tag: &'static str,
    /// Scopes with this tag, a scope and its clones counted once.
    pub scopes: usize,
    /// Background tasks with this tag.
    pub tasks: usize,
    /// How long the oldest of them has lived.
    pub oldest: Duration,
}
