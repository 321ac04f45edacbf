//! A user's labels for the tokens of a corpus.

use crate::file::{document_text, open, read_all_text};
use crate::text::{MAX_DOCUMENT, error_in_line, json_line};
use crate::{CorpusError, Place};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest number of distinct labels.
const MOST_LABELS: usize = 1000;
/// The longest label, in bytes.
const LONGEST_LABEL: usize = 100;

/// Labels of the tokens of all sequences, one sequence after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    of_tokens: Vec<Option<u16>>,
}

impl Labels {
    /// Reads a file with a line for each sequence: a JSON array with a label, or null, for each token of the sequence. `tokens`
    /// holds the number of tokens of each sequence.
    ///
    /// ```text
    /// [null, "noun", "verb", "noun"]
    /// ```
    ///
    /// # Errors
    ///
    /// The file cannot be read or is larger than 256 MiB; a line is not such an array, or its number of labels is not the number
    /// of tokens of its sequence; the numbers of lines and sequences differ; a label has more than 100 bytes; there are more than
    /// 1000 distinct labels, or none at all.
    pub fn read(path: &Path, tokens: &[usize]) -> Result<Self, CorpusError> {
        let bytes = read_all_text(open(path)?, MAX_DOCUMENT)?;
        let text = document_text(path, &bytes)?;
        let refuse = |line: usize, expected: String, found: String| CorpusError::Labels {
            path: path.to_owned(),
            place: Place::Line(line),
            expected,
            found,
        };
        let mut labels = Self::default();
        let mut known = BTreeMap::new();
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let mut lines = lines.filter(|(_, line)| !line.trim().is_empty());
        let mut last = 0;
        for (sequence, expected) in tokens.iter().enumerate() {
            let Some((number, line)) = lines.next() else {
                let expected = format!("a line for each of {} sequences", tokens.len());
                return Err(refuse(last + 1, expected, format!("{sequence} lines")));
            };
            last = number;
            let own: Vec<Option<String>> = json_line(line).map_err(|error| {
                let expected = "a JSON array of labels, each a string or null".to_owned();
                refuse(number, expected, format!("{:.200}", error_in_line(&error)))
            })?;
            if own.len() != *expected {
                let expected = format!("{expected} labels, one for each token of the sequence");
                return Err(refuse(number, expected, own.len().to_string()));
            }
            for label in own {
                let Some(label) = label else {
                    labels.of_tokens.push(None);
                    continue;
                };
                if label.is_empty() || label.len() > LONGEST_LABEL {
                    let expected = format!("labels of 1 to {LONGEST_LABEL} bytes");
                    return Err(refuse(number, expected, format!("one of {}", label.len())));
                }
                let index = known.get(&label).copied().unwrap_or(labels.names.len());
                if index == MOST_LABELS {
                    let expected = format!("at most {MOST_LABELS} different labels");
                    return Err(refuse(number, expected, format!("another, {label:?}")));
                }
                if index == labels.names.len() {
                    known.insert(label.clone(), index);
                    labels.names.push(label);
                }
                labels.of_tokens.push(u16::try_from(index).ok());
            }
        }
        if let Some((number, _)) = lines.next() {
            let expected = format!("a line for each of {} sequences", tokens.len());
            return Err(refuse(number, expected, "one line more".to_owned()));
        }
        if labels.names.is_empty() {
            let expected = "a label of some token".to_owned();
            return Err(refuse(last, expected, "none".to_owned()));
        }
        Ok(labels)
    }

    /// The labels, in the order of their first occurrence.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// For each token of all sequences, the index of its label, if it has one.
    pub fn of_tokens(&self) -> &[Option<u16>] {
        &self.of_tokens
    }
}
