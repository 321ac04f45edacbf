//! From lists to lines: `asr-correction` (arXiv 2310.11532).
//!
//! Hypotheses are compared as words of the normaliser `norm`. Settings of every system are chosen on training lists, or else
//! on the other half of the utterances. Both the model's scores of lists and the texts it writes are kept.

use super::as_written::as_written;
use super::data::{Set, Sets};
use super::errors::{of_halves, of_oracle, units};
use super::scores::{Asked, Scores, scores};
use super::table::{About, AlphaRecord, ConfidenceRecord, GateRecord, Record, ShareRecord};
use super::writing;
use crate::core::error::{ExperimentError, OfShare, Place};
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_transcripts::{
    Corrected, CorrectionError, CountRule, Decoder, Detection, DistinctList, Gate, Grid, Method,
    Mode, NBestLists, NoLanguageModel, Normaliser, ScoreScale, ScoredLists, System, Tuning,
    Vocabulary,
};

/// Resamples of the utterances; the number is Kaldi's.
const REPLICATES: usize = 10_000;
/// Seed of the resampling.
const SEED: u64 = 0;

/// Methods of correction, and whether each keeps the number of words.
const METHODS: [(Mode, CountRule); 5] = [
    (Mode::Best, CountRule::Free),
    (Mode::Vote, CountRule::Free),
    (Mode::Select, CountRule::Free),
    (Mode::Lattice, CountRule::Free),
    (Mode::Lattice, CountRule::Keep),
];

/// Fills the tables, and reports lattices that were too large for an exact search.
///
/// # Errors
/// The model cannot score a sentence, a lattice has too many slots, a journal cannot be used, or the user interrupts; in a
/// share, [`ExperimentError::ShareFinished`].
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
                // A share has items of the other sets too.
                None => is_share = true,
            }
        }
    }
    match is_share {
        true => Err(ExperimentError::ShareFinished),
        false => Ok(notes),
    }
}

/// Lists as words, and other lists that choose the settings.
struct Words<'a> {
    lists: &'a NBestLists,
    own: Vec<DistinctList>,
    training: Option<(&'a NBestLists, Vec<DistinctList>)>,
    vocabulary: Vocabulary,
}

/// The model's scores of lists, and of the lists that choose the settings.
struct Said {
    own: Scores,
    training: Option<Scores>,
}

impl<'a> Words<'a> {
    fn of(set: &'a Set, normaliser: &Normaliser) -> Self {
        let mut vocabulary = Vocabulary::new();
        let mut distinct = |lists: &NBestLists| -> Vec<DistinctList> {
            let utterances = lists.utterances.iter();
            utterances
                .map(|utterance| utterance.distinct(normaliser, &mut vocabulary))
                .collect()
        };
        Self {
            own: distinct(&set.lists),
            training: set.training.as_ref().map(|lists| (lists, distinct(lists))),
            lists: &set.lists,
            vocabulary,
        }
    }

    /// Asks the model; `None` in a share.
    fn said(
        &self,
        subject: &Subject<'_>,
        tokenizer: &Tokenizer,
        searched: &[Method],
    ) -> Result<Option<Said>, ExperimentError> {
        let said = |lists: &[DistinctList], scale: ScoreScale| {
            let asked = Asked {
                lists,
                scale,
                vocabulary: &self.vocabulary,
                methods: searched,
            };
            scores(subject, tokenizer, asked).if_whole()
        };
        let own = said(&self.own, self.lists.scale)?;
        let training = match &self.training {
            Some((lists, own)) => said(own, lists.scale)?,
            None => None,
        };
        Ok(own
            .filter(|_| training.is_some() == self.training.is_some())
            .map(|own| Said { own, training }))
    }
}

fn method((mode, count): (Mode, CountRule), scale: ScoreScale) -> Method {
    let gate = Gate::new(scale);
    let grid = match mode {
        Mode::Best => Grid::fixed(gate.kappa, 0.0, 0.0),
        _ => Grid::of(mode, scale),
    };
    Method::new(mode, count, gate, Decoder::default(), grid)
}

fn of_set(
    subject: &Subject<'_>,
    set: &Set,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let Some(tokenizer) = subject.tokenizer else {
        return Ok(Vec::new());
    };
    let normaliser = Normaliser::Norm;
    let mut words = Words::of(set, &normaliser);
    let searched = METHODS
        .into_iter()
        .filter(|(mode, _)| *mode == Mode::Lattice);
    let searched: Vec<Method> = searched.map(|way| method(way, set.lists.scale)).collect();
    let said = words.said(subject, tokenizer, &searched)?;
    let names = [subject.name, set.name.as_str(), normaliser.name()];
    let is_whole = said.is_some();
    let mut notes = match said {
        Some(said) => of_words(&subject.runs, names, &words, said, tables)?,
        // The share has corrections to write, too.
        None => Vec::new(),
    };
    let lists = (words.lists, words.own.as_slice());
    let replicates = [REPLICATES, SEED as usize];
    let vocabulary = &mut words.vocabulary;
    notes.extend(writing::measure(
        subject, names, lists, vocabulary, replicates, tables,
    )?);
    match is_whole {
        true => Ok(notes),
        false => Err(ExperimentError::ShareFinished),
    }
}

/// Adds the lines about all systems of one set.
fn of_words(
    runs: &Runs<'_>,
    names: [&str; 3],
    words: &Words<'_>,
    said: Said,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let vocabulary = &words.vocabulary;
    let of_hypotheses = said.own.of_hypotheses();
    let set = ScoredLists::of(words.lists.clone(), words.own.clone(), said.own.language);
    let mut searched = said.own.corrected.into_iter().zip(said.own.tokens);
    let training = words.training.as_ref().zip(said.training);
    let training = training.map(|((lists, own), said)| {
        let set = ScoredLists::of((*lists).clone(), own.clone(), said.language);
        (set, said.corrected.into_iter().zip(said.tokens))
    });
    let (training, mut searched_there) = training.unzip();
    let gate = Gate::new(set.lists.scale);
    let mut notes = Vec::new();
    if let Some((raw, _)) = as_written([names[0], names[1]], &set.lists, (REPLICATES, SEED))? {
        tables.push(raw);
    }
    for (mode, count) in METHODS {
        let Some(about) = About::new(names, &set, count)? else {
            continue;
        };
        let method = method((mode, count), set.lists.scale);
        let asked = "lattices are searched by each method that searches them";
        let (mut tokens, mut elsewhere) = (of_hypotheses, Vec::new());
        let corrected = if mode == Mode::Lattice {
            let (corrected, own) = searched.next().expect(asked);
            tokens += own;
            if let Some(there) = &mut searched_there {
                let (corrected, own) = there.next().expect(asked);
                elsewhere = corrected;
                tokens += own;
            }
            corrected
        } else {
            if let Some(training) = &training {
                elsewhere = unasked(&method, training, vocabulary)?;
            }
            unasked(&method, &set, vocabulary)?
        };
        let tuning = match (mode, &training) {
            (Mode::Best, Some(_)) => Tuning::Fixed,
            (_, Some(_)) => Tuning::On(elsewhere.as_slice()),
            (_, None) => Tuning::Halves,
        };
        let gated = mode == Mode::Lattice;
        let systems =
            System::of_corrected(&method, &set, &corrected, tuning, gated, tokens, vocabulary);
        for system in systems {
            runs.go_on()?;
            if system.inexact > 0 && !system.is_gated() {
                notes.push(format!(
                    "{}: {}: {} lattices were searched with a beam of {}",
                    about.set,
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
            of_halves(&about, &gate, &set)
                .into_iter()
                .for_each(|half| tables.push(half));
        }
        if mode == Mode::Lattice {
            tables.push(of_oracle(&about, &set, count)?);
        }
    }
    Ok(notes)
}

/// Corrects lists with a method that needs only the model's scores of hypotheses.
fn unasked(
    method: &Method,
    set: &ScoredLists,
    vocabulary: &Vocabulary,
) -> Result<Vec<Corrected>, ExperimentError> {
    let lists = set.distinct.iter().zip(&set.language);
    let lists: Vec<_> = lists
        .map(|(list, scores)| (list, scores.as_slice()))
        .collect();
    let scale = set.lists.scale;
    let corrected = Corrected::all(method, &lists, scale, vocabulary, &mut NoLanguageModel);
    corrected.map_err(|error| match error {
        CorrectionError::Transcript { index, source } => ExperimentError::In {
            place: format!("list {index}"),
            source: Box::new(source.into()),
        },
        other => ExperimentError::unexpected("lists that can be corrected", other.to_string()),
    })
}
