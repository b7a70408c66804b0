//! What the monitor tells: of which value, by which rule, what it found, and what changed.

use core::fmt;
use core::panic::Location;
use core::time::Duration;
use std::time::Instant;

/// Whose bytes a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Subject {
    /// What is on lease under a tag.
    Tag(&'static str),
    /// What a pool lends and keeps. Pools of one name are one subject, and so are the size classes of a buffer pool. Leases beyond a
    /// pool's bounds are counted by their mean size when they are made.
    Pool(&'static str),
    /// What all pools of the process lend and keep.
    Process,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Pool(pool) => write!(f, "pool {pool}"),
            Self::Process => f.write_str("process"),
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing when a cause is looked for.
    Hint,
    /// Worth a look soon.
    Warning,
    /// Worth a look now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// See [`SlowLeak`](super::SlowLeak).
    SlowLeak,
    /// See [`Burst`](super::Burst).
    Burst,
    /// See [`Periodic`](super::Periodic).
    Periodic,
    /// See [`MonitorBuilder::leaks`](super::MonitorBuilder::leaks).
    OldLeases,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 4] = [Self::SlowLeak, Self::Burst, Self::Periodic, Self::OldLeases];

    /// The name of the rule, as in events and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SlowLeak => "slow leak",
            Self::Burst => "burst",
            Self::Periodic => "periodic",
            Self::OldLeases => "old leases",
        }
    }
}

/// What changed about an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// It is on.
    Raised,
    /// It was on, and is worse now.
    Escalated,
    /// It is over.
    Cleared,
    /// It was none: a period that has been found since explains it.
    Withdrawn,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
        })
    }
}

/// What a rule measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// The growth of the floor, by [`SlowLeak`](super::SlowLeak).
    SlowLeak {
        /// In bytes per second.
        bytes_per_second: f64,
        /// The 99th percentile of recent reclaim pauses: see [`Source::pause`](super::Source::pause).
        pause: Duration,
    },
    /// The rise within a short time, by [`Burst`](super::Burst).
    Burst {
        /// In bytes.
        bytes: u64,
    },
    /// What repeats itself, by [`Periodic`](super::Periodic).
    Periodic {
        /// After how long.
        period: Duration,
        /// (peak - trough) / mean, in percent.
        percent: f64,
    },
    /// Sampled leases that are out for long, by [`MonitorBuilder::leaks`](super::MonitorBuilder::leaks).
    OldLeases {
        /// Where they were taken: each place has an alarm of its own.
        site: &'static Location<'static>,
        /// How many are so old. Where one lease in 1,024 is sampled, each stands for about so many.
        leases: u64,
        /// How long the oldest of them has been out.
        age: Duration,
    },
}

impl Finding {
    /// The rule that measured it.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match self {
            Self::SlowLeak { .. } => Rule::SlowLeak,
            Self::Burst { .. } => Rule::Burst,
            Self::Periodic { .. } => Rule::Periodic,
            Self::OldLeases { .. } => Rule::OldLeases,
        }
    }

    /// Where the leases were taken that it speaks of, by the rule that knows.
    #[must_use]
    pub fn site(&self) -> Option<&'static Location<'static>> {
        if let Self::OldLeases { site, .. } = self { Some(site) } else { None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowLeak { bytes_per_second, pause } => {
                write!(f, "grows by {:.2} MB/s, pauses {:.1} ms", bytes_per_second / 1e6, pause.as_secs_f64() * 1e3)
            }
            Self::Burst { bytes } => write!(f, "rose by {:.0} MB", *bytes as f64 / 1e6),
            Self::Periodic { period, percent } => {
                write!(f, "goes up and down by {percent:.0} % every {:.1} min", period.as_secs_f64() / 60.0)
            }
            Self::OldLeases { leases: 0, site, .. } => write!(f, "has no old lease of {site} any more"),
            Self::OldLeases { site, leases, age } => {
                let leases = format_args!("{leases} sampled {}", if *leases == 1 { "lease" } else { "leases" });
                write!(f, "has {leases} out for up to {:.0} s, taken at {site}", age.as_secs_f64())
            }
        }
    }
}

/// An alarm, and what changed about it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The instant of the sample.
    pub at: Instant,
    /// Whose bytes.
    pub subject: Subject,
    /// What changed.
    pub change: Change,
    /// How bad it is, or was.
    pub severity: Severity,
    /// What the rule measures now.
    pub finding: Finding,
    /// The value in this sample, in bytes. Of old leases, what those that were sampled were charged with.
    pub bytes: u64,
}

impl Event {
    /// The rule that speaks.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.finding.rule()
    }

    /// Whether it speaks of the same alarm as another one.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let alarm = |event: &Self| (event.subject, event.rule(), event.finding.site());
        alarm(self) == alarm(other)
    }
}

/// One line: `warning raised: slow leak, tag sessions grows by 0.41 MB/s, pauses 0.0 ms; 126 MB now`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, change, severity, finding, bytes, .. } = self;
        let rule = self.rule().name();
        let (unit, name) = if (1..1_000_000).contains(bytes) { (1e3, "kB") } else { (1e6, "MB") };
        write!(f, "{severity} {change}: {rule}, {subject} {finding}; {:.0} {name} now", *bytes as f64 / unit)
    }
}
