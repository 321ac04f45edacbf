//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::lens::Lens;
use crate::core::table::{negative_error, record};
use crate::core::tables::Tables;

record! {
    /// One line of `lens-entropy.csv`: one lens on one residual stream.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The lens.
        pub lens: Lens,
        /// The residual stream s: 0 is the embedding, s the output of block s−1.
        pub state: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// Mean entropy of the lens distribution, bits.
        pub entropy_bits: f64,
        /// Its standard error, clustered by sequence, bits.
        pub entropy_bits_se: Option<f64>,
        /// Standard deviation of the sequences' mean entropies, the band of the published notebook, bits.
        pub entropy_bits_sd: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("lens-entropy") key(model, lens, state) fault(|r| negative_error([("entropy_bits_se", r.entropy_bits_se)]))
}

/// The lens's entropy on each residual stream, bits.
///
/// # Errors
/// The results are incomplete.
pub fn curve(tables: &Tables, model: &str, lens: Lens) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model && r.lens == lens;
    curve::curve(tables.of(), "lens-entropy", own, |r| {
        point(r.state, r.relative_depth, r.entropy_bits, r.entropy_bits_se)
    })
}
