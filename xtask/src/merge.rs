//! `merge`: makes the table of a sweep, or everything that `reproduce` makes, from the journals of shards.

use crate::manifest::Joined;
use crate::sweep::run_folder;
use crate::{output, program, reproduce, version};
use anyhow::{Context, anyhow, bail, ensure};
use layerwise::journal::{Divided, JournalError, Recorded, RunDescription};
use layerwise::schedule::Edit;
use layerwise::sweep::{
    self, Described, Differences, Divergence, KeptMeasure, Label, Measure, PairStatistics,
    PairSums, Patching, Sums, Table,
};
use layerwise::tasks::{Answer, ScoreTable, Scoring, TaskScores};
use serde::de::IgnoredAny;
use std::fs;
use std::path::{Path, PathBuf};

/// Options of `merge`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Tables and figures have the same bytes as those of a run that was never divided.
Shards of a sweep need neither models nor texts. For shards of reproduce the program opens models and texts where the shards \
had them, and computes only what belongs to no item.

Examples:
  {0} sweep 'drop(l)' --shard 1/2 --out a.csv    (here)
  {0} sweep 'drop(l)' --shard 2/2 --out b.csv    (there)
  {0} merge a.csv.run b.csv.run --out all.csv
  {0} reproduce --shard 1/2 --out a; {0} reproduce --shard 2/2 --out b
  {0} merge a b --out all", program::name()))]
pub struct Arguments {
    /// Run folders (FILE.run) or journals of all shards of a sweep, or folders (--out) of all shards of reproduce
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The CSV file, whose manifest goes to FILE.run; for shards of reproduce, the folder
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Of shards of a sweep, or of a whole one: also the differences of all schedules from this one, as `sweep --baseline`
    #[arg(long, value_name = "EDIT")]
    baseline: Option<Edit>,
    /// For shards of a sweep on tasks, write the answers of each edit to each item to this file
    #[arg(long, value_name = "FILE.csv")]
    per_item: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Journals cannot be read or do not make up whole runs, or outputs cannot be written.
pub fn merge(arguments: &Arguments) -> anyhow::Result<()> {
    let is_reproduced = |run: &PathBuf| run.join(Divided::FILE).exists();
    if let Some(run) = arguments.runs.iter().find(|run| is_reproduced(run)) {
        let other = arguments.runs.iter().find(|run| !is_reproduced(run));
        ensure!(
            other.is_none(),
            "{}: contains shards of reproduce, but {} does not; merge them separately",
            run.display(),
            other.unwrap_or(run).display()
        );
        ensure!(
            arguments.baseline.is_none(),
            "{}: shards of reproduce, and --baseline is for those of a sweep",
            run.display()
        );
        ensure!(
            arguments.per_item.is_none(),
            "{}: shards of reproduce, and --per-item is for those of a sweep on tasks; leave it out",
            run.display()
        );
        return reproduced(arguments, run);
    }
    output::check_file(&arguments.out)?;
    let own_folder = run_folder(&arguments.out);
    let manifest = own_folder.join("manifest.json");
    output::check_file(&manifest)?;
    let mut journals = Vec::new();
    for run in &arguments.runs {
        journals.extend(journals_of(run)?);
    }
    refuse_run_folder(&own_folder, &journals)?;
    let kept = journals.iter().flat_map(|journal| {
        let manifest = journal.with_file_name("manifest.json");
        [
            ("the journal", Some(journal.clone())),
            ("the manifest", Some(manifest)),
        ]
    });
    output::check_distinct(
        [
            ("--out", Some(arguments.out.clone())),
            ("--per-item", arguments.per_item.clone()),
        ],
        kept.chain([("the run folder", Some(own_folder.clone()))]),
    )?;
    let on = On::of(&journals)?;
    let baseline = arguments.baseline.as_ref();
    ensure!(
        on == On::Sequences || baseline.is_none(),
        "{}: a run of {}, and --baseline is for those of sequences",
        arguments.runs[0].display(),
        on.name()
    );
    let mut items = match (&arguments.per_item, on) {
        (None, _) => None,
        (Some(path), On::Tasks) => {
            output::check_file(path)?;
            Some((path, ScoreTable::of_items()?))
        }
        (Some(_), _) => bail!("--per-item: expected shards of a sweep on tasks"),
    };
    let (joined, table) = match on {
        On::Sequences => {
            let mut table = match baseline {
                Some(_) => Table::of_differences()?,
                None => Table::new()?,
            };
            let push = |run: &RunDescription<_>, labels: &[Label], sums: Vec<&[Sums]>| {
                let statistics = sweep::collect(labels.len(), sums);
                let name = &run.name;
                let Some(baseline) = baseline else {
                    return Ok(table.push(name, labels, run.units, &statistics)?);
                };
                let own = Differences::from(baseline, labels, &statistics)
                    .with_context(|| name.clone())?;
                Ok(table.push_differences(name, labels, run.units, &statistics, &own)?)
            };
            (
                join::<Divergence>(&journals, "sequences", push)?,
                table.bytes()?,
            )
        }
        On::Pairs => {
            let mut table = Table::of_pairs()?;
            let push = |run: &RunDescription<_>, labels: &[Label], sums: Vec<&[PairSums]>| {
                let statistics = PairStatistics::collect(labels.len(), sums);
                Ok(table.push_pairs(&run.name, labels, run.units, &statistics)?)
            };
            (join::<Patching>(&journals, "pairs", push)?, table.bytes()?)
        }
        On::Tasks => {
            let mut table = ScoreTable::of_tasks()?;
            let push = |run: &RunDescription<_>, labels: &[Label], answers: Vec<&[Answer]>| {
                let scores = TaskScores::collect(answers.iter().copied());
                table.push_tasks(&run.name, labels, &scores)?;
                if let Some((_, items)) = &mut items {
                    items.push_items(&run.name, labels, answers)?;
                }
                Ok(())
            };
            (
                join::<Scoring<'_>>(&journals, "items", push)?,
                table.bytes()?,
            )
        }
    };
    output::make_folder(&own_folder)?;
    output::write(&manifest, joined.with_baseline(baseline).json()?.as_bytes())?;
    output::write(&arguments.out, &table)?;
    let mut written = vec![&arguments.out];
    if let Some((path, items)) = items {
        output::write(path, &items.bytes()?)?;
        written.push(path);
    }
    Ok(output::print_paths(written)?)
}

/// What sweeps are on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Sequences,
    Pairs,
    Tasks,
}

impl On {
    /// Its name, for messages.
    fn name(self) -> &'static str {
        match self {
            Self::Sequences => "sequences",
            Self::Pairs => "pairs",
            Self::Tasks => "tasks",
        }
    }

    /// What the sweeps of journals are on, which is the same for all of them.
    fn of(journals: &[PathBuf]) -> anyhow::Result<Self> {
        let mut found = None;
        for path in journals {
            let recorded = Recorded::read(path, |_: &Described, _, _: &IgnoredAny| true);
            let recorded = recorded.map_err(unread)?;
            let measure = &recorded.description.about.measure;
            let on = match measure {
                own if own == Patching::new().id().name => Self::Pairs,
                own if own == Scoring::NAME => Self::Tasks,
                _ => Self::Sequences,
            };
            ensure!(
                *found.get_or_insert(on) == on,
                "{}: the runs are not all of sequences, of pairs or of tasks: merge them separately",
                path.display()
            );
        }
        Ok(found.unwrap_or(Self::Sequences))
    }
}

/// Merges journals with units of the given name, and passes on each run with its schedules and the sums of its items.
fn join<M: KeptMeasure>(
    journals: &[PathBuf],
    units: &str,
    mut push: impl FnMut(&RunDescription<Described>, &[Label], Vec<&[M::Sums]>) -> anyhow::Result<()>,
) -> anyhow::Result<Joined> {
    let merged = sweep::merge::<M>(journals).map_err(unread)?;
    for run in &merged {
        let (description, labels) = (&run.description, &run.description.about.schedules);
        push(
            description,
            labels,
            run.finished.values().map(Vec::as_slice).collect(),
        )?;
        output::say(format_args!(
            "{}: {} {units} under {} schedules from {} journals",
            description.name,
            description.units,
            labels.len(),
            run.parts.len()
        ));
    }
    Ok(Joined::new(&merged))
}

/// Merges shards of `reproduce`: runs the same command again, which reuses the work of the shards.
fn reproduced(arguments: &Arguments, run: &Path) -> anyhow::Result<()> {
    let divided = Divided::read(run)?;
    let version = version::VERSION;
    ensure!(
        divided.version() == version,
        "{}: a shard of version {:.40}, which version {version} cannot merge; merge it with the version that made it",
        run.join(Divided::FILE).display(),
        divided.version()
    );
    let absolute =
        |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
    let runs = arguments.runs.iter().map(absolute);
    let (runs, out) = (
        runs.collect::<anyhow::Result<_>>()?,
        absolute(&arguments.out)?,
    );
    let again = reproduce::Arguments::of_shards(divided.command(), runs, out)
        .with_context(|| run.join(Divided::FILE).display().to_string())?;
    // The command may name files by paths relative to its folder.
    std::env::set_current_dir(divided.folder()).with_context(|| {
        format!(
            "{}: {}: cannot be entered, but the shards ran there",
            run.join(Divided::FILE).display(),
            divided.folder().display()
        )
    })?;
    reproduce::reproduce(&again)
}

/// Why a journal cannot be merged. Damage of its first line may mean that it is another file.
fn unread(error: JournalError) -> anyhow::Error {
    match error {
        JournalError::Damaged { path, line: 1 } => anyhow!(
            "{}: expected a journal or a run folder, FILE.run, but line 1 is damaged or of another file",
            path.display()
        ),
        // Not as a cause, since the remedy for it is one of the command that wrote the journal.
        JournalError::Damaged { .. } => {
            anyhow!("{error}; start its run over with --fresh, as nothing after that line counts")
        }
        error => error.into(),
    }
}

/// The journals of a run folder, sorted by name. A path that is not a folder is taken as a journal.
fn journals_of(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !run.is_dir() {
        let folder = run_folder(run);
        ensure!(
            run.extension().is_some_and(|end| end == "journal") || !folder.is_dir(),
            "{}: expected a run folder; give {}",
            run.display(),
            folder.display()
        );
        return Ok(vec![run.to_owned()]);
    }
    let unreadable = || format!("{}: cannot be read", run.display());
    let mut journals = Vec::new();
    for entry in fs::read_dir(run).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "journal")
        {
            journals.push(path);
        }
    }
    ensure!(
        !journals.is_empty(),
        "{}: the folder contains no journal (*.journal); give the run folder of a sweep, FILE.run",
        run.display()
    );
    journals.sort();
    Ok(journals)
}

/// Refuses an output with a manifest that would overwrite a shard's.
fn refuse_run_folder(folder: &Path, journals: &[PathBuf]) -> anyhow::Result<()> {
    let Ok(folder) = folder.canonicalize() else {
        return Ok(());
    };
    for journal in journals {
        let inside = journal
            .canonicalize()
            .is_ok_and(|journal| journal.parent() == Some(&folder));
        ensure!(
            !inside,
            "{}: this run is one of those to merge; give another --out",
            folder.display()
        );
    }
    Ok(())
}
