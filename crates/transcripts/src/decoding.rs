//! Stage 2: the best path through a word lattice.

use std::collections::HashMap;
use std::convert::Infallible;

use crate::{LanguageModel, LanguageScore, Lattice, Slot, Vocabulary, WordId};

/// Added to a weight before its logarithm is taken.
const FLOOR: f64 = 1e-6;

/// How paths are scored and searched.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Decoder {
    /// The weight of the language model.
    pub alpha: f64,
    /// A bonus per word, in nats, which offsets the language model's preference for short sentences.
    pub beta: f64,
    /// The number of paths kept at each slot, for a lattice that is not searched exactly.
    pub width: usize,
    /// The largest number of paths of a lattice that is searched exactly.
    pub exact_paths: u128,
}

impl Default for Decoder {
    /// α = 0.7, β = 3, 32 paths kept, up to 256 searched exactly.
    fn default() -> Self {
        Self {
            alpha: 0.7,
            beta: 3.0,
            width: 32,
            exact_paths: 256,
        }
    }
}

/// The words of one or more paths, with the parts of their score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The words.
    pub words: Vec<WordId>,
    /// Σ log(P + 10⁻⁶) over the slots, where P is the weight of the path's arc; the highest value of the paths with these words.
    pub lattice: f64,
    /// The language model's score of the words and the end of the sentence.
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

    /// The best candidate; the first among equals.
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

    /// The words of every path of a lattice, each once, in an order that does not depend on weights. The language model is not
    /// called, and its scores are 0.
    pub fn paths(&self, lattice: &Lattice) -> Vec<Candidate> {
        let silent = |states: &[(&(), WordId)]| Ok::<_, Infallible>(vec![None; states.len()]);
        match Self::walk(&[*self], lattice, usize::MAX, (), silent) {
            Ok(beams) => {
                let beam = beams.into_iter().flatten();
                beam.map(|(_, candidate)| candidate).collect()
            }
            Err(never) => match never {},
        }
    }

    /// The words of the candidate paths at the end of the lattice. If the lattice is searched exactly, these are all paths,
    /// whatever α and β; otherwise those of a beam.
    ///
    /// With α = 0 the language model is not called, and its scores are 0.
    ///
    /// # Errors
    ///
    /// The language model's errors.
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
        let mut beams = Self::beams(&[*self], lattice, vocabulary, model)?;
        Ok(beams.pop().unwrap_or_default())
    }

    /// The words of the paths in the final beam of each of some decoders with one width.
    ///
    /// Beams advance from slot to slot together, so a beginning that several share is extended once.
    ///
    /// # Errors
    ///
    /// The language model's errors.
    pub(crate) fn beams<L: LanguageModel>(
        decoders: &[Self],
        lattice: &Lattice,
        vocabulary: &Vocabulary,
        model: &mut L,
    ) -> Result<Vec<Vec<Candidate>>, L::Error> {
        let mut found = vec![Vec::new(); decoders.len()];
        for asks in [false, true] {
            let own = decoders.iter().enumerate();
            let own = own.filter(|(_, decoder)| (decoder.alpha != 0.0) == asks);
            let (places, own): (Vec<usize>, Vec<Self>) = own.unzip();
            let Some(width) = own.first().map(|decoder| decoder.width.max(1)) else {
                continue;
            };
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
            let mut beams = Self::walk(&own, lattice, width, start, extend)?;
            if asks {
                let states = beams.iter().flatten().map(|(state, _)| state);
                let mut ends = model.end(&states.collect::<Vec<_>>())?.into_iter();
                let candidates = beams.iter_mut().flatten();
                for ((_, candidate), end) in candidates.zip(ends.by_ref()) {
                    candidate.language = candidate.language.then(end);
                }
            }
            for (place, beam) in places.into_iter().zip(beams) {
                found[place] = beam.into_iter().map(|(_, candidate)| candidate).collect();
            }
        }
        Ok(found)
    }

    /// Advances from slot to slot, keeping a number of word sequences for each decoder. `extend` scores one more word after each
    /// state, or drops it with `None`.
    fn walk<S: Clone, E>(
        decoders: &[Self],
        lattice: &Lattice,
        width: usize,
        start: S,
        mut extend: impl FnMut(&[(&S, WordId)]) -> Result<Vec<Option<(S, LanguageScore)>>, E>,
    ) -> Result<Vec<Vec<(S, Candidate)>>, E> {
        let empty = Candidate {
            words: Vec::new(),
            lattice: 0.0,
            language: LanguageScore::default(),
        };
        let mut beams = vec![vec![(start, empty)]; decoders.len()];
        for slot in lattice.slots() {
            let mut asked: Vec<(&S, WordId)> = Vec::new();
            // The positions of the scores of the words after each beginning.
            let mut firsts: HashMap<Vec<WordId>, usize> = HashMap::new();
            for (state, candidate) in beams.iter().flatten() {
                if !firsts.contains_key(&candidate.words) {
                    firsts.insert(candidate.words.clone(), asked.len());
                    let words = slot.arcs.iter().filter_map(|arc| arc.word);
                    asked.extend(words.map(|word| (state, word)));
                }
            }
            let scored = extend(&asked)?;
            for (decoder, beam) in decoders.iter().zip(&mut beams) {
                let after = |words: &[WordId]| &scored[firsts.get(words).copied().unwrap_or(0)..];
                let mut next = followed(beam, slot, after);
                if next.len() > width {
                    let score = |(_, candidate): &(S, Candidate)| candidate.score(decoder);
                    next.sort_by(|a, b| score(b).total_cmp(&score(a)));
                    next.truncate(width);
                }
                *beam = next;
            }
        }
        Ok(beams)
    }
}

/// Extends word sequences by each arc of a slot; `after` holds the scores of the slot's words after a sequence, in order.
fn followed<'s, S: Clone + 's>(
    beam: &[(S, Candidate)],
    slot: &Slot,
    after: impl Fn(&[WordId]) -> &'s [Option<(S, LanguageScore)>],
) -> Vec<(S, Candidate)> {
    let mut next: Vec<(S, Candidate)> = Vec::new();
    let mut places: HashMap<Vec<WordId>, usize> = HashMap::new();
    for (state, candidate) in beam {
        let mut scored = after(&candidate.words).iter();
        for arc in &slot.arcs {
            let mut words = candidate.words.clone();
            words.extend(arc.word);
            let score = arc.word.and_then(|_| scored.next()?.as_ref());
            let (state, language) = match score {
                Some((state, score)) => (state, candidate.language.then(*score)),
                None => (state, candidate.language),
            };
            let lattice = candidate.lattice + libm::log(arc.weight + FLOOR);
            // Equal words have the same language model score, so the lattice score decides.
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
            next.push((state.clone(), candidate));
        }
    }
    next
}
