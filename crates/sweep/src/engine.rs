//! Threads, sequences and subtrees.

use crate::error::SweepError;
use crate::plan::Plan;
use crate::sums::Sums;
use layerwise_kernels::vocabulary::{self, Summary};
use layerwise_metrics::streamed;
use layerwise_transformer::{Batch, Model, NotFinite, Workspace};
use ndarray::{Array2, ArrayView2, s};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// How a run is carried out. None of it changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Once true, no further sequence is begun; those in hand are finished.
    pub stop: &'a AtomicBool,
}

/// One thread, never stopped.
impl Default for Options<'_> {
    fn default() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            threads: NonZeroUsize::MIN,
            stop: &NEVER,
        }
    }
}

/// Runs every schedule of the plan on the given sequences and hands over the sums of each sequence as it is finished.
///
/// `sequences` are (index in the corpus, tokens), begun in the order given; `finished` receives the index and one [`Sums`]
/// for each of the plan's entries, in the order of completion, which depends on the threads. The sums do not.
/// An error from `finished` stops the run and is returned.
///
/// # Errors
/// A plan that was made for another model's [`stack`](Model::stack), a sequence that does not fit the model, logits that are not finite, or threads that the system does not start.
pub fn run<E: From<SweepError> + Send>(
    model: &Model,
    plan: &Plan,
    sequences: &[(usize, &[u32])],
    options: Options<'_>,
    finished: impl FnMut(usize, Vec<Sums>) -> Result<(), E> + Send,
) -> Result<(), E> {
    if plan.stack() != model.stack() {
        return Err(SweepError::OtherStack {
            found: plan.stack(),
            expected: model.stack(),
        }
        .into());
    }
    let engine = Engine {
        model,
        plan,
        sequences,
        stop: options.stop,
        queue: Mutex::new(Queue {
            next: 0,
            branches: VecDeque::new(),
            busy: 0,
            failure: None,
        }),
        changed: Condvar::new(),
        finished: Mutex::new(finished),
    };
    let workers = options.threads.get();
    std::thread::scope(|scope| {
        // No work begins before all threads are there.
        let mut queue = engine.lock_queue();
        for started in 1..workers {
            let spawned = std::thread::Builder::new().spawn_scoped(scope, || engine.work());
            if let Err(source) = spawned {
                let failure = SweepError::Threads {
                    expected: workers,
                    found: started,
                    source,
                };
                queue.failure = Some(failure.into());
                break;
            }
        }
        drop(queue);
        engine.work();
    });
    match engine
        .queue
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .failure
    {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

struct Engine<'a, E, F> {
    model: &'a Model,
    plan: &'a Plan,
    sequences: &'a [(usize, &'a [u32])],
    stop: &'a AtomicBool,
    queue: Mutex<Queue<E>>,
    changed: Condvar,
    finished: Mutex<F>,
}

struct Queue<E> {
    /// The next sequence to begin.
    next: usize,
    /// Subtrees off the plain path, waiting for a worker.
    branches: VecDeque<Branching>,
    /// Workers that may still add branches or finish units.
    busy: usize,
    failure: Option<E>,
}

/// What leaves the plain path at one of its nodes: schedules that end there and children that are not on the path.
struct Branching {
    unit: Arc<Unit>,
    node: usize,
    /// The path's next node; `None` at its end.
    on_path: Option<usize>,
    /// The residual stream at the node.
    residual: Array2<f32>,
}

/// One sequence under all schedules.
struct Unit {
    index: usize,
    batch: Batch,
    plain: OnceLock<Reference>,
    progress: Mutex<Progress>,
}

struct Progress {
    sums: Vec<Sums>,
    /// Schedules without a result yet.
    missing: usize,
}

/// What the plain model leaves for the comparison with it, for positions 1..=T−1.
struct Reference {
    /// Final-norm outputs, \[positions, model\].
    normed: Array2<f32>,
    summaries: Vec<Summary>,
    /// Expected unembedding rows, \[positions, model\].
    expected: Array2<f32>,
}

enum Task {
    Begin(usize),
    Branch(Branching),
}

impl<E: From<SweepError> + Send, F: FnMut(usize, Vec<Sums>) -> Result<(), E> + Send>
    Engine<'_, E, F>
{
    fn work(&self) {
        let mut workspace = None;
        while let Some(task) = self.next_task() {
            let result = match task {
                Task::Begin(sequence) => self.begin(sequence, &mut workspace),
                Task::Branch(branching) => self.branch(branching, &mut workspace),
            };
            let mut queue = self.lock_queue();
            queue.busy -= 1;
            if let Err(failure) = result {
                queue.failure.get_or_insert(failure);
            }
            drop(queue);
            self.changed.notify_all();
        }
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue<E>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subtrees in hand come before new sequences, so that few sequences are under way at once.
    fn next_task(&self) -> Option<Task> {
        let mut queue = self.lock_queue();
        loop {
            if queue.failure.is_some() {
                return None;
            }
            let task = match queue.branches.pop_front() {
                Some(branching) => Some(Task::Branch(branching)),
                None if queue.next < self.sequences.len() && !self.stop.load(Ordering::Relaxed) => {
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

    /// Runs the plain schedule and queues what branches off it.
    fn begin(&self, sequence: usize, workspace: &mut Option<Workspace>) -> Result<(), E> {
        let (index, tokens) = self.sequences[sequence];
        if tokens.len() < 3 {
            return Err(SweepError::SequenceTooShort {
                sequence: index,
                found: tokens.len(),
            }
            .into());
        }
        let schedules = self.plan.entries().len();
        let unit = Arc::new(Unit {
            index,
            batch: tokens.into(),
            plain: OnceLock::new(),
            progress: Mutex::new(Progress {
                sums: vec![Sums::default(); schedules],
                missing: schedules,
            }),
        });
        let mut residual =
            self.model
                .embed(&unit.batch)
                .map_err(|source| SweepError::Sequence {
                    sequence: index,
                    source: Box::new(source),
                })?;
        let w = self.workspace(workspace, &unit.batch);
        let mut branchings = VecDeque::new();
        let path = &self.plan.plain_path;
        for (at, &node) in path.iter().enumerate() {
            if at > 0 {
                self.advance(node, &mut residual, w);
            }
            let on_path = path.get(at + 1);
            if self.plan.branches_at(node, on_path) {
                branchings.push_back(Branching {
                    unit: Arc::clone(&unit),
                    node,
                    on_path: on_path.copied(),
                    residual: residual.clone(),
                });
            }
        }
        let end = *path.last().expect("the path holds the root");
        let normed = self.model.final_norm(residual.slice(s![1.., ..]));
        let (summaries, expected) = vocabulary::pass_with_expected_rows(
            normed.view(),
            self.model.unembedding(),
            &tokens[2..],
        );
        let reference = Reference {
            normed,
            summaries,
            expected,
        };
        let sums = self.compare(
            &unit,
            end,
            &reference,
            reference.normed.view(),
            &reference.summaries,
        )?;
        if unit.plain.set(reference).is_err() {
            unreachable!("a unit is begun once");
        }
        self.lock_queue().branches.append(&mut branchings);
        self.changed.notify_all();
        self.record(&unit, end, sums)
    }

    /// A worker's buffers, made anew only where the sequence length changes.
    fn workspace<'w>(&self, kept: &'w mut Option<Workspace>, batch: &Batch) -> &'w mut Workspace {
        let fitting = kept.take().filter(|workspace| workspace.fits(batch));
        kept.insert(fitting.unwrap_or_else(|| Workspace::new(self.model, batch)))
    }

    /// Runs the subtrees that leave the plain path at one of its nodes.
    fn branch(&self, branching: Branching, workspace: &mut Option<Workspace>) -> Result<(), E> {
        let Branching {
            unit,
            node,
            on_path,
            residual,
        } = branching;
        let w = self.workspace(workspace, &unit.batch);
        let children: Vec<usize> = self
            .plan
            .trie
            .children(node)
            .iter()
            .copied()
            .filter(|child| Some(*child) != on_path)
            .collect();
        if on_path.is_some() {
            // A schedule such as `keep(0..3)` ends where the plain one goes on.
            self.finish(&unit, node, &residual)?;
        }
        self.walk(&unit, &children, residual, w)
    }

    /// Runs the subtrees of `children`, which all start from `residual`; the last one uses it up.
    fn walk(
        &self,
        unit: &Arc<Unit>,
        children: &[usize],
        mut residual: Array2<f32>,
        workspace: &mut Workspace,
    ) -> Result<(), E> {
        let mut children = children;
        // The last child is followed in this loop, not by recursion: schedules may be long.
        while let Some((&last, others)) = children.split_last() {
            for &child in others {
                let mut own = residual.clone();
                self.advance(child, &mut own, workspace);
                self.finish(unit, child, &own)?;
                self.walk(unit, self.plan.trie.children(child), own, workspace)?;
            }
            self.advance(last, &mut residual, workspace);
            self.finish(unit, last, &residual)?;
            children = self.plan.trie.children(last);
        }
        Ok(())
    }

    fn advance(&self, node: usize, residual: &mut Array2<f32>, workspace: &mut Workspace) {
        if let Some(step) = self.plan.trie.step(node) {
            self.model.apply(step, residual, workspace);
        }
    }

    /// Measures the schedules that end at a node.
    fn finish(&self, unit: &Arc<Unit>, node: usize, residual: &Array2<f32>) -> Result<(), E> {
        if self.plan.trie.ends(node).is_empty() {
            return Ok(());
        }
        let reference = unit.plain.get().expect("the plain schedule runs first");
        let normed = self.model.final_norm(residual.slice(s![1.., ..]));
        let summaries = vocabulary::pass(
            normed.view(),
            self.model.unembedding(),
            &unit.batch.tokens()[2..],
        );
        let sums = self.compare(unit, node, reference, normed.view(), &summaries)?;
        self.record(unit, node, sums)
    }

    fn compare(
        &self,
        unit: &Unit,
        node: usize,
        reference: &Reference,
        normed: ArrayView2<'_, f32>,
        summaries: &[Summary],
    ) -> Result<Sums, SweepError> {
        let mut sums = Sums {
            positions: summaries.len() as u64,
            ..Sums::default()
        };
        for (row, (plain, altered)) in reference.summaries.iter().zip(summaries).enumerate() {
            let change: f64 = normed
                .row(row)
                .iter()
                .zip(reference.normed.row(row))
                .zip(reference.expected.row(row))
                .map(|((altered, plain), weight)| {
                    (f64::from(*altered) - f64::from(*plain)) * f64::from(*weight)
                })
                .sum();
            let kl = streamed::kl_nats(plain.log_sum_exp, altered.log_sum_exp, change);
            let entropy = streamed::entropy_bits(altered.log_sum_exp, altered.mean_logit);
            if !(kl.is_finite() && entropy.is_finite()) {
                let entry = self
                    .plan
                    .trie
                    .ends(node)
                    .first()
                    .copied()
                    .unwrap_or_default();
                let entry = &self.plan.entries()[entry];
                return Err(SweepError::NotFinite {
                    schedule: entry.edit.clone(),
                    sequence: unit.index,
                    position: row + 1,
                    // The sequence and the schedule fit: they have been run.
                    origin: NotFinite::first(self.model, unit.batch.tokens(), &entry.schedule)
                        .ok()
                        .flatten(),
                });
            }
            sums.kl_nats += kl;
            sums.entropy_bits += entropy;
            sums.top1_agreements += u64::from(plain.argmax == altered.argmax);
            if let Some(logit) = altered.target_logit {
                sums.loss_nats += streamed::loss_nats(altered.log_sum_exp, f64::from(logit));
                sums.loss_positions += 1;
            }
        }
        Ok(sums)
    }

    /// Writes the sums of the schedules that end at a node; the last of a unit hands the unit over.
    fn record(&self, unit: &Unit, node: usize, sums: Sums) -> Result<(), E> {
        let mut progress = unit.progress.lock().unwrap_or_else(PoisonError::into_inner);
        for &schedule in self.plan.trie.ends(node) {
            progress.sums[schedule] = sums;
            progress.missing -= 1;
        }
        if progress.missing > 0 {
            return Ok(());
        }
        let sums = std::mem::take(&mut progress.sums);
        drop(progress);
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished(unit.index, sums)
    }
}
