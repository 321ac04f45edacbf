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
//! - A band is cut off at the ends of its axis; on a logarithmic axis one that reaches zero goes down to the lower end.
//!   It is left out where the standard error is missing.

mod axis;
mod colour;
mod draw;
mod layout;
mod png;
mod svg;
mod text;

pub use axis::{Axis, Scale};
pub use colour::{Colour, Dash, Marker, Style, colour_of_model, legend_order, styles_of_models};
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
    /// What tells the panel from the others. A figure of several panels adds a letter.
    pub title: String,
    /// The horizontal axis. Its labels are left out where the panel below has an equal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, later marks over earlier ones; bands lie under all lines.
    pub marks: Vec<Mark>,
}

/// Something drawn in a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A line with markers and band.
    Line(Line),
    /// A dotted reference line.
    Rule(Rule),
}

/// A line through points, with a marker at each and a band of one standard error to either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How the line looks.
    pub style: Style,
    /// Points in the order in which they are joined.
    pub points: Vec<Point>,
}

/// A point of a line.
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
    /// Value on the vertical axis.
    pub y: f64,
}

/// A line's entry in the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct LegendEntry {
    /// Name of the line.
    pub label: String,
    /// What the line belongs to. If all groups have two entries or more, each starts a line of the legend.
    pub group: String,
    /// How the line looks.
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
mod tests {
    use super::*;

    /// A figure that has every mark, scale and way out: a gap, values beyond the axis, bands, a lone error bar.
    fn small_figure() -> Figure {
        let models = [
            ("gpt2", "gpt2"),
            ("pythia-1.4b", "gpt_neox"),
            ("a <b> & \"c\"", "none"),
        ];
        let styles = styles_of_models(&models);
        let line = |style: Style, values: &[(f64, Option<f64>)]| {
            let points = values.iter().enumerate().map(|(index, &(y, error))| Point {
                x: index as f64,
                y,
                error,
            });
            Mark::Line(Line {
                style,
                points: points.collect(),
            })
        };
        let nan = f64::NAN;
        let high = [
            (9.0, Some(2.0)),
            (0.4, Some(0.1)),
            (0.03, Some(0.05)),
            (nan, None),
            (0.7, Some(0.2)),
        ];
        let low = [
            (5.0, None),
            (0.0, None),
            (-2.0, None),
            (0.2, None),
            (f64::INFINITY, None),
        ];
        let flat = [
            (0.1, None),
            (nan, None),
            (0.2, None),
            (nan, None),
            (0.3, None),
        ];
        let marks = || {
            vec![
                line(styles[0], &high),
                line(styles[1], &low),
                line(styles[2], &flat),
            ]
        };
        let panel = |title: &str, scale: Scale| Panel {
            title: title.to_owned(),
            x: Axis::new("Layer", Scale::Integer),
            y: Axis::new("Divergence (nats)", scale),
            marks: marks(),
        };
        let mut linear = panel("Linear", Scale::Linear);
        linear.marks.insert(0, Mark::Rule(Rule { y: 0.0 }));
        let mut fixed = panel("Fixed ends", Scale::Linear);
        fixed.y = fixed.y.between(0.0, 1.0);
        Figure {
            title: "A small figure".to_owned(),
            description: "Every mark & scale.".to_owned(),
            rows: vec![
                vec![panel("Logarithmic", Scale::Log10), linear],
                vec![fixed],
            ],
            legend: models
                .iter()
                .zip(styles)
                .map(|(&(label, group), style)| LegendEntry {
                    label: label.to_owned(),
                    group: group.to_owned(),
                    style,
                })
                .collect(),
        }
    }

    #[test]
    fn any_values_can_be_drawn() {
        let odd = [
            f64::MIN,
            -1.0,
            -0.0,
            5e-324,
            1.0,
            1e17,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        let style = styles_of_models(&[("a", "b")])[0];
        let panel = |x: Scale, y: Scale| {
            let points = odd.iter().flat_map(|&x| {
                odd.iter().map(move |&y| Point {
                    x,
                    y,
                    error: Some(y),
                })
            });
            let line = Line {
                style,
                points: points.collect(),
            };
            Panel {
                title: "\u{0}\u{1b}字".to_owned(),
                x: Axis::new("x".repeat(500), x),
                y: Axis::new("y".repeat(500), y),
                marks: odd
                    .iter()
                    .map(|&y| Mark::Rule(Rule { y }))
                    .chain([Mark::Line(line)])
                    .collect(),
            }
        };
        let scales = [Scale::Linear, Scale::Integer, Scale::Log10];
        let figure = Figure {
            title: String::new(),
            description: String::new(),
            rows: scales
                .map(|y| scales.map(|x| panel(x, y)).to_vec())
                .to_vec(),
            legend: Vec::new(),
        };
        let svg = figure.svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let empty = Figure {
            rows: Vec::new(),
            ..figure.clone()
        };
        for figure in [figure, empty] {
            figure.png(36.0).expect("a figure is a picture");
        }
    }

    /// Set `UPDATE_SNAPSHOTS` to write the file anew, and look at it before it is committed.
    #[test]
    fn drawing_is_the_same_byte_for_byte() {
        let found = small_figure().svg();
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("src/plot/snapshots/small-figure.svg");
            std::fs::write(file, &found).expect("the snapshot can be written");
            return;
        }
        let expected = include_str!("snapshots/small-figure.svg");
        for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "line {}", line + 1);
        }
        assert_eq!(found.len(), expected.len());
    }
}
