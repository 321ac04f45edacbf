//! How `generate` continues prompts, and what it reports of a continuation.

use super::Arguments;
use crate::inputs::OpenedModel;
use layerwise::corpus::{CorpusError, Tokenizer};
use layerwise::exits::Stop;
use layerwise::generate::{
    self, Beams, Continuation, Continuations, Settings, Spells, TextLattice, TokenTexts, Way,
};
use layerwise::sweep;
use layerwise::transformer::Precision;
use serde::Serialize;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// Turns token ids into text.
type Decode<'a> = Box<dyn Fn(&[u32]) -> Result<String, CorpusError> + Sync + 'a>;

/// The ways to continue each prompt.
pub(super) struct Work<'a> {
    pub(super) opened: &'a OpenedModel,
    pub(super) tokenizer: Option<&'a Tokenizer>,
    pub(super) writer: generate::Writer<'a, Stop, Decode<'a>>,
}

/// One continuation, as a JSON line.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    edit: &'a str,
    prompt_ids: &'a [u32],
    ids: &'a [u32],
    /// `None` without a tokenizer.
    text: Option<&'a str>,
    logprobs: &'a [f64],
    first_difference: Option<usize>,
    prefill_tokens_per_s: f64,
    /// `None` if only the first token was decoded.
    decode_ms_per_token: Option<f64>,
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    blocks: &'a [usize],
}

/// Milliseconds for each token after the first.
fn ms_per_token(found: &Continuation) -> Option<f64> {
    (found.decoded > 0).then(|| 1e3 * found.decode_seconds / f64::from(found.decoded))
}

pub(super) fn speeds(found: &Continuation, prompt: usize) -> String {
    let decoding = ms_per_token(found);
    let decoding = decoding.map_or(String::new(), |ms| {
        format!(", {:.1} tokens/s ({ms:.1} ms a token)", 1e3 / ms)
    });
    let mean = found.blocks.iter().sum::<usize>() as f64 / found.blocks.len() as f64;
    let blocks = match found.blocks.is_empty() {
        true => String::new(),
        false => format!(", {mean:.1} blocks a token"),
    };
    format!(
        "{} tokens{decoding}{blocks}; prompt of {prompt} at {:.0} tokens/s",
        found.ids.len(),
        prompt as f64 / found.prefill_seconds
    )
}

/// A continuation as a JSON line; `line` is the prompt's line in its file.
pub(super) fn line(
    found: &Continuation,
    line: Option<usize>,
    edit: &str,
    prompt: &[u32],
    first_difference: Option<usize>,
) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        line,
        edit,
        prompt_ids: prompt,
        ids: &found.ids,
        text: found.text.as_deref(),
        logprobs: &found.logprobs,
        first_difference,
        prefill_tokens_per_s: prompt.len() as f64 / found.prefill_seconds,
        decode_ms_per_token: ms_per_token(found),
        blocks: &found.blocks,
    })
}

/// Seconds on the clock.
fn seconds() -> f64 {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    STARTED.elapsed().as_secs_f64()
}

impl<'a> Work<'a> {
    pub(super) fn new(
        arguments: &Arguments,
        opened: &'a OpenedModel,
        tokenizer: Option<&'a Tokenizer>,
        ways: Vec<Way<Stop>>,
    ) -> anyhow::Result<Self> {
        let settings = super::settings(arguments, opened)?;
        let beams = arguments.beams.map(|count| {
            Beams::new(count.get()).with(|it| it.length_penalty = arguments.length_penalty)
        });
        let constraint = tokenizer
            .filter(|_| !arguments.one_of.is_empty())
            .map(|tokenizer| {
                let texts = tokenizer.token_bytes(opened.model.config().vocab);
                let lattice = TextLattice::one_of(&arguments.one_of);
                let ends = settings.end_tokens.clone();
                Spells::new(Arc::new(lattice), Arc::new(TokenTexts::new(texts)), ends)
            });
        let decode = tokenizer
            .map(|tokenizer| -> Decode<'a> { Box::new(move |ids: &[u32]| tokenizer.decode(ids)) });
        let writer = generate::Writer::new(&opened.model, ways, settings, decode, seconds)
            .stopping_before(arguments.stop.clone())
            .searching(beams)
            .constrained(constraint);
        Ok(Self {
            opened,
            tokenizer,
            writer,
        })
    }

    /// The schedules that continue each prompt, the plain model first.
    pub(super) fn ways(&self) -> &[Way<Stop>] {
        self.writer.ways()
    }

    pub(super) fn settings(&self) -> &Settings {
        self.writer.settings()
    }

    /// Continuations of a file of prompts, as a measure.
    pub(super) fn continuations(
        &self,
        arguments: &Arguments,
        together: usize,
    ) -> Continuations<'_, 'a, Stop, Decode<'a>> {
        let tokenizer = self.tokenizer.map(Tokenizer::sha256);
        let more = format!("{:?} {tokenizer:?}", arguments.one_of);
        self.writer.continuations(&more, together)
    }

    /// Checks that memory suffices for `prompts` prompts of this length, continued together in all ways.
    pub(super) fn check_memory(&self, prompt: usize, together: usize) -> anyhow::Result<()> {
        let (config, settings) = (self.opened.model.config(), self.settings());
        let measuring = match settings.cache {
            Precision::F32 => 0,
            cache => {
                let plain = self.opened.model.plain();
                sweep::most_bytes_of_cache(config, &plain, prompt, cache, settings.threads)
            }
        };
        let bytes = self.writer.most_bytes(prompt, together).max(measuring);
        let capacity = settings.capacity(prompt, config.context);
        let what = format!("{}: keys and values of {capacity} tokens", self.opened.name);
        self.opened.budget.check(&what, bytes as u64)?;
        Ok(())
    }
}

/// A text for a terminal: line ends and tabs stay, other control characters are escaped.
pub(super) fn printable(text: &str) -> String {
    let spell = |c: char| match c.is_control() && !matches!(c, '\n' | '\t') {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(spell).collect()
}
