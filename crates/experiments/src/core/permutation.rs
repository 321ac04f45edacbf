//! Comparisons of models, with the model as unit: how many arrangements of the models are as extreme.

use super::finding::{Measured, Spread};
use layerwise_metrics::correlation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Fewer models decide nothing.
const FEWEST: usize = 5;

/// The most models of which all arrangements are tried; for more models, the number of arrangements drawn at random.
const ALL: usize = 8;
const DRAWN: usize = 10_000;

/// Equal statistics of other arrangements differ by rounding.
const ROUNDING: f64 = 1e-9;

/// The mean of the first models minus that of the others, among all divisions of the models into groups of these sizes.
pub fn difference(first: &[f64], others: &[f64]) -> Measured {
    let all = [first, others].concat();
    let total: f64 = all.iter().sum();
    let (one, other) = (first.len() as f64, others.len() as f64);
    let of = |sum: f64| sum / one - (total - sum) / other;
    let own = of(first.iter().sum());
    let mut counts = Counts::default();
    choose(&all, first.len(), 0.0, &mut |sum| counts.add(of(sum), own));
    counts.measured(own, all.len())
}

/// Visits the sum of every choice of this many numbers.
fn choose(numbers: &[f64], most: usize, sum: f64, visit: &mut impl FnMut(f64)) {
    if most == 0 {
        visit(sum);
    } else if let ([first, rest @ ..], true) = (numbers, numbers.len() >= most) {
        choose(rest, most - 1, sum + first, visit);
        choose(rest, most, sum, visit);
    }
}

/// Spearman's correlation of pairs, one pair for each model, among the arrangements of their second numbers; `None` if it is not
/// defined.
pub fn correlation(pairs: &[(f64, f64)]) -> Option<Measured> {
    let own = correlation::spearman(pairs)?;
    let mut counts = Counts::default();
    let mut arranged = pairs.to_vec();
    let mut add = |arranged: &[(f64, f64)]| {
        counts.add(correlation::spearman(arranged).unwrap_or(own), own);
    };
    if pairs.len() <= ALL {
        permute(&mut arranged, 0, &mut add);
    } else {
        add(&arranged);
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for _ in 1..DRAWN {
            for at in (1..arranged.len()).rev() {
                let other = (u64::from(random.next_u32()) * (at as u64 + 1)) >> 32;
                swap(&mut arranged, at, other as usize);
            }
            add(&arranged);
        }
    }
    Some(counts.measured(own, pairs.len()))
}

/// Visits every arrangement of the second numbers from an index on.
fn permute(pairs: &mut [(f64, f64)], from: usize, visit: &mut impl FnMut(&[(f64, f64)])) {
    if from == pairs.len() {
        return visit(pairs);
    }
    for at in from..pairs.len() {
        swap(pairs, from, at);
        permute(pairs, from + 1, visit);
        swap(pairs, from, at);
    }
}

fn swap(pairs: &mut [(f64, f64)], one: usize, other: usize) {
    let second = pairs[one].1;
    pairs[one].1 = pairs[other].1;
    pairs[other].1 = second;
}

/// The number of arrangements, and how many of them are as extreme.
#[derive(Default)]
struct Counts {
    all: f64,
    at_least: f64,
    at_most: f64,
}

impl Counts {
    fn add(&mut self, other: f64, own: f64) {
        self.all += 1.0;
        self.at_least += f64::from(u8::from(other >= own - ROUNDING));
        self.at_most += f64::from(u8::from(other <= own + ROUNDING));
    }

    fn measured(self, own: f64, models: usize) -> Measured {
        if models < FEWEST {
            let note = format!("{models} models, of which {FEWEST} at least decide");
            return Measured::of(own).noting(note);
        }
        let (at_least, at_most) = (self.at_least / self.all, self.at_most / self.all);
        Measured {
            spread: Spread::Permuted { at_least, at_most },
            ..Measured::of(own)
        }
        .noting(format!(
            "{models} models; {:.4} of their arrangements are as extreme",
            at_least.min(at_most)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(measured: &Measured) -> [f64; 2] {
        match measured.spread {
            Spread::Permuted { at_least, at_most } => [at_least, at_most],
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_ways_of_dividing_the_models_are_tried() {
        let measured = difference(&[5.0, 6.0, 7.0], &[1.0, 2.0]);
        assert_eq!(measured.value, 4.5);
        assert_eq!(shares(&measured), [0.1, 1.0]);
        assert_eq!(shares(&difference(&[1.0; 3], &[1.0; 3])), [1.0, 1.0]);
        assert_eq!(difference(&[1.0, 2.0], &[3.0]).spread, Spread::Unknown);
    }

    #[test]
    fn all_orders_are_tried() {
        let of = |values: &[f64]| -> Vec<(f64, f64)> {
            let pairs = values.iter().enumerate();
            pairs.map(|(at, value)| (at as f64, *value)).collect()
        };
        let rising = correlation(&of(&[1.0, 2.0, 3.0, 4.0, 5.0])).unwrap();
        assert_eq!(shares(&rising), [1.0 / 120.0, 1.0]);
        let many: Vec<f64> = (0..12).map(f64::from).collect();
        assert!(shares(&correlation(&of(&many)).unwrap())[0] < 0.001);
        assert!(correlation(&of(&[1.0; 6])).is_none());
        assert_eq!(
            correlation(&of(&[1.0, 2.0, 3.0])).unwrap().spread,
            Spread::Unknown
        );
    }
}
