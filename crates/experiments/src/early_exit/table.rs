//! The records of this experiment.

use crate::core::table::{is_share, negative_error, record};
use serde::{Deserialize, Serialize};

record! {
    /// One line of `early-exit.csv`: one rule at one threshold on one task.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The task.
        pub task: String,
        /// The stopping rule.
        pub rule: String,
        /// The tokens that the head is read over: `full`, the whole vocabulary; `options`; or `top:R@K`, the R best tokens
        /// after K blocks.
        pub vocab: String,
        /// The task that the rule was trained on; empty for untrained rules.
        pub train_task: String,
        /// The rule's threshold; for a fixed depth, the number of blocks.
        pub threshold: f64,
        /// Test instances.
        pub instances: u64,
        /// Share of instances for which the most probable token is the answer's first, full model; empty without answers.
        pub acc_full: Option<f64>,
        /// Its standard error.
        pub acc_full_se: Option<f64>,
        /// The same at the exit.
        pub acc_exit: Option<f64>,
        /// Its standard error.
        pub acc_exit_se: Option<f64>,
        /// Share of instances for which the most probable option is right, full model; empty without options.
        pub options_acc_full: Option<f64>,
        /// The same at the exit.
        pub options_acc_exit: Option<f64>,
        /// Share of instances for which the most probable token (for `options`, option) at the exit is the full model's.
        pub agreement: f64,
        /// Its standard error.
        pub agreement_se: Option<f64>,
        /// Mean number of blocks that ran.
        pub exit_blocks_mean: f64,
        /// Its standard error.
        pub exit_blocks_se: Option<f64>,
        /// 1 − mean blocks/L.
        pub pruning_ratio: f64,
        /// Operations of the blocks that ran divided by those of all blocks, mean over instances.
        pub ops_ratio: f64,
        /// The same including the head, which the full model reads once and the rule after each block.
        pub ops_ratio_with_head: f64,
        /// Measured seconds of the full model; empty if times were not measured.
        pub seconds_full: Option<f64>,
        /// Measured seconds with exits; empty if times were not measured.
        pub seconds_exit: Option<f64>,
        /// Their ratio.
        pub time_ratio: Option<f64>,
        /// Its standard error.
        pub time_ratio_se: Option<f64>,
        /// The head's share of the operations with exits.
        pub head_share: f64,
    }
    table("early-exit") key(model, task, rule, vocab, train_task, threshold) fault(|r| {
        if !is_share(r.agreement) {
            return Some(("agreement", "a share, from 0 to 1".to_owned()));
        }
        negative_error([("agreement_se", r.agreement_se), ("exit_blocks_se", r.exit_blocks_se), ("acc_exit_se", r.acc_exit_se)])
    })
}

record! {
    /// One line of `early-exit-features.csv`: the features after some blocks.
    pub struct FeatureRecord {
        /// Name of the model.
        pub model: String,
        /// The task.
        pub task: String,
        /// Blocks that ran, from 1.
        pub blocks_run: usize,
        /// Instances.
        pub instances: u64,
        /// Mean of the most probable token's probability minus the second's.
        pub gap_mean: f64,
        /// Its standard error.
        pub gap_se: Option<f64>,
        /// Mean of the most probable token's probability.
        pub top_mean: f64,
        /// Its standard error.
        pub top_se: Option<f64>,
        /// Share of instances for which the most probable token is the full model's.
        pub match_rate: f64,
        /// Share of instances for which that holds from here on.
        pub stable_match_rate: f64,
    }
    table("early-exit-features") key(model, task, blocks_run) fault(|r| negative_error([("gap_se", r.gap_se), ("top_se", r.top_se)]))
}

record! {
    /// One line of `early-exit-histogram.csv`: how many instances stop after some blocks.
    pub struct HistogramRecord {
        /// Name of the model.
        pub model: String,
        /// The task.
        pub task: String,
        /// The rule, over the whole vocabulary and trained on the task itself.
        pub rule: String,
        /// Its threshold.
        pub threshold: f64,
        /// Blocks that ran.
        pub blocks_run: usize,
        /// Instances that stop there.
        pub exits: u64,
        /// Those for which the most probable token is the full model's.
        pub agreeing: u64,
        /// Those for which the most probable token is the answer's first.
        pub correct: u64,
    }
    table("early-exit-histogram") key(model, task, rule, threshold, blocks_run) fault(|_| None)
}

record! {
    /// One line of `early-exit-loss.csv`: the next-token loss on running text with exits.
    pub struct LossRecord {
        /// Name of the model.
        pub model: String,
        /// The rule.
        pub rule: String,
        /// Its threshold.
        pub threshold: f64,
        /// Positions.
        pub positions: u64,
        /// 1 − mean blocks/L.
        pub pruning_ratio: f64,
        /// Loss of the full model, nats.
        pub loss_full_nats: f64,
        /// Loss with exits minus that of the full model, nats, paired.
        pub loss_increase_nats: f64,
        /// Its standard error, clustered by sequence.
        pub loss_increase_se: Option<f64>,
        /// Sequences.
        pub sequences: u64,
    }
    table("early-exit-loss") key(model, rule, threshold) fault(|r| negative_error([("loss_increase_se", r.loss_increase_se)]))
}

record! {
    /// One line of `early-exit-times.csv`: the time to stop after some blocks, measured and by the cost model.
    pub struct TimeRecord {
        /// Name of the model.
        pub model: String,
        /// `prompt`, one answer to a prompt; `question`, the same if three quarters of the prompt ran before, like shots that
        /// many
        /// prompts share; or `decode`, a token after it.
        pub setting: String,
        /// Whether the head is read over the whole vocabulary after every block, rather than only at the end.
        pub reads_head: bool,
        /// Tokens of the prompt.
        pub tokens: usize,
        /// Blocks that run.
        pub blocks_run: usize,
        /// Predicted time over that of the full model: by operations for a prompt, by bytes read for a token.
        pub predicted_ratio: f64,
        /// Measured time over that of the full model, in the same repetition; empty if times were not measured.
        pub time_ratio: Option<f64>,
        /// Its standard error over repetitions.
        pub time_ratio_se: Option<f64>,
        /// The number of repetitions; empty if times were not measured.
        pub repetitions: Option<usize>,
        /// Seconds, mean over repetitions; of a token, the median of a repetition's tokens.
        pub seconds: Option<f64>,
    }
    table("early-exit-times") key(model, setting, reads_head, blocks_run) fault(|r| negative_error([("time_ratio_se", r.time_ratio_se)]))
}

/// Laws that exits obey for every model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// A run that stops after all blocks ends as the full model does.
    Full,
    /// A run that stops after k blocks ends as the schedule `keep(0..k)` does.
    Keep,
    /// No instance stops earlier at a higher threshold.
    Threshold,
}

record! {
    /// One line of `early-exit-laws.csv`: how often a law was checked on one task, and how often it was broken.
    pub struct LawRecord {
        /// Name of the model.
        pub model: String,
        /// The task.
        pub task: String,
        /// `full`: a run that stops after all blocks ends as the full model does, bit for bit; `keep`: one that stops after k
        /// blocks
        /// ends as `keep(0..k)` does; or `threshold`: no instance stops earlier at a rule's higher threshold.
        pub law: Law,
        /// Runs, or instances at pairs of thresholds.
        pub checked: u64,
        /// Those that break it.
        pub broken: u64,
    }
    table("early-exit-laws") key(model, task, law) fault(|r| (r.broken > r.checked).then(|| ("broken", format!("at most {}", r.checked))))
}
