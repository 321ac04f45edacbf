//! A correction that a transformer is to write.

use crate::error::RescoringError;
use layerwise_corpus::Tokenizer;
use layerwise_generate::Settings;
use layerwise_transcripts::{CountRule, DistinctList, Lattice, Vocabulary};
use layerwise_transformer::Model;
use std::collections::BTreeMap;

/// Tokens of a free text beyond twice those of the longest hypothesis.
const MORE_TOKENS: usize = 16;
/// The usual largest number of bytes of a token's text.
const TOKEN_BYTES: usize = 16;

/// A correction to be written: a prompt, and the allowed answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The utterance.
    pub id: String,
    /// The prompt, in tokens.
    pub prompt: Vec<u32>,
    /// The allowed answers.
    pub answer: Answer,
}

/// The allowed answers to a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Any text.
    Free {
        /// The largest number of tokens.
        most_tokens: usize,
    },
    /// One path of a word lattice.
    Path {
        /// The words of each slot; `None` for no word.
        slots: Vec<Vec<Option<String>>>,
    },
}

/// Follows the bytes of a word; neither this nor the next two values are bytes.
const WORD_ENDS: u32 = 256;
/// Stands for no word.
const NO_WORD: u32 = 257;
/// Follows the words of a slot.
const SLOT_ENDS: u32 = 258;

impl Asked {
    /// A correction of a list: free, or along the paths of its lattice that obey a rule on the number of words.
    ///
    /// # Errors
    /// The tokenizer refuses a hypothesis, or the lattice has too many slots.
    pub fn new(
        id: &str,
        prompt: Vec<u32>,
        list: &DistinctList,
        along: Option<CountRule>,
        vocabulary: &Vocabulary,
        tokenizer: &Tokenizer,
    ) -> Result<Self, RescoringError> {
        let answer = match along {
            Some(rule) => Answer::Path {
                slots: Lattice::of(list)?.under(rule).texts(vocabulary),
            },
            None => {
                let mut longest = 0;
                for words in &list.hypotheses {
                    longest = longest.max(tokenizer.encode(&vocabulary.text(words))?.len());
                }
                Answer::Free {
                    most_tokens: 2 * longest + MORE_TOKENS,
                }
            }
        };
        Ok(Self {
            id: id.to_owned(),
            prompt,
            answer,
        })
    }

    /// The inputs of the correction as numbers; different inputs give different numbers.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![self.prompt.len() as u32];
        numbers.extend(&self.prompt);
        match &self.answer {
            Answer::Free { most_tokens } => numbers.push(*most_tokens as u32),
            Answer::Path { slots } => {
                for slot in slots {
                    for word in slot {
                        match word {
                            Some(word) => {
                                numbers.extend(word.bytes().map(u32::from));
                                numbers.push(WORD_ENDS);
                            }
                            None => numbers.push(NO_WORD),
                        }
                    }
                    numbers.push(SLOT_ENDS);
                }
            }
        }
        numbers
    }

    /// The largest number of tokens of the prompt with its answer.
    pub fn most_tokens(&self) -> usize {
        self.prompt.len() + self.answer.most_tokens()
    }

    /// The largest number of bytes for writing one of some corrections, and for its result.
    ///
    /// Keys and values cover the prompt and the longest answer. The text counts twice: as a result, and in the collected
    /// corrections.
    pub(crate) fn most_bytes(asked: &[Self], model: &Model) -> [usize; 2] {
        let config = model.config();
        let room = asked.iter().map(Self::most_tokens).max().unwrap_or(0);
        let room = room.min(config.context);
        let plain = model.plain();
        let writing = asked.iter().map(|asked| {
            let settings =
                Settings::default().with(|it| it.max_tokens = asked.answer.most_tokens());
            settings.most_bytes(config, &[(&plain, asked.prompt.len())])
        });
        [writing.max().unwrap_or(0), 2 * TOKEN_BYTES * room]
    }

    /// Corrections by utterance, and the number of tokens of all prompts and texts; `written` holds each text with its number of
    /// tokens.
    pub fn corrections(
        asked: &[Self],
        written: &[(String, usize)],
    ) -> (BTreeMap<String, String>, u64) {
        let both = asked.iter().zip(written);
        let tokens = both
            .clone()
            .map(|(asked, (_, own))| asked.prompt.len() + own);
        let tokens = tokens.sum::<usize>() as u64;
        let texts = both.map(|(asked, (text, _))| (asked.id.clone(), text.clone()));
        (texts.collect(), tokens)
    }
}

impl Answer {
    /// The largest number of tokens: for a path one per byte, with the space before each word, and an end token.
    pub fn most_tokens(&self) -> usize {
        let longest = |slot: &Vec<Option<String>>| {
            let words = slot.iter().flatten().map(|word| word.len() + 1);
            words.max().unwrap_or(0)
        };
        match self {
            Self::Free { most_tokens } => *most_tokens,
            Self::Path { slots } => slots.iter().map(longest).sum::<usize>() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_that_differ_have_other_numbers() {
        let asked = |answer: Answer| Asked {
            id: "a".to_owned(),
            prompt: vec![1, 2],
            answer,
        };
        let path = |slots: &[&[Option<&str>]]| {
            let slot = |slot: &&[Option<&str>]| slot.iter().map(|w| w.map(str::to_owned)).collect();
            asked(Answer::Path {
                slots: slots.iter().map(slot).collect(),
            })
        };
        let all = [
            path(&[&[Some("ab"), Some("c")]]),
            path(&[&[Some("a"), Some("bc")]]),
            path(&[&[Some("ab")], &[Some("c")]]),
            path(&[&[Some("ab"), None], &[Some("c")]]),
            path(&[&[Some("ab"), Some("c"), None]]),
            asked(Answer::Free { most_tokens: 9 }),
            asked(Answer::Free { most_tokens: 8 }),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(one.numbers(), other.numbers(), "{one:?} {other:?}");
            }
        }
    }
}
