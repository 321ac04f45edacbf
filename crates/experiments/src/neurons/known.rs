//! The quantities with published numbers.

use super::table::{Record, density, prediction, suppression};
use crate::core::curve::{Point, mean, peak, point};
use crate::core::known::Quantity;
use crate::core::models::Facts;
use crate::core::tables::Tables;

/// Neurons of a block; and the densest blocks of several models.
pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "prediction-neurons",
        of: |tables, models, layer| Some(of_block(tables, models[0], layer)?.prediction as f64),
    },
    Quantity {
        name: "suppression-neurons",
        of: |tables, models, layer| Some(of_block(tables, models[0], layer)?.suppression as f64),
    },
    Quantity {
        name: "best-prediction-percent",
        of: |tables, models, _| Some(peak(&peaks(tables, models, prediction))?.value),
    },
    Quantity {
        name: "best-suppression-percent",
        of: |tables, models, _| Some(peak(&peaks(tables, models, suppression))?.value),
    },
    // In the block with the most prediction neurons, mean over models.
    Quantity {
        name: "prediction-peak-depth",
        of: |tables, models, _| {
            let depths: Vec<Point> = peaks(tables, models, prediction)
                .iter()
                .map(|peak| point(peak.index, 0.0, peak.depth, None))
                .collect();
            mean(&depths)
        },
    },
];

fn of_block<'t>(tables: &'t Tables, model: &Facts, layer: usize) -> Option<&'t Record> {
    let mut records = tables.of::<Record>().iter();
    records.find(|r| r.model == model.name && r.layer == layer)
}

/// The densest block of each model.
fn peaks(tables: &Tables, models: &[&Facts], percent: fn(&Record) -> f64) -> Vec<Point> {
    let densities = models
        .iter()
        .filter_map(|model| density(tables, &model.name, percent).ok());
    densities.filter_map(|density| peak(&density)).collect()
}
