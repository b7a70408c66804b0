//! Events of the monitor as events of `tracing` (feature `tracing`).

use super::event::{Change, Event, Severity};
use tracing::{error, info, warn};

/// An alarm that begins or grows worse is written by its severity; one that ends, as information.
pub(super) fn write(event: &Event) {
    let Event { subject, change, severity, bytes, .. } = event;
    let rule = event.rule().name();
    let begins = matches!(change, Change::Raised | Change::Escalated);
    match severity {
        Severity::Critical if begins => error!(%severity, %change, rule, %subject, bytes, "{event}"),
        Severity::Warning if begins => warn!(%severity, %change, rule, %subject, bytes, "{event}"),
        _ => info!(%severity, %change, rule, %subject, bytes, "{event}"),
    }
}
