//! The model's scores of hypotheses, and the paths through lattices that it chooses at every point of a grid. Both are kept,
//! some lists at a time.

use crate::core::error::{ExperimentError, Place};
use crate::core::subject::Subject;
use layerwise_corpus::Tokenizer;
use layerwise_rescoring::{Options, RescoringError, Scorer};
use layerwise_sweep::{MeasureId, WorkBytes};
use layerwise_transcripts::{
    Corrected, CorrectionError, Counted, DistinctList, Found, LanguageModel, LanguageScore,
    Lattice, Method, Mode, ScoreScale, TranscriptError, Vocabulary,
};
use serde::{Deserialize, Serialize};

/// Lists that are scored together: enough to fill the products.
const LISTS: usize = 16;

/// Lists of one set, with everything that a language model's answers depend on.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub lists: &'a [DistinctList],
    pub scale: ScoreScale,
    pub vocabulary: &'a Vocabulary,
    /// The methods that search lattices.
    pub methods: &'a [Method],
}

/// A language model's answers about lists.
pub(super) struct Scores {
    /// Scores of each list's hypotheses.
    pub language: Vec<Vec<LanguageScore>>,
    /// For each method, its result for each list.
    pub corrected: Vec<Vec<Corrected>>,
    /// For each method, the tokens scored for it.
    pub tokens: Vec<u64>,
}

/// The answers about some lists, as a journal keeps them.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    /// The bits of the log-probability of each list's hypotheses, and their tokens.
    language: Vec<Vec<(u64, usize)>>,
    /// For each method, its result for each list.
    found: Vec<Vec<KeptFound>>,
    /// For each method, its tokens.
    tokens: Vec<u64>,
}

/// [`Found`], with texts instead of words.
#[derive(Clone, Serialize, Deserialize)]
struct KeptFound {
    outputs: Vec<String>,
    places: Vec<usize>,
    is_exact: bool,
}

/// Asks the model whatever no earlier run has asked.
///
/// # Errors
/// The model cannot score a sentence, a lattice has too many slots, a journal cannot be used, or the user interrupts; in a
/// share, [`ExperimentError::ShareFinished`].
pub(super) fn scores(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
    asked: Asked<'_>,
) -> Result<Scores, ExperimentError> {
    let chunks: Vec<&[DistinctList]> = asked.lists.chunks(LISTS).collect();
    let bos = subject.bos;
    let id = MeasureId::new("asr-scores", 1)
        .with_settings(format!("{bos:?} {:?} {:?}", asked.scale, asked.methods));
    let kept = subject.runs.kept(
        id,
        &chunks,
        bytes(subject, asked, &chunks)?,
        |chunk| numbers(chunk, asked.vocabulary),
        |kept| fits(kept, asked),
        |number, chunk| {
            let mut options = Options::new().bos(bos);
            if let Some(give_up) = subject.runs.runner.give_up_signal() {
                options = options.stop(give_up);
            }
            let model = Scorer::new(subject.model, tokenizer, options)?;
            let found = of_chunk(chunk, asked, Counted::new(model));
            subject.runs.go_on()?;
            found.map_err(|error| told(error, number * LISTS))
        },
    )?;
    let mut scores = Scores {
        language: Vec::new(),
        corrected: vec![Vec::new(); asked.methods.len()],
        tokens: vec![0; asked.methods.len()],
    };
    for (chunk, kept) in chunks.iter().zip(kept.iter()) {
        scores.add(chunk, kept, asked)?;
    }
    Ok(scores)
}

impl Scores {
    fn add(
        &mut self,
        chunk: &[DistinctList],
        kept: &Kept,
        asked: Asked<'_>,
    ) -> Result<(), ExperimentError> {
        let own = kept.language.iter().map(Vec::len);
        if !own.eq(chunk.iter().map(|list| list.hypotheses.len())) {
            let expected = format!("scores of the hypotheses of {} lists", chunk.len());
            return Err(ExperimentError::unexpected(expected, "those of others"));
        }
        let score =
            |&(bits, tokens): &(u64, usize)| LanguageScore::new(f64::from_bits(bits), tokens);
        let language = kept.language.iter();
        let language: Vec<Vec<LanguageScore>> = language
            .map(|own| own.iter().map(score).collect())
            .collect();
        for (at, method) in asked.methods.iter().enumerate() {
            let each = chunk.iter().zip(&language).zip(&kept.found[at]);
            let corrected = each.map(|((list, language), found)| {
                let found = found.words(asked.vocabulary);
                Corrected::of(method, list, asked.scale, language, found)
            });
            self.corrected[at].extend(corrected);
            self.tokens[at] += kept.tokens[at];
        }
        self.language.extend(language);
        Ok(())
    }

    /// Tokens of all hypotheses.
    pub(super) fn of_hypotheses(&self) -> u64 {
        let scores = self.language.iter().flatten();
        scores.map(|score| score.tokens as u64).sum()
    }
}

impl KeptFound {
    fn of(found: &Found, vocabulary: &Vocabulary) -> Self {
        let outputs = found.outputs.iter();
        Self {
            outputs: outputs.map(|words| vocabulary.text(words)).collect(),
            places: found.places.clone(),
            is_exact: found.is_exact,
        }
    }

    /// Words outside the vocabulary are left out; [`fits`] refuses them.
    fn words(&self, vocabulary: &Vocabulary) -> Found {
        let words = |text: &String| {
            let words = text.split_whitespace();
            words.filter_map(|word| vocabulary.id(word)).collect()
        };
        Found {
            outputs: self.outputs.iter().map(words).collect(),
            places: self.places.clone(),
            is_exact: self.is_exact,
        }
    }
}

fn of_chunk<L: LanguageModel>(
    chunk: &[DistinctList],
    asked: Asked<'_>,
    mut model: Counted<L>,
) -> Result<Kept, CorrectionError<L::Error>> {
    let Asked {
        scale, vocabulary, ..
    } = asked;
    let sentences: Vec<Vec<&str>> = chunk
        .iter()
        .flat_map(|list| list.sentences(vocabulary))
        .collect();
    let scores = model.sentences(&sentences);
    let mut scores = scores.map_err(CorrectionError::LanguageModel)?.into_iter();
    let language: Vec<Vec<LanguageScore>> = chunk
        .iter()
        .map(|list| scores.by_ref().take(list.hypotheses.len()).collect())
        .collect();
    let lists: Vec<(&DistinctList, &[LanguageScore])> = chunk
        .iter()
        .zip(language.iter().map(Vec::as_slice))
        .collect();
    let bits = |score: &LanguageScore| (score.log_probability.to_bits(), score.tokens);
    let mut kept = Kept {
        language: language
            .iter()
            .map(|scores| scores.iter().map(bits).collect())
            .collect(),
        found: Vec::new(),
        tokens: Vec::new(),
    };
    for method in asked.methods {
        let before = model.tokens();
        let corrected = Corrected::all(method, &lists, scale, vocabulary, &mut model)?;
        let found = corrected.iter();
        let found = found.map(|corrected| KeptFound::of(corrected.found(), vocabulary));
        kept.found.push(found.collect());
        kept.tokens.push(model.tokens() - before);
    }
    Ok(kept)
}

/// The error of a list or of the model, without the generic wrapper; `first` is the index of the first list.
fn told(error: CorrectionError<RescoringError>, first: usize) -> ExperimentError {
    match error {
        CorrectionError::LanguageModel(error) => error.into(),
        CorrectionError::Transcript { index, source } => ExperimentError::In {
            place: format!("list {}", first + index),
            source: Box::new(source.into()),
        },
        other => ExperimentError::unexpected("lists that can be corrected", other.to_string()),
    }
}

/// Everything that the answers about some lists depend on.
fn numbers(chunk: &[DistinctList], vocabulary: &Vocabulary) -> Vec<u32> {
    let mut numbers = Vec::new();
    for list in chunk {
        numbers.push(list.hypotheses.len() as u32);
        for words in &list.hypotheses {
            let text = vocabulary.text(words);
            numbers.push(text.len() as u32);
            numbers.extend(text.bytes().map(u32::from));
        }
        for score in list.scores.iter().flatten() {
            let bits = score.to_bits();
            numbers.extend([(bits >> 32) as u32, bits as u32]);
        }
    }
    numbers
}

fn fits(kept: &Kept, asked: Asked<'_>) -> bool {
    let lists = kept.language.len();
    let mut bits = kept.language.iter().flatten();
    let is_finite = bits.all(|(bits, _)| f64::from_bits(*bits).is_finite());
    let has_all = [kept.found.len(), kept.tokens.len()] == [asked.methods.len(); 2];
    let mut found = asked.methods.iter().zip(&kept.found);
    is_finite
        && has_all
        && found.all(|(method, found)| {
            let points = method.grid.points().len();
            let is_whole = |found: &KeptFound| {
                let mut words = found
                    .outputs
                    .iter()
                    .flat_map(|text| text.split_whitespace());
                found.places.len() == points
                    && found
                        .places
                        .iter()
                        .all(|place| *place < found.outputs.len())
                    && words.all(|word| asked.vocabulary.id(word).is_some())
            };
            found.len() == lists && found.iter().all(is_whole)
        })
}

/// Memory for the lists that take the most.
fn bytes(
    subject: &Subject<'_>,
    asked: Asked<'_>,
    chunks: &[&[DistinctList]],
) -> Result<WorkBytes, ExperimentError> {
    let config = subject.model.config();
    let mut result = 0;
    let mut width = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        let mut own = 0;
        for (at, list) in chunk.iter().enumerate() {
            let (kept, searched) =
                of_list(list, asked).at(|| format!("list {}", number * LISTS + at))?;
            own += kept;
            width = width.max(searched);
        }
        result = result.max(own);
    }
    let scoring = Scorer::worker_bytes(config);
    let growing = Scorer::beam_bytes(config, &subject.model.plain(), width);
    Ok(WorkBytes {
        reading: scoring + growing + result,
        result,
    })
}

/// Bytes kept for a list, and the width of the beam that searches it; 0 if all paths are searched.
fn of_list(list: &DistinctList, asked: Asked<'_>) -> Result<(usize, usize), TranscriptError> {
    let lattice = Lattice::of(list)?;
    let texts = lattice.texts(asked.vocabulary);
    let longest =
        |slot: &Vec<Option<String>>| slot.iter().flatten().map(|word| word.len() + 1).max();
    let text: usize = texts.iter().filter_map(longest).sum::<usize>() + size_of::<String>();
    let mut kept = list.hypotheses.len() * size_of::<(u64, usize)>() + size_of::<Kept>();
    let mut width = 0;
    for method in asked.methods {
        let lattice = lattice.under(method.count);
        let points = method.grid.points().len();
        let paths = usize::try_from(lattice.path_count()).unwrap_or(usize::MAX);
        kept += points * size_of::<usize>() + points.min(paths) * text + size_of::<KeptFound>();
        if method.mode == Mode::Lattice && !method.decoder.is_exact(&lattice) {
            width = width.max(method.decoder.width);
        }
    }
    Ok((kept, width))
}
