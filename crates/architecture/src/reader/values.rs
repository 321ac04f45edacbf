//! Single values of a config, and the errors for them.

use std::path::Path;

use serde_json::Value;

use crate::error::ConfigError;

/// The one value that all `spellings` parse to, or `None` where there are none.
pub(super) fn agreed<'a, T: PartialEq>(
    spellings: impl IntoIterator<Item = (String, &'a Value)>,
    path: &Path,
    parse: impl Fn(&str, &'a Value) -> Result<T, ConfigError>,
) -> Result<Option<T>, ConfigError> {
    let mut first: Option<(T, String, &Value)> = None;
    for (key, value) in spellings {
        let parsed = parse(&key, value)?;
        match &first {
            None => first = Some((parsed, key, value)),
            Some((agreed, ..)) if *agreed == parsed => {}
            Some((_, first_key, first_value)) => {
                return Err(ConfigError::Disagreement {
                    path: path.into(),
                    key: first_key.clone(),
                    value: excerpt(first_value),
                    other_key: key,
                    other_value: excerpt(value),
                });
            }
        }
    }
    Ok(first.map(|(value, ..)| value))
}

/// A whole number from 1 to `cap`.
pub(super) fn whole(key: &str, value: &Value, cap: u64, path: &Path) -> Result<usize, ConfigError> {
    let expected = format!("a whole number from 1 to {cap}");
    let Value::Number(number) = value else {
        return Err(wrong_type(key, &expected, value, path));
    };
    // Integers beyond 64 bits arrive as floats.
    let is_whole = number.is_u64()
        || number.is_i64()
        || number
            .as_f64()
            .is_some_and(|float| float.abs() >= 2f64.powi(63));
    if !is_whole {
        return Err(wrong_type(key, &expected, value, path));
    }
    let in_range = number.as_u64().filter(|count| (1..=cap).contains(count));
    in_range
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| out_of_range(key, &expected, value, path))
}

/// A finite number that `accepts` takes.
pub(super) fn number(
    key: &str,
    value: &Value,
    expected: &str,
    path: &Path,
    accepts: impl Fn(f64) -> bool,
) -> Result<f64, ConfigError> {
    let number = value
        .as_f64()
        .ok_or_else(|| wrong_type(key, expected, value, path))?;
    if number.is_finite() && accepts(number) {
        Ok(number)
    } else {
        Err(out_of_range(key, expected, value, path))
    }
}

/// A JSON string.
pub(super) fn text<'a>(key: &str, value: &'a Value, path: &Path) -> Result<&'a str, ConfigError> {
    value
        .as_str()
        .ok_or_else(|| wrong_type(key, "a string", value, path))
}

pub(super) fn wrong_type(key: &str, expected: &str, found: &Value, path: &Path) -> ConfigError {
    ConfigError::WrongType {
        path: path.into(),
        key: key.into(),
        expected: expected.into(),
        found: excerpt(found),
    }
}

pub(super) fn out_of_range(key: &str, expected: &str, found: &Value, path: &Path) -> ConfigError {
    ConfigError::OutOfRange {
        path: path.into(),
        key: key.into(),
        expected: expected.into(),
        found: excerpt(found),
    }
}

/// The JSON text of a value, cut to a length that a message can hold.
pub(super) fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
