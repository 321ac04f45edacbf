//! Data sets with one JSON object per line, in the layouts of their authors, of the hub and of llm-foundry.
//!
//! Prompts are those of lm-evaluation-harness. In HellaSwag the harness capitalises the last, unfinished sentence, but
//! llm-foundry's version does not; the capital is put back.

use super::tables::{check_letters, letter_or_index, lettered};
use super::{Fault, NO_CHOICE, TextFile, index_of, items, of_choice};
use crate::error::TaskError;
use crate::task::{Choice, Item};
use serde::Deserialize;
use serde_json::Value;

/// llm-foundry's form of a question.
#[derive(Deserialize)]
struct Question {
    query: String,
    choices: Vec<String>,
    gold: usize,
}

/// A line of `lambada_openai.jsonl`.
#[derive(Deserialize)]
struct Passage {
    context: String,
    continuation: String,
}

/// A question with the key of its answer, as the Allen Institute publishes ARC.
#[derive(Deserialize)]
struct Keyed {
    question: Stem,
    choices: Option<Labelled>,
    #[serde(rename = "answerKey")]
    answer_key: String,
}

/// The question itself; in the original files it contains its choices.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stem {
    Original { stem: String, choices: Vec<Marked> },
    Text(String),
}

#[derive(Deserialize)]
struct Marked {
    text: String,
    label: String,
}

/// Choices in the layout of the hub's copy.
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

#[derive(Deserialize)]
struct Goal {
    goal: String,
    sol1: String,
    sol2: String,
    label: Option<Value>,
}

#[derive(Deserialize)]
struct Blank {
    sentence: String,
    option1: String,
    option2: String,
    answer: Value,
}

/// llm-foundry's form of a sentence with a blank.
#[derive(Deserialize)]
struct Contexts {
    context_options: Vec<String>,
    continuation: String,
    gold: usize,
}

#[derive(Deserialize)]
struct YesNo {
    question: String,
    passage: String,
    #[serde(alias = "label")]
    answer: Value,
}

#[derive(Deserialize)]
struct Subject {
    question: String,
    #[serde(default)]
    subject: String,
    choices: Vec<String>,
    answer: Value,
}

/// LAMBADA: context and last word; OpenAI's form has the whole text.
pub(crate) fn lambada(file: &TextFile) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with the strings context and continuation, or with the string text";
    items(file, expected, |line| {
        let whole = line.get("text").and_then(Value::as_str);
        let passage = match whole.map(|text| text.trim_end().rsplit_once(' ')) {
            Some(parts) if line.get("context").is_none() => {
                let (context, last) = parts.unwrap_or_default();
                Passage {
                    context: context.to_owned(),
                    continuation: last.to_owned(),
                }
            }
            _ => serde_json::from_value(line)?,
        };
        for (field, text) in [
            ("context", &passage.context),
            ("continuation", &passage.continuation),
        ] {
            if text.trim().is_empty() {
                return Err(Fault::field(field, "text", format!("{text:?}")));
            }
        }
        Ok(Item::new(passage.context, [passage.continuation]).answered(0))
    })
}

/// ARC: the options' texts, or their letters.
pub(crate) fn arc(file: &TextFile, one_token: bool) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with the string query, the array of strings choices and the number gold, or one of ARC as published";
    items(file, expected, |line| {
        let (stem, choices, gold) = match line.get("answerKey").is_some() {
            true => serde_json::from_value::<Keyed>(line)?.parts()?,
            false => {
                let Question {
                    query,
                    choices,
                    gold,
                } = foundry(line)?;
                let stem = query.strip_prefix("Question: ").unwrap_or(&query);
                (stem.to_owned(), choices, gold)
            }
        };
        let item = match one_token {
            true => {
                check_letters(&choices)?;
                lettered(&format!("Question: {stem}"), &choices)
            }
            false => Item::new(format!("Question: {stem}\nAnswer:"), choices),
        };
        of_choice(item.answered(gold))
    })
}

impl Keyed {
    fn parts(self) -> Result<(String, Vec<String>, usize), Fault> {
        let (stem, choices) = match (self.question, self.choices) {
            (Stem::Original { stem, choices }, _) => (stem, choices),
            (Stem::Text(stem), None) => (stem, Vec::new()),
            (Stem::Text(stem), Some(Labelled { text, label })) => {
                if text.len() != label.len() {
                    let expected = format!("{} labels, one for each text", text.len());
                    return Err(Fault::field("choices", expected, label.len().to_string()));
                }
                let choices = text.into_iter().zip(label);
                let marked = |(text, label)| Marked { text, label };
                (stem, choices.map(marked).collect())
            }
        };
        let gold = choices
            .iter()
            .position(|choice| choice.label == self.answer_key);
        let choices = choices.into_iter().map(|choice| choice.text).collect();
        Ok((stem, choices, gold.unwrap_or(NO_CHOICE)))
    }
}

/// Checks a question in llm-foundry's form.
fn foundry(line: Value) -> Result<Question, Fault> {
    let question: Question = serde_json::from_value(line)?;
    let (choices, gold) = (question.choices.len(), question.gold);
    if question.query.trim().is_empty() {
        return Err(Fault::field(
            "query",
            "text",
            format!("{:?}", question.query),
        ));
    }
    if choices < 2 {
        return Err(Fault::field("choices", "at least 2", choices.to_string()));
    }
    if question
        .choices
        .iter()
        .any(|choice| choice.trim().is_empty())
    {
        return Err(Fault::field("choices", "text in each", "an empty one"));
    }
    if gold >= choices {
        let expected = format!("an index below {choices}");
        return Err(Fault::field("gold", expected, gold.to_string()));
    }
    Ok(question)
}

/// HellaSwag: four endings.
pub(crate) fn hellaswag(file: &TextFile) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with the string query, the array of strings choices and the number gold, or one of HellaSwag as published";
    items(file, expected, |line| {
        if line.get("endings").is_some() {
            let endings: Endings = serde_json::from_value(line)?;
            let query = format!(
                "{}: {} {}",
                endings.activity_label,
                endings.ctx_a,
                capitalized(&endings.ctx_b)
            );
            let options = endings.endings.iter().map(|ending| without_markup(ending));
            let item = Item::new(without_markup(&query), options);
            return of_choice(item.answered(index_of(&endings.label)));
        }
        let Question {
            query,
            choices,
            gold,
        } = foundry(line)?;
        Ok(Item::new(with_last_capital(&query), choices).answered(gold))
    })
}

/// Like Python's `capitalize`: the first letter in upper case, the others in lower case.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first
            .to_uppercase()
            .chain(letters.flat_map(char::to_lowercase))
            .collect(),
        None => String::new(),
    }
}

/// A query whose last, unfinished sentence has a capital first letter, followed by lower case.
fn with_last_capital(query: &str) -> String {
    let is_finished = query.ends_with(['.', '!', '?', '"']);
    let ends = [". ", "! ", "? "].iter().filter_map(|end| query.rfind(end));
    match ends.max() {
        Some(at) if !is_finished => {
            let (before, last) = query.split_at(at + 2);
            match last.starts_with(char::is_lowercase) {
                true => format!("{before}{}", capitalized(last)),
                false => query.to_owned(),
            }
        }
        _ => query.to_owned(),
    }
}

/// Text of WikiHow without bracketed parts, as lm-evaluation-harness cleans it.
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

/// PIQA: two solutions of a goal. The authors put the labels into a file of their own, a line for each goal.
pub(crate) fn piqa(file: &TextFile, labels: Option<&TextFile>) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with goal, sol1, sol2 and label, or with the string query, the array of strings choices and the number gold";
    let lines = file.lines().count();
    if let Some(labels) = labels
        && labels.lines().count() != lines
    {
        return Err(TaskError::Labels {
            path: labels.path.clone(),
            of: file.path.clone(),
            expected: lines,
            found: labels.lines().count(),
        });
    }
    let mut labels = labels.into_iter().flat_map(TextFile::lines);
    items(file, expected, |line| {
        let apart = labels.next().map(Value::from);
        let (goal, choices, gold) = if line.get("goal").is_some() {
            let goal: Goal = serde_json::from_value(line)?;
            let label = goal.label.or(apart);
            let label = label.ok_or_else(|| {
                Fault::Form(
                    "no field `label`, and no file valid-labels.lst with the labels next to it"
                        .to_owned(),
                )
            })?;
            (goal.goal, vec![goal.sol1, goal.sol2], index_of(&label))
        } else {
            let question = foundry(line)?;
            let goal = question.query.strip_suffix('\n').unwrap_or(&question.query);
            let goal = goal.strip_prefix("Question: ").unwrap_or(goal);
            (goal.to_owned(), question.choices, question.gold)
        };
        let prompt = format!("Question: {goal}\nAnswer:");
        of_choice(Item::new(prompt, choices).answered(gold))
    })
}

/// WinoGrande by partial scoring: each option fills the blank, and the text after the blank is scored.
pub(crate) fn winogrande(file: &TextFile) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with sentence, option1, option2 and answer, or with context_options, continuation and gold";
    items(file, expected, |line| {
        let (contexts, continuation, gold) = if line.get("sentence").is_some() {
            let blank: Blank = serde_json::from_value(line)?;
            let Some((before, after)) = blank.sentence.split_once('_') else {
                return Err(Fault::field("sentence", "a blank, `_`", "none"));
            };
            let contexts = [blank.option1, blank.option2].map(|o| format!("{before}{o}"));
            let answer = index_of(&blank.answer).checked_sub(1);
            let gold = answer.filter(|at| *at < 2).unwrap_or(NO_CHOICE);
            (contexts.to_vec(), after.trim().to_owned(), gold)
        } else {
            let contexts: Contexts = serde_json::from_value(line)?;
            (
                contexts.context_options,
                contexts.continuation,
                contexts.gold,
            )
        };
        let mut item = Item::new("", [""; 0]).answered(gold);
        item.options = contexts
            .into_iter()
            .map(|given| Choice {
                given,
                scored: format!(" {continuation}"),
            })
            .collect();
        of_choice(item)
    })
}

/// BoolQ: a passage, a question, and the answers no and yes.
pub(crate) fn boolq(file: &TextFile) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with passage, question and answer, or with the string query, the array of strings choices and the number gold";
    items(file, expected, |line| {
        if line.get("passage").is_some() {
            let question: YesNo = serde_json::from_value(line)?;
            let prompt = format!(
                "{}\nQuestion: {}?\nAnswer:",
                question.passage, question.question
            );
            return of_choice(
                Item::new(prompt, ["no", "yes"]).answered(index_of(&question.answer)),
            );
        }
        let question = foundry(line)?;
        let text = question
            .query
            .strip_prefix("Passage: ")
            .unwrap_or(&question.query);
        Ok(Item::new(format!("{text}\nAnswer:"), question.choices).answered(question.gold))
    })
}

/// MMLU in one file, in the hub's layout: lines with question, choices, answer and subject.
pub(crate) fn mmlu_lines(file: &TextFile) -> Result<Vec<Item>, TaskError> {
    let expected = "an object with the strings question and subject, four choices and the answer";
    items(file, expected, |line| {
        let subject: Subject = serde_json::from_value(line)?;
        let answer = match &subject.answer {
            Value::String(text) => letter_or_index(text),
            other => index_of(other),
        };
        check_letters(&subject.choices)?;
        let item = lettered(&subject.question, &subject.choices);
        of_choice(item.about(subject.subject).answered(answer))
    })
}
