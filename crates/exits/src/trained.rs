//! Classifiers that predict whether the answer is already final.

use crate::error::ExitError;
use crate::reading::{Reading, Vocab};
use crate::rule::Rule;
use layerwise_metrics::{
    Chain, ChainField, Kernel, SVM_TOLERANCE, Standardizer, SupportVectors, support_vectors,
};
use ndarray::{Array2, aview1};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The smallest number of training instances.
pub const LEAST_INSTANCES: usize = 20;
/// The largest number of training rows for a Gaussian kernel, drawn by seed: the cost of applying the machine grows with them.
const MOST_ROWS: usize = 4000;
/// C of the support vector machines.
const INVERSE_PENALTY: f64 = 1.0;
/// The features: gap and top probability.
pub(crate) const FEATURES: usize = 2;

/// A classifier on standardised gap and top.
///
/// ```
/// use layerwise_exits::{Reading, Rule, Trained, Vocab};
/// use ndarray::aview1;
///
/// // Twenty runs in which the answer becomes 1, which is the final one, and sure.
/// let reading = |logits: [f32; 2]| Reading::of(aview1(&logits), &[], &[], 1.0).expect("finite logits");
/// let run = [reading([1.0, 0.0]), reading([0.0, 4.0])];
/// let is_final = |_: usize, reading: &Reading| reading.full.first == 1;
/// let trained = Trained::new(Rule::Svm, &[&run[..]; 20], Vocab::Full, is_final, 0, &|| true)?;
/// let scores = trained.scores(&run, Vocab::Full);
/// assert!(scores[0] < 0.0 && scores[1] > 0.0); // it stops above 0
/// # Ok::<(), layerwise_exits::ExitError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub(crate) scale: Standardizer,
    pub(crate) decision: Decision,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    Machine(SupportVectors),
    Chain(ChainField),
}

/// The features of a depth of an instance, and its label.
type Row = ([f64; FEATURES], bool);

impl Trained {
    /// Trains a classifier to predict at which depths the answer of an instance passes `is_final`: by default, whether it is the
    /// full model's.
    ///
    /// An instance consists of its readings after the blocks 1 to L. Support vector machines have C = 1 and classes of equal
    /// weight. One with a Gaussian kernel takes at most 4,000 rows, drawn by the seed; its γ is 1/(number of features), because
    /// standardised features have variance 1. Training may take minutes, so `go_on` is asked again and again whether it goes on.
    ///
    /// # Errors
    /// It does not go on ([`MetricsError::GivenUp`](layerwise_metrics::MetricsError::GivenUp)). There are fewer than [`LEAST_INSTANCES`], all rows have the same label, or the fit does not converge.
    ///
    /// # Panics
    /// If the rule is not trained.
    pub fn new(
        rule: Rule,
        instances: &[&[Reading]],
        vocab: Vocab,
        is_final: impl Fn(usize, &Reading) -> bool,
        seed: u64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Self, ExitError> {
        if instances.len() < LEAST_INSTANCES {
            return Err(ExitError::TooFewInstances {
                least: LEAST_INSTANCES,
                found: instances.len(),
            });
        }
        let chains: Vec<Vec<Row>> = instances
            .iter()
            .enumerate()
            .map(|(instance, readings)| {
                let rows = readings.iter().filter_map(|reading| {
                    let own = vocab.of(reading)?;
                    Some(([own.gap, own.top], is_final(instance, reading)))
                });
                rows.collect()
            })
            .collect();
        let rows: Vec<&Row> = chains.iter().flatten().collect();
        let positive = rows.iter().filter(|row| row.1).count();
        if positive == 0 || positive == rows.len() {
            return Err(ExitError::OneKind {
                rows: rows.len(),
                is_final: positive > 0,
            });
        }
        let scale = Standardizer::fit(matrix(&rows).view())?;
        let kernel = match rule {
            Rule::Svm => Kernel::Linear,
            Rule::SvmRbf => Kernel::Rbf {
                gamma: 1.0 / FEATURES as f64,
            },
            Rule::Crf => {
                let chains: Vec<Chain> = chains
                    .iter()
                    .map(|chain| {
                        let features = chain.iter().map(|row| standardized(&scale, row.0));
                        (features.collect(), chain.iter().map(|row| row.1).collect())
                    })
                    .collect();
                let decision = Decision::Chain(ChainField::fit(&chains, go_on)?);
                return Ok(Self { scale, decision });
            }
            _ => panic!("{rule} is not trained"),
        };
        let kept = match kernel {
            Kernel::Linear => rows,
            _ => drawn(rows, seed),
        };
        let labels: Vec<bool> = kept.iter().map(|row| row.1).collect();
        let x = scale.apply(matrix(&kept).view())?;
        let machine = support_vectors(
            x.view(),
            &labels,
            kernel,
            INVERSE_PENALTY,
            SVM_TOLERANCE,
            go_on,
        )?;
        let machine = match machine.weights() {
            Some(weights) => SupportVectors::new(kernel, vec![(weights, 1.0)], machine.intercept),
            None => machine,
        };
        Ok(Self {
            scale,
            decision: Decision::Machine(machine),
        })
    }

    /// The rule that it applies.
    pub fn rule(&self) -> Rule {
        match &self.decision {
            Decision::Machine(machine) => match machine.kernel() {
                Kernel::Linear => Rule::Svm,
                _ => Rule::SvmRbf,
            },
            Decision::Chain(_) => Rule::Crf,
        }
    }

    /// The score after each block; −∞ if nothing was read.
    pub fn scores(&self, readings: &[Reading], vocab: Vocab) -> Vec<f64> {
        let rows: Vec<Vec<f64>> = readings
            .iter()
            .filter_map(|reading| vocab.of(reading))
            .map(|own| standardized(&self.scale, [own.gap, own.top]))
            .collect();
        let own: Vec<f64> = match &self.decision {
            Decision::Machine(machine) => rows.iter().map(|row| machine.decision(row)).collect(),
            Decision::Chain(field) => field.filtered(&rows),
        };
        // Nothing is read before candidates are chosen; after every later block something is.
        let mut scores = vec![f64::NEG_INFINITY; readings.len() - own.len()];
        scores.extend(own);
        scores
    }
}

/// `MOST_ROWS` rows drawn by a seed, or all if there are fewer, in their order; one more if a label was not drawn.
fn drawn(rows: Vec<&Row>, seed: u64) -> Vec<&Row> {
    if rows.len() <= MOST_ROWS {
        return rows;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for at in 0..MOST_ROWS {
        let left = (order.len() - at) as u64;
        order.swap(at, at + (random.next_u64() % left) as usize);
    }
    order.truncate(MOST_ROWS);
    for kind in [false, true] {
        if order.iter().all(|at| rows[*at].1 != kind) {
            order.extend(rows.iter().position(|row| row.1 == kind));
        }
    }
    order.sort_unstable();
    order.into_iter().map(|at| rows[at]).collect()
}

fn matrix(rows: &[&Row]) -> Array2<f64> {
    Array2::from_shape_fn((rows.len(), FEATURES), |(row, column)| rows[row].0[column])
}

fn standardized(scale: &Standardizer, row: [f64; FEATURES]) -> Vec<f64> {
    scale.apply_row(aview1(&row)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::exit;
    use crate::testing::readings;

    fn instances() -> Vec<Vec<Reading>> {
        (0..30)
            .map(|at| match at % 2 {
                0 => readings(&[1, 2, 3, 4, 4, 4]),
                _ => readings(&[1, 2, 9, 9, 9, 9]),
            })
            .collect()
    }

    fn trained(rule: Rule, instances: &[Vec<Reading>]) -> Result<Trained, ExitError> {
        let last = |at: usize| instances[at].last().map(|last| last.full.first);
        let own: Vec<&[Reading]> = instances.iter().map(Vec::as_slice).collect();
        let is_final = |at: usize, reading: &Reading| Some(reading.full.first) == last(at);
        Trained::new(rule, &own, Vocab::Full, is_final, 0, &|| true)
    }

    #[test]
    fn classifiers_learn_the_depth_of_the_answer() {
        let instances = instances();
        for rule in [Rule::Svm, Rule::SvmRbf, Rule::Crf] {
            let trained = trained(rule, &instances).unwrap();
            assert_eq!(trained.rule(), rule);
            let scores = trained.scores(&instances[0], Vocab::Full);
            let stop = exit(rule, &scores, rule.usual().unwrap(), 1, 1);
            assert!((3..=4).contains(&stop), "{rule}: {scores:?}");
            // Later readings change nothing.
            assert_eq!(trained.scores(&instances[0][..3], Vocab::Full), scores[..3]);
        }
    }

    #[test]
    fn what_teaches_nothing_is_refused() {
        let few = &instances()[..19];
        let error = trained(Rule::Svm, few).unwrap_err().to_string();
        assert!(
            error.contains("19 training instances; a classifier needs at least 20"),
            "{error}"
        );
        let alike: Vec<Vec<Reading>> = (0..20).map(|_| readings(&[4, 4])).collect();
        let error = trained(Rule::Crf, &alike).unwrap_err().to_string();
        assert!(
            error.contains("all 40 training rows already have their final answer"),
            "{error}"
        );
    }

    #[test]
    fn rows_are_drawn_by_seed() {
        let rows: Vec<Row> = (0..5000_u32)
            .map(|at| ([f64::from(at), 0.0], at == 17))
            .collect();
        let of = |seed| drawn(rows.iter().collect(), seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        for seed in 0..3 {
            let found = of(seed);
            assert!((MOST_ROWS..=MOST_ROWS + 1).contains(&found.len()));
            assert!(found.iter().any(|row| row.1), "both kinds are among them");
            assert!(found.is_sorted_by(|a, b| a.0[0] < b.0[0]));
        }
    }
}
