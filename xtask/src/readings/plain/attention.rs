//! Attention to the tokens just before a query (paper B.6).

use crate::readings::notebook::Sum;
use ndarray::{Array2, ArrayView3};
use serde::{Deserialize, Serialize};

/// Distances, and numbers of preceding tokens, that are measured.
pub const TOKENS: [usize; 5] = [1, 2, 4, 8, 16];

/// Distances of the published notebook: the five tokens before the query.
pub const PREVIOUS: usize = 5;

/// Weights of one block on one sequence, summed over queries and averaged over heads.
#[derive(Clone, Serialize, Deserialize)]
pub struct Locality {
    /// At each distance i of [`TOKENS`], over the queries i..T−1.
    pub offset: [Sum; TOKENS.len()],
    /// On the k preceding tokens together, over the queries k..T−1: those that have as many. A shorter window would hold
    /// position 0, which draws weight wherever there is nothing to attend to.
    pub cumulative: [Sum; TOKENS.len()],
    /// At the distances 1 to 5, over all pairs of a query and a token before it, position 0 among them, as the published
    /// notebook has it. It counts pairs.
    pub previous_five: Sum,
}

/// Sums up an attention pattern \[heads, seq, seq\].
pub fn locality(pattern: ArrayView3<'_, f32>) -> Locality {
    let (heads, seq, _) = pattern.dim();
    let farthest = TOKENS[TOKENS.len() - 1];
    // Mean over heads of the weight of query q on the token i before it; zero where there is none.
    let mut weights = Array2::<f64>::zeros((seq, farthest + 1));
    for head in pattern.outer_iter() {
        for (query, row) in head.outer_iter().enumerate() {
            for distance in 1..=farthest.min(query) {
                weights[(query, distance)] += f64::from(row[query - distance]);
            }
        }
    }
    weights /= heads as f64;
    let sum = |distances: std::ops::RangeInclusive<usize>, first: usize| -> f64 {
        (first..seq)
            .map(|query| {
                distances
                    .clone()
                    .map(|distance| weights[(query, distance)])
                    .sum::<f64>()
            })
            .sum()
    };
    let count = |distance: usize| seq.saturating_sub(distance) as u64;
    Locality {
        offset: TOKENS.map(|i| Sum {
            sum: sum(i..=i, i),
            count: count(i),
        }),
        cumulative: TOKENS.map(|k| Sum {
            sum: sum(1..=k, k),
            count: count(k),
        }),
        previous_five: Sum {
            sum: sum(1..=PREVIOUS, 1),
            count: (1..=PREVIOUS).map(count).sum(),
        },
    }
}
