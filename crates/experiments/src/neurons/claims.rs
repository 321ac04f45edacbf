//! The claims that are judged from this experiment.

use super::table::{self, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, peak};
use crate::core::finding::{Finding, Measured, Threshold, Unjudged};

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

fn prediction(record: &Record) -> f64 {
    record.prediction_percent
}

fn suppression(record: &Record) -> f64 {
    record.suppression_percent
}

/// The block with the highest density; the claims have no meaning where no block has such a neuron.
fn densest(curve: &[Point], kind: &str) -> Result<Point, Unjudged> {
    let peak = peak(curve).filter(|peak| peak.value > 0.0);
    peak.ok_or_else(|| Unjudged::Absent(format!("there are no {kind} neurons")))
}

/// Prediction neurons are densest at a depth of 0.75 to 0.95, and less dense in the last block.
pub fn d15(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let density = table::density(evidence.tables, &model.name, prediction);
        let peak = density
            .clone()
            .and_then(|density| densest(&density, "prediction"));
        let fall = density.and_then(|density| {
            let peak = densest(&density, "prediction")?;
            Ok(Measured::of(density[density.len() - 1].value - peak.value))
        });
        findings.push(Finding::of(
            &model.name,
            "depth of the block with the most prediction neurons",
            Threshold::Between(0.75, 0.95),
            peak.map(|peak| Measured::of(peak.depth).noting(format!("block {}", peak.index))),
        ));
        findings.push(Finding::of(
            &model.name,
            "prediction neurons of the last block less those of the densest, percent",
            Threshold::Below(0.0),
            fall,
        ));
    }
    findings
}

/// Suppression neurons are densest in one of the last two blocks, and denser than prediction neurons in the last.
pub fn d16(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let density = table::density(evidence.tables, &model.name, suppression);
        let from_end = density.clone().and_then(|density| {
            let peak = densest(&density, "suppression")?;
            let last = density[density.len() - 1].index;
            Ok(Measured::of((last - peak.index) as f64).noting(format!("block {}", peak.index)))
        });
        let overtaken = density.and_then(|suppressing| {
            let predicting = table::density(evidence.tables, &model.name, prediction)?;
            let last = |curve: &[Point]| curve[curve.len() - 1].value;
            Ok(Measured::of(last(&suppressing) - last(&predicting)))
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
    use crate::neurons::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d15_prediction_neurons_peak_late() {
        let last = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.prediction_percent = r.relative_depth;
            }
        };
        judged("D15").check_all(2 * MODELS, last, [0, 2 * MODELS, 0]);
        let none = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.prediction_percent = 0.0;
            }
        };
        judged("D15").check(none, [0, 2 * MODELS, 0]);
    }

    #[test]
    fn d16_suppression_neurons_overtake() {
        let early = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.suppression_percent = 1.0 - r.relative_depth;
            }
        };
        judged("D16").check_all(2 * MODELS, early, [0, 2 * MODELS, 0]);
    }
}
