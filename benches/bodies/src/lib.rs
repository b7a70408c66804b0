//! Buffers and request bodies, measured: three programs, `memory`, `speed` and `buffers`, and the children that they start.
//!
//! | file | subject |
//! |---|---|
//! | `child` | what runs in a process of its own, and the parent's end of it |
//! | `serve`, `json` | a server for each way to take a body |
//! | `upload`, `upload_h2`, `load` | what is sent to it, and how |
//! | `memory`, `trickle`, `spent`, `speed`, `buffers`, `offsets` | the tables |
//! | `work`, `workers` | buffers without a server |
//! | `bars`, `figures`, `cli` | what is made of the figures |
//!
//! A mode, and an allocator, is a child process of its own: peaks, resident sets and heaps of two modes do not mix.

mod bars;
pub mod buffers;
pub mod child;
mod cli;
#[path = "../../peers/src/figures.rs"]
mod figures;
mod json;
mod load;
pub mod memory;
mod offsets;
mod serve;
pub mod speed;
mod spent;
mod trickle;
mod upload;
mod upload_h2;
mod work;
mod workers;
