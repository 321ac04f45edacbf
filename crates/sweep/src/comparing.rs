//! Compares two models.

use crate::error::SweepError;
use layerwise_metrics::{ClusteredMean, divergence};
use layerwise_transformer::{Model, TransformerError};
use ndarray::{Array2, s};

/// Positions whose logits are in memory at once.
const POSITIONS: usize = 64;

/// How one model differs from another over sequences, at positions 1 to T−1; standard errors are clustered by sequence.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ModelDifference {
    /// KL(model ‖ other), in nats.
    pub kl_nats: ClusteredMean,
    /// The share of positions at which both models have the same most probable token.
    pub top1_agreement: ClusteredMean,
}

/// Compares two plain models that read the same token ids, such as two precisions, two training steps or two sizes.
///
/// ```
/// use layerwise_sweep::compare;
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let [model, other] = [7, 8].map(|seed| Model::random(ModelConfig::tiny(), seed));
/// let found = compare(&model, &other, &[vec![0, 5, 3, 8], vec![0, 2, 7]])?;
/// assert!(found.kl_nats.mean() > Some(0.0)); // nats
/// assert_eq!(found.kl_nats.count(), 5); // positions
/// # Ok::<(), layerwise_sweep::SweepError>(())
/// ```
///
/// # Errors
/// A sequence does not fit both models, the vocabularies differ in size, or an output is not finite.
pub fn compare(
    model: &Model,
    other: &Model,
    sequences: &[Vec<u32>],
) -> Result<ModelDifference, SweepError> {
    let vocabularies = [model, other].map(|model| model.config().vocab);
    if vocabularies[0] != vocabularies[1] {
        return Err(SweepError::OtherVocabulary {
            expected: vocabularies[0],
            found: vocabularies[1],
        });
    }
    let mut difference = ModelDifference::default();
    for (item, tokens) in sequences.iter().enumerate() {
        let states = |model: &Model| -> Result<Array2<f32>, TransformerError> {
            let residual = model.run(tokens, &model.plain(), &mut ())?;
            Ok(model.final_norm(residual.slice(s![1.., ..])))
        };
        let does_not_fit = |source| SweepError::DoesNotFit {
            unit: "sequence",
            item,
            source: Box::new(source),
        };
        let of_model = states(model).map_err(does_not_fit)?;
        let of_other = states(other).map_err(does_not_fit)?;
        let positions = tokens.len() - 1;
        let (mut sum, mut same) = (0.0, 0.0);
        for first in (0..positions).step_by(POSITIONS) {
            let part = s![first..positions.min(first + POSITIONS), ..];
            let p = model.unembed(of_model.slice(part));
            let q = other.unembed(of_other.slice(part));
            for (at, (p, q)) in p.outer_iter().zip(q.outer_iter()).enumerate() {
                let not_finite = |_| SweepError::NotFinite {
                    schedule: "id".to_owned(),
                    unit: "sequence",
                    item,
                    position: 1 + first + at,
                    origin: None,
                };
                sum += divergence::kl_nats(p, q).map_err(not_finite)?;
                let [p, q] = [p, q].map(divergence::argmax);
                let agree = p.map_err(not_finite)? == q.map_err(not_finite)?;
                same += f64::from(u8::from(agree));
            }
        }
        difference.kl_nats.push(sum, positions as u64);
        difference.top1_agreement.push(same, positions as u64);
    }
    Ok(difference)
}
