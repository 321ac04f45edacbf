//! The quantities with published numbers.

use super::table::Record;
use crate::core::known::Quantity;
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::tables::Tables;

/// The legacy lens on a residual stream.
pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "legacy-lens-entropy-bits",
        of: |tables, models, state| Some(legacy(tables, models[0], state)?.entropy_bits),
    },
    // Over sequences.
    Quantity {
        name: "legacy-lens-entropy-sd-bits",
        of: |tables, models, state| legacy(tables, models[0], state)?.entropy_bits_sd,
    },
];

fn legacy<'t>(tables: &'t Tables, model: &Facts, state: usize) -> Option<&'t Record> {
    let mut records = tables.of::<Record>().iter();
    records.find(|r| r.model == model.name && r.lens == Lens::Legacy && r.state == state)
}
