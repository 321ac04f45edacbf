//! The claims that are judged from this experiment.

use super::table::{Method, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, curve, depth_of_peak, needs, peak, point, together};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::core::lens::Lens;
use crate::{lens_entropy, lens_kl};
use std::collections::BTreeSet;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D12",
        versions: Version::V3_ON,
        statement: "word senses are best read in the middle of the model",
        needs: &["wic"],
        models: "",
        judge: d12,
    },
    Claim {
        id: "D13",
        versions: Version::V3_ON,
        statement: "word senses are read best while the lens is still uncertain",
        needs: &["wic", "lens-entropy"],
        models: "",
        judge: d13,
    },
    Claim {
        id: "D27",
        versions: &[],
        statement: "the wrong lens of the first versions changes D13, D14 and D21",
        needs: &["wic", "lens-kl", "lens-entropy"],
        models: "",
        judge: d27,
    },
];

/// The accuracy of the probe on each residual stream, for each set of pairs; one without name where there is none.
fn probes(evidence: &Evidence<'_>, model: &str) -> Vec<(String, Result<Vec<Point>, Unjudged>)> {
    let own = |r: &&Record| r.model == model && r.method == Method::Probe;
    let records = || evidence.tables.of::<Record>().iter().filter(own);
    let mut sets: BTreeSet<&str> = records().map(|r| r.pairs_of.as_str()).collect();
    if sets.is_empty() {
        sets.insert("wic");
    }
    let accuracy = |set: &str| {
        let own = |r: &Record| r.model == model && r.method == Method::Probe && r.pairs_of == set;
        curve(evidence.tables.of::<Record>(), "wic", own, |r| {
            point(r.state, r.relative_depth, r.accuracy, r.accuracy_se)
        })
    };
    sets.into_iter()
        .map(|set| (set.to_owned(), accuracy(set)))
        .collect()
}

/// The probe is best at a depth of 0.3 to 0.7, and worse at both ends.
pub fn d12(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (set, accuracy) in probes(evidence, &model.name) {
            let ends = |accuracy: Vec<Point>| {
                let best = peak(&accuracy).ok_or_else(|| needs("wic"))?;
                let ends = [accuracy[0], accuracy[accuracy.len() - 1]];
                let end = peak(&ends).ok_or_else(|| needs("wic"))?;
                Ok(Measured::of(best.value - end.value)
                    .with_error(together(best.error, end.error))
                    .noting("standard error as of independent accuracies"))
            };
            findings.push(Finding::of(
                &model.name,
                format!("depth of the best probe, {set}"),
                Threshold::Between(0.3, 0.7),
                accuracy
                    .clone()
                    .and_then(|accuracy| depth_of_peak(&accuracy, "wic")),
            ));
            findings.push(Finding::of(
                &model.name,
                format!("accuracy of the best probe less that at the better end, {set}"),
                Threshold::Above(0.0),
                accuracy.and_then(ends),
            ));
        }
    }
    findings
}

/// Where the probe is best, the lens has more than half of the entropy that it begins with.
pub fn d13(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (set, accuracy) in probes(evidence, &model.name) {
            for lens in Lens::BOTH {
                let share = |accuracy: &[Point]| {
                    let best = peak(accuracy).ok_or_else(|| needs("wic"))?;
                    let entropy = lens_entropy::curve(evidence.tables, &model.name, lens)?;
                    let at = |index| entropy.iter().find(|point| point.index == index);
                    let (Some(early), Some(there)) = (at(0), at(best.index)) else {
                        return Err(needs("lens-entropy"));
                    };
                    Ok(Measured::of(there.value / early.value)
                        .with_error(there.error.map(|error| error / early.value))
                        .noting(format!("residual stream {}; standard error with the entropy at the embedding taken as given", best.index)))
                };
                let share = accuracy.as_deref().map_err(Clone::clone).and_then(share);
                let part = format!(
                    "share of the lens's first entropy that is left where the probe is best, {set}"
                );
                let finding = Finding::of(&model.name, part, Threshold::Above(0.5), share);
                findings.push(finding.through(lens));
            }
        }
    }
    findings
}

/// Both lenses side by side on each line of D13, D14 and D21 on one model: how many verdicts differ.
pub fn d27(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (claim, judged) in [
            ("D13", d13(evidence)),
            ("D14", lens_kl::claims::d14(evidence)),
            ("D21", lens_entropy::claims::d21(evidence)),
        ] {
            let own = |lens: Lens| {
                let judged = judged.iter();
                judged.filter(move |f| f.model == model.name && f.lens == Some(lens))
            };
            // Lenses take turns over the same parts, so that both lists are in one order.
            let pairs: Vec<(&Finding, &Finding)> =
                own(Lens::Standard).zip(own(Lens::Legacy)).collect();
            findings.push(Finding::of(
                &model.name,
                format!("verdicts of {claim} that differ between the standard and the legacy lens"),
                Threshold::Above(0.0),
                side_by_side(&pairs),
            ));
        }
    }
    findings
}

fn side_by_side(pairs: &[(&Finding, &Finding)]) -> Outcome {
    let mut differing = 0;
    let mut notes = Vec::new();
    for (standard, legacy) in pairs {
        let [one, other] = [standard, legacy].map(|finding| match &finding.outcome {
            Ok(measured) => Ok(format!(
                "{} {:.4} {}",
                finding.lens.map_or("", Lens::name),
                measured.value,
                finding.verdict().name()
            )),
            Err(why) => Err(why.clone()),
        });
        notes.push(format!("{}: {}, {}", standard.part, one?, other?));
        differing += usize::from(standard.verdict() != legacy.verdict());
    }
    Ok(Measured::of(differing as f64).noting(notes.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, models};
    use crate::wic::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(
            CLAIMS,
            claim,
            &[
                synthetic::add,
                lens_entropy::synthetic::add,
                lens_kl::synthetic::add,
            ],
        )
    }

    #[test]
    fn d12_senses_are_read_in_the_middle() {
        let late = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.accuracy = 0.5 + 0.1 * r.relative_depth;
            }
        };
        judged("D12").check_all(2 * MODELS, late, [0, 2 * MODELS, 0]);
    }

    #[test]
    fn d13_the_lens_is_uncertain_where_the_probe_is_best() {
        let early = |tables: &mut Tables| {
            for r in tables.of_mut::<lens_entropy::Record>() {
                if r.lens == Lens::Standard && r.state > 0 {
                    r.entropy_bits = 6.9;
                }
            }
        };
        judged("D13").check_all(2 * MODELS, early, [MODELS, MODELS, 0]);
        let versions: Vec<String> = judged("D13")
            .rows(&Tables::default(), &models())
            .into_iter()
            .take(2)
            .map(|row| row.version)
            .collect();
        assert_eq!(versions, ["nips", "v3"]);
    }

    #[test]
    fn d27_lenses_stand_side_by_side() {
        judged("D27").check(|_| {}, [0, 3 * MODELS, 0]);
        let flat = |tables: &mut Tables| {
            for r in tables.of_mut::<lens_entropy::Record>() {
                if r.lens == Lens::Legacy {
                    r.entropy_bits = if r.state == 0 { 15.0 } else { 5.0 };
                }
            }
        };
        judged("D27").check(flat, [3 * MODELS, 0, 0]);
        judged("D27").check(
            |tables| tables.of_mut::<lens_entropy::Record>().clear(),
            [0, 0, 3 * MODELS],
        );
    }
}
