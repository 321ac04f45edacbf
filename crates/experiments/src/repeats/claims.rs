//! The claims that are judged from this experiment.

use super::table::Record;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, mean, needs, point};
use crate::core::finding::{Finding, Threshold, Unjudged};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D23",
    versions: Version::V3_ON,
    statement: "repeating late blocks lowers the output's entropy, repeating early ones does not",
    needs: &["repeats"],
    models: "",
    judge: d23,
}];

/// Mean change of entropy over the runs in each half: below 0 in the second, not below 0 in the first.
pub fn d23(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for blocks in [3, 5] {
            for (half, threshold) in [
                ("second", Threshold::Below(0.0)),
                ("first", Threshold::AtLeast(0.0)),
            ] {
                let own = |r: &&Record| {
                    r.model == model.name
                        && r.blocks == blocks
                        && (r.relative_depth > 0.5) == (half == "second")
                };
                let points: Vec<Point> = evidence
                    .tables
                    .of::<Record>()
                    .iter()
                    .filter(own)
                    .map(|r| {
                        let error = r.entropy_difference_bits_se;
                        point(r.start, r.relative_depth, r.entropy_difference_bits, error)
                    })
                    .collect();
                let change = mean(&points).ok_or_else(|| {
                    if evidence
                        .tables
                        .of::<Record>()
                        .iter()
                        .any(|r| r.model == model.name)
                    {
                        let reason = format!("no run of {blocks} blocks has its middle there");
                        return Unjudged::NotTested(reason);
                    }
                    needs("repeats")
                });
                let note = "standard error is an upper bound";
                findings.push(Finding::of(
                    &model.name,
                    format!(
                        "mean change of entropy in bits, runs of {blocks} blocks in the {half} half"
                    ),
                    threshold,
                    change.map(|change| change.noting(note)),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::repeats::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d23_late_repeats_lower_the_entropy() {
        let opposed = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.entropy_difference_bits *= -1.0;
            }
        };
        judged("D23").check_all(4 * MODELS, opposed, [0, 4 * MODELS, 0]);
    }
}
