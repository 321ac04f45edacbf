//! The footer of a Parquet file, which describes its columns.

use super::compact::{Compact, Kind};

/// The location of a column of texts.
#[derive(Debug, PartialEq)]
pub(super) struct Column {
    /// Whether a row may lack a text.
    pub(super) is_optional: bool,
    /// One for each group of rows.
    pub(super) chunks: Vec<Chunk>,
}

/// The part of a column in one row group.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Chunk {
    /// The number of its compression codec.
    pub(super) codec: i64,
    /// The number of rows of the group.
    pub(super) values: u64,
    /// The position of its first page in the file.
    pub(super) start: u64,
    /// The length of its pages in the file, in bytes.
    pub(super) length: u64,
}

/// A top-level column.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    is_text: bool,
    is_optional: bool,
}

/// The parts of a footer that a reader of one column needs.
#[derive(Debug, Default)]
pub(super) struct Footer {
    pub(super) fields: Vec<Field>,
    chunks: Vec<Chunk>,
}

/// The physical type of strings.
const BYTE_ARRAY: i64 = 6;
/// The largest accepted number of top-level columns.
const MOST_COLUMNS: usize = 1 << 16;
/// Repetition types of fields: required in each row, or optional.
const REQUIRED: i64 = 0;
const OPTIONAL: i64 = 1;

impl Footer {
    /// Reads a footer, with the chunks of the named top-level column. `None` if it breaks the format, or has more
    /// than [`MOST_COLUMNS`].
    pub(super) fn read(bytes: &[u8], column: &str) -> Option<Self> {
        let mut footer = Self::default();
        let mut schema = Schema::default();
        Compact::new(bytes).structure(|compact, number, kind| {
            match number {
                2 => compact.list(kind, |compact, kind| schema.element(compact, kind))?,
                4 => compact.list(kind, |compact, kind| {
                    footer.chunks.extend(row_group(compact, kind, column)?);
                    Some(())
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        footer.fields = schema.fields;
        Some(footer)
    }

    /// The column, if it has one text per row.
    pub(super) fn column(self, name: &str) -> Option<Column> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        field.is_text.then_some(Column {
            is_optional: field.is_optional,
            chunks: self.chunks,
        })
    }

    /// Names of the columns with texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.fields.iter().filter(|field| field.is_text);
        texts.map(|field| field.name.as_str())
    }
}

/// The tree of columns, stored as a list in which each node precedes its children.
#[derive(Debug, Default)]
struct Schema {
    fields: Vec<Field>,
    is_begun: bool,
    /// The number of nodes still to come below a top-level one.
    below: u64,
}

impl Schema {
    fn element(&mut self, compact: &mut Compact<'_>, kind: Kind) -> Option<()> {
        let (mut physical, mut repetition, mut children, mut name) = (None, REQUIRED, 0, &[][..]);
        compact.inner(kind, |compact, number, kind| {
            match number {
                1 => physical = Some(compact.number(kind)?),
                3 => repetition = compact.number(kind)?,
                4 => name = compact.binary(kind)?,
                5 => children = u64::try_from(compact.number(kind)?).ok()?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        if !self.is_begun {
            self.is_begun = true;
            return Some(());
        }
        if self.below > 0 {
            self.below = (self.below - 1).checked_add(children)?;
            return Some(());
        }
        self.below = children;
        if self.fields.len() == MOST_COLUMNS {
            return None;
        }
        self.fields.push(Field {
            name: std::str::from_utf8(name).ok()?.to_owned(),
            is_text: physical == Some(BYTE_ARRAY)
                && children == 0
                && [REQUIRED, OPTIONAL].contains(&repetition),
            is_optional: repetition == OPTIONAL,
        });
        Some(())
    }
}

/// The chunk of a column in a row group.
fn row_group(compact: &mut Compact<'_>, kind: Kind, column: &str) -> Option<Option<Chunk>> {
    let mut found = None;
    compact.inner(kind, |compact, number, kind| {
        if number != 1 {
            return Some(false);
        }
        compact.list(kind, |compact, kind| {
            compact.inner(kind, |compact, number, kind| {
                if number != 3 {
                    return Some(false);
                }
                if let Some(chunk) = chunk(compact, kind, column)? {
                    found = Some(chunk);
                }
                Some(true)
            })
        })?;
        Some(true)
    })?;
    Some(found)
}

/// A chunk, if it belongs to the top-level column.
fn chunk(compact: &mut Compact<'_>, kind: Kind, column: &str) -> Option<Option<Chunk>> {
    let mut chunk = Chunk::default();
    let (mut depth, mut is_it) = (0, false);
    let (mut data, mut dictionary) = (0, None);
    let natural = |number: i64| u64::try_from(number).ok();
    compact.inner(kind, |compact, number, kind| {
        match number {
            3 => compact.list(kind, |compact, kind| {
                is_it = compact.binary(kind)? == column.as_bytes();
                depth += 1;
                Some(())
            })?,
            4 => chunk.codec = compact.number(kind)?,
            5 => chunk.values = natural(compact.number(kind)?)?,
            7 => chunk.length = natural(compact.number(kind)?)?,
            9 => data = natural(compact.number(kind)?)?,
            11 => dictionary = Some(natural(compact.number(kind)?)?),
            _ => return Some(false),
        }
        Some(true)
    })?;
    // Some writers give 0 if there is no dictionary.
    let dictionary = dictionary.filter(|start| *start > 0);
    chunk.start = dictionary.map_or(data, |start| start.min(data));
    Some((is_it && depth == 1).then_some(chunk))
}
