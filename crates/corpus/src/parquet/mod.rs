//! Parquet files: one column of texts, one document per row.
//!
//! This is not done with the crate `parquet`. Version 60.1 without arrow is cheap to build (30 seconds of processor time, a dozen
//! crates). But it panicked on 43 of the 117,968 files that differ by one bit from four of `fixtures/parquet`, allocates whatever
//! memory a page claims to need, and reads Zstandard through a C library.

mod compact;
mod footer;
mod page;

use std::ops::ControlFlow;
use std::path::Path;

use layerwise_files::OpenedFile;

use crate::file::open;
use crate::text::Documents;
use crate::{Corpus, CorpusError, Options, Place, Tokenizer};
use footer::{Chunk, Column, Footer};
use page::{Fault, Found, Header};

/// The bytes at both ends of a file.
const MAGIC: &[u8; 4] = b"PAR1";
/// The largest accepted footer, in bytes; a footer has some hundred bytes for each column of each row group.
const MAX_FOOTER: u64 = 64 << 20;
/// The largest accepted page, in bytes, compressed or not.
const MAX_PAGE: u64 = 256 << 20;
/// The largest accepted number of rows. A few bytes may stand for millions of rows without a text.
const MOST_ROWS: u64 = 1 << 28;
/// The largest accepted page header, in bytes.
const MAX_HEADER: u64 = 1 << 20;

/// Names of the columns of a Parquet file that hold one text per row.
///
/// # Errors
///
/// The file cannot be opened or is not Parquet.
pub fn text_columns(path: &Path) -> Result<Vec<String>, CorpusError> {
    let file = open(path)?;
    let footer = read_footer(path, &file, "")?;
    Ok(footer.texts().map(str::to_owned).collect())
}

/// Reads the documents in the rows of a column; the first window of each.
pub(crate) fn read_documents(
    path: &Path,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    let file = open(path)?;
    let footer = read_footer(path, &file, &options.field)?;
    let texts: Vec<String> = footer.texts().map(|name| format!("{name:?}")).collect();
    let column = footer.column(&options.field).ok_or_else(|| {
        let expected = format!("a column {:?} of texts, one a row", options.field);
        let found = match texts.is_empty() {
            true => "no column of texts".to_owned(),
            false => format!("texts in {}", texts.join(", ")),
        };
        faulty(path, "columns", (expected, found))
    })?;
    let groups = column.chunks.iter().map(|chunk| chunk.values);
    let all = groups.fold(0, u64::saturating_add);
    if all > MOST_ROWS {
        let expected = format!("at most {MOST_ROWS} rows in a file");
        return Err(faulty(path, "footer", (expected, all.to_string())));
    }
    let mut rows = Rows {
        path,
        file: &file,
        documents: Documents::new(path, tokenizer, options),
        row: 0,
    };
    for (group, chunk) in column.chunks.iter().enumerate() {
        if rows.chunk(group, chunk, &column)?.is_break() {
            break;
        }
    }
    rows.documents.finish()
}

fn faulty(path: &Path, item: impl Into<String>, (expected, found): Fault) -> CorpusError {
    CorpusError::Parquet {
        path: path.to_owned(),
        item: item.into(),
        expected,
        found,
    }
}

/// The footer, with the chunks of one column.
fn read_footer(path: &Path, file: &OpenedFile, column: &str) -> Result<Footer, CorpusError> {
    let fault =
        |expected: &str, found: String| faulty(path, "footer", (expected.to_owned(), found));
    let size = file.size();
    let ends = "PAR1 at both ends, and a footer between them";
    let before = size.checked_sub(8).filter(|before| *before >= 4);
    let before = before.ok_or_else(|| fault(ends, format!("a file of {size} bytes")))?;
    let (mut first, mut last) = ([0; 4], [0; 8]);
    file.read_at(0, &mut first)?;
    file.read_at(before, &mut last)?;
    let (length, end) = last.split_at(4);
    if first != *MAGIC || end != MAGIC {
        return Err(fault(
            ends,
            format!(
                "{:?} and {:?}",
                first.escape_ascii().to_string(),
                end.escape_ascii().to_string()
            ),
        ));
    }
    let length = length
        .iter()
        .rev()
        .fold(0, |length, byte| length << 8 | u64::from(*byte));
    if length > MAX_FOOTER || length > before - 4 {
        let most = MAX_FOOTER.min(before - 4);
        return Err(fault(&format!("at most {most} bytes"), format!("{length}")));
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(before - length, &mut bytes)?;
    let footer = Footer::read(&bytes, column);
    footer.ok_or_else(|| {
        fault(
            "Parquet's description of columns, in Thrift's compact protocol",
            "other bytes".to_owned(),
        )
    })
}

/// Reads the rows of a file.
struct Rows<'a> {
    path: &'a Path,
    file: &'a OpenedFile,
    documents: Documents<'a>,
    row: u64,
}

impl Rows<'_> {
    /// Adds the documents of a row group; breaks if a limit is reached.
    fn chunk(
        &mut self,
        group: usize,
        chunk: &Chunk,
        column: &Column,
    ) -> Result<ControlFlow<()>, CorpusError> {
        let end = chunk
            .start
            .checked_add(chunk.length)
            .filter(|end| *end <= self.file.size());
        let end = end.ok_or_else(|| {
            let expected = format!("pages within the {} bytes of the file", self.file.size());
            let found = format!("{} bytes from byte {}", chunk.length, chunk.start);
            faulty(self.path, format!("row group {group}"), (expected, found))
        })?;
        let (mut at, mut left) = (chunk.start, chunk.values);
        let mut dictionary = Dictionary::default();
        while left > 0 && at < end {
            let item = format!("row group {group}, page at byte {at}");
            let fault = |fault: Fault| faulty(self.path, item.clone(), fault);
            let (header, page) = self.page(&item, (at, end), chunk.codec, &dictionary)?;
            at = page.next;
            let page = page.bytes;
            if header.is_dictionary() {
                dictionary.places = header.dictionary(&page).map_err(fault)?;
                dictionary.bytes = page;
                continue;
            }
            if !header.is_data() {
                continue;
            }
            let values = header.values().map_err(fault)?;
            left = left.checked_sub(values as u64).ok_or_else(|| {
                let expected = format!("the {} values of the group's footer", chunk.values);
                fault((expected, "more".to_owned()))
            })?;
            let mut texts = header.texts(&page, column.is_optional).map_err(fault)?;
            for _ in 0..values {
                let text = match texts.next().map_err(fault)? {
                    Found::Nothing => &[][..],
                    Found::InPage([start, end]) => &page[start as usize..end as usize],
                    Found::InDictionary(index) => dictionary.get(index).map_err(fault)?,
                };
                let place = Place::Row(self.row);
                self.row += 1;
                let text = std::str::from_utf8(text).map_err(|error| {
                    let found = format!(
                        "byte 0x{:02x} at byte {}",
                        text[error.valid_up_to()],
                        error.valid_up_to()
                    );
                    faulty(self.path, place.to_string(), ("UTF-8".to_owned(), found))
                })?;
                if text.is_empty() {
                    self.documents.empty();
                    continue;
                }
                if self.documents.text(place, text)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        match left {
            0 => Ok(ControlFlow::Continue(())),
            left => {
                let expected = format!("pages with {} values", chunk.values);
                let found = format!("the end of its pages, {left} values too early");
                Err(faulty(
                    self.path,
                    format!("row group {group}"),
                    (expected, found),
                ))
            }
        }
    }

    /// The decompressed page at a position, beside the dictionary; the chunk ends at `end`.
    fn page(
        &self,
        item: &str,
        (at, end): (u64, u64),
        codec: i64,
        dictionary: &Dictionary,
    ) -> Result<(Header, Page), CorpusError> {
        let fault = |fault: Fault| faulty(self.path, item, fault);
        // A header has some ten bytes, or some hundred if it holds minimum and maximum.
        let mut window = 256;
        let (header, length) = loop {
            let mut bytes = vec![0; window.min(end - at) as usize];
            self.file.read_at(at, &mut bytes)?;
            match Header::read(&bytes) {
                Some(found) => break found,
                None if window < (end - at).min(MAX_HEADER) => window *= 16,
                None => {
                    let expected = "a page header in Thrift's compact protocol";
                    return Err(fault((expected.to_owned(), "other bytes".to_owned())));
                }
            }
        };
        let start = at + length as u64;
        let rest = end - start;
        if header.compressed > rest.min(MAX_PAGE) || header.uncompressed > MAX_PAGE {
            let expected = format!(
                "a page of at most {} bytes, and of {MAX_PAGE} decompressed",
                rest.min(MAX_PAGE)
            );
            let found = format!("{} and {}", header.compressed, header.uncompressed);
            return Err(fault((expected, found)));
        }
        let places = match header.is_dictionary() {
            true => Dictionary::most_places(header.values().map_err(fault)?, header.uncompressed),
            false => 0,
        };
        let needed = header.compressed + 2 * header.uncompressed + places + dictionary.held();
        self.documents.check_memory(needed, || item.to_owned())?;
        let mut bytes = vec![0; header.compressed as usize];
        self.file.read_at(start, &mut bytes)?;
        let bytes = header.decompress(codec, &bytes).map_err(fault)?;
        let next = start + header.compressed;
        Ok((header, Page { bytes, next }))
    }
}

/// A page, and the position of the next one.
struct Page {
    bytes: Vec<u8>,
    next: u64,
}

/// Texts that pages refer to by number.
#[derive(Default)]
struct Dictionary {
    bytes: Vec<u8>,
    places: Vec<[u32; 2]>,
}

impl Dictionary {
    /// The bytes that it takes.
    fn held(&self) -> u64 {
        (self.bytes.capacity() + self.places.capacity() * size_of::<[u32; 2]>()) as u64
    }

    /// The most bytes that the places of the texts of a page take: each text has its length in four bytes, and the list may be
    /// half empty.
    fn most_places(texts: usize, page: u64) -> u64 {
        2 * (texts as u64).min(page / 4) * size_of::<[u32; 2]>() as u64
    }

    fn get(&self, index: u32) -> Result<&[u8], Fault> {
        let place = self.places.get(index as usize);
        let [start, end] = *place.ok_or_else(|| {
            let expected = format!("an entry of a dictionary of {}", self.places.len());
            (expected, format!("number {index}"))
        })?;
        Ok(&self.bytes[start as usize..end as usize])
    }
}
