//! A safetensors file with shapes that are known in advance, written in parts in any order, by runs that may be interrupted.

use crate::RecordingError;
use layerwise_files::{FileError, Links, open_to_append, sha256};
use layerwise_sweep::Subject;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
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
    /// `sequence_offsets`, both in I64, followed by these tensors. The metadata gets the model, and a hash of its files and the
    /// tokens.
    ///
    /// # Errors
    /// The header cannot be written as JSON.
    pub(crate) fn new(
        mut metadata: Value,
        subject: &Subject<'_>,
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
        metadata["model"] = subject.name.into();
        metadata["precision"] = subject.model.precision().name().into();
        metadata["inputs"] = inputs(subject, sequences).into();
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), metadata);
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
        let file = match layerwise_files::open(partial, Links::Refuse) {
            Err(FileError::Missing { .. }) => return Ok(false),
            file => file?,
        };
        if file.size() != self.end {
            return Ok(false);
        }
        let mut header = vec![0; self.header.len()];
        file.read_at(0, &mut header)?;
        Ok(header == self.header)
    }

    /// Creates the file with its tokens and zeros elsewhere, and empties the journal of its rows, or opens it as an earlier run
    /// left it.
    ///
    /// # Errors
    /// The file or the journal cannot be written, or another run is writing it.
    pub(crate) fn begin(
        &self,
        partial: &Path,
        journal: &Path,
        is_begun: bool,
        sequences: &[Vec<u32>],
    ) -> Result<File, RecordingError> {
        // Another run may be writing it, so nothing is truncated before the file is locked.
        let mut file = open_locked(partial)?;
        if !is_begun && fs::symlink_metadata(journal).is_ok() {
            // The run may end before it opens its journal. Rows that the journal records would then count as written.
            let emptied = open_locked(journal)?.set_len(0);
            emptied.map_err(unwritable(journal))?;
        }
        let begun = self.write_start(&mut file, is_begun, sequences);
        begun.map_err(unwritable(partial))?;
        Ok(file)
    }

    fn write_start(
        &self,
        file: &mut File,
        is_begun: bool,
        sequences: &[Vec<u32>],
    ) -> io::Result<()> {
        if !is_begun {
            file.set_len(0)?;
            file.set_len(self.end)?;
        }
        // The earlier run may have ended while it wrote the tokens, so they are written again.
        let mut writer = BufWriter::new(file);
        writer.write_all(&self.header)?;
        let ids = sequences.iter().flatten().map(|id| i64::from(*id));
        let offsets = first_rows(sequences).into_iter().map(|row| row as i64);
        for number in ids.chain(offsets) {
            writer.write_all(&number.to_le_bytes())?;
        }
        writer.into_inner()?.sync_all()
    }
}

/// Opens a file for reading and writing, and locks it.
fn open_locked(path: &Path) -> Result<File, RecordingError> {
    let file = open_to_append(path)?;
    let locked = file.try_lock().map_err(io::Error::from);
    locked.map_err(unwritable(path))?;
    Ok(file)
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> RecordingError {
    move |source| RecordingError::Unwritable {
        path: path.to_owned(),
        source,
    }
}

/// A hash of the files of the model and of the tokens.
fn inputs(subject: &Subject<'_>, sequences: &[Vec<u32>]) -> String {
    let tokens = sequences.iter().map(|sequence| {
        let ids: Vec<u8> = sequence.iter().flat_map(|id| id.to_le_bytes()).collect();
        sha256(&ids)
    });
    let hashes = subject.hashes.iter().map(|hash| (*hash).to_owned());
    let hashes: Vec<String> = hashes.chain(tokens).collect();
    sha256(hashes.join("\n").as_bytes())
}

/// The first row of each sequence, and finally the number of rows.
pub(crate) fn first_rows(sequences: &[Vec<u32>]) -> Vec<usize> {
    let mut rows = vec![0];
    for sequence in sequences {
        rows.push(rows[rows.len() - 1] + sequence.len());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_transformer::{Model, ModelConfig};

    fn layout(subject: &Subject<'_>, sequences: &[Vec<u32>]) -> Layout {
        let entry = Entry {
            name: "values".to_owned(),
            dtype: "F32",
            shape: vec![3],
            bytes: 12,
        };
        Layout::new(json!({}), subject, sequences, [entry]).unwrap()
    }

    #[test]
    fn a_file_that_is_taken_up_has_its_own_tokens() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let (subject, sequences) = (Subject::from(&model), [vec![1, 2], vec![3]]);
        let layout = layout(&subject, &sequences);
        let folder = tempfile::tempdir().unwrap();
        let [partial, journal] = ["partial", "journal"].map(|name| folder.path().join(name));
        drop(layout.begin(&partial, &journal, false, &sequences).unwrap());
        let mut expected = fs::read(&partial).unwrap();
        let start = layout.start(0) as usize;
        expected[start..].fill(7);
        // As if the process had ended while it wrote the tokens.
        let mut torn = expected.clone();
        torn[start - 16..start].fill(0);
        fs::write(&partial, torn).unwrap();
        fs::write(&journal, "rows").unwrap();
        assert!(layout.is_begun(&partial).unwrap());
        drop(layout.begin(&partial, &journal, true, &sequences).unwrap());
        assert_eq!(fs::read(&partial).unwrap(), expected);
        assert_eq!(fs::read(&journal).unwrap(), b"rows");
    }

    #[test]
    fn a_file_of_other_inputs_is_not_taken_up() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let subject = |hash| Subject::new(&model, "tiny", vec![hash]);
        let sequences = [vec![1, 2], vec![3]];
        let folder = tempfile::tempdir().unwrap();
        let [partial, journal] = ["partial", "journal"].map(|name| folder.path().join(name));
        let first = layout(&subject("00"), &sequences);
        drop(first.begin(&partial, &journal, false, &sequences).unwrap());
        let check = |hash, sequences: &[Vec<u32>], is_begun| {
            let found = layout(&subject(hash), sequences).is_begun(&partial);
            assert_eq!(found.unwrap(), is_begun, "{hash} {sequences:?}");
        };
        check("00", &sequences, true);
        check("01", &sequences, false);
        check("00", &[vec![1, 2], vec![4]], false);
        check("00", &[vec![1], vec![2, 3]], false);
    }

    #[test]
    fn a_file_that_begins_anew_leaves_no_journal_of_its_rows() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let (subject, sequences) = (Subject::from(&model), [vec![1]]);
        let layout = layout(&subject, &sequences);
        let folder = tempfile::tempdir().unwrap();
        let [partial, journal] = ["partial", "journal"].map(|name| folder.path().join(name));
        fs::write(&journal, "rows").unwrap();
        drop(layout.begin(&partial, &journal, false, &sequences).unwrap());
        assert_eq!(fs::read(&journal).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_opened() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let (subject, sequences) = (Subject::from(&model), [vec![1]]);
        let layout = layout(&subject, &sequences);
        let check = |make: &dyn Fn(&Path, &Path)| {
            let folder = tempfile::tempdir().unwrap();
            let [partial, journal, other] =
                ["partial", "journal", "other"].map(|name| folder.path().join(name));
            make(&partial, &other);
            let before = fs::read(&other).ok();
            for error in [
                layout.is_begun(&partial).unwrap_err(),
                layout
                    .begin(&partial, &journal, false, &sequences)
                    .unwrap_err(),
            ] {
                assert!(matches!(error, RecordingError::File(_)), "{error}");
            }
            assert_eq!(fs::read(&other).ok(), before);
        };
        let link = |partial: &Path, other: &Path| std::os::unix::fs::symlink(other, partial);
        check(&|partial, other| link(partial, other).unwrap());
        check(&|partial, other| {
            fs::write(other, "of somebody else").unwrap();
            link(partial, other).unwrap();
        });
    }
}
