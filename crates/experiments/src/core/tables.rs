//! The recorded results of a run: a map from the type of a line to the table of such lines.

use super::table::{self, Record, TableError};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

/// The recorded results of one model, or of several: for each type of record its lines.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    tables: BTreeMap<&'static str, Box<dyn Lines>>,
}

/// A table whose record type is erased.
trait Lines: Any + fmt::Debug + Send + Sync {
    fn boxed(&self) -> Box<dyn Lines>;
    /// Appends a table of the same records.
    fn append(&mut self, other: Box<dyn Lines>);
    fn of_model(&self, model: &str) -> Box<dyn Lines>;
}

impl<R: Record> Lines for Vec<R> {
    fn boxed(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }

    fn append(&mut self, other: Box<dyn Lines>) {
        let other: Box<dyn Any> = other;
        self.extend(*other.downcast::<Self>().expect(ONE_TYPE));
    }

    fn of_model(&self, model: &str) -> Box<dyn Lines> {
        let own = self.iter().filter(|record| record.model() == model);
        Box::new(own.cloned().collect::<Self>())
    }
}

impl Clone for Box<dyn Lines> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

const ONE_TYPE: &str = "tables with one name have one record type";

impl Tables {
    /// The lines of one type.
    pub fn of<R: Record>(&self) -> &[R] {
        self.tables.get(R::NAME).map_or(&[], |lines| {
            let lines: &dyn Any = &**lines;
            lines.downcast_ref::<Vec<R>>().expect(ONE_TYPE)
        })
    }

    /// The lines of one type, mutable.
    pub fn of_mut<R: Record>(&mut self) -> &mut Vec<R> {
        let lines = self.tables.entry(R::NAME);
        let lines: &mut dyn Any = &mut **lines.or_insert_with(|| Box::new(Vec::<R>::new()));
        lines.downcast_mut().expect(ONE_TYPE)
    }

    /// Adds a line.
    pub fn push<R: Record>(&mut self, record: R) {
        self.of_mut().push(record);
    }

    /// Adds the results of another model.
    pub fn extend(&mut self, other: Self) {
        for (name, lines) in other.tables {
            match self.tables.get_mut(name) {
                Some(own) => own.append(lines),
                None => {
                    self.tables.insert(name, lines);
                }
            }
        }
    }

    /// The results of one model alone.
    pub fn of_model(&self, model: &str) -> Self {
        let tables = self.tables.iter();
        Self {
            tables: tables
                .map(|(name, lines)| (*name, lines.of_model(model)))
                .collect(),
        }
    }
}

/// A record type as a value: a table can be written and read through it without naming the type.
#[derive(Clone, Copy)]
pub struct TableId {
    name: &'static str,
    write: fn(&Tables) -> io::Result<Vec<u8>>,
    parse: fn(&mut Tables, &[u8], &Path) -> Result<(), TableError>,
}

impl TableId {
    /// The id of the table of `R`.
    pub const fn of<R: Record>() -> Self {
        Self {
            name: R::NAME,
            write: |tables| {
                let mut bytes = Vec::new();
                table::write(tables.of::<R>(), &mut bytes)?;
                Ok(bytes)
            },
            parse: |tables, bytes, path| {
                *tables.of_mut::<R>() = table::parse(bytes, path)?;
                Ok(())
            },
        }
    }

    /// The name of its file, without extension.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// None when writing to memory; the type is that of the writer.
    pub fn csv(&self, tables: &Tables) -> io::Result<Vec<u8>> {
        (self.write)(tables)
    }

    /// Reads CSV to replace the table's lines; `path` is named in errors.
    ///
    /// # Errors
    /// As [`table::parse`].
    pub fn parse(&self, tables: &mut Tables, csv: &[u8], path: &Path) -> Result<(), TableError> {
        (self.parse)(tables, csv, path)
    }
}

impl fmt::Debug for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TableId").field(&self.name).finish()
    }
}

impl PartialEq for TableId {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TableId {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::table::record;

    record! {
        /// A line for tests.
        struct Line {
            /// Model.
            model: String,
            /// Value.
            value: f64,
        }
        table("line") key(model, value) fault(|_| None)
    }

    record! {
        /// A line of another table.
        struct Other {
            /// Model.
            model: String,
        }
        table("other") key(model) fault(|_| None)
    }

    fn line(model: &str, value: f64) -> Line {
        Line {
            model: model.to_owned(),
            value,
        }
    }

    #[test]
    fn each_type_has_a_table_of_its_own() {
        let mut tables = Tables::default();
        assert!(tables.of::<Line>().is_empty());
        tables.push(line("a", 1.0));
        tables.push(Other {
            model: "a".to_owned(),
        });
        let mut more = Tables::default();
        more.push(line("b", 2.0));
        tables.extend(more.clone());
        assert_eq!(tables.of::<Line>(), [line("a", 1.0), line("b", 2.0)]);
        assert_eq!(tables.of::<Other>().len(), 1);
        assert_eq!(tables.of_model("b").of::<Line>(), more.of::<Line>());
        assert!(tables.of_model("b").of::<Other>().is_empty());
        tables.of_mut::<Line>().clear();
        assert!(tables.of::<Line>().is_empty());
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let mut tables = Tables::default();
        tables.push(line("a, b", 0.1 + 0.2));
        let id = TableId::of::<Line>();
        let csv = id.csv(&tables).unwrap();
        assert!(csv.starts_with(b"model,value\n"));
        let mut read = Tables::default();
        read.push(line("is replaced", 0.0));
        id.parse(&mut read, &csv, Path::new("line.csv")).unwrap();
        assert_eq!(read.of::<Line>(), tables.of::<Line>());
        let fault = id.parse(&mut read, b"model\n", Path::new("line.csv"));
        assert!(fault.unwrap_err().to_string().contains("line.csv"));
    }
}
