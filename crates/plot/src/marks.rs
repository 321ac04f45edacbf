//! Draws the marks of a panel after its layout.

use crate::axis::{Axis, Range};
use crate::colour::{Colour, Dash, INK};
use crate::figure::{HeatMap, Histogram, Line, Mark, Panel, Point, Rule, Scatter, Side};
use crate::layout::{PanelLayout, first_cell};
use crate::number::significant;
use crate::page::Rect;
use crate::svg::{Fill, Position, Svg};
use crate::text::{CAPITAL, Font};

const REFERENCE: Colour = Colour(0x77, 0x77, 0x77);
const ABSENT: Colour = Colour(0xd9, 0xd9, 0xd9);
const HATCHING: Colour = Colour(0x8a, 0x8a, 0x8a);
const WHITE: Colour = Colour(0xff, 0xff, 0xff);

pub(crate) const LINE_WIDTH: f64 = 1.0;
pub(crate) const RULE_WIDTH: f64 = 0.8;
pub(crate) const MARKER_RADIUS: f64 = 1.3;
const SCATTER_RADIUS: f64 = 1.8;
/// How far an open marker extends beyond a full one.
const OPENING: f64 = 0.4;
/// Half the width of the ends of an error bar.
const CAP: f64 = 1.6;
/// The distance, along an edge, of the lines that hatch a cell without a value.
const HATCH_PITCH: f64 = 4.0;
/// A line with more points than this counts as an interpolated curve. It has ten evenly spaced markers, because markers at every
/// point would hide the dash pattern.
const MOST_MARKERS: usize = 100;
const MARKERS_OF_A_CURVE: usize = 10;
/// Bins narrower than this, in points, are too narrow for a pointer.
const NARROWEST_TARGET: f64 = 1.0;

/// Draws all marks of a panel without a heat map.
pub(crate) fn draw(svg: &mut Svg<'_>, panel: &PanelLayout<'_>) {
    for mark in &panel.panel.marks {
        match mark {
            Mark::Line(line) => draw_band(svg, panel, line),
            Mark::Histogram(histogram) => draw_histogram(svg, panel, histogram),
            Mark::Rule(_) | Mark::Scatter(_) | Mark::HeatMap(_) => {}
        }
    }
    for mark in &panel.panel.marks {
        match mark {
            Mark::Rule(rule) => draw_rule(svg, panel, rule),
            Mark::Line(line) => draw_line(svg, panel, line),
            Mark::Scatter(scatter) => draw_scatter(svg, panel, scatter),
            Mark::Histogram(histogram) => say_bins(svg, panel, histogram),
            Mark::HeatMap(_) => {}
        }
    }
}

/// Whether a panel shows no value; a grey rule does not count.
pub(crate) fn is_empty(panel: &Panel) -> bool {
    let finite = |points: &[Point]| points.iter().any(|p| p.x.is_finite() && p.y.is_finite());
    !panel.marks.iter().any(|mark| match mark {
        Mark::Line(line) => finite(&line.points),
        Mark::Scatter(scatter) => finite(&scatter.points),
        Mark::Rule(rule) => rule.style.is_some(),
        Mark::Histogram(_) | Mark::HeatMap(_) => true,
    })
}

fn draw_rule(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, rule: &Rule) {
    let Some(place) = panel.y.place(rule.y).filter(|place| !place.beyond) else {
        return;
    };
    let y = panel.up(place.fraction);
    let ends = [(panel.frame.x, y), (panel.frame.right(), y)];
    let colour = rule.style.map_or(REFERENCE, |style| style.colour);
    svg.line(&ends, colour, RULE_WIDTH, Dash::Dotted);
}

/// The position of a value on the axis `y`; `None` if a coordinate is NaN.
fn position(panel: &PanelLayout<'_>, x: f64, y: f64, range: Range) -> Option<(Position, bool)> {
    let (x, y) = (panel.x.place(x)?, range.place(y)?);
    let at = (panel.across(x.fraction), panel.up(y.fraction));
    Some((at, x.beyond || y.beyond))
}

/// The positions of the points of a series.
fn positions(
    panel: &PanelLayout<'_>,
    points: &[Point],
    side: Side,
) -> Vec<Option<(Position, bool)>> {
    let range = panel.range(side);
    points
        .iter()
        .map(|point| position(panel, point.x, point.y, range))
        .collect()
}

/// The positions one standard error above and below a point, the upper one first.
fn error_ends(
    panel: &PanelLayout<'_>,
    point: &Point,
    side: Side,
) -> Option<((Position, bool), (Position, bool))> {
    let error = point
        .error
        .filter(|error| error.is_finite() && *error >= 0.0)?;
    let range = panel.range(side);
    Some((
        position(panel, point.x, point.y + error, range)?,
        position(panel, point.x, point.y - error, range)?,
    ))
}

fn draw_line(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, line: &Line) {
    let places = positions(panel, &line.points, line.side);
    for run in places.split(Option::is_none) {
        let run: Vec<Position> = run.iter().flatten().map(|&(at, _)| at).collect();
        if run.len() > 1 {
            svg.line(&run, line.style.colour, LINE_WIDTH, line.style.dash);
        }
    }
    let every = match line.points.len() {
        0..=MOST_MARKERS => 1,
        many => many / MARKERS_OF_A_CURVE,
    };
    for (point, &place) in line.points.iter().zip(&places).step_by(every) {
        if let Some((at, beyond)) = place {
            let value = spoken(&line.label, point);
            let (radius, fill) = filled(MARKER_RADIUS, beyond);
            let style = line.style;
            svg.marker(at, radius, style.marker, style.colour, fill, Some(&value));
        }
    }
}

fn draw_scatter(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, scatter: &Scatter) {
    let mut bars = Vec::new();
    for point in &scatter.points {
        if let Some(((upper, above), (lower, below))) = error_ends(panel, point, scatter.side) {
            bars.push((upper, lower));
            // A bar that extends beyond the axis has no cap there.
            for ((x, y), beyond) in [(upper, above), (lower, below)] {
                if !beyond {
                    bars.push(((x - CAP, y), (x + CAP, y)));
                }
            }
        }
    }
    let style = scatter.style;
    svg.segments(&bars, style.colour, LINE_WIDTH * 0.7);
    let places = positions(panel, &scatter.points, scatter.side);
    for (point, place) in scatter.points.iter().zip(places) {
        if let Some((at, beyond)) = place {
            let value = spoken(&scatter.label, point);
            let (radius, fill) = filled(SCATTER_RADIUS, beyond);
            svg.marker(at, radius, style.marker, style.colour, fill, Some(&value));
        }
    }
}

/// Radius and fill of a marker, depending on whether its value is beyond the axis.
fn filled(radius: f64, beyond: bool) -> (f64, Fill) {
    if beyond {
        (radius + OPENING, Fill::Open)
    } else {
        (radius, Fill::Full)
    }
}

/// Draws the band of one standard error to either side, cut off at the ends of the axis.
fn draw_band(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, line: &Line) {
    let edges = |point: &Point| {
        let ((upper, _), (lower, _)) = error_ends(panel, point, line.side)?;
        Some((upper, lower))
    };
    let edges: Vec<Option<(Position, Position)>> = line.points.iter().map(edges).collect();
    for run in edges.split(Option::is_none) {
        let run: Vec<(Position, Position)> = run.iter().flatten().copied().collect();
        // Without any width there is nothing to see.
        if run.iter().all(|(upper, lower)| upper == lower) {
            continue;
        }
        match run.as_slice() {
            // A band needs two points; a single point gets an error bar.
            [bar] => svg.segments(&[*bar], line.style.colour, LINE_WIDTH),
            _ => {
                let upper = run.iter().map(|&(upper, _)| upper);
                let lower = run.iter().rev().map(|&(_, lower)| lower);
                let outline: Vec<Position> = upper.chain(lower).collect();
                svg.area(&outline, line.style.colour);
            }
        }
    }
}

/// A bin of a histogram: the position of its bar, its edges and its count.
struct Bar {
    rect: Rect,
    from: f64,
    to: f64,
    count: f64,
}

impl Bar {
    fn said(&self) -> String {
        let [from, to, count] = [self.from, self.to, self.count].map(|value| significant(value, 4));
        format!("{from} to {to}: {count}")
    }
}

/// The bars of the bins with finite edges.
fn bars(panel: &PanelLayout<'_>, histogram: &Histogram) -> Vec<Bar> {
    let zero = panel.y.place(0.0).map_or(0.0, |place| place.fraction);
    let baseline = panel.up(zero);
    let bins = histogram.edges.windows(2).zip(&histogram.counts);
    bins.filter_map(|(ends, &count)| {
        let (from, to) = (ends[0], ends[1]);
        let x = panel.across(panel.x.place(from)?.fraction);
        let right = panel.across(panel.x.place(to)?.fraction);
        let height = panel.y.place(count).map_or(zero, |place| place.fraction);
        let y = panel.up(height);
        let rect = Rect {
            x,
            y,
            width: right - x,
            height: baseline - y,
        };
        Some(Bar {
            rect,
            from,
            to,
            count,
        })
    })
    .collect()
}

fn draw_histogram(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, histogram: &Histogram) {
    let bars = bars(panel, histogram);
    let Some((Bar { rect: first, .. }, others)) = bars.split_first() else {
        return;
    };
    let mut outline: Vec<Position> = vec![
        (first.x, first.bottom()),
        (first.x, first.y),
        (first.right(), first.y),
    ];
    for Bar { rect, .. } in others {
        // Neighbouring steps of equal height, such as empty bins, share one line.
        match outline.last_mut() {
            Some(last) if last.1 == rect.y => last.0 = rect.right(),
            _ => outline.extend([(rect.x, rect.y), (rect.right(), rect.y)]),
        }
    }
    let end = outline[outline.len() - 1].0;
    outline.push((end, first.bottom()));
    let sum = bars.iter().any(too_narrow).then(|| said_together(&bars));
    svg.steps(&outline, histogram.style.colour, sum.as_deref());
}

fn too_narrow(bar: &Bar) -> bool {
    bar.rect.width < NARROWEST_TARGET
}

/// Adds the values of the non-empty bins as attributes, unless some are too narrow for a pointer.
fn say_bins(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, histogram: &Histogram) {
    let bars = bars(panel, histogram);
    let full = bars.iter().filter(|bar| bar.rect.height > 0.0);
    let said: Vec<(Rect, String)> = full.map(|bar| (bar.rect, bar.said())).collect();
    if !said.is_empty() && !bars.iter().any(too_narrow) {
        svg.targets(&said);
    }
}

/// A description of all bins of a histogram.
fn said_together(bars: &[Bar]) -> String {
    let counted = || bars.iter().filter(|bar| bar.count.is_finite());
    let sum: f64 = counted().map(|bar| bar.count).sum();
    let most = counted().max_by(|a, b| a.count.total_cmp(&b.count));
    let most = most.map_or(String::new(), |bar| format!(", most in {}", bar.said()));
    format!("{} in all{most}", significant(sum, 4))
}

/// Draws the cells of a heat map with their texts.
pub(crate) fn draw_heat_map(
    svg: &mut Svg<'_>,
    panel: &PanelLayout<'_>,
    map: &HeatMap,
    font: &Font,
) {
    let (rows, columns) = map.values.dim();
    let rect = |row: usize, column: usize| {
        let x = panel.across(column as f64 / columns as f64);
        let right = panel.across((column + 1) as f64 / columns as f64);
        let ends = [row, row + 1].map(|row| panel.up(row as f64 / rows as f64));
        Rect {
            x,
            y: ends[0].min(ends[1]),
            width: right - x,
            height: (ends[0] - ends[1]).abs(),
        }
    };
    let colour = |value: f64| {
        if value.is_nan() {
            return ABSENT;
        }
        // If the ends of the bar are equal or NaN, every cell has the colour of the low end.
        let fraction = (value - map.low) / (map.high - map.low);
        map.map.at(if fraction.is_nan() { 0.0 } else { fraction })
    };
    let name = |axis: &Axis, index: usize| significant(first_cell(axis) + index as f64, 9);
    let text = |row: usize, column: usize| {
        let label = map.labels.as_ref()?.get((row, column))?;
        (!label.is_empty()).then_some(label.as_str())
    };
    let mut hatching = Vec::new();
    svg.open_cells();
    for ((row, column), &value) in map.values.indexed_iter() {
        let rect = rect(row, column);
        if value.is_nan() {
            hatching.extend(hatch(rect));
        }
        let place = format!(
            "row {}, column {}",
            name(&panel.panel.y, row),
            name(&panel.panel.x, column)
        );
        let what = text(row, column).map_or(String::new(), |text| format!(" ({text})"));
        let value_text = format!("{place}{what}: {}", significant(value, 4));
        svg.cell(rect, colour(value), Some(&value_text));
    }
    svg.close_group();
    svg.segments(&hatching, HATCHING, 0.4);
    // Words are slanted so that longer ones fit; numbers of one or two digits are upright.
    let is_word = |(row, column)| text(row, column).is_some_and(|text| text.chars().count() > 2);
    let words = ndarray::indices_of(&map.values).into_iter().any(is_word);
    let degrees: f64 = if words { 20.0 } else { 0.0 };
    let (sine, cosine) = degrees.to_radians().sin_cos();
    for ((row, column), &value) in map.values.indexed_iter() {
        let Some(text) = text(row, column) else {
            continue;
        };
        let rect = rect(row, column);
        let size = (rect.height * 0.5).clamp(2.0, 5.5);
        let text = font.fit(text, size, rect.width * 0.96);
        let dark = contrast(colour(value), INK) < contrast(colour(value), WHITE);
        let centre = (
            rect.x + rect.width / 2.0 + size * CAPITAL * sine / 2.0,
            rect.y + rect.height / 2.0 + size * CAPITAL * cosine / 2.0,
        );
        svg.turned_text(centre, &text, size, degrees, if dark { WHITE } else { INK });
    }
}

/// Slanted lines across a rectangle.
fn hatch(rect: Rect) -> impl Iterator<Item = (Position, Position)> {
    let (width, height) = (rect.width, rect.height);
    let lines = ((width + height) / HATCH_PITCH).ceil().min(1000.0) as u32;
    (1..lines).map(move |line| {
        // The distance of the line from the lower left corner, along the lower and then the right side.
        let along = (width + height) * f64::from(line) / f64::from(lines);
        let from = (
            rect.x + (along - height).max(0.0),
            rect.bottom() - along.min(height),
        );
        let to = (
            rect.x + along.min(width),
            rect.bottom() - (along - width).max(0.0),
        );
        (from, to)
    })
}

/// The WCAG 2 contrast of two colours, from 1 to 21.
fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (a.luminance() + 0.05, b.luminance() + 0.05);
    a.max(b) / a.min(b)
}

/// A description of a point of a series.
fn spoken(label: &str, point: &Point) -> String {
    let name = if label.is_empty() {
        String::new()
    } else {
        format!("{label}: ")
    };
    let error = point.error.filter(|error| !error.is_nan());
    let error = error.map_or(String::new(), |error| {
        format!(" ± {}", significant(error, 2))
    });
    format!(
        "{name}x {}, {}{error}",
        significant(point.x, 4),
        significant(point.y, 4)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_said_with_name_and_error() {
        let check = |label: &str, error: Option<f64>, expected: &str| {
            let (x, y) = (0.4255, 0.31);
            assert_eq!(spoken(label, &Point { x, y, error }), expected);
        };
        check(
            "pythia-410m",
            Some(0.0204),
            "pythia-410m: x 0.4255, 0.31 ± 0.02",
        );
        check("", None, "x 0.4255, 0.31");
        check("m", Some(f64::NAN), "m: x 0.4255, 0.31");
    }
}
