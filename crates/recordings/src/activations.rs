//! Writes the activations at sites on a text to a file.

use crate::RecordingError;
use crate::layout::{Entry, Layout, first_rows};
use layerwise_schedule::{Schedule, Selection, Set, Site, Source};
use layerwise_sweep::{Failure, MeasureId, Plan, Runner, Subject, SweepError, Work, WorkBytes};
use layerwise_transformer::{
    Address, Model, ModelConfig, Observer, Precision, Taken, Values, Workspace, check_site,
    shape_at_one_position,
};
use ndarray::{ArrayViewD, Axis};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A block, if the site has one, and a site.
type At = layerwise_transformer::Place;

/// A tensor of the file.
#[derive(Clone, Debug)]
pub struct Tensor {
    name: String,
    place: At,
    /// If a block runs several times, the number of this run, from 0.
    occurrence: usize,
    /// The units; `None` for all.
    units: Option<Vec<usize>>,
    /// The shape at one position.
    shape: Vec<usize>,
}

impl Tensor {
    /// The name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn row_bytes(&self, dtype: Precision) -> u64 {
        self.shape.iter().product::<usize>() as u64 * dtype.bytes() as u64
    }
}

/// The number of times that each site of each block occurs in a run.
///
/// # Errors
/// The run fails.
pub fn occurrences(
    model: &Model,
    plan: &Plan,
    schedule: &Schedule,
    tokens: &[u32],
) -> Result<BTreeMap<At, usize>, SweepError> {
    #[derive(Default)]
    struct Counting(BTreeMap<At, usize>);
    impl Observer for Counting {
        fn wants(&self, address: Address) -> bool {
            address.site != Site::AttnPattern
        }
        fn observe(&mut self, address: Address, _: ArrayViewD<'_, f32>) {
            *self.0.entry((address.block, address.site)).or_default() += 1;
        }
    }
    let mut counting = Counting::default();
    run(model, plan, schedule, 0, tokens, &mut counting)?;
    Ok(counting.0)
}

/// Runs a schedule on the sequence with an index, with the values that its edits take from plain runs.
fn run(
    model: &Model,
    plan: &Plan,
    schedule: &Schedule,
    at: usize,
    tokens: &[u32],
    observer: &mut impl Observer,
) -> Result<(), SweepError> {
    let fails = |source| SweepError::DoesNotFit {
        unit: "sequence",
        item: at,
        source: Box::new(source),
    };
    let plain = &plan.entries()[0].member.schedule;
    let sources = plan.sources();
    let mut values = Values::of(Arc::clone(&sources.constants));
    for (source, own) in [
        (Source::Plain, Some(tokens)),
        (
            Source::Resample,
            sources.partners.get(at).map(Vec::as_slice),
        ),
    ] {
        let mut taken = Taken::of(schedule.overlay().taken_from(source));
        if let Some(own) = own.filter(|_| schedule.overlay().taken_from(source).next().is_some()) {
            model.run(own, plain, &mut taken).map_err(fails)?;
            values.take(source, taken);
        }
    }
    let end = model.run(tokens, (schedule, &values), observer);
    end.map(drop).map_err(fails)
}

/// The tensors of selections, separate for each block and each run of a block; `counts` are the [`occurrences`] of a run.
///
/// # Errors
/// The model or the schedule lacks a site, or a selection does not have a row for each token.
pub fn tensors(
    config: &ModelConfig,
    counts: &BTreeMap<At, usize>,
    selections: &[Selection],
) -> Result<Vec<Tensor>, RecordingError> {
    let mut tensors: Vec<Tensor> = Vec::new();
    for selection in selections {
        let site = selection.site();
        check_site(config, site)?;
        match site {
            Site::AttnPattern => return Err(RecordingError::NoRows { site }),
            Site::FinalNorm | Site::Logits => return Err(RecordingError::AfterBlocks { site }),
            _ => {}
        }
        if !site.in_block() && selection.chosen_units().is_some() {
            return Err(RecordingError::Units {
                selection: selection.clone(),
            });
        }
        if selection.chosen_positions().is_some() {
            return Err(RecordingError::Positions {
                selection: selection.clone(),
            });
        }
        let at_one = shape_at_one_position(config, site);
        let units: Option<Vec<usize>> = selection
            .chosen_units()
            .map(|units| units.members(at_one[0]).collect());
        let blocks: Vec<Option<usize>> = match (site.in_block(), selection.chosen_blocks()) {
            (false, _) => vec![None],
            (true, None) => (0..config.layers).map(Some).collect(),
            (true, Some(blocks)) => blocks.members(config.layers).map(Some).collect(),
        };
        let runs_of = |block: Option<usize>| counts.get(&(block, site)).copied().unwrap_or(0);
        if blocks.iter().all(|block| runs_of(*block) == 0) {
            return Err(RecordingError::NotRun {
                selection: selection.clone(),
            });
        }
        for block in blocks {
            let runs = runs_of(block);
            if let (0, Some(block), Some(_)) = (runs, block, selection.chosen_blocks()) {
                return Err(RecordingError::NotRun {
                    selection: Selection::of(site).blocks(block),
                });
            }
            for occurrence in 0..runs {
                let mut name = match block {
                    None => site.to_string(),
                    Some(block) => format!("{site}[{block}]"),
                };
                if let (Some(units), Some(block)) = (&units, block) {
                    name = format!("{site}[{block},{}]", ascending(units));
                }
                if occurrence > 0 {
                    name = format!("{name}#{}", occurrence + 1);
                }
                let mut shape = at_one.clone();
                shape[0] = units.as_ref().map_or(shape[0], Vec::len);
                if tensors.iter().all(|known| known.name != name) {
                    tensors.push(Tensor {
                        name,
                        place: (block, site),
                        occurrence,
                        units: units.clone(),
                        shape,
                    });
                }
            }
        }
    }
    Ok(tensors)
}

/// Ascending units as a set in which neighbours are ranges.
fn ascending(units: &[usize]) -> Set {
    let ranges = units.chunk_by(|one, next| one + 1 == *next);
    let sets = ranges.map(|range| match *range {
        [first, .., last] => (first..last + 1).into(),
        _ => Set::from_iter(range.to_vec()),
    });
    let none = Set::from_iter(Vec::<usize>::new());
    sets.reduce(Set::and).unwrap_or(none)
}

/// The tensors of the file, and their positions.
///
/// ```
/// use layerwise_recordings::{Activations, occurrences, tensors};
/// use layerwise_schedule::Selection;
/// use layerwise_sweep::{Plan, Runner, Subject};
/// use layerwise_transformer::{Model, ModelConfig, Precision};
/// use layerwise_weights::TensorFile;
///
/// let model = Model::random(ModelConfig::tiny(), 3);
/// let sequences = [vec![1_u32, 2, 3], vec![4, 5, 6, 7, 8]];
/// let (plan, schedule) = (Plan::plain(model.stack())?, model.plain());
/// let chosen = Selection::read_all("resid.post", model.stack())?;
/// let counts = occurrences(&model, &plan, &schedule, &sequences[0])?;
/// let tensors = tensors(model.config(), &counts, &chosen)?;
/// let subject = Subject::from(&model);
/// let file = Activations::new(tensors, &sequences, Precision::F32, "id", &subject)?;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("activations.safetensors");
/// let target = file.begin(&path, &folder.path().join("model.journal"), false, &sequences)?;
/// file.record(target, &Runner::new(), subject, (&plan, &schedule), &sequences)?;
/// let width = model.config().model;
/// let written = TensorFile::open(&path)?.read::<f32>("resid.post[2]")?;
/// assert_eq!(written.unwrap().shape(), [8, width]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Activations {
    tensors: Vec<Tensor>,
    dtype: Precision,
    layout: Layout,
    /// The first row of each sequence, and finally the number of rows.
    offsets: Vec<usize>,
}

impl Activations {
    /// A file of these tensors in `dtype`, whose rows are those of the sequences, one after another; `edit` is the text of the
    /// schedule.
    ///
    /// # Errors
    /// The header cannot be made.
    pub fn new(
        tensors: Vec<Tensor>,
        sequences: &[Vec<u32>],
        dtype: Precision,
        edit: &str,
        subject: &Subject<'_>,
    ) -> Result<Self, RecordingError> {
        let offsets = first_rows(sequences);
        let tokens = offsets[offsets.len() - 1];
        let metadata = json!({"edit": edit});
        let entries = tensors.iter().map(|tensor| Entry {
            name: tensor.name.clone(),
            dtype: match dtype {
                Precision::Bf16 => "BF16",
                Precision::F32 => "F32",
            },
            shape: [&[tokens], tensor.shape.as_slice()].concat(),
            bytes: tensor.row_bytes(dtype) * tokens as u64,
        });
        Ok(Self {
            layout: Layout::new(metadata, subject, sequences, entries)?,
            tensors,
            dtype,
            offsets,
        })
    }

    /// The number of tensors of activations.
    pub fn tensors(&self) -> usize {
        self.tensors.len()
    }

    /// The size of the whole file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes()
    }

    /// Whether an earlier run began this same file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_begun(&self, partial: &Path) -> Result<bool, RecordingError> {
        self.layout.is_begun(partial)
    }

    /// Creates the file with its tokens and zeros elsewhere, and empties the journal of its rows, or opens it as an earlier run
    /// left it.
    ///
    /// # Errors
    /// The file or the journal cannot be written, or another run is writing it.
    pub fn begin(
        &self,
        partial: &Path,
        journal: &Path,
        is_begun: bool,
        sequences: &[Vec<u32>],
    ) -> Result<File, RecordingError> {
        self.layout.begin(partial, journal, is_begun, sequences)
    }

    /// Runs a model on all sequences under a schedule, with the sources of `plan`. Writes the rows that the runner's journal does
    /// not record as written.
    ///
    /// # Errors
    /// As [`Runner::measure`], or rows cannot be written.
    pub fn record(
        &self,
        target: File,
        runner: &Runner<'_>,
        subject: Subject<'_>,
        (plan, schedule): (&Plan, &Schedule),
        sequences: &[Vec<u32>],
    ) -> Result<File, SweepError> {
        let model = subject.model;
        let target = Mutex::new(target);
        let write = |at: usize, tokens: &Vec<u32>| {
            let rows = rows(model, plan, schedule, at, tokens, self).map_err(Failure::other)?;
            let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
            self.write(&mut target, self.offsets[at], &rows)
                .map_err(Failure::other)
        };
        let id = MeasureId::new("activations", 1).with_settings(self.layout.hash());
        let work = Work::new(id, self.work_bytes(model, plan, sequences), write)
            .depending_on(|tokens: &Vec<u32>| tokens.clone());
        let plain = Plan::plain(model.stack())?.with_sources(plan.sources().clone());
        runner.measure(subject, &plain, &work, sequences)?;
        drop(work);
        Ok(target.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the rows of one sequence, one part for each tensor, from row `first` on.
    fn write(&self, file: &mut File, first: usize, rows: &[Vec<u8>]) -> std::io::Result<()> {
        for (at, (tensor, rows)) in self.tensors.iter().zip(rows).enumerate() {
            let start = self.layout.start(at) + tensor.row_bytes(self.dtype) * first as u64;
            file.seek(SeekFrom::Start(start))?;
            file.write_all(rows)?;
        }
        // Rows must be on disk before the journal records them.
        file.sync_data()
    }

    /// The largest number of bytes that the run takes, with the rows of one sequence.
    fn work_bytes(&self, model: &Model, plan: &Plan, sequences: &[Vec<u32>]) -> WorkBytes {
        let config = model.config();
        let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
        let rows = self.tensors.iter().map(|own| own.row_bytes(self.dtype));
        let rows = rows.sum::<u64>() as usize * longest;
        let taken = [Source::Plain, Source::Resample]
            .map(|source| Taken::bytes(config, plan.taken_from(source), longest, longest));
        WorkBytes {
            reading: 2 * rows
                + 2 * taken.iter().sum::<usize>()
                + Workspace::most_bytes(config, longest)
                + 3 * longest * config.model * size_of::<f32>(),
            result: 0,
        }
    }
}

/// The bytes of a sequence's rows, for each tensor.
fn rows(
    model: &Model,
    plan: &Plan,
    schedule: &Schedule,
    at: usize,
    tokens: &[u32],
    file: &Activations,
) -> Result<Vec<Vec<u8>>, SweepError> {
    let mut rows = Rows {
        file,
        seen: BTreeMap::new(),
        bytes: vec![Vec::new(); file.tensors.len()],
    };
    run(model, plan, schedule, at, tokens, &mut rows)?;
    Ok(rows.bytes)
}

struct Rows<'f> {
    file: &'f Activations,
    /// The number of times that each place occurred so far.
    seen: BTreeMap<At, usize>,
    bytes: Vec<Vec<u8>>,
}

impl Observer for Rows<'_> {
    fn wants(&self, address: Address) -> bool {
        let place = (address.block, address.site);
        self.file.tensors.iter().any(|own| own.place == place)
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let place = (address.block, address.site);
        let met = self.seen.entry(place).or_default();
        let occurrence = *met;
        *met += 1;
        let tensors = self.file.tensors.iter().zip(&mut self.bytes);
        let own = tensors.filter(|(own, _)| (own.place, own.occurrence) == (place, occurrence));
        for (tensor, bytes) in own {
            let chosen = match &tensor.units {
                Some(units) => activation.select(Axis(1), units),
                None => activation.to_owned(),
            };
            match self.file.dtype {
                Precision::Bf16 => bytes.extend(chosen.iter().flat_map(|value| {
                    let bits = Precision::Bf16.round(*value).to_bits() >> 16;
                    (bits as u16).to_le_bytes()
                })),
                Precision::F32 => bytes.extend(chosen.iter().flat_map(|value| value.to_le_bytes())),
            }
        }
    }
}
