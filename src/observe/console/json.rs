//! The numbers of the console for programs.

use super::View;
use crate::observe::families::{Family, PROCESS};
use crate::observe::ledger::{PoolEntry, TagEntry};
use crate::observe::monitor::Event;
use crate::observe::snapshot::Snapshot;
use crate::pool::records::LeaseRecord;
use crate::pool::{DropReason, Imbalance};
use serde_json::{Value, json};

/// Everything that is shown. `alarms` is null where nobody watches, and `leases` where none are sampled.
pub(super) fn json(view: &View<'_>) -> Value {
    let View { snapshot, alarms, leases, imbalances } = view;
    let leases = leases.map(|leases| leases.iter().map(lease).collect::<Vec<_>>());
    let alarms = alarms.as_ref().map(|alarms| alarms.iter().map(alarm).collect::<Vec<_>>());
    let imbalances: Vec<_> = imbalances
        .iter()
        .map(|left| {
            let Imbalance { tag, pool, class_bytes, requests, values } = left;
            json!({ "tag": tag, "pool": pool, "class_bytes": class_bytes, "requests": requests, "values": values })
        })
        .collect();
    let tags: Vec<_> = snapshot.tags().iter().map(tag).collect();
    let pools: Vec<_> = snapshot.pools().iter().map(pool).collect();
    let process = process(snapshot);
    json!({
        "process": process,
        "alarms": alarms,
        "tags": tags,
        "pools": pools,
        "leases": leases,
        "imbalances": imbalances,
    })
}

fn alarm(event: &Event) -> Value {
    json!({
        "severity": event.severity.to_string(),
        "rule": event.rule().name(),
        "subject": event.subject.to_string(),
        "finding": event.finding.to_string(),
        "bytes": event.bytes,
    })
}

fn lease(lease: &LeaseRecord) -> Value {
    json!({
        "age_seconds": lease.age().as_secs_f64(),
        "tag": lease.tag(),
        "pool": lease.pool(),
        "class_bytes": lease.class_bytes(),
        "bytes": lease.bytes(),
        "site": lease.site().to_string(),
        "touched": lease.crumbs().collect::<Vec<_>>(),
    })
}

fn process(snapshot: &Snapshot) -> Value {
    let named =
        |family: &Family<_>| (family.name.trim_start_matches("ebbtide_").to_owned(), json!((family.of)(snapshot)));
    Value::Object(PROCESS.iter().map(named).collect())
}

fn tag(tag: &TagEntry) -> Value {
    json!({
        "tag": tag.tag,
        "outstanding": tag.outstanding,
        "outstanding_bytes": tag.outstanding_bytes,
        "idle": tag.idle,
        "idle_bytes": tag.idle_bytes,
        "retained_bytes": tag.retained_bytes(),
        "taken": tag.taken,
        "taken_bytes": tag.taken_bytes,
        "escaped": tag.escaped,
        "escaped_bytes": tag.escaped_bytes,
        "imbalances": tag.imbalances,
        "tasks": tag.tasks,
    })
}

fn pool(pool: &PoolEntry) -> Value {
    let stats = &pool.stats;
    let drops = DropReason::ALL.map(|reason| (reason.name().to_owned(), json!(stats.drops(reason))));
    json!({
        "pool": pool.pool,
        "class_bytes": pool.class_bytes,
        "outstanding": stats.outstanding(),
        "outstanding_bytes": pool.outstanding_bytes(),
        "idle": stats.idle,
        "idle_bytes": pool.idle_bytes(),
        "retained_bytes": pool.retained_bytes(),
        "escaped": stats.escaped(),
        "escaped_bytes": pool.escaped_bytes(),
        "peak_live": stats.peak_live,
        "hits": stats.hits,
        "misses": stats.made,
        "fetches": stats.fetches,
        "allocated_bytes": stats.made_bytes,
        "drops": Value::Object(drops.into_iter().collect()),
    })
}
