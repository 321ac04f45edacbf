//! The quantity with a published number.

use super::table::{Record, Selection};
use crate::core::known::Quantity;

/// Windows that end in a word of four tokens.
pub(super) const QUANTITIES: &[Quantity] = &[Quantity {
    name: "merging-windows",
    of: |tables, models, _| {
        let own = tables.of::<Record>().iter();
        let own = own.filter(|r| r.model == models[0].name && r.selection == Selection::Multi);
        own.map(|r| r.windows).max().map(|windows| windows as f64)
    },
}];
