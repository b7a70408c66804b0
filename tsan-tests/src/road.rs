//! A road from one thread to another that orders nothing backwards.
//!
//! Who takes sees what the giver did. The giver never sees what the taker did: a channel with a lock, or with an index that
//! both write, would order both ways, and what a pool forgets to order would be ordered all the same.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Things on their way, `PLACES` at most, in no order.
///
/// # Invariants
///
/// (a) Each place is null or a box that the road owns.
pub struct Road<T>([AtomicPtr<T>; PLACES]);

const PLACES: usize = 16;

impl<T: Send> Road<T> {
    pub const fn new() -> Self {
        Self([const { AtomicPtr::new(null_mut()) }; PLACES])
    }

    /// Gives `thing` away if there is room.
    pub fn give(&self, thing: T) -> Result<(), T> {
        let thing = Box::into_raw(Box::new(thing));
        for place in &self.0 {
            // Release: publishes the thing to the Acquire in `take`. Relaxed on failure: another place is tried. No
            // Acquire: a null place tells nothing of who emptied it.
            if place.compare_exchange(null_mut(), thing, Ordering::Release, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        // SAFETY: made above, and in no place.
        Err(*unsafe { Box::from_raw(thing) })
    }

    /// Takes one thing.
    pub fn take(&self) -> Option<T> {
        self.0.iter().find_map(|place| {
            // Relaxed: it is only worth a look. Acquire: sees the thing, from the Release in `give`. No Release: the giver is not
            // to see what was done here.
            if place.load(Ordering::Relaxed).is_null() {
                return None;
            }
            let thing = place.swap(null_mut(), Ordering::Acquire);
            // SAFETY: by (a) it is null or a box, which this swap took for itself alone.
            (!thing.is_null()).then(|| *unsafe { Box::from_raw(thing) })
        })
    }
}
