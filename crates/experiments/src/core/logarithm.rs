//! Divergences by their logarithm, for the colours of maps.

/// The logarithm to base 10; NaN of a divergence that is not above 0, since rounding can make one 0 or slightly negative.
pub fn logarithm(kl_nats: f64) -> f64 {
    match kl_nats > 0.0 {
        true => kl_nats.log10(),
        false => f64::NAN,
    }
}

/// The whole decades that contain the logarithms of some divergences; −1 to 0 if none has one.
pub fn decades(kl_nats: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = kl_nats.map(logarithm).filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    match low <= high {
        true => (low.floor(), high.ceil()),
        false => (-1.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_contain_all_that_have_a_logarithm() {
        let check = |divergences: &[f64], expected: (f64, f64)| {
            let found = decades(divergences.iter().copied());
            assert_eq!(found, expected, "{divergences:?}");
        };
        check(&[], (-1.0, 0.0));
        check(&[0.0, -1e-9, f64::NAN, f64::INFINITY], (-1.0, 0.0));
        check(&[0.02, 0.0, 30.0], (-2.0, 2.0));
        check(&[0.1], (-1.0, -1.0));
    }
}
