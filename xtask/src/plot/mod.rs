//! Charts as data, drawn as SVG and as PNG.
//!
//! A [`Figure`] is a grid of panels with a legend below. It says what is shown; where things lie and how they look is
//! decided here, one way for every figure: 7 inches wide, the two columns of a paper, with text of about 8 points.
//! Drawing is total and exact: every figure can be drawn, and the same figure gives the same bytes of SVG.
//!
//! Why an own module: the figures need a legend that covers no data, colour bars and cells that lie where their values
//! are, and output that can be compared byte for byte; that is less code than the ways around a plotting library's
//! habits. A further kind of chart is a further [`Mark`].
//!
//! Values that cannot be drawn where they are:
//!
//! - NaN leaves a gap in its line; a point between two gaps still shows its marker.
//! - A value beyond its axis, such as zero on a logarithmic one or an infinity, lies at the nearest end of the axis and
//!   has an open marker.
//! - A band or an error bar is cut off at the ends of its axis; on a logarithmic axis one that reaches zero goes down
//!   to the lower end. It is left out where the standard error is missing.
//! - A bin of a histogram that counts nothing, or NaN, lies on the baseline, also on a logarithmic axis.
//! - A NaN in a heat map is a grey, hatched cell; a value beyond the colour bar has the colour of its nearest end.
//!
//! Every marker and every cell of a heat map says its value in the attribute `data-value`, for readers that show it.

mod axis;
mod colour;
mod colour_map;
mod draw;
mod layout;
mod legend;
mod marks;
mod png;
mod svg;
mod text;

use ndarray::Array2;

pub use axis::{Axis, Scale};
pub use colour::{Colour, Dash, Marker, Style, colour_of_model, legend_order, styles_of_models};
pub use colour_map::ColourMap;
pub use png::PngError;

/// A figure: rows of panels, and a legend below them.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What the figure is, for readers who cannot see it and for lists of files; it is not drawn.
    pub title: String,
    /// What the figure shows, at more length; it is not drawn.
    pub description: String,
    /// Panels, row by row; rows may differ in length.
    pub rows: Vec<Vec<Panel>>,
    /// Entries of the legend; entries of one group stand together.
    pub legend: Vec<LegendEntry>,
}

/// One chart of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What tells the panel from the others. A figure of two to 26 panels adds a letter.
    pub title: String,
    /// The horizontal axis. Its labels are left out where the panel below has an equal axis over the same values.
    pub x: Axis,
    /// The vertical axis, on the left.
    pub y: Axis,
    /// A second vertical axis, on the right.
    pub y2: Option<Axis>,
    /// What is drawn, later marks over earlier ones; bands and histograms lie under all lines.
    pub marks: Vec<Mark>,
}

/// Something drawn in a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A line with markers and band.
    Line(Line),
    /// A dotted reference line.
    Rule(Rule),
    /// Markers with error bars.
    Scatter(Scatter),
    /// Filled steps.
    Histogram(Histogram),
    /// Coloured cells, with a colour bar. It fills its panel, so that other marks have no place there.
    HeatMap(HeatMap),
}

/// The vertical axis that a mark belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The left axis.
    #[default]
    Left,
    /// The right axis; the left one in a panel that has no other.
    Right,
}

/// A line through points, with a marker at each and a band of one standard error to either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How the line looks.
    pub style: Style,
    /// Name of the line, told with each value.
    pub label: String,
    /// Points in the order in which they are joined.
    pub points: Vec<Point>,
    /// The axis that `y` is measured on.
    pub side: Side,
}

/// Markers that no line joins, each with a bar of one standard error to either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// How the markers look.
    pub style: Style,
    /// Name of the series, told with each value.
    pub label: String,
    /// Where the markers are.
    pub points: Vec<Point>,
    /// The axis that `y` is measured on.
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
    /// Whose reference it is; its colour is taken. Grey where none.
    pub style: Option<Style>,
}

/// Counts in bins, as see-through filled steps, so that several can lie over each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// How the steps look; of it the colour counts.
    pub style: Style,
    /// Ends of the bins, ascending: one more than there are counts.
    pub edges: Vec<f64>,
    /// Counts, or densities, of the bins.
    pub counts: Vec<f64>,
}

/// A matrix as coloured cells.
///
/// The cells are centred on whole numbers. The first column stands at the `min` of the panel's horizontal axis, 0
/// where there is none, and the first row at that of its vertical axis.
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
    /// Where the first row is.
    pub row_zero: RowZero,
    /// Texts in the cells (row, column), of the shape of `values`.
    pub labels: Option<Array2<String>>,
    /// What is measured, with its unit: the label of the colour bar.
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
    /// What it belongs to. If all groups have two entries or more, each starts a line of the legend.
    pub group: String,
    /// How it looks.
    pub style: Style,
}

impl Figure {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        draw::svg(self)
    }

    /// The figure as a PNG file of `dots_per_inch`; 300 is fit for print.
    ///
    /// # Errors
    ///
    /// [`PngError`] if the picture has no pixel or too many for memory.
    pub fn png(&self, dots_per_inch: f64) -> Result<Vec<u8>, PngError> {
        png::png(&self.svg(), dots_per_inch)
    }
}

#[cfg(test)]
mod tests;
