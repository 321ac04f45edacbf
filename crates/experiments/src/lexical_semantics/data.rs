//! Pairs of sentences with a word that people rated: RAW-C (Trott and Bergen, 2021), which the user supplies.

use crate::core::data::{Data, Limit, Source};
use crate::core::error::{ExperimentError, Place};
use crate::wic::data::{Occurrence, Pair, Pairs, words};
use layerwise_corpus as corpus;
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

/// RAW-C, and the number of pairs to use from the experiment `wic`, which is read before.
pub(crate) static SOURCE: Source = Source {
    option: "raw-c",
    help: "A folder with the RAW-C data set, raw-c.csv with the columns word, sentence1, sentence2 and mean_relatedness: compares the cosines of lexical-semantics with relatedness as people judged it [default: none]",
    title: "Rated pairs of word senses",
    limit: Limit {
        option: "wic-items",
        help: "Take the first N development pairs and the first N test pairs of WiC [default: all]",
        least: 2,
        default: None,
    },
    read: |folder, most, data| {
        let file = folder.join("raw-c.csv");
        data.insert(rated(&file)?);
        limit(most, data);
        Ok(vec![file])
    },
    stand_in: |_, most, data| limit(most, data),
};

/// Keeps only this many pairs for choosing and for testing.
fn limit(most: Option<usize>, data: &mut Data) {
    if let (Some(most), Some(pairs)) = (most, data.get::<Pairs>()) {
        let mut pairs = pairs.clone();
        pairs.dev.truncate(most);
        pairs.test.truncate(most);
        data.insert(pairs);
    }
}

/// Pairs with the mean relatedness of the word's two uses, as people judged it.
#[derive(Clone, Debug, PartialEq)]
pub struct RatedPairs {
    /// The pairs; their labels are meaningless.
    pub pairs: Vec<Pair>,
    /// A rating for each.
    pub ratings: Vec<f64>,
}

/// The columns that are read, of a file with many.
#[derive(Deserialize)]
struct Line {
    word: String,
    /// The word as it appears in the sentences, if that is another form.
    string: Option<String>,
    sentence1: String,
    sentence2: String,
    mean_relatedness: f64,
}

/// The pairs of a CSV file with the columns `word`, `sentence1`, `sentence2` and `mean_relatedness`, and optionally `string`.
///
/// # Errors
/// The file is not text, lacks a column, or has a line without the word or a rating, which the error names.
pub fn rated(file: &Path) -> Result<RatedPairs, ExperimentError> {
    let text = corpus::read_text(file)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut rated = RatedPairs {
        pairs: Vec::new(),
        ratings: Vec::new(),
    };
    for (index, line) in reader.deserialize::<Line>().enumerate() {
        let place = || format!("{}: line {}", file.display(), index + 2);
        let line = line
            .map_err(|error| {
                let expected = "word, sentence1, sentence2 and mean_relatedness";
                ExperimentError::unexpected(expected, error.to_string())
            })
            .at(place)?;
        if !line.mean_relatedness.is_finite() {
            let found = line.mean_relatedness.to_string();
            return Err(ExperimentError::unexpected("a finite rating", found)).at(place);
        }
        let form = line.string.as_deref().unwrap_or(&line.word);
        let occurrences = [&line.sentence1, &line.sentence2].map(|text| occurrence(text, form));
        let [first, second] = occurrences;
        rated.pairs.push(Pair {
            occurrences: [first.at(place)?, second.at(place)?],
            word: line.word,
            part_of_speech: None,
            same: false,
        });
        rated.ratings.push(line.mean_relatedness);
    }
    if rated.pairs.len() < 2 {
        let found = rated.pairs.len().to_string();
        return Err(ExperimentError::unexpected("2 pairs or more", found))
            .at(|| file.display().to_string());
    }
    Ok(rated)
}

/// The first word of a text that is the form, or else begins with it, ignoring case and surrounding punctuation.
fn occurrence(text: &str, form: &str) -> Result<Occurrence, ExperimentError> {
    let form = form.to_lowercase();
    let bare = |word: Range<usize>| {
        let own = &text[word.clone()];
        let start = own.len() - own.trim_start_matches(|c: char| !c.is_alphanumeric()).len();
        let trimmed = own.trim_matches(|c: char| !c.is_alphanumeric());
        word.start + start..word.start + start + trimmed.len()
    };
    let bare: Vec<Range<usize>> = words(text).map(bare).collect();
    let lower = |word: &&Range<usize>| text[(*word).clone()].to_lowercase();
    let exact = bare.iter().find(|word| lower(word) == form);
    let found = exact.or_else(|| bare.iter().find(|word| lower(word).starts_with(&form)));
    let Some(word) = found.filter(|word| !word.is_empty()) else {
        let expected = format!("the word {form:?}");
        return Err(ExperimentError::unexpected(expected, format!("{text:?}")));
    };
    Ok(Occurrence {
        text: text.to_owned(),
        word: word.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(text: &str) -> Result<RatedPairs, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("raw-c.csv");
        fs::write(&file, text).unwrap();
        rated(&file).map_err(|error| {
            error
                .to_string()
                .replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn rated_words_are_found() {
        let text = "id,word,sentence1,sentence2,same,mean_relatedness\n\
                    1,lamb,They liked the friendly lamb.,\"Lambs, they like.\",True,3.5\n\
                    2,bat,A bat!,\"The \"\"bat\"\".\",False,0\n";
        let rated = read(text).unwrap();
        assert_eq!(rated.ratings, [3.5, 0.0]);
        let words = rated.pairs.iter().flat_map(|pair| &pair.occurrences);
        let words: Vec<&str> = words.map(|own| &own.text[own.word.clone()]).collect();
        assert_eq!(words, ["lamb", "Lambs", "bat", "bat"]);
    }

    #[test]
    fn bad_lines_are_named() {
        let check = |lines: &str, expected: &str| {
            let error = read(&format!(
                "word,sentence1,sentence2,mean_relatedness\n{lines}"
            ))
            .unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            "a,a b,c,1\n",
            "raw-c.csv: line 2: expected the word \"a\", found \"c\"",
        );
        check(
            "a,a b,a,1\na,a,a,NaN\n",
            "raw-c.csv: line 3: expected a finite rating, found NaN",
        );
        check("a,a b,a,x\n", "raw-c.csv: line 2: expected word, sentence1");
        check(
            "a,a b,a,1\n",
            "raw-c.csv: expected 2 pairs or more, found 1",
        );
        assert!(
            read("word,sentence1\na,b\n")
                .unwrap_err()
                .contains("mean_relatedness")
        );
    }
}
