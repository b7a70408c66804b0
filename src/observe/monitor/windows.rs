//! The history of one value: its trough and its mean in each window of time, in a ring.
//!
//! # Invariants
//!
//! - (a) A window is in the ring only if its samples leave no gap of more than a quarter of it, from its beginning to its
//!   end. A trough that nobody saw cannot be compared.
//! - (b) Slot `n % len` belongs to window `n`, for the `len` windows before the open one.

use core::time::Duration;

/// One window whose samples are complete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// The least value, in bytes.
    pub(super) trough: f64,
    /// When the least value was seen first, in seconds of the monitor's time.
    pub(super) trough_at: f64,
    /// The mean of the samples, in bytes.
    pub(super) mean: f64,
}

/// The window that is being filled.
#[derive(Clone, Copy, Debug)]
struct Open {
    trough: f64,
    trough_at: f64,
    sum: f64,
    samples: u32,
    has_gap: bool,
}

impl Open {
    const EMPTY: Self = Self { trough: f64::INFINITY, trough_at: 0.0, sum: 0.0, samples: 0, has_gap: false };

    fn close(self) -> Option<Window> {
        let whole = self.samples > 0 && !self.has_gap;
        let mean = self.sum / f64::from(self.samples);
        whole.then_some(Window { trough: self.trough, trough_at: self.trough_at, mean })
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Windows {
    length: Duration,
    ring: Box<[Option<Window>]>,
    /// The number of the open window, counted from the monitor's first sample.
    number: u64,
    open: Open,
    /// When the last sample came, or the open window began, whichever is later.
    last: Duration,
}

impl Windows {
    /// Room for `count` windows of `length`, for a value that is first seen at `at`.
    pub(super) fn new(length: Duration, count: usize, at: Duration) -> Self {
        let ring = vec![None; count].into_boxed_slice();
        let mut windows = Self { length, ring, number: number_of(at, length), open: Open::EMPTY, last: Duration::ZERO };
        windows.last = windows.begin_of(windows.number);
        windows
    }

    /// Takes a sample, and says whether it closed a window.
    pub(super) fn note(&mut self, at: Duration, value: f64) -> bool {
        let number = number_of(at, self.length);
        let has_closed = number > self.number;
        if has_closed {
            self.note_gap(self.begin_of(self.number + 1));
            self.close_until(number);
        }
        self.note_gap(at);
        let open = &mut self.open;
        if value < open.trough {
            (open.trough, open.trough_at) = (value, at.as_secs_f64());
        }
        open.sum += value;
        open.samples += 1;
        has_closed
    }

    /// Notes that there was no sample in the open window from the last one to `until`.
    fn note_gap(&mut self, until: Duration) {
        self.open.has_gap |= until.saturating_sub(self.last) > self.length / 4;
        self.last = until;
    }

    fn begin_of(&self, number: u64) -> Duration {
        Duration::from_nanos(number.saturating_mul(nanoseconds(self.length)))
    }

    fn close_until(&mut self, number: u64) {
        let len = self.ring.len() as u64;
        if number - self.number > len {
            self.ring.fill(None);
            self.number = number;
            self.open = Open::EMPTY;
        }
        while self.number < number {
            self.ring[(self.number % len) as usize] = core::mem::replace(&mut self.open, Open::EMPTY).close();
            self.number += 1;
        }
        self.last = self.begin_of(number);
    }

    /// Windows that have closed since the monitor's first sample.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The window that closed `back` windows before the last one, if its samples are complete.
    pub(super) fn back(&self, back: usize) -> Option<&Window> {
        let len = self.ring.len() as u64;
        let number = self.number.checked_sub(back as u64 + 1).filter(|_| (back as u64) < len)?;
        self.ring[(number % len) as usize].as_ref()
    }

    /// The trough as it was `back` windows before the last one, between two windows where `back` is no whole number.
    pub(super) fn trough_back(&self, back: f64) -> Option<f64> {
        let (later, earlier) = (self.back(back.floor() as usize), self.back(back.ceil() as usize));
        match (later, earlier) {
            (Some(later), Some(earlier)) => Some(later.trough + (earlier.trough - later.trough) * back.fract()),
            (one, other) => one.or(other).map(|window| window.trough),
        }
    }

    /// Writes the means into `means`, the oldest first: as many windows as there are without a hole of more than three. What
    /// is missing lies on a line between its neighbours.
    pub(super) fn means(&self, means: &mut Vec<f64>) {
        const HOLE: usize = 3;
        means.clear();
        let mut hole = 0;
        for back in 0..self.ring.len() {
            let Some(window) = self.back(back) else {
                hole += 1;
                if hole > HOLE {
                    break;
                }
                continue;
            };
            let steps = (hole + 1) as f64;
            if let Some(&later) = means.last() {
                means.extend((1..=hole).map(|step| later + (window.mean - later) * step as f64 / steps));
            }
            means.push(window.mean);
            hole = 0;
        }
        means.reverse();
    }
}

/// The number of the window of that `length` in which `at` lies.
pub(super) fn number_of(at: Duration, length: Duration) -> u64 {
    nanoseconds(at) / nanoseconds(length)
}

/// As many as fit: 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fill(windows: &mut Windows, seconds: impl Iterator<Item = u64>, value: impl Fn(u64) -> f64) {
        for second in seconds {
            windows.note(Duration::from_secs(second), value(second));
        }
    }

    #[test]
    fn a_window_has_its_trough_and_its_mean() {
        let mut windows = Windows::new(MINUTE, 4, Duration::ZERO);
        fill(&mut windows, 0..=180, |second| if second < 120 { (second as f64 - 90.0).abs() } else { 7.0 });
        assert_eq!(windows.back(0), Some(&Window { trough: 7.0, trough_at: 120.0, mean: 7.0 }), "seen first");
        assert_eq!(windows.back(1), Some(&Window { trough: 0.0, trough_at: 90.0, mean: 15.0 }));
        assert_eq!(windows.back(2), Some(&Window { trough: 31.0, trough_at: 59.0, mean: 60.5 }));
        assert_eq!((windows.back(3), windows.back(4)), (None, None));
        assert_eq!(windows.trough_back(1.25), Some(31.0 / 4.0));
    }

    #[test]
    fn the_ring_forgets_the_oldest() {
        let mut windows = Windows::new(MINUTE, 3, Duration::ZERO);
        fill(&mut windows, 0..=600, |second| (second / 60) as f64);
        let means = [0, 1, 2, 3].map(|back| windows.back(back).map(|window| window.mean));
        assert_eq!(means, [Some(9.0), Some(8.0), Some(7.0), None]);
    }

    #[test]
    fn a_gap_of_more_than_a_quarter_leaves_a_hole() {
        let at = |from: u64, to: u64| {
            let mut windows = Windows::new(MINUTE, 8, Duration::ZERO);
            fill(&mut windows, (0..=180).filter(|second| !(from..to).contains(second)), |_| 1.0);
            [2, 1, 0].map(|back| windows.back(back).is_some())
        };
        assert_eq!(at(70, 84), [true, true, true]);
        assert_eq!(at(70, 86), [true, false, true]);
        assert_eq!(at(50, 70), [true, true, true], "over a border");
        assert_eq!(at(40, 80), [false, false, true]);
        assert_eq!(at(0, 14), [true, true, true]);
        assert_eq!(at(0, 16), [false, true, true]);
    }

    #[test]
    fn what_is_missing_lies_between_its_neighbours() {
        let mut windows = Windows::new(MINUTE, 16, Duration::ZERO);
        fill(&mut windows, (0..=600).filter(|second| !(180..300).contains(second)), |second| (second / 60) as f64);
        let mut means = Vec::new();
        windows.means(&mut means);
        assert_eq!(means, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        fill(&mut windows, (900..=960).chain(1200..=1260), |second| (second / 60) as f64);
        windows.means(&mut means);
        assert_eq!(means, [20.0], "a longer hole ends what can be compared");
    }

    #[test]
    fn a_jump_beyond_the_ring_leaves_nothing() {
        let mut windows = Windows::new(MINUTE, 4, Duration::ZERO);
        fill(&mut windows, 0..=300, |_| 1.0);
        assert!(windows.note(Duration::from_secs(1 << 40), 1.0));
        assert!((0..4).all(|back| windows.back(back).is_none()));
    }
}
