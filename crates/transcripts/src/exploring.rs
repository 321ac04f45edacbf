//! How error rates change with the weight of the language model, and with the share of lists that are sent.

use crate::{Corrected, Method, Point, ScoredLists};

/// The error rate at one weight of the language model.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AlphaRate {
    /// The settings; κ and β are those of the first utterance.
    pub point: Point,
    /// Errors per reference word.
    pub rate: f64,
    /// Its standard error over utterances; `None` for a single utterance.
    pub standard_error: Option<f64>,
}

/// The error rate if a share of the lists is sent to correction.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ShareRate {
    /// The share of lists that are sent, the most doubtful first.
    pub share: f64,
    /// Errors per reference word.
    pub rate: f64,
    /// Its standard error over utterances; `None` for a single utterance.
    pub standard_error: Option<f64>,
}

/// The number of steps from no list sent to all.
const STEPS: usize = 10;

/// The error rate, from the errors and words of each utterance, and its standard error; `None` without words.
///
/// The standard error is that of a ratio of sums over independent utterances, linearised: √(n/(n−1)·Σ(eᵢ − r·wᵢ)²)/Σwᵢ.
fn rate(utterances: &[(usize, usize)]) -> Option<(f64, Option<f64>)> {
    let sum = |of: fn(&(usize, usize)) -> usize| utterances.iter().map(of).sum::<usize>() as f64;
    let (errors, words) = (sum(|it| it.0), sum(|it| it.1));
    if words == 0.0 {
        return None;
    }
    let rate = errors / words;
    let residual = |&(errors, words): &(usize, usize)| errors as f64 - rate * words as f64;
    let squares: f64 = utterances.iter().map(|it| residual(it).powi(2)).sum();
    let n = utterances.len() as f64;
    let error = (n > 1.0).then(|| (n / (n - 1.0) * squares).sqrt() / words);
    Some((rate, error))
}

/// The number of words of each utterance's reference; `None` if one has none.
fn words(set: &ScoredLists) -> Option<Vec<usize>> {
    let references = set.distinct.iter();
    references
        .map(|list| Some(list.reference.as_ref()?.len()))
        .collect()
}

/// The rates over α, with κ and β of the first utterance's point.
pub(crate) fn by_alpha(
    method: &Method,
    set: &ScoredLists,
    corrected: &[Corrected],
    tuned: &[usize],
) -> Vec<AlphaRate> {
    let points = method.grid.points();
    let own = tuned.first().and_then(|&at| points.get(at));
    let (Some(words), Some(own), true) = (words(set), own, method.grid.alpha.len() > 1) else {
        return Vec::new();
    };
    let alike = |point: &Point| point.kappa == own.kappa && point.beta == own.beta;
    let places = points.iter().enumerate().filter(|(_, point)| alike(point));
    let found = places.filter_map(|(place, point)| {
        let errors = corrected.iter().map(|found| found.errors_at(place));
        let utterances: Vec<(usize, usize)> = errors.zip(words.iter().copied()).collect();
        let (rate, standard_error) = rate(&utterances)?;
        Some(AlphaRate {
            point: *point,
            rate,
            standard_error,
        })
    });
    found.collect()
}

/// The rates over the share of lists that are sent, with each list at its own point.
pub(crate) fn by_share(
    set: &ScoredLists,
    corrected: &[Corrected],
    points: &[usize],
    send_single: bool,
) -> Vec<ShareRate> {
    let Some(words) = words(set) else {
        return Vec::new();
    };
    let mut order: Vec<usize> = (0..corrected.len()).collect();
    let confidence = |at: usize| corrected[at].confidence(points[at]);
    order.sort_by(|&a, &b| confidence(a).total_cmp(&confidence(b)));
    let mut steps: Vec<usize> = (0..=STEPS)
        .map(|step| corrected.len() * step / STEPS)
        .collect();
    steps.dedup();
    let found = steps.into_iter().filter_map(|sent| {
        let utterances: Vec<(usize, usize)> = order
            .iter()
            .enumerate()
            .map(|(rank, &at)| {
                // A list with one hypothesis is not sent, unless single ones are.
                let is_sent = rank < sent && corrected[at].is_sent(points[at], 1.0, send_single);
                let errors = match is_sent {
                    true => corrected[at].errors_at(points[at]),
                    false => corrected[at].best_errors(),
                };
                (errors, words[at])
            })
            .collect();
        let (rate, standard_error) = rate(&utterances)?;
        Some(ShareRate {
            share: sent as f64 / corrected.len() as f64,
            rate,
            standard_error,
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn a_rate_has_the_error_of_a_ratio_of_sums() {
        assert_eq!(rate(&[]), None);
        assert_eq!(rate(&[(1, 0)]), None);
        assert_eq!(rate(&[(1, 4)]), Some((0.25, None)));
        assert_eq!(rate(&[(1, 4), (2, 8)]), Some((0.25, Some(0.0))));
        // Residuals of 1 and −1 over 8 words: √(2·2)/8.
        assert_eq!(rate(&[(2, 4), (0, 4)]), Some((0.25, Some(0.25))));
    }
}
