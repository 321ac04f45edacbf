//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::table::{negative_error, record};
use crate::core::tables::Tables;
use serde::{Deserialize, Serialize};

/// How the label is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Logistic regression on [h₁; h₂; |h₁−h₂|; h₁⊙h₂], standardised, with L2 chosen on the development pairs (B.12).
    Probe,
    /// Cosine above a threshold chosen on the development pairs, dimensions standardised within batches (F.3); no training.
    Cosine,
}

record! {
    /// One line of `wic.csv`: one method on one residual stream.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The set of pairs: `wic`, or the stand-in's name.
        pub pairs_of: String,
        /// How the label is read.
        pub method: Method,
        /// The residual stream s: 0 is the embedding, s the output of block s−1.
        pub state: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// Accuracy on the test pairs; chance is 0.5.
        pub accuracy: f64,
        /// Its standard error, clustered by word.
        pub accuracy_se: Option<f64>,
        /// The inverse penalty C, or the threshold, chosen on the development pairs.
        pub chosen: f64,
        /// Pairs for training.
        pub train_pairs: u64,
        /// Pairs for choosing.
        pub dev_pairs: u64,
        /// Pairs for testing.
        pub test_pairs: u64,
    }
    table("wic") key(model, pairs_of, method, state) fault(|r| negative_error([("accuracy_se", r.accuracy_se)]))
}

/// The accuracy of the probe on each residual stream, for one set of pairs.
///
/// # Errors
/// The results are incomplete.
pub fn curve(tables: &Tables, model: &str, pairs_of: &str) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model && r.method == Method::Probe && r.pairs_of == pairs_of;
    curve::curve(tables.of(), "wic", own, |r| {
        point(r.state, r.relative_depth, r.accuracy, r.accuracy_se)
    })
}
