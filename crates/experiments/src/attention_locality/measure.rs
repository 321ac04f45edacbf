//! Attention to the tokens just before a query (paper B.6).

use super::table::{Measure, Record};
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::plain::{GoOn, Observation, Observed, Watch};
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sum::{Sum, mean};
use crate::core::tables::Tables;
use layerwise_transformer::{Address, Model, Observer, Site};
use ndarray::{Array2, ArrayView3, ArrayViewD, Ix3};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Distances, and numbers of preceding tokens, to measure.
const TOKENS: [usize; 5] = [1, 2, 4, 8, 16];

/// Distances of the published notebook: the five tokens before the query.
const PREVIOUS: usize = 5;

/// Weights of one block on one sequence, summed over queries and averaged over heads.
#[derive(Clone, Serialize, Deserialize)]
pub struct Locality {
    /// At each distance i of `TOKENS`, over the queries i..T−1.
    pub offset: [Sum; TOKENS.len()],
    /// On the k preceding tokens together, over the queries k..T−1, which have k preceding tokens. A shorter window would include
    /// position 0, which draws weight wherever there is nothing else to attend to.
    pub cumulative: [Sum; TOKENS.len()],
    /// At the distances 1 to 5, over all pairs of a query and a token before it, including position 0, as in the published
    /// notebook. The count is of pairs.
    pub previous_five: Sum,
}

/// Sums up an attention pattern \[heads, seq, seq\].
fn locality(pattern: ArrayView3<'_, f32>) -> Locality {
    let (heads, seq, _) = pattern.dim();
    let farthest = TOKENS[TOKENS.len() - 1];
    // Mean over heads of the weight of query q on the token i before it; zero if there is no such token.
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

/// [`Locality`] of every block.
pub const LOCALITY: Attention = Attention;

/// See [`LOCALITY`].
pub struct Attention;

impl Observation for Attention {
    fn id(&self) -> &'static str {
        "attention"
    }

    fn begin<'m>(&self, _: &'m Model, _: usize) -> Box<dyn Watch + 'm> {
        Box::new(Blocks(Vec::new()))
    }

    fn fits(&self, left: &Value, layers: usize) -> bool {
        Vec::<Locality>::deserialize(left).is_ok_and(|blocks| blocks.len() == layers)
    }
}

/// One for each block so far.
struct Blocks(Vec<Locality>);

impl Observer for Blocks {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::AttnPattern
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let pattern = activation.into_dimensionality::<Ix3>();
        self.0.push(locality(
            pattern.expect("attention patterns are [heads, seq, seq]"),
        ));
    }
}

impl Watch for Blocks {
    fn finish(self: Box<Self>, _: GoOn<'_>) -> Result<Value, ExperimentError> {
        Ok(serde_json::to_value(self.0)?)
    }
}

/// The curve of the attention to the previous five by block, per pair.
pub const CURVE: &str = "attention previous_five";

/// Records the means over a text.
///
/// # Errors
/// None: the form of sums was checked when they were read.
pub fn record(
    subject: &Subject<'_>,
    observed: &Observed,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let sequences: Vec<Vec<Locality>> = observed.of(&LOCALITY)?;
    let layers = subject.model.config().layers;
    let blocks = sequences.first().map_or(0, Vec::len);
    for layer in 0..blocks {
        let mut record = |measure, tokens, of: &dyn Fn(&Locality) -> Sum| {
            let (attention, attention_se, sums) =
                mean(sequences.iter().map(|blocks| of(&blocks[layer])));
            // Sequences can be too short for a token at this distance.
            if sums.count() == 0 {
                return;
            }
            if measure == Measure::PreviousFive {
                tables.push(Units::of(subject.name, CURVE, TEXT, layer, &sums));
            }
            tables.push(Record {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                layer,
                layers,
                relative_depth: relative_depth(layer, layers),
                measure,
                tokens,
                attention,
                attention_se,
                sequences: observed.sequences(),
                positions: sums.count(),
            });
        };
        for (at, tokens) in TOKENS.into_iter().enumerate() {
            record(Measure::Offset, tokens, &|block| block.offset[at]);
        }
        for (at, tokens) in TOKENS.into_iter().enumerate() {
            record(Measure::Cumulative, tokens, &|block| block.cumulative[at]);
        }
        record(Measure::PreviousFive, PREVIOUS, &|block| {
            block.previous_five
        });
    }
    Ok(())
}
