//! Models of the claim mask and of the lanes on it.
//!
//! `bumpalo` is not instrumented, so a watched number stands for each bump.

use ebbtide::raw::lanes::Lanes;
use ebbtide::raw::mask::Mask;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Watched, model};

/// Places as the lanes have them: one mask, and behind each bit something that one claim uses alone.
struct Places<const N: usize> {
    mask: Mask<N>,
    places: [Watched; N],
}

impl<const N: usize> Places<N> {
    fn new() -> Arc<Self> {
        Arc::new(Self { mask: Mask::default(), places: core::array::from_fn(|_| Watched::new(0)) })
    }

    /// Claims, adds one to the place as a cursor moves its bump, and gives it back.
    fn use_one(&self) -> Option<u32> {
        self.use_claimed(self.mask.claim()?)
    }

    /// The same with the first place, on its short way.
    fn use_first(&self) -> Option<u32> {
        if self.mask.claim_first() { self.use_claimed(0) } else { None }
    }

    fn use_claimed(&self, place: usize) -> Option<u32> {
        let found = self.places[place].get();
        self.places[place].set(found + 1);
        self.mask.release(place);
        Some(found)
    }
}

#[test]
fn a_claim_sees_the_place_as_it_was_left() {
    two_claims_of_one_place("lanes::a_claim_sees_the_place_as_it_was_left", Places::use_one);
}

#[test]
fn a_first_claim_sees_the_place_as_it_was_left() {
    two_claims_of_one_place("lanes::a_first_claim_sees_the_place_as_it_was_left", Places::use_first);
}

fn two_claims_of_one_place(name: &str, use_it: fn(&Places<1>) -> Option<u32>) {
    let expected = &["first", "second", "refused"];
    model(name, expected, 3, move |outcomes| {
        let places = Places::<1>::new();
        let other = {
            let places = Arc::clone(&places);
            thread::spawn(move || use_it(&places))
        };
        let found = use_it(&places);
        let (this, other) = (found.map_or("refused", |n| ["first", "second"][n as usize]), other.join().unwrap());
        assert!(found.is_some() || other.is_some(), "one at least has the place");
        assert_eq!(places.mask.taken(), 0);
        outcomes.note(this);
    });
}

#[test]
fn two_claims_get_two_places() {
    let expected = &["0, then 1", "1, then 0", "0, then 0 again"];
    model("lanes::two_claims_get_two_places", expected, 3, |outcomes| {
        let places = Places::<2>::new();
        let other = {
            let places = Arc::clone(&places);
            thread::spawn(move || {
                let place = places.mask.claim().expect("two places, two claims");
                places.places[place].set(1);
                places.mask.release(place);
                place
            })
        };
        let place = places.mask.claim().expect("two places, two claims");
        places.places[place].set(2);
        let kept = other.join().unwrap();
        assert_eq!(places.places[place].get(), 2, "the place was shared");
        outcomes.note(if place == kept {
            format!("{kept}, then {place} again")
        } else {
            format!("{place}, then {kept}")
        });
    });
}

#[test]
fn three_claims_of_two_places() {
    model("lanes::three_claims_of_two_places", &["all", "one refused"], 2, |outcomes| {
        let places = Places::<2>::new();
        let others = [(); 2].map(|()| {
            let places = Arc::clone(&places);
            thread::spawn(move || places.use_one())
        });
        let this = places.use_one();
        let got = others.map(|thread| thread.join().unwrap()).into_iter().chain([this]).flatten().count();
        assert!(got >= 2, "only one can find both places taken");
        outcomes.note(if got == 3 { "all" } else { "one refused" });
    });
}

#[test]
fn two_cursors_get_two_bumps() {
    model("lanes::two_cursors_get_two_bumps", &["two lanes"], 3, |outcomes| {
        let lanes = Arc::new(Lanes::default());
        let other = {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || {
                let claim = lanes.claim();
                let place = format!("{claim:?}");
                core::mem::forget(claim);
                place
            })
        };
        let claim = lanes.claim();
        assert_ne!(format!("{claim:?}"), other.join().unwrap());
        outcomes.note("two lanes");
    });
}
