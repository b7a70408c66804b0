//! Without the feature `tracing` events are not written.

use super::event::Event;

pub(super) fn write(_: &Event) {}
