//! Benchmark items: the three tasks of the paper from files, and stand-ins made from the embedded text.
//!
//! Prompts are those of lm-evaluation-harness (paper B.4): LAMBADA as it stands, ARC-easy as `{question}\nAnswer:`,
//! HellaSwag as preprocessed in its file; zero-shot, and the continuation begins with a space. The harness gives the last,
//! unfinished sentence of a HellaSwag prompt a capital, which files in circulation may lack; nothing is changed here.
//!
//! Where no folder of benchmarks is given, two stand-ins in the same forms are made from the embedded text of the public
//! domain, so that the figure can be drawn without any download. They are no benchmarks that anyone else uses:
//!
//! - `standin-cloze`, in LAMBADA's form: the last word of a passage of 41 words, a plain word of four letters or more that
//!   occurs earlier in the passage.
//! - `standin-continuation`, in HellaSwag's form: which of four passages of 8 words follows 16 words; one does, the others
//!   stand at the same place of three other documents.

use crate::core::data::{Limit, Source};
use crate::core::error::{ExperimentError, Place};
use layerwise_corpus as corpus;
use layerwise_sweep::Rule;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A context and its continuations, each with the space that it begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is given.
    pub context: String,
    /// What may follow.
    pub continuations: Vec<String>,
    /// Index of the right continuation.
    pub gold: usize,
}

/// Items of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The harness's name of it, or the stand-in's.
    pub name: &'static str,
    /// How its items are judged.
    pub rule: Rule,
    /// Its items, in their order.
    pub items: Vec<Item>,
}

/// The tasks of the paper, or the stand-ins.
pub(crate) static SOURCE: Source = Source {
    option: "benchmarks",
    help: "A folder with lambada_openai.jsonl, arc_easy.jsonl and hellaswag.jsonl in the form of llm-foundry, or as published: lambada_test.jsonl of OpenAI, ARC-Easy-Test.jsonl, hellaswag_val.jsonl [default: stand-ins from the embedded text]",
    title: "Benchmark items",
    limit: Limit {
        option: "items",
        help: "Take the first N items of each benchmark task [default: 100]",
        least: 1,
        default: Some(100),
    },
    read: |folder, most, data| {
        data.insert(from_folder(folder, most.unwrap_or(usize::MAX))?);
        Ok(())
    },
    stand_in: |documents, most, data| {
        data.insert(standins(documents, most.unwrap_or(usize::MAX)));
    },
};

/// A line of `lambada_openai.jsonl`.
#[derive(Deserialize)]
struct Passage {
    context: String,
    continuation: String,
}

/// A line of `arc_easy.jsonl` or `hellaswag.jsonl`.
#[derive(Deserialize)]
struct Question {
    query: String,
    choices: Vec<String>,
    gold: usize,
}

/// A question with the key of its answer, as the Allen Institute publishes ARC.
#[derive(Deserialize)]
struct Keyed {
    question: Stem,
    choices: Option<Labelled>,
    #[serde(rename = "answerKey")]
    answer_key: String,
}

/// The question itself, which holds its choices in the original files.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stem {
    Original { stem: String, choices: Vec<Choice> },
    Text(String),
}

#[derive(Deserialize)]
struct Choice {
    text: String,
    label: String,
}

/// Choices as the hub's copy keeps them.
#[derive(Deserialize)]
struct Labelled {
    text: Vec<String>,
    label: Vec<String>,
}

/// A context with its endings, as the authors of HellaSwag publish it.
#[derive(Deserialize)]
struct Endings {
    activity_label: String,
    ctx_a: String,
    ctx_b: String,
    endings: Vec<String>,
    label: Value,
}

impl Passage {
    /// From either form: OpenAI's has the whole text, whose last word is the continuation.
    fn read(line: Value) -> Result<Self, serde_json::Error> {
        let whole = line.get("text").and_then(Value::as_str);
        match whole.map(|text| text.trim_end().rsplit_once(' ')) {
            Some(parts) if line.get("context").is_none() => {
                let (context, last) = parts.unwrap_or_default();
                Ok(Self {
                    context: context.to_owned(),
                    continuation: last.to_owned(),
                })
            }
            _ => serde_json::from_value(line),
        }
    }
}

impl Question {
    /// From llm-foundry's form, or from that of the data set's authors, made into a prompt as lm-evaluation-harness does.
    fn read(line: Value) -> Result<Self, serde_json::Error> {
        if line.get("answerKey").is_some() {
            return serde_json::from_value(line).map(Keyed::prompt);
        }
        if line.get("endings").is_some() {
            return serde_json::from_value(line).map(Endings::prompt);
        }
        serde_json::from_value(line)
    }
    /// The first field that cannot be, and why.
    fn fault(&self) -> Option<(&'static str, ExperimentError)> {
        let (choices, gold) = (self.choices.len(), self.gold);
        let (field, expected, found) = if self.query.trim().is_empty() {
            ("query", "text".to_owned(), format!("{:?}", self.query))
        } else if choices < 2 {
            ("choices", "at least 2".to_owned(), choices.to_string())
        } else if self.choices.iter().any(|choice| choice.trim().is_empty()) {
            (
                "choices",
                "text in each".to_owned(),
                "an empty one".to_owned(),
            )
        } else if gold >= choices {
            (
                "gold",
                format!("an index below {choices}"),
                match gold {
                    NO_CHOICE => "the answer of no choice".to_owned(),
                    gold => gold.to_string(),
                },
            )
        } else {
            return None;
        };
        Some((field, ExperimentError::unexpected(expected, found)))
    }
}

/// An index that is no choice, so that an answer that names none is refused as such.
const NO_CHOICE: usize = usize::MAX;

impl Keyed {
    fn prompt(self) -> Question {
        let (stem, choices) = match (self.question, self.choices) {
            (Stem::Original { stem, choices }, _) => (stem, choices),
            (Stem::Text(stem), None) => (stem, Vec::new()),
            (Stem::Text(stem), Some(Labelled { text, label })) => {
                let choices = text.into_iter().zip(label);
                (
                    stem,
                    choices
                        .map(|(text, label)| Choice { text, label })
                        .collect(),
                )
            }
        };
        let gold = choices
            .iter()
            .position(|choice| choice.label == self.answer_key);
        Question {
            query: format!("Question: {stem}"),
            choices: choices.into_iter().map(|choice| choice.text).collect(),
            gold: gold.unwrap_or(NO_CHOICE),
        }
    }
}

impl Endings {
    fn prompt(self) -> Question {
        let mut letters = self.ctx_b.chars();
        // As Python's `capitalize`: the first letter a capital, the others small.
        let capital = match letters.next() {
            Some(first) => first
                .to_uppercase()
                .chain(letters.flat_map(char::to_lowercase))
                .collect(),
            None => String::new(),
        };
        let query = format!("{}: {} {capital}", self.activity_label, self.ctx_a);
        let gold = match &self.label {
            Value::String(digits) => digits.parse().ok(),
            label => label.as_u64().and_then(|label| usize::try_from(label).ok()),
        };
        Question {
            query: without_markup(&query),
            choices: self
                .endings
                .iter()
                .map(|ending| without_markup(ending))
                .collect(),
            gold: gold.unwrap_or(NO_CHOICE),
        }
    }
}

/// Text of WikiHow without what stands in brackets, as lm-evaluation-harness cleans it.
fn without_markup(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        let Some((_, after)) = after.split_once(']') else {
            break;
        };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept.replace("  ", " ")
}

/// The first name of a folder's file that is there, or the first of all.
fn first_file(folder: &Path, names: &[&str]) -> PathBuf {
    let mut paths = names.iter().map(|name| folder.join(name));
    let found = paths.clone().find(|path| path.is_file());
    found.or_else(|| paths.next()).unwrap_or_default()
}

/// The first `most` items of each of the paper's tasks, from a folder with `lambada_openai.jsonl`, `arc_easy.jsonl` and
/// `hellaswag.jsonl` in llm-foundry's form, or, in these files or under their own names (`lambada_test.jsonl`,
/// `ARC-Easy-Test.jsonl`, `hellaswag_val.jsonl`), in those of OpenAI, the Allen Institute and HellaSwag's authors.
///
/// # Errors
/// A file that is missing or not text, or a line in another form, which is named.
pub fn from_folder(folder: &Path, most: usize) -> Result<Vec<Task>, ExperimentError> {
    Ok(vec![
        Task {
            name: "lambada_openai",
            rule: Rule::Greedy,
            items: passages(
                &first_file(folder, &["lambada_openai.jsonl", "lambada_test.jsonl"]),
                most,
            )?,
        },
        Task {
            name: "arc_easy",
            rule: Rule::Choice,
            items: questions(
                &first_file(folder, &["arc_easy.jsonl", "ARC-Easy-Test.jsonl"]),
                "\nAnswer:",
                most,
            )?,
        },
        Task {
            name: "hellaswag",
            rule: Rule::Choice,
            items: questions(
                &first_file(folder, &["hellaswag.jsonl", "hellaswag_val.jsonl"]),
                "",
                most,
            )?,
        },
    ])
}

fn passages(path: &Path, most: usize) -> Result<Vec<Item>, ExperimentError> {
    let expected = "an object with the strings context and continuation, or with the string text";
    let mut items = Vec::new();
    for (line, value) in lines(path, expected)? {
        let passage = Passage::read(value)
            .at(|| format!("{}: line {line}: expected {expected}", path.display()))?;
        for (field, text) in [
            ("context", &passage.context),
            ("continuation", &passage.continuation),
        ] {
            if text.trim().is_empty() {
                let fault = ExperimentError::unexpected("text", format!("{text:?}"));
                return Err(fault).at(|| format!("{}: line {line}: {field}", path.display()));
            }
        }
        items.push(Item {
            context: passage.context,
            continuations: vec![format!(" {}", passage.continuation)],
            gold: 0,
        });
    }
    items.truncate(most);
    Ok(items)
}

fn questions(path: &Path, after: &str, most: usize) -> Result<Vec<Item>, ExperimentError> {
    let expected = "an object with the string query, the array of strings choices and the number gold, or one of ARC or \
                    HellaSwag as published";
    let mut items = Vec::new();
    for (line, value) in lines(path, expected)? {
        let question = Question::read(value)
            .at(|| format!("{}: line {line}: expected {expected}", path.display()))?;
        if let Some((field, fault)) = question.fault() {
            return Err(fault).at(|| format!("{}: line {line}: {field}", path.display()));
        }
        items.push(Item {
            context: format!("{}{after}", question.query),
            continuations: question.choices.iter().map(|c| format!(" {c}")).collect(),
            gold: question.gold,
        });
    }
    items.truncate(most);
    Ok(items)
}

/// The lines of a `.jsonl` file that are not empty, with their numbers from 1; at least one.
pub fn lines<T: DeserializeOwned>(
    path: &Path,
    expected: &str,
) -> Result<Vec<(usize, T)>, ExperimentError> {
    let text = corpus::read_text(path)?;
    let parse = |(index, line): (usize, &str)| {
        let parsed = serde_json::from_str(line).at(|| {
            let line = index + 1;
            format!("{}: line {line}: expected {expected}", path.display())
        });
        parsed.map(|parsed| (index + 1, parsed))
    };
    let lines = text.lines().enumerate();
    let parsed: Vec<(usize, T)> = lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(parse)
        .collect::<Result<_, ExperimentError>>()?;
    if parsed.is_empty() {
        let expected = format!("{expected} on each line");
        let fault = ExperimentError::unexpected(expected, "no line");
        return Err(fault).at(|| path.display().to_string());
    }
    Ok(parsed)
}

/// Words before the last of a cloze passage.
const CLOZE_CONTEXT: usize = 40;
/// Letters of its last word, at least.
const CLOZE_LETTERS: usize = 4;
/// Words before a choice of continuations.
const CHOICE_CONTEXT: usize = 16;
/// Words of a continuation.
const CHOICE_LENGTH: usize = 8;
/// Continuations to choose from.
const CHOICES: usize = 4;

/// The stand-ins, with at most `most` items each.
pub fn standins(documents: &[String], most: usize) -> Vec<Task> {
    let documents: Vec<Vec<&str>> = documents
        .iter()
        .map(|text| text.split_whitespace().collect())
        .collect();
    let tasks = [
        ("standin-cloze", Rule::Greedy, clozes(&documents)),
        (
            "standin-continuation",
            Rule::Choice,
            continuations(&documents),
        ),
    ];
    let spread = |items: Vec<Item>| {
        // Evenly from all documents.
        let all = items.len();
        let taken = most.min(all);
        let indices: BTreeSet<usize> = (0..taken).map(|i| i * all / taken).collect();
        let items = items.into_iter().enumerate();
        items
            .filter(|(index, _)| indices.contains(index))
            .map(|(_, item)| item)
            .collect()
    };
    tasks
        .into_iter()
        .map(|(name, rule, items)| Task {
            name,
            rule,
            items: spread(items),
        })
        .filter(|task| !task.items.is_empty())
        .collect()
}

fn clozes(documents: &[Vec<&str>]) -> Vec<Item> {
    let mut items = Vec::new();
    for words in documents {
        let mut next = CLOZE_CONTEXT;
        while let Some(&last) = words.get(next) {
            let context = &words[next - CLOZE_CONTEXT..next];
            let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
            let fits = last.len() >= CLOZE_LETTERS
                && last.bytes().all(|byte| byte.is_ascii_lowercase())
                && context.iter().any(|word| plain(word) == last);
            if fits {
                items.push(Item {
                    context: context.join(" "),
                    continuations: vec![format!(" {last}")],
                    gold: 0,
                });
                next += CLOZE_CONTEXT;
            }
            next += 1;
        }
    }
    items
}

fn continuations(documents: &[Vec<&str>]) -> Vec<Item> {
    let whole = CHOICE_CONTEXT + CHOICE_LENGTH;
    let long: Vec<&Vec<&str>> = documents
        .iter()
        .filter(|words| words.len() >= whole)
        .collect();
    let mut items = Vec::new();
    if long.len() < CHOICES {
        return items;
    }
    for (index, words) in long.iter().enumerate() {
        for start in (0..=words.len() - whole).step_by(whole) {
            let middle = start + CHOICE_CONTEXT;
            let gold = items.len() % CHOICES;
            let others = (1..CHOICES).map(|other| {
                let words = long[(index + other) % long.len()];
                // A shorter document gives its end.
                let start = middle.min(words.len() - CHOICE_LENGTH);
                &words[start..start + CHOICE_LENGTH]
            });
            let mut passages: Vec<&[&str]> = others.collect();
            passages.insert(gold, &words[middle..middle + CHOICE_LENGTH]);
            items.push(Item {
                context: words[start..middle].join(" "),
                continuations: passages
                    .iter()
                    .map(|words| format!(" {}", words.join(" ")))
                    .collect(),
                gold,
            });
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(lambada: &str, arc: &str, hellaswag: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("lambada_openai.jsonl", lambada),
            ("arc_easy.jsonl", arc),
            ("hellaswag.jsonl", hellaswag),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    const LAMBADA: &str = "{\"context\": \"Some say\", \"continuation\": \"so\"}\n";
    const ARC: &str =
        "{\"query\": \"Question: Why?\", \"choices\": [\"a\", \"b c\"], \"gold\": 1}\n";

    #[test]
    fn prompts_are_those_of_the_harness() {
        let folder = folder(LAMBADA, ARC, &ARC.repeat(3));
        let tasks = from_folder(folder.path(), 2).unwrap();
        let names: Vec<(&str, Rule, usize)> = tasks
            .iter()
            .map(|task| (task.name, task.rule, task.items.len()))
            .collect();
        assert_eq!(
            names,
            [
                ("lambada_openai", Rule::Greedy, 1),
                ("arc_easy", Rule::Choice, 1),
                ("hellaswag", Rule::Choice, 2)
            ]
        );
        let item = |context: &str, continuations: &[&str], gold: usize| Item {
            context: context.to_owned(),
            continuations: continuations.iter().map(|&c| c.to_owned()).collect(),
            gold,
        };
        assert_eq!(tasks[0].items[0], item("Some say", &[" so"], 0));
        assert_eq!(
            tasks[1].items[0],
            item("Question: Why?\nAnswer:", &[" a", " b c"], 1)
        );
        assert_eq!(
            tasks[2].items[0],
            item("Question: Why?", &[" a", " b c"], 1)
        );
    }

    /// The same items in the forms of their publishers, under their names.
    #[test]
    fn published_forms_give_the_prompts_of_the_harness() {
        let folder = tempfile::tempdir().unwrap();
        let arc = [
            r#"{"id": "x", "question": {"stem": "Why?", "choices": [{"text": "a", "label": "A"}, {"text": "b c", "label": "B"}]}, "answerKey": "B"}"#,
            r#"{"id": "x", "question": "Why?", "choices": {"text": ["a", "b c"], "label": ["1", "2"]}, "answerKey": "2"}"#,
        ];
        let hellaswag = [
            r#"{"ind": 1, "activity_label": "Roof removal", "ctx_a": "A man is on [substeps] a roof.", "ctx_b": "he STARTS", "endings": ["is up.", "falls [title] Off"], "label": 1}"#,
            r#"{"activity_label": "Roof removal", "ctx_a": "A man is on [substeps] a roof.", "ctx_b": "he STARTS", "endings": ["is up.", "falls [title] Off"], "label": "1"}"#,
        ];
        for (name, text) in [
            (
                "lambada_test.jsonl",
                r#"{"text": "Some say so"}"#.to_owned(),
            ),
            ("ARC-Easy-Test.jsonl", arc.join("\r\n")),
            ("hellaswag_val.jsonl", hellaswag.join("\n")),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let tasks = from_folder(folder.path(), 9).unwrap();
        let item = |context: &str, continuations: &[&str], gold: usize| Item {
            context: context.to_owned(),
            continuations: continuations.iter().map(|&c| c.to_owned()).collect(),
            gold,
        };
        assert_eq!(tasks[0].items, [item("Some say", &[" so"], 0)]);
        let why = item("Question: Why?\nAnswer:", &[" a", " b c"], 1);
        assert_eq!(tasks[1].items, [why.clone(), why]);
        let roof = item(
            "Roof removal: A man is on a roof. He starts",
            &[" is up.", " falls. Off"],
            1,
        );
        assert_eq!(tasks[2].items, [roof.clone(), roof]);
        let unknown = arc[0].replace("answerKey\": \"B", "answerKey\": \"E");
        fs::write(folder.path().join("ARC-Easy-Test.jsonl"), unknown).unwrap();
        let message = format!("{:#}", from_folder(folder.path(), 9).unwrap_err());
        assert!(
            message.contains("expected an index below 2, found the answer of no choice"),
            "{message}"
        );
    }

    #[test]
    fn bad_lines_are_named() {
        let check = |lambada: &str, arc: &str, expected: &str| {
            let folder = folder(lambada, arc, ARC);
            let error = from_folder(folder.path(), 9).unwrap_err();
            let message =
                format!("{error:#}").replace(&format!("{}/", folder.path().display()), "");
            assert!(message.starts_with(expected), "{message}");
        };
        let two = |line: &str| format!("{LAMBADA}\n{line}\n");
        check(
            "",
            ARC,
            "lambada_openai.jsonl: expected an object with the strings context",
        );
        check(
            &two("{"),
            ARC,
            "lambada_openai.jsonl: line 3: expected an object with the strings context and continuation, or with the string text: EOF",
        );
        check(
            &two("{\"context\": \"a\"}"),
            ARC,
            "lambada_openai.jsonl: line 3: expected an object with the strings context and continuation, or with the string text: missing field `continuation`",
        );
        check(
            &two("{\"context\": \"\", \"continuation\": \"b\"}"),
            ARC,
            "lambada_openai.jsonl: line 3: context: expected text, found \"\"",
        );
        check(
            LAMBADA,
            "{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 2}",
            "arc_easy.jsonl: line 1: gold: expected an index below 2, found 2",
        );
        check(
            LAMBADA,
            "{\"query\": \"q\", \"choices\": [\"a\"], \"gold\": 0}",
            "arc_easy.jsonl: line 1: choices: expected at least 2, found 1",
        );
        check(
            LAMBADA,
            "{\"query\": \"q\", \"choices\": [\"a\", \" \"], \"gold\": 0}",
            "arc_easy.jsonl: line 1: choices: expected text in each",
        );
        check(
            LAMBADA,
            "{\"query\": \" \", \"choices\": [\"a\", \"b\"], \"gold\": 0}",
            "arc_easy.jsonl: line 1: query: expected text",
        );
        check(
            LAMBADA,
            "{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": -1}",
            "arc_easy.jsonl: line 1: expected an object with the string query",
        );
        let folder = folder(LAMBADA, ARC, ARC);
        fs::remove_file(folder.path().join("hellaswag.jsonl")).unwrap();
        let message = from_folder(folder.path(), 1).unwrap_err().to_string();
        assert!(message.contains("hellaswag.jsonl: not found"), "{message}");
    }

    #[test]
    fn a_cloze_repeats_a_word_of_its_passage() {
        let mut words: Vec<String> = (0..100).map(|i| format!("w{i}")).collect();
        words[45] = "Wonderful".to_owned();
        words[50] = "(harbour)".to_owned();
        words[60] = "harbour".to_owned(); // the word before, in brackets
        words[70] = "harbour".to_owned(); // within the passage's length of the last item
        words[99] = "wonderful".to_owned(); // not in its passage
        let tasks = standins(&[words.join(" ")], 9);
        assert_eq!(tasks.len(), 1, "one document has no other continuations");
        assert_eq!(tasks[0].name, "standin-cloze");
        let [item] = tasks[0].items.as_slice() else {
            panic!("{:?}", tasks[0].items)
        };
        assert_eq!(item.context, words[20..60].join(" "));
        assert_eq!(
            (item.continuations.as_slice(), item.gold),
            ([" harbour".to_owned()].as_slice(), 0)
        );
    }

    #[test]
    fn the_right_continuation_follows() {
        let document = |name: &str, words: usize| {
            let words: Vec<String> = (0..words).map(|i| format!("{name}{i}")).collect();
            words.join(" ")
        };
        let documents: Vec<String> = [("a", 70), ("b", 64), ("c", 32), ("d", 31), ("e", 90)]
            .map(|(name, words)| document(name, words))
            .to_vec();
        let tasks = standins(&documents, 100);
        let items = &tasks[0].items;
        assert_eq!(
            (tasks.len(), tasks[0].name, items.len()),
            (1, "standin-continuation", 9)
        );
        let golds: Vec<usize> = items.iter().map(|item| item.gold).collect();
        assert_eq!(golds, [0, 1, 2, 3, 0, 1, 2, 3, 0]);
        for item in items {
            let last = item.context.rsplit(' ').next().unwrap();
            let (name, number) = last.split_at(1);
            let next = format!(" {name}{}", number.parse::<usize>().unwrap() + 1);
            for (index, continuation) in item.continuations.iter().enumerate() {
                assert_eq!(continuation.split_whitespace().count(), CHOICE_LENGTH);
                assert_eq!(
                    continuation.starts_with(&format!("{next} ")),
                    index == item.gold,
                    "{item:?}"
                );
                assert_eq!(
                    continuation.starts_with(&format!(" {name}")),
                    index == item.gold
                );
            }
        }
        assert_eq!(standins(&documents, 3)[0].items.len(), 3);
    }
}
