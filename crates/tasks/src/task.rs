//! Tasks, and the scoring of their answers.

use layerwise_sweep::{Likelihood, Rule};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One option of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Text between the prompt and the scored text; usually empty, except where options differ before it, as in WinoGrande.
    pub given: String,
    /// The scored text, with its leading space.
    pub scored: String,
}

impl Choice {
    /// Characters of the option as it was written, as the harness counts them.
    pub fn characters(&self) -> usize {
        let text = self.scored.strip_prefix(' ').unwrap_or(&self.scored);
        text.chars().count()
    }
}

/// A prompt with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The subject, which selects shots and header; empty if a task has no subjects.
    pub subject: String,
    /// The text before the options.
    pub prompt: String,
    /// The possible continuations.
    pub options: Vec<Choice>,
    /// Index of the right option, if known.
    pub answer: Option<usize>,
}

impl Item {
    /// An item whose options are scored after the prompt; a leading space is added to each.
    pub fn new<S: AsRef<str>>(
        prompt: impl Into<String>,
        options: impl IntoIterator<Item = S>,
    ) -> Self {
        let option = |text: S| Choice {
            given: String::new(),
            scored: format!(" {}", text.as_ref()),
        };
        Self {
            subject: String::new(),
            prompt: prompt.into(),
            options: options.into_iter().map(option).collect(),
            answer: None,
        }
    }

    /// Sets the answer.
    #[must_use]
    pub fn answered(self, answer: usize) -> Self {
        Self {
            answer: Some(answer),
            ..self
        }
    }

    /// Sets the subject.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            ..self
        }
    }

    /// The item with its right option, as a shot; empty if the answer is not known.
    fn shown(&self) -> String {
        let answer = self.answer.and_then(|answer| self.options.get(answer));
        answer.map_or_else(String::new, |option| {
            format!("{}{}{}", self.prompt, option.given, option.scored)
        })
    }
}

/// Items of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Task {
    /// The harness's name, a stand-in's name, or the name of the user's file.
    pub name: String,
    /// How its items are judged.
    pub rule: Rule,
    /// The text before the shots; `{subject}` stands for the item's subject. May be empty.
    pub header: &'static str,
    /// Answered items that precede an item of the same subject, in this order.
    pub shots: BTreeMap<String, Vec<Item>>,
    /// The items, in order.
    pub items: Vec<Item>,
    /// Answered items of the training split, if it was read.
    pub training: Vec<Item>,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
}

impl Task {
    /// A task without items.
    pub fn new(name: impl Into<String>, rule: Rule) -> Self {
        Self {
            name: name.into(),
            rule,
            header: "",
            shots: BTreeMap::new(),
            items: Vec::new(),
            training: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The header and the shots before items of a subject; a blank line follows each.
    ///
    /// ```
    /// use layerwise_sweep::Rule;
    /// use layerwise_tasks::{Item, Task};
    ///
    /// let mut task = Task::new("colours", Rule::Choice);
    /// task.shots.insert(String::new(), vec![Item::new("Grass is", ["green"]).answered(0)]);
    /// task.items = vec![Item::new("The sky is", ["blue"])];
    /// assert_eq!(task.preamble(""), "Grass is green\n\n");
    /// assert_eq!(task.context(0, 0), "Grass is green\n\nThe sky is");
    /// ```
    pub fn preamble(&self, subject: &str) -> String {
        let mut text = self.header.replace("{subject}", &subject.replace('_', " "));
        for shot in self.shots.get(subject).into_iter().flatten() {
            text.push_str(&shot.shown());
            text.push_str("\n\n");
        }
        text
    }

    /// The text before the scored part of an option.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn context(&self, item: usize, option: usize) -> String {
        self.context_of(&self.items[item], option)
    }

    /// The text before the scored part of an option of any item, including items of the training split.
    ///
    /// # Panics
    /// If the option is out of range.
    pub fn context_of(&self, item: &Item, option: usize) -> String {
        let Item {
            subject, prompt, ..
        } = item;
        format!(
            "{}{prompt}{}",
            self.preamble(subject),
            item.options[option].given
        )
    }

    /// The number of bytes of the longest text of an item: what precedes an option, and the option.
    pub fn longest_text(&self, item: &Item) -> usize {
        let options = item.options.iter();
        let longest = options.map(|option| option.given.len() + option.scored.len());
        let before = self.preamble(&item.subject).len() + item.prompt.len();
        before.saturating_add(longest.max().unwrap_or(0))
    }

    /// Judges an item's options by their likelihoods, given in order.
    ///
    /// # Panics
    /// If the item is out of range.
    ///
    /// ```
    /// use layerwise_sweep::{Likelihood, Rule};
    /// use layerwise_tasks::{Item, Task};
    ///
    /// let mut task = Task::new("colours", Rule::Choice);
    /// task.items = vec![Item::new("The sky is", ["blue", "made of cheese"]).answered(0)];
    /// let likelihoods = [-2.0, -4.2].map(|log_likelihood| Likelihood { log_likelihood, greedy: false });
    /// let score = task.score(0, &likelihoods);
    /// // −2.0 is more than −4.2, but −2.0/4 is less than −4.2/14.
    /// assert_eq!((score.acc, score.acc_norm), (Some(true), Some(false)));
    /// ```
    pub fn score(&self, item: usize, likelihoods: &[Likelihood]) -> Score {
        let item = &self.items[item];
        let of_length = |(likelihood, option): (&Likelihood, &Choice)| {
            likelihood.log_likelihood / option.characters().max(1) as f64
        };
        let plain = likelihoods
            .iter()
            .map(|likelihood| likelihood.log_likelihood);
        let chosen = first_largest(plain);
        let chosen_by_length = first_largest(likelihoods.iter().zip(&item.options).map(of_length));
        let is_greedy = likelihoods
            .first()
            .is_some_and(|likelihood| likelihood.greedy);
        let is = |chosen: usize| item.answer.map(|answer| answer == chosen);
        match self.rule {
            Rule::Greedy => Score {
                chosen: usize::from(!is_greedy),
                acc: Some(is_greedy),
                acc_norm: None,
            },
            _ => Score {
                chosen,
                acc: is(chosen),
                acc_norm: is(chosen_by_length),
            },
        }
    }
}

/// How an item was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Score {
    /// The most probable option, the first among equals. For a task with one greedy continuation, 0 if greedy decoding produces
    /// it, otherwise 1.
    pub chosen: usize,
    /// Whether it is right; `None` if the answer is not known.
    pub acc: Option<bool>,
    /// Whether the option with the largest log-likelihood per character is right; `None` if that is not defined.
    pub acc_norm: Option<bool>,
}

/// The index of the largest value, the first among equals.
fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likelihoods(values: &[f64]) -> Vec<Likelihood> {
        let likelihood = |&log_likelihood: &f64| Likelihood {
            log_likelihood,
            greedy: log_likelihood > -1.0,
        };
        values.iter().map(likelihood).collect()
    }

    #[test]
    fn the_longest_text_has_the_longest_option() {
        let mut task = Task::new("a task", Rule::Choice);
        task.items = vec![Item::new("x y", ["a", "much longer", "b"])];
        let all = task.context(0, 1) + &task.items[0].options[1].scored;
        assert_eq!(task.longest_text(&task.items[0]), all.len());
    }

    #[test]
    fn accuracy_with_and_without_length() {
        let mut task = Task::new("a task", Rule::Choice);
        task.items = vec![Item::new("x", ["abcd", "é", "long one"]).answered(0)];
        let check = |values: &[f64], chosen: usize, acc: bool, acc_norm: bool| {
            let score = task.score(0, &likelihoods(values));
            assert_eq!(
                (score.chosen, score.acc, score.acc_norm),
                (chosen, Some(acc), Some(acc_norm)),
                "{values:?}"
            );
        };
        check(&[-4.0, -3.0, -9.0], 1, false, true);
        check(&[-4.0, -4.0, -9.0], 0, true, true);
        // 'é' is one character of two bytes.
        check(&[-8.0, -1.5, -80.0], 1, false, false);
        let mut unknown = task.clone();
        unknown.items[0].answer = None;
        assert_eq!(
            unknown.score(0, &likelihoods(&[-1.0, -2.0, -3.0])).acc,
            None
        );
    }

    #[test]
    fn a_greedy_task_is_right_where_decoding_gives_it() {
        let mut task = Task::new("words", Rule::Greedy);
        task.items = vec![Item::new("x", ["y"]).answered(0)];
        let chosen = |value| task.score(0, &likelihoods(&[value]));
        assert_eq!((chosen(-0.5).chosen, chosen(-0.5).acc), (0, Some(true)));
        assert_eq!((chosen(-5.0).chosen, chosen(-5.0).acc), (1, Some(false)));
    }

    #[test]
    fn shots_of_the_subject_stand_before_an_item() {
        let mut task = Task::new("mmlu", Rule::Choice);
        task.header = "About {subject}.\n\n";
        let shot = Item::new("Q\nAnswer:", ["A", "B"]).answered(1);
        task.shots.insert("high_school".to_owned(), vec![shot]);
        task.items = vec![
            Item::new("R\nAnswer:", ["A", "B"]).about("high_school"),
            Item::new("S", ["A"]).about("other"),
        ];
        let expected = "About high school.\n\nQ\nAnswer: B\n\nR\nAnswer:";
        assert_eq!(task.context(0, 0), expected);
        assert_eq!(task.context(1, 0), "About other.\n\nS");
    }
}
