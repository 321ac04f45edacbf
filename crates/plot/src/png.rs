//! Converts SVG to PNG.

use crate::figure::Figure;
use resvg::{tiny_skia, usvg};

/// Why a figure cannot be converted to a PNG file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// The drawing is not valid SVG, which would be a bug of this crate.
    #[error("the drawing is not a valid SVG document: {reason}")]
    Svg {
        /// The SVG reader's message.
        reason: String,
    },
    /// The picture would have no pixel, or too many.
    #[error(
        "cannot draw {width}×{height} points at {dots_per_inch} dots per inch: expected 1 to 400,000,000 pixels"
    )]
    Size {
        /// Width of the drawing in points.
        width: f64,
        /// Height of the drawing in points.
        height: f64,
        /// The requested resolution.
        dots_per_inch: f64,
    },
    /// The pixels could not be encoded.
    #[error("cannot encode the picture as PNG: {reason}")]
    Encoding {
        /// The encoder's message.
        reason: String,
    },
}

/// The largest number of pixels: a poster of 1 m by 1 m at 500 dots per inch. A larger picture is probably a mistake.
const MOST_PIXELS: f64 = 4e8;

impl Figure {
    /// The figure as a PNG file of `dots_per_inch`, with a caption as in [`Figure::svg`]; 300 is suitable for print.
    ///
    /// # Errors
    ///
    /// [`PngError`] if the picture would have no pixel, or more than 400 million.
    pub fn png(&self, caption: &str, dots_per_inch: f64) -> Result<Vec<u8>, PngError> {
        png(&self.svg(caption), dots_per_inch)
    }
}

fn png(svg: &str, dots_per_inch: f64) -> Result<Vec<u8>, PngError> {
    // The page is measured in points: at 72 dots per inch, one point is one unit of the view box.
    let options = usvg::Options {
        dpi: 72.0,
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| PngError::Svg {
        reason: error.to_string(),
    })?;
    let scale = dots_per_inch / 72.0;
    let (width, height) = (
        f64::from(tree.size().width()),
        f64::from(tree.size().height()),
    );
    let (across, down) = ((width * scale).round(), (height * scale).round());
    let size_error = || PngError::Size {
        width,
        height,
        dots_per_inch,
    };
    if !(across >= 1.0 && down >= 1.0 && across * down <= MOST_PIXELS) {
        return Err(size_error());
    }
    let mut picture = tiny_skia::Pixmap::new(across as u32, down as u32).ok_or_else(size_error)?;
    let transform = tiny_skia::Transform::from_scale(scale as f32, scale as f32);
    resvg::render(&tree, transform, &mut picture.as_mut());
    encode(picture, dots_per_inch).map_err(|error| PngError::Encoding {
        reason: error.to_string(),
    })
}

/// How much work the encoder does. Drawings compress well at any level: at the default one the files of a whole `reproduce` are
/// 5 % smaller, and its processor time is a tenth longer.
const LEVEL: u8 = 3;

/// Encodes a PNG file with its resolution. Lines of a drawing repeat, so they compress better without a filter, and faster.
fn encode(picture: tiny_skia::Pixmap, dots_per_inch: f64) -> Result<Vec<u8>, png::EncodingError> {
    let (width, height) = (picture.width(), picture.height());
    let opaque = picture.pixels().iter().all(|pixel| pixel.alpha() == 255);
    let mut pixels = picture.take_demultiplied();
    let color = if opaque {
        for at in 0..pixels.len() / 4 {
            pixels.copy_within(4 * at..4 * at + 3, 3 * at);
        }
        pixels.truncate(pixels.len() / 4 * 3);
        png::ColorType::Rgb
    } else {
        png::ColorType::Rgba
    };
    let dots_per_metre = (dots_per_inch / 0.0254).round() as u32;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_deflate_compression(png::DeflateCompression::Level(LEVEL));
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: dots_per_metre,
        yppu: dots_per_metre,
        unit: png::Unit::Meter,
    }));
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"72pt\" height=\"36pt\" viewBox=\"0 0 72 36\">\
        <path d=\"M0 0H72V36H0Z\" fill=\"#ff0000\"/></svg>";

    #[test]
    fn resolution_sets_the_number_of_pixels() {
        let picture = tiny_skia::Pixmap::decode_png(&png(SVG, 300.0).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (300, 150));
        let red = tiny_skia::PremultipliedColorU8::from_rgba(255, 0, 0, 255).unwrap();
        assert!(picture.pixels().iter().all(|&pixel| pixel == red));
    }

    #[test]
    fn files_tell_their_resolution_and_keep_what_shines_through() {
        let half = SVG.replace("fill=", "fill-opacity=\"0.5\" fill=");
        for (svg, color, pixel) in [
            (SVG, png::ColorType::Rgb, &[255, 0, 0][..]),
            (&half, png::ColorType::Rgba, &[255, 0, 0, 128]),
        ] {
            let file = png(svg, 300.0).unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
                .read_info()
                .unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            assert_eq!(reader.next_frame(&mut pixels).unwrap().color_type, color);
            assert_eq!(&pixels[..pixel.len()], pixel);
            // 300 dots per inch are 11,811 per metre.
            assert_eq!(reader.info().pixel_dims.unwrap().xppu, 11_811);
        }
    }

    #[test]
    fn pictures_without_pixels_or_with_too_many_are_refused() {
        for dots_per_inch in [0.0, -300.0, f64::NAN, f64::INFINITY, 1e7] {
            let result = png(SVG, dots_per_inch);
            assert!(
                matches!(result, Err(PngError::Size { .. })),
                "{dots_per_inch}"
            );
        }
    }
}
