//! The records of this experiment.

use crate::core::ablation::Kind;
use crate::core::table::{misplaced, negative_error, record};

record! {
    /// One line of `heads.csv`: one head under one kind of ablation.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// The head, from 0.
        pub head: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Heads of a block.
        pub heads: usize,
        /// ℓ/(L−1).
        pub relative_depth: f64,
        /// The replacement of the head's values.
        pub kind: Kind,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Altered minus plain loss, paired, nats a token.
        pub loss_difference_nats: f64,
        /// Its standard error, nats a token.
        pub loss_difference_nats_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions over which the divergence is averaged.
        pub positions: u64,
    }
    table("heads") key(model, layer, head, kind) fault(|r| {
        misplaced(("layers", r.layers), [("layer", r.layer)])
            .or_else(|| misplaced(("heads", r.heads), [("head", r.head)]))
            .or_else(|| negative_error([("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se)]))
    })
}

record! {
    /// One line of `heads-agreement.csv`: two kinds of ablation of all heads.
    pub struct AgreementRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// One kind.
        pub kind: Kind,
        /// The other.
        pub other_kind: Kind,
        /// Rank correlation of the heads' divergences, −1 to 1.
        pub rank_correlation: f64,
        /// The median divergence under the first kind, divided by that under the other.
        pub ratio_of_medians: f64,
        /// Heads of the model.
        pub heads: usize,
    }
    table("heads-agreement") key(model, kind, other_kind) fault(|_| None)
}

/// The agreement of zero and resample ablation, model by model.
pub(super) fn finding(records: &[AgreementRecord]) -> Option<String> {
    let own = records
        .iter()
        .filter(|r| (r.kind, r.other_kind) == (Kind::Zero, Kind::Resample));
    let told: Vec<String> = own
        .map(|r| {
            format!(
                "{}: the heads' divergences under zero and resample ablation have a rank correlation of {:.2}; the median under zero is {:.1} times that under resampling",
                r.model, r.rank_correlation, r.ratio_of_medians
            )
        })
        .collect();
    (!told.is_empty()).then(|| format!("{}.", told.join("; ")))
}
