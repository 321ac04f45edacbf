//! The claims that are judged from this experiment.

use super::table::{Record, Selection};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, needs, point, together};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::core::published::published_name;
use std::collections::{BTreeMap, BTreeSet};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D11",
    versions: Version::ALL,
    statement: "early heads merge the pieces of a word",
    needs: &["subword-heads"],
    models: "",
    judge: d11,
}];

/// Attention from the last token to the first, second and third piece of a word of four.
type Pieces = [Point; 3];

/// The head that the paper shows, of Pythia-2.8B (0.3).
const PUBLISHED_HEAD: (usize, usize) = (1, 6);

/// In a head that merges pieces, attention falls from the first piece to the third; not in windows without pieces; and
/// there are more such heads in the first half of the blocks.
pub fn d11(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let own: Vec<&Record> = evidence
            .tables
            .of::<Record>()
            .iter()
            .filter(|r| r.model == model.name)
            .collect();
        let heads: BTreeSet<(usize, usize)> = own.iter().map(|r| (r.layer, r.head)).collect();
        let published = published_name(&model.name) == Some("pythia-2.8b");
        let (head, chosen) = if published {
            (Some(PUBLISHED_HEAD), "the published head")
        } else {
            let excess = |head: &(usize, usize)| {
                let first = |selection| pieces(&own, *head, selection).map(|p| p[0].value);
                first(Selection::Multi).unwrap_or(f64::NEG_INFINITY)
                    - first(Selection::Single).unwrap_or(0.0)
            };
            let best = heads.iter().copied().reduce(|best, next| {
                if excess(&next) > excess(&best) {
                    next
                } else {
                    best
                }
            });
            (
                best,
                "of all heads the one with most attention to a first piece beyond that in other windows",
            )
        };
        let steps = |selection| -> Outcome {
            let head = head.ok_or_else(|| needs("subword-heads"))?;
            let pieces = pieces(&own, head, selection).ok_or_else(|| {
                Unjudged::NotTested("subword-heads has no windows of this kind".to_owned())
            })?;
            let note = format!("layer {}, head {}, {chosen}", head.0, head.1);
            Ok(falling(&pieces).noting(note))
        };
        let part = "least fall of attention from the first piece to the second to the third";
        for (selection, windows, threshold) in [
            (Selection::Multi, "every window", Threshold::Above(0.0)),
            (
                Selection::MultiFiltered,
                "filtered windows",
                Threshold::Above(0.0),
            ),
            (
                Selection::Single,
                "windows without pieces",
                Threshold::AtMost(0.0),
            ),
        ] {
            let part = format!("{part}, {windows}");
            findings.push(Finding::of(&model.name, part, threshold, steps(selection)));
        }
        findings.push(Finding::of(
            &model.name,
            "share of such heads in the first half of the blocks less that in the second",
            Threshold::Above(0.0),
            density(&own, &heads, model.layers),
        ));
    }
    findings
}

fn pieces(own: &[&Record], head: (usize, usize), selection: Selection) -> Option<Pieces> {
    let at = |token: usize| {
        own.iter()
            .find(|r| (r.layer, r.head) == head && r.selection == selection && r.token == token)
            .filter(|r| r.attention.is_finite())
            .map(|r| point(token, 0.0, r.attention, r.attention_se))
    };
    Some([at(3)?, at(2)?, at(1)?])
}

/// The least of the two falls; positive where attention falls from piece to piece.
fn falling(pieces: &Pieces) -> Measured {
    let falls = pieces.windows(2).map(|pair| {
        let error = together(pair[0].error, pair[1].error);
        Measured::of(pair[0].value - pair[1].value).with_error(error)
    });
    falls
        .reduce(|least, next| {
            if next.value < least.value {
                next
            } else {
                least
            }
        })
        .unwrap_or(Measured::of(f64::NAN))
}

fn density(own: &[&Record], heads: &BTreeSet<(usize, usize)>, layers: usize) -> Outcome {
    // Heads and merging heads of each half.
    let mut halves: BTreeMap<bool, (usize, usize)> = BTreeMap::new();
    for &head in heads {
        let Some(multi) = pieces(own, head, Selection::Multi) else {
            continue;
        };
        let single = pieces(own, head, Selection::Single);
        let merges = falling(&multi).value > 0.0
            && single.is_none_or(|single| falling(&single).value <= 0.0);
        let counts = halves.entry(2 * head.0 < layers).or_default();
        counts.0 += 1;
        counts.1 += usize::from(merges);
    }
    let share = |first: bool| {
        halves
            .get(&first)
            .map(|(all, merge)| *merge as f64 / *all as f64)
    };
    let (Some(first), Some(second)) = (share(true), share(false)) else {
        return Err(needs("subword-heads"));
    };
    Ok(Measured::of(first - second).noting(format!("{first:.4} against {second:.4}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::subword_heads::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d11_heads_merge_pieces() {
        let even = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.attention = 0.1;
            }
        };
        // Without merging heads, the windows without pieces are as claimed still.
        judged("D11").check_all(4 * MODELS, even, [MODELS, 3 * MODELS, 0]);
        let unfiltered = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.selection == Selection::MultiFiltered {
                    r.attention = f64::NAN;
                }
            }
        };
        judged("D11").check(unfiltered, [3 * MODELS, 0, MODELS]);
    }
}
