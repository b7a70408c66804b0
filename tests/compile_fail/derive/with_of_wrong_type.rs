//! `with` takes a function of the field that returns nothing or a verdict, and a closure that captures nothing.

#[derive(ebbtide::Reset)]
struct Parser {
    #[reset(with = String::clear)]
    tokens: Vec<u32>,
    #[reset(with = |depth| *depth > 0)]
    depth: u32,
    #[reset(with = |width| *width = self.depth)]
    width: u32,
    #[reset(with = |height| *height = u32::from(keep))]
    height: u32,
}

fn main() {}
