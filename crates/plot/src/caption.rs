//! The positions of a caption's lines.

use crate::page::{GAP, MARGIN};
use crate::svg::Position;
use crate::text::Font;

pub(crate) const CAPTION_SIZE: f64 = 6.5;
/// Distance of lines of the caption.
const CAPTION_PITCH: f64 = 8.5;

/// Places a caption below `top`, broken between words, with each paragraph on new lines; returns its lower end.
pub(crate) fn caption(
    caption: &str,
    font: &Font,
    width: f64,
    top: f64,
) -> (Vec<(Position, String)>, f64) {
    let room = width - 2.0 * MARGIN;
    let lines: Vec<String> = caption
        .lines()
        .flat_map(|paragraph| broken(paragraph, font, room))
        .collect();
    if lines.is_empty() {
        return (Vec::new(), top);
    }
    let first = top + 0.6 * GAP + CAPTION_SIZE;
    let placed = lines.into_iter().enumerate();
    let placed: Vec<(Position, String)> = placed
        .map(|(at, line)| ((MARGIN, first + at as f64 * CAPTION_PITCH), line))
        .collect();
    let bottom = first + placed.len() as f64 * CAPTION_PITCH - CAPTION_PITCH * 0.7;
    (placed, bottom)
}

/// A paragraph in lines that fit; a word longer than a line is cut.
fn broken(paragraph: &str, font: &Font, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if font.width(&longer, CAPTION_SIZE) <= room {
                *line = longer;
                continue;
            }
        }
        lines.push(font.fit(word, CAPTION_SIZE, room));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_fit() {
        let font = Font::carried();
        let text = "a caption of some words that does not fit into one line";
        let (placed, bottom) = caption(&format!("{text}\n\nand more"), &font, 120.0, 10.0);
        let all: Vec<&str> = placed.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(all.join(" "), format!("{text} and more"));
        assert!(
            all.len() > 2 && *all.last().unwrap() == "and more",
            "{all:?}"
        );
        let room = 120.0 - 2.0 * MARGIN;
        assert!(
            all.iter()
                .all(|line| font.width(line, CAPTION_SIZE) <= room)
        );
        assert!(placed.iter().all(|((_, y), _)| (10.0..=bottom).contains(y)));
        assert_eq!(caption("", &font, 120.0, 10.0), (Vec::new(), 10.0));
        let (cut, _) = caption(&"w".repeat(200), &font, 120.0, 0.0);
        assert!(cut.len() == 1 && cut[0].1.ends_with('…'));
    }
}
