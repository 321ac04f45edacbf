//! `sweep`: any edits or families, statistics to the terminal or to CSV.

use crate::arguments::{self, Inputs, Run};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::{self, Manifest};
use crate::measurement::{Portion, announce, measure};
use crate::sources::Values;
use crate::summary::Summary;
use crate::{interrupt, output, program};
use anyhow::Context;
use layerwise::journal::Shard;
use layerwise::metrics::ClusteredMean;
use layerwise::schedule::{Bounds, EditFamily};
use layerwise::sweep::{Divergence, Journals, Label, Plan, Statistic, Statistics, Target};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Options of `sweep`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Edits name blocks of the model, from 0:
  drop(5)  drop_attn(4..8)  drop_mlp([1,5,9..12])  keep(0..6)  drop(-1)
  swap(3,4)  reverse(2..8)  shuffle(2..8,7)  permute(2..5,[4,2,3])
  repeat(4..8)  loop(4..8,3)  replace(5,6)  parallel(4..8)  scale(5,0.5)
  drop(2);swap(5,6)        first one, then the other
Values of activations, by site, blocks, units and positions:
  zero(attn.head_out[5,2])  mean(mlp.out[3])  resample(resid.post[2]@-1)  scale(attn.v[0],0.5)
  plain(attn.pattern[3])  add(resid.post[4],NAME,2)  window(5,8)  cut(3,0..4,-1,0)
With the free variables l and m, h for heads and p for positions, an edit is a family, run over all blocks:
  'drop(l)'  'swap(l,l+1)'  'repeat(l..l+5)'  'drop_attn(l..L)'  'swap(l,m)'

Examples:
  {0} sweep 'drop(l)' --model gpt2-8x160 --rows 8 --sort kl_nats
  {0} sweep 'drop(l)' 'swap(l,l+1)' --model path/to/gpt2 --corpus text.jsonl --rows 64 --out gpt2.csv", program::name()))]
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
    /// Print the rows in ascending order of kl_nats, top1_agreement, entropy_bits or loss_nats [default: as given]
    #[arg(long, value_name = "STATISTIC", conflicts_with = "out")]
    sort: Option<Statistic>,
    /// Run only shard K of N of the sequences, with an output of its own; `merge` joins the shards
    #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE, requires = "out")]
    shard: Shard,
    /// Stop at the fewest sequences that bring this standard error down under every schedule, such as kl_nats=0.01
    #[arg(long, value_name = "STATISTIC=ERROR", conflicts_with = "shard", value_parser = arguments::target)]
    until_se: Option<Target>,
    /// Show what would be run, and stop
    #[arg(long)]
    dry_run: bool,
    /// The most members that one family may have [default: 4096, and units that are heads]
    #[arg(long, value_name = "N")]
    max_members: Option<usize>,
    #[command(flatten)]
    values: Values,
}

/// The columns. Other programs may rely on their names.
const COLUMNS: [&str; 16] = [
    "model",
    "family",
    "schedule",
    "l",
    "m",
    "sequences",
    "positions",
    "kl_nats",
    "kl_nats_se",
    "top1_agreement",
    "top1_agreement_se",
    "entropy_bits",
    "entropy_bits_se",
    "loss_positions",
    "loss_nats",
    "loss_nats_se",
];

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be accepted, outputs that cannot be written, or an interrupt.
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
    // An edit or text that does not fit one of the models is refused before the first model runs.
    let models = inputs::open_models(&arguments.inputs)?;
    for (folder, opened) in folder
        .iter()
        .flat_map(|folder| models.iter().map(move |m| (folder, m)))
    {
        output::check_file(&folder.journal(opened))?;
    }
    let prepare = |opened| prepare(arguments, &families, opened);
    let prepared: Vec<(OpenedCorpus, Plan)> =
        models.iter().map(prepare).collect::<anyhow::Result<_>>()?;
    let portion = |place: usize| Portion {
        place,
        shard: arguments.shard,
        until_se: arguments.until_se.clone(),
        ..Portion::default()
    };
    let divergence = Divergence::new();
    if arguments.dry_run {
        for (place, (opened, (corpus, plan))) in models.iter().zip(&prepared).enumerate() {
            announce(
                opened,
                corpus,
                plan,
                &divergence,
                &arguments.run,
                &portion(place),
            );
        }
        return Ok(());
    }
    interrupt::watch(kept)?;
    if !kept {
        output::say(
            "nothing is kept; give --out FILE for a CSV file, and a run that can be stopped and resumed",
        );
    }
    let mut table = Table::new()?;
    let mut summary = Summary::sorted_by(arguments.sort);
    let mut manifest = Manifest::new(arguments.run.threads().get());
    for (place, (opened, (corpus, plan))) in models.iter().zip(prepared).enumerate() {
        let journals = folder
            .as_ref()
            .map(|folder| Journals::File(folder.journal(opened)));
        let (run, portion) = (&arguments.run, portion(place));
        announce(opened, &corpus, &plan, &divergence, run, &portion);
        let measurement = measure(opened, &corpus, plan, &divergence, journals, run, &portion)?;
        let labels = measurement.plan.labels();
        let (sequences, statistics) = (measurement.sequences, &measurement.statistics);
        table.push(&opened.name, &labels, sequences, statistics)?;
        summary.push(&opened.name, &labels, sequences, statistics);
        manifest
            .runs
            .push(manifest::Run::new(opened, &corpus).with_sweep(&measurement));
    }
    let (Some(out), Some(folder)) = (&arguments.out, &folder) else {
        std::io::stdout().write_all(summary.text().as_bytes())?;
        return Ok(());
    };
    output::write(&folder.manifest(), manifest.json()?.as_bytes())?;
    if arguments.shard == Shard::WHOLE {
        output::write(out, &table.bytes()?)?;
        output::print_paths([out])?;
    } else {
        // No table is written: that of one shard could be mistaken for the whole.
        output::say(format_args!(
            "shard {} is finished; when all {} are, join them with `{} merge RUN… --out FILE`, where this RUN is:",
            arguments.shard,
            arguments.shard.count(),
            program::name()
        ));
        output::print_paths([&folder.path])?;
    }
    Ok(())
}

/// The folder of a run's journals and manifest.
struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder beside the file of a table.
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

fn prepare(
    arguments: &Arguments,
    families: &[EditFamily],
    opened: &OpenedModel,
) -> anyhow::Result<(OpenedCorpus, Plan)> {
    let corpus = inputs::open_corpus(&arguments.inputs, None, opened)?;
    let mut lengths = corpus.corpus.sequences().iter().map(Vec::len);
    let first = lengths.next();
    let bounds = Bounds::default()
        .max_members(arguments.max_members)
        .positions(first.filter(|first| lengths.all(|own| own == *first)));
    let plan =
        Plan::new(opened.model.stack(), families, bounds).with_context(|| opened.name.clone())?;
    let (inputs, run) = (&arguments.inputs, &arguments.run);
    let plan = match arguments.dry_run {
        true => plan,
        false => arguments.values.of(plan, opened, &corpus, inputs, run)?,
    };
    Ok((corpus, plan))
}

/// The table of a sweep, in memory.
pub struct Table {
    writer: csv::Writer<Vec<u8>>,
}

impl Table {
    /// The header alone.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn new() -> anyhow::Result<Self> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS)?;
        Ok(Self { writer })
    }

    /// Adds a model's rows, one for each schedule, with statistics over a number of sequences.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn push(
        &mut self,
        model: &str,
        labels: &[Label],
        sequences: usize,
        statistics: &[Statistics],
    ) -> anyhow::Result<()> {
        for (label, statistics) in labels.iter().zip(statistics) {
            let row = row(model, label, sequences, statistics);
            self.writer.write_record(&row)?;
        }
        Ok(())
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn bytes(self) -> anyhow::Result<Vec<u8>> {
        self.writer
            .into_inner()
            .context("the table cannot be put together")
    }
}

fn row(model: &str, label: &Label, sequences: usize, statistics: &Statistics) -> [String; 16] {
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let index = |value: Option<usize>| value.map_or_else(String::new, |value| value.to_string());
    let pair = |mean: &ClusteredMean| [optional(mean.mean()), optional(mean.standard_error())];
    let [kl, kl_se] = pair(&statistics.kl_nats);
    let [top1, top1_se] = pair(&statistics.top1_agreement);
    let [entropy, entropy_se] = pair(&statistics.entropy_bits);
    let [loss, loss_se] = pair(&statistics.loss_nats);
    [
        model.to_owned(),
        label.family.clone(),
        label.edit.clone(),
        index(label.l),
        index(label.m),
        sequences.to_string(),
        statistics.kl_nats.count().to_string(),
        kl,
        kl_se,
        top1,
        top1_se,
        entropy,
        entropy_se,
        statistics.loss_nats.count().to_string(),
        loss,
        loss_se,
    ]
}
