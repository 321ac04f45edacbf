//! Names and addresses of activations, and how a run lets them be read.

use crate::batch::Batch;
use crate::error::TransformerError;
use crate::model::Model;
use layerwise_architecture::{Mlp, ModelConfig, Residual};
use layerwise_schedule::{Schedule, nearest_names};
use ndarray::{ArrayD, ArrayViewD};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A place in the forward pass whose activation can be read. One name, one tensor, one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// What the first block reads: token embedding, scaled or normed as the model does it, plus learned positions,
    /// \[seq, model\].
    Embed,
    /// The residual stream that a block reads, \[seq, model\]: at the first step of each of its runs, also where an edit
    /// dropped one of its sublayers.
    ResidPre,
    /// The attention's normalised input, \[seq, model\].
    AttnNorm,
    /// Queries before rotary, normed where the model norms them, \[seq, heads, head\].
    AttnQ,
    /// Keys before rotary, normed where the model norms them, \[seq, kv_heads, head\].
    AttnK,
    /// Values, \[seq, kv_heads, head\].
    AttnV,
    /// Attention weights, \[heads, seq, seq\]; rows are queries and sum to one. In a [`Batch`](crate::Batch) the last axis
    /// are the positions of the query's path, as many as the longest one has.
    AttnPattern,
    /// Each head's weighted values before the output projection, \[seq, heads, head\].
    AttnHeadOut,
    /// The attention's update before any scale of the schedule, \[seq, model\]: normed and scaled as the model does it before
    /// it is added. Where the model norms the sum of stream and update, the update before that norm.
    AttnOut,
    /// The residual stream after the attention of a sequential block, \[seq, model\].
    ResidMid,
    /// The MLP's normalised input, \[seq, model\].
    MlpNorm,
    /// The MLP before its activation (the gate, in gated MLPs), \[seq, neurons\].
    MlpPre,
    /// The up projection of a gated MLP, \[seq, neurons\].
    MlpUp,
    /// The neurons: what the down projection reads, \[seq, neurons\].
    MlpPost,
    /// The MLP's update before any scale of the schedule, \[seq, model\]; normed and scaled as [`Site::AttnOut`].
    MlpOut,
    /// The residual stream after the last step of each run of a block, \[seq, model\].
    ResidPost,
    /// The final norm's output, \[seq, model\].
    FinalNorm,
    /// The logits, \[seq, vocab\].
    Logits,
}

impl Site {
    /// Every site, in the order of the forward pass.
    pub const ALL: [Self; 18] = [
        Self::Embed,
        Self::ResidPre,
        Self::AttnNorm,
        Self::AttnQ,
        Self::AttnK,
        Self::AttnV,
        Self::AttnPattern,
        Self::AttnHeadOut,
        Self::AttnOut,
        Self::ResidMid,
        Self::MlpNorm,
        Self::MlpPre,
        Self::MlpUp,
        Self::MlpPost,
        Self::MlpOut,
        Self::ResidPost,
        Self::FinalNorm,
        Self::Logits,
    ];

    /// The canonical name, such as `attn.head_out`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::ResidPre => "resid.pre",
            Self::AttnNorm => "attn.norm",
            Self::AttnQ => "attn.q",
            Self::AttnK => "attn.k",
            Self::AttnV => "attn.v",
            Self::AttnPattern => "attn.pattern",
            Self::AttnHeadOut => "attn.head_out",
            Self::AttnOut => "attn.out",
            Self::ResidMid => "resid.mid",
            Self::MlpNorm => "mlp.norm",
            Self::MlpPre => "mlp.pre",
            Self::MlpUp => "mlp.up",
            Self::MlpPost => "mlp.post",
            Self::MlpOut => "mlp.out",
            Self::ResidPost => "resid.post",
            Self::FinalNorm => "final.norm",
            Self::Logits => "logits",
        }
    }

    /// Whether the site belongs to a block, rather than to the model's ends.
    pub fn in_block(self) -> bool {
        !matches!(self, Self::Embed | Self::FinalNorm | Self::Logits)
    }

    /// Checks that a model of this config has the site.
    ///
    /// # Errors
    /// `resid.mid` in a model with parallel residuals, `mlp.up` in one without gates, a norm in one that lacks it.
    pub fn check(self, config: &ModelConfig) -> Result<(), TransformerError> {
        let reason = match self {
            Self::ResidMid if config.residual != Residual::Sequential => {
                "its attention and MLP read the same residual stream"
            }
            Self::AttnNorm | Self::MlpNorm if !config.norm_place.is_before() => {
                "its sublayers read the residual stream itself"
            }
            Self::FinalNorm if !config.final_norm => "it has no norm before its unembedding",
            Self::MlpUp if config.mlp != Mlp::Gated => "its MLP has no gate",
            _ => return Ok(()),
        };
        Err(TransformerError::NoSuchSite {
            site: self.name(),
            reason,
        })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Site {
    type Err = TransformerError;

    fn from_str(name: &str) -> Result<Self, TransformerError> {
        if let Some(site) = Self::ALL.into_iter().find(|site| site.name() == name) {
            return Ok(site);
        }
        let nearest = nearest_names(name, Self::ALL.map(Self::name));
        Err(TransformerError::UnknownSite {
            name: name.to_owned(),
            nearest: nearest.join(", "),
        })
    }
}

/// Where one activation of one run stands.
///
/// A repeated block has a distinct address for each of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The step, numbered in the order of execution (depth first through branches); 0 for `embed`,
    /// and the number of steps for `final.norm` and `logits`.
    pub step: usize,
    /// The source block; `None` at the model's ends.
    pub block: Option<usize>,
    /// The site.
    pub site: Site,
}

/// Something that reads activations during a run.
///
/// Of a [`Batch`](crate::Batch) it receives the rows of all segments at once: the axis `seq` are the batch's rows.
/// What [`Observer::wants`] declines is neither kept nor copied, and attention patterns are not even built.
/// `()` observes nothing.
pub trait Observer {
    /// Whether the activation at this address is wanted.
    fn wants(&self, address: Address) -> bool;

    /// Receives a wanted activation, in the shape that its [`Site`] names. The view is valid only during the call.
    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>);
}

impl Observer for () {
    fn wants(&self, _: Address) -> bool {
        false
    }

    fn observe(&mut self, _: Address, _: ArrayViewD<'_, f32>) {}
}

/// An [`Observer`] that keeps copies of the chosen sites at every step.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    sites: Vec<Site>,
    kept: BTreeMap<Address, ArrayD<f32>>,
}

impl Recording {
    /// Will keep these sites, wherever a model of this config has them.
    ///
    /// # Errors
    /// A site that the model does not have (see [`Site::check`]).
    pub fn of(config: &ModelConfig, sites: &[Site]) -> Result<Self, TransformerError> {
        for site in sites {
            site.check(config)?;
        }
        Ok(Self {
            sites: sites.to_vec(),
            kept: BTreeMap::new(),
        })
    }

    /// What has been kept, in address order.
    pub fn activations(&self) -> &BTreeMap<Address, ArrayD<f32>> {
        &self.kept
    }

    /// The first activation kept for a site of a source block (`None` for the model's ends).
    pub fn get(&self, block: Option<usize>, site: Site) -> Option<&ArrayD<f32>> {
        self.kept
            .iter()
            .find(|(address, _)| address.block == block && address.site == site)
            .map(|(_, activation)| activation)
    }
}

impl Observer for Recording {
    fn wants(&self, address: Address) -> bool {
        self.sites.contains(&address.site)
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        self.kept.insert(address, activation.to_owned());
    }
}

/// An [`Observer`] that finds the first NaN or infinity of a run.
#[derive(Clone, Debug, Default)]
pub struct FirstNotFinite {
    found: Option<NotFinite>,
}

/// A value that is not a number, or infinite, where it arose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotFinite {
    /// The activation.
    pub address: Address,
    /// The position in the sequence (of a batch, the row); of an attention pattern, the query's.
    pub position: usize,
    /// The value.
    pub value: f32,
}

impl NotFinite {
    /// Runs a schedule, to find the first such value: where an overflow arises that shows only in what comes after.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn first(
        model: &Model,
        batch: impl Into<Batch>,
        schedule: &Schedule,
    ) -> Result<Option<Self>, TransformerError> {
        let mut first = FirstNotFinite::default();
        model.observed_logits(batch, schedule, &mut first)?;
        Ok(first.found())
    }
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
    /// The first such value, in the order of the forward pass; of one activation, the first in row-major order.
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
    fn names_are_read_back() {
        for site in Site::ALL {
            assert_eq!(site.name().parse::<Site>().unwrap(), site);
        }
    }

    #[test]
    fn an_unknown_site_names_its_neighbours() {
        let message = "attn.scores".parse::<Site>().unwrap_err().to_string();
        assert!(
            message.contains("`attn.scores`") && message.contains("attn.pattern"),
            "{message}"
        );
        assert!(!message.contains("mlp"), "{message}");
    }

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
