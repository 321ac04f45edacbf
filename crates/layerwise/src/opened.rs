//! A model with its tokenizer, from a checkpoint folder.

use layerwise_architecture::Bos;
use layerwise_corpus::{CorpusError, Habit, Tokenizer};
use layerwise_files::FileError;
use layerwise_transformer::{Model, TransformerError};
use layerwise_weights::{OpenOptions, WeightsError};
use std::path::{Path, PathBuf};

/// A checkpoint's model, its tokenizer, and the token that stands before a text.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The model.
    pub model: Model,
    /// The tokenizer; `None` where the folder has none.
    pub tokenizer: Option<Tokenizer>,
    /// The id of the token before each text, by the tokenizer's files or else by the family's habit; `None` for nothing.
    pub bos: Option<u32>,
    folder: PathBuf,
}

/// Why a checkpoint folder cannot be opened, or its text not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The model.
    #[error(transparent)]
    Transformer(#[from] TransformerError),
    /// A file of the tokenizer.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tokenizer, or a text.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A text was given to a model without tokenizer.
    #[error(
        "{}: no tokenizer.json is there to read text with; give token ids",
        folder.display()
    )]
    NoTokenizer {
        /// The checkpoint folder.
        folder: PathBuf,
    },
}

/// Opens a checkpoint folder in the Hugging Face layout, in f32.
///
/// ```no_run
/// let opened = layerwise::open("path/to/checkpoint")?;
/// let tokens = opened.tokens("The capital of France is")?;
/// let logits = opened.model.logits(&tokens, &opened.model.plain())?; // [tokens, vocab]
/// let likely = layerwise::metrics::distribution::top(logits.row(tokens.len() - 1), 5)?;
/// println!("{:?}", opened.text(&[likely[0].token])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A folder, config, weights or tokenizer that cannot be accepted.
pub fn open(folder: impl AsRef<Path>) -> Result<Opened, OpenError> {
    let path = folder.as_ref();
    let options = OpenOptions::new();
    let model = Model::from_checkpoint(&options.open(path)?)?;
    let folder = options.folder(path)?;
    let tokenizer = Tokenizer::of_folder(&folder, model.config().vocab)?;
    let bos = match &tokenizer {
        Some(tokenizer) => tokenizer.beginning(habit(model.config().bos))?.bos,
        None => None,
    };
    Ok(Opened {
        model,
        tokenizer,
        bos,
        folder: path.to_path_buf(),
    })
}

/// What a family puts before a text, as a tokenizer takes it.
pub fn habit(bos: Bos) -> Habit {
    match bos {
        Bos::Nothing => Habit::Nothing,
        Bos::Token(id) => Habit::Token(id),
        Bos::EndOfText => Habit::EndOfText,
    }
}

impl Opened {
    /// The token ids of a text, with what stands before it.
    ///
    /// # Errors
    /// A model without tokenizer, or a text that it cannot encode.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, OpenError> {
        let mut ids = self.needed()?.encode(text)?;
        if let Some(bos) = self.bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// The text of token ids.
    ///
    /// # Errors
    /// A model without tokenizer, or ids that it cannot decode.
    pub fn text(&self, ids: &[u32]) -> Result<String, OpenError> {
        Ok(self.needed()?.decode(ids)?)
    }

    fn needed(&self) -> Result<&Tokenizer, OpenError> {
        self.tokenizer
            .as_ref()
            .ok_or_else(|| OpenError::NoTokenizer {
                folder: self.folder.clone(),
            })
    }
}
