//! Where everything in a figure lies: frames of panels with room for their labels, and the legend below all of them.

use super::axis::{Axis, Range, Ticks};
use super::text::Font;
use super::{Figure, Mark, Panel};

/// Width of a figure: the two columns of a paper, 7 inches.
const PAGE: f64 = 504.0;
/// Panels are not narrower than this; a figure of more columns than fit grows wider.
const NARROWEST: f64 = 72.0;
/// Blank margin around everything.
const MARGIN: f64 = 3.0;
/// Distance between panels with their labels.
const GAP: f64 = 12.0;
/// Distance between a frame and the values at its ends, so that no line is drawn on the frame.
pub(super) const INSET: f64 = 4.0;

pub(super) const TITLE_SIZE: f64 = 8.5;
pub(super) const LABEL_SIZE: f64 = 8.0;
pub(super) const TICK_SIZE: f64 = 7.0;
pub(super) const LEGEND_SIZE: f64 = 7.5;

/// Height above a frame that its title takes.
const TITLE_HEIGHT: f64 = 13.0;
/// Distance from a frame to the far end of its tick labels' room, without their width or height.
pub(super) const TICK_LENGTH: f64 = 3.0;
pub(super) const TICK_GAP: f64 = 2.0;
/// Distance between the tick labels and the axis label.
const LABEL_GAP: f64 = 4.0;

/// Distance of lines of the legend.
const LEGEND_PITCH: f64 = 11.5;
/// Width of a legend entry's sample of line, with the gap to its label.
pub(super) const SAMPLE: f64 = 16.0;
pub(super) const SAMPLE_GAP: f64 = 4.0;
/// Distance between columns of the legend.
const LEGEND_GAP: f64 = 14.0;

/// A rectangle in points, y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }
}

/// The layout of a figure.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) panels: Vec<PanelLayout<'a>>,
    pub(super) legend: Vec<LegendSlot>,
}

/// The layout of one panel.
#[derive(Debug)]
pub(super) struct PanelLayout<'a> {
    pub(super) panel: &'a Panel,
    /// The letter by which a text refers to the panel; none in a figure of one.
    pub(super) letter: Option<char>,
    /// The panel with its title and labels.
    pub(super) outer: Rect,
    /// What the axes enclose.
    pub(super) frame: Rect,
    pub(super) x: Range,
    pub(super) y: Range,
    pub(super) x_ticks: Ticks,
    pub(super) y_ticks: Ticks,
    /// Whether the x axis has labels; it has none where the panel below shows the same axis.
    pub(super) x_labelled: bool,
}

/// The place of one entry of the legend.
#[derive(Debug)]
pub(super) struct LegendSlot {
    pub(super) rect: Rect,
    /// The label, cut if it is wider than the figure.
    pub(super) label: String,
}

/// One column of panels, top to bottom; none where a row has fewer panels.
struct Column<'a> {
    cells: Vec<Option<Cell<'a>>>,
    /// Width of the labels left of the frames.
    gutter: f64,
}

struct Cell<'a> {
    panel: &'a Panel,
    x: Range,
    y: Range,
    y_ticks: Ticks,
    x_labelled: bool,
}

impl<'a> Layout<'a> {
    pub(super) fn of(figure: &'a Figure, font: &Font) -> Self {
        let count = figure.rows.iter().map(Vec::len).max().unwrap_or(0);
        let frame_height = match count {
            0 | 1 => 170.0,
            2 => 118.0,
            _ => 104.0,
        };
        let columns: Vec<Column<'a>> = (0..count)
            .map(|index| Column::of(figure, index, frame_height, font))
            .collect();
        let gutters: f64 = columns.iter().map(|column| column.gutter).sum();
        // The last tick label of an axis may reach past its frame by half its width.
        let spare = 2.0 * MARGIN + gutters + GAP * count.saturating_sub(1) as f64 + 6.0;
        let frame_width = ((PAGE - spare) / count.max(1) as f64).max(NARROWEST);
        let width = PAGE.max(spare + frame_width * count as f64);

        let x_labels = TICK_LENGTH + TICK_GAP + TICK_SIZE + LABEL_GAP + LABEL_SIZE;
        let mut panels = Vec::new();
        let mut top = MARGIN;
        let mut bottom = MARGIN;
        for row in 0..figure.rows.len() {
            let mut left = MARGIN;
            let mut next = top;
            for column in &columns {
                let frame = Rect {
                    x: left + column.gutter,
                    y: top + TITLE_HEIGHT,
                    width: frame_width,
                    height: frame_height,
                };
                if let Some(cell) = &column.cells[row] {
                    let below = if cell.x_labelled {
                        x_labels
                    } else {
                        TICK_LENGTH
                    };
                    let outer = Rect {
                        x: left,
                        y: top,
                        width: column.gutter + frame_width,
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
                        x_ticks: cell.x.ticks((frame_width / 34.0) as usize),
                        y_ticks: cell.y_ticks.clone(),
                        x_labelled: cell.x_labelled,
                    });
                }
                left = frame.right() + GAP;
            }
            bottom = next;
            top = next + 0.6 * GAP;
        }
        if panels.len() > 1 {
            for (panel, letter) in panels.iter_mut().zip('a'..='z') {
                panel.letter = Some(letter);
            }
        }
        let (legend, bottom) = legend(figure, font, width, bottom + GAP * 0.8);
        Self {
            width,
            height: bottom + MARGIN,
            panels,
            legend,
        }
    }
}

impl<'a> Column<'a> {
    fn of(figure: &'a Figure, index: usize, frame_height: f64, font: &Font) -> Self {
        let panels: Vec<Option<&'a Panel>> = figure.rows.iter().map(|row| row.get(index)).collect();
        let range =
            |axis: &Axis, axis_of: fn(&Panel) -> &Axis, values_of: fn(&Panel) -> Vec<f64>| {
                let alike = panels
                    .iter()
                    .flatten()
                    .filter(|panel| axis_of(panel) == axis);
                Range::of(axis, alike.flat_map(|panel| values_of(panel)))
            };
        let cells: Vec<Option<Cell<'a>>> = (0..panels.len())
            .map(|row| {
                let panel = panels[row]?;
                let x = range(&panel.x, |panel| &panel.x, x_values);
                let y = range(&panel.y, |panel| &panel.y, y_values);
                let below = panels.get(row + 1).copied().flatten();
                Some(Cell {
                    panel,
                    x,
                    y,
                    y_ticks: y.ticks((frame_height / 18.0) as usize),
                    x_labelled: below.is_none_or(|below| below.x != panel.x),
                })
            })
            .collect();
        let widest = cells
            .iter()
            .flatten()
            .flat_map(|cell| &cell.y_ticks.major)
            .map(|(_, label)| font.width(label, TICK_SIZE))
            .fold(0.0, f64::max);
        Self {
            cells,
            gutter: LABEL_SIZE + LABEL_GAP + widest + TICK_GAP + TICK_LENGTH,
        }
    }
}

fn x_values(panel: &Panel) -> Vec<f64> {
    let lines = panel.marks.iter().filter_map(|mark| match mark {
        Mark::Line(line) => Some(&line.points),
        Mark::Rule(_) => None,
    });
    lines.flatten().map(|point| point.x).collect()
}

/// The values that the y axis covers: bands count on linear axes only, as on a logarithmic one a band that reaches
/// down to zero has no lower end.
fn y_values(panel: &Panel) -> Vec<f64> {
    let mut values = Vec::new();
    for mark in &panel.marks {
        match mark {
            Mark::Rule(rule) => values.push(rule.y),
            Mark::Line(line) => {
                for point in &line.points {
                    values.push(point.y);
                    let error = point.error.unwrap_or(0.0);
                    values.push(point.y + error);
                    if panel.y.scale != super::Scale::Log10 {
                        values.push(point.y - error);
                    }
                }
            }
        }
    }
    values
}

/// Places the legend below `top`, and gives its lower end.
///
/// Entries stand in aligned columns. If every group has two entries or more, each group starts a line.
fn legend(figure: &Figure, font: &Font, width: f64, top: f64) -> (Vec<LegendSlot>, f64) {
    if figure.legend.is_empty() {
        return (Vec::new(), top - GAP * 0.8);
    }
    let room = width - 2.0 * MARGIN;
    let labels: Vec<String> = figure
        .legend
        .iter()
        .map(|entry| font.fit(&entry.label, LEGEND_SIZE, room - SAMPLE - SAMPLE_GAP))
        .collect();
    let widths: Vec<f64> = labels
        .iter()
        .map(|label| SAMPLE + SAMPLE_GAP + font.width(label, LEGEND_SIZE))
        .collect();
    let groups: Vec<usize> = figure
        .legend
        .chunk_by(|a, b| a.group == b.group)
        .map(<[_]>::len)
        .collect();
    let groups = if groups.iter().all(|&size| size > 1) {
        groups
    } else {
        vec![figure.legend.len()]
    };
    let (cells, columns) = (1..=figure.legend.len())
        .rev()
        .map(|most| arrange(&groups, &widths, most))
        .find(|(_, columns)| span(columns) <= room)
        .unwrap_or_else(|| arrange(&groups, &widths, 1));
    let left = MARGIN + (room - span(&columns)) / 2.0;
    let slots: Vec<LegendSlot> = cells
        .into_iter()
        .zip(labels)
        .map(|((line, column), label)| LegendSlot {
            rect: Rect {
                x: left + span(&columns[..column]) + if column > 0 { LEGEND_GAP } else { 0.0 },
                y: top + line as f64 * LEGEND_PITCH,
                width: columns[column],
                height: LEGEND_PITCH,
            },
            label,
        })
        .collect();
    let bottom = slots
        .iter()
        .map(|slot| slot.rect.bottom())
        .fold(top, f64::max);
    (slots, bottom)
}

/// Line and column of each entry of the legend, with at most `most` entries a line, and the widths of the columns.
fn arrange(groups: &[usize], widths: &[f64], most: usize) -> (Vec<(usize, usize)>, Vec<f64>) {
    let mut cells = Vec::with_capacity(widths.len());
    let mut first = 0;
    for &size in groups {
        cells.extend((0..size).map(|index| (first + index / most, index % most)));
        first += size.div_ceil(most);
    }
    let used = cells
        .iter()
        .map(|&(_, column)| column + 1)
        .max()
        .unwrap_or(0);
    let mut columns = vec![0.0_f64; used];
    for (&(_, column), &width) in cells.iter().zip(widths) {
        columns[column] = columns[column].max(width);
    }
    (cells, columns)
}

/// Width of columns of the legend with the gaps between them.
fn span(columns: &[f64]) -> f64 {
    columns.iter().sum::<f64>() + LEGEND_GAP * columns.len().saturating_sub(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{LegendEntry, Line, Point, Scale, styles_of_models};

    fn figure(columns: usize, rows: usize, labels: &[(String, String)]) -> Figure {
        let style = styles_of_models(&[("gpt2", "gpt2")])[0];
        let panel = Panel {
            title: "Panel".to_owned(),
            x: Axis::new("x", Scale::Linear),
            y: Axis::new("y", Scale::Log10),
            marks: vec![Mark::Line(Line {
                style,
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
                        let layout = Layout::of(&figure, &font);
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
            let layout = Layout::of(&figure, &Font::carried());
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
        check("aaaaaaaaaaabb", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn equal_axes_of_a_column_share_range_and_labels() {
        let mut figure = figure(1, 3, &[]);
        let Mark::Line(line) = &mut figure.rows[0][0].marks[0] else {
            unreachable!("the test's panels hold a line");
        };
        line.points[0].y = 1e-5;
        figure.rows[2][0].y.label = "another".to_owned();
        let layout = Layout::of(&figure, &Font::carried());
        let labelled: Vec<bool> = layout.panels.iter().map(|panel| panel.x_labelled).collect();
        assert_eq!(labelled, [false, false, true]);
        assert_eq!(layout.panels[0].y, layout.panels[1].y);
        assert_ne!(layout.panels[1].y, layout.panels[2].y);
    }
}
