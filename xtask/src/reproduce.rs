//! `reproduce`: the paper's figures.

use crate::arguments::{self, Inputs, Run};
use crate::experiments::EXPERIMENTS;
use crate::experiments::core::experiment::Experiment;
use crate::experiments::core::models::Facts;
use crate::experiments::core::tables::Tables;
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::labelled::{self, Labelled};
use crate::manifest::{self, Manifest, Reported};
use crate::measurement::{Portion, announce};
use crate::passes::{Pass, passes};
use crate::readings::altered::{self, Altered};
use crate::readings::notebook::Notebook;
use crate::readings::pairs::Pairs;
use crate::readings::scoring::Scoring;
use crate::readings::{plain, shift, suffix, weights, words};
use crate::results::Results;
use crate::rounding::Rounding;
use crate::{interrupt, output, program, results};
use anyhow::ensure;
use clap::builder::PossibleValue;
use layerwise::kernels::cpu_features;
use layerwise::sweep::Target;
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
    /// Experiments to run [default: all]
    #[arg(value_name = "EXPERIMENT", value_parser = known())]
    experiments: Vec<String>,
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
    #[arg(long, value_name = "STATISTIC=ERROR", value_parser = arguments::target)]
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

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be accepted, outputs that cannot be written, or an interrupt.
pub fn reproduce(arguments: &Arguments) -> anyhow::Result<()> {
    output::check_folder_of_results(&arguments.out)?;
    interrupt::watch(true)?;
    let named = |id: &str| arguments.experiments.iter().any(|named| named == id);
    let chosen: Vec<&dyn Experiment> = EXPERIMENTS
        .iter()
        .copied()
        .filter(|experiment| arguments.experiments.is_empty() || named(experiment.id()))
        .collect();
    let ids: Vec<&str> = chosen.iter().map(|experiment| experiment.id()).collect();
    let limited = arguments.inputs.rows.is_some() || arguments.inputs.tokens.is_some();
    let tokens = (!limited).then_some(DEFAULT_TOKENS);
    let labelled = Labelled::open(&arguments.labelled, &ids)?;
    let models = inputs::open_models(&arguments.inputs)?;
    check_folders(&arguments.out, &models)?;
    let asked = chosen.iter().copied().filter(|experiment| {
        let id = experiment.id();
        named(id) || arguments.labelled.given(id).is_some()
    });
    tokenizers_for(asked, &models)?;
    // What does not fit a model is found before the first of them runs.
    let corpora = models
        .iter()
        .map(|opened| inputs::open_corpus(&arguments.inputs, tokens, opened))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shifted = if ids.contains(&"shift") {
        shifted(arguments, tokens, &models)?
    } else {
        models.iter().map(|_| None).collect()
    };
    let run = Chosen {
        arguments,
        ids: &ids,
        labelled: &labelled,
    };
    let texts = corpora.iter().zip(&shifted);
    let subjects = models
        .iter()
        .zip(texts)
        .map(|(opened, (corpus, shifted))| run.subject(opened, corpus, shifted.as_ref()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for subject in &subjects {
        run.announce(subject);
    }
    if arguments.dry_run {
        return Ok(());
    }
    let mut manifest = Manifest::new(arguments.run.threads().get());
    manifest.labelled = labelled.files()?;
    let facts: Vec<Facts> = models.iter().map(facts_of).collect();
    let mut all = Tables::default();
    let mut drawn = Vec::new();
    let mut written = Vec::new();
    for (subject, facts) in subjects.iter().zip(&facts) {
        let folder = arguments.out.join(&subject.opened.name);
        let mut tables = run.read(subject, &folder, &mut manifest)?;
        derive(&chosen, &mut tables, std::slice::from_ref(facts));
        let tables = results::write_tables(&folder, &chosen, &tables, &mut written)?;
        drawn.push(results::draw(&folder, &chosen, &tables, &mut written)?);
        all.extend(tables);
    }
    derive(&chosen, &mut all, &facts);
    let mut together = None;
    if models.len() > 1 {
        all = results::write_tables(&arguments.out, &chosen, &all, &mut written)?;
        together = Some(results::draw(&arguments.out, &chosen, &all, &mut written)?);
    }
    let subjects = models.iter().zip(&corpora).zip(&manifest.runs);
    let told =
        subjects.map(|((opened, corpus), run)| subject_facts(opened, corpus, run.rounding()));
    let reported = Reported::new(&ids, facts.into_iter().zip(told), provenance(arguments));
    let results = Results {
        experiments: &chosen,
        tables: &all,
        each: &drawn,
        together: together.as_ref(),
        reported: &reported,
    };
    results.conclude(&arguments.out, &mut written)?;
    manifest.reported = Some(reported);
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
    /// The experiments' names.
    ids: &'a [&'static str],
    labelled: &'a Labelled,
}

/// One model, with what it reads.
struct Subject<'a> {
    opened: &'a OpenedModel,
    corpus: &'a OpenedCorpus,
    shifted: Option<&'a OpenedCorpus>,
    /// The sweep, where a figure needs one.
    altered: Option<Altered>,
    /// The benchmark items, where a figure needs them and the model can read them.
    scoring: Option<Scoring<'a>>,
}

impl<'a> Chosen<'a> {
    fn passes(&self) -> BTreeSet<Pass> {
        let passes = self.ids.iter().flat_map(|id| passes(id));
        passes.copied().collect()
    }

    fn portion(&self) -> Portion {
        Portion {
            until_se: self.arguments.until_se.clone(),
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
        let altered = passes
            .contains(&Pass::Sweep)
            .then(|| Altered::new(opened, self.ids))
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
            altered,
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
            counted(self.ids.len(), "experiment", "experiments"),
        ));
        for pass in passes {
            match pass {
                Pass::Sweep => {
                    if let Some(Altered { plan, measure, .. }) = &subject.altered {
                        let (run, portion) = (&self.arguments.run, self.portion());
                        announce(opened, corpus, plan, measure, run, &portion);
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

    /// Puts one model through every pass that the experiments need, once.
    fn read(
        &self,
        subject: &Subject<'_>,
        folder: &Path,
        manifest: &mut Manifest,
    ) -> anyhow::Result<Tables> {
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
        let mut tables = Tables::default();
        let mut record = manifest::Run::new(opened, corpus).with_shifted(shifted);
        for pass in self.passes() {
            match pass {
                Pass::Sweep => {
                    if let Some(altered) = &subject.altered {
                        let portion = self.portion();
                        let measurement =
                            altered::read(notebook, corpus, altered, &portion, &mut tables)?;
                        record = record.with_sweep(&measurement);
                    }
                }
                Pass::Plain => {
                    let wanted = plain::Wanted::by(self.ids);
                    plain::read(notebook, corpus.corpus.sequences(), wanted, &mut tables)?;
                }
                Pass::Shift => {
                    if let Some(shifted) = shifted {
                        shift::read(notebook, corpus, shifted, &mut tables)?;
                    }
                }
                Pass::Weights => weights::read(opened, run, &mut tables)?,
                Pass::Words => {
                    words::read(opened, corpus, &self.arguments.inputs, run, &mut tables)?;
                }
                Pass::Pairs => self.labelled.probe(opened, corpus, run, &mut tables)?,
                Pass::Benchmarks => {
                    if let Some(scoring) = &subject.scoring {
                        scoring.read(notebook, &mut tables)?;
                    }
                }
                Pass::Suffix => suffix::read(notebook, corpus, &mut tables)?,
            }
        }
        manifest.runs.push(record);
        Ok(tables)
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

/// Refuses experiments that were asked for, by name or with data of their own, of a model that has no tokenizer for them.
fn tokenizers_for(
    mut experiments: impl Iterator<Item = &'static dyn Experiment>,
    models: &[OpenedModel],
) -> anyhow::Result<()> {
    let Some(experiment) = experiments.find(|experiment| experiment.needs().tokenizer) else {
        return Ok(());
    };
    for opened in models {
        ensure!(
            inputs::open_tokenizer(opened)?.is_some(),
            "{}: {} needs a tokenizer.json to read text with, found none in {}",
            opened.name,
            experiment.id(),
            opened.folder.display()
        );
    }
    Ok(())
}

/// Fills in what is made from other experiments' tables.
fn derive(experiments: &[&dyn Experiment], tables: &mut Tables, models: &[Facts]) {
    for experiment in experiments {
        experiment.derive(tables, models);
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

/// The names that the command line knows, with what each shows.
fn known() -> Vec<PossibleValue> {
    let value = |experiment: &&dyn Experiment| {
        PossibleValue::new(experiment.id()).help(experiment.about().summary)
    };
    EXPERIMENTS.iter().map(value).collect()
}
