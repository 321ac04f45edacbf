//! The forward pass: one loop over the steps of a schedule.

mod attention;
mod mlp;

use crate::attending::Attending;
use crate::batch::{Batch, Segment};
use crate::blocks::NormWeights;
use crate::crew::{Crew, Hand};
use crate::error::TransformerError;
use crate::kept::Kept;
use crate::linear::Linear;
use crate::model::Model;
use crate::padded::{Padded, ROW_PADDING};
use crate::reading::Reading;
use crate::rotary::Rotations;
use crate::scoring::alibi_biases;
use crate::site::Observer;
use crate::values::{Overlaid, Program, Values};
use layerwise_architecture::{Mlp, ModelConfig, NormPlace, Residual};
use layerwise_kernels::activation;
use layerwise_kernels::gemm::{Precision, Scratch};
use layerwise_kernels::team::Team;
use layerwise_schedule::{Part, Schedule, Site, Stage, Step, Sublayer, ends_of_runs};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use std::convert::Infallible;
use std::sync::Arc;

/// The buffers for running blocks on one [`Batch`], allocated once and used for every step.
///
/// Below, `seq` is the number of rows of the batch, and `path` the number of tokens of its longest path.
#[derive(Debug)]
pub struct Workspace {
    seq: usize,
    /// The batch's segments, depth first.
    segments: Vec<Segment>,
    /// The positions of rows, ascending, each once.
    positions: Vec<usize>,
    /// For each kind of attention, the rotations of `positions`.
    rotations: Vec<Option<Rotations>>,
    /// ALiBi biases for the longest path, \[heads, path\].
    biases: Option<Array2<f32>>,
    /// \[seq, model\].
    normed: Array2<f32>,
    /// \[seq, (heads + 2 · kv_heads) · head\].
    qkv: Padded,
    /// The keys and values of one head and one path of segments.
    path: Kept,
    /// \[seq, heads · head\].
    head_out: Padded,
    /// \[seq, neurons\]: pre-activations, then neurons; in a gated MLP \[seq, 2 · neurons\], the up projection beside them.
    neurons: Array2<f32>,
    /// \[seq, model\].
    attn_update: Array2<f32>,
    /// \[seq, model\].
    mlp_update: Array2<f32>,
    /// One hand per thread, each with scores \[queries, path + ROW_PADDING\].
    crew: Crew,
}

impl Workspace {
    /// Allocates buffers for a batch that the calling thread runs.
    pub fn new(model: &Model, batch: &Batch) -> Self {
        Self::shared(model, batch, &Arc::new(Team::alone()))
    }

    /// Allocates buffers for a batch whose products and attention heads a team shares.
    pub fn shared(model: &Model, batch: &Batch, team: &Arc<Team>) -> Self {
        let c = &model.config;
        let (seq, segments) = (batch.rows(), batch.depth_first());
        let path = segments.iter().map(Segment::end).max().unwrap_or(0);
        let mut positions = Vec::with_capacity(seq);
        positions.extend(batch.positions());
        positions.sort_unstable();
        positions.dedup();
        let queries = segments.iter().map(|segment| segment.len).max();
        let queries = Attending::most_rows(queries.unwrap_or(0), c.heads / c.kv_heads);
        let zeros = |width| {
            let padded = Array2::zeros((seq, width + ROW_PADDING));
            padded.slice_move(s![.., ..width])
        };
        Self {
            seq,
            biases: c
                .alibi
                .map(|kind| alibi_biases(kind, c.heads, c.head, path)),
            rotations: c
                .attention
                .kinds()
                .iter()
                .map(|kind| {
                    let rotary = kind.rotary.as_ref();
                    rotary.map(|rotary| Rotations::new(rotary, &positions, path))
                })
                .collect(),
            positions,
            segments,
            normed: zeros(c.model),
            qkv: Padded::zeros(seq, (c.heads + 2 * c.kv_heads) * c.head),
            path: Kept::new(c.head, path, Precision::F32),
            head_out: Padded::zeros(seq, c.heads * c.head),
            neurons: zeros(if c.mlp == Mlp::Gated {
                2 * c.neurons
            } else {
                c.neurons
            }),
            attn_update: zeros(c.model),
            mlp_update: zeros(c.model),
            crew: Crew::new(team, queries, path + ROW_PADDING),
        }
    }

    /// The most bytes that the buffers for any batch of at most `seq` rows take.
    pub fn most_bytes(config: &ModelConfig, seq: usize) -> usize {
        Self::most_shared_bytes(config, seq, seq, 1)
    }

    /// The most bytes that the buffers take for any batch of at most `seq` rows whose paths end at `path` or before, if `threads`
    /// threads share it.
    pub fn most_shared_bytes(
        config: &ModelConfig,
        seq: usize,
        path: usize,
        threads: usize,
    ) -> usize {
        let c = config;
        let qkv = (c.heads + 2 * c.kv_heads) * c.head;
        let neurons = if c.mlp == Mlp::Gated {
            2 * c.neurons
        } else {
            c.neurons
        };
        let width = 3 * c.model + qkv + c.heads * c.head + neurons + 6 * ROW_PADDING;
        let queries = Attending::most_rows(seq, c.heads / c.kv_heads);
        let scores = queries * (path + ROW_PADDING);
        let rotaries = || {
            c.attention
                .kinds()
                .iter()
                .filter_map(|kind| kind.rotary.as_ref())
        };
        // Cosines and sines of every kind, and, while they are computed, the angles of one kind in f64.
        let cosines: usize = rotaries().map(|rotary| seq * rotary.rotated()).sum();
        let angles = rotaries()
            .map(|rotary| seq * rotary.rotated())
            .max()
            .unwrap_or(0);
        let biases = c.alibi.map_or(0, |_| c.heads * (path + 1));
        let one_row = c.query_key_norm.map_or(0, |_| c.heads * c.head);
        let inner = c.model.max(c.neurons).max(c.heads * c.head).max(path);
        let hand = scores * size_of::<f32>() + Scratch::most_bytes(seq, inner) + size_of::<Hand>();
        (seq * width + cosines + angles + biases + one_row) * size_of::<f32>()
            + seq * size_of::<usize>()
            + Batch::most_order_bytes(seq)
            + Kept::most_bytes(c.head, seq, Precision::F32)
            + threads * hand
    }

    /// Whether the buffers fit a batch of this shape: segments with the same numbers of tokens and the same parents.
    pub fn fits(&self, batch: &Batch) -> bool {
        self.segments == batch.depth_first()
    }
}

impl Model {
    /// The first residual stream of a batch: token embeddings plus learned positions, \[seq, model\].
    ///
    /// # Errors
    /// The batch is empty or has an empty segment, a path is longer than the model's context, or a token is outside the
    /// vocabulary.
    pub fn embed(&self, batch: impl Into<Batch>) -> Result<Array2<f32>, TransformerError> {
        let batch = batch.into();
        batch.check(&self.config)?;
        let c = &self.config;
        let mut residual = Array2::zeros((batch.rows(), c.embedding_width()));
        for (&token, row) in batch.tokens().iter().zip(residual.outer_iter_mut()) {
            self.add_entry(&self.embedding, token as usize, row);
        }
        if c.embedding_scale != 1.0 {
            let scale = c.embedding_scale as f32;
            residual.mapv_inplace(|value| value * scale);
        }
        if let Some(projection) = &self.embedding_in {
            let mut wide = Array2::zeros((batch.rows(), c.model));
            projection.apply(residual.view(), wide.view_mut(), &mut Scratch::default());
            residual = wide;
        }
        if let Some(positions) = &self.positions {
            let offset = c.learned_positions.map_or(0, |learned| learned.offset);
            for (position, row) in batch.positions().zip(residual.outer_iter_mut()) {
                self.add_entry(positions, offset + position, row);
            }
        }
        if let Some(norm) = &self.embedding_norm {
            let before = residual.clone();
            self.normalize(norm, before.view(), residual.view_mut());
        }
        Ok(residual)
    }

    /// Runs a schedule and returns the last residual stream, \[seq, model\], which [`Model::final_norm`] reads.
    ///
    /// `batch` may be the tokens of one sequence or a reference to a [`Batch`]. `program` may be a reference to a schedule, or a
    /// pair of it and the [`Values`] that its edits take.
    ///
    /// # Errors
    /// As [`Model::embed`]. Also: the schedule was made for another stack, an edit names positions that a sequence lacks, or
    /// values that an edit takes are missing or have the wrong shape.
    pub fn run<'p>(
        &self,
        batch: impl Into<Batch>,
        program: impl Into<Program<'p>>,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>, TransformerError> {
        let (batch, program) = (batch.into(), program.into());
        let mut residual = self.embed(&batch)?;
        program.check(self, &batch)?;
        let mut workspace = Workspace::new(self, &batch);
        let Ok(()) = self.run_steps(
            program,
            &mut residual,
            &mut workspace,
            observer,
            |_, _, _| Ok::<(), Infallible>(()),
        );
        Ok(residual)
    }

    /// Runs the steps of a program for this model's [`stack`](Model::stack) on a first residual stream, in place. After each step
    /// it calls `after` with the number of steps done, the stream, and the workspace, which `after` may use.
    ///
    /// # Errors
    /// That of `after`, which ends the run there.
    ///
    /// # Panics
    /// If the workspace was made for another batch, a step names a block that the model lacks, or the program lacks values that
    /// an edit takes.
    ///
    /// ```
    /// use layerwise_transformer::{Batch, Model, ModelConfig, TransformerError, Workspace};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let batch = Batch::from(&[0, 5, 3]);
    /// let mut stream = model.embed(&batch)?;
    /// let mut workspace = Workspace::new(&model, &batch);
    /// let mut lenses = Vec::new();
    /// model.run_steps(&model.plain(), &mut stream, &mut workspace, &mut (), |_, stream, _| {
    ///     lenses.push(model.standard_lens(stream.view()));
    ///     Ok::<(), TransformerError>(())
    /// })?;
    /// assert_eq!(lenses.len(), 8); // attention and MLP of 4 blocks
    /// assert_eq!(lenses[7], model.logits(&batch, &model.plain())?);
    /// # Ok::<(), TransformerError>(())
    /// ```
    pub fn run_steps<'p, E>(
        &self,
        program: impl Into<Program<'p>>,
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
        mut after: impl FnMut(usize, &Array2<f32>, &mut Workspace) -> Result<(), E>,
    ) -> Result<(), E> {
        let Program { schedule, values } = program.into();
        let mut reading = Reading::new(observer);
        reading.overlaid = Overlaid::new(schedule.overlay(), values, &workspace.segments);
        reading.offer(Site::Embed, || residual.view_mut().into_dyn());
        let steps = schedule.steps();
        for (at, step) in steps.iter().enumerate() {
            let ends = ends_of_runs(steps, at);
            self.step(step, ends, residual, workspace, &mut reading);
            after(at + 1, residual, workspace)?;
        }
        Ok(())
    }

    /// Logits \[seq, vocab\] under a schedule.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn logits<'p>(
        &self,
        batch: impl Into<Batch>,
        program: impl Into<Program<'p>>,
    ) -> Result<Array2<f32>, TransformerError> {
        self.observed_logits(batch, program, &mut ())
    }

    /// Logits \[seq, vocab\] under a schedule, with every site offered to an observer.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn observed_logits<'p>(
        &self,
        batch: impl Into<Batch>,
        program: impl Into<Program<'p>>,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>, TransformerError> {
        let program = program.into();
        let residual = self.run(batch, program, observer)?;
        let mut reading = Reading::new(observer);
        reading.step = program.schedule.step_count();
        let mut normed = self.normed_last(residual.view());
        if !self.reads_norm() {
            reading.show(Site::FinalNorm, || normed.view().into_dyn());
        }
        normed = self.read_out(normed);
        if self.reads_norm() {
            reading.show(Site::FinalNorm, || normed.view().into_dyn());
        }
        let logits = self.unembed(normed.view());
        reading.show(Site::Logits, || logits.view().into_dyn());
        Ok(logits)
    }

    /// Applies one stage of a schedule of this model's [`stack`](Model::stack) to a residual stream \[seq, model\], in place.
    ///
    /// A sweep that shares prefixes between schedules is built on this.
    ///
    /// # Panics
    /// If the workspace was made for another number of rows, the step names a block that the model lacks, or values that an edit
    /// takes are missing.
    ///
    /// ```
    /// use layerwise_transformer::{Batch, Model, ModelConfig, Values, Workspace};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let (plain, batch) = (model.plain(), Batch::from(&[0, 5, 3]));
    /// let mut stream = model.embed(&batch)?;
    /// let mut workspace = Workspace::new(&model, &batch);
    /// for stage in plain.stages() {
    ///     model.apply(&stage, &mut stream, &mut workspace, &Values::default());
    /// }
    /// assert_eq!(stream, model.run(&batch, &plain, &mut ())?);
    /// # Ok::<(), layerwise_transformer::TransformerError>(())
    /// ```
    pub fn apply(
        &self,
        stage: &Stage,
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
        values: &Values,
    ) {
        let mut nobody = ();
        let mut reading = Reading::new(&mut nobody);
        reading.overlaid = stage
            .overlay()
            .and_then(|overlay| Overlaid::new(overlay, Some(values), &workspace.segments));
        match stage.step() {
            None => reading.offer(Site::Embed, || residual.view_mut().into_dyn()),
            Some(step) => {
                let steps = std::slice::from_ref(step);
                self.steps(steps, residual, workspace, &mut reading);
            }
        }
    }

    /// Runs a step, without an overlay, on rows that continue after kept tokens. `kept` holds, for each segment of the batch, the
    /// keys and values of every attention sublayer from this step on and of every KV head; the segment's own are added to them.
    pub(crate) fn extend_by(
        &self,
        step: &Step,
        kept: Vec<&mut [Kept]>,
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
    ) {
        let mut nobody = ();
        let mut reading = Reading::new(&mut nobody);
        reading.kept = kept;
        self.step(step, [true, true], residual, workspace, &mut reading);
    }

    /// Runs a schedule on rows that continue after kept tokens; `kept` covers every attention sublayer.
    pub(crate) fn extend(
        &self,
        schedule: &Schedule,
        kept: Vec<&mut [Kept]>,
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
    ) {
        let mut nobody = ();
        let mut reading = Reading::new(&mut nobody);
        reading.kept = kept;
        reading.overlaid = Overlaid::new(schedule.overlay(), None, &workspace.segments);
        reading.offer(Site::Embed, || residual.view_mut().into_dyn());
        self.steps(schedule.steps(), residual, workspace, &mut reading);
    }

    pub(crate) fn check_schedule(&self, schedule: &Schedule) -> Result<(), TransformerError> {
        match schedule.stack() == self.stack() {
            true => Ok(()),
            false => Err(TransformerError::ScheduleMismatch {
                found: schedule.stack(),
                expected: self.stack(),
            }),
        }
    }

    /// Runs consecutive steps.
    fn steps(
        &self,
        steps: &[Step],
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
        reading: &mut Reading<'_>,
    ) {
        for (at, step) in steps.iter().enumerate() {
            let ends = ends_of_runs(steps, at);
            self.step(step, ends, residual, workspace, reading);
        }
    }

    /// Runs a step, which may begin and end a run of its block.
    pub(crate) fn step(
        &self,
        step: &Step,
        ends: [bool; 2],
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
        reading: &mut Reading<'_>,
    ) {
        assert_eq!(
            residual.nrows(),
            workspace.seq,
            "the workspace fits the batch"
        );
        match step {
            Step::Update(parts) => {
                self.update(parts, ends, residual, workspace, reading);
                reading.step += 1;
            }
            Step::Branches(branches) => {
                let mut total = Array2::zeros(residual.dim());
                for branch in branches {
                    let mut own = residual.clone();
                    self.steps(branch.steps(), &mut own, workspace, reading);
                    own -= &*residual;
                    total.scaled_add(branch.weight() as f32, &own);
                }
                *residual += &total;
            }
        }
    }

    /// h ← h + Σ αᵢ·fᵢ(h): every part reads the stream before any update is added.
    fn update(
        &self,
        parts: &[Part],
        [begins, ends]: [bool; 2],
        residual: &mut Array2<f32>,
        workspace: &mut Workspace,
        reading: &mut Reading<'_>,
    ) {
        let sequential = self.config.residual == Residual::Sequential;
        let attention_alone = matches!(parts, [part] if part.sublayer() == Sublayer::Attn);
        reading.block = parts.first().map(Part::block);
        if begins {
            reading.offer(Site::ResidPre, || residual.view_mut().into_dyn());
        }
        for part in parts {
            match part.sublayer() {
                Sublayer::Attn => {
                    self.attention(part.block(), residual.view(), workspace, reading);
                }
                Sublayer::Mlp => self.mlp(part.block(), residual.view(), workspace, reading),
            }
        }
        for part in parts {
            let update = match part.sublayer() {
                Sublayer::Attn => &workspace.attn_update,
                Sublayer::Mlp => &workspace.mlp_update,
            };
            for (mut row, update) in residual.outer_iter_mut().zip(update.outer_iter()) {
                activation::add_scaled(
                    row.as_slice_mut()
                        .expect("rows of the residual stream are contiguous"),
                    part.scale() as f32,
                    update.to_slice().expect("rows of updates are contiguous"),
                );
            }
        }
        if attention_alone && sequential {
            reading.offer(Site::ResidMid, || residual.view_mut().into_dyn());
        }
        if ends {
            reading.offer(Site::ResidPost, || residual.view_mut().into_dyn());
        }
        reading.block = None;
    }

    /// Computes the input of a sublayer's first product from the residual stream, normed if the block does so.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a workspace are lent one by one"
    )]
    fn read_stream(
        &self,
        norm: &NormWeights,
        product: &Linear,
        residual: ArrayView2<'_, f32>,
        site: Site,
        (normed, out): (&mut Array2<f32>, ArrayViewMut2<'_, f32>),
        crew: &mut Crew,
        reading: &mut Reading<'_>,
    ) {
        if !self.config.norm_place.is_before() {
            return product.apply_shared(residual, out, crew);
        }
        self.normalize(norm, residual, normed.view_mut());
        reading.show(site, || normed.view().into_dyn());
        product.apply_shared(normed.view(), out, crew);
    }

    /// Norms and scales a sublayer's output, if the block does so.
    fn finish(
        &self,
        norm: Option<&NormWeights>,
        update: &mut Array2<f32>,
        spare: &mut Array2<f32>,
    ) {
        if let Some(norm) = norm {
            self.normalize(norm, update.view(), spare.view_mut());
            std::mem::swap(update, spare);
        }
        if self.config.residual_scale != 1.0 {
            let scale = self.config.residual_scale as f32;
            update.mapv_inplace(|value| value * scale);
        }
    }

    /// If the block norms the sum of stream and output, turns the output into the change of the stream.
    fn norm_the_sum(
        &self,
        norm: &NormWeights,
        residual: ArrayView2<'_, f32>,
        update: &mut Array2<f32>,
        spare: &mut Array2<f32>,
    ) {
        if self.config.norm_place != NormPlace::OfSum {
            return;
        }
        *update += &residual;
        self.normalize(norm, update.view(), spare.view_mut());
        std::mem::swap(update, spare);
        *update -= &residual;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_positions_of_rows_are_rotated() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let mut batch = Batch::default();
        batch.add_after(40, &[1, 2]);
        let root = batch.add_after(3, &[1, 2]);
        batch.add_child(root, &[4]);
        batch.add_child(root, &[5, 6]);
        let workspace = Workspace::new(&model, &batch);
        assert_eq!(workspace.positions, [3, 4, 5, 6, 40, 41]);
    }
}
