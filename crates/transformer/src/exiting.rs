//! A sequence in which each token may stop after a different number of blocks.

use crate::batch::Batch;
use crate::error::TransformerError;
use crate::forward::Workspace;
use crate::model::Model;
use crate::reading::Reading;
use crate::scoring::Hidden;
use crate::state::State;
use layerwise_architecture::ModelConfig;
use layerwise_kernels::gemm::Precision;
use layerwise_kernels::team::Team;
use layerwise_schedule::{Schedule, Step};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate};
use std::sync::Arc;

/// Decides after how many blocks a run stops.
///
/// ```
/// use layerwise_transformer::{Exit, ExitingState, Missing, Model, ModelConfig};
/// use ndarray::{ArrayView1, Axis};
///
/// /// Stops once the lens gives some token more than this probability.
/// #[derive(Debug)]
/// struct Sure(f64);
///
/// impl Exit for Sure {
///     fn stops(&mut self, model: &Model, _: usize, stream: ArrayView1<'_, f32>) -> bool {
///         let logits = model.standard_lens(stream.insert_axis(Axis(0)));
///         let most = f64::from(logits.fold(f32::MIN, |most, logit| logit.max(most)));
///         let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
///         1.0 / sum > self.0
///     }
/// }
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let mut state = ExitingState::new(&model, 10, Missing::Recompute)?;
/// // One of 50 tokens always has a probability of 0.02 or more.
/// assert_eq!(state.extend(&[0, 5, 3], &mut Sure(0.01))?.1, 1);
/// assert_eq!(state.extend(&[8], &mut Sure(1.0))?.1, 4); // all blocks
/// # Ok::<(), layerwise_transformer::TransformerError>(())
/// ```
pub trait Exit: std::fmt::Debug {
    /// Receives the last position's first residual stream, \[model\], before any block.
    fn begins(&mut self, model: &Model, stream: ArrayView1<'_, f32>) {
        let _ = (model, stream);
    }

    /// Whether the run stops, given the last position's residual stream after `blocks` blocks, \[model\].
    fn stops(&mut self, model: &Model, blocks: usize, stream: ArrayView1<'_, f32>) -> bool;
}

/// Never stops.
impl Exit for () {
    fn stops(&mut self, _: &Model, _: usize, _: ArrayView1<'_, f32>) -> bool {
        false
    }
}

/// Stops after this many blocks.
impl Exit for usize {
    fn stops(&mut self, _: &Model, blocks: usize, _: ArrayView1<'_, f32>) -> bool {
        blocks >= *self
    }
}

/// What later tokens attend to in the blocks that a stopped token did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The keys and values of the whole model, to the bit: the token's stream is kept, and runs the missing blocks together with
    /// the first later token that reaches them.
    Recompute,
    /// Each block's own keys and values, projected from the stream with which the token stopped (CALM).
    Propagate,
    /// Nothing: in those blocks, later tokens do not attend to it.
    Absent,
}

/// The capacity that a list gets with its first entry, at most.
const LEAST_ROOM: usize = 4;

/// A sequence under the plain schedule whose tokens may stop after different numbers of blocks.
///
/// ```
/// use layerwise_transformer::{ExitingState, Missing, Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let mut state = ExitingState::new(&model, 10, Missing::Recompute)?;
/// let (_, blocks) = state.extend(&[0, 5, 3], &mut 2_usize)?;
/// assert_eq!(blocks, 2);
/// let (last, blocks) = state.extend(&[8], &mut ())?; // [model]
/// assert_eq!(blocks, model.config().layers);
/// let all = model.run(&[0, 5, 3, 8], &model.plain(), &mut ())?;
/// assert_eq!(last, all.row(3));
/// # Ok::<(), layerwise_transformer::TransformerError>(())
/// ```
#[derive(Debug)]
pub struct ExitingState<'m> {
    state: State<'m>,
    missing: Missing,
    /// The steps of each block.
    steps: Vec<Vec<Step>>,
    /// For each block, the positions that have run it.
    done: Vec<usize>,
    /// For each block, the streams of the positions that stopped right before it, in order, each \[positions, model\].
    waiting: Vec<Vec<Array2<f32>>>,
    /// For each block, the positions that never ran it, ascending.
    absent: Vec<Vec<usize>>,
    /// The number of positions that have stopped for good.
    stopped: usize,
}

impl<'m> ExitingState<'m> {
    /// Creates an empty sequence with room for `capacity` tokens.
    ///
    /// # Errors
    /// As [`State::new`].
    pub fn new(
        model: &'m Model,
        capacity: usize,
        missing: Missing,
    ) -> Result<Self, TransformerError> {
        Self::new_in(model, capacity, missing, Precision::F32)
    }

    /// As [`ExitingState::new`], with keys and values kept in a number format.
    ///
    /// # Errors
    /// As [`State::new_in`].
    pub fn new_in(
        model: &'m Model,
        capacity: usize,
        missing: Missing,
        precision: Precision,
    ) -> Result<Self, TransformerError> {
        let plain = Schedule::plain(model.stack())?;
        Self::after(State::new_in(model, &plain, capacity, precision)?, missing)
    }

    /// Continues a state of the plain schedule, such as that of shots shared by many prompts.
    ///
    /// # Errors
    /// The state is of another schedule.
    pub fn after(state: State<'m>, missing: Missing) -> Result<Self, TransformerError> {
        let model = state.model();
        let plain = Schedule::plain(model.stack())?;
        if *state.schedule() != plain {
            return Err(TransformerError::NotPlain {
                found: state.schedule().to_string(),
            });
        }
        let layers = model.config().layers;
        let per_block = plain.steps().len() / layers;
        Ok(Self {
            missing,
            steps: plain
                .steps()
                .chunks(per_block)
                .map(<[Step]>::to_vec)
                .collect(),
            done: vec![state.len(); layers],
            waiting: vec![Vec::new(); layers],
            absent: vec![Vec::new(); layers],
            stopped: 0,
            state,
        })
    }

    /// Shares products and attention heads among the threads of a team.
    #[must_use]
    pub fn with_team(mut self, team: &Arc<Team>) -> Self {
        self.state = self.state.with_team(team);
        self
    }

    /// The number of tokens so far.
    pub fn len(&self) -> usize {
        self.state.len()
    }

    /// Whether there are no tokens yet.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty()
    }

    /// The model.
    pub fn model(&self) -> &'m Model {
        self.state.model()
    }

    /// As [`State::logits`]: logits \[seq, vocab\] of rows of a residual stream, \[seq, model\].
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn logits(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        self.state.logits(residual)
    }

    /// The most bytes kept for `capacity` tokens: their keys and values in a number format, and the waiting streams or the list
    /// of absent positions.
    pub fn most_bytes(
        config: &ModelConfig,
        capacity: usize,
        missing: Missing,
        precision: Precision,
    ) -> usize {
        let kept = State::bytes_of(config, config.layers, capacity, precision);
        // A growing list is briefly held twice, and the new one may have twice the room.
        let list = |entry: usize| 3 * (capacity + LEAST_ROOM) * entry;
        let left = match missing {
            Missing::Recompute => {
                let rows = capacity * config.model * size_of::<f32>();
                rows + config.layers * list(size_of::<Array2<f32>>())
            }
            Missing::Propagate => 0,
            Missing::Absent => config.layers * list(size_of::<usize>()),
        };
        kept + left
    }

    /// The most bytes, besides those kept, that running `tokens` further tokens takes; as [`State::most_step_bytes`]. With
    /// [`Missing::Recompute`] all `capacity` tokens may run at once: those that wait, and the further ones.
    pub fn most_step_bytes(
        config: &ModelConfig,
        tokens: usize,
        capacity: usize,
        threads: usize,
        missing: Missing,
    ) -> usize {
        let (tokens, hidden) = match missing {
            Missing::Recompute => (capacity, 0),
            Missing::Propagate => (tokens, 0),
            Missing::Absent => (tokens, capacity * size_of::<usize>()),
        };
        State::step_bytes(config, tokens, capacity, threads) + hidden
    }

    /// Runs further tokens until `exit` stops, at the latest after the last block; all of them run the same number of blocks.
    /// Returns the last token's residual stream \[model\] there, and the number of blocks.
    ///
    /// # Errors
    /// As [`State::extend`]. On an error the sequence is unchanged.
    pub fn extend(
        &mut self,
        tokens: &[u32],
        exit: &mut dyn Exit,
    ) -> Result<(Array1<f32>, usize), TransformerError> {
        let (from, end) = (self.len(), self.len() + tokens.len());
        self.state.check_room(end)?;
        let mut batch = Batch::default();
        batch.add_after(from, tokens);
        let rows = self.model().embed(&batch)?;
        exit.begins(self.model(), rows.row(rows.nrows() - 1));
        self.state.advance(end);
        let (rows, blocks) = self.run(rows, exit);
        let last = rows.row(rows.nrows() - 1).to_owned();
        self.leave(rows, blocks);
        self.forget();
        Ok((last, blocks))
    }

    /// Runs every waiting position through its missing blocks. The result is the state of the whole model, to the bit.
    ///
    /// # Errors
    /// Tokens have stopped and their keys and values were propagated or are absent, so the state is not that of the whole model.
    pub fn finish(mut self) -> Result<State<'m>, TransformerError> {
        if self.stopped > 0 {
            return Err(TransformerError::NotWhole {
                stopped: self.stopped,
            });
        }
        let rows = Array2::zeros((0, self.model().config().model));
        self.run(rows, &mut ());
        self.forget();
        Ok(self.state)
    }

    /// Runs the last positions through the blocks, joined by the positions that wait before each block.
    fn run(&mut self, mut rows: Array2<f32>, exit: &mut dyn Exit) -> (Array2<f32>, usize) {
        let (model, end) = (self.model(), self.len());
        let layers = self.steps.len();
        let mut workspace: Option<Workspace> = None;
        for block in 0..layers {
            let waiting = std::mem::take(&mut self.waiting[block]);
            if !waiting.is_empty() {
                let parts = waiting.iter().chain([&rows]);
                let parts: Vec<ArrayView2<'_, f32>> = parts.map(|part| part.view()).collect();
                rows = concatenate(Axis(0), &parts).expect("rows of one width");
                workspace = None;
            }
            if rows.nrows() == 0 {
                continue;
            }
            let workspace = workspace.get_or_insert_with(|| self.workspace(rows.nrows()));
            self.run_block(block, &mut rows, workspace);
            self.done[block] = end;
            let last = rows.row(rows.nrows() - 1);
            if exit.stops(model, block + 1, last) {
                return (rows, block + 1);
            }
        }
        (rows, layers)
    }

    /// Buffers for the last `rows` positions.
    fn workspace(&self, rows: usize) -> Workspace {
        let mut batch = Batch::default();
        batch.add_after(self.len() - rows, &vec![0; rows]);
        Workspace::shared(self.model(), &batch, self.state.team())
    }

    fn run_block(&mut self, block: usize, rows: &mut Array2<f32>, workspace: &mut Workspace) {
        let (model, absent) = (self.model(), &self.absent[block]);
        let kept = self.state.kept_of(block);
        let mut nobody = ();
        let mut reading = Reading::new(&mut nobody);
        reading.kept = vec![kept];
        reading.absent = (!absent.is_empty()).then(|| Hidden::absent(absent));
        for step in &self.steps[block] {
            model.step(step, [true, true], rows, workspace, &mut reading);
        }
    }

    /// Stores what [`Missing`] asks for of positions that stop after `blocks` blocks.
    fn leave(&mut self, rows: Array2<f32>, blocks: usize) {
        let (model, end, layers) = (self.model(), self.len(), self.steps.len());
        if blocks == layers {
            return;
        }
        match self.missing {
            Missing::Recompute => self.waiting[blocks].push(rows),
            Missing::Propagate => {
                self.stopped += rows.nrows();
                let mut workspace = self.workspace(rows.nrows());
                for block in blocks..layers {
                    let kept = self.state.kept_of(block);
                    model.keep(block, rows.view(), kept, &mut workspace);
                    self.done[block] = end;
                }
            }
            Missing::Absent => {
                self.stopped += rows.nrows();
                for block in blocks..layers {
                    self.absent[block].extend(end - rows.nrows()..end);
                    self.done[block] = end;
                }
            }
        }
    }

    /// Drops keys and values before every window of the positions still to run.
    fn forget(&mut self) {
        for (block, done) in self.done.iter().enumerate() {
            self.state.forget_before(block, *done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::Linear;
    use layerwise_architecture::Residual;
    use layerwise_schedule::Edit;
    use ndarray::s;

    fn models() -> Vec<Model> {
        let parallel = ModelConfig::tiny().with(|c| c.residual = Residual::ParallelOneNorm);
        vec![
            Model::random(ModelConfig::tiny(), 5),
            Model::random(parallel, 6),
        ]
    }

    const TOKENS: [u32; 9] = [3, 1, 4, 1, 5, 9, 2, 6, 5];

    /// Law G4: wherever tokens stopped, a token that runs all blocks has the bits of the whole model, and a token that stopped
    /// has the bits of the model's first blocks.
    #[test]
    fn recomputed_states_are_those_of_the_whole_model() {
        for model in models() {
            let layers = model.config().layers;
            let plain = model.plain();
            let first_blocks = |blocks: usize| {
                let edit: Edit = format!("keep(0..{blocks})").parse().unwrap();
                model
                    .run(&TOKENS, &edit.apply(&plain).unwrap(), &mut ())
                    .unwrap()
            };
            let mut state = ExitingState::new(&model, 9, Missing::Recompute).unwrap();
            let parts: [(&[u32], usize); 6] = [
                (&TOKENS[..3], 2),
                (&TOKENS[3..4], 1),
                (&TOKENS[4..5], 3),
                (&TOKENS[5..6], 1),
                (&TOKENS[6..8], layers),
                (&TOKENS[8..], 2),
            ];
            for (tokens, blocks) in parts {
                let (last, found) = state.extend(tokens, &mut { blocks }).unwrap();
                assert_eq!(found, blocks);
                assert_eq!(last, first_blocks(blocks).row(state.len() - 1));
            }
            // The waiting positions run at the end.
            let mut state = state.finish().unwrap();
            state.truncate(8).unwrap();
            let last = state.extend(&TOKENS[8..]).unwrap();
            assert_eq!(last, first_blocks(layers).slice(s![8.., ..]));
        }
    }

    /// If the later blocks change nothing, the stream with which a token stopped is the one that it would have there.
    #[test]
    fn propagated_keys_are_projected_from_the_stream_of_the_exit() {
        for mut model in models() {
            let whole = model.run(&TOKENS, &model.plain(), &mut ()).unwrap();
            let mut different = ExitingState::new(&model, 9, Missing::Propagate).unwrap();
            different.extend(&TOKENS[..8], &mut 2_usize).unwrap();
            let (last, _) = different.extend(&TOKENS[8..], &mut ()).unwrap();
            assert_ne!(
                last,
                whole.row(8),
                "other keys and values give another stream"
            );
            for block in &mut model.blocks.held()[2..] {
                for linear in [&mut block.attn_out, &mut block.mlp_out] {
                    let zeros = Array2::zeros((linear.weight.inputs(), linear.weight.outputs()));
                    *linear = Linear::new(zeros.view(), None, Precision::F32);
                }
            }
            let whole = model.run(&TOKENS, &model.plain(), &mut ()).unwrap();
            let mut state = ExitingState::new(&model, 9, Missing::Propagate).unwrap();
            state.extend(&TOKENS[..5], &mut 2_usize).unwrap();
            state.extend(&TOKENS[5..8], &mut 3_usize).unwrap();
            let (last, _) = state.extend(&TOKENS[8..], &mut ()).unwrap();
            assert_eq!(last, whole.row(8));
        }
    }

    /// A token absent from later blocks has the effect of an edit that hides it there.
    #[test]
    fn absent_tokens_are_hidden_where_they_have_not_been() {
        for model in models() {
            let layers = model.config().layers;
            let mut state = ExitingState::new(&model, 9, Missing::Absent).unwrap();
            state.extend(&TOKENS[..3], &mut 2_usize).unwrap();
            state.extend(&TOKENS[3..6], &mut ()).unwrap();
            let (last, _) = state.extend(&TOKENS[6..], &mut ()).unwrap();
            assert_eq!(state.logits(last.view().insert_axis(Axis(0))).nrows(), 1);
            let heads = model.config().heads;
            let edit = format!("cut(2..{layers},0..{heads},3..9,0..3)");
            let hidden = edit.parse::<Edit>().unwrap().apply(&model.plain()).unwrap();
            let expected = model.run(&TOKENS, &hidden, &mut ()).unwrap();
            assert_eq!(last, expected.row(8));
        }
    }

    /// There is a state of the whole model only if no token has stopped for good.
    #[test]
    fn only_whole_sequences_give_a_state() {
        let model = Model::random(ModelConfig::tiny(), 5);
        let layers = model.config().layers;
        for missing in [Missing::Propagate, Missing::Absent] {
            let begun = || {
                let mut state = ExitingState::new(&model, 9, missing).unwrap();
                state.extend(&TOKENS[..4], &mut { layers }).unwrap();
                state
            };
            let mut whole = begun().finish().unwrap();
            let expected = model.run(&TOKENS, &model.plain(), &mut ()).unwrap();
            let last = whole.extend(&TOKENS[4..]).unwrap();
            assert_eq!(last, expected.slice(s![4.., ..]));
            let mut state = begun();
            state.extend(&TOKENS[4..7], &mut 1_usize).unwrap();
            state.extend(&TOKENS[7..], &mut ()).unwrap();
            let error = state.finish().unwrap_err().to_string();
            assert!(error.starts_with("3 tokens stopped early"), "{error}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_nothing() {
        let model = Model::random(ModelConfig::tiny(), 5);
        let mut state = ExitingState::new(&model, 3, Missing::Recompute).unwrap();
        state.extend(&TOKENS[..2], &mut 1_usize).unwrap();
        let full = state
            .extend(&TOKENS[..2], &mut 1_usize)
            .unwrap_err()
            .to_string();
        assert!(full.contains('4') && full.contains('3'), "{full}");
        assert!(state.extend(&[], &mut 1_usize).is_err());
        assert!(state.extend(&[u32::MAX], &mut 1_usize).is_err());
        let (last, _) = state.extend(&TOKENS[2..3], &mut ()).unwrap();
        let whole = model.run(&TOKENS[..3], &model.plain(), &mut ()).unwrap();
        assert_eq!(last, whole.row(2));
        let dropped = "drop(1)"
            .parse::<Edit>()
            .unwrap()
            .apply(&model.plain())
            .unwrap();
        let altered = State::new(&model, &dropped, 3).unwrap();
        let error = ExitingState::after(altered, Missing::Absent).unwrap_err();
        assert!(error.to_string().contains("the plain schedule"), "{error}");
    }
}
