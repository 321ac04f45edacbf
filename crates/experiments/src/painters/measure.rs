//! The loss under every variant of the middle blocks.

use super::table::{Record, Variant};
use crate::core::ablation::{self, Even};
use crate::core::error::ExperimentError;
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_sweep::Plan;
use std::ops::Range;

/// Random orders of the same blocks.
pub(super) const DRAWS: u64 = 5;

/// The sample that losses are measured on, a part of the text.
const SAMPLE: &str = "first sequences of one length";

/// The curve of the change of the loss under a variant and draw, by the number of blocks.
pub(super) fn curve_name(variant: Variant, draw: u64) -> String {
    format!("loss difference {} {draw}", variant.name())
}

/// One variant as an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Painted {
    variant: Variant,
    blocks: usize,
    draw: u64,
    edit: String,
}

/// The edits of a variant of some blocks.
fn edits(variant: Variant, blocks: Range<usize>) -> Vec<Painted> {
    let (first, end) = (blocks.start, blocks.end);
    let edit = |draw: u64| match variant {
        Variant::Skip => format!("drop({first}..{end})"),
        Variant::MiddleRepeat => {
            let middle = first.midpoint(end);
            let others = blocks.clone().filter(|block| *block != middle);
            let each: Vec<String> = others
                .map(|own| format!("replace({own},{middle})"))
                .collect();
            each.join(";")
        }
        Variant::Reverse => format!("reverse({first}..{end})"),
        Variant::RandomOrder => format!("shuffle({first}..{end},{draw})"),
        Variant::Parallel => format!("parallel({first}..{end})"),
        Variant::LoopedParallel => {
            format!("parallel({first}..{end});loop({first}..{end},3)")
        }
    };
    let draws = match variant {
        Variant::RandomOrder => DRAWS,
        _ => 1,
    };
    let painted = (0..draws).map(|draw| Painted {
        variant,
        blocks: blocks.len(),
        draw,
        edit: edit(draw),
    });
    painted.collect()
}

/// All variants of 2, 4, … blocks around the middle; the first and the last block stay as they are.
fn all(layers: usize) -> Vec<Painted> {
    let counts = (2..=layers.saturating_sub(2)).filter(|n| (layers - n).is_multiple_of(2));
    let ranges = counts.map(|n| (layers - n) / 2..(layers + n) / 2);
    let ranges: Vec<Range<usize>> = ranges.collect();
    let each = Variant::ALL.iter().flat_map(|variant| {
        let ranges = ranges.iter().cloned();
        ranges.flat_map(|blocks| edits(*variant, blocks))
    });
    each.collect()
}

/// Describes the runs.
///
/// # Errors
/// None: the edits fit any model.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let variants = all(subject.model.config().layers).len();
    let even = Even::of(&subject.text);
    Ok(match variants {
        0 => Vec::new(),
        variants => vec![even.told("painters", variants + 1)],
    })
}

fn plan(subject: &Subject<'_>, painted: &[Painted]) -> Result<Plan, ExperimentError> {
    let edits: Vec<String> = painted.iter().map(|own| own.edit.clone()).collect();
    ablation::plan(subject, &edits)
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let painted = all(subject.model.config().layers);
    Ok(ablation::work(subject, &plan(subject, &painted)?))
}

/// Runs every variant, and fills the table.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("painters") {
        return Ok(vec![refusal]);
    }
    let config = subject.model.config();
    let painted = all(config.layers);
    if painted.is_empty() {
        return Ok(vec![format!(
            "painters is left empty: it needs four blocks, found {}",
            config.layers
        )]);
    }
    let run = ablation::run(subject, plan(subject, &painted)?, &even)?;
    let plain_loss = run.statistics[0].loss_nats.mean().unwrap_or(f64::NAN);
    let knowledge = (config.vocab as f64).ln() - plain_loss;
    for effect in run.effects()? {
        let own = &painted[effect.family];
        let (curve, loss) = (curve_name(own.variant, own.draw), &effect.loss_difference);
        tables.push(Units::of(subject.name, &curve, SAMPLE, own.blocks, loss));
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            variant: own.variant,
            blocks: own.blocks,
            draw: own.draw,
            layers: config.layers,
            schedule: own.edit.clone(),
            kl_nats: effect.kl_nats,
            kl_nats_se: effect.kl_nats_se,
            loss_difference_nats: effect.loss_difference_nats,
            loss_difference_nats_se: effect.loss_difference_nats_se,
            normalised_score: 1.0 - effect.loss_difference_nats / knowledge,
            normalised_score_se: effect
                .loss_difference_nats_se
                .map(|se| se / knowledge.abs()),
            sequences: even.sequences.len() as u64,
            positions: effect.positions,
        });
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_of_the_blocks_around_the_middle() {
        let counts = |layers: usize| {
            let mut counts: Vec<usize> = all(layers).iter().map(|own| own.blocks).collect();
            counts.dedup();
            counts.truncate(layers);
            counts
        };
        assert!(all(3).is_empty());
        assert_eq!(counts(4)[0], 2);
        assert_eq!(counts(7)[..2], [3, 5]);
        assert_eq!(counts(8)[..3], [2, 4, 6]);
        let of = |variant| edits(variant, 1..5)[0].edit.clone();
        let repeated = "replace(1,3);replace(2,3);replace(4,3)";
        assert_eq!(of(Variant::MiddleRepeat), repeated);
        assert_eq!(of(Variant::LoopedParallel), "parallel(1..5);loop(1..5,3)");
        assert_eq!(edits(Variant::RandomOrder, 1..5).len(), DRAWS as usize);
    }
}
