//! Threads, items and subtrees.

mod needed;
mod parts;
mod streaming;
mod unit;

use crate::error::SweepError;
use crate::fitting;
use crate::grouping::{Together, Watching, groups, most_rows};
use crate::measure::{Measure, Reached};
use crate::plan::Plan;
use layerwise_schedule::Source;
use layerwise_transformer::{Batch, Model, Taken, Team, TransformerError, Values, Workspace};
use ndarray::{Array2, s};
use needed::Needed;
use parts::{Parts, Watch};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use streaming::Streams;
use unit::{Cut, Item, Unit};
pub(crate) use unit::{Handed, Results};

/// Results of earlier runs for items that are not finished, by the item's index in the run and the schedule's in the plan.
pub(crate) type Known<S> = BTreeMap<usize, BTreeMap<usize, S>>;

/// Runs the schedules of a plan on items, and measures at the end of each schedule.
///
/// The engine hands items and subtrees of the plan's trie to threads. A common prefix of schedules runs once per item.
/// Consecutive short items run in one product, which is faster.
/// Threads, groups and stopping change no bit of any result.
/// A [`Runner`](crate::Runner) adds what long runs need: a journal, shards, a target, progress.
#[derive(Debug)]
pub struct Engine<'a, M> {
    model: &'a Model,
    plan: &'a Plan,
    measure: &'a M,
    threads: NonZeroUsize,
    stop: &'a AtomicBool,
    give_up: &'a AtomicBool,
    watch: Watch<'a>,
}

impl<'a, M: Measure> Engine<'a, M> {
    /// An engine with one thread and no signals.
    pub fn new(model: &'a Model, plan: &'a Plan, measure: &'a M) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            model,
            plan,
            measure,
            threads: NonZeroUsize::MIN,
            stop: &NEVER,
            give_up: &NEVER,
            watch: Watch(None),
        }
    }

    /// Sets the number of worker threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets a stop signal. Once it is true, each thread ends at the next step of an altered schedule, or at the end of a plain
    /// one. Results of unfinished items are lost, except those that a [`Runner`](crate::Runner) writes to a journal.
    pub fn stop(self, stop: &'a AtomicBool) -> Self {
        Self { stop, ..self }
    }

    /// Sets a signal to end even sooner than after [`Engine::stop`], which need not be set then. Once it is true, each thread
    /// also ends after a step of a plain schedule, and a measure where it calls [`Reached::go_on`]. Items that this cuts leave
    /// no result of their plain schedule, and so none at all.
    pub fn give_up(self, give_up: &'a AtomicBool) -> Self {
        Self { give_up, ..self }
    }

    /// Runs every schedule on the given items, and hands over the results of each finished item.
    ///
    /// `items` are (index in the run, item), begun in the given order. `finished` receives the index and one result for each of
    /// the plan's entries. The order of these calls depends on the threads; the results do not.
    /// An error from `finished` stops the run and is returned.
    ///
    /// # Errors
    /// The plan was made for another model's [`stack`](Model::stack), an item does not fit the model, the measure fails, or the
    /// system does not start the threads.
    pub fn run<E: From<SweepError> + Send>(
        &self,
        items: &[(usize, &M::Item)],
        mut finished: impl FnMut(usize, Vec<M::Sums>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        self.run_in_parts(items, BTreeMap::new(), |handed| match handed {
            Handed::Item(index, sums) => finished(index, sums),
            Handed::Parts(_) => Ok(()),
        })
    }

    /// As `run`, but continues from known results. Results of unfinished items are handed over from time to time and after a
    /// stop. Known results, these parts and the rest add up to one result for each schedule.
    pub(crate) fn run_in_parts<E: From<SweepError> + Send>(
        &self,
        items: &[(usize, &M::Item)],
        known: Known<M::Sums>,
        finished: impl FnMut(Handed<M::Sums>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let (found, expected) = (self.plan.stack(), self.model.stack());
        if found != expected {
            return Err(SweepError::OtherStack { found, expected }.into());
        }
        let rows = |(_, item): &(usize, &M::Item)| self.measure.batch(item).rows();
        let rows: Vec<usize> = items.iter().map(rows).collect();
        fitting::check(
            self.model,
            self.plan,
            self.measure,
            items.iter().map(|own| own.1),
        )?;
        // The threads share each product of a streamed model, because only one block is in memory.
        let (workers, team) = match self.model.is_streamed() {
            true => (1, Some(Arc::new(Team::new(self.threads)))),
            false => (self.threads.get(), None),
        };
        let most_items = self.measure.most_together();
        let groups = groups(&rows, most_rows(self.model), most_items, workers);
        let needed: BTreeMap<usize, Arc<Needed>> = (0..groups.len())
            .filter_map(|group| {
                Some((
                    group,
                    Arc::new(self.needed(&items[groups[group].clone()], &known)?),
                ))
            })
            .collect();
        let each = groups.iter().enumerate().map(|(group, own)| {
            let rows = rows[own.clone()].iter().sum();
            (rows, needed.get(&group).map(|needed| &**needed))
        });
        let run = Run {
            parts: Parts::of(self.model, self.plan, each, self.watch),
            engine: self,
            items,
            known: Mutex::new(known),
            needed,
            groups,
            team,
            queue: Mutex::new(Queue {
                next: 0,
                branches: VecDeque::new(),
                busy: 0,
                failure: None,
            }),
            changed: Condvar::new(),
            finished: Mutex::new(finished),
            is_unkept: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            // Workers wait until all threads have started.
            let mut queue = run.lock_queue();
            for started in 1..workers {
                let spawned = std::thread::Builder::new().spawn_scoped(scope, || run.work());
                if let Err(source) = spawned {
                    let failure = SweepError::Threads {
                        expected: workers,
                        found: started,
                        source,
                    };
                    queue.failure = Some((Turn::default(), failure.into()));
                    break;
                }
            }
            drop(queue);
            run.work();
        });
        let queue = run.queue.into_inner();
        match queue.unwrap_or_else(PoisonError::into_inner).failure {
            Some((_, failure)) => Err(failure),
            None => Ok(()),
        }
    }

    /// The remaining work of a group; `None` if nothing is known of its items.
    fn needed(&self, items: &[(usize, &M::Item)], known: &Known<M::Sums>) -> Option<Needed> {
        let known = |(index, _): &(usize, _)| known.get(index);
        let known: Vec<Option<&BTreeMap<usize, M::Sums>>> = items.iter().map(known).collect();
        let has = |schedule| {
            move |known: &Option<&BTreeMap<_, _>>| {
                known.is_some_and(|known| known.contains_key(&schedule))
            }
        };
        let is_any = known.iter().any(Option::is_some);
        is_any.then(|| Needed::of(self.plan, |schedule| !known.iter().all(has(schedule))))
    }
}

/// One call of [`Engine::run`].
struct Run<'a, M: Measure, E, F> {
    engine: &'a Engine<'a, M>,
    parts: Parts<'a>,
    items: &'a [(usize, &'a M::Item)],
    /// Known results of groups that have not begun.
    known: Mutex<Known<M::Sums>>,
    /// The remaining work by group; groups without known results have no entry.
    needed: BTreeMap<usize, Arc<Needed>>,
    /// Items that run together.
    groups: Vec<Range<usize>>,
    /// For a streamed model, the threads that share each product.
    team: Option<Arc<Team>>,
    queue: Mutex<Queue<'a, M, E>>,
    changed: Condvar,
    finished: Mutex<F>,
    /// A result could not be handed over, so no further one can be.
    is_unkept: AtomicBool,
}

struct Queue<'a, M: Measure, E> {
    /// The next group to begin.
    next: usize,
    /// Subtrees off the plain path, waiting for a worker.
    branches: VecDeque<Branching<'a, M>>,
    /// Workers that may still add branches or finish units.
    busy: usize,
    /// Among the failures so far, the one that a single thread would have met first.
    failure: Option<(Turn, E)>,
}

/// The order in which a single thread would reach tasks: by group, then by the depth at which the task leaves the plain path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    group: usize,
    depth: usize,
}

/// The work that leaves the plain path at one of its nodes: schedules that end there, and children off the path.
struct Branching<'a, M: Measure> {
    turn: Turn,
    unit: Arc<Unit<'a, M>>,
    node: usize,
    /// The path's next node; `None` at its end.
    on_path: Option<usize>,
    /// The residual stream at the node.
    residual: Array2<f32>,
}

enum Task<'a, M: Measure> {
    Begin(usize),
    Branch(Branching<'a, M>),
}

impl<M: Measure> Task<'_, M> {
    fn turn(&self) -> Turn {
        match self {
            Self::Begin(group) => Turn {
                group: *group,
                depth: 0,
            },
            Self::Branch(branching) => branching.turn,
        }
    }
}

/// A worker with a task. When the task ends, by a panic too, the other workers are told, so that none waits for it for ever.
struct Busy<'r, 'a, M: Measure, E, F>(&'r Run<'a, M, E, F>);

impl<M: Measure, E, F> Drop for Busy<'_, '_, M, E, F> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.busy -= 1;
        drop(queue);
        self.0.changed.notify_all();
    }
}

impl<'a, M, E, F> Run<'a, M, E, F>
where
    M: Measure,
    E: From<SweepError> + Send,
    F: FnMut(Handed<M::Sums>) -> Result<(), E> + Send,
{
    fn work(&self) {
        let mut workspace = None;
        while let Some(task) = self.next_task() {
            let turn = task.turn();
            let busy = Busy(self);
            let result = match task {
                Task::Begin(group) if self.engine.model.is_streamed() => {
                    self.begin_streamed(group, &mut workspace)
                }
                Task::Begin(group) => self.begin(group, &mut workspace, None).map(drop),
                Task::Branch(branching) => self.branch(branching, &mut workspace),
            };
            if let Err(Cut::Failed(failure)) = result {
                let mut queue = self.lock_queue();
                // Tasks of an earlier turn still run, because they may fail first, unless results can no longer be handed over.
                let turn = match self.is_unkept.load(Ordering::Relaxed) {
                    true => Turn::default(),
                    false => turn,
                };
                let first = queue.failure.take();
                let first = first.filter(|(met, _)| *met <= turn);
                queue.failure = first.or(Some((turn, failure)));
            }
            drop(busy);
        }
    }

    fn is_stopped(&self) -> bool {
        self.engine.stop.load(Ordering::Relaxed) || self.go_on().is_err()
    }

    /// Whether items in hand go on.
    fn go_on(&self) -> Result<(), SweepError> {
        match self.engine.give_up.load(Ordering::Relaxed) {
            true => Err(SweepError::GivenUp),
            false => Ok(()),
        }
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue<'a, M, E>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subtrees come before new items, so that few items are in progress at once. They run after a stop too, so that the results
    /// of their items are handed over.
    ///
    /// After a failure only tasks with an earlier turn still run, so that the reported failure does not depend on threads.
    fn next_task(&self) -> Option<Task<'a, M>> {
        let mut queue = self.lock_queue();
        loop {
            let failed = queue.failure.as_ref().map(|(turn, _)| *turn);
            let mut branches = queue.branches.iter();
            let waiting = branches.position(|task| failed.is_none_or(|turn| task.turn < turn));
            let task = match waiting.and_then(|at| queue.branches.remove(at)) {
                Some(branching) => Some(Task::Branch(branching)),
                // Groups begin in order, so all groups before a failed one have begun.
                None if failed.is_none()
                    && queue.next < self.groups.len()
                    && !self.is_stopped() =>
                {
                    queue.next += 1;
                    Some(Task::Begin(queue.next - 1))
                }
                None => None,
            };
            if task.is_some() {
                queue.busy += 1;
                return task;
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs the plain schedule and queues the branches off it. In a streamed model, streams move along with it as far as they
    /// can.
    fn begin(
        &self,
        group: usize,
        workspace: &mut Option<Workspace>,
        mut streams: Option<&mut Streams<'a, M>>,
    ) -> Result<Arc<Unit<'a, M>>, Cut<E>> {
        let Engine {
            model,
            plan,
            measure,
            ..
        } = *self.engine;
        let unit = Arc::new(self.unit(group)?);
        let mut values = Values::of(Arc::clone(&plan.sources().constants));
        let observers = unit.items.iter();
        let mut observers: Vec<Option<M::Observer<'_>>> = observers
            .map(|item| measure.observer(model, item.item))
            .collect();
        let mut branchings = VecDeque::new();
        let mut donors = None;
        let path = &plan.plain_path;
        let end = path[path.len() - 1];
        let residual = if unit.batch.rows() == 0 {
            Array2::zeros((0, model.config().model))
        } else {
            let mut residual = match model.embed(&unit.batch) {
                Ok(residual) => residual,
                Err(source) => return Err(self.does_not_fit(&unit, source).into()),
            };
            let w = self.workspace(workspace, &unit.batch);
            donors = self.run_partners(&unit, w, &mut values)?;
            let taken = plan.taken_from(Source::Plain);
            // Values that edits take from the plain run itself are complete at its end.
            let mut along = streams.as_deref_mut().filter(|_| taken.is_empty());
            if along.is_some() {
                unit.values.get_or_init(|| std::mem::take(&mut values));
            }
            let mut keep = |at: usize, residual: &Array2<f32>, w: &mut Workspace| {
                let on_path = path.get(at + 1).copied();
                let ends_early = on_path.is_some() && !self.ends(&unit, path[at]).is_empty();
                if ends_early || !self.children(&unit, path[at], on_path).is_empty() {
                    branchings.push_back(Branching {
                        turn: Turn {
                            group,
                            depth: at + 1,
                        },
                        unit: Arc::clone(&unit),
                        node: path[at],
                        on_path,
                        residual: residual.clone(),
                    });
                }
                if let Some(streams) = &mut along {
                    self.leave(streams, branchings.drain(..));
                    self.go_along(streams, path[at], on_path, w);
                }
            };
            keep(0, &residual, w);
            let plain = &plan.entries()[0].member.schedule;
            let watching = unit.items.iter().zip(&mut observers);
            let watching = watching.filter_map(|(item, observer)| {
                let segments = 0..item.batch.segments();
                Some(Watching {
                    rows: item.rows.clone(),
                    path: segments.map(|at| item.batch.path_to(at).len()).max()?,
                    observer: observer.as_mut()?,
                })
            });
            let mut together = Together {
                observers: watching.collect(),
                taken: Taken::of(taken),
            };
            model.run_steps(plain, &mut residual, w, &mut together, |at, residual, w| {
                keep(at, residual, w);
                self.go_on()
            })?;
            values.take(Source::Plain, together.taken);
            self.done(&unit, path.len() - 1, 1);
            residual
        };
        unit.values.get_or_init(|| values);
        let mut reached = self.reached(&unit, end, &residual);
        if let Some(donors) = &donors {
            for (reached, item) in reached.iter_mut().zip(&unit.items) {
                reached.donor = Some(donors.slice(s![item.rows.clone(), ..]));
            }
        }
        let plain = measure
            .plain_of_all(&reached, observers)
            .map_err(|(at, failure)| self.failed(&unit, &reached[at], failure))?;
        drop(reached);
        drop(residual);
        let (references, sums): (Vec<_>, Vec<_>) = plain.into_iter().unzip();
        if unit.plain.set(references).is_err() {
            unreachable!("a unit is begun once");
        }
        match streams {
            Some(streams) => self.leave(streams, branchings.drain(..)),
            None => {
                self.lock_queue().branches.append(&mut branchings);
                self.changed.notify_all();
            }
        }
        self.record(&unit, end, sums)?;
        Ok(unit)
    }

    /// The first item of a unit that does not fit the model.
    fn does_not_fit(&self, unit: &Unit<'a, M>, source: TransformerError) -> SweepError {
        let model = self.engine.model;
        let mut items = unit.items.iter();
        let own = items.find_map(|item| Some((item.index, model.embed(&item.batch).err()?)));
        let (item, source) = own.unwrap_or((unit.items[0].index, source));
        SweepError::DoesNotFit {
            unit: self.engine.measure.unit(),
            item,
            source: Box::new(source),
        }
    }

    /// A worker's buffers, reallocated only when the batch's shape changes.
    fn workspace<'w>(&self, kept: &'w mut Option<Workspace>, batch: &Batch) -> &'w mut Workspace {
        let fitting = kept.take().filter(|workspace| workspace.fits(batch));
        let model = self.engine.model;
        let new = || match &self.team {
            Some(team) => Workspace::shared(model, batch, team),
            None => Workspace::new(model, batch),
        };
        kept.insert(fitting.unwrap_or_else(new))
    }

    /// Runs the subtrees that leave the plain path at one of its nodes; after a stop, hands over what they have given.
    fn branch(
        &self,
        branching: Branching<'a, M>,
        workspace: &mut Option<Workspace>,
    ) -> Result<(), Cut<E>> {
        let unit = Arc::clone(&branching.unit);
        match self.leave_path(branching, workspace) {
            Ok(()) if !self.is_stopped() => Ok(()),
            Ok(()) | Err(Cut::GivenUp) => self.hand_over_parts(&unit),
            failed => failed,
        }
    }

    /// As `branch`, until a stop.
    fn leave_path(
        &self,
        branching: Branching<'a, M>,
        workspace: &mut Option<Workspace>,
    ) -> Result<(), Cut<E>> {
        let Branching {
            unit,
            node,
            on_path,
            residual,
            ..
        } = branching;
        let w = self.workspace(workspace, &unit.batch);
        if on_path.is_some() && !self.is_stopped() {
            // A schedule such as `keep(0..3)` ends where the plain one continues.
            self.finish(&unit, node, &residual)?;
        }
        let children = self.children(&unit, node, on_path);
        self.walk(&unit, children, residual, w)
    }

    /// Runs the subtrees of `children`, which all start from `residual`, until a stop; the last child overwrites it.
    fn walk(
        &self,
        unit: &Unit<'a, M>,
        mut children: Vec<usize>,
        mut residual: Array2<f32>,
        workspace: &mut Workspace,
    ) -> Result<(), Cut<E>> {
        // A loop and not recursion follows the last child, because schedules may be long.
        while let Some(last) = children.pop() {
            for child in children {
                if self.is_stopped() {
                    return Ok(());
                }
                let mut own = residual.clone();
                self.advance(unit, child, &mut own, workspace);
                self.finish(unit, child, &own)?;
                self.walk(unit, self.children(unit, child, None), own, workspace)?;
            }
            if self.is_stopped() {
                return Ok(());
            }
            self.advance(unit, last, &mut residual, workspace);
            self.finish(unit, last, &residual)?;
            children = self.children(unit, last, None);
        }
        Ok(())
    }

    fn advance(
        &self,
        unit: &Unit<'a, M>,
        node: usize,
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
    ) {
        if let Some(stage) = self.engine.plan.trie.stage(node) {
            let values = unit.values.get().expect("the plain schedule runs first");
            self.engine.model.apply(stage, residual, workspace, values);
            self.done(unit, 1, 0);
        }
    }

    /// Runs the plain schedule on the items' partners, stores the values that edits take, and returns the donors' last streams.
    fn run_partners(
        &self,
        unit: &Unit<'a, M>,
        workspace: &mut Workspace,
        values: &mut Values,
    ) -> Result<Option<Array2<f32>>, SweepError> {
        let Engine {
            model,
            plan,
            measure,
            ..
        } = *self.engine;
        let plain = &plan.entries()[0].member.schedule;
        let mut last = None;
        for source in [Source::Resample, Source::Donor] {
            let places = plan.taken_from(source);
            let mut together = Batch::default();
            for item in &unit.items {
                let partner = match source {
                    Source::Donor => measure.donor(item.item),
                    _ if places.is_empty() => None,
                    _ => plan.sources().partners.get(item.index).map(Batch::from),
                };
                let Some(partner) = partner else { continue };
                if partner.rows() != item.batch.rows() {
                    return Err(SweepError::PartnerDiffers {
                        unit: measure.unit(),
                        item: item.index,
                        expected: item.batch.rows(),
                        found: partner.rows(),
                    });
                }
                together.append(&partner);
            }
            if together.rows() == 0 {
                continue;
            }
            if !workspace.fits(&together) {
                let item = &unit.items[0];
                return Err(SweepError::PartnerDiffers {
                    unit: measure.unit(),
                    item: item.index,
                    expected: unit.batch.rows(),
                    found: together.rows(),
                });
            }
            let mut residual = model
                .embed(&together)
                .map_err(|source| self.does_not_fit(unit, source))?;
            let mut taken = Taken::of(places);
            let go_on = |_: usize, _: &Array2<f32>, _: &mut Workspace| self.go_on();
            model.run_steps(plain, &mut residual, workspace, &mut taken, go_on)?;
            values.take(source, taken);
            if source == Source::Donor {
                last = Some(residual);
            }
        }
        Ok(last)
    }

    /// Measures the schedules that end at a node.
    fn finish(
        &self,
        unit: &Unit<'a, M>,
        node: usize,
        residual: &Array2<f32>,
    ) -> Result<(), Cut<E>> {
        if self.ends(unit, node).is_empty() {
            return Ok(());
        }
        let plain = unit.plain.get().expect("the plain schedule runs first");
        let reached = self.reached(unit, node, residual);
        let sums = self
            .engine
            .measure
            .altered_of_all(&reached, plain)
            .map_err(|(at, failure)| self.failed(unit, &reached[at], failure))?;
        self.done(unit, 0, reached[0].schedules.len());
        self.record(unit, node, sums)
    }

    /// The end of a run, for each item of a unit.
    fn reached<'r>(
        &'r self,
        unit: &'r Unit<'a, M>,
        node: usize,
        residual: &'r Array2<f32>,
    ) -> Vec<Reached<'r, M::Item>> {
        let reached = |item: &'r Item<'a, M>| Reached {
            model: self.engine.model,
            item: item.item,
            index: item.index,
            batch: &item.batch,
            schedules: self.engine.plan.trie.ends(node),
            donor: None,
            states: residual.slice(s![item.rows.clone(), ..]),
            give_up: self.engine.give_up,
        };
        unit.items.iter().map(reached).collect()
    }
}
