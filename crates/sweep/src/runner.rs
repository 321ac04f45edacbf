//! Runs that last: journals, shards, targets, memory, cancellation and progress of any measure.

use crate::engine::Engine;
use crate::error::SweepError;
use crate::fitting;
use crate::grouping::groups;
use crate::measure::{Measure, MeasureId};
use crate::memory::{Budget, Counted, Held, results_bytes, worker_bytes};
use crate::plan::{Label, Plan};
use crate::stopping::{Judge, Target};
use layerwise_journal::{Journal, RunDescription, RunKey, Shard};
use layerwise_kernels::cpu_features;
use layerwise_transformer::Model;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    place: usize,
    until_se: Option<Target>,
    journals: Option<Journals>,
    fresh: bool,
}

/// Where the journal of a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journals {
    /// In this file, whatever is measured: a run with other inputs is refused there.
    File(PathBuf),
    /// Below this folder, in `MEASURE.run/KEY.journal`: runs with other inputs stand beside each other.
    Folder(PathBuf),
}

impl Journals {
    fn path(&self, measure: &MeasureId, key: &RunKey) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder
                .join(format!("{}.run", measure.name))
                .join(format!("{}.journal", &key.as_str()[..16])),
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
    /// The weight of all of them together.
    pub weight: usize,
    /// Items that an earlier run had finished.
    pub resumed: usize,
    /// The journal, if its last line had been torn by a crash and is computed again.
    pub torn: Option<&'a Path>,
    /// Items that are under way at the same time.
    pub at_once: usize,
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
            place: 0,
            until_se: None,
            journals: None,
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

    /// Once `stop` is true, no further item is begun: those in hand are finished, and the run ends as
    /// [`SweepError::Interrupted`].
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
        worker
            .saturating_mul(self.workers(plan, items.len()) as u64)
            .saturating_add(results_bytes(model, plan, measure, items) as u64)
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
    /// Too little memory, a journal that cannot be used, [`SweepError::Interrupted`], or as [`Engine::run`].
    pub fn measure<'s, M>(
        &self,
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Measured<M::Sums>, SweepError>
    where
        M: Measure<Sums: Serialize + DeserializeOwned>,
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
            .part(self.shard);
        let schedules = plan.entries().len();
        let fits = |sums: &Vec<M::Sums>| {
            sums.len() == schedules && sums.iter().all(|sums| measure.fits(sums))
        };
        let path = journals.path(&id, &run.key);
        let kept = Journal::open(&path, &description, self.fresh, fits)?;
        run.carry_out(kept, true)
    }

    /// The same without a journal, for results that are too large to be kept.
    ///
    /// # Errors
    /// Too little memory, [`SweepError::Interrupted`], or as [`Engine::run`].
    pub fn measure_unkept<'s, M: Measure>(
        &self,
        subject: impl Into<Subject<'s>>,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Measured<M::Sums>, SweepError> {
        let run = self.prepare(subject.into(), plan, measure, items)?;
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
        Ok(Run {
            runner: self,
            key: Self::key(subject.clone(), plan, measure, items),
            subject,
            plan,
            measure,
            items,
            target: self.target(measure)?,
            memory,
        })
    }

    /// Items that are under way at the same time: those of one group, of each thread where there are no schedules to share
    /// out.
    fn at_once<M: Measure>(&self, plan: &Plan, measure: &M, items: &[(usize, &M::Item)]) -> usize {
        let rows = items.iter().map(|(_, item)| measure.batch(item).rows());
        let groups = groups(&rows.collect::<Vec<_>>(), self.threads.get());
        let own = groups.first().map_or(1, Range::len);
        match plan.entries().len() {
            1 => (own * self.threads.get()).min(items.len()),
            _ => own,
        }
    }

    /// The target, where the measure has its statistic.
    fn target<M: Measure>(&self, measure: &M) -> Result<Option<&Target>, SweepError> {
        let target = self.until_se.as_ref();
        let target = target.filter(|target| measure.statistics().contains(&&*target.statistic));
        match target {
            Some(_) if self.shard != Shard::WHOLE => {
                Err(SweepError::TargetOfShard { shard: self.shard })
            }
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

/// A run that may begin.
struct Run<'r, M: Measure> {
    runner: &'r Runner<'r>,
    subject: Subject<'r>,
    plan: &'r Plan,
    measure: &'r M,
    items: &'r [M::Item],
    target: Option<&'r Target>,
    key: RunKey,
    /// That of the workers and of the results.
    memory: Held,
}

impl<M: Measure> Run<'_, M> {
    /// Measures the items that are not in `kept`; `is_keepable` says whether a journal could have kept their results.
    fn carry_out(
        self,
        mut kept: impl Kept<M::Sums> + Send,
        is_keepable: bool,
    ) -> Result<Measured<M::Sums>, SweepError> {
        let Self {
            runner,
            subject,
            plan,
            measure,
            items,
            target,
            key,
            mut memory,
        } = self;
        let resumed = kept.finished().len();

        let judged = |(index, sums): (usize, &M::Sums), target: &Target| {
            measure.observations(&items[index], sums, &target.statistic)
        };
        let mut judge = target.map(|target| {
            let schedules = plan.entries().len();
            (target, Judge::new(target.standard_error, schedules))
        });
        let mut follow = |finished: &BTreeMap<usize, Vec<M::Sums>>| {
            let (target, judge) = judge.as_mut()?;
            judge.follow(finished, |index, sums| judged((index, sums), target))
        };
        // An earlier run may have gone far enough already.
        let mut reached = follow(kept.finished());

        let held = (0..items.len()).filter(|index| runner.shard.contains(&key, *index));
        let todo: Vec<(usize, &M::Item)> = held
            .filter(|index| !kept.finished().contains_key(index))
            .map(|index| (index, &items[index]))
            .collect();
        let all = resumed + todo.len();
        let units = Units::of(measure);
        runner.progress.begin(&Begun {
            subject: subject.name,
            unit: &units.one,
            units: &units.several,
            items: todo.len(),
            weight: todo.iter().map(|(_, item)| measure.weight(item)).sum(),
            resumed,
            torn: kept.torn(),
            at_once: runner.at_once(plan, measure, &todo),
            has_target: target.is_some(),
            is_keepable,
        });
        let outcome = if reached.is_some() {
            Ok(())
        } else {
            let mut engine = Engine::new(subject.model, plan, measure).threads(runner.threads);
            if let Some(stop) = runner.stop {
                engine = engine.stop(stop);
            }
            engine.run(&todo, |index, sums| {
                kept.keep(index, sums)?;
                runner.progress.finished(measure.weight(&items[index]));
                match follow(kept.finished()) {
                    Some(enough) => Err(Halt::Reached(enough)),
                    None => Ok(()),
                }
            })
        };
        runner.progress.end();
        match outcome {
            Ok(()) => {}
            Err(Halt::Reached(enough)) => reached = Some(enough),
            Err(Halt::Failed(error)) => return Err(error),
        }
        let finished = kept.finished().len();
        if reached.is_none() && finished < all {
            return Err(SweepError::Interrupted {
                finished,
                all,
                units: units.several,
                kept: kept.is_journal(),
            });
        }
        // Results are kept by the index of their item: this is the order of items, and what reaches a target are the first.
        let results = kept.into_finished().into_values();
        memory.shrink_to(results_bytes(subject.model, plan, measure, items) as u64);
        Ok(Measured {
            key,
            results: results.take(reached.unwrap_or(all)).collect(),
            items: all,
            resumed,
            reached: target.map(|_| reached.is_some()),
            worst: judge.and_then(|(_, judge)| judge.worst()),
            memory: memory.into(),
        })
    }
}

/// The machine type that the program was compiled for.
const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else {
    "other"
};

/// What a measure's items are called.
struct Units {
    one: String,
    several: String,
}

impl Units {
    fn of<M: Measure>(measure: &M) -> Self {
        let (unit, name) = (measure.unit(), measure.id().name);
        match unit {
            "item" => Self {
                one: format!("item of {name}"),
                several: format!("items of {name}"),
            },
            unit => Self {
                one: unit.to_owned(),
                several: format!("{unit}s"),
            },
        }
    }
}

/// Why the engine is left before its items are used up.
enum Halt {
    /// The standard error is small enough, with this number of items.
    Reached(usize),
    Failed(SweepError),
}

impl From<SweepError> for Halt {
    fn from(error: SweepError) -> Self {
        Self::Failed(error)
    }
}

/// What is finished, in a journal or in memory alone.
trait Kept<S> {
    fn finished(&self) -> &BTreeMap<usize, Vec<S>>;

    fn into_finished(self) -> BTreeMap<usize, Vec<S>>;

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError>;

    fn is_journal(&self) -> bool;

    /// The journal's path, if a crash had torn its last line.
    fn torn(&self) -> Option<&Path>;
}

impl<S> Kept<S> for BTreeMap<usize, Vec<S>> {
    fn finished(&self) -> &Self {
        self
    }

    fn into_finished(self) -> Self {
        self
    }

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError> {
        self.insert(index, sums);
        Ok(())
    }

    fn is_journal(&self) -> bool {
        false
    }

    fn torn(&self) -> Option<&Path> {
        None
    }
}

impl<S: Serialize + DeserializeOwned> Kept<S> for Journal<Vec<S>> {
    fn finished(&self) -> &BTreeMap<usize, Vec<S>> {
        Journal::finished(self)
    }

    fn into_finished(self) -> BTreeMap<usize, Vec<S>> {
        Journal::into_finished(self)
    }

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError> {
        Ok(self.record(index, sums)?)
    }

    fn is_journal(&self) -> bool {
        true
    }

    fn torn(&self) -> Option<&Path> {
        self.was_torn().then(|| self.path())
    }
}
