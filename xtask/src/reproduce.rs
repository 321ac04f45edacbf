//! `reproduce`: draws the paper's figures.

use crate::arguments::{self, Inputs, Run};
use crate::experiments;
use crate::experiments::core::clock::Clock;
use crate::experiments::core::data::{Data, Shared};
use crate::experiments::core::error::{ExperimentError, OfShare};
use crate::experiments::core::experiment::{Experiment, Passes};
use crate::experiments::core::models::Facts;
use crate::experiments::core::subject::{Runs, Subject};
use crate::experiments::core::sweep::{Sweep, Swept};
use crate::experiments::core::tables::Tables;
use crate::experiments::results::{Results, derive};
use crate::experiments::session::{Session, Step};
use crate::facts::{self, subject_facts};
use crate::first::First;
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::labelled::{self, Labelled};
use crate::manifest::{self, Manifest, OtherTexts, Reported};
use crate::measurement::{self, Items, Measurement, Portion, announce, tell_skipped};
use crate::output::Named;
use crate::progress::{Pass, TERMINAL};
use crate::stopwatch::{Stopwatch, Timing};
use crate::trial::Trial;
use crate::{chosen, ending, interrupt, other_text, output, program, results, taken_up};
use anyhow::{Context, anyhow, ensure};
use indicatif::HumanDuration;
use layerwise::chat::Template;
use layerwise::corpus::Tokenizer;
use layerwise::journal::{Divided, Shard};
use layerwise::sweep::{Divergence, Journals, Sums, Target, cost};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Options of `reproduce`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Without options: every figure, on the embedded models and text.
With a real model:
  {} reproduce robustness --model path/to/pythia-410m --corpus pile.jsonl --out layerwise-pythia", program::name()))]
pub struct Arguments {
    /// Experiments to run, or figures (such as nips-fig5a) or claims (such as D5) that need them [default: all]
    #[arg(value_name = "EXPERIMENT", value_parser = chosen::names())]
    experiments: Vec<String>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    labelled: labelled::Options,
    #[command(flatten)]
    run: Run,
    #[command(flatten)]
    prompts: labelled::Prompts,
    #[command(flatten)]
    times: Timing,
    /// The text of another kind, for experiments that compare two texts: a file as for --corpus [default: the source code of this
    /// project]
    #[arg(long, value_name = "FILE")]
    shift_corpus: Option<PathBuf>,
    /// Run only shard K of N of the items of every measurement; `merge` joins the shards and draws the figures
    #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE, conflicts_with_all = ["until_se", "open", "list_files"])]
    shard: Shard,
    /// Reuse what shards of this run have finished in a folder other than --out, such as shards of another division
    #[arg(long, value_name = "DIR")]
    take_up: Vec<PathBuf>,
    /// Whether to take a shard's whole work from those folders, and run nothing of it.
    #[arg(skip)]
    only_taken_up: bool,
    /// Stop the sweep at the fewest sequences that bring this standard error down under every schedule, such as kl_nats=0.01
    #[arg(long, value_name = "STATISTIC=ERROR", value_parser = arguments::target)]
    until_se: Option<Target>,
    /// Show the plan, and stop
    #[arg(long, conflicts_with_all = ["open", "list_files"])]
    dry_run: bool,
    /// The folder for figures, tables and manifest
    #[arg(long, value_name = "DIR", default_value = "layerwise-out")]
    out: PathBuf,
    #[command(flatten)]
    show: ending::Options,
}

impl Arguments {
    /// The arguments of a command whose shards ran, changed to merge them into `out`. It fetches no model, and neither reads nor
    /// writes packed weights: the shards may come from a stranger.
    ///
    /// # Errors
    /// This version does not know the command line.
    pub fn of_shards(
        command: &[String],
        shards: Vec<PathBuf>,
        out: PathBuf,
    ) -> anyhow::Result<Self> {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            arguments: Arguments,
        }
        let parsed = match command.first().is_some_and(|name| name == "reproduce") {
            true => clap::Parser::try_parse_from(command).map_err(|error| {
                let said = error.to_string();
                said.lines().next().unwrap_or_default().to_owned()
            }),
            false => Err("another command".to_owned()),
        };
        let Alone { mut arguments } = parsed
            .map_err(|found| anyhow!("expected the arguments of reproduce, found {found}"))?;
        arguments.inputs.opening.fetch = false;
        arguments.inputs.opening.pack_cache = None;
        arguments.shard = Shard::WHOLE;
        arguments.run.fresh = false;
        arguments.take_up = shards;
        arguments.only_taken_up = true;
        // A merge must not open a browser, or stop before anything is merged.
        arguments.show = ending::Options::default();
        arguments.dry_run = false;
        arguments.out = out;
        Ok(arguments)
    }

    /// The folder for figures, tables and manifest.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The same command, limited to the first items and the given number of threads.
    #[must_use]
    pub fn tried(mut self, trial: &'static Trial, threads: NonZeroUsize) -> Self {
        self.run.trial = Some(trial);
        self.run.threads = Some(threads);
        self.shard = Trial::share();
        self
    }
}

/// Tokens of a run without `--rows` and `--tokens`: enough for the shape of the curves, minutes for a small model.
const DEFAULT_TOKENS: usize = 20_000;

/// Runs the command.
///
/// # Errors
/// Inputs are invalid, outputs cannot be written, or the user interrupts.
pub fn reproduce(arguments: &Arguments) -> anyhow::Result<()> {
    output::check_folder_of_results(&arguments.out)?;
    let given = match arguments.only_taken_up {
        true => &[],
        false => arguments.take_up.as_slice(),
    };
    taken_up::check(given)?;
    interrupt::watch(interrupt::KEPT)?;
    let chosen = chosen::experiments(&arguments.experiments);
    let ids: Vec<&str> = chosen.iter().map(|experiment| experiment.id()).collect();
    let limited = arguments.inputs.rows.is_some() || arguments.inputs.tokens.is_some();
    let tokens = (!limited).then_some(DEFAULT_TOKENS);
    let needed = experiments::with_needed(&chosen);
    let of_needed: Vec<&str> = needed.iter().map(|experiment| experiment.id()).collect();
    let reads_other_text = chosen.iter().any(|it| it.needs().other_text);
    ensure!(
        reads_other_text || arguments.shift_corpus.is_none(),
        "--shift-corpus: no experiment that is to run compares two texts; name one, such as shift, or leave the option out"
    );
    let mut labelled = Labelled::open(&arguments.labelled, &of_needed)?;
    labelled.ask(&arguments.prompts, &of_needed)?;
    let threads = arguments.run.threads();
    let stopwatch = arguments.times.stopwatch(threads, &of_needed)?;
    let models = inputs::open_models(&arguments.inputs)?;
    results::check_folders(&arguments.out, &models, inputs_of(arguments))?;
    let names: Vec<&str> = models.iter().map(|opened| opened.name.as_str()).collect();
    taken_up::tell_empty(given, &names);
    let asked = chosen.iter().copied().filter(|experiment| {
        chosen::is_named(*experiment, &arguments.experiments)
            || arguments.labelled.given(experiment.id()).is_some()
    });
    let tokenizers = models
        .iter()
        .map(inputs::open_tokenizer)
        .collect::<anyhow::Result<Vec<_>>>()?;
    chosen::check_tokenizers(asked, &models, &tokenizers)?;
    let talks = needed.iter().any(|experiment| experiment.needs().template);
    let templates = inputs::chat_templates(&models, talks)?;
    // Find whatever does not fit a model before the first model runs.
    let corpora = models
        .iter()
        .map(|opened| inputs::open_corpus(&arguments.inputs, tokens, opened))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shifted = if reads_other_text {
        let file = arguments.shift_corpus.as_deref();
        other_text::open(file, &arguments.inputs, tokens, &models)?
    } else {
        models.iter().map(|_| None).collect()
    };
    let plan = Plan {
        arguments,
        stopwatch: stopwatch.as_ref(),
        data: labelled.data(),
        experiments: &needed,
    };
    output::say(format_args!("experiments: {}", of_needed.join(", ")));
    let mut told = BTreeSet::new();
    let mut all_measured = Vec::new();
    for (at, opened) in models.iter().enumerate() {
        let text = (tokenizers[at].as_ref(), templates[at].as_ref());
        let measured = plan.measured(opened, text, &corpora[at], shifted[at].as_ref())?;
        plan.announce(&measured, &mut told)?;
        all_measured.push(measured);
    }
    ensure!(
        arguments.until_se.is_none() || all_measured.iter().any(|m| m.session.sweep.is_some()),
        "--until-se: no experiment that is to run sweeps schedules over the text; name one, such as robustness, or leave the option out"
    );
    let passes = all_measured.iter().map(Measured::passes);
    let passes = passes.collect::<anyhow::Result<Vec<_>>>()?.concat();
    if arguments.dry_run {
        return plan.estimate(&all_measured, &passes);
    }
    if arguments.run.trial.is_some() {
        return plan.run_items(&all_measured);
    }
    if arguments.shard != Shard::WHOLE {
        plan.run_shard(&all_measured)?;
        taken_up::tell_foreign(given, &names, &arguments.out);
        return Ok(());
    }
    TERMINAL.plan(passes);
    let load = manifest::load_average();
    let mut manifest = Manifest::new(threads.get());
    manifest.labelled = labelled.files()?;
    let subjects = all_measured.iter().map(|m| &m.session.subject);
    let facts: Vec<Facts> = subjects.map(Subject::facts).collect();
    let mut all = Tables::default();
    let mut drawn = Vec::new();
    let mut written = Vec::new();
    let captioned = facts::captioned(&models, &corpora);
    let provenance = facts::provenance(arguments.labelled.told());
    for (at, (measured, facts)) in all_measured.iter().zip(&facts).enumerate() {
        let folder = arguments.out.join(&measured.opened.name);
        let first = First {
            folder: &folder,
            experiments: &chosen,
            captioned: &captioned[at..=at],
            provenance: &provenance,
        };
        let mut tables = plan.run(measured, &mut manifest, |passes| {
            first.draw(&measured.session.subject, passes, facts)
        })?;
        derive(&chosen, &mut tables, std::slice::from_ref(facts));
        let tables = results::write_tables(&folder, &chosen, &tables, &mut written)?;
        drawn.push(results::draw(
            &folder,
            &chosen,
            &tables,
            &captioned[at..=at],
            &provenance,
            &mut written,
        )?);
        all.extend(tables);
    }
    derive(&chosen, &mut all, &facts);
    let mut together = None;
    if models.len() > 1 {
        all = results::write_tables(&arguments.out, &chosen, &all, &mut written)?;
        together = Some(results::draw(
            &arguments.out,
            &chosen,
            &all,
            &captioned,
            &provenance,
            &mut written,
        )?);
    }
    let subjects = models.iter().zip(&corpora).zip(&manifest.runs);
    let told =
        subjects.map(|((opened, corpus), run)| subject_facts(opened, corpus, run.rounding()));
    let reported = Reported::new(&ids, facts.into_iter().zip(told), provenance);
    let results = Results {
        experiments: &chosen,
        tables: &all,
        each: &drawn,
        together: together.as_ref(),
        models: &reported.facts(),
        facts: reported.told(),
        provenance: reported.provenance.clone(),
    };
    let verdicts = results::conclude(results, &arguments.out, &mut written)?;
    manifest.reported = Some(reported);
    if stopwatch.is_some() {
        manifest = manifest.with_load(load, manifest::load_average());
    }
    output::write(
        &arguments.out.join("manifest.json"),
        manifest.json()?.as_bytes(),
    )?;
    taken_up::tell_foreign(given, &names, &arguments.out);
    arguments.show.show(&verdicts, &written)
}

/// The inputs that results might replace.
fn inputs_of(arguments: &Arguments) -> impl Iterator<Item = Named> {
    let texts = [
        ("--corpus", arguments.inputs.corpus.clone()),
        ("--shift-corpus", arguments.shift_corpus.clone()),
    ];
    texts.into_iter().chain(arguments.labelled.named_files())
}

/// One model and its inputs.
struct Measured<'a> {
    opened: &'a OpenedModel,
    corpus: &'a OpenedCorpus,
    shifted: Option<&'a OpenedCorpus>,
    session: Session<'a>,
    /// What determines the token before texts other than the corpus, if an experiment reads one.
    bos_source: Option<String>,
}

impl Measured<'_> {
    /// The passes, in order, by their names on the terminal.
    fn passes(&self) -> anyhow::Result<Vec<Pass>> {
        let passes = self.session.passes()?.into_iter();
        let named = passes.map(|pass| Pass {
            name: format!("{} of {}", pass.experiments.join(", "), self.opened.name),
            work: pass.work,
        });
        Ok(named.collect())
    }
}

/// The work to do for each model.
struct Plan<'a> {
    arguments: &'a Arguments,
    /// The clock, if times are measured.
    stopwatch: Option<&'a Stopwatch>,
    data: &'a Data,
    /// The experiments, each after those it needs.
    experiments: &'a [&'static dyn Experiment],
}

impl<'a> Plan<'a> {
    fn portion(&self, opened: &OpenedModel) -> Portion {
        let taken_up = self.arguments.take_up.iter();
        Portion {
            shard: self.arguments.shard,
            until_se: self.arguments.until_se.clone(),
            taken_up: taken_up.map(|folder| folder.join(&opened.name)).collect(),
            only_taken_up: self.arguments.only_taken_up,
            ..Portion::default()
        }
    }

    fn measured(
        &self,
        opened: &'a OpenedModel,
        (tokenizer, template): (Option<&'a Tokenizer>, Option<&'a Template>),
        corpus: &'a OpenedCorpus,
        shifted: Option<&'a OpenedCorpus>,
    ) -> anyhow::Result<Measured<'a>> {
        let Arguments {
            inputs, run, out, ..
        } = self.arguments;
        // The target applies to the sweep only.
        let portion = Portion {
            until_se: None,
            ..self.portion(opened)
        };
        let text = |corpus: &'a OpenedCorpus| corpus.text(inputs.tokens);
        let reads_texts = self.experiments.iter().any(|own| own.needs().tokenizer);
        let reader = tokenizer.filter(|_| reads_texts);
        let beginning = reader.map(|own| corpus.beginning_of_others(inputs.bos, opened, own));
        let (bos, bos_source) = beginning.transpose()?.unzip();
        let subject = Subject {
            model: &opened.model,
            name: &opened.name,
            tokenizer,
            text: text(corpus),
            other_text: shifted.map(text),
            bos: bos.flatten(),
            is_bos_asked: inputs.bos.is_asked(),
            end_tokens: inputs::end_tokens(opened)?,
            template,
            data: self.data,
            runs: Runs {
                model: opened.subject(),
                runner: match run.trial {
                    Some(_) => portion.of(opened.runner(run)),
                    None => portion
                        .of(opened.runner(run))
                        .journals(Journals::Folder(out.join(&opened.name))),
                },
            },
            clock: self.stopwatch.map(|clock| clock as &dyn Clock),
            shared: Shared::default(),
        };
        let session = Session::new(subject, self.experiments);
        Ok(Measured {
            opened,
            bos_source,
            corpus,
            shifted,
            session: session.with_context(|| opened.name.clone())?,
        })
    }

    /// Prints what will run on a model, and refuses whatever does not fit it. Omits what it printed word for word for an earlier
    /// model.
    fn announce(&self, measured: &Measured<'_>, told: &mut BTreeSet<String>) -> anyhow::Result<()> {
        let Measured {
            opened,
            corpus,
            session,
            ..
        } = measured;
        let (name, before) = (&opened.name, told.len());
        let mut as_before = 0;
        let mut say = |line: String| match told.contains(&line) {
            true => as_before += 1,
            false => {
                output::say(format_args!("{name}: {line}"));
                told.insert(line);
            }
        };
        if let Some(Sweep { plan, measure, .. }) = &session.sweep {
            let (run, portion) = (&self.arguments.run, self.portion(opened));
            announce(opened, &items(corpus, measure), plan, run, &portion);
            tell_skipped(corpus);
        }
        session.announce(&mut say)?;
        if as_before > 0 && before > 0 {
            output::say(format_args!("{name}: otherwise as above"));
        }
        Ok(())
    }

    /// Estimates the time and memory of all passes, from a trial of the plain model on one thread.
    fn estimate(&self, all: &[Measured<'_>], passes: &[Pass]) -> anyhow::Result<()> {
        const TOKENS: usize = 128;
        let threads = self.arguments.run.threads();
        let mut passes = passes.iter();
        let (mut seconds, mut count, mut weights, mut runs) = (0.0, 0, 0, 0);
        for measured in all {
            let Measured {
                opened,
                corpus,
                session,
                ..
            } = measured;
            let (model, sequence) = (&opened.model, &corpus.corpus.sequences()[0]);
            let tokens = &sequence[..sequence.len().min(TOKENS)];
            // The first run brings the weights into memory.
            let mut took = Duration::MAX;
            for _ in 0..2 {
                let start = Instant::now();
                model.run(tokens, &model.plain(), &mut ())?;
                took = took.min(start.elapsed());
            }
            let rate = cost::of_plain(model, tokens.len()) / took.as_secs_f64();
            let own = passes.by_ref().take(measured.passes()?.len());
            for pass in own {
                seconds += pass.work / rate / threads.get() as f64;
                count += 1;
            }
            weights += model.config().parameters() * model.precision().bytes() as u64;
            if let Some(Sweep { plan, measure, .. }) = &session.sweep {
                let runner = self.portion(opened).of(opened.runner(&self.arguments.run));
                runs = runs.max(runner.bytes(model, plan, measure, corpus.corpus.sequences()));
            }
        }
        let together = match self.arguments.shard.count() {
            1 => String::new(),
            shards => format!(" for all {shards} shards together"),
        };
        output::say(format_args!(
            "{count} {}: about {} on {threads} threads{together}, from a trial of {TOKENS} tokens, and some more for readings of \
             states and weights; {} MiB of weights, and at most {} MiB for the sweep",
            if count == 1 { "pass" } else { "passes" },
            HumanDuration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
            weights.div_ceil(1 << 20),
            runs.div_ceil(1 << 20),
        ));
        Ok(())
    }

    /// Runs a model's sweep, or its shard.
    fn sweep(&self, measured: &Measured<'_>, sweep: &Sweep) -> anyhow::Result<Measurement<Sums>> {
        let Measured { opened, corpus, .. } = measured;
        let run = &self.arguments.run;
        let journals = Journals::Folder(self.arguments.out.join(&opened.name));
        measurement::measure(
            opened,
            &items(corpus, &sweep.measure),
            sweep.plan.clone(),
            run.trial.is_none().then_some(journals),
            run,
            &self.portion(opened),
        )
    }

    /// Runs one shard of every measurement that has items, for all models.
    fn run_shard(&self, all: &[Measured<'_>]) -> anyhow::Result<()> {
        let Arguments { out, shard, .. } = self.arguments;
        output::make_folder(out)?;
        let path = out.join(Divided::FILE);
        output::write(&path, manifest::divided()?.json()?.as_bytes())?;
        self.run_items(all)?;
        output::say(format_args!(
            "shard {shard} is finished; when all {} are, merge them with `{} merge RUN… --out DIR`, where this RUN is:",
            shard.count(),
            program::name()
        ));
        output::print_paths([out])?;
        Ok(())
    }

    /// Runs this shard of every measurement that has items; in a trial, only the first items.
    fn run_items(&self, all: &[Measured<'_>]) -> anyhow::Result<()> {
        for measured in all {
            let Measured {
                opened, session, ..
            } = measured;
            let trial = self.arguments.run.trial;
            // These tables are not drawn, but an experiment may need another's table to know its items.
            let mut tables = Tables::default();
            for step in session.steps_of_share() {
                let outcome = match step {
                    Step::Sweep(sweep) => self.sweep(measured, sweep).map(drop),
                    Step::Observe => shared(session.observe()).with_context(|| opened.name.clone()),
                    Step::Experiment(own) => {
                        let passes = Passes::default();
                        shared(own.measure(&session.subject, &passes, &mut tables))
                    }
                };
                match trial {
                    Some(trial) => trial.saw(outcome)?,
                    None => outcome?,
                }
            }
            if let Some(trial) = trial {
                trial.held(&opened.budget);
            }
        }
        Ok(())
    }

    /// Makes the passes that experiments share, then runs every experiment.
    fn run(
        &self,
        measured: &Measured<'_>,
        manifest: &mut Manifest,
        first: impl Fn(&Passes) -> anyhow::Result<()>,
    ) -> anyhow::Result<Tables> {
        let Measured {
            opened,
            corpus,
            shifted,
            session,
            bos_source,
        } = measured;
        let subject = &session.subject;
        let other_texts = bos_source.as_deref();
        let other_texts = other_texts.map(|source| OtherTexts::of(subject, source));
        let mut record = manifest::Run::new(opened, corpus)
            .with_shifted(*shifted)
            .with_other_texts(other_texts.transpose()?);
        let (mut passes, mut tables) = (Passes::default(), Tables::default());
        for step in session.steps() {
            if step.is_pass() {
                TERMINAL.next_pass();
            }
            match step {
                Step::Observe => {
                    passes.observed = session.observe().with_context(|| opened.name.clone())?;
                    first(&passes)?;
                }
                Step::Sweep(sweep) => {
                    let swept = self.sweep(measured, sweep)?;
                    record = record.with_sweep(&swept);
                    passes.swept = Some(Swept::new(swept.plan, swept.sums));
                }
                Step::Experiment(own) => {
                    for note in own.measure(subject, &passes, &mut tables)? {
                        output::say(format_args!("{}: {note}", opened.name));
                    }
                }
            }
        }
        manifest.runs.push(record);
        Ok(tables)
    }
}

/// The sequences of a text, for the sweep that experiments share.
fn items<'a>(corpus: &'a OpenedCorpus, measure: &'a Divergence) -> Items<'a, Divergence> {
    let sequences = corpus.corpus.sequences();
    Items {
        measure,
        items: sequences,
        first: &sequences[0],
    }
}

/// A finished share is not an error.
fn shared<T>(outcome: Result<T, ExperimentError>) -> anyhow::Result<()> {
    Ok(outcome.if_whole().map(drop)?)
}
