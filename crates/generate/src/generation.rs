//! Continuations of a prompt.

use crate::choosing::{Choice, Chooser, Sampling};
use crate::constraint::{Constraint, Free};
use crate::error::GenerateError;
use layerwise_schedule::Schedule;
use layerwise_transformer::{
    Exit, ExitingState, Missing, Model, ModelConfig, Precision, State, Team, TransformerError,
};
use ndarray::Axis;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Prompts run in one product up to this many tokens; beyond, the speed hardly rises and memory grows.
const MOST_ROWS: usize = 256;

/// How a prompt is continued, and how far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The largest number of tokens of the continuation.
    pub max_tokens: usize,
    /// Tokens that end the continuation and are not part of it.
    pub end_tokens: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The number format of cached keys and values. bf16 halves their memory, and may change the tokens.
    pub cache: Precision,
    /// Threads that share the products and attention heads of each token. The tokens stay the same.
    pub threads: NonZeroUsize,
}

/// 128 tokens, each the most likely one, on one thread, with keys and values in f32.
impl Default for Settings {
    fn default() -> Self {
        Self {
            max_tokens: 128,
            end_tokens: Vec::new(),
            sampling: Sampling::default(),
            cache: Precision::F32,
            threads: NonZeroUsize::MIN,
        }
    }
}

impl Settings {
    /// Applies changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The number of tokens that a [`State`] must have room for, given the tokens of the prompt and the model's context;
    /// [`State::most_bytes`] bounds its memory. The last token is chosen but never run.
    ///
    /// ```
    /// use layerwise_generate::Settings;
    ///
    /// let settings = Settings::default().with(|it| it.max_tokens = 5);
    /// assert_eq!(settings.capacity(3, 64), 3 + 5 - 1);
    /// assert_eq!(settings.capacity(3, 6), 6); // the context fills up first
    /// ```
    pub fn capacity(&self, prompt: usize, context: usize) -> usize {
        let all = prompt.saturating_add(self.max_tokens.saturating_sub(1));
        all.min(context.max(prompt))
    }

    /// The largest number of bytes for continuations that [`Generation::all`] makes together, given the tokens of each prompt:
    /// keys and values, the buffers of a run, and logits.
    pub fn most_bytes(&self, config: &ModelConfig, prompts: &[(&Schedule, usize)]) -> usize {
        let kept = prompts.iter().map(|(schedule, prompt)| {
            let capacity = self.capacity(*prompt, config.context);
            State::most_bytes(config, schedule, capacity, self.cache)
        });
        let kept = kept.fold(0_usize, usize::saturating_add);
        let longest = prompts.iter().map(|(_, prompt)| *prompt).max().unwrap_or(0);
        let all = prompts.iter().map(|(_, prompt)| prompt.max(&1));
        let rows = all.fold(0_usize, |sum, prompt| sum.saturating_add(*prompt));
        let capacity = self.capacity(longest, config.context);
        // Where the rotary frequencies change, a text runs again from its beginning.
        let again = State::least_beginning(config, capacity);
        let rows = longest.max(rows.min(MOST_ROWS)).max(again);
        let steps = prompts.iter().map(|(schedule, _)| {
            State::most_step_bytes(config, schedule, rows, capacity, self.threads.get())
        });
        let step = steps.max().unwrap_or(0);
        // Rows are copied where schedules diverge.
        let copies = if prompts.len() > 1 { 2 } else { 1 };
        kept.saturating_add(step.saturating_mul(copies))
            .saturating_add(self.bytes_of_logits(config, prompts.len()))
    }

    /// As [`Settings::most_bytes`], for continuations whose tokens may stop early, as [`Generation::exiting`] makes them.
    pub fn most_bytes_exiting(
        &self,
        config: &ModelConfig,
        prompts: &[usize],
        missing: Missing,
    ) -> usize {
        let capacity = |prompt: &usize| self.capacity(*prompt, config.context);
        let kept = prompts
            .iter()
            .map(|prompt| ExitingState::most_bytes(config, capacity(prompt), missing, self.cache));
        let kept = kept.fold(0_usize, usize::saturating_add);
        // Tokens that may stop early run one continuation after another.
        let steps = prompts.iter().map(|prompt| {
            let threads = self.threads.get();
            ExitingState::most_step_bytes(config, *prompt, capacity(prompt), threads, missing)
        });
        kept.saturating_add(steps.max().unwrap_or(0))
            .saturating_add(self.bytes_of_logits(config, prompts.len()))
    }

    fn bytes_of_logits(&self, config: &ModelConfig, prompts: usize) -> usize {
        // Logits exist twice as they are computed, and three times in f64 on each thread that chooses.
        let numbers = 2 * size_of::<f32>() * prompts + 3 * size_of::<f64>() * self.threads.get();
        numbers * config.vocab
    }
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It reached [`Settings::max_tokens`].
    Length,
    /// The model chose this end token.
    Token(u32),
    /// The model's context is full.
    Context,
    /// The constraint is finished.
    Constraint,
}

/// A continuation in progress: an iterator over tokens that ends after the first error.
///
/// [`Generation::all`] and [`Generation::step_all`] make several together, of different prompts or under different schedules, and
/// read each matrix once for all of them. Their tokens are those of each made alone, to the bit of every probability:
///
/// ```
/// use layerwise_generate::{Free, Generation, Settings};
/// use layerwise_schedule::{Edit, Schedule};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plain = Schedule::plain(model.stack())?;
/// let dropped = "drop(1)".parse::<Edit>()?.apply(&plain)?;
/// let prompts = [(&plain, &[0, 5, 3][..]), (&dropped, &[0, 5, 3]), (&plain, &[8])];
/// let settings = Settings::default().with(|it| it.max_tokens = 5);
/// let mut all = Generation::all(&model, &prompts, &settings, &Free).map_err(|failed| failed.1)?;
/// while all.iter().any(|it| it.end().is_none()) {
///     for choice in Generation::step_all(&mut all.iter_mut().collect::<Vec<_>>()) {
///         choice.transpose()?; // `None` after the end
///     }
/// }
/// let mut alone = Generation::new(&model, &dropped, &[0, 5, 3], settings)?;
/// assert_eq!(alone.by_ref().count(), 5);
/// assert_eq!(alone.tokens(), all[1].tokens());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Generation<'m, C = Free> {
    sequence: Sequence<'m>,
    team: Arc<Team>,
    settings: Settings,
    chooser: Chooser,
    constraint: C,
    /// The prompt and the chosen tokens.
    tokens: Vec<u32>,
    prompt: usize,
    /// The logits after the last token that was run, \[vocab\].
    logits: Vec<f32>,
    end: Option<End>,
    has_failed: bool,
}

/// Runs the tokens.
#[derive(Debug)]
enum Sequence<'m> {
    Whole(State<'m>),
    Exiting {
        state: ExitingState<'m>,
        exit: Box<dyn Exit + Send + 'm>,
        /// The number of blocks that the prompt ran, and then each token.
        blocks: Vec<usize>,
    },
}

impl<'m> Sequence<'m> {
    /// Reserves room for a prompt and its continuation under a schedule.
    fn whole(
        model: &'m Model,
        schedule: &Schedule,
        prompt: &[u32],
        settings: &Settings,
        team: &Arc<Team>,
    ) -> Result<Self, TransformerError> {
        let capacity = settings.capacity(prompt.len(), model.config().context);
        let state = State::new_in(model, schedule, capacity, settings.cache)?;
        Ok(Self::Whole(state.with_team(team)))
    }

    /// The number of tokens that were run.
    fn len(&self) -> usize {
        match self {
            Self::Whole(state) => state.len(),
            Self::Exiting { state, .. } => state.len(),
        }
    }

    fn model(&self) -> &'m Model {
        match self {
            Self::Whole(state) => state.model(),
            Self::Exiting { state, .. } => state.model(),
        }
    }
}

impl<'m> Generation<'m> {
    /// Runs a prompt; the iterator then yields its continuation token by token.
    ///
    /// # Errors
    /// The prompt is empty or longer than the model's context, a token is outside the vocabulary, the schedule was made for
    /// another stack, or a setting is out of its range.
    pub fn new(
        model: &'m Model,
        schedule: &Schedule,
        prompt: &[u32],
        settings: Settings,
    ) -> Result<Self, GenerateError> {
        Self::constrained(model, schedule, prompt, settings, Free)
    }
}

impl<'m, C: Constraint> Generation<'m, C> {
    /// As [`Generation::new`], restricted to tokens that a constraint allows.
    ///
    /// # Errors
    /// As [`Generation::new`].
    pub fn constrained(
        model: &'m Model,
        schedule: &Schedule,
        prompt: &[u32],
        settings: Settings,
        constraint: C,
    ) -> Result<Self, GenerateError> {
        let team = Arc::new(Team::new(settings.threads));
        let sequence = Sequence::whole(model, schedule, prompt, &settings, &team)?;
        let mut unread = Self::unread(sequence, prompt, settings, constraint, &team)?;
        Self::run_part(&mut [&mut unread])?;
        Ok(unread)
    }

    /// The state before the prompt is run.
    fn unread(
        sequence: Sequence<'m>,
        prompt: &[u32],
        settings: Settings,
        constraint: C,
        team: &Arc<Team>,
    ) -> Result<Self, GenerateError> {
        Ok(Self {
            chooser: Chooser::new(settings.sampling)?,
            sequence,
            team: Arc::clone(team),
            constraint,
            tokens: prompt.to_vec(),
            prompt: prompt.len(),
            settings,
            logits: Vec::new(),
            end: None,
            has_failed: false,
        })
    }

    /// The tokens of the continuation so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens[self.prompt..]
    }

    /// Why the continuation ended; `None` while it is in progress.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// With early exit, the number of blocks that the prompt ran, and then each token that was run; otherwise empty.
    pub fn blocks(&self) -> &[usize] {
        match &self.sequence {
            Sequence::Whole(_) => &[],
            Sequence::Exiting { blocks, .. } => blocks,
        }
    }

    /// Runs the unread tokens of each (the prompt or the last token), as many together as is useful. Returns the places and
    /// errors of those that failed.
    fn run_all(all: &mut [&mut Self]) -> Vec<(usize, TransformerError)> {
        let mut failed = Vec::new();
        let mut first = 0;
        while first < all.len() {
            let mut rows = 0;
            let fits = |it: &&&mut Self| {
                rows += it.tokens.len() - it.sequence.len();
                rows <= MOST_ROWS && matches!(it.sequence, Sequence::Whole(_))
            };
            // A continuation that may stop early runs alone.
            let count = all[first..].iter().take_while(fits).count().max(1);
            let part = &mut all[first..first + count];
            // An error leaves all unchanged, so running them one by one shows which of them fail.
            if Self::run_part(part).is_err() {
                let each = (first..).zip(part);
                failed.extend(each.filter_map(|(at, it)| Some((at, it.run_alone().err()?))));
            }
            first += count;
        }
        failed
    }

    /// Runs the unread tokens of one. Where they carry the text past a change of the rotary frequencies, the whole text runs
    /// again, with those of longer texts.
    fn run_alone(&mut self) -> Result<(), TransformerError> {
        let crossed = match Self::run_part(&mut [&mut *self]) {
            Err(error @ TransformerError::MixedLengths { .. }) => error,
            outcome => return outcome,
        };
        match &mut self.sequence {
            Sequence::Whole(state) => state.truncate(0)?,
            Sequence::Exiting { .. } => return Err(crossed),
        }
        Self::run_part(&mut [self])
    }

    /// The state and its unread tokens; `None` if tokens may stop early.
    fn unrun(&mut self) -> Option<(&mut State<'m>, &[u32])> {
        let from = self.sequence.len();
        match &mut self.sequence {
            Sequence::Whole(state) => Some((state, &self.tokens[from..])),
            Sequence::Exiting { .. } => None,
        }
    }

    /// Runs several together, or one whose tokens may stop early.
    fn run_part(part: &mut [&mut Self]) -> Result<(), TransformerError> {
        for it in part.iter_mut() {
            it.run_exiting()?;
        }
        let mut states: Vec<_> = part.iter_mut().filter_map(|it| it.unrun()).collect();
        if states.is_empty() {
            return Ok(());
        }
        let counts: Vec<usize> = states.iter().map(|(_, tokens)| tokens.len()).collect();
        let residual = State::extend_all(&mut states)?;
        let mut rows = 0;
        let last = counts.iter().map(|count| {
            rows += count;
            rows - 1
        });
        let last: Vec<usize> = last.collect();
        let logits = states[0].0.logits(residual.select(Axis(0), &last).view());
        for (it, logits) in part.iter_mut().zip(logits.outer_iter()) {
            it.logits = logits.to_vec();
        }
        Ok(())
    }

    /// Runs the unread tokens of a continuation whose tokens may stop early.
    fn run_exiting(&mut self) -> Result<(), TransformerError> {
        let from = self.sequence.len();
        if let Sequence::Exiting {
            state,
            exit,
            blocks,
        } = &mut self.sequence
        {
            let (last, own) = state.extend(&self.tokens[from..], exit.as_mut())?;
            blocks.push(own);
            let logits = state.logits(last.view().insert_axis(Axis(0)));
            self.logits = logits.into_iter().collect();
        }
        Ok(())
    }

    /// Whether a token is to be chosen; if not, it records why the continuation ended.
    fn goes_on(&mut self) -> bool {
        if self.end.is_some() || self.has_failed {
            return false;
        }
        if self.tokens().len() >= self.settings.max_tokens {
            self.end = Some(End::Length);
        } else if self.constraint.is_finished() {
            self.end = Some(End::Constraint);
        } else if self.is_behind() && self.sequence.len() == self.sequence.model().config().context
        {
            self.end = Some(End::Context);
        }
        self.end.is_none()
    }

    /// Whether the last token has not been run yet.
    fn is_behind(&self) -> bool {
        self.sequence.len() < self.tokens.len()
    }

    fn fail(&mut self, error: impl Into<GenerateError>) -> Option<Result<Choice, GenerateError>> {
        self.has_failed = true;
        Some(Err(error.into()))
    }

    /// Chooses the next token; all tokens must have been run.
    fn choose(&mut self) -> Option<Result<Choice, GenerateError>> {
        if let Some(token) = self.logits.iter().position(|logit| !logit.is_finite()) {
            return self.fail(GenerateError::NotFinite {
                tokens: self.tokens.len(),
                token,
                found: self.logits[token],
            });
        }
        let chosen = self
            .chooser
            .choose(&self.logits, &self.tokens, &self.constraint);
        let Some(choice) = chosen else {
            return self.fail(GenerateError::DeadEnd {
                tokens: self.tokens().len(),
            });
        };
        if self.settings.end_tokens.contains(&choice.token) {
            self.end = Some(End::Token(choice.token));
            return None;
        }
        self.constraint.advance(choice.token);
        self.tokens.push(choice.token);
        Some(Ok(choice))
    }
}

impl<'m, C: Constraint + Clone + Send> Generation<'m, C> {
    /// Runs prompts together, each under its own schedule and constraint.
    ///
    /// # Errors
    /// As [`Generation::new`], with the place of the first prompt that fails.
    pub fn all(
        model: &'m Model,
        prompts: &[(&Schedule, &[u32])],
        settings: &Settings,
        constraint: &C,
    ) -> Result<Vec<Self>, Box<(usize, GenerateError)>> {
        let team = Arc::new(Team::new(settings.threads));
        let sequences = prompts.iter().map(|(schedule, prompt)| {
            let sequence = Sequence::whole(model, schedule, prompt, settings, &team);
            (*prompt, sequence)
        });
        Self::begun(sequences, settings, constraint, &team)
    }

    /// Runs prompts under the plain schedule, where `exit` stops each prompt, and then each token, after some block. `missing`
    /// says what later tokens attend to in the blocks that a stopped token did not run. The unembedding reads the logits at that
    /// block.
    ///
    /// ```
    /// use layerwise_generate::{Free, Generation, Settings};
    /// use layerwise_transformer::{Missing, Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 7);
    /// let settings = Settings::default().with(|it| it.max_tokens = 3);
    /// let exit = 2_usize; // or a rule of layerwise-exits
    /// let all = Generation::exiting(&model, &[&[0, 5]], &settings, &Free, &exit, Missing::Recompute);
    /// let mut found = all.map_err(|failed| failed.1)?.swap_remove(0);
    /// assert_eq!(found.by_ref().count(), 3);
    /// assert_eq!(found.blocks(), [2, 2, 2]); // for the prompt, and for every token but the last
    /// # Ok::<(), layerwise_generate::GenerateError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Generation::all`]. A continuation ends with an error where the model changes its rotary frequencies.
    pub fn exiting<E: Exit + Clone + Send + 'm>(
        model: &'m Model,
        prompts: &[&[u32]],
        settings: &Settings,
        constraint: &C,
        exit: &E,
        missing: Missing,
    ) -> Result<Vec<Self>, Box<(usize, GenerateError)>> {
        let team = Arc::new(Team::new(settings.threads));
        let sequence = |prompt: &[u32]| {
            let capacity = settings.capacity(prompt.len(), model.config().context);
            let state = ExitingState::new_in(model, capacity, missing, settings.cache)?;
            Ok(Sequence::Exiting {
                state: state.with_team(&team),
                exit: Box::new(exit.clone()),
                blocks: Vec::new(),
            })
        };
        let sequences = prompts.iter().map(|prompt| (*prompt, sequence(prompt)));
        Self::begun(sequences, settings, constraint, &team)
    }

    /// Runs the prompts.
    fn begun<'p>(
        sequences: impl Iterator<Item = (&'p [u32], Result<Sequence<'m>, TransformerError>)>,
        settings: &Settings,
        constraint: &C,
        team: &Arc<Team>,
    ) -> Result<Vec<Self>, Box<(usize, GenerateError)>> {
        let mut all = Vec::new();
        for (at, (prompt, sequence)) in sequences.enumerate() {
            let of = |error| Box::new((at, error));
            let sequence = sequence.map_err(|error| of(error.into()))?;
            let (settings, constraint) = (settings.clone(), constraint.clone());
            let unread = Self::unread(sequence, prompt, settings, constraint, team);
            all.push(unread.map_err(of)?);
        }
        let failed = Self::run_all(&mut all.iter_mut().collect::<Vec<_>>());
        match failed.into_iter().next() {
            None => Ok(all),
            Some((at, error)) => Err(Box::new((at, error.into()))),
        }
    }

    /// The next token of each, as [`Iterator::next`] returns it, after running the unread tokens of all.
    ///
    /// An error in one continuation ends only that one.
    pub fn step_all(all: &mut [&mut Self]) -> Vec<Option<Result<Choice, GenerateError>>> {
        let mut chosen: Vec<Option<Result<Choice, GenerateError>>> = Vec::new();
        chosen.resize_with(all.len(), || None);
        let mut going: Vec<(&mut Self, &mut Option<_>)> = all
            .iter_mut()
            .zip(&mut chosen)
            .filter_map(|(it, chosen)| it.goes_on().then_some((&mut **it, chosen)))
            .collect();
        let behind = going.iter_mut().enumerate();
        let behind = behind.filter(|(_, (it, _))| it.is_behind());
        let (places, mut behind): (Vec<usize>, Vec<&mut Self>) =
            behind.map(|(at, (it, _))| (at, &mut **it)).unzip();
        for (at, error) in Self::run_all(&mut behind) {
            let (it, chosen) = &mut going[places[at]];
            **chosen = it.fail(error);
        }
        going.retain(|(it, _)| !it.has_failed);
        let Some((first, _)) = going.first() else {
            return chosen;
        };
        let team = Arc::clone(&first.team);
        let mut tools = vec![(); team.threads()];
        team.share(&mut tools, going, |(), (it, chosen)| *chosen = it.choose());
        chosen
    }
}

impl<C: Constraint> Iterator for Generation<'_, C> {
    type Item = Result<Choice, GenerateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.goes_on() {
            return None;
        }
        if self.is_behind()
            && let Err(error) = self.run_alone()
        {
            return self.fail(error);
        }
        self.choose()
    }
}
