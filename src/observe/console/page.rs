//! The overview as HTML: the tables, which need no script. `page.html` has the style around them and the script that asks for
//! the page again and draws the charts.

use super::View;
use crate::observe::ledger::{PoolEntry, TagEntry};
use crate::observe::monitor::{Event, Subject};
use crate::observe::snapshot::Snapshot;
use crate::pool::records::LeaseRecord;
use crate::pool::{DropReason, Imbalance};
use core::cmp::Reverse;
use core::fmt::{self, Display, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Leases that are shown: more would hide what stands below.
const OLDEST: usize = 20;

const PAGE: &str = include_str!("page.html");

/// The whole page. `nonce` marks its own style and script.
pub(super) fn page(view: &View<'_>, path: &str, nonce: &str, now: SystemTime) -> String {
    let mut body = String::new();
    // A string takes everything.
    let _ = write_body(&mut body, view, path, now);
    let page = PAGE.replace("{{nonce}}", nonce);
    page.replacen("{{body}}", &body, 1)
}

fn write_body(out: &mut String, view: &View<'_>, path: &str, now: SystemTime) -> fmt::Result {
    let snapshot = view.snapshot;
    header(out, view.alarms.as_deref(), path)?;
    let sums = Sums::of(snapshot);
    let millis = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let retained = snapshot.retained_bytes();
    writeln!(
        out,
        "<main data-time=\"{millis}\" data-in-use=\"{}\" data-retained=\"{retained}\" data-alarms=\"{}\">",
        sums.in_use,
        view.alarms.as_ref().map_or(0, Vec::len)
    )?;
    figures(out, &sums, retained)?;
    alarms(out, view.alarms.as_deref().unwrap_or_default())?;
    out.write_str(
        "<section id=\"chart\" class=\"chart\" hidden><h2>In use, and what is retained<small></small></h2><div></div>\
         <p><span></span><span>now</span></p></section>\n\
         <section id=\"by-tag\" class=\"chart\" hidden><nav><a href=\"#in-use\">in use</a><a href=\"#idle\">idle</a>\
         <a href=\"#retained\">retained</a></nav><h2>By tag<small></small></h2><div></div>\
         <p><span></span><span>now</span></p><ul class=\"legend\"></ul></section>\n<noscript><section>Charts need JavaScript; the tables do not.</section></noscript>\n",
    )?;
    tags(out, snapshot, view.alarms.as_deref().unwrap_or_default())?;
    leases(out, view.leases.unwrap_or_default())?;
    imbalances(out, &view.imbalances)?;
    pools(out, snapshot)?;
    out.write_str("</main>")
}

/// `alarms` is `None` where nobody watches.
fn header(out: &mut String, alarms: Option<&[Event]>, path: &str) -> fmt::Result {
    let path = Text(path);
    out.write_str("<header><h1>ebbtide</h1> ")?;
    let worst = alarms.and_then(|alarms| alarms.iter().map(|alarm| alarm.severity).max());
    match (alarms.map(<[Event]>::len), worst) {
        (None, _) => out.write_str("<span id=\"pill\" class=\"pill none\">no monitor</span>"),
        (Some(1), Some(worst)) => write!(out, "<span id=\"pill\" class=\"pill {worst}\">1 alarm</span>"),
        (Some(many), Some(worst)) => write!(out, "<span id=\"pill\" class=\"pill {worst}\">{many} alarms</span>"),
        (Some(_), None) => out.write_str("<span id=\"pill\" class=\"pill\">no alarm</span>"),
    }?;
    out.write_str(" <span id=\"state\"></span><nav><button hidden>pause</button>")?;
    for (page, name) in [("json", "JSON"), ("dump", "dump"), ("pprof", "pprof"), ("metrics", "metrics")] {
        write!(out, "<a href=\"{path}/{page}\">{name}</a>")?;
    }
    out.write_str("</nav></header>\n")
}

fn alarms(out: &mut String, alarms: &[Event]) -> fmt::Result {
    if alarms.is_empty() {
        return Ok(());
    }
    out.write_str("<section><h2>Alarms</h2><ul class=\"alarms\">")?;
    for alarm in alarms {
        let Event { severity, subject, finding, bytes, .. } = alarm;
        let (rule, bytes) = (alarm.rule().name(), Bytes(*bytes));
        // Both have names in them: of a tag or pool, and of a file.
        let found = format!("{subject} {finding}");
        write!(out, "<li class=\"{severity}\"><b>{rule}</b>: {}; {bytes} when it was told</li>", Text(&found))?;
    }
    out.write_str("</ul></section>\n")
}

/// What the tiles say.
struct Sums {
    in_use: u64,
    idle: u64,
    allocated: u64,
    outstanding: u64,
    hits: u64,
    misses: u64,
}

impl Sums {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            in_use: snapshot.sum(PoolEntry::outstanding_bytes),
            idle: snapshot.sum(PoolEntry::idle_bytes),
            allocated: snapshot.total(|pool| pool.stats.made_bytes),
            outstanding: snapshot.sum(|pool| pool.stats.outstanding()),
            hits: snapshot.total(|pool| pool.stats.hits),
            misses: snapshot.total(|pool| pool.stats.made),
        }
    }
}

fn figures(out: &mut String, sums: &Sums, retained: u64) -> fmt::Result {
    let Sums { in_use, idle, allocated, outstanding, hits, misses } = *sums;
    writeln!(
        out,
        "<section><dl class=\"figures\">\
         <div><dt class=\"use\">in use</dt><dd>{}<small>{outstanding} values</small></dd></div>\
         <div><dt>idle</dt><dd>{}</dd></div>\
         <div><dt class=\"keep\">retained</dt><dd>{}<small>in the budget of the process</small></dd></div>\
         <div><dt>allocated</dt><dd>{}<small data-key=\"allocated\" data-rate=\"{allocated}\" data-unit=\"bytes\"></small></dd></div>\
         <div><dt>hit rate</dt><dd>{}<small data-key=\"gets\" data-rate=\"{}\"></small></dd></div>\
         </dl></section>",
        Bytes(in_use),
        Bytes(idle),
        Bytes(retained),
        Bytes(allocated),
        Rate(hits, misses),
        hits + misses,
    )
}

fn tags(out: &mut String, snapshot: &Snapshot, alarms: &[Event]) -> fmt::Result {
    out.write_str("<section><h2>Tags<small>who took what is out, and left what is idle</small></h2>")?;
    let mut tags: Vec<&TagEntry> = snapshot.tags().iter().collect();
    tags.sort_by_key(|tag| Reverse(tag.outstanding_bytes));
    if tags.is_empty() {
        return out.write_str("<p class=\"none\">Nothing was taken under a tag yet.</p></section>\n");
    }
    let numbers = ["in use", "values", "idle", "retained", "taken", "escaped", "imbalances", "tasks"];
    head(out, &["tag", ""], &numbers)?;
    for tag in tags {
        let name = Text(tag.tag);
        let alarm =
            alarms.iter().filter(|alarm| alarm.subject == Subject::Tag(tag.tag)).map(|alarm| alarm.severity).max();
        let class = alarm.map_or(String::new(), |severity| format!(" class=\"{severity}\""));
        write!(
            out,
            "<tr{class} data-key=\"tag {name}\" data-bytes=\"{}\" data-idle=\"{}\"><td class=\"name\">{name}</td><td class=\"spark\"></td>",
            tag.outstanding_bytes, tag.idle_bytes
        )?;
        number(out, tag.outstanding_bytes, Bytes(tag.outstanding_bytes))?;
        number(out, tag.outstanding, tag.outstanding)?;
        for bytes in [tag.idle_bytes, tag.retained_bytes()] {
            number(out, bytes, Bytes(bytes))?;
        }
        for value in [tag.taken, tag.escaped, tag.imbalances, tag.tasks] {
            number(out, value, value)?;
        }
        out.write_str("</tr>\n")?;
    }
    out.write_str("</tbody></table></section>\n")
}

fn pools(out: &mut String, snapshot: &Snapshot) -> fmt::Result {
    out.write_str("<section><h2>Pools<small>what waits, and what is lent</small></h2>")?;
    let mut pools: Vec<&PoolEntry> = snapshot.pools().iter().collect();
    pools.sort_by_key(|pool| Reverse(pool.retained_bytes()));
    if pools.is_empty() {
        return out.write_str("<p class=\"none\">There is no pool yet.</p></section>\n");
    }
    head(out, &["pool", ""], &["in use", "idle", "values out", "waiting", "peak", "hit rate", "misses", "drops"])?;
    for pool in pools {
        let (stats, name) = (&pool.stats, PoolName(pool.pool, pool.class_bytes));
        write!(
            out,
            "<tr data-key=\"pool {name}\" data-bytes=\"{}\"><td class=\"name\">{name}</td><td class=\"spark\"></td>",
            pool.outstanding_bytes()
        )?;
        for bytes in [pool.outstanding_bytes(), pool.idle_bytes()] {
            number(out, bytes, Bytes(bytes))?;
        }
        for values in [stats.outstanding(), stats.idle, stats.peak_live] {
            number(out, values, values)?;
        }
        number(out, stats.gets(), Rate(stats.hits, stats.made))?;
        number(out, stats.made, stats.made)?;
        let drops = || DropReason::ALL.into_iter().map(|reason| (stats.drops(reason), reason.name()));
        let sum: u64 = drops().map(|(count, _)| count).sum();
        match drops().max().filter(|&(count, _)| count > 0) {
            Some((_, reason)) => number(out, sum, format_args!("{sum}, most: {reason}"))?,
            None => number(out, 0, 0)?,
        }
        out.write_str("</tr>\n")?;
    }
    out.write_str("</tbody></table></section>\n")
}

fn leases(out: &mut String, leases: &[LeaseRecord]) -> fmt::Result {
    if leases.is_empty() {
        return Ok(());
    }
    out.write_str("<section><h2>Oldest leases<small>of those that are sampled</small></h2>")?;
    head(out, &["taken at", "tag", "pool", "touched"], &["out for", "size"])?;
    for lease in leases.iter().take(OLDEST) {
        let (site, pool) = (lease.site().to_string(), PoolName(lease.pool(), lease.class_bytes()));
        let tag = if lease.tag().is_empty() { "–" } else { lease.tag() };
        write!(out, "<tr><td class=\"site\">{}</td><td>{}</td><td>{pool}</td><td>", Text(&site), Text(tag))?;
        for (at, crumb) in lease.crumbs().enumerate() {
            write!(out, "{}{}", if at == 0 { "" } else { ", " }, Text(crumb))?;
        }
        let seconds = lease.age().as_secs();
        write!(out, "</td><td class=\"n\">{}</td>", Age(seconds))?;
        number(out, lease.bytes(), Bytes(lease.bytes()))?;
        out.write_str("</tr>\n")?;
    }
    out.write_str("</tbody></table></section>\n")
}

fn imbalances(out: &mut String, imbalances: &[Imbalance]) -> fmt::Result {
    if imbalances.is_empty() {
        return Ok(());
    }
    out.write_str("<section><h2>Imbalances<small>what was still out when its request had ended</small></h2>")?;
    head(out, &["tag", "pool"], &["requests", "values"])?;
    for left in imbalances {
        let (tag, pool) = (Text(left.tag), PoolName(left.pool, left.class_bytes));
        write!(out, "<tr><td class=\"name\">{tag}</td><td>{pool}</td>")?;
        number(out, left.requests, left.requests)?;
        number(out, left.values, left.values)?;
        out.write_str("</tr>\n")?;
    }
    out.write_str("</tbody></table></section>\n")
}

fn head(out: &mut String, names: &[&str], numbers: &[&str]) -> fmt::Result {
    out.write_str("<table><thead><tr>")?;
    names.iter().try_for_each(|name| write!(out, "<th scope=\"col\">{name}</th>"))?;
    numbers.iter().try_for_each(|name| write!(out, "<th scope=\"col\" class=\"n\">{name}</th>"))?;
    out.write_str("</tr></thead><tbody>\n")
}

/// A cell with a number, which stands back if it is zero.
fn number(out: &mut String, value: u64, shown: impl Display) -> fmt::Result {
    let class = if value == 0 { "n zero" } else { "n" };
    write!(out, "<td class=\"{class}\">{shown}</td>")
}

/// Text that is not HTML, whatever stands in it.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// What a pool is called, and for a size class of buffers their size.
struct PoolName<'a>(&'a str, u64);

impl Display for PoolName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(self.0).fmt(f)?;
        match self.1 {
            0 => Ok(()),
            size if size % (1 << 20) == 0 => write!(f, " of {} MiB", size >> 20),
            size if size % (1 << 10) == 0 => write!(f, " of {} KiB", size >> 10),
            size => write!(f, " of {size} B"),
        }
    }
}

/// Bytes as people read them, in binary units.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0 as f64, 0);
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(unit > 0 && value < 100.0);
        write!(f, "{value:.digits$} {}", UNITS[unit])
    }
}

/// Seconds as people read them.
struct Age(u64);

impl Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ ..120 => write!(f, "{seconds} s"),
            seconds @ ..7200 => write!(f, "{} min", seconds / 60),
            seconds => write!(f, "{} h", seconds / 3600),
        }
    }
}

/// Hits in percent of all.
struct Rate(u64, u64);

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(hits, misses) = *self;
        match hits + misses {
            0 => f.write_str("–"),
            // Never 100 where something was missed: 99.99 is the most.
            all => write!(f, "{:.2} %", (hits as f64 * 10_000.0 / all as f64).floor() / 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Age, Bytes, PoolName, Rate, Text};

    #[test]
    fn text_holds_no_markup() {
        let nasty = "<script>alert(\"1\")</script>&'";
        assert_eq!(Text(nasty).to_string(), "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;");
        assert_eq!(Text("größe {{body}}").to_string(), "größe {{body}}");
    }

    #[test]
    fn numbers_are_as_people_read_them() {
        let bytes = [0, 1023, 1024, 1536, 100 << 10, 5 << 30, u64::MAX].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(bytes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 KiB", "5.0 GiB", "16777216 TiB"]);
        let sizes = [0, 64, 1280, 98_304, 3 << 20].map(|size| PoolName("a<b", size).to_string());
        assert_eq!(sizes, ["a&lt;b", "a&lt;b of 64 B", "a&lt;b of 1280 B", "a&lt;b of 96 KiB", "a&lt;b of 3 MiB"]);
        let ages = [0, 119, 120, 7199, 7200].map(|seconds| Age(seconds).to_string());
        assert_eq!(ages, ["0 s", "119 s", "2 min", "119 min", "2 h"]);
        let rates = [(0, 0), (0, 5), (99_999, 1), (5, 0)].map(|(hits, misses)| Rate(hits, misses).to_string());
        assert_eq!(rates, ["–", "0.00 %", "99.99 %", "100.00 %"]);
    }
}
