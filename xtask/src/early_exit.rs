//! `early-exit`: trains a classifier that stops a model early, and reports what a rule saves and loses on a task.

use crate::arguments::{self, Bos, Inputs, Opening, Run, threads_or_cores};
use crate::experiments::core::clock::Clock;
use crate::experiments::core::data::Data;
use crate::experiments::core::subject::Subject;
use crate::experiments::early_exit::Record;
use crate::experiments::early_exit::own::{Evaluated, Instances, Target, evaluate, train};
use crate::inputs::{self, OpenedModel};
use crate::stopwatch::Stopwatch;
use crate::tasks::tell_beginning;
use crate::{interrupt, output};
use anyhow::{Context, anyhow, bail, ensure};
use clap::Subcommand;
use layerwise::corpus::Tokenizer;
use layerwise::exits::{Classifier, Criterion, Rule, Vocab};
use layerwise::files::sha256;
use layerwise::tasks::{DATA_SETS, DataSet, Task, Wanted, read_own};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Options of `early-exit`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a classifier on a task, and write it to a file
    Train(Train),
    /// Report what a rule saves and loses on a task: agreement, blocks, operations, times, and where runs stop
    Eval(Eval),
}

/// A task, and the model that answers it.
#[derive(clap::Args)]
struct Asked {
    /// The task: a .jsonl file with prompt, options and, if known, gold on each line; with --set, a folder of data sets
    #[arg(value_name = "FILE|DIR")]
    task: PathBuf,
    /// The data set in the folder
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Take the first N items
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Refuse a task in which a prompt is longer than the model's context, instead of leaving that prompt out
    #[arg(long)]
    strict: bool,
    /// An embedded model's name, a checkpoint folder, or ORG/NAME of a model in the Hugging Face cache
    #[arg(long, value_name = "NAME|DIR|ORG/NAME")]
    model: String,
    /// The token before each item: as lm-evaluation-harness puts it (auto), none, or a token id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    bos: Bos,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    opening: Opening,
}

impl Asked {
    /// Reports how many items are left out, or refuses the task.
    fn accept(&self, opened: &Opened, instances: Instances) -> anyhow::Result<()> {
        let Instances { too_long, .. } = instances;
        ensure!(
            too_long == 0 || !self.strict,
            "{}: expected prompts of fewer than {} tokens, the context of {}, found {too_long} longer ones; leave out --strict to skip them",
            opened.task.name,
            opened.model.model.config().context,
            opened.model.name
        );
        if too_long > 0 {
            output::say(format_args!(
                "{}: left out {too_long} items, whose prompts are longer than the context of {}",
                opened.task.name, opened.model.name
            ));
        }
        Ok(())
    }
}

#[derive(clap::Args)]
struct Train {
    #[command(flatten)]
    asked: Asked,
    /// The classifier: svm, svm-rbf or crf
    #[arg(long, value_name = "RULE", default_value = "svm")]
    rule: Rule,
    /// What the head is read over: full (the vocabulary), options, or top:R@K, the R best tokens after K blocks
    #[arg(long, value_name = "full|options|top:R@K", default_value = "full")]
    vocab: Vocab,
    /// What counts as final: the answer of the full model (final) or the right answer (gold)
    #[arg(long, value_name = "final|gold", default_value = "final", value_parser = target)]
    label: Target,
    /// Stop if the score is above this [default: 0, or 0.5 for crf]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Seed for drawing rows if there are too many
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The file to write the classifier to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct Eval {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    stopping: Stopping,
    /// Report how much can be left out at an agreement of at least this
    #[arg(long, value_name = "SHARE", default_value_t = 0.99)]
    agreement: f64,
    /// Time the full model and the rule in turn on this many items
    #[arg(long, value_name = "N", default_value_t = 0)]
    timed: usize,
    /// Print every threshold that was tried, as CSV
    #[arg(long, conflicts_with_all = ["agreement", "timed"])]
    all: bool,
}

/// The rule that stops a run.
#[derive(clap::Args, Clone, Debug)]
pub struct Stopping {
    /// What stops a run early: a classifier's file, or gap, top, state, patience or fixed, followed by a colon and its
    /// threshold, as in gap:0.9
    #[arg(long, value_name = "FILE|RULE:T")]
    exit: Option<String>,
    /// What the head is read over: full (the vocabulary), options, or top:R@K, the R best tokens after K blocks [default: as
    /// the classifier was trained, else full]
    #[arg(long, value_name = "full|options|top:R@K", requires = "exit")]
    exit_vocab: Option<Vocab>,
    /// Stop after N blocks at the earliest
    #[arg(long, value_name = "N", default_value_t = 1, requires = "exit")]
    min_depth: usize,
    /// Apply the rule only after every N-th block
    #[arg(long, value_name = "N", default_value_t = 1, requires = "exit", value_parser = every)]
    every: usize,
}

fn every(text: &str) -> Result<usize, String> {
    let found = text.parse().ok().filter(|every: &usize| *every > 0);
    found.ok_or_else(|| "expected a number from 1".to_owned())
}

fn target(text: &str) -> Result<Target, String> {
    match text {
        "final" => Ok(Target::Full),
        "gold" => Ok(Target::Gold),
        _ => Err("expected final or gold".to_owned()),
    }
}

impl Stopping {
    /// The file of a classifier, if one is named.
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.exit.as_ref().map(PathBuf::from);
        path.filter(|path| path.is_file())
    }

    /// The named rule; `None` if none is named.
    ///
    /// # Errors
    /// A classifier's file is invalid or belongs to another model, or the rule cannot stop a run.
    pub fn chosen(
        &self,
        opened: &OpenedModel,
        tokenizer: Option<&Tokenizer>,
    ) -> anyhow::Result<Option<Criterion>> {
        let Some(text) = &self.exit else {
            return Ok(None);
        };
        let layers = opened.model.config().layers;
        let named = Criterion::named(text, layers).with_context(|| format!("--exit {text}"))?;
        let mut found = match named {
            Some(named) => named,
            None => {
                let path = Path::new(text);
                let read = Classifier::read(path).with_context(|| {
                    let rules = "gap, top, state, patience or fixed";
                    format!("--exit {text}: expected {rules}, or a classifier's file")
                })?;
                let tokenizer = tokenizer.map_or("", Tokenizer::sha256);
                read.check(path, layers, &identity(opened), tokenizer)?;
                read.into()
            }
        };
        found.vocab = self.exit_vocab.unwrap_or(found.vocab);
        (found.least, found.every) = (self.min_depth, self.every);
        found.check(&opened.name, layers)?;
        Ok(Some(found))
    }
}

/// A hash over the hashes of a model's files.
fn identity(opened: &OpenedModel) -> String {
    let hashes = opened.subject().hashes.join("\n");
    sha256(hashes.as_bytes())
}

/// Runs the command.
///
/// # Errors
/// Inputs are invalid, a classifier cannot be trained or written, or the user interrupts.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    interrupt::watch(interrupt::LOST)?;
    match &arguments.command {
        Command::Train(arguments) => train_on(arguments),
        Command::Eval(arguments) => evaluate_on(arguments),
    }
}

/// A model, its tokenizer and the task.
struct Opened {
    model: OpenedModel,
    tokenizer: Tokenizer,
    task: Task,
}

fn open(asked: &Asked) -> anyhow::Result<Opened> {
    let known = || {
        let known: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
        known.join(", ")
    };
    let task = match &asked.set {
        None if asked.task.is_dir() => bail!(
            "{}: a folder of data sets, of which one is needed; give --set NAME, with one of {}",
            asked.task.display(),
            known()
        ),
        None => read_own(&asked.task, asked.items as usize)?,
        Some(name) => {
            let set = DataSet::named(name)
                .with_context(|| format!("--set {name}: expected one of {}", known()))?;
            set.read(
                &asked.task,
                Wanted::new(asked.items as usize).of_one_token(),
            )?
        }
    };
    let model = inputs::open_one(&asked.model, "--model ", &asked.opening)?;
    let Some(tokenizer) = inputs::open_tokenizer(&model)? else {
        bail!(
            "{}: the task needs a tokenizer.json, but the model's folder has none",
            model.name
        );
    };
    Ok(Opened {
        model,
        tokenizer,
        task,
    })
}

/// Tokens of the text, which an experiment requires.
const TOKENS: usize = 4096;

/// Calls `work` with the model as experiments see it.
fn with_subject<T>(
    asked: &Asked,
    opened: &Opened,
    stopwatch: Option<&Stopwatch>,
    work: impl FnOnce(&Subject<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let model = &opened.model;
    // This experiment does not use the text.
    let corpus = inputs::open_corpus(&Inputs::embedded(asked.bos), Some(TOKENS), model)?;
    let data = Data::default();
    let how = (asked.bos, &Run::unkept(asked.threads));
    let clock = stopwatch.map(|stopwatch| stopwatch as &dyn Clock);
    let subject = model.alone(
        Some(&opened.tokenizer),
        corpus.text(None),
        how,
        &data,
        clock,
    )?;
    tell_beginning(&subject, &opened.tokenizer)?;
    work(&subject)
}

fn train_on(arguments: &Train) -> anyhow::Result<()> {
    ensure!(
        arguments.rule.is_trained(),
        "--rule {}: expected a rule that is trained: svm, svm-rbf or crf",
        arguments.rule
    );
    ensure!(
        arguments.threshold.is_none_or(f64::is_finite),
        "--threshold: expected a number, found NaN or infinity"
    );
    output::check_file(&arguments.out)?;
    let opened = open(&arguments.asked)?;
    let task = opened.task.files.iter();
    let task = task.map(|path| ("the task", Some(path.clone())));
    output::check_distinct(
        [("--out", Some(arguments.out.clone()))],
        task.chain(opened.model.named_files()),
    )?;
    let (rule, vocab) = (arguments.rule, arguments.vocab);
    let (trained, instances) = with_subject(&arguments.asked, &opened, None, |subject| {
        Ok(train(
            subject,
            &opened.task,
            rule,
            vocab,
            arguments.label,
            arguments.seed,
        )?)
    })?;
    arguments.asked.accept(&opened, instances)?;
    let instances = instances.run;
    let threshold = arguments.threshold.or(rule.usual()).unwrap_or(0.0);
    let blocks = opened.model.model.config().layers;
    let model = identity(&opened.model);
    let classifier = Classifier::new(trained, vocab, threshold, blocks, model).with(|it| {
        it.tokenizer = opened.tokenizer.sha256().to_owned();
        it.tasks = vec![opened.task.name.clone()];
        it.instances = instances as u64;
    });
    output::write(&arguments.out, classifier.text()?.as_bytes())?;
    output::say(format_args!(
        "{}: {rule} trained on {instances} items of {}",
        opened.model.name, opened.task.name
    ));
    output::print_paths([&arguments.out])?;
    Ok(())
}

fn evaluate_on(arguments: &Eval) -> anyhow::Result<()> {
    ensure!(
        (0.0..=1.0).contains(&arguments.agreement),
        "--agreement {}: expected a share from 0 to 1",
        arguments.agreement
    );
    let opened = open(&arguments.asked)?;
    let chosen = arguments
        .stopping
        .chosen(&opened.model, Some(&opened.tokenizer))?;
    let chosen = chosen.ok_or_else(|| {
        anyhow!("expected a rule; give --exit FILE, a classifier that `early-exit train` wrote, or a rule such as --exit gap:0.9")
    })?;
    let threads = threads_or_cores(arguments.asked.threads);
    let stopwatch = (arguments.timed > 0).then(|| Stopwatch::new(threads));
    let evaluated = with_subject(&arguments.asked, &opened, stopwatch.as_ref(), |subject| {
        Ok(evaluate(subject, &opened.task, &chosen, arguments.timed)?)
    })?;
    arguments.asked.accept(&opened, evaluated.instances)?;
    let mut out = std::io::stdout().lock();
    if arguments.all {
        writeln!(
            out,
            "threshold,instances,acc_full,acc_exit,agreement,agreement_se,exit_blocks_mean,pruning_ratio,ops_ratio,ops_ratio_with_head"
        )?;
        let number =
            |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
        for record in std::iter::once(&evaluated.own).chain(&evaluated.others) {
            writeln!(
                out,
                "{},{},{},{},{:.4},{},{:.3},{:.4},{:.4},{:.4}",
                record.threshold,
                record.instances,
                number(record.acc_full),
                number(record.acc_exit),
                record.agreement,
                number(record.agreement_se),
                record.exit_blocks_mean,
                record.pruning_ratio,
                record.ops_ratio,
                record.ops_ratio_with_head
            )?;
        }
        return Ok(());
    }
    write!(out, "{}", told(&opened, &chosen, &evaluated))?;
    match evaluated.most_saved(arguments.agreement) {
        Some(record) => writeln!(
            out,
            "at an agreement of at least {}: {} (threshold {:.4}), the best of {} thresholds on these items; it may be lower on other items",
            arguments.agreement,
            saved(record),
            record.threshold,
            evaluated.others.len() + 1
        )?,
        None => writeln!(
            out,
            "at an agreement of at least {}: no threshold that was tried agrees that often",
            arguments.agreement
        )?,
    }
    let own = &evaluated.own;
    if let (Some(ratio), Some(full), Some(exit)) =
        (own.time_ratio, own.seconds_full, own.seconds_exit)
    {
        let error = own
            .time_ratio_se
            .map_or(String::new(), |error| format!(" ± {error:.3}"));
        writeln!(
            out,
            "time with exits divided by time of the full model, timed in turn: {ratio:.3}{error}; {exit:.3} s and {full:.3} s in all"
        )?;
    }
    Ok(())
}

fn saved(record: &Record) -> String {
    format!(
        "{:.1} % of the blocks, {:.1} % of the operations including the head",
        100.0 * record.pruning_ratio,
        100.0 * (1.0 - record.ops_ratio_with_head)
    )
}

fn told(opened: &Opened, chosen: &Criterion, evaluated: &Evaluated) -> String {
    use std::fmt::Write;
    let own = &evaluated.own;
    let mut text = String::new();
    let error = own
        .agreement_se
        .map_or(String::new(), |error| format!(" ± {error:.3}"));
    let _ = writeln!(
        text,
        "{} on {} items of {}, {} over {} at {}: left out {}; agreement {:.3}{error}",
        output::plain(&opened.model.name),
        own.instances,
        output::plain(&own.task),
        own.rule,
        own.vocab,
        chosen.threshold,
        saved(own),
        own.agreement
    );
    if let Some((full, exit)) = own.acc_full.zip(own.acc_exit) {
        let _ = writeln!(
            text,
            "accuracy over the vocabulary: {full:.3}, with exits {exit:.3}"
        );
    }
    if let Some((full, exit)) = own.options_acc_full.zip(own.options_acc_exit) {
        let _ = writeln!(
            text,
            "accuracy over the options: {full:.3}, with exits {exit:.3}"
        );
    }
    let _ = writeln!(text, "blocks  runs that stop there (# agree, - differ)");
    let most = evaluated
        .histogram
        .iter()
        .map(|line| line.exits)
        .max()
        .unwrap_or(1)
        .max(1);
    for line in &evaluated.histogram {
        let width = |count: u64| (count * 50).div_ceil(most) as usize;
        let (agree, differ) = (width(line.agreeing), width(line.exits - line.agreeing));
        let bar = format!("{}{}", "#".repeat(agree), "-".repeat(differ));
        let _ = writeln!(text, "{:>6} {:>5} {bar}", line.blocks_run, line.exits);
    }
    text
}
