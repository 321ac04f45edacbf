//! What utterances add to error rates, for intervals.

use super::table::About;
use crate::core::sample::Units;
use layerwise_metrics::ClusteredMean;
use layerwise_transcripts::{ScoredLists, System};

/// The curve, of one point, of a system's errors in a hundred words of the references; the sample is that of its utterances.
pub(super) fn curve_name(set: &str, mode: &str, count: &str, is_gated: bool) -> String {
    let gate = if is_gated { " behind the gate" } else { "" };
    format!("errors {set} {mode} {count}{gate}")
}

/// What each utterance adds to a system's error rate, in per cent.
pub(super) fn units(about: &About, system: &System, set: &ScoredLists) -> Units {
    let mut rate = ClusteredMean::new();
    for (list, output) in set.distinct.iter().zip(&system.outputs) {
        if let Some(errors) = list.errors(&output.words) {
            rate.push(100.0 * errors.errors() as f64, errors.reference_words);
        }
    }
    let (mode, count) = (system.mode, system.count.name());
    let curve = curve_name(&about.set, mode, count, system.is_gated());
    let sample = format!("utterances of {}", about.set);
    Units::of(&about.model, &curve, &sample, 0, &rate)
}
