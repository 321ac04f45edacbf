//! `speed`: times prompts and decoding under edits, next to what the number of bytes read predicts.

use crate::arguments::{self, Opening};
use crate::experiments::core::clock::{self, Clock};
use crate::inputs::{self, OpenedModel};
use crate::manifest::{self, Manifest};
use crate::stopwatch::Stopwatch;
use crate::{output, sweep};
use anyhow::{Context, ensure};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::{Precision, State};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Options of `speed`.
#[derive(clap::Args)]
#[command(after_help = "\
The plain model comes first, as the schedule `id`. A repetition reads the prompt under each schedule and then decodes, each \
token under all schedules in turn; it keeps the median of a schedule's times. The tokens are a fixed sequence of ids; nothing \
is sampled from their logits.
Columns: prefill_tokens_per_s includes the logits of the last position; first_token_ms is the prompt and one further token; \
decode_ms_per_token is at cache lengths from prompt_tokens on; ratio_to_plain is the plain model's time divided by the \
schedule's, in the same repetition; predicted_ratio is the same ratio of bytes read; cache_bytes are the keys and values of all \
tokens.
*_se are standard errors over repetitions.")]
pub struct Arguments {
    /// Edits whose speed is compared with the plain model's
    #[arg(value_name = "EDIT")]
    edits: Vec<Edit>,
    /// An embedded model's name, a checkpoint folder, or ORG/NAME of a model in the Hugging Face cache
    #[arg(long, value_name = "NAME|DIR|ORG/NAME")]
    model: String,
    /// Lengths of the prompt, in tokens [default: 32,128,512,2048, as far as they fit the model]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    prompt_tokens: Vec<NonZeroUsize>,
    /// Tokens decoded after each prompt
    #[arg(long, value_name = "N", default_value = "128")]
    decoded_tokens: NonZeroUsize,
    /// Repetitions, after a first one that is discarded
    #[arg(long, value_name = "N", default_value = "5")]
    repetitions: NonZeroUsize,
    /// Threads that share the work of each token [default: one for each core]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<NonZeroUsize>,
    /// The number format of keys and values
    #[arg(long, value_name = "f32|bf16", default_value = "f32", value_parser = arguments::precision)]
    cache: Precision,
    /// Write the table to this file, and the manifest to FILE.run
    #[arg(long, value_name = "FILE", default_value = "generation-speed.csv")]
    out: PathBuf,
    #[command(flatten)]
    opening: Opening,
}

/// The columns of `generation-speed.csv`. Other programs may rely on their names.
const COLUMNS: [&str; 17] = [
    "model",
    "schedule",
    "precision",
    "threads",
    "prompt_tokens",
    "decoded_tokens",
    "repetitions",
    "prefill_tokens_per_s",
    "prefill_se",
    "first_token_ms",
    "first_token_se",
    "decode_ms_per_token",
    "decode_se",
    "ratio_to_plain",
    "ratio_se",
    "predicted_ratio",
    "cache_bytes",
];

/// Runs the command.
///
/// # Errors
/// A model or edit is invalid, prompts are longer than the model's context, memory is insufficient, or a file cannot be
/// written.
pub fn speed(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = sweep::run_folder(&arguments.out);
    let manifest_file = folder.join("manifest.json");
    output::check_file(&arguments.out)?;
    output::check_file(&manifest_file)?;
    let opened = inputs::open_one(&arguments.model, "--model ", &arguments.opening)?;
    output::check_distinct(
        [("--out", Some(arguments.out.clone()))],
        opened.named_files(),
    )?;
    let plain = Schedule::plain(opened.model.stack())?;
    let mut schedules = vec![("id".to_owned(), plain.clone())];
    for edit in &arguments.edits {
        let schedule = edit.apply(&plain).with_context(|| edit.to_string())?;
        schedules.push((edit.to_string(), schedule));
    }
    let threads = arguments::threads_or_cores(arguments.threads);
    let bench = Bench {
        opened: &opened,
        schedules: &schedules,
        decoded: arguments.decoded_tokens.get(),
        repetitions: arguments.repetitions.get(),
        cache: arguments.cache,
        clock: Stopwatch::new(threads),
    };
    let prompts = bench.prompts(&arguments.prompt_tokens);
    for &prompt in &prompts {
        bench.check(prompt)?;
    }
    let load = manifest::load_average();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for &prompt in &prompts {
        for row in bench.rows(prompt)? {
            writer.write_record(row)?;
        }
    }
    let mut manifest = Manifest::new(threads.get()).with_load(load, manifest::load_average());
    manifest.runs.push(manifest::Run::of_model(&opened));
    output::make_folder(&folder)?;
    output::write(&manifest_file, manifest.json()?.as_bytes())?;
    let table = writer.into_inner().context("the table cannot be made")?;
    output::write(&arguments.out, &table)?;
    output::print_paths([&arguments.out])?;
    Ok(())
}

struct Bench<'a> {
    opened: &'a OpenedModel,
    schedules: &'a [(String, Schedule)],
    decoded: usize,
    repetitions: usize,
    cache: Precision,
    clock: Stopwatch,
}

/// The lengths of prompts, unless others are asked for.
const PROMPTS: [usize; 4] = [32, 128, 512, 2048];

impl Bench<'_> {
    /// The lengths that were asked for or, if none were, those of [`PROMPTS`] that fit the model with their continuations; the
    /// least of them in any case.
    fn prompts(&self, asked: &[NonZeroUsize]) -> Vec<usize> {
        if !asked.is_empty() {
            return asked.iter().map(|prompt| prompt.get()).collect();
        }
        let room = self
            .opened
            .model
            .config()
            .context
            .saturating_sub(self.decoded);
        let fitting = PROMPTS
            .into_iter()
            .filter(|prompt| *prompt <= room.max(PROMPTS[0]));
        fitting.collect()
    }

    /// Checks in advance that the prompts and their continuations fit the model and the memory.
    fn check(&self, prompt: usize) -> anyhow::Result<()> {
        let config = self.opened.model.config();
        let capacity = prompt.saturating_add(self.decoded);
        ensure!(
            capacity <= config.context,
            "--prompt-tokens {prompt} and {} decoded tokens: {} has a context of {} tokens; give smaller numbers",
            self.decoded,
            self.opened.name,
            config.context
        );
        // All schedules decode in turn, so their states are in memory together.
        let kept = |(_, schedule): &(_, Schedule)| {
            State::most_bytes(config, schedule, capacity, self.cache)
        };
        let threads = self.clock.team().threads();
        let steps = self.schedules.iter().map(|(_, schedule)| {
            State::most_step_bytes(config, schedule, prompt, capacity, threads)
        });
        let bytes =
            self.schedules.iter().map(kept).sum::<usize>() + steps.max().unwrap_or_default();
        let what = format!("{}: keys and values of {capacity} tokens", self.opened.name);
        self.opened.budget.check(&what, bytes as u64)?;
        Ok(())
    }

    /// The rows of one length of the prompt, one for each schedule.
    fn rows(&self, prompt: usize) -> anyhow::Result<Vec<Vec<String>>> {
        let schedules: Vec<&Schedule> = self.schedules.iter().map(|(_, own)| own).collect();
        let budget = clock::Budget::default().with(|it| {
            it.decoded = self.decoded;
            it.repetitions = self.repetitions;
            it.cache = self.cache;
        });
        let speeds = clock::speeds(&self.opened.model, &schedules, prompt, budget, &self.clock)?;
        let rows = self.schedules.iter().zip(speeds).map(|((name, _), speed)| {
            let decode = speed.decode_ms_per_token[0].unwrap_or(f64::NAN);
            output::say(format_args!(
                "{name}, {prompt} tokens: {decode:.2} ms a token, {:.1} GB/s",
                speed.bytes_per_token / decode / 1e6
            ));
            let mut row = vec![
                self.opened.name.clone(),
                name.clone(),
                self.opened.model.precision().name().to_owned(),
                self.clock.team().threads().to_string(),
                prompt.to_string(),
                self.decoded.to_string(),
                self.repetitions.to_string(),
            ];
            let measured = [
                speed.prefill_tokens_per_s,
                speed.first_token_ms,
                speed.decode_ms_per_token,
                speed.ratio_to_first,
            ];
            let said =
                |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            row.extend(measured.into_iter().flatten().map(said));
            row.push(speed.predicted_ratio.to_string());
            row.push(speed.cache_bytes.to_string());
            row
        });
        Ok(rows.collect())
    }
}
