//! Centred kernel alignment between the layers of a model.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::MetricsError;

/// The smallest number of samples in a batch: the estimator divides by N − 3.
const FEWEST_SAMPLES: usize = 4;

/// If centring leaves less than this share of a Gram matrix's sum of squares, the rest counts as rounding error.
const NO_VARIANCE: f64 = 1e-20;

/// Linear centred kernel alignment (CKA) between layers, with the unbiased HSIC averaged over batches (Nguyen, Raghu and
/// Kornblith 2021; paper B.7 and section E).
///
/// With X_i the states `[samples, width]` of layer i in one batch of N samples, and K̃_i the Gram matrix X_i·X_iᵀ with its
/// diagonal set to zero,
///
/// HSIC(i, j) = \[tr(K̃_i·K̃_j) + (1ᵀK̃_i1)(1ᵀK̃_j1)/((N−1)(N−2)) − 2·1ᵀK̃_i·K̃_j1/(N−2)\] / (N(N−3)),
///
/// CKA(i, j) = HSIC(i, j)/√(HSIC(i, i)·HSIC(j, j)), each HSIC averaged over batches first.
///
/// It has no unit. It is 1 for layers that differ by a rotation, a factor and a shift. For unrelated layers it is about 0,
/// and may be negative.
/// Computed in `f64`.
///
/// ```
/// use layerwise_metrics::Cka;
/// use ndarray::array;
///
/// let states = array![[1.0_f32, 0.0], [0.0, 2.0], [3.0, 1.0], [1.0, 1.0], [2.0, 5.0]];
/// let scaled = &states * -2.0;
/// let mut cka = Cka::new(2);
/// cka.push(&[states.view(), scaled.view()])?;
/// assert!((cka.similarity()?[[0, 1]] - 1.0).abs() < 1e-12);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cka {
    /// Σ HSIC(i, j) over batches, `[layers, layers]`.
    hsic: Array2<f64>,
    /// The sum over batches of the upper bound of HSIC(i, i), `[layers]`.
    magnitudes: Array1<f64>,
    batches: u64,
}

impl Cka {
    /// An alignment of `layers` layers, without batches.
    pub fn new(layers: usize) -> Self {
        Self {
            hsic: Array2::zeros((layers, layers)),
            magnitudes: Array1::zeros(layers),
            batches: 0,
        }
    }

    /// Σ HSIC(i, j) over the batches.
    pub fn hsic(&self, i: usize, j: usize) -> f64 {
        self.hsic[(i, j)]
    }

    /// Adds one batch: the states `[samples, width]` of each layer, row by row of the same samples.
    ///
    /// Layers may differ in width, and batches in samples; each batch has the same weight.
    /// Takes layers × samples²/2 numbers of 8 bytes of temporary memory.
    ///
    /// # Errors
    ///
    /// There must be as many layers as the alignment was made for, all with the same number of samples, at least 4, and no NaN or
    /// infinity. An error leaves the alignment unchanged.
    pub fn push(&mut self, states: &[ArrayView2<'_, f32>]) -> Result<(), MetricsError> {
        let samples = self.check(states)?;
        let pairs = samples * (samples - 1) / 2;
        let mut centred = Array2::zeros((states.len(), pairs));
        let scale = 2.0 / (samples * (samples - 3)) as f64;
        for ((layer, row), magnitude) in states
            .iter()
            .zip(centred.outer_iter_mut())
            .zip(&mut self.magnitudes)
        {
            *magnitude += scale * centred_gram(*layer, row);
        }
        self.hsic.scaled_add(scale, &centred.dot(&centred.t()));
        self.batches += 1;
        Ok(())
    }

    /// Adds the batches of another alignment of the same layers, after its own.
    ///
    /// # Errors
    ///
    /// Both must have the same number of layers.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if self.magnitudes.len() != other.magnitudes.len() {
            return Err(MetricsError::LayerNumbers {
                expected: self.magnitudes.len(),
                found: other.magnitudes.len(),
            });
        }
        self.hsic += &other.hsic;
        self.magnitudes += &other.magnitudes;
        self.batches += other.batches;
        Ok(())
    }

    /// The numbers summed over batches: HSIC(i, j), `[layers, layers]` row by row, then for each layer the bound that
    /// distinguishes its variance from rounding errors.
    pub fn terms(&self) -> impl Iterator<Item = f64> + '_ {
        self.hsic.iter().chain(&self.magnitudes).copied()
    }

    /// The number of [terms](Cka::terms) of `layers` layers.
    pub fn terms_of(layers: usize) -> usize {
        layers * (layers + 1)
    }

    /// The alignment over one batch, from its [terms](Cka::terms).
    ///
    /// # Errors
    ///
    /// The number of terms must be that of `layers` layers.
    pub fn of_one_batch(layers: usize, terms: &[f64]) -> Result<Self, MetricsError> {
        if terms.len() != Self::terms_of(layers) {
            return Err(MetricsError::Terms {
                expected: Self::terms_of(layers),
                found: terms.len(),
            });
        }
        let (hsic, magnitudes) = terms.split_at(layers * layers);
        Ok(Self {
            hsic: Array2::from_shape_fn((layers, layers), |(i, j)| hsic[i * layers + j]),
            magnitudes: Array1::from(magnitudes.to_vec()),
            batches: 1,
        })
    }

    /// Number of batches.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// CKA between each two layers, `[layers, layers]`, symmetric with ones on the diagonal.
    ///
    /// # Errors
    ///
    /// There must be a batch, and every layer must vary. HSIC(i, i) is 0 for a layer whose samples are all equal, or all
    /// but one.
    pub fn similarity(&self) -> Result<Array2<f64>, MetricsError> {
        if self.batches == 0 {
            return Err(MetricsError::NoBatches);
        }
        let own = self.hsic.diag();
        for (layer, (&own, &magnitude)) in own.iter().zip(&self.magnitudes).enumerate() {
            if own <= NO_VARIANCE * magnitude {
                return Err(MetricsError::NoVariance { layer });
            }
        }
        let scales = own.mapv(f64::sqrt);
        Ok(Array2::from_shape_fn(self.hsic.dim(), |(i, j)| {
            if i == j {
                1.0
            } else {
                self.hsic[[i, j]] / (scales[i] * scales[j])
            }
        }))
    }

    /// Checks a batch; returns its number of samples.
    fn check(&self, states: &[ArrayView2<'_, f32>]) -> Result<usize, MetricsError> {
        if states.len() != self.magnitudes.len() {
            return Err(MetricsError::LayerNumbers {
                expected: self.magnitudes.len(),
                found: states.len(),
            });
        }
        let samples = states.first().map_or(0, |layer| layer.nrows());
        if samples < FEWEST_SAMPLES {
            return Err(MetricsError::TooFewSamples {
                expected: FEWEST_SAMPLES,
                found: samples,
            });
        }
        for (layer, states) in states.iter().enumerate() {
            if states.nrows() != samples {
                return Err(MetricsError::LayerSamples {
                    layer,
                    expected: samples,
                    found: states.nrows(),
                });
            }
            let mut entries = states.indexed_iter();
            if let Some(((row, column), &found)) = entries.find(|(_, entry)| !entry.is_finite()) {
                return Err(MetricsError::StateNotFinite {
                    layer,
                    row,
                    column,
                    found,
                });
            }
        }
        Ok(samples)
    }
}

/// Writes the upper triangle of a layer's U-centred Gram matrix, row after row without the diagonal. Returns the triangle's sum
/// of squares before centring.
///
/// U-centring (Székely and Rizzo 2014) subtracts from K̃_ab, a ≠ b, the sums of its row and of its column, each divided by
/// N − 2, and adds the sum of all entries, divided by (N−1)(N−2).
/// HSIC(i, j) is then the inner product of two centred matrices over N(N−3): no large terms cancel, and the matrix of
/// HSIC is positive semidefinite by construction.
/// A shift of the states does not change it, so their mean is subtracted first: streams with a large mean then lose no digits.
fn centred_gram(states: ArrayView2<'_, f32>, mut triangle: ndarray::ArrayViewMut1<'_, f64>) -> f64 {
    let samples = states.nrows();
    let states = states.mapv(f64::from);
    let mean = states.sum_axis(Axis(0)) / samples as f64;
    let states = states - mean;
    let mut gram = states.dot(&states.t());
    gram.diag_mut().fill(0.0);
    let shares = gram.sum_axis(Axis(1)) / (samples - 2) as f64;
    let share = shares.sum() / (samples - 1) as f64;
    let (mut start, mut squares) = (0, 0.0);
    for (a, row) in gram.outer_iter().enumerate() {
        let end = start + samples - 1 - a;
        let centred = triangle.slice_mut(s![start..end]);
        for ((centred, &entry), &column_share) in centred
            .into_iter()
            .zip(row.slice(s![a + 1..]))
            .zip(shares.slice(s![a + 1..]))
        {
            squares += entry * entry;
            *centred = entry - shares[a] - column_share + share;
        }
        start = end;
    }
    squares
}
