//! Which files of a data set belong to a named part.

use crate::HubError;
use layerwise_files::{Folder, Links};
use std::path::{Path, PathBuf};

/// The files of a part of a data set, in a snapshot of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    snapshot: PathBuf,
    first: String,
    files: usize,
}

impl Split {
    /// The number of the part's files.
    pub fn files(&self) -> usize {
        self.files
    }

    /// The path of the first file in the snapshot.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The first file, which can be opened.
    ///
    /// # Errors
    /// It is not a regular file, or a link that leaves the cache.
    pub fn path(&self) -> Result<PathBuf, HubError> {
        // The file's blob must be in the same cache.
        Folder::open(&self.snapshot, Links::Refuse)?.file(&self.first, "texts of a data set")?;
        Ok(self.snapshot.join(&self.first))
    }

    /// The files of a part in a snapshot; if there are none, the parts that the snapshot has.
    pub(crate) fn find(
        snapshot: &Path,
        config: &str,
        split: &str,
    ) -> Result<Result<Self, Vec<String>>, HubError> {
        let all = texts_in(snapshot)?;
        let is_it = |path: &&String| place_of(path) == (config, split);
        let mut found = all.iter().filter(is_it);
        let Some(first) = found.next() else {
            let places = all.iter().map(|path| place_of(path));
            let mut places: Vec<String> = places
                .map(|(config, split)| format!("{config}:{split}"))
                .collect();
            places.dedup();
            return Ok(Err(places));
        };
        Ok(Ok(Self {
            snapshot: snapshot.to_owned(),
            first: first.clone(),
            files: 1 + found.count(),
        }))
    }
}

/// Endings of files that corpora can be read from.
const TEXTS: [&str; 4] = [".parquet", ".jsonl", ".jsonl.gz", ".txt"];
/// Folders of a data set that are not configurations.
const NO_CONFIGS: [&str; 2] = ["data", "default"];

/// The files of texts in a snapshot of a data set, as their paths in it, sorted.
pub(crate) fn texts_in(snapshot: &Path) -> Result<Vec<String>, HubError> {
    /// The deepest folders of data sets, and the largest number of files that are examined.
    const DEPTH: usize = 4;
    const MOST: usize = 20_000;
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((below, depth)) = folders.pop() {
        for name in Folder::open(&snapshot.join(&below), Links::Refuse)?.names()? {
            let path = format!("{below}{name}");
            if name.starts_with('.') || found.len() + folders.len() > MOST {
                continue;
            }
            if snapshot.join(&path).is_dir() {
                if depth < DEPTH {
                    folders.push((format!("{path}/"), depth + 1));
                }
            } else if TEXTS.iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The configuration and split of a data set's file, from its path: `CONFIG/SPLIT-00000-of-00001.parquet`,
/// `CONFIG/SPLIT/0000.parquet`, `data/SPLIT.jsonl` and similar.
pub(crate) fn place_of(path: &str) -> (&str, &str) {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let words = stem.split('-').take_while(|word| !is_number(word));
    let length = words.map(|word| word.len() + 1).sum::<usize>();
    let split = match &stem[..length.saturating_sub(1).min(stem.len())] {
        "" => parts.pop().unwrap_or_default(),
        split => split,
    };
    let config = parts.into_iter().find(|part| !NO_CONFIGS.contains(part));
    (config.unwrap_or("default"), split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_file_says_what_part_of_a_data_set_it_is() {
        let check = |path: &str, config: &str, split: &str| {
            assert_eq!(place_of(path), (config, split), "{path}");
        };
        check(
            "wikitext-2-raw-v1/test-00000-of-00001.parquet",
            "wikitext-2-raw-v1",
            "test",
        );
        check(
            "data/train-00003-of-00010-0123abcd.parquet",
            "default",
            "train",
        );
        check("data/validation.jsonl", "default", "validation");
        check("train.jsonl.gz", "default", "train");
        check("plain_text/train/0000.parquet", "plain_text", "train");
        check("default/train/0000.parquet", "default", "train");
        check(
            "en/c4-validation.00000-of-00008.jsonl",
            "en",
            "c4-validation",
        );
        check("test.txt", "default", "test");
        check("0000.parquet", "default", "");
        check("", "default", "");
    }
}
