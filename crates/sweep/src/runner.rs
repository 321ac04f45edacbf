//! Long runs of any measure: journals, shards, targets, memory, cancellation and progress.

use crate::error::SweepError;
use crate::fitting;
use crate::measure::{KeptMeasure, Measure, MeasureId};
use crate::memory::{Budget, Counted, Held, hand_bytes, results_bytes, worker_bytes};
use crate::plan::{Label, Plan};
use crate::stopping::Target;
use layerwise_journal::{Journal, JournalError, Recorded, RunDescription, RunKey, Shard};
use layerwise_kernels::cpu_features;
use layerwise_transformer::{Batch, Model};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod run;

use run::Run;

/// Changes when the engine gives other numbers for the same inputs, so that old journals are not resumed. If only one measure
/// changes, the version of its [`MeasureId`] changes instead.
const ENGINE_VERSION: &str = "4";

/// How runs are carried out. Apart from a share and a target, no setting changes a result.
///
/// ```
/// use layerwise_sweep::{Divergence, Plan, Runner, collect};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let sequences = [vec![3, 14, 15, 9], vec![2, 6, 5, 3, 5]];
/// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &sequences)?;
/// let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
/// assert!(statistics[1].kl_nats.mean().unwrap() > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Runner<'a> {
    threads: NonZeroUsize,
    stop: Option<&'a AtomicBool>,
    give_up: Option<&'a AtomicBool>,
    progress: &'a dyn Progress,
    memory: Budget,
    shard: Shard,
    all_items: bool,
    place: usize,
    until_se: Option<Target>,
    journals: Option<Journals>,
    taken_up: Vec<PathBuf>,
    only_taken_up: bool,
    fresh: bool,
}

/// The place of a run's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journals {
    /// This file, whatever is measured. It is refused if it belongs to a run with other inputs, or to another share.
    File(PathBuf),
    /// Below this folder, in `MEASURE.run/KEY.journal` or, for a share, in `MEASURE.run/KEY.K-of-N.journal`. Runs with other
    /// inputs and other shares have separate files, and each run resumes from all files of its key.
    Folder(PathBuf),
}

/// The folder of a measure's journals, and the prefix of the names of those with a key.
fn journals_of(folder: &Path, measure: &MeasureId, key: &RunKey) -> (PathBuf, String) {
    let folder = folder.join(format!("{}.run", measure.name));
    (folder, key.as_str()[..16].to_owned())
}

impl Journals {
    fn path(&self, measure: &MeasureId, key: &RunKey, shard: Shard) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => {
                let (folder, key) = journals_of(folder, measure, key);
                folder.join(match shard {
                    Shard::WHOLE => format!("{key}.journal"),
                    shard => format!("{key}.{}-of-{}.journal", shard.index(), shard.count()),
                })
            }
        }
    }
}

/// What the first line of a run's journal contains besides its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The measure's name.
    pub measure: String,
    /// The schedules, the plain one first.
    pub schedules: Vec<Label>,
}

impl Described {
    /// Whether a line of the journal has a result for each schedule, or for each of the given ones.
    pub(crate) fn fits(&self, parts: Option<&[usize]>, results: usize) -> bool {
        let schedules = self.schedules.len();
        let is_each = match parts {
            None => results == schedules,
            Some(at) => results == at.len() && at.iter().all(|at| *at < schedules),
        };
        schedules > 0 && is_each
    }
}

/// Receives the progress of a run.
pub trait Progress: Sync {
    /// A run begins or resumes.
    fn begin(&self, run: &Begun<'_>);

    /// One more item is finished; `weight` is its share of [`Begun::weight`]. Called by one thread at a time.
    fn finished(&self, weight: usize);

    /// Roughly this share of the run that [`begin`](Self::begin) announced was done since the last call, in items that need not
    /// be finished. Called often, by any thread; never for items without tokens.
    fn advanced(&self, _part: f64) {}

    /// The run has ended, for whatever reason.
    fn end(&self);
}

/// Ignores progress.
impl Progress for () {
    fn begin(&self, _: &Begun<'_>) {}

    fn finished(&self, _: usize) {}

    fn end(&self) {}
}

/// A run at its beginning or resumption.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Begun<'a> {
    /// The model's name.
    pub subject: &'a str,
    /// The name of one item, as `sequence` or `item of benchmarks`.
    pub unit: &'a str,
    /// The name of several items.
    pub units: &'a str,
    /// The number of items still to do.
    pub items: usize,
    /// The number of shares that the items are divided into; 1 if every share runs all of them.
    pub shares: u32,
    /// The weight of these items together.
    pub weight: usize,
    /// The number of items that an earlier run finished.
    pub resumed: usize,
    /// The number of other items for which it finished some schedules.
    pub in_part: usize,
    /// The journal, if a crash left its last line incomplete; that item runs again.
    pub torn: Option<&'a Path>,
    /// The number of items in progress at the same time.
    pub at_once: usize,
    /// Roughly the largest share of the run that is still done between a stop signal and the end.
    pub in_hand: f64,
    /// Whether fewer items may suffice.
    pub has_target: bool,
    /// Whether journals can keep the results; other work is short.
    pub is_keepable: bool,
}

/// The identity of a model: its name and the hashes of the files that it was read from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its name in a table.
    pub name: &'a str,
    /// Hashes of its files.
    pub hashes: Vec<&'a str>,
}

impl<'a> Subject<'a> {
    /// Identifies a model by its name and the hashes of its files.
    pub fn new(model: &'a Model, name: &'a str, hashes: Vec<&'a str>) -> Self {
        Self {
            model,
            name,
            hashes,
        }
    }
}

/// A model without a name and hashes of its own: its journals do not distinguish it from any other such model.
impl<'a> From<&'a Model> for Subject<'a> {
    fn from(model: &'a Model) -> Self {
        Self::new(model, "model", Vec::new())
    }
}

/// The results of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured<S> {
    /// The hash of everything that the results depend on.
    pub key: RunKey,
    /// For each item, in order, the result of each schedule of the plan.
    ///
    /// The items are those of the shard or, with a target, the first ones that reach it.
    pub results: Vec<Vec<S>>,
    /// The number of items of the run, or of its shard.
    pub items: usize,
    /// The number of items that an earlier run had finished.
    pub resumed: usize,
    /// Whether the target for the standard error was reached; `None` without a target.
    pub reached: Option<bool>,
    /// The schedule with the largest standard error, and that error; `None` without a target.
    pub worst: Option<(usize, f64)>,
    /// The memory of the results, counted as long as this is kept.
    pub memory: Arc<Held>,
}

impl<S> Measured<S> {
    /// The plain model's result for each item.
    pub fn into_plain(self) -> Counted<Vec<S>> {
        let plain = |mut schedules: Vec<S>| schedules.swap_remove(0);
        let results = self.results.into_iter().map(plain).collect();
        Counted::new(results, self.memory)
    }
}

impl Default for Runner<'_> {
    fn default() -> Self {
        Self {
            threads: NonZeroUsize::MIN,
            stop: None,
            give_up: None,
            progress: &(),
            memory: Budget::default(),
            shard: Shard::WHOLE,
            all_items: false,
            place: 0,
            until_se: None,
            journals: None,
            taken_up: Vec::new(),
            only_taken_up: false,
            fresh: false,
        }
    }
}

impl<'a> Runner<'a> {
    /// One thread, no journal, no progress; the whole run, without a limit on memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of worker threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// The number of worker threads.
    pub fn thread_count(&self) -> NonZeroUsize {
        self.threads
    }

    /// The stop signal, if there is one.
    pub fn stop_signal(&self) -> Option<&'a AtomicBool> {
        self.stop
    }

    /// Sets a stop signal. Once it is true, each thread ends at the next step of an altered schedule, or at the end of a plain
    /// one, and the run ends with [`SweepError::Interrupted`]. A journal keeps finished items and, of unfinished items, the
    /// finished schedules.
    pub fn stop(self, stop: &'a AtomicBool) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }

    /// Sets a signal to end even sooner than after [`Runner::stop`], which need not be set then. Once it is true, each thread
    /// also ends after a step of the plain schedule, and a measure where it calls [`Reached::go_on`](crate::Reached::go_on).
    /// Items that this cuts before the end of their plain schedule leave nothing; a resumed run begins them anew.
    pub fn give_up(self, give_up: &'a AtomicBool) -> Self {
        Self {
            give_up: Some(give_up),
            ..self
        }
    }

    /// The signal of [`Runner::give_up`], if there is one.
    pub fn give_up_signal(&self) -> Option<&'a AtomicBool> {
        self.give_up
    }

    /// For work that takes long, within items of [`Work`](crate::Work) and between runs: whether it goes on.
    ///
    /// # Errors
    /// [`SweepError::GivenUp`] after the signal of [`Runner::give_up`]. From within an item it ends the run as interrupted.
    pub fn go_on(&self) -> Result<(), SweepError> {
        match self.give_up {
            Some(give_up) if give_up.load(Ordering::Relaxed) => Err(SweepError::GivenUp),
            _ => Ok(()),
        }
    }

    /// Reports progress to `progress`.
    pub fn progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// The memory budget, for allocations outside any run, such as a copy of weights.
    pub fn budget(&self) -> &Budget {
        &self.memory
    }

    /// Refuses runs that could take more memory than is left.
    pub fn memory(self, memory: Budget) -> Self {
        Self { memory, ..self }
    }

    /// Runs only a share of the items.
    pub fn shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// Runs all items in spite of the share, as for work that decides which items there are. Journals keep the share's names, so
    /// that processes with other shares do not write to the same file.
    pub fn all_items(self) -> Self {
        Self {
            all_items: true,
            ..self
        }
    }

    /// The share of the items to run.
    fn part(&self) -> Shard {
        match self.all_items {
            true => Shard::WHOLE,
            false => self.shard,
        }
    }

    /// Sets the model's place in its table, from 0. The journal keeps it, so that shards of several models are merged in this
    /// order.
    pub fn place(self, place: usize) -> Self {
        Self { place, ..self }
    }

    /// Takes the smallest number of items that brings the worst schedule's standard error down to the target. A measure without
    /// that statistic takes all items.
    pub fn until_se(self, until_se: Option<Target>) -> Self {
        Self { until_se, ..self }
    }

    /// Keeps finished results in a journal, and resumes from it.
    pub fn journals(self, journals: Journals) -> Self {
        Self {
            journals: Some(journals),
            ..self
        }
    }

    /// Also resumes from other journals of the same run, whatever their shares, below these folders, each like that of
    /// [`Journals::Folder`].
    pub fn taking_up(self, folders: Vec<PathBuf>) -> Self {
        Self {
            taken_up: folders,
            ..self
        }
    }

    /// Refuses a run with a journal that lacks an item, as when shares are merged.
    pub fn only_taken_up(self, only_taken_up: bool) -> Self {
        Self {
            only_taken_up,
            ..self
        }
    }

    /// Whether every item runs, and not only a share.
    pub fn is_whole(&self) -> bool {
        self.part() == Shard::WHOLE
    }

    /// Keeps no journal.
    pub fn without_journals(self) -> Self {
        Self {
            journals: None,
            ..self
        }
    }

    /// Sets whether the contents of an existing journal are discarded.
    pub fn fresh(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// The key of a run: a hash of the program's version, the machine type, the model, the measure, the schedules with their
    /// families, and the items.
    pub fn key<'s, M: Measure>(
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> RunKey {
        let parts = run_parts(&subject.into(), plan, measure.id());
        // Items are hashed one after another, so that they are not all copied at once.
        let items = items.iter().flat_map(|item| {
            item_parts(
                &measure.batch(item),
                &measure.particulars(item),
                measure.donor(item).as_ref(),
            )
        });
        RunKey::of(parts.into_iter().chain(items))
    }

    /// The items of a share of a run, by their indices; the weights of shares differ by at most one item.
    pub fn share<M: Measure>(
        shard: Shard,
        key: &RunKey,
        measure: &M,
        items: &[M::Item],
    ) -> Vec<usize> {
        shard.units(key, &costs(measure, items))
    }

    /// The largest number of bytes that a run takes besides the weights: [`worker_bytes`] for each thread, and the results of all
    /// items.
    pub fn bytes<M: Measure>(
        &self,
        model: &Model,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> u64 {
        let longest = items.iter().map(|item| measure.batch(item).rows()).max();
        let longest = longest.unwrap_or(0);
        let worker = worker_bytes(model, plan, measure, items.len(), longest) as u64;
        let workers = match model.is_streamed() {
            true => {
                let others = self.threads.get() as u64 - 1;
                worker + others * hand_bytes(model, items.len(), longest) as u64
            }
            false => worker.saturating_mul(self.workers(plan, items.len()) as u64),
        };
        workers.saturating_add(results_bytes(model, plan, measure, items) as u64)
    }

    /// The number of threads with work; only altered schedules can occupy more threads than there are items.
    fn workers(&self, plan: &Plan, items: usize) -> usize {
        match plan.entries().len() {
            1 => self.threads.get().min(items),
            _ => self.threads.get(),
        }
    }

    /// Measures every item under every schedule of the plan, resuming an earlier run with the same inputs.
    ///
    /// # Errors
    /// There is too little memory, a journal cannot be used, [`SweepError::Interrupted`], or as
    /// [`Engine::run`](crate::Engine::run).
    pub fn measure<'s, M>(
        &self,
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Measured<M::Sums>, SweepError>
    where
        M: KeptMeasure,
    {
        let run = self.prepare(subject.into(), plan, measure, items)?;
        let Some(journals) = &self.journals else {
            return run.carry_out(&mut BTreeMap::new(), true);
        };
        let id = measure.id();
        let about = Described {
            measure: id.name.to_owned(),
            schedules: plan.labels(),
        };
        let name = run.subject.name.to_owned();
        let description = RunDescription::new(run.key.clone(), name, items.len(), about)
            .at_place(self.place)
            .part(self.part(), &costs(measure, items));
        let fits = |parts: Option<&[usize]>, sums: &Vec<M::Sums>| {
            let is_each = description.about.fits(parts, sums.len());
            is_each && sums.iter().all(|sums| measure.fits(sums))
        };
        let path = journals.path(&id, &run.key, self.shard);
        let mut kept = Journal::open(&path, &description, self.fresh, fits)?;
        for other in self.others(journals, &path, &id, &run.key)? {
            let of_run = |about: &Described, parts: Option<&[usize]>, sums: &_| {
                *about == description.about && fits(parts, sums)
            };
            // A journal of the run's key may still claim more units than the run has.
            let is_same = |found: &RunDescription<_>| {
                (&found.key, found.units) == (&description.key, description.units)
            };
            match Recorded::read(&other, of_run) {
                Ok(found) if is_same(&found.description) => kept.take_up(found),
                Ok(_) => {}
                // A journal that is being written, or was only begun, is not taken into account.
                Err(JournalError::Locked { .. } | JournalError::Empty { .. })
                    if !self.only_taken_up => {}
                Err(error) => return Err(error.into()),
            }
        }
        run.carry_out(&mut kept, true)
    }

    /// The other journals of a run, sorted by name.
    fn others(
        &self,
        journals: &Journals,
        own: &Path,
        measure: &MeasureId,
        key: &RunKey,
    ) -> Result<Vec<PathBuf>, SweepError> {
        let beside = match journals {
            Journals::Folder(folder) if !self.fresh => Some(folder),
            _ => None,
        };
        let mut found = Vec::new();
        for folder in self.taken_up.iter().chain(beside) {
            let (folder, key) = journals_of(folder, measure, key);
            found.extend(layerwise_journal::journals_in(&folder, &key)?);
        }
        let own = own.canonicalize().ok();
        found.retain(|path| path.canonicalize().ok() != own);
        found.sort();
        Ok(found)
    }

    /// As [`Runner::measure`] but without a journal, for results that are too large for one, and for all items, whatever the
    /// share.
    ///
    /// # Errors
    /// There is too little memory, [`SweepError::Interrupted`], or as [`Engine::run`](crate::Engine::run).
    pub fn measure_unkept<'s, M: Measure>(
        &self,
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Measured<M::Sums>, SweepError> {
        let all = self.clone().all_items();
        let run = all.prepare(subject.into(), plan, measure, items)?;
        run.carry_out(&mut BTreeMap::new(), false)
    }

    /// Makes the checks that precede any work, and takes the memory of the run.
    fn prepare<'r, M: Measure>(
        &'r self,
        subject: Subject<'r>,
        plan: &'r Plan,
        measure: &'r M,
        items: &'r [M::Item],
    ) -> Result<Run<'r, M>, SweepError> {
        fitting::check(subject.model, plan, measure, items.iter())?;
        let bytes = self.bytes(subject.model, plan, measure, items);
        let what = format!("{}: {}", subject.name, measure.id().name);
        let memory = self.memory.hold(&what, bytes)?;
        let key = Self::key(subject.clone(), plan, measure, items);
        Ok(Run {
            runner: self,
            share: Self::share(self.part(), &key, measure, items),
            key,
            subject,
            plan,
            measure,
            items,
            target: self.target(measure)?,
            memory,
        })
    }

    /// The target, if the measure has its statistic.
    fn target<M: Measure>(&self, measure: &M) -> Result<Option<&Target>, SweepError> {
        let target = self.until_se.as_ref();
        let target = target.filter(|target| measure.statistics().contains(&&*target.statistic));
        match target {
            Some(_) if !self.is_whole() => Err(SweepError::TargetOfShard { shard: self.shard }),
            target => Ok(target),
        }
    }
}

/// What all items of a run have in common, for its key.
fn run_parts(subject: &Subject<'_>, plan: &Plan, measure: MeasureId) -> Vec<Vec<u8>> {
    let MeasureId {
        name,
        version,
        settings,
    } = measure;
    let mut parts: Vec<Vec<u8>> = vec![
        env!("CARGO_PKG_VERSION").into(),
        ENGINE_VERSION.into(),
        subject.model.precision().name().into(),
        ARCHITECTURE.into(),
        cpu_features().into(),
        name.into(),
        version.to_le_bytes().into(),
        settings.into(),
    ];
    parts.extend(subject.hashes.iter().map(|hash| hash.as_bytes().to_vec()));
    parts.push(subject.name.as_bytes().to_vec());
    for (entry, label) in plan.entries().iter().zip(plan.labels()) {
        let schedule = entry.member.schedule.to_string();
        parts.extend([label.family, label.edit, schedule].map(String::into_bytes));
    }
    parts.extend(plan.sources().parts());
    parts
}

/// The item's contribution to the key of a run.
fn item_parts(batch: &Batch, particulars: &[u32], donor: Option<&Batch>) -> Vec<Vec<u8>> {
    let bytes = |ids: &[u32]| ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let mut parts = vec![batch.segments().to_le_bytes().to_vec()];
    for segment in 0..batch.segments() {
        // The path says where a segment begins; its length says which tokens of the path are its own.
        let path = batch.path_to(segment);
        let path: Vec<u32> = path.iter().map(|row| batch.tokens()[*row]).collect();
        let own = batch.rows_of(segment).len();
        parts.extend([bytes(&path), own.to_le_bytes().to_vec()]);
    }
    parts.push(bytes(particulars));
    if let Some(donor) = donor {
        parts.push(bytes(donor.tokens()));
    }
    parts
}

/// The cost of each item: its weight, because all items take the same steps.
fn costs<M: Measure>(measure: &M, items: &[M::Item]) -> Vec<u64> {
    let weights = items.iter().map(|item| measure.weight(item) as u64);
    weights.collect()
}

/// The machine type that the program was compiled for.
const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else {
    "other"
};
