//! Automata over the bytes of a text, as constraints on tokens.

use crate::constraint::Constraint;
use crate::token_texts::TokenTexts;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An automaton that reads a text byte by byte. From every reachable state, some text must lead to an accepting state.
///
/// ```
/// use layerwise_generate::{Constraint, Spells, TextAutomaton, TokenTexts};
/// use std::sync::Arc;
///
/// /// One or more digits; the state says whether there was one.
/// struct Digits;
///
/// impl TextAutomaton for Digits {
///     type State = bool;
///
///     fn start(&self) -> bool {
///         false
///     }
///     fn step(&self, _: &bool, byte: u8) -> Option<bool> {
///         byte.is_ascii_digit().then_some(true)
///     }
///     fn accepts(&self, state: &bool) -> bool {
///         *state
///     }
/// }
///
/// let tokens = ["1", "23", "x", "<end>"].map(|text| Some(text.as_bytes().to_vec()));
/// let mut constraint = Spells::new(Arc::new(Digits), Arc::new(TokenTexts::new(tokens)), vec![3]);
/// assert!(constraint.allows(1) && !constraint.allows(2) && !constraint.allows(3));
/// constraint.advance(1);
/// assert!(constraint.allows(0) && constraint.allows(3));
/// ```
pub trait TextAutomaton {
    /// The automaton's state.
    type State: Clone;

    /// The state before the first byte.
    fn start(&self) -> Self::State;

    /// The state after one more byte; `None` if no text has that byte here.
    fn step(&self, state: &Self::State, byte: u8) -> Option<Self::State>;

    /// Whether the text may end here.
    fn accepts(&self, state: &Self::State) -> bool;
}

/// Requires the continuation to spell a text that an automaton accepts, in any tokens, including parts of characters.
///
/// If a text may end or go on, an end token ends it. Without end tokens it goes on.
#[derive(Debug)]
pub struct Spells<A: TextAutomaton> {
    automaton: Arc<A>,
    tokens: Arc<TokenTexts>,
    end_tokens: Vec<u32>,
    state: A::State,
    /// Whether each token of the vocabulary may come next, apart from end tokens.
    allowed: Vec<bool>,
    has_ended: bool,
}

impl<A: TextAutomaton> Clone for Spells<A> {
    fn clone(&self) -> Self {
        Self {
            automaton: Arc::clone(&self.automaton),
            tokens: Arc::clone(&self.tokens),
            end_tokens: self.end_tokens.clone(),
            state: self.state.clone(),
            allowed: self.allowed.clone(),
            has_ended: self.has_ended,
        }
    }
}

impl<A: TextAutomaton> Spells<A> {
    /// Requires a text of the automaton, followed by one of the end tokens if there are any.
    pub fn new(automaton: Arc<A>, tokens: Arc<TokenTexts>, end_tokens: Vec<u32>) -> Self {
        let state = automaton.start();
        let mut spells = Self {
            allowed: vec![false; tokens.vocab()],
            automaton,
            tokens,
            end_tokens,
            state,
            has_ended: false,
        };
        spells.look_ahead();
        spells
    }

    fn look_ahead(&mut self) {
        let mut allowed = vec![false; self.tokens.vocab()];
        let automaton = &self.automaton;
        let step = |state: &A::State, byte| automaton.step(state, byte);
        let mut found = |token: u32| allowed[token as usize] = true;
        self.tokens.follow(&self.state, &step, &mut found);
        // An end token ends the continuation, whatever its text is.
        for end in &self.end_tokens {
            if let Some(is_text) = allowed.get_mut(*end as usize) {
                *is_text = false;
            }
        }
        self.allowed = allowed;
    }

    fn may_end(&self) -> bool {
        self.automaton.accepts(&self.state)
    }
}

impl<A: TextAutomaton> Constraint for Spells<A> {
    fn allows(&self, token: u32) -> bool {
        let is_text = self.allowed.get(token as usize).copied().unwrap_or(false);
        !self.has_ended && (is_text || self.may_end() && self.end_tokens.contains(&token))
    }

    fn advance(&mut self, token: u32) {
        let is_text = self.allowed.get(token as usize).copied().unwrap_or(false);
        let bytes = self.tokens.bytes(token).filter(|_| is_text);
        let next = bytes.and_then(|bytes| {
            bytes.iter().try_fold(self.state.clone(), |state, byte| {
                self.automaton.step(&state, *byte)
            })
        });
        match next {
            Some(next) => {
                self.state = next;
                self.look_ahead();
            }
            None => self.has_ended = true,
        }
    }

    fn is_finished(&self) -> bool {
        let goes_on = self.allowed.contains(&true);
        self.has_ended || self.may_end() && self.end_tokens.is_empty() && !goes_on
    }
}

/// Texts that concatenate one text from each of a row of slots. A set of texts is a single slot; a word lattice is a row of
/// slots, some of which may be skipped.
///
/// ```
/// use layerwise_generate::{Constraint, Spells, TextLattice, TokenTexts};
/// use std::sync::Arc;
///
/// let words = Arc::new(TextLattice::words(&[vec![Some("show")], vec![Some("flights"), Some("fights")], vec![None, Some("now")]], false));
/// let tokens = ["sh", "ow", " f", "l", "ights", " now", "x"].map(|text| Some(text.as_bytes().to_vec()));
/// let mut constraint = Spells::new(words, Arc::new(TokenTexts::new(tokens)), Vec::new());
/// for token in [0, 1, 2, 4] {
///     assert!(constraint.allows(token) && !constraint.allows(6));
///     constraint.advance(token);
/// }
/// assert!(constraint.allows(5)); // "show fights" may continue
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextLattice {
    slots: Vec<Vec<Vec<u8>>>,
    /// Whether the space before the first word is left out.
    has_no_first_space: bool,
}

/// The possible places in a [`TextLattice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(BTreeSet<Place>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Before(usize),
    Within {
        slot: usize,
        text: usize,
        read: usize,
    },
}

impl TextLattice {
    /// Requires one of these texts.
    pub fn one_of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let texts = texts.into_iter().map(|text| text.as_ref().into());
        Self {
            slots: vec![texts.collect()],
            has_no_first_space: false,
        }
    }

    /// Requires one word of each slot, or no word for `None`. A space separates words, and precedes the first word if the text
    /// follows a word.
    ///
    /// Empty words count as `None`.
    pub fn words<T: AsRef<str>>(slots: &[Vec<Option<T>>], begins_with_space: bool) -> Self {
        let text = |word: &Option<T>| match word {
            Some(word) if !word.as_ref().is_empty() => format!(" {}", word.as_ref()).into_bytes(),
            _ => Vec::new(),
        };
        Self {
            slots: slots
                .iter()
                .map(|slot| slot.iter().map(text).collect())
                .collect(),
            has_no_first_space: !begins_with_space,
        }
    }

    /// Adds the places that empty texts lead to.
    fn closed(&self, mut places: BTreeSet<Place>) -> BTreeSet<Place> {
        for slot in 0..self.slots.len() {
            let has_empty = self.slots[slot].iter().any(Vec::is_empty);
            if has_empty && places.contains(&Place::Before(slot)) {
                places.insert(Place::Before(slot + 1));
            }
        }
        places
    }

    fn stepped(&self, places: &BTreeSet<Place>, byte: u8) -> BTreeSet<Place> {
        let mut next = BTreeSet::new();
        let mut read = |slot: usize, text: usize, at: usize| {
            let bytes = &self.slots[slot][text];
            if bytes.get(at) == Some(&byte) {
                next.insert(match at + 1 == bytes.len() {
                    true => Place::Before(slot + 1),
                    false => Place::Within {
                        slot,
                        text,
                        read: at + 1,
                    },
                });
            }
        };
        for place in places {
            match *place {
                Place::Before(slot) => {
                    let texts = self.slots.get(slot).map_or(0, Vec::len);
                    (0..texts).for_each(|text| read(slot, text, 0));
                }
                Place::Within {
                    slot,
                    text,
                    read: at,
                } => read(slot, text, at),
            }
        }
        self.closed(next)
    }
}

impl TextAutomaton for TextLattice {
    type State = Places;

    fn start(&self) -> Places {
        let start = self.closed([Place::Before(0)].into());
        if !self.has_no_first_space {
            return Places(start);
        }
        let end = Place::Before(self.slots.len());
        let mut places = self.stepped(&start, b' ');
        // If no word is chosen, there is no space either.
        places.extend(start.contains(&end).then_some(end));
        Places(places)
    }

    fn step(&self, state: &Places, byte: u8) -> Option<Places> {
        let next = self.stepped(&state.0, byte);
        (!next.is_empty()).then_some(Places(next))
    }

    fn accepts(&self, state: &Places) -> bool {
        state.0.contains(&Place::Before(self.slots.len()))
    }
}
