//! Page dimensions shared by all parts.

/// The blank margin on all sides.
pub(crate) const MARGIN: f64 = 3.0;
/// Distance between panels with their labels.
pub(crate) const GAP: f64 = 12.0;

/// A rectangle in points, y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    pub(crate) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(self) -> f64 {
        self.y + self.height
    }
}
