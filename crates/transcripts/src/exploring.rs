//! How error rates change with the weight of the language model, and with the share of lists that are sent.

use crate::{Corrected, Method, Point, ScoredLists};
use layerwise_metrics::ClusteredRatio;

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
fn rate(utterances: impl Iterator<Item = (usize, usize)>) -> Option<(f64, Option<f64>)> {
    let mut ratio = ClusteredRatio::new();
    utterances.for_each(|(errors, words)| ratio.push(errors as f64, words as f64));
    Some((ratio.ratio()?, ratio.standard_error()))
}

/// The utterances that have a reference, each with its number of words.
fn referenced(set: &ScoredLists) -> Vec<(usize, usize)> {
    let lists = set.distinct.iter().enumerate();
    lists
        .filter_map(|(at, list)| Some((at, list.reference.as_ref()?.len())))
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
    let (Some(own), true) = (own, method.grid.alpha.len() > 1) else {
        return Vec::new();
    };
    let referenced = referenced(set);
    let alike = |point: &Point| point.kappa == own.kappa && point.beta == own.beta;
    let places = points.iter().enumerate().filter(|(_, point)| alike(point));
    let found = places.filter_map(|(place, point)| {
        let utterances = referenced.iter();
        let utterances = utterances.map(|(at, words)| (corrected[*at].errors_at(place), *words));
        let (rate, standard_error) = rate(utterances)?;
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
    let mut order = referenced(set);
    let confidence = |at: usize| corrected[at].confidence(points[at]);
    order.sort_by(|(a, _), (b, _)| confidence(*a).total_cmp(&confidence(*b)));
    let mut steps: Vec<usize> = (0..=STEPS).map(|step| order.len() * step / STEPS).collect();
    steps.dedup();
    let found = steps.into_iter().filter_map(|sent| {
        let utterances = order.iter().enumerate().map(|(rank, &(at, words))| {
            // A list with one hypothesis is not sent, unless single ones are.
            let is_sent = rank < sent && corrected[at].is_sent(points[at], 1.0, send_single);
            let errors = match is_sent {
                true => corrected[at].errors_at(points[at]),
                false => corrected[at].best_errors(),
            };
            (errors, words)
        });
        let (rate, standard_error) = rate(utterances)?;
        Some(ShareRate {
            share: sent as f64 / order.len() as f64,
            rate,
            standard_error,
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CountRule, Decoder, Gate, Grid, LanguageScore, Limits, Mode, NoLanguageModel, Normaliser,
        ScoreScale, Vocabulary, read_hyporadise,
    };

    #[test]
    fn a_rate_has_the_error_of_a_ratio_of_sums() {
        let check = |utterances: &[(usize, usize)], expected: Option<(f64, Option<f64>)>| {
            assert_eq!(rate(utterances.iter().copied()), expected, "{utterances:?}");
        };
        check(&[], None);
        check(&[(1, 0)], None);
        check(&[(1, 4)], Some((0.25, None)));
        check(&[(1, 4), (2, 8)], Some((0.25, Some(0.0))));
        // Residuals of 1 and −1 over 8 words: √(2·2)/8.
        check(&[(2, 4), (0, 4)], Some((0.25, Some(0.25))));
    }

    #[test]
    fn a_list_without_a_reference_leaves_the_rates_of_the_others() {
        let rates = |lists: &[&str]| {
            let text = format!("[{}]", lists.join(","));
            let lists = read_hyporadise(text.as_bytes(), &Limits::default()).unwrap();
            let mut vocabulary = Vocabulary::new();
            let utterances = lists.utterances.iter();
            let distinct: Vec<_> = utterances
                .map(|utterance| utterance.distinct(&Normaliser::None, &mut vocabulary))
                .collect();
            // The language model prefers each list's last hypothesis.
            let language = distinct.iter().map(|list| {
                let places = 0..list.hypotheses.len();
                places
                    .map(|place| LanguageScore::new(place as f64, 1))
                    .collect()
            });
            let set = ScoredLists::of(lists, distinct.clone(), language.collect());
            let mut grid = Grid::fixed(0.0, 0.0, 0.0);
            grid.alpha.push(1.0);
            let gate = Gate::new(ScoreScale::Mean);
            let method = Method::new(
                Mode::Select,
                CountRule::Free,
                gate,
                Decoder::default(),
                grid,
            );
            let pairs = set.distinct.iter().zip(&set.language);
            let pairs: Vec<_> = pairs
                .map(|(list, scores)| (list, scores.as_slice()))
                .collect();
            let scale = ScoreScale::Mean;
            let corrected =
                Corrected::all(&method, &pairs, scale, &vocabulary, &mut NoLanguageModel).unwrap();
            let points = vec![1; pairs.len()];
            (
                by_alpha(&method, &set, &corrected, &points),
                by_share(&set, &corrected, &points, false),
            )
        };
        let one = r#"{"input": ["a c", "a b"], "output": "a b", "score": [-0.1, -0.2]}"#;
        let two = r#"{"input": ["b c", "b b"], "output": "b c", "score": [-0.1, -0.3]}"#;
        let open = r#"{"input": ["c c", "c b"], "score": [-0.1, -0.2]}"#;
        let (by_alpha, by_share) = rates(&[one, two]);
        assert_eq!((by_alpha.len(), by_share.len()), (2, 3));
        assert_eq!(rates(&[one, open, two]), (by_alpha, by_share));
        assert_eq!(rates(&[open]), (Vec::new(), Vec::new()));
    }
}
