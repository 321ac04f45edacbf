//! The records of this experiment.

use crate::core::table::{misplaced, negative_error, record};

record! {
    /// One line of `depth-scores.csv`: one model.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Mean of s/(L−1) over blocks, weighted by how much skipping s changes the output, 0 to 1.
        pub depth_score: f64,
        /// Its standard error, clustered by sequence.
        pub depth_score_se: Option<f64>,
        /// The same at future positions: skipped before the middle of a sequence, measured after it.
        pub future_depth_score: f64,
        /// Its standard error, clustered by sequence.
        pub future_depth_score_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions over which changes are means.
        pub positions: u64,
        /// Of them those that are future ones.
        pub future_positions: u64,
    }
    table("depth-scores") key(model) fault(|r| negative_error([("depth_score_se", r.depth_score_se), ("future_depth_score_se", r.future_depth_score_se)]))
}

record! {
    /// One line of `depth-changes.csv`: what skipping a block changes in the output.
    pub struct ChangeRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block s that is skipped, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/(L−1).
        pub relative_depth: f64,
        /// Mean of ‖p − q‖₂, the Euclidean distance of the output distributions, 0 to √2.
        pub output_change: f64,
        /// Its standard error, clustered by sequence.
        pub output_change_se: Option<f64>,
        /// The same at future positions.
        pub future_output_change: f64,
        /// Its standard error, clustered by sequence.
        pub future_output_change_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
    }
    table("depth-changes") key(model, layer) fault(|r| negative_error([("output_change_se", r.output_change_se), ("future_output_change_se", r.future_output_change_se)]))
}

record! {
    /// One line of `depth-effects.csv`: what skipping a block changes in the update of a later one.
    pub struct EffectRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block s that is skipped, from 0.
        pub layer: usize,
        /// The later block ℓ.
        pub later_layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Mean of ‖u − ū‖/‖u‖.
        pub update_change: f64,
        /// Its standard error, clustered by sequence.
        pub update_change_se: Option<f64>,
        /// The largest at any position of any sequence.
        pub update_change_max: f64,
        /// The mean at future positions.
        pub future_update_change: f64,
        /// Its standard error, clustered by sequence.
        pub future_update_change_se: Option<f64>,
        /// The largest at any future position of any sequence.
        pub future_update_change_max: f64,
        /// Sequences, all of one length.
        pub sequences: u64,
    }
    table("depth-effects") key(model, layer, later_layer) fault(|r| {
        misplaced(("layers", r.layers), [("layer", r.layer), ("later_layer", r.later_layer)])
            .or_else(|| negative_error([("update_change_se", r.update_change_se), ("future_update_change_se", r.future_update_change_se)]))
    })
}
