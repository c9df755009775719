//! The fields of a protobuf message by their numbers and sizes, read without knowing what they mean: enough to see what an
//! event that cannot be digested is made of, and nothing of what it says.

use std::fmt;

/// A field, in the order of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// As in the contract (`proto/`).
    pub number: u64,
    pub shape: Shape,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A number, a choice or a yes or no.
    Number,
    /// A text, bytes or a message in the message, of so many bytes.
    Bytes(u64),
    /// What follows is no protobuf.
    Unreadable,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape {
            Shape::Number => write!(f, "field {}: a number", self.number),
            Shape::Bytes(size) => write!(f, "field {}: {size} bytes", self.number),
            Shape::Unreadable => f.write_str("then something that is no protobuf"),
        }
    }
}

/// Reads until the end, or until it cannot be read any further.
pub(crate) fn list(mut message: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let Some((field, rest)) = take(message) else {
            fields.push(Field { number: 0, shape: Shape::Unreadable });
            break;
        };
        fields.push(field);
        message = rest;
    }
    fields
}

fn take(message: &[u8]) -> Option<(Field, &[u8])> {
    let (tag, rest) = take_varint(message)?;
    let (number, size) = (tag >> 3, |size: usize| rest.get(size..));
    let (shape, rest) = match tag & 7 {
        0 => (Shape::Number, take_varint(rest)?.1),
        1 => (Shape::Number, size(8)?),
        5 => (Shape::Number, size(4)?),
        2 => {
            let (length, rest) = take_varint(rest)?;
            (Shape::Bytes(length), rest.get(usize::try_from(length).ok()?..)?)
        }
        _ => return None,
    };
    (number > 0).then_some((Field { number, shape }, rest))
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}
