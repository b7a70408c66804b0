//! The slow-leak rule: a floor that rises, minute after minute.

use super::windows::Windows;
use core::time::Duration;

/// Windows in which the floor has to rise.
pub(super) const WINDOWS: usize = 5;
/// Windows among which the five are looked for: two may be missing.
const AMONG: usize = 7;

/// Warns of a value whose floor rises: by default **by more than 0.3 MB/s for 5 minutes** (1 MB = 1,000,000 bytes); it is
/// critical **above 0.5 MB/s together with reclaim pauses over 10 ms**.
///
/// **Formula.** The five minutes are cut into five windows of one minute. `T1 .. T5` are their troughs (the least sample) and
/// `t1 .. t5` the times at which these were seen. With the four rises `ri = (T(i+1) - Ti) / (t(i+1) - ti)` (two troughs closer together than
/// half a minute count as half a minute apart) and the whole `r = (T5 - T1) / (t5 - t1)`, the growth is
///
/// ```text
/// growth = max(0, min(r, second least of ri, 2 * least of ri))
/// ```
///
/// In words: each trough lies above the last, by no less than half the limit; the whole rise and at least three of the four are above
/// the limit. Raised when `growth > above`, when a window closes: within six minutes of a leak's beginning. Over when it has stayed
/// at half of that or below for five minutes.
///
/// **Under a load with a known period** `P` (see [`Periodic`](super::Periodic); it takes three periods to know one), the growth is that
/// of what the load does not explain: of `e(t) = T(t) - T(t - P)`, by the formula above, or `e / P` where it is above the limit in
/// each of the last five windows and was so a period ago. An alarm that was raised before the period was known
/// and has no growth by this measure is withdrawn.
///
/// **Critical** needs a pause as well: the 99th percentile of the single trims, or of the request reclaims, of one of the
/// last five windows. A leak that is fast and disturbs nobody remains a warning.
///
/// **False alarms.** What a plain slope over five minutes takes for a leak:
///
/// | series | plain slope | this rule |
/// |---|---|---|
/// | saw-tooth of 480 MB, 60 s | up to 0.32 MB/s | the troughs are level: growth 0 |
/// | one step of +95 MB | up to 0.48 MB/s | one of four rises is above 0, or two: growth 0; in noise, twice the least |
/// | noise within a band of `b` bytes | any | needs `T5 - T1` > 72 MB: never if `b` is less; else by chance, when all five are in order: 0.02 % of the windows at 100 MB, 0.3 % at 300 MB |
/// | sine of 96 MB (peak to mean), 30 min | 0.33 MB/s | its steepest five minutes **do** pass 0.3: raised once a period until the period is known, then withdrawn |
/// | start-up that fills caches | its slope | a leak for as long as it lasts; over five minutes after |
///
/// Between two samples `p` seconds apart, a trough may be missed by as much as the value moves in `p`: four samples a second see the
/// floor of the saw-tooth within 2 MB of the 72. A minute with a gap of more than a quarter is left out, and two of seven may be.
/// While there are fewer than five, an alarm that is on stays on. A restart (the value falls) begins anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowLeak {
    pub(super) above: u64,
    pub(super) critical: u64,
    pub(super) pause: Duration,
    pub(super) over: Duration,
}

impl Default for SlowLeak {
    fn default() -> Self {
        Self { above: 300_000, critical: 500_000, pause: Duration::from_millis(10), over: Duration::from_secs(300) }
    }
}

impl SlowLeak {
    /// Bytes per second that are still no leak. Default: 300,000.
    #[must_use]
    pub fn above(self, bytes_per_second: u64) -> Self {
        Self { above: bytes_per_second, ..self }
    }

    /// Bytes per second above which a leak that goes with long pauses is critical. Default: 500,000.
    #[must_use]
    pub fn critical_above(self, bytes_per_second: u64) -> Self {
        Self { critical: bytes_per_second, ..self }
    }

    /// The longest pause (99th percentile of single trims, or of request reclaims) that leaves a leak a warning. Default: 10 ms.
    #[must_use]
    pub fn pause_limit(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// For how long the floor has to rise. A fifth of it is the window of all rules. Default: 300 seconds.
    #[must_use]
    pub fn over(self, time: Duration) -> Self {
        Self { over: time, ..self }
    }

    /// The window in which troughs are looked for.
    pub(super) fn window(self) -> Duration {
        self.over / WINDOWS as u32
    }
}

/// What the last windows say about growth, in bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Growth {
    /// Growth of what no known period explains.
    pub(super) rate: f64,
    /// The growth that keeps an alarm up: like `rate`, and over the last period alone.
    pub(super) hold: f64,
}

/// Looks at the last windows. `period` is in windows of `length`. `None` if too many of them are missing.
pub(super) fn growth(windows: &Windows, length: Duration, period: Option<f64>) -> Option<Growth> {
    let length = length.as_secs_f64();
    let rise = |points: &mut dyn Iterator<Item = (f64, f64)>| rise(points, length / 2.0);
    let Some(period) = period else {
        let troughs = (0..AMONG).filter_map(|back| windows.back(back)).map(|window| (window.trough_at, window.trough));
        return rise(&mut { troughs }).map(|rate| Growth { rate, hold: rate });
    };
    let excess = |back: f64| Some(windows.trough_back(back)? - windows.trough_back(back + period)?);
    let fresh = rise(&mut (0..AMONG).filter_map(|back| Some((-(back as f64) * length, excess(back as f64)?))))?;
    let least = |from: f64| {
        let each = (0..AMONG).filter_map(|back| excess(from + back as f64)).take(WINDOWS);
        each.fold(f64::INFINITY, f64::min) / (period * length)
    };
    let (this, before) = (least(0.0), least(period));
    let lasting = if before.is_finite() { this.min(before) } else { 0.0 };
    Some(Growth { rate: fresh.max(lasting), hold: fresh.max(this) })
}

/// The growth by the formula of [`SlowLeak`], of points with the latest first: (seconds, bytes). Two of them count as `least`
/// seconds apart at least. `None` if there are too few.
fn rise(latest_first: &mut dyn Iterator<Item = (f64, f64)>, least: f64) -> Option<f64> {
    let mut points = [(0.0, 0.0); WINDOWS];
    let mut count = 0;
    for (place, point) in points.iter_mut().rev().zip(latest_first) {
        *place = point;
        count += 1;
    }
    if count < WINDOWS {
        return None;
    }
    let rate = |from: (f64, f64), to: (f64, f64)| (to.1 - from.1) / (to.0 - from.0).max(least);
    let mut rises = [0.0; WINDOWS - 1];
    for (rise, pair) in rises.iter_mut().zip(points.windows(2)) {
        *rise = rate(pair[0], pair[1]);
    }
    rises.sort_by(f64::total_cmp);
    let whole = rate(points[0], points[WINDOWS - 1]);
    Some(whole.min(rises[1]).min(2.0 * rises[0]).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The growth of four rises, a minute each, in bytes per second.
    fn of(rises: [f64; 4]) -> Option<f64> {
        let mut points = vec![(0.0, 0.0)];
        for rise in rises {
            let (at, bytes) = points[points.len() - 1];
            points.push((at + 60.0, bytes + 60.0 * rise));
        }
        rise(&mut points.into_iter().rev(), 30.0)
    }

    #[test]
    fn growth_is_the_least_of_three() {
        assert_eq!(of([4.0, 4.0, 4.0, 4.0]), Some(4.0));
        assert_eq!(of([9.0, 4.0, 5.0, 3.0]), Some(4.0), "the second least");
        assert_eq!(of([9.0, 9.0, 1.0, 9.0]), Some(2.0), "twice the least");
        assert_eq!(of([4.0, 2.5, 4.0, 4.0]), Some(3.625), "the whole");
        assert_eq!(of([9.0, 9.0, -1.0, 9.0]), Some(0.0));
    }

    #[test]
    fn troughs_close_together_count_as_half_a_window_apart() {
        let points = [(0.0, 0.0), (59.0, 59.0), (60.0, 89.0), (120.0, 149.0), (180.0, 209.0)];
        assert_eq!(rise(&mut points.into_iter().rev(), 30.0), Some(1.0));
        assert_eq!(rise(&mut points.into_iter().skip(1).rev(), 30.0), None, "too few");
    }
}
