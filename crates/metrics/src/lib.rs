//! Statistics on arrays: divergences between next-token distributions, means with standard errors
//! clustered by sequence, moments, alignment of layers, probes, and matrix factorisations.
//!
//! The crate knows no model and does no I/O.
//! Its functions over whole rows of logits are slow, exact to `f64` rounding, and short enough to check by eye.
//! Faster passes elsewhere are tested against them.
//!
//! - [`divergence`]: entropy, Kullback–Leibler divergence, loss and arg-max of whole rows of logits;
//! - [`streamed`]: the same quantities from the few sums of one streamed pass over the vocabulary;
//! - [`ClusteredMean`]: a mean over positions with its standard error clustered by sequence;
//! - [`Moments`]: mean, variance, skewness and kurtosis of values that arrive in pieces; [`median`];
//! - [`Cka`]: centred kernel alignment between layers, over batches;
//! - [`correlation`]: Pearson's and Spearman's correlation;
//! - [`logistic_regression`]: the linear probe for two classes; [`Standardizer`]: features on one scale;
//! - [`support_vectors`]: support vector machines, linear or with a Gaussian kernel; [`ChainField`]: labels along a chain, by a
//!   conditional random field;
//! - [`threshold`]: decisions by a threshold on a score, and their accuracy;
//! - [`group_folds`]: cross-validation that keeps groups together;
//! - [`Anisotropy`] and [`cosine`]: the angle between word states, after removing the direction that all share;
//! - [`Resamples`]: bootstrap intervals for any statistic of independent units;
//! - [`curve`]: curves over depth, numbers read off them, and those numbers on resamples of the units;
//! - [`Gaussian`]: normal numbers for simulations;
//! - [`mcnemar`]: McNemar's test of whether two decisions on the same items differ;
//! - [`rescale`]: curves on a common grid of depths and a common scale;
//! - [`factorization`]: least squares, Cholesky, symmetric eigenvalues and ridge regression, in pure Rust or
//!   through the system's LAPACK (feature `lapack`).
//!
//! ```
//! use layerwise_metrics::{ClusteredMean, divergence};
//! use ndarray::array;
//!
//! // KL(plain ‖ altered) in nats at the two positions of each of two sequences over a vocabulary of 3.
//! let plain = array![0.0_f32, 1.0, 2.0];
//! let altered = array![0.0_f32, 1.0, 1.5];
//! let kl = divergence::kl_nats(plain.view(), altered.view())?;
//!
//! let mut mean = ClusteredMean::new();
//! mean.push(kl, 2);
//! mean.push(kl, 2);
//! assert_eq!(mean.mean(), Some(kl / 2.0));
//! assert_eq!(mean.standard_error(), Some(0.0));
//! # Ok::<(), layerwise_metrics::MetricsError>(())
//! ```

mod anisotropy;
mod chain;
mod cka;
mod clustered;
pub mod correlation;
pub mod curve;
pub mod distribution;
pub mod divergence;
mod error;
pub mod factorization;
mod folds;
mod gaussian;
mod logistic;
mod matrix;
mod mcnemar;
mod median;
mod moments;
mod resampling;
pub mod rescale;
mod standardizer;
pub mod streamed;
mod svm;
pub mod threshold;

pub use anisotropy::{Anisotropy, cosine};
pub use chain::{Chain, ChainField};
pub use cka::Cka;
pub use clustered::{Cluster, ClusteredMean, ClusteredRatio};
pub use error::MetricsError;
pub use folds::group_folds;
pub use gaussian::Gaussian;
pub use logistic::{LogisticFit, logistic_regression, logistic_regression_while};
pub use mcnemar::mcnemar;
pub use median::median;
pub use moments::Moments;
pub use resampling::{Draws, Interval, Resamples, errors_in_interval, estimated_errors, one_sided};
pub use standardizer::Standardizer;
pub use svm::{Kernel, SVM_TOLERANCE, SupportVectors, support_vectors};
