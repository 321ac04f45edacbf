//! `generate`: shows what a model writes, plain and under edits.

mod many;
mod page;
mod prompt;
mod writing;

use self::page::Page;
use self::prompt::Prompter;
use self::writing::Work;
use crate::arguments::{Bos, Opening};
use crate::early_exit::Stopping;
use crate::inputs::{self, OpenedModel};
use crate::{arguments, output};
use anyhow::{Context, bail, ensure};
use layerwise::chat::DateTime;
use layerwise::exits::Vocab;
use layerwise::generate::{Run, Sampling, Settings, Way};
use layerwise::schedule::{Edit, Schedule};
use layerwise::sweep;
use layerwise::transformer::{Missing, Precision, State};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Options of `generate`.
#[derive(clap::Args)]
#[command(after_help = "\
The plain model comes first, as the edit `id`. Without --temperature the most likely token is always chosen.
A line of --prompts is an object with one of `prompt` (a text), `messages` (objects with `role` and `content`, with --chat) \
and `ids` (token ids). Its continuations are printed, or written to --out, in the form of --json, each with its `line`.
With --json each edit is one line: edit, prompt_ids, ids, text, logprobs (natural logarithms of the model's own \
probabilities), first_difference (the first token that differs from the plain model's, counted from 0; null if none does), \
prefill_tokens_per_s, decode_ms_per_token; with --exit also blocks, the number run for the prompt and then for each token.
All continuations are decoded together, so that the weights are read once for all of them; the times are those of all of \
them. `speed` times edits one by one.")]
pub struct Arguments {
    /// The text to continue
    #[arg(value_name = "PROMPT", required_unless_present_any = ["ids", "prompts"])]
    prompt: Option<String>,
    /// Token ids to continue, instead of a text; no token is put before them
    #[arg(
        long,
        value_name = "ID,ID,…",
        value_delimiter = ',',
        conflicts_with_all = ["prompt", "prompts", "bos", "chat"]
    )]
    ids: Option<Vec<u32>>,
    /// A file of prompts, one JSON object a line; up to 32 are continued together
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
    /// The file for the continuations of --prompts; a stopped run resumes from what is kept next to it
    #[arg(long, value_name = "FILE", requires = "prompts")]
    out: Option<PathBuf>,
    /// Start over and discard what an earlier run with this --out has finished
    #[arg(long, requires = "out")]
    fresh: bool,
    /// Put the prompt as a user's message, in the checkpoint's own chat template
    #[arg(long, conflicts_with = "bos")]
    chat: bool,
    /// The system message: an instruction to the model at the beginning of the conversation
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// A chat template instead of the checkpoint's, or a tokenizer_config.json that contains one
    #[arg(long, value_name = "FILE", requires = "chat")]
    chat_template: Option<PathBuf>,
    /// The date to give to a chat template, as 2025-07-01; give it for a run that is to resume on another day [default: today's in UTC]
    #[arg(long, value_name = "DATE", requires = "chat")]
    date: Option<DateTime>,
    /// An embedded model's name, a checkpoint folder, or a model on the Hugging Face hub, as ORG/NAME or ORG/NAME@REVISION
    #[arg(long, value_name = "NAME|DIR|ORG/NAME")]
    model: String,
    /// An edit whose continuation to show below the plain model's; repeatable
    #[arg(long, value_name = "EDIT")]
    edit: Vec<Edit>,
    #[command(flatten)]
    stopping: Stopping,
    /// What later tokens read from a token that stopped early, in the blocks it did not run: its true keys and values, computed
    /// when they are needed (recompute), keys and values computed from its last state (propagate), or nothing (absent)
    #[arg(long, value_name = "recompute|propagate|absent", default_value = "recompute", value_parser = missing, requires = "exit")]
    missing: Missing,
    /// The most tokens of a continuation
    #[arg(long, value_name = "N", default_value = "64")]
    max_tokens: NonZeroUsize,
    /// Sample tokens at this temperature: the higher, the more evenly; 1 is the model's own distribution
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    temperature: f64,
    /// Sample from the K most likely tokens
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Sample from the smallest set of most likely tokens that together reach the probability P
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Sample from tokens of at least P times the probability of the most likely one
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f64>,
    /// Make tokens that occurred before less likely, if above 1
    #[arg(
        long,
        value_name = "R",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    repetition_penalty: f64,
    /// Seed of the sampling: the same seed gives the same tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Beam search: follow the N likeliest continuations side by side, and take the best that ends
    #[arg(long, value_name = "N", conflicts_with_all = ["stop", "exit"])]
    beams: Option<NonZeroUsize>,
    /// Rank beams by their log-probability divided by the number of tokens to this power
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true,
        requires = "beams"
    )]
    length_penalty: f64,
    /// Force the continuation to be this text, or one of several if repeated
    #[arg(long, value_name = "TEXT")]
    one_of: Vec<String>,
    /// Stop before this text; repeatable
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Stop before this token, in addition to those that the checkpoint names; repeatable
    #[arg(long, value_name = "ID")]
    stop_id: Vec<u32>,
    /// Print one line of JSON for each edit
    #[arg(long)]
    json: bool,
    /// Threads that share the work of each token [default: one for each core]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<NonZeroUsize>,
    /// The token before the prompt: as the checkpoint's tokenizer says (auto), none, or a token id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    bos: Bos,
    /// The number format of keys and values; bf16 halves their memory, and without --prompts the program measures and prints its
    /// effect on the prompt
    #[arg(long, value_name = "f32|bf16", default_value = "f32", value_parser = arguments::precision)]
    cache: Precision,
    #[command(flatten)]
    opening: Opening,
}

fn missing(text: &str) -> Result<Missing, String> {
    match text {
        "recompute" => Ok(Missing::Recompute),
        "propagate" => Ok(Missing::Propagate),
        "absent" => Ok(Missing::Absent),
        _ => Err("expected recompute, propagate or absent".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// A model, prompt, edit, rule or setting is invalid, memory is insufficient, or output cannot be written.
pub fn generate(arguments: &Arguments) -> anyhow::Result<()> {
    let opened = inputs::open_one(&arguments.model, "--model ", &arguments.opening)?;
    let tokenizer = inputs::open_tokenizer(&opened)?;
    for (option, is_given) in [
        ("--stop", !arguments.stop.is_empty()),
        ("--one-of", !arguments.one_of.is_empty()),
    ] {
        ensure!(
            tokenizer.is_some() || !is_given,
            "{option}: {} has no tokenizer.json to turn tokens into text with; give --stop-id instead",
            opened.name
        );
    }
    ensure!(
        !arguments.stop.iter().any(String::is_empty),
        "--stop: expected a text to stop before, found an empty one; leave it out"
    );
    let vocab = opened.model.config().vocab;
    if let Some(id) = arguments.stop_id.iter().find(|id| **id as usize >= vocab) {
        bail!(
            "--stop-id {id}: expected a token id below {vocab}, the size of the vocabulary of {}",
            opened.name
        );
    }
    let plain = Schedule::plain(opened.model.stack())?;
    let way = |name: String, run: Run<_>| Way { name, run };
    let mut ways = vec![way("id".to_owned(), Run::Under(plain.clone()))];
    for edit in &arguments.edit {
        let name = edit.to_string();
        let schedule = edit
            .apply(&plain)
            .with_context(|| format!("--edit {name}"))?;
        if State::most_bytes(opened.model.config(), &schedule, 1, arguments.cache) == 0 {
            output::say(format_args!(
                "{name} has no attention left: each token depends only on the one before it"
            ));
        }
        ways.push(way(name, Run::Under(schedule)));
    }
    if let Some(chosen) = arguments.stopping.chosen(&opened, tokenizer.as_ref())? {
        let stop = chosen.stop();
        ensure!(
            stop.vocab() != Vocab::Options,
            "--exit: expected a rule over full or top:R@K, found one over options, but a text has no options; give --exit-vocab"
        );
        let name = format!(
            "exit by {} at {} over {}",
            stop.rule(),
            stop.threshold(),
            stop.vocab()
        );
        ways.push(way(name, Run::Exiting(stop, arguments.missing)));
    }
    let work = Work::new(arguments, &opened, tokenizer.as_ref(), ways)?;
    let prompter = || Prompter::new(arguments, &opened, tokenizer.as_ref());
    if let Some(path) = &arguments.prompts {
        return many::write(arguments, &work, path, prompter()?.file(path)?);
    }
    let prompt = match &arguments.ids {
        Some(ids) => ids.clone(),
        None => prompter()?.text(arguments.prompt.as_deref().unwrap_or_default())?,
    };
    work.check_memory(prompt.len(), 1)?;
    let settings = work.settings();
    if settings.cache != Precision::F32 {
        let (cache, threads) = (settings.cache, settings.threads);
        let [mean, most] = sweep::rounding_of_cache(&opened.model, &prompt, cache, threads)?;
        output::say(format_args!(
            "keys and values in {}: over the {} tokens of the prompt the next-token distributions differ from those of f32 by {mean:.2e} nats (KL, mean; at most {most:.2e})",
            settings.cache.name(),
            prompt.len()
        ));
    }
    let mut page = Page::new(&work, &prompt, arguments.json);
    let written = work.writer.write(&[&prompt], &mut page);
    written.map(drop).map_err(|failed| failed.error)
}

/// The first token at which two continuations differ. If one is the beginning of the other, they differ at its end.
fn first_difference(plain: &[u32], other: &[u32]) -> Option<usize> {
    let common = plain.iter().zip(other).take_while(|(a, b)| a == b).count();
    (common < plain.len().max(other.len())).then_some(common)
}

fn settings(arguments: &Arguments, opened: &OpenedModel) -> anyhow::Result<Settings> {
    let mut end_tokens = inputs::end_tokens(opened)?;
    end_tokens.extend(&arguments.stop_id);
    let sampling = Sampling::default().with(|it| {
        it.temperature = arguments.temperature;
        it.top_k = arguments.top_k;
        it.top_p = arguments.top_p;
        it.min_p = arguments.min_p;
        it.repetition_penalty = arguments.repetition_penalty;
        it.seed = arguments.seed;
    });
    Ok(Settings::default().with(|it| {
        it.max_tokens = arguments.max_tokens.get();
        it.end_tokens = end_tokens;
        it.sampling = sampling;
        it.cache = arguments.cache;
        it.threads = arguments::threads_or_cores(arguments.threads);
    }))
}
