//! The drawings.

use super::table::Record;
use crate::core::lens::Lens;
use crate::core::models;
use layerwise_plot::{Axis, Figure, Mark, Panel, Point, Scale};

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![("lens-entropy".to_owned(), nips_fig7b(records))]
}

/// Figures 7b and 19 of the NeurIPS version on the left, those of v1 and v3 on the right.
pub fn nips_fig7b(records: &[Record]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let panel = |lens: Lens| {
        let own = records.iter().filter(|r| r.lens == lens);
        let lines = models::lines(&models, own, |r| Point {
            x: r.relative_depth,
            y: r.entropy_bits,
            error: r.entropy_bits_sd,
        });
        Panel {
            title: lens.title().to_owned(),
            x: models::state_axis(),
            y: Axis {
                min: Some(0.0),
                ..Axis::new("Entropy (bits)", Scale::Linear)
            },
            y2: None,
            marks: models::embedding_apart(lines)
                .into_iter()
                .map(Mark::Line)
                .collect(),
        }
    };
    Figure {
        title: "Entropy of the logit lens".to_owned(),
        description: format!(
            "Mean entropy of the lens distribution of each residual stream, in bits. Left: the final norm is recomputed on \
             each stream; right: every stream is divided by the scale of the last, without bias. Horizontal axis: relative \
             depth, from the embedding, drawn as a separate point, to the output. Bands: one standard deviation of the sequences' means. \
             Models: {}.",
            models::names(&models)
        ),
        rows: vec![vec![panel(Lens::Standard), panel(Lens::Legacy)]],
        legend: models::legend(&models),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, state_depth};

    #[test]
    fn each_lens_has_a_panel_with_the_published_band() {
        let record = |lens: Lens, state: usize| Record {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            lens,
            state,
            layers: 2,
            relative_depth: state_depth(state, 2),
            entropy_bits: if lens == Lens::Standard { 5.0 } else { 15.0 },
            entropy_bits_se: Some(0.1),
            entropy_bits_sd: Some(1.5),
            sequences: 3,
            positions: 30,
        };
        let lenses = [Lens::Legacy, Lens::Standard];
        let records: Vec<Record> = lenses
            .into_iter()
            .flat_map(|lens| (0..3).map(move |state| record(lens, state)))
            .collect();
        let figure = nips_fig7b(&records);
        let row = &figure.rows[0];
        assert_eq!(figure.rows.len(), 1);
        for (panel, (title, entropy)) in row
            .iter()
            .zip([("Standard lens", 5.0), ("Legacy lens", 15.0)])
        {
            assert_eq!(panel.title, title);
            let lines = lines_of(panel);
            let point = |x: f64| Point {
                x,
                y: entropy,
                error: Some(1.5),
            };
            let [embedding, blocks] = lines.as_slice() else {
                panic!("the embedding stands apart: {lines:?}");
            };
            assert_eq!(embedding.points, [point(0.0)]);
            assert_eq!(blocks.points, [0.5, 1.0].map(point));
        }
        assert_eq!(figure.legend.len(), 1);
    }
}
