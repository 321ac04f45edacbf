//! Sums over a part of a text.

use layerwise_metrics::ClusteredMean;
use serde::{Deserialize, Serialize};

/// A sum over a part of a text and the number of its terms, stored exactly: the sum may be NaN or infinite, for which JSON has
/// no number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Sum {
    /// The sum.
    pub sum: f64,
    /// The number of its terms.
    pub count: u64,
}

impl From<(u64, u64)> for Sum {
    fn from((bits, count): (u64, u64)) -> Self {
        Self {
            sum: f64::from_bits(bits),
            count,
        }
    }
}

impl From<Sum> for (u64, u64) {
    fn from(Sum { sum, count }: Sum) -> Self {
        (sum.to_bits(), count)
    }
}

/// The mean of sums, one for each sequence, and its standard error, clustered by sequence.
pub fn mean(sums: impl IntoIterator<Item = Sum>) -> (f64, Option<f64>, ClusteredMean) {
    let mut mean = ClusteredMean::new();
    for Sum { sum, count } in sums {
        mean.push(sum, count);
    }
    (mean.mean().unwrap_or(f64::NAN), mean.standard_error(), mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_down_to_the_bit() {
        for sum in [0.1 + 0.2, -0.0, 5e-324, f64::MAX, f64::INFINITY, -f64::NAN] {
            let written = serde_json::to_string(&Sum {
                sum,
                count: u64::MAX,
            })
            .unwrap();
            let read: Sum = serde_json::from_str(&written).unwrap();
            assert_eq!((read.sum.to_bits(), read.count), (sum.to_bits(), u64::MAX));
        }
    }
}
