//! Transcripts of speech: N-best lists, word error rates, word lattices, rescoring and significance.
//!
//! A recogniser proposes N best hypotheses for each utterance. [`read_hyporadise`], [`read_columns`] and [`read_kaldi`] read
//! them, strictly and within [`Limits`]; a [`Normaliser`] turns texts into words; [`Utterance::distinct`] drops copies.
//! Correction has two stages:
//!
//! 1. a [`Gate`] keeps the best hypothesis of lists that the recogniser is sure of;
//! 2. the others become a [`Lattice`], and a [`Decoder`] searches its best path with any [`LanguageModel`].
//!
//! The words of a path come from the hypotheses alone, so a correction obeys the rules by construction. The [`Automaton`] of a
//! lattice says which word may follow, and [`violations`] checks corrections of other programs.
//! A [`System`] is one way of correcting [`ScoredLists`], with its result for each list; its settings are given, or
//! [tuned](Tuning) on other utterances. [`errors`] counts, and [`bootstrap`] and [`matched_pairs`] test whether a difference is
//! due to chance.
//!
//! Nothing here knows a neural model or opens a file. [`KneserNey`] is a trigram model with which the whole chain runs in a
//! second:
//!
//! ```
//! use layerwise_transcripts::{
//!     CountRule, Decoder, Gate, KneserNey, Lattice, Limits, Normaliser, Vocabulary, read_hyporadise,
//! };
//!
//! let file = br#"[{"input": ["show me fights to boston", "show me flights to austin", "show flights to boston"],
//!                  "output": "show me flights to boston", "score": [-0.30, -0.31, -0.33]}]"#;
//! let lists = read_hyporadise(&file[..], &Limits::default())?;
//! let mut vocabulary = Vocabulary::new();
//! let list = lists.utterances[0].distinct(&Normaliser::Norm, &mut vocabulary);
//! let gate = Gate::new(lists.scale);
//! let judgement = gate.judge(&list, &gate.scores(&list, lists.scale, &[]));
//! assert!(judgement.is_sent);
//! let lattice = Lattice::rover(&list.hypotheses, &judgement.posteriors)?.under(CountRule::Free);
//! let mut model = KneserNey::train([["show", "me", "flights", "from", "denver"], ["list", "all", "flights", "to", "boston"]])?;
//! let decoder = Decoder::default();
//! let candidates = decoder.candidates(&lattice, &vocabulary, &mut model).unwrap_or_default();
//! let best = decoder.best(&candidates).ok_or("a lattice has a path")?;
//! assert_eq!(vocabulary.text(&best.words), "show me flights to boston"); // none of the hypotheses
//! assert!(lattice.automaton().allows(&best.words));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alignment;
mod comparison;
mod correction;
mod decoding;
mod detection;
mod error;
mod exploring;
mod gate;
mod kneser_ney;
mod language;
mod lattice;
mod nbest;
mod normaliser;
mod prompt;
mod read;
mod rules;
mod scored;
mod significance;
mod system;
mod words;

pub use alignment::{ErrorCounts, Operation, align, distance, errors};
pub use comparison::{Comparison, compare};
pub use correction::{Corrected, CorrectionError, Found, Grid, Method, Mode, Point, TAUS, Tuned};
pub use decoding::{Candidate, Decoder};
pub use detection::Detection;
pub use error::{Place, TranscriptError};
pub use exploring::{AlphaRate, ShareRate};
pub use gate::{Gate, Judgement, posteriors};
pub use kneser_ney::{Context, KneserNey};
pub use language::{Counted, LanguageModel, LanguageScore, NoLanguageModel};
pub use lattice::{Arc, Automaton, CountRule, Lattice, MAX_SLOTS, Slot, State};
pub use nbest::{DistinctList, Hypothesis, NBestLists, Oddities, Row, ScoreScale, Utterance};
pub use normaliser::Normaliser;
pub use prompt::Template;
pub use read::{Limits, read_columns, read_corrections, read_hyporadise, read_kaldi, read_table};
pub use rules::{Violations, violations};
pub use scored::ScoredLists;
pub use significance::{Bootstrap, Interval, MatchedPairs, bootstrap, matched_pairs};
pub use system::{Output, Repair, System, Tuning};
pub use words::{Vocabulary, WordId};
