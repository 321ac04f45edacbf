//! `cargo xtask reproduce`: the paper's figures.

use crate::arguments::{Inputs, Run};
use crate::figures::models::Facts;
use crate::figures::{FigureId, Pass, scale, stages, table};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::labelled::{self, Labelled};
use crate::manifest::{self, Manifest};
use crate::plot::Figure;
use crate::readings::{altered, collapse, plain, shift, weights, words};
use crate::results::Results;
use crate::{claims, interrupt, known_values, output, tables};
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
    /// The text of another kind, for the figure shift: a file as for --corpus [default: the source code of this project]
    #[arg(long, value_name = "FILE")]
    shift_corpus: Option<PathBuf>,
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
    let shifted = if figures.contains(&FigureId::Shift) {
        let (inputs, file) = (&arguments.inputs, arguments.shift_corpus.as_deref());
        shift::open(file, inputs, tokens, &models, &arguments.out)?
    } else {
        models.iter().map(|_| None).collect()
    };
    let chosen = Chosen {
        arguments,
        figures: &figures,
        labelled: &labelled,
    };
    let mut manifest = Manifest::new(arguments.run.threads().get());
    let mut all = Results::default();
    let mut written = Vec::new();
    for ((opened, corpus), shifted) in models.iter().zip(&corpora).zip(&shifted) {
        let folder = arguments.out.join(&opened.name);
        let subject = Subject {
            opened,
            corpus,
            shifted: shifted.as_ref(),
        };
        let mut results = read(&chosen, &subject, &folder, &mut manifest)?;
        derive(&figures, &mut results, &[facts_of(opened)]);
        let drawn = write_tables(&folder, &figures, &results, &mut written)?;
        draw(&folder, &figures, &drawn, &mut written)?;
        all.extend(results);
    }
    let facts: Vec<Facts> = models.iter().map(facts_of).collect();
    derive(&figures, &mut all, &facts);
    if models.len() > 1 {
        let drawn = write_tables(&arguments.out, &figures, &all, &mut written)?;
        draw(&arguments.out, &figures, &drawn, &mut written)?;
    }
    write_judgements(&arguments.out, &all, &facts, &mut written)?;
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

/// What was asked for.
struct Chosen<'a> {
    arguments: &'a Arguments,
    figures: &'a [FigureId],
    labelled: &'a Labelled,
}

/// One model and the texts that it reads.
struct Subject<'a> {
    opened: &'a OpenedModel,
    corpus: &'a OpenedCorpus,
    shifted: Option<&'a OpenedCorpus>,
}

/// Puts one model through every pass that the figures need, once.
fn read(
    chosen: &Chosen<'_>,
    subject: &Subject<'_>,
    folder: &Path,
    manifest: &mut Manifest,
) -> anyhow::Result<Results> {
    let Chosen {
        arguments,
        figures,
        labelled,
    } = *chosen;
    let Subject {
        opened,
        corpus,
        shifted,
    } = *subject;
    let run = &arguments.run;
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
                let measurement = altered::read(opened, corpus, plan, folder, run, &mut results)?;
                manifest
                    .runs
                    .push(manifest::Run::new(opened, corpus, &measurement));
                if figures.contains(&FigureId::Robustness) {
                    collapse::read(opened, corpus, run, &mut results)?;
                }
            }
            Pass::Plain => {
                let wanted = plain::Wanted::by(figures);
                plain::read(opened, corpus, wanted, run, &mut results)?;
            }
            Pass::Shift => {
                if let Some(shifted) = shifted {
                    let wanted = plain::Wanted::by(&[FigureId::Shift]);
                    shift::read(opened, corpus, shifted, wanted, run, &mut results)?;
                }
            }
            Pass::Weights => weights::read(opened, run, &mut results)?,
            Pass::Words => words::read(opened, corpus, run, &mut results)?,
            Pass::Pairs => labelled.probe(opened, corpus, run, &mut results)?,
            Pass::Benchmarks => labelled.score(opened, &arguments.inputs, run, &mut results)?,
            Pass::Suffix => {}
        }
    }
    Ok(results)
}

fn facts_of(opened: &OpenedModel) -> Facts {
    let config = opened.model.config();
    Facts {
        name: opened.name.clone(),
        family: config.family.model_type().to_owned(),
        layers: config.layers,
        parameters: config.parameters(),
    }
}

/// Fills in what is made from other figures' results.
fn derive(figures: &[FigureId], results: &mut Results, models: &[Facts]) {
    if figures.contains(&FigureId::Stages) {
        results.stages = stages::derive(results);
    }
    if figures.contains(&FigureId::Scale) {
        results.scale = scale::derive(results, models);
    }
}

/// Writes what the results of all models say of the paper: its claims, its numbers, its tables.
fn write_judgements(
    out: &Path,
    results: &Results,
    models: &[Facts],
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let mut claims = Vec::new();
    table::write(&claims::judge(results, models), &mut claims)?;
    let mut known = Vec::new();
    table::write(&known_values::compare(results, models)?, &mut known)?;
    let mut files = vec![
        ("claims.csv".to_owned(), claims),
        ("known-values.csv".to_owned(), known),
    ];
    for table in tables::tables(results, models) {
        files.push((format!("{}.csv", table.name), table.csv()?));
    }
    for (name, bytes) in files {
        let path = out.join(name);
        output::write(&path, &bytes)?;
        written.push(path);
    }
    Ok(())
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
