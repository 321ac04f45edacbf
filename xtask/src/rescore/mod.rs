//! `rescore`: corrects the N-best lists of a speech recogniser.

mod arguments;
mod comparing;
mod external;
mod reading;
mod tables;
mod transformer;

use crate::{interrupt, output};
use anyhow::Context;
pub use arguments::Arguments;
use arguments::Tuning;
use external::Corrections;
use layerwise::transcripts::{
    Corrected, Counted, DistinctList, Grid, KneserNey, LanguageModel, LanguageScore, Method, Mode,
    NBestLists, NoLanguageModel, Tuned, Vocabulary, WordId,
};
use reading::Reader;
use std::io::Write;
use std::time::Instant;
use tables::{System, Tables};
use transformer::Transformer;

/// Lists as words, with what a language model says of them.
struct Set {
    lists: NBestLists,
    distinct: Vec<DistinctList>,
    /// Scores of each list's hypotheses; without a language model zeros.
    language: Vec<Vec<LanguageScore>>,
}

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be accepted, settings out of range, or outputs that cannot be written.
pub fn rescore(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some([first, second]) = arguments.compare.as_deref() {
        return comparing::compare_outputs(arguments, first, second);
    }
    arguments.check_outputs()?;
    let mut reader = Reader::new(arguments)?;
    let (lists, distinct) = reader.lists(&arguments.file)?;
    let other = match &arguments.tune {
        Some(Tuning::On(file)) => Some(reader.lists(file)?),
        _ => None,
    };
    let corrections = arguments.corrections.as_deref();
    let corrections = corrections
        .map(|file| external::read(arguments, &mut reader, &lists, &distinct, file))
        .transpose()?;
    let work = Work {
        arguments,
        modes: arguments.modes()?,
        vocabulary: &reader.vocabulary,
        lists: (lists, distinct),
        other,
        corrections,
    };
    if let Some(file) = &arguments.trigrams {
        let model = KneserNey::train(reader.sentences(file)?)
            .with_context(|| file.display().to_string())?;
        return work.run("kneser-ney", model);
    }
    match &arguments.model {
        None => work.run("none", NoLanguageModel),
        Some(model) => {
            interrupt::watch(false)?;
            let (opened, tokenizer) = transformer::open(arguments, model)?;
            let model = Transformer::new(arguments, &opened, &tokenizer)?;
            work.run(&opened.name, model)
        }
    }
}

/// What is corrected, and how.
struct Work<'a> {
    arguments: &'a Arguments,
    modes: Vec<Mode>,
    vocabulary: &'a Vocabulary,
    lists: (NBestLists, Vec<DistinctList>),
    /// Other lists, to choose settings by.
    other: Option<(NBestLists, Vec<DistinctList>)>,
    corrections: Option<Corrections>,
}

impl Work<'_> {
    /// Corrects the lists in every mode with one language model.
    fn run<L>(self, name: &str, model: L) -> anyhow::Result<()>
    where
        L: LanguageModel<Error: std::error::Error + Send + Sync + 'static>,
    {
        let Self {
            arguments,
            modes,
            vocabulary,
            lists,
            other,
            corrections,
        } = self;
        let mut model = Counted::new(model);
        let set = scored(lists, vocabulary, &mut model)?;
        let other = other
            .map(|lists| scored(lists, vocabulary, &mut model))
            .transpose()?;
        let in_lists = model.tokens();
        let gate = arguments.gate(set.lists.scale)?;
        let mut tables = Tables::new(arguments, name, &set, vocabulary)?;
        for mode in modes {
            let started = Instant::now();
            let before = model.tokens();
            let method = method(arguments, mode, &set)?;
            let corrected = correct(&method, &set, vocabulary, &mut model)?;
            let inexact = corrected.iter().filter(|found| !found.is_exact()).count();
            if inexact > 0 {
                output::say(format_args!(
                    "note: {}: {inexact} lattices have more than {} paths and were searched with a beam of {}",
                    mode.name(),
                    method.decoder.exact_paths,
                    method.decoder.width
                ));
            }
            let elsewhere = match &other {
                Some(other) if mode != Mode::Best => {
                    Some((other, correct(&method, other, vocabulary, &mut model)?))
                }
                _ => None,
            };
            let tokens = in_lists + model.tokens() - before;
            let is_gated = arguments.tau.is_some() || arguments.tune.is_some();
            let gates: &[bool] = match is_gated && mode != Mode::Best {
                true => &[false, true],
                false => &[false],
            };
            for &gated in gates {
                let send_single = gated.then_some(gate.send_single);
                let tuned = match (&arguments.tune, &elsewhere) {
                    (Some(Tuning::Halves), _) => Tuned::on_others(&corrected, send_single),
                    (Some(Tuning::On(_)), Some((_, elsewhere))) => {
                        Tuned::on(elsewhere, corrected.len(), send_single)
                    }
                    _ => Tuned::fixed(corrected.len(), 0, gated.then_some(gate.tau)),
                };
                let pairs = corrected.iter().zip(&set.distinct).enumerate();
                let outputs: Vec<(&[WordId], bool)> = pairs
                    .map(|(at, (corrected, list))| {
                        let (words, is_sent) = tuned.apply(at, corrected, list, gate.send_single);
                        (words, is_sent && mode != Mode::Best)
                    })
                    .collect();
                tables.push(&System {
                    mode: mode.name(),
                    method: Some(&method),
                    tuned: Some(&tuned),
                    violations: None,
                    outputs: &outputs,
                    tokens: if mode.needs_language_model() {
                        tokens
                    } else {
                        0
                    },
                    seconds: Some(started.elapsed().as_secs_f64()),
                })?;
            }
        }
        if let Some(corrections) = &corrections {
            tables.push(&System {
                mode: "external",
                method: None,
                tuned: None,
                violations: Some(&corrections.violations),
                outputs: &corrections.outputs(),
                tokens: 0,
                seconds: None,
            })?;
        }
        if let Some(file) = &arguments.prompts {
            external::write_prompts(arguments, vocabulary, &set, &gate, file)?;
        }
        tables.write()?;
        let mut stdout = std::io::stdout();
        write!(stdout, "{}", tables.summary())?;
        Ok(())
    }
}

/// Asks the language model for every hypothesis.
fn scored<L>(
    (lists, distinct): (NBestLists, Vec<DistinctList>),
    vocabulary: &Vocabulary,
    model: &mut L,
) -> anyhow::Result<Set>
where
    L: LanguageModel<Error: std::error::Error + Send + Sync + 'static>,
{
    let sentences: Vec<Vec<&str>> = distinct
        .iter()
        .flat_map(|list| list.sentences(vocabulary))
        .collect();
    let mut scores = model.sentences(&sentences)?.into_iter();
    let language = distinct
        .iter()
        .map(|list| scores.by_ref().take(list.hypotheses.len()).collect())
        .collect();
    Ok(Set {
        lists,
        distinct,
        language,
    })
}

fn method(arguments: &Arguments, mode: Mode, set: &Set) -> anyhow::Result<Method> {
    let gate = arguments.gate(set.lists.scale)?;
    let decoder = arguments.decoder(mode)?;
    let grid = match (&arguments.tune, mode) {
        (None, _) | (_, Mode::Best) => Grid::fixed(gate.kappa, decoder.alpha, decoder.beta),
        (Some(_), _) => Grid::of(mode, set.lists.scale),
    };
    Ok(Method::new(
        mode,
        arguments.count.rule(),
        gate,
        decoder,
        grid,
    ))
}

fn correct<L>(
    method: &Method,
    set: &Set,
    vocabulary: &Vocabulary,
    model: &mut L,
) -> anyhow::Result<Vec<Corrected>>
where
    L: LanguageModel<Error: std::error::Error + Send + Sync + 'static>,
{
    let lists = set.distinct.iter().zip(&set.language);
    let lists: Vec<_> = lists
        .map(|(list, scores)| (list, scores.as_slice()))
        .collect();
    Ok(Corrected::all(
        method,
        &lists,
        set.lists.scale,
        vocabulary,
        model,
    )?)
}
