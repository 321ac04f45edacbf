//! Stand-ins for tasks, made from any text.
//!
//! They allow figures to be drawn without any download. They are not benchmarks that anyone else uses:
//!
//! - `standin-cloze`, in LAMBADA's form: predict the last word of a passage of 41 words, a plain word of at least four letters
//!   that occurs earlier in the passage.
//! - `standin-continuation`, in HellaSwag's form: which of four passages of 8 words follows 16 words? One does; the others are at
//!   the same place in three other documents.
//! - `standin-next-word` and `standin-letters`: the first words of those passages, in running text and as lettered options.

use crate::read::lettered;
use crate::task::{Item, Task};
use layerwise_sweep::Rule;
use std::collections::BTreeSet;

/// Words before the last word of a cloze passage.
const CLOZE_CONTEXT: usize = 40;
/// The smallest number of letters of its last word.
const CLOZE_LETTERS: usize = 4;
/// Words before a choice of continuations.
const CHOICE_CONTEXT: usize = 16;
/// Words of a continuation.
const CHOICE_LENGTH: usize = 8;
/// The number of continuations to choose from.
const CHOICES: usize = 4;

/// Makes the stand-ins, with at most `most` items each.
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
    tasks
        .into_iter()
        .map(|(name, rule, items)| {
            let mut task = Task::new(name, rule);
            task.items = spread(items, most);
            task
        })
        .filter(|task| !task.items.is_empty())
        .collect()
}

/// Makes items with answers of one token from text: the first word of the passage that follows, among the first words of three
/// others, all with different first letters. They are the items of `standin-continuation`, in lettered form and in running form.
pub fn standins_of_one_token(documents: &[String], most: usize) -> Vec<Task> {
    let documents: Vec<Vec<&str>> = documents
        .iter()
        .map(|text| text.split_whitespace().collect())
        .collect();
    let all = continuations(&documents);
    let first = |item: &Item| -> Vec<String> {
        let words = item.options.iter().map(|option| {
            let mut words = option.scored.split_whitespace();
            words.next().unwrap_or_default().to_owned()
        });
        words.collect()
    };
    // Words with different first letters have different first tokens, unless the tokenizer keeps the space before them apart.
    let differ = |words: &[String]| {
        let letters = words.iter().filter_map(|word| word.bytes().next());
        let letters = letters.filter(u8::is_ascii_alphabetic);
        let letters: BTreeSet<u8> = letters.map(|letter| letter.to_ascii_lowercase()).collect();
        letters.len() == words.len()
    };
    let mut running = Task::new("standin-next-word", Rule::Choice);
    let mut lettered_task = Task::new("standin-letters", Rule::Choice);
    for item in &all {
        let words = first(item);
        if differ(&words) {
            let answer = item.answer.unwrap_or(0);
            let question = lettered(&item.prompt, &words);
            lettered_task.items.push(question.answered(answer));
            running
                .items
                .push(Item::new(item.prompt.clone(), words).answered(answer));
        }
    }
    [running, lettered_task]
        .into_iter()
        .map(|mut task| {
            task.items = spread(task.items, most);
            task
        })
        .filter(|task| !task.items.is_empty())
        .collect()
}

/// At most `most` items, evenly from all documents.
fn spread(items: Vec<Item>, most: usize) -> Vec<Item> {
    let all = items.len();
    let taken = most.min(all);
    let indices: BTreeSet<usize> = (0..taken).map(|i| i * all / taken).collect();
    let items = items.into_iter().enumerate();
    items
        .filter(|(index, _)| indices.contains(index))
        .map(|(_, item)| item)
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
                items.push(Item::new(context.join(" "), [last]).answered(0));
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
                // A shorter document contributes its end.
                let start = middle.min(words.len() - CHOICE_LENGTH);
                &words[start..start + CHOICE_LENGTH]
            });
            let mut passages: Vec<&[&str]> = others.collect();
            passages.insert(gold, &words[middle..middle + CHOICE_LENGTH]);
            let options = passages.iter().map(|words| words.join(" "));
            items.push(Item::new(words[start..middle].join(" "), options).answered(gold));
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(item.prompt, words[20..60].join(" "));
        assert_eq!(
            (
                item.options.len(),
                item.options[0].scored.as_str(),
                item.answer
            ),
            (1, " harbour", Some(0))
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
            (tasks.len(), tasks[0].name.as_str(), items.len()),
            (1, "standin-continuation", 9)
        );
        let golds: Vec<usize> = items.iter().filter_map(|item| item.answer).collect();
        assert_eq!(golds, [0, 1, 2, 3, 0, 1, 2, 3, 0]);
        for item in items {
            let last = item.prompt.rsplit(' ').next().unwrap();
            let (name, number) = last.split_at(1);
            let next = format!(" {name}{}", number.parse::<usize>().unwrap() + 1);
            for (index, option) in item.options.iter().enumerate() {
                let continuation = &option.scored;
                let is_right = item.answer == Some(index);
                assert_eq!(continuation.split_whitespace().count(), CHOICE_LENGTH);
                assert_eq!(
                    continuation.starts_with(&format!("{next} ")),
                    is_right,
                    "{item:?}"
                );
                assert_eq!(continuation.starts_with(&format!(" {name}")), is_right);
            }
        }
        assert_eq!(standins(&documents, 3)[0].items.len(), 3);
    }
}
