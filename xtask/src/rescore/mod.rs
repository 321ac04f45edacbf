//! `rescore`: corrects the N-best lists of a speech recogniser.

mod arguments;
mod comparing;
mod keeping;
mod prompts;
mod reading;
mod transformer;
mod writing;

use crate::experiments::asr_correction::outputs::{Outputs, Wanted};
use crate::inputs::OpenedModel;
use crate::manifest::{self, FileHash, Manifest};
use crate::output::Named;
use crate::{interrupt, output};
use anyhow::Context;
pub use arguments::Arguments;
use arguments::Chosen;
use keeping::{Keeper, SCORES};
use layerwise::corpus::Tokenizer;
use layerwise::transcripts::{
    Counted, DistinctList, Grid, KneserNey, LanguageModel, Method, Mode, NBestLists,
    NoLanguageModel, ScoredLists, System, Tuning,
};
use reading::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use writing::Author;

/// Runs the command.
///
/// # Errors
/// Inputs are invalid, settings are out of range, or outputs cannot be written.
pub fn rescore(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some([first, second]) = arguments.compare.as_deref() {
        return comparing::compare_outputs(arguments, first, second);
    }
    let wanted = arguments.wanted()?;
    if let Some(folder) = &arguments.out {
        check(&wanted, folder)?;
    }
    if let Some(file) = &arguments.prompts {
        output::check_file(file)?;
    }
    check_distinct(arguments, &wanted)?;
    let mut reader = Reader::new(arguments)?;
    let lists = reader.lists(&arguments.file)?;
    // What is wrong with settings is told here, before any sentence is scored.
    arguments.gate(lists.0.scale)?;
    for &mode in &wanted.modes {
        arguments.decoder(mode)?;
    }
    prompts::template(arguments)?;
    let other = match &arguments.tune {
        Some(Chosen::On(file)) => Some(reader.lists(file)?),
        _ => None,
    };
    let corrections = arguments.corrections.as_deref();
    let corrections = corrections
        .map(|file| Ok::<_, anyhow::Error>((file, reader.corrections(file)?)))
        .transpose()?;
    if let Some((file, corrections)) = &corrections {
        let known = lists.0.check_ids(corrections.keys());
        known.with_context(|| file.display().to_string())?;
    }
    let work = Work {
        arguments,
        wanted,
        lists,
        other,
        corrections,
        reader,
    };
    if let Some(file) = &arguments.trigrams {
        let model = KneserNey::train(work.reader.sentences(file)?)
            .with_context(|| file.display().to_string())?;
        return work.run("kneser-ney", model, None);
    }
    match &arguments.model {
        None => work.run("none", NoLanguageModel, None),
        Some(model) => {
            interrupt::watch(interrupt::beside_out(arguments.out.is_some()))?;
            let (opened, tokenizer) = transformer::open(arguments, model)?;
            output::check_distinct(outputs(arguments, &work.wanted), opened.named_files())?;
            work.with_transformer(&opened, &tokenizer)
        }
    }
}

/// Refuses an output folder if one of this run's files could not be written into it.
fn check(wanted: &Wanted, folder: &Path) -> anyhow::Result<()> {
    output::check_folder(folder)?;
    for name in wanted.names() {
        output::check_file(&folder.join(name))?;
    }
    for mode in &wanted.written {
        output::check_file(&writing::journal(folder, mode))?;
    }
    [MANIFEST, SCORES]
        .iter()
        .try_for_each(|name| output::check_file(&folder.join(name)))
}

const MANIFEST: &str = "manifest.json";

/// The files that a run writes at its end.
fn outputs(arguments: &Arguments, wanted: &Wanted) -> Vec<Named> {
    let names: BTreeSet<String> = wanted.names().into_iter().collect();
    let names = names.iter().map(String::as_str).chain([MANIFEST]);
    let folder = arguments.out.iter();
    let below = folder.flat_map(|folder| names.clone().map(|name| folder.join(name)));
    let below = below.map(|path| ("--out", Some(path)));
    [("--prompts", arguments.prompts.clone())]
        .into_iter()
        .chain(below)
        .collect()
}

/// Refuses outputs that would replace each other, an input or a journal.
fn check_distinct(arguments: &Arguments, wanted: &Wanted) -> anyhow::Result<()> {
    let folder = arguments.out.iter();
    let journals = folder.flat_map(|folder| {
        let of_modes = wanted.written.iter();
        let of_modes = of_modes.map(|mode| writing::journal(folder, mode));
        of_modes.chain([folder.join(SCORES)])
    });
    let tuned_on = match &arguments.tune {
        Some(Chosen::On(file)) => Some(file.clone()),
        _ => None,
    };
    let inputs = [
        ("the lists", Some(arguments.file.clone())),
        ("--tune", tuned_on),
        ("--reference", arguments.reference.clone()),
        ("--spellings", arguments.spellings.clone()),
        ("--trigrams", arguments.trigrams.clone()),
        ("--template", arguments.template.clone()),
        ("--chat-template", arguments.chat_template.clone()),
        ("--corrections", arguments.corrections.clone()),
    ];
    let costs = arguments.costs.iter();
    let costs = costs.map(|path| ("--costs", Some(path.clone())));
    let journals = journals.map(|path| ("the journal", Some(path)));
    let inputs = inputs.into_iter().chain(costs).chain(journals);
    output::check_distinct(outputs(arguments, wanted), inputs)
}

/// The lists to correct, and the settings.
struct Work<'a> {
    arguments: &'a Arguments,
    wanted: Wanted,
    lists: (NBestLists, Vec<DistinctList>),
    /// Other lists, to choose settings on.
    other: Option<(NBestLists, Vec<DistinctList>)>,
    /// Corrections from another program, by utterance.
    corrections: Option<(&'a Path, BTreeMap<String, String>)>,
    reader: Reader<'a>,
}

impl Work<'_> {
    /// Corrects the lists in every mode with a transformer, which scores sentences and writes.
    fn with_transformer(self, opened: &OpenedModel, tokenizer: &Tokenizer) -> anyhow::Result<()> {
        let arguments = self.arguments;
        let author = match self.wanted.written.is_empty() {
            true => None,
            false => Some(Author::new(arguments, opened, tokenizer)?),
        };
        let by = Some((opened, author));
        if !arguments.needs_scores(&self.wanted.modes) {
            return self.run(&opened.name, NoLanguageModel, by);
        }
        let bos = transformer::bos(arguments, opened, tokenizer)?;
        let keeper = Keeper::new(arguments, opened, tokenizer.sha256(), bos)?;
        let model = transformer::scorer(arguments, opened, tokenizer, bos, &keeper)?;
        let done = self.run(&opened.name, model, by);
        keeper.end();
        done
    }

    /// The manifest of a finished run.
    fn manifest(arguments: &Arguments, opened: Option<&OpenedModel>) -> anyhow::Result<Manifest> {
        let threads = crate::arguments::threads_or_cores(arguments.threads);
        let mut manifest = Manifest::new(threads.get());
        manifest.runs.extend(opened.map(manifest::Run::of_model));
        let other = match &arguments.tune {
            Some(Chosen::On(file)) => Some(file),
            _ => None,
        };
        let files = [Some(&arguments.file), other]
            .into_iter()
            .flatten()
            .chain(&arguments.costs)
            .chain(&arguments.reference)
            .chain(&arguments.spellings)
            .chain(&arguments.trigrams)
            .chain(&arguments.template)
            .chain(&arguments.chat_template)
            .chain(&arguments.corrections);
        for file in files {
            manifest.labelled.push(FileHash::of_file(file)?);
        }
        Ok(manifest)
    }

    /// Corrects the lists in every mode with one language model, and in the modes in which a transformer writes.
    fn run<L>(
        self,
        name: &str,
        model: L,
        by: Option<(&OpenedModel, Option<Author<'_>>)>,
    ) -> anyhow::Result<()>
    where
        L: LanguageModel<Error: std::error::Error + Send + Sync + 'static>,
    {
        let Self {
            arguments,
            wanted,
            lists: (lists, distinct),
            other,
            corrections,
            mut reader,
        } = self;
        let mut model = Counted::new(model);
        let vocabulary = &reader.vocabulary;
        let set = ScoredLists::new(lists, distinct, vocabulary, &mut model)?;
        let other = other
            .map(|(lists, distinct)| ScoredLists::new(lists, distinct, vocabulary, &mut model))
            .transpose()?;
        let tuning = match (&arguments.tune, &other) {
            (Some(Chosen::Halves), _) => Tuning::Halves,
            (Some(Chosen::On(_)), Some(other)) => Tuning::On(other),
            _ => Tuning::Fixed,
        };
        let in_lists = model.tokens();
        let gate = arguments.gate(set.lists.scale)?;
        let of_set = arguments.file.file_stem().unwrap_or_default();
        let names = [name, &of_set.to_string_lossy(), arguments.normaliser.name()];
        let resampling = (arguments.replicates as usize, arguments.seed);
        let mut outputs = Outputs::new(names, &wanted, gate, resampling, &set)?;
        let in_file = || arguments.file.display().to_string();
        for &mode in &wanted.modes {
            let started = Instant::now();
            let method = method(arguments, mode, &set)?;
            let systems = System::of_method(
                &method,
                &set,
                tuning,
                arguments.is_gated(),
                in_lists,
                vocabulary,
                &mut model,
            )?;
            let seconds = started.elapsed().as_secs_f64();
            for system in &systems {
                let pushed = outputs.push(system, Some(seconds), vocabulary);
                pushed.with_context(in_file)?;
            }
            if let Some(inexact) = systems.first().map(|system| system.inexact)
                && inexact > 0
            {
                output::say(format_args!(
                    "note: {}: {inexact} lattices have more than {} paths and were searched with a beam of {}",
                    mode.name(),
                    method.decoder.exact_paths,
                    method.decoder.width
                ));
            }
        }
        let (opened, author) = by.map_or((None, None), |(opened, author)| (Some(opened), author));
        for &mode in &wanted.written {
            let Some(author) = &author else { continue };
            let started = Instant::now();
            let system = author.system(mode, &set, gate, &mut reader)?;
            let seconds = started.elapsed().as_secs_f64();
            let pushed = outputs.push(&system, Some(seconds), &reader.vocabulary);
            pushed.with_context(in_file)?;
        }
        if let Some((file, corrections)) = &corrections {
            let (count, repair) = (arguments.count.rule(), arguments.repair());
            let normaliser = &reader.normaliser;
            let vocabulary = &mut reader.vocabulary;
            let system = System::external(&set, corrections, count, repair, normaliser, vocabulary)
                .with_context(|| file.display().to_string())?;
            let pushed = outputs.push(&system, None, vocabulary);
            pushed.with_context(in_file)?;
        }
        let vocabulary = &reader.vocabulary;
        if let Some(file) = &arguments.prompts {
            prompts::write_prompts(arguments, vocabulary, &set, gate, file)?;
        }
        if let Some(folder) = &arguments.out {
            let manifest = Self::manifest(arguments, opened)?;
            output::make_folder(folder)?;
            for (name, bytes) in outputs.files(vocabulary)? {
                output::write(&folder.join(name), &bytes)?;
            }
            output::write(&folder.join(MANIFEST), manifest.json()?.as_bytes())?;
        }
        let mut stdout = std::io::stdout();
        write!(stdout, "{}", outputs.summary())?;
        let is_silent = arguments.out.is_none() && arguments.prompts.is_none();
        if is_silent && set.reference_words() == 0 {
            output::say(
                "nothing is written; give --out DIR for the transcripts, or --reference FILE for word error rates",
            );
        }
        Ok(())
    }
}

fn method(arguments: &Arguments, mode: Mode, set: &ScoredLists) -> anyhow::Result<Method> {
    let gate = arguments.gate(set.lists.scale)?;
    let decoder = arguments.decoder(mode)?;
    let grid = match (&arguments.tune, mode) {
        (None, _) | (_, Mode::Best) => Grid::fixed(gate.kappa, decoder.alpha, decoder.beta),
        (Some(_), _) => Grid::of(mode, set.lists.scale),
    };
    let count = arguments.count.rule();
    Ok(Method::new(mode, count, gate, decoder, grid))
}
