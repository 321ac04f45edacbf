//! The records of this experiment.

use super::variants::{Family, Kind};
use crate::core::table::{is_share, negative_error, record};

record! {
    /// One line of `sublayer-skip.csv`: one altered schedule.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The kind of part left out.
        pub kind: Kind,
        /// The family: which parts of the kind.
        pub family: Family,
        /// The fraction of the blocks left out, 0 for the plain model; for both kinds together, the fraction of the sublayers.
        pub fraction: f64,
        /// The number of parts.
        pub k: usize,
        /// The edit, in the notation of every command.
        pub schedule: String,
        /// Next-token loss minus the plain model's, nats, paired.
        pub nll_increase: f64,
        /// Its standard error, clustered by sequence.
        pub nll_increase_se: Option<f64>,
        /// KL of the plain model's next-token distributions from the schedule's, nats, over the last 16 positions of each
        /// sequence.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence.
        pub kl_nats_se: Option<f64>,
        /// Its second-order approximation at the same positions: half the variance of the change of the logits under the plain
        /// model, nats.
        pub kl_second_order_nats: f64,
        /// The name of the text.
        pub corpus: String,
        /// Mean of the tasks' accuracies; empty if no task ran.
        pub benchmark_mean: Option<f64>,
        /// Its standard error.
        pub benchmark_mean_se: Option<f64>,
        /// The fraction of the plain model's mean accuracy that is lost.
        pub relative_drop: Option<f64>,
        /// Share of items with the plain model's choice, over all tasks with several options; empty if none ran.
        pub agreement: Option<f64>,
        /// Its standard error.
        pub agreement_se: Option<f64>,
        /// Mean index of the first greedy token that differs from the plain model's, from 0; the length if none does.
        pub first_difference_mean: Option<f64>,
        /// Share of continuations without a difference.
        pub identical_share: Option<f64>,
        /// Prompts that were continued.
        pub continuations: usize,
        /// Measured time of a decoded token of the plain model divided by that of the schedule; empty if not measured.
        pub decode_ratio: Option<f64>,
        /// Its standard error.
        pub decode_ratio_se: Option<f64>,
        /// Bytes read to decode a token in the plain model divided by those under the schedule, with 512 tokens cached.
        pub predicted_ratio: f64,
        /// Measured time to the first token of the plain model divided by that of the schedule; empty if not measured.
        pub first_token_ratio: Option<f64>,
        /// Bytes of the cache divided by the plain model's.
        pub cache_ratio: f64,
    }
    table("sublayer-skip") key(model, kind, family, fraction) fault(|r| negative_error([("nll_increase_se", r.nll_increase_se), ("benchmark_mean_se", r.benchmark_mean_se), ("agreement_se", r.agreement_se), ("decode_ratio_se", r.decode_ratio_se)]))
}

record! {
    /// One line of `sublayer-skip-tasks.csv`: one task under one schedule.
    pub struct TaskRecord {
        /// Name of the model.
        pub model: String,
        /// The edit; `id` for the plain model.
        pub schedule: String,
        /// The task.
        pub task: String,
        /// Items.
        pub items: u64,
        /// Share of items answered correctly; NaN if the answers are not known.
        pub accuracy: f64,
        /// Its standard error.
        pub accuracy_se: Option<f64>,
        /// The same by log-likelihood per character (`acc_norm`); empty if that is not defined.
        pub accuracy_by_length: Option<f64>,
        /// Its standard error.
        pub accuracy_by_length_se: Option<f64>,
        /// Accuracy minus the plain model's, paired.
        pub change: f64,
        /// Its standard error.
        pub change_se: Option<f64>,
        /// Share of items with the plain model's choice; empty for a task with one continuation to write.
        pub agreement: Option<f64>,
    }
    table("sublayer-skip-tasks") key(model, schedule, task) fault(|r| {
        if !r.agreement.is_none_or(is_share) {
            return Some(("agreement", "a share, from 0 to 1".to_owned()));
        }
        negative_error([("accuracy_se", r.accuracy_se), ("change_se", r.change_se)])
    })
}

record! {
    /// One line of `sublayer-similarity.csv`: one sublayer, or one block.
    pub struct SimilarityRecord {
        /// Name of the model.
        pub model: String,
        /// The part that would be left out: an attention sublayer, an MLP sublayer, a block.
        pub kind: Kind,
        /// Its block.
        pub source: usize,
        /// Mean over tokens of the cosine between its input and the sum of input and update.
        pub similarity_mean: f64,
        /// Its standard error, clustered by sequence.
        pub similarity_se: Option<f64>,
        /// Its rank among those of its kind, 1 for the most similar.
        pub rank: usize,
    }
    table("sublayer-similarity") key(model, kind, source) fault(|r| negative_error([("similarity_se", r.similarity_se)]))
}

record! {
    /// One line of `sublayer-skip-speed.csv`: the speed predicted from bytes read at one cache length.
    pub struct SpeedRecord {
        /// Name of the model.
        pub model: String,
        /// The kind of part left out.
        pub kind: Kind,
        /// The fraction of the blocks, the last ones.
        pub fraction: f64,
        /// The edit.
        pub schedule: String,
        /// Tokens in the cache.
        pub cached_tokens: usize,
        /// Bytes read to decode a token in the plain model divided by those under the schedule.
        pub predicted_ratio: f64,
        /// Measured time of a decoded token of the plain model divided by that of the schedule; empty if not measured.
        pub decode_ratio: Option<f64>,
        /// Its standard error.
        pub decode_ratio_se: Option<f64>,
        /// Repetitions that the mean and its error are over; empty if not measured.
        pub repetitions: Option<usize>,
    }
    table("sublayer-skip-speed") key(model, kind, fraction, cached_tokens) fault(|r| negative_error([("decode_ratio_se", r.decode_ratio_se)]))
}

record! {
    /// One line of `sublayer-skip-pairs.csv`: the losses under two schedules with one fraction, paired by sequence.
    pub struct PairRecord {
        /// Name of the model.
        pub model: String,
        /// The fraction left out.
        pub fraction: f64,
        /// The kind that the first schedule leaves out.
        pub kind: Kind,
        /// Its family.
        pub family: Family,
        /// The kind that the second schedule leaves out.
        pub other_kind: Kind,
        /// Its family.
        pub other_family: Family,
        /// The second loss minus the first, nats.
        pub nll_difference: f64,
        /// Its standard error, clustered by sequence.
        pub nll_difference_se: Option<f64>,
        /// Sequences.
        pub sequences: u64,
    }
    table("sublayer-skip-pairs") key(model, fraction, kind, family, other_kind, other_family) fault(|r| negative_error([("nll_difference_se", r.nll_difference_se)]))
}
