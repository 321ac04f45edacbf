//! The results of a sweep at each token, as a file of tensors, and means over classes of tokens.

use crate::RecordingError;
use crate::layout::{Entry, Layout, first_rows};
use crate::move_file;
use layerwise_corpus::{Labels, Piece};
use layerwise_metrics::ClusteredMean;
use layerwise_sweep::{Classes, Label, Position, Positions, Subject};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tensors of numbers, \[schedules, tokens\] in F32; NaN if there is no value.
const NUMBERS: [&str; 5] = [
    "kl_nats",
    "reverse_kl_nats",
    "js_nats",
    "entropy_bits",
    "loss_nats",
];
/// Tensors of integers, \[schedules, tokens\] in I32; −1 if there is no value.
const WHOLE_NUMBERS: [&str; 2] = ["rank", "top1"];
/// Bytes of a value.
const VALUE: u64 = 4;

/// The file, while it is written.
///
/// ```
/// use layerwise_recordings::{PerToken, Place};
/// use layerwise_sweep::{Divergence, Plan, Runner, Subject};
/// use layerwise_transformer::{Model, ModelConfig};
/// use layerwise_weights::TensorFile;
/// use std::sync::Arc;
///
/// let folder = tempfile::tempdir()?;
/// let [path, run, journal] = ["values.safetensors", "run", "journal"].map(|name| folder.path().join(name));
/// let place = Place { path: &path, folder: &run, journal: &journal, fresh: false };
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(1)".parse()?], 1)?;
/// let text = [vec![0, 5, 3, 8], vec![0, 2, 7]];
/// let file = Arc::new(PerToken::begin(place, &Subject::from(&model), &plan.labels(), &text)?);
/// let measure = Divergence::new().per_position(file.clone(), file.hash());
/// Runner::new().measure(&model, &plan, &measure, &text)?;
/// file.finish(&path)?;
///
/// let kl_nats = TensorFile::open(&path)?.read::<f32>("kl_nats")?.expect("in every such file");
/// assert_eq!(kl_nats.shape(), [2, 7]); // [schedules, tokens]
/// assert!(kl_nats[[1, 0]].is_nan() && kl_nats[[1, 1]] > 0.0); // position 0 is not measured
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PerToken {
    layout: Layout,
    /// The first row of each sequence, and finally the number of rows.
    offsets: Vec<usize>,
    /// The location of the file while values are added.
    partial: PathBuf,
    written: Mutex<Written>,
}

/// The open file.
#[derive(Debug)]
struct Written {
    file: File,
    /// A finished file stays at its place until values are added, since a run may still be refused.
    path: PathBuf,
}

/// The location of a run's file.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The finished file.
    pub path: &'a Path,
    /// The run's folder, in which the file grows.
    pub folder: &'a Path,
    /// The run's journal.
    pub journal: &'a Path,
    /// Whether the results of an earlier run are discarded.
    pub fresh: bool,
}

impl PerToken {
    /// Creates the file, or resumes what an earlier run left of it in the run's folder or at its final place.
    ///
    /// # Errors
    /// The file cannot be written, or the journal records values that the file lacks.
    pub fn begin(
        place: Place<'_>,
        subject: &Subject<'_>,
        labels: &[Label],
        sequences: &[Vec<u32>],
    ) -> Result<Self, RecordingError> {
        let Place {
            path,
            folder,
            journal,
            fresh,
        } = place;
        let offsets = first_rows(sequences);
        let shape = [labels.len(), offsets[offsets.len() - 1]];
        let bytes = VALUE * shape[0] as u64 * shape[1] as u64;
        let entry = |name: &str, dtype| Entry {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes,
        };
        let numbers = NUMBERS.iter().map(|name| entry(name, "F32"));
        let whole = WHOLE_NUMBERS.iter().map(|name| entry(name, "I32"));
        let edits: Vec<&str> = labels.iter().map(|label| label.edit.as_str()).collect();
        let metadata = json!({
            "layerwise": env!("CARGO_PKG_VERSION"),
            "schedules": serde_json::to_string(&edits)?,
        });
        let layout = Layout::new(metadata, subject, sequences, numbers.chain(whole))?;
        let partial = folder.join("per-token.partial");
        fs::create_dir_all(folder).map_err(|source| RecordingError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let is_begun = !fresh && layout.is_begun(&partial)?;
        // Without a journal, a run writes all values again.
        let written = if is_begun || fresh || !journal.exists() {
            Written {
                file: layout.begin(&partial, journal, is_begun, sequences)?,
                path: partial.clone(),
            }
        } else if layout.is_begun(path)? {
            Written {
                file: layerwise_files::open_to_append(path)?,
                path: path.to_owned(),
            }
        } else {
            return Err(RecordingError::Unkept {
                journal: journal.to_owned(),
                path: path.to_owned(),
            });
        };
        Ok(Self {
            layout,
            offsets,
            partial,
            written: Mutex::new(written),
        })
    }

    /// A hash of the file's header, which identifies its contents.
    pub fn hash(&self) -> String {
        self.layout.hash()
    }

    /// Moves the finished file to its place, whose folder is created if it is missing.
    ///
    /// # Errors
    /// The file cannot be moved or written.
    pub fn finish(&self, path: &Path) -> Result<(), RecordingError> {
        let written = self.written();
        let finished = written.file.sync_all();
        let finished = finished.and_then(|()| move_file(&written.path, path));
        finished.map_err(|source| RecordingError::Unwritable {
            path: path.to_owned(),
            source,
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, moved from its place to the run's folder if values are still to be added.
    fn to_write(&self) -> io::Result<MutexGuard<'_, Written>> {
        let mut written = self.written();
        if written.path != self.partial {
            move_file(&written.path, &self.partial)?;
            written.path.clone_from(&self.partial);
            // The file may have been copied.
            let file = layerwise_files::open_to_append(&self.partial);
            written.file = file.map_err(io::Error::other)?;
        }
        Ok(written)
    }

    fn tokens(&self) -> usize {
        self.offsets[self.offsets.len() - 1]
    }

    /// The position of a tensor's value for a schedule at a row.
    fn place(&self, tensor: usize, schedule: usize, row: usize) -> u64 {
        self.layout.start(tensor) + VALUE * (schedule * self.tokens() + row) as u64
    }

    /// The values of a schedule at all tokens; NaN if there is no value.
    fn values(&self, tensor: usize, schedule: usize) -> io::Result<Vec<f64>> {
        let mut bytes = vec![0; VALUE as usize * self.tokens()];
        let mut written = self.written();
        let place = self.place(tensor, schedule, 0);
        written.file.seek(SeekFrom::Start(place))?;
        written.file.read_exact(&mut bytes)?;
        let (values, _) = bytes.as_chunks::<{ VALUE as usize }>();
        let whole = tensor >= NUMBERS.len();
        let value = |bytes: &[u8; 4]| match (whole, i32::from_le_bytes(*bytes)) {
            (true, -1) => f64::NAN,
            (true, value) => f64::from(value),
            (false, _) => f64::from(f32::from_le_bytes(*bytes)),
        };
        Ok(values.iter().map(value).collect())
    }

    /// The largest number of bytes of memory that [`PerToken::class_table`] takes for `tokens` tokens.
    pub fn table_bytes(tokens: usize) -> u64 {
        // Nine values of a schedule, seven classes, and memory for sorting them.
        tokens as u64 * (9 * 8 + 7 * 4 + 3 * 8)
    }

    /// The table of means over classes of tokens, as CSV: a row for each schedule and class.
    ///
    /// # Errors
    /// The file cannot be read, or the CSV writer fails.
    pub fn class_table(
        &self,
        model: &str,
        labels: &[Label],
        classes: &[Classes],
    ) -> Result<Vec<u8>, RecordingError> {
        let lengths: Vec<usize> = self.offsets.windows(2).map(|own| own[1] - own[0]).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let statistics = MEANS.iter().map(|(name, _)| (*name).to_owned());
        let statistics = statistics.flat_map(|name| [format!("{name}_se"), name].into_iter().rev());
        let first = ["model", "family", "schedule", "l", "m", "classes", "class"];
        let head = first.into_iter().chain(["positions", "loss_positions"]);
        writer.write_record(head.map(str::to_owned).chain(statistics))?;
        let mut plain = Vec::new();
        for (schedule, label) in labels.iter().enumerate() {
            let tensors = 0..NUMBERS.len() + WHOLE_NUMBERS.len();
            let values = tensors.map(|tensor| self.values(tensor, schedule));
            let values = values
                .collect::<io::Result<Vec<_>>>()
                .map_err(unreadable("values for each token"))?;
            if schedule == 0 {
                plain.clone_from(&values);
            }
            for classes in classes {
                let means: Vec<Vec<ClusteredMean>> = MEANS
                    .iter()
                    .map(|(_, of)| classes.means(&lengths, &of(&values, &plain)))
                    .collect();
                for (class, name) in classes.names.iter().enumerate() {
                    let index = |value: Option<usize>| value.map(|value| value.to_string());
                    let [positions, losses] = ["kl_nats", "loss_nats"].map(|name| {
                        let mut columns = MEANS.iter().zip(&means);
                        let column = columns.find(|((own, _), _)| *own == name);
                        column.map_or(0, |(_, means)| means[class].count())
                    });
                    let own = means.iter().map(|means| &means[class]);
                    let own = own.flat_map(|mean| [mean.mean(), mean.standard_error()]);
                    let row = [
                        model.to_owned(),
                        label.family.clone(),
                        label.edit.clone(),
                        index(label.l).unwrap_or_default(),
                        index(label.m).unwrap_or_default(),
                        classes.name.clone(),
                        name.clone(),
                        positions.to_string(),
                        losses.to_string(),
                    ];
                    writer.write_record(row.into_iter().chain(own.map(optional)))?;
                }
            }
        }
        let table = writer.into_inner();
        Ok(table.map_err(|error| csv::Error::from(error.into_error()))?)
    }

    /// Classes of the tokens: by frequency in this text, piece of a word, position and the plain model's entropy, and the user's
    /// labels.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn classes(
        &self,
        sequences: &[Vec<u32>],
        token_bytes: Option<&[Option<Vec<u8>>]>,
        labels: Option<&Labels>,
    ) -> Result<Vec<Classes>, RecordingError> {
        let tokens: Vec<Option<u32>> = sequences.iter().flatten().copied().map(Some).collect();
        let mut classes = vec![
            Classes::frequency_deciles("frequency_decile", &tokens),
            Classes::frequency_deciles("next_frequency_decile", &self.next(&tokens)),
            Classes::positions("position", sequences.iter().map(Vec::len)),
            Classes::deciles(
                "plain_entropy_decile",
                &self.values(ENTROPY, 0).map_err(unreadable("entropies"))?,
            ),
        ];
        if let Some(bytes) = token_bytes {
            let of = |sequence: &Vec<u32>| Piece::of_sequence(sequence, bytes);
            let pieces: Vec<Option<u16>> = sequences
                .iter()
                .flat_map(of)
                .map(|piece| piece.map(|piece| piece as u16))
                .collect();
            let names = ["no_word", "first", "continuing"];
            classes.push(Classes::new("next_piece", names, self.next(&pieces)));
            classes.push(Classes::new("piece", names, pieces));
        }
        if let Some(found) = labels {
            let names = found.names().iter().cloned();
            classes.push(Classes::new("label", names, found.of_tokens().to_vec()));
        }
        Ok(classes)
    }

    /// The value of the following token, for each token; `None` at the end of a sequence.
    fn next<T: Copy>(&self, of_tokens: &[Option<T>]) -> Vec<Option<T>> {
        let mut next: Vec<Option<T>> = of_tokens.iter().skip(1).copied().chain([None]).collect();
        for end in &self.offsets[1..] {
            next[end - 1] = None;
        }
        next
    }
}

fn unreadable(values: &'static str) -> impl Fn(io::Error) -> RecordingError {
    move |source| RecordingError::Values { values, source }
}

/// The number as text, or an empty field.
fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

const KL: usize = 0;
const ENTROPY: usize = 3;
const LOSS: usize = 4;
const RANK: usize = NUMBERS.len();
const TOP1: usize = NUMBERS.len() + 1;

/// Computes a value for each token from the values of a schedule and of the plain one, tensor by tensor.
type Of = fn(&[Vec<f64>], &[Vec<f64>]) -> Vec<f64>;

/// The means of the table of classes. Differences from the plain model are paired.
const MEANS: [(&str, Of); 8] = [
    ("kl_nats", |own, _| own[KL].clone()),
    ("reverse_kl_nats", |own, _| own[1].clone()),
    ("js_nats", |own, _| own[2].clone()),
    ("top1_agreement", |own, plain| {
        pairs(&own[TOP1], &plain[TOP1], |own, plain| {
            f64::from(u8::from(own == plain))
        })
    }),
    ("entropy_bits", |own, _| own[ENTROPY].clone()),
    ("loss_nats", |own, _| own[LOSS].clone()),
    ("loss_change_nats", |own, plain| {
        pairs(&own[LOSS], &plain[LOSS], |own, plain| own - plain)
    }),
    ("reciprocal_rank", |own, _| {
        own[RANK].iter().map(|rank| 1.0 / rank).collect()
    }),
];

/// A function of two values at each token; NaN if either is NaN.
fn pairs(own: &[f64], plain: &[f64], of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let value = |(own, plain): (&f64, &f64)| match own.is_nan() || plain.is_nan() {
        true => f64::NAN,
        false => of(*own, *plain),
    };
    own.iter().zip(plain).map(value).collect()
}

impl Positions for PerToken {
    fn take(&self, sequence: usize, schedules: &[usize], positions: &[Position]) -> io::Result<()> {
        let first = self.offsets[sequence];
        let number = |of: fn(&Position) -> f64| -> Vec<u8> {
            let values = positions.iter().map(|position| of(position) as f32);
            let values = [f32::NAN].into_iter().chain(values);
            values.flat_map(f32::to_le_bytes).collect()
        };
        let whole = |of: fn(&Position) -> Option<u32>| -> Vec<u8> {
            let value = |position| {
                let value: Option<u32> = of(position);
                value.and_then(|value| i32::try_from(value).ok())
            };
            let values = [None].into_iter().chain(positions.iter().map(value));
            values
                .flat_map(|value| value.unwrap_or(-1).to_le_bytes())
                .collect()
        };
        let tensors = [
            number(|own| own.kl_nats),
            number(|own| own.reverse_kl_nats),
            number(|own| own.js_nats),
            number(|own| own.entropy_bits),
            number(|own| own.loss_nats.unwrap_or(f64::NAN)),
            whole(|own| own.rank),
            whole(|own| Some(own.top1)),
        ];
        let mut written = self.to_write()?;
        for schedule in schedules {
            for (tensor, bytes) in tensors.iter().enumerate() {
                let place = self.place(tensor, *schedule, first);
                written.file.seek(SeekFrom::Start(place))?;
                written.file.write_all(bytes)?;
            }
        }
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        self.written().file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_means_are_of_the_tensors_that_they_name() {
        for (index, name) in [
            (KL, "kl_nats"),
            (ENTROPY, "entropy_bits"),
            (LOSS, "loss_nats"),
        ] {
            assert_eq!(NUMBERS[index], name);
        }
        for (index, name) in [(RANK, "rank"), (TOP1, "top1")] {
            assert_eq!(WHOLE_NUMBERS[index - NUMBERS.len()], name);
        }
    }
}
