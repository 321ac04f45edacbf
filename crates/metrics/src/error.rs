//! The crate's error type.

/// Why a statistic cannot be computed from the given numbers.
///
/// Indices and shapes are those of the caller's arrays.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A row of logits has no entries.
    #[error("row of logits: expected at least one entry, found none")]
    EmptyRow,
    /// A logit is NaN or +∞.
    #[error("logit of token {token}: expected a finite number or -inf, found {found}")]
    InvalidLogit {
        /// Token id of the first such logit.
        token: usize,
        /// The value found.
        found: f64,
    },
    /// Every logit of a row is −∞, so that it stands for no distribution.
    #[error("row of {vocab} logits: expected at least one finite entry, found only -inf")]
    NoFiniteLogit {
        /// Length of the row.
        vocab: usize,
    },
    /// Two rows that are compared differ in length.
    #[error("second row of logits: expected {expected} entries as in the first, found {found}")]
    RowLengths {
        /// Length of the first row.
        expected: usize,
        /// Length of the second row.
        found: usize,
    },
    /// The target token is not in the vocabulary.
    #[error("target token: expected an id below {vocab}, found {target}")]
    TargetOutOfRange {
        /// The target's id.
        target: usize,
        /// Length of the row of logits.
        vocab: usize,
    },
    /// The first distribution gives a token weight to which the second gives none.
    #[error(
        "KL divergence is infinite: token {token} has probability {probability:e} in the first row \
         and 0 in the second"
    )]
    InfiniteDivergence {
        /// First token id of that kind.
        token: usize,
        /// Its probability in the first row.
        probability: f64,
    },
    /// The target token has probability 0.
    #[error("loss is infinite: target token {target} has probability 0")]
    InfiniteLoss {
        /// The target's id.
        target: usize,
    },
    /// Two clustered means that are subtracted are not over the same clusters.
    #[error("paired difference: expected {expected} clusters as in the first mean, found {found}")]
    ClusterNumbers {
        /// Clusters of the first mean.
        expected: usize,
        /// Clusters of the second mean.
        found: usize,
    },
    /// A cluster has different counts in two clustered means that are subtracted.
    #[error(
        "paired difference, cluster {cluster}: expected {expected} observations as in the first mean, \
         found {found}"
    )]
    ClusterCounts {
        /// Index of the first such cluster.
        cluster: usize,
        /// Its count in the first mean.
        expected: u64,
        /// Its count in the second mean.
        found: u64,
    },
    /// A matrix has a shape that does not fit.
    #[error("matrix {matrix}: expected {expected}, found {rows} x {columns}")]
    Shape {
        /// Name of the argument.
        matrix: &'static str,
        /// What was expected.
        expected: String,
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A matrix holds NaN or an infinity.
    #[error("matrix {matrix}, row {row}, column {column}: expected a finite number, found {found}")]
    NotFinite {
        /// Name of the argument.
        matrix: &'static str,
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
        /// The value found.
        found: f64,
    },
    /// A matrix that must be symmetric is not.
    #[error(
        "matrix {matrix}: expected a symmetric matrix, found {found} in row {row}, column {column} \
         against {mirrored} in row {column}, column {row}"
    )]
    NotSymmetric {
        /// Name of the argument.
        matrix: &'static str,
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
        /// The entry.
        found: f64,
        /// The entry across the diagonal.
        mirrored: f64,
    },
    /// A matrix that must be positive definite is not, to working precision.
    #[error(
        "matrix {matrix} ({size} x {size}): expected a positive definite matrix, found one that is not"
    )]
    NotPositiveDefinite {
        /// Name of the argument.
        matrix: &'static str,
        /// Number of rows and columns.
        size: usize,
    },
    /// A ridge penalty is negative or not a finite number.
    #[error("ridge penalty: expected a finite number of at least 0, found {found}")]
    InvalidPenalty {
        /// The value found.
        found: f64,
    },
    /// An iterative factorisation did not converge.
    #[error("{factorization} of a {rows} x {columns} matrix: expected convergence, found none")]
    NoConvergence {
        /// Which factorisation.
        factorization: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// Layers that are aligned are not as many as expected.
    #[error("alignment of layers: expected {expected} layers, found {found}")]
    LayerNumbers {
        /// Layers of the alignment.
        expected: usize,
        /// Layers given.
        found: usize,
    },
    /// A layer has another number of samples than the first one.
    #[error(
        "alignment of layers, layer {layer}: expected {expected} samples as in layer 0, found {found}"
    )]
    LayerSamples {
        /// Index of the first such layer.
        layer: usize,
        /// Samples of layer 0.
        expected: usize,
        /// Samples of this layer.
        found: usize,
    },
    /// A batch has too few samples for an unbiased estimate.
    #[error("alignment of layers: expected at least {expected} samples in a batch, found {found}")]
    TooFewSamples {
        /// Fewest samples.
        expected: usize,
        /// Samples of the batch.
        found: usize,
    },
    /// A state is NaN or infinite.
    #[error(
        "alignment of layers, layer {layer}, row {row}, column {column}: expected a finite number, found {found}"
    )]
    StateNotFinite {
        /// Index of the first such layer.
        layer: usize,
        /// Row (sample) of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
        /// The value found.
        found: f32,
    },
    /// A layer's states do not vary from sample to sample.
    #[error(
        "alignment of layers, layer {layer}: expected states that vary, found none in any batch"
    )]
    NoVariance {
        /// Index of the first such layer.
        layer: usize,
    },
    /// An alignment was asked for without any batch.
    #[error("alignment of layers: expected at least one batch, found none")]
    NoBatches,
    /// A curve without points.
    #[error("curve: expected at least one point, found none")]
    EmptyCurve,
    /// A point of a curve is not finite or not beyond the one before it.
    #[error(
        "curve, point {point}: expected a finite value at a finite depth beyond the point before,          found {value} at depth {depth}"
    )]
    InvalidPoint {
        /// Index of the first such point.
        point: usize,
        /// Its relative depth.
        depth: f64,
        /// Its value.
        value: f64,
    },
    /// A score is NaN.
    #[error("score of sample {sample}: expected a number, found NaN")]
    InvalidScore {
        /// Index of the first such sample.
        sample: usize,
    },
    /// A threshold was to be chosen without samples.
    #[error("choice of a threshold: expected at least one sample, found none")]
    NoScores,
    /// A threshold was to be chosen from none.
    #[error("choice of a threshold: expected at least one threshold, found none")]
    NoThresholds,
    /// A threshold is NaN.
    #[error("threshold {index} of the grid: expected a number, found NaN")]
    InvalidThreshold {
        /// Index of the first such threshold.
        index: usize,
    },
    /// Groups cannot be spread over so many folds.
    #[error(
        "cross-validation: expected at least 2 folds and at most as many as the {groups} groups, found {folds}"
    )]
    Folds {
        /// The number of folds.
        folds: usize,
        /// The number of distinct groups.
        groups: usize,
    },
    /// There are not as many labels as samples.
    #[error("labels: expected {expected}, one a sample, found {found}")]
    LabelNumbers {
        /// Number of samples.
        expected: usize,
        /// Number of labels.
        found: usize,
    },
    /// All samples have one label.
    #[error("labels: expected samples of both classes, found {samples} that are all {class}")]
    OneClass {
        /// The label of all.
        class: bool,
        /// Number of samples.
        samples: usize,
    },
    /// The C of a logistic regression is not a positive finite number.
    #[error("inverse penalty C: expected a positive finite number, found {found}")]
    InvalidInversePenalty {
        /// The value found.
        found: f64,
    },
    /// A logistic regression did not converge.
    #[error(
        "logistic regression of {samples} samples of {features} features: expected a gradient of norm \
         {tolerance:e} at most, found {gradient:e}"
    )]
    LogisticNotConverged {
        /// Number of samples.
        samples: usize,
        /// Number of features.
        features: usize,
        /// The gradient's norm at the end.
        gradient: f64,
        /// The norm at which it counts as converged.
        tolerance: f64,
    },
}
