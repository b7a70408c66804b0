//! Enums and unions are refused: what their neutral state is, only their author knows.

#[derive(ebbtide::Reset)]
enum State {
    Idle,
    Busy(Vec<u8>),
}

#[derive(ebbtide::Reset)]
union Word {
    number: u32,
    bytes: [u8; 4],
}

fn main() {}
