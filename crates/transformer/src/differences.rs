//! Finds where activations first differ from a reference.

use crate::site::Address;
use layerwise_schedule::Site;
use ndarray::{ArrayD, ArrayViewD};
use std::collections::BTreeMap;

/// How activations differ from a reference's, in the order of comparison.
///
/// An activation agrees in either of two cases. No value differs from the reference by more than [`Differences::TOLERANCE`] times
/// the reference's largest value. Or the reference also exists in f64, and the activation's error against it is at most
/// [`Differences::ERROR_RATIO`] times the error of the reference's own f32.
///
/// ```
/// use layerwise_transformer::{Address, Differences, Site, TransformerError};
/// use ndarray::array;
///
/// let address = Address { step: 1, block: Some(0), site: Site::MlpOut };
/// let (own, reference) = (array![1.0_f32, 2.0].into_dyn(), array![1.0_f32, 2.001].into_dyn());
/// let mut differences = Differences::default();
/// let in_f64 = || Ok::<_, TransformerError>(None);
/// differences.compare(address, own.view(), reference.view(), in_f64)?;
/// let (first, difference, _) = differences.first().expect("0.001 is beyond the tolerance");
/// assert_eq!((first, difference.block), (address, Some(0)));
/// # Ok::<(), TransformerError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Differences {
    worst: BTreeMap<Site, Difference>,
    first: Option<(Address, Difference, bool)>,
    compared: usize,
    excused: usize,
}

/// The largest difference of an activation from its reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The largest |Δ|; NaN if a value is NaN.
    pub largest: f64,
    /// The largest absolute value of the reference.
    pub scale: f64,
    /// The block of the activation.
    pub block: Option<usize>,
}

impl Difference {
    fn of(
        block: Option<usize>,
        activation: &ArrayViewD<'_, f32>,
        single: &ArrayViewD<'_, f32>,
    ) -> Self {
        let mut found = Self {
            block,
            ..Self::default()
        };
        for (own, reference) in activation.iter().zip(single) {
            let reference = f64::from(*reference);
            let off = (f64::from(*own) - reference).abs();
            if off.is_nan() || off > found.largest {
                found.largest = off;
            }
            found.scale = found.scale.max(reference.abs());
        }
        found
    }

    /// The largest difference divided by the reference's largest value.
    pub fn relative(&self) -> f64 {
        match self.scale > 0.0 {
            true => self.largest / self.scale,
            false => self.largest,
        }
    }

    /// Whether it is at least as large as another; NaN counts as the largest.
    fn is_as_large_as(&self, other: f64) -> bool {
        self.relative().is_nan() || self.relative() >= other
    }
}

impl Differences {
    /// The largest |Δ| that counts as agreement, as a share of the reference's largest value.
    pub const TOLERANCE: f64 = 5e-5;

    /// The largest error against the f64 reference that counts as agreement, as a multiple of the error of the reference's own
    /// f32.
    pub const ERROR_RATIO: f64 = 4.0;

    /// Compares an activation with the reference's of the same shape; `double` returns the reference in f64, if there is one.
    ///
    /// # Errors
    /// The errors of `double`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn compare<E>(
        &mut self,
        address: Address,
        activation: ArrayViewD<'_, f32>,
        single: ArrayViewD<'_, f32>,
        double: impl FnOnce() -> Result<Option<ArrayD<f64>>, E>,
    ) -> Result<(), E> {
        assert_eq!(activation.shape(), single.shape(), "one shape");
        self.compared += 1;
        let found = Difference::of(address.block, &activation, &single);
        if found.relative().is_nan() || found.relative() > Self::TOLERANCE {
            let double = double()?;
            match &double {
                Some(double) if is_as_near(&activation, &single, double) => self.excused += 1,
                _ => {
                    self.first.get_or_insert((address, found, double.is_some()));
                }
            }
        }
        let worst = self.worst.entry(address.site).or_default();
        if found.is_as_large_as(worst.relative()) {
            *worst = found;
        }
        Ok(())
    }

    /// The number of activations compared.
    pub fn compared(&self) -> usize {
        self.compared
    }

    /// The number of activations that agree only by the comparison in f64.
    pub fn excused(&self) -> usize {
        self.excused
    }

    /// The worst difference of each site, over all blocks.
    pub fn worst(&self) -> &BTreeMap<Site, Difference> {
        &self.worst
    }

    /// The first activation that does not agree, its difference, and whether the reference has it in f64.
    pub fn first(&self) -> Option<(Address, Difference, bool)> {
        self.first
    }
}

/// Whether the activation's error against the f64 reference is at most [`Differences::ERROR_RATIO`] times that of the reference's
/// f32.
fn is_as_near(
    activation: &ArrayViewD<'_, f32>,
    single: &ArrayViewD<'_, f32>,
    double: &ArrayD<f64>,
) -> bool {
    if double.shape() != single.shape() {
        return false;
    }
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    for (own, (single, double)) in activation.iter().zip(single.iter().zip(double)) {
        let (own, single) = (f64::from(*own), f64::from(*single));
        // `f64::max` would drop NaN.
        if !own.is_finite() || !single.is_finite() || !double.is_finite() {
            return false;
        }
        ours = ours.max((own - double).abs());
        theirs = theirs.max((single - double).abs());
    }
    ours <= Differences::ERROR_RATIO * theirs
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use std::convert::Infallible;

    #[test]
    fn the_first_that_differs_is_told_apart_from_what_f64_excuses() {
        let mut differences = Differences::default();
        let mut compare = |step: usize, site, own: f32, double: Option<f64>| {
            let address = Address {
                step,
                block: Some(step),
                site,
            };
            let (own, single) = (array![1.0, own].into_dyn(), array![1.0_f32, 2.0].into_dyn());
            let double = || Ok::<_, Infallible>(double.map(|last| array![1.0, last].into_dyn()));
            differences
                .compare(address, own.view(), single.view(), double)
                .unwrap();
        };
        compare(0, Site::AttnOut, 2.0 + 9e-5, None);
        // The f32 reference is off by 1e-3, and its f64 twin by as much.
        compare(1, Site::AttnOut, 2.001, Some(2.0005));
        compare(1, Site::MlpOut, 2.001, Some(2.0));
        compare(2, Site::MlpOut, f32::NAN, None);
        compare(3, Site::MlpOut, 9.0, None);
        assert_eq!((differences.compared(), differences.excused()), (5, 1));
        let (address, difference, has_double) = differences.first().unwrap();
        assert_eq!((address.block, address.site), (Some(1), Site::MlpOut));
        assert!((difference.relative() - 5e-4).abs() < 1e-6 && has_double);
        let worst = |site| differences.worst()[&site];
        assert_eq!(worst(Site::AttnOut).block, Some(1));
        assert!(
            worst(Site::MlpOut).largest.is_nan(),
            "no number is the worst"
        );
    }
}
