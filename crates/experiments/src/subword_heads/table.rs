//! The records of this experiment.

use crate::core::table::{MOST_PLACES, misplaced, negative_error, record};
use serde::{Deserialize, Serialize};

/// The windows whose attention is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The last word is one token.
    Single,
    /// The last word is four tokens; every window.
    Multi,
    /// As `multi`, but only windows that the published notebook would have shown (attention from the last token above 0.4,
    /// 0.23 and
    /// 0.1 to the word's pieces, below 0.07 to token −6).
    MultiFiltered,
}

record! {
    /// One line of `subword-heads.csv`: one head, one kind of window, one token that receives attention.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block, from 0.
        pub layer: usize,
        /// The head, from 0.
        pub head: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// The windows.
        pub selection: Selection,
        /// Tokens before the last: 3, 2, 1 are the pieces of a word of four tokens, first piece first.
        pub token: usize,
        /// Mean attention from the last token of the window, 0 to 1; NaN if no window is selected.
        pub attention: f64,
        /// Its standard error, clustered by document.
        pub attention_se: Option<f64>,
        /// Windows.
        pub windows: u64,
    }
    table("subword-heads") key(model, layer, head, selection, token) fault(|r| negative_error([("attention_se", r.attention_se)]))
}

record! {
    /// One line of `subword-heads-map.csv`: one cell of the two heat maps of one head.
    pub struct Cell {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block, from 0.
        pub layer: usize,
        /// The head, from 0.
        pub head: usize,
        /// The windows that the rows come from.
        pub selection: Selection,
        /// Row, from 1.
        pub sample: usize,
        /// Token of the window, from 1 to 16.
        pub position: usize,
        /// The token, as text.
        pub text: String,
        /// Attention from the last token, 0 to 1.
        pub attention: f64,
    }
    table("subword-heads-map") key(model, layer, head, selection, sample, position) fault(|r| {
        let places = [("sample", r.sample), ("position", r.position)];
        misplaced(("position", MOST_PLACES), places)
    })
}
