//! The records of this experiment.

use crate::core::table::{MOST_PLACES, misplaced, negative_error, record};

record! {
    /// One line of `patching.csv`: one activation at one block and position, replaced by that of the clean prompt.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The set of pairs.
        pub set: String,
        /// The site that is replaced: `resid.post`, `attn.out` or `mlp.out`.
        pub site: String,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1).
        pub relative_depth: f64,
        /// The position, from 0.
        pub position: usize,
        /// The recovered share of the logit difference: 0 as in the corrupted prompt, 1 as in the clean one.
        pub recovered: f64,
        /// Its standard error, clustered by pair.
        pub recovered_se: Option<f64>,
        /// The answer's logit minus the wrong answer's, nats.
        pub logit_difference_nats: f64,
        /// Its standard error, nats.
        pub logit_difference_nats_se: Option<f64>,
        /// Pairs of the set.
        pub pairs: usize,
    }
    table("patching") key(model, set, site, layer, position) fault(|r| {
        misplaced(("layers", r.layers), [("layer", r.layer)])
            .or_else(|| misplaced(("position", MOST_PLACES), [("position", r.position)]))
            .or_else(|| negative_error([("recovered_se", r.recovered_se), ("logit_difference_nats_se", r.logit_difference_nats_se)]))
    })
}

record! {
    /// One line of `patching-sets.csv`: one set of pairs, and how well the model distinguishes its sides.
    pub struct SetRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The set of pairs.
        pub set: String,
        /// A description of its pairs.
        pub description: String,
        /// The seed for drawing words.
        pub seed: u64,
        /// Pairs.
        pub pairs: usize,
        /// Tokens of each side.
        pub tokens: usize,
        /// The first position at which both sides differ.
        pub first_position: usize,
        /// The last such position: that of the word that differs.
        pub subject_position: usize,
        /// The answer's logit minus the wrong answer's after the clean prompt, nats.
        pub clean_logit_difference_nats: f64,
        /// The same after the corrupted prompt, nats.
        pub corrupted_logit_difference_nats: f64,
        /// The first minus the second, paired, nats.
        pub effect_nats: f64,
        /// Its standard error, clustered by pair, nats.
        pub effect_nats_se: Option<f64>,
    }
    table("patching-sets") key(model, set) fault(|r| negative_error([("effect_nats_se", r.effect_nats_se)]))
}
