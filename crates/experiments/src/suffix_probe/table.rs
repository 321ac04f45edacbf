//! The records of this experiment.

use crate::core::table::{negative_error, record};
use crate::neurons::Kind;

record! {
    /// One line of `suffix-probe.csv`: one rank k.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// k: the neuron's rank by single accuracy on the training folds, and the number of neurons in the ensemble.
        pub rank: usize,
        /// Block of the neuron, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Its index in the block.
        pub neuron: usize,
        /// Its effect on the vocabulary.
        pub kind: Kind,
        /// Test accuracy of the probe on this neuron alone.
        pub single_accuracy: f64,
        /// Its standard error, clustered by document.
        pub single_accuracy_se: Option<f64>,
        /// Test accuracy of the probe on the first k neurons.
        pub ensemble_accuracy: f64,
        /// Its standard error.
        pub ensemble_accuracy_se: Option<f64>,
        /// Share of examples for which the most probable next token has the ending exactly when the true one has.
        pub model_accuracy: f64,
        /// Its standard error.
        pub model_accuracy_se: Option<f64>,
        /// Test examples, half of each class.
        pub examples: u64,
    }
    table("suffix-probe") key(model, rank) fault(|r| negative_error([("single_accuracy_se", r.single_accuracy_se), ("ensemble_accuracy_se", r.ensemble_accuracy_se), ("model_accuracy_se", r.model_accuracy_se)]))
}
