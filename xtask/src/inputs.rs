//! Models and corpora as named on the command line.

use crate::arguments::{self, Inputs};
use crate::{embedded, memory, output};
use anyhow::{bail, ensure};
use layerwise::corpus::{self, Corpus, OpenedFile, Tokenizer};
use layerwise::sweep::Budget;
use layerwise::transformer::{Model, Precision, config};
use layerwise::weights::{Links, OpenOptions};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The default context, in tokens.
const DEFAULT_CONTEXT: usize = 512;

/// A model, opened, with what identifies it.
pub struct OpenedModel {
    /// The embedded name, or the checkpoint folder's.
    pub name: String,
    /// The checkpoint folder.
    pub folder: PathBuf,
    /// Path, bytes and SHA-256 of each file that the model was read from.
    pub files: Vec<(PathBuf, u64, String)>,
    /// How the folder is opened.
    pub options: OpenOptions,
    /// The model.
    pub model: Model,
    /// The memory that is left beside all opened models.
    pub budget: Budget,
}

/// Opens the models that the command line names, or the embedded ones.
///
/// # Errors
/// A name that is neither embedded nor a folder, two models of one name, or a checkpoint that cannot be accepted.
pub fn open_models(inputs: &Inputs) -> anyhow::Result<Vec<OpenedModel>> {
    let chosen: Vec<(String, PathBuf)> = if inputs.model.is_empty() {
        embedded::models()?
    } else {
        let choose = |given: &String| {
            let path = PathBuf::from(given);
            if let Some(folder) = embedded::model(given)? {
                return Ok((given.clone(), folder));
            }
            if path.is_dir() {
                return Ok((name_of(&path), path));
            }
            let names: Vec<&str> = embedded::model_names().collect();
            bail!(
                "--model {given}: expected a folder or an embedded model ({}), found neither",
                names.join(", ")
            );
        };
        inputs
            .model
            .iter()
            .map(choose)
            .collect::<anyhow::Result<_>>()?
    };
    for (at, (name, path)) in chosen.iter().enumerate() {
        let earlier = chosen[..at].iter().find(|(other, _)| other == name);
        if let Some((_, other)) = earlier {
            bail!(
                "two models are named {name}: {} and {}",
                other.display(),
                path.display()
            );
        }
    }
    let mut budget = memory::budget(inputs.max_memory);
    let links = match inputs.follow_links {
        true => Links::Follow,
        false => Links::Refuse,
    };
    let options = OpenOptions::new().mmap(!inputs.no_mmap).links(links);
    let mut opened = chosen
        .into_iter()
        .map(|(name, folder)| {
            open_model(name, folder, options.clone(), inputs.precision, &mut budget)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    for opened in &mut opened {
        opened.budget = budget;
    }
    Ok(opened)
}

fn open_model(
    name: String,
    folder: PathBuf,
    options: OpenOptions,
    precision: Precision,
    budget: &mut Budget,
) -> anyhow::Result<OpenedModel> {
    let checkpoint = options.open(&folder)?;
    memory::take(budget, &name, &checkpoint, precision)?;
    let model = Model::from_checkpoint_in(&checkpoint, precision)?;
    for warning in checkpoint.warnings() {
        output::say(format_args!("warning: {warning}"));
    }
    for note in model.notes() {
        output::say(format_args!("note: {name}: {note}"));
    }
    let files = checkpoint
        .files()
        .map(|file| Ok((file.path().to_path_buf(), file.size(), file.sha256()?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(OpenedModel {
        name,
        folder,
        files,
        options,
        model,
        budget: *budget,
    })
}

/// A checkpoint folder's name; for a snapshot in the hub's cache, the repository's.
fn name_of(folder: &Path) -> String {
    let folder = folder
        .canonicalize()
        .unwrap_or_else(|_| folder.to_path_buf());
    let hub = folder
        .components()
        .filter_map(|part| part.as_os_str().to_str()?.strip_prefix("models--"))
        .next_back()
        .and_then(|name| name.rsplit("--").next())
        // Results go into a folder of this name, which must not be another's.
        .filter(|name| !matches!(*name, "" | "." | ".."))
        .map(str::to_owned);
    let own = || {
        folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    hub.or_else(own).unwrap_or_else(|| "model".to_owned())
}

/// Name of a tokenizer's file in a checkpoint folder.
const TOKENIZER: &str = "tokenizer.json";

/// A model's tokenizer; `None` where its folder holds none.
///
/// # Errors
/// A `tokenizer.json` that cannot be accepted.
pub fn open_tokenizer(opened: &OpenedModel) -> anyhow::Result<Option<Tokenizer>> {
    let folder = opened.options.folder(&opened.folder)?;
    match folder.has(TOKENIZER)? {
        true => Ok(Some(read_tokenizer(opened)?.0)),
        false => Ok(None),
    }
}

/// Whether a model's folder holds a tokenizer, be it one that cannot be accepted.
pub(crate) fn has_tokenizer(opened: &OpenedModel) -> bool {
    let folder = opened.options.folder(&opened.folder);
    folder
        .and_then(|folder| folder.has(TOKENIZER))
        .unwrap_or(true)
}

/// A model's tokenizer, and the file that it was read from.
fn read_tokenizer(opened: &OpenedModel) -> anyhow::Result<(Tokenizer, OpenedFile)> {
    let folder = opened.options.folder(&opened.folder)?;
    let file = folder.file(TOKENIZER, "the tokenizer of the model")?;
    let tokenizer = Tokenizer::from_file(&file, opened.model.config().vocab)?;
    Ok((tokenizer, file))
}

/// A corpus as one model reads it.
pub struct OpenedCorpus {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Tokens of the longest sequence allowed.
    pub context: usize,
    /// What was put before each text.
    pub bos: corpus::Bos,
    /// SHA-256 of the tokenizer, where one was needed.
    pub tokenizer_sha256: Option<String>,
    /// The sequences.
    pub corpus: Corpus,
}

/// Reads the corpus that the command line names, or the embedded text, with a model's tokenizer.
///
/// # Errors
/// A context longer than the model's, a missing tokenizer, or a file that cannot be accepted.
pub fn open_corpus(
    inputs: &Inputs,
    tokens: Option<usize>,
    opened: &OpenedModel,
) -> anyhow::Result<OpenedCorpus> {
    let config = opened.model.config();
    let path = match &inputs.corpus {
        Some(path) => path.clone(),
        None => embedded::corpus()?,
    };
    let context = inputs
        .context
        .unwrap_or(DEFAULT_CONTEXT.min(config.context));
    ensure!(
        context <= config.context,
        "--context {context}: expected at most {}, the context of {}",
        config.context,
        opened.name
    );
    let extension = path.extension().and_then(OsStr::to_str);
    let is_text = matches!(extension, Some("txt" | "raw" | "jsonl"));
    let read = is_text.then(|| read_tokenizer(opened)).transpose()?;
    let tokenizer = read.as_ref().map(|(tokenizer, _)| tokenizer);
    let bos = match (inputs.bos, config.bos) {
        (arguments::Bos::Id(id), _) => corpus::Bos::Id(id),
        (arguments::Bos::None, _) | (_, config::Bos::Nothing) => corpus::Bos::None,
        (arguments::Bos::Auto, config::Bos::Token(id)) => corpus::Bos::Auto(id),
        (arguments::Bos::Auto, config::Bos::EndOfText) => match tokenizer {
            None => corpus::Bos::None,
            Some(tokenizer) => match tokenizer.encode("<|endoftext|>")?.as_slice() {
                [id] => corpus::Bos::Auto(*id),
                _ => bail!(
                    "{}: expected the token <|endoftext|>, which {} puts before a text, found none; give --bos",
                    opened.folder.join(TOKENIZER).display(),
                    opened.name
                ),
            },
        },
    };
    let options = corpus::Options {
        bos,
        rows: inputs.rows,
        tokens: inputs.tokens.or(tokens),
        memory: opened.budget.left(),
        field: inputs.field.clone(),
        ..corpus::Options::new(context, config.vocab)
    };
    let corpus = corpus::read(&path, tokenizer, &options)?;
    Ok(OpenedCorpus {
        sha256: corpus::sha256(&path)?,
        tokenizer_sha256: read.map(|(_, file)| file.sha256()).transpose()?,
        path,
        context,
        bos,
        corpus,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_one_folder() {
        let check = |folder: &str, expected: &str| {
            assert_eq!(name_of(Path::new(folder)), expected, "{folder}");
        };
        check("nowhere/gpt2", "gpt2");
        check("hub/models--gpt2/snapshots/0123abcd", "gpt2");
        check(
            "hub/models--EleutherAI--pythia-70m/snapshots/01",
            "pythia-70m",
        );
        check("hub/models--a--../snapshots/01", "01");
        check("hub/models--a--./snapshots/01", "01");
        check("hub/models--", "models--");
        check("nowhere/..", "model");
    }
}
