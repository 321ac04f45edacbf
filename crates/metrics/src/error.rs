//! The crate's error type.

/// Why a statistic cannot be computed from the given numbers.
///
/// Indices and shapes are those of the caller's arrays.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A row of logits has no entries.
    #[error("a row of logits is empty; it must have one entry for each token")]
    EmptyRow,
    /// A logit is NaN or +∞.
    #[error("the logit of token {token} is {found}; logits must be finite or -inf")]
    InvalidLogit {
        /// Token id of the first such logit.
        token: usize,
        /// The value found.
        found: f64,
    },
    /// Every logit of a row is −∞, so the row is not a distribution.
    #[error("all {vocab} logits of a row are -inf; at least one must be finite")]
    NoFiniteLogit {
        /// Length of the row.
        vocab: usize,
    },
    /// Two rows to be compared differ in length.
    #[error(
        "two rows of logits have {expected} and {found} entries; rows to be compared must have the same length"
    )]
    RowLengths {
        /// Length of the first row.
        expected: usize,
        /// Length of the second row.
        found: usize,
    },
    /// The target token is not in the vocabulary.
    #[error("target token {target} is outside the vocabulary; ids must be below {vocab}")]
    TargetOutOfRange {
        /// The target's id.
        target: usize,
        /// Length of the row of logits.
        vocab: usize,
    },
    /// A token has probability 0 in the second distribution but not in the first.
    #[error(
        "the KL divergence is infinite: token {token} has probability {probability:e} in the first row and 0 in the second"
    )]
    InfiniteDivergence {
        /// The first such token.
        token: usize,
        /// Its probability in the first row.
        probability: f64,
    },
    /// The target token has probability 0.
    #[error("the loss is infinite: target token {target} has probability 0")]
    InfiniteLoss {
        /// The target's id.
        target: usize,
    },
    /// There are too few units for resampling.
    #[error("an interval needs at least {least} units, found {found}")]
    TooFewUnits {
        /// The smallest number of units.
        least: usize,
        /// The number of units.
        found: usize,
    },
    /// A statistic is not defined on the units, or on too many draws of them.
    #[error(
        "the statistic is not defined on the units themselves, or on more than one draw in twenty: it is defined on {defined} of {draws}"
    )]
    UndefinedStatistic {
        /// The number of draws on which it is defined.
        defined: usize,
        /// The number of draws.
        draws: usize,
    },
    /// A point of a curve has another number of units than the first point.
    #[error(
        "point {index} of a curve has {found} units and the first point has {expected}; all points must have the same units"
    )]
    UnitNumbers {
        /// Index of the first such point.
        index: usize,
        /// Units of the first point.
        expected: usize,
        /// Units of this point: of its sums or of its counts.
        found: usize,
    },
    /// Two clustered means with different numbers of clusters cannot be subtracted.
    #[error(
        "means over {expected} and {found} clusters cannot be subtracted; both must be over the same clusters"
    )]
    ClusterNumbers {
        /// Clusters of the first mean.
        expected: usize,
        /// Clusters of the second mean.
        found: usize,
    },
    /// Two clustered means with different counts in a cluster cannot be subtracted.
    #[error(
        "means cannot be subtracted: cluster {cluster} has {expected} observations in the first and {found} in the second"
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
    #[error("matrix {matrix} is {rows} x {columns}; it must have {expected}")]
    Shape {
        /// Name of the argument.
        matrix: &'static str,
        /// What the matrix must have.
        expected: String,
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A matrix holds NaN or an infinity.
    #[error(
        "matrix {matrix} has {found} in row {row}, column {column}; all entries must be finite"
    )]
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
        "matrix {matrix} is not symmetric: it has {found} in row {row}, column {column}, and {mirrored} in row {column}, column {row}"
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
    #[error("matrix {matrix} ({size} x {size}) is not positive definite")]
    NotPositiveDefinite {
        /// Name of the argument.
        matrix: &'static str,
        /// Number of rows and columns.
        size: usize,
    },
    /// A ridge penalty is negative or not a finite number.
    #[error("the ridge penalty is {found}; it must be finite and at least 0")]
    InvalidPenalty {
        /// The value found.
        found: f64,
    },
    /// An iterative factorisation did not converge.
    #[error("the {factorization} of a {rows} x {columns} matrix did not converge")]
    NoConvergence {
        /// Which factorisation.
        factorization: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// The number of layers is not that of the alignment.
    #[error("the alignment has {expected} layers, but {found} were given; give as many")]
    LayerNumbers {
        /// Layers of the alignment.
        expected: usize,
        /// Layers given.
        found: usize,
    },
    /// The number of terms does not fit the number of layers.
    #[error("an alignment was given {found} terms, but its layers have {expected}")]
    Terms {
        /// Terms that the layers have.
        expected: usize,
        /// Terms given.
        found: usize,
    },
    /// A layer has a different number of samples than the first one.
    #[error(
        "layer {layer} has {found} samples and layer 0 has {expected}; layers of a batch must have the same number of samples"
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
    #[error("a batch has {found} samples; an alignment of layers needs at least {expected}")]
    TooFewSamples {
        /// Fewest samples.
        expected: usize,
        /// Samples of the batch.
        found: usize,
    },
    /// A state is NaN or infinite.
    #[error(
        "the state of layer {layer} has {found} in row {row}, column {column}; all entries must be finite"
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
        "the states of layer {layer} do not vary in any batch, so its similarity to other layers is not defined"
    )]
    NoVariance {
        /// Index of the first such layer.
        layer: usize,
    },
    /// An alignment without batches has no similarity.
    #[error("an alignment of layers has no batches; it needs at least one")]
    NoBatches,
    /// A curve has no points.
    #[error("a curve has no points; it needs at least one")]
    EmptyCurve,
    /// A point of a curve is not finite, or its depth is not beyond that of the point before.
    #[error(
        "point {point} of a curve is {value} at depth {depth}; numbers must be finite, and depths must increase"
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
    #[error("the score of sample {sample} is NaN")]
    InvalidScore {
        /// Index of the first such sample.
        sample: usize,
    },
    /// Fewer than two states have no standard deviation.
    #[error("{found} states have no standard deviation; give at least 2")]
    TooFewStates {
        /// States.
        found: u64,
    },
    /// There are no samples to choose a threshold from.
    #[error("a threshold cannot be chosen without samples")]
    NoScores,
    /// The grid of thresholds is empty.
    #[error("a threshold cannot be chosen from an empty grid")]
    NoThresholds,
    /// A threshold is NaN.
    #[error("threshold {index} of the grid is NaN")]
    InvalidThreshold {
        /// Index of the first such threshold.
        index: usize,
    },
    /// Groups cannot be divided into this many folds.
    #[error(
        "{groups} groups cannot be divided into {folds} folds; take at least 2 folds, and no more than there are groups"
    )]
    Folds {
        /// The number of folds.
        folds: usize,
        /// The number of distinct groups.
        groups: usize,
    },
    /// The numbers of labels and samples differ.
    #[error("there are {found} labels for {expected} samples; each sample needs one")]
    LabelNumbers {
        /// Number of samples.
        expected: usize,
        /// Number of labels.
        found: usize,
    },
    /// All samples have one label.
    #[error("all {samples} samples have the label {class}; both labels must occur")]
    OneClass {
        /// The label of all.
        class: bool,
        /// Number of samples.
        samples: usize,
    },
    /// The C of a classifier is not a positive finite number.
    #[error("the inverse penalty C is {found}; it must be positive and finite")]
    InvalidInversePenalty {
        /// The value found.
        found: f64,
    },
    /// The γ of a kernel is not a positive finite number.
    #[error("the kernel's γ is {found}; it must be positive and finite")]
    InvalidKernel {
        /// The value found.
        found: f64,
    },
    /// A fit was given up, because its caller asked for that.
    #[error("the fit was given up")]
    GivenUp,
    /// A logistic regression did not converge.
    #[error(
        "the logistic regression of {samples} samples with {features} features did not converge: the norm of its gradient is {gradient:e}, but should be at most {tolerance:e}"
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
    /// A support vector machine did not converge.
    #[error(
        "the support vector machine did not converge within {changes} updates of its weights; scale the features, or lower C"
    )]
    MachineNotConverged {
        /// The number of updates of a pair of weights.
        changes: usize,
    },
    /// A conditional random field did not converge.
    #[error(
        "the chain field did not converge in {steps} steps: the largest entry of its gradient is {gradient:e}, but should be at most {tolerance:e}; scale the features"
    )]
    ChainNotConverged {
        /// The number of steps taken.
        steps: usize,
        /// The gradient's largest entry at the end.
        gradient: f64,
        /// The entry at which it counts as converged.
        tolerance: f64,
    },
    /// The number of parameters of a chain does not fit its number of features.
    #[error("a chain has {found} parameters, but its features need {expected}")]
    ChainParameters {
        /// The number of parameters for its features.
        expected: usize,
        /// The number of parameters given.
        found: usize,
    },
}
