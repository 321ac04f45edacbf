//! Prediction, suppression and partition neurons, from the weights.
//!
//! - **Stands for** the densities of Figures 8 and 17 of the NeurIPS version and of v1's and v3's figures, and the bands of
//!   kurtosis and skewness of the universal-neurons study.
//! - **Needs** any models; for a model with a gated MLP also a text, on which its neurons show their signs.
//! - **Computes** after folding (B.1) the cosine of each neuron's output weights with each token's column of the
//!   unembedding, and the population moments of these cosines over the vocabulary, streamed (B.9).
//! - **Feeds the claims** D15, D16, D17, D18, and `stages`.
//!
//! Above: the shares of the three kinds. Below: kurtosis and skewness over the neurons of a block (for one model the median
//! with quartiles, dashed, and 5th and 95th percentiles, dotted; for several models the medians), and the median skewness of
//! the neurons with kurtosis above 10, which is above zero if they promote tokens and below if they suppress them.

pub mod activations;
pub mod claims;
pub mod figure;
mod known;
pub mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{
    Densities, Kind, PREDICTION, Percent, Record, SUPPRESSION, density, highest, over_thresholds,
    prediction, suppression,
};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::known::Quantity;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Neurons;

register!(Neurons);

impl Experiment for Neurons {
    fn id(&self) -> &'static str {
        "neurons"
    }

    fn about(&self) -> About {
        About {
            summary: "Prediction, suppression and partition neurons (nips-fig17)",
            title: "Prediction and suppression neurons",
            stands_for: "Figure 17 of the NeurIPS version and the densities of Figure 8; v1's and v3's densities",
            caption: "Share of each block's neurons, percent, whose output weights' cosines with the columns of the unembedding have kurtosis above 10 and positive (prediction) or negative (suppression) skewness; partition neurons have high variance and low kurtosis. From the weights, after folding the norms. In a gated MLP a neuron's sign is a symmetry of the model, so output weights count with the sign of the neuron's mean activation on the first 16 sequences of the text.",
            paper_says: "Prediction neurons appear at about half of the depth, peak at about 85 % and become fewer in the last tenth, where suppression neurons overtake them and peak in the last layers.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(8, "densities")
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let blocks = subject.model.config().layers;
        Ok(vec![format!("weights: {blocks} blocks")])
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        _: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        measure::measure(subject, tables)?;
        Ok(Vec::new())
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }

    fn known(&self) -> &'static [Quantity] {
        known::QUANTITIES
    }
}
