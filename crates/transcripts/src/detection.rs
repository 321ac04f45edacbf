//! How well the gate's features separate wrong hypotheses from right ones.

use crate::{ErrorCounts, Gate, ScoredLists, TAUS};
use layerwise_metrics::threshold::auc;

/// Lists sent to correction by one feature, the most doubtful first.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// The feature that orders the lists: `posterior`, `gap`, `hypotheses` or `distance`.
    pub feature: &'static str,
    /// The area under the ROC curve for detecting wrong best hypotheses; `None` if all are wrong, none is, or a
    /// feature is not a number.
    pub auc: Option<f64>,
    /// The threshold on the posterior; `None` if half of the lists are sent.
    pub tau: Option<f64>,
    /// The number of lists that are sent.
    pub sent: usize,
    /// The number of lists with a reference.
    pub lists: usize,
    /// The errors of the best hypotheses of the lists that are sent.
    pub sent_errors: ErrorCounts,
    /// The errors of the best hypotheses of the others.
    pub kept_errors: ErrorCounts,
}

impl Detection {
    /// Sends half of the lists by each feature and, by the posterior, also those below each of [`TAUS`].
    pub fn all(gate: &Gate, set: &ScoredLists) -> Vec<Self> {
        let mut judged: Vec<([f64; 4], ErrorCounts)> = Vec::new();
        for (list, judgement) in set.distinct.iter().zip(set.judgements(gate)) {
            if let Some(errors) = list.errors(&list.hypotheses[0]) {
                let features = [
                    -judgement.confidence,
                    -judgement.gap,
                    judgement.distinct as f64,
                    judgement.mean_distance,
                ];
                judged.push((features, errors));
            }
        }
        let mut found = Vec::new();
        let features = ["posterior", "gap", "hypotheses", "distance"];
        for (at, feature) in features.into_iter().enumerate() {
            let cases: Vec<(f64, bool)> = judged
                .iter()
                .map(|(features, errors)| (features[at], errors.errors() > 0))
                .collect();
            let mut order: Vec<_> = judged.iter().collect();
            order.sort_by(|a, b| b.0[at].total_cmp(&a.0[at]));
            let total = |part: &[&([f64; 4], ErrorCounts)]| -> ErrorCounts {
                part.iter().map(|(_, errors)| *errors).sum()
            };
            let detection = |tau, sent: usize| Self {
                feature,
                auc: auc(&cases).unwrap_or_default(),
                tau,
                sent,
                lists: order.len(),
                sent_errors: total(&order[..sent]),
                kept_errors: total(&order[sent..]),
            };
            found.push(detection(None, judged.len() / 2));
            if at == 0 {
                found.extend(TAUS.iter().map(|tau| {
                    let sent = judged.iter().filter(|(features, _)| -features[0] <= *tau);
                    detection(Some(*tau), sent.count())
                }));
            }
        }
        found
    }
}
