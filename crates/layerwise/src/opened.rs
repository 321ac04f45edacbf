//! A model with its tokenizer, from a checkpoint folder.

use layerwise_architecture::Bos;
use layerwise_corpus::{CorpusError, Habit, Tokenizer};
use layerwise_files::FileError;
use layerwise_hub::{Cache, HubError, HubName};
use layerwise_transformer::{Model, TransformerError};
use layerwise_weights::{OpenOptions, WeightsError};
use std::path::{Path, PathBuf};

/// A checkpoint's model, its tokenizer, and the token that stands before a text.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The model.
    pub model: Model,
    /// The tokenizer, or `None` if the folder has none.
    pub tokenizer: Option<Tokenizer>,
    /// The id of the token before each text, or `None` if nothing precedes a text. The tokenizer's files decide; if they do not
    /// say, the family's habit does.
    pub bos: Option<u32>,
    folder: PathBuf,
}

/// Why a checkpoint folder cannot be opened or its text cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or its weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The config or weights do not make a model.
    #[error(transparent)]
    Transformer(#[from] TransformerError),
    /// A file of the tokenizer cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tokenizer is refused, or it refuses a text.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The path is no folder and not the name of a model in the Hugging Face cache.
    #[error("{}: no such folder, and {source}", name.display())]
    Hub {
        /// The path or name that was given.
        name: PathBuf,
        /// What the cache lacks, and the command that fetches it.
        source: HubError,
    },
    /// A text was given to a model without a tokenizer.
    #[error(
        "{}: no tokenizer.json, so text cannot be read; give token ids instead",
        folder.display()
    )]
    NoTokenizer {
        /// The checkpoint folder.
        folder: PathBuf,
    },
}

/// Opens a model in f32: a checkpoint folder in the Hugging Face layout, or a name on the Hugging Face hub, as `ORG/NAME` or
/// `ORG/NAME@REVISION`, that the local cache holds. An existing folder always wins over a name. Nothing is fetched.
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
/// The name is not in the cache, or the folder, config, weights or tokenizer is refused.
pub fn open(folder: impl AsRef<Path>) -> Result<Opened, OpenError> {
    let named = folder_of(folder.as_ref(), Cache::of_user)?;
    let path = named.as_path();
    let options = OpenOptions::new();
    let model = Model::from_checkpoint(&options.open(path)?)?;
    let folder = options.folder(path)?;
    let tokenizer = Tokenizer::of_folder(&folder, model.config().vocab)?;
    let bos = match &tokenizer {
        Some(tokenizer) => {
            let end_tokens = layerwise_weights::end_tokens(&folder)?;
            let habit = habit(model.config().bos, &end_tokens);
            tokenizer.beginning(habit)?.bos
        }
        None => None,
    };
    Ok(Opened {
        model,
        tokenizer,
        bos,
        folder: path.to_path_buf(),
    })
}

/// The given folder, or the folder of a model in the Hugging Face cache.
fn folder_of(
    given: &Path,
    cache: impl FnOnce() -> Result<Cache, HubError>,
) -> Result<PathBuf, OpenError> {
    let name = given.to_str().and_then(HubName::parse);
    match name.filter(|name| name.is_plain() && !given.exists()) {
        None => Ok(given.to_path_buf()),
        Some(name) => {
            let found = cache().and_then(|cache| cache.model(&name));
            found.map_err(|source| OpenError::Hub {
                name: given.to_path_buf(),
                source,
            })
        }
    }
}

/// Converts what a family puts before a text to the tokenizer's type. `end_tokens` are those of
/// [`weights::end_tokens`](layerwise_weights::end_tokens).
pub fn habit(bos: Bos, end_tokens: &[u32]) -> Habit {
    match bos {
        Bos::Nothing => Habit::Nothing,
        Bos::Token(id) => Habit::Token {
            id,
            ends_text: end_tokens.contains(&id),
        },
        Bos::EndOfText => Habit::EndOfText,
    }
}

impl Opened {
    /// The token ids of a text, preceded by [`Opened::bos`].
    ///
    /// # Errors
    /// The model has no tokenizer, or the tokenizer cannot encode the text.
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
    /// The model has no tokenizer, or the tokenizer cannot decode the ids.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_name_is_looked_for_in_the_cache_where_no_folder_has_it() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("models--org--name");
        let snapshot = repository.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(repository.join("refs")).unwrap();
        fs::write(repository.join("refs/main"), commit).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::write(snapshot.join(file), "").unwrap();
        }
        let find = |given: &Path| folder_of(given, || Ok(Cache::new(folder.path())));
        for name in ["org/name".to_owned(), format!("org/name@{commit}")] {
            assert_eq!(find(Path::new(&name)).unwrap(), snapshot);
        }
        for path in [
            folder.path(),
            Path::new("src"),
            Path::new("path/to/nothing"),
        ] {
            assert_eq!(find(path).unwrap(), path);
        }
        let told = find(Path::new("org/other")).unwrap_err().to_string();
        assert!(
            told.starts_with("org/other: no such folder, and in"),
            "{told}"
        );
        assert!(
            told.ends_with("`hf download org/other` fetches it"),
            "{told}"
        );
    }
}
