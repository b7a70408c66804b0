//! The books through the `metrics` facade (feature `metrics`), for programs whose metrics go that way already.
//!
//! Names and labels are those of the Prometheus text: both are made from one table.

use super::families::{DROPS, Family, Kind, POOL, PROCESS, RECLAIMS, TAG, kinds};
use super::ledger::PoolEntry;
use super::snapshot::Snapshot;
use crate::pool::DropReason;
use metrics::{Label, Unit, counter, describe_counter, describe_gauge, gauge};

impl Snapshot {
    /// Sets all numbers in the recorder that the program has installed for the `metrics` facade: gauges and counters under
    /// the names of [`write_prometheus`](Self::write_prometheus); for the histogram of reclaims, which the facade cannot set, gauges of
    /// its median, 99th percentile and longest, since the process began. Call it now and then, from a timer.
    ///
    /// The facade's `metrics-exporter-prometheus` forgets nothing here, since names of a snapshot stay;
    /// `metrics-exporter-otel` takes the numbers to OpenTelemetry.
    ///
    /// **Cost**: a look-up in the recorder, and an allocation for the labels, for each number: 11 a tag and 20 a pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::observe::{Ledger, Snapshot};
    ///
    /// let mut snapshot = Snapshot::new();
    /// Snapshot::describe(); // once, after the recorder was installed
    /// // Then every ten seconds or so:
    /// snapshot.take(&Ledger::process());
    /// snapshot.record();
    /// ```
    pub fn record(&self) {
        record(&PROCESS, core::slice::from_ref(self), |_| Vec::new());
        record(&TAG, self.tags(), |entry| vec![Label::new("tag", entry.tag)]);
        record(&POOL, self.pools(), pool);
        for entry in self.pools() {
            for reason in DropReason::ALL {
                let mut labels = pool(entry);
                labels.push(Label::new("reason", reason.name()));
                counter!(DROPS.0, labels).absolute(entry.stats.drops(reason));
            }
        }
        for (kind, times) in kinds(self) {
            for (quantile, percent) in [("0.5", 50), ("0.99", 99), ("1", 100)] {
                gauge!(RECLAIMS.0, "kind" => kind, "quantile" => quantile).set(times.percentile(percent).as_secs_f64());
            }
        }
    }

    /// Tells the installed recorder the unit and the meaning of each number.
    pub fn describe() {
        describe(&PROCESS);
        describe(&TAG);
        describe(&POOL);
        describe_counter!(DROPS.0, Unit::Count, DROPS.1);
        describe_gauge!(RECLAIMS.0, Unit::Seconds, RECLAIMS.1);
    }
}

fn pool(entry: &PoolEntry) -> Vec<Label> {
    let mut labels = vec![Label::new("pool", entry.pool)];
    if entry.class_bytes != 0 {
        labels.push(Label::new("class_bytes", entry.class_bytes.to_string()));
    }
    labels
}

fn record<E>(families: &[Family<E>], entries: &[E], labels: impl Fn(&E) -> Vec<Label>) {
    for family in families {
        for entry in entries {
            let value = (family.of)(entry);
            match family.kind {
                // Exact up to 2^53: 9 PB.
                Kind::Gauge => gauge!(family.name, labels(entry)).set(value as f64),
                Kind::Counter => counter!(family.name, labels(entry)).absolute(value),
            }
        }
    }
}

fn describe<E>(families: &[Family<E>]) {
    for family in families {
        let unit = match family.name.trim_end_matches("_total").rsplit('_').next() {
            Some("bytes") => Unit::Bytes,
            Some("seconds") => Unit::Seconds,
            _ => Unit::Count,
        };
        match family.kind {
            Kind::Gauge => describe_gauge!(family.name, unit, family.help),
            Kind::Counter => describe_counter!(family.name, unit, family.help),
        }
    }
}
