//! Writing SVG, byte for byte the same for the same drawing.
//!
//! Numbers have at most two decimals, elements stand in the order in which they were drawn, and nothing depends on the
//! machine. Text is written as outlines: each glyph that occurs is defined once and used by reference. An SVG viewer
//! then needs no font, so the figure looks the same in a browser, in Inkscape or Illustrator, after conversion to PDF
//! and in the PNG; a font named or embedded would be replaced by another by half of these. What the outlines say is
//! kept in `aria-label`, and the whole figure has `<title>` and `<desc>`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::colour::{Colour, Dash, Marker};
use super::layout::Rect;
use super::text::Font;

/// A point in SVG coordinates: points of 1/72 inch from the left and from the top.
pub(super) type Position = (f64, f64);

/// Where the given position lies on a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Weight of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    /// Thickened by a stroke, since one font is carried.
    Bold,
}

/// How a marker is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Full,
    /// White inside: the value itself lies beyond the axis.
    Open,
}

/// A drawing in progress.
pub(super) struct Svg<'a> {
    font: &'a Font,
    body: String,
    /// Outlines of the glyphs used so far, by glyph number.
    glyphs: BTreeMap<u16, String>,
}

impl<'a> Svg<'a> {
    pub(super) fn new(font: &'a Font) -> Self {
        Self {
            font,
            body: String::new(),
            glyphs: BTreeMap::new(),
        }
    }

    /// Opens a group; its name is for readers of the file.
    pub(super) fn open_group(&mut self, name: &str) {
        self.element(format_args!("<g data-part=\"{}\">", escape(name)));
    }

    pub(super) fn close_group(&mut self) {
        self.element(format_args!("</g>"));
    }

    /// A broken line through `points`.
    pub(super) fn line(&mut self, points: &[Position], colour: Colour, width: f64, dash: Dash) {
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

    /// Separate straight lines of one look.
    pub(super) fn segments(&mut self, lines: &[(Position, Position)], colour: Colour, width: f64) {
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

    /// A see-through area.
    pub(super) fn area(&mut self, outline: &[Position], colour: Colour, opacity: f64) {
        self.element(format_args!(
            "<path d=\"{}Z\" fill=\"{colour}\" fill-opacity=\"{}\"/>",
            path(outline),
            number(opacity),
        ));
    }

    /// Opens a group of cells, which are drawn without a seam between neighbours.
    pub(super) fn open_cells(&mut self) {
        self.element(format_args!("<g shape-rendering=\"crispEdges\">"));
    }

    /// A rectangle that says its `value`, where it has one, to readers of the file.
    pub(super) fn cell(&mut self, rect: Rect, colour: Colour, value: Option<&str>) {
        self.element(format_args!(
            "<path d=\"M{} {}H{}V{}H{}Z\" fill=\"{colour}\"{}/>",
            number(rect.x),
            number(rect.y),
            number(rect.right()),
            number(rect.bottom()),
            number(rect.x),
            data_value(value),
        ));
    }

    /// A marker that reaches about `radius` from its centre and says its `value`, where it has one, to readers of the
    /// file.
    pub(super) fn marker(
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
        };
        self.element(format_args!("{element}"));
    }

    /// A line of text on the baseline through `(x, y)`.
    pub(super) fn text(
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
    pub(super) fn turned_text(
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
    pub(super) fn finish(
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

fn path(points: &[Position]) -> String {
    let mut data = String::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(data, "{command}{} {}", number(x), number(y))
            .expect("writing to a String does not fail");
    }
    data
}

/// The attribute that says a value; nothing where there is none.
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

/// Text for an XML document; characters that XML does not allow become U+FFFD.
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
    fn text_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(escape(text), expected, "{text:?}");
        check("KL(plain ‖ altered)", "KL(plain ‖ altered)");
        check("a<b & \"c\">", "a&lt;b &amp; &quot;c&quot;&gt;");
        check("\u{1b}[0m\u{ffff}", "\u{fffd}[0m\u{fffd}");
    }
}
