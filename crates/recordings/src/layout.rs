//! A safetensors file with shapes that are known in advance, written in parts in any order, by runs that may be interrupted.

use crate::RecordingError;
use layerwise_files::sha256;
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// A tensor of the file.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// The number format in safetensors' notation.
    pub(crate) dtype: &'static str,
    /// Its shape.
    pub(crate) shape: Vec<usize>,
    /// The size of all its values, in bytes.
    pub(crate) bytes: u64,
}

/// The header of a file, and the position of everything in it.
#[derive(Debug)]
pub(crate) struct Layout {
    header: Vec<u8>,
    starts: Vec<u64>,
    end: u64,
}

impl Layout {
    /// A file with the tokens of some sequences, one after another, as `tokens`, and the position where each begins as
    /// `sequence_offsets`, both in I64, followed by these tensors.
    ///
    /// # Errors
    /// The header cannot be written as JSON.
    pub(crate) fn new(
        metadata: &Value,
        sequences: &[Vec<u32>],
        tensors: impl IntoIterator<Item = Entry>,
    ) -> Result<Self, RecordingError> {
        let tokens: usize = sequences.iter().map(Vec::len).sum();
        let integers = |name: &str, length: usize| Entry {
            name: name.to_owned(),
            dtype: "I64",
            shape: vec![length],
            bytes: 8 * length as u64,
        };
        let leading = [
            integers("tokens", tokens),
            integers("sequence_offsets", sequences.len() + 1),
        ];
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), metadata.clone());
        let (mut starts, mut end) = (Vec::new(), 0_u64);
        for entry in leading.into_iter().chain(tensors) {
            let (start, shape) = (end, entry.shape);
            end += entry.bytes;
            starts.push(start);
            let described =
                json!({"dtype": entry.dtype, "shape": shape, "data_offsets": [start, end]});
            header.insert(entry.name, described);
        }
        let mut bytes = serde_json::to_vec(&Value::Object(header))?;
        // Values begin at a multiple of eight bytes.
        bytes.resize(bytes.len().next_multiple_of(8), b' ');
        let header = [&(bytes.len() as u64).to_le_bytes()[..], &bytes].concat();
        let length = header.len() as u64;
        Ok(Self {
            header,
            starts: starts[2..].iter().map(|start| start + length).collect(),
            end: end + length,
        })
    }

    /// The position of a tensor's values in the file, by its index in `entries`.
    pub(crate) fn start(&self, tensor: usize) -> u64 {
        self.starts[tensor]
    }

    /// The size of the whole file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// A hash of the header.
    pub(crate) fn hash(&self) -> String {
        sha256(&self.header)
    }

    /// Whether an earlier run began this same file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn is_begun(&self, partial: &Path) -> Result<bool, RecordingError> {
        let Ok(mut file) = File::open(partial) else {
            return Ok(false);
        };
        let unreadable = |source| RecordingError::Unreadable {
            path: partial.to_owned(),
            source,
        };
        if file.metadata().map_err(unreadable)?.len() != self.end {
            return Ok(false);
        }
        let mut header = vec![0; self.header.len()];
        file.read_exact(&mut header).map_err(unreadable)?;
        Ok(header == self.header)
    }

    /// Creates the file with its tokens and zeros elsewhere, or opens it as an earlier run left it.
    ///
    /// # Errors
    /// The file cannot be written, or another run is writing it.
    pub(crate) fn begin(
        &self,
        partial: &Path,
        is_begun: bool,
        sequences: &[Vec<u32>],
    ) -> Result<File, RecordingError> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(partial);
        let begun = opened.and_then(|mut file| {
            // Another run may be writing it, so nothing is truncated before the file is locked.
            file.try_lock()?;
            if !is_begun {
                file.set_len(0)?;
                file.set_len(self.end)?;
                let mut writer = BufWriter::new(&mut file);
                writer.write_all(&self.header)?;
                let ids = sequences.iter().flatten().map(|id| i64::from(*id));
                let offsets = first_rows(sequences).into_iter().map(|row| row as i64);
                for number in ids.chain(offsets) {
                    writer.write_all(&number.to_le_bytes())?;
                }
                writer.into_inner()?.sync_all()?;
            }
            Ok(file)
        });
        begun.map_err(|source| RecordingError::Unwritable {
            path: partial.to_owned(),
            source,
        })
    }
}

/// The first row of each sequence, and finally the number of rows.
pub(crate) fn first_rows(sequences: &[Vec<u32>]) -> Vec<usize> {
    let mut rows = vec![0];
    for sequence in sequences {
        rows.push(rows[rows.len() - 1] + sequence.len());
    }
    rows
}
