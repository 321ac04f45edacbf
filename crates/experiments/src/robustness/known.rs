//! The quantities with published numbers.

use super::table::Record;
use crate::core::curve::is_middle;
use crate::core::known::Quantity;
use crate::core::models::Facts;
use crate::core::tables::Tables;

/// The share of top-1 tokens retained by a drop or swap at depths 0.2 to 0.9, for any block and model.
pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "least-retained-share",
        of: |tables, models, _| retained(tables, models).reduce(f64::min),
    },
    Quantity {
        name: "most-retained-share",
        of: |tables, models, _| retained(tables, models).reduce(f64::max),
    },
];

fn retained(tables: &Tables, models: &[&Facts]) -> impl Iterator<Item = f64> {
    let is_own = |name: &str| models.iter().any(|model| model.name == name);
    let own = tables.of::<Record>().iter();
    own.filter(move |r| is_own(&r.model) && is_middle(r.relative_depth))
        .map(|r| r.top1_agreement)
}
