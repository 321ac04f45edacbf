//! `vectors`: writes the states of words in their sentences to a file.

use crate::arguments::{Bos, Opening};
use crate::experiments::lexical_semantics::{self, Setting};
use crate::experiments::wic;
use crate::{inputs, output};
use anyhow::{Context, ensure};
use layerwise::corpus;
use ndarray::{ArrayViewD, s};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::PathBuf;

/// Options of `vectors`.
#[derive(clap::Args)]
#[command(after_help = "\
The file has the columns of WiC, separated by tabs, one pair a line: a word, its part of speech, two indices of words joined by \
`-`, and two sentences. The output has `states` in F32, [pairs, 2, states, model]: the residual streams from the embedding to \
the last block's output; and `normed`, [pairs, 2, model]: the last stream after the final norm. With --state K it has only \
`states`, [pairs, 2, model], of stream K. lexical-semantics-best.csv of `reproduce lexical-semantics` says which state \
distinguishes senses best.")]
pub struct Arguments {
    /// Words in their sentences
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// An embedded model's name, a checkpoint folder, or ORG/NAME of a model in the Hugging Face cache
    #[arg(long, value_name = "NAME|DIR|ORG/NAME")]
    model: String,
    /// The setting in which a state is read: base, repeat, repeat_prev, repeat_prev_token, prompt1 or prompt2
    #[arg(long, value_name = "SETTING", default_value = "base", value_parser = setting)]
    setting: Setting,
    /// Write only this residual stream; 0 is the embedding
    #[arg(long, value_name = "K")]
    state: Option<usize>,
    /// The token before each sentence: as the checkpoint's tokenizer says (auto), none, or a token id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    bos: Bos,
    #[command(flatten)]
    opening: Opening,
    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

fn setting(text: &str) -> Result<Setting, String> {
    let mut settings = Setting::ALL.into_iter();
    let found = settings.find(|setting| setting.name() == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = Setting::ALL.iter().map(|setting| setting.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
/// A model or file is invalid, memory is insufficient, or output cannot be written.
pub fn vectors(arguments: &Arguments) -> anyhow::Result<()> {
    output::check_file(&arguments.out)?;
    let file = arguments.file.display().to_string();
    let pairs = wic::data::unlabelled(&arguments.file)?;
    ensure!(
        !pairs.is_empty(),
        "{file}: expected a line for each pair, found none"
    );
    let opened = inputs::open_one(&arguments.model, "--model ", &arguments.opening)?;
    let read = [("the input", Some(arguments.file.clone()))];
    output::check_distinct(
        [("--out", Some(arguments.out.clone()))],
        read.into_iter().chain(opened.named_files()),
    )?;
    let config = opened.model.config();
    if let Some(state) = arguments.state {
        let last = config.layers;
        ensure!(
            state <= last,
            "--state {state}: expected a residual stream from 0 to {last}, as {} has {last} blocks",
            opened.name
        );
    }
    let tokenizer = inputs::open_tokenizer(&opened)?;
    let tokenizer = tokenizer.with_context(|| {
        format!(
            "{}: has no tokenizer.json to read the sentences with; give a model that has one",
            opened.name
        )
    })?;
    let (bos, _) = inputs::beginning(arguments.bos, "each sentence", &opened, Some(&tokenizer))?;
    let elements = pairs.len() * 2 * (config.layers + 2) * config.model;
    // The array, and its bytes as written to the file.
    let bytes = 3 * (elements * size_of::<f32>()) as u64;
    opened
        .budget
        .check(&format!("{file}: the states of its words"), bytes)?;
    let all = lexical_semantics::vectors(
        &opened.model,
        &tokenizer,
        bos.id(),
        &pairs,
        arguments.setting,
    )
    .with_context(|| file.clone())?;
    let last = config.layers;
    let tensors = match arguments.state {
        Some(state) => vec![(
            "states",
            tensor(all.slice(s![.., .., state, ..]).into_dyn()),
        )],
        None => vec![
            (
                "states",
                tensor(all.slice(s![.., .., ..=last, ..]).into_dyn()),
            ),
            (
                "normed",
                tensor(all.slice(s![.., .., last + 1, ..]).into_dyn()),
            ),
        ],
    };
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let mut facts = HashMap::from([
        ("model".to_owned(), opened.name.clone()),
        ("setting".to_owned(), arguments.setting.name().to_owned()),
        ("pairs_sha256".to_owned(), corpus::sha256(&arguments.file)?),
        (
            "precision".to_owned(),
            opened.model.precision().name().to_owned(),
        ),
    ]);
    if let Some(state) = arguments.state {
        facts.insert("state".to_owned(), state.to_string());
    }
    let bytes = safetensors::serialize(views, Some(facts))?;
    output::write(&arguments.out, &bytes)?;
    output::print_paths([&arguments.out])?;
    Ok(())
}

/// The shape and the little-endian bytes.
fn tensor(values: ArrayViewD<'_, f32>) -> (Vec<usize>, Vec<u8>) {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    (values.shape().to_vec(), bytes.collect())
}
