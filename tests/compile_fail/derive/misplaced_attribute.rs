//! The attribute belongs to fields: elsewhere it would do nothing.

#[derive(ebbtide::Reset)]
#[reset(skip)]
struct Parser {
    tokens: Vec<u32>,
}

#[derive(ebbtide::Reset)]
struct Holder<#[reset(skip)] T> {
    all: Vec<T>,
}

fn main() {}
