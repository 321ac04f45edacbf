//! How a model reads tasks.

use super::error::{ExperimentError, Place};
use super::subject::Subject;
use layerwise_corpus::{Habit, Tokenizer};
use layerwise_sweep::{Continuation, Counted, Question, WorkBytes};
use layerwise_tasks::{Encoder, Task};
use std::sync::{Mutex, PoisonError};

/// The encoder of tasks for a model, with the rules of lm-evaluation-harness 0.4.13: before an item comes what the user
/// asks for, a token or none, else the token that the tokenizer itself puts before a text, as those of Llama 2 and 3 do. Habits
/// of the family do not count, except that Gemma gets its BOS.
///
/// # Errors
/// The tokenizer puts several tokens before a text.
pub fn encoder<'a>(
    subject: &Subject<'_>,
    tokenizer: &'a Tokenizer,
) -> Result<Encoder<'a>, ExperimentError> {
    let is_gemma = subject.model_type().starts_with("gemma");
    let own = match subject.is_bos_asked || is_gemma {
        true => subject.bos,
        false => {
            let beginning = tokenizer.beginning(Habit::Nothing);
            beginning.at(|| subject.name.to_owned())?.bos
        }
    };
    Ok(Encoder::new(tokenizer, own, subject.model.config().context))
}

/// The items of some tasks as a model reads them, one after another.
///
/// # Errors
/// An item cannot be encoded, memory is insufficient, or the user interrupts.
pub fn questions(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
    tasks: &[Task],
) -> Result<Counted<Vec<Question>>, ExperimentError> {
    let encoder = encoder(subject, tokenizer)?;
    let items: Vec<(&Task, usize)> = tasks
        .iter()
        .flat_map(|task| (0..task.items.len()).map(move |item| (task, item)))
        .collect();
    let texts = items
        .iter()
        .map(|(task, item)| task.longest_text(&task.items[*item]));
    let bytes = WorkBytes {
        reading: Tokenizer::encoding_bytes(texts.max().unwrap_or(0)),
        // Count each item as it is encoded: a bound from its text would be several times too high.
        result: 0,
    };
    let what = format!("{}: the items of tasks", subject.name);
    let memory = Mutex::new(subject.runs.runner.budget().hold(&what, 0)?);
    let questions = subject.runs.over(&items, bytes, |_, &(task, item)| {
        let question = encoder.question(task, item);
        let question = question.at(|| subject.name.to_owned())?;
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.grow(&what, question_bytes(&question) as u64)?;
        Ok(question)
    })?;
    let memory = memory.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Counted::new(questions.into_parts().0, memory))
}

/// The bytes of a question.
pub fn question_bytes(question: &Question) -> usize {
    let continuations = question.continuations.iter();
    let bytes = continuations.map(|continuation| {
        let numbers = continuation.tokens.capacity() + continuation.targets.capacity();
        size_of::<Continuation>() + numbers * size_of::<u32>() + 32
    });
    size_of::<Question>() + bytes.sum::<usize>()
}
