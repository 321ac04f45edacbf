//! Linear-chain conditional random fields with two labels.

use ndarray::{Array1, Array2};

use crate::MetricsError;

/// A chain of two labels y_1 … y_n given features x_1 … x_n, scored by Σ_k (u_{y_k}·x_k + b_{y_k}) + A_{y_{k−1},y_k}.
///
/// ```
/// use layerwise_metrics::{Chain, ChainField};
///
/// // Four chains whose label changes once, where the only feature passes 0.
/// let places = vec![vec![-2.0], vec![-1.0], vec![1.0], vec![2.0]];
/// let chain: Chain = (places.clone(), vec![false, false, true, true]);
/// let field = ChainField::fit(&vec![chain; 4], &|| true)?;
/// let probabilities = field.filtered(&places);
/// assert!(probabilities[0] < 0.5 && probabilities[3] > 0.5);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ChainField {
    features: usize,
    /// u and b of the label `false`, of the label `true`, then A row by row.
    parameters: Vec<f64>,
}

/// One training chain: the features of each place, and its labels.
pub type Chain = (Vec<Vec<f64>>, Vec<bool>);

/// A fit has converged when the gradient's largest entry, divided by the number of chains, is at most this.
const TOLERANCE: f64 = 1e-6;
/// The largest number of steps of a fit.
const STEPS: usize = 500;
/// The largest number of halvings of a step in a line search.
const HALVINGS: usize = 40;
/// The fraction of a step's predicted decrease that it must achieve (Armijo).
const PROMISE: f64 = 1e-4;

impl ChainField {
    /// Fits the field that maximises the penalised likelihood of the labels, by minimising −Σ ln p(y | x) + ½‖θ‖² with BFGS. The
    /// gradient is exact, by forward–backward. Many chains take minutes, so `go_on` is asked before each pass over them whether
    /// the fit goes on.
    ///
    /// # Errors
    /// [`MetricsError::GivenUp`] if it does not. There are no chains, the numbers of labels, places and features of a chain do not
    /// match, a feature is not finite, only one label occurs, or the fit does not converge. The row in an error counts within its
    /// chain.
    pub fn fit(chains: &[Chain], go_on: &dyn Fn() -> bool) -> Result<Self, MetricsError> {
        let features = chains
            .iter()
            .flat_map(|(x, _)| x)
            .map(Vec::len)
            .next()
            .unwrap_or(0);
        for (x, labels) in chains {
            if x.len() != labels.len() {
                return Err(MetricsError::LabelNumbers {
                    expected: x.len(),
                    found: labels.len(),
                });
            }
            if let Some(row) = x.iter().find(|row| row.len() != features) {
                return Err(MetricsError::Shape {
                    matrix: "x",
                    rows: x.len(),
                    columns: row.len(),
                    expected: format!("{features} columns, one per feature"),
                });
            }
            for (at, row) in x.iter().enumerate() {
                if let Some(column) = row.iter().position(|value| !value.is_finite()) {
                    return Err(MetricsError::NotFinite {
                        matrix: "x",
                        row: at,
                        column,
                        found: row[column],
                    });
                }
            }
        }
        let labels = || chains.iter().flat_map(|(_, labels)| labels);
        let (samples, positive) = (labels().count(), labels().filter(|label| **label).count());
        if positive == 0 || positive == samples {
            return Err(MetricsError::OneClass {
                samples,
                class: positive > 0,
            });
        }
        let mut field = Self {
            features,
            parameters: vec![0.0; 2 * (features + 1) + 4],
        };
        field.descend(chains, go_on)?;
        Ok(field)
    }

    /// A field with given parameters: u and b of the label `false`, those of the label `true`, then A row by row.
    ///
    /// # Errors
    /// The number of parameters is not 2·(features + 1) + 4.
    pub fn new(features: usize, parameters: Vec<f64>) -> Result<Self, MetricsError> {
        let expected = 2 * (features + 1) + 4;
        match parameters.len() == expected {
            true => Ok(Self {
                features,
                parameters,
            }),
            false => Err(MetricsError::ChainParameters {
                expected,
                found: parameters.len(),
            }),
        }
    }

    /// u and b of the label `false`, those of the label `true`, then A row by row.
    pub fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// Descends from the current parameters until the gradient is within the tolerance.
    fn descend(&mut self, chains: &[Chain], go_on: &dyn Fn() -> bool) -> Result<(), MetricsError> {
        let tolerance = TOLERANCE * chains.len() as f64;
        let size = self.parameters.len();
        let mut inverse: Array2<f64> = Array2::eye(size);
        let (mut value, mut gradient) = self.objective(chains);
        let largest = |gradient: &Array1<f64>| {
            let sizes = gradient.iter().map(|entry| entry.abs());
            sizes.fold(0.0_f64, f64::max)
        };
        let mut steps = 0;
        while steps < STEPS && largest(&gradient) > tolerance {
            steps += 1;
            let direction = -inverse.dot(&gradient);
            let promised = direction.dot(&gradient);
            if promised >= 0.0 {
                inverse = Array2::eye(size);
                continue;
            }
            let start = self.parameters.clone();
            let mut step = 1.0;
            let mut found = None;
            for _ in 0..HALVINGS {
                if !go_on() {
                    return Err(MetricsError::GivenUp);
                }
                for ((own, start), change) in self.parameters.iter_mut().zip(&start).zip(&direction)
                {
                    *own = start + step * change;
                }
                let (next, next_gradient) = self.objective(chains);
                if next <= value + PROMISE * step * promised {
                    found = Some((next, next_gradient));
                    break;
                }
                step /= 2.0;
            }
            let Some((next, next_gradient)) = found else {
                break;
            };
            let moved = &direction * step;
            let change = &next_gradient - &gradient;
            let along = moved.dot(&change);
            if along > 0.0 {
                let outer = |a: &Array1<f64>, b: &Array1<f64>| {
                    Array2::from_shape_fn((size, size), |(i, j)| a[i] * b[j])
                };
                let projected = inverse.dot(&change);
                let scale = (along + change.dot(&projected)) / (along * along);
                inverse = inverse + outer(&moved, &moved) * scale
                    - (outer(&projected, &moved) + outer(&moved, &projected)) / along;
            }
            (value, gradient) = (next, next_gradient);
        }
        match largest(&gradient) {
            gradient if gradient > tolerance => Err(MetricsError::ChainNotConverged {
                steps,
                gradient,
                tolerance,
            }),
            _ => Ok(()),
        }
    }

    fn emission(&self, x: &[f64]) -> [f64; 2] {
        assert_eq!(
            x.len(),
            self.features,
            "features of a place and of the field"
        );
        [0, 1].map(|label| {
            let own = &self.parameters[label * (self.features + 1)..];
            let sum: f64 = own.iter().zip(x).map(|(u, x)| u * x).sum();
            sum + own[self.features]
        })
    }

    fn transition(&self, from: usize, to: usize) -> f64 {
        self.parameters[2 * (self.features + 1) + 2 * from + to]
    }

    /// For each place and label, ln Σ exp(score) over the labels before it.
    fn forward(&self, x: &[Vec<f64>]) -> Vec<[f64; 2]> {
        let mut sums: Vec<[f64; 2]> = Vec::with_capacity(x.len());
        for row in x {
            let own = self.emission(row);
            let next = [0, 1].map(|to| {
                let before = sums.last().map_or(0.0, |before| {
                    log_sum([0, 1].map(|from| before[from] + self.transition(from, to)))
                });
                own[to] + before
            });
            sums.push(next);
        }
        sums
    }

    /// The filtered probability that the label of each place is `true`, given the features up to it.
    ///
    /// # Panics
    /// If a place has the wrong number of features.
    pub fn filtered(&self, x: &[Vec<f64>]) -> Vec<f64> {
        let sums = self.forward(x).into_iter();
        sums.map(|sums| (sums[1] - log_sum(sums)).exp()).collect()
    }

    fn objective(&self, chains: &[Chain]) -> (f64, Array1<f64>) {
        let mut gradient = Array1::from(self.parameters.clone());
        let mut value = 0.5 * gradient.dot(&gradient);
        let width = self.features + 1;
        for (x, labels) in chains {
            let forward = self.forward(x);
            let Some(last) = forward.last() else { continue };
            let all = log_sum(*last);
            let mut backward = vec![[0.0; 2]; x.len()];
            for at in (1..x.len()).rev() {
                let own = self.emission(&x[at]);
                backward[at - 1] = [0, 1].map(|from| {
                    log_sum([0, 1].map(|to| self.transition(from, to) + own[to] + backward[at][to]))
                });
            }
            value += all;
            for (at, row) in x.iter().enumerate() {
                let label = usize::from(labels[at]);
                let own = self.emission(row);
                value -= own[label];
                for to in 0..2 {
                    let expected = (forward[at][to] + backward[at][to] - all).exp();
                    let surplus = expected - f64::from(u8::from(to == label));
                    for (feature, value) in row.iter().enumerate() {
                        gradient[to * width + feature] += surplus * value;
                    }
                    gradient[to * width + self.features] += surplus;
                }
                if at == 0 {
                    continue;
                }
                let before = usize::from(labels[at - 1]);
                value -= self.transition(before, label);
                for from in 0..2 {
                    for to in 0..2 {
                        let score = forward[at - 1][from]
                            + self.transition(from, to)
                            + own[to]
                            + backward[at][to];
                        let expected = (score - all).exp();
                        let is_own = from == before && to == label;
                        gradient[2 * width + 2 * from + to] +=
                            expected - f64::from(u8::from(is_own));
                    }
                }
            }
        }
        (value, gradient)
    }
}

fn log_sum([a, b]: [f64; 2]) -> f64 {
    let most = a.max(b);
    most + ((a - most).exp() + (b - most).exp()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chains whose first feature predicts when the label changes, and whose second carries no information.
    fn chains() -> Vec<Chain> {
        let value = |at: usize| ((at * 37 + 11) % 17) as f64 / 17.0;
        (0..12)
            .map(|chain| {
                let turn = 2 + chain % 4;
                let distance = |k: usize| (k as f64 - turn as f64) / 3.0;
                let x: Vec<Vec<f64>> = (0..6)
                    .map(|k| vec![distance(k) + 0.3 * value(chain * 7 + k), value(chain + k)])
                    .collect();
                (x, (0..6).map(|k| k >= turn).collect())
            })
            .collect()
    }

    /// Compares with direct sums over all 2ⁿ labellings.
    #[test]
    fn sums_over_labellings_are_exact() {
        let field = ChainField {
            features: 2,
            parameters: (0..10).map(|at| (f64::from(at) * 0.7).sin()).collect(),
        };
        let (x, _) = &chains()[3];
        let score = |labels: usize| -> f64 {
            (0..x.len())
                .map(|k| {
                    let label = labels >> k & 1;
                    let before = (k > 0).then(|| field.transition(labels >> (k - 1) & 1, label));
                    field.emission(&x[k])[label] + before.unwrap_or(0.0)
                })
                .sum()
        };
        let all: f64 = (0..1 << x.len()).map(|labels| score(labels).exp()).sum();
        assert!((log_sum(*field.forward(x).last().unwrap()) - all.ln()).abs() < 1e-12);
        let last = x.len() - 1;
        let own = (0..1 << x.len()).filter(|labels| labels >> last & 1 == 1);
        let own: f64 = own.map(|labels| score(labels).exp()).sum();
        assert!((field.filtered(x)[last] - own / all).abs() < 1e-12);
    }

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let chains = chains();
        let mut field = ChainField {
            features: 2,
            parameters: (0..10).map(|at| (f64::from(at) * 1.3).cos()).collect(),
        };
        let (_, gradient) = field.objective(&chains);
        for at in 0..10 {
            let mut moved = |by: f64| {
                field.parameters[at] += by;
                let value = field.objective(&chains).0;
                field.parameters[at] -= by;
                value
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(
                (slope - gradient[at]).abs() < 1e-5,
                "{at}: {slope} {}",
                gradient[at]
            );
        }
    }

    #[test]
    fn a_fit_finds_the_turn_of_a_chain() {
        let chains = chains();
        let given_up = ChainField::fit(&chains, &|| false);
        assert!(matches!(given_up, Err(MetricsError::GivenUp)));
        let field = ChainField::fit(&chains, &|| true).unwrap();
        let (_, gradient) = field.objective(&chains);
        assert!(
            gradient.iter().all(|entry| entry.abs() < 1e-4),
            "{gradient}"
        );
        let mut right = 0;
        for (x, labels) in &chains {
            let found = field.filtered(x);
            let pairs = found.iter().zip(labels);
            right += pairs.filter(|(p, label)| (**p > 0.5) == **label).count();
        }
        assert!(right >= 60, "{right} of 72");
        let one = vec![(vec![vec![0.0, 1.0]], vec![true])];
        let error = ChainField::fit(&one, &|| true).unwrap_err().to_string();
        assert!(error.contains("both labels must occur"), "{error}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let with = |value: f64| {
            let mut chains = chains();
            chains[3].0[2][1] = value;
            ChainField::fit(&chains, &|| true).unwrap_err()
        };
        for value in [f64::NAN, f64::INFINITY] {
            let error = with(value).to_string();
            assert!(error.contains("in row 2, column 1"), "{error}");
        }
        let error = with(1e200);
        assert!(
            matches!(error, MetricsError::ChainNotConverged { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("scale the features"), "{error}");
    }

    #[test]
    #[should_panic(expected = "features of a place and of the field")]
    fn places_have_the_fields_features() {
        let field = ChainField::new(2, vec![0.0; 10]).unwrap();
        field.filtered(&[vec![1.0]]);
    }
}
