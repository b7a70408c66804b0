//! What a monitor told, as Prometheus text: so that a fleet's Prometheus hears of alarms that only the process could see.

use super::monitor::{Monitor, Rule};
use core::fmt;

impl Monitor {
    /// Writes the alarms that are on, and those that were raised, by rule, in Prometheus' text format: to be put behind what
    /// [`Snapshot::write_prometheus`](super::Snapshot::write_prometheus) writes, as the console does.
    ///
    /// # Errors
    ///
    /// Only what `out` answers.
    pub fn write_prometheus(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let (alarms, stats) = (self.alarms(), self.stats());
        let on = |rule| alarms.iter().filter(|alarm| alarm.rule() == rule).count() as u64;
        family(out, "ebbtide_alarms", "gauge", "Alarms of the process's own monitor that are on.", on)?;
        let help = "Alarms that the process's own monitor raised.";
        family(out, "ebbtide_alarms_raised_total", "counter", help, |rule| stats.raised(rule))
    }
}

fn family(out: &mut impl fmt::Write, name: &str, kind: &str, help: &str, of: impl Fn(Rule) -> u64) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    for rule in Rule::ALL {
        writeln!(out, "{name}{{rule=\"{}\"}} {}", rule.name(), of(rule))?;
    }
    Ok(())
}
