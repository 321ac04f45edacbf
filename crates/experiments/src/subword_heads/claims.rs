//! The claims that are judged from this experiment.

use super::readings::curve_name;
use super::table::{Record, Selection};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, needs, point};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold, newcombe};
use crate::core::models::Facts;
use crate::core::sample::{Sampled, statistic};
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

/// Attention from the last token to the first, second and third piece of a word of four tokens.
type Pieces = [Point; 3];

/// The least attention to the first piece in a merging head.
const FLOOR: f64 = 0.1;

/// In a head that merges pieces, attention falls from the first piece to the third, by more than in windows without pieces;
/// and there are more such heads in the first half of the blocks. Windows that were filtered for falling attention prove
/// nothing, and are not judged.
pub fn d11(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let curve = |selection, half| -> Result<Sampled, NotTested> {
            let name = curve_name(selection, half);
            evidence.sampled(&model.name, "subword-heads", &name, |_| 0.0)
        };
        let falls = || {
            let multi = [curve(Selection::Multi, 0)?, curve(Selection::Multi, 1)?];
            statistic([&multi[0], &multi[1]], |[first, second]| {
                Ok(Measured::of(
                    least_fall(first)?.midpoint(least_fall(second)?),
                ))
            })
        };
        let more = || {
            let multi = [curve(Selection::Multi, 0)?, curve(Selection::Multi, 1)?];
            let single = [curve(Selection::Single, 0)?, curve(Selection::Single, 1)?];
            let all = [&multi[0], &multi[1], &single[0], &single[1]];
            statistic(all, |[first, second, other_first, other_second]| {
                let first = least_fall(first)? - least_fall(other_first)?;
                let second = least_fall(second)? - least_fall(other_second)?;
                Ok(Measured::of(first.midpoint(second)))
            })
        };
        for (part, outcome) in [
            (
                "least fall of attention from the first piece to the second to the third, in each half of the documents of the head that the other chooses",
                falls(),
            ),
            ("that fall less the one in windows without pieces", more()),
            (
                "share of merging heads in the first half of the blocks less that in the second",
                density(evidence, model),
            ),
        ] {
            findings.push(Finding::of(
                &model.name,
                part,
                Threshold::Above(0.0),
                outcome,
            ));
        }
    }
    findings
}

/// The smaller of the two falls; positive if attention falls from piece to piece.
fn least_fall(curve: &[Point]) -> Result<f64, NotTested> {
    let at = |token: usize| curve.iter().find(|point| point.index == token);
    let pieces = at(3).zip(at(2)).zip(at(1));
    let ((first, second), third) = pieces.ok_or_else(|| needs("subword-heads"))?;
    Ok((first.value - second.value).min(second.value - third.value))
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

/// Whether attention falls from piece to piece, and the first piece gets attention beyond its error.
fn merges(multi: &Pieces, single: Option<&Pieces>) -> bool {
    let falls = |pieces: &Pieces| pieces.windows(2).all(|pair| pair[0].value > pair[1].value);
    let first = multi[0];
    let beyond = first.error.is_none_or(|error| first.value > 2.0 * error);
    first.value > FLOOR && beyond && falls(multi) && !single.is_some_and(falls)
}

fn density(evidence: &Evidence<'_>, model: &Facts) -> Outcome {
    let records = evidence.tables.of::<Record>().iter();
    let own: Vec<&Record> = records
        .filter(|r| r.model == model.name && r.token <= 3)
        .collect();
    let heads: BTreeSet<(usize, usize)> = own.iter().map(|r| (r.layer, r.head)).collect();
    // Heads and merging heads of each half.
    let mut halves: BTreeMap<bool, (f64, f64)> = BTreeMap::new();
    for &head in &heads {
        let Some(multi) = pieces(&own, head, Selection::Multi) else {
            continue;
        };
        let single = pieces(&own, head, Selection::Single);
        let counts = halves.entry(2 * head.0 < model.layers).or_default();
        counts.0 += 1.0;
        counts.1 += f64::from(u8::from(merges(&multi, single.as_ref())));
    }
    let share = |first: bool| {
        let (all, merging) = halves.get(&first)?;
        Some((merging / all, *all))
    };
    let both = share(true).zip(share(false));
    let shares = both.ok_or_else(|| needs("subword-heads"))?;
    let ((first, _), (second, _)) = shares;
    if first == 0.0 && second == 0.0 {
        return Err(NotTested::because("no head merges pieces"));
    }
    Ok(Measured::of(first - second)
        .within(newcombe(shares.into()))
        .noting(format!("{first:.4} against {second:.4} of the heads")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, small};
    use crate::subword_heads::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    fn heads(
        is_merging: impl Fn(&mut Simulated, usize) -> bool,
        multi: [f64; 3],
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            synthetic::add(facts, tables);
            tables.of_mut::<crate::core::sample::Units>().clear();
            tables.of_mut::<Record>().clear();
            for half in [0, 1] {
                for (selection, values) in
                    [(Selection::Single, [0.1; 3]), (Selection::Multi, multi)]
                {
                    let values: Vec<(usize, f64)> = (1..).zip(values).collect();
                    let curve = curve_name(selection, half);
                    simulated.curve(tables, facts, &curve, &values, [0.1, 0.1]);
                }
            }
            for layer in 0..facts.layers {
                for head in 0..8 {
                    // A head that merges nothing attends anywhere.
                    let merges = is_merging(simulated, layer);
                    for selection in [Selection::Single, Selection::Multi] {
                        for token in 1..=3 {
                            let falls = merges && selection == Selection::Multi;
                            let attention = match falls {
                                true => 0.15 * token as f64,
                                false => 0.3 * simulated.uniform(),
                            };
                            tables.push(Record {
                                model: facts.name.clone(),
                                model_type: facts.family.clone(),
                                layer,
                                head,
                                layers: facts.layers,
                                selection,
                                token,
                                attention,
                                attention_se: Some(0.01),
                                windows: 100,
                            });
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn d11_heads_merge_pieces() {
        let rising = |tables: &mut Tables| {
            change(tables, |_, curve, token| {
                curve.contains("Multi").then_some(0.9 - 0.4 * token as f64)
            });
            for r in tables.of_mut::<Record>() {
                r.layer = r.layers - 1 - r.layer;
            }
        };
        judged("D11").check_all(3 * MODELS, rising, [0, 3 * MODELS, 0, 0]);
        let even = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.attention = 0.1;
            }
        };
        judged("D11").check(even, [2 * MODELS, 0, 0, MODELS]);
        // One head that merges against one that does not tells little.
        let few = |tables: &mut Tables| {
            let is_at_end = |r: &Record| r.layer == 0 || r.layer + 1 == r.layers;
            let records = tables.of_mut::<Record>();
            records.retain(|r| r.head == 0 && is_at_end(r));
        };
        judged("D11").check(few, [2 * MODELS, 0, MODELS, 0]);
        judged("D11").check_null(&[small()], heads(|_, _| false, [0.1; 3]));
        let early = |simulated: &mut Simulated, layer| layer < 4 && simulated.uniform() < 0.6;
        judged("D11").check_effect(&[small()], true, heads(early, [0.1, 0.25, 0.4]));
    }
}
