//! Word lattices (confusion networks), built with ROVER's alignment.
//!
//! A lattice is a row of slots. Each slot holds words, and NULL if a hypothesis has no word there, with the weight of the
//! hypotheses that agree. A path takes one arc of each slot.

use std::collections::HashSet;

use crate::{DistinctList, TranscriptError, Vocabulary, WordId};

/// Costs of ROVER's alignment. A correct word costs nothing; neither does a deletion in a slot with NULL.
const INSERTION: u32 = 3;
const DELETION: u32 = 3;
const SUBSTITUTION: u32 = 4;

/// The largest number of slots of a lattice.
pub const MAX_SLOTS: usize = 4096;

/// An arc of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Arc {
    /// The word; `None` is NULL.
    pub word: Option<WordId>,
    /// The total weight of the hypotheses with this word here.
    pub weight: f64,
}

/// The alternatives at one place of a transcript.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Slot {
    /// At least one arc; their words are distinct, in the order of adding.
    pub arcs: Vec<Arc>,
    /// Whether the best hypothesis has no word here.
    pub inserted: bool,
}

impl Slot {
    fn has(&self, word: Option<WordId>) -> bool {
        self.arcs.iter().any(|arc| arc.word == word)
    }

    fn add(&mut self, word: Option<WordId>, weight: f64) {
        match self.arcs.iter_mut().find(|arc| arc.word == word) {
            Some(arc) => arc.weight += weight,
            None => self.arcs.push(Arc { word, weight }),
        }
    }
}

/// Whether a corrected transcript must have as many words as the best hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CountRule {
    /// Slots are used unchanged.
    Free,
    /// Slots opened by insertions stay NULL, and no other slot may be NULL.
    Keep,
}

impl CountRule {
    /// The name in outputs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Keep => "keep",
        }
    }
}

/// A row of slots.
///
/// ```
/// use layerwise_transcripts::{CountRule, Lattice, Vocabulary};
///
/// let mut vocabulary = Vocabulary::new();
/// let lists = [vec!["to", "boston"], vec!["to", "austin"], vec!["to", "the", "austin"]];
/// let hypotheses = lists.map(|words| vocabulary.add_all(words));
/// let lattice = Lattice::rover(&hypotheses, &[0.4, 0.3, 0.3])?;
/// assert_eq!(vocabulary.text(&lattice.heaviest()), "to austin"); // 0.6 of the weight
/// assert_eq!(lattice.path_count(), 2 * 2); // with and without `the`, and two towns
/// assert_eq!(lattice.under(CountRule::Keep).path_count(), 2); // as many words as the first
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Lattice {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, PartialEq)]
enum Move {
    Pair,
    Deletion,
    Insertion,
}

impl Lattice {
    /// Merges a list's hypotheses with equal weights, for uses that depend only on the paths.
    ///
    /// # Errors
    ///
    /// The lattice has more than [`MAX_SLOTS`] slots.
    pub fn of(list: &DistinctList) -> Result<Self, TranscriptError> {
        Self::rover(&list.hypotheses, &vec![1.0; list.hypotheses.len()])
    }

    /// Merges hypotheses into the first one, in order, each with its weight.
    ///
    /// Each hypothesis is aligned with the slots at ROVER's costs (insertion 3, deletion 3, substitution 4; a deletion is free in
    /// a slot with NULL). A pair adds the word to its slot, and a deletion adds NULL. An insertion opens a slot that holds NULL
    /// with the weight merged so far. Among alignments with equal cost it takes the one that, read from the end, prefers pairs to
    /// deletions and deletions to insertions.
    ///
    /// # Errors
    ///
    /// The lattice has more than [`MAX_SLOTS`] slots.
    ///
    /// # Panics
    ///
    /// If there are no hypotheses, or the number of weights differs.
    pub fn rover(
        hypotheses: &[impl AsRef<[WordId]>],
        weights: &[f64],
    ) -> Result<Self, TranscriptError> {
        assert_eq!(
            hypotheses.len(),
            weights.len(),
            "each hypothesis has a weight"
        );
        let slot = |&word: &WordId| Slot {
            arcs: vec![Arc {
                word: Some(word),
                weight: weights[0],
            }],
            inserted: false,
        };
        let mut lattice = Self {
            slots: hypotheses[0].as_ref().iter().map(slot).collect(),
        };
        let mut merged = weights[0];
        for (hypothesis, &weight) in hypotheses[1..].iter().zip(&weights[1..]) {
            lattice.merge(hypothesis.as_ref(), weight, merged);
            merged += weight;
            if lattice.slots.len() > MAX_SLOTS {
                return Err(TranscriptError::TooManySlots { limit: MAX_SLOTS });
            }
        }
        Ok(lattice)
    }

    fn merge(&mut self, words: &[WordId], weight: f64, merged: f64) {
        let columns = words.len() + 1;
        let mut costs: Vec<u32> = (0..columns as u32).map(|j| j * INSERTION).collect();
        let mut moves = vec![Move::Insertion; (self.slots.len() + 1) * columns];
        for (slot, moves) in self
            .slots
            .iter()
            .zip(moves[columns..].chunks_exact_mut(columns))
        {
            let deletion = if slot.has(None) { 0 } else { DELETION };
            let mut diagonal = costs[0];
            costs[0] += deletion;
            moves[0] = Move::Deletion;
            for (j, &word) in words.iter().enumerate() {
                let known = slot.has(Some(word));
                let mut best = (diagonal + if known { 0 } else { SUBSTITUTION }, Move::Pair);
                for (cost, taken) in [
                    (costs[j + 1] + deletion, Move::Deletion),
                    (costs[j] + INSERTION, Move::Insertion),
                ] {
                    if cost < best.0 {
                        best = (cost, taken);
                    }
                }
                diagonal = costs[j + 1];
                (costs[j + 1], moves[j + 1]) = best;
            }
        }
        let mut slots = Vec::with_capacity(self.slots.len());
        let mut j = words.len();
        loop {
            let i = self.slots.len();
            if i == 0 && j == 0 {
                break;
            }
            let taken = moves[i * columns + j];
            if taken == Move::Insertion {
                j -= 1;
                let null = Arc {
                    word: None,
                    weight: merged,
                };
                let word = Arc {
                    word: Some(words[j]),
                    weight,
                };
                slots.push(Slot {
                    arcs: vec![null, word],
                    inserted: true,
                });
            } else if let Some(mut slot) = self.slots.pop() {
                if taken == Move::Pair {
                    j -= 1;
                    slot.add(Some(words[j]), weight);
                } else {
                    slot.add(None, weight);
                }
                slots.push(slot);
            }
        }
        slots.reverse();
        self.slots = slots;
    }

    /// The slots, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The same lattice under a rule on the number of words.
    pub fn under(&self, rule: CountRule) -> Self {
        let word = |arc: &&Arc| arc.word.is_some();
        match rule {
            CountRule::Free => self.clone(),
            CountRule::Keep => Self {
                slots: self
                    .slots
                    .iter()
                    .filter(|slot| !slot.inserted)
                    .map(|slot| Slot {
                        arcs: slot.arcs.iter().filter(word).copied().collect(),
                        inserted: false,
                    })
                    .collect(),
            },
        }
    }

    /// The number of paths, at most `u128::MAX`.
    pub fn path_count(&self) -> u128 {
        let count = |count: u128, slot: &Slot| count.saturating_mul(slot.arcs.len() as u128);
        self.slots.iter().fold(1, count)
    }

    /// The words of the heaviest arcs; the first among equals.
    pub fn heaviest(&self) -> Vec<WordId> {
        let heaviest = |slot: &Slot| {
            let mut arcs = slot.arcs.iter();
            let first = arcs.next()?;
            let heavier = |best: Arc, arc: &Arc| match arc.weight > best.weight {
                true => *arc,
                false => best,
            };
            arcs.fold(*first, heavier).word
        };
        self.slots.iter().filter_map(heaviest).collect()
    }

    /// The words of the path with the fewest errors relative to some words, and the number of errors.
    ///
    /// With the reference as words, the number is the lattice oracle.
    pub fn nearest(&self, words: &[WordId]) -> (Vec<WordId>, usize) {
        let columns = words.len() + 1;
        let mut costs: Vec<usize> = (0..columns).collect();
        let mut moves = vec![Move::Deletion; (self.slots.len() + 1) * columns];
        for (slot, moves) in self
            .slots
            .iter()
            .zip(moves[columns..].chunks_exact_mut(columns))
        {
            // The cost of a slot that is paired with no word: 1, unless it holds NULL.
            let extra = usize::from(!slot.has(None));
            let mut diagonal = costs[0];
            costs[0] += extra;
            moves[0] = Move::Insertion;
            for (j, &word) in words.iter().enumerate() {
                let known = slot.has(Some(word));
                let pair = diagonal + usize::from(!known);
                // A slot with NULL alone has no word to pair.
                let has_word = slot.arcs.iter().any(|arc| arc.word.is_some());
                let mut best = match has_word {
                    true => (pair, Move::Pair),
                    false => (usize::MAX, Move::Pair),
                };
                for (cost, taken) in [
                    (costs[j + 1] + extra, Move::Insertion),
                    (costs[j] + 1, Move::Deletion),
                ] {
                    if cost < best.0 {
                        best = (cost, taken);
                    }
                }
                diagonal = costs[j + 1];
                (costs[j + 1], moves[j + 1]) = best;
            }
        }
        let (mut i, mut j) = (self.slots.len(), words.len());
        let mut path = Vec::new();
        while i > 0 || j > 0 {
            let taken = moves[i * columns + j];
            if taken == Move::Deletion {
                j -= 1;
                continue;
            }
            i -= 1;
            let slot = &self.slots[i];
            let some_word = || slot.arcs.iter().find_map(|arc| arc.word);
            if taken == Move::Pair {
                j -= 1;
                let known = slot.has(Some(words[j]));
                path.extend(if known { Some(words[j]) } else { some_word() });
            } else if !slot.has(None) {
                path.extend(some_word());
            }
        }
        path.reverse();
        (path, costs[words.len()])
    }

    /// The words of each slot as strings; `None` is NULL.
    pub fn texts(&self, vocabulary: &Vocabulary) -> Vec<Vec<Option<String>>> {
        let text = |arc: &Arc| arc.word.map(|word| vocabulary.word(word).to_owned());
        let slots = self.slots.iter();
        slots
            .map(|slot| slot.arcs.iter().map(text).collect())
            .collect()
    }

    /// The automaton that accepts the paths.
    pub fn automaton(&self) -> Automaton<'_> {
        Automaton { slots: &self.slots }
    }
}

/// The transcripts that a lattice allows, word by word.
///
/// A state is the set of slots that may come next; NULL leads to the next slot without a word.
#[derive(Debug, Clone, Copy)]
pub struct Automaton<'a> {
    slots: &'a [Slot],
}

/// The slots that may come next, ascending; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State(Vec<usize>);

impl Automaton<'_> {
    /// The state before the first word.
    pub fn start(&self) -> State {
        self.closed(vec![0])
    }

    /// Adds the slots reached through NULL.
    fn closed(&self, places: Vec<usize>) -> State {
        let mut closed: Vec<usize> = Vec::with_capacity(places.len());
        for place in places {
            // Earlier slots are already closed, so everything reached from them is present.
            if closed.last().is_some_and(|&last| last >= place) {
                continue;
            }
            closed.push(place);
            let nulls = self.slots[place..].iter().take_while(|slot| slot.has(None));
            closed.extend((place + 1..).take(nulls.count()));
        }
        State(closed)
    }

    /// The state after one more word; `None` if no path has it here.
    pub fn step(&self, state: &State, word: WordId) -> Option<State> {
        let next = |&place: &usize| {
            let slot = self.slots.get(place)?;
            slot.has(Some(word)).then_some(place + 1)
        };
        let places: Vec<usize> = state.0.iter().filter_map(next).collect();
        (!places.is_empty()).then(|| self.closed(places))
    }

    /// The words that may follow, each once, in the order of the slots.
    pub fn following(&self, state: &State) -> Vec<WordId> {
        let mut seen = HashSet::new();
        let slots = state.0.iter().filter_map(|&place| self.slots.get(place));
        slots
            .flat_map(|slot| &slot.arcs)
            .filter_map(|arc| arc.word)
            .filter(|word| seen.insert(*word))
            .collect()
    }

    /// Whether a transcript may end here.
    pub fn accepts(&self, state: &State) -> bool {
        state.0.last() == Some(&self.slots.len())
    }

    /// Whether a transcript is one of the paths.
    pub fn allows(&self, words: &[WordId]) -> bool {
        let mut state = self.start();
        for &word in words {
            match self.step(&state, word) {
                Some(next) => state = next,
                None => return false,
            }
        }
        self.accepts(&state)
    }
}
