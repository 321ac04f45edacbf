//! The drawings.

use super::table::{Estimator, Record};
use crate::core::models;
use crate::core::models::Model;
use layerwise_plot::{Axis, ColourMap, Figure, HeatMap, Mark, Panel, RowZero, Scale};
use ndarray::Array2;

/// The drawings with their file names; an estimator without results has none.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    [
        (Estimator::LastToken, "cka"),
        (Estimator::AllTokens, "cka-all-tokens"),
    ]
    .into_iter()
    .filter(|(estimator, _)| records.iter().any(|r| r.estimator == *estimator))
    .map(|(estimator, name)| (name.to_owned(), nips_fig5bc(records, estimator)))
    .collect()
}

/// Figures 5b, 5c and 14 of the NeurIPS version: a map for each model.
pub fn nips_fig5bc(records: &[Record], estimator: Estimator) -> Figure {
    let own: Vec<&Record> = records
        .iter()
        .filter(|r| r.estimator == estimator)
        .collect();
    let models = models::of(
        own.iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let vectors = match estimator {
        Estimator::LastToken => {
            "the last position of each sequence, in batches of 128 sequences as in the paper; with fewer sequences, or \
             fewer than eight batches, the map is a first look"
        }
        Estimator::AllTokens => "all positions of a sequence except the first",
    };
    let panels = models.iter().map(|model| panel(&own, model)).collect();
    Figure {
        title: "Similarity of the residual streams after each pair of blocks".to_owned(),
        description: format!(
            "Unbiased linear CKA between the residual streams after each pair of blocks, from 0 to 1, over {vectors}. Both axes: \
             the block, from 0. Titles: batches × states of a batch. Panels: {}.",
            models::names(&models)
        ),
        rows: models::rows_of(panels, 3),
        legend: Vec::new(),
    }
}

fn panel(records: &[&Record], model: &Model<'_>) -> Panel {
    let own = || records.iter().filter(|r| r.model == model.name);
    let layers = own()
        .map(|r| r.layer.max(r.other_layer) + 1)
        .max()
        .unwrap_or(0);
    let mut values = Array2::from_elem((layers, layers), f64::NAN);
    for record in own() {
        values[(record.layer, record.other_layer)] = record.cka;
    }
    let batches = own().map(|r| (r.batches, r.samples)).next();
    let (batches, samples) = batches.unwrap_or_default();
    let axis = |block: &str| {
        let name = format!("Block {block} (depth {block}/{})", layers.saturating_sub(1));
        Axis::new(&name, Scale::Integer)
    };
    Panel {
        title: format!("{}: {batches} × {samples} states", model.name),
        x: axis("m"),
        y: axis("ℓ"),
        y2: None,
        marks: vec![Mark::HeatMap(HeatMap {
            values,
            low: 0.0,
            high: 1.0,
            map: ColourMap::Blues,
            row_zero: RowZero::Bottom,
            labels: None,
            unit: "CKA".to_owned(),
        })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(model: &str, estimator: Estimator, layers: usize) -> Vec<Record> {
        let record = |layer: usize, other_layer: usize| Record {
            model: model.to_owned(),
            model_type: "gpt2".to_owned(),
            estimator,
            layer,
            other_layer,
            layers,
            cka: 0.25 * layer as f64 + 0.0625 * other_layer as f64,
            batches: 1,
            samples: 4,
        };
        (0..layers)
            .flat_map(|layer| (0..layers).map(move |other| (layer, other)))
            .map(|(layer, other)| record(layer, other))
            .collect()
    }

    #[test]
    fn a_model_has_a_map_and_an_estimator_a_drawing() {
        let mut last = records("gpt2-xl", Estimator::LastToken, 3);
        last.extend(records("gpt2", Estimator::LastToken, 2));
        let names = |records: &[Record]| -> Vec<String> {
            drawings(records)
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(names(&last), ["cka"]);
        let all = records("gpt2", Estimator::AllTokens, 2);
        assert_eq!(names(&all), ["cka-all-tokens"]);
        let figure = nips_fig5bc(&[last, all].concat(), Estimator::LastToken);
        let titles: Vec<&str> = figure.rows[0].iter().map(|p| p.title.as_str()).collect();
        assert_eq!(titles, ["gpt2: 1 × 4 states", "gpt2-xl: 1 × 4 states"]);
        let [Mark::HeatMap(map)] = figure.rows[0][1].marks.as_slice() else {
            panic!("{:?}", figure.rows[0][1].marks);
        };
        assert_eq!(map.values.dim(), (3, 3));
        assert_eq!(map.values[(2, 1)], 0.5625);
        assert_eq!((map.low, map.high), (0.0, 1.0));
    }
}
