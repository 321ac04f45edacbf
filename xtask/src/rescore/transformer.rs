//! A transformer as the language model.

use super::arguments::Arguments;
use super::keeping::Keeper;
use crate::arguments::threads_or_cores;
use crate::inputs::{self, OpenedModel};
use crate::interrupt::STOP;
use anyhow::Context;
use layerwise::corpus::Tokenizer;
use layerwise::rescoring::{Options, Scorer};

/// Opens the named model and its tokenizer.
///
/// # Errors
/// The model is invalid, or has no tokenizer.
pub(super) fn open(arguments: &Arguments, model: &str) -> anyhow::Result<(OpenedModel, Tokenizer)> {
    let opened = inputs::open_one(model, "--model ", &arguments.opening)?;
    let tokenizer = inputs::open_tokenizer(&opened)?.with_context(|| {
        format!(
            "{}: needs a tokenizer.json to read text with, but {} has none",
            opened.name,
            opened.folder.display()
        )
    })?;
    Ok((opened, tokenizer))
}

/// The token before each sentence.
///
/// # Errors
/// The tokenizer lacks the token.
pub(super) fn bos(
    arguments: &Arguments,
    opened: &OpenedModel,
    tokenizer: &Tokenizer,
) -> anyhow::Result<Option<u32>> {
    let found = inputs::beginning(arguments.bos, "each sentence", opened, Some(tokenizer))?;
    Ok(found.0.id())
}

/// The scorer of sentences, with the options of the command line, within the memory that is left.
///
/// # Errors
/// A prefix or BOS cannot be used, or memory is insufficient.
pub(super) fn scorer<'a>(
    arguments: &'a Arguments,
    opened: &'a OpenedModel,
    tokenizer: &'a Tokenizer,
    bos: Option<u32>,
    keeper: &'a Keeper,
) -> anyhow::Result<Scorer<'a>> {
    let threads = threads_or_cores(arguments.threads);
    let config = opened.model.config();
    let workers = Scorer::worker_bytes(config).saturating_mul(threads.get());
    let beam = Scorer::beam_bytes(config, &opened.model.plain(), arguments.width());
    let bytes = workers.saturating_add(beam) as u64;
    opened.budget.check(&opened.name, bytes)?;
    let options = Options::new()
        .bos(bos)
        .prefix(&arguments.prefix)
        .end_token(arguments.end_token)
        .threads(threads)
        .stop(&STOP)
        .watcher(keeper);
    let scorer = Scorer::new(&opened.model, tokenizer, options);
    let scorer = scorer.with_context(|| opened.name.clone())?;
    let known = keeper.known();
    let known = known.iter().map(|(text, scores)| (text.as_str(), *scores));
    Ok(scorer.knowing(known))
}
