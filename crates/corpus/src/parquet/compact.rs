//! Thrift's compact protocol, which encodes Parquet's metadata: structures of numbered fields.
//!
//! Nothing is allocated here, and lengths in the data are trusted only as far as there are bytes.

/// Types of values that are read here; others are skipped.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// The deepest accepted nesting of structures.
const MOST_DEPTH: u8 = 16;

/// Reads bytes from the start. Methods return `None` if the bytes end or break the protocol.
#[derive(Clone, Debug)]
pub(super) struct Compact<'a> {
    rest: &'a [u8],
    depth: u8,
}

/// A value of a field that has not been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(u8);

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            depth: 0,
        }
    }

    /// The number of unread bytes.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A number in groups of seven bits.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The fields of a structure, by their numbers; `field` says whether it has read the value.
    pub(super) fn structure(
        &mut self,
        mut field: impl FnMut(&mut Self, i64, Kind) -> Option<bool>,
    ) -> Option<()> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let mut number = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                self.depth -= 1;
                return Some(());
            }
            number = match head >> 4 {
                0 => self.signed()?,
                step => number.checked_add(step.into())?,
            };
            let kind = Kind(head & 0xf);
            if !field(self, number, kind)? {
                self.pass(kind)?;
            }
        }
    }

    /// An integer; `None` for another type.
    pub(super) fn number(&mut self, kind: Kind) -> Option<i64> {
        match kind.0 {
            BYTE => Some(self.byte()?.cast_signed().into()),
            4..=6 => self.signed(),
            _ => None,
        }
    }

    pub(super) fn truth(&mut self, kind: Kind) -> Option<bool> {
        match kind.0 {
            TRUE => Some(true),
            FALSE => Some(false),
            _ => None,
        }
    }

    pub(super) fn binary(&mut self, kind: Kind) -> Option<&'a [u8]> {
        if kind.0 != BINARY {
            return None;
        }
        let length = usize::try_from(self.varint()?).ok()?;
        self.bytes(length)
    }

    /// A structure within the structure.
    pub(super) fn inner(
        &mut self,
        kind: Kind,
        field: impl FnMut(&mut Self, i64, Kind) -> Option<bool>,
    ) -> Option<()> {
        match kind.0 {
            STRUCT => self.structure(field),
            _ => None,
        }
    }

    /// The elements of a list, each of which `element` reads.
    pub(super) fn list(
        &mut self,
        kind: Kind,
        mut element: impl FnMut(&mut Self, Kind) -> Option<()>,
    ) -> Option<()> {
        if kind.0 != LIST {
            return None;
        }
        let (count, kind) = self.list_head()?;
        for _ in 0..count {
            element(self, kind)?;
        }
        Some(())
    }

    fn list_head(&mut self) -> Option<(u64, Kind)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => count.into(),
        };
        Some((count, Kind(head & 0xf)))
    }

    /// Skips a value.
    fn pass(&mut self, kind: Kind) -> Option<()> {
        match kind.0 {
            TRUE | FALSE => Some(()),
            BYTE => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            DOUBLE => self.bytes(8).map(drop),
            BINARY => self.binary(kind).map(drop),
            LIST | SET => {
                let (count, kind) = self.list_head()?;
                (0..count).try_for_each(|_| self.pass_element(kind))
            }
            MAP => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.pass_element(Kind(kinds >> 4))?;
                    self.pass_element(Kind(kinds & 0xf))
                })
            }
            STRUCT => self.structure(|_, _, _| Some(false)),
            _ => None,
        }
    }

    /// Skips an element. It takes at least one byte, whatever its type.
    fn pass_element(&mut self, kind: Kind) -> Option<()> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let passed = match kind.0 {
            TRUE | FALSE => self.byte().map(drop),
            _ => self.pass(kind),
        };
        self.depth -= 1;
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_passed_over() {
        // 1: list of 2 structures {1: 5}, 2: map {1: true}, 3: binary "ab", 4: double, 20: i32 -7.
        let bytes = [
            0x19, 0x2c, 0x15, 0x0a, 0x00, 0x15, 0x0a, 0x00, 0x1b, 0x01, 0x51, 0x02, 0x01, 0x18,
            0x02, b'a', b'b', 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x05, 0x28, 0x0d, 0x00, 0xff,
        ];
        let mut compact = Compact::new(&bytes);
        let mut found = None;
        let read = compact.structure(|compact, number, kind| {
            if number != 20 {
                return Some(false);
            }
            found = compact.number(kind);
            Some(true)
        });
        assert_eq!((read, found, compact.left()), (Some(()), Some(-7), 1));
        for cut in 0..bytes.len() - 1 {
            let read = Compact::new(&bytes[..cut]).structure(|_, _, _| Some(false));
            assert_eq!(read, None, "{cut} bytes");
        }
    }

    #[test]
    fn lengths_beyond_the_bytes_end_the_reading() {
        let check = |bytes: &[u8]| {
            let read = Compact::new(bytes).structure(|_, _, _| Some(false));
            assert_eq!(read, None, "{bytes:?}");
        };
        check(&[
            0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0,
        ]);
        check(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]);
        check(&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]);
        check(&[0x1b, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x11, 0]);
        check(&[0x15; 11]);
        check(&[0x1c; 1000]);
        check(&[0x19; 1000]);
        check(&[0x1d, 0]);
    }
}
