//! The sweep's statistics as lines of `robustness` and `repeats`.

use crate::experiments::core::models::relative_depth;
use crate::experiments::core::tables::Tables;
use crate::experiments::repeats;
use crate::experiments::robustness::{self, Intervention};
use crate::inputs::{OpenedCorpus, OpenedModel};
use crate::measurement::{Measurement, Portion, measure};
use crate::readings::notebook::{self, Notebook};
use anyhow::Context;
use layerwise::journal::RunKey;
use layerwise::metrics::ClusteredMean;
use layerwise::schedule::{DEFAULT_MAX_MEMBERS, Family};
use layerwise::sweep::Plan;

const DROP: &str = "drop(l)";
const SWAP: &str = "swap(l,l+1)";
/// Runs of repeated blocks, with their lengths (B.13).
const REPEATS: [(&str, usize); 2] = [("repeat(l..l+3)", 3), ("repeat(l..l+5)", 5)];

/// The plan that serves the chosen experiments: they share one sweep, so that they share prefixes.
///
/// # Errors
/// A model that is too short for a family.
pub fn plan(opened: &OpenedModel, experiments: &[&str]) -> anyhow::Result<Plan> {
    let layers = opened.model.config().layers;
    let mut families = Vec::new();
    let edits = ["robustness", "stages", "scale"];
    if experiments.iter().any(|id| edits.contains(id)) {
        families.extend([DROP, SWAP]);
    }
    if experiments.contains(&"repeats") {
        let fitting = REPEATS.iter().filter(|(_, blocks)| *blocks <= layers);
        families.extend(fitting.map(|(family, _)| *family));
    }
    let families = families
        .into_iter()
        .map(str::parse::<Family>)
        .collect::<Result<Vec<_>, _>>()
        .context("the figures' families")?;
    Plan::new(opened.model.stack(), &families, DEFAULT_MAX_MEMBERS)
        .with_context(|| opened.name.clone())
}

/// Runs the plan, or as much of it as the target takes, and records its statistics.
///
/// # Errors
/// As [`measure`].
pub fn read(
    notebook: &Notebook<'_>,
    corpus: &OpenedCorpus,
    plan: &Plan,
    portion: &Portion,
    tables: &mut Tables,
) -> anyhow::Result<Measurement> {
    let Notebook {
        opened,
        folder,
        run,
    } = *notebook;
    let journal = |key: &RunKey| notebook::journal(folder, "sweep", key);
    let measurement = measure(opened, corpus, plan.clone(), journal, run, portion)?;
    record(opened, &measurement, tables)?;
    Ok(measurement)
}

/// Every schedule but the plain one, which they are compared with.
fn record(
    opened: &OpenedModel,
    measurement: &Measurement,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let config = opened.model.config();
    let sequences = measurement.sequences as u64;
    let plain = &measurement.statistics[0];
    let mean = |value: &ClusteredMean| value.mean().unwrap_or(f64::NAN);
    let entries = measurement
        .plan
        .entries()
        .iter()
        .zip(&measurement.statistics);
    for (entry, statistics) in entries.skip(1) {
        let entropy = statistics.entropy_bits.difference(&plain.entropy_bits)?;
        let layer = entry
            .l
            .with_context(|| format!("{} names no block", entry.edit))?;
        let intervention = match entry.family.as_str() {
            DROP => Intervention::Drop,
            SWAP => Intervention::Swap,
            family => {
                let (_, blocks) = REPEATS
                    .into_iter()
                    .find(|(repeat, _)| *repeat == family)
                    .with_context(|| format!("no figure is for {family}"))?;
                let loss = statistics.loss_nats.difference(&plain.loss_nats)?;
                tables.push(repeats::Record {
                    model: opened.name.clone(),
                    family: config.family.model_type().to_owned(),
                    blocks,
                    start: layer,
                    layers: config.layers,
                    relative_depth: relative_depth(layer + blocks / 2, config.layers),
                    entropy_bits: mean(&statistics.entropy_bits),
                    entropy_bits_se: statistics.entropy_bits.standard_error(),
                    plain_entropy_bits: mean(&plain.entropy_bits),
                    entropy_difference_bits: mean(&entropy),
                    entropy_difference_bits_se: entropy.standard_error(),
                    kl_nats: mean(&statistics.kl_nats),
                    kl_nats_se: statistics.kl_nats.standard_error(),
                    loss_difference_nats: mean(&loss),
                    loss_difference_nats_se: loss.standard_error(),
                    sequences,
                    positions: statistics.kl_nats.count(),
                });
                continue;
            }
        };
        tables.push(robustness::Record {
            model: opened.name.clone(),
            family: config.family.model_type().to_owned(),
            intervention,
            layer,
            layers: config.layers,
            relative_depth: relative_depth(layer, config.layers),
            kl_nats: mean(&statistics.kl_nats),
            kl_nats_se: statistics.kl_nats.standard_error(),
            top1_agreement: mean(&statistics.top1_agreement),
            top1_agreement_se: statistics.top1_agreement.standard_error(),
            entropy_bits: mean(&statistics.entropy_bits),
            entropy_bits_se: statistics.entropy_bits.standard_error(),
            entropy_difference_bits: mean(&entropy),
            entropy_difference_bits_se: entropy.standard_error(),
            loss_nats: mean(&statistics.loss_nats),
            loss_nats_se: statistics.loss_nats.standard_error(),
            sequences,
            positions: statistics.kl_nats.count(),
        });
    }
    Ok(())
}
