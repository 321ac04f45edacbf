//! The quantity with published numbers.

use super::table::{Measure, Record};
use crate::core::known::Quantity;

/// Mean attention to the previous five tokens, per pair, at a block.
pub(super) const QUANTITIES: &[Quantity] = &[Quantity {
    name: "previous-five",
    of: |tables, models, layer| {
        let mut records = tables.of::<Record>().iter();
        let record = records.find(|r| {
            r.model == models[0].name && r.measure == Measure::PreviousFive && r.layer == layer
        });
        Some(record?.attention)
    },
}];
