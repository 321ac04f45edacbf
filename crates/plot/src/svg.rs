//! Writes SVG; the same drawing gives the same bytes.
//!
//! Numbers have at most two decimals, elements are in drawing order, and nothing depends on the machine. Text is written as
//! outlines: each glyph that occurs is defined once and used by reference. A viewer then needs no font, so the figure looks the
//! same in a browser, in Inkscape or Illustrator, after conversion to PDF and in the PNG; about half of these programs would
//! replace a named or embedded font. The text of the outlines is in `aria-label`, and the whole figure has `<title>` and
//! `<desc>`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::colour::{Colour, Dash, Marker};
use crate::page::Rect;
use crate::text::Font;

/// A point in SVG coordinates: points of 1/72 inch from the left and from the top.
pub(crate) type Position = (f64, f64);

/// The part of a text line that is at the given position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Weight of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    /// Thickened by a stroke, because there is only one embedded font.
    Bold,
}

/// How a marker is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Full,
    /// White inside: the value itself is beyond the axis.
    Open,
}

/// A drawing in progress.
pub(crate) struct Svg<'a> {
    font: &'a Font,
    body: String,
    /// Outlines of the glyphs used so far, by glyph number.
    glyphs: BTreeMap<u16, String>,
}

impl<'a> Svg<'a> {
    pub(crate) fn new(font: &'a Font) -> Self {
        Self {
            font,
            body: String::new(),
            glyphs: BTreeMap::new(),
        }
    }

    /// Opens a group; its name helps readers of the file.
    pub(crate) fn open_group(&mut self, name: &str) {
        self.element(format_args!("<g data-part=\"{}\">", escape(name)));
    }

    pub(crate) fn close_group(&mut self) {
        self.element(format_args!("</g>"));
    }

    /// A polyline through `points`.
    pub(crate) fn line(&mut self, points: &[Position], colour: Colour, width: f64, dash: Dash) {
        let pattern = match dash {
            Dash::Solid => "",
            Dash::Dashed => " stroke-dasharray=\"4 1.6\"",
            Dash::DashDotted => " stroke-dasharray=\"4 1.4 1 1.4\"",
            Dash::Dotted => " stroke-dasharray=\"1 1.6\"",
        };
        self.element(format_args!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{pattern}/>",
            path(points),
            number(width),
        ));
    }

    /// Separate straight lines of one style.
    pub(crate) fn segments(&mut self, lines: &[(Position, Position)], colour: Colour, width: f64) {
        if lines.is_empty() {
            return;
        }
        let data: Vec<String> = lines.iter().map(|&(from, to)| path(&[from, to])).collect();
        self.element(format_args!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\"/>",
            data.concat(),
            number(width),
        ));
    }

    /// A translucent area.
    pub(crate) fn area(&mut self, outline: &[Position], colour: Colour) {
        self.element(format_args!(
            "<path d=\"{}Z\" fill=\"{colour}\" fill-opacity=\"0.2\"/>",
            path(outline),
        ));
    }

    /// Translucent steps with an opaque edge, and their `value` as an attribute if they have one.
    pub(crate) fn steps(&mut self, outline: &[Position], colour: Colour, value: Option<&str>) {
        self.element(format_args!(
            "<path d=\"{}\" fill=\"{colour}\" fill-opacity=\"0.35\" stroke=\"{colour}\" stroke-width=\"0.6\"{}/>",
            path(outline),
            data_value(value),
        ));
    }

    /// Opens a group of cells, which are drawn without seams between neighbours.
    pub(crate) fn open_cells(&mut self) {
        self.element(format_args!("<g shape-rendering=\"crispEdges\">"));
    }

    /// A rectangle, with its `value` as an attribute if it has one.
    pub(crate) fn cell(&mut self, rect: Rect, colour: Colour, value: Option<&str>) {
        self.element(format_args!(
            "<path d=\"{}\" fill=\"{colour}\"{}/>",
            rectangle(rect),
            data_value(value),
        ));
    }

    /// Invisible rectangles with their values as attributes, as targets for a pointer.
    pub(crate) fn targets(&mut self, targets: &[(Rect, String)]) {
        self.element(format_args!("<g fill=\"none\" pointer-events=\"all\">"));
        for (rect, value) in targets {
            self.element(format_args!(
                "<path d=\"{}\"{}/>",
                rectangle(*rect),
                data_value(Some(value))
            ));
        }
        self.close_group();
    }

    /// A marker of about `radius` points, with its `value` as an attribute if it has one.
    pub(crate) fn marker(
        &mut self,
        (x, y): Position,
        radius: f64,
        marker: Marker,
        colour: Colour,
        fill: Fill,
        value: Option<&str>,
    ) {
        let look = match fill {
            Fill::Full => format!("fill=\"{colour}\""),
            Fill::Open => format!("fill=\"#ffffff\" stroke=\"{colour}\" stroke-width=\"0.7\""),
        };
        let look = look + &data_value(value);
        let polygon = |corners: &[Position]| -> String {
            let corners: Vec<Position> = corners
                .iter()
                .map(|&(dx, dy)| (x + dx * radius, y + dy * radius))
                .collect();
            format!("<path d=\"{}Z\" {look}/>", path(&corners))
        };
        let element = match marker {
            Marker::None => return,
            Marker::Circle => format!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {look}/>",
                number(x),
                number(y),
                number(radius)
            ),
            Marker::Square => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Marker::Diamond => polygon(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
            Marker::Triangle => polygon(&[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)]),
            Marker::TriangleDown => polygon(&[(0.0, 1.25), (1.15, -0.85), (-1.15, -0.85)]),
            Marker::Star => polygon(&[
                (0.0, -2.1),
                (0.5, -0.69),
                (2.0, -0.65),
                (0.81, 0.26),
                (1.23, 1.7),
                (0.0, 0.85),
                (-1.23, 1.7),
                (-0.81, 0.26),
                (-2.0, -0.65),
                (-0.5, -0.69),
            ]),
        };
        self.element(format_args!("{element}"));
    }

    /// A line of text on the baseline through `(x, y)`.
    pub(crate) fn text(
        &mut self,
        at: Position,
        text: &str,
        size: f64,
        anchor: Anchor,
        weight: Weight,
        colour: Colour,
    ) {
        self.set(at, "", text, size, anchor, weight, colour);
    }

    /// A line of text turned to the left by `degrees`, centred on `(x, y)`.
    pub(crate) fn turned_text(
        &mut self,
        at: Position,
        text: &str,
        size: f64,
        degrees: f64,
        colour: Colour,
    ) {
        self.set(
            at,
            &format!(" rotate({})", number(-degrees)),
            text,
            size,
            Anchor::Middle,
            Weight::Regular,
            colour,
        );
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "private; the two callers above name what they leave fixed"
    )]
    fn set(
        &mut self,
        (x, y): Position,
        turn: &str,
        text: &str,
        size: f64,
        anchor: Anchor,
        weight: Weight,
        colour: Colour,
    ) {
        let line = self.font.line(text);
        let start = match anchor {
            Anchor::Start => 0,
            Anchor::Middle => -line.advance / 2,
            Anchor::End => -line.advance,
        };
        let stroke = match weight {
            Weight::Regular => String::new(),
            Weight::Bold => format!(" stroke=\"{colour}\" stroke-width=\"70\""),
        };
        // Six decimals: the scale multiplies coordinates of thousands of font units.
        let scale = format!("{:.6}", self.font.unit(size));
        let mut element = format!(
            "<g aria-label=\"{}\" fill=\"{colour}\"{stroke} transform=\"translate({} {}){turn} scale({scale} -{scale})\">",
            escape(text),
            number(x),
            number(y),
        );
        for (glyph, position) in line.glyphs {
            let font = self.font;
            let outline = self
                .glyphs
                .entry(glyph.0)
                .or_insert_with(|| font.outline(glyph));
            if !outline.is_empty() {
                let x = start + position;
                write!(
                    element,
                    "<use xlink:href=\"#glyph-{}\" x=\"{x}\"/>",
                    glyph.0
                )
                .expect("writing to a String does not fail");
            }
        }
        element.push_str("</g>");
        self.element(format_args!("{element}"));
    }

    /// The finished document, on white, `width` by `height` points.
    pub(crate) fn finish(
        self,
        (width, height): (f64, f64),
        title: &str,
        description: &str,
    ) -> String {
        let (width, height) = (number(width), number(height));
        let glyphs: String = self
            .glyphs
            .iter()
            .filter(|(_, outline)| !outline.is_empty())
            .map(|(glyph, outline)| format!("<path id=\"glyph-{glyph}\" d=\"{outline}\"/>\n"))
            .collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" role=\"img\" \
             width=\"{width}pt\" height=\"{height}pt\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<defs>\n{glyphs}</defs>\n\
             <path d=\"M0 0H{width}V{height}H0Z\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(title),
            escape(description),
            self.body,
        )
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("writing to a String does not fail");
    }
}

/// Path data of a polyline. A coordinate that does not change is left out (`H`, `V`).
fn path(points: &[Position]) -> String {
    let mut data = String::new();
    let mut last: Option<(String, String)> = None;
    for &(x, y) in points {
        let (x, y) = (number(x), number(y));
        let written = match &last {
            None => write!(data, "M{x} {y}"),
            Some((_, height)) if *height == y => write!(data, "H{x}"),
            Some((left, _)) if *left == x => write!(data, "V{y}"),
            Some(_) => write!(data, "L{x} {y}"),
        };
        written.expect("writing to a String does not fail");
        last = Some((x, y));
    }
    data
}

/// Path data of a rectangle.
fn rectangle(rect: Rect) -> String {
    let [x, y, right, bottom] = [rect.x, rect.y, rect.right(), rect.bottom()].map(number);
    format!("M{x} {y}H{right}V{bottom}H{x}Z")
}

/// The attribute with a value; empty without one.
fn data_value(value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| {
        format!(" data-value=\"{}\"", escape(value))
    })
}

/// A number with at most two decimals, without trailing zeros and without −0.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// Escapes text for an XML document; characters that XML does not allow become U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_fixed() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected, "{value}");
        check(1.0, "1");
        check(100.0, "100");
        check(0.126, "0.13");
        check(-0.004, "0");
        check(-1.5, "-1.5");
        check(1.0 / 3.0, "0.33");
    }

    #[test]
    fn paths_say_what_changes() {
        let check = |points: &[Position], expected: &str| assert_eq!(path(points), expected);
        check(&[], "");
        check(&[(1.0, 2.0)], "M1 2");
        check(
            &[(0.0, 0.0), (0.0, 4.5), (3.0, 4.501), (4.0, 5.0), (4.0, 5.0)],
            "M0 0V4.5H3L4 5H4",
        );
    }

    #[test]
    fn text_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(escape(text), expected, "{text:?}");
        check("KL(plain ‖ altered)", "KL(plain ‖ altered)");
        check("a<b & \"c\">", "a&lt;b &amp; &quot;c&quot;&gt;");
        check("\u{1b}[0m\u{ffff}", "\u{fffd}[0m\u{fffd}");
    }
}
