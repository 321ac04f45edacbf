//! From products of queries and keys to attention weights: scale, cap, ALiBi, window, softmax.

use layerwise_architecture::{Alibi, Attention, ModelConfig};
use layerwise_kernels::activation::cap;
use layerwise_kernels::gemm::Precision;
use layerwise_kernels::softmax::causal_softmax;
use ndarray::{Array2, ArrayViewMut2, Axis};

/// How the scores of one block become weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scoring<'a> {
    scale: f32,
    window: Option<usize>,
    cap: Option<f32>,
    /// \[heads, keys\].
    biases: Option<&'a Array2<f32>>,
}

impl<'a> Scoring<'a> {
    pub(crate) fn new(
        config: &ModelConfig,
        attention: &Attention,
        biases: Option<&'a Array2<f32>>,
    ) -> Self {
        let of_width = || 1.0 / (config.head as f64).sqrt();
        Self {
            scale: attention.scale.unwrap_or_else(of_width) as f32,
            window: attention.window,
            cap: config.score_cap.map(|cap| cap as f32),
            biases,
        }
    }

    /// The first key that the query at a position sees.
    pub(crate) fn first_key(&self, position: usize) -> usize {
        self.window
            .map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Turns scores \[queries, keys\] of a head into weights, in place; the first row is the query at `position`, the first
    /// column the key at `start`, which no query's window begins before.
    pub(crate) fn weigh(
        &self,
        mut scores: ArrayViewMut2<'_, f32>,
        position: usize,
        start: usize,
        head: usize,
    ) {
        let mut scale = self.scale;
        if self.cap.is_some() || self.biases.is_some() {
            for (i, mut row) in scores.outer_iter_mut().enumerate() {
                let row = row.as_slice_mut().expect("rows of scores are contiguous");
                let row = &mut row[..position + i + 1 - start];
                row.iter_mut().for_each(|score| *score *= scale);
                if let Some(most) = self.cap {
                    cap(row, most);
                }
                if let Some(biases) = self.biases {
                    let biases = biases.row(head);
                    row.iter_mut()
                        .zip(biases.iter().skip(start))
                        .for_each(|(score, b)| *score += b);
                }
            }
            scale = 1.0;
        }
        if self.window.is_none() {
            return causal_softmax(scores, position, scale);
        }
        for (i, row) in scores.outer_iter_mut().enumerate() {
            let first = self.first_key(position + i);
            let (mut hidden, seen) = row.split_at(Axis(0), first - start);
            hidden.fill(0.0);
            causal_softmax(seen.insert_axis(Axis(0)), position + i - first, scale);
        }
    }
}

/// What is added to the scaled scores of each head, key by key, \[heads, keys\].
pub(crate) fn alibi_biases(kind: Alibi, heads: usize, head: usize, keys: usize) -> Array2<f32> {
    let slopes = Alibi::slopes(heads);
    let rounded = |value: f64| f64::from(Precision::Bf16.round(value as f32));
    Array2::from_shape_fn((heads, keys), |(h, key)| match kind {
        Alibi::Scaled => (slopes[h] * key as f64) as f32,
        Alibi::UnscaledInBf16 => {
            let bias = rounded(rounded(slopes[h]) * rounded(key as f64));
            (bias / (head as f64).sqrt()) as f32
        }
    })
}
