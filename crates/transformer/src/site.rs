//! Addresses of activations, and the trait through which a run lets them be read and written.

use crate::error::TransformerError;
use layerwise_architecture::{Mlp, ModelConfig, Residual};
use layerwise_schedule::Site;
use ndarray::{ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD, Axis, Slice};
use std::collections::BTreeMap;
use std::fmt;

/// Checks that a model of this config has a site.
///
/// # Errors
/// The site is `resid.mid` and the model has parallel residuals, `mlp.up` and the MLP has no gate, or a norm that the model
/// lacks.
///
/// ```
/// use layerwise_transformer::{ModelConfig, Site, check_site};
///
/// let config = ModelConfig::tiny();
/// assert!(check_site(&config, Site::MlpPost).is_ok());
/// assert!(check_site(&config, Site::MlpUp).is_err()); // its MLP has no gate
/// ```
pub fn check_site(config: &ModelConfig, site: Site) -> Result<(), TransformerError> {
    let reason = match site {
        Site::ResidMid if config.residual != Residual::Sequential => {
            "its attention and MLP read the same residual stream"
        }
        Site::AttnNorm | Site::MlpNorm if !config.norm_place.is_before() => {
            "its sublayers read the residual stream itself"
        }
        Site::FinalNorm if !config.final_norm => "it has no norm before its unembedding",
        Site::MlpUp if config.mlp != Mlp::Gated => "its MLP has no gate",
        _ => return Ok(()),
    };
    Err(TransformerError::NoSuchSite {
        site: site.name(),
        reason,
    })
}

/// The place of one activation in a run.
///
/// A repeated block has a distinct address for each of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The step, numbered in the order of execution (depth first through branches); 0 for `embed`, and the number of steps for
    /// `final.norm` and `logits`.
    pub step: usize,
    /// The source block; `None` for the embedding and for sites after the last block.
    pub block: Option<usize>,
    /// The site.
    pub site: Site,
}

impl Address {
    /// The activation's name in files of activations: `BLOCK/SITE`, or `SITE` outside the blocks.
    pub fn name(&self) -> String {
        match self.block {
            Some(block) => format!("{block}/{}", self.site),
            None => self.site.to_string(),
        }
    }
}

/// Reads activations during a run, and may write them.
///
/// For a [`Batch`](crate::Batch) it receives the rows of all segments at once: the axis `seq` is the batch's rows.
/// Views are of the run's own buffers: heads are strided, and nothing is copied.
/// Sites that [`Observer::wants`] and [`Observer::edits`] decline cost nothing; declined attention patterns are not even built.
/// `()` observes nothing.
///
/// At each address the schedule's own edits of values come first, then [`Observer::edit`], then [`Observer::observe`], which thus
/// sees the values that the run continues with.
///
/// ```
/// use layerwise_schedule::{Schedule, Site};
/// use layerwise_transformer::{Address, Model, ModelConfig, Observer};
/// use ndarray::{ArrayViewD, ArrayViewMutD, Axis};
///
/// /// Keeps only the largest neuron of each position.
/// struct WinnerTakesAll;
///
/// impl Observer for WinnerTakesAll {
///     fn wants(&self, _: Address) -> bool {
///         false
///     }
///     fn observe(&mut self, _: Address, _: ArrayViewD<'_, f32>) {}
///     fn edits(&self, address: Address) -> bool {
///         address.site == Site::MlpPost && address.block == Some(1)
///     }
///     fn edit(&mut self, _: Address, mut neurons: ArrayViewMutD<'_, f32>) {
///         for mut row in neurons.axis_iter_mut(Axis(0)) {
///             let most = row.fold(f32::MIN, |most, value| value.max(most));
///             row.mapv_inplace(|value| if value < most { 0.0 } else { value });
///         }
///     }
/// }
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plain = Schedule::plain(model.stack())?;
/// let before = model.run(&[0, 5, 3, 8], &plain, &mut ())?;
/// let after = model.run(&[0, 5, 3, 8], &plain, &mut WinnerTakesAll)?;
/// assert_ne!(before, after);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer {
    /// Whether the activation at this address is wanted.
    fn wants(&self, address: Address) -> bool;

    /// Receives a wanted activation, in the shape that its [`Site`] names. The view is valid only during the call.
    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>);

    /// Whether the observer writes the activation at this address. Asked at [writable](Site::is_writable) sites only.
    fn edits(&self, address: Address) -> bool {
        let _ = address;
        false
    }

    /// Writes an activation, in the shape that its [`Site`] names; the run continues with the new values.
    fn edit(&mut self, address: Address, activation: ArrayViewMutD<'_, f32>) {
        let _ = (address, activation);
    }
}

impl Observer for () {
    fn wants(&self, _: Address) -> bool {
        false
    }

    fn observe(&mut self, _: Address, _: ArrayViewD<'_, f32>) {}
}

/// An [`Observer`] that keeps copies of the chosen sites at every step.
///
/// ```
/// use layerwise_transformer::{Model, ModelConfig, Recording, Site};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let mut recording = Recording::of(model.config(), &[Site::ResidPost])?.at_last();
/// model.run(&[0, 5, 3], &model.plain(), &mut recording)?;
/// let last = recording.matrix(Some(2), Site::ResidPost).expect("there is a block 2");
/// assert_eq!(last.dim(), (1, 32)); // [positions, model]
/// # Ok::<(), layerwise_transformer::TransformerError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recording {
    sites: Vec<Site>,
    at_last: bool,
    kept: BTreeMap<Address, ArrayD<f32>>,
}

impl Recording {
    /// Records these sites in every block that has them.
    ///
    /// # Errors
    /// The model lacks a site (see [`check_site`]).
    pub fn of(config: &ModelConfig, sites: &[Site]) -> Result<Self, TransformerError> {
        for site in sites {
            check_site(config, *site)?;
        }
        Ok(Self {
            sites: sites.to_vec(),
            at_last: false,
            kept: BTreeMap::new(),
        })
    }

    /// Records only the last position (in a batch, the last row); its axis then has length 1.
    #[must_use]
    pub fn at_last(self) -> Self {
        Self {
            at_last: true,
            ..self
        }
    }

    /// The recorded activations, in address order.
    pub fn activations(&self) -> &BTreeMap<Address, ArrayD<f32>> {
        &self.kept
    }

    /// The first recorded activation of a site of a source block (`None` for sites outside the blocks).
    pub fn get(&self, block: Option<usize>, site: Site) -> Option<&ArrayD<f32>> {
        self.kept
            .iter()
            .find(|(address, _)| address.block == block && address.site == site)
            .map(|(_, activation)| activation)
    }

    /// The first recorded activation of a site of a source block, as a matrix: one row per position, with all other axes
    /// flattened into the columns. For [`Site::AttnPattern`] the rows are heads, the columns queries and keys.
    pub fn matrix(&self, block: Option<usize>, site: Site) -> Option<ArrayView2<'_, f32>> {
        let kept = self.get(block, site)?;
        let rows = kept.len_of(Axis(0));
        let shape = (rows, kept.len() / rows.max(1));
        // Recorded arrays are in row-major order.
        kept.view().into_shape_with_order(shape).ok()
    }
}

impl Observer for Recording {
    fn wants(&self, address: Address) -> bool {
        self.sites.contains(&address.site)
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let positions = Axis(usize::from(address.site == Site::AttnPattern));
        let last = match self.at_last {
            true => activation.len_of(positions).saturating_sub(1),
            false => 0,
        };
        let kept = activation.slice_axis(positions, Slice::from(last..));
        self.kept
            .insert(address, kept.as_standard_layout().into_owned());
    }
}

/// An [`Observer`] that finds the first NaN or infinity of a run.
#[derive(Clone, Debug, Default)]
pub struct FirstNotFinite {
    found: Option<NotFinite>,
}

/// A NaN or infinite value, and where it arose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotFinite {
    /// The activation.
    pub address: Address,
    /// The position in the sequence (of a batch, the row); of an attention pattern, the query's.
    pub position: usize,
    /// The value.
    pub value: f32,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at step {}, ", self.value, self.address.step)?;
        if let Some(block) = self.address.block {
            write!(f, "block {block}, ")?;
        }
        write!(f, "site {}, position {}", self.address.site, self.position)
    }
}

impl FirstNotFinite {
    /// The first such value in the order of the forward pass; within one activation, in row-major order.
    pub fn found(&self) -> Option<NotFinite> {
        self.found
    }
}

impl Observer for FirstNotFinite {
    fn wants(&self, _: Address) -> bool {
        self.found.is_none()
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let positions = usize::from(address.site == Site::AttnPattern);
        let mut values = activation.indexed_iter();
        self.found = values
            .find(|(_, value)| !value.is_finite())
            .map(|(index, value)| NotFinite {
                address,
                position: index[positions],
                value: *value,
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_found_in_every_shape() {
        let check = |site, shape: &[usize], index: &[usize], position| {
            let mut first = FirstNotFinite::default();
            let address = |step| Address {
                step,
                block: Some(1),
                site,
            };
            let mut activation = ArrayD::<f32>::ones(shape);
            first.observe(address(0), activation.view());
            assert_eq!(first.found(), None);
            assert!(first.wants(address(1)));
            activation[index] = f32::NEG_INFINITY;
            first.observe(address(1), activation.view());
            let found = first.found().unwrap();
            assert_eq!((found.address, found.position), (address(1), position));
            assert_eq!(found.value, f32::NEG_INFINITY);
            assert!(!first.wants(address(2)));
            let expected = format!("-inf at step 1, block 1, site {site}, position {position}");
            assert_eq!(found.to_string(), expected);
        };
        check(Site::ResidMid, &[4, 3], &[2, 1], 2);
        check(Site::AttnQ, &[4, 2, 3], &[3, 0, 1], 3);
        check(Site::AttnPattern, &[2, 4, 4], &[1, 3, 0], 3);
    }
}
