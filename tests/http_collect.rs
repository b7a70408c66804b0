//! Collecting bodies: where the bytes go, what they cost, and that everything comes back whatever happens.

mod common;

#[path = "http_collect/bodies.rs"]
mod bodies;
#[path = "http_collect/budget.rs"]
mod budget;
#[path = "http_collect/ends.rs"]
mod ends;
#[path = "http_collect/model.rs"]
mod model;
#[path = "http_collect/read.rs"]
mod read;
#[path = "http_collect/room.rs"]
mod room;
#[path = "sequences/script.rs"]
mod script;
#[path = "sequences/collect.rs"]
mod sequence;
#[path = "http_collect/spill.rs"]
mod spill;
#[path = "http_collect/times.rs"]
mod times;
#[path = "http_collect/wire.rs"]
mod wire;
