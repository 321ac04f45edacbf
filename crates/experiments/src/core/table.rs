//! Tables of results: one type for each kind of line, and one way to write and read them as CSV.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// One line of a table of results.
///
/// A mean that could not be measured is NaN. An optional field is empty if it does not apply, and a standard error is empty if
/// there is only one sequence.
pub trait Record:
    Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static
{
    /// The name of the table's file, without extension.
    const NAME: &'static str;

    /// The columns: the fields in order.
    const COLUMNS: &'static [&'static str];

    /// The key of the line; a table has one line for each key.
    fn key(&self) -> String;

    /// The model that the line is about.
    fn model(&self) -> &str;

    /// The first invalid field, with what was expected.
    fn fault(&self) -> Option<(&'static str, String)>;
}

/// Declares a [`Record`]: a struct whose fields are columns, the name of its table, the fields that identify a line, and the
/// check of a line.
macro_rules! record {
    (
        $(#[$about:meta])*
        $visible:vis struct $name:ident {
            $($(#[$field_about:meta])* $field_visible:vis $field:ident: $type:ty,)*
        }
        table($table:literal) key($($key:ident),*) fault($fault:expr)
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        $visible struct $name {
            $($(#[$field_about])* $field_visible $field: $type,)*
        }

        impl $crate::core::table::Record for $name {
            const NAME: &'static str = $table;

            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn key(&self) -> String {
                [$(format!(concat!(stringify!($key), " {:?}"), self.$key)),*].join(", ")
            }

            fn model(&self) -> &str {
                &self.model
            }

            fn fault(&self) -> Option<(&'static str, String)> {
                let check: fn(&Self) -> Option<(&'static str, String)> = $fault;
                check(self)
            }
        }
    };
}
pub(crate) use record;

/// Writes records as CSV; the first line names the columns, even if there is no record.
///
/// # Errors
///
/// `target` cannot be written to.
pub fn write<R: Record>(records: &[R], target: impl Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(target);
    writer.write_record(R::COLUMNS)?;
    for record in records {
        writer.serialize(record)?;
    }
    writer.flush()
}

/// The most characters of a field that an error quotes.
const MOST_TOLD: usize = 200;

/// Parses the CSV of a table; `path` is named in errors.
///
/// # Errors
///
/// [`TableError`] if the text has other columns, an invalid field, or two lines with one key.
pub fn parse<R: Record>(source: impl Read, path: &Path) -> Result<Vec<R>, TableError> {
    let file_error = |error: csv::Error| TableError::File {
        path: path.to_owned(),
        source: error.into(),
    };
    let mut reader = csv::Reader::from_reader(source);
    let headers = reader.headers().map_err(file_error)?.clone();
    if headers != *R::COLUMNS {
        return Err(TableError::Columns {
            path: path.to_owned(),
            expected: R::COLUMNS.join(","),
            found: headers.iter().collect::<Vec<_>>().join(","),
        });
    }
    let mut records: Vec<R> = Vec::new();
    let mut seen = BTreeSet::new();
    for row in reader.records() {
        let row = row.map_err(file_error)?;
        let field_error = |column: &str, expected: String| {
            let index = R::COLUMNS.iter().position(|name| *name == column);
            TableError::Field {
                path: path.to_owned(),
                line: row.position().map_or(0, csv::Position::line),
                column: column.to_owned(),
                expected,
                found: index
                    .and_then(|index| row.get(index))
                    .map(|field| field.chars().take(MOST_TOLD).collect())
                    .unwrap_or_default(),
            }
        };
        let record: R = row.deserialize(None).map_err(|error| match error.kind() {
            csv::ErrorKind::Deserialize { err, .. } => {
                let kind = err.kind().to_string();
                // Errors about numbers name their field; errors about named choices quote the text.
                let index = err.field().map(|index| index as usize).or_else(|| {
                    let is_told = |text: &str| kind.contains(&format!("`{text}`"));
                    let mut fields = row.iter();
                    fields.position(|field| {
                        is_told(field) || field.split_ascii_whitespace().any(is_told)
                    })
                });
                let column = index.and_then(|index| R::COLUMNS.get(index));
                let expected = format!("a value of the column ({kind})");
                field_error(column.copied().unwrap_or("line"), expected)
            }
            _ => file_error(error),
        })?;
        if let Some((column, expected)) = record.fault() {
            return Err(field_error(column, expected));
        }
        if !seen.insert(record.key()) {
            let expected = format!("one line about {}", record.key());
            return Err(field_error("model", expected));
        }
        records.push(record);
    }
    Ok(records)
}

/// The first negative standard error among the named columns.
pub(crate) fn negative_error<const N: usize>(
    errors: [(&'static str, Option<f64>); N],
) -> Option<(&'static str, String)> {
    errors
        .into_iter()
        .find(|(_, error)| error.is_some_and(|error| error < 0.0))
        .map(|(column, _)| (column, "a standard error, not negative".to_owned()))
}

/// The most rows and columns of a map. No model has as many blocks, or heads in a block.
pub(crate) const MOST_PLACES: usize = 1024;

/// The first index that is not below the number of its places; or that number, if a map of so many is too large.
pub(crate) fn misplaced<const N: usize>(
    (column, places): (&'static str, usize),
    indices: [(&'static str, usize); N],
) -> Option<(&'static str, String)> {
    if !(1..=MOST_PLACES).contains(&places) {
        return Some((column, format!("a number from 1 to {MOST_PLACES}")));
    }
    let misplaced = indices.into_iter().find(|(_, index)| *index >= places);
    misplaced.map(|(column, _)| (column, format!("a number below {places}")))
}

/// Each name once, in order of first appearance.
pub fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// Whether a value is a share: from 0 to 1, or NaN for none.
pub(crate) fn is_share(value: f64) -> bool {
    value.is_nan() || (0.0..=1.0).contains(&value)
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system or the CSV reader.
        source: io::Error,
    },
    /// A list of numbers contains something else.
    #[error("`{word}` is not a number")]
    Word {
        /// The word.
        word: String,
    },
    /// The first line does not name the columns of this table.
    #[error("{}: line 1: expected the columns {expected}, found {found}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// The expected columns, joined by commas.
        expected: String,
        /// The columns found, joined by commas.
        found: String,
    },
    /// A field is invalid in its column.
    #[error("{}: line {line}: {column}: expected {expected}, found {found:?}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What the column must contain.
        expected: String,
        /// What the field contains.
        found: String,
    },
}
