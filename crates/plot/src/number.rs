//! Formats numbers.

/// A number with `digits` significant digits, at least one, without trailing zeros and with a minus sign.
///
/// ```
/// # use layerwise_plot::significant;
/// assert_eq!(significant(-1.0 / 3.0, 4), "−0.3333");
/// ```
pub fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "no value".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    // The mantissa is rounded first: 0.99999 has the exponent 0.
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let text = if (-4..=8).contains(&exponent) {
        let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
        without_zeros(&format!("{value:.decimals$}")).to_owned()
    } else {
        format!("{}e{exponent}", without_zeros(mantissa))
    };
    match text.as_str() {
        "-0" => "0".to_owned(),
        _ => text.replace('-', "−"),
    }
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_so_many_significant_digits() {
        let check = |value: f64, digits: usize, expected: &str| {
            assert_eq!(significant(value, digits), expected, "{value} to {digits}");
        };
        check(0.0, 4, "0");
        check(-0.0, 4, "0");
        check(5.0, 4, "5");
        check(0.43, 4, "0.43");
        check(1.0 / 3.0, 4, "0.3333");
        check(-12.3456, 4, "−12.35");
        check(0.999_99, 4, "1");
        check(9.9996, 4, "10");
        check(123_456.7, 4, "123457");
        check(0.000_123_45, 2, "0.00012");
        check(0.000_012_345, 4, "1.234e−5");
        check(1.5e12, 4, "1.5e12");
        check(1000.0, 4, "1000");
        check(f64::NAN, 4, "no value");
        check(f64::NEG_INFINITY, 4, "−∞");
    }
}
