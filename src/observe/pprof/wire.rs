//! The little of protobuf that a profile needs: numbers of seven bits a byte, and fields that tell their length.
//!
//! Field numbers are those of `profile.proto` in github.com/google/pprof.

/// A message that is written front to back. A field of value zero, and an empty one, is left out, as the format has it.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80); // the lowest seven bits, and that more follow
            value >>= 7;
        }
        self.0.push(value as u8); // below 0x80
    }

    /// A field that is a number.
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
        self
    }

    /// A field that is text or bytes. Written when it is empty too: the first string of the table has to be.
    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A field that is a message itself.
    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// A field that is a list of numbers.
    pub(super) fn numbers(self, field: u64, values: &[u64]) -> Self {
        let mut list = Self::new();
        values.iter().for_each(|&value| list.varint(value));
        self.message(field, &list)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        assert_eq!(Message::new().number(1, 150).as_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().number(1, 127).as_bytes(), [0x08, 0x7f]);
        assert_eq!(Message::new().number(16, u64::MAX).as_bytes()[..3], [0x80, 0x01, 0xff]);
        assert_eq!(Message::new().number(1, u64::MAX).as_bytes().len(), 11);
        assert_eq!(Message::new().number(1, 0).as_bytes(), [0; 0]);
    }

    #[test]
    fn text_lists_and_messages_tell_their_length() {
        assert_eq!(Message::new().bytes(2, b"abc").as_bytes(), [0x12, 3, b'a', b'b', b'c']);
        assert_eq!(Message::new().bytes(6, b"").as_bytes(), [0x32, 0]);
        assert_eq!(Message::new().numbers(4, &[3, 270]).as_bytes(), [0x22, 3, 3, 0x8e, 0x02]);
        assert_eq!(Message::new().message(3, &Message::new().number(1, 150)).as_bytes(), [0x1a, 3, 0x08, 0x96, 0x01]);
    }
}
