//! The numbers of the console for programs.

use crate::observe::families::PROCESS;
use crate::observe::snapshot::Snapshot;
use crate::pool::DropReason;
use serde_json::{Value, json};

/// Everything that a snapshot says.
pub(super) fn json(snapshot: &Snapshot) -> Value {
    let process: serde_json::Map<_, _> = PROCESS
        .iter()
        .map(|family| (family.name.trim_start_matches("ebbtide_").to_owned(), json!((family.of)(snapshot))))
        .collect();
    let tags: Vec<_> = snapshot
        .tags()
        .iter()
        .map(|tag| {
            json!({
                "tag": tag.tag,
                "outstanding": tag.outstanding,
                "outstanding_bytes": tag.outstanding_bytes,
                "taken": tag.taken,
                "taken_bytes": tag.taken_bytes,
                "escaped": tag.escaped,
                "escaped_bytes": tag.escaped_bytes,
                "imbalances": tag.imbalances,
                "tasks": tag.tasks,
            })
        })
        .collect();
    let pools: Vec<_> = snapshot
        .pools()
        .iter()
        .map(|pool| {
            let stats = &pool.stats;
            let drops: serde_json::Map<_, _> =
                DropReason::ALL.iter().map(|&reason| (reason.name().to_owned(), json!(stats.drops(reason)))).collect();
            json!({
                "pool": pool.pool,
                "class_bytes": pool.class_bytes,
                "outstanding": stats.outstanding(),
                "outstanding_bytes": pool.outstanding_bytes(),
                "idle": stats.idle,
                "idle_bytes": pool.idle_bytes(),
                "retained_bytes": stats.charged_bytes,
                "peak_live": stats.peak_live,
                "hits": stats.hits,
                "misses": stats.made,
                "fetches": stats.fetches,
                "allocated_bytes": stats.made_bytes,
                "drops": drops,
            })
        })
        .collect();
    json!({ "process": process, "tags": tags, "pools": pools })
}
