//! Similarity of the blocks' residual streams, with both estimators of B.7.

use crate::experiments::cka::Estimator;
use layerwise::metrics::{Cka, MetricsError};
use ndarray::{Array2, ArrayView2, s};

/// Sequences of one batch of last positions, where there are as many.
pub const BATCH: usize = 128;

/// The fewest vectors of a batch: the estimator divides by their number less 3.
const FEWEST: usize = 4;

/// Positions of a sequence that the estimator over all tokens takes, for time and memory: 1 to 512.
pub const POSITIONS: usize = 512;

/// Sequences that it takes: the first ones.
pub const SEQUENCES: usize = 32;

/// The streams of one sequence after each block.
pub struct Streams {
    /// Positions 1.., of which the last is always there; others only where all of them are compared.
    blocks: Vec<Array2<f32>>,
    all: bool,
}

/// What one sequence adds to the similarities.
#[derive(Clone)]
pub struct Vectors {
    /// The last position after each block, \[layers\]\[model\].
    last: Vec<Vec<f32>>,
    /// The positions of this sequence as a batch, with how many they are.
    all: Option<(Cka, usize)>,
}

/// The similarity of each two blocks by one estimator.
pub struct Similarity {
    /// The estimator.
    pub estimator: Estimator,
    /// CKA, \[layers, layers\].
    pub cka: Array2<f64>,
    /// Batches.
    pub batches: u64,
    /// Vectors of the smallest batch.
    pub samples: u64,
}

impl Streams {
    /// The streams of the sequence of this index in the corpus.
    pub fn of(sequence: usize) -> Self {
        Self {
            blocks: Vec::new(),
            all: sequence < SEQUENCES,
        }
    }

    /// Takes `resid.post` of one block after another, \[seq, model\].
    pub fn observe(&mut self, activation: ArrayView2<'_, f32>) {
        let from = if self.all { 1 } else { activation.nrows() - 1 };
        self.blocks
            .push(activation.slice(s![from.., ..]).to_owned());
    }

    /// What the sequence adds.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn vectors(self) -> Result<Vectors, MetricsError> {
        let last = |block: &Array2<f32>| block.row(block.nrows() - 1).to_vec();
        let positions = self.blocks.first().map_or(0, Array2::nrows).min(POSITIONS);
        let all = (self.all && positions >= FEWEST)
            .then(|| {
                let views: Vec<ArrayView2<'_, f32>> = self
                    .blocks
                    .iter()
                    .map(|block| block.slice(s![..positions, ..]))
                    .collect();
                let mut cka = Cka::new(views.len());
                cka.push(&views).map(|()| (cka, positions))
            })
            .transpose()?;
        Ok(Vectors {
            last: self.blocks.iter().map(last).collect(),
            all,
        })
    }
}

/// Puts the sequences together, in corpus order; an estimator without a batch is left out.
///
/// # Errors
/// Numbers that are not finite, or a block after which all vectors are alike.
pub fn similarities(sequences: &[&Vectors]) -> Result<Vec<Similarity>, MetricsError> {
    let layers = sequences.first().map_or(0, |vectors| vectors.last.len());
    let mut found = Vec::new();
    let size = BATCH.min(sequences.len());
    if size >= FEWEST {
        let mut cka = Cka::new(layers);
        for batch in sequences.chunks_exact(size) {
            let blocks: Vec<Array2<f32>> = (0..layers)
                .map(|layer| {
                    let width = batch[0].last[layer].len();
                    Array2::from_shape_fn((size, width), |(row, column)| {
                        batch[row].last[layer][column]
                    })
                })
                .collect();
            let views: Vec<ArrayView2<'_, f32>> = blocks.iter().map(|block| block.view()).collect();
            cka.push(&views)?;
        }
        found.push(Similarity {
            estimator: Estimator::LastToken,
            cka: cka.similarity()?,
            batches: cka.batches(),
            samples: size as u64,
        });
    }
    let batches: Vec<&(Cka, usize)> = sequences
        .iter()
        .filter_map(|vectors| vectors.all.as_ref())
        .collect();
    if let Some(samples) = batches.iter().map(|(_, samples)| *samples).min() {
        let mut cka = Cka::new(layers);
        for (batch, _) in batches {
            cka.merge(batch)?;
        }
        found.push(Similarity {
            estimator: Estimator::AllTokens,
            cka: cka.similarity()?,
            batches: cka.batches(),
            samples: samples as u64,
        });
    }
    Ok(found)
}
