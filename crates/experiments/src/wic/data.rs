//! Word-in-context pairs: the WiC data set from its files, and a stand-in made from the embedded text.
//!
//! In the stand-in, `standin-senses`, senses are known by construction, so that the figure can be drawn without any download.
//! Two words of similar frequency in the embedded text are merged into one form, the more frequent word, as a word with two
//! meanings; the sense of an occurrence is the original word. A context is the 16 words before it and the form itself. For each
//! form there are four pairs with equal senses and four with unequal senses; no occurrence is in two of them, and all pairs of
//! one form are in one split. Nobody else uses this stand-in, and its accuracies compare with nothing published.

use crate::core::data::{Limit, Source};
use crate::core::error::{ExperimentError, Place};
use layerwise_corpus as corpus;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A word in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The text.
    pub text: String,
    /// The word's bytes.
    pub word: Range<usize>,
}

impl Occurrence {
    /// The tokens of the text that belong to the word, each with its bytes: all whose bytes overlap the word's.
    pub fn tokens(&self, spans: &[(u32, Range<usize>)]) -> Option<Range<usize>> {
        let is_own = |(_, span): &(u32, Range<usize>)| {
            span.start < self.word.end && span.end > self.word.start
        };
        let first = spans.iter().position(is_own)?;
        let last = spans.iter().rposition(is_own)?;
        Some(first..last + 1)
    }
}

/// A part of speech that is distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartOfSpeech {
    /// `N` in the files.
    Noun,
    /// `V` in the files.
    Verb,
}

/// Two occurrences of a word, and whether it has the same sense in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The word, in its dictionary form.
    pub word: String,
    /// Its part of speech; `None` for another kind, or if unknown.
    pub part_of_speech: Option<PartOfSpeech>,
    /// Where it occurs.
    pub occurrences: [Occurrence; 2],
    /// Whether its sense is the same.
    pub same: bool,
}

/// Pairs for training, for choosing and for testing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The set's name.
    pub name: &'static str,
    /// For training.
    pub train: Vec<Pair>,
    /// For choosing the penalty or the threshold.
    pub dev: Vec<Pair>,
    /// For testing.
    pub test: Vec<Pair>,
}

/// WiC, or the stand-in.
pub(crate) static SOURCE: Source = Source {
    option: "wic",
    help: "A folder with the WiC data set: train, dev and test as .data.txt and .gold.txt, each in a folder of its own as in the published archive or not [default: a stand-in from the embedded text]",
    title: "Word-in-context pairs",
    limit: Limit {
        option: "pairs",
        help: "Take the first N training pairs of WiC [default: all]",
        least: 8,
        default: None,
    },
    read: |folder, most, data| {
        data.insert(from_folder(folder, most)?);
        Ok(PARTS.map(|part| files(folder, part)).concat())
    },
    stand_in: |documents, _, data| {
        if let Some(pairs) = standin(documents) {
            data.insert(pairs);
        }
    },
};

/// WiC from a folder with `train`, `dev` and `test` as `.data.txt` and `.gold.txt`, each optionally in a folder of its part's
/// name; the first `most` training pairs.
///
/// # Errors
/// A file is missing or not text, or the named line has another form.
pub fn from_folder(folder: &Path, most: Option<usize>) -> Result<Pairs, ExperimentError> {
    let split = |part: &str| {
        let [data, gold] = files(folder, part);
        split(folder, &data, &gold)
    };
    let mut train = split("train")?;
    train.truncate(most.unwrap_or(usize::MAX));
    Ok(Pairs {
        name: "wic",
        train,
        dev: split("dev")?,
        test: split("test")?,
    })
}

/// The parts of WiC.
const PARTS: [&str; 3] = ["train", "dev", "test"];

/// The files of a part of WiC: its data and its gold labels.
fn files(folder: &Path, part: &str) -> [PathBuf; 2] {
    ["data", "gold"].map(|kind| {
        let file = format!("{part}.{kind}.txt");
        // The published archive has a folder for each part.
        let inside = folder.join(part).join(&file);
        match inside.is_file() {
            true => inside,
            false => folder.join(file),
        }
    })
}

/// The pairs of a file in the columns of WiC, without labels: each counts as having unequal senses.
///
/// # Errors
/// The file is not text, or the named line has another form.
pub fn unlabelled(data: &Path) -> Result<Vec<Pair>, ExperimentError> {
    let text = corpus::read_text(data)?;
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| {
            pair(line, false).at(|| format!("{}: line {}", data.display(), index + 1))
        })
        .collect()
}

fn split(folder: &Path, data: &Path, gold: &Path) -> Result<Vec<Pair>, ExperimentError> {
    let data_text = corpus::read_text_in(folder, data)?;
    let gold_text = corpus::read_text_in(folder, gold)?;
    let labels: Vec<&str> = gold_text.lines().collect();
    let lines: Vec<&str> = data_text.lines().collect();
    if labels.len() != lines.len() {
        let expected = format!("{} lines, as in {}", lines.len(), data.display());
        let fault = ExperimentError::unexpected(expected, labels.len().to_string());
        return Err(fault).at(|| gold.display().to_string());
    }
    let mut pairs = Vec::new();
    for (index, (line, label)) in lines.into_iter().zip(labels).enumerate() {
        let same = match label.trim() {
            "T" => true,
            "F" => false,
            other => {
                let fault = ExperimentError::unexpected("T or F", format!("{other:?}"));
                return Err(fault).at(|| format!("{}: line {}", gold.display(), index + 1));
            }
        };
        let pair = pair(line, same);
        pairs.push(pair.at(|| format!("{}: line {}", data.display(), index + 1))?);
    }
    for class in [true, false] {
        if !pairs.iter().any(|pair| pair.same == class) {
            let found = format!("none of {}", if class { "T" } else { "F" });
            let fault = ExperimentError::unexpected("pairs of both labels", found);
            return Err(fault).at(|| gold.display().to_string());
        }
    }
    Ok(pairs)
}

/// A line of tab-separated word, part of speech, two indices of words joined by `-`, and two texts.
fn pair(line: &str, same: bool) -> Result<Pair, ExperimentError> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [word, part, indices, first, second] = fields.as_slice() else {
        let expected = "5 fields between tabs (word, part of speech, indices, two texts)";
        let found = fields.len().to_string();
        return Err(ExperimentError::unexpected(expected, found));
    };
    let numbers = indices.split_once('-').and_then(|(first, second)| {
        let first: usize = first.trim().parse().ok()?;
        Some((first, second.trim().parse::<usize>().ok()?))
    });
    let Some((in_first, in_second)) = numbers else {
        let expected = "two indices of words, such as 2-0";
        let found = format!("{indices:?}");
        return Err(ExperimentError::unexpected(expected, found));
    };
    let find = |text: &str, index: usize| {
        let mut words = words(text);
        let Some(word) = words.nth(index) else {
            let expected = format!("a word of index {index}");
            return Err(ExperimentError::unexpected(expected, format!("{text:?}")));
        };
        Ok(Occurrence {
            text: text.to_owned(),
            word,
        })
    };
    Ok(Pair {
        word: (*word).to_owned(),
        part_of_speech: match *part {
            "N" => Some(PartOfSpeech::Noun),
            "V" => Some(PartOfSpeech::Verb),
            _ => None,
        },
        occurrences: [find(first, in_first)?, find(second, in_second)?],
        same,
    })
}

/// The bytes of a text's words, which are separated by white space.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.split_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        start..start + word.len()
    })
}

/// Words before a form of the stand-in.
const BEFORE: usize = 16;
/// Occurrences used of a word: four pairs with equal senses take two of each word, four with unequal senses take one of each.
const OCCURRENCES: usize = 8;
/// The fewest letters of a word.
const LETTERS: usize = 4;
/// The two words of a form must differ within this many letters from the beginning, so that they are not forms of one word.
const STEM: usize = 4;

/// The stand-in; `None` if the text has too few frequent words.
pub fn standin(documents: &[String]) -> Option<Pairs> {
    let mut places: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    let documents: Vec<Vec<&str>> = documents
        .iter()
        .map(|text| text.split_whitespace().collect())
        .collect();
    for (document, words) in documents.iter().enumerate() {
        for (place, word) in words.iter().enumerate().skip(BEFORE) {
            if word.len() >= LETTERS && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                places.entry(word).or_default().push((document, place));
            }
        }
    }
    let mut frequent: Vec<(&str, Vec<(usize, usize)>)> = places
        .into_iter()
        .filter(|(_, places)| places.len() >= OCCURRENCES)
        .collect();
    // The sort is stable: words of equal frequency stay in alphabetical order.
    frequent.sort_by_key(|(_, places)| usize::MAX - places.len());
    let mut pairs = Pairs {
        name: "standin-senses",
        ..Pairs::default()
    };
    let mut forms = 0;
    let mut left = frequent.into_iter().peekable();
    while let Some((form, own)) = left.next() {
        let Some((_, other)) = left.next_if(|(other, _)| other[..STEM] != form[..STEM]) else {
            continue;
        };
        // Half of the forms for training, a fifth for choosing, the rest for testing.
        let split = match forms % 10 {
            0..5 => &mut pairs.train,
            5..7 => &mut pairs.dev,
            _ => &mut pairs.test,
        };
        forms += 1;
        let occurrence = |places: &[(usize, usize)], index: usize| {
            // Spread evenly over all occurrences.
            let (document, place) = places[index * places.len() / OCCURRENCES];
            let before = documents[document][place - BEFORE..place].join(" ");
            Occurrence {
                word: before.len() + 1..before.len() + 1 + form.len(),
                text: format!("{before} {form}"),
            }
        };
        let mut push = |first: Occurrence, second: Occurrence, same: bool| {
            split.push(Pair {
                word: form.to_owned(),
                part_of_speech: None,
                occurrences: [first, second],
                same,
            });
        };
        for index in [0, 2] {
            for places in [&own, &other] {
                let second = occurrence(places, index + 1);
                push(occurrence(places, index), second, true);
            }
        }
        for index in 4..OCCURRENCES {
            push(occurrence(&own, index), occurrence(&other, index), false);
        }
    }
    (forms >= 10).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::documents;
    use std::collections::BTreeSet;
    use std::fs;

    const DATA: &str =
        "board\tN\t2-1\tRoom and board .\tHe  boards a plane\ngo\tV\t0-0\tgo\tgo on\n";

    fn folder(train: &str, gold: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (split, data, gold) in [
            ("train", train, gold),
            ("dev", DATA, "T\nF\n"),
            ("test", DATA, "F\nT\n"),
        ] {
            fs::write(folder.path().join(format!("{split}.data.txt")), data).unwrap();
            fs::write(folder.path().join(format!("{split}.gold.txt")), gold).unwrap();
        }
        folder
    }

    #[test]
    fn words_are_found_by_their_index() {
        let folder = folder(DATA, "F\nT\n");
        let pairs = from_folder(folder.path(), None).unwrap();
        let [first, second] = &pairs.train[0].occurrences;
        assert_eq!(&first.text[first.word.clone()], "board");
        assert_eq!(&second.text[second.word.clone()], "boards");
        let parts = [0, 1].map(|pair: usize| pairs.train[pair].part_of_speech);
        assert_eq!(parts, [Some(PartOfSpeech::Noun), Some(PartOfSpeech::Verb)]);
        let labels = |pairs: &[Pair]| -> Vec<bool> { pairs.iter().map(|pair| pair.same).collect() };
        assert_eq!(labels(&pairs.train), [false, true]);
        assert_eq!(labels(&pairs.dev), [true, false]);
        assert_eq!(from_folder(folder.path(), Some(1)).unwrap().train.len(), 1);
    }

    #[test]
    fn the_published_archive_and_lines_of_windows_are_read() {
        let flat = folder(DATA, "F\nT\n");
        let expected = from_folder(flat.path(), None).unwrap();
        let nested = tempfile::tempdir().unwrap();
        for split in ["train", "dev", "test"] {
            fs::create_dir(nested.path().join(split)).unwrap();
            for kind in ["data", "gold"] {
                let name = format!("{split}.{kind}.txt");
                let text = fs::read_to_string(flat.path().join(&name)).unwrap();
                let text = text.replace('\n', "\r\n");
                fs::write(nested.path().join(split).join(name), text).unwrap();
            }
        }
        assert_eq!(from_folder(nested.path(), None).unwrap(), expected);
    }

    #[test]
    fn bad_lines_are_named() {
        let check = |train: &str, gold: &str, expected: &str| {
            let folder = folder(train, gold);
            let error = from_folder(folder.path(), None).unwrap_err();
            let message =
                format!("{error:#}").replace(&format!("{}/", folder.path().display()), "");
            assert!(message.starts_with(expected), "{message}");
        };
        let with = |line: &str| format!("{DATA}{line}\n");
        check(
            &with("a\tN\t0-0\tb"),
            "T\nF\nT\n",
            "train.data.txt: line 3: expected 5 fields between tabs (word, part of speech, indices, two texts), found 4",
        );
        check(
            &with("a\tN\t0\tb\tc"),
            "T\nF\nT\n",
            "train.data.txt: line 3: expected two indices of words, such as 2-0, found \"0\"",
        );
        check(
            &with("a\tN\t0--1\tb\tc"),
            "T\nF\nT\n",
            "train.data.txt: line 3: expected two indices of words",
        );
        check(
            &with("a\tN\t0-1\tb\tc"),
            "T\nF\nT\n",
            "train.data.txt: line 3: expected a word of index 1, found \"c\"",
        );
        check(
            DATA,
            "T\n",
            "train.gold.txt: expected 2 lines, as in train.data.txt, found 1",
        );
        check(
            DATA,
            "T\nX\n",
            "train.gold.txt: line 2: expected T or F, found \"X\"",
        );
        check(
            DATA,
            "T\nT\n",
            "train.gold.txt: expected pairs of both labels, found none of F",
        );
        let folder = folder(DATA, "T\nF\n");
        fs::remove_file(folder.path().join("test.gold.txt")).unwrap();
        let message = from_folder(folder.path(), None).unwrap_err().to_string();
        assert!(message.contains("test.gold.txt: not found"), "{message}");
    }

    #[test]
    fn the_standin_is_balanced_and_split_by_word() {
        let pairs = standin(&documents()).unwrap();
        let splits = [&pairs.train, &pairs.dev, &pairs.test];
        let mut seen = BTreeSet::new();
        for split in splits {
            assert!(split.len() >= 40, "{}", split.len());
            let same = split.iter().filter(|pair| pair.same).count();
            assert_eq!(2 * same, split.len());
            let forms: BTreeSet<&str> = split.iter().map(|pair| pair.word.as_str()).collect();
            assert_eq!(8 * forms.len(), split.len());
            for form in forms {
                assert!(seen.insert(form), "{form} is in two splits");
            }
            for occurrence in split.iter().flat_map(|pair| &pair.occurrences) {
                assert_eq!(occurrence.text.split(' ').count(), BEFORE + 1);
            }
            for pair in split {
                for occurrence in &pair.occurrences {
                    assert_eq!(&occurrence.text[occurrence.word.clone()], pair.word);
                }
            }
        }
        assert!(pairs.train.len() > pairs.test.len() && pairs.test.len() > pairs.dev.len());
    }

    #[test]
    fn no_occurrence_is_in_two_pairs() {
        // Every word of the text is different, except eight occurrences each of twenty words.
        let mut words: Vec<String> = Vec::new();
        for round in 0..8 {
            for word in 0..20 {
                let name = char::from(b'a' + word).to_string().repeat(5);
                words.extend((0..BEFORE).map(|i| format!("n{round}x{word}x{i}")));
                words.push(name);
            }
        }
        let pairs = standin(&[words.join(" ")]).unwrap();
        let all: Vec<&Pair> = [&pairs.train, &pairs.dev, &pairs.test]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(all.len(), 80);
        let contexts: BTreeSet<&str> = all
            .iter()
            .flat_map(|pair| &pair.occurrences)
            .map(|occurrence| occurrence.text.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(contexts.len(), 160);
        assert_eq!(standin(&[words[..200].join(" ")]), None);
    }
}
