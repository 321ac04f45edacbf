//! Continuations: chosen token by token, together, or searched for, each with its text and its times.

use super::Arguments;
use crate::inputs::OpenedModel;
use anyhow::Context;
use layerwise::corpus::{CorpusError, Tokenizer};
use layerwise::exits::Stop;
use layerwise::generate::{
    BeamSearch, Beams, Choice, GenerateError, Generation, Settings, Spells, TextLattice,
    TextStream, TokenTexts,
};
use layerwise::schedule::Schedule;
use layerwise::sweep;
use layerwise::transformer::{Missing, Precision};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// What is done with each prompt.
pub(super) struct Work<'a> {
    pub(super) opened: &'a OpenedModel,
    pub(super) tokenizer: Option<&'a Tokenizer>,
    ways: Vec<Way>,
    pub(super) settings: Settings,
    stops: Vec<String>,
    beams: Option<Beams>,
    /// Before the first token.
    constraint: Option<Spells<TextLattice>>,
}

/// What a prompt is continued by.
pub(super) struct Way {
    /// The edit; of early exit the rule.
    pub(super) name: String,
    pub(super) run: Run,
}

/// How tokens are run.
pub(super) enum Run {
    Under(Schedule),
    /// Each stops where the rule says; and what later tokens find of it.
    Exiting(Stop, Missing),
}

/// A continuation.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Continuation {
    pub(super) ids: Vec<u32>,
    logprobs: Vec<f64>,
    /// `None` without a tokenizer.
    text: Option<String>,
    /// Its part of what running the prompts took, by their tokens.
    prefill_seconds: f64,
    /// What looking for the tokens after the first took, those of others that were made with it included, and how many of its
    /// own they were.
    decode_seconds: f64,
    decoded: u32,
    /// With early exit the blocks that the prompt ran, and then each token that was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<usize>,
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
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    blocks: &'a [usize],
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
        let mean = self.blocks.iter().sum::<usize>() as f64 / self.blocks.len() as f64;
        let blocks = match self.blocks.is_empty() {
            true => String::new(),
            false => format!(", {mean:.1} blocks a token"),
        };
        format!(
            "{} tokens{decoding}{blocks}; prompt of {prompt} at {:.0} tokens/s",
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
            blocks: &self.blocks,
        })
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(
        arguments: &Arguments,
        opened: &'a OpenedModel,
        tokenizer: Option<&'a Tokenizer>,
        ways: Vec<Way>,
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
            ways,
            settings,
            stops: arguments.stop.clone(),
            beams,
            constraint,
        })
    }

    /// What each prompt is continued by; the plain model first.
    pub(super) fn ways(&self) -> &[Way] {
        &self.ways
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
        let schedules = self.ways.iter().map(|way| match &way.run {
            Run::Under(schedule) => format!("{}={schedule}", way.name),
            Run::Exiting(stop, missing) => format!("{}={stop:?} {missing:?}", way.name),
        });
        let schedules: Vec<String> = schedules.collect();
        format!(
            "{schedules:?} {max_tokens} {end_tokens:?} {sampling:?} {} {:?} {:?} {:?}",
            cache.name(),
            self.stops,
            self.beams,
            arguments.one_of
        )
    }

    /// Checks what the continuations of so many prompts of so many tokens take, made together in all ways: keys and values, the
    /// buffers of a run, logits.
    pub(super) fn check_memory(&self, prompt: usize, together: usize) -> anyhow::Result<()> {
        let config = self.opened.model.config();
        let schedules = self.ways.iter().filter_map(|way| match &way.run {
            Run::Under(schedule) => Some((schedule, prompt)),
            Run::Exiting(..) => None,
        });
        let of_prompt: Vec<(&Schedule, usize)> = schedules.collect();
        let exiting = self.ways.iter().map(|way| match &way.run {
            Run::Under(_) => 0,
            Run::Exiting(_, missing) => {
                let prompts = vec![prompt; together];
                self.settings.most_bytes_exiting(config, &prompts, *missing)
            }
        });
        let bytes = match self.beams {
            None => self
                .settings
                .most_bytes(config, &of_prompt.repeat(together))
                .saturating_add(exiting.sum()),
            // One search after another; the beams of one step are made before those of the last are dropped.
            Some(beams) => {
                let searches = of_prompt.iter().map(|one| {
                    let one = self.settings.most_bytes(config, &[*one]);
                    one.saturating_mul(beams.count.saturating_mul(2))
                });
                searches.max().unwrap_or(0)
            }
        };
        let measuring = match self.settings.cache {
            Precision::F32 => 0,
            cache => {
                let plain = self.opened.model.plain();
                let threads = self.settings.threads;
                sweep::most_bytes_of_cache(config, &plain, prompt, cache, threads)
            }
        };
        let bytes = bytes.max(measuring);
        let capacity = self.settings.capacity(prompt, config.context);
        let what = format!("{}: keys and values of {capacity} tokens", self.opened.name);
        self.opened.budget.check(&what, bytes as u64)?;
        Ok(())
    }

    /// Continues each prompt in all ways, those of one prompt after another, and tells a reader of it.
    ///
    /// # Errors
    /// Those of the first continuation that cannot be made, with its place, once all before it are told.
    pub(super) fn write(
        &self,
        prompts: &[&[u32]],
        reader: &mut impl Reader,
    ) -> Result<Vec<Continuation>, Failed> {
        let mut tasks = Vec::new();
        for prompt in prompts {
            tasks.extend(self.ways.iter().map(|way| Task { way, prompt }));
        }
        let Some(beams) = self.beams else {
            return self.choose(&tasks, reader);
        };
        let searched = tasks.iter().enumerate().map(|(at, task)| {
            let found = self.search(task, beams);
            let found = found.with_context(|| task.way.name.clone());
            let told = found.and_then(|found| {
                reader.goes_on(at, found.text.as_deref().unwrap_or_default())?;
                reader.has_ended(at, &found)?;
                Ok(found)
            });
            told.map_err(|error| Failed { at, error })
        });
        searched.collect()
    }

    /// The best continuation that a beam search finds.
    fn search(&self, task: &Task<'_>, beams: Beams) -> anyhow::Result<Continuation> {
        let Run::Under(schedule) = &task.way.run else {
            unreachable!("--beams is given without --exit");
        };
        let constraint = self.constraint.clone();
        let mut teller = Teller::new(self, task.prompt);
        let started = Instant::now();
        let search = BeamSearch::new(
            &self.opened.model,
            schedule,
            task.prompt,
            self.settings.clone(),
            beams,
            constraint,
        )?;
        let prefill_seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let best = search.run()?.swap_remove(0);
        let decode_seconds = started.elapsed().as_secs_f64();
        for token in &best.tokens {
            teller.push(*token)?;
        }
        teller.finish()?;
        let mut logprobs = best.log_probabilities;
        logprobs.truncate(best.tokens.len());
        Ok(Continuation {
            text: teller.text(),
            decoded: u32::try_from(best.tokens.len()).unwrap_or(u32::MAX),
            ids: best.tokens,
            logprobs,
            prefill_seconds,
            decode_seconds,
            blocks: Vec::new(),
        })
    }

    /// Runs the prompts of all: those under schedules together, then those whose tokens may stop early.
    fn begin(
        &self,
        tasks: &[Task<'_>],
    ) -> Result<Vec<Generation<'_, Option<Spells<TextLattice>>>>, FirstFailed> {
        let (model, settings, constraint) = (&self.opened.model, &self.settings, &self.constraint);
        let mut begun = Vec::with_capacity(tasks.len());
        let mut take = |places: Vec<usize>, all: Result<Vec<_>, FirstFailed>| {
            let all = all.map_err(|failed| Box::new((places[failed.0], failed.1)))?;
            begun.extend(places.into_iter().zip(all));
            Ok::<(), FirstFailed>(())
        };
        let (mut places, mut prompts) = (Vec::new(), Vec::new());
        for (at, task) in tasks.iter().enumerate() {
            if let Run::Under(schedule) = &task.way.run {
                places.push(at);
                prompts.push((schedule, task.prompt));
            }
        }
        take(
            places,
            Generation::all(model, &prompts, settings, constraint),
        )?;
        for way in &self.ways {
            if let Run::Exiting(stop, missing) = &way.run {
                let own = tasks.iter().enumerate();
                let own = own.filter(|(_, task)| std::ptr::eq(task.way, way));
                let (places, prompts): (Vec<_>, Vec<_>) =
                    own.map(|(at, task)| (at, task.prompt)).unzip();
                let all =
                    Generation::exiting(model, &prompts, settings, constraint, stop, *missing);
                take(places, all)?;
            }
        }
        begun.sort_by_key(|(at, _)| *at);
        Ok(begun.into_iter().map(|(_, begun)| begun).collect())
    }

    /// Chooses the tokens of all, one step after another.
    fn choose(
        &self,
        tasks: &[Task<'_>],
        reader: &mut impl Reader,
    ) -> Result<Vec<Continuation>, Failed> {
        let of = |at: usize| move |error: anyhow::Error| Failed { at, error };
        let failed = |at: usize, error: GenerateError| Failed {
            at,
            error: anyhow::Error::from(error).context(tasks[at].way.name.clone()),
        };
        let started = Instant::now();
        let mut all = self.begin(tasks).map_err(|it| failed(it.0, it.1))?;
        let tokens: usize = tasks.iter().map(|task| task.prompt.len()).sum();
        let seconds_per_token = started.elapsed().as_secs_f64() / tokens as f64;
        let new = |task: &Task<'_>| Writing {
            teller: Teller::new(self, task.prompt),
            logprobs: Vec::new(),
            decode_seconds: 0.0,
            decoded: 0,
            has_ended: false,
        };
        let mut writings: Vec<_> = tasks.iter().map(new).collect();
        let mut failure = None;
        let mut whole = Vec::new();
        loop {
            // What is told first is told as it comes; what stands below waits.
            while let Some(writing) = writings.get_mut(whole.len()) {
                let at = whole.len();
                reader
                    .goes_on(at, &writing.teller.take_untold())
                    .map_err(of(at))?;
                if !writing.has_ended {
                    break;
                }
                let found = Continuation {
                    ids: all[at].tokens().to_vec(),
                    logprobs: std::mem::take(&mut writing.logprobs),
                    text: writing.teller.text(),
                    prefill_seconds: seconds_per_token * tasks[at].prompt.len() as f64,
                    decode_seconds: writing.decode_seconds,
                    decoded: writing.decoded,
                    blocks: all[at].blocks().to_vec(),
                };
                reader.has_ended(at, &found).map_err(of(at))?;
                whole.push(found);
            }
            let (places, mut going): (Vec<usize>, Vec<_>) = all
                .iter_mut()
                .enumerate()
                .take(writings.len())
                .filter(|(at, _)| !writings[*at].has_ended)
                .unzip();
            if going.is_empty() {
                break;
            }
            let started = Instant::now();
            let chosen = Generation::step_all(&mut going);
            let seconds = started.elapsed().as_secs_f64();
            for (at, choice) in places.into_iter().zip(chosen) {
                match choice {
                    Some(Ok(choice)) => writings[at].add(choice, seconds).map_err(of(at))?,
                    Some(Err(error)) => {
                        // Nothing of those below is told.
                        failure = Some(failed(at, error));
                        writings.truncate(at);
                        break;
                    }
                    None => writings[at].finish().map_err(of(at))?,
                }
            }
        }
        failure.map_or(Ok(whole), Err)
    }
}

/// Which continuation cannot be made, and why.
pub(super) struct Failed {
    pub(super) at: usize,
    pub(super) error: anyhow::Error,
}

/// The place of the first continuation that cannot be made, and why.
type FirstFailed = Box<(usize, GenerateError)>;

/// A prompt that is continued in some way.
struct Task<'a> {
    way: &'a Way,
    prompt: &'a [u32],
}

/// Is told of continuations in their order: of each its text as it comes, once those before it have ended.
pub(super) trait Reader {
    /// The text of continuation `at` goes on.
    fn goes_on(&mut self, at: usize, piece: &str) -> anyhow::Result<()>;

    /// Continuation `at` has ended.
    fn has_ended(&mut self, at: usize, found: &Continuation) -> anyhow::Result<()>;
}

/// Nobody.
impl Reader for () {
    fn goes_on(&mut self, _: usize, _: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn has_ended(&mut self, _: usize, _: &Continuation) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A continuation in the making.
struct Writing<D> {
    teller: Teller<D>,
    logprobs: Vec<f64>,
    decode_seconds: f64,
    decoded: u32,
    has_ended: bool,
}

impl<D: FnMut(&[u32]) -> Result<String, CorpusError>> Writing<D> {
    /// A token came after so many seconds.
    fn add(&mut self, choice: Choice, seconds: f64) -> anyhow::Result<()> {
        if !self.logprobs.is_empty() {
            self.decode_seconds += seconds;
            self.decoded += 1;
        }
        self.logprobs.push(choice.log_probability);
        self.teller.push(choice.token)?;
        if self.teller.is_stopped() {
            self.finish()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.has_ended = true;
        self.teller.finish()
    }
}

/// Makes text of tokens as they come.
struct Teller<D> {
    /// `None` without a tokenizer: ids stand for themselves.
    stream: Option<TextStream<D>>,
    text: String,
    /// Bytes of it that were taken.
    told: usize,
}

impl Teller<()> {
    #[allow(clippy::new_ret_no_self, reason = "the type of a closure has no name")]
    fn new<'a>(
        work: &Work<'a>,
        prompt: &[u32],
    ) -> Teller<impl FnMut(&[u32]) -> Result<String, CorpusError> + use<'a>> {
        let stream = work.tokenizer.map(|tokenizer| {
            let decode = move |ids: &[u32]| tokenizer.decode(ids);
            TextStream::new(decode, work.stops.clone()).after(prompt)
        });
        Teller {
            stream,
            text: String::new(),
            told: 0,
        }
    }
}

impl<D: FnMut(&[u32]) -> Result<String, CorpusError>> Teller<D> {
    fn push(&mut self, token: u32) -> anyhow::Result<()> {
        match &mut self.stream {
            Some(stream) => self.text += &stream.push(token)?,
            None => self.text += &format!("{token} "),
        }
        Ok(())
    }

    /// Whether a stop string has come.
    fn is_stopped(&self) -> bool {
        self.stream.as_ref().is_some_and(TextStream::is_stopped)
    }

    /// Adds what was held.
    fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(stream) = &mut self.stream {
            self.text += &stream.finish()?;
        }
        Ok(())
    }

    /// The text since the last call.
    fn take_untold(&mut self) -> String {
        let untold = self.text[self.told..].to_owned();
        self.told = self.text.len();
        untold
    }

    /// The whole text; `None` where there is no tokenizer.
    fn text(&self) -> Option<String> {
        self.stream.as_ref().map(|_| self.text.clone())
    }
}

/// A text as a terminal may have it: ends of lines and tabs stay, other control characters are spelt out.
pub(super) fn printable(text: &str) -> String {
    let spell = |c: char| match c.is_control() && !matches!(c, '\n' | '\t') {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(spell).collect()
}
