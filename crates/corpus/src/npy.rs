//! Token ids in NumPy's `.npy` format: a header, then rows.
//!
//! The header is a Python dictionary in text. Only the form that NumPy writes is read, by a parser without
//! recursion, and every size is checked against the file's before anything is allocated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::file::{open, read_error};
use crate::sequences::Collection;
use crate::{Bos, Corpus, CorpusError, Options, Place};

/// The longest header text that is read, in bytes; NumPy's is under 128.
const MAX_HEADER: u64 = 1 << 16;

/// Reads the rows of a two-dimensional array of token ids.
pub(crate) fn read(path: &Path, options: &Options) -> Result<Corpus, CorpusError> {
    if let Bos::Id(bos) = options.bos {
        return Err(CorpusError::BosWithTokenIds {
            path: path.to_owned(),
            bos,
        });
    }
    let file = open(path)?;
    let length = file.size();
    let mut file = BufReader::new(file.into_file()?);
    let array = read_header(path, &mut file, length)?;
    let mut collection = Collection::new(path, options);
    // Lossless: a row of so many elements was found to lie within the file.
    let taken = array.columns.min(options.context as u64) as usize;
    let mut bytes = vec![0; taken * array.element.size()];
    let rest = (array.columns - taken as u64) * array.element.size() as u64;
    for row in 0..array.rows {
        collection.document();
        if rest > 0 {
            collection.cut();
        }
        file.read_exact(&mut bytes).map_err(read_error(path))?;
        let ids = bytes.chunks_exact(array.element.size());
        let ids = ids.map(|bytes| array.element.decode(bytes));
        if collection.push(Place::Row(row), None, 0, ids)?.is_break() {
            break;
        }
        file.seek_relative(rest as i64).map_err(read_error(path))?;
    }
    collection.finish()
}

/// What the header says: `[rows, columns]` of `element`.
#[derive(Debug, PartialEq)]
struct Array {
    rows: u64,
    columns: u64,
    element: Element,
}

/// A type of elements that can hold token ids.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Element {
    U8,
    U16,
    U32,
    U64,
    I32,
    I64,
}

impl Element {
    fn from_descr(descr: &str) -> Option<Self> {
        match descr {
            "|u1" | "<u1" => Some(Self::U8),
            "<u2" => Some(Self::U16),
            "<u4" => Some(Self::U32),
            "<u8" => Some(Self::U64),
            "<i4" => Some(Self::I32),
            "<i8" => Some(Self::I64),
            _ => None,
        }
    }

    /// In bytes.
    fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::I32 => 4,
            Self::U64 | Self::I64 => 8,
        }
    }

    /// The value of `size` little-endian bytes.
    fn decode(self, bytes: &[u8]) -> i128 {
        let unsigned = bytes
            .iter()
            .rev()
            .fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => i128::from(unsigned),
            Self::I32 => i128::from(unsigned as u32 as i32),
            Self::I64 => i128::from(unsigned as i64),
        }
    }
}

/// Reads the header and checks it against the file's `length` in bytes.
fn read_header(path: &Path, file: &mut BufReader<File>, length: u64) -> Result<Array, CorpusError> {
    let refuse = |item, expected: &str, found: String| CorpusError::Npy {
        path: path.to_owned(),
        item,
        expected: expected.to_owned(),
        found,
    };
    if length < 10 {
        let found = format!("{length} bytes");
        return Err(refuse("file", "an .npy header of 10 bytes or more", found));
    }
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(read_error(path))?;
    if start[..6] != *b"\x93NUMPY" {
        let found = format!("`{}`", start[..6].escape_ascii());
        return Err(refuse("first bytes", r"`\x93NUMPY`", found));
    }
    let prefix = match start[6..] {
        [1, 0] => 2,
        [2 | 3, 0] => 4,
        _ => {
            let found = format!("{}.{}", start[6], start[7]);
            return Err(refuse("format version", "1.0, 2.0 or 3.0", found));
        }
    };
    let mut size = Vec::new();
    let mut limited = file.by_ref().take(prefix);
    limited.read_to_end(&mut size).map_err(read_error(path))?;
    let size = size
        .iter()
        .rev()
        .fold(0, |size, &byte| size << 8 | u64::from(byte));
    let data = 8 + prefix + size;
    if size > MAX_HEADER || data > length {
        let expected = format!("at most {MAX_HEADER} bytes within the file's {length}");
        return Err(refuse("header length", &expected, size.to_string()));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(read_error(path))?;
    let header = match String::from_utf8(header) {
        Ok(header) => header,
        Err(error) => {
            let found = format!("`{}`", error.as_bytes().escape_ascii());
            return Err(refuse("header", "text", found));
        }
    };
    let Some(Header {
        descr,
        fortran_order,
        shape,
    }) = Header::parse(&header)
    else {
        let expected =
            "a dictionary of 'descr' (a string), 'fortran_order' and 'shape' (of integers)";
        return Err(refuse(
            "header",
            expected,
            format!("`{}`", header.trim_end()),
        ));
    };
    let Some(element) = Element::from_descr(descr) else {
        let expected =
            "little-endian unsigned integers, or i32 or i64: one of |u1 <u2 <u4 <u8 <i4 <i8";
        return Err(refuse("dtype", expected, descr.to_owned()));
    };
    if fortran_order {
        let expected = "rows one after another (fortran_order False)";
        return Err(refuse("order", expected, "fortran_order True".to_owned()));
    }
    let &[rows, columns] = shape.as_slice() else {
        let found = format!("{} dimension(s), {shape:?}", shape.len());
        return Err(refuse("shape", "2 dimensions, rows and tokens", found));
    };
    if rows == 0 || columns == 0 {
        let found = format!("{rows} x {columns}");
        return Err(refuse("shape", "at least one row and one token", found));
    }
    let bytes = rows
        .checked_mul(columns)
        .and_then(|elements| elements.checked_mul(element.size() as u64));
    if bytes != Some(length - data) {
        let expected =
            format!("the bytes of {rows} x {columns} elements of dtype {descr} after the header");
        let found = format!("{} bytes", length - data);
        return Err(refuse("file length", &expected, found));
    }
    Ok(Array {
        rows,
        columns,
        element,
    })
}

/// The header's dictionary.
#[derive(Debug, PartialEq)]
struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl<'a> Header<'a> {
    /// Parses `{'descr': '…', 'fortran_order': …, 'shape': (…), }`: each key once, in any order.
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = Rest(text);
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        rest.symbol('{')?;
        while rest.symbol('}').is_none() {
            let key = rest.string()?;
            rest.symbol(':')?;
            match key {
                "descr" if descr.is_none() => descr = Some(rest.string()?),
                "fortran_order" if fortran_order.is_none() => fortran_order = Some(rest.boolean()?),
                "shape" if shape.is_none() => shape = Some(rest.integers()?),
                _ => return None,
            }
            if rest.symbol(',').is_none() {
                rest.symbol('}')?;
                break;
            }
        }
        rest.0.trim().is_empty().then_some(())?;
        Some(Self {
            descr: descr?,
            fortran_order: fortran_order?,
            shape: shape?,
        })
    }
}

/// What is left of a header; each method takes one item, or leaves all and gives `None`.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn symbol(&mut self, symbol: char) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(symbol)?;
        Some(())
    }

    /// A string in either kind of quotes, without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|quote| "'\"".contains(*quote))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        (!string.contains('\\')).then_some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        let text = self.0.trim_start();
        let named = |name, value| text.strip_prefix(name).map(|rest| (rest, value));
        let (rest, value) = named("True", true).or_else(|| named("False", false))?;
        self.0 = rest;
        Some(value)
    }

    /// A tuple of integers.
    fn integers(&mut self) -> Option<Vec<u64>> {
        let mut integers = Vec::new();
        self.symbol('(')?;
        while self.symbol(')').is_none() {
            let text = self.0.trim_start();
            let end = text.find(|c: char| !c.is_ascii_digit())?;
            integers.push(text[..end].parse().ok()?);
            self.0 = &text[end..];
            if self.symbol(',').is_none() {
                self.symbol(')')?;
                break;
            }
        }
        Some(integers)
    }
}
