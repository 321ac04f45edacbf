//! McNemar's test of two decisions on the same items.

/// The two-sided exact p-value of McNemar's test: the probability that two equally accurate decisions differ at least this much.
///
/// `only_first` and `only_second` count the items that only one decision gets right; items that both get right or wrong carry no
/// information. If the decisions are equally accurate, the first count is binomial with ½ over the sum n of both, and
/// p = min(1, 2·P(X ≤ the smaller count)).
///
/// ```
/// use layerwise_metrics::mcnemar;
///
/// assert_eq!(mcnemar(3, 3), 1.0);
/// assert!((mcnemar(0, 5) - 2.0 / 32.0).abs() < 1e-12);
/// ```
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (lesser, items) = (only_first.min(only_second), only_first + only_second);
    // ln of C(n, k)/2ⁿ, from k = 0 up: the terms themselves underflow for large n.
    let mut logarithm = -(items as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=lesser {
        sum += logarithm.exp();
        logarithm += ((items - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_binomial_distribution() {
        let check = |first, second, expected: f64| {
            let found = mcnemar(first, second);
            assert!(
                (found - expected).abs() < 1e-9 * expected,
                "{first}, {second}: {found}"
            );
            assert_eq!(found, mcnemar(second, first));
        };
        check(0, 0, 1.0);
        check(1, 0, 1.0);
        check(2, 8, 2.0 * (1.0 + 10.0 + 45.0) / 1024.0);
        // The same sum in fractions.
        check(500, 600, 0.002_819_544_991_436_427_5);
    }
}
