//! Runs that last: journals, shards, targets, memory, cancellation and progress of any measure.

use crate::error::SweepError;
use crate::fitting;
use crate::measure::{KeptMeasure, Measure, MeasureId};
use crate::memory::{Budget, Counted, Held, hand_bytes, results_bytes, worker_bytes};
use crate::plan::{Label, Plan};
use crate::stopping::Target;
use layerwise_journal::{Journal, JournalError, Recorded, RunDescription, RunKey, Shard};
use layerwise_kernels::cpu_features;
use layerwise_transformer::Model;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

mod run;

use run::Run;

/// Changes when the engine gives the same inputs other numbers, so that old journals are not taken up; what concerns one
/// measure alone is the version of its [`MeasureId`].
const ENGINE_VERSION: &str = "4";

/// How runs are carried out. But for a share or a target, none of it changes a result.
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

/// Where the journal of a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journals {
    /// In this file, whatever is measured: a run with other inputs, or another share, is refused there.
    File(PathBuf),
    /// Below this folder, in `MEASURE.run/KEY.journal`, or `MEASURE.run/KEY.K-of-N.journal` of a share: runs with other
    /// inputs and other shares stand beside each other, and each takes up what the others of its key have finished.
    Folder(PathBuf),
}

/// The folder of a measure's journals, and what the names of those of a key begin with.
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

/// What the first line of a run's journal says of it besides its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The measure's name.
    pub measure: String,
    /// The schedules, the plain one first.
    pub schedules: Vec<Label>,
}

/// Is told how far a run is.
pub trait Progress: Sync {
    /// A run begins, or goes on.
    fn begin(&self, run: &Begun<'_>);

    /// One more item is finished; `weight` is its part of [`Begun::weight`]. Called by one thread at a time.
    fn finished(&self, weight: usize);

    /// About this part of what [`begin`](Self::begin) told of was done since the last call, in items that need not be
    /// finished. Called often, by any thread; never for items without tokens.
    fn advanced(&self, _part: f64) {}

    /// The run has ended, in whatever way.
    fn end(&self);
}

/// Tells nobody.
impl Progress for () {
    fn begin(&self, _: &Begun<'_>) {}

    fn finished(&self, _: usize) {}

    fn end(&self) {}
}

/// A run as it begins, or goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Begun<'a> {
    /// The model's name.
    pub subject: &'a str,
    /// What one item is called, as `sequence` or `item of benchmarks`.
    pub unit: &'a str,
    /// What several are called.
    pub units: &'a str,
    /// Items that are still to be done.
    pub items: usize,
    /// Shares that the items are divided into; 1 where every share runs all of them.
    pub shares: u32,
    /// The weight of all of them together.
    pub weight: usize,
    /// Items that an earlier run had finished.
    pub resumed: usize,
    /// Others of which it had finished some schedules.
    pub in_part: usize,
    /// The journal, if its last line had been torn by a crash and is computed again.
    pub torn: Option<&'a Path>,
    /// Items that are under way at the same time.
    pub at_once: usize,
    /// About the largest part of the run that is done between a stop and the end.
    pub in_hand: f64,
    /// Whether fewer items may be enough.
    pub has_target: bool,
    /// Whether the results are of a kind that journals keep; other work is short.
    pub is_keepable: bool,
}

/// What identifies a model: its name and the hashes of the files that it was read from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its name among those of a table.
    pub name: &'a str,
    /// Hashes of its files.
    pub hashes: Vec<&'a str>,
}

impl<'a> Subject<'a> {
    /// A model with its name and the hashes of its files.
    pub fn new(model: &'a Model, name: &'a str, hashes: Vec<&'a str>) -> Self {
        Self {
            model,
            name,
            hashes,
        }
    }
}

/// A model of which nothing is known but itself: its journals do not tell it from others of the same name.
impl<'a> From<&'a Model> for Subject<'a> {
    fn from(model: &'a Model) -> Self {
        Self::new(model, "model", Vec::new())
    }
}

/// The results of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured<S> {
    /// Hash of everything the results depend on.
    pub key: RunKey,
    /// For each item that counts, in their order, the result of each schedule of the plan.
    ///
    /// Those are the items of the shard, or with a target the first that reach it.
    pub results: Vec<Vec<S>>,
    /// Items of the run, or of its shard.
    pub items: usize,
    /// Items that an earlier run had finished.
    pub resumed: usize,
    /// Whether the target for the standard error is reached; `None` where there was none.
    pub reached: Option<bool>,
    /// The schedule with the largest standard error, and that; where there was a target.
    pub worst: Option<(usize, f64)>,
    /// The memory of the results, counted for as long as this is kept.
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
    /// One thread, no journal, nobody told; the whole run, without a limit on memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// With so many worker threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// How many worker threads it has.
    pub fn thread_count(&self) -> NonZeroUsize {
        self.threads
    }

    /// The signal to stop, where there is one.
    pub fn stop_signal(&self) -> Option<&'a AtomicBool> {
        self.stop
    }

    /// Once `stop` is true, each thread ends at the next step of an altered schedule, or at the end of a plain one, and the run ends
    /// as [`SweepError::Interrupted`]. A journal keeps finished items, and of others the finished schedules.
    pub fn stop(self, stop: &'a AtomicBool) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }

    /// Tells `progress` how far runs are.
    pub fn progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// The budget of memory, for what is allocated outside any run, such as a copy of weights.
    pub fn budget(&self) -> &Budget {
        &self.memory
    }

    /// Refuses runs that could take more memory than is left.
    pub fn memory(self, memory: Budget) -> Self {
        Self { memory, ..self }
    }

    /// Runs a share of the items only.
    pub fn shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// Runs all items in spite of the share, as work does that decides which items there are. Journals keep the share's
    /// names, so that processes with other shares do not write to the same.
    pub fn all_items(self) -> Self {
        Self {
            all_items: true,
            ..self
        }
    }

    /// The share of the items that is run.
    fn part(&self) -> Shard {
        match self.all_items {
            true => Shard::WHOLE,
            false => self.shard,
        }
    }

    /// The model's place among those of its table, from 0; kept in the journal, so that shards of several models are merged
    /// in this order.
    pub fn place(self, place: usize) -> Self {
        Self { place, ..self }
    }

    /// Takes the fewest items that bring the worst schedule's standard error down to the target; a measure without that
    /// statistic takes all items.
    pub fn until_se(self, until_se: Option<Target>) -> Self {
        Self { until_se, ..self }
    }

    /// Keeps what is finished in a journal, and goes on from there.
    pub fn journals(self, journals: Journals) -> Self {
        Self {
            journals: Some(journals),
            ..self
        }
    }

    /// Takes up what other journals of the same run have finished, whatever their shares: below these folders, each as
    /// that of [`Journals::Folder`].
    pub fn taking_up(self, folders: Vec<PathBuf>) -> Self {
        Self {
            taken_up: folders,
            ..self
        }
    }

    /// Refuses a run with a journal of which an item is not finished yet, as where shares are put together.
    pub fn only_taken_up(self, only_taken_up: bool) -> Self {
        Self {
            only_taken_up,
            ..self
        }
    }

    /// Whether every item is run, and not a share of them.
    pub fn is_whole(&self) -> bool {
        self.part() == Shard::WHOLE
    }

    /// Keeps nothing.
    pub fn without_journals(self) -> Self {
        Self {
            journals: None,
            ..self
        }
    }

    /// Throws away what a journal holds.
    pub fn fresh(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// The key of a run: a hash of the program's version, the machine type, the model, the measure, the schedules with
    /// their families, and the items.
    pub fn key<'s, M: Measure>(
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> RunKey {
        let subject = subject.into();
        let MeasureId {
            name,
            version,
            settings,
        } = measure.id();
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
        // One item after another, so that no copy of all of them is made.
        let items = items.iter().flat_map(|item| item_parts(measure, item));
        RunKey::of(parts.into_iter().chain(items))
    }

    /// The items of a share of a run, by their indices: shares weigh the same to within one item.
    pub fn share<M: Measure>(
        shard: Shard,
        key: &RunKey,
        measure: &M,
        items: &[M::Item],
    ) -> Vec<usize> {
        shard.units(key, &costs(measure, items))
    }

    /// The most memory that a run takes besides the weights, in bytes: [`worker_bytes`] for each thread, and the results of
    /// all items.
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

    /// Threads that have something to do: those beyond the number of items only where there are altered schedules.
    fn workers(&self, plan: &Plan, items: usize) -> usize {
        match plan.entries().len() {
            1 => self.threads.get().min(items),
            _ => self.threads.get(),
        }
    }

    /// Measures every item under every schedule of the plan, going on where an earlier run with the same inputs stopped.
    ///
    /// # Errors
    /// Too little memory, a journal that cannot be used, [`SweepError::Interrupted`], or as [`Engine::run`](crate::Engine::run).
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
            return run.carry_out(BTreeMap::new(), true);
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
        let schedules = plan.entries().len();
        let fits = |parts: Option<&[usize]>, sums: &Vec<M::Sums>| {
            let is_all = match parts {
                None => sums.len() == schedules,
                Some(at) => sums.len() == at.len() && at.iter().all(|at| *at < schedules),
            };
            is_all && sums.iter().all(|sums| measure.fits(sums))
        };
        let path = journals.path(&id, &run.key, self.shard);
        let mut kept = Journal::open(&path, &description, self.fresh, fits)?;
        for other in self.others(journals, &path, &id, &run.key)? {
            let of_run = |about: &Described, parts: Option<&[usize]>, sums: &_| {
                *about == description.about && fits(parts, sums)
            };
            match Recorded::read(&other, of_run) {
                Ok(found) if found.description.key == run.key => kept.take_up(found),
                Ok(_) => {}
                // One that is being written, or was only begun, has its units for itself.
                Err(JournalError::Locked { .. } | JournalError::Empty { .. })
                    if !self.only_taken_up => {}
                Err(error) => return Err(error.into()),
            }
        }
        run.carry_out(kept, true)
    }

    /// Other journals of a run, sorted by name.
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

    /// The same without a journal, for results that are too large to be kept; of all items, whatever the share.
    ///
    /// # Errors
    /// Too little memory, [`SweepError::Interrupted`], or as [`Engine::run`](crate::Engine::run).
    pub fn measure_unkept<'s, M: Measure>(
        &self,
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Measured<M::Sums>, SweepError> {
        let mut run = self.prepare(subject.into(), plan, measure, items)?;
        run.share = (0..items.len()).collect();
        run.carry_out(BTreeMap::new(), false)
    }

    /// Refuses what is refused before any work, and takes the memory of the run.
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

    /// The target, where the measure has its statistic.
    fn target<M: Measure>(&self, measure: &M) -> Result<Option<&Target>, SweepError> {
        let target = self.until_se.as_ref();
        let target = target.filter(|target| measure.statistics().contains(&&*target.statistic));
        match target {
            Some(_) if !self.is_whole() => Err(SweepError::TargetOfShard { shard: self.shard }),
            target => Ok(target),
        }
    }
}

/// What the key of a run says of an item.
fn item_parts<M: Measure>(measure: &M, item: &M::Item) -> Vec<Vec<u8>> {
    let bytes = |ids: &[u32]| ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let batch = measure.batch(item);
    let mut parts = vec![batch.segments().to_le_bytes().to_vec()];
    for segment in 0..batch.segments() {
        // The path tells where a segment begins; its length, where it is no part of the path's other segments.
        let path = batch.path_to(segment);
        let path: Vec<u32> = path.iter().map(|row| batch.tokens()[*row]).collect();
        let own = batch.rows_of(segment).len();
        parts.extend([bytes(&path), own.to_le_bytes().to_vec()]);
    }
    parts.push(bytes(&measure.particulars(item)));
    if let Some(donor) = measure.donor(item) {
        parts.push(bytes(donor.tokens()));
    }
    parts
}

/// What each item costs: its weight, as all of them take the same steps.
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
