//! `generate`: what a model writes, as it is and under edits.

use crate::arguments::{Bos, Inputs};
use crate::inputs::{self, OpenedModel};
use crate::{arguments, output};
use anyhow::{Context, bail, ensure};
use layerwise::corpus::Tokenizer;
use layerwise::generate::{Generation, Sampling, Settings, TextStream};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::{Precision, State};
use serde::Serialize;
use std::io::{StdoutLock, Write};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Options of `generate`.
#[derive(clap::Args)]
#[command(after_help = "\
The plain model comes first, as the edit `id`. Without --temperature the most likely token is always taken.
With --json there is one line an edit: edit, prompt_ids, ids, text, logprobs (natural logarithms of the model's own
probabilities), first_difference (the first token that differs from the plain model's, counted from 0; null where none
does), prefill_tokens_per_s, decode_ms_per_token.")]
pub struct Arguments {
    /// The text to continue
    #[arg(value_name = "PROMPT", required_unless_present = "ids")]
    prompt: Option<String>,
    /// Token ids to continue, in place of a text; nothing is put before them
    #[arg(
        long,
        value_name = "ID,ID,…",
        value_delimiter = ',',
        conflicts_with_all = ["prompt", "bos"]
    )]
    ids: Option<Vec<u32>>,
    /// An embedded model's name, or a checkpoint folder
    #[arg(long, value_name = "NAME|DIR")]
    model: String,
    /// An edit whose continuation stands below the plain model's; may be repeated
    #[arg(long, value_name = "EDIT")]
    edit: Vec<Edit>,
    /// The most tokens of a continuation
    #[arg(long, value_name = "N", default_value = "64")]
    max_tokens: NonZeroUsize,
    /// Draw tokens, the more evenly the higher it is; 1 as the model says
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    temperature: f64,
    /// Draw from the K most likely tokens
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw from the most likely tokens that together first reach the probability P
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Draw from tokens of at least P times the probability of the most likely one
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f64>,
    /// Make tokens that were there before less likely, if above 1
    #[arg(
        long,
        value_name = "R",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    repetition_penalty: f64,
    /// What is drawn: the same seed, the same tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// End before this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// End before this token, besides those that the checkpoint names; may be repeated
    #[arg(long, value_name = "ID")]
    stop_id: Vec<u32>,
    /// One line of JSON for each edit
    #[arg(long)]
    json: bool,
    /// Threads that share the work of each token [default: one for each core]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<NonZeroUsize>,
    /// The token put before the prompt: the family's own, none, or an id
    #[arg(long, value_name = "auto|none|ID", default_value = "auto")]
    bos: Bos,
    /// The number format of weight matrices and of what they are multiplied with
    #[arg(long, value_name = "f32|bf16", default_value = "f32", value_parser = arguments::precision)]
    precision: Precision,
    /// Read files of weights instead of mapping them
    #[arg(long)]
    no_mmap: bool,
    /// Follow links in the model's folder wherever they lead
    #[arg(long)]
    follow_links: bool,
    /// Refuse what would need more memory, as 500M or 24G [default: what the machine has left]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<crate::memory::Size>,
}

/// One continuation, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    edit: &'a str,
    prompt_ids: &'a [u32],
    ids: &'a [u32],
    /// `None` without a tokenizer.
    text: Option<&'a str>,
    logprobs: &'a [f64],
    first_difference: Option<usize>,
    prefill_tokens_per_s: f64,
    /// `None` where no token but the first was looked for.
    decode_ms_per_token: Option<f64>,
}

/// A continuation.
struct Continuation {
    ids: Vec<u32>,
    logprobs: Vec<f64>,
    text: Option<String>,
    prefill: Duration,
    /// What looking for the tokens after the first took, and how often that was.
    decoding: (Duration, u32),
}

/// Runs the command.
///
/// # Errors
/// A model, prompt, edit or setting that cannot be accepted, more memory than there is, or output that cannot be written.
pub fn generate(arguments: &Arguments) -> anyhow::Result<()> {
    let opened = inputs::open_models(&Inputs {
        no_mmap: arguments.no_mmap,
        follow_links: arguments.follow_links,
        precision: arguments.precision,
        max_memory: arguments.max_memory,
        ..Inputs::of_model(&arguments.model)
    })?
    .pop()
    .context("one model was named")?;
    let tokenizer = inputs::open_tokenizer(&opened)?;
    let prompt = prompt(arguments, &opened, tokenizer.as_ref())?;
    ensure!(
        tokenizer.is_some() || arguments.stop.is_empty(),
        "--stop: {} has no tokenizer.json to make text with; give --stop-id",
        opened.name
    );
    let plain = Schedule::plain(opened.model.stack())?;
    let mut schedules = vec![("id".to_owned(), plain.clone())];
    for edit in &arguments.edit {
        let name = edit.to_string();
        let schedule = edit
            .apply(&plain)
            .with_context(|| format!("--edit {name}"))?;
        schedules.push((name, schedule));
    }
    let settings = settings(arguments, &opened)?;
    check_memory(&opened, &schedules, prompt.len(), &settings)?;
    let work = Work {
        opened: &opened,
        tokenizer: tokenizer.as_ref(),
        prompt: &prompt,
        settings: &settings,
        stops: &arguments.stop,
    };
    let mut out = std::io::stdout().lock();
    let mut first: Option<Vec<u32>> = None;
    for (name, schedule) in &schedules {
        let is_alone = schedules.len() == 1;
        if !arguments.json && !is_alone {
            writeln!(out, "{}", output::plain(name))?;
        }
        let shown = (!arguments.json).then_some(&mut out);
        let found = work.run(schedule, shown).with_context(|| name.clone())?;
        let difference = first
            .as_ref()
            .and_then(|first| first_difference(first, &found.ids));
        if arguments.json {
            let line = Line {
                edit: name,
                prompt_ids: &prompt,
                ids: &found.ids,
                text: found.text.as_deref(),
                logprobs: &found.logprobs,
                first_difference: difference,
                prefill_tokens_per_s: prompt.len() as f64 / found.prefill.as_secs_f64(),
                decode_ms_per_token: found.ms_per_token(),
            };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else {
            writeln!(out)?;
            let difference = match (&first, difference) {
                (None, _) => String::new(),
                (Some(_), None) => "; the same tokens as the plain model's".to_owned(),
                (Some(_), Some(at)) => format!("; differs from token {at} on"),
            };
            let said = format!("[{}{difference}]", found.speeds(prompt.len()));
            match is_alone {
                // Whoever keeps the text of one model wants nothing else in it.
                true => output::say(said),
                false => writeln!(out, "{said}\n")?,
            }
        }
        first.get_or_insert(found.ids);
    }
    Ok(())
}

impl Continuation {
    fn ms_per_token(&self) -> Option<f64> {
        let (time, count) = self.decoding;
        (count > 0).then(|| 1e3 * time.as_secs_f64() / f64::from(count))
    }

    fn speeds(&self, prompt: usize) -> String {
        let decoding = self.ms_per_token();
        let decoding = decoding.map_or(String::new(), |ms| format!(", {ms:.1} ms a token"));
        format!(
            "{} tokens{decoding}; prompt of {prompt} at {:.0} tokens/s",
            self.ids.len(),
            prompt as f64 / self.prefill.as_secs_f64()
        )
    }
}

/// The first place where two continuations differ: one that is a beginning of the other differs at its end.
fn first_difference(plain: &[u32], other: &[u32]) -> Option<usize> {
    let common = plain.iter().zip(other).take_while(|(a, b)| a == b).count();
    (common < plain.len().max(other.len())).then_some(common)
}

/// Token ids of the prompt, with what stands before it.
fn prompt(
    arguments: &Arguments,
    opened: &OpenedModel,
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<Vec<u32>> {
    if let Some(ids) = &arguments.ids {
        return Ok(ids.clone());
    }
    let Some(tokenizer) = tokenizer else {
        bail!(
            "{} has no tokenizer.json to read the prompt with; give --ids",
            opened.name
        );
    };
    let text = arguments.prompt.as_deref().unwrap_or_default();
    inputs::prompt(text, arguments.bos, opened, tokenizer)
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
        it.threads = arguments::threads_or_cores(arguments.threads);
    }))
}

/// Checks for the longest schedule what a continuation takes: keys and values, the buffers of the prompt, logits.
fn check_memory(
    opened: &OpenedModel,
    schedules: &[(String, Schedule)],
    prompt: usize,
    settings: &Settings,
) -> anyhow::Result<()> {
    let config = opened.model.config();
    let capacity = settings.capacity(prompt, config.context);
    let kept = schedules
        .iter()
        .map(|(_, schedule)| State::most_bytes(config, schedule, capacity));
    let step = State::most_step_bytes(config, prompt, capacity, settings.threads.get());
    let choice = 3 * config.vocab * size_of::<f64>();
    let bytes = kept.max().unwrap_or(0) + step + choice;
    let what = format!("{}: keys and values of {capacity} tokens", opened.name);
    opened.budget.check(&what, bytes as u64)?;
    Ok(())
}

struct Work<'a> {
    opened: &'a OpenedModel,
    tokenizer: Option<&'a Tokenizer>,
    prompt: &'a [u32],
    settings: &'a Settings,
    stops: &'a [String],
}

impl Work<'_> {
    /// Makes one continuation, and shows it as it comes.
    fn run(
        &self,
        schedule: &Schedule,
        mut shown: Option<&mut StdoutLock<'_>>,
    ) -> anyhow::Result<Continuation> {
        let started = Instant::now();
        let settings = self.settings.clone();
        let mut generation = Generation::new(&self.opened.model, schedule, self.prompt, settings)?;
        let prefill = started.elapsed();
        let mut stream = self.tokenizer.map(|tokenizer| {
            let decode = |ids: &[u32]| tokenizer.decode(ids);
            TextStream::new(decode, self.stops.to_vec())
        });
        let mut show = |piece: &str| match &mut shown {
            Some(out) => write!(out, "{}", printable(piece)).and_then(|()| out.flush()),
            None => Ok(()),
        };
        let (mut text, mut logprobs) = (String::new(), Vec::new());
        let mut decoding = (Duration::ZERO, 0);
        loop {
            let started = Instant::now();
            let Some(choice) = generation.next().transpose()? else {
                break;
            };
            if !logprobs.is_empty() {
                decoding = (decoding.0 + started.elapsed(), decoding.1 + 1);
            }
            logprobs.push(choice.log_probability);
            let piece = match &mut stream {
                Some(stream) => stream.push(choice.token)?,
                None => format!("{} ", choice.token),
            };
            show(&piece)?;
            text.push_str(&piece);
            if stream.as_ref().is_some_and(TextStream::is_stopped) {
                break;
            }
        }
        if let Some(stream) = &mut stream {
            let piece = stream.finish()?;
            show(&piece)?;
            text.push_str(&piece);
        }
        Ok(Continuation {
            ids: generation.tokens().to_vec(),
            logprobs,
            text: self.tokenizer.map(|_| text),
            prefill,
            decoding,
        })
    }
}

/// A text as a terminal may have it: ends of lines and tabs stay, other control characters are spelt out.
fn printable(text: &str) -> String {
    let spell = |c: char| match c.is_control() && !matches!(c, '\n' | '\t') {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(spell).collect()
}
