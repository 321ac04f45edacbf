//! Readers of data set files.

mod published;
mod tables;

pub(crate) use published::{arc, boolq, hellaswag, lambada, mmlu_lines, piqa, winogrande};
pub(crate) use tables::{lettered, mmlu, sst2};

use crate::error::TaskError;
use crate::task::{Item, Task};
use layerwise_corpus as corpus;
use layerwise_sweep::Rule;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The text before the shots of MMLU.
pub(crate) const MMLU_HEADER: &str =
    "The following are multiple choice questions (with answers) about {subject}.\n\n";

/// The text of a file.
pub(crate) struct TextFile {
    pub(crate) path: PathBuf,
    text: String,
}

impl TextFile {
    /// A file of a folder, which no link may lead out of.
    pub(crate) fn of_folder(folder: &Path, path: PathBuf) -> Result<Self, TaskError> {
        let text = corpus::read_text_in(folder, &path)?;
        Ok(Self { path, text })
    }

    /// Its lines that are not empty.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim().is_empty())
    }
}

/// Makes an item from each non-empty line of a `.jsonl` file, with line numbers from 1; there must be at least one.
fn items(
    TextFile { path, text }: &TextFile,
    expected: &'static str,
    mut item: impl FnMut(Value) -> Result<Item, Fault>,
) -> Result<Vec<Item>, TaskError> {
    if text.trim_start().starts_with('[') {
        return Err(TaskError::Form {
            path: path.to_owned(),
            line: 1,
            expected,
            found: "an array of them; write each on a separate line".to_owned(),
        });
    }
    let mut items = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let line_number = index + 1;
        let form = |error: serde_json::Error| TaskError::Form {
            path: path.to_owned(),
            line: line_number,
            expected,
            found: corpus::error_in_line(&error),
        };
        let value: Value = corpus::json_line(line).map_err(form)?;
        let item = item(value)
            .and_then(checked)
            .map_err(|fault| fault.at(path, line_number, expected))?;
        items.push(item);
    }
    if items.is_empty() {
        return Err(TaskError::Empty {
            path: path.to_owned(),
            expected,
        });
    }
    Ok(items)
}

/// What is wrong with a line.
#[derive(Debug)]
enum Fault {
    Form(String),
    Field(&'static str, String, String),
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Form(error.to_string())
    }
}

impl Fault {
    fn field(field: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Field(field, expected.into(), found.into())
    }

    fn at(self, path: &Path, line: usize, expected: &'static str) -> TaskError {
        let path = path.to_owned();
        match self {
            Self::Form(found) => TaskError::Form {
                path,
                line,
                expected,
                found,
            },
            Self::Field(field, expected, found) => TaskError::Field {
                path,
                line,
                field,
                expected,
                found,
            },
        }
    }
}

/// An index that is not a choice, so that an answer that names no choice is refused as such.
const NO_CHOICE: usize = usize::MAX;

/// Returns the item, or the fault of one of its parts.
fn checked(item: Item) -> Result<Item, Fault> {
    let options = item.options.len();
    if item.prompt.trim().is_empty() && item.options.iter().any(|o| o.given.trim().is_empty()) {
        return Err(Fault::field("prompt", "text", format!("{:?}", item.prompt)));
    }
    if options == 0 {
        return Err(Fault::field("options", "at least one", "none"));
    }
    if item
        .options
        .iter()
        .any(|option| option.scored.trim().is_empty())
    {
        return Err(Fault::field("options", "text in each", "an empty one"));
    }
    match item.answer {
        Some(NO_CHOICE) => Err(Fault::field(
            "answer",
            format!("one of the {options} options"),
            "the answer of no choice",
        )),
        Some(answer) if answer >= options => Err(Fault::field(
            "answer",
            format!("an index below {options}"),
            answer.to_string(),
        )),
        _ => Ok(item),
    }
}

/// Returns the item, unless it has fewer than two options.
fn of_choice(item: Item) -> Result<Item, Fault> {
    match item.options.len() {
        0 | 1 => Err(Fault::field(
            "options",
            "at least 2",
            item.options.len().to_string(),
        )),
        _ => Ok(item),
    }
}

/// An index given as a number or in digits.
fn index_of(value: &Value) -> usize {
    let found = match value {
        Value::String(digits) => digits.trim().parse().ok(),
        Value::Bool(is) => Some(usize::from(*is)),
        other => other.as_u64().and_then(|index| usize::try_from(index).ok()),
    };
    found.unwrap_or(NO_CHOICE)
}

/// A line of the user's own file.
#[derive(Deserialize)]
struct Own {
    #[serde(alias = "query", alias = "context")]
    prompt: String,
    #[serde(alias = "choices")]
    options: Vec<String>,
    #[serde(default, alias = "answer")]
    gold: Option<Value>,
    #[serde(default)]
    subject: String,
}

/// Reads the user's own task: a `.jsonl` file whose lines are objects with `prompt`, `options`, optionally `gold`, the index of
/// the right option, and optionally `subject`. A space and an option follow the prompt.
///
/// # Errors
/// The file is missing or not text, or a line has another form; the error names it.
///
/// ```
/// use layerwise_tasks::read_own;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("colours.jsonl");
/// std::fs::write(&path, r#"{"prompt": "The sky is", "options": ["blue", "green"], "gold": 0}"#)?;
/// let task = read_own(&path, 100)?;
/// assert_eq!((task.name.as_str(), task.items[0].answer), ("colours", Some(0)));
/// assert_eq!(task.items[0].options[1].scored, " green");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_own(path: &Path, most: usize) -> Result<Task, TaskError> {
    const EXPECTED: &str = "an object with the string prompt, the array of strings options and, optionally, the number gold";
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut task = Task::new(name, Rule::Choice);
    let file = TextFile {
        path: path.to_owned(),
        text: corpus::read_text(path)?,
    };
    task.items = items(&file, EXPECTED, |line| {
        let own: Own = serde_json::from_value(line)?;
        let options = own.options.len();
        let mut item = of_choice(Item::new(own.prompt, own.options).about(own.subject))?;
        if let Some(gold) = own.gold.filter(|gold| !gold.is_null()) {
            let answer = index_of(&gold);
            if answer >= options {
                let expected = format!("an index below {options}");
                return Err(Fault::field("gold", expected, gold.to_string()));
            }
            item.answer = Some(answer);
        }
        Ok(item)
    })?;
    task.items.truncate(most);
    task.files = vec![file.path];
    Ok(task)
}
