//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::table::{is_share, negative_error, record};
use crate::core::tables::Tables;
use serde::{Deserialize, Serialize};

/// The setting in which a word's state is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// At the word, in its sentence.
    Base,
    /// At the word in the second of two copies of its sentence.
    Repeat,
    /// At the word before it in the second copy.
    RepeatPrev,
    /// At the one token before it in the second copy.
    RepeatPrevToken,
    /// At the end of the prompt `The "W" in this sentence "S" means in one word : "`.
    Prompt1,
    /// At the end of the prompt `In this sentence "S", "W" means in one word : "`.
    Prompt2,
}

impl Setting {
    /// Every setting.
    pub const ALL: [Self; 6] = [
        Self::Base,
        Self::Repeat,
        Self::RepeatPrev,
        Self::RepeatPrevToken,
        Self::Prompt1,
        Self::Prompt2,
    ];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Repeat => "repeat",
            Self::RepeatPrev => "repeat_prev",
            Self::RepeatPrevToken => "repeat_prev_token",
            Self::Prompt1 => "prompt1",
            Self::Prompt2 => "prompt2",
        }
    }
}

/// How the part that all words share is removed before a cosine is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// Not at all.
    None,
    /// Mean and deviation within 30 consecutive pairs, for each side separately.
    Batch,
    /// Mean and deviation over both sides of all development pairs.
    Corpus,
}

impl Removal {
    /// Every removal.
    pub const ALL: [Self; 3] = [Self::None, Self::Batch, Self::Corpus];
}

/// The pairs that are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// All pairs.
    All,
    /// Pairs of nouns.
    Noun,
    /// Pairs of verbs.
    Verb,
}

record! {
    /// One line of `lexical-semantics.csv`: decisions by the cosine of one state.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The set of pairs: `wic`, or the stand-in's name.
        pub pairs_of: String,
        /// The setting in which the state is read.
        pub setting: Setting,
        /// How the part that all words share is removed.
        pub aniso: Removal,
        /// The pairs that are judged.
        pub pos: Part,
        /// The residual stream s: 0 is the embedding, s the output of block s−1.
        pub state: usize,
        /// Whether it is read after the final norm, as the published last state is.
        pub normed: bool,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// The cosine above which two words count as having one sense: the first of 0, 0.05, …, 0.95 that is best on the
        /// development
        /// pairs.
        pub threshold: f64,
        /// Accuracy on the development pairs; chance is 0.5.
        pub dev_accuracy: f64,
        /// Accuracy on the test pairs.
        pub test_accuracy: f64,
        /// Its binomial standard error.
        pub test_accuracy_se: f64,
        /// Area under the ROC curve of the cosine on the test pairs, which needs no threshold.
        pub auc: Option<f64>,
        /// Development pairs.
        pub dev_items: u64,
        /// Test pairs.
        pub items: u64,
    }
    table("lexical-semantics") key(model, pairs_of, setting, aniso, pos, state, normed) fault(|r| {
        let shares = [("dev_accuracy", r.dev_accuracy), ("test_accuracy", r.test_accuracy)];
        let share = shares.into_iter().find(|(_, value)| !is_share(*value));
        share
            .map(|(column, _)| (column, "a share from 0 to 1".to_owned()))
            .or_else(|| negative_error([("test_accuracy_se", Some(r.test_accuracy_se))]))
    })
}

/// A comparison on the same test pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// Two settings over the states deeper than 0.15, with removal within batches.
    Deep,
    /// Two settings over the states of the first half without the embedding, with removal within batches.
    FirstHalf,
    /// Two settings over the states of the second half, with removal within batches.
    SecondHalf,
    /// The difference of two settings in the first half, minus their difference in the second.
    Halves,
    /// Two settings, each at the state of its best accuracy, with removal within batches.
    Best,
    /// One setting with removal within batches minus without, each at the state of its best accuracy.
    Removal,
}

record! {
    /// One line of `lexical-semantics-compared.csv`: two ways of deciding the same test pairs.
    pub struct Compared {
        /// Name of the model.
        pub model: String,
        /// The set of pairs.
        pub pairs_of: String,
        /// The comparison.
        pub comparison: Comparison,
        /// The first setting.
        pub setting: Setting,
        /// The second; the same for `removal`.
        pub other: Setting,
        /// Accuracy of the first minus that of the second.
        pub difference: f64,
        /// Its standard error, paired by item.
        pub difference_se: Option<f64>,
        /// Pairs that only the first gets right, if one state is compared with one.
        pub only_first: Option<u64>,
        /// Pairs that only the second gets right.
        pub only_second: Option<u64>,
        /// McNemar's exact two-sided p-value, which ignores that the best states were chosen on these pairs.
        pub p_value: Option<f64>,
        /// Test pairs.
        pub items: u64,
    }
    table("lexical-semantics-compared") key(model, pairs_of, comparison, setting, other) fault(|r| {
        negative_error([("difference_se", r.difference_se)])
    })
}

record! {
    /// One line of `lexical-semantics-best.csv`: the state to use as the vector of a word.
    pub struct Best {
        /// Name of the model.
        pub model: String,
        /// The set of pairs.
        pub pairs_of: String,
        /// The setting in which the state is read.
        pub setting: Setting,
        /// How the part that all words share is removed.
        pub aniso: Removal,
        /// The state with the best test accuracy; of equal ones the first.
        pub state: usize,
        /// Whether it is read after the final norm.
        pub normed: bool,
        /// Its accuracy.
        pub test_accuracy: f64,
        /// The earliest state of the interval that contains 95 % of the best states of resampled test pairs.
        pub state_low: usize,
        /// The latest state of the interval.
        pub state_high: usize,
        /// The share of replicates with the same best state.
        pub same_state: f64,
        /// Replicates.
        pub replicates: u64,
        /// Test pairs.
        pub items: u64,
    }
    table("lexical-semantics-best") key(model, pairs_of, setting, aniso) fault(|_| None)
}

record! {
    /// One line of `lexical-semantics-raw.csv`: the cosine against relatedness as people judged it.
    pub struct Rated {
        /// Name of the model.
        pub model: String,
        /// The setting in which the state is read.
        pub setting: Setting,
        /// How the part that all words share is removed.
        pub aniso: Removal,
        /// The residual stream.
        pub state: usize,
        /// Whether it is read after the final norm.
        pub normed: bool,
        /// Spearman's correlation over pairs; empty if the cosine is constant.
        pub spearman: Option<f64>,
        /// Pairs.
        pub items: u64,
    }
    table("lexical-semantics-raw") key(model, setting, aniso, state, normed) fault(|_| None)
}

/// Whether a state belongs to the published curve: the residual streams before the last, and the last after the final norm.
pub(super) fn is_published(state: usize, normed: bool, layers: usize) -> bool {
    normed == (state == layers)
}

/// Test accuracy in per cent at the states of the published curves, in their order.
///
/// # Errors
/// The results are incomplete.
pub fn percent(
    tables: &Tables,
    model: &str,
    pairs_of: &str,
    (setting, aniso, pos): (Setting, Removal, Part),
) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| {
        let (model, pairs_of) = (r.model == model, r.pairs_of == pairs_of);
        let own = (r.setting, r.aniso, r.pos) == (setting, aniso, pos);
        model && pairs_of && own && is_published(r.state, r.normed, r.layers)
    };
    curve::curve(tables.of(), "lexical-semantics", own, |r| {
        let (value, error) = (100.0 * r.test_accuracy, 100.0 * r.test_accuracy_se);
        point(r.state, r.relative_depth, value, Some(error))
    })
}
