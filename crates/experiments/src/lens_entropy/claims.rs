//! The claims that are judged from this experiment.

use super::table::{self};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{needs, slope};
use crate::core::finding::{Finding, Measured, Threshold, Unjudged};
use crate::core::lens::Lens;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D21",
    versions: Version::V1_AND_NIPS,
    statement: "in the final layers of some models the entropy of the lens rises",
    needs: &["lens-entropy"],
    models: "",
    judge: d21,
}];

/// The slope of the lens's entropy over the outputs of the last three blocks: positive in some models.
pub fn d21(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut greatest: [Option<(f64, &str)>; 2] = [None, None];
    for model in evidence.models {
        for (lens, greatest) in Lens::BOTH.into_iter().zip(&mut greatest) {
            let last = table::curve(evidence.tables, &model.name, lens).and_then(|curve| {
                let last = curve
                    .len()
                    .checked_sub(3)
                    .and_then(|from| slope(&curve[from..]));
                last.ok_or_else(|| Unjudged::NotTested("needs three residual streams".to_owned()))
            });
            if let Ok(slope) = last
                && greatest.is_none_or(|(before, _)| slope > before)
            {
                *greatest = Some((slope, &model.name));
            }
            let note = "models differ; the line on all models judges whether some rise";
            let finding = Finding::of(
                &model.name,
                "slope of the lens's entropy over the outputs of the last three blocks, bits over the whole depth",
                Threshold::Above(0.0),
                last.map(|slope| Measured::of(slope).noting(note)),
            );
            findings.push(finding.through(lens));
        }
    }
    for (lens, greatest) in Lens::BOTH.into_iter().zip(greatest) {
        let outcome = greatest
            .map(|(slope, model)| Measured::of(slope).noting(format!("of {model}")))
            .ok_or_else(|| needs("lens-entropy"));
        let part = "greatest of the models' slopes over the outputs of the last three blocks";
        let finding = Finding::of("*", part, Threshold::Above(0.0), outcome);
        findings.push(finding.through(lens));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::lens_entropy::Record;
    use crate::lens_entropy::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d21_entropy_rises_at_the_end_of_some_models() {
        let only_one_rises = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.model != "gpt2" {
                    r.entropy_bits = 10.0 - 5.0 * r.relative_depth;
                }
            }
        };
        let others = 2 * (MODELS - 1);
        judged("D21").check_all(2 * MODELS + 2, only_one_rises, [2 + 2, others, 0]);
    }
}
