//! The memory that a run may take: what the user allows, or what is free.

use layerwise::sweep::Budget;
use std::fs;
use std::str::FromStr;

/// A number of bytes, such as `2000000`, `500M` or `24G`; the letters are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "" => Some(0),
            "K" | "KIB" => Some(10),
            "M" | "MIB" => Some(20),
            "G" | "GIB" => Some(30),
            "T" | "TIB" => Some(40),
            _ => None,
        };
        let bytes = digits.parse::<u64>().ok().filter(|bytes| *bytes > 0);
        bytes
            .zip(shift)
            .and_then(|(bytes, shift)| bytes.checked_mul(1 << shift))
            .map(Self)
            .ok_or_else(|| "expected a number of bytes above 0, such as 500M or 24G".to_owned())
    }
}

/// A budget with the given limit, or else the memory that is free.
pub fn budget(given: Option<Size>) -> Budget {
    Budget::new(given.map(|size| size.0).or_else(available))
}

/// Bytes of memory that can be allocated without swapping or being killed; `None` if the system does not say.
pub fn available() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok();
    let machine = meminfo.as_deref().and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    });
    // A container has its own limit.
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let container = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(limit, used)| limit.saturating_sub(used));
    match (machine, container) {
        (Some(machine), Some(container)) => Some(machine.min(container)),
        (machine, container) => machine.or(container),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                text.parse::<Size>().ok().map(|size| size.0),
                expected,
                "{text:?}"
            );
        };
        check("1", Some(1));
        check("500M", Some(500 << 20));
        check("24g", Some(24 << 30));
        check("1TiB", Some(1 << 40));
        for bad in [
            "",
            "0",
            "0G",
            "-1",
            "1.5G",
            "G",
            "1X",
            "1 G",
            "G1",
            "20000000T",
        ] {
            check(bad, None);
        }
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
    }
}
