//! A collected body read: as a `Buf`, as a body, as a reader, in one piece, by clones.

use super::bodies::{Script, Step, pattern};
use bytes::{Buf, Bytes};
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, Collected, Limits, collect};
use http_body::Body;
use http_body_util::BodyExt;
use std::io::IoSlice;
use tokio::io::AsyncReadExt;

/// A body in several segments, with a trailer.
async fn rope(buffers: &BufferPool, bytes: &Bytes) -> Collected {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", http::HeaderValue::from_static("7"));
    let body = Script::frames(bytes, 1000).then(Step::Trailers(trailers));
    let collected = collect(body, buffers, Limits::new(1 << 30)).await.unwrap();
    assert!(collected.as_slice().is_none());
    collected
}

#[tokio::test]
async fn as_a_body_it_sends_its_bytes_and_then_its_trailers() {
    let (buffers, bytes) = (BufferPool::new(), pattern(50_000));
    let body = rope(&buffers, &bytes).await;
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(50_000), false));
    let sent = body.collect().await.unwrap();
    assert_eq!(sent.trailers().unwrap()["checksum"], "7");
    assert!(sent.to_bytes() == bytes);
    assert_eq!(buffers.stats().outstanding(), 0);
    assert!(Collected::default().is_end_stream());
    let plain = collect(Script::frames(&bytes, 1000), &buffers, Limits::default()).await.unwrap();
    assert!(plain.trailers().is_none() && !plain.is_end_stream());
}

#[tokio::test]
async fn as_a_body_it_is_collected_uncopied_when_in_one_piece() {
    let (buffers, bytes) = (BufferPool::new(), pattern(50_000));
    let body = collect(Script::frames(&bytes, 1000).honest(), &buffers, Limits::default()).await.unwrap();
    let address = body.as_slice().unwrap().as_ptr();
    let again = collect(body, &buffers, Limits::default()).await.unwrap();
    assert_eq!(again.as_slice().unwrap().as_ptr(), address);
}

#[tokio::test]
async fn what_is_read_past_goes_back() {
    let (buffers, bytes) = (BufferPool::new(), pattern(50_000));
    let mut collected = rope(&buffers, &bytes).await;
    let before = buffers.stats().outstanding();
    collected.advance(30_000);
    assert!(buffers.stats().outstanding() < before / 2 + 1, "{:?}", buffers.stats());
    assert_eq!((collected.len(), collected.remaining(), collected.is_empty()), (20_000, 20_000, false));
    assert!(collected.contiguous() == &bytes[30_000..]);
    collected.advance(20_000);
    assert_eq!((collected.is_empty(), buffers.stats().outstanding()), (true, 0));
}

#[tokio::test]
async fn a_clone_has_its_own_position() {
    let (buffers, bytes) = (BufferPool::new(), pattern(50_000));
    let first = rope(&buffers, &bytes).await;
    let mut second = first.clone();
    assert!(first.collect().await.unwrap().to_bytes() == bytes);
    second.advance(10);
    assert!(second.clone().into_bytes() == bytes[10..]);
    assert!(second.trailers().is_some());
    drop(second);
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn as_a_reader_it_gives_all_bytes() {
    let (buffers, bytes) = (BufferPool::new(), pattern(50_000));
    let mut small = [0; 7];
    let mut collected = rope(&buffers, &bytes).await;
    assert_eq!((collected.read_exact(&mut small).await.unwrap(), &small[..]), (7, &bytes[..7]));
    let mut rest = Vec::new();
    collected.read_to_end(&mut rest).await.unwrap();
    assert!(rest == bytes[7..]);
    assert_eq!(collected.read(&mut small).await.unwrap(), 0);
}

#[tokio::test]
async fn as_a_buf_it_shows_its_pieces_and_copies_out_uncopied_what_is_worth_it() {
    let (buffers, bytes) = (BufferPool::new(), pattern(50_000));
    let mut collected = rope(&buffers, &bytes).await;
    let mut slices = [IoSlice::new(&[]); 64];
    let filled = collected.chunks_vectored(&mut slices);
    assert!(filled > 3 && slices[..filled].iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat() == bytes);
    let (address, quarter) = (collected.chunk().as_ptr(), collected.chunk().len() / 4);
    assert_eq!(collected.copy_to_bytes(quarter).as_ptr(), address);
    let address = collected.chunk().as_ptr();
    let few = collected.copy_to_bytes(quarter - 1);
    assert!(few.as_ptr() != address && few == bytes[quarter..2 * quarter - 1]);
    let (from, across) = (2 * quarter - 1, collected.chunk().len() + 5);
    assert!(collected.copy_to_bytes(across) == bytes[from..from + across]);
    assert_eq!(buffers.gathered_bytes(), across as u64);
}

#[tokio::test]
async fn trailers_alone_are_an_empty_body_with_trailers() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("only", http::HeaderValue::from_static("this"));
    let buffers = BufferPool::new();
    let collected =
        collect(Script::<Bytes>::new([Step::Trailers(trailers)]), &buffers, Limits::default()).await.unwrap();
    assert_eq!((collected.len(), collected.as_slice()), (0, Some(&b""[..])));
    assert_eq!(collected.trailers().unwrap()["only"], "this");
    assert!(!collected.is_end_stream());
    assert_eq!(buffers.stats().made, 0);
}

#[tokio::test]
async fn a_budget_is_charged_until_the_last_bytes_are_gone() {
    let (buffers, budget, bytes) = (BufferPool::new(), BodyBudget::new(1 << 20), pattern(20_000));
    let limits = || Limits::new(1 << 20).budget(&budget);
    for body in [Script::frames(&bytes, 1000), Script::frames(&bytes, 1000).honest(), Script::frames(&bytes, 20_000)] {
        let mut collected = collect(body, &buffers, limits()).await.unwrap();
        let held = budget.used_bytes();
        assert!((20_000..25_000).contains(&held), "{held}");
        let twin = collected.clone();
        let mut sent = collected.clone();
        let frame = sent.frame().await.unwrap().unwrap().into_data().unwrap();
        let shared = sent.copy_to_bytes(sent.chunk().len());
        let part = collected.copy_to_bytes(collected.chunk().len() / 2);
        drop((twin, collected, sent));
        assert_eq!(budget.used_bytes(), held, "bytes are held still");
        drop(frame);
        assert_eq!(budget.used_bytes(), held, "bytes are held still");
        drop(part);
        assert_eq!(budget.used_bytes(), if shared.is_empty() { 0 } else { held }, "bytes are held still");
        drop(shared);
        assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
    }
}
