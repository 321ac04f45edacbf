//! Models as lines of a drawing: their order, their styles, their legend, and relative depth as an axis.

use super::styles::{legend_order, styles_of_models};
use super::table::Record;
use layerwise_metrics::rescale;
use layerwise_plot::{
    Axis, Colour, Dash, LegendEntry, Line, Mark, Marker, Panel, Point, Scale, Scatter, Side, Style,
};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What is known of a model before anything is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its family, the `model_type` of its config.
    pub family: String,
    /// Blocks, L.
    pub layers: usize,
    /// The number of parameters.
    pub parameters: u64,
}

/// A model with the style of its lines, the same in every figure.
pub struct Model<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its family, the `model_type` of its config.
    pub family: &'a str,
    /// The style of its lines.
    pub style: Style,
}

/// The models among (name, family) pairs, each once, in the order of a legend.
pub fn of<'a>(named: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Model<'a>> {
    let mut named: Vec<(&str, &str)> = named.collect::<BTreeSet<_>>().into_iter().collect();
    named.sort_by(|a, b| legend_order(a.0, a.1).cmp(&legend_order(b.0, b.1)));
    let styles = styles_of_models(&named);
    named
        .into_iter()
        .zip(styles)
        .map(|((name, family), style)| Model {
            name,
            family,
            style,
        })
        .collect()
}

/// A legend of one entry for each model.
pub fn legend(models: &[Model<'_>]) -> Vec<LegendEntry> {
    models
        .iter()
        .map(|model| LegendEntry {
            label: model.name.to_owned(),
            group: model.family.to_owned(),
            style: model.style,
        })
        .collect()
}

/// ℓ/(L−1), the depth of block ℓ of L blocks, from 0 to 1; 0 in a model of one block.
pub fn relative_depth(layer: usize, layers: usize) -> f64 {
    layer as f64 / layers.saturating_sub(1).max(1) as f64
}

/// s/L, the depth of residual stream s of a model of L blocks; 0 is the embedding and L the last block's output.
pub fn state_depth(state: usize, layers: usize) -> f64 {
    state as f64 / layers.max(1) as f64
}

/// The horizontal axis of figures by block.
pub fn block_axis() -> Axis {
    Axis::new("Relative depth ℓ/(L−1)", Scale::Linear).between(0.0, 1.0)
}

/// The horizontal axis of figures by residual stream.
pub fn state_axis() -> Axis {
    Axis::new("Relative depth s/L", Scale::Linear).between(0.0, 1.0)
}

/// A line for each model that has records, through its points from left to right. Deeper models come first: the few points of
/// a short model would be hidden below the many of a deep one.
pub fn lines<'r, R: Record + 'r>(
    models: &[Model<'_>],
    records: impl Iterator<Item = &'r R> + Clone,
    point: impl Fn(&R) -> Point,
) -> Vec<Line> {
    let mut lines: Vec<Line> = models
        .iter()
        .map(|model| {
            let own = records
                .clone()
                .filter(|record| record.model() == model.name);
            let mut points: Vec<Point> = own.map(&point).collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            Line {
                style: model.style,
                label: model.name.to_owned(),
                points,
                side: Side::Left,
            }
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    lines.sort_by_key(|line| Reverse(line.points.len()));
    lines
}

/// A panel of one model's divergences by depth: a line for each group of records, with its label and style.
pub fn divergences<'r, R: Record + 'r>(
    title: String,
    model: &Model<'_>,
    groups: impl IntoIterator<Item = (String, Style, Vec<&'r R>)>,
    point: impl Fn(&R) -> Point,
) -> Panel {
    let groups = groups.into_iter().flat_map(|(label, style, records)| {
        let lines = lines(std::slice::from_ref(model), records.into_iter(), &point);
        lines.into_iter().map(move |line| {
            Mark::Line(Line {
                style,
                label: label.clone(),
                ..line
            })
        })
    });
    Panel {
        title,
        x: block_axis(),
        y: Axis::new("KL divergence (nats)", Scale::Log10),
        y2: None,
        marks: groups.collect(),
    }
}

/// The upper end of an axis, if the embedding alone would stretch it to more than twice what the rest needs. This happens with
/// a tied unembedding, where the lens repeats the input token with high confidence.
pub fn upper_end(lines: &[Line]) -> Option<f64> {
    let largest = |of: &dyn Fn(&Point) -> bool| {
        let points = lines.iter().flat_map(|line| &line.points);
        let values = points.filter(|point| of(point)).map(|point| point.y);
        values.fold(0.0, f64::max)
    };
    let (embedding, rest) = (largest(&|p| p.x == 0.0), largest(&|p| p.x > 0.0));
    (rest > 0.0 && embedding > 2.0 * rest).then_some(1.1 * rest)
}

/// Lines by residual stream, with the embedding, at 0, as a separate line: a lens on the embedding reads the input token, and no
/// step leads from there to what blocks compute.
pub fn embedding_apart(lines: Vec<Line>) -> Vec<Line> {
    let apart = lines.into_iter().flat_map(|line| {
        let (embedding, rest): (Vec<Point>, Vec<Point>) =
            line.points.iter().partition(|point| point.x == 0.0);
        [embedding, rest].map(|points| Line {
            points,
            ..line.clone()
        })
    });
    apart.filter(|line| !line.points.is_empty()).collect()
}

/// The look of the mean of a family.
const MEAN: Style = Style {
    colour: Colour(0x22, 0x22, 0x22),
    dash: Dash::Dashed,
    marker: Marker::None,
};

/// The mean of the lines of a family, interpolated between their points, over the depths that all of them reach; none of a single
/// line.
pub fn mean(lines: &[Line]) -> Option<Line> {
    let [_, _, ..] = lines else { return None };
    let mut curves = Vec::new();
    let (mut first, mut last) = (0.0_f64, 1.0_f64);
    for line in lines {
        let points: Vec<(f64, f64)> = line.points.iter().map(|p| (p.x, p.y)).collect();
        curves.push(rescale::interpolate(&points).ok()?);
        first = first.max(points[0].0);
        last = last.min(points[points.len() - 1].0);
    }
    let depths = rescale::depths().into_iter().enumerate();
    let reached = depths.filter(|(_, depth)| (first..=last).contains(depth));
    let points = reached.map(|(at, x)| Point {
        x,
        y: curves.iter().map(|curve| curve[at]).sum::<f64>() / curves.len() as f64,
        error: None,
    });
    Some(Line {
        style: MEAN,
        label: "mean".to_owned(),
        points: points.collect(),
        side: Side::Left,
    })
}

/// Lines of a family, and their [mean].
pub fn with_mean(lines: Vec<Line>) -> Vec<Line> {
    let mean = mean(&lines);
    lines.into_iter().chain(mean).collect()
}

/// A legend of one entry for each model, and where a family has several of them one for their [mean].
pub fn legend_with_mean(models: &[Model<'_>]) -> Vec<LegendEntry> {
    let several = families(models).iter().any(|family| family.len() > 1);
    let mean = several.then(|| LegendEntry {
        label: "mean of a family".to_owned(),
        group: "mean".to_owned(),
        style: MEAN,
    });
    legend(models).into_iter().chain(mean).collect()
}

/// The models family by family, in the order of the legend.
pub fn families<'m, 'a>(models: &'m [Model<'a>]) -> Vec<&'m [Model<'a>]> {
    models.chunk_by(|a, b| a.family == b.family).collect()
}

/// Panels in rows of at most `columns`, as even as possible.
pub fn rows_of(panels: Vec<Panel>, columns: usize) -> Vec<Vec<Panel>> {
    let rows = panels.len().div_ceil(columns).max(1);
    let width = panels.len().div_ceil(rows).max(1);
    panels.chunks(width).map(<[Panel]>::to_vec).collect()
}

/// The same panels with equal ends of equal vertical axes, also side by side, so that they compare.
pub fn on_equal_axes(rows: &[Vec<Panel>]) -> Vec<Vec<Panel>> {
    let axis = |own: &Axis| {
        let alike = rows.iter().flatten().filter(|panel| panel.y == *own);
        let values = alike.flat_map(heights);
        let values = values.filter(|y| y.is_finite() && (own.scale != Scale::Log10 || *y > 0.0));
        let values: Vec<f64> = values.collect();
        let least = values.iter().copied().reduce(f64::min);
        let most = values.into_iter().reduce(f64::max);
        Axis {
            min: own.min.or(least),
            max: own.max.or(most),
            ..own.clone()
        }
    };
    let panel = |panel: &Panel| Panel {
        y: axis(&panel.y),
        ..panel.clone()
    };
    rows.iter()
        .map(|row| row.iter().map(panel).collect())
        .collect()
}

/// What the vertical axis of a panel covers: values, with the ends of their errors where those are on the axis, and rules.
fn heights(panel: &Panel) -> Vec<f64> {
    let is_logarithmic = panel.y.scale == Scale::Log10;
    let mut heights = Vec::new();
    for mark in &panel.marks {
        match mark {
            Mark::Line(Line { points, .. }) | Mark::Scatter(Scatter { points, .. }) => {
                for point in points {
                    let error = point.error.unwrap_or(0.0);
                    let below = if is_logarithmic { 0.0 } else { error };
                    heights.extend([point.y - below, point.y, point.y + error]);
                }
            }
            Mark::Rule(rule) => heights.push(rule.y),
            _ => {}
        }
    }
    heights
}

/// The title of a model's panel, short enough for three side by side: its name, and the number of sequences measured.
pub fn title(model: &Model<'_>, mut sequences: impl Iterator<Item = u64>) -> String {
    let sequences = sequences.next().unwrap_or_default();
    format!("{}: {sequences} sequences", model.name)
}

/// A sentence with the numbers of sequences measured, for descriptions; no record, no sentence.
pub fn on_sequences(counts: impl Iterator<Item = u64>) -> String {
    let counts: BTreeSet<u64> = counts.collect();
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    match counts.is_empty() {
        true => String::new(),
        false => format!("On {} sequences. ", counts.join(" or ")),
    }
}

/// The models' names, for descriptions.
pub fn names(models: &[Model<'_>]) -> String {
    let names: Vec<&str> = models.iter().map(|model| model.name).collect();
    names.join(", ")
}

/// The lines of a panel, for tests.
#[cfg(test)]
pub(crate) fn lines_of(panel: &Panel) -> Vec<&Line> {
    let marks = panel.marks.iter();
    marks
        .filter_map(|mark| match mark {
            Mark::Line(line) => Some(line),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Line {
        let points = points.iter().map(|&(x, y)| Point { x, y, error: None });
        Line {
            style: MEAN,
            label: String::new(),
            points: points.collect(),
            side: Side::Left,
        }
    }

    #[test]
    fn a_mean_goes_over_the_depths_of_all_lines() {
        let deep = line(&[(0.0, 1.0), (0.5, 1.0), (1.0, 3.0)]);
        let check = |lines: &[&Line], expected: Option<(usize, [f64; 3])>| {
            let lines: Vec<Line> = lines.iter().map(|&line| line.clone()).collect();
            let found = mean(&lines).map(|mean| {
                let points = mean.points;
                let last = points[points.len() - 1];
                (points.len(), [points[0].x, points[0].y, last.y])
            });
            assert_eq!(found, expected);
        };
        check(&[&deep], None);
        check(&[], None);
        check(&[&deep, &deep], Some((101, [0.0, 1.0, 3.0])));
        let short = line(&[(0.5, 3.0), (1.0, 5.0)]);
        check(&[&deep, &short], Some((51, [0.5, 2.0, 4.0])));
        check(&[&deep, &line(&[(0.0, f64::NAN), (1.0, 1.0)])], None);
        check(&[&deep, &line(&[])], None);
    }

    #[test]
    fn equal_axes_have_equal_ends() {
        let panel = |label: &str, scale: Scale, ys: [f64; 2]| Panel {
            title: String::new(),
            x: block_axis(),
            y: Axis::new(label, scale),
            y2: None,
            marks: vec![Mark::Line(Line {
                points: ys
                    .map(|y| Point {
                        x: 0.0,
                        y,
                        error: Some(1.0),
                    })
                    .to_vec(),
                ..line(&[])
            })],
        };
        let check = |scale: Scale, expected: (f64, f64)| {
            let rows = [vec![
                panel("KL", scale, [0.0, 2.0]),
                panel("KL", scale, [3.0, f64::NAN]),
                panel("Entropy", scale, [90.0, 100.0]),
            ]];
            let ends = on_equal_axes(&rows)[0]
                .iter()
                .map(|panel| (panel.y.min.unwrap(), panel.y.max.unwrap()))
                .collect::<Vec<_>>();
            assert_eq!(ends[..2], [expected; 2], "{scale:?}");
            assert_eq!(ends[2].1, 101.0);
        };
        check(Scale::Linear, (-1.0, 4.0));
        check(Scale::Log10, (1.0, 4.0));
        let empty = [vec![Panel {
            marks: Vec::new(),
            ..panel("KL", Scale::Linear, [0.0; 2])
        }]];
        assert_eq!(on_equal_axes(&empty), empty);
    }

    #[test]
    fn a_description_says_how_many_sequences() {
        let check = |counts: &[u64], expected: &str| {
            assert_eq!(on_sequences(counts.iter().copied()), expected);
        };
        check(&[16, 16], "On 16 sequences. ");
        check(&[16, 3, 16], "On 3 or 16 sequences. ");
        check(&[], "");
    }

    #[test]
    fn a_legend_has_the_mean_where_a_family_has_several_models() {
        let check = |named: &[(&str, &str)], expected: bool| {
            let models = of(named.iter().copied());
            let entries = legend_with_mean(&models).len();
            assert_eq!(entries > named.len(), expected, "{named:?}");
        };
        check(&[("gpt2", "gpt2"), ("phi-2", "phi")], false);
        check(&[("gpt2", "gpt2"), ("gpt2-xl", "gpt2")], true);
        check(&[], false);
    }
}
