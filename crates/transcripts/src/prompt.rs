//! The prompt that asks another program for a correction.

use crate::TranscriptError;

/// A prompt with placeholders for the list.
///
/// ```
/// use layerwise_transcripts::Template;
///
/// let template = Template::new("Which of {n} is right?\n{list}\n")?;
/// let prompt = template.prompt(&["show me".to_owned(), "show be".to_owned()]);
/// assert_eq!(prompt, "Which of 2 is right?\n1. show me\n2. show be\n");
/// assert!(Template::new("{lists}").is_err());
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// The placeholders of a template.
const PLACES: [&str; 3] = ["{n}", "{list}", "{first}"];

impl Default for Template {
    /// The list, eight rules, and the line before the correction.
    fn default() -> Self {
        Self(
            "Below are {n} numbered transcriptions of one utterance, made by a speech recogniser; the first is its best guess.\n\
             {list}\n\
             Write what was said, by these rules:\n\
             1. Read all transcriptions: they are attempts at the same utterance.\n\
             2. Where they agree, keep what they say.\n\
             3. Where they differ, choose what fits the sentence.\n\
             4. Add no word and delete no word.\n\
             5. Use as many words as the first transcription.\n\
             6. Use only words that occur in the transcriptions, and no synonyms.\n\
             7. Do not repair grammar or style; use lower case and no punctuation.\n\
             8. Write one sentence and nothing else.\n\
             Corrected:"
                .to_owned(),
        )
    }
}

impl Template {
    /// A template, in which `{n}` stands for the number of transcriptions, `{list}` for their numbered lines, and `{first}` for
    /// the first of them.
    ///
    /// # Errors
    ///
    /// It lacks `{list}`, or has another word in braces.
    pub fn new(text: &str) -> Result<Self, TranscriptError> {
        let refuse = |expected, found: &str| {
            Err(TranscriptError::Setting {
                setting: "template",
                expected,
                found: format!("`{}`", found.escape_debug()),
            })
        };
        for (at, _) in text.match_indices('{') {
            let rest = &text[at..];
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            if !PLACES.contains(&&rest[..end]) {
                let end = rest
                    .char_indices()
                    .nth(20)
                    .map_or(rest.len(), |(at, _)| at)
                    .min(end);
                return refuse("{n}, {list} and {first} alone in braces", &rest[..end]);
            }
        }
        match text.contains("{list}") {
            true => Ok(Self(text.to_owned())),
            false => refuse("the place {list}", "none"),
        }
    }

    /// The prompt for a list of at least one text.
    pub fn prompt(&self, texts: &[String]) -> String {
        let numbered = (1..).zip(texts);
        let lines: Vec<String> = numbered
            .map(|(number, text)| format!("{number}. {text}"))
            .collect();
        let mut prompt = String::new();
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('{') {
            prompt.push_str(&rest[..at]);
            let place = PLACES.iter().find(|place| rest[at..].starts_with(**place));
            match place {
                Some(&"{n}") => prompt.push_str(&texts.len().to_string()),
                Some(&"{list}") => prompt.push_str(&lines.join("\n")),
                _ => prompt.extend(texts.first().map(String::as_str)),
            }
            rest = &rest[at + place.map_or(1, |place| place.len())..];
        }
        prompt + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let texts = ["a {n}".to_owned(), "b".to_owned()];
        let template = Template::new("{n}:\n{list}\n({first})").unwrap();
        assert_eq!(template.prompt(&texts), "2:\n1. a {n}\n2. b\n(a {n})");
        let default = Template::default();
        assert_eq!(Template::new(&default.0).unwrap(), default);
        assert!(default.prompt(&texts).contains("\n1. a {n}\n2. b\n"));
        assert!(default.prompt(&texts).ends_with("\nCorrected:"));
    }

    #[test]
    fn other_places_are_refused() {
        for (text, mentioned) in [
            ("no list", "{list}"),
            ("{list} {lists}", "`{lists}`"),
            ("{list} {", "`{`"),
        ] {
            let said = Template::new(text).unwrap_err().to_string();
            assert!(said.contains(mentioned), "{said}");
        }
    }
}
