//! One number for each signature of a stage (table 1).

use crate::core::claim::Evidence;
use crate::core::curve::{Point, at_depth, mean, median, middle, peak, slope};
use crate::core::finding::NotTested;
use crate::core::lens::Lens;
use crate::{lens_entropy, lens_kl, mlp_norm, neurons, robustness, sublayer_ratio, wic};

/// A number of a model, if its experiments were measured.
pub struct Number {
    /// A description, with the unit.
    pub about: &'static str,
    /// The number of a model.
    pub of: fn(&Evidence<'_>, &str) -> Option<f64>,
}

/// A curve, if available; the claims say why it is not.
type Curve = Result<Vec<Point>, NotTested>;

/// If every block has none, no block has most.
fn depth_of_peak(curve: Curve) -> Option<f64> {
    let peak = peak(&curve.ok()?)?;
    (peak.value > 0.0).then_some(peak.depth)
}

/// How much worse changing the first block is than changing the others.
pub const SENSITIVITY: Number = Number {
    about: "KL without block 0 over the median at depths 0.2 to 0.9",
    of: |evidence, model| {
        let divergence = |r: &robustness::Record| (r.kl_nats, r.kl_nats_se);
        let curve = robustness::curve(
            evidence.tables,
            model,
            robustness::Intervention::Drop,
            divergence,
        )
        .ok()?;
        Some(curve.first()?.value / median(&middle(&curve).ok()?)?)
    },
};

/// Attention's share of the early computation.
pub const ATTENTION_HEAVY: Number = Number {
    about: "‖attn.out‖/‖mlp.out‖, mean of the first quarter of the blocks over mean of the rest",
    of: |evidence, model| {
        let ratio = sublayer_ratio::curve(evidence.tables, model);
        let (early, late): (Vec<Point>, Vec<Point>) = ratio
            .ok()?
            .into_iter()
            .partition(|point| point.depth < 0.25);
        Some(mean(&early)? / mean(&late)?)
    },
};

/// How little the lens has approached the output by half of the depth, from the first block's output on.
pub const PROGRESS: Number = Number {
    about: "share of the fall of KL(output ‖ standard lens) after block 0 that is made by depth 0.5",
    of: |evidence, model| {
        let mut curve = lens_kl::curve(evidence.tables, model, Lens::Standard).ok()?;
        // The step from the embedding, which no block has read, is most of the fall in every model.
        curve.retain(|point| point.depth > 0.0);
        let (first, last) = (curve.first()?.value, curve.last()?.value);
        let share = (first - at_depth(&curve, 0.5)?) / (first - last);
        share.is_finite().then_some(share)
    },
};

/// The depth at which a probe reads best.
pub const PROBE: Number = Number {
    about: "depth of the best probe of word senses",
    of: |evidence, model| {
        // The pairs of the stand-in ask something else.
        depth_of_peak(wic::curve(evidence.tables, model, "wic"))
    },
};

/// The depth at which prediction neurons are densest.
pub const PREDICTION: Number = Number {
    about: "depth of the block with the most prediction neurons",
    of: |evidence, model| {
        depth_of_peak(neurons::density(
            evidence.tables,
            model,
            neurons::prediction,
        ))
    },
};

/// How fast the distribution narrows.
pub const NARROWING: Number = Number {
    about: "slope of the standard lens's entropy after depth 0.5, bits over the whole depth",
    of: |evidence, model| {
        let curve = lens_entropy::curve(evidence.tables, model, Lens::Standard).ok()?;
        let half: Vec<Point> = curve.into_iter().filter(|p| p.depth >= 0.5).collect();
        slope(&half)
    },
};

/// The depth at which suppression neurons are densest.
pub const SUPPRESSION: Number = Number {
    about: "depth of the block with the most suppression neurons",
    of: |evidence, model| {
        depth_of_peak(neurons::density(
            evidence.tables,
            model,
            neurons::suppression,
        ))
    },
};

/// The share of top-1 tokens that is settled late.
pub const TOP1: Number = Number {
    about: "share of positions whose most probable token in the standard lens is not yet the output's at depth 0.9",
    of: |evidence, model| {
        let agreement = lens_kl::agreement(evidence.tables, model, Lens::Standard);
        Some(1.0 - at_depth(&agreement.ok()?, 0.9)?)
    },
};

/// The depth at which the MLP's output is largest.
pub const MLP_NORM: Number = Number {
    about: "depth of the block whose MLP writes most",
    of: |evidence, model| depth_of_peak(mlp_norm::curve(evidence.tables, model)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing;

    #[test]
    fn pairs_of_a_stand_in_are_not_senses() {
        let models = [testing::small()];
        let mut tables = testing::tables(&models, &[wic::synthetic::add]);
        let depth = |tables: &Tables| {
            let evidence = Evidence {
                tables,
                models: &models,
            };
            (PROBE.of)(&evidence, &models[0].name)
        };
        assert_eq!(depth(&tables), Some(0.5));
        for r in tables.of_mut::<wic::Record>() {
            r.pairs_of = "standin-senses".to_owned();
        }
        assert_eq!(depth(&tables), None);
    }
}
