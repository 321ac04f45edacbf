//! `sweep`: runs any edits or families, and prints statistics or writes them to CSV.

use crate::arguments::{self, Inputs, Run};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::{self, Manifest};
use crate::measurement::{Items, Portion, announce, measure, tell_skipped};
use crate::output::Named;
use crate::pairs::OpenedPairs;
use crate::sources::{self, Sourced, Values};
use crate::tasks::{OpenedTasks, push_scores};
use crate::tokens::labels_of;
use crate::trial::Trial;
use crate::{interrupt, output, program};
use anyhow::{Context, ensure};
use layerwise::corpus::{Labels, TokenBytes};
use layerwise::journal::Shard;
use layerwise::recordings::{PerToken, Place};
use layerwise::schedule::{Bounds, Edit, EditFamily, Source};
use layerwise::sweep::{
    Differences, Divergence, Journals, Label, Measure, PairStatistics, Patching, Plan, Statistic,
    Summary, Table, Target, collect,
};
use layerwise::tasks::{ScoreTable, TaskScores};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `sweep`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Edits name blocks of the model, from 0:
  drop(5)  drop_attn(4..8)  drop_mlp([1,5,9..12])  keep(0..6)  drop(-1)
  swap(3,4)  reverse(2..8)  shuffle(2..8,7)  permute(2..5,[4,2,3])
  repeat(4..8)  loop(4..8,3)  replace(5,6)  parallel(4..8)  scale(5,0.5)
  drop(2);swap(5,6)        first the drop, then the swap
Values of activations, by site, blocks, units and positions:
  zero(attn.head_out[5,2])  mean(mlp.out[3])  resample(resid.post[2]@-1)  scale(attn.v[0],0.5)
  plain(attn.pattern[3])  add(resid.post[4],NAME,2)  window(5,8)  cut(3,0..4,-1,0)
With the free variables l and m for blocks, h for heads and p for positions, an edit is a family of edits:
  'drop(l)'  'swap(l,l+1)'  'repeat(l..l+5)'  'drop_attn(l..L)'  'swap(l,m)'

Examples:
  {0} sweep 'drop(l)' --model gpt2-8x160 --rows 8 --sort kl_nats
  {0} sweep 'drop(l)' 'swap(l,l+1)' --model path/to/gpt2 --corpus text.jsonl --rows 64 --out gpt2.csv
  {0} sweep 'zero(attn.head_out[l,h])' 'mean(attn.head_out[l,h])' --model gpt2-8x160 --rows 8 --out heads.csv
  {0} sweep 'drop(l)' --model path/to/gpt2 --out gpt2.csv --per-token gpt2.safetensors --classes classes.csv
  {0} sweep 'donor(resid.post[l]@p)' --model path/to/gpt2 --pairs pairs.jsonl --out patching.csv
  {0} sweep 'drop(l)' --model path/to/gpt2 --tasks path/to/data --items 200 --out scores.csv --per-item items.csv", program::name()))]
pub struct Arguments {
    /// Edits, or families of edits
    #[arg(required = true, value_name = "EDIT")]
    edits: Vec<String>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    run: Run,
    /// Write the table to this CSV file, and journal and manifest to FILE.run [default: print it and keep nothing]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the rows in ascending order of kl_nats, top1_agreement, top5_overlap, entropy_bits or loss_nats [default: as given]
    #[arg(long, value_name = "STATISTIC", conflicts_with = "out")]
    sort: Option<Statistic>,
    /// Run only shard K of N of the sequences, with its own --out; `merge` joins the shards
    #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE, requires = "out")]
    shard: Shard,
    /// Stop at the fewest sequences that bring this standard error down under every schedule, such as kl_nats=0.01
    #[arg(long, value_name = "STATISTIC=ERROR", conflicts_with = "shard", value_parser = arguments::target)]
    until_se: Option<Target>,
    /// Add the difference of every schedule from this one (`id` is the plain model), with the standard error of the difference,
    /// which is paired by sequence
    #[arg(long, value_name = "EDIT", conflicts_with_all = ["pairs", "shard"])]
    baseline: Option<Edit>,
    /// Show the plan, and stop
    #[arg(long)]
    dry_run: bool,
    /// The most members of one family [default: 4096]; families over neurons or dimensions need it
    #[arg(long, value_name = "N")]
    max_members: Option<usize>,
    /// Also measure KL(altered ‖ plain), the Jensen–Shannon divergence and the rank of the next token, which takes two more
    /// products with the unembedding
    #[arg(long, requires = "out", conflicts_with = "pairs")]
    both_ways: bool,
    /// Write the results of each schedule at each token of one model to this file: both KLs, JS, entropy, loss, rank of the next
    /// token and top-1, [schedules, tokens]
    #[arg(long, value_name = "FILE.safetensors", requires = "out", conflicts_with_all = ["pairs", "shard", "until_se"])]
    per_token: Option<PathBuf>,
    /// Write means over classes of tokens to this file: by frequency, piece of a word, position and entropy of the plain model
    #[arg(long, value_name = "FILE.csv", requires = "per_token")]
    classes: Option<PathBuf>,
    /// Your own classes: for each sequence a line with a JSON array of labels, one for each of its tokens, each a string or null
    #[arg(long, value_name = "FILE.jsonl", requires = "classes")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    values: Values,
    /// Pairs of prompts instead of a text, one JSON object a line: clean and corrupted, of the same number of tokens, optionally
    /// answer and wrong; each a text or token ids. Edits act on the corrupted prompt; donor takes values from the clean one
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["corpus", "context", "tokens"])]
    pairs: Option<PathBuf>,
    /// Tasks to score instead of a text: a folder of data sets (arc_easy.jsonl, hellaswag.jsonl, the folder mmlu, …), or a file with
    /// prompt, options and, if known, gold on each line. mean takes its values over --corpus or --reference
    #[arg(long, value_name = "DIR|FILE.jsonl", conflicts_with_all = ["pairs", "per_token", "both_ways", "sort", "until_se", "baseline"])]
    tasks: Option<PathBuf>,
    /// Take the first N items of each task
    #[arg(long, value_name = "N", requires = "tasks")]
    items: Option<NonZeroUsize>,
    /// Write the answers of each edit to each item to this file: choice, gold and the log-likelihoods of the options
    #[arg(long, value_name = "FILE.csv", requires_all = ["tasks", "out"], conflicts_with = "shard")]
    per_item: Option<PathBuf>,
}

impl Arguments {
    /// The file of the table; `None` if the table is printed.
    pub fn out(&self) -> Option<&Path> {
        self.out.as_deref()
    }

    /// Refuses outputs that would replace each other, an input, or what the run keeps; `read` are inputs that the options name
    /// by a folder or otherwise.
    ///
    /// # Errors
    /// As [`output::check_distinct`].
    pub fn check_distinct(&self, read: impl IntoIterator<Item = Named>) -> anyhow::Result<()> {
        let outputs = [
            ("--out", self.out.clone()),
            ("--per-token", self.per_token.clone()),
            ("--classes", self.classes.clone()),
            ("--per-item", self.per_item.clone()),
        ];
        let own = [
            ("the run folder", self.out.as_deref().map(run_folder)),
            ("--corpus", self.inputs.corpus.clone()),
            ("--pairs", self.pairs.clone()),
            ("--labels", self.labels.clone()),
            ("--tasks", self.tasks.clone().filter(|path| path.is_file())),
        ];
        let own = own.into_iter().chain(self.values.named_files());
        output::check_distinct(outputs, own.chain(read))
    }

    /// The same command, limited to the first sequences and the given number of threads.
    #[must_use]
    pub fn tried(mut self, trial: &'static Trial, threads: NonZeroUsize) -> Self {
        self.run.trial = Some(trial);
        self.run.threads = Some(threads);
        self
    }
}

/// Runs the command.
///
/// # Errors
/// Inputs are invalid, outputs cannot be written, or the user interrupts.
pub fn sweep(arguments: &Arguments) -> anyhow::Result<()> {
    let parse = |text: &String| {
        text.parse::<EditFamily>()
            .with_context(|| format!("edit `{text:.200}`"))
    };
    let families = arguments
        .edits
        .iter()
        .map(parse)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let folder = arguments.out.as_deref().map(RunFolder::of).transpose()?;
    let kept = folder.is_some();
    // Refuse an edit or text that does not fit one of the models before the first model runs.
    let models = inputs::open_models(&arguments.inputs)?;
    for (folder, opened) in folder
        .iter()
        .flat_map(|folder| models.iter().map(move |m| (folder, m)))
    {
        output::check_file(&folder.journal(opened))?;
    }
    for path in [&arguments.per_token, &arguments.classes]
        .into_iter()
        .flatten()
    {
        output::check_file(path)?;
        ensure!(
            models.len() == 1,
            "--per-token: expected one model, found {}: name one with --model",
            models.len()
        );
    }
    if let Some(path) = &arguments.per_item {
        output::check_file(path)?;
    }
    let prepare = |opened| Prepared::new(arguments, &families, opened);
    let prepared: Vec<Prepared<'_>> = models.iter().map(prepare).collect::<anyhow::Result<_>>()?;
    arguments.check_distinct(named_files(&prepared))?;
    if arguments.dry_run {
        for (place, prepared) in prepared.iter().enumerate() {
            prepared.announce(arguments, place, prepared.sourced.plan());
            prepared.announce_means();
        }
        return Ok(());
    }
    if let Some(trial) = arguments.run.trial {
        return prepared
            .iter()
            .enumerate()
            .try_for_each(|(place, prepared)| prepared.run_first(arguments, place, trial));
    }
    interrupt::watch(interrupt::beside_out(kept))?;
    if !kept {
        output::say(
            "nothing is kept; give --out FILE to get a CSV file, and to be able to stop and resume the run",
        );
    }
    let mut results = Results {
        table: match arguments.pairs {
            Some(_) => Table::of_pairs()?,
            None if arguments.baseline.is_some() => Table::of_differences()?,
            None => Table::new()?,
        },
        scores: ScoreTable::of_tasks()?,
        items: ScoreTable::of_items()?,
        summary: Summary::sorted_by(arguments.sort),
        manifest: Manifest::new(arguments.run.threads().get()),
        written: Vec::new(),
    };
    for (place, prepared) in prepared.iter().enumerate() {
        prepared.run(arguments, folder.as_ref(), place, &mut results)?;
    }
    let Results {
        table,
        scores,
        items,
        summary,
        manifest,
        mut written,
    } = results;
    let (Some(out), Some(folder)) = (&arguments.out, &folder) else {
        std::io::stdout().write_all(summary.text().as_bytes())?;
        return Ok(());
    };
    output::write(&folder.manifest(), manifest.json()?.as_bytes())?;
    if arguments.shard == Shard::WHOLE {
        let table = match arguments.tasks {
            Some(_) => scores.bytes()?,
            None => table.bytes()?,
        };
        output::write(out, &table)?;
        written.push(out.clone());
        if let Some(path) = &arguments.per_item {
            output::write(path, &items.bytes()?)?;
            written.push(path.clone());
        }
        output::print_paths(&written)?;
    } else {
        // Write no table: that of one shard could be mistaken for the whole.
        output::say(format_args!(
            "shard {} is finished; when all {} are, merge them with `{} merge RUN… --out FILE`, where this RUN is:",
            arguments.shard,
            arguments.shard.count(),
            program::name()
        ));
        output::print_paths([&folder.path])?;
    }
    Ok(())
}

/// The files that models and their inputs were read from.
fn named_files(prepared: &[Prepared<'_>]) -> impl Iterator<Item = Named> {
    prepared.iter().flat_map(|own| {
        let (corpus, tasks) = match &own.text {
            Text::Sequences(corpus) => (Some(corpus), None),
            Text::Pairs(_) => (None, None),
            Text::Tasks(corpus, tasks) => (Some(corpus), Some(tasks)),
        };
        let corpus = corpus.map(|corpus| ("--corpus", Some(corpus.path.clone())));
        let tasks = tasks.into_iter().flat_map(OpenedTasks::named_files);
        corpus
            .into_iter()
            .chain(tasks)
            .chain(own.opened.named_files())
    })
}

/// The folder of a run's journals and manifest.
struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder next to the file of a table.
    fn of(out: &Path) -> anyhow::Result<Self> {
        let folder = Self {
            path: run_folder(out),
        };
        output::check_file(out)?;
        output::check_file(&folder.manifest())?;
        Ok(folder)
    }

    fn journal(&self, opened: &OpenedModel) -> PathBuf {
        self.path.join(format!("{}.journal", opened.name))
    }

    fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }
}

/// The folder of the journals and the manifest that belong to a table.
pub fn run_folder(out: &Path) -> PathBuf {
    let mut folder = out.as_os_str().to_owned();
    folder.push(".run");
    PathBuf::from(folder)
}

/// Tokens of the text that edits take values of, where tasks are scored and nothing says how many.
const TOKENS_BESIDE_TASKS: usize = 4096;

/// The outputs of all models.
struct Results {
    table: Table,
    /// Instead of the table, where tasks are scored.
    scores: ScoreTable,
    items: ScoreTable,
    summary: Summary,
    manifest: Manifest,
    /// Finished files. Their paths are printed after the last one: a closed standard output ends the command.
    written: Vec<PathBuf>,
}

/// The inputs of one model.
enum Text {
    Sequences(OpenedCorpus),
    Pairs(OpenedPairs),
    Tasks(OpenedCorpus, OpenedTasks),
}

impl Text {
    /// The sequences to run; for pairs, the corrupted ones; for tasks, the text that edits take means over.
    fn sequences(&self) -> &[Vec<u32>] {
        match self {
            Self::Sequences(corpus) | Self::Tasks(corpus, _) => corpus.corpus.sequences(),
            Self::Pairs(pairs) => &pairs.corrupted,
        }
    }

    fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        match self {
            Self::Sequences(corpus) | Self::Tasks(corpus, _) => corpus.corpus.retain(keep),
            Self::Pairs(pairs) => pairs.retain(keep),
        }
    }
}

/// A model with its inputs and schedules.
struct Prepared<'a> {
    opened: &'a OpenedModel,
    text: Text,
    sourced: Sourced,
    /// Present if a tokenizer read the text.
    bytes: Option<TokenBytes>,
    /// The user's label of every token.
    labels: Option<Labels>,
    /// The edit that differences are from, as this model's labels spell it.
    baseline: Option<Edit>,
}

/// An edit as a label of the model spells it, with indices that count from 0. An edit that does not fit the model stays.
fn resolved(edit: &Edit, opened: &OpenedModel) -> Edit {
    let found = edit.resolve(opened.model.stack());
    found.unwrap_or_else(|_| edit.clone())
}

impl<'a> Prepared<'a> {
    fn new(
        arguments: &Arguments,
        families: &[EditFamily],
        opened: &'a OpenedModel,
    ) -> anyhow::Result<Self> {
        let inputs = &arguments.inputs;
        let mut text = match (&arguments.pairs, &arguments.tasks) {
            (Some(path), _) => Text::Pairs(OpenedPairs::open(path, opened, inputs)?),
            (None, Some(path)) => {
                let limited = inputs.rows.is_some() || inputs.tokens.is_some();
                let tokens = (!limited).then_some(TOKENS_BESIDE_TASKS);
                let corpus = inputs::open_corpus(inputs, tokens, opened)?;
                let most = arguments.items.map(NonZeroUsize::get);
                let on = (opened, &corpus);
                let tasks = OpenedTasks::open(path, most, on, (inputs, &arguments.run))?;
                Text::Tasks(corpus, tasks)
            }
            (None, None) => Text::Sequences(inputs::open_corpus(inputs, None, opened)?),
        };
        let sequences = text.sequences();
        // Items of tasks have lengths of their own.
        let is_of_tasks = matches!(text, Text::Tasks(..));
        let mut lengths = sequences.iter().map(Vec::len);
        let first = lengths.next().filter(|_| !is_of_tasks);
        let bounds = Bounds::default()
            .max_members(arguments.max_members)
            .positions(first.filter(|first| lengths.all(|own| own == *first)));
        let plan = Plan::new(opened.model.stack(), families, bounds)
            .with_context(|| opened.name.clone())?;
        let baseline = arguments
            .baseline
            .as_ref()
            .map(|edit| resolved(edit, opened));
        if let Some(baseline) = &baseline {
            Differences::index(baseline, &plan.labels()).with_context(|| opened.name.clone())?;
        }
        ensure!(
            !is_of_tasks || plan.taken_from(Source::Resample).is_empty(),
            "resample takes values of another sequence of as many tokens, and items of tasks are no sequences: use mean or zero"
        );
        if let Some(option) = inputs.option_of_text() {
            ensure!(
                !is_of_tasks || !plan.taken_from(Source::Mean).is_empty(),
                "{option}: chooses the text of mean, and no edit takes means; --items limits the items of tasks"
            );
            ensure!(
                !is_of_tasks || option == "--context" || !arguments.values.has_reference(),
                "{option}: chooses the text of mean, and --reference names another, which is read whole; give one of them"
            );
        }
        let remedy = match text {
            Text::Pairs(_) => "give at least two pairs of one length",
            _ => sources::CUT,
        };
        let (sourced, kept) = arguments
            .values
            .open(plan, opened, sequences, inputs, remedy)?;
        text.retain(|at| kept[at]);
        let tokenizer = match &text {
            Text::Sequences(corpus) if corpus.tokenizer_sha256.is_some() => {
                inputs::open_tokenizer(opened)?
            }
            _ => None,
        };
        let bytes = tokenizer.map(|own| TokenBytes::of(&own, opened.model.config().vocab));
        let labels = arguments.labels.as_deref();
        let labels = labels.map(|path| labels_of(path, opened, text.sequences()));
        let own = Self {
            opened,
            text,
            sourced,
            bytes,
            labels: labels.transpose()?,
            baseline,
        };
        match &own.text {
            Text::Sequences(_) => {
                let divergence = Divergence::new();
                own.sourced
                    .check(opened, &divergence, own.text.sequences())?;
            }
            Text::Pairs(pairs) => own.sourced.check(opened, &Patching::new(), &pairs.pairs)?,
            Text::Tasks(_, tasks) => {
                let scoring = tasks.scoring();
                own.sourced.check(opened, &scoring, &tasks.questions)?;
            }
        }
        Ok(own)
    }

    fn portion(arguments: &Arguments, place: usize) -> Portion {
        Portion {
            place,
            shard: arguments.shard,
            until_se: arguments.until_se.clone(),
            ..Portion::default()
        }
    }

    /// The measure for sequences.
    fn divergence(&self, arguments: &Arguments, per_token: Option<&Arc<PerToken>>) -> Divergence {
        let mut divergence = Divergence::new();
        if let Some(bytes) = &self.bytes {
            let lengths = Arc::clone(&bytes.lengths);
            divergence = divergence.with_bytes(lengths, bytes.tokenizer.as_str());
        }
        match per_token {
            Some(file) => divergence.per_position(Arc::clone(file) as _, file.hash()),
            None if arguments.both_ways || arguments.per_token.is_some() => divergence.both_ways(),
            None => divergence,
        }
    }

    fn announce_means(&self) {
        self.sourced.announce(self.opened, self.text.sequences());
    }

    fn announce(&self, arguments: &Arguments, place: usize, plan: &Plan) {
        let (run, portion) = (&arguments.run, Self::portion(arguments, place));
        match &self.text {
            Text::Sequences(corpus) => {
                let divergence = self.divergence(arguments, None);
                announce(
                    self.opened,
                    &self.of(&divergence, self.text.sequences()),
                    plan,
                    run,
                    &portion,
                );
                tell_skipped(corpus);
            }
            Text::Pairs(pairs) => {
                let patching = Patching::new();
                announce(
                    self.opened,
                    &self.of(&patching, &pairs.pairs),
                    plan,
                    run,
                    &portion,
                );
            }
            Text::Tasks(_, tasks) => {
                let scoring = tasks.scoring();
                let on = self.of(&scoring, &tasks.questions);
                announce(self.opened, &on, plan, run, &portion);
            }
        }
    }

    fn of<'m, M: Measure>(&'m self, measure: &'m M, items: &'m [M::Item]) -> Items<'m, M> {
        Items {
            measure,
            items,
            first: &self.text.sequences()[0],
        }
    }

    /// Runs the first items of a share, and keeps no results.
    fn run_first(&self, arguments: &Arguments, place: usize, trial: &Trial) -> anyhow::Result<()> {
        let Self { opened, .. } = *self;
        let sequences = self.text.sequences();
        let (run, portion) = (
            &arguments.run,
            Portion {
                shard: Trial::share(),
                ..Self::portion(arguments, place)
            },
        );
        trial.saw(self.sourced.with_means(opened, sequences, run, None))?;
        // Zeros take as long as means.
        let plan = self.sourced.plan().clone();
        match &self.text {
            Text::Sequences(_) => {
                let divergence = self.divergence(arguments, None);
                let on = self.of(&divergence, sequences);
                trial.saw(measure(opened, &on, plan, None, run, &portion))?;
            }
            Text::Pairs(pairs) => {
                let patching = Patching::new();
                let on = self.of(&patching, &pairs.pairs);
                trial.saw(measure(opened, &on, plan, None, run, &portion))?;
            }
            Text::Tasks(_, tasks) => {
                let scoring = tasks.scoring();
                let on = self.of(&scoring, &tasks.questions);
                trial.saw(measure(opened, &on, plan, None, run, &portion))?;
            }
        }
        trial.held(&opened.budget);
        Ok(())
    }

    /// Moves the finished per-token file to its place, and writes the means over classes.
    fn write_per_token(
        &self,
        arguments: &Arguments,
        corpus: &OpenedCorpus,
        labels: &[Label],
        file: &PerToken,
        written: &mut Vec<PathBuf>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &arguments.per_token {
            file.finish(path)?;
            written.push(path.clone());
        }
        let Some(path) = &arguments.classes else {
            return Ok(());
        };
        let name = &self.opened.name;
        let bytes = PerToken::table_bytes(corpus.corpus.tokens());
        let what = format!("{name}: classes of tokens");
        let _memory = self.opened.budget.hold(&what, bytes)?;
        let token_bytes = self.bytes.as_ref().map(|bytes| bytes.of.as_slice());
        let classes = file.classes(corpus.corpus.sequences(), token_bytes, self.labels.as_ref())?;
        output::write(path, &file.class_table(name, labels, &classes)?)?;
        written.push(path.clone());
        Ok(())
    }

    /// Runs a model, and adds its results to the outputs.
    fn run(
        &self,
        arguments: &Arguments,
        folder: Option<&RunFolder>,
        place: usize,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let Self { opened, .. } = *self;
        let (run, portion) = (&arguments.run, Self::portion(arguments, place));
        let kept = folder.map(|folder| folder.path.as_path());
        self.announce_means();
        let plan = self
            .sourced
            .with_means(opened, self.text.sequences(), run, kept)?;
        self.announce(arguments, place, &plan);
        let labels = plan.labels();
        let journals = folder.map(|folder| Journals::File(folder.journal(opened)));
        let record = match &self.text {
            Text::Sequences(corpus) => {
                let per_token = folder.zip(arguments.per_token.as_ref());
                let per_token = per_token.map(|(folder, path)| {
                    let journal = folder.journal(opened);
                    let sequences = self.text.sequences();
                    let place = Place {
                        path,
                        folder: &folder.path,
                        journal: &journal,
                        fresh: run.fresh,
                    };
                    PerToken::begin(place, &opened.subject(), &labels, sequences)
                });
                let per_token = per_token.transpose()?.map(Arc::new);
                let divergence = self.divergence(arguments, per_token.as_ref());
                let on = self.of(&divergence, self.text.sequences());
                let measured = measure(opened, &on, plan, journals, run, &portion)?;
                if let Some(file) = &per_token {
                    let written = &mut results.written;
                    self.write_per_token(arguments, corpus, &labels, file, written)?;
                }
                let sums = measured.sums.iter().map(Vec::as_slice);
                let (statistics, count) = (collect(labels.len(), sums), measured.sequences);
                let name = &opened.name;
                let baseline = self.baseline.as_ref();
                let differences = baseline
                    .map(|baseline| Differences::from(baseline, &labels, &statistics))
                    .transpose()?;
                let (table, summary) = (&mut results.table, &mut results.summary);
                match &differences {
                    Some(own) => table.push_differences(name, &labels, count, &statistics, own)?,
                    None => table.push(name, &labels, count, &statistics)?,
                }
                let shown = output::plain(name);
                summary.push(&shown, &labels, count, &statistics, differences.as_ref());
                manifest::Run::new(opened, corpus)
                    .with_sweep(&measured)
                    .with_baseline(baseline)
            }
            Text::Pairs(pairs) => {
                let patching = Patching::new();
                let on = self.of(&patching, &pairs.pairs);
                let measured = measure(opened, &on, plan, journals, run, &portion)?;
                let sums = measured.sums.iter().map(Vec::as_slice);
                let statistics = PairStatistics::collect(labels.len(), sums);
                let count = measured.sequences;
                results
                    .table
                    .push_pairs(&opened.name, &labels, count, &statistics)?;
                let shown = output::plain(&opened.name);
                results
                    .summary
                    .push_pairs(&shown, &labels, count, &statistics);
                manifest::Run::of_model(opened)
                    .with_pairs(&pairs.file)
                    .with_sweep(&measured)
            }
            Text::Tasks(corpus, tasks) => {
                let scoring = tasks.scoring();
                let on = self.of(&scoring, &tasks.questions);
                let measured = measure(opened, &on, plan, journals, run, &portion)?;
                let answers = || measured.sums.iter().map(Vec::as_slice);
                let scores = TaskScores::collect(answers());
                results.scores.push_tasks(&opened.name, &labels, &scores)?;
                push_scores(&mut results.summary, &opened.name, &labels, &scores);
                if arguments.per_item.is_some() {
                    results.items.push_items(&opened.name, &labels, answers())?;
                }
                manifest::Run::new(opened, corpus)
                    .with_tasks(&tasks.files, tasks.bos)
                    .with_sweep(&measured)
            }
        };
        let record = record.with_sources(self.sourced.record());
        results.manifest.runs.push(record);
        Ok(())
    }
}
