//! Continues many prompts in several ways, all together, or by one beam search after another; each with its text and timings.

use crate::beams::{BeamSearch, Beams};
use crate::choosing::Choice;
use crate::error::GenerateError;
use crate::generation::{Generation, Settings};
use crate::text::TextStream;
use crate::texts::{Spells, TextLattice};
use layerwise_schedule::Schedule;
use layerwise_transformer::{Exit, Missing, Model};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// A way of continuing a prompt.
#[derive(Clone, Debug)]
pub struct Way<E> {
    /// The name that readers see, such as the text of an edit.
    pub name: String,
    /// How tokens are run.
    pub run: Run<E>,
}

/// How tokens are run.
#[derive(Clone, Debug)]
pub enum Run<E> {
    /// Each token runs under this schedule.
    Under(Schedule),
    /// Each token stops where the rule says; [`Missing`] says what later tokens attend to in the blocks that it did not run.
    Exiting(E, Missing),
}

/// A continuation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Continuation {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// The natural logarithm of each token's probability under the model.
    pub logprobs: Vec<f64>,
    /// The text; `None` without a tokenizer.
    pub text: Option<String>,
    /// Its share of the time for running the prompts, in proportion to their tokens.
    pub prefill_seconds: f64,
    /// Seconds of the steps after the prompt; a step that several continuations share counts in full for each.
    pub decode_seconds: f64,
    /// The number of its tokens from these steps: all but the first, which the prompt gives; with beams all of them.
    pub decoded: u32,
    /// With early exit, the number of blocks that the prompt ran, and then each token that was run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<usize>,
}

/// Receives continuations in order: the text of each as it comes, once those before it have ended.
pub trait Reader {
    /// Why it stops reading.
    type Error;

    /// Receives more text of continuation `at`.
    ///
    /// # Errors
    /// Stops the writing.
    fn goes_on(&mut self, at: usize, piece: &str) -> Result<(), Self::Error>;

    /// Receives continuation `at`, which has ended.
    ///
    /// # Errors
    /// Stops the writing.
    fn has_ended(&mut self, at: usize, found: &Continuation) -> Result<(), Self::Error>;
}

/// The first continuation that failed, and why.
#[derive(Debug)]
pub struct Failed<E> {
    /// Its place.
    pub at: usize,
    /// The error; [`GenerateError::Way`] unless its text could not be decoded, or the reader failed.
    pub error: E,
}

/// Continues prompts in several ways: under schedules, and by rules of early exit.
///
/// `D` decodes tokens; without it continuations have ids but no text.
#[derive(Clone, Debug)]
pub struct Writer<'a, E, D> {
    pub(crate) model: &'a Model,
    ways: Vec<Way<E>>,
    settings: Settings,
    pub(crate) beams: Option<Beams>,
    /// The constraint before the first token.
    constraint: Option<Spells<TextLattice>>,
    decode: Option<D>,
    pub(crate) stops: Vec<String>,
    seconds: fn() -> f64,
}

/// The place of the first continuation that failed, and why.
type FirstFailed = Box<(usize, GenerateError)>;

/// A prompt with one way of continuing it.
struct Task<'a, E> {
    way: &'a Way<E>,
    prompt: &'a [u32],
}

impl<E> Task<'_, E> {
    /// The error of the way at a place.
    fn failed<F: From<GenerateError>>(&self, at: usize, error: GenerateError) -> Failed<F> {
        let error = GenerateError::Way {
            way: self.way.name.clone(),
            source: Box::new(error),
        };
        let error = error.into();
        Failed { at, error }
    }
}

impl<'a, E, D, X> Writer<'a, E, D>
where
    E: Exit + Clone + Send,
    D: Fn(&[u32]) -> Result<String, X>,
    X: Into<Box<dyn Error + Send + Sync>>,
{
    /// A writer that chooses tokens one by one; `seconds` is a clock.
    pub fn new(
        model: &'a Model,
        ways: Vec<Way<E>>,
        settings: Settings,
        decode: Option<D>,
        seconds: fn() -> f64,
    ) -> Self {
        Self {
            model,
            ways,
            settings,
            beams: None,
            constraint: None,
            decode,
            stops: Vec::new(),
            seconds,
        }
    }

    /// Sets texts before which continuations end.
    #[must_use]
    pub fn stopping_before(self, stops: Vec<String>) -> Self {
        Self { stops, ..self }
    }

    /// Searches with beams instead.
    #[must_use]
    pub fn searching(self, beams: Option<Beams>) -> Self {
        Self { beams, ..self }
    }

    /// Restricts continuations to texts that an automaton accepts.
    #[must_use]
    pub fn constrained(self, constraint: Option<Spells<TextLattice>>) -> Self {
        Self { constraint, ..self }
    }

    /// The ways of continuing each prompt.
    pub fn ways(&self) -> &[Way<E>] {
        &self.ways
    }

    /// The settings of all continuations.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The largest number of bytes for continuations of `together` prompts of `prompt` tokens, made together in all ways: keys
    /// and values, the buffers of a run, logits.
    pub fn most_bytes(&self, prompt: usize, together: usize) -> usize {
        let config = self.model.config();
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
        match self.beams {
            None => self
                .settings
                .most_bytes(config, &of_prompt.repeat(together))
                .saturating_add(exiting.sum()),
            // Searches run one after another. A step makes the new beams before it drops the old ones.
            Some(beams) => {
                let searches = of_prompt.iter().map(|one| {
                    let one = self.settings.most_bytes(config, &[*one]);
                    one.saturating_mul(beams.count.saturating_mul(2))
                });
                searches.max().unwrap_or(0)
            }
        }
    }

    /// Continues each prompt in all ways, all ways of one prompt before the next prompt, and passes the continuations to a
    /// reader.
    ///
    /// # Errors
    /// The error of the first continuation that failed, with its place; all those before it have been passed on.
    pub fn write<R: Reader>(
        &self,
        prompts: &[&[u32]],
        reader: &mut R,
    ) -> Result<Vec<Continuation>, Failed<R::Error>>
    where
        R::Error: From<GenerateError>,
    {
        let mut tasks = Vec::new();
        for prompt in prompts {
            tasks.extend(self.ways.iter().map(|way| Task { way, prompt }));
        }
        let Some(beams) = self.beams else {
            return self.choose(&tasks, reader);
        };
        let searched = tasks.iter().enumerate().map(|(at, task)| {
            let found = self.search::<R::Error>(at, task, beams)?;
            let told = reader
                .goes_on(at, found.text.as_deref().unwrap_or_default())
                .and_then(|()| reader.has_ended(at, &found));
            told.map(|()| found).map_err(|error| Failed { at, error })
        });
        searched.collect()
    }

    /// The best continuation of a beam search.
    fn search<F: From<GenerateError>>(
        &self,
        at: usize,
        task: &Task<'_, E>,
        beams: Beams,
    ) -> Result<Continuation, Failed<F>> {
        let of_way = |error: GenerateError| task.failed::<F>(at, error);
        let of_text = |error: X| of_way(GenerateError::Decode(error.into()));
        let Run::Under(schedule) = &task.way.run else {
            return Err(of_way(GenerateError::ExitingBeams));
        };
        let constraint = self.constraint.clone();
        let mut teller = self.teller(task.prompt);
        let started = (self.seconds)();
        let search = BeamSearch::new(
            self.model,
            schedule,
            task.prompt,
            self.settings.clone(),
            beams,
            constraint,
        )
        .map_err(of_way)?;
        let begun = (self.seconds)();
        let best = search.run().map_err(of_way)?.swap_remove(0);
        let ended = (self.seconds)();
        for token in &best.tokens {
            teller.push(*token).map_err(of_text)?;
        }
        teller.finish().map_err(of_text)?;
        let mut logprobs = best.log_probabilities;
        logprobs.truncate(best.tokens.len());
        Ok(Continuation {
            text: teller.text(),
            decoded: u32::try_from(best.tokens.len()).unwrap_or(u32::MAX),
            ids: best.tokens,
            logprobs,
            prefill_seconds: begun - started,
            decode_seconds: ended - begun,
            blocks: Vec::new(),
        })
    }

    /// Runs all prompts: those under schedules together, then those whose tokens may stop early.
    fn begin(
        &self,
        tasks: &[Task<'_, E>],
    ) -> Result<Vec<Generation<'a, Option<Spells<TextLattice>>>>, FirstFailed>
    where
        E: 'a,
    {
        let (model, settings, constraint) = (self.model, &self.settings, &self.constraint);
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
            if let Run::Exiting(exit, missing) = &way.run {
                let own = tasks.iter().enumerate();
                let own = own.filter(|(_, task)| std::ptr::eq(task.way, way));
                let (places, prompts): (Vec<_>, Vec<_>) =
                    own.map(|(at, task)| (at, task.prompt)).unzip();
                let all =
                    Generation::exiting(model, &prompts, settings, constraint, exit, *missing);
                take(places, all)?;
            }
        }
        begun.sort_by_key(|(at, _)| *at);
        Ok(begun.into_iter().map(|(_, begun)| begun).collect())
    }

    /// Chooses the tokens of all continuations, step by step.
    fn choose<R: Reader>(
        &self,
        tasks: &[Task<'_, E>],
        reader: &mut R,
    ) -> Result<Vec<Continuation>, Failed<R::Error>>
    where
        R::Error: From<GenerateError>,
    {
        let of_reader = |at: usize| move |error: R::Error| Failed { at, error };
        let of_text =
            |at: usize| move |error: X| of_reader(at)(GenerateError::Decode(error.into()).into());
        let started = (self.seconds)();
        let all = self.begin(tasks);
        let mut all = all.map_err(|it| tasks[it.0].failed::<R::Error>(it.0, it.1))?;
        let tokens: usize = tasks.iter().map(|task| task.prompt.len()).sum();
        let seconds_per_token = ((self.seconds)() - started) / tokens as f64;
        let new = |task: &Task<'_, E>| Writing {
            teller: self.teller(task.prompt),
            logprobs: Vec::new(),
            decode_seconds: 0.0,
            decoded: 0,
            has_ended: false,
        };
        let mut writings: Vec<_> = tasks.iter().map(new).collect();
        let mut failure = None;
        let mut whole = Vec::new();
        loop {
            // The first unfinished continuation is passed on as it comes; later ones wait.
            while let Some(writing) = writings.get_mut(whole.len()) {
                let at = whole.len();
                reader
                    .goes_on(at, &writing.teller.take_untold())
                    .map_err(of_reader(at))?;
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
                reader.has_ended(at, &found).map_err(of_reader(at))?;
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
            let started = (self.seconds)();
            let chosen = Generation::step_all(&mut going);
            let seconds = (self.seconds)() - started;
            for (at, choice) in places.into_iter().zip(chosen) {
                let told = match choice {
                    Some(Ok(choice)) => writings[at].add(choice, seconds).map_err(of_text(at)),
                    Some(Err(error)) => Err(tasks[at].failed(at, error)),
                    None => writings[at].finish().map_err(of_text(at)),
                };
                if let Err(error) = told {
                    // Continuations after this one are dropped.
                    failure = Some(error);
                    writings.truncate(at);
                    break;
                }
            }
        }
        failure.map_or(Ok(whole), Err)
    }

    fn teller(&self, prompt: &[u32]) -> Teller<&D> {
        let stream = self
            .decode
            .as_ref()
            .map(|decode| TextStream::new(decode, self.stops.clone()).after(prompt));
        Teller {
            stream,
            text: String::new(),
            told: 0,
        }
    }
}

/// A continuation in progress.
struct Writing<D> {
    teller: Teller<D>,
    logprobs: Vec<f64>,
    decode_seconds: f64,
    decoded: u32,
    has_ended: bool,
}

impl<X, D: FnMut(&[u32]) -> Result<String, X>> Writing<D> {
    /// Adds a token that took `seconds`.
    fn add(&mut self, choice: Choice, seconds: f64) -> Result<(), X> {
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

    fn finish(&mut self) -> Result<(), X> {
        self.has_ended = true;
        self.teller.finish()
    }
}

/// Turns tokens into text as they come.
struct Teller<D> {
    /// `None` without a tokenizer.
    stream: Option<TextStream<D>>,
    text: String,
    /// The number of bytes already taken.
    told: usize,
}

impl<X, D: FnMut(&[u32]) -> Result<String, X>> Teller<D> {
    fn push(&mut self, token: u32) -> Result<(), X> {
        match &mut self.stream {
            Some(stream) => self.text += &stream.push(token)?,
            None => self.text += &format!("{token} "),
        }
        Ok(())
    }

    /// Whether a stop string was found.
    fn is_stopped(&self) -> bool {
        self.stream.as_ref().is_some_and(TextStream::is_stopped)
    }

    /// Adds the held-back text.
    fn finish(&mut self) -> Result<(), X> {
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

    /// The whole text; `None` without a tokenizer.
    fn text(&self) -> Option<String> {
        self.stream.as_ref().map(|_| self.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_schedule::Edit;
    use layerwise_transformer::ModelConfig;

    /// What a reader received: pieces of text with their places, and the places of ended continuations.
    #[derive(Default)]
    struct Heard {
        pieces: Vec<(usize, String)>,
        ended: Vec<usize>,
    }

    impl Reader for Heard {
        type Error = GenerateError;

        fn goes_on(&mut self, at: usize, piece: &str) -> Result<(), GenerateError> {
            self.pieces.push((at, piece.to_owned()));
            Ok(())
        }

        fn has_ended(&mut self, at: usize, _: &Continuation) -> Result<(), GenerateError> {
            self.ended.push(at);
            Ok(())
        }
    }

    type Decode = fn(&[u32]) -> Result<String, GenerateError>;

    fn writer(model: &Model) -> Writer<'_, usize, Decode> {
        let plain = model.plain();
        let dropped = "drop(1)".parse::<Edit>().unwrap().apply(&plain).unwrap();
        let exiting = Run::Exiting(1, Missing::Recompute);
        let ways = [Run::Under(plain), Run::Under(dropped), exiting];
        let ways = ways.into_iter().enumerate().map(|(at, run)| Way {
            name: at.to_string(),
            run,
        });
        let decode: Decode = |ids| Ok(ids.iter().map(|id| format!("{id};")).collect());
        let settings = Settings::default().with(|it| it.max_tokens = 4);
        Writer::new(model, ways.collect(), settings, Some(decode), || 0.0)
    }

    #[test]
    fn continuations_made_together_are_those_made_alone_and_are_told_in_order() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let writer = writer(&model);
        let prompts: [&[u32]; 2] = [&[0, 5, 3], &[2, 9]];
        let mut heard = Heard::default();
        let found = writer.write(&prompts, &mut heard).unwrap();
        assert_eq!(found.len(), 6);
        assert_eq!(heard.ended, [0, 1, 2, 3, 4, 5]);
        assert!(heard.pieces.is_sorted_by_key(|(at, _)| *at));
        for (at, own) in found.iter().enumerate() {
            let (prompt, way) = (prompts[at / 3], &writer.ways()[at % 3]);
            if let Run::Under(schedule) = &way.run {
                let settings = writer.settings().clone();
                let alone = Generation::new(&model, schedule, prompt, settings).unwrap();
                let alone: Vec<u32> = alone.map(|choice| choice.unwrap().token).collect();
                assert_eq!(own.ids, alone, "{at}");
                assert!(own.blocks.is_empty());
            } else {
                assert!(!own.blocks.is_empty());
            }
            let told = heard.pieces.iter().filter(|(of, _)| *of == at);
            let told: String = told.map(|(_, piece)| piece.as_str()).collect();
            let expected: String = own.ids.iter().map(|id| format!("{id};")).collect();
            assert_eq!(
                (own.text.as_deref(), &told),
                (Some(told.as_str()), &expected)
            );
        }
    }

    #[test]
    fn the_first_that_cannot_be_made_is_named_once_those_before_it_are_told() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let writer = writer(&model).searching(Some(Beams::new(2)));
        let mut heard = Heard::default();
        let failed = writer.write(&[&[0, 5, 3]], &mut heard).unwrap_err();
        let GenerateError::Way { way, source } = failed.error else {
            panic!("{:?}", failed.error);
        };
        assert_eq!((failed.at, way.as_str()), (2, "2"));
        assert!(matches!(*source, GenerateError::ExitingBeams));
        assert_eq!(heard.ended, [0, 1]);
    }

    #[test]
    fn a_text_that_cannot_be_decoded_ends_none_before_it() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let bad: &[u32] = &[2, 9, 4, 7, 6, 1];
        let decode: Decode = |ids| match ids {
            [2, 9, 4, 7, 6, 1, ..] => Err(GenerateError::ExitingBeams),
            ids => Ok(ids.iter().map(|id| format!("{id};")).collect()),
        };
        let writer = Writer {
            decode: Some(decode),
            ..writer(&model)
        };
        let mut heard = Heard::default();
        let failed = writer.write(&[&[0, 5, 3], bad], &mut heard).unwrap_err();
        let is_of_text = matches!(failed.error, GenerateError::Decode(_));
        assert_eq!((failed.at, is_of_text), (3, true));
        assert_eq!(heard.ended, [0, 1, 2]);
    }
}
