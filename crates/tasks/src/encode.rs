//! Encodes items as token ids.

use crate::error::TaskError;
use crate::task::{Item, Task};
use layerwise_corpus::Tokenizer;
use layerwise_sweep::{Continuation, Question};
use std::ops::Range;

/// Encodes items as lm-evaluation-harness does. Context and continuation are encoded together, and the continuation's tokens are
/// those beyond the length of the encoded context. `bos` precedes the context. Tokens that do not fit into the model's context
/// are cut off on the left.
///
/// ```
/// use layerwise_corpus::Tokenizer;
/// use layerwise_sweep::Rule;
/// use layerwise_tasks::{Encoder, Item, Task};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tokenizer.json");
/// # let model = r#"{"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2, " b": 3, " a": 4}, "merges": [[" ", "b"], [" ", "a"]]}"#;
/// # std::fs::write(&path, format!(r#"{{"model": {model}}}"#))?;
/// let tokenizer = Tokenizer::open(&path, 9)?; // whose tokens 3 and 4 are " b" and " a"
/// let mut task = Task::new("letters", Rule::Choice);
/// task.items = vec![Item::new("a", ["b", "a"]).answered(0)];
/// let question = Encoder::new(&tokenizer, Some(8), 64).question(&task, 0)?; // after the token 8
/// let targets = question.continuations.iter().map(|own| own.targets[0]);
/// assert_eq!(targets.collect::<Vec<_>>(), [3, 4]);
/// assert_eq!(question.continuations[0].tokens, [8, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    bos: Option<u32>,
    positions: usize,
}

impl<'a> Encoder<'a> {
    /// For a model with a context of `positions` tokens.
    pub fn new(tokenizer: &'a Tokenizer, bos: Option<u32>, positions: usize) -> Self {
        Self {
            tokenizer,
            bos,
            positions,
        }
    }

    /// The token before each context.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Encodes an item of the task.
    ///
    /// # Errors
    /// A context or an option has no tokens, an option is longer than the model's context, or text cannot be encoded.
    ///
    /// # Panics
    /// If the index is out of range.
    pub fn question(&self, task: &Task, index: usize) -> Result<Question, TaskError> {
        let item = &task.items[index];
        let options = 0..item.options.len();
        let continuations = options.map(|option| {
            let context = task.context_of(item, option);
            self.pair(&context, &item.options[option].scored, &task.name, index)
        });
        Ok(Question {
            continuations: continuations.collect::<Result<_, _>>()?,
            answer: item.answer.map(|answer| (answer, task.rule)),
        })
    }

    /// A context, of which nothing is cut off, with the first token that each option adds to it.
    ///
    /// # Errors
    /// As [`Encoder::question`]; [`TaskError::SameFirstToken`]; or options follow different contexts.
    pub fn first_tokens(
        &self,
        task: &Task,
        item: &Item,
        index: usize,
    ) -> Result<(Vec<u32>, Vec<u32>), TaskError> {
        let fault = |expected: &str, found: String| TaskError::Tokens {
            task: task.name.clone(),
            item: index,
            expected: expected.to_owned(),
            found,
        };
        let mut context: Option<Vec<u32>> = None;
        let mut firsts = Vec::with_capacity(item.options.len());
        for (option, choice) in item.options.iter().enumerate() {
            let text = task.context_of(item, option);
            let (mut own, targets) = self.whole(&text, &choice.scored, &task.name, index)?;
            own.truncate(own.len() + 1 - targets.len());
            let first = targets[0];
            if let Some(other) = firsts.iter().position(|known| *known == first) {
                return Err(TaskError::SameFirstToken {
                    task: task.name.clone(),
                    item: index,
                    options: [other, option].map(|at| item.options[at].scored.clone()),
                });
            }
            firsts.push(first);
            match &context {
                Some(known) if *known == own => {}
                Some(_) => return Err(fault("one context for all options", "several".to_owned())),
                None => context = Some(own),
            }
        }
        Ok((context.unwrap_or_default(), firsts))
    }

    /// The number of items whose context has its beginning cut off, because one of their options does not fit into the model with
    /// it. `questions` are the items of all tasks, one task after another, as [`Encoder::question`] gives them.
    ///
    /// # Errors
    /// As [`Encoder::question`].
    pub fn cut(&self, tasks: &[Task], questions: &[Question]) -> Result<usize, TaskError> {
        let items = tasks.iter();
        let items = items.flat_map(|task| (0..task.items.len()).map(move |item| (task, item)));
        let mut cut = 0;
        for (question, (task, item)) in questions.iter().zip(items) {
            // Only what fills the context can have lost something; encoding everything again would take long.
            let mut own = question.continuations.iter();
            let is_full = own.any(|own| own.tokens.len() == self.positions);
            cut += usize::from(is_full && self.is_cut(task, item)?);
        }
        Ok(cut)
    }

    /// Whether the beginning of an item's context is cut off.
    fn is_cut(&self, task: &Task, index: usize) -> Result<bool, TaskError> {
        let item = &task.items[index];
        for (option, choice) in item.options.iter().enumerate() {
            let context = task.context_of(item, option);
            let (tokens, _) = self.whole(&context, &choice.scored, &task.name, index)?;
            if tokens.len() > self.positions {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pair(
        &self,
        context: &str,
        continuation: &str,
        task: &str,
        item: usize,
    ) -> Result<Continuation, TaskError> {
        let (mut tokens, targets) = self.whole(context, continuation, task, item)?;
        let cut = tokens.len().saturating_sub(self.positions);
        Ok(Continuation {
            tokens: tokens.split_off(cut),
            targets,
        })
    }

    /// All tokens of a context and a continuation except the last, and those of the continuation.
    fn whole(
        &self,
        context: &str,
        continuation: &str,
        task: &str,
        item: usize,
    ) -> Result<(Vec<u32>, Vec<u32>), TaskError> {
        let fault = |expected: String, found: String| TaskError::Tokens {
            task: task.to_owned(),
            item,
            expected,
            found,
        };
        // Spaces at the context's end move to the continuation, because they form one token with its beginning.
        let kept = context.trim_end();
        let continuation = format!("{}{continuation}", &context[kept.len()..]);
        let before = self.tokenizer.encode(kept)?.len();
        let mut whole = self.tokenizer.encode(&format!("{kept}{continuation}"))?;
        if before == 0 || whole.len() <= before {
            let found = format!(
                "{before} and {} in all, in {} and {}",
                whole.len(),
                excerpt(context),
                excerpt(&continuation)
            );
            let expected = "tokens of a context and of a continuation";
            return Err(fault(expected.to_owned(), found));
        }
        let targets = whole[before..].to_vec();
        whole.splice(..0, self.bos);
        let positions = self.positions;
        if targets.len() > positions {
            let expected =
                format!("a continuation of at most {positions} tokens, the model's context");
            return Err(fault(expected, targets.len().to_string()));
        }
        whole.pop();
        Ok((whole, targets))
    }
}

/// The end of a text, for a message.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 80;
    let skipped = text.chars().count().saturating_sub(CHARACTERS);
    let end: String = text.chars().skip(skipped).collect();
    match skipped {
        0 => format!("{end:?}"),
        _ => format!("…{end:?}"),
    }
}

/// Items that run in one batch, so that common beginnings run once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// The options of all its items, item after item.
    pub question: Question,
    /// The items, by their indices among those given.
    pub items: Range<usize>,
    /// The number of options of each item.
    pub options: Vec<usize>,
}

/// Groups questions with neighbouring items and common shots. `preambles` identifies each item's shots by a number; `None` stands
/// for an item without shots. A group has at most `most` items.
pub fn sheets(questions: &[Question], preambles: &[Option<usize>], most: usize) -> Vec<Sheet> {
    let mut sheets: Vec<Sheet> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let preamble = preambles.get(index).copied().flatten();
        let options = question.continuations.len();
        match sheets.last_mut() {
            Some(sheet)
                if preamble.is_some()
                    && preambles[sheet.items.start] == preamble
                    && sheet.items.len() < most =>
            {
                let continuations = question.continuations.iter().cloned();
                sheet.question.continuations.extend(continuations);
                sheet.question.answer = None;
                sheet.items.end += 1;
                sheet.options.push(options);
            }
            _ => sheets.push(Sheet {
                question: question.clone(),
                items: index..index + 1,
                options: vec![options],
            }),
        }
    }
    sheets
}
