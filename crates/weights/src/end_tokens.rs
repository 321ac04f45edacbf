//! The tokens that end a text, according to a checkpoint folder.

use crate::MAX_CONFIG_BYTES;
use crate::error::WeightsError;
use crate::json::{read_object, unexpected};
use layerwise_files::Folder;
use serde_json::Value;

/// The tokens that end a text: `eos_token_id` of `generation_config.json`, or else of `config.json`; none if both lack it, or if
/// it is −1.
///
/// # Errors
/// A file cannot be read, or the value is not an id, a list of ids or null.
///
/// ```
/// use layerwise_weights::{Folder, Links, end_tokens};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.json"), r#"{"eos_token_id": 2}"#)?;
/// std::fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [2, 7]}"#)?;
/// assert_eq!(end_tokens(&Folder::open(folder.path(), Links::Refuse)?)?, [2, 7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn end_tokens(folder: &Folder) -> Result<Vec<u32>, WeightsError> {
    for name in ["generation_config.json", "config.json"] {
        if !folder.has(name)? {
            continue;
        }
        let file = folder.file(name, "the end tokens of the model")?;
        let config = read_object(&file, "config", MAX_CONFIG_BYTES)?;
        let ids = match config.get("eos_token_id") {
            None | Some(Value::Null) => continue,
            Some(Value::Array(ids)) => ids.as_slice(),
            Some(id) => std::slice::from_ref(id),
        };
        // Some configs say −1 for none.
        let ids = ids.iter().filter(|id| id.as_i64() != Some(-1));
        let id = |id: &Value| {
            let found = id.as_u64().and_then(|id| u32::try_from(id).ok());
            found.ok_or_else(|| unexpected(file.path(), "`eos_token_id`", "a token id", id))
        };
        return ids.map(id).collect();
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_files::Links;

    #[test]
    fn the_generation_config_speaks_before_the_config() {
        let check = |generation: Option<&str>, config: &str, expected: Result<&[u32], &str>| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            if let Some(text) = generation {
                std::fs::write(folder.path().join("generation_config.json"), text).unwrap();
            }
            let found = end_tokens(&Folder::open(folder.path(), Links::Refuse).unwrap());
            match expected {
                Ok(ids) => assert_eq!(found.unwrap(), ids, "{generation:?} {config}"),
                Err(says) => {
                    let said = found.unwrap_err().to_string();
                    assert!(said.contains(says), "{said}");
                }
            }
        };
        let seven = r#"{"eos_token_id": 7}"#;
        check(None, seven, Ok(&[7]));
        check(None, "{}", Ok(&[]));
        check(Some(r#"{"eos_token_id": [3, 5]}"#), seven, Ok(&[3, 5]));
        check(Some(r#"{"eos_token_id": null}"#), seven, Ok(&[7]));
        check(Some("{}"), seven, Ok(&[7]));
        check(Some(r#"{"eos_token_id": -1}"#), seven, Ok(&[]));
        for (id, says) in [
            (
                "-2",
                "generation_config.json: `eos_token_id`: expected a token id, found -2",
            ),
            ("4294967296", "expected a token id, found 4294967296"),
            ("[1, \"a\"]", "expected a token id, found \"a\""),
            ("{}", "expected a token id, found an object"),
            ("1, \"eos_token_id\": 2", "eos_token_id"),
        ] {
            check(
                Some(&format!("{{\"eos_token_id\": {id}}}")),
                seven,
                Err(says),
            );
        }
        check(
            Some(""),
            seven,
            Err("generation_config.json: expected a JSON object"),
        );
    }
}
