//! A field is reset in one way.

#[derive(ebbtide::Reset)]
struct Parser {
    #[reset(skip, with = Vec::clear)]
    tokens: Vec<u32>,
    #[reset(default)]
    #[reset(skip)]
    depth: u32,
    #[reset(skip, skip)]
    width: u32,
}

fn main() {}
