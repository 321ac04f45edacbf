//! Draws a figure after its layout.

use crate::axis::{Range, Ticks};
use crate::caption::CAPTION_SIZE;
use crate::colour::{Colour, Dash, INK, Style};
use crate::figure::{Figure, HeatMap, Mark};
use crate::layout::{
    BarLayout, LABEL_SIZE, Layout, PanelLayout, TICK_GAP, TICK_LENGTH, TICK_SIZE, TITLE_SIZE,
};
use crate::legend::{LEGEND_SIZE, LegendSlot, SAMPLE, SAMPLE_GAP};
use crate::marks::{self, LINE_WIDTH, MARKER_RADIUS};
use crate::page::Rect;
use crate::svg::{Anchor, Fill, Position, Svg, Weight};
use crate::text::{CAPITAL, Font};

const FRAME: Colour = Colour(0x55, 0x55, 0x55);
const GRID: Colour = Colour(0xe9, 0xe9, 0xe9);

const FRAME_WIDTH: f64 = 0.6;
const MINOR_LENGTH: f64 = 1.7;
/// Height of a legend's sample of filled steps.
const SWATCH: f64 = 5.0;
/// The number of steps of a colour bar, enough to look continuous.
const BAR_STEPS: u32 = 64;

impl Figure {
    /// The figure as an SVG document. A caption, if not empty, is drawn below it, with each paragraph on new lines. The same
    /// figure gives the same bytes.
    #[must_use]
    pub fn svg(&self, caption: &str) -> String {
        svg(self, caption)
    }
}

fn svg(figure: &Figure, caption: &str) -> String {
    let font = Font::carried();
    let layout = Layout::of(figure, caption, &font);
    let mut svg = Svg::new(&font);
    for panel in &layout.panels {
        svg.open_group(&panel.panel.title);
        if let Some(map) = panel.heat_map() {
            marks::draw_heat_map(&mut svg, panel, map, &font);
            draw_axes(&mut svg, panel, &font);
            if let Some(bar) = &panel.bar {
                draw_bar(&mut svg, map, bar, &font);
            }
        } else {
            draw_grid(&mut svg, panel);
            marks::draw(&mut svg, panel);
            draw_axes(&mut svg, panel, &font);
            if marks::is_empty(panel.panel) {
                say_empty(&mut svg, panel.frame);
            }
        }
        svg.close_group();
    }
    if !layout.legend.is_empty() {
        svg.open_group("legend");
        for (entry, slot) in figure.legend.iter().zip(&layout.legend) {
            draw_sample(&mut svg, figure, entry.style, slot);
            let y = slot.rect.y + slot.rect.height / 2.0;
            let at = (
                slot.rect.x + SAMPLE + SAMPLE_GAP,
                y + LEGEND_SIZE * CAPITAL / 2.0,
            );
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
    if !layout.caption.is_empty() {
        svg.open_group("caption");
        for (at, line) in &layout.caption {
            svg.text(*at, line, CAPTION_SIZE, Anchor::Start, Weight::Regular, INK);
        }
        svg.close_group();
    }
    svg.finish(
        (layout.width, layout.height),
        &figure.title,
        &figure.description,
    )
}

/// Writes "no values" into an empty panel, so that nobody mistakes it for a drawing error.
fn say_empty(svg: &mut Svg<'_>, frame: Rect) {
    let at = (
        frame.x + frame.width / 2.0,
        frame.y + frame.height / 2.0 - LABEL_SIZE,
    );
    svg.text(
        at,
        "no values",
        LABEL_SIZE,
        Anchor::Middle,
        Weight::Regular,
        FRAME,
    );
}

/// Draws a sample of a style: its marks in the figure, or a line if there are none.
fn draw_sample(svg: &mut Svg<'_>, figure: &Figure, style: Style, slot: &LegendSlot) {
    let marks = || figure.rows.iter().flatten().flat_map(|panel| &panel.marks);
    let is_line = |mark: &Mark| matches!(mark, Mark::Line(line) if line.style == style);
    let is_scatter = |mark: &Mark| matches!(mark, Mark::Scatter(scatter) if scatter.style == style);
    let is_steps = |mark: &Mark| matches!(mark, Mark::Histogram(steps) if steps.style == style);
    let is_rule = |mark: &Mark| matches!(mark, Mark::Rule(rule) if rule.style == Some(style));
    let (x, y) = (slot.rect.x, slot.rect.y + slot.rect.height / 2.0);
    let ends = [(x, y), (x + SAMPLE, y)];
    let scatter = marks().any(is_scatter);
    let line = marks().any(is_line);
    if !line && !scatter && marks().any(is_steps) {
        let (top, bottom) = (y - SWATCH / 2.0, y + SWATCH / 2.0);
        let corners = [
            (x, bottom),
            (x, top),
            (x + SAMPLE, top),
            (x + SAMPLE, bottom),
            (x, bottom),
        ];
        svg.steps(&corners, style.colour, None);
        return;
    }
    if !line && !scatter && marks().any(is_rule) {
        svg.line(&ends, style.colour, marks::RULE_WIDTH, Dash::Dotted);
        return;
    }
    if line || !scatter {
        svg.line(&ends, style.colour, LINE_WIDTH * 1.2, style.dash);
    }
    svg.marker(
        (x + SAMPLE / 2.0, y),
        MARKER_RADIUS * 1.3,
        style.marker,
        style.colour,
        Fill::Full,
        None,
    );
}

fn place_ticks(range: Range, ticks: impl Iterator<Item = f64>) -> Vec<f64> {
    ticks
        .filter_map(|tick| range.place(tick))
        .map(|place| place.fraction)
        .collect()
}

fn draw_grid(svg: &mut Svg<'_>, panel: &PanelLayout<'_>) {
    let frame = panel.frame;
    let ticks = panel.y_ticks.major.iter().map(|(value, _)| *value);
    let lines: Vec<(Position, Position)> = place_ticks(panel.y, ticks)
        .into_iter()
        .map(|fraction| {
            let y = panel.up(fraction);
            ((frame.x, y), (frame.right(), y))
        })
        .collect();
    svg.segments(&lines, GRID, 0.5);
}

fn draw_axes(svg: &mut Svg<'_>, panel: &PanelLayout<'_>, font: &Font) {
    let frame = panel.frame;
    let (left, right, top, bottom) = (frame.x, frame.right(), frame.y, frame.bottom());
    let x_major = place_ticks(panel.x, panel.x_ticks.major.iter().map(|(value, _)| *value));
    let y_major = place_ticks(panel.y, panel.y_ticks.major.iter().map(|(value, _)| *value));
    let x_minor = place_ticks(panel.x, panel.x_ticks.minor.iter().copied());
    let y_minor = place_ticks(panel.y, panel.y_ticks.minor.iter().copied());

    let x_tick = |fraction: f64, length: f64| {
        let x = panel.across(fraction);
        ((x, bottom), (x, bottom + length))
    };
    let y_tick = |fraction: f64, length: f64| {
        let y = panel.up(fraction);
        ((left - length, y), (left, y))
    };
    let mut lines = vec![
        ((left, top), (left, bottom + FRAME_WIDTH / 2.0)),
        ((left, bottom), (right, bottom)),
    ];
    if panel.heat_map().is_some() {
        lines.push(((left, top), (right, top)));
        lines.push(((right, top), (right, bottom)));
    }
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
            panel.up(fraction) + TICK_SIZE * CAPITAL / 2.0,
        );
        svg.text(at, label, TICK_SIZE, Anchor::End, Weight::Regular, INK);
    }
    // A label as long as a frame with its title does not reach the panels above and below.
    let room = bottom - panel.outer.y;
    let middle = frame.y + frame.height / 2.0;
    if panel.y_labelled {
        let label = font.fit(&panel.panel.y.label, LABEL_SIZE, room);
        let at = (panel.outer.x + LABEL_SIZE * 0.8, middle);
        svg.turned_text(at, &label, LABEL_SIZE, 90.0, INK);
    }
    if let (Some((range, ticks)), Some(axis)) = (&panel.y2, &panel.panel.y2) {
        let up = |fraction: f64| panel.up(fraction);
        draw_right_axis(svg, right, (top, bottom), *range, ticks, &up);
        let label = font.fit(&axis.label, LABEL_SIZE, room);
        let at = (panel.outer.right() - LABEL_SIZE * 0.2, middle);
        svg.turned_text(at, &label, LABEL_SIZE, 90.0, INK);
    }
    if panel.x_labelled {
        let baseline = bottom + TICK_LENGTH + TICK_GAP + TICK_SIZE * CAPITAL;
        for ((_, label), &fraction) in panel.x_ticks.major.iter().zip(&x_major) {
            let at = (panel.across(fraction), baseline);
            svg.text(at, label, TICK_SIZE, Anchor::Middle, Weight::Regular, INK);
        }
        let label = font.fit(&panel.panel.x.label, LABEL_SIZE, frame.width);
        let at = (
            frame.x + frame.width / 2.0,
            panel.outer.bottom() - LABEL_SIZE * 0.25,
        );
        svg.text(at, &label, LABEL_SIZE, Anchor::Middle, Weight::Regular, INK);
    }

    let letter = panel.letter.map(|letter| format!("({letter})"));
    let indent = letter
        .as_ref()
        .map_or(0.0, |letter| font.width(letter, TITLE_SIZE) + 4.0);
    // A title wider than its frame begins above the labels of the vertical axis.
    let room = panel.outer.right() - panel.outer.x - indent;
    let title = font.fit(&panel.panel.title, TITLE_SIZE, room);
    let spare = panel.outer.right() - left - indent - font.width(&title, TITLE_SIZE);
    let (start, baseline) = (left + spare.min(0.0), top - 4.5);
    if let Some(letter) = letter {
        svg.text(
            (start, baseline),
            &letter,
            TITLE_SIZE,
            Anchor::Start,
            Weight::Bold,
            INK,
        );
    }
    svg.text(
        (start + indent, baseline),
        &title,
        TITLE_SIZE,
        Anchor::Start,
        Weight::Regular,
        INK,
    );
}

/// Draws an axis with its ticks and their labels on the right side.
fn draw_right_axis(
    svg: &mut Svg<'_>,
    x: f64,
    (top, bottom): (f64, f64),
    range: Range,
    ticks: &Ticks,
    up: &dyn Fn(f64) -> f64,
) {
    let major = place_ticks(range, ticks.major.iter().map(|(value, _)| *value));
    let minor = place_ticks(range, ticks.minor.iter().copied());
    let tick = |fraction: f64, length: f64| ((x, up(fraction)), (x + length, up(fraction)));
    let mut lines = vec![((x, top), (x, bottom + FRAME_WIDTH / 2.0))];
    lines.extend(major.iter().map(|&fraction| tick(fraction, TICK_LENGTH)));
    svg.segments(&lines, FRAME, FRAME_WIDTH);
    let lines: Vec<(Position, Position)> = minor
        .iter()
        .map(|&fraction| tick(fraction, MINOR_LENGTH))
        .collect();
    svg.segments(&lines, FRAME, FRAME_WIDTH * 0.6);
    for ((_, label), &fraction) in ticks.major.iter().zip(&major) {
        let at = (
            x + TICK_LENGTH + TICK_GAP,
            up(fraction) + TICK_SIZE * CAPITAL / 2.0,
        );
        svg.text(at, label, TICK_SIZE, Anchor::Start, Weight::Regular, INK);
    }
}

fn draw_bar(svg: &mut Svg<'_>, map: &HeatMap, bar: &BarLayout, font: &Font) {
    let frame = bar.frame;
    let up = |fraction: f64| frame.bottom() - fraction * frame.height;
    svg.open_cells();
    for step in 0..BAR_STEPS {
        let at = |step: u32| f64::from(step) / f64::from(BAR_STEPS);
        let colour = map.map.at((at(step) + at(step + 1)) / 2.0);
        let rect = Rect {
            y: up(at(step + 1)),
            height: frame.height / f64::from(BAR_STEPS),
            ..frame
        };
        svg.cell(rect, colour, None);
    }
    svg.close_group();
    let (left, right, top, bottom) = (frame.x, frame.right(), frame.y, frame.bottom());
    let lines = [
        ((left, bottom), (left, top)),
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
    ];
    svg.segments(&lines, FRAME, FRAME_WIDTH);
    draw_right_axis(svg, right, (top, bottom), bar.range, &bar.ticks, &up);
    let widest = bar
        .ticks
        .major
        .iter()
        .map(|(_, label)| font.width(label, TICK_SIZE))
        .fold(0.0, f64::max);
    let x = right + TICK_LENGTH + TICK_GAP + widest + 2.0 + LABEL_SIZE * 0.8;
    let label = font.fit(&map.unit, LABEL_SIZE, frame.height);
    svg.turned_text(
        (x, frame.y + frame.height / 2.0),
        &label,
        LABEL_SIZE,
        90.0,
        INK,
    );
}
