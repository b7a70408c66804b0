//! Every way of collecting against a plain model: frames of any size, empty ones, trailers, errors, waits, claims that lie, and limits.

use super::bodies::pattern;
use super::common::until;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BodyRejection, CollectError, Limits, PooledBody, Spill, Stored};
use ebbtide::http::{collect, collect_or_spill};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Frames around the sizes where something changes: a page, what is always believed, the largest segment.
const SIZES: [usize; 12] = [0, 1, 100, 1400, 4096, 5000, 16_384, 16_385, 65_536, 100_000, 262_145, 300_000];

#[derive(Clone, Debug)]
enum Act {
    Data(Bytes),
    Trailers(HeaderMap),
    Wait,
    Error,
}

#[derive(Clone, Debug)]
struct Case {
    acts: VecDeque<Act>,
    claims: u64,
    /// Whether it says that it has ended when it has.
    tells: bool,
    max_bytes: usize,
    max_frames: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failed {
    TooLarge,
    TooManyFrames,
    Body,
}

type Outcome = Result<(Bytes, Option<HeaderMap>), Failed>;

/// A body that must not be polled once more when it has said that it has ended.
struct Played {
    case: Case,
    frames: usize,
}

impl Body for Played {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        assert!(self.frames == 0 || !self.is_end_stream(), "polled though it has said that it has ended");
        let frame = match self.case.acts.pop_front() {
            None => return Poll::Ready(None),
            Some(Act::Wait) => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Act::Error) => Err("the network"),
            Some(Act::Trailers(trailers)) => Ok(Frame::trailers(trailers)),
            Some(Act::Data(data)) => {
                self.case.claims = self.case.claims.saturating_sub(data.len() as u64);
                Ok(Frame::data(data))
            }
        };
        self.frames += 1;
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.case.tells && self.case.acts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.case.claims);
        hint
    }
}

/// Numbers by chance (George Marsaglia, "Xorshift RNGs", 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn case(&mut self, source: &Bytes) -> Case {
        let (mut acts, mut sent, mut frames) = (VecDeque::new(), 0_usize, 0_u64);
        let most = [0, 1, 1, 2, 3, 8, 20][self.below(7)];
        // Small ones of many frames, large ones of few.
        let sizes = [4, 8, SIZES.len()][self.below(3)];
        for _ in 0..most {
            match self.below(12) {
                0 | 1 => acts.push_back(Act::Wait),
                2 if self.below(6) == 0 => acts.push_back(Act::Error),
                3 => {
                    let number = HeaderValue::from(self.below(9) as u64);
                    acts.push_back(Act::Trailers([(http::header::ETAG, number)].into_iter().collect()));
                    frames += 1;
                }
                _ => {
                    let size = SIZES[self.below(sizes)];
                    acts.push_back(Act::Data(source.slice(sent..sent + size)));
                    (sent, frames) = (sent + size, frames + 1);
                }
            }
        }
        // It says that it has ended with its last frame, not while it waits for nothing.
        while matches!(acts.back(), Some(Act::Wait)) {
            acts.pop_back();
        }
        let claims = [0, sent, sent, sent / 2, sent + 1000, 300_000][self.below(6)] as u64;
        let max_bytes = [1 << 20, 7 << 20, sent, sent, sent.saturating_sub(1), 1][self.below(6)];
        let max_frames = [None, None, Some(frames), Some(frames.saturating_sub(1))][self.below(4)];
        Case { acts, claims, tells: self.below(3) > 0, max_bytes, max_frames }
    }
}

impl Case {
    fn play(&self) -> Played {
        Played { case: self.clone(), frames: 0 }
    }

    fn limits(&self) -> Limits {
        let limits = Limits::new(self.max_bytes);
        self.max_frames.map_or(limits.clone(), |frames| limits.max_frames(frames))
    }

    fn expected(&self) -> Outcome {
        if self.claims > self.max_bytes as u64 {
            return Err(Failed::TooLarge);
        }
        let (mut bytes, mut trailers, mut frames) = (Vec::new(), None, 0);
        for act in &self.acts {
            match act {
                Act::Wait => continue,
                Act::Error => return Err(Failed::Body),
                _ => frames += 1,
            }
            if self.max_frames.is_some_and(|most| frames > most) {
                return Err(Failed::TooManyFrames);
            }
            match act {
                Act::Data(data) if bytes.len() + data.len() > self.max_bytes => return Err(Failed::TooLarge),
                Act::Data(data) => bytes.extend_from_slice(data),
                Act::Trailers(now) => trailers = Some(now.clone()),
                _ => {}
            }
        }
        Ok((bytes.into(), trailers))
    }
}

fn failed(error: CollectError<&'static str>) -> Failed {
    match error {
        CollectError::TooLarge { .. } => Failed::TooLarge,
        CollectError::TooManyFrames { .. } => Failed::TooManyFrames,
        CollectError::Body("the network") => Failed::Body,
        other => panic!("{other}"),
    }
}

fn assert_same(got: Outcome, case: &Case, way: &str) {
    let expected = case.expected();
    if got != expected {
        let length = |outcome: &Outcome| outcome.as_ref().map(|(bytes, _)| bytes.len()).map_err(|failed| *failed);
        panic!("{way}: {:?} instead of {:?}: {case:?}", length(&got), length(&expected));
    }
}

/// All of them in one pool, so that what earlier ones left is idle.
#[tokio::test]
async fn every_way_collects_what_a_plain_model_does_and_gives_all_back() {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 30));
    let whole = || assert_eq!((buffers.stats().outstanding(), buffers.ahead_bytes(), budget.used_bytes()), (0, 0, 0));
    let (source, mut chance) = (pattern(7 << 20), Chance(0x9E37_79B9_7F4A_7C15));
    for number in 0..3000 {
        let case = chance.case(&source);
        for limits in [case.limits(), case.limits().budget(&budget)] {
            let collected = collect(case.play(), &buffers, limits.clone()).await;
            let outcome = match collected {
                Err(error) => Err(failed(error)),
                Ok(mut collected) => {
                    let trailers = collected.trailers().cloned();
                    Ok((Bytes::copy_from_slice(collected.contiguous()), trailers))
                }
            };
            assert_same(outcome, &case, "collect");
            whole();
            let mut dropped = Box::pin(collect(case.play(), &buffers, limits));
            for _ in 0..chance.below(4) {
                if dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
            }
            drop(dropped);
            whole();
        }
        if number % 10 == 0 {
            let limits = if chance.below(2) == 0 { case.limits() } else { case.limits().budget(&budget) };
            let spill = Spill::above([0, 1000, 20_000, 200_000][chance.below(4)]);
            let stored = collect_or_spill(case.play(), &buffers, limits, &spill).await;
            assert_same(read_back(stored.map_err(failed)).await, &case, "collect_or_spill");
            until("all is back", || buffers.stats().outstanding() == 0 && budget.used_bytes() == 0).await;
            whole();
        }
    }
}

async fn read_back(stored: Result<Stored, Failed>) -> Outcome {
    let stored = stored?;
    let trailers = stored.trailers().cloned();
    Ok((stored.collect().await.unwrap().to_bytes(), trailers))
}

#[tokio::test]
async fn the_extractor_collects_what_a_plain_model_does() {
    let (source, mut chance) = (pattern(7 << 20), Chance(0x2545_F491_4F6C_DD1D));
    let mut collected = 0;
    for _ in 0..1000 {
        let case = chance.case(&source);
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
