//! A model with its tokenizer, from a checkpoint folder.

use crate::opening::{Loaded, OpenError, Opening};
use layerwise_architecture::Bos;
use layerwise_corpus::{self as corpus, Beginning, Habit, Tokenizer};
use layerwise_files::Folder;
use layerwise_hub::{Cache, HubError, HubName};
use layerwise_sweep::Held;
use layerwise_transformer::{Model, Packing};
use layerwise_weights::Checkpoint;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checkpoint's model, its tokenizer, and the token that stands before a text.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The model. Its [`notes`](Model::notes) say what its config and tensors leave in doubt.
    pub model: Model,
    /// The tokenizer, or `None` if the folder has none.
    pub tokenizer: Option<Tokenizer>,
    /// The id of the token before each text, or `None` if nothing precedes a text ([`beginning`]).
    pub bos: Option<u32>,
    /// The checkpoint that the model was read from, with its [files](Checkpoint::files) and [warnings](Checkpoint::warnings).
    pub checkpoint: Arc<Checkpoint>,
    /// What happened to the cache of packed weights; `None` if none was used.
    pub packing: Option<Packing>,
    /// The memory of the weights. The budget counts it until this is dropped, so keep it as long as the model.
    pub memory: Held,
}

/// Opens a model in f32, without a limit on its memory. [`Opening`] changes this, and [`Opening::open`] says what `folder` is.
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
/// As [`Opening::open`].
pub fn open(folder: impl AsRef<Path>) -> Result<Opened, OpenError> {
    Opening::new().open(folder)
}

impl Opening {
    /// Opens a model with its tokenizer: a checkpoint folder in the Hugging Face layout, or a name on the Hugging Face hub, as
    /// `ORG/NAME` or `ORG/NAME@REVISION`, that the local cache holds. An existing folder always wins over a name. Nothing is
    /// fetched.
    ///
    /// ```no_run
    /// use layerwise::Opening;
    /// use layerwise::sweep::Budget;
    /// use layerwise::transformer::Precision;
    ///
    /// let budget = Budget::new(Some(24 << 30));
    /// let opened = Opening::new().precision(Precision::Bf16).within(&budget).open("path/to/checkpoint")?;
    /// for warning in opened.checkpoint.warnings() {
    ///     println!("{warning}");
    /// }
    /// # Ok::<(), layerwise::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// The name is not in the cache, the tokenizer is refused, or as [`Opening::model`].
    pub fn open(&self, folder: impl AsRef<Path>) -> Result<Opened, OpenError> {
        let given = folder.as_ref();
        let path = folder_of(given, Cache::of_user)?;
        let Loaded {
            model,
            checkpoint,
            packing,
            memory,
        } = self.model(&given.display().to_string(), &path)?;
        let folder = self.options.folder(&path)?;
        let tokenizer = Tokenizer::of_folder(&folder, model.config().vocab)?;
        let bos = match &tokenizer {
            Some(tokenizer) => beginning(&model, &folder, tokenizer)?.bos,
            None => None,
        };
        Ok(Opened {
            model,
            tokenizer,
            bos,
            checkpoint,
            packing,
            memory,
        })
    }
}

/// The token before each text, and what decides it: the tokenizer's files or, if they do not say, the habit of the model's
/// family. `folder` is the checkpoint's ([`OpenOptions::folder`](layerwise_weights::OpenOptions::folder)).
///
/// # Errors
/// The tokenizer puts several tokens before a text, or the tokens that end a text cannot be read.
pub fn beginning(
    model: &Model,
    folder: &Folder,
    tokenizer: &Tokenizer,
) -> Result<Beginning, OpenError> {
    let end_tokens = layerwise_weights::end_tokens(folder)?;
    let habit = match model.config().bos {
        Bos::Nothing => Habit::Nothing,
        Bos::Token(id) => Habit::Token {
            id,
            ends_text: end_tokens.contains(&id),
        },
        Bos::EndOfText => Habit::EndOfText,
    };
    Ok(tokenizer.beginning(habit)?)
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

impl Opened {
    /// The token ids of a text, preceded by [`Opened::bos`].
    ///
    /// # Errors
    /// The model has no tokenizer, or the tokenizer cannot encode the text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, OpenError> {
        let bos = self.bos.map_or(corpus::Bos::None, corpus::Bos::Auto);
        Ok(bos.begin(self.needed()?.encode(text)?))
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
                folder: self.checkpoint.folder().to_path_buf(),
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
