//! Results under which the claim holds, for its tests.

use super::table::{AgreementRecord, Sublayer};
use crate::core::ablation::Kind;
use crate::core::models::Facts;
use crate::core::tables::Tables;

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    for sublayer in Sublayer::ALL {
        for [kind, other_kind] in Kind::pairs() {
            tables.push(AgreementRecord {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                sublayer,
                kind,
                other_kind,
                // Only the MLP under zero and resampling is judged.
                rank_correlation: match (sublayer, kind, other_kind) {
                    (Sublayer::Mlp, Kind::Zero, Kind::Resample) => 0.5,
                    _ => 0.95,
                },
                ratio_of_medians: 3.0,
                blocks: facts.layers,
            });
        }
    }
}
