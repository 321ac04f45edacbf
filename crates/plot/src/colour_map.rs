//! Colours of heat maps.

use crate::colour::Colour;

/// Colours from a low to a high value. In both maps the lightness changes in one direction, so that they can be read in grey and
/// with any type of colour vision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColourMap {
    /// From white to dark blue: Brewer's Blues, as in the paper's similarity maps.
    Blues,
    /// From dark violet over green to yellow: matplotlib's viridis, as in the paper's attention maps.
    Viridis,
}

/// ColorBrewer's nine-class Blues.
const BLUES: [Colour; 9] = [
    Colour(0xf7, 0xfb, 0xff),
    Colour(0xde, 0xeb, 0xf7),
    Colour(0xc6, 0xdb, 0xef),
    Colour(0x9e, 0xca, 0xe1),
    Colour(0x6b, 0xae, 0xd6),
    Colour(0x42, 0x92, 0xc6),
    Colour(0x21, 0x71, 0xb5),
    Colour(0x08, 0x51, 0x9c),
    Colour(0x08, 0x30, 0x6b),
];

/// Every tenth of viridis.
const VIRIDIS: [Colour; 11] = [
    Colour(0x44, 0x01, 0x54),
    Colour(0x48, 0x25, 0x76),
    Colour(0x41, 0x44, 0x87),
    Colour(0x35, 0x60, 0x8d),
    Colour(0x2a, 0x78, 0x8e),
    Colour(0x21, 0x90, 0x8c),
    Colour(0x22, 0xa8, 0x84),
    Colour(0x43, 0xbf, 0x71),
    Colour(0x7a, 0xd1, 0x51),
    Colour(0xbb, 0xdf, 0x27),
    Colour(0xfd, 0xe7, 0x25),
];

impl ColourMap {
    /// The colour at `fraction` of the way from the low to the high end, 0 to 1.
    pub(crate) fn at(self, fraction: f64) -> Colour {
        let stops: &[Colour] = match self {
            Self::Blues => &BLUES,
            Self::Viridis => &VIRIDIS,
        };
        Colour::along(stops, fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_run_from_end_to_end_with_one_direction_of_lightness() {
        let check = |map: ColourMap, low: &str, middle: &str, high: &str| {
            let found = [-1.0, 0.5, 2.0].map(|fraction| map.at(fraction).to_string());
            assert_eq!(found, [low, middle, high], "{map:?}");
            let lightness: Vec<f64> = (0..=50)
                .map(|step| map.at(f64::from(step) / 50.0).luminance())
                .collect();
            assert!(
                lightness.is_sorted() || lightness.iter().rev().is_sorted(),
                "{map:?}: {lightness:?}"
            );
        };
        check(ColourMap::Blues, "#f7fbff", "#6baed6", "#08306b");
        check(ColourMap::Viridis, "#440154", "#21908c", "#fde725");
    }
}
