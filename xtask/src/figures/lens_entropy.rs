//! Entropy of the logit lens after each block, with both lenses.
//!
//! - **Stands for** Figures 7b and 19 of the NeurIPS version (`standard`), and v1's and v3's entropy figures (`legacy`).
//! - **Needs** any models and any corpus: the plain pass.
//! - **Feeds the claims** D13 (with `wic`), D14, D21, D27.

use super::models;
use super::table::{negative_error, record};
use crate::plot::{Axis, Figure, Mark, Panel, Point, Scale};
use serde::{Deserialize, Serialize};

/// A logit lens (paper B.8 and 0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lens {
    /// The final norm recomputed on each state.
    Standard,
    /// The final state's norm scale for every state, without bias: what v1 to v3 published by mistake.
    Legacy,
}

impl Lens {
    /// The title of its panel.
    pub fn title(self) -> &'static str {
        match self {
            Self::Standard => "Standard lens",
            Self::Legacy => "Legacy lens",
        }
    }
}

record! {
    /// One line of `lens-entropy.csv`: one lens on one residual stream.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// Which lens.
        pub lens: Lens,
        /// The residual stream s: 0 is the embedding, s the output of block s−1.
        pub state: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// Mean entropy of the lens distribution, bits.
        pub entropy_bits: f64,
        /// Its standard error, clustered by sequence, bits.
        pub entropy_bits_se: Option<f64>,
        /// Standard deviation of the sequences' mean entropies, the band of the published notebook, bits.
        pub entropy_bits_sd: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions over which the means go.
        pub positions: u64,
    }
    key(model, lens, state) fault(|r| negative_error([("entropy_bits_se", r.entropy_bits_se)]))
}

/// The drawings with the names of their files.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![("lens-entropy".to_owned(), nips_fig7b(records))]
}

/// Figures 7b and 19 of the NeurIPS version on the left, those of v1 and v3 on the right.
pub fn nips_fig7b(records: &[Record]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.family.as_str())),
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
            marks: lines.into_iter().map(Mark::Line).collect(),
        }
    };
    Figure {
        title: "Entropy of the logit lens".to_owned(),
        description: format!(
            "Mean entropy of the lens distribution of each residual stream, in bits. Left: the final norm is recomputed on \
             each stream; right: every stream is divided by the scale of the last, without bias. Horizontal axis: relative \
             depth, from the embedding to the output. Bands: one standard deviation of the sequences' means to either side. \
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
    use crate::figures::models::{lines_of, state_depth};

    #[test]
    fn each_lens_has_a_panel_with_the_published_band() {
        let record = |lens: Lens, state: usize| Record {
            model: "gpt2".to_owned(),
            family: "gpt2".to_owned(),
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
            assert_eq!(lines.len(), 1);
            let expected = [0.0, 0.5, 1.0].map(|x| Point {
                x,
                y: entropy,
                error: Some(1.5),
            });
            assert_eq!(lines[0].points, expected);
        }
        assert_eq!(figure.legend.len(), 1);
    }
}
