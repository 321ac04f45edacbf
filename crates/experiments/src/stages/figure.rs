//! The drawings.

use super::table::{Curve, EVERY_MODEL, Record};
use crate::core::models;
use layerwise_metrics::rescale;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Scale, Side, Style,
};

/// Panels of one row.
const PANELS: usize = 3;
/// The colour in the legend of a curve that no panel has.
const MISSING: Colour = Colour(0xb0, 0xb0, 0xb0);
/// The divergence once more, by its logarithm: the first block's is so large that the others lie at the bottom otherwise.
const LOGARITHM: &str = "log KL without block ℓ";
const LOGARITHM_STYLE: Style = Style {
    colour: Colour(0x6d, 0xb3, 0xe6),
    dash: Dash::Dashed,
    marker: Marker::None,
};

impl Curve {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ablation => "KL without block ℓ",
            Self::LocalAttention => "Attention to previous five",
            Self::Prediction => "Prediction neurons",
            Self::Suppression => "Suppression neurons",
        }
    }

    /// The paper's colours: blue, purple, green and red.
    fn style(self) -> Style {
        let (colour, dash) = match self {
            Self::Ablation => (Colour(0x23, 0x7f, 0xc8), Dash::Solid),
            Self::LocalAttention => (Colour(0x8c, 0x4f, 0xb5), Dash::Dashed),
            Self::Prediction => (Colour(0x19, 0x96, 0x6e), Dash::DashDotted),
            Self::Suppression => (Colour(0xd0, 0x3a, 0x2b), Dash::Dotted),
        };
        Style {
            colour,
            dash,
            marker: Marker::None,
        }
    }
}

/// The depths at which the curves peak, in a sentence, for the mean over families if there is one; empty without curves.
pub fn peaks(records: &[Record]) -> String {
    let model = match records.iter().any(|r| r.model == EVERY_MODEL) {
        true => EVERY_MODEL,
        false => records.first().map_or("", |r| r.model.as_str()),
    };
    let peak = |curve: Curve| {
        let own = records
            .iter()
            .filter(|r| r.model == model && r.curve == curve && r.rescaled.is_finite());
        let peak = own.reduce(|best, next| match next.rescaled > best.rescaled {
            true => next,
            false => best,
        })?;
        Some(format!("{} {:.2}", curve.label(), peak.relative_depth))
    };
    let peaks: Vec<String> = Curve::ALL.into_iter().filter_map(peak).collect();
    match peaks.is_empty() {
        true => String::new(),
        false => format!("Depths of the peaks: {}.", peaks.join(", ")),
    }
}

/// The drawings with their file names: the mean over families, if there is one, and each model.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let own = |model: &str| records.iter().any(|r| r.model == model);
    let named = records.iter().filter(|r| r.model != EVERY_MODEL);
    let each: Vec<&str> = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())))
        .iter()
        .map(|model| model.name)
        .collect();
    if own(EVERY_MODEL) {
        let joint = figure(records, &[EVERY_MODEL], "mean over families");
        let apart = figure(records, &each, "each model");
        return vec![
            ("stages".to_owned(), joint),
            ("stages-models".to_owned(), apart),
        ];
    }
    if each.is_empty() {
        return Vec::new();
    }
    vec![("stages".to_owned(), figure(records, &each, "each model"))]
}

/// One panel for each of `models`.
fn figure(records: &[Record], models: &[&str], of: &str) -> Figure {
    let panels: Vec<Panel> = models.iter().map(|model| panel(records, model)).collect();
    Figure {
        title: format!("Four stages of inference, {of}"),
        description: "Horizontal axis: relative depth. Vertical axis: each curve from its minimum to its maximum. \
                      Curves: KL(plain ‖ block left out), and its logarithm, which shows where the other blocks differ; total \
                      attention to the five previous tokens; densities of prediction and of suppression neurons. Those that \
                      are the same at every depth are left out. Values between blocks are interpolated."
            .to_owned(),
        rows: panels.chunks(PANELS).map(<[Panel]>::to_vec).collect(),
        legend: legend(records, models),
    }
}

fn legend(records: &[Record], models: &[&str]) -> Vec<LegendEntry> {
    let entry = |label: String, style: Style| LegendEntry {
        label,
        group: "stages".to_owned(),
        style,
    };
    let mut legend = Vec::new();
    for curve in Curve::ALL {
        let own: Vec<&Record> = records
            .iter()
            .filter(|r| r.curve == curve && models.contains(&r.model.as_str()))
            .collect();
        let missing = if own.is_empty() {
            Some("not measured")
        } else if own.iter().any(|r| r.rescaled.is_finite()) {
            None
        } else if own.iter().all(|r| r.value == 0.0) {
            Some("none found")
        } else {
            Some("the same at every depth")
        };
        legend.push(match missing {
            None => entry(curve.label().to_owned(), curve.style()),
            Some(why) => entry(
                format!("{}: {why}", curve.label()),
                Style {
                    colour: MISSING,
                    ..curve.style()
                },
            ),
        });
        if curve == Curve::Ablation && missing.is_none() {
            legend.push(entry(LOGARITHM.to_owned(), LOGARITHM_STYLE));
        }
    }
    legend
}

fn panel(records: &[Record], model: &str) -> Panel {
    let line = |label: &str, style: Style, points: Vec<(f64, f64)>| {
        let points = points.into_iter();
        Mark::Line(Line {
            label: label.to_owned(),
            side: Side::Left,
            style,
            points: points.map(|(x, y)| Point { x, y, error: None }).collect(),
        })
    };
    let of = |curve: Curve, value: fn(&Record) -> f64| -> Vec<(f64, f64)> {
        let own = records
            .iter()
            .filter(|r| r.model == model && r.curve == curve);
        own.map(|r| (r.relative_depth, value(r))).collect()
    };
    let mut marks: Vec<Mark> = Curve::ALL
        .map(|curve| line(curve.label(), curve.style(), of(curve, |r| r.rescaled)))
        .to_vec();
    let (depths, logarithms): (Vec<f64>, Vec<f64>) =
        of(Curve::Ablation, |r| r.value.ln()).into_iter().unzip();
    // A divergence of zero has no logarithm.
    if let Some(rescaled) = rescale::min_max(&logarithms) {
        let points = depths.into_iter().zip(rescaled).collect();
        marks.insert(1, line(LOGARITHM, LOGARITHM_STYLE, points));
    }
    Panel {
        title: if model == EVERY_MODEL {
            "Mean over families".to_owned()
        } else {
            model.to_owned()
        },
        x: Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("From minimum to maximum", Scale::Linear).between(0.0, 1.0),
        y2: None,
        marks,
    }
}
