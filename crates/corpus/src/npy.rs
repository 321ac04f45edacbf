//! Token ids in NumPy's `.npy` format: a header, then rows.
//!
//! The header is a Python dictionary as text. A parser without recursion reads the form that NumPy writes and no other. Every
//! size is checked against the file's size before anything is allocated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::file::{open, read_error};
use crate::sequences::Collection;
use crate::{Corpus, CorpusError, Options, Place};

/// The longest accepted header text, in bytes; NumPy's is under 128.
const MAX_HEADER: u64 = 1 << 16;

/// Reads the rows of a two-dimensional array of token ids.
pub(crate) fn read(path: &Path, options: &Options) -> Result<Corpus, CorpusError> {
    let mut collection = Collection::of_ids(path, options)?;
    let file = open(path)?;
    let length = file.size();
    let mut file = BufReader::new(file.into_file()?);
    let array = read_header(path, &mut file, length)?;
    // Lossless: a row of this many elements lies within the file.
    let taken = array.columns.min(options.context as u64) as usize;
    let mut bytes = vec![0; taken * array.element.size()];
    let rest = (array.columns - taken as u64) * array.element.size() as u64;
    // If an array is stored by columns, all rows that are taken are in memory at once.
    let columns = match array.by_columns {
        true => {
            let size = (taken * array.element.size()) as u64 * array.rows;
            collection.check_memory(size, || {
                format!("an array of {size} bytes, stored by columns")
            })?;
            let mut columns = vec![0; size as usize];
            file.read_exact(&mut columns).map_err(read_error(path))?;
            Some(columns)
        }
        false => None,
    };
    for row in 0..array.rows {
        collection.document();
        if rest > 0 {
            collection.cut();
        }
        match &columns {
            Some(columns) => {
                let size = array.element.size();
                for (column, element) in bytes.chunks_exact_mut(size).enumerate() {
                    // Lossless: the whole array fits into memory.
                    let at = (column * array.rows as usize + row as usize) * size;
                    element.copy_from_slice(&columns[at..at + size]);
                }
            }
            None => file.read_exact(&mut bytes).map_err(read_error(path))?,
        }
        let ids = bytes.chunks_exact(array.element.size());
        let ids = ids.map(|bytes| array.element.decode(bytes));
        if collection.push(Place::Row(row), None, 0, ids)?.is_break() {
            break;
        }
        if columns.is_none() {
            file.seek_relative(rest as i64).map_err(read_error(path))?;
        }
    }
    collection.finish()
}

/// The contents of the header: `[rows, columns]` of `element`.
#[derive(Debug, PartialEq)]
struct Array {
    rows: u64,
    columns: u64,
    element: Element,
    /// Whether the elements of a column are contiguous, rather than those of a row.
    by_columns: bool,
}

/// An element type that can hold token ids: an integer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Element {
    /// In bytes: 1, 2, 4 or 8.
    size: usize,
    is_signed: bool,
    is_big_endian: bool,
}

impl Element {
    /// From NumPy's three characters: byte order, kind, size.
    fn from_descr(descr: &str) -> Option<Self> {
        let &[order, kind, size @ (b'1' | b'2' | b'4' | b'8')] = descr.as_bytes() else {
            return None;
        };
        let size = usize::from(size - b'0');
        let is_order = matches!(order, b'<' | b'>') || (order == b'|' && size == 1);
        (is_order && matches!(kind, b'i' | b'u')).then_some(Self {
            size,
            is_signed: kind == b'i',
            is_big_endian: order == b'>',
        })
    }

    /// The size in bytes.
    fn size(self) -> usize {
        self.size
    }

    /// The value of `size` bytes.
    fn decode(self, bytes: &[u8]) -> i128 {
        let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let unsigned = match self.is_big_endian {
            true => bytes.iter().fold(0, push),
            false => bytes.iter().rev().fold(0, push),
        };
        let is_negative = self.is_signed && unsigned >> (8 * self.size - 1) == 1;
        i128::from(unsigned) - if is_negative { 1 << (8 * self.size) } else { 0 }
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
        let expected = "integers of 1, 2, 4 or 8 bytes, such as |u1 <u2 <i4 or >i8";
        return Err(refuse("dtype", expected, descr.to_owned()));
    };
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
        by_columns: fortran_order,
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

/// The rest of a header. Each method reads one item, or returns `None` and reads nothing.
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
