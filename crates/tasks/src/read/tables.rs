//! Data sets in columns: MMLU (`.csv`) and SST-2 (`.tsv`).

use super::{Fault, NO_CHOICE, TextFile, checked};
use crate::error::TaskError;
use crate::task::Item;
use std::path::Path;

/// The letters of options.
const LETTERS: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];

/// Refuses choices for which there are too few letters.
pub(super) fn check_letters(choices: &[String]) -> Result<(), Fault> {
    match choices.len() {
        0..=8 => Ok(()),
        found => Err(Fault::field("choices", "at most 8", found.to_string())),
    }
}

/// A question with at most eight lettered options; the letter is scored.
pub(crate) fn lettered(question: &str, options: &[String]) -> Item {
    let mut prompt = question.trim().to_owned();
    let letters = LETTERS.iter().zip(options);
    for (letter, option) in letters.clone() {
        prompt.push_str(&format!("\n{letter}. {option}"));
    }
    prompt.push_str("\nAnswer:");
    Item::new(prompt, letters.map(|(letter, _)| letter))
}

/// An answer as an index or a letter.
pub(super) fn letter_or_index(text: &str) -> usize {
    let text = text.trim();
    let letter = LETTERS.iter().position(|letter| *letter == text);
    letter.or_else(|| text.parse().ok()).unwrap_or(NO_CHOICE)
}

/// One subject of MMLU: with the columns question, choice0 to choice3 and answer (an index); or as published, without column
/// names and with a letter as answer.
pub(crate) fn mmlu(file: &TextFile, subject: &str) -> Result<Vec<Item>, TaskError> {
    const EXPECTED: &str = "a question, four choices and the answer";
    let rows = rows(file, b',', EXPECTED)?;
    let mut items = Vec::new();
    for (line, row) in rows {
        let item = match row.as_slice() {
            [question, choices @ .., answer] if choices.len() == 4 => {
                if items.is_empty() && question == "question" && answer == "answer" {
                    continue;
                }
                checked(
                    lettered(question, choices)
                        .about(subject)
                        .answered(letter_or_index(answer)),
                )
            }
            other => Err(Fault::Form(format!("{} columns", other.len()))),
        };
        items.push(item.map_err(|fault| fault.at(&file.path, line, EXPECTED))?);
    }
    not_empty(items, &file.path, EXPECTED)
}

/// SST-2: a sentence and its label, 0 for negative, with or without column names; or the hub's `.jsonl`.
pub(crate) fn sst2(file: &TextFile, one_token: bool) -> Result<Vec<Item>, TaskError> {
    const EXPECTED: &str = "a sentence and its label, 0 or 1";
    let item = |sentence: &str, label: usize| {
        let prompt = match one_token {
            true => format!("Q: {}\nA:", sentence.trim()),
            // The hub's sentences end with a space, which the harness keeps.
            false => {
                format!("{sentence}\nQuestion: Is this sentence positive or negative?\nAnswer:")
            }
        };
        checked(Item::new(prompt, ["negative", "positive"]).answered(label))
    };
    let extension = file.path.extension();
    if extension.is_some_and(|extension| extension == "jsonl") {
        return super::items(file, EXPECTED, |line| {
            let sentence = line.get("sentence").and_then(|text| text.as_str());
            let label = line.get("label").map_or(NO_CHOICE, super::index_of);
            let sentence = sentence.ok_or_else(|| Fault::Form("no sentence".to_owned()))?;
            item(sentence, label)
        });
    }
    let mut items = Vec::new();
    for (line, row) in rows(file, b'\t', EXPECTED)? {
        let [sentence, label] = row.as_slice() else {
            let fault = Fault::Form(format!("{} columns", row.len()));
            return Err(fault.at(&file.path, line, EXPECTED));
        };
        if items.is_empty() && (sentence == "sentence" && label == "label") {
            continue;
        }
        let label = label.trim().parse().unwrap_or(NO_CHOICE);
        items.push(item(sentence, label).map_err(|fault| fault.at(&file.path, line, EXPECTED))?);
    }
    not_empty(items, &file.path, EXPECTED)
}

/// The rows of a file, with the lines at which they begin; columns are separated by tabs, without quotes.
fn rows(
    TextFile { path, text }: &TextFile,
    delimiter: u8,
    expected: &'static str,
) -> Result<Vec<(usize, Vec<String>)>, TaskError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(1, |at| at.line() as usize);
            Fault::Form(error.to_string()).at(path, line, expected)
        })?;
        let line = row.position().map_or(1, |at| at.line() as usize);
        rows.push((line, row.iter().map(str::to_owned).collect()));
    }
    Ok(rows)
}

fn not_empty(
    items: Vec<Item>,
    path: &Path,
    expected: &'static str,
) -> Result<Vec<Item>, TaskError> {
    match items.is_empty() {
        true => Err(TaskError::Empty {
            path: path.to_owned(),
            expected,
        }),
        false => Ok(items),
    }
}
