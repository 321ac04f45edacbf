//! Standardised features: mean 0 and deviation 1.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis};

use crate::MetricsError;
use crate::matrix::{check_finite, column_means, shape};

/// The map (x − μ)/σ of each feature, with the mean μ and the population standard deviation σ of the samples that it was fitted
/// to.
///
/// It is fitted to the training samples and applied to every split (paper B.12).
/// A constant feature is shifted but not scaled.
///
/// ```
/// use layerwise_metrics::Standardizer;
/// use ndarray::array;
///
/// let train = array![[1.0_f32, 5.0], [3.0, 5.0]];
/// let standardizer = Standardizer::fit(train.view())?;
/// assert_eq!(standardizer.apply(train.view())?, array![[-1.0, 0.0], [1.0, 0.0]]);
/// assert_eq!(standardizer.apply(array![[4.0, 7.0]].view())?, array![[2.0, 2.0]]);
/// assert_eq!(standardizer.apply_row(array![4.0, 7.0].view()), array![2.0, 2.0]);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Standardizer {
    /// μ, `[features]`.
    mean: Array1<f64>,
    /// σ, or 1 if σ is 0, `[features]`.
    scale: Array1<f64>,
}

impl Standardizer {
    /// Fits the map to samples X, `[samples, features]`.
    ///
    /// # Errors
    ///
    /// X must have rows, columns and finite entries.
    pub fn fit(x: ArrayView2<'_, impl Copy + Into<f64>>) -> Result<Self, MetricsError> {
        let x = x.mapv(Into::into);
        check_finite("x", x.view())?;
        // Subtracted first, so that equal entries have deviations of exactly zero.
        let first = x.row(0).to_owned();
        let mut x = x - &first;
        let offset = column_means(x.view());
        x -= &offset;
        let mean = first + offset;
        x.mapv_inplace(|deviation| deviation * deviation);
        let scale = column_means(x.view()).mapv(|variance| match variance {
            0.0 => 1.0,
            _ => variance.sqrt(),
        });
        Ok(Self { mean, scale })
    }

    /// A map with given μ and σ of each feature.
    ///
    /// # Errors
    /// Their numbers differ, a μ is not finite, or a σ is not positive and finite.
    pub fn new(mean: Vec<f64>, scale: Vec<f64>) -> Result<Self, MetricsError> {
        let (mean, scale) = (Array1::from(mean), Array1::from(scale));
        let own = mean.view().insert_axis(Axis(0));
        check_finite("mean", own)?;
        check_finite("scale", scale.view().insert_axis(Axis(0)))?;
        if mean.len() != scale.len() || scale.iter().any(|scale| *scale <= 0.0) {
            let expected = "a positive scale for each mean".to_owned();
            return Err(shape("scale", scale.view().insert_axis(Axis(0)), expected));
        }
        Ok(Self { mean, scale })
    }

    /// μ of each feature.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// σ of each feature, or 1 if σ is 0.
    pub fn scale(&self) -> &Array1<f64> {
        &self.scale
    }

    /// (x − μ)/σ of each entry of X, `[samples, features]`, in standard deviations.
    ///
    /// # Errors
    ///
    /// X must have rows, finite entries and one column per feature.
    pub fn apply(
        &self,
        x: ArrayView2<'_, impl Copy + Into<f64>>,
    ) -> Result<Array2<f64>, MetricsError> {
        let mut x = x.mapv(Into::into);
        check_finite("x", x.view())?;
        if x.ncols() != self.mean.len() {
            let expected = format!("{} columns, one per feature", self.mean.len());
            return Err(shape("x", x.view(), expected));
        }
        for mut row in x.axis_iter_mut(Axis(0)) {
            self.standardize(&mut row);
        }
        Ok(x)
    }

    /// (x − μ)/σ of one sample, `[features]`, in standard deviations.
    ///
    /// # Panics
    ///
    /// If the sample has the wrong number of features.
    pub fn apply_row(&self, x: ArrayView1<'_, f64>) -> Array1<f64> {
        assert_eq!(
            x.len(),
            self.mean.len(),
            "features of the sample and of the map"
        );
        let mut row = x.to_owned();
        self.standardize(&mut row.view_mut());
        row
    }

    fn standardize(&self, row: &mut ArrayViewMut1<'_, f64>) {
        *row -= &self.mean;
        *row /= &self.scale;
    }
}
