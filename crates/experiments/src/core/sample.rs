//! Means over independent units as curves, and any statistic of such curves with its interval.
//!
//! A statistic is recomputed on 2,000 resamples of the units. Curves of one sample are resampled together, so that whatever a
//! statistic pairs or chooses is paired and chosen in every resample.

use super::claim::Evidence;
use super::curve::{Point, needs};
use super::finding::{Measured, NotTested, Outcome, Spread};
use super::models::{Facts, relative_depth, state_depth};
use super::table::{TableError, record};
use layerwise_metrics::curve::{SampledPoint, draws};
use layerwise_metrics::{ClusteredMean, ClusteredRatio, errors_in_interval};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use layerwise_metrics::curve::Sampled;

/// Resamples; tests that simulate many runs use fewer.
pub(crate) const DRAWS: usize = if cfg!(test) { 200 } else { 2000 };

/// Numbers in one field, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Numbers(pub Vec<f64>);

impl From<Numbers> for String {
    fn from(Numbers(numbers): Numbers) -> Self {
        let texts: Vec<Self> = numbers.iter().map(f64::to_string).collect();
        texts.join(" ")
    }
}

impl TryFrom<String> for Numbers {
    type Error = TableError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let number = |word: &str| {
            word.parse().map_err(|_| TableError::Word {
                word: word.chars().take(40).collect(),
            })
        };
        let numbers = text.split_ascii_whitespace().map(number);
        Ok(Self(numbers.collect::<Result<_, _>>()?))
    }
}

/// No model has this many blocks, or pairs of blocks.
const MOST_INDEX: usize = u32::MAX as usize;

record! {
    /// One line of `units.csv`: the contribution of each independent unit to one mean, which is the total of sums divided by that of
    /// counts.
    pub struct Units {
        /// Name of the model.
        pub model: String,
        /// The sample: curves of one sample have the same units in the same order.
        pub curve: String,
        /// The sample: curves of one have the same units in the same order.
        pub sample: String,
        /// The block, residual stream or other place of the point.
        pub index: usize,
        /// For each unit the sum of its observations.
        pub sums: Numbers,
        /// For each unit the number of its observations, or the denominator of a share; one number if it is the same for all.
        pub counts: Numbers,
    }
    table("units") key(model, curve, index) fault(|units| {
        let (Numbers(sums), Numbers(counts)) = (&units.sums, &units.counts);
        let expected = match sums.len() {
            1 => "1 number".to_owned(),
            units => format!("1 or {units} numbers"),
        };
        let fits = counts.len() == 1 || counts.len() == sums.len();
        // An unclosed quotation mark would include the lines below. A model's own name may have line ends.
        if takes_in_lines(&units.model) {
            return Some(("model", "a name on one line".to_owned()));
        }
        let names = [("curve", &units.curve), ("sample", &units.sample)];
        if let Some((column, _)) = names.iter().find(|(_, name)| name.contains(char::is_control)) {
            return Some((column, "a name on one line".to_owned()));
        }
        if units.index > MOST_INDEX {
            return Some(("index", format!("at most {MOST_INDEX}")));
        }
        match counts.iter().all(|count| count.is_finite()) {
            true => (!fits).then_some(("counts", expected)),
            false => Some(("counts", "finite numbers".to_owned())),
        }
    })
}

/// Whether a name is followed by its line and the beginning of another line with the same name.
fn takes_in_lines(name: &str) -> bool {
    let parts = name.split_once(',');
    parts.is_some_and(|(own, below)| below.contains(&format!("\n{own},")))
}

/// The sample of the sequences of the text.
pub const TEXT: &str = "text";

impl Units {
    /// The units of a mean.
    pub fn of(model: &str, curve: &str, sample: &str, index: usize, mean: &ClusteredMean) -> Self {
        let clusters = mean.clusters();
        let sums = clusters.iter().map(|cluster| cluster.sum).collect();
        let mut counts: Vec<f64> = clusters
            .iter()
            .map(|cluster| cluster.count as f64)
            .collect();
        if counts.windows(2).all(|pair| pair[0] == pair[1]) {
            counts.truncate(1);
        }
        Self {
            model: model.to_owned(),
            curve: curve.to_owned(),
            sample: sample.to_owned(),
            index,
            sums: Numbers(sums),
            counts: Numbers(counts),
        }
    }

    /// The units of a ratio of two sums.
    pub fn of_ratio(
        model: &str,
        curve: &str,
        sample: &str,
        index: usize,
        ratio: &ClusteredRatio,
    ) -> Self {
        let (sums, counts) = ratio.each().iter().copied().unzip();
        Self {
            model: model.to_owned(),
            curve: curve.to_owned(),
            sample: sample.to_owned(),
            index,
            sums: Numbers(sums),
            counts: Numbers(counts),
        }
    }

    fn counts(&self) -> Vec<f64> {
        match (self.counts.0.as_slice(), self.sums.0.len()) {
            (&[count], units) => vec![count; units],
            (counts, _) => counts.to_vec(),
        }
    }
}

impl Evidence<'_> {
    /// A measured curve of a model; `depth` maps an index to its depth.
    ///
    /// # Errors
    /// `experiment` has not measured it.
    pub fn sampled(
        &self,
        model: &str,
        experiment: &str,
        curve: &str,
        depth: impl Fn(usize) -> f64,
    ) -> Result<Sampled, NotTested> {
        let own = self.tables.of::<Units>().iter();
        let mut own: Vec<&Units> = own
            .filter(|units| units.model == model && units.curve == curve)
            .collect();
        own.sort_by_key(|units| units.index);
        let first = own.first().ok_or_else(|| needs(experiment))?;
        let points = own.iter().map(|own| SampledPoint {
            index: own.index,
            depth: depth(own.index),
            sums: own.sums.0.clone(),
            counts: own.counts(),
        });
        Sampled::new(&first.sample, points.collect()).map_err(|_| {
            let reason = format!("units.csv: {curve} has points of different numbers of units");
            NotTested(reason)
        })
    }

    /// A curve by block.
    ///
    /// # Errors
    /// As [`Evidence::sampled`].
    pub fn by_block(
        &self,
        model: &Facts,
        experiment: &str,
        curve: &str,
    ) -> Result<Sampled, NotTested> {
        let depth = |layer| relative_depth(layer, model.layers);
        self.sampled(&model.name, experiment, curve, depth)
    }

    /// A curve by residual stream.
    ///
    /// # Errors
    /// As [`Evidence::sampled`].
    pub fn by_state(
        &self,
        model: &Facts,
        experiment: &str,
        curve: &str,
    ) -> Result<Sampled, NotTested> {
        let depth = |state| state_depth(state, model.layers);
        self.sampled(&model.name, experiment, curve, depth)
    }
}

/// A statistic of curves with its interval: the statistic of each resample.
///
/// # Errors
/// The statistic fails on the curves of all units.
pub fn statistic<const N: usize>(
    curves: [&Sampled; N],
    of: impl Fn([&[Point]; N]) -> Outcome,
) -> Outcome {
    statistic_of_all(&curves, |curves| {
        of(std::array::from_fn(|at| curves[at].as_slice()))
    })
}

/// The same for any number of curves.
///
/// # Errors
/// The statistic fails on the curves of all units.
pub fn statistic_of_all(curves: &[&Sampled], of: impl Fn(&[Vec<Point>]) -> Outcome) -> Outcome {
    let plain: Vec<Vec<Point>> = curves.iter().map(|curve| curve.curve()).collect();
    let measured = of(&plain)?;
    let value = |curves: &[Vec<Point>]| of(curves).ok().map(|measured| measured.value);
    match draws(curves, DRAWS, &value) {
        Ok(draws) => Ok(Measured {
            spread: Spread::Drawn {
                draws: Arc::new(draws),
                least: 0.0,
            },
            ..measured
        }),
        Err(error) => Ok(undecided(measured, &error.to_string())),
    }
}

/// A number at a place that the data choose: each half of the units chooses for the other half to judge, and the result is the
/// mean of both. A place that is greatest by chance in one half is not greatest in the other.
///
/// # Errors
/// The statistic fails on the curves of all units.
pub fn chosen_by_halves(
    curves: &[Sampled],
    of: impl Fn(&[Vec<Point>], &[Vec<Point>]) -> Outcome,
) -> Outcome {
    let halves: Vec<Sampled> = [false, true]
        .into_iter()
        .flat_map(|second| curves.iter().map(move |curve| curve.half(second)))
        .collect();
    statistic_of_all(&halves.iter().collect::<Vec<_>>(), |halves| {
        let (first, second) = halves.split_at(curves.len());
        let (one, other) = (of(first, second)?, of(second, first)?);
        Ok(Measured::of(one.value.midpoint(other.value)))
    })
}

fn undecided(measured: Measured, why: &str) -> Measured {
    let note = match measured.note.as_str() {
        "" => why.to_owned(),
        note => format!("{note}; {why}"),
    };
    measured.noting(note)
}

/// A rank correlation over this many places: its interval is at least as wide as their number implies, ±1.96/√(n−1).
pub fn over_places(outcome: Outcome, places: usize) -> Outcome {
    let width = errors_in_interval(None) / (places.saturating_sub(1).max(1) as f64).sqrt();
    outcome.map(|measured| match measured.spread {
        Spread::Drawn { draws, .. } => Measured {
            spread: Spread::Drawn {
                draws,
                least: width,
            },
            ..measured
        },
        _ => measured,
    })
}

/// The 95 % interval of a rank correlation over this many places: by Fisher's z, with the variance (1 + ρ²/2)/(n − 3) (Bonett
/// and Wright 2000). For three places or fewer, the whole range of a correlation.
pub fn interval_of_ranks(correlation: f64, places: usize) -> [f64; 2] {
    if places <= 3 {
        return [-1.0, 1.0];
    }
    let variance = (1.0 + correlation * correlation / 2.0) / (places as f64 - 3.0);
    let half = errors_in_interval(None) * variance.sqrt();
    let z = correlation.clamp(-0.999_999, 0.999_999).atanh();
    [(z - half).tanh(), (z + half).tanh()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::{Finding, Threshold, Verdict};
    use crate::core::table::{parse, write};
    use crate::core::tables::Tables;
    use std::path::Path;

    fn units(curve: &str, index: usize, sums: &[f64], counts: &[f64]) -> Units {
        Units {
            model: "gpt2".to_owned(),
            curve: curve.to_owned(),
            sample: TEXT.to_owned(),
            index,
            sums: Numbers(sums.to_vec()),
            counts: Numbers(counts.to_vec()),
        }
    }

    #[test]
    fn units_survive_a_file_to_the_bit() {
        let path = Path::new("units.csv");
        let numbers = [0.1 + 0.2, -1e-300, f64::INFINITY, 5e-324, f64::MAX];
        let all = [
            units("a", 0, &numbers, &[7.0]),
            units("a", 1, &numbers, &numbers.map(|number| number.min(1e300))),
            units("b", 0, &[], &[3.0]),
        ];
        let mut text = Vec::new();
        write(&all, &mut text).unwrap();
        let read: Vec<Units> = parse(text.as_slice(), path).unwrap();
        assert_eq!(read, all);
        let refused = |line: &str| {
            let text = format!("model,curve,sample,index,sums,counts\n{line}\n");
            let error = parse::<Units>(text.as_bytes(), path).unwrap_err();
            error.to_string()
        };
        assert!(refused("m,a,text,0,1 2 3,1 2").contains("expected 1 or 3 numbers"));
        assert!(refused("m,a,text,0,1 2 x,1").contains("units.csv: line 2: sums"));
        assert!(
            refused("m,\"a\nb\",text,0,1 2 3,1").contains("curve: expected a name on one line")
        );
        assert!(refused("m,a,text,-1,1 2 3,1").contains("index"));
        assert!(refused("m,a,text,5000000000,1 2 3,1").contains("at most 4294967295"));
        assert!(refused("m,a,text,0,1 2 3,1 NaN 1").contains("finite numbers"));
    }

    #[test]
    fn a_mean_leaves_its_clusters() {
        let mut mean = ClusteredMean::new();
        for (sum, count) in [(2.0, 4), (1.0, 4), (9.0, 4)] {
            mean.push(sum, count);
        }
        let alike = Units::of("gpt2", "a", TEXT, 0, &mean);
        assert_eq!(alike.counts, Numbers(vec![4.0]));
        mean.push(1.0, 3);
        let unlike = Units::of("gpt2", "a", TEXT, 0, &mean);
        assert_eq!(unlike.counts, Numbers(vec![4.0, 4.0, 4.0, 3.0]));
        assert_eq!(unlike.sums, Numbers(vec![2.0, 1.0, 9.0, 1.0]));
    }

    fn sampled(tables: &Tables, curve: &str) -> Result<Sampled, NotTested> {
        let evidence = Evidence {
            tables,
            models: &[],
        };
        evidence.sampled("gpt2", "robustness", curve, |index| index as f64)
    }

    #[test]
    fn curves_of_one_sample_are_drawn_together() {
        let mut tables = Tables::default();
        // Sequences differ much, and in each the second curve is above the first by about the same amount.
        let first: Vec<f64> = (0..30_i32).map(|at| f64::from(at * at)).collect();
        let second: Vec<f64> = (0..30_i32)
            .map(|at| f64::from(at * at + 5 + at % 3))
            .collect();
        tables.push(units("first", 0, &first, &[2.0]));
        tables.push(units("second", 0, &second, &[2.0]));
        let [first, second] = ["first", "second"].map(|curve| sampled(&tables, curve).unwrap());
        let difference = statistic([&first, &second], |[first, second]| {
            Ok(Measured::of(second[0].value - first[0].value))
        })
        .unwrap();
        let [low, high] = difference.interval().unwrap();
        assert!((difference.value - 3.0).abs() < 1e-9, "{difference:?}");
        assert!(
            2.7 < low && low < 3.0 && 3.0 < high && high < 3.3,
            "{low} {high}"
        );
        let alone = statistic([&second], |[curve]| Ok(Measured::of(curve[0].value))).unwrap();
        let [low, high] = alone.interval().unwrap();
        assert!(high - low > 50.0, "{low} {high}");
        // The same numbers again.
        let again = statistic([&second], |[curve]| Ok(Measured::of(curve[0].value))).unwrap();
        assert_eq!(alone, again);
        assert_eq!(sampled(&tables, "third"), Err(needs("robustness")));
    }

    #[test]
    fn few_units_and_undefined_draws_decide_nothing() {
        let mut tables = Tables::default();
        tables.push(units("few", 0, &[1.0, 1.1, 1.2, 0.9], &[1.0]));
        let values: Vec<f64> = (0..9).map(f64::from).collect();
        tables.push(units("nine", 0, &values, &[1.0]));
        let of = |curve: &str, most: f64| {
            let sampled = sampled(&tables, curve).unwrap();
            let outcome = statistic([&sampled], |[curve]| match curve[0].value <= most {
                true => Ok(Measured::of(curve[0].value)),
                false => Err(NotTested::because("too much")),
            });
            Finding::of("gpt2", "", Threshold::Above(0.0), outcome)
        };
        let few = of("few", 9.0);
        assert_eq!(few.verdict(), Verdict::Undecided);
        assert!(few.outcome.unwrap().note.contains('4'));
        assert_eq!(of("nine", 9.0).verdict(), Verdict::Holds);
        assert_eq!(
            of("nine", 4.5).verdict(),
            Verdict::Undecided,
            "half of the draws"
        );
        assert_eq!(of("nine", 1.0).verdict(), Verdict::NotTested);
    }

    #[test]
    fn one_half_judges_what_the_other_chose() {
        let mut tables = Tables::default();
        // The places take turns at being the greatest: the best in one half is the worst in the other.
        let of = |first: f64, second: f64| -> Vec<f64> {
            (0..20)
                .map(|at| if at % 2 == 0 { first } else { second })
                .collect()
        };
        tables.push(units("curve", 0, &of(1.0, 0.0), &[1.0]));
        tables.push(units("curve", 1, &of(0.0, 1.0), &[1.0]));
        let sampled = sampled(&tables, "curve").unwrap();
        let greatest = |curve: &[Point]| {
            let best = crate::core::curve::peak(curve).unwrap();
            (best.index, best.value)
        };
        assert_eq!(greatest(&sampled.half(false).curve()), (0, 1.0));
        assert_eq!(greatest(&sampled.half(true).curve()), (1, 1.0));
        let judged = chosen_by_halves(&[sampled], |chosen, judged| {
            let (place, _) = greatest(&chosen[0]);
            Ok(Measured::of(judged[0][place].value))
        });
        assert_eq!(judged.unwrap().value, 0.0);
    }
}
