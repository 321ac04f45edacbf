//! The positions of a legend's entries.

use crate::figure::Figure;
use crate::page::{GAP, MARGIN, Rect};
use crate::text::Font;

pub(crate) const LEGEND_SIZE: f64 = 7.5;
/// Distance of lines of the legend.
pub(crate) const LEGEND_PITCH: f64 = 11.5;
/// Width of a legend entry's sample, with the gap to its label.
pub(crate) const SAMPLE: f64 = 20.0;
pub(crate) const SAMPLE_GAP: f64 = 4.0;
/// Distance between columns of the legend.
const LEGEND_GAP: f64 = 14.0;

/// The place of one entry of the legend.
#[derive(Debug)]
pub(crate) struct LegendSlot {
    pub(crate) rect: Rect,
    /// The label, cut if it is wider than the figure.
    pub(crate) label: String,
}

/// Places the legend below `top`, and returns its lower end.
///
/// Entries are in aligned columns. If every group has at least two entries, each group starts a new line.
pub(crate) fn legend(figure: &Figure, font: &Font, width: f64, top: f64) -> (Vec<LegendSlot>, f64) {
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

/// Line and column of each entry of the legend, with at most `most` entries per line, and the widths of the columns.
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

/// The width of the legend's columns with the gaps between them.
fn span(columns: &[f64]) -> f64 {
    columns.iter().sum::<f64>() + LEGEND_GAP * columns.len().saturating_sub(1) as f64
}
