//! Corrections written by a model.

use crate::asked::{Answer, Asked};
use crate::error::RescoringError;
use layerwise_corpus::Tokenizer;
use layerwise_generate::{Constraint, End, Generation, Settings, Spells, TextLattice, TokenTexts};
use layerwise_schedule::Schedule;
use layerwise_sweep::{MeasureId, Work, WorkBytes};
use layerwise_transformer::Model;
use std::sync::Arc;

/// Changes when a correction of the same inputs may be another one, or when its inputs have other numbers.
const VERSION: u32 = 3;

/// A transformer that continues prompts greedily.
///
/// The text is free, or spells one path of a word lattice. On a path, each step allows only tokens that continue along an arc of
/// a reachable slot, and the text ends only after the last slot.
pub struct Writer<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    plain: Schedule,
    end_tokens: Vec<u32>,
    texts: Arc<TokenTexts>,
}

/// A written text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The text after the prompt, without surrounding spaces.
    pub text: String,
    /// The number of its tokens.
    pub tokens: usize,
}

impl<'a> Writer<'a> {
    /// A writer whose texts end at any of some tokens, and at a line break; along a lattice, only at a line break that is one
    /// token.
    ///
    /// # Errors
    /// The model has no plain schedule.
    pub fn new(
        model: &'a Model,
        tokenizer: &'a Tokenizer,
        end_tokens: Vec<u32>,
    ) -> Result<Self, RescoringError> {
        let vocab = model.config().vocab;
        Ok(Self {
            model,
            tokenizer,
            plain: Schedule::plain(model.stack())?,
            end_tokens,
            texts: Arc::new(TokenTexts::new(tokenizer.token_bytes(vocab))),
        })
    }

    /// Corrections as work of a [`Runner`](layerwise_sweep::Runner), whose journal resumes it. Each gives its text with the number
    /// of its tokens; [`Asked::corrections`] collects them.
    ///
    /// `name` is the work's in journals, and `mode` says what kind of answers is asked for.
    ///
    /// ```
    /// use layerwise_corpus::Tokenizer;
    /// use layerwise_rescoring::{Asked, Writer};
    /// use layerwise_sweep::{Plan, Runner};
    /// use layerwise_transformer::Model;
    ///
    /// fn corrections(model: &Model, tokenizer: &Tokenizer, asked: &[Asked]) -> Result<(), Box<dyn std::error::Error>> {
    ///     let writer = Writer::new(model, tokenizer, Vec::new())?;
    ///     let work = writer.work("corrections", "free", asked);
    ///     let found = Runner::new().measure(model, &Plan::plain(model.stack())?, &work, asked)?;
    ///     let (texts, _tokens) = Asked::corrections(asked, &found.into_plain());
    ///     println!("{texts:?}");
    ///     Ok(())
    /// }
    /// ```
    pub fn work<'w>(
        &'w self,
        name: &'static str,
        mode: &str,
        asked: &[Asked],
    ) -> Work<'w, Asked, (String, usize)> {
        let id = MeasureId::new(name, VERSION).with_settings(format!(
            "{mode} {:?} {}",
            self.end_tokens,
            self.tokenizer.sha256()
        ));
        let [reading, result] = Asked::most_bytes(asked, self.model);
        let write = move |_: usize, asked: &Asked| {
            let written = self.write(asked);
            let written = written.map_err(|error| error.of_correction(&asked.id))?;
            Ok((written.text, written.tokens))
        };
        Work::new(id, WorkBytes { reading, result }, write).depending_on(Asked::numbers)
    }

    /// Writes a correction.
    ///
    /// A free text ends at the end of its first non-blank line. A space precedes the first word of a path, unless the prompt ends
    /// with white space.
    ///
    /// # Errors
    /// The prompt is empty or longer than the model's context, a logit is not finite, no tokens spell a word, or the context is full
    /// before the text ends.
    pub fn write(&self, asked: &Asked) -> Result<Written, RescoringError> {
        let most = asked.answer.most_tokens();
        match &asked.answer {
            Answer::Free { .. } => self.free(asked, most),
            Answer::Path { slots } => self.along(asked, slots, most),
        }
    }

    fn free(&self, asked: &Asked, most: usize) -> Result<Written, RescoringError> {
        let settings = self.settings(most, self.end_tokens.clone());
        let mut generation = Generation::new(self.model, &self.plain, &asked.prompt, settings)?;
        while let Some(choice) = generation.next() {
            choice?;
            let text = self.tokenizer.decode(generation.tokens())?;
            if let Some((line, _)) = text.trim_start().split_once('\n') {
                return Ok(Written {
                    text: line.trim_end().to_owned(),
                    tokens: generation.tokens().len(),
                });
            }
        }
        self.whole(asked, &generation)
    }

    fn along(
        &self,
        asked: &Asked,
        slots: &[Vec<Option<String>>],
        most: usize,
    ) -> Result<Written, RescoringError> {
        let ends_blank = self
            .tokenizer
            .decode(&asked.prompt)?
            .ends_with(char::is_whitespace);
        let mut end_tokens = self.end_tokens.clone();
        if let [line_break] = self.tokenizer.encode("\n")?.as_slice() {
            end_tokens.push(*line_break);
        }
        let slots: Vec<Vec<Option<&str>>> = slots
            .iter()
            .map(|slot| slot.iter().map(Option::as_deref).collect())
            .collect();
        let lattice = Arc::new(TextLattice::words(&slots, !ends_blank));
        let constraint = Spells::new(lattice, Arc::clone(&self.texts), end_tokens.clone());
        let settings = self.settings(most, end_tokens);
        let mut generation =
            Generation::constrained(self.model, &self.plain, &asked.prompt, settings, constraint)?;
        generation
            .by_ref()
            .try_for_each(|choice| choice.map(drop))?;
        self.whole(asked, &generation)
    }

    fn settings(&self, most: usize, end_tokens: Vec<u32>) -> Settings {
        Settings::default().with(|it| {
            it.max_tokens = most;
            it.end_tokens = end_tokens;
        })
    }

    /// What was written, unless it ended only because the context was full.
    fn whole<C: Constraint>(
        &self,
        asked: &Asked,
        generation: &Generation<'_, C>,
    ) -> Result<Written, RescoringError> {
        let tokens = generation.tokens();
        let text = self.tokenizer.decode(tokens)?.trim().to_owned();
        match generation.end() {
            Some(End::Context) => Err(RescoringError::Cut {
                id: asked.id.clone(),
                prompt: asked.prompt.len(),
                text,
                context: self.model.config().context,
            }),
            _ => Ok(Written {
                text,
                tokens: tokens.len(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::embedded;
    use layerwise_sweep::{Plan, Runner};

    #[test]
    fn what_is_written_along_a_lattice_is_one_of_its_paths() {
        let (model, tokenizer) = embedded();
        let writer = Writer::new(&model, &tokenizer, vec![0]).unwrap();
        for prompt in ["The king said", "He was", "1. show me\nCorrected:\n"] {
            let prompt = tokenizer.encode(prompt).unwrap();
            let slots = [
                vec![Some("show")],
                vec![Some("him"), Some("me"), None],
                vec![Some("the"), Some("them")],
                vec![None, Some("fights"), Some("flights")],
            ];
            let asked = |answer: Answer| Asked {
                id: "a".to_owned(),
                prompt: prompt.clone(),
                answer,
            };
            let word = |word: &Option<&str>| word.map(str::to_owned);
            let written = writer.write(&asked(Answer::Path {
                slots: slots
                    .iter()
                    .map(|slot| slot.iter().map(word).collect())
                    .collect(),
            }));
            let written = written.unwrap();
            let words: Vec<&str> = written.text.split(' ').collect();
            let mut expected: Vec<Vec<&str>> = vec![Vec::new()];
            for slot in &slots {
                let longer = |path: &Vec<&'static str>| -> Vec<Vec<&'static str>> {
                    let words = slot.iter().map(|word| word.iter().copied());
                    words
                        .map(|word| path.iter().copied().chain(word).collect())
                        .collect()
                };
                expected = expected.iter().flat_map(longer).collect();
            }
            assert!(expected.contains(&words), "{written:?}");
            let free = writer
                .write(&asked(Answer::Free { most_tokens: 12 }))
                .unwrap();
            assert!(free.tokens <= 12 && !free.text.contains('\n'), "{free:?}");
        }
    }

    #[test]
    fn a_text_that_the_context_cuts_is_no_correction() {
        let (model, tokenizer) = embedded();
        let writer = Writer::new(&model, &tokenizer, Vec::new()).unwrap();
        let context = model.config().context;
        let mut prompt = tokenizer.encode("The king said that he was").unwrap();
        prompt = prompt.into_iter().cycle().take(context - 1).collect();
        let asked = Asked {
            id: "a".to_owned(),
            prompt,
            answer: Answer::Free { most_tokens: 12 },
        };
        let outcome = writer.write(&asked);
        let expected = context - 1;
        assert!(
            matches!(outcome, Err(RescoringError::Cut { prompt, .. }) if prompt == expected),
            "{outcome:?}"
        );
    }

    #[test]
    fn work_writes_every_correction_and_names_the_one_that_fails() {
        let (model, tokenizer) = embedded();
        let writer = Writer::new(&model, &tokenizer, vec![0]).unwrap();
        let asked = |id: &str, prompt: Vec<u32>| Asked {
            id: id.to_owned(),
            prompt,
            answer: Answer::Free { most_tokens: 3 },
        };
        let run = |all: &[Asked]| {
            let work = writer.work("corrections", "free", all);
            let plan = Plan::plain(model.stack()).unwrap();
            let found = Runner::new().measure(&model, &plan, &work, all);
            found.map(|found| found.into_plain().to_vec())
        };
        let mut all = vec![
            asked("a", tokenizer.encode("The king said").unwrap()),
            asked("b", tokenizer.encode("He was").unwrap()),
        ];
        let expected = all.iter().map(|asked| {
            let written = writer.write(asked).unwrap();
            (written.text, written.tokens)
        });
        let expected: Vec<(String, usize)> = expected.collect();
        assert_eq!(run(&all).unwrap(), expected);
        all.push(asked("c", Vec::new()));
        let error = run(&all).unwrap_err().to_string();
        let says = "item 2: the correction of `c`: the sequence is empty";
        assert!(error.starts_with(says), "{error}");
    }
}
