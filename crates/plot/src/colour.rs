//! Colours, line styles, and the palette for series without a colour of their own.

use std::fmt;

/// Colour of text.
pub(crate) const INK: Colour = Colour(0x22, 0x22, 0x22);

/// Okabe and Ito's palette ("Color universal design", 2008): seven colours that are distinguishable with every type of colour
/// vision. Its yellow is left out, because yellow lines are too light on white.
pub const OKABE_ITO: &[Colour] = &[
    Colour(0x00, 0x72, 0xb2),
    Colour(0xd5, 0x5e, 0x00),
    Colour(0x00, 0x9e, 0x73),
    Colour(0xcc, 0x79, 0xa7),
    Colour(0x56, 0xb4, 0xe9),
    Colour(0xe6, 0x9f, 0x00),
    Colour(0x00, 0x00, 0x00),
];

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(
    /// Red.
    pub u8,
    /// Green.
    pub u8,
    /// Blue.
    pub u8,
);

impl Colour {
    /// The colour at `fraction` of the way through equally spaced `stops`; channels are mixed linearly in sRGB. Fractions outside
    /// 0 to 1 give the nearest end.
    ///
    /// # Panics
    ///
    /// If there are fewer than two stops.
    ///
    /// ```
    /// use layerwise_plot::Colour;
    ///
    /// let greys = [Colour(0, 0, 0), Colour(255, 255, 255)];
    /// assert_eq!(Colour::along(&greys, 0.5).to_string(), "#808080");
    /// ```
    #[must_use]
    pub fn along(stops: &[Self], fraction: f64) -> Self {
        assert!(stops.len() > 1, "a ramp has two ends");
        let position = fraction.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let below = (position as usize).min(stops.len() - 2);
        let part = position - below as f64;
        let (from, to) = (stops[below], stops[below + 1]);
        let mix =
            |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
        Self(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
    }

    /// Relative luminance as WCAG 2 defines it, 0 (black) to 1 (white).
    #[must_use]
    pub fn luminance(self) -> f64 {
        let linear = |byte: u8| {
            let value = f64::from(byte) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

/// Prints as in CSS and SVG: `#rrggbb`.
impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colour of line, band and markers.
    pub colour: Colour,
    /// Pattern of the line.
    pub dash: Dash,
    /// Shape at each point.
    pub marker: Marker,
}

/// Pattern of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long strokes.
    Dashed,
    /// Long and short strokes in turn.
    DashDotted,
    /// Short strokes.
    Dotted,
}

impl Dash {
    /// All patterns, from the plainest on.
    pub const ALL: &'static [Self] = &[Self::Solid, Self::Dashed, Self::DashDotted, Self::Dotted];
}

/// The shape that marks a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marker {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle that points up.
    Triangle,
    /// A square that stands on a corner.
    Diamond,
    /// A triangle that points down.
    TriangleDown,
    /// A star of five rays, larger than the others.
    Star,
    /// No marker: an interpolated curve has no points.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_pass_through_their_stops() {
        let stops = [Colour(0, 0, 0), Colour(100, 50, 0), Colour(200, 50, 255)];
        let check = |fraction: f64, expected: &str| {
            let found = Colour::along(&stops, fraction).to_string();
            assert_eq!(found, expected, "{fraction}");
        };
        check(-1.0, "#000000");
        check(0.25, "#321900");
        check(0.5, "#643200");
        check(0.75, "#963280");
        check(7.0, "#c832ff");
    }
}
