//! One continuation: chosen token by token, or searched for, with its text and its times.

use super::Arguments;
use crate::inputs::OpenedModel;
use layerwise::corpus::Tokenizer;
use layerwise::generate::{
    BeamSearch, Beams, Generation, Settings, Spells, TextLattice, TextStream, TokenTexts,
};
use layerwise::schedule::Schedule;
use layerwise::sweep;
use layerwise::transformer::{Precision, State};
use serde::{Deserialize, Serialize};
use std::io::{StdoutLock, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

/// What is done with each prompt.
pub(super) struct Work<'a> {
    pub(super) opened: &'a OpenedModel,
    pub(super) tokenizer: Option<&'a Tokenizer>,
    schedules: Vec<(String, Schedule)>,
    pub(super) settings: Settings,
    stops: Vec<String>,
    beams: Option<Beams>,
    /// Before the first token.
    constraint: Option<Spells<TextLattice>>,
}

/// A continuation.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Continuation {
    pub(super) ids: Vec<u32>,
    logprobs: Vec<f64>,
    /// `None` without a tokenizer.
    text: Option<String>,
    prefill_seconds: f64,
    /// What looking for the tokens after the first took, and how many they were.
    decode_seconds: f64,
    decoded: u32,
}

/// One continuation, as a line of JSON.
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
    /// `None` where no token but the first was looked for.
    decode_ms_per_token: Option<f64>,
}

impl Continuation {
    fn ms_per_token(&self) -> Option<f64> {
        (self.decoded > 0).then(|| 1e3 * self.decode_seconds / f64::from(self.decoded))
    }

    pub(super) fn speeds(&self, prompt: usize) -> String {
        let decoding = self.ms_per_token();
        let decoding = decoding.map_or(String::new(), |ms| {
            format!(", {:.1} tokens/s ({ms:.1} ms a token)", 1e3 / ms)
        });
        format!(
            "{} tokens{decoding}; prompt of {prompt} at {:.0} tokens/s",
            self.ids.len(),
            prompt as f64 / self.prefill_seconds
        )
    }

    /// As a line of JSON; `line` is that of the prompt in its file.
    pub(super) fn line(
        &self,
        line: Option<usize>,
        edit: &str,
        prompt: &[u32],
        first_difference: Option<usize>,
    ) -> serde_json::Result<String> {
        serde_json::to_string(&Line {
            line,
            edit,
            prompt_ids: prompt,
            ids: &self.ids,
            text: self.text.as_deref(),
            logprobs: &self.logprobs,
            first_difference,
            prefill_tokens_per_s: prompt.len() as f64 / self.prefill_seconds,
            decode_ms_per_token: self.ms_per_token(),
        })
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(
        arguments: &Arguments,
        opened: &'a OpenedModel,
        tokenizer: Option<&'a Tokenizer>,
        schedules: Vec<(String, Schedule)>,
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
        Ok(Self {
            opened,
            tokenizer,
            schedules,
            settings,
            stops: arguments.stop.clone(),
            beams,
            constraint,
        })
    }

    /// The schedules that each prompt is continued under, with their edits; the plain one first.
    pub(super) fn schedules(&self) -> &[(String, Schedule)] {
        &self.schedules
    }

    /// All that a continuation depends on besides model and prompt.
    pub(super) fn depends_on(&self, arguments: &Arguments) -> String {
        let Settings {
            max_tokens,
            end_tokens,
            sampling,
            cache,
            ..
        } = &self.settings;
        let schedules: Vec<String> = self
            .schedules
            .iter()
            .map(|(edit, schedule)| format!("{edit}={schedule}"))
            .collect();
        format!(
            "{schedules:?} {max_tokens} {end_tokens:?} {sampling:?} {} {:?} {:?} {:?}",
            cache.name(),
            self.stops,
            self.beams,
            arguments.one_of
        )
    }

    /// The same work with products that are not shared.
    pub(super) fn on_one_thread(&self) -> Self {
        Self {
            opened: self.opened,
            tokenizer: self.tokenizer,
            schedules: self.schedules.clone(),
            settings: self
                .settings
                .clone()
                .with(|it| it.threads = NonZeroUsize::MIN),
            stops: self.stops.clone(),
            beams: self.beams,
            constraint: self.constraint.clone(),
        }
    }

    /// Checks for the longest schedule what continuations of prompts of so many tokens take: keys and values, the buffers of
    /// the prompt, logits.
    pub(super) fn check_memory(&self, prompt: usize, at_once: usize) -> anyhow::Result<()> {
        let config = self.opened.model.config();
        let capacity = self.settings.capacity(prompt, config.context);
        let kept = self.schedules.iter().map(|(_, schedule)| {
            State::most_bytes(config, schedule, capacity, self.settings.cache)
        });
        let threads = self.settings.threads.get();
        let step = State::most_step_bytes(config, prompt, capacity, threads);
        // Those of one step are made before those of the last are dropped.
        let beams = self.beams.map_or(1, |beams| beams.count.saturating_mul(2));
        let choice = 3 * config.vocab * size_of::<f64>();
        let bytes = kept
            .max()
            .unwrap_or(0)
            .saturating_add(choice)
            .saturating_mul(beams);
        let bytes = bytes.saturating_add(step).saturating_mul(at_once);
        let measuring = match self.settings.cache {
            Precision::F32 => 0,
            cache => sweep::most_bytes_of_cache(config, &self.schedules[0].1, prompt, cache),
        };
        let bytes = bytes.max(measuring);
        let what = format!("{}: keys and values of {capacity} tokens", self.opened.name);
        self.opened.budget.check(&what, bytes as u64)?;
        Ok(())
    }

    /// Makes one continuation, and shows it as it comes.
    pub(super) fn run(
        &self,
        schedule: &Schedule,
        prompt: &[u32],
        shown: Option<&mut StdoutLock<'_>>,
    ) -> anyhow::Result<Continuation> {
        let mut teller = Teller::new(self, prompt, shown);
        let (model, settings) = (&self.opened.model, self.settings.clone());
        let constraint = self.constraint.clone();
        let started = Instant::now();
        if let Some(beams) = self.beams {
            let search = BeamSearch::new(model, schedule, prompt, settings, beams, constraint)?;
            let prefill_seconds = started.elapsed().as_secs_f64();
            let started = Instant::now();
            let best = search.run()?.swap_remove(0);
            let decode_seconds = started.elapsed().as_secs_f64();
            for token in &best.tokens {
                teller.push(*token)?;
            }
            let mut logprobs = best.log_probabilities;
            logprobs.truncate(best.tokens.len());
            return Ok(Continuation {
                text: teller.finish()?,
                decoded: u32::try_from(best.tokens.len()).unwrap_or(u32::MAX),
                ids: best.tokens,
                logprobs,
                prefill_seconds,
                decode_seconds,
            });
        }
        let mut generation =
            Generation::constrained(model, schedule, prompt, settings, constraint)?;
        let prefill_seconds = started.elapsed().as_secs_f64();
        let mut logprobs = Vec::new();
        let (mut decode_seconds, mut decoded) = (0.0, 0);
        while !teller.is_stopped() {
            let started = Instant::now();
            let Some(choice) = generation.next().transpose()? else {
                break;
            };
            if !logprobs.is_empty() {
                decode_seconds += started.elapsed().as_secs_f64();
                decoded += 1;
            }
            logprobs.push(choice.log_probability);
            teller.push(choice.token)?;
        }
        Ok(Continuation {
            text: teller.finish()?,
            ids: generation.tokens().to_vec(),
            logprobs,
            prefill_seconds,
            decode_seconds,
            decoded,
        })
    }
}

/// Makes text of tokens as they come, and shows it.
struct Teller<'t, 'o, D> {
    stream: Option<TextStream<D>>,
    shown: Option<&'o mut StdoutLock<'t>>,
    text: String,
}

impl<'t, 'o> Teller<'t, 'o, ()> {
    #[allow(clippy::new_ret_no_self, reason = "the type of a closure has no name")]
    fn new<'a>(
        work: &Work<'a>,
        prompt: &[u32],
        shown: Option<&'o mut StdoutLock<'t>>,
    ) -> Teller<'t, 'o, impl FnMut(&[u32]) -> Result<String, layerwise::corpus::CorpusError> + 'a>
    {
        let stream = work.tokenizer.map(|tokenizer| {
            let decode = |ids: &[u32]| tokenizer.decode(ids);
            TextStream::new(decode, work.stops.clone()).after(prompt)
        });
        Teller {
            stream,
            shown,
            text: String::new(),
        }
    }
}

impl<E, D> Teller<'_, '_, D>
where
    E: std::error::Error + Send + Sync + 'static,
    D: FnMut(&[u32]) -> Result<String, E>,
{
    fn push(&mut self, token: u32) -> anyhow::Result<()> {
        let piece = match &mut self.stream {
            Some(stream) => stream.push(token)?,
            None => format!("{token} "),
        };
        self.show(&piece)
    }

    /// Whether a stop string has come.
    fn is_stopped(&self) -> bool {
        self.stream.as_ref().is_some_and(TextStream::is_stopped)
    }

    /// The whole text; `None` where there is no tokenizer.
    fn finish(mut self) -> anyhow::Result<Option<String>> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let piece = stream.finish()?;
        self.show(&piece)?;
        Ok(Some(self.text))
    }

    fn show(&mut self, piece: &str) -> anyhow::Result<()> {
        if let Some(out) = &mut self.shown {
            write!(out, "{}", printable(piece))?;
            out.flush()?;
        }
        self.text.push_str(piece);
        Ok(())
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
