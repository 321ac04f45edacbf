//! Drawing a figure that has been laid out.

use super::axis::Range;
use super::colour::{Colour, Dash};
use super::layout::{
    INSET, LABEL_SIZE, LEGEND_SIZE, Layout, PanelLayout, Rect, SAMPLE, SAMPLE_GAP, TICK_GAP,
    TICK_LENGTH, TICK_SIZE, TITLE_SIZE,
};
use super::svg::{Anchor, Fill, Position, Svg, Weight};
use super::text::Font;
use super::{Figure, Line, Mark, Point, Rule};

const INK: Colour = Colour(0x22, 0x22, 0x22);
const FRAME: Colour = Colour(0x55, 0x55, 0x55);
const GRID: Colour = Colour(0xe9, 0xe9, 0xe9);
const REFERENCE: Colour = Colour(0x77, 0x77, 0x77);

const FRAME_WIDTH: f64 = 0.6;
const LINE_WIDTH: f64 = 1.0;
const MINOR_LENGTH: f64 = 1.7;
const MARKER_RADIUS: f64 = 1.3;
const OPEN_RADIUS: f64 = 1.7;
/// Height of digits and capitals as a part of the text size; half of it centres a label on its tick.
const CAPITAL: f64 = 0.69;

/// The figure as SVG.
pub(super) fn svg(figure: &Figure) -> String {
    let font = Font::carried();
    let layout = Layout::of(figure, &font);
    let mut svg = Svg::new(&font);
    for panel in &layout.panels {
        svg.open_group(&panel.panel.title);
        draw_axes(&mut svg, panel, &font);
        for mark in &panel.panel.marks {
            if let Mark::Line(line) = mark {
                draw_band(&mut svg, panel, line);
            }
        }
        for mark in &panel.panel.marks {
            match mark {
                Mark::Rule(rule) => draw_rule(&mut svg, panel, rule),
                Mark::Line(line) => draw_line(&mut svg, panel, line),
            }
        }
        svg.close_group();
    }
    if !layout.legend.is_empty() {
        svg.open_group("legend");
        for (entry, slot) in figure.legend.iter().zip(&layout.legend) {
            let (x, y) = (slot.rect.x, slot.rect.y + slot.rect.height / 2.0);
            let style = entry.style;
            svg.line(
                &[(x, y), (x + SAMPLE, y)],
                style.colour,
                LINE_WIDTH * 1.2,
                style.dash,
            );
            svg.marker(
                (x + SAMPLE / 2.0, y),
                MARKER_RADIUS * 1.3,
                style.marker,
                style.colour,
                Fill::Full,
            );
            let at = (x + SAMPLE + SAMPLE_GAP, y + LEGEND_SIZE * CAPITAL / 2.0);
            svg.text(
                at,
                &slot.label,
                LEGEND_SIZE,
                Anchor::Start,
                Weight::Regular,
                INK,
            );
        }
        svg.close_group();
    }
    svg.finish(
        (layout.width, layout.height),
        &figure.title,
        &figure.description,
    )
}

fn across(frame: Rect, fraction: f64) -> f64 {
    frame.x + INSET + fraction * (frame.width - 2.0 * INSET)
}

fn up(frame: Rect, fraction: f64) -> f64 {
    frame.bottom() - INSET - fraction * (frame.height - 2.0 * INSET)
}

fn place_ticks(range: Range, ticks: impl Iterator<Item = f64>) -> Vec<f64> {
    ticks
        .filter_map(|tick| range.place(tick))
        .map(|place| place.fraction)
        .collect()
}

fn draw_axes(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, font: &Font) {
    let frame = panel.frame;
    let (left, bottom) = (frame.x, frame.bottom());
    let x_major = place_ticks(panel.x, panel.x_ticks.major.iter().map(|(value, _)| *value));
    let y_major = place_ticks(panel.y, panel.y_ticks.major.iter().map(|(value, _)| *value));
    let x_minor = place_ticks(panel.x, panel.x_ticks.minor.iter().copied());
    let y_minor = place_ticks(panel.y, panel.y_ticks.minor.iter().copied());

    let grid: Vec<(Position, Position)> = y_major
        .iter()
        .map(|&fraction| {
            (
                (left, up(frame, fraction)),
                (frame.right(), up(frame, fraction)),
            )
        })
        .collect();
    svg.segments(&grid, GRID, 0.5);

    let x_tick = |fraction: f64, length: f64| {
        let x = across(frame, fraction);
        ((x, bottom), (x, bottom + length))
    };
    let y_tick = |fraction: f64, length: f64| {
        let y = up(frame, fraction);
        ((left - length, y), (left, y))
    };
    let mut lines = vec![
        ((left, frame.y), (left, bottom + FRAME_WIDTH / 2.0)),
        ((left, bottom), (frame.right(), bottom)),
    ];
    lines.extend(
        x_major
            .iter()
            .map(|&fraction| x_tick(fraction, TICK_LENGTH)),
    );
    lines.extend(
        y_major
            .iter()
            .map(|&fraction| y_tick(fraction, TICK_LENGTH)),
    );
    svg.segments(&lines, FRAME, FRAME_WIDTH);
    let mut lines: Vec<(Position, Position)> = Vec::new();
    lines.extend(
        x_minor
            .iter()
            .map(|&fraction| x_tick(fraction, MINOR_LENGTH)),
    );
    lines.extend(
        y_minor
            .iter()
            .map(|&fraction| y_tick(fraction, MINOR_LENGTH)),
    );
    svg.segments(&lines, FRAME, FRAME_WIDTH * 0.6);

    for ((_, label), &fraction) in panel.y_ticks.major.iter().zip(&y_major) {
        let at = (
            left - TICK_LENGTH - TICK_GAP,
            up(frame, fraction) + TICK_SIZE * CAPITAL / 2.0,
        );
        svg.text(at, label, TICK_SIZE, Anchor::End, Weight::Regular, INK);
    }
    let label = font.fit(&panel.panel.y.label, LABEL_SIZE, frame.height);
    let middle = frame.y + frame.height / 2.0;
    svg.upward_text(
        (panel.outer.x + LABEL_SIZE * 0.8, middle),
        &label,
        LABEL_SIZE,
        INK,
    );
    if panel.x_labelled {
        let baseline = bottom + TICK_LENGTH + TICK_GAP + TICK_SIZE * CAPITAL;
        for ((_, label), &fraction) in panel.x_ticks.major.iter().zip(&x_major) {
            let at = (across(frame, fraction), baseline);
            svg.text(at, label, TICK_SIZE, Anchor::Middle, Weight::Regular, INK);
        }
        let label = font.fit(&panel.panel.x.label, LABEL_SIZE, frame.width);
        let at = (
            frame.x + frame.width / 2.0,
            panel.outer.bottom() - LABEL_SIZE * 0.25,
        );
        svg.text(at, &label, LABEL_SIZE, Anchor::Middle, Weight::Regular, INK);
    }

    let baseline = frame.y - 4.5;
    let mut start = left;
    if let Some(letter) = panel.letter {
        let letter = format!("({letter})");
        svg.text(
            (start, baseline),
            &letter,
            TITLE_SIZE,
            Anchor::Start,
            Weight::Bold,
            INK,
        );
        start += font.width(&letter, TITLE_SIZE) + 4.0;
    }
    let title = font.fit(&panel.panel.title, TITLE_SIZE, frame.right() - start);
    svg.text(
        (start, baseline),
        &title,
        TITLE_SIZE,
        Anchor::Start,
        Weight::Regular,
        INK,
    );
}

fn draw_rule(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, rule: &Rule) {
    let Some(place) = panel.y.place(rule.y).filter(|place| !place.beyond) else {
        return;
    };
    let y = up(panel.frame, place.fraction);
    let ends = [(panel.frame.x, y), (panel.frame.right(), y)];
    svg.line(&ends, REFERENCE, 0.8, Dash::Dotted);
}

/// Where a point lies; none if a coordinate is NaN.
fn position(panel: &PanelLayout<'_>, x: f64, y: f64) -> Option<(Position, bool)> {
    let (x, y) = (panel.x.place(x)?, panel.y.place(y)?);
    let at = (across(panel.frame, x.fraction), up(panel.frame, y.fraction));
    Some((at, x.beyond || y.beyond))
}

fn draw_line(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, line: &Line) {
    let places: Vec<Option<(Position, bool)>> = line
        .points
        .iter()
        .map(|point| position(panel, point.x, point.y))
        .collect();
    for run in places.split(Option::is_none) {
        let run: Vec<Position> = run.iter().flatten().map(|&(at, _)| at).collect();
        if run.len() > 1 {
            svg.line(&run, line.style.colour, LINE_WIDTH, line.style.dash);
        }
    }
    for &(at, beyond) in places.iter().flatten() {
        let (radius, fill) = if beyond {
            (OPEN_RADIUS, Fill::Open)
        } else {
            (MARKER_RADIUS, Fill::Full)
        };
        svg.marker(at, radius, line.style.marker, line.style.colour, fill);
    }
}

/// Draws the band of one standard error to either side, cut off at the ends of the axis.
fn draw_band(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, line: &Line) {
    let edges = |point: &Point| {
        let error = point
            .error
            .filter(|error| error.is_finite() && *error > 0.0)?;
        let (upper, _) = position(panel, point.x, point.y + error)?;
        let (lower, _) = position(panel, point.x, point.y - error)?;
        Some((upper, lower))
    };
    let edges: Vec<Option<(Position, Position)>> = line.points.iter().map(edges).collect();
    for run in edges.split(Option::is_none) {
        let run: Vec<(Position, Position)> = run.iter().flatten().copied().collect();
        match run.as_slice() {
            [] => {}
            // A band needs two points; one alone is drawn as an error bar.
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
