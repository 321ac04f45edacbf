//! The rules of a correction that a program can check.

use crate::{CountRule, DistinctList, WordId};

/// The rules that a transcript breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violations {
    /// It has a word that no hypothesis has (R6).
    pub words: bool,
    /// Its number of words differs from the best hypothesis's, although the rule requires it (R4, R5).
    pub count: bool,
    /// It is not one sentence: it has a line break, has text after the end of a sentence, or is empty (R8).
    pub form: bool,
}

impl Violations {
    /// Whether any rule is broken.
    pub fn any(&self) -> bool {
        self.words || self.count || self.form
    }
}

/// Checks a correction, given as text and as words.
///
/// ```
/// use layerwise_transcripts::{CountRule, Limits, Normaliser, Vocabulary, read_columns, violations};
///
/// let lists = read_columns(&b"u1 show me fights\nu1 show me flights\n"[..], &Limits::default())?;
/// let mut vocabulary = Vocabulary::new();
/// let list = lists.utterances[0].distinct(&Normaliser::Norm, &mut vocabulary);
/// let words = vocabulary.add_all(["show", "flights"]);
/// let broken = violations(&list, CountRule::Keep, "show flights", &words);
/// assert_eq!((broken.words, broken.count, broken.form), (false, true, false));
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
pub fn violations(
    list: &DistinctList,
    count: CountRule,
    text: &str,
    words: &[WordId],
) -> Violations {
    let best = &list.hypotheses[0];
    let known = |word: &WordId| list.hypotheses.iter().any(|words| words.contains(word));
    let text = text.trim();
    let mut ends = text
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '?' | '!'));
    let goes_on =
        |(at, c): (usize, char)| text[at + c.len_utf8()..].starts_with(char::is_whitespace);
    Violations {
        words: !words.iter().all(known),
        count: count == CountRule::Keep && words.len() != best.len(),
        form: text.contains(['\n', '\r'])
            || ends.any(goes_on)
            || (words.is_empty() && !best.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Normaliser, Vocabulary};

    #[test]
    fn violations_are_told_apart() {
        let mut vocabulary = Vocabulary::new();
        let mut words = |text: &str| vocabulary.add_all(Normaliser::Norm.words(text));
        let list = DistinctList {
            hypotheses: vec![words("the cat sat"), words("a cat sat down")],
            scores: None,
            reference: None,
        };
        for (text, expected) in [
            ("the cat sat", [false, false, false]),
            ("A cat down.", [false, false, false]),
            ("the dog sat", [true, false, false]),
            ("the cat sat down", [false, true, false]),
            ("the cat sat\nI changed nothing", [true, true, true]),
            ("the cat. sat", [false, false, true]),
            ("", [false, true, true]),
        ] {
            let found = violations(&list, CountRule::Keep, text, &words(text));
            assert_eq!([found.words, found.count, found.form], expected, "{text:?}");
            assert_eq!(found.any(), expected.contains(&true));
            let found = violations(&list, CountRule::Free, text, &words(text));
            assert!(!found.count);
        }
    }
}
