//! The claims that are judged from this experiment.

use super::table::{PREDICTION, SUPPRESSION, over_thresholds};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, lies_between, mean, peak};
use crate::core::finding::{Finding, NotTested, Threshold};
use crate::core::models::Facts;
use crate::core::published::published_name;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D15",
        versions: Version::ALL,
        statement: "prediction neurons peak at about 85 % of depth and are fewer at the end",
        needs: &["neurons"],
        models: "the paper's models",
        judge: d15,
    },
    Claim {
        id: "D16",
        versions: Version::ALL,
        statement: "suppression neurons overtake and peak at the very end",
        needs: &["neurons"],
        models: "the paper's models",
        judge: d16,
    },
];

/// The block with the highest density; the claims have no meaning if no block has such a neuron.
///
/// # Errors
/// No block has one.
pub fn densest(curve: &[Point], kind: &str) -> Result<Point, NotTested> {
    let peak = peak(curve).filter(|peak| peak.value > 0.0);
    peak.ok_or_else(|| {
        NotTested(format!(
            "not tested on models of this kind: there are no {kind} neurons"
        ))
    })
}

/// The least fraction of the densest block's density at which neurons count as present.
const ONSET: f64 = 0.1;

/// The depths at which prediction neurons are claimed to be densest.
const PEAK: [f64; 2] = [0.75, 0.95];

/// The lines for each of the paper's models; the claim is about no others.
fn of_published(
    evidence: &Evidence<'_>,
    lines: fn(&Evidence<'_>, &Facts) -> Vec<Finding>,
) -> Vec<Finding> {
    let each = evidence.models.iter().flat_map(|model| {
        let mut own = lines(evidence, model);
        if published_name(&model.name).is_none() {
            let reason = "not tested on models of this kind: the claim is about the paper's models";
            for finding in &mut own {
                finding.outcome = Err(NotTested::because(reason));
            }
        }
        own
    });
    each.collect()
}

/// The lines of [`prediction_peaks`] on the paper's models.
pub fn d15(evidence: &Evidence<'_>) -> Vec<Finding> {
    of_published(evidence, prediction_peaks)
}

/// The lines of [`suppression_overtakes`] on the paper's models.
pub fn d16(evidence: &Evidence<'_>) -> Vec<Finding> {
    of_published(evidence, suppression_overtakes)
}

/// Prediction neurons appear at about half of the depth (0.4 to 0.6), are densest at depths 0.75 to 0.95, and are less dense in
/// the last block than there. The last block is compared with that range and not with the densest block, since a block that is
/// densest by chance is denser than the last in any case.
pub fn prediction_peaks(evidence: &Evidence<'_>, model: &Facts) -> Vec<Finding> {
    let of = |number: fn(&[Point], Point) -> f64| {
        let ways = PREDICTION.map(|percent| vec![(model.name.as_str(), percent)]);
        over_thresholds(evidence.tables, ways, |curves| {
            let density = &curves[0];
            let densest = densest(density, "prediction")?;
            Ok(number(density, densest))
        })
    };
    let lines = [
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
            Threshold::Between(PEAK[0], PEAK[1]),
            of(|_, densest| densest.depth),
        ),
        (
            "prediction neurons of the last block less the mean over depths 0.75 to 0.95, percent",
            Threshold::Below(0.0),
            of(|density, _| {
                let there = density.iter();
                let there = there.filter(|block| lies_between(block.depth, PEAK[0], PEAK[1]));
                let there = mean(&there.copied().collect::<Vec<_>>()).unwrap_or(f64::NAN);
                density[density.len() - 1].value - there
            }),
        ),
    ];
    let findings = lines.into_iter();
    findings
        .map(|(part, threshold, outcome)| Finding::of(&model.name, part, threshold, outcome))
        .collect()
}

/// Suppression neurons are densest in one of the last two blocks, and denser than prediction neurons in the last block.
pub fn suppression_overtakes(evidence: &Evidence<'_>, model: &Facts) -> Vec<Finding> {
    let name = model.name.as_str();
    let ways = SUPPRESSION.map(|suppresses| vec![(name, suppresses)]);
    let from_end = over_thresholds(evidence.tables, ways, |curves| {
        let density = &curves[0];
        let peak = densest(density, "suppression")?;
        Ok((density[density.len() - 1].index - peak.index) as f64)
    });
    let ways = PREDICTION.into_iter().zip(SUPPRESSION);
    let ways = ways.map(|(predicts, suppresses)| vec![(name, predicts), (name, suppresses)]);
    let overtaken = over_thresholds(evidence.tables, ways, |curves| {
        let (predicting, suppressing) = (&curves[0], &curves[1]);
        densest(suppressing, "suppression")?;
        let last = |curve: &[Point]| curve[curve.len() - 1].value;
        Ok(last(suppressing) - last(predicting))
    });
    vec![
        Finding::of(
            &model.name,
            "blocks after the one with the most suppression neurons",
            Threshold::AtMost(1.0),
            from_end,
        ),
        Finding::of(
            &model.name,
            "suppression less prediction neurons of the last block, percent",
            Threshold::Above(0.0),
            overtaken,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Verdict;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated};
    use crate::neurons::{Record, synthetic};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    /// Gives the density of both kinds, by depth, under all ways of counting.
    fn set(tables: &mut Tables, density: impl Fn(f64) -> f64) {
        for r in tables.of_mut::<Record>() {
            let value = density(r.relative_depth);
            r.percents_mut()
                .into_iter()
                .for_each(|percent| *percent = value);
        }
    }

    /// A model of the paper whose weights make neurons by chance: of each kind, in a block at this depth, about this many of
    /// 4,096
    /// with kurtosis above 8.
    fn made(about: impl Fn(f64) -> [f64; 2]) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| synthetic::add_counts(simulated, facts, tables, &about)
    }

    fn published() -> [Facts; 1] {
        [Facts {
            name: "gpt2-medium".to_owned(),
            family: "gpt2".to_owned(),
            layers: 24,
            parameters: 355_000_000,
        }]
    }

    #[test]
    fn what_the_weights_make_by_chance_shows_no_stages() {
        for claim in ["D15", "D16"] {
            // Many neurons, or one in every second block; at the same rate at all depths.
            for about in [40.0, 0.5] {
                judged(claim).check_null(&published(), made(|_| [about; 2]));
            }
            let late = |depth: f64| {
                let rise = 60.0 + 180.0 * ((depth - 0.5) / 0.35).powi(2);
                let fall = 240.0 - 160.0 * (depth - 0.85) / 0.15;
                let prediction = if depth < 0.5 { 0.0 } else { rise.min(fall) };
                [prediction, 400.0 * ((depth - 0.7) / 0.3).max(0.0)]
            };
            judged(claim).check_effect(&published(), true, made(late));
        }
    }

    #[test]
    fn other_models_than_the_papers_are_not_judged() {
        for claim in ["D15", "D16"] {
            let mut own = published();
            own[0].name = "gpt2-8x160".to_owned();
            let rows = judged(claim).rows(&judged(claim).tables(&own), &own);
            for row in rows {
                assert_eq!(row.verdict, Verdict::NotTested);
                assert!(row.reason.contains("the paper's models"), "{}", row.reason);
            }
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
            for r in tables.of_mut::<Record>() {
                r.percents_mut()
                    .into_iter()
                    .take(PREDICTION.len())
                    .for_each(|percent| *percent += 0.5);
            }
        };
        judged("D16").check_all(2 * MODELS, early, [0, 2 * MODELS, 0, 0]);
        judged("D16").check(|tables| set(tables, |_| 0.0), [0, 0, 0, 2 * MODELS]);
    }
}
