//! `cargo xtask reproduce`: the paper's figures.

use crate::arguments::{Inputs, Run};
use crate::figures::robustness::{self, Intervention, Record, relative_depth};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::{self, Manifest};
use crate::measurement::{Measurement, Portion, measure};
use crate::plot::Figure;
use crate::{interrupt, output};
use anyhow::{Context, ensure};
use clap::ValueEnum;
use layerwise::schedule::{DEFAULT_MAX_MEMBERS, Family};
use layerwise::sweep::{Plan, RunKey};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Options of `reproduce`.
#[derive(clap::Args)]
#[command(after_help = "\
Without options: every figure, on the embedded models and text.
With a real model:
  cargo xtask reproduce robustness --model path/to/pythia-410m --corpus pile.jsonl --out target/pythia")]
pub struct Arguments {
    /// Figures to draw [default: all]
    #[arg(value_name = "FIGURE")]
    figures: Vec<FigureId>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    run: Run,
    /// The folder for figures, tables and manifest
    #[arg(long, value_name = "DIR", default_value = "target/reproduce")]
    out: PathBuf,
}

/// The figures, by the names that the command line knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FigureId {
    /// Dropping a block and swapping two: KL, agreement, entropy (nips-fig5a, v3-fig-robust, v1-fig3)
    Robustness,
}

/// Tokens of a run where neither `--rows` nor `--tokens` says how many: enough for the shape, minutes for a small model.
const DEFAULT_TOKENS: usize = 20_000;

/// Resolution of the PNG files, fit for print.
const DOTS_PER_INCH: f64 = 300.0;

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be accepted, outputs that cannot be written, or an interrupt.
pub fn reproduce(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(
        !arguments.out.is_file(),
        "--out {}: expected a folder, found a file",
        arguments.out.display()
    );
    interrupt::watch()?;
    let figures = match arguments.figures.as_slice() {
        [] => FigureId::value_variants(),
        chosen => chosen,
    };
    let limited = arguments.inputs.rows.is_some() || arguments.inputs.tokens.is_some();
    let tokens = (!limited).then_some(DEFAULT_TOKENS);
    let models = inputs::open_models(&arguments.inputs)?;
    let mut manifest = Manifest::new(arguments.run.threads().get());
    let mut written = Vec::new();
    for figure in figures {
        match figure {
            FigureId::Robustness => {
                let mut all = Vec::new();
                // What does not fit a model is found before the first of them runs.
                let planned = models
                    .iter()
                    .map(|opened| plan_robustness(arguments, tokens, opened))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                for (opened, (corpus, plan)) in models.iter().zip(planned) {
                    let folder = arguments.out.join(&opened.name);
                    // Other inputs have another journal, so that the same command may be given with others.
                    let journal = |key: &RunKey| {
                        let name = format!("{}.journal", &key.as_str()[..16]);
                        folder.join("robustness.run").join(name)
                    };
                    let measurement = measure(
                        opened,
                        &corpus,
                        plan,
                        journal,
                        &arguments.run,
                        &Portion::default(),
                    )?;
                    let records = records(opened, corpus.corpus.sequences().len(), &measurement)?;
                    written.extend(write_robustness(&folder, &records)?);
                    manifest
                        .runs
                        .push(manifest::Run::new(opened, &corpus, &measurement));
                    all.extend(records);
                }
                if models.len() > 1 {
                    written.extend(write_robustness(&arguments.out, &all)?);
                }
            }
        }
    }
    output::write(
        &arguments.out.join("manifest.json"),
        manifest.json()?.as_bytes(),
    )?;
    let mut stdout = std::io::stdout();
    for path in written {
        writeln!(stdout, "{}", path.display())?;
    }
    Ok(())
}

/// What the figure runs on one model.
fn plan_robustness(
    arguments: &Arguments,
    tokens: Option<usize>,
    opened: &OpenedModel,
) -> anyhow::Result<(OpenedCorpus, Plan)> {
    let corpus = inputs::open_corpus(&arguments.inputs, tokens, opened)?;
    let families = ["drop(l)", "swap(l,l+1)"]
        .map(str::parse::<Family>)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .context("the figure's families")?;
    let plan = Plan::new(opened.model.stack(), &families, DEFAULT_MAX_MEMBERS)
        .with_context(|| opened.name.clone())?;
    Ok((corpus, plan))
}

/// The figure's records: every schedule but the plain one, which they are compared with.
fn records(
    opened: &OpenedModel,
    sequences: usize,
    measurement: &Measurement,
) -> anyhow::Result<Vec<Record>> {
    let config = opened.model.config();
    let plain = &measurement.statistics[0];
    let entries = measurement
        .plan
        .entries()
        .iter()
        .zip(&measurement.statistics)
        .skip(1);
    entries
        .map(|(entry, statistics)| {
            let change = statistics.entropy_bits.difference(&plain.entropy_bits)?;
            let layer = entry
                .l
                .with_context(|| format!("{} names no block", entry.edit))?;
            let mean = |value: Option<f64>| value.unwrap_or(f64::NAN);
            Ok(Record {
                model: opened.name.clone(),
                family: config.family.model_type().to_owned(),
                intervention: if entry.edit.starts_with("drop") {
                    Intervention::Drop
                } else {
                    Intervention::Swap
                },
                layer,
                layers: config.layers,
                relative_depth: relative_depth(layer, config.layers),
                kl_nats: mean(statistics.kl_nats.mean()),
                kl_nats_se: statistics.kl_nats.standard_error(),
                top1_agreement: mean(statistics.top1_agreement.mean()),
                top1_agreement_se: statistics.top1_agreement.standard_error(),
                entropy_bits: mean(statistics.entropy_bits.mean()),
                entropy_bits_se: statistics.entropy_bits.standard_error(),
                entropy_difference_bits: mean(change.mean()),
                entropy_difference_bits_se: change.standard_error(),
                loss_nats: mean(statistics.loss_nats.mean()),
                loss_nats_se: statistics.loss_nats.standard_error(),
                sequences: sequences as u64,
                positions: statistics.kl_nats.count(),
            })
        })
        .collect()
}

/// Writes the table, reads it back, and draws both layouts from what was read: a figure never needs more than its CSV.
fn write_robustness(folder: &Path, records: &[Record]) -> anyhow::Result<Vec<PathBuf>> {
    output::make_folder(folder)?;
    let table = folder.join("robustness.csv");
    let mut bytes = Vec::new();
    robustness::write(records, &mut bytes)?;
    output::write(&table, &bytes)?;
    let records = robustness::read(&table)?;
    let mut written = vec![table];
    written.extend(write_figure(
        folder,
        "robustness",
        &robustness::nips_fig5a(&records),
    )?);
    written.extend(write_figure(
        folder,
        "robustness-v1",
        &robustness::v1_fig3(&records),
    )?);
    Ok(written)
}

fn write_figure(folder: &Path, name: &str, figure: &Figure) -> anyhow::Result<[PathBuf; 2]> {
    let (svg, png) = (
        folder.join(format!("{name}.svg")),
        folder.join(format!("{name}.png")),
    );
    output::write(&svg, figure.svg().as_bytes())?;
    output::write(&png, &figure.png(DOTS_PER_INCH)?)?;
    Ok([svg, png])
}
