//! Axes: the range of a set of values, the position of a value in it, and the ticks.

/// One axis of a panel.
///
/// Equal axes in one column of panels share one range.
///
/// ```
/// use layerwise_plot::{Axis, Scale};
///
/// let depth = Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0);
/// assert_eq!((depth.min, depth.max), (Some(0.0), Some(1.0)));
/// let kinds = Axis::new("Kind", Scale::Integer).named(["zero", "mean"]); // at 0 and 1
/// assert_eq!(kinds.names, ["zero", "mean"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The measured quantity, with its unit.
    pub label: String,
    /// How values are mapped to distances.
    pub scale: Scale,
    /// The lower end. If `None`, or not positive on a logarithmic axis, the values decide.
    ///
    /// Ends that are equal or in the wrong order are moved apart.
    pub min: Option<f64>,
    /// Upper end; as for `min`.
    pub max: Option<f64>,
    /// Names shown instead of whole numbers, from the lower end or 0 on; empty for an axis of numbers.
    pub names: Vec<String>,
}

impl Axis {
    /// An axis whose ends depend on the values.
    pub fn new(label: impl Into<String>, scale: Scale) -> Self {
        Self {
            label: label.into(),
            scale,
            min: None,
            max: None,
            names: Vec::new(),
        }
    }

    /// The same axis with fixed ends.
    #[must_use]
    pub fn between(mut self, min: f64, max: f64) -> Self {
        self.min = Some(min);
        self.max = Some(max);
        self
    }

    /// The same axis with names instead of numbers.
    #[must_use]
    pub fn named(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// A tick for each name; `None` on an axis of numbers.
    pub(crate) fn named_ticks(&self) -> Option<Ticks> {
        let first = self.min.unwrap_or(0.0);
        let names = self.names.iter().enumerate();
        let major = names.map(|(at, name)| (first + at as f64, name.clone()));
        (!self.names.is_empty()).then(|| Ticks {
            major: major.collect(),
            minor: Vec::new(),
        })
    }
}

/// How an axis maps values to distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// Proportional to the value.
    Linear,
    /// Proportional to the value, with ticks at whole numbers only.
    Integer,
    /// Proportional to the decimal logarithm. Values that are not positive lie at the lower end.
    Log10,
}

/// The largest number of decades that a logarithmic axis extends below its largest value.
///
/// Without a limit, a value of 1e-30 that should be zero would leave no room for the others.
const MOST_DECADES: i32 = 8;

/// Axis ends stay within this magnitude, so that no difference or power of them overflows or underflows f64.
const LARGEST: f64 = 1e300;
const SMALLEST: f64 = 1e-300;

/// The range of values that an axis shows; `low < high`, and both are positive on a logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) scale: Scale,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The position of a value on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// Distance from the lower end as a fraction of the axis, 0 to 1.
    pub(crate) fraction: f64,
    /// Whether the value itself is beyond the end at which it is placed.
    pub(crate) beyond: bool,
}

/// Ticks of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ticks {
    /// Labelled ticks, in ascending order.
    pub(crate) major: Vec<(f64, String)>,
    /// Ticks without a label.
    pub(crate) minor: Vec<f64>,
}

impl Range {
    /// The range of `axis` over `values`; values that are not finite are ignored.
    pub(crate) fn of(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        match axis.scale {
            Scale::Log10 => Self::logarithmic(axis, finite),
            Scale::Linear | Scale::Integer => Self::linear(axis, finite),
        }
    }

    fn linear(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let tame = |value: f64| {
            if value.abs() < SMALLEST {
                0.0
            } else {
                value.clamp(-LARGEST, LARGEST)
            }
        };
        let end = |fixed: Option<f64>| fixed.filter(|value| value.is_finite()).map(tame);
        let (fixed_low, fixed_high) = (end(axis.min), end(axis.max));
        let (least, greatest) = extremes(values.map(tame)).unwrap_or((0.0, 1.0));
        let mut low = fixed_low.unwrap_or(least);
        let mut high = fixed_high.unwrap_or(greatest);
        let magnitude = low.abs().max(high.abs());
        if high - low <= 1e-9 * magnitude {
            let margin = if magnitude == 0.0 {
                1.0
            } else {
                0.1 * magnitude
            };
            (low, high) = match (fixed_low, fixed_high) {
                (Some(low), None) => (low, low + margin),
                (None, Some(high)) => (high - margin, high),
                _ => (low.min(high) - margin, low.max(high) + margin),
            };
        }
        let unit = match axis.scale {
            Scale::Integer => 1.0,
            Scale::Linear | Scale::Log10 => Step::covering(high - low, 6, false).minor(),
        };
        if fixed_low.is_none() {
            low = (low / unit + 1e-9).floor() * unit;
        }
        if fixed_high.is_none() {
            high = (high / unit - 1e-9).ceil() * unit;
        }
        // Rounding to whole numbers may have made the ends equal.
        if high <= low {
            if fixed_high.is_none() {
                high = low + unit;
            } else {
                low = high - unit;
            }
        }
        Self {
            scale: axis.scale,
            low,
            high,
        }
    }

    fn logarithmic(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let tame = |value: f64| (value > 0.0).then(|| value.clamp(SMALLEST, LARGEST));
        let (fixed_low, fixed_high) = (axis.min.and_then(tame), axis.max.and_then(tame));
        let (least, greatest) = extremes(values.filter_map(tame)).unwrap_or((0.1, 1.0));
        let high = fixed_high.unwrap_or_else(|| 1.0 / one_two_five_below(1.0 / greatest));
        let deepest = high / 10_f64.powi(MOST_DECADES);
        let low = fixed_low.unwrap_or_else(|| one_two_five_below(least).max(deepest));
        // An axis shows at least one decade, so that it has labels.
        let (low, high) = match (fixed_low, fixed_high) {
            _ if high >= low * (10.0 - 1e-9) => (low, high),
            (None, Some(high)) => (high / 10.0, high),
            _ => (low, low * 10.0),
        };
        Self {
            scale: Scale::Log10,
            low,
            high,
        }
    }

    /// The position of `value`; `None` for NaN.
    pub(crate) fn place(&self, value: f64) -> Option<Place> {
        if value.is_nan() {
            return None;
        }
        let (position, low, high) = match self.scale {
            Scale::Linear | Scale::Integer => (value, self.low, self.high),
            // Zero becomes −∞, and so do negative values: both lie at the lower end.
            Scale::Log10 => (value.max(0.0).log10(), self.low.log10(), self.high.log10()),
        };
        let fraction = (position - low) / (high - low);
        Some(Place {
            fraction: fraction.clamp(0.0, 1.0),
            // Ends and ticks are rounded; a hundred-thousandth of the axis is invisible.
            beyond: !(-1e-5..=1.0 + 1e-5).contains(&fraction),
        })
    }

    /// Ticks with at most about `most` labels, but never fewer than a reader needs.
    pub(crate) fn ticks(&self, most: usize) -> Ticks {
        match self.scale {
            Scale::Linear => self.linear_ticks(Step::covering(self.high - self.low, most, false)),
            Scale::Integer => self.linear_ticks(Step::covering(self.high - self.low, most, true)),
            Scale::Log10 => self.logarithmic_ticks(most),
        }
    }

    fn linear_ticks(&self, step: Step) -> Ticks {
        let size = step.size();
        let largest = self.low.abs().max(self.high.abs());
        let label = |value: f64| step.label(value, largest);
        // On an axis much shorter than 1, whole numbers are too coarse, and multiples within it are used.
        let on_axis = |value: &f64| self.place(*value).is_some_and(|place| !place.beyond);
        let major: Vec<(f64, String)> = multiples(self.low, self.high, size)
            .filter(on_axis)
            .map(|value| (value, label(value)))
            .collect();
        let minor = if self.scale == Scale::Integer && step.minor() < 1.0 {
            Vec::new()
        } else {
            multiples(self.low, self.high, step.minor())
                .filter(|value| major.iter().all(|(at, _)| (at - value).abs() > size * 0.01))
                .collect()
        };
        Ticks { major, minor }
    }

    fn logarithmic_ticks(&self, most: usize) -> Ticks {
        let first = (self.low.log10() - 1e-9).ceil() as i32;
        let last = (self.high.log10() + 1e-9).floor() as i32;
        let inside =
            |value: f64| value >= self.low * (1.0 - 1e-9) && value <= self.high * (1.0 + 1e-9);
        // Multiples 1 to 9 of every decade that the axis touches.
        let fine = |decade: i32| (1..=9).map(move |digit| (decade, digit));
        let all = (first - 1..=last).flat_map(fine);
        if last - first < 1 {
            let (labelled, plain): (Vec<_>, Vec<_>) = all
                .filter(|&(decade, digit)| inside(power(decade, digit)))
                .partition(|(_, digit)| matches!(digit, 1 | 2 | 5));
            return Ticks {
                major: labelled
                    .into_iter()
                    .map(|(decade, digit)| (power(decade, digit), multiple_label(decade, digit)))
                    .collect(),
                minor: plain
                    .into_iter()
                    .map(|(decade, digit)| power(decade, digit))
                    .collect(),
            };
        }
        let decades = (last - first + 1) as usize;
        let stride = decades.div_ceil(most.max(2)) as i32;
        // Labelled decades are multiples of the stride, so 10⁰ is among them if the axis crosses it.
        let labelled = |decade: i32| decade.rem_euclid(stride) == 0;
        let major = (first..=last)
            .filter(|&decade| labelled(decade))
            .map(|decade| (power(decade, 1), format!("10{}", superscript(decade))))
            .collect();
        let minor = if stride == 1 {
            all.filter(|&(_, digit)| digit > 1)
                .map(|(decade, digit)| power(decade, digit))
                .filter(|&value| inside(value))
                .collect()
        } else {
            // Minor ticks of a hundred decades would merge.
            (first..=last)
                .filter(|&decade| decades <= 30 && !labelled(decade))
                .map(|decade| power(decade, 1))
                .collect()
        };
        Ticks { major, minor }
    }
}

/// Distance between ticks: `tenths`/10 · 10^`exponent`, with tenths 10, 20, 25 or 50.
#[derive(Clone, Copy, Debug)]
struct Step {
    tenths: i32,
    exponent: i32,
}

impl Step {
    /// The smallest step with which at most `most` ticks cover `length`; with `whole`, steps are whole numbers.
    fn covering(length: f64, most: usize, whole: bool) -> Self {
        let intervals = most.max(3) as f64 - 1.0;
        let first = (length / intervals).log10().floor() as i32;
        let candidates = (first..=first + 2).flat_map(|exponent| {
            [10, 20, 25, 50]
                .into_iter()
                .map(move |tenths| Self { tenths, exponent })
        });
        let fits = |step: &Self| step.size() * intervals >= length * (1.0 - 1e-9);
        let allowed =
            |step: &Self| !whole || step.size() >= 1.0 && (step.tenths != 25 || step.exponent > 0);
        candidates
            .into_iter()
            .find(|step| fits(step) && allowed(step))
            .unwrap_or(Self {
                tenths: 10,
                exponent: 0,
            })
    }

    fn size(self) -> f64 {
        power(self.exponent, self.tenths) / 10.0
    }

    /// Distance between minor ticks.
    fn minor(self) -> f64 {
        self.size() / if self.tenths == 20 { 4.0 } else { 5.0 }
    }

    /// The label of a tick on an axis whose largest magnitude is `largest`.
    fn label(self, value: f64, largest: f64) -> String {
        let finest = if self.tenths == 25 {
            self.exponent - 1
        } else {
            self.exponent
        };
        let magnitude = largest.log10().floor() as i32;
        if magnitude >= 5 || finest < -4 {
            if value.abs() < self.size() * 0.01 {
                return "0".to_owned();
            }
            let decimals = usize::try_from(magnitude - finest).unwrap_or(0);
            let mantissa = format!("{:.decimals$}", value / power(magnitude, 1));
            return format!(
                "{}×10{}",
                with_minus_sign(&mantissa),
                superscript(magnitude)
            );
        }
        let decimals = usize::try_from(-finest).unwrap_or(0);
        with_minus_sign(&format!("{value:.decimals$}"))
    }
}

/// The multiples of `step` from `low` to `high`.
fn multiples(low: f64, high: f64, step: f64) -> impl Iterator<Item = f64> {
    let first = (low / step - 1e-6).ceil();
    let count = ((high / step + 1e-6).floor() - first).clamp(-1.0, 200.0) as i32 + 1;
    // Adding 0.0 turns −0 into 0, which would otherwise be labelled as negative.
    (0..count).map(move |index| (first + f64::from(index)) * step + 0.0)
}

/// `digit` · 10^`decade`, correctly rounded if the power of ten is exact.
fn power(decade: i32, digit: i32) -> f64 {
    if decade < 0 {
        f64::from(digit) / 10_f64.powi(-decade)
    } else {
        f64::from(digit) * 10_f64.powi(decade)
    }
}

/// The label of `digit` · 10^`decade` on a logarithmic axis with few decades.
fn multiple_label(decade: i32, digit: i32) -> String {
    match decade {
        -3..0 => format!(
            "{:.*}",
            decade.unsigned_abs() as usize,
            power(decade, digit)
        ),
        0..4 => format!("{:.0}", power(decade, digit)),
        _ if digit == 1 => format!("10{}", superscript(decade)),
        _ => format!("{digit}×10{}", superscript(decade)),
    }
}

fn superscript(number: i32) -> String {
    number
        .to_string()
        .chars()
        .map(|character| match character {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '0' => '⁰',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            _ => '⁹',
        })
        .collect()
}

fn with_minus_sign(number: &str) -> String {
    number.replace('-', "−")
}

/// The largest of 1, 2, 5 times a power of ten that is not above `value`.
fn one_two_five_below(value: f64) -> f64 {
    let decade = (value.log10() + 1e-9).floor() as i32;
    [5, 2, 1]
        .into_iter()
        .map(|digit| power(decade, digit))
        .find(|&bound| bound <= value * (1.0 + 1e-9))
        .unwrap_or(value)
}

fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |found, value| {
        let (low, high) = found.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, low: f64, high: f64) -> Range {
        Range { scale, low, high }
    }

    #[test]
    fn labelled_ticks_are_nice() {
        let check = |scale: Scale, low: f64, high: f64, most: usize, expected: &str| {
            let ticks = range(scale, low, high).ticks(most);
            let labels: Vec<&str> = ticks
                .major
                .iter()
                .map(|(_, label)| label.as_str())
                .collect();
            assert_eq!(
                labels.join(" "),
                expected,
                "{scale:?} from {low} to {high}, {most}"
            );
        };
        check(Scale::Linear, 0.0, 1.0, 6, "0.0 0.2 0.4 0.6 0.8 1.0");
        check(Scale::Linear, 0.0, 1.0, 5, "0.00 0.25 0.50 0.75 1.00");
        check(Scale::Linear, -2.0, 9.0, 5, "0 5");
        check(Scale::Linear, -4.0, 4.0, 6, "−4 −2 0 2 4");
        check(Scale::Linear, 0.13, 0.17, 5, "0.13 0.14 0.15 0.16 0.17");
        check(Scale::Linear, 0.0, 3e7, 4, "0 1×10⁷ 2×10⁷ 3×10⁷");
        check(Scale::Linear, -2e-7, 2e-7, 3, "−2×10⁻⁷ 0 2×10⁻⁷");
        check(Scale::Integer, 0.0, 47.0, 6, "0 10 20 30 40");
        check(Scale::Integer, 0.0, 3.0, 9, "0 1 2 3");
        check(Scale::Integer, 0.0, 11.0, 6, "0 5 10");
        check(Scale::Integer, 3.0, 3.5, 6, "3");
        check(Scale::Log10, 1e-3, 20.0, 6, "10⁻³ 10⁻² 10⁻¹ 10⁰ 10¹");
        check(Scale::Log10, 1e-3, 20.0, 3, "10⁻² 10⁰");
        check(Scale::Log10, 1e-9, 1e3, 5, "10⁻⁹ 10⁻⁶ 10⁻³ 10⁰ 10³");
        check(Scale::Log10, 0.2, 2.0, 6, "0.2 0.5 1 2");
        check(Scale::Log10, 2e-6, 2e-5, 6, "2×10⁻⁶ 5×10⁻⁶ 10⁻⁵ 2×10⁻⁵");
    }

    #[test]
    fn minor_ticks_lie_between_the_labelled_ones() {
        let check = |scale: Scale, low: f64, high: f64, most: usize, expected: &[f64]| {
            let ticks = range(scale, low, high).ticks(most);
            let close = ticks.minor.len() == expected.len()
                && ticks
                    .minor
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| (found - expected).abs() <= 1e-9 * expected.abs());
            assert!(close, "{scale:?} from {low} to {high}: {:?}", ticks.minor);
        };
        check(
            Scale::Linear,
            0.0,
            1.0,
            3,
            &[0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9],
        );
        check(Scale::Integer, 0.0, 3.0, 9, &[]);
        check(
            Scale::Integer,
            0.0,
            10.0,
            3,
            &[1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0],
        );
        check(
            Scale::Log10,
            0.5,
            20.0,
            6,
            &[
                0.5, 0.6, 0.7, 0.8, 0.9, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 20.0,
            ],
        );
        check(Scale::Log10, 1e-2, 1e2, 3, &[1e-1, 1e1]);
    }

    #[test]
    fn ranges_hold_their_values() {
        let check = |axis: Axis, values: &[f64], low: f64, high: f64| {
            let found = Range::of(&axis, values.iter().copied());
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
            assert!(
                close(found.low, low) && close(found.high, high),
                "{axis:?} over {values:?}: {found:?}"
            );
        };
        let linear = || Axis::new("", Scale::Linear);
        let log = || Axis::new("", Scale::Log10);
        check(linear(), &[0.1, 0.93], 0.1, 0.95);
        check(linear(), &[f64::NAN, f64::INFINITY], 0.0, 1.0);
        check(linear(), &[3.0], 2.7, 3.3);
        check(linear(), &[0.0, 0.0], -1.0, 1.0);
        check(linear().between(0.0, 1.0), &[-7.0, 7.0], 0.0, 1.0);
        check(Axis::new("", Scale::Integer), &[0.0, 47.0], 0.0, 47.0);
        check(Axis::new("", Scale::Integer), &[3.2, 3.8], 3.0, 4.0);
        check(linear().between(0.9, 0.1), &[], 0.01, 0.99);
        check(log(), &[0.0013, 14.0], 0.001, 20.0);
        check(log(), &[0.0, -3.0, 0.02, 0.6], 0.02, 1.0);
        check(log(), &[1e-30, 10.0], 1e-7, 10.0);
        check(log(), &[0.3, 0.4], 0.2, 2.0);
        check(log(), &[0.9, 1.1], 0.5, 5.0);
        check(log(), &[], 0.1, 1.0);
        check(log().between(-1.0, 10.0), &[0.2], 0.2, 10.0);
    }

    #[test]
    fn any_values_give_a_range_with_ticks() {
        let odd = [
            f64::MIN,
            -1e17,
            -1.0,
            -0.0,
            5e-324,
            1e-17,
            1.0,
            1.0 + f64::EPSILON,
            1e17,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        for scale in [Scale::Linear, Scale::Integer, Scale::Log10] {
            for first in odd {
                for second in odd {
                    for axis in [
                        Axis::new("", scale),
                        Axis::new("", scale).between(first, second),
                        Axis {
                            min: Some(first),
                            ..Axis::new("", scale)
                        },
                        Axis {
                            max: Some(first),
                            ..Axis::new("", scale)
                        },
                    ] {
                        let range = Range::of(&axis, [first, second].into_iter());
                        assert!(range.low < range.high, "{axis:?}: {range:?}");
                        assert!((range.high - range.low).is_finite(), "{axis:?}: {range:?}");
                        let ticks = range.ticks(5);
                        assert!(ticks.major.len() <= 12, "{axis:?}: {ticks:?}");
                        assert!(ticks.minor.len() <= 60, "{axis:?}: {ticks:?}");
                        for (value, _) in &ticks.major {
                            assert!(range.place(*value).is_some_and(|place| !place.beyond));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn values_beyond_an_axis_lie_at_its_end() {
        let check = |scale: Scale, value: f64, expected: Option<(f64, bool)>| {
            let found = range(scale, 1.0, 100.0).place(value);
            let found = found.map(|place| (place.fraction, place.beyond));
            assert_eq!(found, expected, "{value} on {scale:?}");
        };
        check(Scale::Log10, 10.0, Some((0.5, false)));
        check(Scale::Log10, 0.5, Some((0.0, true)));
        check(Scale::Log10, 0.0, Some((0.0, true)));
        check(Scale::Log10, -2.0, Some((0.0, true)));
        check(Scale::Log10, f64::INFINITY, Some((1.0, true)));
        check(Scale::Log10, f64::NAN, None);
        check(Scale::Linear, 1.0, Some((0.0, false)));
        check(Scale::Linear, -1.0, Some((0.0, true)));
        check(Scale::Linear, f64::NEG_INFINITY, Some((0.0, true)));
        check(Scale::Linear, f64::NAN, None);
    }
}
