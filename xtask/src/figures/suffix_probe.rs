//! Probes for the ending "-ing" of the next token, from single neurons and from ensembles.
//!
//! - **Stands for** Figure 12a (9) of the NeurIPS version, and v1's and v3's "-ing" figures.
//! - **Needs** any models and any text with enough words of that ending; the neurons of `suffix-neurons` (GPT-2 XL: the published list).
//! - **Feeds the claims** D19, D20.

use super::table::{negative_error, record};

use super::suffix_neurons::Kind;

record! {
    /// One line of `suffix-probe.csv`: one rank k.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// k: the neuron's rank by single accuracy on the training folds, and how many neurons the ensemble has.
        pub rank: usize,
        /// Block of the neuron, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Its index in the block.
        pub neuron: usize,
        /// What it does to the vocabulary.
        pub kind: Kind,
        /// Test accuracy of the probe on this neuron alone.
        pub single_accuracy: f64,
        /// Its standard error, clustered by document.
        pub single_accuracy_se: Option<f64>,
        /// Test accuracy of the probe on the first k neurons.
        pub ensemble_accuracy: f64,
        /// Its standard error.
        pub ensemble_accuracy_se: Option<f64>,
        /// Share of examples whose most probable next token has the ending exactly where the true one has.
        pub model_accuracy: f64,
        /// Its standard error.
        pub model_accuracy_se: Option<f64>,
        /// Test examples, half of each class.
        pub examples: u64,
    }
    key(model, rank) fault(|r| negative_error([("single_accuracy_se", r.single_accuracy_se), ("ensemble_accuracy_se", r.ensemble_accuracy_se), ("model_accuracy_se", r.model_accuracy_se)]))
}
