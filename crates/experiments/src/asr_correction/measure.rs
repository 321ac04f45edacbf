//! From lists to lines: `asr-correction` (arXiv 2310.11532).
//!
//! Hypotheses are compared as words of the normaliser `norm`. Settings of every system are chosen on training lists, or else
//! on the other half of the utterances. The scores of a set start over; what the model writes is kept.

use super::data::{Set, Sets};
use super::errors::units;
use super::table::{About, AlphaRecord, ConfidenceRecord, GateRecord, Record, ShareRecord};
use super::writing;
use crate::core::error::{ExperimentError, OfShare, Place};
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_rescoring::{Options, RescoringError, Scorer};
use layerwise_transcripts::{
    CorrectionError, CountRule, Counted, Decoder, Detection, DistinctList, Gate, Grid, Method,
    Mode, NBestLists, Normaliser, ScoredLists, System, Tuning, Vocabulary,
};

/// Resamplings of the utterances, as Kaldi has them.
const REPLICATES: usize = 10_000;
/// Of the resampling.
const SEED: u64 = 0;

/// Ways of correcting, and whether the number of words is kept.
const METHODS: [(Mode, CountRule); 5] = [
    (Mode::Best, CountRule::Free),
    (Mode::Vote, CountRule::Free),
    (Mode::Select, CountRule::Free),
    (Mode::Lattice, CountRule::Free),
    (Mode::Lattice, CountRule::Keep),
];

/// Fills the tables, and tells of lattices that were too large for an exact search.
///
/// # Errors
/// A sentence that the model cannot score, a lattice of too many slots, a journal that cannot be used, or an interrupt; of
/// a share [`ExperimentError::ShareFinished`].
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let mut notes = Vec::new();
    let mut is_share = false;
    if let Some(Sets(sets)) = subject.data.get::<Sets>() {
        for set in sets {
            let told = of_set(subject, set, tables).if_whole();
            match told.at(|| set.name.clone())? {
                Some(told) => notes.extend(told),
                // Of a share, the other sets have theirs too.
                None => is_share = true,
            }
        }
    }
    match is_share {
        true => Err(ExperimentError::ShareFinished),
        false => Ok(notes),
    }
}

fn of_set(
    subject: &Subject<'_>,
    set: &Set,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let Some(tokenizer) = subject.tokenizer else {
        return Ok(Vec::new());
    };
    let name = set.name.as_str();
    let normaliser = Normaliser::Norm;
    let mut vocabulary = Vocabulary::new();
    let mut distinct = |lists: &NBestLists| -> Vec<DistinctList> {
        let utterances = lists.utterances.iter();
        utterances
            .map(|utterance| utterance.distinct(&normaliser, &mut vocabulary))
            .collect()
    };
    let own = distinct(&set.lists);
    let of_normaliser = [subject.name, name, normaliser.name()];
    let replicates = [REPLICATES, SEED as usize];
    if !subject.runs.runner.is_whole() {
        // Only what the model writes is kept, and it needs no score.
        let lists = (&set.lists, own.as_slice());
        writing::measure(
            subject,
            of_normaliser,
            lists,
            &mut vocabulary,
            replicates,
            tables,
        )?;
        return Ok(Vec::new());
    }
    let training = set.training.as_ref().map(|lists| (lists, distinct(lists)));
    let runner = &subject.runs.runner;
    let mut options = Options::new()
        .bos(subject.text.bos)
        .threads(runner.thread_count());
    if let Some(stop) = runner.stop_signal() {
        options = options.stop(stop);
    }
    let mut model = Counted::new(Scorer::new(subject.model, tokenizer, options)?);
    let set = ScoredLists::new(set.lists.clone(), own, &vocabulary, &mut model)?;
    let before = model.tokens();
    let training = match training {
        Some((lists, distinct)) => {
            let scored = ScoredLists::new(lists.clone(), distinct, &vocabulary, &mut model)?;
            Some(scored)
        }
        None => None,
    };
    let tuning = match &training {
        Some(training) => Tuning::On(training),
        None => Tuning::Halves,
    };
    let gate = Gate::new(set.lists.scale);
    let mut notes = Vec::new();
    for (mode, count) in METHODS {
        let Some(about) = About::new(of_normaliser, &set, count)? else {
            continue;
        };
        let grid = match mode {
            Mode::Best => Grid::fixed(gate.kappa, 0.0, 0.0),
            _ => Grid::of(mode, set.lists.scale),
        };
        let method = Method::new(mode, count, gate, Decoder::default(), grid);
        let gated = mode == Mode::Lattice;
        let systems = System::of_method(
            &method,
            &set,
            tuning,
            gated,
            before,
            &vocabulary,
            &mut model,
        )
        .map_err(correction)?;
        for system in systems {
            if system.inexact > 0 && !system.is_gated() {
                notes.push(format!(
                    "{name}: {}: {} lattices were searched with a beam of {}",
                    system.name(),
                    system.inexact,
                    method.decoder.width
                ));
            }
            if !system.is_gated() {
                let alphas = AlphaRecord::all(&about, &system);
                alphas.into_iter().for_each(|line| tables.push(line));
                let shares = ShareRecord::all(&about, &system);
                shares.into_iter().for_each(|line| tables.push(line));
            }
            if let Some(found) = system.compare(&set, REPLICATES, SEED)? {
                tables.push(units(&about, &system, &set));
                tables.push(Record::new(&about, &system, &found, None));
            }
        }
        if mode == Mode::Best {
            let confidences = ConfidenceRecord::all(&about, &gate, &set);
            confidences.into_iter().for_each(|line| tables.push(line));
            let detections = Detection::all(&gate, &set);
            for detection in &detections {
                tables.push(GateRecord::new(&about, detection));
            }
        }
    }
    notes.extend(writing::measure(
        subject,
        of_normaliser,
        (&set.lists, set.distinct.as_slice()),
        &mut vocabulary,
        replicates,
        tables,
    )?);
    Ok(notes)
}

/// The error of a list or of the model, without the generic wrapper.
fn correction(error: CorrectionError<RescoringError>) -> ExperimentError {
    match error {
        CorrectionError::LanguageModel(error) => error.into(),
        CorrectionError::Transcript { index, source } => ExperimentError::In {
            place: format!("list {index}"),
            source: Box::new(source.into()),
        },
        other => ExperimentError::unexpected("lists that can be corrected", other.to_string()),
    }
}
