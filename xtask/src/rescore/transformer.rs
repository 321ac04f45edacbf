//! A transformer as the language model.

use super::arguments::Arguments;
use crate::arguments::{Inputs, Run};
use crate::inputs::{self, OpenedModel};
use crate::interrupt::STOP;
use anyhow::Context;
use layerwise::corpus::{Bos, Tokenizer};
use layerwise::rescoring::{Options, Scorer};

/// Opens the model that was named, with its tokenizer.
///
/// # Errors
/// A model that cannot be accepted, or one without a tokenizer.
pub(super) fn open(arguments: &Arguments, model: &str) -> anyhow::Result<(OpenedModel, Tokenizer)> {
    let inputs = Inputs {
        precision: arguments.precision,
        no_mmap: arguments.no_mmap,
        max_memory: arguments.max_memory,
        ..Inputs::of_model(model)
    };
    let opened = inputs::open_models(&inputs)?
        .pop()
        .context("a model was named")?;
    let tokenizer = inputs::open_tokenizer(&opened)?.with_context(|| {
        format!(
            "{}: needs a tokenizer.json to read text with, found none in {}",
            opened.name,
            opened.folder.display()
        )
    })?;
    Ok((opened, tokenizer))
}

/// What scores sentences, as the command line says, within the memory that is left.
///
/// # Errors
/// A prefix or BOS that cannot be used, or too little memory.
pub(super) fn scorer<'a>(
    arguments: &'a Arguments,
    opened: &'a OpenedModel,
    tokenizer: &'a Tokenizer,
) -> anyhow::Result<Scorer<'a>> {
    let (bos, _) = inputs::beginning(arguments.bos, "each sentence", opened, Some(tokenizer))?;
    let run = Run {
        threads: arguments.threads,
        fresh: false,
    };
    let threads = run.threads();
    let worker = Scorer::worker_bytes(opened.model.config()) as u64;
    let bytes = worker.saturating_mul(threads.get() as u64);
    opened.budget.check(&opened.name, bytes)?;
    let options = Options::new()
        .bos(match bos {
            Bos::None => None,
            Bos::Id(id) | Bos::Auto(id) => Some(id),
        })
        .prefix(&arguments.prefix)
        .end_token(arguments.end_token)
        .threads(threads)
        .stop(&STOP);
    Scorer::new(&opened.model, tokenizer, options).with_context(|| opened.name.clone())
}
