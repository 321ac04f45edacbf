//! The quantities with published numbers.

use super::table::Record;
use crate::core::known::Quantity;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::neurons::Kind;

/// The neuron of a rank by its effect on the ending "-ing".
pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "suffix-neuron-layer",
        of: |tables, models, rank| Some(ranked(tables, models[0], rank)?.layer as f64),
    },
    Quantity {
        name: "suffix-neuron-index",
        of: |tables, models, rank| Some(ranked(tables, models[0], rank)?.neuron as f64),
    },
    // −1 for a suppression neuron, 1 for a prediction neuron.
    Quantity {
        name: "suffix-neuron-sign",
        of: |tables, models, rank| match ranked(tables, models[0], rank)?.kind {
            Kind::Prediction => Some(1.0),
            Kind::Suppression => Some(-1.0),
            Kind::Other => Some(0.0),
        },
    },
];

fn ranked<'t>(tables: &'t Tables, model: &Facts, rank: usize) -> Option<&'t Record> {
    let mut records = tables.of::<Record>().iter();
    records.find(|r| r.model == model.name && r.rank == rank)
}
