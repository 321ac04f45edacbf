//! `cargo xtask sweep`: any edits or families, statistics to CSV.

use crate::arguments::{Inputs, Run};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::{self, Manifest};
use crate::measurement::{Measurement, measure};
use crate::{interrupt, output};
use anyhow::Context;
use layerwise::metrics::ClusteredMean;
use layerwise::schedule::{DEFAULT_MAX_MEMBERS, Family};
use layerwise::sweep::{Plan, RunKey};
use std::io::Write;
use std::path::PathBuf;

/// Options of `sweep`.
#[derive(clap::Args)]
#[command(after_help = "\
Edits name blocks of the model, from 0:
  drop(5)  drop_attn(4..8)  drop_mlp([1,5,9..12])  keep(0..6)  drop(-1)
  swap(3,4)  reverse(2..8)  shuffle(2..8,7)  permute(2..5,[4,2,3])
  repeat(4..8)  loop(4..8,3)  replace(5,6)  parallel(4..8)  scale(5,0.5)
  drop(2);swap(5,6)        first one, then the other
With the free variables l and m an edit is a family, run over all blocks:
  'drop(l)'  'swap(l,l+1)'  'repeat(l..l+5)'  'drop_attn(l..L)'  'swap(l,m)'

Example:
  cargo xtask sweep --model path/to/gpt2 --corpus text.jsonl --rows 64 --out gpt2.csv 'drop(l)' 'swap(l,l+1)'")]
pub struct Arguments {
    /// Edits, or families of edits
    #[arg(required = true, value_name = "EDIT")]
    edits: Vec<String>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    run: Run,
    /// The CSV file; journal and manifest go to FILE.run
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The most members that one family may have
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_MEMBERS)]
    max_members: usize,
}

/// The columns, of which other programs may rely on the names.
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
        text.parse::<Family>()
            .with_context(|| format!("edit `{text:.200}`"))
    };
    let families = arguments
        .edits
        .iter()
        .map(parse)
        .collect::<anyhow::Result<Vec<_>>>()?;
    output::refuse_folder(&arguments.out)?;
    interrupt::watch()?;
    let mut run_folder = arguments.out.clone().into_os_string();
    run_folder.push(".run");
    let run_folder = PathBuf::from(run_folder);

    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    let mut manifest = Manifest::new(arguments.run.threads().get());
    // What does not fit any of the models is refused before the first of them runs.
    let models = inputs::open_models(&arguments.inputs)?;
    let prepare = |opened| prepare(arguments, &families, opened);
    let prepared: Vec<(OpenedCorpus, Plan)> =
        models.iter().map(prepare).collect::<anyhow::Result<_>>()?;
    for (opened, (corpus, plan)) in models.iter().zip(prepared) {
        let journal = |_: &RunKey| run_folder.join(format!("{}.journal", opened.name));
        let measurement = measure(opened, &corpus, plan, journal, &arguments.run)?;
        for row in rows(opened, &corpus, &measurement) {
            table.write_record(&row)?;
        }
        manifest
            .runs
            .push(manifest::Run::new(opened, &corpus, &measurement));
    }
    let bytes = table
        .into_inner()
        .context("the table cannot be put together")?;
    output::write(
        &run_folder.join("manifest.json"),
        manifest.json()?.as_bytes(),
    )?;
    output::write(&arguments.out, &bytes)?;
    writeln!(std::io::stdout(), "{}", arguments.out.display())?;
    Ok(())
}

fn prepare(
    arguments: &Arguments,
    families: &[Family],
    opened: &OpenedModel,
) -> anyhow::Result<(OpenedCorpus, Plan)> {
    let corpus = inputs::open_corpus(&arguments.inputs, None, opened)?;
    let plan = Plan::new(opened.model.stack(), families, arguments.max_members)
        .with_context(|| opened.name.clone())?;
    Ok((corpus, plan))
}

fn rows(
    opened: &OpenedModel,
    corpus: &OpenedCorpus,
    measurement: &Measurement,
) -> Vec<[String; 16]> {
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let index = |value: Option<usize>| value.map_or_else(String::new, |value| value.to_string());
    let pair = |mean: &ClusteredMean| [optional(mean.mean()), optional(mean.standard_error())];
    let entries = measurement
        .plan
        .entries()
        .iter()
        .zip(&measurement.statistics);
    entries
        .map(|(entry, statistics)| {
            let [kl, kl_se] = pair(&statistics.kl_nats);
            let [top1, top1_se] = pair(&statistics.top1_agreement);
            let [entropy, entropy_se] = pair(&statistics.entropy_bits);
            let [loss, loss_se] = pair(&statistics.loss_nats);
            [
                opened.name.clone(),
                entry.family.clone(),
                entry.edit.clone(),
                index(entry.l),
                index(entry.m),
                corpus.corpus.sequences().len().to_string(),
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
        })
        .collect()
}
