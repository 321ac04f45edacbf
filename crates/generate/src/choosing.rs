//! Chooses the next token from logits.

use crate::constraint::Constraint;
use crate::error::GenerateError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How a token is chosen.
///
/// The steps follow Hugging Face transformers. The repetition penalty divides positive logits of tokens that occur in the prompt
/// or the continuation, and multiplies negative ones. The temperature divides all logits. Tokens that top-k, top-p and min-p
/// exclude get probability 0. Among equal logits the lower token comes first.
///
/// ```
/// use layerwise_generate::{GenerateError, Generation, Sampling, Settings};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let sampling = Sampling::default().with(|it| (it.temperature, it.top_p, it.seed) = (0.8, Some(0.9), 1));
/// let settings = Settings::default().with(|it| (it.max_tokens, it.sampling) = (5, sampling));
/// let sampled = || -> Result<Vec<u32>, GenerateError> {
///     let generation = Generation::new(&model, &model.plain(), &[0, 5, 3], settings.clone())?;
///     generation.map(|choice| Ok(choice?.token)).collect()
/// };
/// assert_eq!(sampled()?, sampled()?); // the seed decides
/// # Ok::<(), GenerateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// 0 takes the most likely token.
    pub temperature: f64,
    /// Only this many of the most likely tokens.
    pub top_k: Option<usize>,
    /// Only the most likely tokens, as many as are needed to reach this total probability.
    pub top_p: Option<f64>,
    /// Only tokens of at least this share of the most likely one's probability.
    pub min_p: Option<f64>,
    /// 1 changes nothing; larger values make repeated tokens less likely.
    pub repetition_penalty: f64,
    /// The seed of ChaCha8; it gives the same tokens on every machine.
    pub seed: u64,
}

/// Chooses the most likely token.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Applies changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn check(&self) -> Result<(), GenerateError> {
        let setting = |setting, found: f64, expected, is_right: bool| match is_right {
            true => Ok(()),
            false => Err(GenerateError::Setting {
                setting,
                found,
                expected,
            }),
        };
        let Self {
            temperature: t,
            repetition_penalty: penalty,
            ..
        } = *self;
        setting(
            "temperature",
            t,
            "0 or a finite number above it",
            t.is_finite() && t >= 0.0,
        )?;
        setting(
            "repetition penalty",
            penalty,
            "a finite number above 0",
            penalty.is_finite() && penalty > 0.0,
        )?;
        let narrowing = [
            ("top-k", self.top_k.map(|k| k as f64)),
            ("top-p", self.top_p),
            ("min-p", self.min_p),
        ];
        for (name, value) in narrowing {
            let Some(value) = value else { continue };
            match name {
                "top-k" => setting(name, value, "at least 1", value >= 1.0)?,
                "top-p" => setting(
                    name,
                    value,
                    "above 0 and at most 1",
                    value > 0.0 && value <= 1.0,
                )?,
                _ => setting(name, value, "from 0 to 1", (0.0..=1.0).contains(&value))?,
            }
            if t == 0.0 {
                return Err(GenerateError::NoEffect { setting: name });
            }
        }
        Ok(())
    }
}

/// A token that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Its id.
    pub token: u32,
    /// The natural logarithm of its probability under the model, before penalty, temperature, top-k, top-p, min-p and constraint.
    pub log_probability: f64,
}

/// Chooses tokens; holds the random number generator.
#[derive(Debug)]
pub(crate) struct Chooser {
    sampling: Sampling,
    random: ChaCha8Rng,
}

impl Chooser {
    pub(crate) fn new(sampling: Sampling) -> Result<Self, GenerateError> {
        sampling.check()?;
        Ok(Self {
            sampling,
            random: ChaCha8Rng::seed_from_u64(sampling.seed),
        })
    }

    /// The token after `before`, from the finite logits of the vocabulary; `None` if the constraint allows none.
    pub(crate) fn choose(
        &mut self,
        logits: &[f32],
        before: &[u32],
        constraint: &impl Constraint,
    ) -> Option<Choice> {
        let mut scores: Vec<f64> = logits.iter().copied().map(f64::from).collect();
        let own = log_sum_exp(&scores);
        penalize(&mut scores, before, self.sampling.repetition_penalty);
        let allowed = (0..)
            .zip(scores)
            .filter(|(token, _)| constraint.allows(*token));
        let token = match self.sampling.temperature {
            0.0 => {
                let first = allowed.reduce(|best, next| if next.1 > best.1 { next } else { best });
                first?.0
            }
            temperature => {
                // All fit at once, and sorting copies none: `Settings::most_bytes` counts on both.
                let mut candidates: Vec<(u32, f64)> = Vec::with_capacity(logits.len());
                candidates.extend(allowed);
                candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                self.draw(candidates, temperature)?
            }
        };
        Some(Choice {
            token,
            log_probability: f64::from(logits[token as usize]) - own,
        })
    }

    /// Draws one of the candidates, which come likeliest first, with the weights exp(score / temperature).
    fn draw(&mut self, mut candidates: Vec<(u32, f64)>, temperature: f64) -> Option<u32> {
        let (_, top) = *candidates.first()?;
        if let Some(k) = self.sampling.top_k {
            candidates.truncate(k);
        }
        // libm computes the same bits on every machine.
        let mut weights: Vec<f64> = candidates
            .iter()
            .map(|(_, score)| libm::exp((score - top) / temperature))
            .collect();
        if let Some(p) = self.sampling.top_p {
            let enough = p * weights.iter().sum::<f64>();
            let mut reached = 0.0;
            let count = weights.iter().take_while(|weight| {
                let is_needed = reached < enough;
                reached += **weight;
                is_needed
            });
            let count = count.count();
            weights.truncate(count);
        }
        if let Some(share) = self.sampling.min_p {
            // The first candidate has the weight 1.
            weights.retain(|weight| *weight >= share);
        }
        let total: f64 = weights.iter().sum();
        let unit = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut left = unit * total;
        let drawn = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave a remainder after the last candidate.
        let at = drawn.unwrap_or(weights.len() - 1);
        Some(candidates[at].0)
    }
}

/// Divides positive scores of tokens that occurred before by the penalty, and multiplies negative ones.
pub(crate) fn penalize(scores: &mut [f64], before: &[u32], penalty: f64) {
    if penalty == 1.0 {
        return;
    }
    let mut said = before.to_vec();
    said.sort_unstable();
    said.dedup();
    for token in said {
        let score = &mut scores[token as usize];
        *score = if *score > 0.0 {
            *score / penalty
        } else {
            *score * penalty
        }
        // An infinite score would leave no weights to draw from.
        .clamp(f64::MIN, f64::MAX);
    }
}

/// ln Σ exp, in order.
pub(crate) fn log_sum_exp(scores: &[f64]) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|score| libm::exp(score - top)).sum();
    top + libm::log(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::{Free, OneOf};
    use proptest::prelude::*;

    const LOGITS: [f32; 6] = [0.0, 2.0, -1.0, 2.0, 1.5, -30.0];

    /// How many times each token is drawn in 4,000 draws.
    fn counts(sampling: Sampling) -> [usize; 6] {
        let mut chooser = Chooser::new(sampling).unwrap();
        let mut counts = [0; 6];
        for _ in 0..4000 {
            let choice = chooser.choose(&LOGITS, &[], &Free).unwrap();
            counts[choice.token as usize] += 1;
        }
        counts
    }

    fn warm() -> Sampling {
        Sampling::default().with(|it| it.temperature = 1.0)
    }

    #[test]
    fn extreme_penalties_leave_tokens_to_draw() {
        for penalty in [1e-308, 1e308] {
            let sampling = warm().with(|it| {
                (it.repetition_penalty, it.top_p, it.min_p) = (penalty, Some(0.9), Some(0.1));
            });
            let mut chooser = Chooser::new(sampling).unwrap();
            // Each score overflows under one of the penalties.
            let choice = chooser.choose(&[8.0, -8.0], &[0, 1], &Free).unwrap();
            assert_eq!(choice.token, 0);
            assert!(chooser.choose(&[-8.0], &[0], &Free).is_some());
        }
    }

    #[test]
    fn draws_follow_the_probabilities_of_what_is_left() {
        let check = |sampling: Sampling, left: &[usize]| {
            let counts = counts(sampling);
            let weight = |token: usize| (f64::from(LOGITS[token]) / sampling.temperature).exp();
            let total: f64 = left.iter().map(|token| weight(*token)).sum();
            for (token, count) in counts.iter().enumerate() {
                let expected = match left.contains(&token) {
                    true => 4000.0 * weight(token) / total,
                    false => 0.0,
                };
                let spread = 5.0 * expected.sqrt();
                assert!(
                    (*count as f64 - expected).abs() <= spread,
                    "{sampling:?}: {counts:?}"
                );
            }
        };
        check(warm(), &[0, 1, 2, 3, 4, 5]);
        check(warm().with(|it| it.temperature = 3.0), &[0, 1, 2, 3, 4, 5]);
        check(warm().with(|it| it.top_k = Some(2)), &[1, 3]);
        check(warm().with(|it| it.top_k = Some(1)), &[1]);
        check(warm().with(|it| it.top_k = Some(100)), &[0, 1, 2, 3, 4, 5]);
        // 0.36 each for 1 and 3, 0.22 for 4, 0.05 for 0.
        check(warm().with(|it| it.top_p = Some(0.3)), &[1]);
        check(warm().with(|it| it.top_p = Some(0.5)), &[1, 3]);
        check(warm().with(|it| it.top_p = Some(0.75)), &[1, 3, 4]);
        check(warm().with(|it| it.min_p = Some(0.5)), &[1, 3, 4]);
        check(warm().with(|it| it.min_p = Some(1.0)), &[1, 3]);
    }

    #[test]
    fn the_most_likely_is_the_lowest_of_equals() {
        let mut greedy = Chooser::new(Sampling::default()).unwrap();
        let choice = greedy.choose(&LOGITS, &[1], &Free).unwrap();
        assert_eq!(choice.token, 1);
        let total: f64 = LOGITS.iter().map(|logit| f64::from(*logit).exp()).sum();
        assert!((choice.log_probability - (2.0 - total.ln())).abs() < 1e-12);
        let allowed = OneOf::new(vec![vec![5], vec![0]], None);
        assert_eq!(greedy.choose(&LOGITS, &[], &allowed).unwrap().token, 0);
        let nothing = OneOf::new(Vec::new(), None);
        assert_eq!(greedy.choose(&LOGITS, &[], &nothing), None);
        let penalty = Sampling::default().with(|it| it.repetition_penalty = 1.5);
        let mut chooser = Chooser::new(penalty).unwrap();
        // 2 / 1.5 is below 1.5.
        assert_eq!(chooser.choose(&LOGITS, &[1, 3, 1], &Free).unwrap().token, 4);
        assert_eq!(chooser.choose(&LOGITS, &[1, 4], &Free).unwrap().token, 3);
        assert_eq!(chooser.choose(&[-1.0, -1.2], &[0], &Free).unwrap().token, 1);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let refused = |change: fn(&mut Sampling), message: &str| {
            let error = Chooser::new(Sampling::default().with(change)).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        };
        refused(|it| it.temperature = -1.0, "temperature is -1");
        refused(|it| it.temperature = f64::NAN, "temperature is NaN");
        refused(|it| it.repetition_penalty = 0.0, "repetition penalty is 0");
        refused(
            |it| it.top_p = Some(0.9),
            "top-p has no effect at temperature 0",
        );
        refused(|it| it.top_k = Some(3), "top-k has no effect");
        refused(|it| it.min_p = Some(0.1), "min-p has no effect");
        let warm = |change: fn(&mut Sampling), message: &str| {
            let error = Chooser::new(warm().with(change)).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        };
        warm(|it| it.top_p = Some(0.0), "top-p is 0");
        warm(|it| it.top_p = Some(1.5), "top-p is 1.5");
        warm(|it| it.top_k = Some(0), "top-k is 0");
        warm(|it| it.min_p = Some(1.1), "min-p is 1.1");
    }

    proptest! {
        #[test]
        fn the_same_seed_draws_the_same(logits in proptest::collection::vec(-9f32..9.0, 1..40), seed: u64, temperature in 0.1f64..3.0) {
            let sampling = warm().with(|it| (it.seed, it.temperature) = (seed, temperature));
            let draw = || {
                let mut chooser = Chooser::new(sampling).unwrap();
                (0..9).map(|_| chooser.choose(&logits, &[], &Free).unwrap().token).collect::<Vec<_>>()
            };
            prop_assert_eq!(draw(), draw());
        }

        #[test]
        fn a_low_temperature_is_greedy(logits in proptest::collection::vec(-9f32..9.0, 1..40), seed: u64) {
            let best = Chooser::new(Sampling::default()).unwrap().choose(&logits, &[], &Free).unwrap();
            let cold = warm().with(|it| (it.seed, it.temperature) = (seed, 1e-9));
            let drawn = Chooser::new(cold).unwrap().choose(&logits, &[], &Free).unwrap();
            // Tokens with logits closer together than the temperature can be drawn too.
            prop_assert!((logits[best.token as usize] - logits[drawn.token as usize]).abs() < 1e-6);
        }
    }
}
