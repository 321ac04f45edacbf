//! The files inside the program: small trained models, a sample text, and the program's source code as a second text.
//!
//! Weights are mapped from files, so an embedded model must be on disk before it is opened. If the checkout that the
//! program was built from still has the model's files, they are used. Otherwise the program writes the files once, below
//! the user's cache folder or, if it is set, below `LAYERWISE_CACHE`. It uses only files with the same bytes as the
//! embedded ones.

use crate::output;
use anyhow::Context;
use etcetera::BaseStrategy;
use layerwise::files::{Folder, Links, sha256};
use serde_json::{Map, Value};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A file's name and bytes.
type File = (&'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// Hashes of the models' files.
const SUMS: &[u8] = include_bytes!("../../fixtures/models/SHA256SUMS");

const TEXT: &str = include_str!("../../fixtures/text/sample.jsonl");
const TEXT_FILE: &str = "sample.jsonl";

/// The environment variable that names a folder for embedded files.
const CACHE: &str = "LAYERWISE_CACHE";

/// Names of the embedded models, sorted.
pub fn model_names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// What a reader of results on an embedded model has to know first.
pub const ABOUT: &str = "A toy, trained for this project on speeches, plays and other free texts: it shows that the \
    measurements work, and refutes no claim about language models. ";

/// Whether a model is an embedded one: its name, and paths, bytes and hashes of its files.
pub fn is_own(name: &str, files: &[(PathBuf, u64, String)]) -> bool {
    let sums = String::from_utf8_lossy(SUMS);
    let line = |(path, _, sha256): &(PathBuf, u64, String)| {
        let file = path.file_name().unwrap_or_default();
        format!("{sha256}  {name}/{}", file.display())
    };
    !files.is_empty()
        && files
            .iter()
            .all(|file| sums.lines().any(|own| own == line(file)))
}

/// The folder of an embedded model; `None` if no embedded model has that name.
///
/// # Errors
/// The model's files are not on disk and cannot be written.
pub fn model(name: &str) -> anyhow::Result<Option<PathBuf>> {
    let Some((_, files)) = MODELS.iter().find(|(own, _)| *own == name) else {
        return Ok(None);
    };
    on_disk(&format!("models/{name}"), files).map(Some)
}

/// Names and folders of all embedded models, sorted.
///
/// # Errors
/// As for [`model`].
pub fn models() -> anyhow::Result<Vec<(String, PathBuf)>> {
    let model = |(name, files): &(&str, &[File])| {
        Ok((
            (*name).to_owned(),
            on_disk(&format!("models/{name}"), files)?,
        ))
    };
    MODELS.iter().map(model).collect()
}

/// The config of an embedded model, and a path that stands for it in messages.
///
/// # Errors
/// The config is not a JSON object, or no model has that name; either would be a bug in this program.
pub fn config(name: &str) -> anyhow::Result<(Map<String, Value>, PathBuf)> {
    let path = Path::new(name).join("config.json");
    let files = MODELS.iter().find(|(own, _)| *own == name);
    let file = files.and_then(|(_, files)| files.iter().find(|(file, _)| *file == "config.json"));
    let (_, bytes) = file.with_context(|| format!("{}: not embedded", path.display()))?;
    let config = serde_json::from_slice(bytes).with_context(|| path.display().to_string())?;
    Ok((config, path))
}

/// The file of the embedded text.
///
/// # Errors
/// The file is not on disk and cannot be written.
pub fn corpus() -> anyhow::Result<PathBuf> {
    let folder = on_disk("text", &[(TEXT_FILE, TEXT.as_bytes())])?;
    Ok(folder.join(TEXT_FILE))
}

/// The file of the second text, the program's source code.
///
/// # Errors
/// The file is not on disk and cannot be written.
pub fn other_corpus() -> anyhow::Result<PathBuf> {
    static TEXT: LazyLock<String> = LazyLock::new(source_code);
    const FILE: &str = "source-code.jsonl";
    // Each version of the program has a folder of its own, so that none replaces what another reads.
    let folder = format!("source-code/{}", &sha256(TEXT.as_bytes())[..16]);
    Ok(on_disk(&folder, &[(FILE, TEXT.as_bytes())])?.join(FILE))
}

/// The documents of the embedded text.
///
/// # Errors
/// A line contains no document, which would be a bug in this program.
pub fn documents() -> anyhow::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Document {
        text: String,
    }
    let document = |line: &str| {
        let document: Document = serde_json::from_str(line)?;
        Ok(document.text)
    };
    let documents: anyhow::Result<Vec<String>> = TEXT.lines().map(document).collect();
    documents.context("the embedded text: expected documents")
}

/// The Rust source of the library crates, sorted by path: each file is one JSON line with its `text`.
fn source_code() -> String {
    let line = |(_, text): &(&str, &str)| serde_json::json!({ "text": text }).to_string() + "\n";
    SOURCES.iter().map(line).collect()
}

/// A folder with exactly these `files`: `fixtures/FOLDER` of the checkout, or else a folder that they are written to.
fn on_disk(folder: &str, files: &[File]) -> anyhow::Result<PathBuf> {
    let chosen = env::var_os(CACHE).filter(|path| !path.is_empty());
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fixtures");
    let own = fixtures.join(folder);
    if chosen.is_none() && files.iter().all(|file| has(&own, file)) {
        return Ok(own);
    }
    let cache = match chosen {
        Some(chosen) => PathBuf::from(chosen),
        None => etcetera::choose_base_strategy()
            .with_context(|| {
                format!(
                    "the system names no cache folder for the embedded files; name one in {CACHE}"
                )
            })?
            .cache_dir()
            .join("layerwise"),
    };
    // A version of the program with other embedded files uses another folder.
    let contents: Vec<u8> = SUMS.iter().chain(TEXT.as_bytes()).copied().collect();
    let folder = cache.join(&sha256(&contents)[..16]).join(folder);
    write_missing(&folder, files).with_context(|| {
        format!("the embedded files cannot be written; name a writable folder in {CACHE}")
    })?;
    Ok(folder)
}

/// Writes the `files` that are missing from a folder or differ there.
fn write_missing(folder: &Path, files: &[File]) -> anyhow::Result<()> {
    output::make_folder(folder)?;
    for file in files {
        if !has(folder, file) {
            output::write(&folder.join(file.0), file.1)?;
        }
    }
    Ok(())
}

/// Whether a folder has a file of these bytes.
fn has(folder: &Path, (name, bytes): &File) -> bool {
    let read = || {
        let file = Folder::open(folder, Links::Refuse)?.file(name, "an embedded file")?;
        file.read_all(bytes.len() as u64)
    };
    read().is_ok_and(|found| found == *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, iter};

    #[test]
    fn a_file_that_is_missing_or_differs_is_written() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("model");
        let files: [File; 2] = [("a", b"first"), ("b", b"second")];
        let check = |before: &dyn Fn()| {
            before();
            write_missing(&path, &files).expect("the files can be written");
            for (name, bytes) in files {
                assert_eq!(fs::read(path.join(name)).expect("it is there"), bytes);
            }
            assert_eq!(fs::read_dir(&path).expect("a folder").count(), 2);
        };
        let put = |bytes: &[u8]| fs::write(path.join("a"), bytes).expect("it can be written");
        check(&|| {});
        check(&|| put(b"firsT"));
        check(&|| put(b"first, and more"));
        check(&|| put(b""));
        check(&|| fs::remove_file(path.join("b")).expect("it was there"));
    }

    #[test]
    fn what_is_embedded_is_what_the_checkout_holds() {
        let sums = str::from_utf8(SUMS).expect("text");
        let mut expected: Vec<&str> = sums.lines().collect();
        let mut found: Vec<String> = MODELS
            .iter()
            .flat_map(|(model, files)| iter::repeat(model).zip(*files))
            .map(|(model, (name, bytes))| format!("{}  {model}/{name}", sha256(bytes)))
            .collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert!(model_names().is_sorted());
        let own = model("gpt2-8x160").expect("a checkout").expect("a model");
        assert!(own.ends_with("fixtures/models/gpt2-8x160"));
        assert_eq!(model("gpt2").expect("nothing is looked for"), None);
    }

    #[test]
    fn source_code_is_a_text_for_each_file() {
        let lines = source_code();
        assert!(lines.lines().count() > 50);
        for line in lines.lines() {
            let value: Value = serde_json::from_str(line).expect("a line of JSON");
            assert!(value["text"].is_string());
        }
    }
}
