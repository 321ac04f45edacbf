//! One model's sweep over one corpus, with journal, progress and self-checks.

use crate::arguments::Run;
use crate::inputs::{OpenedCorpus, OpenedModel};
use crate::interrupt::{Interrupted, STOP};
use crate::{memory, output};
use indicatif::{ProgressBar, ProgressStyle};
use layerwise::kernels::cpu_features;
use layerwise::sweep::{self, Journal, Options, Plan, RunKey, Statistics, Sums};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Changes when the meaning of a statistic does, so that old journals are not taken up.
const METRIC_VERSION: &str = "1";

/// A finished sweep.
pub struct Measurement {
    /// What was run.
    pub plan: Plan,
    /// One for each of the plan's entries.
    pub statistics: Vec<Statistics>,
    /// Hash of everything the results depend on.
    pub key: RunKey,
    /// Sequences that an earlier run had finished.
    pub resumed: usize,
    /// Time that this run took.
    pub elapsed: Duration,
}

/// Runs a plan, going on where an earlier run with the same inputs stopped.
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
) -> anyhow::Result<Measurement> {
    let model = &opened.model;
    let sequences = corpus.corpus.sequences();
    let schedules = plan.entries().len();
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let worker = memory::worker_bytes(model.config(), schedules, longest);
    let workers = worker.saturating_mul(run.threads().get() as u64);
    opened
        .budget
        .check(&format!("{}: the run", opened.name), workers)?;
    output::say(format_args!(
        "{}: {schedules} schedules, {} steps ({} without sharing), on {} sequences, {} tokens",
        opened.name,
        plan.planned_steps(),
        plan.naive_steps(),
        sequences.len(),
        corpus.corpus.tokens(),
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
    sweep::self_check(model, &sequences[0])?;

    let key = run_key(opened, sequences, &plan);
    let journal_path = journal(&key);
    if let Some(folder) = journal_path.parent() {
        output::make_folder(folder)?;
    }
    let mut journal = Journal::open(&journal_path, &key, schedules, run.fresh)?;
    if journal.was_torn() {
        output::say(format_args!(
            "{}: the last line was cut off and is computed again",
            journal_path.display()
        ));
    }
    let todo: Vec<(usize, &[u32])> = sequences
        .iter()
        .map(Vec::as_slice)
        .enumerate()
        .filter(|(index, _)| !journal.finished().contains_key(index))
        .collect();
    let resumed = sequences.len() - todo.len();
    if resumed > 0 {
        output::say(format_args!(
            "{}: {resumed} sequences were finished by an earlier run",
            opened.name
        ));
    }

    let start = Instant::now();
    let tokens = todo.iter().map(|(_, tokens)| tokens.len()).sum();
    let progress = progress(&opened.name, tokens, "tokens");
    let options = Options {
        threads: run.threads(),
        stop: &STOP,
    };
    sweep::run(model, &plan, &todo, options, |sequence, sums: Vec<Sums>| {
        journal.record(sequence, sums)?;
        progress.inc(sequences[sequence].len() as u64);
        Ok::<(), anyhow::Error>(())
    })?;
    progress.finish_and_clear();
    if journal.finished().len() < sequences.len() {
        return Err(Interrupted {
            finished: journal.finished().len(),
            all: sequences.len(),
        }
        .into());
    }
    // A journal's units are kept by their index, so this is corpus order.
    let statistics = sweep::collect(schedules, journal.finished().values().map(Vec::as_slice));
    Ok(Measurement {
        plan,
        statistics,
        key,
        resumed,
        elapsed: start.elapsed(),
    })
}

/// A progress bar on standard error, of `len` things; nothing is drawn where that is not a terminal.
pub fn progress(name: &str, len: usize, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{prefix}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left",
    ));
    let bar = ProgressBar::new(len as u64).with_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_secs(1));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn run_key(opened: &OpenedModel, sequences: &[Vec<u32>], plan: &Plan) -> RunKey {
    let mut parts: Vec<Vec<u8>> = vec![
        env!("CARGO_PKG_VERSION").into(),
        METRIC_VERSION.into(),
        "f32".into(),
        std::env::consts::ARCH.into(),
        cpu_features().into(),
    ];
    parts.extend(
        opened
            .files
            .iter()
            .map(|(_, _, sha256)| sha256.clone().into_bytes()),
    );
    parts.extend(
        plan.entries()
            .iter()
            .map(|entry| entry.schedule.to_string().into_bytes()),
    );
    parts.extend(sequences.iter().map(|tokens| {
        tokens
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect()
    }));
    RunKey::of(parts.iter().map(Vec::as_slice))
}
