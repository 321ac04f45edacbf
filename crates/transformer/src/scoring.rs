//! From products of queries and keys to attention weights: scale, soft cap, ALiBi, window, softmax.

use layerwise_architecture::{Alibi, Attention, ModelConfig};
use layerwise_kernels::activation::cap;
use layerwise_kernels::gemm::Precision;
use layerwise_kernels::softmax::causal_softmax;
use layerwise_schedule::{Mask, UnitRanges};
use ndarray::{Array2, ArrayViewMut2, Axis};
use std::ops::Range;

/// How the scores of one block become weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scoring<'a> {
    scale: f32,
    attention: &'a Attention,
    cap: Option<f32>,
    /// \[heads, keys\].
    biases: Option<&'a Array2<f32>>,
}

impl<'a> Scoring<'a> {
    pub(crate) fn new(
        config: &ModelConfig,
        attention: &'a Attention,
        biases: Option<&'a Array2<f32>>,
    ) -> Self {
        let of_width = || 1.0 / (config.head as f64).sqrt();
        Self {
            scale: attention.scale.unwrap_or_else(of_width) as f32,
            attention,
            cap: config.score_cap.map(|cap| cap as f32),
            biases,
        }
    }

    /// The first key that the query at a position attends to.
    pub(crate) fn first_key(&self, position: usize) -> usize {
        self.attention.first_key(position)
    }

    /// Turns scores \[queries, keys\] of a head into weights, in place. The first row is the query at `position`, the first
    /// column the key at `start`; no query's window begins before `start`.
    pub(crate) fn weigh(
        &self,
        mut scores: ArrayViewMut2<'_, f32>,
        position: usize,
        start: usize,
        head: usize,
        hidden: Option<&Hidden>,
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
        if let Some(hidden) = hidden {
            return self.weigh_seen(scores, position, start, scale, |query, key| {
                hidden.hides(head, query, key)
            });
        }
        if self.attention.window.is_none() {
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

impl Scoring<'_> {
    /// Weights of the keys that are not hidden; hidden keys get 0.
    fn weigh_seen(
        &self,
        mut scores: ArrayViewMut2<'_, f32>,
        position: usize,
        start: usize,
        scale: f32,
        hides: impl Fn(usize, usize) -> bool,
    ) {
        for (i, mut row) in scores.outer_iter_mut().enumerate() {
            let query = position + i;
            let seen: Vec<usize> = (self.first_key(query)..=query)
                .filter(|key| !hides(query, *key))
                .collect();
            let mut own = Array2::from_shape_fn((1, seen.len()), |(_, at)| row[seen[at] - start]);
            row.fill(0.0);
            if !seen.is_empty() {
                causal_softmax(own.view_mut(), seen.len() - 1, scale);
            }
            for (key, weight) in seen.into_iter().zip(own) {
                row[key - start] = weight;
            }
        }
    }
}

/// The keys that edits hide from the queries of a block, in one sequence.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    /// The width of each window, and whether it hides position 0 too.
    windows: Vec<(usize, bool)>,
    cuts: Vec<Cut>,
    /// Keys hidden from all queries, ascending.
    absent: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Cut {
    heads: UnitRanges,
    queries: Vec<Range<usize>>,
    keys: Vec<Range<usize>>,
}

impl Hidden {
    /// `None` if nothing is hidden in a sequence that ends at `end`, which may be part of a longer one.
    pub(crate) fn new<'m>(masks: impl Iterator<Item = &'m Mask>, end: usize) -> Option<Self> {
        let (mut windows, mut cuts) = (Vec::new(), Vec::new());
        for mask in masks {
            match mask {
                Mask::Window { width, strict } if *width < end => windows.push((*width, *strict)),
                Mask::Cut {
                    heads,
                    queries,
                    keys,
                } => {
                    let rows = |positions: &layerwise_schedule::Positions| {
                        let len = match positions.count_from_end() {
                            true => end,
                            false => usize::MAX / 4,
                        };
                        positions.within(0..end, len)
                    };
                    cuts.push(Cut {
                        heads: heads.clone(),
                        queries: rows(queries),
                        keys: rows(keys),
                    });
                }
                _ => {}
            }
        }
        let absent = Vec::new();
        (!windows.is_empty() || !cuts.is_empty()).then_some(Self {
            windows,
            cuts,
            absent,
        })
    }

    /// Keys at ascending positions, hidden from every query.
    pub(crate) fn absent(absent: &[usize]) -> Self {
        Self {
            windows: Vec::new(),
            cuts: Vec::new(),
            absent: absent.to_vec(),
        }
    }

    fn hides(&self, head: usize, query: usize, key: usize) -> bool {
        let among = |rows: &[Range<usize>], at| rows.iter().any(|rows| rows.contains(&at));
        let mut windows = self.windows.iter();
        windows.any(|(width, strict)| key + width <= query && (*strict || key > 0))
            || self.cuts.iter().any(|cut| {
                cut.heads.contains(head) && among(&cut.queries, query) && among(&cut.keys, key)
            })
            || self.absent.binary_search(&key).is_ok()
    }
}

/// The biases added to the scaled scores of each head, by key, \[heads, keys\].
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
