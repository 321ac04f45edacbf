//! Text: one document a file, or one a line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use crate::file::{document_text, kind, line_text, open, read_error};
use crate::sequences::Collection;
use crate::{Corpus, CorpusError, Options, Place, Tokenizer};

/// The longest document that is read, in bytes.
const MAX_DOCUMENT: u64 = 256 << 20;

/// The text of a whole file.
///
/// # Errors
///
/// The file must be regular, of at most 256 MiB and UTF-8; the line of the first byte that is not is named.
pub fn read_text(path: &Path) -> Result<String, CorpusError> {
    let bytes = open(path)?.read_all(MAX_DOCUMENT)?;
    document_text(path, &bytes).map(str::to_owned)
}

/// One document, in consecutive windows.
pub(crate) fn read_document(
    path: &Path,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    let bytes = open(path)?.read_all(MAX_DOCUMENT)?;
    let mut collection = Collection::new(path, options);
    let text = document_text(path, &bytes)?;
    collection.check_encoding(text)?;
    let ids = tokenizer.encode(text)?;
    collection.document();
    if ids.is_empty() {
        collection.empty();
    }
    let bos = options.text_bos();
    let length = options.context - usize::from(bos.is_some());
    for (window, ids) in ids.chunks(length).enumerate() {
        let ids = ids.iter().map(|&id| i128::from(id));
        let flow = collection.push(Place::Document, bos, window * length, ids)?;
        if flow.is_break() {
            break;
        }
    }
    collection.finish()
}

/// One document a line, the first window of each.
pub(crate) fn read_lines(
    path: &Path,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    let mut file = BufReader::new(open(path)?.into_file()?);
    let mut collection = Collection::new(path, options);
    let bos = options.text_bos();
    let length = options.context - usize::from(bos.is_some());
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        // One byte more shows a line that is too long.
        let mut limited = file.by_ref().take(MAX_DOCUMENT + 1);
        let read = limited
            .read_until(b'\n', &mut bytes)
            .map_err(read_error(path))?;
        if read == 0 {
            break;
        }
        if read as u64 > MAX_DOCUMENT {
            return Err(CorpusError::TooLong {
                path: path.to_owned(),
                item: format!("line {line}"),
                limit: MAX_DOCUMENT,
                found: read as u64,
            });
        }
        collection.document();
        let content = line_text(path, line, &bytes)?;
        if content.trim().is_empty() {
            collection.empty();
            continue;
        }
        let text = document_field(path, line, content, &options.field)?;
        collection.check_encoding(&text)?;
        let ids = tokenizer.encode(&text)?;
        if ids.is_empty() {
            collection.empty();
            continue;
        }
        if ids.len() > length {
            collection.cut();
        }
        let ids = ids[..ids.len().min(length)].iter();
        let ids = ids.map(|&id| i128::from(id));
        if collection.push(Place::Line(line), bos, 0, ids)?.is_break() {
            break;
        }
    }
    collection.finish()
}

/// The text of a line's document.
fn document_field(
    path: &Path,
    line: usize,
    content: &str,
    field: &str,
) -> Result<String, CorpusError> {
    let value = serde_json::from_str(content).map_err(|source| CorpusError::Json {
        path: path.to_owned(),
        line,
        source,
    })?;
    let found = match value {
        Value::Object(mut object) => match object.remove(field) {
            Some(Value::String(text)) => return Ok(text),
            Some(other) => format!("{} in it", kind(&other)),
            None => "no such field".to_owned(),
        },
        other => kind(&other).to_owned(),
    };
    Err(CorpusError::Field {
        path: path.to_owned(),
        line,
        field: field.to_owned(),
        found,
    })
}
