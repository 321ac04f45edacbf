//! Pages: the compression and encoding of their values.

use super::compact::Compact;
use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// A fault of a page: what was expected, and what was found.
pub(super) type Fault = (String, String);

/// A page's header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    kind: i64,
    /// The size of the decompressed page, in bytes.
    pub(super) uncompressed: u64,
    /// The size of the page in the file, in bytes.
    pub(super) compressed: u64,
    values: u64,
    encoding: i64,
    /// In pages of version 2, the bytes of levels before the values.
    levels: u64,
    is_plain: bool,
}

const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

/// The largest accepted number of values in a page; writers make pages of about a megabyte.
const MOST_VALUES: u64 = 1 << 24;

impl Header {
    /// Reads a header from bytes that may continue after it; returns it with its length in bytes.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut header = Self::default();
        let mut repetitions = 0;
        let natural = |number: i64| u64::try_from(number).ok();
        let mut compact = Compact::new(bytes);
        compact.structure(|compact, number, kind| {
            match number {
                1 => header.kind = compact.number(kind)?,
                2 => header.uncompressed = natural(compact.number(kind)?)?,
                3 => header.compressed = natural(compact.number(kind)?)?,
                5 | 7 => compact.inner(kind, |compact, number, kind| {
                    match number {
                        1 => header.values = natural(compact.number(kind)?)?,
                        2 => header.encoding = compact.number(kind)?,
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                8 => compact.inner(kind, |compact, number, kind| {
                    match number {
                        1 => header.values = natural(compact.number(kind)?)?,
                        4 => header.encoding = compact.number(kind)?,
                        5 => header.levels = natural(compact.number(kind)?)?,
                        6 => repetitions = natural(compact.number(kind)?)?,
                        7 => header.is_plain = !compact.truth(kind)?,
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        // A column with one value per row has no repetition levels.
        let is_flat = repetitions == 0;
        is_flat.then_some((header, bytes.len() - compact.left()))
    }

    /// The decompressed bytes of the page. At most the size in the header is allocated, which the caller has limited.
    pub(super) fn decompress(&self, codec: i64, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let fault = |found: &str| {
            let expected = format!("a page of {} bytes once decompressed", self.uncompressed);
            (expected, found.to_owned())
        };
        let levels = match self.kind {
            DATA_V2 => usize::try_from(self.levels).unwrap_or(usize::MAX),
            _ => 0,
        };
        let split = bytes.split_at_checked(levels);
        let (levels, bytes) = split.ok_or_else(|| fault("fewer bytes than its levels have"))?;
        let most = self.uncompressed.checked_sub(levels.len() as u64);
        let most = most.ok_or_else(|| fault("levels of more bytes"))?;
        let size = usize::try_from(most).map_err(|_| fault("more than fits into memory"))?;
        let limited = |reader: &mut dyn Read| {
            let mut all = Vec::new();
            let read = reader.take(most + 1).read_to_end(&mut all);
            read.map_err(|error| fault(&error.to_string())).map(|_| all)
        };
        let values = match codec {
            // Rows without a text leave nothing to compress, and many writers store nothing then.
            _ if size == 0 && bytes.is_empty() => Vec::new(),
            _ if self.is_plain => bytes.to_vec(),
            0 => bytes.to_vec(),
            1 => {
                let found = snap::raw::decompress_len(bytes);
                let found = found.map_err(|error| fault(&error.to_string()))?;
                if found != size {
                    return Err(fault(&format!("{found} bytes of Snappy")));
                }
                let decompressed = snap::raw::Decoder::new().decompress_vec(bytes);
                decompressed.map_err(|error| fault(&error.to_string()))?
            }
            2 => limited(&mut MultiGzDecoder::new(bytes))?,
            6 => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(bytes);
                limited(&mut decoder.map_err(|error| fault(&error.to_string()))?)?
            }
            other => {
                let names = ["", "", "", "LZO", "Brotli", "LZ4", "", "LZ4"];
                let name = usize::try_from(other).ok().and_then(|at| names.get(at));
                return Err((
                    "compression by Snappy, gzip or Zstandard, or none".to_owned(),
                    name.map_or_else(|| format!("number {other}"), |name| (*name).to_owned()),
                ));
            }
        };
        if values.len() != size {
            return Err(fault(&format!(
                "{} bytes at least",
                values.len() + levels.len()
            )));
        }
        Ok([levels, &values].concat())
    }

    /// Whether the page holds the dictionary for the following pages.
    pub(super) fn is_dictionary(&self) -> bool {
        self.kind == DICTIONARY
    }

    /// Whether the page holds values of rows.
    pub(super) fn is_data(&self) -> bool {
        [DATA, DATA_V2].contains(&self.kind)
    }

    /// The number of its values.
    pub(super) fn values(&self) -> Result<usize, Fault> {
        match self.values {
            0..=MOST_VALUES => Ok(self.values as usize),
            found => Err((
                format!("at most {MOST_VALUES} values in a page"),
                found.to_string(),
            )),
        }
    }

    /// The positions of a dictionary's texts in the bytes of its page.
    pub(super) fn dictionary(&self, page: &[u8]) -> Result<Vec<[u32; 2]>, Fault> {
        let mut plain = Plain { page, at: 0 };
        let mut places = Vec::new();
        for _ in 0..self.values()? {
            places.push(plain.next()?);
        }
        Ok(places)
    }

    /// The texts of a data page, as positions in its bytes or entries of the dictionary; `None` for rows without a text.
    pub(super) fn texts<'p>(&self, page: &'p [u8], is_optional: bool) -> Result<Texts<'p>, Fault> {
        let cut = || {
            (
                "a page that holds its levels".to_owned(),
                "fewer bytes".to_owned(),
            )
        };
        let (levels, values) = match self.kind {
            DATA_V2 => {
                let length = usize::try_from(self.levels).unwrap_or(usize::MAX);
                page.split_at_checked(length).ok_or_else(cut)?
            }
            _ if is_optional => {
                let (length, rest) = page.split_first_chunk().ok_or_else(cut)?;
                let length = u32::from_le_bytes(*length) as usize;
                rest.split_at_checked(length).ok_or_else(cut)?
            }
            _ => (&[][..], page),
        };
        let start = page.len() - values.len();
        let values = match self.encoding {
            0 => Values::Plain(Plain { page, at: start }),
            2 | 8 => {
                let (width, indices) = values.split_first().unwrap_or((&0, &[]));
                if *width > 32 {
                    return Err((
                        "indices of at most 32 bits".to_owned(),
                        format!("{width} bits"),
                    ));
                }
                Values::Dictionary(Hybrid::new(indices, *width))
            }
            other => {
                let names = [
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    "DELTA_LENGTH_BYTE_ARRAY",
                    "DELTA_BYTE_ARRAY",
                ];
                let name = usize::try_from(other).ok().and_then(|at| names.get(at));
                return Err((
                    "texts in the plain or dictionary encoding".to_owned(),
                    name.filter(|name| !name.is_empty())
                        .map_or_else(|| format!("encoding {other}"), |name| (*name).to_owned()),
                ));
            }
        };
        Ok(Texts {
            levels: is_optional.then(|| Hybrid::new(levels, 1)),
            values,
        })
    }
}

/// Consecutive texts, each preceded by its length in four bytes.
#[derive(Debug)]
struct Plain<'p> {
    page: &'p [u8],
    at: usize,
}

impl Plain<'_> {
    /// The beginning and end of the next text.
    fn next(&mut self) -> Result<[u32; 2], Fault> {
        let place = || {
            let length = self.page.get(self.at..)?.first_chunk()?;
            let start = self.at + 4;
            let end = start.checked_add(u32::from_le_bytes(*length) as usize)?;
            self.page.get(start..end)?;
            Some([u32::try_from(start).ok()?, u32::try_from(end).ok()?])
        };
        let place = place().ok_or_else(|| {
            let expected = format!("a text at byte {} of its page", self.at);
            (
                expected,
                format!("the end of the page, at {}", self.page.len()),
            )
        })?;
        self.at = place[1] as usize;
        Ok(place)
    }
}

/// The location of a data page's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The row has no text.
    Nothing,
    /// It lies in the page.
    InPage([u32; 2]),
    /// It is an entry of the dictionary.
    InDictionary(u32),
}

/// Iterates over the texts of a data page.
#[derive(Debug)]
pub(super) struct Texts<'p> {
    levels: Option<Hybrid<'p>>,
    values: Values<'p>,
}

#[derive(Debug)]
enum Values<'p> {
    Plain(Plain<'p>),
    Dictionary(Hybrid<'p>),
}

impl Texts<'_> {
    /// The next one.
    pub(super) fn next(&mut self) -> Result<Found, Fault> {
        if let Some(levels) = &mut self.levels
            && levels.next()? == 0
        {
            return Ok(Found::Nothing);
        }
        Ok(match &mut self.values {
            Values::Plain(plain) => Found::InPage(plain.next()?),
            Values::Dictionary(indices) => Found::InDictionary(indices.next()?),
        })
    }
}

/// Small numbers in Parquet's hybrid encoding: runs of one number, and bit-packed groups of eight.
#[derive(Debug)]
struct Hybrid<'p> {
    bytes: Compact<'p>,
    all: &'p [u8],
    width: u8,
    /// The remaining numbers of the current run or groups.
    left: u64,
    run: Option<u32>,
    /// The position of the next number's first bit, from the first byte.
    bit: u64,
}

impl<'p> Hybrid<'p> {
    fn new(all: &'p [u8], width: u8) -> Self {
        Self {
            bytes: Compact::new(all),
            all,
            width,
            left: 0,
            run: None,
            bit: 0,
        }
    }

    fn next(&mut self) -> Result<u32, Fault> {
        self.number().ok_or_else(|| {
            let expected = format!("numbers of {} bits in runs and groups", self.width);
            (expected, "the end of the page".to_owned())
        })
    }

    fn number(&mut self) -> Option<u32> {
        while self.left == 0 {
            let head = self.bytes.varint()?;
            let at = self.all.len() - self.bytes.left();
            let bytes = match head & 1 {
                0 => {
                    self.left = head >> 1;
                    let bytes = usize::from(self.width.div_ceil(8));
                    let value = self.all.get(at..at + bytes)?;
                    let mut number = [0; 4];
                    number[..bytes].copy_from_slice(value);
                    self.run = Some(u32::from_le_bytes(number));
                    bytes
                }
                _ => {
                    let bytes = (head >> 1).checked_mul(self.width.into())?;
                    self.left = (head >> 1).checked_mul(8)?;
                    self.run = None;
                    self.bit = at as u64 * 8;
                    // The last group may be cut off where no further number is needed.
                    let rest = self.all.len() - at;
                    usize::try_from(bytes).unwrap_or(usize::MAX).min(rest)
                }
            };
            self.bytes = Compact::new(self.all.get(at + bytes..)?);
        }
        self.left -= 1;
        if let Some(number) = self.run {
            return Some(number);
        }
        let mut number = 0_u64;
        let first = usize::try_from(self.bit / 8).ok()?;
        let last = (self.bit + u64::from(self.width)).div_ceil(8);
        let last = usize::try_from(last).ok()?;
        for (at, byte) in self.all.get(first..last)?.iter().enumerate() {
            number |= u64::from(*byte) << (8 * at);
        }
        number = number >> (self.bit % 8) & ((1 << self.width) - 1);
        self.bit += u64::from(self.width);
        u32::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_rows_without_a_text_has_nothing_to_decompress() {
        let header = Header {
            kind: DATA_V2,
            uncompressed: 2,
            compressed: 2,
            values: 1,
            levels: 2,
            ..Header::default()
        };
        let page = [2, 0];
        for codec in [0, 1, 2, 6] {
            assert_eq!(header.decompress(codec, &page), Ok(page.to_vec()));
        }
        let mut texts = header.texts(&page, true).unwrap();
        assert_eq!(texts.next(), Ok(Found::Nothing));
    }

    #[test]
    fn runs_and_groups_are_read() {
        let check = |bytes: &[u8], width: u8, expected: &[u32]| {
            let mut numbers = Hybrid::new(bytes, width);
            for (at, number) in expected.iter().enumerate() {
                assert_eq!(numbers.next().as_ref(), Ok(number), "number {at}");
            }
            assert!(numbers.next().is_err());
        };
        check(&[], 1, &[]);
        check(&[8, 1, 4, 0], 1, &[1, 1, 1, 1, 0, 0]);
        // The example in the format's documentation: 0 to 7 in three bits each.
        check(
            &[3, 0b1000_1000, 0b1100_0110, 0b1111_1010],
            3,
            &[0, 1, 2, 3, 4, 5, 6, 7],
        );
        check(&[4, 0x34, 0x12, 3, 1, 0, 2, 0], 16, &[0x1234, 0x1234, 1, 2]);
        check(&[2, 1, 0, 0, 0x80], 32, &[0x8000_0001]);
        check(&[6], 0, &[0, 0, 0]);
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            32,
            &[],
        );
        check(&[8, 1, 2], 12, &[0x201; 4]);
    }
}
