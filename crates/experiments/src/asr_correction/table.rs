//! The records of this experiment.

use crate::core::table::record;
use layerwise_transcripts::{
    AlphaRate, Comparison, CountRule, Detection, ErrorCounts, Gate, ScoreScale, ScoredLists,
    ShareRate, System, TranscriptError, Violations,
};

record! {
    /// One line of `asr-correction.csv`: one method of correcting the lists of one set.
    ///
    /// Rates and shares are in per cent, changes of rates in points.
    pub struct Record {
        /// Name of the language model.
        pub model: String,
        /// Name of the set.
        pub set: String,
        /// The normaliser of texts before words are compared.
        pub normaliser: String,
        /// The method that finds a transcript.
        pub mode: String,
        /// Whether a transcript must have as many words as the best hypothesis.
        pub count_rule: String,
        /// Weights of the language model that were used, joined by semicolons.
        pub alpha: String,
        /// Bonuses for each word of a lattice's path, nats, joined by semicolons.
        pub beta: String,
        /// Temperature of the softmax over hypotheses, nats.
        pub theta: Option<f64>,
        /// Thresholds of the gate, joined by semicolons; empty without a gate.
        pub tau: String,
        /// Utterances of the set.
        pub utterances: usize,
        /// Words of the references.
        pub reference_words: u64,
        /// Utterances that were sent to correction.
        pub sent: usize,
        /// The share of utterances that were sent.
        pub sent_share: f64,
        /// Words that replace others.
        pub substitutions: u64,
        /// Missing words.
        pub deletions: u64,
        /// Extra words.
        pub insertions: u64,
        /// Word error rate.
        pub wer: f64,
        /// Lower end of its 95 % interval, over resampled utterances.
        pub wer_low: f64,
        /// Upper end of its 95 % interval.
        pub wer_high: f64,
        /// Word error rate minus that of the best hypotheses.
        pub wer_change: Option<f64>,
        /// The same, relative to the rate of the best hypotheses, per cent.
        pub relative_change: Option<f64>,
        /// Share of resampled sets with fewer errors than the best hypotheses have, from 0 to 1.
        pub p_improvement: Option<f64>,
        /// Share of them with more errors, from 0 to 1.
        pub p_worsening: Option<f64>,
        /// Z of the matched-pairs test against the best hypotheses.
        pub mapsswe_z: Option<f64>,
        /// Word error rate of the best hypothesis of each list by the reference.
        pub list_oracle: f64,
        /// Word error rate of the best path of each list's lattice by the reference.
        pub lattice_oracle: f64,
        /// Outputs with a word that no hypothesis has.
        pub violations_words: usize,
        /// Outputs with a number of words that the rule forbids.
        pub violations_count: usize,
        /// Outputs that are not one sentence.
        pub violations_form: usize,
        /// Tokens that the language model scored.
        pub lm_tokens: u64,
        /// Seconds that it took.
        pub seconds: Option<f64>,
    }
    table("asr-correction") key(model, set, normaliser, mode, count_rule, tau) fault(|_| None)
}

record! {
    /// One line of `asr-gate.csv`: some lists of one set sent to correction by one criterion of the gate.
    ///
    /// Rates and shares are in per cent.
    pub struct GateRecord {
        /// Name of the language model.
        pub model: String,
        /// Name of the set.
        pub set: String,
        /// The criterion that lists are ordered by.
        pub score: String,
        /// How often a list with a wrong best hypothesis is more doubtful than one with a right one, from 0 to 1.
        pub auc: Option<f64>,
        /// Threshold on the posterior; empty if half of the lists are sent.
        pub tau: Option<f64>,
        /// Share of lists that are sent.
        pub sent_share: f64,
        /// Word error rate of the best hypotheses of the lists that are sent.
        pub wer_sent: Option<f64>,
        /// Word error rate of the best hypotheses of the lists that are kept.
        pub wer_kept: Option<f64>,
        /// Share of all errors that are in the lists that are sent.
        pub errors_caught: f64,
        /// Whether the recogniser gave scores; otherwise ranks replace them.
        pub recogniser_scores: bool,
    }
    table("asr-gate") key(model, set, score, tau) fault(|_| None)
}

record! {
    /// One line of `asr-alpha.csv`: one method of correcting the lists of one set, at one weight of the language model.
    pub struct AlphaRecord {
        /// Name of the language model.
        pub model: String,
        /// Name of the set.
        pub set: String,
        /// The method that finds a transcript.
        pub mode: String,
        /// Whether a transcript must have as many words as the best hypothesis.
        pub count_rule: String,
        /// The weight of the language model.
        pub alpha: f64,
        /// Bonus for each word of a lattice's path, nats: the one used for the first utterance.
        pub beta: f64,
        /// Cost of a rank in lists without scores, nats: the one used for the first utterance.
        pub kappa: f64,
        /// Word error rate in per cent of all utterances at this weight, whichever utterances the other settings were chosen on.
        pub wer: f64,
        /// Its standard error over utterances.
        pub wer_se: Option<f64>,
    }
    table("asr-alpha") key(model, set, mode, count_rule, alpha) fault(|_| None)
}

record! {
    /// One line of `asr-share.csv`: one method of correcting a share of the lists of one set.
    pub struct ShareRecord {
        /// Name of the language model.
        pub model: String,
        /// Name of the set.
        pub set: String,
        /// The method that finds a transcript.
        pub mode: String,
        /// Whether a transcript must have as many words as the best hypothesis.
        pub count_rule: String,
        /// Per cent of lists that are sent to correction; lists whose highest posterior is lowest come first.
        pub sent_share: f64,
        /// Word error rate in per cent.
        pub wer: f64,
        /// Its standard error over utterances.
        pub wer_se: Option<f64>,
    }
    table("asr-share") key(model, set, mode, count_rule, sent_share) fault(|_| None)
}

record! {
    /// One line of `asr-confidence.csv`: lists of one set with a highest posterior in one bin.
    pub struct ConfidenceRecord {
        /// Name of the language model.
        pub model: String,
        /// Name of the set.
        pub set: String,
        /// The bin's lower edge, which is part of the bin.
        pub low: f64,
        /// Its upper edge, which is part of the next bin; 1 is part of the last.
        pub high: f64,
        /// Lists with a right best hypothesis.
        pub right: usize,
        /// Lists with an error in the best hypothesis.
        pub wrong: usize,
    }
    table("asr-confidence") key(model, set, low) fault(|_| None)
}

/// Bins of the highest posterior.
const BINS: usize = 20;

impl AlphaRecord {
    /// The lines about a system.
    pub fn all(about: &About, system: &System) -> Vec<Self> {
        let line = |found: &AlphaRate| Self {
            model: about.model.clone(),
            set: about.set.clone(),
            mode: system.mode.to_owned(),
            count_rule: system.count.name().to_owned(),
            alpha: found.point.alpha,
            beta: found.point.beta,
            kappa: found.point.kappa,
            wer: 100.0 * found.rate,
            wer_se: found.standard_error.map(|error| 100.0 * error),
        };
        system.by_alpha.iter().map(line).collect()
    }
}

impl ShareRecord {
    /// The lines about a system.
    pub fn all(about: &About, system: &System) -> Vec<Self> {
        let line = |found: &ShareRate| Self {
            model: about.model.clone(),
            set: about.set.clone(),
            mode: system.mode.to_owned(),
            count_rule: system.count.name().to_owned(),
            sent_share: 100.0 * found.share,
            wer: 100.0 * found.rate,
            wer_se: found.standard_error.map(|error| 100.0 * error),
        };
        system.by_share.iter().map(line).collect()
    }
}

impl ConfidenceRecord {
    /// The lines about what a gate does with lists that have references.
    pub fn all(about: &About, gate: &Gate, lists: &ScoredLists) -> Vec<Self> {
        let mut counts = [[0_usize; 2]; BINS];
        for (list, judgement) in lists.distinct.iter().zip(lists.judgements(gate)) {
            if let Some(errors) = list.errors(&list.hypotheses[0]) {
                let bin = (judgement.confidence * BINS as f64) as usize;
                let is_wrong = usize::from(errors.errors() > 0);
                counts[bin.min(BINS - 1)][is_wrong] += 1;
            }
        }
        let line = |(bin, [right, wrong]): (usize, [usize; 2])| Self {
            model: about.model.clone(),
            set: about.set.clone(),
            low: bin as f64 / BINS as f64,
            high: (bin + 1) as f64 / BINS as f64,
            right,
            wrong,
        };
        counts.into_iter().enumerate().map(line).collect()
    }
}

/// What all lines about one set have in common.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the language model.
    pub model: String,
    /// Name of the set.
    pub set: String,
    /// The normaliser's name.
    pub normaliser: String,
    /// Errors of the best hypothesis of each list by the reference.
    pub list_oracle: usize,
    /// Errors of the best path of each list's lattice by the reference.
    pub lattice_oracle: usize,
    /// Whether the recogniser gave scores.
    pub recogniser_scores: bool,
}

impl About {
    /// What all lines about `lists` have in common; `None` if the lists have no references.
    ///
    /// # Errors
    /// A lattice has too many slots.
    pub fn new(
        [model, set, normaliser]: [&str; 3],
        lists: &ScoredLists,
        count: CountRule,
    ) -> Result<Option<Self>, TranscriptError> {
        let oracles = lists.list_oracle().zip(lists.lattice_oracle(count)?);
        Ok(oracles.map(|(list_oracle, lattice_oracle)| Self {
            model: model.to_owned(),
            set: set.to_owned(),
            normaliser: normaliser.to_owned(),
            list_oracle,
            lattice_oracle,
            recogniser_scores: lists.lists.scale != ScoreScale::Absent,
        }))
    }
}

impl Record {
    /// The line about a system, with its comparison with the best hypotheses.
    pub fn new(about: &About, system: &System, found: &Comparison, seconds: Option<f64>) -> Self {
        let joined = |values: Vec<f64>| {
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            values.join(";")
        };
        let (first, second) = (found.first, found.second);
        let words = second.reference_words as f64;
        let change = second.errors() as f64 - first.errors() as f64;
        let is_compared = system.mode != "best";
        let compared = |value: f64| is_compared.then_some(value);
        let broken = |rule: fn(&Violations) -> bool| {
            let broken = system.violations.iter().filter(|found| rule(found));
            broken.count()
        };
        Self {
            model: about.model.clone(),
            set: about.set.clone(),
            normaliser: about.normaliser.clone(),
            mode: system.mode.to_owned(),
            count_rule: system.count.name().to_owned(),
            alpha: joined(system.alphas()),
            beta: joined(system.betas()),
            theta: system.theta(),
            tau: joined(system.taus()),
            utterances: system.outputs.len(),
            reference_words: second.reference_words,
            sent: system.sent(),
            sent_share: 100.0 * system.sent() as f64 / system.outputs.len() as f64,
            substitutions: second.substitutions,
            deletions: second.deletions,
            insertions: second.insertions,
            wer: percent(second).unwrap_or(f64::NAN),
            wer_low: 100.0 * found.bootstrap.second.low,
            wer_high: 100.0 * found.bootstrap.second.high,
            wer_change: compared(100.0 * change / words),
            relative_change: match first.errors() {
                0 => None,
                errors => compared(100.0 * change / errors as f64),
            },
            p_improvement: compared(found.bootstrap.improvement),
            p_worsening: compared(found.bootstrap.worsening),
            mapsswe_z: found.matched_pairs.and_then(|test| compared(test.z)),
            list_oracle: 100.0 * about.list_oracle as f64 / words,
            lattice_oracle: 100.0 * about.lattice_oracle as f64 / words,
            violations_words: broken(|found| found.words),
            violations_count: broken(|found| found.count),
            violations_form: broken(|found| found.form),
            lm_tokens: system.tokens,
            seconds,
        }
    }
}

impl GateRecord {
    /// The line about some lists that are sent.
    pub fn new(about: &About, found: &Detection) -> Self {
        let caught = found.sent_errors.errors() as f64;
        let all = caught + found.kept_errors.errors() as f64;
        Self {
            model: about.model.clone(),
            set: about.set.clone(),
            score: found.feature.to_owned(),
            auc: found.auc,
            tau: found.tau,
            sent_share: 100.0 * found.sent as f64 / found.lists as f64,
            wer_sent: percent(found.sent_errors),
            wer_kept: percent(found.kept_errors),
            errors_caught: 100.0 * caught / all.max(1.0),
            recogniser_scores: about.recogniser_scores,
        }
    }
}

/// A word error rate in per cent; `None` without reference words.
fn percent(counts: ErrorCounts) -> Option<f64> {
    counts.rate().map(|rate| 100.0 * rate)
}
