//! One model's sweep over one corpus, with journal, progress and self-checks; other readings share the former two.

use crate::arguments::Run;
use crate::inputs::{OpenedCorpus, OpenedModel};
use crate::interrupt::{Interrupted, STOP};
use crate::output;
use crate::rounding::{self, Rounding};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use layerwise::journal::{Journal, RunDescription, RunKey, Shard};
use layerwise::kernels::cpu_features;
use layerwise::sweep::{
    self, Entry, Judge, Label, Options, Plan, Statistics, Sums, SweepError, Target,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Changes when the meaning or the rounding of a statistic does, so that old journals are not taken up.
const METRIC_VERSION: &str = "3";

/// How much of a run is to be done, and where its model stands in the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portion {
    /// The model's place among those of the table, from 0.
    pub place: usize,
    /// The share of the sequences.
    pub shard: Shard,
    /// The standard error that is enough; judged on whole runs only.
    pub until_se: Option<Target>,
}

/// A finished sweep.
pub struct Measurement {
    /// What was run.
    pub plan: Plan,
    /// One for each of the plan's entries, over the sequences of this portion.
    pub statistics: Vec<Statistics>,
    /// Sequences that the statistics are over.
    pub sequences: usize,
    /// What was asked for.
    pub portion: Portion,
    /// Whether the standard error that was asked for is reached; `None` where none was.
    pub reached: Option<bool>,
    /// Hash of everything the results depend on.
    pub key: RunKey,
    /// Sequences that an earlier run had finished.
    pub resumed: usize,
    /// How far it is from the same run in f32; `None` where it is in f32.
    pub rounding: Option<Rounding>,
    /// Time that this run took.
    pub elapsed: Duration,
}

/// Tells what a run is going to do.
pub fn announce(
    opened: &OpenedModel,
    corpus: &OpenedCorpus,
    plan: &Plan,
    run: &Run,
    portion: &Portion,
) {
    let sequences = corpus.corpus.sequences();
    output::say(format_args!(
        "{}: {} schedules, {} steps ({} without sharing), on {} sequences, {} tokens",
        opened.name,
        plan.entries().len(),
        plan.planned_steps(),
        plan.naive_steps(),
        sequences.len(),
        corpus.corpus.tokens(),
    ));
    if portion.shard != Shard::WHOLE {
        let key = run_key(opened, &[], plan.entries(), sequences);
        let held = (0..sequences.len()).filter(|at| portion.shard.contains(&key, *at));
        output::say(format_args!(
            "{}: shard {} has {} of these sequences",
            opened.name,
            portion.shard,
            held.count()
        ));
    }
    if let Some(target) = portion.until_se {
        output::say(format_args!(
            "{}: as many of them as it takes for a standard error of {target} under every schedule, at least {}",
            opened.name,
            Judge::LEAST_SEQUENCES
        ));
    }
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let worker = sweep::worker_bytes(&opened.model, plan, longest);
    output::say(format_args!(
        "{}: at most {} MiB a thread besides the weights, threads: {}",
        opened.name,
        worker.div_ceil(1 << 20),
        run.threads()
    ));
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

/// Runs a plan, or a portion of it, going on where an earlier run with the same inputs stopped.
///
/// `journal` says where the journal of a run with such a key is.
///
/// # Errors
/// A failed self-check, a journal that cannot be used, or [`Interrupted`].
pub fn measure(
    opened: &OpenedModel,
    corpus: &OpenedCorpus,
    plan: Plan,
    journal: impl FnOnce(&RunKey) -> PathBuf,
    run: &Run,
    portion: &Portion,
) -> anyhow::Result<Measurement> {
    let model = &opened.model;
    let sequences = corpus.corpus.sequences();
    let schedules = plan.entries().len();
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let worker = sweep::worker_bytes(model, &plan, longest) as u64;
    let workers = worker.saturating_mul(run.threads().get() as u64);
    opened
        .budget
        .check(&format!("{}: the run", opened.name), workers)?;
    sweep::self_check(model, &sequences[0])?;

    let key = run_key(opened, &[], plan.entries(), sequences);
    let journal_path = journal(&key);
    if let Some(folder) = journal_path.parent() {
        output::make_folder(folder)?;
    }
    let labels: Vec<Label> = plan.entries().iter().map(Label::from).collect();
    let description =
        RunDescription::new(key.clone(), opened.name.clone(), sequences.len(), labels)
            .at_place(portion.place)
            .part(portion.shard);
    let fits = |sums: &Vec<Sums>| sums.len() == schedules;
    let mut journal = Journal::open(&journal_path, &description, run.fresh, fits)?;
    tell_found(&journal, &journal_path, &opened.name, "sequences");
    let resumed = journal.finished().len();
    let todo: Vec<(usize, &[u32])> = sequences
        .iter()
        .map(Vec::as_slice)
        .enumerate()
        .filter(|(index, _)| portion.shard.contains(&key, *index))
        .filter(|(index, _)| !journal.finished().contains_key(index))
        .collect();
    let all = resumed + todo.len();

    let mut judge = portion.until_se.map(|target| Judge::new(target, schedules));
    // An earlier run may have gone far enough already.
    let mut reached = judge
        .as_mut()
        .and_then(|judge| judge.follow(journal.finished()));
    let rounding = rounding::against_f32(opened, &plan, &sequences[0], run.threads())?;

    let start = Instant::now();
    if reached.is_none() {
        reached = carry_out(opened, &plan, &todo, &mut journal, judge.as_mut(), run)?;
    }
    let finished = journal.finished();
    if reached.is_none() && finished.len() < all {
        return Err(Interrupted {
            finished: finished.len(),
            all,
            unit: "sequences".to_owned(),
            kept: true,
        }
        .into());
    }
    let counted = reached.unwrap_or(all);
    if let (Some(target), Some(judge)) = (portion.until_se, &judge) {
        let least = Judge::LEAST_SEQUENCES;
        let outcome = match reached {
            Some(_) => format!("reached by the first {counted} of {all} sequences"),
            None if all < least => format!(
                "not judged: that takes at least {least} sequences, and there are {all}; give a longer text or more --rows"
            ),
            None => format!("not reached by all {all} sequences"),
        };
        let worst = judge.worst().map(|(schedule, error)| {
            let edit = &plan.entries()[schedule].edit;
            format!("; the largest is {error:.2e}, that of {edit}")
        });
        output::say(format_args!(
            "{}: the standard error {target} is {outcome}{}",
            opened.name,
            worst.unwrap_or_default()
        ));
    }
    // A journal's units are kept by their index, so this is corpus order; what reaches a standard error are the first.
    let counting = finished.values().take(counted).map(Vec::as_slice);
    Ok(Measurement {
        statistics: sweep::collect(schedules, counting),
        plan,
        sequences: counted,
        portion: *portion,
        reached: portion.until_se.map(|_| reached.is_some()),
        key,
        resumed,
        rounding,
        elapsed: start.elapsed(),
    })
}

/// Tells what an earlier run has left in a journal, by the name of its units.
pub fn tell_found<T>(journal: &Journal<T>, path: &Path, model: &str, unit: &str) {
    if journal.was_torn() {
        output::say(format_args!(
            "{}: the last line was cut off and is computed again",
            path.display()
        ));
    }
    let resumed = journal.finished().len();
    if resumed > 0 {
        output::say(format_args!(
            "{model}: {resumed} {unit} were finished by an earlier run"
        ));
    }
}

/// Why the engine is left before its sequences are used up.
enum Halt {
    /// The standard error is small enough, with this number of sequences.
    Reached(usize),
    Failed(SweepError),
}

impl From<SweepError> for Halt {
    fn from(error: SweepError) -> Self {
        Self::Failed(error)
    }
}

/// Runs sequences and writes them down, until there are no more, an interrupt, or the judge has seen enough; returns the
/// number of sequences that are enough.
fn carry_out(
    opened: &OpenedModel,
    plan: &Plan,
    todo: &[(usize, &[u32])],
    journal: &mut Journal<Vec<Sums>>,
    mut judge: Option<&mut Judge>,
    run: &Run,
) -> Result<Option<usize>, SweepError> {
    let lengths: BTreeMap<usize, usize> = todo.iter().map(|(at, ids)| (*at, ids.len())).collect();
    let tokens: usize = lengths.values().sum();
    let progress = progress(&opened.name, tokens, "tokens");
    let options = Options {
        threads: run.threads(),
        stop: &STOP,
    };
    let start = Instant::now();
    let mut done = 0;
    let finished = |sequence: usize, sums: Vec<Sums>| {
        journal.record(sequence, sums).map_err(SweepError::from)?;
        let length = lengths[&sequence];
        progress.inc(length as u64);
        done += 1;
        if done == 1 && todo.len() > 1 {
            let (took, others) = (start.elapsed(), todo.len() - 1);
            let left = took.mul_f64((tokens - length) as f64 / length as f64);
            let most = if judge.is_some() { "at most " } else { "" };
            let first = format!("{}: the first sequence", opened.name);
            tell_time_left(&progress, &first, took, left, &format!("{most}{others}"));
        }
        match judge
            .as_mut()
            .and_then(|judge| judge.follow(journal.finished()))
        {
            Some(enough) => Err(Halt::Reached(enough)),
            None => Ok(()),
        }
    };
    let outcome = sweep::run(&opened.model, plan, todo, options, finished);
    progress.finish_and_clear();
    match outcome {
        Ok(()) => Ok(None),
        Err(Halt::Reached(enough)) => Ok(Some(enough)),
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// A progress bar on standard error, of `len` things; nothing is drawn where that is not a terminal.
pub fn progress(name: &str, len: usize, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{prefix}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left",
    ));
    let bar = ProgressBar::new(len as u64).with_prefix(output::plain(name));
    bar.enable_steady_tick(Duration::from_secs(1));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Tells how long the others will take, from the first that was finished.
pub fn tell_time_left(
    bar: &ProgressBar,
    first: &str,
    took: Duration,
    left: Duration,
    others: &str,
) {
    bar.suspend(|| {
        output::say(format_args!(
            "{first} took {:.1} s; about {} left for {others} more",
            took.as_secs_f64(),
            HumanDuration(left),
        ));
    });
}

/// The key of what is read of a model: `inputs` are those of each sequence or item, `parts` what else results depend on.
pub fn run_key(
    opened: &OpenedModel,
    parts: &[&str],
    schedules: &[Entry],
    inputs: &[Vec<u32>],
) -> RunKey {
    let mut all: Vec<Vec<u8>> = vec![
        env!("CARGO_PKG_VERSION").into(),
        METRIC_VERSION.into(),
        opened.model.precision().name().into(),
        std::env::consts::ARCH.into(),
        cpu_features().into(),
    ];
    all.extend(parts.iter().map(|part| part.as_bytes().to_vec()));
    all.extend(
        opened
            .files
            .iter()
            .map(|(_, _, sha256)| sha256.clone().into_bytes()),
    );
    all.push(opened.name.clone().into_bytes());
    // With their labels, which the journal holds for the table.
    all.extend(schedules.iter().flat_map(|entry| {
        let schedule = entry.schedule.to_string();
        [entry.family.clone(), entry.edit.clone(), schedule].map(String::into_bytes)
    }));
    let bytes = |ids: &Vec<u32>| ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    all.extend(inputs.iter().map(bytes));
    RunKey::of(all.iter().map(Vec::as_slice))
}
