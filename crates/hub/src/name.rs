//! Names of models and data sets.

use std::fmt;

/// A name on the hub with a revision: `ORG/NAME` or `NAME`, either with `@REVISION`.
///
/// ```
/// use layerwise_hub::HubName;
///
/// let name = HubName::parse("EleutherAI/pythia-70m@step1000").expect("a name");
/// assert_eq!(name.to_string(), "EleutherAI/pythia-70m@step1000");
/// assert!(name.is_plain());
/// assert!(!HubName::parse("gpt2").expect("a name").is_plain()); // it may be a folder
/// assert_eq!(HubName::parse("../models/gpt2"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName<'a> {
    pub(crate) repository: &'a str,
    /// A branch, a tag or a commit.
    pub(crate) revision: &'a str,
}

/// The revision if none is named.
pub(crate) const MAIN: &str = "main";

impl fmt::Display for HubName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.repository)?;
        match self.revision {
            MAIN => Ok(()),
            revision => write!(f, "@{revision}"),
        }
    }
}

impl<'a> HubName<'a> {
    /// Parses a name; `None` if the text is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let is_part = |part: &str| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty()
                && part.len() <= 96
                && part.chars().all(is_letter)
                && !part.starts_with(['.', '-'])
                && !part.ends_with(['.', '-'])
                && !part.contains("--")
                && !part.contains("..")
        };
        let is_name = repository.split('/').count() <= 2 && repository.split('/').all(is_part);
        let is_revision = revision.len() <= 200 && revision.split('/').all(is_part);
        (is_name && is_revision).then_some(Self {
            repository,
            revision,
        })
    }

    /// Whether it is unambiguously a hub name: it has an organisation or a revision.
    pub fn is_plain(&self) -> bool {
        self.repository.contains('/') || self.revision != MAIN
    }
}

/// A corpus on the hub: `NAME:CONFIG:SPLIT:FIELD`.
///
/// ```
/// use layerwise_hub::HubCorpus;
///
/// let corpus = HubCorpus::parse("Salesforce/wikitext:wikitext-2-raw-v1:test:text").expect("a corpus");
/// assert_eq!((corpus.part().as_str(), corpus.field), ("wikitext-2-raw-v1:test", "text"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubCorpus<'a> {
    pub(crate) name: HubName<'a>,
    pub(crate) config: &'a str,
    pub(crate) split: &'a str,
    /// The field, or column, of the texts.
    pub field: &'a str,
}

impl<'a> HubCorpus<'a> {
    /// Parses a corpus; `None` if the text is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [name, config, split, field] = parts[..] else {
            return None;
        };
        let is_part = |part: &str| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.len() <= 96 && part.chars().all(is_letter)
        };
        (is_part(config) && is_part(split) && !field.is_empty()).then_some(Self {
            name: HubName::parse(name)?,
            config,
            split,
            field,
        })
    }

    /// The part of the data set, as `CONFIG:SPLIT`.
    pub fn part(&self) -> String {
        format!("{}:{}", self.config, self.split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_hub() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = HubName::parse(text);
            assert_eq!(
                found.map(|it| (it.repository, it.revision)),
                expected,
                "{text}"
            );
        };
        check("gpt2", Some(("gpt2", "main")));
        check(
            "HuggingFaceTB/SmolLM2-135M",
            Some(("HuggingFaceTB/SmolLM2-135M", "main")),
        );
        check(
            "EleutherAI/pythia-70m@step1000",
            Some(("EleutherAI/pythia-70m", "step1000")),
        );
        check("a/b@refs/pr/1", Some(("a/b", "refs/pr/1")));
        for text in [
            "", "/", "a/", "/a", "a/b/c", "./a", "../a", "a/..", "a--b", "a b", "a@", "a@../x",
            "a@b//c", "a\\b", "~/a",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_corpus_is_named_by_four_parts() {
        let check = |text: &str, expected: Option<(&str, &str, &str, &str)>| {
            let found = HubCorpus::parse(text);
            let found = found.map(|it| (it.name.repository, it.config, it.split, it.field));
            assert_eq!(found, expected, "{text}");
        };
        check(
            "org/set:default:test:text",
            Some(("org/set", "default", "test", "text")),
        );
        check(
            "set@v1:a-b:train:a:b c",
            Some(("set", "a-b", "train", "a:b c")),
        );
        for other in [
            "text.txt",
            "a:b:c",
            "a:b:c:",
            "a::c:d",
            "a:b:*:d",
            "a:../b:c:d",
            "-a:b:c:d",
            ":b:c:d",
        ] {
            check(other, None);
        }
    }
}
