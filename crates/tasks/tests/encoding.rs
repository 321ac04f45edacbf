//! Items as token ids.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_corpus::Tokenizer;
use layerwise_sweep::{Continuation, Question, Rule};
use layerwise_tasks::{Encoder, Item, Task, sheets};
use std::path::Path;

fn tokenizer() -> Tokenizer {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models");
    let path = Path::new(fixtures).join("gpt2-8x160/tokenizer.json");
    Tokenizer::open(&path, 2048).unwrap()
}

fn task(prompt: &str, options: &[&str]) -> Task {
    let mut task = Task::new("a task", Rule::Choice);
    let mut item = Item::new(prompt, options).answered(0);
    for (option, text) in item.options.iter_mut().zip(options) {
        option.scored = (*text).to_owned();
    }
    task.items = vec![item];
    task
}

#[test]
fn pairs_are_encoded_as_in_the_harness() {
    let tokenizer = tokenizer();
    let check = |context: &str, continuation: &str, positions: usize, bos: Option<u32>| {
        let encoder = Encoder::new(&tokenizer, bos, positions);
        let question = encoder
            .question(&task(context, &[continuation]), 0)
            .unwrap();
        let request = question.continuations[0].clone();
        let whole = tokenizer
            .encode(&format!("{context}{continuation}"))
            .unwrap();
        let before = tokenizer.encode(context.trim_end()).unwrap().len();
        assert_eq!(request.targets, &whole[before..]);
        let mut all: Vec<u32> = bos.into_iter().chain(whole).collect();
        all.pop();
        let cut = all.len().saturating_sub(positions);
        assert_eq!(request.tokens, &all[cut..], "{context:?}{continuation:?}");
        request
    };
    check("The people of the", " United States", 100, None);
    check("The people of the ", "United States", 100, None);
    check("The people of the", " United States", 100, Some(0));
    let cut = check("The people of the", " United States", 3, None);
    assert_eq!(cut.tokens.len(), 3);
    let refused = |context: &str, continuation: &str, positions: usize| {
        let encoder = Encoder::new(&tokenizer, None, positions);
        encoder
            .question(&task(context, &[continuation]), 0)
            .is_err()
    };
    assert!(refused("", " word", 9), "no context");
    assert!(refused("word", "", 9), "no continuation");
    assert!(
        refused("word", " and many other words", 2),
        "a continuation longer than the model"
    );
}

#[test]
fn items_that_lose_their_beginning_are_counted() {
    let tokenizer = tokenizer();
    let tasks = [
        task("The people of the", &[" United", " United States"]),
        task("The", &[" the"]),
    ];
    let whole = tokenizer.encode("The people of the United States").unwrap();
    let check = |positions: usize, expected: usize| {
        let encoder = Encoder::new(&tokenizer, None, positions);
        let questions = tasks.iter().map(|task| encoder.question(task, 0).unwrap());
        let found = encoder.cut(&tasks, &questions.collect::<Vec<_>>());
        assert_eq!(found.unwrap(), expected, "{positions} tokens");
    };
    check(whole.len(), 0);
    // The last token is predicted, not read.
    check(whole.len() - 1, 0);
    check(whole.len() - 2, 1);
}

#[test]
fn options_are_told_apart_by_their_first_tokens() {
    let tokenizer = tokenizer();
    let encoder = Encoder::new(&tokenizer, None, 100);
    let apart = task("The people of the", &[" United States", " world"]);
    let (context, firsts) = encoder.first_tokens(&apart, &apart.items[0], 0).unwrap();
    assert_eq!(context, tokenizer.encode("The people of the").unwrap());
    let whole = tokenizer.encode("The people of the United States").unwrap();
    assert_eq!((firsts.len(), firsts[0]), (2, whole[context.len()]));
    // The context is whole, even if it does not fit into the model with an option.
    let short = Encoder::new(&tokenizer, Some(0), 3);
    let (whole, same) = short.first_tokens(&apart, &apart.items[0], 0).unwrap();
    assert_eq!((whole[0], &whole[1..]), (0, context.as_slice()));
    assert_eq!(same, firsts);
    let alike = task("The people of the", &[" United States", " United Nations"]);
    let error = encoder
        .first_tokens(&alike, &alike.items[0], 0)
        .unwrap_err();
    let expected = "a task item 0: expected options that differ in their first token, found \" United States\" and \" United Nations\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn items_with_the_same_shots_are_run_together() {
    let question = |token: u32| Question {
        continuations: vec![
            Continuation {
                tokens: vec![1, token],
                targets: vec![2],
            };
            2
        ],
        answer: Some((0, Rule::Choice)),
    };
    let questions: Vec<Question> = (0..6).map(question).collect();
    let preambles = [Some(0), Some(0), Some(0), Some(1), None, None];
    let found = sheets(&questions, &preambles, 2);
    let items: Vec<_> = found.iter().map(|sheet| sheet.items.clone()).collect();
    assert_eq!(items, [0..2, 2..3, 3..4, 4..5, 5..6]);
    assert_eq!(found[0].question.continuations.len(), 4);
    assert_eq!(found[0].options, [2, 2]);
    assert_eq!(found[4].question, questions[5]);
}
