//! Normalises transcripts before words are compared.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// How a transcript is turned into words. Every output names the normaliser.
///
/// ```
/// use layerwise_transcripts::Normaliser;
///
/// let words = Normaliser::Norm.words("Flights to the U.S., please!");
/// assert_eq!(words, ["flights", "to", "the", "us", "please"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Normaliser {
    /// Words are separated by white space, and otherwise unchanged.
    None,
    /// Lower case; every character other than a letter, digit, apostrophe or space becomes a space; then each longest run of
    /// one-character words other than `a` and `i` is joined (`u s` becomes `us`).
    #[default]
    Norm,
    /// Whisper's English normaliser, without its rules for numbers; the table maps spellings, such as British words to their
    /// American form.
    WhisperEn(BTreeMap<String, String>),
}

impl Normaliser {
    /// The name in outputs and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Norm => "norm",
            Self::WhisperEn(_) => "whisper-en",
        }
    }

    /// The words of a transcript.
    pub fn words(&self, text: &str) -> Vec<String> {
        match self {
            Self::None => text.split_whitespace().map(str::to_owned).collect(),
            Self::Norm => norm(text),
            Self::WhisperEn(spellings) => whisper_en(text, spellings),
        }
    }
}

fn norm(text: &str) -> Vec<String> {
    let kept = |c: char| match c.is_alphanumeric() || c == '\'' {
        true => c,
        false => ' ',
    };
    let text: String = text.to_lowercase().chars().map(kept).collect();
    let mut words: Vec<String> = Vec::new();
    let mut in_run = false;
    for word in text.split_whitespace() {
        let is_letter = word.chars().count() == 1 && !matches!(word, "a" | "i");
        match words.last_mut() {
            Some(last) if in_run && is_letter => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        in_run = is_letter;
    }
    words
}

/// Replacements of Whisper's `EnglishTextNormalizer`, in its order.
const REPLACEMENTS: [(&str, &str); 56] = [
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\blet's\b", "let us"),
    (r"\bain't\b", "aint"),
    (r"\by'all\b", "you all"),
    (r"\bwanna\b", "want to"),
    (r"\bgotta\b", "got to"),
    (r"\bgonna\b", "going to"),
    (r"\bi'ma\b", "i am going to"),
    (r"\bimma\b", "i am going to"),
    (r"\bwoulda\b", "would have"),
    (r"\bcoulda\b", "could have"),
    (r"\bshoulda\b", "should have"),
    (r"\bma'am\b", "madam"),
    (r"\bmr\b", "mister "),
    (r"\bmrs\b", "missus "),
    (r"\bst\b", "saint "),
    (r"\bdr\b", "doctor "),
    (r"\bprof\b", "professor "),
    (r"\bcapt\b", "captain "),
    (r"\bgov\b", "governor "),
    (r"\bald\b", "alderman "),
    (r"\bgen\b", "general "),
    (r"\bsen\b", "senator "),
    (r"\brep\b", "representative "),
    (r"\bpres\b", "president "),
    (r"\brev\b", "reverend "),
    (r"\bhon\b", "honorable "),
    (r"\basst\b", "assistant "),
    (r"\bassoc\b", "associate "),
    (r"\blt\b", "lieutenant "),
    (r"\bcol\b", "colonel "),
    (r"\bjr\b", "junior "),
    (r"\bsr\b", "senior "),
    (r"\besq\b", "esquire "),
    (r"'d been\b", " had been"),
    (r"'s been\b", " has been"),
    (r"'d gone\b", " had gone"),
    (r"'s gone\b", " has gone"),
    (r"'d done\b", " had done"),
    (r"'s got\b", " has got"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'s\b", " is"),
    (r"'d\b", " would"),
    (r"'ll\b", " will"),
    (r"'t\b", " not"),
    (r"'ve\b", " have"),
    (r"'m\b", " am"),
    (r"(\d),(\d)", "$1$2"),
    (r"\.([^0-9]|$)", " $1"),
    (DECOMPOSED, ""),
    (r"\p{M}", " "),
    (r"[^.%$¢€£\PS]|[^.%$¢€£\PP]", " "),
    (r"[.$¢€£]([^0-9])", " $1"),
    (r"([^0-9])%", "$1 "),
];

/// Marks that a compatibility decomposition separates from their letters.
const DECOMPOSED: &str = r"\p{Mn}";

fn whisper_en(text: &str, spellings: &BTreeMap<String, String>) -> Vec<String> {
    static REMOVED: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        [
            r"[<\[][^>\]]*[>\]]",
            r"\([^)]+?\)",
            r"\b(hmm|mm|mhm|mmm|uh|um)\b",
            // Removes a space before an apostrophe; the apostrophe is put back.
            r"\s+'",
        ]
        .map(compiled)
    });
    static REPLACED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        REPLACEMENTS
            .map(|(pattern, with)| (compiled(pattern), with))
            .to_vec()
    });
    let mut text = text.to_lowercase();
    for (pattern, with) in REMOVED.iter().zip(["", "", "", "'"]) {
        replace(&mut text, pattern, with);
    }
    for (pattern, with) in REPLACED.iter() {
        if pattern.as_str() == DECOMPOSED {
            text = text.nfkd().map(latin).collect();
        }
        replace(&mut text, pattern, with);
    }
    let respelt = |word: &str| match spellings.get(word) {
        Some(other) => other.clone(),
        None => word.to_owned(),
    };
    text.split_whitespace().map(respelt).collect()
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant")
}

fn replace(text: &mut String, pattern: &Regex, with: &str) {
    if let Cow::Owned(replaced) = pattern.replace_all(text, with) {
        *text = replaced;
    }
}

/// Letters that no decomposition turns into plain Latin letters.
fn latin(c: char) -> Cow<'static, str> {
    Cow::Borrowed(match c {
        'œ' => "oe",
        'ø' => "o",
        'æ' => "ae",
        'ß' => "ss",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        _ => return Cow::Owned(c.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(normaliser: &Normaliser, text: &str, expected: &str) {
        assert_eq!(normaliser.words(text).join(" "), expected, "{text:?}");
    }

    #[test]
    fn words_between_blanks() {
        check(&Normaliser::None, " A b.  c\td\n", "A b. c d");
        check(&Normaliser::None, "", "");
    }

    #[test]
    fn the_default() {
        for (text, expected) in [
            ("The U. S. Air-Force", "the us air force"),
            ("u s a i r", "us a i r"),
            ("n e c at 5 p m", "nec at 5pm"),
            ("i'm a b c", "i'm a bc"),
            ("don't; stop!", "don't stop"),
            ("É é", "éé"),
            ("...", ""),
        ] {
            check(&Normaliser::Norm, text, expected);
        }
    }

    #[test]
    fn whispers() {
        let spellings = [("colour".to_owned(), "color".to_owned())].into();
        let normaliser = Normaliser::WhisperEn(spellings);
        for (text, expected) in [
            ("[noise] Hmm, I won't (laughs) go", "i will not go"),
            ("Mr. O 'Brien can't; let's", "mister o brien can not let us"),
            ("he's got 1,234.5 dollars.", "he has got 1234.5 dollars"),
            (
                "they'd been; we'd; it isn't",
                "they had been we would it is not",
            ),
            ("50% of £3.20, a x% b", "50% of £3.20 a x b"),
            ("Café Łódź naïve straße", "cafe lodz naive strasse"),
            ("the colour — red", "the color red"),
            ("end.", "end"),
        ] {
            check(&normaliser, text, expected);
        }
    }
}
