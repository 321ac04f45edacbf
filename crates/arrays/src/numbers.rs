//! Task numbers and times in Slurm's notation.

use crate::ArrayError;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// An array expression: `1-3,7`.
///
/// ```
/// use layerwise_arrays::Tasks;
///
/// assert_eq!(Tasks(&[1, 2, 3, 7].into()).to_string(), "1-3,7");
/// ```
pub struct Tasks<'a>(pub &'a BTreeSet<u32>);

impl fmt::Display for Tasks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<u32> = self.0.iter().copied().collect();
        for (at, stretch) in all.chunk_by(|a, b| a + 1 == *b).enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match stretch {
                [one] => write!(f, "{one}")?,
                [first, .., last] => write!(f, "{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// A time limit, in Slurm's forms: `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M` and `D-H:M:S`.
///
/// ```
/// use layerwise_arrays::TimeLimit;
///
/// assert_eq!(TimeLimit::at_least(3601).to_string(), "0-01:01:00"); // an hour and a second
/// assert!("1-12:30".parse::<TimeLimit>().is_ok()); // a day and twelve and a half hours
/// assert!("soon".parse::<TimeLimit>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeLimit(String);

impl TimeLimit {
    /// The smallest number of whole minutes that lasts at least `seconds` seconds.
    pub fn at_least(seconds: u64) -> Self {
        let minutes = seconds.saturating_add(59).div_euclid(60).max(1);
        let (days, hours) = (minutes / (24 * 60), minutes / 60 % 24);
        Self(format!("{days}-{hours:02}:{:02}:00", minutes % 60))
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TimeLimit {
    type Err = ArrayError;

    fn from_str(text: &str) -> Result<Self, ArrayError> {
        let is_number = |part: &str| {
            (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (days, rest) = match text.split_once('-') {
            Some((days, rest)) => (Some(days), rest),
            None => (None, text),
        };
        let parts: Vec<&str> = rest.split(':').collect();
        let is_time = days.is_none_or(is_number)
            && (1..=3).contains(&parts.len())
            && parts.into_iter().all(is_number)
            && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        match is_time {
            true => Ok(Self(text.to_owned())),
            false => Err(ArrayError::TimeLimit {
                found: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_written_in_stretches() {
        let check = |tasks: &[u32], expected: &str| {
            let tasks = tasks.iter().copied().collect();
            assert_eq!(Tasks(&tasks).to_string(), expected);
        };
        check(&[], "");
        check(&[3], "3");
        check(&[1, 2], "1-2");
        check(&[9, 1, 3, 2, 7, 10], "1-3,7,9-10");
        check(&[1, 10_000], "1,10000");
    }

    #[test]
    fn limits_on_time_are_those_of_slurm() {
        let check = |text: &str, is_limit: bool| {
            let found = text.parse::<TimeLimit>();
            assert_eq!(found.is_ok(), is_limit, "{text:?}");
            if let Ok(limit) = found {
                assert_eq!(limit.to_string(), text);
            }
        };
        for limit in [
            "5",
            "90",
            "5:30",
            "1:00:00",
            "1-0",
            "2-12:30",
            "2-12:30:15",
            "0:01",
        ] {
            check(limit, true);
        }
        for other in [
            "", "0", "0:00", "-", "-5", "1-", "1-2-3", "1:2:3:4", "5m", "1 h", "5:", ":5",
            "infinite", "5\n", "１", "1234567", "$(id)", "1.5",
        ] {
            check(other, false);
        }
    }

    #[test]
    fn a_limit_is_no_shorter_than_what_is_asked_for() {
        let check = |seconds: u64, expected: &str| {
            let limit = TimeLimit::at_least(seconds).to_string();
            assert_eq!(limit, expected);
            assert!(limit.parse::<TimeLimit>().is_ok());
        };
        check(0, "0-00:01:00");
        check(60, "0-00:01:00");
        check(61, "0-00:02:00");
        check(3_599, "0-01:00:00");
        check(90_000, "1-01:00:00");
    }
}
