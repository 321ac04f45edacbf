//! One number for each signature of a stage (table 1).

use super::evidence::{Evidence, Point, curve, mean, median, middle, peak, point, slope};
use super::outcome::Unjudged;
use crate::figures::lens_entropy::Lens;
use crate::figures::robustness::Intervention;
use crate::figures::sublayer_ratio;
use crate::figures::wic::Method;

/// A number that a model has, if its figures were measured.
pub struct Number {
    /// What it is, with its unit.
    pub about: &'static str,
    /// The number of a model.
    pub of: fn(&Evidence<'_>, &str) -> Option<f64>,
}

/// A curve where it could be had; why not is told by the claims.
type Curve = Result<Vec<Point>, Unjudged>;

fn depth_of_peak(curve: Curve) -> Option<f64> {
    Some(peak(&curve.ok()?)?.depth)
}

/// The value nearest to a depth; of two that are as near the earlier one.
fn at_depth(curve: &[Point], depth: f64) -> Option<f64> {
    let nearest = curve.iter().copied().reduce(|best, next| {
        let distance = |point: Point| (point.depth - depth).abs();
        if distance(next) < distance(best) {
            next
        } else {
            best
        }
    });
    Some(nearest?.value)
}

/// How much worse the first block is than the others.
pub const SENSITIVITY: Number = Number {
    about: "KL without block 0 over the median at depths 0.2 to 0.9",
    of: |evidence, model| {
        let divergence = |r: &crate::figures::robustness::Record| (r.kl_nats, r.kl_nats_se);
        let curve = evidence
            .robustness(model, Intervention::Drop, divergence)
            .ok()?;
        Some(curve.first()?.value / median(&middle(&curve).ok()?)?.value)
    },
};

/// How much more of the early computation is attention's.
pub const ATTENTION_HEAVY: Number = Number {
    about: "‖attn.out‖/‖mlp.out‖, mean of the first quarter of the blocks over mean of the rest",
    of: |evidence, model| {
        let own = |r: &sublayer_ratio::Record| r.model == model;
        let ratio = curve(
            &evidence.results.sublayer_ratio,
            "sublayer-ratio",
            own,
            |r| point(r.layer, r.relative_depth, r.ratio, r.ratio_se),
        );
        let (early, late): (Vec<Point>, Vec<Point>) = ratio
            .ok()?
            .into_iter()
            .partition(|point| point.depth < 0.25);
        Some(mean(&early)?.value / mean(&late)?.value)
    },
};

/// How little of the way is gone by half of the depth.
pub const PROGRESS: Number = Number {
    about: "share of the fall of KL(output ‖ standard lens) by depth 0.5",
    of: |evidence, model| {
        let curve = evidence.lens_kl(model, Lens::Standard).ok()?;
        let (first, last) = (curve.first()?.value, curve.last()?.value);
        let share = (first - at_depth(&curve, 0.5)?) / (first - last);
        share.is_finite().then_some(share)
    },
};

/// Where a probe reads best.
pub const PROBE: Number = Number {
    about: "depth of the best probe of word senses",
    of: |evidence, model| {
        let set = &evidence
            .results
            .wic
            .iter()
            .find(|r| r.model == model)?
            .pairs_of;
        let own = |r: &crate::figures::wic::Record| {
            r.model == model && r.method == Method::Probe && r.pairs_of == *set
        };
        depth_of_peak(curve(&evidence.results.wic, "wic", own, |r| {
            point(r.state, r.relative_depth, r.accuracy, r.accuracy_se)
        }))
    },
};

/// Where prediction neurons are densest.
pub const PREDICTION: Number = Number {
    about: "depth of the block with the most prediction neurons",
    of: |evidence, model| depth_of_peak(evidence.density(model, |r| r.prediction_percent)),
};

/// How fast the distribution narrows.
pub const NARROWING: Number = Number {
    about: "slope of the standard lens's entropy after depth 0.5, bits over the whole depth",
    of: |evidence, model| {
        let curve = evidence.lens_entropy(model, Lens::Standard).ok()?;
        let half: Vec<Point> = curve.into_iter().filter(|p| p.depth >= 0.5).collect();
        slope(&half)
    },
};

/// Where suppression neurons are densest.
pub const SUPPRESSION: Number = Number {
    about: "depth of the block with the most suppression neurons",
    of: |evidence, model| depth_of_peak(evidence.density(model, |r| r.suppression_percent)),
};

/// How much of the top-1 tokens is settled late.
pub const TOP1: Number = Number {
    about: "share of positions whose most probable token in the standard lens is not yet the output's at depth 0.9",
    of: |evidence, model| {
        let own =
            |r: &crate::figures::lens_kl::Record| r.model == model && r.lens == Lens::Standard;
        let agreement = curve(&evidence.results.lens_kl, "lens-kl", own, |r| {
            point(
                r.state,
                r.relative_depth,
                r.top1_agreement,
                r.top1_agreement_se,
            )
        });
        Some(1.0 - at_depth(&agreement.ok()?, 0.9)?)
    },
};

/// Where the MLP writes most.
pub const MLP_NORM: Number = Number {
    about: "depth of the block whose MLP writes most",
    of: |evidence, model| depth_of_peak(evidence.mlp_norm(model)),
};
