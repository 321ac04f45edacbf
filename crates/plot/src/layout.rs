//! The positions of everything in a figure: frames of panels with room for their labels, and the legend below all of them.

use crate::axis::{Axis, Range, Scale, Ticks};
use crate::caption::caption;
use crate::figure::{Figure, HeatMap, Line, Mark, Panel, RowZero, Scatter, Side};
use crate::legend::{LegendSlot, legend};
use crate::page::{GAP, MARGIN, Rect};
use crate::svg::Position;
use crate::text::Font;

/// Width of a figure: two columns of a paper, 7 inches.
const PAGE: f64 = 504.0;
/// A figure with at least this many columns is a grid of small panels: of equal vertical axes in a row only the first has a
/// label.
const SMALL_PANELS: usize = 5;
/// The smallest width of a panel, and of a small panel. A figure with more columns than fit becomes wider.
const NARROWEST: f64 = 72.0;
const NARROWEST_SMALL: f64 = 56.0;
/// Distance between a frame and the values at its ends, so that no line is drawn on the frame.
const INSET: f64 = 4.0;

pub(crate) const TITLE_SIZE: f64 = 8.5;
pub(crate) const LABEL_SIZE: f64 = 8.0;
pub(crate) const TICK_SIZE: f64 = 7.0;

/// The height of a title above a frame.
const TITLE_HEIGHT: f64 = 13.0;
/// Distance from a frame to the far end of its tick labels, not counting their width or height.
pub(crate) const TICK_LENGTH: f64 = 3.0;
pub(crate) const TICK_GAP: f64 = 2.0;
/// Distance between the tick labels and the axis label.
const LABEL_GAP: f64 = 4.0;
/// Width of a colour bar, and its distance from the frame.
const BAR_WIDTH: f64 = 8.0;
const BAR_GAP: f64 = 6.0;

/// The layout of a figure.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) panels: Vec<PanelLayout<'a>>,
    pub(crate) legend: Vec<LegendSlot>,
    /// Lines of the caption with their starting positions.
    pub(crate) caption: Vec<(Position, String)>,
}

/// The layout of one panel.
#[derive(Debug)]
pub(crate) struct PanelLayout<'a> {
    pub(crate) panel: &'a Panel,
    /// The letter by which texts refer to the panel; `None` in a figure of one panel or of more than 26.
    pub(crate) letter: Option<char>,
    /// The area of the panel with its title and labels.
    pub(crate) outer: Rect,
    /// The area that the axes enclose.
    pub(crate) frame: Rect,
    pub(crate) x: Range,
    pub(crate) y: Range,
    pub(crate) x_ticks: Ticks,
    pub(crate) y_ticks: Ticks,
    /// Whether the x axis has labels; it has none if the panel below shows the same axis.
    pub(crate) x_labelled: bool,
    /// Whether the y axis has its label; among small panels one label serves a row.
    pub(crate) y_labelled: bool,
    /// The right axis.
    pub(crate) y2: Option<(Range, Ticks)>,
    pub(crate) bar: Option<BarLayout>,
}

/// The layout of a colour bar.
#[derive(Debug)]
pub(crate) struct BarLayout {
    pub(crate) frame: Rect,
    pub(crate) range: Range,
    pub(crate) ticks: Ticks,
}

impl PanelLayout<'_> {
    /// The panel's heat map, if it has one.
    pub(crate) fn heat_map(&self) -> Option<&HeatMap> {
        heat_map(self.panel)
    }

    /// The range of the axis on `side`.
    pub(crate) fn range(&self, side: Side) -> Range {
        match (side, &self.y2) {
            (Side::Right, Some((range, _))) => *range,
            _ => self.y,
        }
    }

    /// The x coordinate of `fraction` of the x axis.
    pub(crate) fn across(&self, fraction: f64) -> f64 {
        let inset = if self.heat_map().is_some() {
            0.0
        } else {
            INSET
        };
        self.frame.x + inset + fraction * (self.frame.width - 2.0 * inset)
    }

    /// The y coordinate of `fraction` of a y axis.
    pub(crate) fn up(&self, fraction: f64) -> f64 {
        let (frame, panel) = (self.frame, self.panel);
        if let Some(map) = self.heat_map() {
            return match map.row_zero {
                RowZero::Top => frame.y + fraction * frame.height,
                RowZero::Bottom => frame.bottom() - fraction * frame.height,
            };
        }
        // Steps stand on the axis.
        let stands = |mark: &Mark| matches!(mark, Mark::Histogram(_));
        let below = if panel.marks.iter().any(stands) {
            0.0
        } else {
            INSET
        };
        frame.bottom() - below - fraction * (frame.height - below - INSET)
    }
}

/// One column of panels, top to bottom; `None` for rows with fewer panels.
struct Column<'a> {
    cells: Vec<Option<Cell<'a>>>,
    /// The width of the labels left of the frames.
    left: f64,
    /// The width of everything right of the frames: labels of a second axis, colour bars.
    right: f64,
}

struct Cell<'a> {
    panel: &'a Panel,
    x: Range,
    y: Range,
    y_ticks: Ticks,
    x_labelled: bool,
    y_labelled: bool,
    y2: Option<(Range, Ticks)>,
    bar: Option<(Range, Ticks)>,
}

impl<'a> Layout<'a> {
    pub(crate) fn of(figure: &'a Figure, caption: &str, font: &Font) -> Self {
        let count = figure.rows.iter().map(Vec::len).max().unwrap_or(0);
        let small = count >= SMALL_PANELS;
        let gap = if small { 0.6 * GAP } else { GAP };
        let height = match count {
            0 | 1 => 170.0,
            2 => 118.0,
            3 | 4 => 104.0,
            _ => 50.0,
        };
        let mut columns: Vec<Column<'a>> = (0..count)
            .map(|index| Column::of(figure, index, height, font))
            .collect();
        let beside: f64 = columns
            .iter()
            .map(|column| column.left + column.right)
            .sum();
        // The last tick label of an axis may extend past its frame by half its width.
        let spare = 2.0 * MARGIN + beside + gap * count.saturating_sub(1) as f64 + 6.0;
        let narrowest = if small { NARROWEST_SMALL } else { NARROWEST };
        let mut frame_width = ((PAGE - spare) / count.max(1) as f64).max(narrowest);
        let mut frame_height = height;
        if has_square(figure) {
            // The cells of a square matrix are square, and both axes have the same ticks.
            frame_width = frame_width.min(260.0);
            frame_height = frame_width;
            for cell in columns
                .iter_mut()
                .flat_map(|column| column.cells.iter_mut().flatten())
            {
                cell.y_ticks = match cell.x == cell.y {
                    true => ticks_across(&cell.panel.y, cell.y, frame_width, font),
                    false => ticks_up(&cell.panel.y, cell.y, frame_height),
                };
            }
        }
        let width = PAGE.max(spare + frame_width * count as f64);
        let start = MARGIN + (width - spare - frame_width * count as f64) / 2.0;

        let tick_labels = TICK_LENGTH + TICK_GAP + TICK_SIZE;
        let mut panels = Vec::new();
        let mut top = MARGIN;
        let mut bottom = MARGIN;
        for row in 0..figure.rows.len() {
            let mut left = start;
            let mut next = top;
            for column in &columns {
                let frame = Rect {
                    x: left + column.left,
                    y: top + TITLE_HEIGHT,
                    width: frame_width,
                    height: frame_height,
                };
                let right = frame.right() + column.right;
                if let Some(cell) = &column.cells[row] {
                    let below = match (cell.x_labelled, cell.panel.x.label.is_empty()) {
                        (true, false) => tick_labels + LABEL_GAP + LABEL_SIZE,
                        (true, true) => tick_labels,
                        (false, _) => TICK_LENGTH,
                    };
                    let outer = Rect {
                        x: left,
                        y: top,
                        width: right - left,
                        height: TITLE_HEIGHT + frame_height + below,
                    };
                    next = next.max(outer.bottom());
                    panels.push(PanelLayout {
                        panel: cell.panel,
                        letter: None,
                        outer,
                        frame,
                        x: cell.x,
                        y: cell.y,
                        x_ticks: ticks_across(&cell.panel.x, cell.x, frame_width, font),
                        y_ticks: cell.y_ticks.clone(),
                        x_labelled: cell.x_labelled,
                        y_labelled: cell.y_labelled,
                        y2: cell.y2.clone(),
                        bar: cell.bar.clone().map(|(range, ticks)| BarLayout {
                            frame: Rect {
                                x: frame.right() + BAR_GAP,
                                width: BAR_WIDTH,
                                ..frame
                            },
                            range,
                            ticks,
                        }),
                    });
                }
                left = right + gap;
            }
            bottom = next;
            top = next + 0.6 * gap;
        }
        if (2..=26).contains(&panels.len()) {
            for (panel, letter) in panels.iter_mut().zip('a'..='z') {
                panel.letter = Some(letter);
            }
        }
        let (legend, bottom) = legend(figure, font, width, bottom + GAP * 0.8);
        let (caption, bottom) = self::caption(caption, font, width, bottom);
        Self {
            width,
            height: bottom + MARGIN,
            panels,
            legend,
            caption,
        }
    }
}

impl<'a> Column<'a> {
    fn of(figure: &'a Figure, index: usize, frame_height: f64, font: &Font) -> Self {
        let panels: Vec<Option<&'a Panel>> = figure.rows.iter().map(|row| row.get(index)).collect();
        let small = figure.rows.iter().any(|row| row.len() >= SMALL_PANELS);
        let ticks = |range: Range| range.ticks(labels_up(frame_height));
        let ranges = |panel: &Panel| {
            if let Some(map) = heat_map(panel) {
                let (rows, columns) = map.values.dim();
                return (cells_of(&panel.x, columns), cells_of(&panel.y, rows), None);
            }
            let plain: Vec<&Panel> = panels
                .iter()
                .flatten()
                .copied()
                .filter(|panel| heat_map(panel).is_none())
                .collect();
            let alike = |same: &dyn Fn(&Panel) -> bool| -> Vec<&Panel> {
                plain.iter().copied().filter(|panel| same(panel)).collect()
            };
            let x = alike(&|other| other.x == panel.x);
            let y = alike(&|other| other.y == panel.y);
            let y2 = alike(&|other| other.y2 == panel.y2);
            (
                Range::of(&panel.x, x.into_iter().flat_map(x_values)),
                Range::of(
                    &panel.y,
                    y.into_iter().flat_map(|panel| y_values(panel, Side::Left)),
                ),
                panel.y2.as_ref().map(|axis| {
                    let values = y2
                        .into_iter()
                        .flat_map(|panel| y_values(panel, Side::Right));
                    Range::of(axis, values)
                }),
            )
        };
        let cells: Vec<Option<Cell<'a>>> = (0..panels.len())
            .map(|row| {
                let panel = panels[row]?;
                let (x, y, y2) = ranges(panel);
                let below = panels.get(row + 1).copied().flatten();
                let before = index.checked_sub(1).map(|before| &figure.rows[row][before]);
                Some(Cell {
                    panel,
                    x,
                    y,
                    y_ticks: ticks_up(&panel.y, y, frame_height),
                    // Heat maps in a column may differ in size, so each has labels; which of their axes are equal would be
                    // chance.
                    x_labelled: heat_map(panel).is_some()
                        || below.is_none_or(|below| below.x != panel.x || ranges(below).0 != x),
                    y_labelled: !panel.y.label.is_empty()
                        && (!small || before.is_none_or(|before| before.y != panel.y)),
                    y2: y2.map(|range| (range, ticks(range))),
                    bar: bar(figure, row, index).map(|range| (range, ticks(range))),
                })
            })
            .collect();
        let widest = |ticks: &mut dyn Iterator<Item = &Ticks>| {
            ticks
                .flat_map(|ticks| &ticks.major)
                .map(|(_, label)| font.width(label, TICK_SIZE))
                .fold(0.0, f64::max)
        };
        let present = || cells.iter().flatten();
        let beside = TICK_GAP + TICK_LENGTH;
        let mut left = beside + widest(&mut present().map(|cell| &cell.y_ticks));
        if present().any(|cell| cell.y_labelled) {
            left += LABEL_SIZE + LABEL_GAP;
        }
        let mut right = 0.0_f64;
        if present().any(|cell| cell.y2.is_some()) {
            let y2 = &mut present().filter_map(|cell| cell.y2.as_ref().map(|(_, ticks)| ticks));
            right = beside + widest(y2) + LABEL_SIZE + LABEL_GAP;
        }
        if present().any(|cell| cell.bar.is_some()) {
            let bars = &mut present().filter_map(|cell| cell.bar.as_ref().map(|(_, ticks)| ticks));
            let bar = BAR_GAP + BAR_WIDTH + beside + widest(bars) + LABEL_SIZE + LABEL_GAP;
            right = right.max(bar);
        }
        Self { cells, left, right }
    }
}

/// The number of labels that fit along a vertical axis of `height` points.
fn labels_up(height: f64) -> usize {
    (height / 18.0) as usize
}

/// Ticks of a vertical axis of `height` points.
fn ticks_up(axis: &Axis, range: Range, height: f64) -> Ticks {
    let numbers = || range.ticks(labels_up(height));
    axis.named_ticks().unwrap_or_else(numbers)
}

/// Ticks of a horizontal axis of `width` points; labels that are numbers are kept apart.
fn ticks_across(axis: &Axis, range: Range, width: f64, font: &Font) -> Ticks {
    if let Some(ticks) = axis.named_ticks() {
        return ticks;
    }
    let apart = |ticks: &Ticks| {
        let places: Vec<(f64, f64)> = ticks
            .major
            .iter()
            .filter_map(|(value, label)| {
                let middle = range.place(*value)?.fraction * width;
                Some((middle, font.width(label, TICK_SIZE) / 2.0))
            })
            .collect();
        places
            .windows(2)
            .all(|pair| pair[1].0 - pair[0].0 >= pair[0].1 + pair[1].1 + TICK_SIZE)
    };
    // Labels of whole numbers are short.
    let room = if range.scale == Scale::Integer {
        22.0
    } else {
        34.0
    };
    let most = ((width / room) as usize).max(4);
    (3..=most)
        .rev()
        .map(|most| range.ticks(most))
        .find(apart)
        .unwrap_or_else(|| range.ticks(3))
}

fn heat_map(panel: &Panel) -> Option<&HeatMap> {
    panel.marks.iter().find_map(|mark| match mark {
        Mark::HeatMap(map) => Some(map),
        _ => None,
    })
}

/// The range of an axis along `count` cells: half a cell beyond their centres on either side.
fn cells_of(axis: &Axis, count: usize) -> Range {
    let low = first_cell(axis) - 0.5;
    let high = low + count.max(1) as f64;
    let scale = Scale::Integer;
    Range { scale, low, high }
}

/// The whole number at which the first cell of a heat map is centred.
pub(crate) fn first_cell(axis: &Axis) -> f64 {
    let far = f64::from(i32::MAX);
    let first = axis.min.filter(|min| min.is_finite()).unwrap_or(0.0);
    first.round().clamp(-far, far)
}

/// Whether a figure has the heat map of a square matrix, and no other kind of chart.
fn has_square(figure: &Figure) -> bool {
    let mut maps = figure.rows.iter().flatten().map(heat_map).peekable();
    maps.peek().is_some()
        && maps.all(|map| map.is_some_and(|map| map.values.nrows() == map.values.ncols()))
}

/// The range of the colour bar right of a panel; `None` if a neighbour has an equal bar.
fn bar(figure: &Figure, row: usize, index: usize) -> Option<Range> {
    let map = |row: usize, index: usize| figure.rows.get(row)?.get(index).and_then(heat_map);
    let own = map(row, index)?;
    let alike = |other: Option<&HeatMap>| {
        other.is_some_and(|other| {
            (
                other.low.to_bits(),
                other.high.to_bits(),
                other.map,
                &other.unit,
            ) == (own.low.to_bits(), own.high.to_bits(), own.map, &own.unit)
        })
    };
    // The row ends early; panels above and to the right have the same bar.
    let said_above = row > 0 && alike(map(row - 1, index)) && alike(map(row - 1, index + 1));
    if alike(map(row, index + 1)) || said_above {
        return None;
    }
    let axis = Axis::new(own.unit.clone(), Scale::Linear).between(own.low, own.high);
    Some(Range::of(&axis, std::iter::empty()))
}

fn x_values(panel: &Panel) -> Vec<f64> {
    let mut values = Vec::new();
    for mark in &panel.marks {
        match mark {
            Mark::Line(Line { points, .. }) | Mark::Scatter(Scatter { points, .. }) => {
                values.extend(points.iter().map(|point| point.x));
            }
            Mark::Histogram(histogram) => values.extend(&histogram.edges),
            Mark::Rule(_) | Mark::HeatMap(_) => {}
        }
    }
    values
}

/// The values that the y axis on a side covers. Bands count on linear axes only: on a logarithmic axis, a band that extends to
/// zero has no lower end.
fn y_values(panel: &Panel, side: Side) -> Vec<f64> {
    let axis = match (side, &panel.y2) {
        (Side::Right, Some(axis)) => axis,
        _ => &panel.y,
    };
    let logarithmic = axis.scale == Scale::Log10;
    let here = |mark: Side| mark == side || panel.y2.is_none();
    let mut values = Vec::new();
    for mark in &panel.marks {
        match mark {
            Mark::Line(Line { points, side, .. }) | Mark::Scatter(Scatter { points, side, .. })
                if here(*side) =>
            {
                for point in points {
                    values.push(point.y);
                    let error = point.error.unwrap_or(0.0);
                    values.push(point.y + error);
                    if !logarithmic {
                        values.push(point.y - error);
                    }
                }
            }
            Mark::Rule(rule) if side == Side::Left => values.push(rule.y),
            Mark::Histogram(histogram) if side == Side::Left => {
                values.extend(&histogram.counts);
                if logarithmic {
                    // The axis begins below the smallest count, so that its step is visible.
                    values.extend(histogram.counts.iter().map(|count| count / 2.0));
                } else {
                    values.push(0.0);
                }
            }
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::{Colour, Dash, Marker, Style};
    use crate::figure::{LegendEntry, Point};
    use crate::legend::{LEGEND_PITCH, LEGEND_SIZE, SAMPLE, SAMPLE_GAP};

    fn figure(columns: usize, rows: usize, labels: &[(String, String)]) -> Figure {
        let style = Style {
            colour: Colour(0x63, 0xba, 0xe0),
            dash: Dash::Solid,
            marker: Marker::Circle,
        };
        let panel = Panel {
            title: "Panel".to_owned(),
            x: Axis::new("x", Scale::Linear),
            y: Axis::new("y", Scale::Log10),
            y2: None,
            marks: vec![Mark::Line(Line {
                style,
                label: String::new(),
                side: Side::Left,
                points: vec![
                    Point {
                        x: 0.0,
                        y: 1e-3,
                        error: None,
                    },
                    Point {
                        x: 1.0,
                        y: 9.0,
                        error: Some(1.0),
                    },
                ],
            })],
        };
        Figure {
            title: String::new(),
            description: String::new(),
            rows: vec![vec![panel; columns]; rows],
            legend: labels
                .iter()
                .map(|(label, group)| LegendEntry {
                    label: label.clone(),
                    group: group.clone(),
                    style,
                })
                .collect(),
        }
    }

    fn apart(a: Rect, b: Rect) -> bool {
        let nothing = 1e-9;
        a.right() <= b.x + nothing
            || b.right() <= a.x + nothing
            || a.bottom() <= b.y + nothing
            || b.bottom() <= a.y + nothing
    }

    #[test]
    fn nothing_overlaps_and_all_is_on_the_page() {
        let font = Font::carried();
        let long = "a very long name of a model folder, ".repeat(9);
        for (columns, rows) in [(1, 1), (2, 2), (3, 2), (1, 4), (9, 1)] {
            for entries in [0, 1, 8, 18, 40] {
                for groups in [1, 5, 40] {
                    for name in ["m", "pythia-6.9b-deduped", &long] {
                        let labels: Vec<(String, String)> = (0..entries)
                            .map(|index| {
                                (
                                    format!("{name}{index}"),
                                    format!("{}", index * groups / entries),
                                )
                            })
                            .collect();
                        let figure = figure(columns, rows, &labels);
                        let layout = Layout::of(&figure, "", &font);
                        assert_eq!(layout.panels.len(), columns * rows);
                        assert_eq!(layout.legend.len(), entries);
                        let rects: Vec<Rect> = layout
                            .panels
                            .iter()
                            .map(|panel| panel.outer)
                            .chain(layout.legend.iter().map(|slot| slot.rect))
                            .collect();
                        let page = format!("{columns}×{rows}, {entries} entries, {groups} groups");
                        for (index, &rect) in rects.iter().enumerate() {
                            assert!(
                                rect.x >= 0.0 && rect.right() <= layout.width,
                                "{page}: {rect:?}"
                            );
                            assert!(
                                rect.y >= 0.0 && rect.bottom() <= layout.height,
                                "{page}: {rect:?}"
                            );
                            for &other in &rects[..index] {
                                assert!(apart(rect, other), "{page}: {rect:?} and {other:?}");
                            }
                        }
                        for slot in &layout.legend {
                            let width = SAMPLE + SAMPLE_GAP + font.width(&slot.label, LEGEND_SIZE);
                            assert!(width <= slot.rect.width + 1e-9, "{page}: {:?}", slot.label);
                        }
                        for panel in &layout.panels {
                            let (outer, frame) = (panel.outer, panel.frame);
                            assert!(frame.x > outer.x && frame.right() <= outer.right());
                            assert!(frame.y > outer.y && frame.bottom() < outer.bottom());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn groups_of_a_legend_start_lines() {
        let check = |groups: &str, expected: &[usize]| {
            let labels: Vec<(String, String)> = groups
                .chars()
                .map(|group| ("model".to_owned(), group.to_string()))
                .collect();
            let figure = figure(1, 1, &labels);
            let layout = Layout::of(&figure, "", &Font::carried());
            let top = layout.legend[0].rect.y;
            let lines: Vec<usize> = layout
                .legend
                .iter()
                .map(|slot| ((slot.rect.y - top) / LEGEND_PITCH).round() as usize)
                .collect();
            assert_eq!(lines, expected, "{groups}");
        };
        check("aabbb", &[0, 0, 1, 1, 1]);
        check("aab", &[0, 0, 0]);
        check("abc", &[0, 0, 0]);
        check("aaaaaaaaaaabb", &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn both_axes_of_a_square_matrix_have_the_same_ticks() {
        let font = Font::carried();
        let check = |panels: usize, blocks: usize| {
            let mut figure = figure(panels, 1, &[]);
            for panel in &mut figure.rows[0] {
                panel.x = Axis::new("Block m", Scale::Integer);
                panel.y = Axis::new("Block ℓ", Scale::Integer);
                panel.marks = vec![Mark::HeatMap(HeatMap {
                    values: ndarray::Array2::zeros((blocks, blocks)),
                    low: 0.0,
                    high: 1.0,
                    map: crate::ColourMap::Blues,
                    row_zero: RowZero::Bottom,
                    labels: None,
                    unit: "CKA".to_owned(),
                })];
            }
            for panel in Layout::of(&figure, "", &font).panels {
                assert_eq!(panel.x_ticks, panel.y_ticks, "{panels} of {blocks} blocks");
            }
        };
        for panels in 1..=3 {
            for blocks in [8, 12, 24, 30, 48] {
                check(panels, blocks);
            }
        }
    }

    #[test]
    fn equal_axes_of_a_column_share_range_and_labels() {
        let mut figure = figure(1, 3, &[]);
        let Mark::Line(line) = &mut figure.rows[0][0].marks[0] else {
            unreachable!("the test's panels hold a line");
        };
        line.points[0].y = 1e-5;
        figure.rows[2][0].y.label = "another".to_owned();
        let layout = Layout::of(&figure, "", &Font::carried());
        let labelled: Vec<bool> = layout.panels.iter().map(|panel| panel.x_labelled).collect();
        assert_eq!(labelled, [false, false, true]);
        assert_eq!(layout.panels[0].y, layout.panels[1].y);
        assert_ne!(layout.panels[1].y, layout.panels[2].y);
    }
}
