//! Text in the one font that this crate embeds.
//!
//! Layout measures text here, and drawing gets its outlines here. Both use the same font, so a label takes exactly the room that
//! was reserved for it.

use std::fmt::Write as _;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Arimo Regular, subset; see `fonts/README.md`.
const ARIMO: &[u8] = include_bytes!("../fonts/arimo-regular.ttf");

/// Height of digits and capitals as a fraction of the text size; half of it centres a label on its tick.
pub(crate) const CAPITAL: f64 = 0.69;

/// The embedded font.
pub(crate) struct Font {
    face: Face<'static>,
}

/// One line of text as glyphs.
pub(crate) struct Line {
    /// Each glyph with the left end of its box, in font units from the start of the line.
    pub(crate) glyphs: Vec<(GlyphId, i32)>,
    /// Width of the line, in font units.
    pub(crate) advance: i32,
}

impl Font {
    /// Opens the embedded font.
    pub(crate) fn carried() -> Self {
        Self {
            face: Face::parse(ARIMO, 0).expect("the embedded font is a valid TrueType file"),
        }
    }

    /// Size of one font unit in points, for text of `size` points.
    pub(crate) fn unit(&self, size: f64) -> f64 {
        size / f64::from(self.face.units_per_em())
    }

    /// Sets `text` on one line with pair kerning.
    ///
    /// A character that the font lacks becomes the font's box for missing glyphs.
    pub(crate) fn line(&self, text: &str) -> Line {
        let mut glyphs: Vec<(GlyphId, i32)> = Vec::new();
        let mut advance = 0_i32;
        for character in text.chars() {
            let glyph = self.face.glyph_index(character).unwrap_or(GlyphId(0));
            if let Some(&(previous, _)) = glyphs.last() {
                advance = advance.saturating_add(self.kerning(previous, glyph));
            }
            glyphs.push((glyph, advance));
            let width = self.face.glyph_hor_advance(glyph).unwrap_or(0);
            advance = advance.saturating_add(i32::from(width));
        }
        Line { glyphs, advance }
    }

    /// Width of `text` at `size` points, in points.
    pub(crate) fn width(&self, text: &str, size: f64) -> f64 {
        f64::from(self.line(text).advance) * self.unit(size)
    }

    /// The longest beginning of `text` that fits into `width` points at `size` points; `…` marks a cut.
    pub(crate) fn fit(&self, text: &str, size: f64, width: f64) -> String {
        let line = self.line(text);
        if f64::from(line.advance) * self.unit(size) <= width {
            return text.to_owned();
        }
        let room = width - self.width("…", size);
        let ends = line
            .glyphs
            .iter()
            .skip(1)
            .map(|&(_, end)| f64::from(end) * self.unit(size));
        let kept = ends.take_while(|&end| end <= room).count();
        text.chars().take(kept).chain(['…']).collect()
    }

    /// SVG path data of a glyph, in font units with y upwards; empty for a blank.
    pub(crate) fn outline(&self, glyph: GlyphId) -> String {
        let mut path = PathData(String::new());
        // A blank has no outline: the path stays empty.
        let _ = self.face.outline_glyph(glyph, &mut path);
        path.0
    }

    fn kerning(&self, left: GlyphId, right: GlyphId) -> i32 {
        let Some(table) = self.face.tables().kern else {
            return 0;
        };
        table
            .subtables
            .into_iter()
            .find_map(|pairs| pairs.glyphs_kerning(left, right))
            .map_or(0, i32::from)
    }
}

/// Path data; coordinates of a TrueType outline are whole numbers or halves, which print exactly.
struct PathData(String);

impl PathData {
    fn push(&mut self, command: char, coordinates: &[f32]) {
        self.0.push(command);
        for (index, coordinate) in coordinates.iter().enumerate() {
            if index > 0 {
                self.0.push(' ');
            }
            write!(self.0, "{coordinate}").expect("writing to a String does not fail");
        }
    }
}

impl OutlineBuilder for PathData {
    fn move_to(&mut self, x: f32, y: f32) {
        self.push('M', &[x, y]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.push('L', &[x, y]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.push('Q', &[x1, y1, x, y]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.push('C', &[x1, y1, x2, y2, x, y]);
    }

    fn close(&mut self) {
        self.0.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_axis_labels_are_in_the_font() {
        let font = Font::carried();
        let needed = "ABCXYZabcxyz0123456789 .,:;()[]+−–—‖ℓ/≤≥×·…⁰¹²³⁴⁵⁶⁷⁸⁹⁻αβγδΔσΣé";
        let missing: String = needed
            .chars()
            .filter(|&c| font.face.glyph_index(c).is_none())
            .collect();
        assert_eq!(missing, "");
    }

    #[test]
    fn pairs_are_kerned() {
        let font = Font::carried();
        let apart = font.width("A", 8.0) + font.width("V", 8.0);
        assert!(font.width("AV", 8.0) < apart - 0.3);
    }

    #[test]
    fn text_is_cut_to_the_room_it_has() {
        let font = Font::carried();
        let check = |text: &str, width: f64, expected: &str| {
            let found = font.fit(text, 8.0, width);
            assert_eq!(found, expected, "{text:?} in {width} points");
        };
        check("gpt2-medium", 100.0, "gpt2-medium");
        check("gpt2-medium", 30.0, "gpt2-…");
        check("gpt2-medium", 0.0, "…");
        check("", 0.0, "");
    }
}
