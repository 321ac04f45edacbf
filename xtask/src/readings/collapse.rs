//! Which token a model predicts most often once its first block is changed, as lines of `robustness-collapse` (D3).

use super::notebook::{Notebook, Reading};
use crate::experiments::core::tables::Tables;
use crate::experiments::robustness::{Collapse, Intervention};
use crate::inputs::OpenedCorpus;
use anyhow::Context;
use layerwise::kernels::vocabulary;
use layerwise::metrics::ClusteredMean;
use layerwise::schedule::{Family, Schedule};
use layerwise::sweep::{Entry, Plan};
use layerwise::transformer::Model;
use ndarray::s;
use std::collections::BTreeMap;

/// A share is known well enough from so many sequences; the sweep has run on all of them.
const MAX_SEQUENCES: usize = 32;

/// What is done to the first block.
const EDITS: [(Intervention, &str); 2] = [
    (Intervention::Drop, "drop(0)"),
    (Intervention::Swap, "swap(0,1)"),
];

/// The first sequences, on which the altered models are run.
pub fn sequences(corpus: &OpenedCorpus) -> &[Vec<u32>] {
    let all = corpus.corpus.sequences();
    &all[..all.len().min(MAX_SEQUENCES)]
}

/// Runs the altered models on the first sequences and counts their most probable tokens at positions 1 to T−1.
///
/// # Errors
/// As [`Notebook::over`].
pub fn read(
    notebook: &Notebook<'_>,
    corpus: &OpenedCorpus,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let model = &notebook.opened.model;
    let config = model.config();
    // A model of one block has nothing left without it, and no pair to swap.
    if config.layers < 2 {
        return Ok(());
    }
    let sequences = sequences(corpus);
    let families = EDITS.map(|(_, edit)| edit.parse::<Family>());
    let families: Vec<Family> = families
        .into_iter()
        .collect::<Result<_, _>>()
        .context("the edits of the first block")?;
    let plan = Plan::new(model.stack(), &families, 1)?;
    let altered = &plan.entries()[1..];
    let reading = Reading {
        name: "collapse",
        settings: String::new(),
        schedules: altered,
    };
    let most = config.context as u64;
    let fits = |counts: &BTreeMap<u32, u64>| counts.values().all(|count| *count <= most);
    let counts = notebook.over(&reading, sequences, Vec::clone, fits, |_, tokens| {
        let of = |entry: &Entry| predicted(model, tokens, &entry.schedule);
        altered.iter().map(of).collect()
    })?;
    for (at, (intervention, _)) in EDITS.into_iter().enumerate() {
        let own: Vec<&BTreeMap<u32, u64>> = counts.iter().map(|counts| &counts[at]).collect();
        let Some((modal_token, share)) = modal(&own) else {
            continue;
        };
        tables.push(Collapse {
            model: notebook.opened.name.clone(),
            family: config.family.model_type().to_owned(),
            intervention,
            layer: 0,
            modal_token,
            modal_share: share.mean().unwrap_or(f64::NAN),
            modal_share_se: share.standard_error(),
            sequences: sequences.len() as u64,
            positions: share.count(),
        });
    }
    Ok(())
}

/// How often each token is the most probable one.
fn predicted(
    model: &Model,
    tokens: &[u32],
    schedule: &Schedule,
) -> anyhow::Result<BTreeMap<u32, u64>> {
    let residual = model.run(tokens, schedule, &mut ())?;
    let normed = model.final_norm(residual.slice(s![1.., ..]));
    let mut counts = BTreeMap::new();
    for summary in vocabulary::pass(normed.view(), model.unembedding(), &[]) {
        *counts.entry(summary.argmax).or_default() += 1;
    }
    Ok(counts)
}

/// The most frequent token of all sequences, and its share with each sequence as a cluster; none without positions.
fn modal(counts: &[&BTreeMap<u32, u64>]) -> Option<(u32, ClusteredMean)> {
    let mut together: BTreeMap<u32, u64> = BTreeMap::new();
    for (&token, &count) in counts.iter().copied().flatten() {
        *together.entry(token).or_default() += count;
    }
    // Of equal counts the last is taken, so that they stand in descending order of ids.
    let (&token, _) = together.iter().rev().max_by_key(|(_, count)| **count)?;
    let mut share = ClusteredMean::new();
    for sequence in counts {
        let own = sequence.get(&token).copied().unwrap_or(0);
        share.push(own as f64, sequence.values().sum());
    }
    Some((token, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &[&[(u32, u64)]], expected: Option<(u32, f64)>) {
        let counts: Vec<BTreeMap<u32, u64>> = counts
            .iter()
            .map(|sequence| sequence.iter().copied().collect())
            .collect();
        let all: Vec<&BTreeMap<u32, u64>> = counts.iter().collect();
        let found = modal(&all).map(|(token, share)| (token, share.mean().unwrap_or(f64::NAN)));
        assert_eq!(found, expected, "{counts:?}");
    }

    #[test]
    fn the_most_frequent_token_of_all_sequences_is_the_modal_one() {
        check(&[], None);
        check(&[&[]], None);
        check(&[&[(7, 3), (9, 1)]], Some((7, 0.75)));
        check(&[&[(7, 3), (9, 2)], &[(9, 3)]], Some((9, 0.625)));
        // Of equally frequent tokens the lowest id.
        check(&[&[(4, 2), (9, 2)]], Some((4, 0.5)));
        check(&[&[(9, 2)], &[(4, 2)]], Some((4, 0.5)));
    }
}
