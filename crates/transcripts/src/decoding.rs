//! Stage 2: the best path through a word lattice.

use std::collections::HashMap;
use std::convert::Infallible;

use crate::{LanguageModel, LanguageScore, Lattice, Vocabulary, WordId};

/// What is added to a weight before its logarithm is taken.
const FLOOR: f64 = 1e-6;

/// How a path is scored and looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Decoder {
    /// The share of the language model.
    pub alpha: f64,
    /// What a word adds, in nats, against the language model's liking for short sentences.
    pub beta: f64,
    /// Paths that are kept at each slot of a lattice that is not searched exactly.
    pub width: usize,
    /// The most paths of a lattice that is searched exactly.
    pub exact_paths: u128,
}

impl Default for Decoder {
    /// α = 0.7, β = 3, 32 paths kept, 256 searched exactly.
    fn default() -> Self {
        Self {
            alpha: 0.7,
            beta: 3.0,
            width: 32,
            exact_paths: 256,
        }
    }
}

/// The words of one path or of several, with the parts of their score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The words.
    pub words: Vec<WordId>,
    /// Σ log(P + 10⁻⁶) over the slots, P the weight of the path's arc; the highest of the paths with these words.
    pub lattice: f64,
    /// What the language model says of the words and the end of the sentence.
    pub language: LanguageScore,
}

impl Candidate {
    fn score(&self, decoder: &Decoder) -> f64 {
        let language = match decoder.alpha == 0.0 {
            true => 0.0,
            false => decoder.alpha * self.language.log_probability,
        };
        self.lattice + language + decoder.beta * self.words.len() as f64
    }
}

impl Decoder {
    /// Whether a lattice is searched exactly.
    pub fn is_exact(&self, lattice: &Lattice) -> bool {
        lattice.path_count() <= self.exact_paths
    }

    /// The best of candidates; of equal ones the first.
    pub fn best<'c>(&self, candidates: &'c [Candidate]) -> Option<&'c Candidate> {
        let mut best: Option<(&Candidate, f64)> = None;
        for candidate in candidates {
            let score = candidate.score(self);
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((candidate, score));
            }
        }
        best.map(|(candidate, _)| candidate)
    }

    /// The words of every path of a lattice, each once, in an order that does not depend on weights; the language model is
    /// not asked, and its scores are 0.
    pub fn paths(&self, lattice: &Lattice) -> Vec<Candidate> {
        let silent = |states: &[(&(), WordId)]| Ok::<_, Infallible>(vec![None; states.len()]);
        match self.walk(lattice, usize::MAX, (), silent) {
            Ok(beam) => beam.into_iter().map(|(_, candidate)| candidate).collect(),
            Err(never) => match never {},
        }
    }

    /// The words of the paths that are left at the end of the lattice: all of them in a lattice that is searched exactly,
    /// where they do not depend on α and β; else those of a beam.
    ///
    /// With α = 0 the language model is not asked, and its scores are 0.
    ///
    /// # Errors
    ///
    /// The language model's.
    pub fn candidates<L: LanguageModel>(
        &self,
        lattice: &Lattice,
        vocabulary: &Vocabulary,
        model: &mut L,
    ) -> Result<Vec<Candidate>, L::Error> {
        let asks = self.alpha != 0.0;
        if self.is_exact(lattice) {
            let mut candidates = self.paths(lattice);
            if asks {
                let sentences: Vec<Vec<&str>> = candidates
                    .iter()
                    .map(|candidate| vocabulary.words(&candidate.words))
                    .collect();
                let scores = model.sentences(&sentences)?;
                for (candidate, score) in candidates.iter_mut().zip(scores) {
                    candidate.language = score;
                }
            }
            return Ok(candidates);
        }
        let start = model.start();
        let extend = |words: &[(&L::State, WordId)]| match asks {
            false => Ok(vec![None; words.len()]),
            true => {
                let words: Vec<(&L::State, &str)> = words
                    .iter()
                    .map(|&(state, word)| (state, vocabulary.word(word)))
                    .collect();
                Ok(model.extend(&words)?.into_iter().map(Some).collect())
            }
        };
        let mut beam = self.walk(lattice, self.width.max(1), start, extend)?;
        if asks {
            let states: Vec<&L::State> = beam.iter().map(|(state, _)| state).collect();
            let ends = model.end(&states)?;
            for ((_, candidate), end) in beam.iter_mut().zip(ends) {
                candidate.language = candidate.language.then(end);
            }
        }
        Ok(beam.into_iter().map(|(_, candidate)| candidate).collect())
    }

    /// Goes from slot to slot and keeps so many word sequences; `extend` scores one more word after each state, or says
    /// nothing of it.
    fn walk<S: Clone, E>(
        &self,
        lattice: &Lattice,
        width: usize,
        start: S,
        mut extend: impl FnMut(&[(&S, WordId)]) -> Result<Vec<Option<(S, LanguageScore)>>, E>,
    ) -> Result<Vec<(S, Candidate)>, E> {
        let empty = Candidate {
            words: Vec::new(),
            lattice: 0.0,
            language: LanguageScore::default(),
        };
        let mut beam = vec![(start, empty)];
        for slot in lattice.slots() {
            let asked: Vec<(&S, WordId)> = beam
                .iter()
                .flat_map(|(state, _)| {
                    let words = slot.arcs.iter().filter_map(|arc| arc.word);
                    words.map(move |word| (state, word))
                })
                .collect();
            let mut scored = extend(&asked)?.into_iter();
            let mut next: Vec<(S, Candidate)> = Vec::new();
            let mut places: HashMap<Vec<WordId>, usize> = HashMap::new();
            for (state, candidate) in &beam {
                for arc in &slot.arcs {
                    let mut words = candidate.words.clone();
                    words.extend(arc.word);
                    let (state, language) = match arc.word.and_then(|_| scored.next().flatten()) {
                        Some((state, score)) => (state, candidate.language.then(score)),
                        None => (state.clone(), candidate.language),
                    };
                    let lattice = candidate.lattice + libm::log(arc.weight + FLOOR);
                    // Equal words have one score of the language model, so that the lattice's decides.
                    if let Some(&place) = places.get(&words) {
                        let other = &mut next[place].1;
                        other.lattice = other.lattice.max(lattice);
                        continue;
                    }
                    places.insert(words.clone(), next.len());
                    let candidate = Candidate {
                        words,
                        lattice,
                        language,
                    };
                    next.push((state, candidate));
                }
            }
            if next.len() > width {
                let score = |(_, candidate): &(S, Candidate)| candidate.score(self);
                next.sort_by(|a, b| score(b).total_cmp(&score(a)));
                next.truncate(width);
            }
            beam = next;
        }
        Ok(beam)
    }
}
