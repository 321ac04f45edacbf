//! Charts as plain values, drawn as SVG and as PNG.
//!
//! A [`Figure`] is a grid of panels with a legend below, and says what is shown. This crate decides the positions and the look,
//! in the same way for every figure: 7 inches wide, two columns of a paper, with text of about 8 points.
//!
//! ```
//! use layerwise_plot::{
//!     Axis, Dash, Figure, Line, Marker, Mark, OKABE_ITO, Panel, Point, Scale, Side, Style,
//! };
//!
//! let style = Style { colour: OKABE_ITO[0], dash: Dash::Solid, marker: Marker::Circle };
//! let points = [(0.0, 2.5), (0.5, 0.04), (1.0, 0.7)];
//! let line = Line {
//!     style,
//!     label: "a model".to_owned(),
//!     points: points.map(|(x, y)| Point { x, y, error: Some(0.1 * y) }).to_vec(),
//!     side: Side::Left,
//! };
//! let figure = Figure {
//!     title: "Divergence by depth".to_owned(),
//!     description: "KL(plain ‖ block left out) in nats.".to_owned(),
//!     rows: vec![vec![Panel {
//!         title: "Drop".to_owned(),
//!         x: Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0),
//!         y: Axis::new("KL (nats)", Scale::Log10),
//!         y2: None,
//!         marks: vec![Mark::Line(line)],
//!     }]],
//!     legend: Vec::new(),
//! };
//! assert!(figure.svg("").contains("data-value=\"a model: x 0.5, 0.04 ± 0.004\""));
//! let png: Vec<u8> = figure.png("", 300.0)?;
//! # assert!(png.starts_with(b"\x89PNG"));
//! # Ok::<(), layerwise_plot::PngError>(())
//! ```
//!
//! # Why this crate exists
//!
//! The figures need four things together that plotting libraries do not offer: a legend that covers no data, heat maps with cells
//! at the position of their values, marks that reveal their values under a pointer, and the same bytes on every machine, so that
//! tests can compare them. This crate does that and no more. It knows no model and does no I/O. Each kind of chart is a [`Mark`].
//!
//! # Guarantees
//!
//! Drawing is total and exact: every figure can be drawn, whatever its numbers and names, and the same figure gives the same
//! bytes of SVG. Text is drawn as outlines of one embedded font, so that a picture looks the same everywhere.
//!
//! Values that cannot be drawn at their position are drawn as follows:
//!
//! - NaN leaves a gap in its line; a point between two gaps still shows its marker.
//! - A value beyond its axis, such as zero on a logarithmic axis or an infinity, lies at the nearest end of the axis and has an
//!   open marker.
//! - A band or an error bar is cut off at the ends of its axis; on a logarithmic axis, one that reaches zero extends to the lower
//!   end. It is left out if there is no standard error, and has no width if that is 0.
//! - A bin of a histogram whose count is 0 or NaN lies on the baseline, even on a logarithmic axis.
//! - A NaN in a heat map is a grey, hatched cell; a value beyond the colour bar has the colour of its nearest end.
//!
//! Every marker, every cell of a heat map and every non-empty bin of a histogram has its value in the attribute `data-value`. A
//! histogram with bins too narrow for a pointer gives its sum and mode instead.

mod axis;
mod caption;
mod colour;
mod colour_map;
mod draw;
mod figure;
mod layout;
mod legend;
mod marks;
mod number;
mod page;
mod png;
mod svg;
mod text;

pub use axis::{Axis, Scale};
pub use colour::{Colour, Dash, Marker, OKABE_ITO, Style};
pub use colour_map::ColourMap;
pub use figure::{
    Figure, HeatMap, Histogram, LegendEntry, Line, Mark, Panel, Point, RowZero, Rule, Scatter, Side,
};
pub use number::significant;
pub use png::PngError;
