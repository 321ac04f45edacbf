//! What a sequence leaves behind, so that it can go on: keys and values under one schedule.

use crate::batch::Batch;
use crate::cost::attentions;
use crate::crew::Crew;
use crate::error::TransformerError;
use crate::forward::Workspace;
use crate::kept::Kept;
use crate::model::Model;
use crate::values::{Expected, Program};
use layerwise_architecture::ModelConfig;
use layerwise_kernels::team::Team;
use layerwise_schedule::Schedule;
use ndarray::{Array2, ArrayView2};
use std::sync::Arc;

/// A sequence under one schedule, which can be extended by further tokens without running the earlier ones again.
///
/// It keeps the keys (after rotary) and values of every position, for each *occurrence* of an attention sublayer in the
/// schedule: a repeated block has one set for each of its runs, a dropped attention none.
/// Whether tokens are added at once or one by one, the bits of every row are those of [`Model::run`] on all tokens so far.
///
/// It belongs to the model and the schedule that it was made with. Numbers are kept in f32.
///
/// ```
/// use layerwise_schedule::Schedule;
/// use layerwise_transformer::{Model, ModelConfig, State};
/// use ndarray::s;
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plain = Schedule::plain(model.stack())?;
/// let mut state = State::new(&model, &plain, 10)?;
/// state.extend(&[0, 5, 3])?;
/// let mut other = state.fork();
/// let last = state.extend(&[8])?; // [1, model]
/// assert_eq!(last, model.run(&[0, 5, 3, 8], &plain, &mut ())?.slice(s![3.., ..]));
/// let last = other.extend(&[1])?;
/// assert_eq!(last, model.run(&[0, 5, 3, 1], &plain, &mut ())?.slice(s![3.., ..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct State<'m> {
    model: &'m Model,
    schedule: Arc<Schedule>,
    len: usize,
    capacity: usize,
    /// Of every occurrence of an attention sublayer, every KV head.
    kept: Vec<Kept>,
    team: Arc<Team>,
}

impl<'m> State<'m> {
    /// An empty sequence with room for `capacity` tokens. Memory is taken as tokens are added, up to
    /// [`State::most_bytes`].
    ///
    /// Edits of values act on the tokens that are added, at positions of the whole sequence.
    ///
    /// # Errors
    /// A schedule made for another stack, one whose edits take values of other runs or named tensors or count positions from
    /// the end or beyond the capacity, or a capacity beyond the model's context.
    pub fn new(
        model: &'m Model,
        schedule: &Schedule,
        capacity: usize,
    ) -> Result<Self, TransformerError> {
        model.check_schedule(schedule)?;
        let config = model.config();
        Program::from(schedule).check_values(config, Expected::Never)?;
        if schedule.overlay().counts_from_end() {
            return Err(TransformerError::EndUnknown {
                reason: "a state does not know where its sequence will end: count from the start",
            });
        }
        schedule.overlay().check_positions(capacity)?;
        if capacity > config.context {
            return Err(TransformerError::SequenceTooLong {
                found: capacity,
                context: config.context,
            });
        }
        let heads = attentions(schedule.steps()) * config.kv_heads;
        Ok(Self {
            model,
            schedule: Arc::new(schedule.clone()),
            len: 0,
            capacity,
            kept: (0..heads)
                .map(|_| Kept::new(config.head, capacity))
                .collect(),
            team: Arc::new(Team::alone()),
        })
    }

    /// The state with threads that share its products and attention heads; forks share them as well. The bits stay the same.
    #[must_use]
    pub fn with_team(mut self, team: &Arc<Team>) -> Self {
        self.team = Arc::clone(team);
        self
    }

    /// The most bytes that the keys and values of `capacity` tokens take, known before any are taken.
    pub fn most_bytes(config: &ModelConfig, schedule: &Schedule, capacity: usize) -> usize {
        let head = size_of::<Kept>() + Kept::most_bytes(config.head, capacity);
        attentions(schedule.steps()) * config.kv_heads * head
    }

    /// Runs further tokens, and returns their last residual stream, \[tokens, model\].
    ///
    /// # Errors
    /// No tokens, more than there is room for, one outside the vocabulary, or as many as make a short sequence a long one
    /// for a model that rotates those at other frequencies. The state is then as before.
    pub fn extend(&mut self, tokens: &[u32]) -> Result<Array2<f32>, TransformerError> {
        Self::extend_all(&mut [(self, tokens)])
    }

    /// Logits \[seq, vocab\] of rows of the last residual stream, \[seq, model\]: the bits of [`Model::unembed`], by the
    /// state's threads.
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn logits(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        let normed = self.model.final_norm(residual);
        let mut logits = Array2::zeros((normed.nrows(), self.model.config.vocab));
        let mut crew = Crew::new(&self.team, 0, 0);
        let unembedding = &self.model.unembedding;
        unembedding.apply_shared(normed.view(), logits.view_mut(), &mut crew);
        self.model.cap_logits(&mut logits);
        logits
    }

    /// The most bytes that running `tokens` further tokens takes besides what is kept, and logits of one row, if so many
    /// threads share it and there are at most `capacity` tokens in all.
    pub fn most_step_bytes(
        config: &ModelConfig,
        tokens: usize,
        capacity: usize,
        threads: usize,
    ) -> usize {
        let streams = 2 * tokens * config.model + config.vocab;
        Workspace::most_shared_bytes(config, tokens, capacity, threads) + streams * size_of::<f32>()
    }

    /// Runs further tokens of several sequences in one product, and returns their last residual streams below each other,
    /// \[tokens of all, model\]: the bits are those of extending one after another.
    ///
    /// # Errors
    /// As [`State::extend`], and states of different models or schedules. All states are then as before.
    pub fn extend_all(states: &mut [(&mut Self, &[u32])]) -> Result<Array2<f32>, TransformerError> {
        let mut batch = Batch::default();
        for (state, tokens) in &*states {
            if state.len + tokens.len() > state.capacity {
                return Err(TransformerError::StateFull {
                    found: state.len + tokens.len(),
                    capacity: state.capacity,
                });
            }
            state.check_frequencies(state.len, state.len + tokens.len())?;
            batch.add_after(state.len, tokens);
        }
        let Some((first, _)) = states.first() else {
            return Err(TransformerError::EmptySequence);
        };
        let (model, schedule) = (first.model, Arc::clone(&first.schedule));
        let alike = |state: &Self| {
            std::ptr::eq(state.model, model)
                && (Arc::ptr_eq(&state.schedule, &schedule) || state.schedule == schedule)
        };
        if !states.iter().all(|(state, _)| alike(state)) {
            return Err(TransformerError::StatesDiffer);
        }
        let mut residual = model.embed(&batch)?;
        let mut workspace = Workspace::shared(model, &batch, &first.team);
        let kept = states.iter_mut().map(|(state, _)| &mut state.kept[..]);
        model.extend(&schedule, kept.collect(), &mut residual, &mut workspace);
        for (state, tokens) in states {
            state.len += tokens.len();
        }
        Ok(residual)
    }

    /// Checks that keys turned in a sequence of one length fit one of the other.
    fn check_frequencies(&self, short: usize, long: usize) -> Result<(), TransformerError> {
        let kinds = self.model.config.attention.kinds().iter();
        let mut limits = kinds.filter_map(|kind| kind.rotary.as_ref()?.changes_beyond());
        match limits.find(|limit| (1..=*limit).contains(&short) && *limit < long) {
            None => Ok(()),
            Some(limit) => Err(TransformerError::MixedLengths { short, long, limit }),
        }
    }

    /// Forgets all but the first `len` tokens.
    ///
    /// # Errors
    /// If there are fewer, or the model rotates sequences of that length at other frequencies.
    pub fn truncate(&mut self, len: usize) -> Result<(), TransformerError> {
        if len > self.len {
            return Err(TransformerError::CutBeyondEnd {
                found: len,
                len: self.len,
            });
        }
        self.check_frequencies(len, self.len)?;
        self.len = len;
        for kept in &mut self.kept {
            kept.truncate(len);
        }
        Ok(())
    }

    /// A second state with the same tokens. Both share the memory of what they have in common: pages of 256 tokens, of
    /// which only the last is copied when one of them goes on.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            model: self.model,
            schedule: Arc::clone(&self.schedule),
            len: self.len,
            capacity: self.capacity,
            kept: self.kept.iter().map(Kept::fork).collect(),
            team: Arc::clone(&self.team),
        }
    }

    /// The model.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// The schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Tokens so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no tokens yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
