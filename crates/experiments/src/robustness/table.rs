//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::models::relative_depth;
use crate::core::table::{is_share, negative_error, record};
use crate::core::tables::Tables;
use serde::{Deserialize, Serialize};

/// The intervention on the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intervention {
    /// Block ℓ is left out.
    Drop,
    /// Blocks ℓ and ℓ+1 change places.
    Swap,
}

impl Intervention {
    /// The family of edits.
    pub const fn family(self) -> &'static str {
        match self {
            Self::Drop => "drop(l)",
            Self::Swap => "swap(l,l+1)",
        }
    }
}

record! {
    /// One line of `robustness.csv`: one intervention at one block of one model.
    ///
    /// A mean that could not be measured is NaN; a standard error is empty if there is only one sequence.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The intervention.
        pub intervention: Intervention,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1); see [`relative_depth`].
        pub relative_depth: f64,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, nats.
        pub kl_nats_se: Option<f64>,
        /// Share of positions at which the most probable token is the plain model's, 0 to 1.
        pub top1_agreement: f64,
        /// Its standard error.
        pub top1_agreement_se: Option<f64>,
        /// Mean entropy of the altered model's output, bits.
        pub entropy_bits: f64,
        /// Its standard error, bits.
        pub entropy_bits_se: Option<f64>,
        /// Mean of the altered model's entropy minus the plain model's, bits.
        pub entropy_difference_bits: f64,
        /// Its standard error, from paired sums, bits.
        pub entropy_difference_bits_se: Option<f64>,
        /// Mean loss of the altered model, nats a token.
        pub loss_nats: f64,
        /// Its standard error, nats a token.
        pub loss_nats_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over (one fewer in each sequence for the loss).
        pub positions: u64,
    }
    table("robustness") key(model, intervention, layer) fault(fault)
}

record! {
    /// One line of `robustness-collapse.csv`: the altered model's most frequent prediction, and the entropy of its mean prediction.
    ///
    /// The mean prediction of a sequence is the mean of the output distributions at its positions 1, 5, 9 and so on. Its entropy is
    /// low where a model predicts a few tokens everywhere, whatever the share of the most frequent one.
    pub struct Collapse {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The intervention.
        pub intervention: Intervention,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// The token that is most probable at the most positions; of equally frequent tokens, the lowest id.
        pub modal_token: u32,
        /// Share of positions at which it is most probable, 0 to 1.
        pub modal_share: f64,
        /// Its standard error, clustered by sequence, for this token.
        pub modal_share_se: Option<f64>,
        /// Entropy of the mean prediction of a sequence, mean over sequences, bits.
        pub every_4th_mean_prediction_entropy_bits: f64,
        /// Its standard error, bits.
        pub every_4th_mean_prediction_entropy_bits_se: Option<f64>,
        /// The same less that of the plain model, mean over sequences, bits.
        pub every_4th_mean_prediction_entropy_difference_bits: f64,
        /// Its standard error, paired by sequence, bits.
        pub every_4th_mean_prediction_entropy_difference_bits_se: Option<f64>,
        /// Sequences read: the first of the corpus.
        pub sequences: u64,
        /// Positions that the share is taken over.
        pub positions: u64,
    }
    table("robustness-collapse") key(model, intervention, layer) fault(|r| {
        if is_share(r.modal_share) {
            negative_error([
                ("modal_share_se", r.modal_share_se),
                (
                    "every_4th_mean_prediction_entropy_bits_se",
                    r.every_4th_mean_prediction_entropy_bits_se,
                ),
                (
                    "every_4th_mean_prediction_entropy_difference_bits_se",
                    r.every_4th_mean_prediction_entropy_difference_bits_se,
                ),
            ])
        } else {
            Some(("modal_share", "a share from 0 to 1".to_owned()))
        }
    })
}

/// The first invalid field of a record, with what was expected.
fn fault(record: &Record) -> Option<(&'static str, String)> {
    let last = match record.intervention {
        Intervention::Drop => 1,
        Intervention::Swap => 2,
    };
    if record.layers < last {
        return Some(("layers", format!("at least {last} blocks")));
    }
    if record.layer > record.layers - last {
        return Some((
            "layer",
            format!("a block from 0 to {}", record.layers - last),
        ));
    }
    let depth = relative_depth(record.layer, record.layers);
    if record.relative_depth.is_nan() || (record.relative_depth - depth).abs() > 1e-9 {
        return Some(("relative_depth", depth.to_string()));
    }
    if !is_share(record.top1_agreement) {
        return Some(("top1_agreement", "a share from 0 to 1".to_owned()));
    }
    negative_error([
        ("kl_nats_se", record.kl_nats_se),
        ("top1_agreement_se", record.top1_agreement_se),
        ("entropy_bits_se", record.entropy_bits_se),
        (
            "entropy_difference_bits_se",
            record.entropy_difference_bits_se,
        ),
        ("loss_nats_se", record.loss_nats_se),
    ])
}

/// A quantity against the block that is changed.
///
/// # Errors
/// The results are incomplete.
pub fn curve(
    tables: &Tables,
    model: &str,
    intervention: Intervention,
    quantity: fn(&Record) -> (f64, Option<f64>),
) -> Result<Vec<Point>, NotTested> {
    curve::curve(
        tables.of(),
        "robustness",
        |r: &Record| r.model == model && r.intervention == intervention,
        |r| {
            let (value, error) = quantity(r);
            point(r.layer, r.relative_depth, value, error)
        },
    )
}
