//! Claims about attention: D10, D11 and D26.

use super::evidence::{self, Evidence, Point, curve, needs, point};
use super::outcome::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::figures::sublayer_ratio;
use crate::figures::subword_heads::{Record, Selection};
use layerwise::metrics::correlation;
use std::collections::{BTreeMap, BTreeSet};

/// The rank correlation of depth with the value.
fn against_depth(curve: &[Point]) -> Outcome {
    let pairs: Vec<(f64, f64)> = curve.iter().map(|p| (p.depth, p.value)).collect();
    let correlation = correlation::spearman(&pairs)
        .ok_or_else(|| Unjudged::NotTested("the rank correlation is not defined".to_owned()))?;
    Ok(Measured::of(correlation).noting(format!("{} blocks", pairs.len())))
}

/// Attention to the previous five falls with depth and peaks before a quarter of it; it rises at the end in several models.
pub(super) fn d10(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rising = Vec::new();
    let mut read = 0;
    for model in evidence.models {
        let curve = evidence.previous_five(&model.name);
        if let Ok(curve) = &curve {
            read += 1;
            if let (Some(trough), Some(last)) = (evidence::trough(curve), curve.last())
                && last.value > trough.value
            {
                rising.push(model.name.as_str());
            }
        }
        findings.push(Finding::of(
            &model.name,
            "rank correlation of depth and attention to the previous five",
            Threshold::Below(0.0),
            curve.clone().and_then(|curve| against_depth(&curve)),
        ));
        findings.push(Finding::of(
            &model.name,
            "depth of the most attention to the previous five",
            Threshold::Below(0.25),
            curve.and_then(|curve| depth_of_peak(&curve, "attention-locality")),
        ));
    }
    let several = if read < 2 {
        Err(Unjudged::NotTested(
            "needs the results of attention-locality of two models".to_owned(),
        ))
    } else {
        Ok(Measured::of(rising.len() as f64)
            .noting(format!("of {read} models: {}", rising.join(" "))))
    };
    findings.push(Finding::of(
        "*",
        "models in which attention to the previous five is above its minimum in the last block",
        Threshold::AtLeast(2.0),
        several,
    ));
    findings
}

/// The depth of the greatest value.
pub(super) fn depth_of_peak(curve: &[Point], figure: &str) -> Outcome {
    let peak = evidence::peak(curve).ok_or_else(|| needs(figure))?;
    Ok(Measured::of(peak.depth).noting(format!("index {}", peak.index)))
}

/// The ratio of attention's output to the MLP's falls with depth.
pub(super) fn d26(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        let own = |r: &sublayer_ratio::Record| r.model == model.name;
        let ratio = curve(
            &evidence.results.sublayer_ratio,
            "sublayer-ratio",
            own,
            |r| point(r.layer, r.relative_depth, r.ratio, r.ratio_se),
        );
        Finding::of(
            &model.name,
            "rank correlation of depth and ‖attn.out‖/‖mlp.out‖",
            Threshold::Below(0.0),
            ratio.and_then(|ratio| against_depth(&ratio)),
        )
    });
    each.collect()
}

/// Attention from the last token to the first, second and third piece of a word of four.
type Pieces = [Point; 3];

/// The head that the paper shows, of Pythia-2.8B (0.3).
const PUBLISHED_HEAD: (usize, usize) = (1, 6);

/// In a head that merges pieces, attention falls from the first piece to the third; not in windows without pieces; and
/// there are more such heads in the first half of the blocks.
pub(super) fn d11(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let own: Vec<&Record> = evidence
            .results
            .subword_heads
            .iter()
            .filter(|r| r.model == model.name)
            .collect();
        let heads: BTreeSet<(usize, usize)> = own.iter().map(|r| (r.layer, r.head)).collect();
        let published = crate::tables::published_name(&model.name) == Some("pythia-2.8b");
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
        let error = evidence::together(pair[0].error, pair[1].error);
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
