//! The vocabulary pass: sums over the output distribution of every position, without keeping its logits.
//!
//! The unembedding is the widest product of a model, and its result, positions × vocabulary, the largest array.
//! [`pass`] computes it in tiles of columns. For each position it keeps the sums of an online softmax, the arg-max and the logit
//! of one target token; entropy and loss follow from these.
//! A divergence from another distribution p needs one more number, Σ_v p_v·z_v. Logits are linear in the state, so it is a dot
//! product with the *expected unembedding row* Σ_v p_v·W\[:, v\], which [`pass_with_expected_rows`] computes.

use crate::activation::cap;
use crate::cpu::vectorized;
use crate::elementary::exp;
use crate::gemm::{MR, Packed, PackedA, Precision, Scratch, Write, multiply};
use crate::lanes::LANES;
use crate::online_softmax::OnlineSoftmax;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

pub use crate::online_softmax::{Summary, TOP};

/// Vocabulary columns of one tile of logits.
pub(crate) const TILE_COLUMNS: usize = 256;

/// Positions of one tile of logits: a multiple of MR, and about as many as fit into 1 MiB of L2 cache with their packed states
/// and `tiles` tiles. The positions of a sequence are divided about equally, so that no tile is nearly empty.
pub(crate) fn tile_rows(seq: usize, model: usize, tiles: usize) -> usize {
    // Beyond 768 columns only one KC slice of the states has to stay in L2.
    let width = model.min(768) + tiles * TILE_COLUMNS;
    let fitting = (1 << 20) / size_of::<f32>() / width;
    let parts = ((seq + fitting / 2) / fitting).max(1);
    seq.div_ceil(parts).max(1).next_multiple_of(MR)
}

/// The unembedding W_U and its bias: logits = state · weight + bias.
///
/// If the weight is packed in bf16, the product rounds the states to bf16 as well, and logits are linear in the *rounded* states.
/// Round the states before you take their dot product with expected rows.
#[derive(Clone, Copy, Debug)]
pub struct Unembedding<'a> {
    /// \[model, vocab\].
    pub weight: &'a Packed,
    /// \[vocab\].
    pub bias: Option<&'a [f32]>,
    /// Caps logits z last: z becomes cap·tanh(z/cap).
    pub cap: Option<f32>,
}

impl Unembedding<'_> {
    /// The size of the vocabulary; the bias must have the same length.
    pub(crate) fn vocab(&self) -> usize {
        let vocab = self.weight.outputs();
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), vocab, "length of the unembedding's bias");
        }
        vocab
    }

    /// Packs states \[rows, model\] for [`Unembedding::logits`].
    pub(crate) fn pack(&self, states: ArrayView2<'_, f32>) -> PackedA {
        PackedA::new(states, self.weight.precision())
    }

    /// Writes the logits of some tokens for each of the packed states to `tile` \[rows, columns\].
    pub(crate) fn logits(
        &self,
        states: &PackedA,
        columns: Range<usize>,
        mut tile: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        self.uncapped(states, columns, tile.view_mut(), scratch);
        if let Some(most) = self.cap {
            for mut row in tile.outer_iter_mut() {
                cap(row.as_slice_mut().expect("a tile is contiguous"), most);
            }
        }
    }

    /// As [`Unembedding::logits`], before the cap.
    pub(crate) fn uncapped(
        &self,
        states: &PackedA,
        columns: Range<usize>,
        tile: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        let write = match self.bias {
            Some(bias) => Write::Biased(&bias[columns.clone()]),
            None => Write::Replace,
        };
        states.multiply(self.weight, columns, tile, write, scratch);
    }
}

/// Sums up the output distribution of each row of `states` \[seq, model\] (final-norm outputs).
///
/// Row `i` has the target `targets[i]`; rows past the end of `targets` have none.
/// NaN logits make `log_sum_exp` and `mean_logit` NaN.
///
/// # Panics
/// If the shapes do not fit, there are more targets than rows, or a target is not in the vocabulary.
///
/// ```
/// use layerwise_kernels::gemm::Packed;
/// use layerwise_kernels::vocabulary::{Unembedding, pass};
/// use ndarray::array;
///
/// let weight = Packed::new(array![[0.0, 1.0, 2.0]].view()); // [model, vocab]
/// let unembedding = Unembedding { weight: &weight, bias: None, cap: None };
/// let summaries = pass(array![[1.0]].view(), unembedding, &[1]); // the target of position 0 is token 1
/// assert_eq!((summaries[0].argmax, summaries[0].target_logit), (2, Some(1.0)));
/// let log_sum_exp = (1.0 + 1_f64.exp() + 2_f64.exp()).ln();
/// assert!((summaries[0].log_sum_exp - log_sum_exp).abs() < 1e-5); // nats
/// ```
pub fn pass(
    states: ArrayView2<'_, f32>,
    unembedding: Unembedding<'_>,
    targets: &[u32],
) -> Vec<Summary> {
    let mut sums = Sums::new(states, targets);
    each_tile(states, unembedding, |first_row, first_column, tile| {
        for (i, row) in tile.outer_iter().enumerate() {
            let row = row.to_slice().expect("a tile is contiguous");
            sums.absorb(first_row + i, first_column, row);
        }
    });
    sums.summaries()
}

/// Does what [`pass`] does, and also computes the expected unembedding row Σ_v p_v·W\[:, v\] of each position's distribution p,
/// \[seq, model\].
///
/// For another state t, Σ_v p_v·(z_v(t) − z_v(state)) = (t − state)·row: the cross term of KL(p ‖ q) without a vocabulary pass.
/// If the weight is packed in bf16, the p_v are rounded to bf16 relative to the largest, and divided by their sum.
///
/// # Panics
/// As [`pass`], and if the logits are capped: they are then not linear in the state, and [`pass_beside`] must be used.
pub fn pass_with_expected_rows(
    states: ArrayView2<'_, f32>,
    unembedding: Unembedding<'_>,
    targets: &[u32],
) -> (Vec<Summary>, Array2<f32>) {
    assert!(unembedding.cap.is_none(), "capped logits are not linear");
    let mut sums = Sums::new(states, targets);
    let precision = unembedding.weight.precision();
    let mut expected = Array2::zeros(states.dim());
    // The sum of the weights after rounding. Divided by it, they sum to 1, so that a constant added to all logits cancels.
    let mut weights = vec![0.0_f64; states.nrows()];
    let mut scratch = Scratch::default();
    let mut turned = None;
    each_tile(states, unembedding, |first_row, first_column, mut tile| {
        // Columns are the outer loop: the first tile transposes its part of W for all positions.
        if first_row == 0 {
            turned = Some(
                unembedding
                    .weight
                    .transposed(first_column..first_column + tile.ncols()),
            );
        }
        let mut expected = expected.slice_mut(s![first_row..first_row + tile.nrows(), ..]);
        for (i, mut row) in tile.outer_iter_mut().enumerate() {
            let row = row.as_slice_mut().expect("a tile is contiguous");
            let before = sums.running[first_row + i].maximum();
            sums.absorb(first_row + i, first_column, row);
            let maximum = sums.running[first_row + i].maximum();
            // As in the online softmax: sums relative to the old maximum become relative to the new one.
            if maximum > before {
                let factor = (before - maximum).exp();
                expected.row_mut(i).mapv_inplace(|value| value * factor);
                weights[first_row + i] *= f64::from(factor);
            }
            weights[first_row + i] += f64::from(exponentials(row, maximum, precision));
        }
        if let Some(turned) = &turned {
            multiply(
                tile.view(),
                turned,
                0..turned.outputs(),
                expected,
                Write::Add,
                &mut scratch,
            );
        }
    });
    for (mut row, sum) in expected.outer_iter_mut().zip(weights) {
        row.mapv_inplace(|value| (f64::from(value) / sum) as f32);
    }
    (sums.summaries(), expected)
}

/// Does what [`pass`] does, and also computes Σ_v p_v·(z_v − y_v) for each row. This is the cross term of KL(p ‖ q) between the
/// row's logits z and the logits y of other states, whose distributions p have the summaries `plain`.
///
/// It computes the logits of both, so it costs two passes. Capped logits need it.
///
/// # Panics
/// As [`pass`], or if the two differ in shape.
pub fn pass_beside(
    states: ArrayView2<'_, f32>,
    plain_states: ArrayView2<'_, f32>,
    plain: &[Summary],
    unembedding: Unembedding<'_>,
    targets: &[u32],
) -> (Vec<Summary>, Vec<f64>) {
    let mut sums = Sums::new(states, targets);
    let mut changes = vec![0.0_f64; states.nrows()];
    each_pair_of_rows(
        states,
        plain_states,
        unembedding,
        |row, first_column, logits, beside| {
            sums.absorb(row, first_column, logits);
            changes[row] += expected_change(logits, beside, plain[row].log_sum_exp);
        },
    );
    (sums.summaries(), changes)
}

/// Calls `visit(row, first column, logits, logits of the other state)` for every tile of every row of two arrays of states.
///
/// # Panics
/// If the two differ in shape.
pub(crate) fn each_pair_of_rows(
    states: ArrayView2<'_, f32>,
    others: ArrayView2<'_, f32>,
    unembedding: Unembedding<'_>,
    mut visit: impl FnMut(usize, usize, &[f32], &[f32]),
) {
    assert_eq!(
        states.dim(),
        others.dim(),
        "there is a plain state for each state"
    );
    let mut scratch = Scratch::default();
    let mut buffer = Vec::new();
    let mut packed = None;
    each_tile(states, unembedding, |first_row, first_column, tile| {
        let rows = first_row..first_row + tile.nrows();
        buffer.resize(tile.len(), 0.0);
        let mut beside = tile_of(&mut buffer, tile.nrows(), tile.ncols());
        // With a single tile of positions, its states are packed once for all columns.
        let is_packed = matches!(&packed, Some((first, _)) if *first == first_row);
        if !is_packed {
            packed = Some((
                first_row,
                unembedding.pack(others.slice(s![rows.clone(), ..])),
            ));
        }
        if let Some((_, packed)) = &packed {
            let columns = first_column..first_column + tile.ncols();
            unembedding.logits(packed, columns, beside.view_mut(), &mut scratch);
        }
        for (i, row) in tile.outer_iter().enumerate() {
            let row = row.to_slice().expect("a tile is contiguous");
            let beside = beside.row(i);
            let beside = beside.to_slice().expect("a tile is contiguous");
            visit(rows.start + i, first_column, row, beside);
        }
    });
}

/// Σ_v e^{y_v − log_sum_exp}·(z_v − y_v) over some tokens.
fn expected_change(logits: &[f32], plain: &[f32], log_sum_exp: f64) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    for (z, y) in logits.chunks(LANES).zip(plain.chunks(LANES)) {
        for ((lane, z), y) in lanes.iter_mut().zip(z).zip(y) {
            let (z, y) = (f64::from(*z), f64::from(*y));
            *lane += f64::from(exp((y - log_sum_exp) as f32)) * (z - y);
        }
    }
    lanes.iter().sum()
}

/// The most bytes that [`pass_beside`] over `rows` states of width `model` allocates.
pub fn most_bytes_beside(rows: usize, model: usize, vocab: usize) -> usize {
    let tile = tile_rows(rows, model, 1) * TILE_COLUMNS.min(vocab) * size_of::<f32>();
    // While states are packed, those packed before are still in memory.
    most_bytes(rows, model, vocab)
        + tile
        + 2 * PackedA::most_bytes(rows, model)
        + Scratch::most_bytes(rows, model)
        + rows * size_of::<f64>()
}

/// The most bytes that a pass over `rows` states of width `model` allocates, apart from the expected rows that it returns.
pub fn most_bytes(rows: usize, model: usize, vocab: usize) -> usize {
    let columns = TILE_COLUMNS.min(vocab);
    let tile = tile_rows(rows, model, 1) * columns * size_of::<f32>();
    let packed = PackedA::most_bytes(rows, model);
    // While a part of W is transposed, the part before it is still in memory.
    let turned = 2 * Packed::bytes(columns, model);
    let scratch = Scratch::most_bytes(rows, columns);
    let sums = size_of::<OnlineSoftmax>() + size_of::<Option<f32>>() + size_of::<Summary>();
    tile + packed + turned + scratch + rows * sums
}

/// The sums of every position, and the target logits seen so far.
struct Sums<'a> {
    running: Vec<OnlineSoftmax>,
    targets: &'a [u32],
    target_logits: Vec<Option<f32>>,
}

impl<'a> Sums<'a> {
    fn new(states: ArrayView2<'_, f32>, targets: &'a [u32]) -> Self {
        assert!(targets.len() <= states.nrows(), "a target belongs to a row");
        Self {
            running: vec![OnlineSoftmax::default(); states.nrows()],
            targets,
            target_logits: vec![None; states.nrows()],
        }
    }

    fn absorb(&mut self, position: usize, first_column: usize, logits: &[f32]) {
        absorb(&mut self.running[position], logits, first_column);
        if let Some(&target) = self.targets.get(position)
            && let Some(column) = (target as usize).checked_sub(first_column)
            && let Some(logit) = logits.get(column)
        {
            self.target_logits[position] = Some(*logit);
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        for (target, logit) in self.targets.iter().zip(&self.target_logits) {
            assert!(
                logit.is_some(),
                "target {target} lies outside the vocabulary"
            );
        }
        let rows = self.running.iter().zip(&self.target_logits);
        rows.map(|(running, target_logit)| running.summary(*target_logit))
            .collect()
    }
}

/// Calls `visit(first row, first column, logits)` for every tile of the logits. Columns are the outer loop.
pub(crate) fn each_tile(
    states: ArrayView2<'_, f32>,
    unembedding: Unembedding<'_>,
    mut visit: impl FnMut(usize, usize, ArrayViewMut2<'_, f32>),
) {
    let (vocab, seq) = (unembedding.vocab(), states.nrows());
    let tile_rows = tile_rows(seq, states.ncols(), 1);
    let rows = (0..seq)
        .step_by(tile_rows)
        .map(|first| first..seq.min(first + tile_rows));
    let packed: Vec<_> = rows
        .map(|rows| {
            (
                rows.start,
                rows.len(),
                unembedding.pack(states.slice(s![rows, ..])),
            )
        })
        .collect();
    let mut scratch = Scratch::default();
    let mut buffer = vec![0.0; tile_rows.min(seq) * TILE_COLUMNS.min(vocab)];
    for first_column in (0..vocab).step_by(TILE_COLUMNS) {
        let columns = first_column..vocab.min(first_column + TILE_COLUMNS);
        for (first_row, rows, packed) in &packed {
            let mut tile = tile_of(&mut buffer, *rows, columns.len());
            unembedding.logits(packed, columns.clone(), tile.view_mut(), &mut scratch);
            visit(*first_row, first_column, tile);
        }
    }
}

/// The front of a buffer as a tile \[rows, columns\].
pub(crate) fn tile_of(buffer: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), &mut buffer[..rows * columns])
        .expect("the buffer has rows × columns elements")
}

/// Adds some logits of a position to its sums.
fn absorb(running: &mut OnlineSoftmax, logits: &[f32], first_column: usize) {
    // Most tiles do not raise the maximum, and then one pass over the logits is enough.
    let (top, mut sum, mut weighted) = exponential_sums(logits, running.maximum());
    running.rank(top, logits, first_column);
    if top > running.maximum() {
        running.raise(top);
        (_, sum, weighted) = exponential_sums(logits, top);
    }
    running.add(f64::from(sum), f64::from(weighted));
}

vectorized! {
    /// z ← e^{z − top}, rounded to a number format. Gives the sum of the results.
    fn exponentials(logits: &mut [f32], top: f32, precision: Precision) -> f32 {
        let mut sums = [0.0_f32; LANES];
        for chunk in logits.chunks_mut(LANES) {
            for (z, sum) in chunk.iter_mut().zip(&mut sums) {
                *z = precision.round(exp(*z - top));
                *sum += *z;
            }
        }
        sums.iter().sum()
    }

    /// (largest z, Σ e^{z − top}, Σ (z − top)·e^{z − top}). The sums are meaningful only if no z is above `top`.
    fn exponential_sums(logits: &[f32], top: f32) -> (f32, f32, f32) {
        let mut largest = [f32::NEG_INFINITY; LANES];
        let mut sums = [0.0_f32; LANES];
        let mut weighted = [0.0_f32; LANES];
        let (chunks, rest) = logits.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let z = chunk[lane];
                largest[lane] = if z > largest[lane] { z } else { largest[lane] };
                let d = z - top;
                let e = exp(d);
                sums[lane] += e;
                weighted[lane] = d.mul_add(e, weighted[lane]);
            }
        }
        for (lane, &z) in rest.iter().enumerate() {
            largest[lane] = if z > largest[lane] { z } else { largest[lane] };
            let e = exp(z - top);
            sums[lane] += e;
            weighted[lane] = (z - top).mul_add(e, weighted[lane]);
        }
        let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        (largest, sums.iter().sum(), weighted.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use proptest::prelude::*;

    /// One row's distribution in f64: (log-sum-exp, mean logit, probabilities).
    fn reference(logits: &[f64]) -> (f64, f64, Vec<f64>) {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lse = top + logits.iter().map(|z| (z - top).exp()).sum::<f64>().ln();
        let p: Vec<f64> = logits.iter().map(|z| (z - lse).exp()).collect();
        let mean = p.iter().zip(logits).map(|(p, z)| p * z).sum();
        (lse, mean, p)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn summaries_agree_with_f64(rows in 1usize..20, model in 1usize..24, vocab in 1usize..1300, seed: u64, size in 0.1f32..3.0, with_bias: bool, bf16: bool) {
            let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
            let states = noise(rows, model, seed) * size;
            let table = noise(vocab, model, seed ^ 77) * size;
            let bias: Vec<f32> = noise(1, vocab, seed ^ 5).into_raw_vec_and_offset().0;
            let packed = Packed::rounded(table.t(), precision);
            let unembedding = Unembedding { weight: &packed, bias: with_bias.then_some(&bias), cap: None };
            let targets: Vec<u32> = (0..rows - 1).map(|i| (i * 37 % vocab) as u32).collect();
            let summaries = pass(states.view(), unembedding, &targets);
            let (again, expected) = pass_with_expected_rows(states.view(), unembedding, &targets);
            prop_assert_eq!(&again, &summaries);
            let (states, table) = [states, table].map(|values| values.mapv(|value| precision.round(value))).into();
            let exact = states.mapv(f64::from).dot(&table.t().mapv(f64::from));
            for i in 0..rows {
                let mut z = exact.row(i).to_vec();
                if with_bias { z.iter_mut().zip(&bias).for_each(|(z, b)| *z += f64::from(*b)); }
                let (lse, mean, p) = reference(&z);
                let scale = 1.0 + z.iter().fold(0.0_f64, |m, z| m.max(z.abs()));
                let s = summaries[i];
                prop_assert!((s.log_sum_exp - lse).abs() < 2e-6 * scale, "{} against {lse}", s.log_sum_exp);
                prop_assert!((s.mean_logit - mean).abs() < 1e-5 * scale, "{} against {mean}", s.mean_logit);
                let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                prop_assert!(z[s.argmax as usize] > top - 1e-5 * scale);
                match (s.target_logit, targets.get(i)) {
                    (Some(got), Some(t)) => prop_assert!((f64::from(got) - z[*t as usize]).abs() < 1e-5 * scale),
                    (None, None) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
                for c in 0..model {
                    let row: f64 = p.iter().zip(table.column(c)).map(|(p, w)| p * f64::from(*w)).sum();
                    // In bf16 each probability is rounded too, by at most 2⁻⁹ of itself, and so is their sum.
                    let largest = table.column(c).iter().fold(0.0_f64, |m, w| m.max(f64::from(w.abs())));
                    let rounding = if bf16 { largest / 256.0 } else { 0.0 };
                    prop_assert!((f64::from(expected[(i, c)]) - row).abs() < 2e-5 * f64::from(size) * scale + rounding);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn capped_logits_are_compared_as_they_are(rows in 1usize..20, model in 1usize..24, vocab in 1usize..900, seed: u64, most in 0.5f32..20.0) {
            let [states, others] = [seed, seed ^ 3].map(|seed| noise(rows, model, seed) * 3.0);
            let table = noise(vocab, model, seed ^ 77);
            let packed = Packed::new(table.t());
            let unembedding = Unembedding { weight: &packed, bias: None, cap: Some(most) };
            let plain = pass(others.view(), unembedding, &[]);
            let (summaries, changes) = pass_beside(states.view(), others.view(), &plain, unembedding, &[]);
            prop_assert_eq!(&summaries, &pass(states.view(), unembedding, &[]));
            let capped = |states: &Array2<f32>| {
                let logits = states.mapv(f64::from).dot(&table.t().mapv(f64::from));
                logits.mapv(|z| f64::from(most) * (z / f64::from(most)).tanh())
            };
            let (z, y) = (capped(&states), capped(&others));
            for i in 0..rows {
                let (lse, mean, _) = reference(&z.row(i).to_vec());
                let (_, _, p) = reference(&y.row(i).to_vec());
                let scale = 1.0 + f64::from(most);
                prop_assert!((summaries[i].log_sum_exp - lse).abs() < 2e-6 * scale);
                prop_assert!((summaries[i].mean_logit - mean).abs() < 1e-5 * scale);
                let change: f64 = p.iter().zip(z.row(i)).zip(y.row(i)).map(|((p, z), y)| p * (z - y)).sum();
                prop_assert!((changes[i] - change).abs() < 1e-5 * scale, "{} {change}", changes[i]);
            }
        }
    }

    #[test]
    fn no_positions_have_no_distributions() {
        let unembedding = Unembedding {
            weight: &Packed::new(noise(4, 300, 1).view()),
            bias: None,
            cap: None,
        };
        let none = Array2::zeros((0, 4));
        assert_eq!(pass(none.view(), unembedding, &[]), []);
        let (summaries, expected) = pass_with_expected_rows(none.view(), unembedding, &[]);
        assert_eq!((summaries, expected), (vec![], none));
    }

    #[test]
    fn positions_are_shared_out_in_tiles_of_like_size() {
        for (seq, model, tiles, expected) in [
            (0, 768, 1, 12),
            (1, 768, 1, 12),
            (200, 768, 1, 204),
            (511, 768, 1, 264),
            (1023, 4096, 1, 264),
            (511, 576, 1, 264),
            (511, 768, 3, 180),
        ] {
            let rows = tile_rows(seq, model, tiles);
            assert_eq!(
                rows, expected,
                "{seq} positions of width {model}, {tiles} tiles"
            );
        }
    }

    #[test]
    fn a_position_does_not_depend_on_its_neighbours() {
        // More than one tile of positions.
        let states = noise(1500, 24, 3);
        let table = noise(1100, 24, 4);
        let unembedding = Unembedding {
            weight: &Packed::new(table.t()),
            bias: None,
            cap: None,
        };
        let all = pass(states.view(), unembedding, &[]);
        for rows in [1, 2, 7, 8, 33, 1100] {
            assert_eq!(
                pass(states.slice(s![..rows, ..]), unembedding, &[]),
                all[..rows]
            );
        }
    }

    #[test]
    fn the_lowest_of_equal_tokens_wins() {
        let table = Array2::ones((1500, 4));
        let states = Array2::ones((1, 4));
        let summary = pass(
            states.view(),
            Unembedding {
                weight: &Packed::new(table.t()),
                bias: None,
                cap: None,
            },
            &[],
        )[0];
        assert_eq!(summary.argmax, 0);
        assert!((summary.log_sum_exp - summary.mean_logit - 1500_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn the_most_probable_tokens_are_those_of_the_whole_row() {
        for vocab in [1, 3, 5, 6, 300, 1500] {
            let table = noise(vocab, 4, 9).mapv(|value| (value * 8.0).round());
            let states = noise(40, 4, 8).mapv(|value| (value * 4.0).round());
            let unembedding = Unembedding {
                weight: &Packed::new(table.t()),
                bias: None,
                cap: None,
            };
            let summaries = pass(states.view(), unembedding, &[]);
            let logits = states.dot(&table.t());
            for (summary, row) in summaries.iter().zip(logits.outer_iter()) {
                // Many are equal: the lowest ids come first.
                let mut tokens: Vec<u32> = (0..vocab as u32).collect();
                tokens.sort_by(|a, b| {
                    let [a, b] = [a, b].map(|token| row[*token as usize]);
                    b.partial_cmp(&a).unwrap()
                });
                tokens.resize(vocab.max(TOP), u32::MAX);
                assert_eq!(summary.top, tokens[..TOP], "{vocab} tokens");
                assert_eq!(summary.argmax, tokens[0]);
            }
        }
    }

    #[test]
    fn not_a_number_is_not_hidden() {
        let mut states = Array2::ones((2, 4));
        states[(1, 2)] = f32::NAN;
        let table = Array2::ones((600, 4));
        let summaries = pass(
            states.view(),
            Unembedding {
                weight: &Packed::new(table.t()),
                bias: None,
                cap: None,
            },
            &[],
        );
        assert!(summaries[0].log_sum_exp.is_finite());
        assert!(!summaries[1].log_sum_exp.is_finite());
    }
}
