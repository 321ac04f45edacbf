//! One model's sweep over one corpus, with self-checks and messages to the user.

use crate::arguments::{Bos, Run};
use crate::experiments::core::clock::Clock;
use crate::experiments::core::data::{Data, Shared};
use crate::experiments::core::subject::{self as experiment, Runs, Text};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::interrupt::{GIVE_UP, STOP};
use crate::output;
use crate::progress::TERMINAL;
use crate::rounding::{self, Rounding};
use anyhow::Context;
use layerwise::corpus::Tokenizer;
use layerwise::journal::{RunKey, Shard};
use layerwise::schedule::Source;
use layerwise::sweep::{
    self, Counted, Journals, Judge, KeptMeasure, Measure, Plan, Runner, Subject, Target,
};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How much of a run to do, and the model's place in the table.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// The model's index among the models of the table, from 0.
    pub place: usize,
    /// The share of the sequences that this process runs.
    pub shard: Shard,
    /// The standard error at which the run stops; only whole runs are judged.
    pub until_se: Option<Target>,
    /// Folders in which shards of the run have their journals.
    pub taken_up: Vec<PathBuf>,
    /// Whether to assemble the run from those journals alone.
    pub only_taken_up: bool,
}

impl Portion {
    /// The portion, as a `Runner` takes it.
    pub fn of<'a>(&self, runner: Runner<'a>) -> Runner<'a> {
        runner
            .shard(self.shard)
            .place(self.place)
            .until_se(self.until_se.clone())
            .taking_up(self.taken_up.clone())
            .only_taken_up(self.only_taken_up)
    }
}

/// A finished sweep; each sequence or pair left sums `S`.
pub struct Measurement<S> {
    /// The schedules that ran.
    pub plan: Plan,
    /// The sums of each sequence of this portion, one for each of the plan's entries.
    pub sums: Counted<Vec<Vec<S>>>,
    /// The number of sequences that the statistics cover.
    pub sequences: usize,
    /// The requested portion.
    pub portion: Portion,
    /// Whether the requested standard error was reached; `None` if none was requested.
    pub reached: Option<bool>,
    /// Hash of everything that the results depend on.
    pub key: RunKey,
    /// Sequences that an earlier run had finished.
    pub resumed: usize,
    /// The measured difference from the same run in f32; `None` for a run in f32.
    pub rounding: Option<Rounding>,
    /// Seconds that this run took.
    pub elapsed: Duration,
}

impl OpenedModel {
    /// The identity of the model in a run's key.
    pub fn subject(&self) -> Subject<'_> {
        let hashes = self.files.iter().map(|(_, _, sha256)| sha256.as_str());
        Subject::new(&self.model, &self.name, hashes.collect())
    }

    /// The model as experiments see it, for a command that runs part of an experiment: without a second text and data sets.
    ///
    /// # Errors
    /// The tokenizer puts several tokens before a text.
    pub fn alone<'a>(
        &'a self,
        tokenizer: Option<&'a Tokenizer>,
        text: Text<'a>,
        (bos, run): (Bos, &Run),
        data: &'a Data,
        clock: Option<&'a dyn Clock>,
    ) -> anyhow::Result<experiment::Subject<'a>> {
        let is_bos_asked = bos.is_asked();
        let (bos, _) = inputs::determined(bos, self, tokenizer)?;
        Ok(experiment::Subject {
            model: &self.model,
            name: &self.name,
            tokenizer,
            text,
            other_text: None,
            bos: bos.id(),
            is_bos_asked,
            end_tokens: Vec::new(),
            template: None,
            data,
            runs: Runs {
                model: self.subject(),
                runner: self.runner(run),
            },
            clock,
            shared: Shared::default(),
        })
    }

    /// A runner with the requested threads, within the model's memory budget, that stops at an interrupt.
    pub fn runner(&self, run: &Run) -> Runner<'static> {
        let runner = Runner::new()
            .threads(run.threads())
            .memory(self.budget.clone())
            .fresh(run.fresh)
            .give_up(&GIVE_UP);
        match run.trial {
            Some(trial) => runner.stop(trial.stop()).progress(trial),
            None => runner.stop(&STOP).progress(&TERMINAL),
        }
    }
}

/// A measure and its items.
pub struct Items<'a, M: Measure> {
    /// The measure.
    pub measure: &'a M,
    /// The items it measures.
    pub items: &'a [M::Item],
    /// The sequence on which laws and rounding are checked.
    pub first: &'a [u32],
}

/// Announces what a run will do.
pub fn announce<M: Measure>(
    opened: &OpenedModel,
    on: &Items<'_, M>,
    plan: &Plan,
    run: &Run,
    portion: &Portion,
) {
    let Items { measure, items, .. } = *on;
    let unit = measure.unit();
    let tokens = |item: &M::Item| measure.batch(item).rows();
    output::say(format_args!(
        "{}: {} schedules, {} steps ({} without sharing), on {}, {} tokens",
        opened.name,
        plan.entries().len(),
        plan.planned_steps(),
        plan.naive_steps(),
        output::counted(items.len(), unit),
        items.iter().map(tokens).sum::<usize>(),
    ));
    if portion.shard != Shard::WHOLE {
        let key = Runner::key(opened.subject(), plan, measure, items);
        let held = Runner::share(portion.shard, &key, measure, items);
        let own: usize = held.iter().map(|at| tokens(&items[*at])).sum();
        output::say(format_args!(
            "{}: shard {} has {} of these {unit}s, {own} tokens",
            opened.name,
            portion.shard,
            held.len()
        ));
    }
    if let Some(target) = &portion.until_se {
        output::say(format_args!(
            "{}: stops when every schedule has a standard error of {target}, after at least {}",
            opened.name,
            Judge::LEAST_ITEMS
        ));
    }
    let longest = items.iter().map(tokens).max().unwrap_or(0);
    let worker = sweep::worker_bytes(&opened.model, plan, measure, items.len(), longest);
    output::say(format_args!(
        "{}: at most {} MiB a thread besides the weights, threads: {}",
        opened.name,
        worker.div_ceil(1 << 20),
        run.threads()
    ));
}

/// Reports what was skipped of a text.
pub fn tell_skipped(corpus: &OpenedCorpus) {
    let skipped = corpus.corpus.skipped();
    if skipped.short + skipped.empty > 0 {
        output::say(format_args!(
            "{}: skipped {} short and {} empty sequences",
            corpus.path.display(),
            skipped.short,
            skipped.empty
        ));
    }
}

/// Runs a plan, or a portion of it, on items. Resumes where an earlier run with the same inputs stopped.
///
/// # Errors
/// Memory is insufficient, a self-check fails, a journal cannot be used, or the user interrupts.
pub fn measure<M>(
    opened: &OpenedModel,
    on: &Items<'_, M>,
    plan: Plan,
    journals: Option<Journals>,
    run: &Run,
    portion: &Portion,
) -> anyhow::Result<Measurement<M::Sums>>
where
    M: KeptMeasure,
{
    let Items {
        measure,
        items,
        first,
    } = *on;
    let mut runner = portion.of(opened.runner(run));
    if let Some(journals) = journals {
        runner = runner.journals(journals);
    }
    let bytes = runner.bytes(&opened.model, &plan, measure, items);
    opened
        .budget
        .check(&format!("{}: the run", opened.name), bytes)?;
    sweep::self_check(&opened.model, first)?;
    let rounding = rounding::against_f32(opened, &without_donors(&plan), first, run.threads())?;

    let start = Instant::now();
    let measured = runner
        .measure(opened.subject(), &plan, measure, items)
        .with_context(|| opened.name.clone())?;
    if opened.model.is_streamed() {
        output::say(format_args!(
            "{}: read blocks from their files {} times so far",
            opened.name,
            opened.model.blocks_read()
        ));
    }
    let counted = measured.results.len();
    if let (Some(target), Some(reached)) = (&portion.until_se, measured.reached) {
        let (all, least, unit) = (measured.items, Judge::LEAST_ITEMS, measure.unit());
        let outcome = match reached {
            true => format!("reached by the first {counted} of {all} {unit}s"),
            false if all < least => format!(
                "not judged: that needs at least {least} {unit}s, but there are {all}; give a longer text or more --rows"
            ),
            false => format!("not reached by all {all} {unit}s"),
        };
        let worst = measured.worst.map(|(schedule, error)| {
            let edit = &plan.entries()[schedule].member.edit;
            format!("; the largest is {error:.2e}, that of {edit}")
        });
        output::say(format_args!(
            "{}: the standard error {target} is {outcome}{}",
            opened.name,
            worst.unwrap_or_default()
        ));
    }
    Ok(Measurement {
        plan,
        sequences: counted,
        sums: Counted::new(measured.results, measured.memory),
        portion: portion.clone(),
        reached: measured.reached,
        key: measured.key,
        resumed: measured.resumed,
        rounding,
        elapsed: start.elapsed(),
    })
}

/// The schedules that are checked on one sequence.
fn without_donors(plan: &Plan) -> Plan {
    let entries = plan.entries().iter().enumerate();
    let own = entries.filter(|(_, entry)| {
        let overlay = entry.member.schedule.overlay();
        overlay.taken_from(Source::Donor).next().is_none()
    });
    plan.select(own.map(|(schedule, _)| schedule))
}
