//! Spilling and the extractor against the model of `tests/sequences/collect.rs`.

use super::common::until;
use super::script::Script;
use super::sequence::{Act, Case, Failed, Outcome, assert_same, failed};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BodyRejection, PooledBody, Spill, Stored, collect_or_spill};
use http_body_util::BodyExt;
use std::pin::pin;

/// Numbers by chance (George Marsaglia, "Xorshift RNGs", 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn case(&mut self) -> Case {
        let script: Vec<u8> = (0..100).map(|_| self.below(256) as u8).collect();
        Case::next(&mut Script::new(&script)).expect("the longest takes fewer")
    }
}

/// All of them in one pool, so that what earlier ones left is idle.
#[tokio::test]
async fn spilling_stores_what_a_plain_model_does_and_gives_all_back() {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 30));
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for _ in 0..300 {
        let case = chance.case();
        let limits = if chance.below(2) == 0 { case.limits() } else { case.limits().budget(&budget) };
        let spill = Spill::above([0, 1000, 20_000, 200_000][chance.below(4)]);
        let stored = collect_or_spill(case.play(), &buffers, limits, &spill).await;
        assert_same(read_back(stored.map_err(failed)).await, &case, "collect_or_spill");
        until("all is back", || buffers.stats().outstanding() == 0 && budget.used_bytes() == 0).await;
        assert_eq!(buffers.ahead_bytes(), 0);
    }
}

async fn read_back(stored: Result<Stored, Failed>) -> Outcome {
    let stored = stored?;
    let trailers = stored.trailers().cloned();
    Ok((stored.collect().await.unwrap().to_bytes(), trailers))
}

#[tokio::test]
async fn the_extractor_collects_what_a_plain_model_does() {
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    let mut collected = 0;
    for _ in 0..1000 {
        let case = chance.case();
        let sent: usize = case.acts.iter().map(|act| if let Act::Data(data) = act { data.len() } else { 0 }).sum();
        // Beyond that axum's own limit would count too.
        if sent.max(case.claims as usize) > 2 << 20 {
            continue;
        }
        let mut request = Request::new(axum::body::Body::new(case.play()));
        request.extensions_mut().insert(case.limits());
        let outcome = match pin!(PooledBody::from_request(request, &())).await {
            Ok(body) => Ok((Bytes::copy_from_slice(&body), body.trailers().cloned())),
            Err(BodyRejection::Unreadable(_)) => Err(Failed::Body),
            Err(BodyRejection::TooLarge) => match case.expected() {
                Err(Failed::TooManyFrames) => Err(Failed::TooManyFrames),
                _ => Err(Failed::TooLarge),
            },
            Err(other) => panic!("{other}"),
        };
        collected += usize::from(outcome.is_ok());
        assert_same(outcome, &case, "the extractor");
    }
    assert!(collected > 100, "{collected}");
}
