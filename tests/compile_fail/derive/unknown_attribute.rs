//! What is not known is refused, and so is what says nothing: all of it at once.

#[derive(ebbtide::Reset)]
struct Parser {
    #[reset(ignore)]
    tokens: Vec<u32>,
    #[reset]
    depth: u32,
    #[reset()]
    width: u32,
    #[reset = "skip"]
    height: u32,
    #[reset(skip = true)]
    open: bool,
    #[reset(with)]
    closed: bool,
}

fn main() {}
