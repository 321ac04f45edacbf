//! The errors that each utterance contributes to error rates, for intervals.

use super::table::About;
use crate::core::sample::Units;
use layerwise_metrics::ClusteredMean;
use layerwise_transcripts::{
    CountRule, DistinctList, ErrorCounts, Gate, Lattice, ScoredLists, System, TranscriptError,
};

/// The curve, with one point, of a system's errors per hundred words of the references; the sample contains its utterances.
pub(super) fn curve_name(set: &str, mode: &str, count: &str, is_gated: bool) -> String {
    let gate = if is_gated { " behind the gate" } else { "" };
    format!("errors {set} {mode} {count}{gate}")
}

/// The modes of curves that belong to no system: the best hypotheses of the utterances for which the model writes corrections,
/// those of the half that the gate sends and of the half that it keeps, and the best paths by the reference.
pub(super) const WRITTEN: &str = "best of the written";
pub(super) const SENT: &str = "best of the half that is sent";
pub(super) const KEPT: &str = "best of the half that is kept";
pub(super) const ORACLE: &str = "lattice oracle";

fn sample(about: &About) -> String {
    format!("utterances of {}", about.set)
}

/// The contribution of each utterance's errors to a rate in per cent.
fn of<'e>(
    about: &About,
    (mode, count, is_gated): (&str, CountRule, bool),
    sample: &str,
    errors: impl Iterator<Item = Option<ErrorCounts>> + 'e,
) -> Units {
    let mut rate = ClusteredMean::new();
    for errors in errors.flatten() {
        rate.push(100.0 * errors.errors() as f64, errors.reference_words);
    }
    let curve = curve_name(&about.set, mode, count.name(), is_gated);
    Units::of(&about.model, &curve, sample, 0, &rate)
}

fn outputs<'s>(
    system: &'s System,
    set: &'s ScoredLists,
) -> impl Iterator<Item = Option<ErrorCounts>> + 's {
    let outputs = set.distinct.iter().zip(&system.outputs);
    outputs.map(|(list, output)| list.errors(&output.words))
}

fn best(list: &DistinctList) -> Option<ErrorCounts> {
    list.errors(&list.hypotheses[0])
}

/// The contribution of each utterance to a system's error rate, in per cent.
pub(super) fn units(about: &About, system: &System, set: &ScoredLists) -> Units {
    let way = (system.mode, system.count, system.is_gated());
    of(about, way, &sample(about), outputs(system, set))
}

/// The same for what the model writes, and for the best hypotheses of the same utterances.
pub(super) fn of_written(about: &About, system: &System, set: &ScoredLists) -> [Units; 2] {
    let sample = format!("written utterances of {}", about.set);
    let way = (system.mode, system.count, system.is_gated());
    let best = set.distinct.iter().map(best);
    [
        of(about, way, &sample, outputs(system, set)),
        of(about, (WRITTEN, CountRule::Free, false), &sample, best),
    ]
}

/// The contribution of the best hypotheses of each half of the lists, sent and kept by posterior, to the rate of that half. A
/// list stays in its half when lists are resampled.
pub(super) fn of_halves(about: &About, gate: &Gate, set: &ScoredLists) -> [Units; 2] {
    let judged = set.distinct.iter().zip(set.judgements(gate));
    let judged: Vec<(f64, ErrorCounts)> = judged
        .filter_map(|(list, judgement)| Some((judgement.confidence, best(list)?)))
        .collect();
    let mut order: Vec<usize> = (0..judged.len()).collect();
    order.sort_by(|&a, &b| judged[a].0.total_cmp(&judged[b].0));
    let mut is_sent = vec![false; judged.len()];
    for &at in &order[..judged.len() / 2] {
        is_sent[at] = true;
    }
    [(SENT, true), (KEPT, false)].map(|(half, sent)| {
        let own = judged.iter().zip(&is_sent);
        let own = own.map(|((_, errors), is_sent)| match *is_sent == sent {
            true => Some(*errors),
            false => Some(ErrorCounts::default()),
        });
        of(about, (half, CountRule::Free, false), &sample(about), own)
    })
}

/// The contribution of each lattice's best path by the reference to the rate of those paths.
///
/// # Errors
/// A lattice has too many slots.
pub(super) fn of_oracle(
    about: &About,
    set: &ScoredLists,
    count: CountRule,
) -> Result<Units, TranscriptError> {
    let mut errors = Vec::new();
    for list in &set.distinct {
        let Some(reference) = &list.reference else {
            continue;
        };
        let path = Lattice::of(list)?.under(count).nearest(reference).0;
        errors.push(list.errors(&path));
    }
    let way = (ORACLE, count, false);
    Ok(of(about, way, &sample(about), errors.into_iter()))
}
