//! Prediction, suppression and partition neurons, from the weights alone.
//!
//! - **Stands for** the densities of Figures 8 and 17 of the NeurIPS version and of v1's and v3's figures, and the bands of
//!   kurtosis and skewness of the universal-neurons study.
//! - **Needs** any models, no text.
//! - **Computes** after folding (B.1) the cosine of each neuron's output weights with each token's column of the
//!   unembedding, and its population moments over the vocabulary, streamed (B.9).
//! - **Feeds the claims** D15, D16, D17, D18, and `stages`.

use super::table::record;

record! {
    /// One line of `neurons.csv`: the neurons of one block.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1).
        pub relative_depth: f64,
        /// Neurons of the block.
        pub neurons: usize,
        /// Neurons with kurtosis above 10 and positive skewness.
        pub prediction: usize,
        /// Neurons with kurtosis above 10 and negative skewness.
        pub suppression: usize,
        /// Neurons with variance above 0.005 and kurtosis below the normal distribution's, 3: the vocabulary in two large sets.
        pub partition: usize,
        /// Prediction neurons, percent of the block's.
        pub prediction_percent: f64,
        /// Suppression neurons, percent.
        pub suppression_percent: f64,
        /// Partition neurons, percent.
        pub partition_percent: f64,
        /// 5th percentile of the kurtosis over neurons (not excess: 3 is normal).
        pub kurtosis_p05: f64,
        /// 25th percentile.
        pub kurtosis_p25: f64,
        /// Median.
        pub kurtosis_p50: f64,
        /// 75th percentile.
        pub kurtosis_p75: f64,
        /// 95th percentile.
        pub kurtosis_p95: f64,
        /// 5th percentile of the skewness over neurons.
        pub skewness_p05: f64,
        /// 25th percentile.
        pub skewness_p25: f64,
        /// Median.
        pub skewness_p50: f64,
        /// 75th percentile.
        pub skewness_p75: f64,
        /// 95th percentile.
        pub skewness_p95: f64,
        /// Median skewness of the neurons with kurtosis above 10.
        pub heavy_skewness_p50: Option<f64>,
    }
    key(model, layer) fault(|_| None)
}
