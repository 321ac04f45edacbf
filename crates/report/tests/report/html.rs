//! An HTML reader that rejects every page that a browser would have to repair.

/// Elements without content.
const VOID: [&str; 6] = ["meta", "br", "img", "input", "link", "hr"];
/// Elements whose content is not markup.
const RAW: [&str; 2] = ["script", "style"];

/// A page as its elements and texts, in order.
pub(crate) struct Document {
    elements: Vec<Element>,
    texts: Vec<String>,
}

/// An element with its attributes.
pub(crate) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    pub(crate) fn value(&self, attribute: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(name, _)| name == attribute);
        found.next().map(|(_, value)| value.as_str())
    }
}

impl Document {
    /// Reads a page; panics if it is not well-formed.
    pub(crate) fn parse(page: &str) -> Self {
        let mut rest = page
            .strip_prefix("<!DOCTYPE html>")
            .expect("the page says that it is HTML");
        let mut elements = Vec::new();
        let mut texts = Vec::new();
        let mut open: Vec<String> = Vec::new();
        while let Some(start) = rest.find('<') {
            let text = &rest[..start];
            assert!(!text.contains('>'), "a bare > in {text:?}");
            if !text.trim().is_empty() {
                texts.push(unescaped(text));
            }
            rest = &rest[start + 1..];
            if let Some(after) = rest.strip_prefix('/') {
                let (name, after) = after.split_once('>').expect("an end tag ends");
                assert_eq!(open.pop().as_deref(), Some(name), "an end tag out of place");
                rest = after;
                continue;
            }
            let (element, closed, after) = start_tag(rest);
            rest = after;
            let name = element.name.clone();
            elements.push(element);
            if closed || VOID.contains(&name.as_str()) {
                continue;
            }
            if RAW.contains(&name.as_str()) {
                let end = rest
                    .find(&format!("</{name}>"))
                    .expect("a script or style ends");
                rest = &rest[end..];
            }
            open.push(name);
        }
        assert!(
            open.is_empty() && rest.trim().is_empty(),
            "left open: {open:?}, {rest:?}"
        );
        Self { elements, texts }
    }

    pub(crate) fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements
            .iter()
            .filter(move |element| element.name == name)
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.elements(name).count()
    }

    /// Values of an attribute, over all elements.
    pub(crate) fn values(&self, attribute: &str) -> Vec<&str> {
        self.elements
            .iter()
            .filter_map(|element| element.value(attribute))
            .collect()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }
}

/// The element of a start tag, whether it is closed at once, and the rest of the text.
fn start_tag(tag: &str) -> (Element, bool, &str) {
    let end = |c: char| c.is_whitespace() || c == '>' || c == '/';
    let (name, mut rest) = tag.split_at(tag.find(end).expect("a tag ends"));
    assert!(
        name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(),
        "a tag named {name:?}"
    );
    let mut attributes: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix("/>") {
            return (
                Element {
                    name: name.to_owned(),
                    attributes,
                },
                true,
                rest,
            );
        }
        if let Some(rest) = rest.strip_prefix('>') {
            return (
                Element {
                    name: name.to_owned(),
                    attributes,
                },
                false,
                rest,
            );
        }
        let length = rest
            .find(|c: char| end(c) || c == '=')
            .expect("an attribute ends");
        let (attribute, after) = rest.split_at(length);
        let plain = attribute
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-:".contains(c));
        assert!(
            plain && !attribute.is_empty(),
            "an attribute named {attribute:?} of {name}"
        );
        assert!(
            attributes.iter().all(|(other, _)| other != attribute),
            "{attribute} twice"
        );
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').expect("a value ends"),
            None => ("", after),
        };
        assert!(!value.contains('<'), "a bare < in {value:?}");
        attributes.push((attribute.to_owned(), unescaped(value)));
        rest = after;
    }
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').expect("a bare &");
        found.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            _ => panic!("unknown character &{name};"),
        });
        found.push_str(rest);
    }
    found
}
