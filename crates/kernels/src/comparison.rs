//! Comparisons of many distributions over the vocabulary with one reference, position by position.
//!
//! A logit lens turns every residual stream of a sequence into a distribution and compares it with the output.
//! [`compare`] passes over the vocabulary once, in tiles of columns. It computes the logits of the reference once for all states.
//! The logits of each state serve two lenses: one takes them as they are, the other rescales them ([`Rescaling`]).
//! Both directions of the Kullback–Leibler divergence need only sums of differences of logits:
//!
//! KL(p ‖ q) = (ℓ_q − ℓ_p) − Σ_v p_v·(z_q,v − z_p,v), and KL(q ‖ p) likewise with p and q exchanged.

use crate::activation::cap;
use crate::cpu::vectorized;
use crate::elementary::exp;
use crate::gemm::Scratch;
use crate::lanes::{LANES, maximum};
use crate::online_softmax::{OnlineSoftmax, Summary};
use crate::vocabulary::{TILE_COLUMNS, Unembedding, pass, tile_of, tile_rows};
use ndarray::{ArrayView2, s};

/// One position's distribution q = softmax(z_q), compared with the reference's p = softmax(z_p).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The sums over q. There is no target.
    pub summary: Summary,
    /// Σ_v p_v·(z_q,v − z_p,v), nats: the term of KL(p ‖ q) besides the two log-sum-exps.
    pub change_under_reference: f64,
    /// Σ_v q_v·(z_p,v − z_q,v), nats: the same term of KL(q ‖ p).
    pub change_under_own: f64,
}

/// A second lens on logits z: scale·(z − shift). If logits are capped, the cap is applied last in both lenses.
#[derive(Clone, Copy, Debug)]
pub struct Rescaling<'a> {
    /// The scale of each state at each position, \[states, seq\].
    pub scales: ArrayView2<'a, f32>,
    /// \[vocab\]; `None` stands for zeros.
    pub shift: Option<&'a [f32]>,
}

/// The result of [`compare`].
#[derive(Clone, Debug, PartialEq)]
pub struct Comparisons {
    /// For the logits as they are, \[states\]\[seq\].
    pub plain: Vec<Vec<Comparison>>,
    /// For the rescaled logits, \[states\]\[seq\].
    pub rescaled: Vec<Vec<Comparison>>,
    /// The reference's own distributions, \[seq\].
    pub reference: Vec<Summary>,
}

/// Compares each row of each state \[seq, model\] with the same row of `reference` \[seq, model\]. All are final-norm outputs.
///
/// Memory does not grow with the vocabulary: logits are held in tiles. NaN logits make sums NaN.
/// `go_on` is called before every tile.
///
/// # Errors
/// That of `go_on`, which ends the comparison.
///
/// # Panics
/// If the shapes do not fit.
pub fn compare<E>(
    reference: ArrayView2<'_, f32>,
    states: &[ArrayView2<'_, f32>],
    unembedding: Unembedding<'_>,
    rescaling: Rescaling<'_>,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<Comparisons, E> {
    let (seq, vocab) = (reference.nrows(), unembedding.vocab());
    for state in states {
        assert_eq!(state.dim(), reference.dim(), "a state and the reference");
    }
    assert_eq!(
        rescaling.scales.dim(),
        (states.len(), seq),
        "scales of states and positions"
    );
    if let Some(shift) = rescaling.shift {
        assert_eq!(shift.len(), vocab, "length of the shift");
    }
    // Probabilities of the reference need its log-sum-exp, so the reference goes through a pass of its own first.
    let summaries = pass(reference, unembedding, &[]);
    let mut plain = vec![vec![Running::default(); seq]; states.len()];
    let mut rescaled = plain.clone();
    let tile_rows = tile_rows(seq, reference.ncols(), 3);
    let size = tile_rows.min(seq) * TILE_COLUMNS.min(vocab);
    let mut buffers = [vec![0.0; size], vec![0.0; size], vec![0.0; size]];
    let mut second = vec![0.0; TILE_COLUMNS.min(vocab)];
    let mut scratch = Scratch::default();
    for first_row in (0..seq).step_by(tile_rows) {
        let rows = first_row..seq.min(first_row + tile_rows);
        let there = s![rows.clone(), ..];
        let packed_reference = unembedding.pack(reference.slice(there));
        let packed_states: Vec<_> = states
            .iter()
            .map(|state| unembedding.pack(state.slice(there)))
            .collect();
        for first_column in (0..vocab).step_by(TILE_COLUMNS) {
            go_on()?;
            let columns = first_column..vocab.min(first_column + TILE_COLUMNS);
            let shift = rescaling.shift.map(|shift| &shift[columns.clone()]);
            let second = &mut second[..columns.len()];
            let [mut theirs, mut weights, mut tile] = buffers
                .each_mut()
                .map(|buffer| tile_of(buffer, rows.len(), columns.len()));
            unembedding.logits(
                &packed_reference,
                columns.clone(),
                theirs.view_mut(),
                &mut scratch,
            );
            weights.assign(&theirs);
            for (mut row, summary) in weights.outer_iter_mut().zip(&summaries[rows.clone()]) {
                let row = row.as_slice_mut().expect("a tile is contiguous");
                probabilities(row, summary.log_sum_exp as f32);
            }
            for (state, packed) in packed_states.iter().enumerate() {
                unembedding.uncapped(packed, columns.clone(), tile.view_mut(), &mut scratch);
                for (row, position) in rows.clone().enumerate() {
                    let [theirs, weights] = [theirs.row(row), weights.row(row)]
                        .map(|row| row.to_slice().expect("a tile is contiguous"));
                    let mut z = tile.row_mut(row);
                    let z = z.as_slice_mut().expect("a tile is contiguous");
                    rescale(z, shift, rescaling.scales[(state, position)], second);
                    if let Some(most) = unembedding.cap {
                        cap(z, most);
                        cap(second, most);
                    }
                    plain[state][position].absorb(z, theirs, weights, first_column);
                    rescaled[state][position].absorb(second, theirs, weights, first_column);
                }
            }
        }
    }
    let finished = |running: Vec<Vec<Running>>| {
        let row = |row: Vec<Running>| row.iter().map(Running::comparison).collect();
        running.into_iter().map(row).collect()
    };
    Ok(Comparisons {
        plain: finished(plain),
        rescaled: finished(rescaled),
        reference: summaries,
    })
}

/// The sums of one position.
#[derive(Clone, Copy, Default)]
struct Running {
    softmax: OnlineSoftmax,
    /// Σ (z_p − z)·e^{z − maximum}.
    own: f64,
    /// Σ p·(z − z_p).
    reference: f64,
}

impl Running {
    fn absorb(&mut self, logits: &[f32], theirs: &[f32], weights: &[f32], first_column: usize) {
        let tile = sums(logits, theirs, weights);
        self.softmax.rank(tile.top, logits, first_column);
        if tile.top > self.softmax.maximum()
            && let Some(factor) = self.softmax.raise(tile.top)
        {
            self.own *= factor;
        }
        let (sum, weighted) = (f64::from(tile.sum), f64::from(tile.weighted));
        let factor = self.softmax.add_relative_to(tile.top, sum, weighted);
        self.own += factor * f64::from(tile.own);
        self.reference += f64::from(tile.reference);
    }

    fn comparison(&self) -> Comparison {
        Comparison {
            summary: self.softmax.summary(None),
            change_under_reference: self.reference,
            change_under_own: self.own / self.softmax.sum(),
        }
    }
}

/// The sums over one tile of a row; exponentials are relative to the tile's largest logit.
struct TileSums {
    top: f32,
    sum: f32,
    weighted: f32,
    own: f32,
    reference: f32,
}

vectorized! {
    /// z ← e^{z − log_sum_exp}.
    fn probabilities(logits: &mut [f32], log_sum_exp: f32) {
        for z in logits {
            *z = exp(*z - log_sum_exp);
        }
    }

    /// out ← scale·(z − shift).
    fn rescale(logits: &[f32], shift: Option<&[f32]>, scale: f32, out: &mut [f32]) {
        match shift {
            None => out.iter_mut().zip(logits).for_each(|(o, z)| *o = scale * z),
            Some(shift) => {
                for ((o, z), shift) in out.iter_mut().zip(logits).zip(shift) {
                    *o = scale * (z - shift);
                }
            }
        }
    }

    /// The sums over one tile of a row z, given the reference's logits and probabilities there.
    fn sums(logits: &[f32], theirs: &[f32], weights: &[f32]) -> TileSums {
        let top = maximum(logits);
        let mut lanes = [[0.0_f32; LANES]; 4];
        let [sum, weighted, own, reference] = &mut lanes;
        let (chunks, rest) = logits.as_chunks::<LANES>();
        let (their_chunks, their_rest) = theirs.as_chunks::<LANES>();
        let (weight_chunks, weight_rest) = weights.as_chunks::<LANES>();
        for ((chunk, theirs), weights) in chunks.iter().zip(their_chunks).zip(weight_chunks) {
            for lane in 0..LANES {
                let (d, e) = (chunk[lane] - top, exp(chunk[lane] - top));
                let change = chunk[lane] - theirs[lane];
                sum[lane] += e;
                weighted[lane] = d.mul_add(e, weighted[lane]);
                own[lane] = e.mul_add(-change, own[lane]);
                reference[lane] = weights[lane].mul_add(change, reference[lane]);
            }
        }
        for (lane, ((z, theirs), weight)) in rest.iter().zip(their_rest).zip(weight_rest).enumerate() {
            let (d, e) = (z - top, exp(z - top));
            let change = z - theirs;
            sum[lane] += e;
            weighted[lane] = d.mul_add(e, weighted[lane]);
            own[lane] = e.mul_add(-change, own[lane]);
            reference[lane] = weight.mul_add(change, reference[lane]);
        }
        let [sum, weighted, own, reference] = lanes.map(|lanes| lanes.iter().sum());
        TileSums { top, sum, weighted, own, reference }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::Packed;
    use crate::noise::noise;
    use ndarray::{Array1, Array2};
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn log_sum_exp(z: &Array1<f64>) -> f64 {
        let top = z.fold(f64::NEG_INFINITY, |m, z| m.max(*z));
        top + z.mapv(|z| (z - top).exp()).sum().ln()
    }

    /// Checks a comparison against the same quantities from whole rows of logits in f64.
    fn check(
        found: &Comparison,
        z: &Array1<f64>,
        theirs: &Array1<f64>,
    ) -> Result<(), TestCaseError> {
        let scale = 1.0 + z.iter().chain(theirs).fold(0.0_f64, |m, z| m.max(z.abs()));
        let (lse, their_lse) = (log_sum_exp(z), log_sum_exp(theirs));
        let (q, p) = (
            z.mapv(|z| (z - lse).exp()),
            theirs.mapv(|z| (z - their_lse).exp()),
        );
        let change = z - theirs;
        let expected = [
            lse,
            (&q * z).sum(),
            (&p * &change).sum(),
            -(&q * &change).sum(),
        ];
        let found_values = [
            found.summary.log_sum_exp,
            found.summary.mean_logit,
            found.change_under_reference,
            found.change_under_own,
        ];
        for (found, expected) in found_values.iter().zip(expected) {
            prop_assert!(
                (found - expected).abs() < 2e-5 * scale,
                "{found} against {expected}"
            );
        }
        let top = z.fold(f64::NEG_INFINITY, |m, z| m.max(*z));
        prop_assert!(z[found.summary.argmax as usize] > top - 1e-5 * scale);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn comparisons_agree_with_whole_logits(seq in 1usize..70, model in 1usize..20, vocab in 1usize..1300, seed: u64, size in 0.1f32..2.0, with_bias: bool, with_shift: bool) {
            let table = noise(vocab, model, seed ^ 77) * size;
            let packed = Packed::new(table.t());
            let [bias, shift] = [5, 6].map(|salt| noise(1, vocab, seed ^ salt).into_raw_vec_and_offset().0);
            let unembedding = Unembedding { weight: &packed, bias: with_bias.then_some(&bias), cap: None };
            let reference = noise(seq, model, seed) * size;
            let states = [noise(seq, model, seed ^ 1) * (3.0 * size), reference.clone()];
            let scales = noise(2, seq, seed ^ 2).mapv(f32::abs);
            let rescaling = Rescaling { scales: scales.view(), shift: with_shift.then_some(&shift) };
            let views = [states[0].view(), states[1].view()];
            let Ok(found) = compare(reference.view(), &views, unembedding, rescaling, || Ok::<(), Infallible>(()));
            prop_assert_eq!(&found.reference, &pass(reference.view(), unembedding, &[]));
            let exact = |state: &Array2<f32>, position: usize| -> Array1<f64> {
                let mut z = state.row(position).mapv(f64::from).dot(&table.t().mapv(f64::from));
                if with_bias { z.iter_mut().zip(&bias).for_each(|(z, b)| *z += f64::from(*b)); }
                z
            };
            for position in 0..seq {
                let theirs = exact(&reference, position);
                for (state, states) in states.iter().enumerate() {
                    let mut z = exact(states, position);
                    check(&found.plain[state][position], &z, &theirs)?;
                    if with_shift { z.iter_mut().zip(&shift).for_each(|(z, b)| *z -= f64::from(*b)); }
                    z *= f64::from(scales[(state, position)]);
                    check(&found.rescaled[state][position], &z, &theirs)?;
                }
                // The second state is the reference itself.
                prop_assert_eq!(found.plain[1][position].change_under_reference, 0.0);
                prop_assert_eq!(found.plain[1][position].change_under_own, 0.0);
            }
        }
    }

    #[test]
    fn a_position_does_not_depend_on_its_neighbours() {
        let table = noise(1100, 24, 4);
        let packed = Packed::new(table.t());
        let unembedding = Unembedding {
            weight: &packed,
            bias: None,
            cap: None,
        };
        let (reference, state) = (noise(140, 24, 3), noise(140, 24, 9));
        let scales = noise(1, 140, 5);
        let run = |rows: usize| {
            let there = s![..rows, ..];
            let rescaling = Rescaling {
                scales: scales.slice(s![.., ..rows]),
                shift: None,
            };
            let Ok(found) = compare(
                reference.slice(there),
                &[state.slice(there)],
                unembedding,
                rescaling,
                || Ok::<(), Infallible>(()),
            );
            found
        };
        let all = run(140);
        for rows in [1, 7, 63, 65] {
            let fewer = run(rows);
            assert_eq!(fewer.plain[0], all.plain[0][..rows]);
            assert_eq!(fewer.rescaled[0], all.rescaled[0][..rows]);
            assert_eq!(fewer.reference, all.reference[..rows]);
        }
    }
}
