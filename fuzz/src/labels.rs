//! Labels of tokens.

use super::{folder, message};
use layerwise::corpus::Labels;

/// Labels of the tokens of two sequences.
pub fn labels(bytes: &[u8]) {
    let folder = folder(&[("labels.jsonl", bytes)]);
    match Labels::read(&folder.path().join("labels.jsonl"), &[3, 4]) {
        Err(error) => drop(message(error)),
        Ok(labels) => {
            assert_eq!(labels.of_tokens().len(), 7);
            let all = labels.names().len();
            let mut indices = labels.of_tokens().iter().flatten();
            assert!(indices.all(|index| usize::from(*index) < all));
        }
    }
}

pub(super) fn labels_seeds() -> Vec<Vec<u8>> {
    vec![
        b"[\"noun\", null, \"verb\"]\n[\"noun\", \"verb\", \"noun\", \"\\u00e4\"]\n".to_vec(),
        b"\n[null, null, null]\n\n[null, null, null, \"a\"]".to_vec(),
    ]
}
