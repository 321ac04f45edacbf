//! The state of a sequence that can be continued: its keys and values under one schedule.

use crate::batch::{Batch, changes_of_frequencies};
use crate::cost::attentions;
use crate::crew::Crew;
use crate::error::TransformerError;
use crate::forward::Workspace;
use crate::kept::Kept;
use crate::model::Model;
use crate::values::{Expected, Program};
use layerwise_architecture::ModelConfig;
use layerwise_kernels::gemm::{Arena, Precision};
use layerwise_kernels::team::Team;
use layerwise_schedule::{Schedule, Site, Step};
use ndarray::{Array2, ArrayView2, Axis};
use std::sync::Arc;

/// A sequence under one schedule, which can be extended by further tokens without running the earlier ones again.
///
/// It keeps the keys (after rotary) and values of every position, for each *occurrence* of an attention sublayer in the schedule:
/// a repeated block has one set for each of its runs, a dropped attention none.
/// Whether tokens are added at once or one by one, the bits of every row are those of [`Model::run`] on all tokens so far.
///
/// A state belongs to the model and the schedule that it was made with. Keys and values are kept in f32 or, with
/// [`State::new_in`], in bf16, which halves their memory. In bf16 the bits equal those of adding the same tokens at once to
/// another bf16 state.
///
/// In a block with sliding-window attention, keys and values before the window are dropped, in pages of 256 tokens.
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
    /// For every occurrence of an attention sublayer, every KV head.
    kept: Vec<Kept>,
    /// For every occurrence of an attention sublayer, the largest number of positions that it sees, if it has a window.
    windows: Arc<[Option<usize>]>,
    team: Arc<Team>,
}

impl<'m> State<'m> {
    /// Creates an empty sequence with room for `capacity` tokens. Memory is taken as tokens are added, up to
    /// [`State::most_bytes`].
    ///
    /// Edits of values act on added tokens, at positions of the whole sequence.
    ///
    /// # Errors
    /// The schedule was made for another stack; its edits take values of other runs or named tensors, or use positions counted
    /// from the end or beyond the capacity; or the capacity exceeds the model's context.
    pub fn new(
        model: &'m Model,
        schedule: &Schedule,
        capacity: usize,
    ) -> Result<Self, TransformerError> {
        Self::new_in(model, schedule, capacity, Precision::F32)
    }

    /// As [`State::new`], with keys and values in a number format. In bf16, queries and attention weights are rounded when they
    /// are multiplied with them; sums are in f32.
    ///
    /// # Errors
    /// As [`State::new`], and [`TransformerError::MissingInstructions`] for bf16 on a CPU without AVX512-BF16.
    pub fn new_in(
        model: &'m Model,
        schedule: &Schedule,
        capacity: usize,
        precision: Precision,
    ) -> Result<Self, TransformerError> {
        TransformerError::check_instructions(precision)?;
        model.check_schedule(schedule)?;
        let config = model.config();
        Program::from(schedule).check_values(config, Expected::Never)?;
        if schedule.overlay().counts_from_end() {
            return Err(TransformerError::EndUnknown {
                reason: "the length of a state's sequence is not known in advance; count from the start",
            });
        }
        schedule
            .overlay()
            .check_positions(capacity, &|block, query| {
                config.attention.of(block).first_key(query)
            })?;
        if capacity > config.context {
            return Err(TransformerError::SequenceTooLong {
                found: capacity,
                context: config.context,
            });
        }
        let blocks: Vec<usize> = attentions(schedule.steps()).collect();
        Ok(Self {
            model,
            schedule: Arc::new(schedule.clone()),
            len: 0,
            capacity,
            kept: (0..blocks.len() * config.kv_heads)
                .map(|_| Kept::new(config.head, capacity, precision))
                .collect(),
            windows: blocks
                .into_iter()
                .map(|block| config.attention.of(block).window)
                .collect(),
            team: Arc::new(Team::alone()),
        })
    }

    /// Shares products and attention heads among the threads of a team; forks share them as well. The bits stay the same.
    #[must_use]
    pub fn with_team(mut self, team: &Arc<Team>) -> Self {
        self.team = Arc::clone(team);
        self
    }

    /// The most bytes that the keys and values of `capacity` tokens take in a number format, known before any are taken.
    pub fn most_bytes(
        config: &ModelConfig,
        schedule: &Schedule,
        capacity: usize,
        precision: Precision,
    ) -> usize {
        Self::bytes_of(
            config,
            attentions(schedule.steps()).count(),
            capacity,
            precision,
        )
    }

    /// As [`State::most_bytes`], for a number of attention sublayers.
    pub(crate) fn bytes_of(
        config: &ModelConfig,
        attentions: usize,
        capacity: usize,
        precision: Precision,
    ) -> usize {
        let head = size_of::<Kept>() + Kept::most_bytes(config.head, capacity, precision);
        attentions * config.kv_heads * head
    }

    /// Runs further tokens, and returns their last residual stream, \[tokens, model\].
    ///
    /// # Errors
    /// There are no tokens, more than there is room for, or one outside the vocabulary; or the added tokens carry a sequence past
    /// the length at which the model changes its rotary frequencies ([`State::least_beginning`]). The state is then unchanged.
    pub fn extend(&mut self, tokens: &[u32]) -> Result<Array2<f32>, TransformerError> {
        Self::extend_all(&mut [(self, tokens)])
    }

    /// Logits \[seq, vocab\] of rows of the last residual stream, \[seq, model\], computed by the state's threads; the bits are
    /// those of [`Model::unembed`].
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

    /// The number of tokens that an empty state must be given at once, if it is to hold `tokens` tokens: 1, unless the model
    /// uses other rotary frequencies for texts of that length than for shorter ones.
    pub fn least_beginning(config: &ModelConfig, tokens: usize) -> usize {
        let crossed = changes_of_frequencies(config).filter(|limit| *limit < tokens);
        crossed.max().map_or(1, |limit| limit + 1)
    }

    /// The most bytes, besides the keys and values, that running `tokens` further tokens under a schedule takes, and the logits
    /// of one row, if `threads` threads share it and there are at most `capacity` tokens in all. States under several schedules
    /// at once take twice the most of any of them.
    pub fn most_step_bytes(
        config: &ModelConfig,
        schedule: &Schedule,
        tokens: usize,
        capacity: usize,
        threads: usize,
    ) -> usize {
        // Each level of `parallel` holds the stream of a branch, and the sum of the branches' updates.
        let levels = schedule.steps().iter().map(Step::levels).max();
        let branches = 2 * levels.unwrap_or(0) * tokens * config.model;
        // Weights of attention are kept as a whole only where an edit changes them.
        let pattern = match schedule.overlay().changes(Site::AttnPattern) {
            true => config.heads * tokens * capacity,
            false => 0,
        };
        Self::step_bytes(config, tokens, capacity, threads)
            + (branches + pattern) * size_of::<f32>()
    }

    /// As [`State::most_step_bytes`], for the plain schedule.
    pub(crate) fn step_bytes(
        config: &ModelConfig,
        tokens: usize,
        capacity: usize,
        threads: usize,
    ) -> usize {
        let streams = 2 * tokens * config.model + config.vocab;
        Workspace::most_shared_bytes(config, tokens, capacity, threads) + streams * size_of::<f32>()
    }

    /// Runs further tokens of several sequences together, and returns their last residual streams one below the other,
    /// \[tokens of all, model\]. The bits are those of extending one state after another.
    ///
    /// Each matrix is read once for all sequences that are at the same step. Under different schedules the states with the most
    /// steps left run first, so that a sequence that drops or repeats a block soon meets the others again.
    ///
    /// # Errors
    /// As [`State::extend`], or the states belong to different models. All states are then unchanged.
    ///
    /// ```
    /// use layerwise_schedule::Edit;
    /// use layerwise_transformer::{Model, ModelConfig, State};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let dropped = "drop(1)".parse::<Edit>()?.apply(&model.plain())?;
    /// let mut first = State::new(&model, &model.plain(), 10)?;
    /// let mut second = State::new(&model, &dropped, 10)?;
    /// let both = State::extend_all(&mut [(&mut first, &[0, 5]), (&mut second, &[0, 7, 7])])?; // [2 + 3, model]
    /// assert_eq!(both.row(4), model.run(&[0, 7, 7], &dropped, &mut ())?.row(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn extend_all(states: &mut [(&mut Self, &[u32])]) -> Result<Array2<f32>, TransformerError> {
        let mut batch = Batch::default();
        for (state, tokens) in &*states {
            state.check_room(state.len + tokens.len())?;
            batch.add_after(state.len, tokens);
        }
        let Some((first, _)) = states.first() else {
            return Err(TransformerError::EmptySequence);
        };
        let (model, team) = (first.model, Arc::clone(&first.team));
        if !states
            .iter()
            .all(|(state, _)| std::ptr::eq(state.model, model))
        {
            return Err(TransformerError::StatesDiffer);
        }
        let mut residual = model.embed(&batch)?;
        for (state, tokens) in states.iter_mut() {
            state.add_pages(state.len + tokens.len());
        }
        Self::run_steps(states, &batch, &mut residual, &team);
        for (state, tokens) in states {
            state.len += tokens.len();
            state.forget();
        }
        Ok(residual)
    }

    /// Runs the steps of every state's schedule on the rows of a batch, whose segments are the states' further tokens.
    fn run_steps(
        states: &mut [(&mut Self, &[u32])],
        batch: &Batch,
        residual: &mut Array2<f32>,
        team: &Arc<Team>,
    ) {
        let Some((first, _)) = states.first() else {
            return;
        };
        let (model, kv_heads) = (first.model, first.model.config.kv_heads);
        let mut walks: Vec<Walk> = Vec::new();
        for (at, (state, _)) in states.iter().enumerate() {
            let alike = |walk: &&mut Walk| {
                Arc::ptr_eq(&walk.schedule, &state.schedule) || walk.schedule == state.schedule
            };
            match walks.iter_mut().find(alike) {
                Some(walk) => walk.states.push(at),
                None => walks.push(Walk::new(&state.schedule, at)),
            }
        }
        let of_part = |going: &[usize]| {
            let mut own = Batch::default();
            for at in going {
                own.add_after(batch.position_of(*at), &batch.tokens()[batch.rows_of(*at)]);
            }
            let rows = going.iter().flat_map(|at| batch.rows_of(*at));
            (
                rows.collect::<Vec<usize>>(),
                Workspace::shared(model, &own, team),
            )
        };
        // A step alone does not say which edits of values act on it, so schedules with an overlay run by themselves.
        let is_alone = walks.len() == 1;
        for walk in walks.extract_if(.., |walk| is_alone || !walk.schedule.overlay().is_empty()) {
            let (rows, mut workspace) = of_part(&walk.states);
            let going = states.iter_mut().enumerate();
            let going = going.filter(|(at, _)| walk.states.contains(at));
            let kept = going.map(|(_, (state, _))| &mut state.kept[..]).collect();
            if is_alone {
                return model.extend(&walk.schedule, kept, residual, &mut workspace);
            }
            let mut own = residual.select(Axis(0), &rows);
            model.extend(&walk.schedule, kept, &mut own, &mut workspace);
            put_rows(residual, &rows, &own);
        }
        let mut whole = None;
        let mut part: Option<(Vec<usize>, Vec<usize>, Workspace)> = None;
        while let Some(schedule) = Walk::longest(&walks) {
            let (schedule, done) = (Arc::clone(&schedule.schedule), schedule.done);
            let step = &schedule.steps()[done];
            // For each state in the group, the number of attention sublayers behind it.
            let mut from = vec![None; states.len()];
            for walk in walks.iter_mut().filter(|walk| walk.next() == Some(step)) {
                walk.states
                    .iter()
                    .for_each(|at| from[*at] = Some(walk.attentions));
                walk.attentions += attentions(std::slice::from_ref(step)).count();
                walk.done += 1;
            }
            let kept = states
                .iter_mut()
                .zip(&from)
                .filter_map(|((state, _), from)| {
                    from.map(|from: usize| &mut state.kept[from * kv_heads..])
                });
            let kept: Vec<&mut [Kept]> = kept.collect();
            if kept.len() == from.len() {
                let workspace = whole.get_or_insert_with(|| Workspace::shared(model, batch, team));
                model.extend_by(step, kept, residual, workspace);
                continue;
            }
            let going: Vec<usize> = (0..from.len()).filter(|at| from[*at].is_some()).collect();
            if part.as_ref().is_none_or(|(of, _, _)| *of != going) {
                // The buffers of the last part go before the next ones come.
                drop(part.take());
                let (rows, workspace) = of_part(&going);
                part = Some((going, rows, workspace));
            }
            if let Some((_, rows, workspace)) = &mut part {
                let mut own = residual.select(Axis(0), rows);
                model.extend_by(step, kept, &mut own, workspace);
                put_rows(residual, rows, &own);
            }
        }
    }

    /// Allocates the pages of positions before `end`. Pages of all heads and attention sublayers are adjacent, so that a step
    /// reads them from huge pages. Pages that a window will drop are allocated separately, because an allocation is freed as a
    /// whole.
    fn add_pages(&mut self, end: usize) {
        let kv_heads = self.model.config.kv_heads;
        for is_windowed in [false, true] {
            let kept = self.kept.chunks_mut(kv_heads).zip(&*self.windows);
            let kept = kept.filter(|(_, window)| window.is_some() == is_windowed);
            let mut kept: Vec<&mut Kept> = kept.flat_map(|(kept, _)| kept).collect();
            while let Some(first) = kept.iter().map(|kept| kept.end_of_pages()).min()
                && first < end
            {
                let next = kept.iter_mut().filter(|kept| kept.end_of_pages() == first);
                let next: Vec<&mut &mut Kept> = next.collect();
                let bytes = next.iter().map(|kept| kept.bytes_of_next_page()).sum();
                let mut arena = Arena::with_capacity(bytes);
                next.into_iter().for_each(|kept| kept.add_page(&mut arena));
            }
        }
    }

    /// Drops keys and values before every window.
    fn forget(&mut self) {
        // An edit may attend to earlier positions.
        if !self.schedule.overlay().is_empty() {
            return;
        }
        for occurrence in 0..self.windows.len() {
            self.forget_before(occurrence, self.len);
        }
    }

    /// Drops an attention's keys and values before the window of its next position.
    pub(crate) fn forget_before(&mut self, occurrence: usize, next: usize) {
        if let Some(window) = self.windows[occurrence] {
            let first = (next + 1).saturating_sub(window);
            let kept = self.kept_of(occurrence).iter_mut();
            kept.for_each(|kept| kept.forget_before(first));
        }
    }

    /// The keys and values of an attention, one entry per KV head.
    pub(crate) fn kept_of(&mut self, occurrence: usize) -> &mut [Kept] {
        let kv_heads = self.model.config.kv_heads;
        &mut self.kept[occurrence * kv_heads..(occurrence + 1) * kv_heads]
    }

    pub(crate) fn team(&self) -> &Arc<Team> {
        &self.team
    }

    /// Checks that there is room for `end` tokens in all, and that they use the same rotary frequencies as the earlier ones.
    pub(crate) fn check_room(&self, end: usize) -> Result<(), TransformerError> {
        if end > self.capacity {
            return Err(TransformerError::StateFull {
                found: end,
                capacity: self.capacity,
            });
        }
        self.check_frequencies(self.len, end)
    }

    /// Counts tokens whose keys and values the caller stores.
    pub(crate) fn advance(&mut self, end: usize) {
        self.len = end;
    }

    /// Checks that keys rotated in a sequence of one length are valid in one of the other length.
    fn check_frequencies(&self, short: usize, long: usize) -> Result<(), TransformerError> {
        let mut limits = changes_of_frequencies(&self.model.config);
        match limits.find(|limit| (1..=*limit).contains(&short) && *limit < long) {
            None => Ok(()),
            Some(limit) => Err(TransformerError::MixedLengths { short, long, limit }),
        }
    }

    /// Drops all but the first `len` tokens.
    ///
    /// # Errors
    /// There are fewer tokens, the model uses other rotary frequencies for sequences of that length, or the window of the next
    /// token reaches positions that were dropped.
    ///
    /// ```
    /// use layerwise_transformer::{Model, ModelConfig, State};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let mut state = State::new(&model, &model.plain(), 10)?;
    /// let first = state.extend(&[0, 5, 3])?; // [3, model]
    /// state.truncate(2)?; // takes back the last token
    /// assert_eq!(state.extend(&[3])?.row(0), first.row(2));
    /// # Ok::<(), layerwise_transformer::TransformerError>(())
    /// ```
    pub fn truncate(&mut self, len: usize) -> Result<(), TransformerError> {
        if len > self.len {
            return Err(TransformerError::CutBeyondEnd {
                found: len,
                len: self.len,
            });
        }
        self.check_frequencies(len, self.len)?;
        let kept = self.kept.chunks(self.model.config.kv_heads);
        let least = kept.zip(&*self.windows).filter_map(|(kept, window)| {
            let first = kept.first()?.first();
            window
                .filter(|_| first > 0)
                .map(|window| first + window - 1)
        });
        if let Some(least) = least.max().filter(|least| (1..*least).contains(&len)) {
            return Err(TransformerError::CutBeforeWindow { found: len, least });
        }
        self.len = len;
        for kept in &mut self.kept {
            kept.truncate(len);
        }
        Ok(())
    }

    /// A second state with the same tokens. Both share the memory of their common pages of 256 tokens; when one of them
    /// continues, only the last page is copied.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            model: self.model,
            schedule: Arc::clone(&self.schedule),
            len: self.len,
            capacity: self.capacity,
            kept: self.kept.iter().map(Kept::fork).collect(),
            windows: Arc::clone(&self.windows),
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

    /// The number of tokens so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no tokens yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The largest number of tokens that the state can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// Writes rows back after they were taken out.
fn put_rows(residual: &mut Array2<f32>, rows: &[usize], own: &Array2<f32>) {
    for (row, own) in rows.iter().zip(own.outer_iter()) {
        residual.row_mut(*row).assign(&own);
    }
}

/// The progress of the states of one schedule.
struct Walk {
    schedule: Arc<Schedule>,
    states: Vec<usize>,
    /// The number of steps done.
    done: usize,
    /// The number of attention sublayers done.
    attentions: usize,
}

impl Walk {
    fn new(schedule: &Arc<Schedule>, state: usize) -> Self {
        Self {
            schedule: Arc::clone(schedule),
            states: vec![state],
            done: 0,
            attentions: 0,
        }
    }

    fn next(&self) -> Option<&Step> {
        self.schedule.steps().get(self.done)
    }

    /// The first walk among those with the most steps left; `None` if all are done.
    fn longest(walks: &[Self]) -> Option<&Self> {
        let left = |walk: &&Self| walk.schedule.steps().len() - walk.done;
        walks
            .iter()
            .rev()
            .max_by_key(left)
            .filter(|walk| left(walk) > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Blocks;
    use layerwise_schedule::Edit;

    /// A repeated block has separate keys and values for each of its runs: the bits are those of a model that holds the block
    /// twice.
    #[test]
    fn a_repeated_block_is_as_a_copied_one() {
        let model = Model::random(ModelConfig::tiny(), 5);
        for (edit, order) in [
            ("repeat(1..3)", &[0, 1, 1, 2, 2, 3][..]),
            ("loop(1..2,3)", &[0, 1, 1, 1, 2, 3]),
        ] {
            let mut copied = model.clone();
            let blocks = order.iter();
            let blocks = blocks.map(|block| model.blocks.get(*block).clone());
            copied.blocks = Blocks::Held(blocks.collect());
            copied.config.layers = order.len();
            let plain = Schedule::plain(model.stack()).unwrap();
            let repeated = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
            let mut repeating = State::new(&model, &repeated, 20).unwrap();
            let of_copies = Schedule::plain(copied.stack()).unwrap();
            let mut of_copies = State::new(&copied, &of_copies, 20).unwrap();
            for part in [&[3, 1, 4, 1, 5][..], &[9], &[2], &[6, 5]] {
                let found = repeating.extend(part).unwrap();
                assert_eq!(found, of_copies.extend(part).unwrap(), "{edit}");
            }
        }
    }
}
