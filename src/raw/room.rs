//! Room that holds no values, filled with a byte.

use core::mem::MaybeUninit;

/// Writes `byte` over all of `room`.
pub fn fill<T>(room: &mut [MaybeUninit<T>], byte: u8) {
    // SAFETY: the slice is valid and exclusively ours for its whole length, and a `MaybeUninit` may hold any bytes.
    unsafe { core::ptr::write_bytes(room.as_mut_ptr(), byte, room.len()) };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_room_is_filled_and_nothing_else() {
        let mut room = [MaybeUninit::new(1_u32); 4];
        fill(&mut room[1..3], 7);
        // SAFETY: all four were initialised, and any bytes are a `u32`.
        let room = room.map(|word| unsafe { word.assume_init() });
        assert_eq!(room, [1, 0x0707_0707, 0x0707_0707, 1]);
        fill(&mut [MaybeUninit::<()>::uninit(); 3], 7);
    }
}
