//! What a Parquet file says of its columns, at its end.

use super::compact::{Compact, Kind};

/// Where a column of texts lies.
#[derive(Debug, PartialEq)]
pub(super) struct Column {
    /// Whether a row may be without a text.
    pub(super) is_optional: bool,
    /// One for each group of rows.
    pub(super) chunks: Vec<Chunk>,
}

/// The part of a column that belongs to one group of rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Chunk {
    /// The number of its compression.
    pub(super) codec: i64,
    /// Rows of the group.
    pub(super) values: u64,
    /// Where its pages begin in the file.
    pub(super) start: u64,
    /// Bytes of its pages in the file.
    pub(super) length: u64,
}

/// A top-level column.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    is_text: bool,
    is_optional: bool,
}

/// What a footer holds that concerns a reader of one column.
#[derive(Debug, Default)]
pub(super) struct Footer {
    pub(super) fields: Vec<Field>,
    chunks: Vec<Chunk>,
}

/// The physical type of strings.
const BYTE_ARRAY: i64 = 6;
/// The kinds of fields: one that each row has, one that a row may have.
const REQUIRED: i64 = 0;
const OPTIONAL: i64 = 1;

impl Footer {
    /// Reads a footer; the chunks are those of the top-level column of a name. `None` where it breaks the format.
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

    /// The column, if its values are texts, one a row.
    pub(super) fn column(self, name: &str) -> Option<Column> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        field.is_text.then_some(Column {
            is_optional: field.is_optional,
            chunks: self.chunks,
        })
    }

    /// Names of the columns of texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.fields.iter().filter(|field| field.is_text);
        texts.map(|field| field.name.as_str())
    }
}

/// The tree of columns, which comes as a list of nodes, each before its children.
#[derive(Debug, Default)]
struct Schema {
    fields: Vec<Field>,
    is_begun: bool,
    /// Nodes that are below a top-level one and still to come.
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

/// The chunk of a column in a group of rows.
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

/// A chunk, if it is of the top-level column.
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
    // Some writers give 0 where there is no dictionary.
    let dictionary = dictionary.filter(|start| *start > 0);
    chunk.start = dictionary.map_or(data, |start| start.min(data));
    Some((is_it && depth == 1).then_some(chunk))
}
