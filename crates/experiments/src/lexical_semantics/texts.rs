//! The texts in which a model reads a word in its sentence, and the tokens at which the word's state is read in each text.

use super::table::Setting;
use crate::core::error::ExperimentError;
use crate::wic::data::{Occurrence, Pair, words};
use layerwise_corpus::Tokenizer;
use std::ops::Range;

/// How texts are built.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The token before every text.
    pub bos: Option<u32>,
    /// The context of the model.
    pub context: usize,
    /// Whether both sides of a pair get the prompt of the first side.
    pub same_template: bool,
}

/// One side of a pair, as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    /// Token ids of each text.
    pub texts: Vec<Vec<u32>>,
    /// For each of [`Setting::ALL`], the index of its text and the tokens to average over.
    pub readings: Vec<(usize, Range<usize>)>,
}

impl Side {
    /// The bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &Vec<u32>| size_of_val(text) + text.capacity() * size_of::<u32>() + 16;
        let texts: usize = self.texts.iter().map(text).sum();
        size_of::<Self>()
            + texts
            + self.readings.capacity() * size_of::<(usize, Range<usize>)>()
            + 64
    }

    /// The position read in one setting, and its text.
    pub(super) fn only(&self, setting: usize) -> Self {
        let (text, tokens) = self.readings[setting].clone();
        Self {
            texts: vec![self.texts[text][..tokens.end].to_vec()],
            readings: vec![(0, tokens)],
        }
    }
}

impl Reader<'_> {
    /// Both sides of a pair.
    pub(super) fn sides(&self, pair: &Pair) -> Result<[Side; 2], ExperimentError> {
        Ok([self.side(pair, 0)?, self.side(pair, 1)?])
    }

    fn side(&self, pair: &Pair, side: usize) -> Result<Side, ExperimentError> {
        let occurrence = &pair.occurrences[side];
        let twice = Twice::of(occurrence);
        let repeated = self.spans(&twice.text)?;
        let [own, previous, first] = [&twice.second, &twice.previous, &twice.first]
            .map(|word| tokens(&twice.text, word, &repeated));
        let (own, previous, first) = (own?, previous?, first?);
        let Some(token) = own.start.checked_sub(1) else {
            let expected = format!("a token before the second copy of {:?}", occurrence.text);
            return Err(ExperimentError::unexpected(expected, "none"));
        };
        // Tokens after the last reading cannot change it, and do not run.
        let mut texts = vec![self.ids(&repeated[..own.end])?];
        let alone = self.spans(&occurrence.text)?;
        let word = tokens(&occurrence.text, &occurrence.word, &alone)?;
        // If the first copy has the same tokens as the sentence alone, its states are those of the sentence.
        let is_shared = word == first
            && alone[..word.end]
                .iter()
                .zip(&repeated)
                .all(|(a, b)| a.0 == b.0);
        let base = if is_shared {
            (0, word)
        } else {
            texts.push(self.ids(&alone[..word.end])?);
            (texts.len() - 1, word)
        };
        let mut readings = vec![base, (0, own), (0, previous), (0, token..token + 1)];
        let form = if self.same_template { 0 } else { side };
        for prompt in prompts(&pair.word, &occurrence.text, form) {
            let end = prompt.len() - 1..prompt.len();
            let spans = self.spans(&prompt)?;
            let quote = tokens(&prompt, &end, &spans)?;
            texts.push(self.ids(&spans[..quote.end])?);
            readings.push((texts.len() - 1, quote));
        }
        let before = usize::from(self.bos.is_some());
        for (_, tokens) in &mut readings {
            *tokens = tokens.start + before..tokens.end + before;
        }
        debug_assert_eq!(readings.len(), Setting::ALL.len(), "one for each setting");
        Ok(Side { texts, readings })
    }

    fn spans(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, ExperimentError> {
        Ok(self.tokenizer.encode_with_spans(text)?)
    }

    fn ids(&self, spans: &[(u32, Range<usize>)]) -> Result<Vec<u32>, ExperimentError> {
        let ids = spans.iter().map(|(id, _)| *id);
        let ids: Vec<u32> = self.bos.into_iter().chain(ids).collect();
        if ids.len() > self.context {
            let expected = format!(
                "a text of at most {} tokens, the model's context",
                self.context
            );
            return Err(ExperimentError::unexpected(expected, ids.len().to_string()));
        }
        Ok(ids)
    }
}

/// The tokens of a part of a text.
fn tokens(
    text: &str,
    part: &Range<usize>,
    spans: &[(u32, Range<usize>)],
) -> Result<Range<usize>, ExperimentError> {
    let occurrence = Occurrence {
        text: text.to_owned(),
        word: part.clone(),
    };
    occurrence.tokens(spans).ok_or_else(|| {
        let own = text.get(part.clone()).unwrap_or_default();
        ExperimentError::unexpected(format!("tokens of {own:?} in {text:?}"), "none")
    })
}

/// A sentence, a blank, and the sentence again.
struct Twice {
    text: String,
    /// The word in the first copy.
    first: Range<usize>,
    /// The word before it in the second copy; if it is the first word, the last word of the first copy.
    previous: Range<usize>,
    /// The word in the second copy.
    second: Range<usize>,
}

impl Twice {
    fn of(occurrence: &Occurrence) -> Self {
        let Occurrence { text, word } = occurrence;
        let twice = format!("{text} {text}");
        let shift = text.len() + 1;
        let second = word.start + shift..word.end + shift;
        let before = words(&twice).take_while(|other| other.end <= second.start);
        let previous = before.last().unwrap_or(0..0);
        Self {
            first: word.clone(),
            previous,
            second,
            text: twice,
        }
    }
}

/// The prompts of one side of a pair. The published prompts differ between the sides in one character after `sentence`.
fn prompts(word: &str, sentence: &str, side: usize) -> [String; 2] {
    let after = [' ', ':'][side];
    [
        format!("The \"{word}\" in this sentence{after}\"{sentence}\" means in one word : \""),
        format!("In this sentence{after}\"{sentence}\", \"{word}\" means in one word : \""),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::tokenizer;

    const TEXT: &str = "Room and board .";

    fn pair(word: Range<usize>) -> Pair {
        let occurrence = Occurrence {
            text: TEXT.to_owned(),
            word,
        };
        Pair {
            word: "board".to_owned(),
            part_of_speech: None,
            occurrences: [occurrence.clone(), occurrence],
            same: true,
        }
    }

    fn reader(tokenizer: &Tokenizer, bos: Option<u32>) -> Reader<'_> {
        Reader {
            tokenizer,
            bos,
            context: 64,
            same_template: false,
        }
    }

    #[test]
    fn prompts_are_the_published_ones() {
        let [first, second] = prompts("board", TEXT, 0);
        assert_eq!(
            first,
            "The \"board\" in this sentence \"Room and board .\" means in one word : \""
        );
        assert_eq!(
            second,
            "In this sentence \"Room and board .\", \"board\" means in one word : \""
        );
        let [first, second] = prompts("board", TEXT, 1);
        assert_eq!(
            first,
            "The \"board\" in this sentence:\"Room and board .\" means in one word : \""
        );
        assert_eq!(
            second,
            "In this sentence:\"Room and board .\", \"board\" means in one word : \""
        );
    }

    #[test]
    fn readings_are_at_the_words() {
        let tokenizer = tokenizer();
        let check = |word: Range<usize>, expected: [&str; 3]| {
            for bos in [None, Some(0)] {
                let [side, other] = reader(&tokenizer, bos).sides(&pair(word.clone())).unwrap();
                let said = |(text, tokens): &(usize, Range<usize>)| {
                    let said = tokenizer
                        .decode(&side.texts[*text][tokens.clone()])
                        .unwrap();
                    said.trim().to_owned()
                };
                let said: Vec<String> = side.readings.iter().map(said).collect();
                assert_eq!(said[..3], expected);
                assert_eq!(said[4..], ["\"", "\""]);
                assert_eq!(side.readings[3].1.len(), 1);
                assert_eq!(side.readings[3].1.end, side.readings[1].1.start);
                // One pass for the readings of the copies, and one for each prompt.
                assert_eq!(side.texts.len(), 3);
                assert_ne!(side.texts[1], other.texts[1]);
                let same = Reader {
                    same_template: true,
                    ..reader(&tokenizer, bos)
                };
                let [one, other] = same.sides(&pair(word.clone())).unwrap();
                assert_eq!(one, other);
            }
        };
        check(9..14, ["board", "board", "and"]);
        check(0..4, ["Room", "Room", "."]);
        check(15..16, [".", ".", "board"]);
    }

    #[test]
    fn a_text_beyond_the_context_is_refused() {
        let tokenizer = tokenizer();
        let short = Reader {
            context: 6,
            ..reader(&tokenizer, None)
        };
        let error = short.sides(&pair(9..14)).unwrap_err().to_string();
        assert!(
            error.starts_with("expected a text of at most 6 tokens"),
            "{error}"
        );
        let none = short.sides(&pair(4..4)).unwrap_err().to_string();
        assert!(none.contains("tokens of \"\""), "{none}");
    }

    /// Tokenizers that omit characters: a tokenizer without positions does so for every word.
    #[test]
    fn words_and_quotes_without_tokens_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let check = |left_out: &str, expected: &str| {
            let known = (' '..='~').filter(|known| !left_out.contains(*known));
            let vocab = known
                .zip(0..)
                .map(|(known, id)| (known.to_string(), id.into()));
            let vocab: serde_json::Map<String, serde_json::Value> = vocab.collect();
            let model = serde_json::json!({"type": "BPE", "vocab": vocab, "merges": []});
            let file = serde_json::json!({"version": "1.0", "added_tokens": [], "model": model});
            std::fs::write(&path, file.to_string()).unwrap();
            let tokenizer = Tokenizer::open(&path, 128).unwrap();
            let long = Reader {
                context: 512,
                ..reader(&tokenizer, None)
            };
            let error = long.sides(&pair(9..14)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            "board",
            "expected tokens of \"board\" in \"Room and board . Room and board .\"",
        );
        check("\"", "expected tokens of \"\\\"\" in \"The \\\"board");
    }
}
