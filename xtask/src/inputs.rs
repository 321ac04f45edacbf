//! Opens the models and corpora that the command line names.

use crate::arguments::{self, Inputs, Opening};
use crate::experiments::core::subject::Text;
use crate::names;
use crate::output::Named;
use crate::{embedded, fetch, memory, output, program};
use anyhow::{Context, anyhow, bail, ensure};
use layerwise::architecture::Note;
use layerwise::chat::Template;
use layerwise::corpus::{self, Corpus, Format, Replaced, Tokenizer};
use layerwise::hub::HubCorpus;
use layerwise::sweep::{Budget, Held};
use layerwise::transformer::{Model, Packing};
use layerwise::weights::{
    self, Checkpoint, Links, OpenOptions, OpenedFile, PackCache, StableFiles,
};
use layerwise::{Loaded, OpenError};
use std::path::{Path, PathBuf};

/// The default context, in tokens.
const DEFAULT_CONTEXT: usize = 512;

/// An opened model, with the files that identify it.
pub struct OpenedModel {
    /// The name of the embedded model, or of the checkpoint folder.
    pub name: String,
    /// The checkpoint folder.
    pub folder: PathBuf,
    /// Path, size in bytes and SHA-256 of each file that the model was read from.
    pub files: Vec<(PathBuf, u64, String)>,
    /// How the folder is opened.
    pub options: OpenOptions,
    /// The model.
    pub model: Model,
    /// The memory budget that all models share.
    pub budget: Budget,
    /// The memory of the model's weights.
    _memory: Held,
}

/// Files of a checkpoint folder that commands read besides config and weights.
const BESIDE_WEIGHTS: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

impl OpenedModel {
    /// The model's files, which no output may replace.
    pub fn named_files(&self) -> impl Iterator<Item = Named> {
        let read = self.files.iter().map(|(path, ..)| path.clone());
        let beside = BESIDE_WEIGHTS.iter().map(|name| self.folder.join(name));
        read.chain(beside).map(|path| ("--model", Some(path)))
    }
}

/// The promise that files which are mapped do not change while the command runs.
#[allow(unsafe_code, reason = "promises that mapped files do not change")]
fn stable_files() -> StableFiles {
    // SAFETY: the program writes to no file of weights, and replaces packed weights by renaming alone. For other
    // programs nobody can promise: `SECURITY.md` and `--no-mmap` tell the user so.
    unsafe { StableFiles::promise() }
}

/// Opens the models that the command line names, or the embedded ones.
///
/// # Errors
/// A name is neither embedded nor a folder, two models have one name, or a checkpoint is invalid.
pub fn open_models(inputs: &Inputs) -> anyhow::Result<Vec<OpenedModel>> {
    let chosen: Vec<names::Named> = match inputs.model.is_empty() {
        true => embedded::models()?
            .into_iter()
            .map(|(name, folder)| names::Named { name, folder })
            .collect(),
        false => names::all(&inputs.model, "--model ", inputs.opening.fetch)?,
    };
    open_named(chosen, &inputs.opening)
}

/// Opens one model; `option` is what stands before its name on the command line, such as `--model `.
///
/// # Errors
/// As [`open_models`].
pub fn open_one(model: &str, option: &str, opening: &Opening) -> anyhow::Result<OpenedModel> {
    let chosen = names::all(&[model.to_owned()], option, opening.fetch)?;
    let opened = open_named(chosen, opening)?.pop();
    opened.context("one model was named")
}

fn open_named(chosen: Vec<names::Named>, asked: &Opening) -> anyhow::Result<Vec<OpenedModel>> {
    let budget = memory::budget(asked.max_memory);
    let links = match asked.follow_links {
        true => Links::Follow,
        false => Links::Refuse,
    };
    let stable = stable_files();
    let options = OpenOptions::new()
        .map((!asked.no_mmap).then_some(stable))
        .links(links);
    if let Some(cache) = &asked.pack_cache
        && cache.exists()
        && !cache.is_dir()
    {
        bail!(
            "--pack-cache {}: expected a folder, found a file; name a folder, which need not be there yet",
            cache.display()
        );
    }
    let cache = asked.pack_cache.as_ref();
    let cache = cache.map(|folder| PackCache::new(folder, stable));
    let opening = layerwise::Opening::new()
        .options(options.clone())
        .precision(asked.precision)
        .within(&budget)
        .streamed(asked.stream)
        .packs(cache.clone());
    let open = |names::Named { name, folder }| {
        let loaded = opening.model(&name, &folder).map_err(own)?;
        tell(&name, &loaded);
        Ok(OpenedModel {
            files: files_of(&loaded.checkpoint, cache.as_ref())?,
            name,
            folder,
            options: options.clone(),
            model: loaded.model,
            budget: budget.clone(),
            _memory: loaded.memory,
        })
    };
    chosen.into_iter().map(open).collect()
}

/// The error inside, by whose type [`remedy`](crate::remedy) finds what the user can do.
fn own(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::Weights(error) => error.into(),
        OpenError::Transformer(error) => error.into(),
        OpenError::File(error) => error.into(),
        OpenError::Corpus(error) => error.into(),
        OpenError::Memory {
            source,
            streamed: None,
        } => anyhow::Error::from(*source),
        OpenError::Memory {
            streamed: Some(bytes),
            ..
        } => {
            let least = bytes.div_ceil(1 << 20);
            anyhow!("{error}: give a smaller model, or --max-memory {least}M at your own risk")
        }
        error => error.into(),
    }
}

/// Says what the user should know about a model that was opened.
fn tell(name: &str, loaded: &Loaded) {
    if loaded.model.is_streamed() {
        output::say(format_args!(
            "{name}: streamed: each block is read from its file whenever it runs, and is in memory only while it runs"
        ));
    }
    if let Some(packing) = &loaded.packing {
        tell_packing(name, packing);
    }
    for warning in loaded.checkpoint.warnings() {
        output::say(format_args!("warning: {warning}"));
    }
    for note in loaded.model.notes() {
        let doubt = match note {
            Note::UnreadKeys { .. } => format!(
                "; to check, compare the model with transformers by `{} diff-sites`",
                program::name()
            ),
            _ => String::new(),
        };
        output::say(format_args!("note: {name}: {note}{doubt}"));
    }
}

/// Path, size in bytes and SHA-256 of a checkpoint's files. A cache may know the hashes of large files.
fn files_of(
    checkpoint: &Checkpoint,
    cache: Option<&PackCache>,
) -> anyhow::Result<Vec<(PathBuf, u64, String)>> {
    let hashed = |file: &OpenedFile| {
        let hash = match cache {
            Some(cache) => cache.sha256(file),
            None => file.sha256(),
        };
        Ok((file.path().to_path_buf(), file.size(), hash?))
    };
    checkpoint.files().map(hashed).collect()
}

/// Reports what happened to the packed weights, unless the cache had them.
fn tell_packing(name: &str, packing: &Packing) {
    match packing {
        Packing::Made { path, damage } => {
            if let Some(damage) = damage {
                output::say(format_args!(
                    "warning: {damage}; the weights are packed again"
                ));
            }
            output::say(format_args!(
                "{name}: packed weights are kept in {}",
                path.display()
            ));
        }
        Packing::Doubtful => output::say(format_args!(
            "{name}: packed weights are not kept, because the checkpoint has warnings that only a full reading repeats"
        )),
        Packing::Changed => output::say(format_args!(
            "warning: {name}: packed weights are not kept, as a file of the model was written while it was read"
        )),
        Packing::Unkept { error } => output::say(format_args!(
            "warning: {error}: packed weights are not kept"
        )),
        _ => {}
    }
}

/// A model's tokenizer; `None` if its folder has none.
///
/// # Errors
/// The tokenizer is invalid.
pub fn open_tokenizer(opened: &OpenedModel) -> anyhow::Result<Option<Tokenizer>> {
    let folder = opened.options.folder(&opened.folder)?;
    let tokenizer = Tokenizer::of_folder(&folder, opened.model.config().vocab)?;
    Ok(tokenizer)
}

/// Whether a model's folder has a tokenizer, valid or not.
pub(crate) fn has_tokenizer(opened: &OpenedModel) -> bool {
    let folder = opened.options.folder(&opened.folder);
    folder.is_ok_and(|folder| Tokenizer::is_in(&folder).unwrap_or(true))
}

/// The token before each text, and the file, option or habit of the family that determines it; if the user does not, says so.
/// `text` names the text in messages.
///
/// # Errors
/// As [`determined`].
pub(crate) fn beginning(
    given: arguments::Bos,
    text: &str,
    opened: &OpenedModel,
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<(corpus::Bos, String)> {
    let (bos, source) = determined(given, opened, tokenizer)?;
    if let Some(tokenizer) = tokenizer.filter(|_| !given.is_asked()) {
        let (name, token) = (&opened.name, spelled(bos.id(), tokenizer)?);
        output::say(format_args!("{name}: {token} before {text}, by {source}"));
    }
    Ok((bos, source))
}

/// A token before texts, for messages.
///
/// # Errors
/// The tokenizer cannot decode it.
pub(crate) fn spelled(bos: Option<u32>, tokenizer: &Tokenizer) -> anyhow::Result<String> {
    Ok(match bos {
        Some(id) => format!("token {id} ({:?})", tokenizer.decode(&[id])?),
        None => "nothing".to_owned(),
    })
}

/// The token before each text, and the file, option or habit of the family that determines it.
///
/// # Errors
/// The tokenizer puts several tokens before a text.
pub(crate) fn determined(
    given: arguments::Bos,
    opened: &OpenedModel,
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<(corpus::Bos, String)> {
    let option = || "the option --bos".to_owned();
    match given {
        arguments::Bos::Id(id) => return Ok((corpus::Bos::Id(id), option())),
        arguments::Bos::None => return Ok((corpus::Bos::None, option())),
        arguments::Bos::Auto => {}
    }
    let Some(tokenizer) = tokenizer else {
        return Ok((corpus::Bos::None, "token ids, used as they are".to_owned()));
    };
    let folder = opened.options.folder(&opened.folder)?;
    let found = layerwise::beginning(&opened.model, &folder, tokenizer).map_err(own)?;
    let bos = found.bos.map_or(corpus::Bos::None, corpus::Bos::Auto);
    Ok((bos, found.source.to_string()))
}

/// Token ids of a prompt, with the token before it.
///
/// # Errors
/// The prompt has no token.
pub(crate) fn prompt(
    text: &str,
    given: arguments::Bos,
    opened: &OpenedModel,
    tokenizer: &Tokenizer,
) -> anyhow::Result<Vec<u32>> {
    let (bos, _) = beginning(given, "the prompt", opened, Some(tokenizer))?;
    prompt_after(bos, text, tokenizer)
}

/// Token ids of a prompt, after the given token.
///
/// # Errors
/// The prompt has no token.
pub(crate) fn prompt_after(
    bos: corpus::Bos,
    text: &str,
    tokenizer: &Tokenizer,
) -> anyhow::Result<Vec<u32>> {
    let ids = bos.begin(tokenizer.encode(text)?);
    ensure!(
        !ids.is_empty(),
        "the prompt is empty; give a text, or a token to begin with as --bos"
    );
    Ok(ids)
}

/// What a tokenizer would put after a text; the program leaves it out and says so.
fn ending(opened: &OpenedModel, tokenizer: &Tokenizer) -> anyhow::Result<Vec<u32>> {
    let ending = tokenizer.ending()?;
    if !ending.is_empty() {
        output::say(format_args!(
            "note: {}: its tokenizer puts {:?} after a text; this is left out, because a sequence is a part of a text",
            opened.name,
            tokenizer.decode(&ending)?
        ));
    }
    Ok(ending)
}

/// A corpus, tokenized for one model.
pub struct OpenedCorpus {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The options it was read with.
    pub options: corpus::Options,
    /// The file, option or habit of the family that determines the token before each text.
    pub bos_source: String,
    /// What the tokenizer would put after each text.
    pub eos_left_out: Vec<u32>,
    /// SHA-256 of the tokenizer, if the corpus needed one.
    pub tokenizer_sha256: Option<String>,
    /// The sequences.
    pub corpus: Corpus,
    /// The memory that the sequences occupy.
    _memory: Held,
}

/// Reads the named corpus, or the embedded text, with a model's tokenizer.
///
/// # Errors
/// The context is longer than the model's, a tokenizer is missing, or a file is invalid.
pub fn open_corpus(
    inputs: &Inputs,
    tokens: Option<usize>,
    opened: &OpenedModel,
) -> anyhow::Result<OpenedCorpus> {
    let config = opened.model.config();
    let (path, field) = corpus_file(inputs)?;
    let context = inputs
        .context
        .unwrap_or(DEFAULT_CONTEXT.min(config.context));
    ensure!(
        context <= config.context,
        "--context {context} is more than {} was made for; give at most {}",
        opened.name,
        config.context
    );
    let is_text = Format::of(&path)? != Format::TokenIds;
    let tokenizer = match is_text {
        true => Some(open_tokenizer(opened)?.ok_or_else(|| {
            let folder = opened.folder.display();
            anyhow!("{folder}/tokenizer.json: not found, but text needs a tokenizer; add the file, or give token ids as .npy")
        })?),
        false => None,
    };
    let tokenizer = tokenizer.as_ref();
    for token in tokenizer.map_or(&[][..], Tokenizer::beyond_vocabulary) {
        output::say(format_args!(
            "note: {}: the token {token:?} has no row in the embedding; a text that contains it cannot be run",
            opened.name
        ));
    }
    if let Some(Replaced { class, parts, .. }) = tokenizer.and_then(Tokenizer::replaced) {
        output::say(format_args!(
            "note: {}: read as {class} of transformers 5, which replaces these parts of tokenizer.json with its own: {}",
            opened.name,
            parts.join(", ")
        ));
    }
    let text = format!("each text of {}", file_name(&path));
    let (bos, bos_source) = beginning(inputs.bos, &text, opened, tokenizer)?;
    let eos_left_out = match tokenizer {
        Some(tokenizer) => ending(opened, tokenizer)?,
        None => Vec::new(),
    };
    let options = corpus::Options {
        bos,
        rows: inputs.rows,
        tokens: inputs.tokens.or(tokens),
        memory: opened.budget.left(),
        field,
        ..corpus::Options::new(context, config.vocab)
    };
    let corpus = corpus::read(&path, tokenizer, &options)?;
    if corpus.spelled_bos() > 0 {
        output::say(format_args!(
            "note: {}: {} of {} documents begin with the text of the BOS token, and so with two such tokens; --bos none \
             adds none",
            opened.name,
            corpus.spelled_bos(),
            corpus.documents()
        ));
    }
    let what = format!("{}: the sequences of {}", opened.name, path.display());
    let memory = opened.budget.hold(&what, corpus.bytes() as u64)?;
    Ok(OpenedCorpus {
        sha256: corpus::sha256(&path)?,
        tokenizer_sha256: tokenizer.map(|tokenizer| tokenizer.sha256().to_owned()),
        path,
        options,
        bos_source,
        eos_left_out,
        corpus,
        _memory: memory,
    })
}

/// The corpus file that the command line names, and the field with its texts.
fn corpus_file(inputs: &Inputs) -> anyhow::Result<(PathBuf, String)> {
    let Some(path) = &inputs.corpus else {
        return Ok((embedded::corpus()?, inputs.field.clone()));
    };
    match hub_corpus(path) {
        Some(corpus) => {
            let file = fetch::corpus(&corpus, inputs.opening.fetch);
            let file = file.with_context(|| format!("--corpus {}", path.display()))?;
            Ok((file, corpus.field.to_owned()))
        }
        None => Ok((path.clone(), inputs.field.clone())),
    }
}

/// The data set on the hub that a path names, if there is no such file.
fn hub_corpus(path: &Path) -> Option<HubCorpus<'_>> {
    let named = path.to_str().and_then(HubCorpus::parse);
    named.filter(|_| !path.exists())
}

/// Whether a text has fields, of which `--field` names one. A data set on the hub is named with its own.
pub(crate) fn has_fields(corpus: &Path) -> bool {
    let has_none = matches!(Format::of(corpus), Ok(Format::Document | Format::TokenIds));
    !has_none && hub_corpus(corpus).is_none()
}

/// The name of a file, for messages.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    output::plain(&name.to_string_lossy())
}

impl OpenedCorpus {
    /// The token before texts other than this one, such as those of data sets, and what determines it. Token ids have none
    /// before them, but such a text has.
    ///
    /// # Errors
    /// The tokenizer puts several tokens before a text.
    pub fn beginning_of_others(
        &self,
        given: arguments::Bos,
        opened: &OpenedModel,
        tokenizer: &Tokenizer,
    ) -> anyhow::Result<(Option<u32>, String)> {
        let (bos, source) = match self.tokenizer_sha256 {
            // The line of the text itself tells it.
            Some(_) => determined(given, opened, Some(tokenizer))?,
            None => {
                let text = format!("each text besides {}", file_name(&self.path));
                beginning(given, &text, opened, Some(tokenizer))?
            }
        };
        Ok((bos.id(), source))
    }

    /// The text as experiments read it. `most_tokens` is the most tokens that the user wants to run.
    pub fn text(&self, most_tokens: Option<usize>) -> Text<'_> {
        Text {
            path: &self.path,
            options: &self.options,
            corpus: &self.corpus,
            bos: self.options.bos.id(),
            most_tokens,
        }
    }
}

/// The tokens that end a text, according to the checkpoint.
///
/// # Errors
/// As [`weights::end_tokens`].
pub(crate) fn end_tokens(opened: &OpenedModel) -> anyhow::Result<Vec<u32>> {
    let folder = opened.options.folder(&opened.folder)?;
    Ok(weights::end_tokens(&folder)?)
}

/// The chat templates of checkpoints that have one. Reads none unless an experiment `talks` to the models.
///
/// # Errors
/// As [`chat_template`].
pub(crate) fn chat_templates(
    models: &[OpenedModel],
    talks: bool,
) -> anyhow::Result<Vec<Option<Template>>> {
    let template = |opened| talks.then(|| chat_template(opened));
    let templates = models.iter().map(|opened| template(opened).transpose());
    templates.map(|found| Ok(found?.flatten())).collect()
}

/// The chat template of a checkpoint, if it has one.
///
/// # Errors
/// As [`Template::of_folder`].
pub(crate) fn chat_template(opened: &OpenedModel) -> anyhow::Result<Option<Template>> {
    let folder = opened.options.folder(&opened.folder)?;
    Ok(Template::of_folder(&folder)?)
}
