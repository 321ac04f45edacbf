//! JSON before it is read: what Python writes although JSON lacks it, and how much there is.

use std::borrow::Cow;
use std::ops::Range;

/// The places of `NaN`, `Infinity` and `-Infinity` in a JSON text, in bytes, in order. Those inside of its strings do not count.
///
/// ```
/// let json = r#"{"NaN": NaN, "low": -Infinity}"#;
/// let found: Vec<&str> = layerwise_files::python_numbers(json).map(|place| &json[place]).collect();
/// assert_eq!(found, ["NaN", "-Infinity"]);
/// ```
pub fn python_numbers(json: &str) -> impl Iterator<Item = Range<usize>> {
    const NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let bytes = json.as_bytes();
    let (mut at, mut in_text) = (0, false);
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if in_text => at += 1,
                b'"' => in_text = !in_text,
                b'-' | b'I' | b'N' if !in_text => {
                    let rest = &bytes[at..];
                    let number = NUMBERS
                        .iter()
                        .find(|number| rest.starts_with(number.as_bytes()));
                    if let Some(number) = number {
                        let place = at..at + number.len();
                        at = place.end;
                        return Some(place);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    })
}

/// The largest number of values that a JSON text can have, objects and arrays included: each but the first follows a comma or an
/// opening bracket. Those inside of its strings do not count.
///
/// ```
/// assert_eq!(layerwise_files::json_values(r#"{"a,b": [1, 2], "c": {}}"#), 6);
/// ```
pub fn json_values(json: &str) -> usize {
    let (mut values, mut in_text, mut is_escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

/// A JSON text with null in place of infinities, and 0.0 in place of NaN, which is shorter than null. The length stays.
///
/// It is for texts of which nothing reads these numbers.
///
/// ```
/// let json = r#"{"a": NaN, "b": Infinity}"#;
/// assert_eq!(layerwise_files::with_null_for_nan(json), r#"{"a": 0.0, "b": null    }"#);
/// ```
pub fn with_null_for_nan(json: &str) -> Cow<'_, str> {
    let (mut changed, mut copied) = (String::new(), 0);
    for place in python_numbers(json) {
        changed.push_str(&json[copied..place.start]);
        changed.push_str(match &json[place.clone()] {
            "NaN" => "0.0",
            "Infinity" => "null    ",
            _ => "null     ",
        });
        copied = place.end;
    }
    match copied {
        0 => Cow::Borrowed(json),
        _ => Cow::Owned(changed + &json[copied..]),
    }
}
