//! Prepares drawings to share one document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The glyph outlines, and the labels made of them, that the drawings of a page share.
///
/// Every drawing defines the glyphs that it uses, and writes out each of its labels. On a page, each glyph and each label is
/// defined once. This reduces a page of many drawings to a quarter of its size, and keeps ids unique in the document.
#[derive(Debug, Default)]
pub(crate) struct Glyphs {
    /// Name by outline.
    names: BTreeMap<String, String>,
    /// Name of a label by its group: text, colour, size and glyphs.
    labels: BTreeMap<String, String>,
}

impl Glyphs {
    /// `svg` as an element of a page: without the document's heading, with its glyphs among the shared ones, and without the
    /// title, which browsers would show over the values of marks.
    ///
    /// The drawing must come from [`layerwise_plot`]. Definitions in any other SVG document are left as they are.
    pub(crate) fn inline(&mut self, svg: &str) -> String {
        let svg = &svg[svg.find("<svg").unwrap_or(0)..];
        let svg = without(svg, "<title>", "</title>\n");
        let svg = without(&svg, "<desc>", "</desc>\n");
        let Some((heading, rest)) = svg.split_once("<defs>\n") else {
            return svg;
        };
        let Some((definitions, body)) = rest.split_once("</defs>\n") else {
            return svg;
        };
        let mut shared: BTreeMap<&str, String> = BTreeMap::new();
        for line in definitions.lines() {
            let Some((id, outline)) = glyph(line) else {
                return svg;
            };
            let next = format!("g{}", self.names.len());
            let name = self.names.entry(outline.to_owned()).or_insert(next);
            shared.insert(id, name.clone());
        }
        let mut inlined = heading.to_owned();
        let mut parts = body.split("<use xlink:href=\"#");
        inlined.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (id, rest) = part.split_once('"').unwrap_or((part, ""));
            let name = shared.get(id).map_or(id, String::as_str);
            write!(inlined, "<use href=\"#{name}\"{rest}")
                .expect("writing to a String does not fail");
        }
        inlined
            .split_inclusive('\n')
            .map(|line| self.label(line).unwrap_or_else(|| line.to_owned()))
            .collect()
    }

    /// A reference to the shared label, if the line is a label.
    fn label(&mut self, line: &str) -> Option<String> {
        let group = line.strip_suffix("</g>\n")?;
        let (text, rest) = group
            .strip_prefix("<g aria-label=")?
            .split_once("transform=\"translate(")?;
        let (place, rest) = rest.split_once(')')?;
        let (turn, rest) = rest.split_once(" scale(")?;
        let (_, uses) = rest.split_once("><use ")?;
        if uses.contains("<g") {
            return None;
        }
        let next = format!("t{}", self.labels.len());
        let label = format!("aria-label={text}transform=\"scale({rest}</g>");
        let name = self.labels.entry(label).or_insert(next);
        let (x, y) = place.split_once(' ')?;
        Some(match turn {
            "" => format!("<use href=\"#{name}\" x=\"{x}\" y=\"{y}\"/>\n"),
            _ => format!("<use href=\"#{name}\" transform=\"translate({place}){turn}\"/>\n"),
        })
    }

    /// An element that defines the shared glyphs and is invisible.
    pub(crate) fn definitions(&self) -> String {
        let mut definitions: Vec<String> = self
            .names
            .iter()
            .map(|(outline, name)| format!("<path id=\"{name}\" d=\"{outline}\"/>\n"))
            .collect();
        let labels = self.labels.iter();
        definitions.extend(labels.map(|(label, name)| format!("<g id=\"{name}\" {label}\n")));
        definitions.sort();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"0\" height=\"0\" class=\"glyphs\" aria-hidden=\"true\">\
             <defs>\n{}</defs></svg>",
            definitions.concat()
        )
    }
}

/// Name and outline of a glyph's definition.
fn glyph(line: &str) -> Option<(&str, &str)> {
    let (id, outline) = line
        .strip_prefix("<path id=\"")?
        .strip_suffix("\"/>")?
        .split_once("\" d=\"")?;
    (!id.contains('"') && !outline.contains('"')).then_some((id, outline))
}

/// `text` without the first part from `start` to `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let found = text.find(start).and_then(|from| {
        let length = text[from..].find(end)? + end.len();
        Some((from, from + length))
    });
    match found {
        Some((from, to)) => [&text[..from], &text[to..]].concat(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(glyphs: &[(&str, &str)], body: &str) -> String {
        let glyphs: String = glyphs
            .iter()
            .map(|(id, outline)| format!("<path id=\"{id}\" d=\"{outline}\"/>\n"))
            .collect();
        format!(
            "<?xml version=\"1.0\"?>\n<svg viewBox=\"0 0 1 1\">\n<title>T &lt;defs&gt;</title>\n<desc>D</desc>\n\
             <defs>\n{glyphs}</defs>\n{body}</svg>\n"
        )
    }

    #[test]
    fn glyphs_are_shared_by_outline() {
        let mut glyphs = Glyphs::default();
        let text =
            "<g><use xlink:href=\"#glyph-1\" x=\"0\"/><use xlink:href=\"#glyph-2\" x=\"5\"/></g>\n";
        let first = glyphs.inline(&drawing(&[("glyph-1", "M1"), ("glyph-2", "M2")], text));
        assert_eq!(
            first,
            "<svg viewBox=\"0 0 1 1\">\n<g><use href=\"#g0\" x=\"0\"/><use href=\"#g1\" x=\"5\"/></g>\n</svg>\n"
        );
        // Another font: the names are taken, but some outlines are new.
        let second = glyphs.inline(&drawing(&[("glyph-1", "M3"), ("glyph-2", "M1")], text));
        assert!(second.contains("<use href=\"#g2\" x=\"0\"/><use href=\"#g0\" x=\"5\"/>"));
        let definitions = glyphs.definitions();
        for (name, outline) in [("g0", "M1"), ("g1", "M2"), ("g2", "M3")] {
            let definition = format!("<path id=\"{name}\" d=\"{outline}\"/>");
            assert_eq!(definitions.matches(&definition).count(), 1, "{name}");
        }
    }

    #[test]
    fn labels_are_shared_by_text_colour_and_size() {
        let mut glyphs = Glyphs::default();
        let label = |place: &str, size: &str| {
            format!(
                "<g aria-label=\"1\" fill=\"#222222\" transform=\"translate({place} scale({size} -{size})\">\
                 <use xlink:href=\"#glyph-1\" x=\"-2\"/></g>\n"
            )
        };
        let body = [
            label("3 4)", "0.5"),
            label("7 8) rotate(-90)", "0.5"),
            label("3 4)", "0.25"),
            "<g aria-label=\"\" fill=\"#222222\" transform=\"translate(1 2) scale(1 -1)\"></g>\n"
                .to_owned(),
        ];
        let inlined = glyphs.inline(&drawing(&[("glyph-1", "M1")], &body.concat()));
        let expected = [
            "<svg viewBox=\"0 0 1 1\">",
            "<use href=\"#t0\" x=\"3\" y=\"4\"/>",
            "<use href=\"#t0\" transform=\"translate(7 8) rotate(-90)\"/>",
            "<use href=\"#t1\" x=\"3\" y=\"4\"/>",
            body[3].trim_end(),
            "</svg>",
            "",
        ];
        assert_eq!(inlined.lines().chain([""]).collect::<Vec<_>>(), expected);
        let definition = "<g id=\"t0\" aria-label=\"1\" fill=\"#222222\" transform=\"scale(0.5 -0.5)\">\
            <use href=\"#g0\" x=\"-2\"/></g>\n";
        assert!(
            glyphs.definitions().contains(definition),
            "{}",
            glyphs.definitions()
        );
    }

    #[test]
    fn other_documents_are_left_as_they_are() {
        let check = |svg: &str, expected: &str| assert_eq!(Glyphs::default().inline(svg), expected);
        check("", "");
        check("<svg></svg>", "<svg></svg>");
        check(
            "<svg><defs>\n<g id=\"a\"/>\n</defs>\n<use xlink:href=\"#a\"/></svg>",
            "<svg><defs>\n<g id=\"a\"/>\n</defs>\n<use xlink:href=\"#a\"/></svg>",
        );
    }
}
