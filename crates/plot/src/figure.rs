//! The contents of a figure, as plain values.

use crate::axis::Axis;
use crate::colour::Style;
use crate::colour_map::ColourMap;
use ndarray::Array2;

/// A figure: rows of panels, and a legend below them.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The name of the figure. It is not drawn; screen readers and file lists use it.
    pub title: String,
    /// A longer description of what the figure shows. It is not drawn; screen readers use it.
    pub description: String,
    /// Panels, row by row; rows may differ in length.
    pub rows: Vec<Vec<Panel>>,
    /// Entries of the legend; entries of one group are placed together.
    pub legend: Vec<LegendEntry>,
}

/// One chart of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Title above the panel. In a figure of 2 to 26 panels a letter, (a) to (z), precedes it.
    pub title: String,
    /// The horizontal axis. Its labels are omitted if the panel below has an equal axis over the same values.
    pub x: Axis,
    /// The vertical axis, on the left.
    pub y: Axis,
    /// A second vertical axis, on the right.
    pub y2: Option<Axis>,
    /// The marks, later ones drawn over earlier ones; bands and histograms lie below all lines.
    pub marks: Vec<Mark>,
}

/// Something drawn in a panel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mark {
    /// A line with markers and a band.
    Line(Line),
    /// A dotted reference line.
    Rule(Rule),
    /// Markers with error bars.
    Scatter(Scatter),
    /// Filled steps.
    Histogram(Histogram),
    /// Coloured cells, with a colour bar. A heat map fills its panel; other marks in it are not drawn.
    HeatMap(HeatMap),
}

/// The vertical axis that a mark belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The left axis.
    #[default]
    Left,
    /// The right axis; the left one if the panel has no other.
    Right,
}

/// A line through points, with a marker at each and a band of one standard error to either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The style of the line.
    pub style: Style,
    /// Name of the line, part of each `data-value`.
    pub label: String,
    /// The points, in the order in which they are joined.
    pub points: Vec<Point>,
    /// The axis of `y`.
    pub side: Side,
}

/// Unconnected markers, each with a bar of one standard error to either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// The style of the markers.
    pub style: Style,
    /// Name of the series, part of each `data-value`.
    pub label: String,
    /// The positions of the markers.
    pub points: Vec<Point>,
    /// The axis of `y`.
    pub side: Side,
}

/// A point of a line or of a scatter plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Value on the horizontal axis.
    pub x: f64,
    /// Value on the vertical axis.
    pub y: f64,
    /// Standard error of `y`.
    pub error: Option<f64>,
}

/// A dotted horizontal line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Value on the left vertical axis.
    pub y: f64,
    /// The style of the series that the rule belongs to; grey if `None`.
    pub style: Option<Style>,
}

/// Counts in bins, drawn as translucent steps so that several can overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The style of the steps, of which only the colour is used.
    pub style: Style,
    /// Edges of the bins, ascending; one more than counts.
    pub edges: Vec<f64>,
    /// Counts, or densities, of the bins.
    pub counts: Vec<f64>,
}

/// A matrix as coloured cells.
///
/// Cells are centred on whole numbers. The first column is at the `min` of the panel's horizontal axis, or at 0 if that is
/// `None`; likewise the first row on the vertical axis.
///
/// ```
/// use layerwise_plot::{Axis, ColourMap, Figure, HeatMap, Mark, Panel, RowZero, Scale};
/// use ndarray::array;
///
/// let map = HeatMap {
///     values: array![[1.0, 0.5], [0.25, 1.0]],
///     low: 0.0,
///     high: 1.0,
///     map: ColourMap::Blues,
///     row_zero: RowZero::Top,
///     labels: None,
///     unit: "similarity".to_owned(),
/// };
/// let panel = Panel {
///     title: "Layers".to_owned(),
///     x: Axis::new("Layer", Scale::Integer),
///     y: Axis::new("Layer", Scale::Integer),
///     y2: None,
///     marks: vec![Mark::HeatMap(map)],
/// };
/// let figure = Figure {
///     title: "Similarity of layers".to_owned(),
///     description: String::new(),
///     rows: vec![vec![panel]],
///     legend: Vec::new(),
/// };
/// assert!(figure.svg("").contains("data-value=\"row 1, column 0: 0.25\""));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Values of the cells (row, column).
    pub values: Array2<f64>,
    /// Value at the lower end of the colour bar.
    pub low: f64,
    /// Value at its upper end.
    pub high: f64,
    /// Colours from `low` to `high`.
    pub map: ColourMap,
    /// The position of the first row.
    pub row_zero: RowZero,
    /// Texts in the cells (row, column), in the shape of `values`.
    pub labels: Option<Array2<String>>,
    /// The measured quantity, with its unit: the label of the colour bar.
    ///
    /// Neighbours in a row whose bars would be equal share one.
    pub unit: String,
}

/// Where the first row of a heat map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowZero {
    /// At the top, as in a table.
    Top,
    /// At the bottom, as on an axis.
    Bottom,
}

/// An entry of the legend, with a sample of the marks that have its style.
#[derive(Clone, Debug, PartialEq)]
pub struct LegendEntry {
    /// Name of the line, or of the other marks.
    pub label: String,
    /// The group of the entry. If all groups have two entries or more, each starts a line of the legend.
    pub group: String,
    /// How it looks.
    pub style: Style,
}
