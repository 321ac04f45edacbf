//! `reproduce`: the paper's figures.

use crate::arguments::{Inputs, Run};
use crate::contents::Contents;
use crate::figures::models::Facts;
use crate::figures::{FigureId, Pass, scale, stages, table};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::labelled::{self, Labelled};
use crate::manifest::{self, Manifest};
use crate::measurement::{Portion, announce};
use crate::plot::Figure;
use crate::readings::notebook::Notebook;
use crate::readings::pairs::Pairs;
use crate::readings::scoring::Scoring;
use crate::readings::{altered, collapse, plain, shift, suffix, weights, words};
use crate::results::Results;
use crate::rounding::Rounding;
use crate::{claims, interrupt, known_values, output, program, tables};
use anyhow::ensure;
use clap::ValueEnum;
use layerwise::kernels::cpu_features;
use layerwise::sweep::{Plan, Target};
use layerwise::transformer::Precision;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Options of `reproduce`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Without options: every figure, on the embedded models and text.
With a real model:
  {} reproduce robustness --model path/to/pythia-410m --corpus pile.jsonl --out target/pythia", program::name()))]
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
    /// Let the sweep take the fewest sequences whose standard error is that small under every schedule, as kl_nats=0.01
    #[arg(long, value_name = "STATISTIC=ERROR")]
    until_se: Option<Target>,
    /// Show what would be run, and stop
    #[arg(long)]
    dry_run: bool,
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
    output::check_folder_of_results(&arguments.out)?;
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
    check_folders(&arguments.out, &models)?;
    let asked = figures.iter().copied().filter(|figure| {
        arguments.figures.contains(figure) || arguments.labelled.given(*figure).is_some()
    });
    tokenizers_for(asked, &models)?;
    // What does not fit a model is found before the first of them runs.
    let corpora = models
        .iter()
        .map(|opened| inputs::open_corpus(&arguments.inputs, tokens, opened))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shifted = if figures.contains(&FigureId::Shift) {
        shifted(arguments, tokens, &models)?
    } else {
        models.iter().map(|_| None).collect()
    };
    let chosen = Chosen {
        arguments,
        figures: &figures,
        labelled: &labelled,
    };
    let texts = corpora.iter().zip(&shifted);
    let subjects = models
        .iter()
        .zip(texts)
        .map(|(opened, (corpus, shifted))| chosen.subject(opened, corpus, shifted.as_ref()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for subject in &subjects {
        chosen.announce(subject);
    }
    if arguments.dry_run {
        return Ok(());
    }
    let mut manifest = Manifest::new(arguments.run.threads().get());
    manifest.labelled = labelled.files()?;
    let facts: Vec<Facts> = models.iter().map(facts_of).collect();
    let mut each = Vec::new();
    let mut all = Results::default();
    let mut written = Vec::new();
    for (subject, facts) in subjects.iter().zip(&facts) {
        let folder = arguments.out.join(&subject.opened.name);
        let mut results = chosen.read(subject, &folder, &mut manifest)?;
        derive(&figures, &mut results, std::slice::from_ref(facts));
        let drawn = write_tables(&folder, &figures, &results, &mut written)?;
        draw(&folder, &figures, &drawn, &mut written)?;
        all.extend(results.clone());
        each.push(results);
    }
    derive(&figures, &mut all, &facts);
    if models.len() > 1 {
        let drawn = write_tables(&arguments.out, &figures, &all, &mut written)?;
        draw(&arguments.out, &figures, &drawn, &mut written)?;
    }
    let judgements = Judgements::of(&all, &facts)?;
    judgements.write(&arguments.out, &mut written)?;
    let subjects = models.iter().zip(&corpora).zip(&manifest.runs);
    let report = Contents {
        figures: &figures,
        results: &all,
        each: &each,
        models: &facts,
        facts: subjects
            .map(|((opened, corpus), run)| subject_facts(opened, corpus, run.rounding()))
            .collect(),
        claims: &judgements.claims,
        known: &judgements.known,
        tables: &judgements.tables,
        provenance: provenance(arguments),
    };
    let path = arguments.out.join("report.html");
    output::write(&path, report.report()?.html().as_bytes())?;
    written.push(path);
    output::write(
        &arguments.out.join("manifest.json"),
        manifest.json()?.as_bytes(),
    )?;
    output::print_paths(written)?;
    Ok(())
}

/// Refuses folders of models that could not hold their results, or would take the place of a file.
fn check_folders(out: &Path, models: &[OpenedModel]) -> anyhow::Result<()> {
    for OpenedModel { name, .. } in models {
        ensure!(
            !output::is_name_of_result(Path::new(name)),
            "the folder of {name}'s results would have the name of a file of results; give the model's folder another name"
        );
        output::check_folder_of_results(&out.join(name))?;
    }
    Ok(())
}

/// What was asked for.
struct Chosen<'a> {
    arguments: &'a Arguments,
    figures: &'a [FigureId],
    labelled: &'a Labelled,
}

/// One model, with what it reads.
struct Subject<'a> {
    opened: &'a OpenedModel,
    corpus: &'a OpenedCorpus,
    shifted: Option<&'a OpenedCorpus>,
    /// The sweep, where a figure needs one.
    plan: Option<Plan>,
    /// The benchmark items, where a figure needs them and the model can read them.
    scoring: Option<Scoring<'a>>,
}

impl<'a> Chosen<'a> {
    fn passes(&self) -> BTreeSet<Pass> {
        let passes = self.figures.iter().flat_map(|figure| figure.passes());
        passes.copied().collect()
    }

    fn portion(&self) -> Portion {
        Portion {
            until_se: self.arguments.until_se,
            ..Portion::default()
        }
    }

    /// Prepares what the passes need.
    fn subject(
        &self,
        opened: &'a OpenedModel,
        corpus: &'a OpenedCorpus,
        shifted: Option<&'a OpenedCorpus>,
    ) -> anyhow::Result<Subject<'a>> {
        let passes = self.passes();
        let plan = passes
            .contains(&Pass::Sweep)
            .then(|| altered::plan(opened, self.figures))
            .transpose()?;
        let Arguments { inputs, run, .. } = self.arguments;
        let scoring = match passes.contains(&Pass::Benchmarks) {
            true => self.labelled.scoring(opened, inputs, run)?,
            false => None,
        };
        Ok(Subject {
            opened,
            corpus,
            shifted,
            plan,
            scoring,
        })
    }

    /// Tells what a model is going to be put through.
    fn announce(&self, subject: &Subject<'_>) {
        let Subject { opened, corpus, .. } = subject;
        let say = |what: &dyn Display| output::say(format_args!("{}: {what}", opened.name));
        let on = |corpus: &OpenedCorpus| {
            let corpus = &corpus.corpus;
            format!(
                "on {} sequences, {} tokens",
                corpus.sequences().len(),
                corpus.tokens()
            )
        };
        let passes = self.passes();
        say(&format_args!(
            "{} for {}",
            counted(passes.len(), "pass", "passes"),
            counted(self.figures.len(), "figure", "figures"),
        ));
        for pass in passes {
            match pass {
                Pass::Sweep => {
                    if let Some(plan) = &subject.plan {
                        announce(opened, corpus, plan, &self.arguments.run, &self.portion());
                    }
                    if self.figures.contains(&FigureId::Robustness) {
                        let sequences = collapse::sequences(corpus).len();
                        say(&format_args!(
                            "first block changed: 2 schedules on {sequences} sequences"
                        ));
                    }
                }
                Pass::Plain => say(&format_args!("plain: {}", on(corpus))),
                Pass::Shift => match subject.shifted {
                    Some(shifted) => say(&format_args!("plain, other text: {}", on(shifted))),
                    None if self.arguments.dry_run => {
                        say(&"plain, other text: on the source code of this project");
                    }
                    // It was said when the text was looked for.
                    None => {}
                },
                Pass::Weights => {
                    let blocks = opened.model.config().layers;
                    say(&format_args!("weights: {blocks} blocks"));
                }
                Pass::Words => say(&"windows of words, looked for in whole documents"),
                Pass::Pairs => {
                    if let Some(Pairs {
                        train, dev, test, ..
                    }) = self.labelled.pairs()
                    {
                        let [train, dev, test] = [train, dev, test].map(Vec::len);
                        say(&format_args!(
                            "word senses: {train} pairs, then {dev} and {test}"
                        ));
                    }
                }
                Pass::Suffix => say(&format_args!("contexts of an ending: {}", on(corpus))),
                Pass::Benchmarks => {
                    if let Some(scoring) = &subject.scoring {
                        scoring.announce(&opened.name);
                    }
                }
            }
        }
    }

    /// Puts one model through every pass that the figures need, once.
    fn read(
        &self,
        subject: &Subject<'_>,
        folder: &Path,
        manifest: &mut Manifest,
    ) -> anyhow::Result<Results> {
        let Subject {
            opened,
            corpus,
            shifted,
            ..
        } = *subject;
        let run = &self.arguments.run;
        let notebook = &Notebook {
            opened,
            folder,
            run,
        };
        let mut results = Results::default();
        let mut record = manifest::Run::new(opened, corpus).with_shifted(shifted);
        for pass in self.passes() {
            match pass {
                Pass::Sweep => {
                    if let Some(plan) = &subject.plan {
                        let portion = self.portion();
                        let measurement =
                            altered::read(notebook, corpus, plan, &portion, &mut results)?;
                        record = record.with_sweep(&measurement);
                    }
                    if self.figures.contains(&FigureId::Robustness) {
                        collapse::read(notebook, corpus, &mut results)?;
                    }
                }
                Pass::Plain => {
                    let wanted = plain::Wanted::by(self.figures);
                    plain::read(notebook, corpus.corpus.sequences(), wanted, &mut results)?;
                }
                Pass::Shift => {
                    if let Some(shifted) = shifted {
                        shift::read(notebook, corpus, shifted, &mut results)?;
                    }
                }
                Pass::Weights => weights::read(opened, run, &mut results)?,
                Pass::Words => {
                    words::read(opened, corpus, &self.arguments.inputs, run, &mut results)?;
                }
                Pass::Pairs => self.labelled.probe(opened, corpus, run, &mut results)?,
                Pass::Benchmarks => {
                    if let Some(scoring) = &subject.scoring {
                        scoring.read(notebook, &mut results)?;
                    }
                }
                Pass::Suffix => suffix::read(notebook, corpus, &mut results)?,
            }
        }
        manifest.runs.push(record);
        Ok(results)
    }
}

/// The text of another kind as each model reads it; a dry run writes none.
fn shifted(
    arguments: &Arguments,
    tokens: Option<usize>,
    models: &[OpenedModel],
) -> anyhow::Result<Vec<Option<OpenedCorpus>>> {
    let file = arguments.shift_corpus.as_deref();
    if arguments.dry_run && file.is_none() {
        return Ok(models.iter().map(|_| None).collect());
    }
    shift::open(file, &arguments.inputs, tokens, models, &arguments.out)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
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

/// Refuses figures that were asked for, by name or with data of their own, of a model that has no tokenizer for them.
fn tokenizers_for(
    mut figures: impl Iterator<Item = FigureId>,
    models: &[OpenedModel],
) -> anyhow::Result<()> {
    let Some(figure) = figures.find(|figure| figure.needs_tokenizer()) else {
        return Ok(());
    };
    for opened in models {
        ensure!(
            inputs::open_tokenizer(opened)?.is_some(),
            "{}: {} needs a tokenizer.json to read text with, found none in {}",
            opened.name,
            figure.name(),
            opened.folder.display()
        );
    }
    Ok(())
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

/// What the results of all models say of the paper: its claims, its numbers, its tables.
struct Judgements {
    claims: Vec<claims::Row>,
    known: Vec<known_values::Compared>,
    tables: Vec<tables::Table>,
}

impl Judgements {
    fn of(results: &Results, models: &[Facts]) -> anyhow::Result<Self> {
        Ok(Self {
            claims: claims::judge(results, models),
            known: known_values::compare(results, models)?,
            tables: tables::tables(results, models),
        })
    }

    fn write(&self, out: &Path, written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        let mut claims = Vec::new();
        table::write(&self.claims, &mut claims)?;
        let mut known = Vec::new();
        table::write(&self.known, &mut known)?;
        let mut files = vec![
            ("claims.csv".to_owned(), claims),
            ("known-values.csv".to_owned(), known),
        ];
        for table in &self.tables {
            files.push((format!("{}.csv", table.name), table.csv()?));
        }
        for (name, bytes) in files {
            let path = out.join(name);
            output::write(&path, &bytes)?;
            written.push(path);
        }
        Ok(())
    }
}

/// What a reader of the report wants to know of a model.
fn subject_facts(
    opened: &OpenedModel,
    corpus: &OpenedCorpus,
    rounding: Option<&Rounding>,
) -> Vec<(String, String)> {
    let config = opened.model.config();
    let precision = opened.model.precision();
    let difference = match rounding {
        _ if precision == Precision::F32 => None,
        Some(rounding) => Some(rounding.told(precision)),
        None => Some("not measured: no altered schedules were run".to_owned()),
    };
    let difference = difference.map(|told| ("Difference from f32", told));
    let facts = [
        ("Family", config.family.model_type().to_owned()),
        ("Blocks", config.layers.to_string()),
        ("Width", config.model.to_string()),
        ("Vocabulary", config.vocab.to_string()),
        ("Parameters", config.parameters().to_string()),
        ("Precision", precision.name().to_owned()),
        (
            "Text",
            corpus
                .path
                .file_name()
                .unwrap_or_default()
                .display()
                .to_string(),
        ),
        ("Sequences", corpus.corpus.sequences().len().to_string()),
        ("Tokens", corpus.corpus.tokens().to_string()),
    ];
    let facts = facts.into_iter().chain(difference);
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn provenance(arguments: &Arguments) -> Vec<(String, String)> {
    let data = |given: &Option<PathBuf>| match given {
        Some(folder) => folder.display().to_string(),
        None => "stand-ins made from the embedded text".to_owned(),
    };
    let facts = [
        ("layerwise", env!("CARGO_PKG_VERSION").to_owned()),
        ("Instruction sets", cpu_features().to_owned()),
        ("Benchmark items", data(&arguments.labelled.benchmarks)),
        ("Word-in-context pairs", data(&arguments.labelled.wic)),
        (
            "Files and their hashes",
            "manifest.json, beside this page".to_owned(),
        ),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Writes the figures' tables and reads them back, as a drawing needs no more than its tables; of figures that were not
/// chosen, what a chosen one shares is as it was measured.
fn write_tables(
    folder: &Path,
    figures: &[FigureId],
    results: &Results,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Results> {
    output::make_folder(folder)?;
    let mut read = results.clone();
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
