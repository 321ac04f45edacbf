//! Options for reading, and the sequences that were read.

use std::ops::ControlFlow;
use std::path::Path;

use crate::{CorpusError, MIN_TOKENS, Place, Tokenizer};

/// The token before each sequence of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bos {
    /// No token.
    None,
    /// The model family's own token, for text; rows of token ids are used as they are.
    Auto(u32),
    /// A token that the user asked for; it is refused with a file of token ids.
    Id(u32),
}

impl Bos {
    /// The token, if there is one.
    pub fn id(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Auto(id) | Self::Id(id) => Some(id),
        }
    }

    /// Puts the token before a prompt. A family's own token is not put before a prompt whose text already begins with it.
    ///
    /// ```
    /// use layerwise_corpus::Bos;
    ///
    /// assert_eq!(Bos::Auto(0).begin(vec![5, 3]), [0, 5, 3]);
    /// assert_eq!(Bos::Auto(0).begin(vec![0, 5, 3]), [0, 5, 3]);
    /// assert_eq!(Bos::Id(0).begin(vec![0, 5, 3]), [0, 0, 5, 3]);
    /// ```
    pub fn begin(self, mut prompt: Vec<u32>) -> Vec<u32> {
        match self {
            Self::None => {}
            Self::Auto(id) if prompt.first() == Some(&id) => {}
            Self::Auto(id) | Self::Id(id) => prompt.insert(0, id),
        }
        prompt
    }
}

/// What to read from a file.
///
/// ```
/// use layerwise_corpus::{Options, of_ids};
///
/// let options = Options { rows: Some(1), ..Options::new(4, 50) };
/// let corpus = of_ids(&[vec![0, 5, 3, 8, 9], vec![9, 2, 6]], &options)?;
/// assert_eq!(corpus.sequences(), [[0, 5, 3, 8]]);
/// # Ok::<(), layerwise_corpus::CorpusError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The context T: the longest sequence, in tokens, BOS included; at least [`MIN_TOKENS`].
    pub context: usize,
    /// The size of the model's vocabulary; every token id is below it.
    pub vocab: usize,
    /// The token before each sequence of text.
    pub bos: Bos,
    /// The number of usable sequences to read; `None` reads all.
    pub rows: Option<usize>,
    /// The largest number of tokens to read, BOS included. Reading stops before the sequence that would exceed it; `None` sets no
    /// limit.
    pub tokens: Option<usize>,
    /// The largest number of bytes for the sequences, and for encoding a document; `None` sets no limit.
    pub memory: Option<u64>,
    /// The field of a `.jsonl` line that holds its text.
    pub field: String,
}

impl Options {
    /// Reads everything in the file, without BOS, with the text in field `text`.
    pub fn new(context: usize, vocab: usize) -> Self {
        Self {
            context,
            vocab,
            bos: Bos::None,
            rows: None,
            tokens: None,
            memory: None,
            field: "text".to_owned(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), CorpusError> {
        let refuse = |option, expected: String, found: String| {
            Err(CorpusError::Option {
                option,
                expected,
                found,
            })
        };
        if self.context < MIN_TOKENS {
            let expected = format!("at least {MIN_TOKENS} tokens");
            return refuse("context", expected, self.context.to_string());
        }
        if self.rows == Some(0) {
            return refuse("rows", "at least 1".to_owned(), "0".to_owned());
        }
        if let Bos::Auto(id) | Bos::Id(id) = self.bos
            && usize::try_from(id).is_ok_and(|id| id >= self.vocab)
        {
            let expected = format!("an id below {}, the size of the vocabulary", self.vocab);
            return refuse("bos", expected, id.to_string());
        }
        Ok(())
    }

    /// The token before each sequence of text.
    pub(crate) fn text_bos(&self) -> Option<u32> {
        match self.bos {
            Bos::None => None,
            Bos::Auto(id) | Bos::Id(id) => Some(id),
        }
    }
}

/// The number of skipped items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Empty lines, and documents without a token.
    pub empty: usize,
    /// Sequences of fewer than [`MIN_TOKENS`] tokens, BOS included.
    pub short: usize,
}

/// The token sequences of one file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corpus {
    sequences: Vec<Vec<u32>>,
    documents: usize,
    cut: usize,
    spelled: usize,
    skipped: Skipped,
}

impl Corpus {
    /// The sequences, each of [`MIN_TOKENS`] to T token ids. There is at least one, unless all were [removed](Self::retain).
    pub fn sequences(&self) -> &[Vec<u32>] {
        &self.sequences
    }

    /// Keeps only the sequences whose index `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut index = 0;
        self.sequences.retain(|_| {
            index += 1;
            keep(index - 1)
        });
    }

    /// The number of tokens in all sequences, BOS included.
    pub fn tokens(&self) -> usize {
        self.sequences.iter().map(Vec::len).sum()
    }

    /// The largest number of bytes that the sequences take.
    pub fn bytes(&self) -> usize {
        let own = self.sequences.iter();
        own.map(|tokens| SEQUENCE_BYTES as usize + 4 * tokens.len())
            .sum()
    }

    /// The number of documents read: lines or rows, including skipped ones, or 1.
    ///
    /// If a limit stopped the reading, the document at the limit is the last.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// The number of lines or rows that are longer than the context, so that only their first window was taken.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// The number of documents whose text itself begins with the BOS token, so that it occurs twice.
    pub fn spelled_bos(&self) -> usize {
        self.spelled
    }

    /// What was skipped.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }
}

/// A corpus while it is read.
pub(crate) struct Collection<'a> {
    path: &'a Path,
    options: &'a Options,
    corpus: Corpus,
    tokens: usize,
    /// The number of bytes that the sequences take.
    held: u64,
}

/// Bytes of a sequence besides its tokens: its entry in the list, which may be half empty, and the allocator's overhead.
const SEQUENCE_BYTES: u64 = 64;

impl<'a> Collection<'a> {
    pub(crate) fn new(path: &'a Path, options: &'a Options) -> Self {
        Self {
            path,
            options,
            corpus: Corpus::default(),
            tokens: 0,
            held: 0,
        }
    }

    /// The same for token ids, which a token that the user asks for cannot precede.
    pub(crate) fn of_ids(path: &'a Path, options: &'a Options) -> Result<Self, CorpusError> {
        match options.bos {
            Bos::Id(bos) => Err(CorpusError::BosWithTokenIds {
                path: path.to_owned(),
                bos,
            }),
            Bos::None | Bos::Auto(_) => Ok(Self::new(path, options)),
        }
    }

    /// Refuses to encode a document if there is too little memory.
    pub(crate) fn check_encoding(&self, document: &str) -> Result<(), CorpusError> {
        let bytes = document.len() as u64;
        let needed = self
            .held
            .saturating_add(Tokenizer::encoding_bytes(document.len()) as u64);
        self.check_memory(needed, || format!("encoding a document of {bytes} bytes"))
    }

    /// The number of bytes that the sequences take so far.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Refuses to exceed the memory limit.
    pub(crate) fn check_memory(
        &self,
        needed: u64,
        what: impl Fn() -> String,
    ) -> Result<(), CorpusError> {
        match self.options.memory {
            Some(limit) if needed > limit => Err(CorpusError::Memory {
                path: self.path.to_owned(),
                item: what(),
                limit,
                needed,
            }),
            _ => Ok(()),
        }
    }

    /// Counts a document.
    pub(crate) fn document(&mut self) {
        self.corpus.documents += 1;
    }

    /// Counts an empty document.
    pub(crate) fn empty(&mut self) {
        self.corpus.skipped.empty += 1;
    }

    /// Counts a document that is longer than its single window.
    pub(crate) fn cut(&mut self) {
        self.corpus.cut += 1;
    }

    /// Adds a sequence: BOS, if any, and the ids of their document or row from index `first` on.
    ///
    /// Returns `Break` once a limit is reached.
    pub(crate) fn push(
        &mut self,
        place: Place,
        bos: Option<u32>,
        first: usize,
        ids: impl ExactSizeIterator<Item = i128>,
    ) -> Result<ControlFlow<()>, CorpusError> {
        let length = ids.len() + usize::from(bos.is_some());
        let mut sequence = Vec::with_capacity(length);
        sequence.extend(bos);
        for (index, id) in ids.enumerate() {
            let valid = u32::try_from(id).ok();
            let valid = valid.filter(|_| id < self.options.vocab as i128);
            sequence.push(valid.ok_or_else(|| CorpusError::TokenOutOfRange {
                path: self.path.to_owned(),
                place,
                index: first + index,
                vocab: self.options.vocab,
                found: id,
            })?);
        }
        if first == 0 && bos.is_some() && sequence.get(1).copied() == bos {
            self.corpus.spelled += 1;
        }
        if length < MIN_TOKENS {
            self.corpus.skipped.short += 1;
            return Ok(ControlFlow::Continue(()));
        }
        if self
            .options
            .tokens
            .is_some_and(|limit| self.tokens + length > limit)
        {
            return Ok(ControlFlow::Break(()));
        }
        let needed = self.held + SEQUENCE_BYTES + 4 * length as u64;
        let kept = self.corpus.sequences.len() + 1;
        self.check_memory(needed, || format!("the first {kept} sequences"))?;
        self.held = needed;
        self.tokens += length;
        self.corpus.sequences.push(sequence);
        if self
            .options
            .rows
            .is_some_and(|rows| self.corpus.sequences.len() >= rows)
        {
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The corpus; an error if it is empty.
    pub(crate) fn finish(self) -> Result<Corpus, CorpusError> {
        if self.corpus.sequences.is_empty() {
            return Err(CorpusError::NoSequence {
                path: self.path.to_owned(),
                documents: self.corpus.documents,
                empty: self.corpus.skipped.empty,
                short: self.corpus.skipped.short,
                limit: self.options.tokens,
            });
        }
        Ok(self.corpus)
    }
}

/// Takes rows of token ids in memory as sequences, each cut to T.
///
/// ```
/// # use layerwise_corpus::{Options, of_ids};
/// let corpus = of_ids(&[vec![0, 5, 3, 8], vec![9, 2, 6]], &Options::new(512, 50_257))?;
/// assert_eq!(corpus.tokens(), 7);
/// # Ok::<(), layerwise_corpus::CorpusError>(())
/// ```
///
/// # Errors
///
/// The options cannot be met, a token id is not below [`Options::vocab`], or no row is usable. Messages call them
/// `token ids in memory`.
pub fn of_ids(rows: &[Vec<u32>], options: &Options) -> Result<Corpus, CorpusError> {
    options.check()?;
    let mut collection = Collection::of_ids(Path::new("token ids in memory"), options)?;
    for (row, ids) in (0..).zip(rows) {
        collection.document();
        if ids.len() > options.context {
            collection.cut();
        }
        let ids = ids.iter().take(options.context);
        let ids = ids.map(|id| i128::from(*id));
        if collection.push(Place::Row(row), None, 0, ids)?.is_break() {
            break;
        }
    }
    collection.finish()
}
