//! Text: one document per file, or one per line.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read};
use std::ops::ControlFlow;
use std::path::Path;

use layerwise_files::{Folder, Links, OpenedFile, json_values, with_null_for_nan};
use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::file::{document_text, line_text, open, open_text, read_all_text, read_error};
use crate::sequences::Collection;
use crate::{Corpus, CorpusError, Options, Place, Tokenizer};

/// The longest accepted document, in bytes.
pub(crate) const MAX_DOCUMENT: u64 = 256 << 20;

/// The text of a whole file.
///
/// # Errors
///
/// The file must be regular, in UTF-8 and have at most 256 MiB. An error names the line of the first byte that is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, CorpusError> {
    text_of(open(path)?)
}

/// As [`read_text`], for a file of a folder that is not trusted: a link out of the folder is refused ([`Folder`]). `path` begins
/// with the folder's.
///
/// # Errors
///
/// Those of [`read_text`]; there is no such folder, or a link leads out of it.
pub fn read_text_in(folder: &Path, path: &Path) -> Result<String, CorpusError> {
    let name = path.strip_prefix(folder).unwrap_or(path);
    let folder = Folder::open(folder, Links::Refuse)?;
    text_of(folder.file(&name.to_string_lossy(), "a text")?)
}

fn text_of(file: OpenedFile) -> Result<String, CorpusError> {
    let path = file.path().to_owned();
    let bytes = read_all_text(file, MAX_DOCUMENT)?;
    document_text(&path, &bytes).map(str::to_owned)
}

/// Reads one document in consecutive windows.
pub(crate) fn read_document(
    path: &Path,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    let bytes = read_all_text(open(path)?, MAX_DOCUMENT)?;
    windows(path, document_text(path, &bytes)?, tokenizer, options)
}

/// The consecutive windows of a document.
pub(crate) fn windows(
    path: &Path,
    text: &str,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    let mut collection = Collection::new(path, options);
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

/// Reads JSON documents, one per line or in an array; the first window of each.
pub(crate) fn read_documents(
    path: &Path,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    let mut file = open_text(path)?;
    let mut documents = Documents::new(path, tokenizer, options);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        // One byte more shows that a line is too long.
        let mut limited = file.by_ref().take(MAX_DOCUMENT + 1);
        let read = limited
            .read_until(b'\n', &mut bytes)
            .map_err(read_error(path))?;
        if read == 0 {
            break;
        }
        documents.check_length(line, read)?;
        if line == 1 && bytes.trim_ascii_start().first() == Some(&b'[') {
            let mut rest = file.by_ref().take(MAX_DOCUMENT + 1);
            rest.read_to_end(&mut bytes).map_err(read_error(path))?;
            documents.check_length(line, bytes.len())?;
            documents.array(&bytes)?;
            break;
        }
        let content = line_text(path, line, &bytes)?;
        if content.trim().is_empty() {
            documents.empty();
            continue;
        }
        let place = Place::Line(line);
        let found = parsed(content, &options.field);
        let found = found.map_err(|error| documents.refused(place, OBJECT, &error))?;
        if documents.document(place, found)?.is_break() {
            break;
        }
    }
    documents.finish()
}

/// The expected contents of a line.
const OBJECT: &str = "a JSON object";

/// The documents of a file, while they are read.
pub(crate) struct Documents<'a> {
    path: &'a Path,
    tokenizer: &'a Tokenizer,
    options: &'a Options,
    collection: Collection<'a>,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(path: &'a Path, tokenizer: &'a Tokenizer, options: &'a Options) -> Self {
        Self {
            path,
            tokenizer,
            options,
            collection: Collection::new(path, options),
        }
    }

    /// Refuses to exceed the memory limit with so many bytes besides the sequences.
    pub(crate) fn check_memory(
        &self,
        besides: u64,
        what: impl Fn() -> String,
    ) -> Result<(), CorpusError> {
        let needed = self.collection.held().saturating_add(besides);
        self.collection.check_memory(needed, what)
    }

    /// Counts a document without text.
    pub(crate) fn empty(&mut self) {
        self.collection.document();
        self.collection.empty();
    }

    pub(crate) fn finish(self) -> Result<Corpus, CorpusError> {
        self.collection.finish()
    }

    fn check_length(&self, line: usize, read: usize) -> Result<(), CorpusError> {
        if read as u64 <= MAX_DOCUMENT {
            return Ok(());
        }
        Err(CorpusError::TooLong {
            path: self.path.to_owned(),
            item: format!("line {line}"),
            limit: MAX_DOCUMENT,
            found: read as u64,
        })
    }

    /// Reads the elements of an array, each a document, until a limit is reached.
    fn array(&mut self, bytes: &[u8]) -> Result<(), CorpusError> {
        let text = document_text(self.path, bytes)?;
        let text = &with_null_for_nan(text);
        let (mut element, mut stopped) = (0, None);
        let field = Part::Field(&self.options.field);
        let mut each = |found| {
            let document = self.document(Place::Element(element), found);
            element += 1;
            let goes_on = matches!(document, Ok(ControlFlow::Continue(())));
            if !goes_on {
                stopped = Some(document.map(drop));
            }
            goes_on
        };
        let mut parser = serde_json::Deserializer::from_str(text);
        let parsed = parser
            .deserialize_seq(Each(field, &mut each))
            .and_then(|()| parser.end());
        match (stopped, parsed) {
            (Some(outcome), _) => outcome,
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => {
                let place = Place::Line(error.line());
                Err(self.refused(place, "an array of JSON objects", &error))
            }
        }
    }

    fn document(&mut self, place: Place, found: Found) -> Result<ControlFlow<()>, CorpusError> {
        let text = found.map_err(|found| CorpusError::Field {
            path: self.path.to_owned(),
            place,
            field: self.options.field.clone(),
            found: found.into_owned(),
        })?;
        self.text(place, &text)
    }

    /// Adds a document's first window; breaks if a limit is reached.
    pub(crate) fn text(
        &mut self,
        place: Place,
        text: &str,
    ) -> Result<ControlFlow<()>, CorpusError> {
        let (tokenizer, collection) = (self.tokenizer, &mut self.collection);
        collection.document();
        collection.check_encoding(text)?;
        let ids = tokenizer.encode(text)?;
        if ids.is_empty() {
            collection.empty();
            return Ok(ControlFlow::Continue(()));
        }
        let bos = self.options.text_bos();
        let length = self.options.context - usize::from(bos.is_some());
        if ids.len() > length {
            collection.cut();
        }
        let ids = ids[..ids.len().min(length)].iter();
        collection.push(place, bos, 0, ids.map(|&id| i128::from(id)))
    }

    fn refused(
        &self,
        place: Place,
        expected: &'static str,
        error: &serde_json::Error,
    ) -> CorpusError {
        CorpusError::Json {
            path: self.path.to_owned(),
            place,
            expected,
            column: error.column(),
            reason: without_place(error),
        }
    }
}

/// An error in one line of a file of JSON lines. The parser counts lines from the one that it is given, so that only the column
/// is true.
pub fn error_in_line(error: &serde_json::Error) -> String {
    match error.column() {
        0 => without_place(error),
        column => format!("{} at column {column}", without_place(error)),
    }
}

/// An error without the line and column that the parser appends.
fn without_place(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let end = reason.rfind(" at line ").unwrap_or(reason.len());
    reason[..end].to_owned()
}

/// A line of JSON. At most 2²¹ values are accepted, since each takes far more memory than text.
///
/// # Errors
///
/// It is not JSON of this type, or has more values.
pub fn json_line<T: DeserializeOwned>(line: &str) -> Result<T, serde_json::Error> {
    if json_values(line) > MOST_VALUES {
        let most = format!("more than {MOST_VALUES} values");
        return Err(serde_json::Error::custom(most));
    }
    serde_json::from_str(line)
}

/// The largest accepted number of values in a line.
const MOST_VALUES: usize = 1 << 21;

/// A text, or what stands in its place.
type Found = Result<String, Cow<'static, str>>;

/// How much of a JSON value is kept. The rest is read over, since each value in memory takes far more than in a text.
#[derive(Clone, Copy)]
enum Part<'f> {
    Nothing,
    /// The value, if it is a text.
    Text,
    /// The text in this field of an object.
    Field(&'f str),
}

impl Part<'_> {
    /// What stands in place of a text: a value of this kind.
    fn other(self, kind: &'static str) -> Found {
        Err(match self {
            Self::Text => format!("{kind} in it").into(),
            _ => kind.into(),
        })
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.other("null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(self.other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(self.other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(self.other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(self.other("a number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(match self {
            Self::Text => Ok(text.to_owned()),
            _ => self.other("a string"),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element_seed(Part::Nothing)?.is_some() {}
        Ok(self.other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = match self {
            Self::Field(_) => Err("no such field".into()),
            _ => self.other("an object"),
        };
        while let Some(key) = map.next_key::<String>()? {
            match self {
                Self::Field(field) if key == field => found = map.next_value_seed(Part::Text)?,
                _ => drop(map.next_value_seed(Part::Nothing)?),
            }
        }
        Ok(found)
    }
}

/// Passes the parts of an array's elements on, one by one, until one is declined.
struct Each<'f>(Part<'f>, &'f mut dyn FnMut(Found) -> bool);

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(part, each) = self;
        while let Some(found) = seq.next_element_seed(part)? {
            if !each(found) {
                return Err(A::Error::custom("not taken"));
            }
        }
        Ok(())
    }
}

/// The text in a field of a JSON object, or what stands in its place; NaN and infinities, which Python writes, count as null.
fn parsed(content: &str, field: &str) -> Result<Found, serde_json::Error> {
    let parse = |json: &str| {
        let mut parser = serde_json::Deserializer::from_str(json);
        let found = Part::Field(field).deserialize(&mut parser)?;
        parser.end().map(|()| found)
    };
    parse(content).or_else(|error| match with_null_for_nan(content) {
        Cow::Owned(content) => parse(&content).map_err(|_| error),
        Cow::Borrowed(_) => Err(error),
    })
}
