//! The text of another kind, for `shift`.

use crate::arguments::Inputs;
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::{embedded, output};
use std::path::Path;

/// Opens the second text as each model reads it: the given file or, without one, this project's own source code.
///
/// A model without a tokenizer cannot read source code: its entry is `None`, and the user is told.
///
/// # Errors
/// As [`inputs::open_corpus`], or the source code is not on disk and cannot be written.
pub fn open(
    file: Option<&Path>,
    inputs: &Inputs,
    tokens: Option<usize>,
    models: &[OpenedModel],
) -> anyhow::Result<Vec<Option<OpenedCorpus>>> {
    let mut inputs = inputs.clone();
    if let Some(file) = file {
        inputs.corpus = Some(file.to_owned());
        return models
            .iter()
            .map(|opened| inputs::open_corpus(&inputs, tokens, opened).map(Some))
            .collect();
    }
    if models.iter().any(inputs::has_tokenizer) {
        inputs.corpus = Some(embedded::other_corpus()?);
    }
    "text".clone_into(&mut inputs.field);
    let open = |opened: &OpenedModel| {
        if !inputs::has_tokenizer(opened) {
            output::say(format_args!(
                "{}: shift is left out for lack of a tokenizer.json; give the second text as token ids with --shift-corpus",
                opened.name
            ));
            return Ok(None);
        }
        inputs::open_corpus(&inputs, tokens, opened).map(Some)
    };
    models.iter().map(open).collect()
}
