//! The sweep's statistics as lines of `robustness` and `repeats`.

use crate::experiments::core::models::relative_depth;
use crate::experiments::core::tables::Tables;
use crate::experiments::repeats;
use crate::experiments::robustness::{self, Intervention};
use crate::inputs::{OpenedCorpus, OpenedModel};
use crate::measurement::{Measurement, Portion, measure};
use crate::readings::collapse;
use crate::readings::notebook::Notebook;
use anyhow::{Context, bail};
use layerwise::metrics::ClusteredMean;
use layerwise::schedule::{DEFAULT_MAX_MEMBERS, EditFamily};
use layerwise::sweep::{Divergence, Plan};

/// What a family of the experiments does.
#[derive(Clone, Copy)]
enum Kind {
    Robustness(Intervention),
    /// A run of so many blocks is repeated (B.13).
    Repeat(usize),
}

const ROBUSTNESS: [(&str, Kind); 2] = [
    ("drop(l)", Kind::Robustness(Intervention::Drop)),
    ("swap(l,l+1)", Kind::Robustness(Intervention::Swap)),
];
const REPEATS: [(&str, usize); 2] = [("repeat(l..l+3)", 3), ("repeat(l..l+5)", 5)];

/// A token's share is known well enough from so many sequences; the statistics are over all of them.
const COLLAPSE_SEQUENCES: usize = 32;

/// The sweep that serves the chosen experiments: they share it, so that they share prefixes.
#[derive(Clone)]
pub struct Altered {
    /// The schedules.
    pub plan: Plan,
    /// What is measured: where the first block's changes are shown, the most probable tokens under them too.
    pub measure: Divergence,
    /// One for each of the plan's families.
    kinds: Vec<Kind>,
    /// The schedules that change the first block (D3); none where they are not shown.
    collapse: Vec<(usize, Intervention)>,
}

impl Altered {
    /// The sweep of some experiments of a model.
    ///
    /// # Errors
    /// A model that is too short for a family.
    pub fn new(opened: &OpenedModel, experiments: &[&str]) -> anyhow::Result<Self> {
        let layers = opened.model.config().layers;
        let mut chosen = Vec::new();
        let edits = ["robustness", "stages", "scale"];
        if experiments.iter().any(|id| edits.contains(id)) {
            chosen.extend(ROBUSTNESS);
        }
        if experiments.contains(&"repeats") {
            let fitting = REPEATS.iter().filter(|(_, blocks)| *blocks <= layers);
            chosen.extend(fitting.map(|&(family, blocks)| (family, Kind::Repeat(blocks))));
        }
        let families = chosen
            .iter()
            .map(|(family, _)| family.parse::<EditFamily>());
        let families: Vec<EditFamily> = families
            .collect::<Result<_, _>>()
            .context("the experiments' families")?;
        let plan = Plan::new(opened.model.stack(), &families, DEFAULT_MAX_MEMBERS)
            .with_context(|| opened.name.clone())?;
        let mut altered = Self {
            plan,
            measure: Divergence::new(),
            kinds: chosen.into_iter().map(|(_, kind)| kind).collect(),
            collapse: Vec::new(),
        };
        if experiments.contains(&"robustness") {
            let entries = altered.plan.entries().iter().enumerate();
            let first = entries.filter(|(_, entry)| entry.member.l == Some(0));
            altered.collapse = first
                .filter_map(|(at, entry)| match altered.kinds[entry.family?] {
                    Kind::Robustness(intervention) => Some((at, intervention)),
                    Kind::Repeat(_) => None,
                })
                .collect();
            let schedules = altered.collapse.iter().map(|(schedule, _)| *schedule);
            altered.measure = altered.measure.counting(schedules, COLLAPSE_SEQUENCES);
        }
        Ok(altered)
    }
}

/// Runs the sweep, or as much of it as the target takes, and records its statistics.
///
/// # Errors
/// As [`measure`].
pub fn read(
    notebook: &Notebook<'_>,
    corpus: &OpenedCorpus,
    altered: &Altered,
    portion: &Portion,
    tables: &mut Tables,
) -> anyhow::Result<Measurement> {
    let measurement = measure(
        notebook.opened,
        corpus,
        altered.plan.clone(),
        &altered.measure,
        Some(notebook.journals()),
        notebook.run,
        portion,
    )?;
    record(notebook.opened, altered, &measurement, tables)?;
    collapse::record(
        notebook.opened,
        &altered.collapse,
        &measurement.sums,
        tables,
    );
    Ok(measurement)
}

/// Every schedule but the plain one, which they are compared with.
fn record(
    opened: &OpenedModel,
    altered: &Altered,
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
        let (Some(layer), Some(family)) = (entry.member.l, entry.family) else {
            bail!("{} names no block", entry.member.edit);
        };
        let intervention = match altered.kinds[family] {
            Kind::Robustness(intervention) => intervention,
            Kind::Repeat(blocks) => {
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
