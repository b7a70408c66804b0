//! `collect` against a plain model: frames of any size, empty ones, trailers, errors, waits, claims that lie, and limits.
//!
//! All bodies of a script go through one pool, so that what earlier ones left is idle.
#![allow(dead_code)] // Each test binary uses its part.

use super::script::Script;
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, CollectError, Limits, collect};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

/// Frames around the sizes where something changes: a page, what is always believed, the largest segment.
const SIZES: [usize; 12] = [0, 1, 100, 1400, 4096, 5000, 16_384, 16_385, 65_536, 100_000, 262_145, 300_000];

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Data(Bytes),
    Trailers(HeaderMap),
    Wait,
    Error,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) acts: VecDeque<Act>,
    pub(crate) claims: u64,
    /// Whether it says that it has ended when it has.
    tells: bool,
    max_bytes: usize,
    max_frames: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Failed {
    TooLarge,
    TooManyFrames,
    Body,
}

pub(crate) type Outcome = Result<(Bytes, Option<HeaderMap>), Failed>;

/// A body that must not be polled once more when it has said that it has ended.
pub(crate) struct Played {
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

/// What all frames are cut out of: no two pieces of it that may be mixed up are the same.
static SOURCE: LazyLock<Bytes> =
    LazyLock::new(|| (0..7_usize << 20).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect::<Vec<_>>().into());

impl Case {
    pub(crate) fn next(script: &mut Script<'_>) -> Option<Self> {
        let (mut acts, mut sent, mut frames) = (VecDeque::new(), 0_usize, 0_u64);
        let most = [0, 1, 1, 2, 3, 8, 20][script.place(7)?];
        // Small ones of many frames, large ones of few.
        let sizes = [4, 8, SIZES.len()][script.place(3)?];
        for _ in 0..most {
            match script.place(12)? {
                0 | 1 => acts.push_back(Act::Wait),
                2 if script.place(6)? == 0 => acts.push_back(Act::Error),
                3 => {
                    let number = HeaderValue::from(script.place(9)?);
                    acts.push_back(Act::Trailers([(http::header::ETAG, number)].into_iter().collect()));
                    frames += 1;
                }
                _ => {
                    let size = SIZES[script.place(sizes)?];
                    acts.push_back(Act::Data(SOURCE.slice(sent..sent + size)));
                    (sent, frames) = (sent + size, frames + 1);
                }
            }
        }
        // It says that it has ended with its last frame, not while it waits for nothing.
        while matches!(acts.back(), Some(Act::Wait)) {
            acts.pop_back();
        }
        let claims = [0, sent, sent, sent / 2, sent + 1000, 300_000][script.place(6)?] as u64;
        let max_bytes = [1 << 20, 7 << 20, sent, sent, sent.saturating_sub(1), 1][script.place(6)?];
        let max_frames = [None, None, Some(frames), Some(frames.saturating_sub(1))][script.place(4)?];
        Some(Self { acts, claims, tells: script.place(3)? > 0, max_bytes, max_frames })
    }

    pub(crate) fn play(&self) -> Played {
        Played { case: self.clone(), frames: 0 }
    }

    pub(crate) fn limits(&self) -> Limits {
        let limits = Limits::new(self.max_bytes);
        self.max_frames.map_or(limits.clone(), |frames| limits.max_frames(frames))
    }

    pub(crate) fn expected(&self) -> Outcome {
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

pub(crate) fn failed(error: CollectError<&'static str>) -> Failed {
    match error {
        CollectError::TooLarge { .. } => Failed::TooLarge,
        CollectError::TooManyFrames { .. } => Failed::TooManyFrames,
        CollectError::Body("the network") => Failed::Body,
        other => panic!("{other}"),
    }
}

pub(crate) fn assert_same(got: Outcome, case: &Case, way: &str) {
    let expected = case.expected();
    if got != expected {
        let length = |outcome: &Outcome| outcome.as_ref().map(|(bytes, _)| bytes.len()).map_err(|failed| *failed);
        panic!("{way}: {:?} instead of {:?}: {case:?}", length(&got), length(&expected));
    }
}

/// Nothing that is waited for is anywhere else: who is pending can go on at once.
fn ready<F: Future>(future: F) -> F::Output {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

pub(crate) fn run(script: &[u8]) {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 30));
    let whole = || assert_eq!((buffers.stats().outstanding(), buffers.ahead_bytes(), budget.used_bytes()), (0, 0, 0));
    let mut script = Script::new(script);
    while let Some(case) = Case::next(&mut script) {
        for limits in [case.limits(), case.limits().budget(&budget)] {
            let outcome = ready(collect(case.play(), &buffers, limits.clone())).map(|mut collected| {
                let trailers = collected.trailers().cloned();
                (Bytes::copy_from_slice(collected.contiguous()), trailers)
            });
            assert_same(outcome.map_err(failed), &case, "collect");
            whole();
            let mut dropped = Box::pin(collect(case.play(), &buffers, limits));
            for _ in 0..script.place(4).unwrap_or_default() {
                if dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
            }
            drop(dropped);
            whole();
        }
    }
}
