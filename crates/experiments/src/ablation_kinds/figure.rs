//! The drawings.

use super::table::{Record, Sublayer};
use crate::core::ablation::Kind;
use crate::core::models::{self, Model};
use layerwise_plot::{Dash, Figure, LegendEntry, Marker, OKABE_ITO, Panel, Point, Style};

/// The drawing with its file name: a panel for each model and sublayer, a line for each kind.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let named = records.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if models.is_empty() {
        return Vec::new();
    }
    let panels = models
        .iter()
        .flat_map(|model| Sublayer::ALL.map(|sublayer| panel(records, model, sublayer)));
    let figure = Figure {
        title: "Divergence when a sublayer is ablated in three ways".to_owned(),
        description: format!(
            "KL(plain ‖ altered) in nats when the update of a block's attention, or MLP, is replaced by 0, its mean, or that of another \
             sequence. Horizontal axis: relative depth of the block. Bands: one standard error to either side. Models: {}.",
            models::names(&models)
        ),
        rows: models::on_equal_axes(&models::rows_of(panels.collect(), 2)),
        legend: Kind::ALL
            .map(|kind| LegendEntry {
                label: kind.name().to_owned(),
                group: String::new(),
                style: style(kind),
            })
            .to_vec(),
    };
    vec![("ablation-kinds".to_owned(), figure)]
}

fn style(kind: Kind) -> Style {
    let (colour, marker, dash) = match kind {
        Kind::Zero => (OKABE_ITO[0], Marker::Circle, Dash::Solid),
        Kind::Mean => (OKABE_ITO[1], Marker::Square, Dash::Dashed),
        Kind::Resample => (OKABE_ITO[2], Marker::Triangle, Dash::Dotted),
    };
    Style {
        colour,
        dash,
        marker,
    }
}

fn panel(records: &[Record], model: &Model<'_>, sublayer: Sublayer) -> Panel {
    let groups = Kind::ALL.map(|kind| {
        let own = records.iter();
        let own = own.filter(|r| (r.sublayer, r.kind) == (sublayer, kind));
        (kind.name().to_owned(), style(kind), own.collect())
    });
    let sequences = records.iter().filter(|r| r.model == model.name);
    let title = models::title(model, sequences.map(|r| r.sequences));
    let title = format!("{title}, {}", sublayer.title());
    models::divergences(title, model, groups, |r: &Record| Point {
        x: r.relative_depth,
        y: r.kl_nats,
        error: r.kl_nats_se,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth};

    #[test]
    fn a_model_has_two_panels_of_three_lines() {
        let mut records = Vec::new();
        for (model, layers) in [("gpt2", 3), ("phi-2", 2)] {
            for sublayer in Sublayer::ALL {
                for (times, kind) in [1.0, 2.0, 3.0].into_iter().zip(Kind::ALL) {
                    for layer in 0..layers {
                        records.push(Record {
                            model: model.to_owned(),
                            model_type: "gpt2".to_owned(),
                            layer,
                            layers,
                            relative_depth: relative_depth(layer, layers),
                            sublayer,
                            kind,
                            kl_nats: times * (layer + 1) as f64,
                            kl_nats_se: Some(0.1),
                            loss_difference_nats: 0.1,
                            loss_difference_nats_se: None,
                            sequences: 4,
                            positions: 40,
                        });
                    }
                }
            }
        }
        let drawn = drawings(&records);
        let figure = &drawn[0].1;
        let titles: Vec<&str> = figure
            .rows
            .iter()
            .flatten()
            .map(|p| p.title.as_str())
            .collect();
        assert_eq!(
            titles,
            [
                "gpt2: 4 sequences, Attention",
                "gpt2: 4 sequences, MLP",
                "phi-2: 4 sequences, Attention",
                "phi-2: 4 sequences, MLP"
            ]
        );
        let lines = lines_of(&figure.rows[0][1]);
        let last: Vec<f64> = lines.iter().map(|line| line.points[2].y).collect();
        assert_eq!(last, [3.0, 6.0, 9.0]);
        assert_eq!(figure.legend.len(), 3);
    }
}
