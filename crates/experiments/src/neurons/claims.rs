//! The claims that are judged from this experiment.

use super::table::{self, PREDICTION, Percent, SUPPRESSION, over_thresholds};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, peak};
use crate::core::finding::{Finding, NotTested, Threshold};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D15",
        versions: Version::ALL,
        statement: "prediction neurons peak at about 85 % of depth and are fewer at the end",
        needs: &["neurons"],
        models: "",
        judge: d15,
    },
    Claim {
        id: "D16",
        versions: Version::ALL,
        statement: "suppression neurons overtake and peak at the very end",
        needs: &["neurons"],
        models: "",
        judge: d16,
    },
];

/// The block with the highest density; the claims have no meaning where no block has such a neuron.
///
/// # Errors
/// There is none.
pub fn densest(curve: &[Point], kind: &str) -> Result<Point, NotTested> {
    let peak = peak(curve).filter(|peak| peak.value > 0.0);
    peak.ok_or_else(|| {
        NotTested(format!(
            "not tested on models of this kind: there are no {kind} neurons"
        ))
    })
}

/// The least share of the densest block's density that counts as there.
const ONSET: f64 = 0.1;

/// Prediction neurons appear at about half of the depth (0.4 to 0.6), are densest at a depth of 0.75 to 0.95, and less dense in
/// the last block.
pub fn d15(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let of = |number: fn(&[Point], Point) -> f64| {
            over_thresholds(&PREDICTION, |percent| {
                let density = table::density(evidence.tables, &model.name, percent)?;
                let densest = densest(&density, "prediction")?;
                Ok(number(&density, densest))
            })
        };
        for (part, threshold, outcome) in [
            (
                "depth of the first block with a tenth of the highest density of prediction neurons",
                Threshold::Between(0.4, 0.6),
                of(|density, densest| {
                    let mut own = density.iter();
                    let first = own.find(|block| block.value >= ONSET * densest.value);
                    first.map_or(f64::NAN, |block| block.depth)
                }),
            ),
            (
                "depth of the block with the most prediction neurons",
                Threshold::Between(0.75, 0.95),
                of(|_, densest| densest.depth),
            ),
            (
                "prediction neurons of the last block less those of the densest, percent",
                Threshold::Below(0.0),
                of(|density, densest| density[density.len() - 1].value - densest.value),
            ),
        ] {
            findings.push(Finding::of(&model.name, part, threshold, outcome));
        }
    }
    findings
}

/// Suppression neurons are densest in one of the last two blocks, and denser than prediction neurons in the last.
pub fn d16(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let density = |percent| table::density(evidence.tables, &model.name, percent);
        let from_end = over_thresholds(&SUPPRESSION, |percent| {
            let density = density(percent)?;
            let peak = densest(&density, "suppression")?;
            Ok((density[density.len() - 1].index - peak.index) as f64)
        });
        let ways: Vec<(Percent, Percent)> = PREDICTION.into_iter().zip(SUPPRESSION).collect();
        let overtaken = over_thresholds(&ways, |(predicts, suppresses)| {
            let (predicting, suppressing) = (density(predicts)?, density(suppresses)?);
            densest(&suppressing, "suppression")?;
            let last = |curve: &[Point]| curve[curve.len() - 1].value;
            Ok(last(&suppressing) - last(&predicting))
        });
        findings.push(Finding::of(
            &model.name,
            "blocks after the one with the most suppression neurons",
            Threshold::AtMost(1.0),
            from_end,
        ));
        findings.push(Finding::of(
            &model.name,
            "suppression less prediction neurons of the last block, percent",
            Threshold::Above(0.0),
            overtaken,
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::neurons::{Record, synthetic};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    /// Gives all ways of counting the same density of both kinds, by depth.
    fn set(tables: &mut Tables, density: impl Fn(f64) -> f64) {
        for r in tables.of_mut::<Record>() {
            let value = density(r.relative_depth);
            r.percents_mut()
                .into_iter()
                .for_each(|percent| *percent = value);
        }
    }

    #[test]
    fn d15_prediction_neurons_peak_late() {
        judged("D15").check_all(
            3 * MODELS,
            |tables| set(tables, |depth| 0.5 + 0.5 * depth),
            [0, 3 * MODELS, 0, 0],
        );
        judged("D15").check(|tables| set(tables, |_| 0.0), [0, 0, 0, 3 * MODELS]);
        // By another threshold they are densest elsewhere.
        let elsewhere = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.prediction_above_12_percent = 1.0 - r.relative_depth;
            }
        };
        judged("D15").check(elsewhere, [MODELS, 0, 2 * MODELS, 0]);
    }

    #[test]
    fn d16_suppression_neurons_overtake() {
        let early = |tables: &mut Tables| {
            set(tables, |depth| 1.0 - depth);
        };
        judged("D16").check_all(2 * MODELS, early, [0, 2 * MODELS, 0, 0]);
        judged("D16").check(|tables| set(tables, |_| 0.0), [0, 0, 0, 2 * MODELS]);
    }
}
