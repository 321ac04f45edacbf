//! The records of this experiment.

use crate::core::table::record;
use crate::neurons::Kind;

record! {
    /// One line of `suffix-neurons.csv`: one neuron, by rank.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Rank by the size of the effect, from 1.
        pub rank: usize,
        /// Its block, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Its index in the block, from 0.
        pub neuron: usize,
        /// Its effect on the vocabulary.
        pub kind: Kind,
        /// Mean of its output weights' product with W_U over tokens with the ending, minus the mean over the others (logits a
        /// unit of
        /// activation).
        pub effect: f64,
        /// Variance of its cosines with W_U over the vocabulary.
        pub variance: f64,
        /// Their skewness.
        pub skewness: f64,
        /// Their kurtosis, not excess.
        pub kurtosis: f64,
    }
    table("suffix-neurons") key(model, rank) fault(|_| None)
}

record! {
    /// One line of `suffix-neurons-histogram.csv`: how many tokens a neuron moves by an amount in one bin.
    pub struct Bin {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The neuron's rank, from 1.
        pub rank: usize,
        /// Index of the bin, from 0.
        pub bin: usize,
        /// Lower end, in logits a unit of activation.
        pub low: f64,
        /// Upper end.
        pub high: f64,
        /// Tokens with the ending.
        pub ending: u64,
        /// Other tokens.
        pub others: u64,
    }
    table("suffix-neurons-histogram") key(model, rank, bin) fault(|_| None)
}
