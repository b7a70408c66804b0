//! What a server's life came to.

use crate::request::Survivors;
use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::io;

/// How a server's life ended, and what outlived it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The error that the server ended with, if it did.
    pub error: Option<io::Error>,
    /// Whether the server had not ended when patience ran out, and its future was dropped. Connections that are tasks of their
    /// own, as axum's are, last until the runtime ends.
    pub is_cut_off: bool,
    /// How long the server and its requests took to end.
    pub drained_in: Duration,
    /// Requests and tasks that were alive when patience ran out.
    pub survivors: Option<Survivors>,
    /// Background loops and stop hooks that panicked.
    pub panicked: Vec<&'static str>,
    /// Stop hooks that did not end in time, and were aborted.
    pub late: Vec<&'static str>,
    /// Pools of which something was out after all this, and how many values.
    pub outstanding: Vec<(&'static str, u64)>,
    pub(super) has_served: bool,
}

impl Report {
    /// Whether everything ended by itself, in time, and nothing is out.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let ended = self.error.is_none() && !self.is_cut_off && self.survivors.is_none();
        ended && self.panicked.is_empty() && self.late.is_empty() && self.outstanding.is_empty()
    }

    /// The server has ended.
    pub(super) fn served(&mut self, served: io::Result<()>) {
        self.has_served = true;
        self.error = served.err();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drained in {:.3}s", self.drained_in.as_secs_f64())?;
        if let Some(error) = &self.error {
            write!(f, "\nthe server failed: {error}")?;
        }
        if self.is_cut_off {
            f.write_str("\nthe server did not end in time")?;
        }
        for tag in &self.panicked {
            write!(f, "\n{tag} panicked")?;
        }
        for tag in &self.late {
            write!(f, "\nstop hook {tag} did not end in time")?;
        }
        for (name, out) in &self.outstanding {
            write!(f, "\n{out} of {name} are out")?;
        }
        match &self.survivors {
            Some(survivors) => write!(f, "\n{survivors}"),
            None => Ok(()),
        }
    }
}

/// A start hook that failed.
#[derive(Debug)]
pub struct StartError {
    pub(super) tag: &'static str,
    pub(super) source: Box<dyn Error + Send + Sync>,
}

impl StartError {
    /// The hook's tag.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        self.tag
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start hook {} failed: {}", self.tag, self.source)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
