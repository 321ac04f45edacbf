//! `cargo xtask reproduce`: the paper's figures.

use crate::arguments::{Inputs, Run};
use crate::figures::{FigureId, Pass};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::labelled::{self, Labelled};
use crate::manifest::{self, Manifest};
use crate::plot::Figure;
use crate::readings::{altered, suffix, weights, words};
use crate::results::Results;
use crate::{interrupt, output};
use anyhow::ensure;
use clap::ValueEnum;
use std::collections::BTreeSet;
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
    labelled: labelled::Options,
    #[command(flatten)]
    run: Run,
    /// The folder for figures, tables and manifest
    #[arg(long, value_name = "DIR", default_value = "target/reproduce")]
    out: PathBuf,
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
    let figures: Vec<FigureId> = match arguments.figures.as_slice() {
        [] => FigureId::value_variants().to_vec(),
        chosen => {
            let chosen: BTreeSet<FigureId> = chosen.iter().copied().collect();
            chosen.into_iter().collect()
        }
    };
    let limited = arguments.inputs.rows.is_some() || arguments.inputs.tokens.is_some();
    let tokens = (!limited).then_some(DEFAULT_TOKENS);
    let labelled = Labelled::open(&arguments.labelled, &figures)?;
    let models = inputs::open_models(&arguments.inputs)?;
    // What does not fit a model is found before the first of them runs.
    let corpora = models
        .iter()
        .map(|opened| inputs::open_corpus(&arguments.inputs, tokens, opened))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut manifest = Manifest::new(arguments.run.threads().get());
    let mut all = Results::default();
    let mut written = Vec::new();
    for (opened, corpus) in models.iter().zip(&corpora) {
        let folder = arguments.out.join(&opened.name);
        let results = read(
            arguments,
            &figures,
            &labelled,
            opened,
            corpus,
            &folder,
            &mut manifest,
        )?;
        let results = write_tables(&folder, &figures, &results, &mut written)?;
        draw(&folder, &figures, &results, &mut written)?;
        all.extend(results);
    }
    if models.len() > 1 {
        let all = write_tables(&arguments.out, &figures, &all, &mut written)?;
        draw(&arguments.out, &figures, &all, &mut written)?;
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

/// Puts one model through every pass that the figures need, once.
fn read(
    arguments: &Arguments,
    figures: &[FigureId],
    labelled: &Labelled,
    opened: &OpenedModel,
    corpus: &OpenedCorpus,
    folder: &Path,
    manifest: &mut Manifest,
) -> anyhow::Result<Results> {
    let passes: BTreeSet<Pass> = figures
        .iter()
        .flat_map(|figure| figure.passes())
        .copied()
        .collect();
    let mut results = Results::default();
    for pass in passes {
        match pass {
            Pass::Sweep => {
                let plan = altered::plan(opened, figures)?;
                let measurement =
                    altered::read(opened, corpus, plan, folder, &arguments.run, &mut results)?;
                manifest
                    .runs
                    .push(manifest::Run::new(opened, corpus, &measurement));
            }
            Pass::Weights => weights::read(opened, &arguments.run, &mut results)?,
            Pass::Words => words::read(opened, corpus, &arguments.run, &mut results)?,
            Pass::Pairs => labelled.probe(opened, corpus, &arguments.run, &mut results)?,
            Pass::Suffix => suffix::read(opened, corpus, &arguments.run, &mut results)?,
            Pass::Benchmarks => {
                labelled.score(opened, &arguments.inputs, &arguments.run, &mut results)?
            }
            Pass::Plain | Pass::Shift => {}
        }
    }
    Ok(results)
}

/// Writes the figures' tables and reads them back: a drawing never needs more than its tables.
fn write_tables(
    folder: &Path,
    figures: &[FigureId],
    results: &Results,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Results> {
    output::make_folder(folder)?;
    let mut read = Results::default();
    for &figure in figures {
        for (name, bytes) in results.tables(figure)? {
            let path = folder.join(name);
            output::write(&path, &bytes)?;
            written.push(path);
        }
        read.read(figure, folder)?;
    }
    Ok(read)
}

fn draw(
    folder: &Path,
    figures: &[FigureId],
    results: &Results,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    for figure in figures {
        for (name, drawing) in figure.drawings(results) {
            written.extend(write_figure(folder, &name, &drawing)?);
        }
    }
    Ok(())
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
