//! The finding of a claim's test: a number with its interval and its threshold, or why there is none.

use super::lens::Lens;
use layerwise_metrics::{Draws, errors_in_interval, estimated_errors, one_sided};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The whole interval is as claimed.
    #[serde(rename = "holds")]
    Holds,
    /// None of the interval is.
    #[serde(rename = "fails")]
    Fails,
    /// Part of it is, or there is no interval.
    #[serde(rename = "undecided")]
    Undecided,
    /// There is no number.
    #[serde(rename = "not tested")]
    NotTested,
}

impl Verdict {
    /// All four, in the order of counting.
    pub const ALL: [Self; 4] = [Self::Holds, Self::Fails, Self::Undecided, Self::NotTested];

    /// The name in `claims.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Undecided => "undecided",
            Self::NotTested => "not tested",
        }
    }
}

/// The requirement on a number.
///
/// ```
/// use layerwise_experiments::core::finding::{Threshold, Verdict};
///
/// let positive = Threshold::Above(0.0);
/// assert_eq!(positive.decides([0.1, 0.3]), Verdict::Holds);
/// assert_eq!(positive.decides([-0.1, 0.3]), Verdict::Undecided);
/// assert_eq!(positive.decides([-0.3, -0.1]), Verdict::Fails);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// At least this.
    AtLeast(f64),
    /// More than this.
    Above(f64),
    /// At most this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// Between these two, inclusive.
    Between(f64, f64),
    /// Not this.
    Not(f64),
}

impl Threshold {
    /// Whether a number satisfies it; NaN never does.
    pub fn admits(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::Above(bound) => value > bound,
            Self::AtMost(most) => value <= most,
            Self::Below(bound) => value < bound,
            Self::Between(low, high) => (low..=high).contains(&value),
            Self::Not(other) => value != other,
        }
    }

    /// The outcome for an interval: all of it satisfies the requirement, none of it does, or neither.
    pub fn decides(self, [low, high]: [f64; 2]) -> Verdict {
        let lies_around = match self {
            Self::Between(least, most) => low < least && high > most,
            Self::Not(other) => low < other && high > other,
            _ => false,
        };
        match (self.admits(low), self.admits(high)) {
            (true, true) if matches!(self, Self::Not(_)) && lies_around => Verdict::Undecided,
            (true, true) => Verdict::Holds,
            (false, false) if !lies_around => Verdict::Fails,
            _ => Verdict::Undecided,
        }
    }

    /// The bounds that a number must not be below, and must not be above; of a number other than one value, that value on its
    /// side.
    fn bounds(self, value: f64) -> [Option<f64>; 2] {
        match self {
            Self::AtLeast(bound) | Self::Above(bound) => [Some(bound), None],
            Self::AtMost(bound) | Self::Below(bound) => [None, Some(bound)],
            Self::Between(low, high) => [Some(low), Some(high)],
            Self::Not(other) if value > other => [Some(other), None],
            Self::Not(other) => [None, Some(other)],
        }
    }

    /// Whether a number at a bound satisfies it.
    fn is_closed(self) -> bool {
        matches!(self, Self::AtLeast(_) | Self::AtMost(_) | Self::Between(..))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::Above(bound) => write!(f, "> {bound}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::Between(low, high) => write!(f, "{low} to {high}"),
            Self::Not(other) => write!(f, "not {other}"),
        }
    }
}

/// The uncertainty of a deciding number.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// Unknown.
    Unknown,
    /// A standard error, with the number of independent units if it is known.
    Error {
        /// The standard error, in the number's unit.
        error: f64,
        /// The number of sequences, items or words.
        units: Option<u64>,
    },
    /// The values in resamples of the independent units.
    Drawn {
        /// The value in each resample.
        draws: Arc<Draws>,
        /// Half the least width of the interval, from the number of places compared; 0 if there is no such bound.
        least: f64,
    },
    /// The range over choices that are not sampled; for a count, the number itself.
    Range([f64; 2]),
    /// The shares of arrangements of the models in which the number is at least as great, and at most as great.
    Permuted {
        /// At least as great.
        at_least: f64,
        /// At most as great.
        at_most: f64,
    },
}

/// A deciding number.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// How well it is known.
    pub spread: Spread,
    /// Notes on the outcome.
    pub note: String,
}

/// The one-sided p that corresponds to an interval of 95 %.
pub(super) const ONE_SIDE: f64 = 0.025;

impl Measured {
    /// A number with unknown uncertainty.
    pub fn of(value: f64) -> Self {
        Self {
            value,
            spread: Spread::Unknown,
            note: String::new(),
        }
    }

    /// A number that is counted, and so exact.
    pub fn counted(value: f64) -> Self {
        Self::of(value).within([value, value])
    }

    /// The same number with this standard error; without one, its uncertainty is unknown.
    pub fn with_error(self, standard_error: Option<f64>) -> Self {
        self.with_error_of(standard_error, None)
    }

    /// The same number with this standard error over this many independent units.
    pub fn with_error_of(self, standard_error: Option<f64>, units: Option<u64>) -> Self {
        let error = standard_error.filter(|error| error.is_finite());
        Self {
            spread: error.map_or(Spread::Unknown, |error| Spread::Error { error, units }),
            ..self
        }
    }

    /// The same number as the most extreme of so many: its error is widened by Bonferroni's correction. A number without a known
    /// error stays unknown.
    ///
    /// # Panics
    /// If the number already has an interval.
    pub fn chosen_from(self, looks: usize) -> Self {
        let (error, units) = match self.spread {
            Spread::Error { error, units } => (error, units),
            Spread::Unknown => return self,
            _ => panic!("a number must be marked as chosen before it has an interval"),
        };
        // The standard errors beyond which one comparison's share lies on one side.
        let (mut low, mut high) = (errors_in_interval(None), 40.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            match one_sided(middle) * looks as f64 > ONE_SIDE {
                true => low = middle,
                false => high = middle,
            }
        }
        let error = error * estimated_errors(low, units) / errors_in_interval(units);
        Self {
            spread: Spread::Error { error, units },
            ..self
        }
    }

    /// The same number with this range over choices that are not sampled.
    pub fn within(self, range: [f64; 2]) -> Self {
        Self {
            spread: Spread::Range(range),
            ..self
        }
    }

    /// The same number with this note.
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..self
        }
    }

    /// Its standard error, if it has one.
    pub fn standard_error(&self) -> Option<f64> {
        match self.spread {
            Spread::Error { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Its interval of 95 %, or its range.
    pub fn interval(&self) -> Option<[f64; 2]> {
        match &self.spread {
            Spread::Unknown | Spread::Permuted { .. } => None,
            Spread::Error { error, units } => {
                let half = errors_in_interval(*units) * error;
                Some([self.value - half, self.value + half])
            }
            Spread::Drawn { draws, least } => {
                let own = draws.interval();
                Some([
                    own.low.min(self.value - least),
                    own.high.max(self.value + least),
                ])
            }
            Spread::Range(range) => Some(*range),
        }
    }

    /// Its outcome against a threshold.
    fn verdict(&self, threshold: Threshold) -> Verdict {
        if let Spread::Permuted { at_least, at_most } = self.spread {
            let (own, opposite) = match threshold {
                Threshold::AtMost(_) | Threshold::Below(_) => (at_most, at_least),
                _ => (at_least, at_most),
            };
            return match (own <= ONE_SIDE, opposite <= ONE_SIDE) {
                (true, _) => Verdict::Holds,
                (_, true) => Verdict::Fails,
                _ => Verdict::Undecided,
            };
        }
        let interval = self.interval();
        match interval.map_or(Verdict::Undecided, |interval| threshold.decides(interval)) {
            // A value on either side would satisfy it, so each side gets half.
            Verdict::Holds
                if self.p(threshold) > ONE_SIDE && matches!(threshold, Threshold::Not(_)) =>
            {
                Verdict::Undecided
            }
            verdict => verdict,
        }
    }

    /// The one-sided p against the null hypothesis that the number does not satisfy the threshold.
    fn p(&self, threshold: Threshold) -> f64 {
        let [low, high] = threshold.bounds(self.value);
        let [above, below] = [
            low.map(|bound| self.value - bound),
            high.map(|bound| bound - self.value),
        ];
        let each = match &self.spread {
            Spread::Unknown => [Some(1.0), None],
            Spread::Error { error, units } => {
                // In units of a normal number's standard error, as for the interval.
                let scale = errors_in_interval(None) / errors_in_interval(*units);
                let error = error.max(f64::MIN_POSITIVE);
                [above, below].map(|room| Some(one_sided(scale * room? / error)))
            }
            Spread::Drawn { draws, least } => {
                let places = |room: f64| match *least > 0.0 {
                    true => one_sided(errors_in_interval(None) * room / least),
                    false => 0.0,
                };
                let beyond: [fn(&Draws, f64) -> f64; 2] = match threshold.is_closed() {
                    true => [Draws::below, Draws::above],
                    false => [Draws::at_most, Draws::at_least],
                };
                [
                    low.map(|bound| beyond[0](draws, bound).max(places(self.value - bound))),
                    high.map(|bound| beyond[1](draws, bound).max(places(bound - self.value))),
                ]
            }
            Spread::Range(range) => match threshold.decides(*range) {
                Verdict::Holds => [Some(0.0), None],
                _ => [Some(1.0), None],
            },
            Spread::Permuted { at_least, at_most } => {
                [above.map(|_| *at_least), below.map(|_| *at_most)]
            }
        };
        let sides = if matches!(threshold, Threshold::Not(_)) {
            2.0
        } else {
            1.0
        };
        (sides * each.into_iter().flatten().fold(0.0, f64::max)).min(1.0)
    }
}

/// Why there is no deciding number.
#[derive(Clone, Debug, PartialEq)]
pub struct NotTested(pub String);

impl NotTested {
    /// The reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A deciding number, or why there is none.
pub type Outcome = Result<Measured, NotTested>;

/// A paired difference with its standard error over this many units.
///
/// # Errors
/// The standard error is 0 or not defined.
pub fn difference(value: f64, standard_error: Option<f64>, units: Option<u64>) -> Outcome {
    match standard_error {
        Some(0.0) => Err(NotTested::because(
            "the difference is the same in all units: its standard error is 0",
        )),
        Some(error) if error.is_nan() => Err(NotTested::because(
            "the difference's standard error is not defined",
        )),
        error => Ok(Measured::of(value).with_error_of(error, units)),
    }
}

/// Wilson's 95 % interval of a share of so many.
///
/// ```
/// use layerwise_experiments::core::finding::wilson;
///
/// let [low, high] = wilson(1.0, 10.0); // ten of ten
/// assert!(0.7 < low && low < 0.75 && (high - 1.0).abs() < 1e-9);
/// ```
pub fn wilson(share: f64, count: f64) -> [f64; 2] {
    let errors = errors_in_interval(None);
    let square = errors * errors;
    let scale = 1.0 + square / count;
    let centre = (share + square / (2.0 * count)) / scale;
    let variance = share * (1.0 - share) / count + square / (4.0 * count * count);
    let half = errors * variance.sqrt() / scale;
    [centre - half, centre + half]
}

/// Newcombe's 95 % interval of the difference of two independent shares, each of so many: the distances to the ends of their
/// Wilson intervals, added as standard errors are (Newcombe 1998, method 10).
pub fn newcombe([first, second]: [(f64, f64); 2]) -> [f64; 2] {
    let room = |(share, count): (f64, f64)| {
        let [low, high] = wilson(share, count);
        [share - low, high - share]
    };
    let ([below, above], [other_below, other_above]) = (room(first), room(second));
    let difference = first.0 - second.0;
    [
        difference - below.hypot(other_above),
        difference + above.hypot(other_below),
    ]
}

/// The standard error of a mean change of this many items, if at most this share of them changed by 1. It assumes two more
/// changes among four more items than were observed (Agresti and Coull 1998), so that it is not zero if nothing changed.
pub fn error_of_changes(share: f64, items: f64) -> f64 {
    let all = items + 4.0;
    ((share * items + 2.0) / all / all).sqrt()
}

/// The models that a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Each model that the line can be tested on.
    Every,
    /// At least one model.
    Some,
}

/// A future line: one number against one threshold.
///
/// ```
/// use layerwise_experiments::core::finding::{Finding, Measured, Threshold, Verdict};
///
/// let found = |outcome| Finding::of("a model", "the mean", Threshold::Above(0.0), Ok(outcome));
/// let measured = Measured::of(0.3).with_error_of(Some(0.1), Some(100)); // over 100 sequences
/// assert_eq!(found(measured).verdict(), Verdict::Holds);
/// assert_eq!(found(Measured::of(0.3)).verdict(), Verdict::Undecided); // how well is it known?
/// ```
#[derive(Clone, Debug)]
pub struct Finding {
    /// The model, or `*` for a comparison of models.
    pub model: String,
    /// The part of the claim that it judges.
    pub part: String,
    /// The lens, if the number is read through one.
    pub lens: Option<Lens>,
    /// The models that it is claimed of.
    pub reach: Reach,
    /// The requirement on the number.
    pub threshold: Threshold,
    /// The number, or why there is none.
    pub outcome: Outcome,
}

impl Finding {
    /// A finding about a model; a number that is NaN counts as not tested.
    pub fn of(
        model: &str,
        part: impl Into<String>,
        threshold: Threshold,
        outcome: Outcome,
    ) -> Self {
        Self {
            model: model.to_owned(),
            part: part.into(),
            lens: None,
            reach: Reach::Every,
            threshold,
            outcome: outcome.and_then(|measured| {
                if measured.value.is_nan() {
                    return Err(NotTested::because("the number is not defined"));
                }
                Ok(measured)
            }),
        }
    }

    /// The same finding, read through a lens.
    pub fn through(self, lens: Lens) -> Self {
        Self {
            lens: Some(lens),
            ..self
        }
    }

    /// The same finding, claimed of some model rather than of each.
    pub fn of_some(self) -> Self {
        Self {
            reach: Reach::Some,
            ..self
        }
    }

    /// The outcome.
    pub fn verdict(&self) -> Verdict {
        match &self.outcome {
            Ok(measured) => measured.verdict(self.threshold),
            Err(NotTested(_)) => Verdict::NotTested,
        }
    }

    /// The one-sided p against the null hypothesis that the line does not hold; `None` if it is not tested.
    pub fn p(&self) -> Option<f64> {
        let measured = self.outcome.as_ref().ok()?;
        Some(measured.p(self.threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_admits_what_it_says() {
        let check = |threshold: Threshold, text: &str, admitted: &[f64], refused: &[f64]| {
            assert_eq!(threshold.to_string(), text);
            for &value in admitted {
                assert!(threshold.admits(value), "{text}: {value}");
            }
            for &value in refused.iter().chain(&[f64::NAN]) {
                assert!(!threshold.admits(value), "{text}: {value}");
            }
        };
        check(Threshold::AtLeast(0.72), ">= 0.72", &[0.72, 1.0], &[0.71]);
        check(Threshold::Above(0.0), "> 0", &[1e-9], &[0.0, -1.0]);
        check(Threshold::AtMost(0.5), "<= 0.5", &[0.5, 0.0], &[0.6]);
        check(Threshold::Below(0.25), "< 0.25", &[0.0], &[0.25]);
        check(
            Threshold::Between(0.3, 0.7),
            "0.3 to 0.7",
            &[0.3, 0.7],
            &[0.2, 0.8],
        );
    }

    #[test]
    fn a_difference_needs_a_standard_error() {
        let measured = difference(0.5, Some(0.25), None).unwrap();
        assert_eq!(measured.standard_error(), Some(0.25));
        assert_eq!(difference(0.5, None, None).unwrap().interval(), None);
        for (error, reason) in [(0.0, "the same in all units"), (f64::NAN, "not defined")] {
            let NotTested(told) = difference(0.5, Some(error), None).unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn the_most_extreme_of_many_has_a_wider_error() {
        let half = |looks: usize| {
            let measured = Measured::of(0.0).with_error(Some(1.0)).chosen_from(looks);
            measured.interval().unwrap()[1]
        };
        // Normal quantiles with 0.025, 0.0125 and 0.0025 beyond them.
        for (looks, expected) in [(1, 1.959_964), (2, 2.241_403), (10, 2.807_034)] {
            assert!((half(looks) - expected).abs() < 1e-6, "{}", half(looks));
        }
        // Of five units, Student's quantile with 0.0025 beyond it at 4 degrees of freedom.
        let few = Measured::of(0.0).with_error_of(Some(1.0), Some(5));
        let half = few.chosen_from(10).interval().unwrap()[1];
        assert!((half / 5.598 - 1.0).abs() < 0.01, "{half}");
    }

    #[test]
    fn shares_of_few_items_leave_much_open() {
        let [low, high] = wilson(1.0, 5.0);
        assert!(
            (low - 0.5655).abs() < 1e-3 && (high - 1.0).abs() < 1e-9,
            "{low} {high}"
        );
        // Newcombe's example: 56 of 70 and 48 of 80.
        let [low, high] = newcombe([(56.0 / 70.0, 70.0), (48.0 / 80.0, 80.0)]);
        assert!(
            (low - 0.0524).abs() < 1e-4 && (high - 0.3339).abs() < 1e-4,
            "{low} {high}"
        );
        let [low, high] = newcombe([(1.0, 3.0), (0.0, 2.0)]);
        assert!(low < 0.2 && (high - 1.0).abs() < 1e-9, "{low} {high}");
        assert!((error_of_changes(0.0, 10.0) - 2.0_f64.sqrt() / 14.0).abs() < 1e-12);
        assert!((error_of_changes(0.5, 1e6) - (0.5_f64 / 1e6).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn an_interval_decides_where_it_lies_on_one_side() {
        let check = |threshold: Threshold, interval: [f64; 2], expected: Verdict| {
            let measured = Measured::of(f64::midpoint(interval[0], interval[1])).within(interval);
            let finding = Finding::of("gpt2", "a part", threshold, Ok(measured));
            assert_eq!(finding.verdict(), expected, "{threshold} {interval:?}");
            let holds = expected == Verdict::Holds;
            assert_eq!(finding.p(), Some(if holds { 0.0 } else { 1.0 }));
        };
        use Verdict::{Fails, Holds, Undecided};
        check(Threshold::AtLeast(1.0), [1.0, 2.0], Holds);
        check(Threshold::AtLeast(1.0), [0.9, 2.0], Undecided);
        check(Threshold::Above(1.0), [0.0, 1.0], Fails);
        check(Threshold::Above(1.0), [1.0, 2.0], Undecided);
        check(Threshold::AtMost(1.0), [0.0, 1.0], Holds);
        check(Threshold::Below(1.0), [1.0, 1.5], Fails);
        check(Threshold::Between(0.3, 0.7), [0.3, 0.6], Holds);
        check(Threshold::Between(0.3, 0.7), [0.2, 0.6], Undecided);
        check(Threshold::Between(0.3, 0.7), [0.2, 0.8], Undecided);
        check(Threshold::Between(0.3, 0.7), [0.1, 0.2], Fails);
        check(Threshold::Not(1.0), [1.5, 2.0], Holds);
        check(Threshold::Not(1.0), [0.5, 2.0], Undecided);
        let finding = |interval: [f64; 2]| Threshold::Not(1.0).decides(interval);
        assert_eq!(
            [finding([1.0, 1.0]), finding([1.0, 2.0])],
            [Fails, Undecided]
        );
    }

    #[test]
    fn verdicts_and_p_agree() {
        let check = |measured: &Measured, threshold, expected: Verdict| {
            let finding = Finding::of("gpt2", "a part", threshold, Ok(measured.clone()));
            assert_eq!(finding.verdict(), expected, "{measured:?} {threshold}");
            let p = finding.p().unwrap();
            assert_eq!(p <= 0.0251, expected == Verdict::Holds, "{p}");
        };
        let five = Measured::of(5.0);
        let error = five.clone().with_error(Some(1.0));
        check(&error, Threshold::Above(3.0), Verdict::Holds);
        check(&error, Threshold::Above(3.1), Verdict::Undecided);
        check(&error, Threshold::Below(3.0), Verdict::Fails);
        check(&error, Threshold::Between(3.0, 7.0), Verdict::Holds);
        check(&five, Threshold::Above(0.0), Verdict::Undecided);
        let few = five.clone().with_error_of(Some(1.0), Some(5));
        check(&few, Threshold::Above(3.0), Verdict::Undecided);
        let drawn: Vec<Option<f64>> = (0..1000).map(|at| Some(f64::from(at) / 100.0)).collect();
        let draws = Arc::new(Draws::of(500, Some(5.0), &drawn).unwrap());
        let drawn = |least: f64| Measured {
            spread: Spread::Drawn {
                draws: draws.clone(),
                least,
            },
            ..five.clone()
        };
        check(&drawn(0.0), Threshold::Above(0.2), Verdict::Holds);
        check(&drawn(5.0), Threshold::Above(0.2), Verdict::Undecided);
        check(&drawn(0.0), Threshold::Below(9.8), Verdict::Holds);
        check(&drawn(0.0), Threshold::Below(0.1), Verdict::Fails);
        // Most draws are at the bound: it is part of what is claimed, or not.
        let steps: Vec<Option<f64>> = (0..1000)
            .map(|at| Some(if at < 900 { 5.0 } else { 6.0 }))
            .collect();
        let at_bound = Measured {
            spread: Spread::Drawn {
                draws: Arc::new(Draws::of(500, Some(5.0), &steps).unwrap()),
                least: 0.0,
            },
            ..five.clone()
        };
        check(&at_bound, Threshold::AtLeast(5.0), Verdict::Holds);
        check(&at_bound, Threshold::Above(5.0), Verdict::Undecided);
        check(&at_bound, Threshold::Between(5.0, 6.0), Verdict::Holds);
        let permuted = |at_least, at_most| Measured {
            spread: Spread::Permuted { at_least, at_most },
            ..five.clone()
        };
        check(&permuted(0.02, 0.99), Threshold::Above(0.0), Verdict::Holds);
        check(&permuted(0.02, 0.99), Threshold::Below(0.0), Verdict::Fails);
        check(
            &permuted(0.3, 0.8),
            Threshold::Above(0.0),
            Verdict::Undecided,
        );
    }
}
