//! The memory that a run may take, checked before it is allocated.

use anyhow::anyhow;
use layerwise::architecture::ModelConfig;
use layerwise::sweep::{Budget, SweepError};
use layerwise::transformer::{Model, Precision};
use layerwise::weights::Checkpoint;
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

/// The memory that a checkpoint's weights need, in bytes.
pub struct Needed {
    /// Of the finished model.
    pub kept: u64,
    /// The largest weight.
    largest: u64,
}

impl Needed {
    /// What the weights need in a number format; as many bytes as a number can say if it cannot say how many.
    pub fn by(checkpoint: &Checkpoint, precision: Precision) -> Self {
        let bytes = |name: &str| {
            let shape = checkpoint.info(name).map_or(&[][..], |info| info.shape);
            let element = precision.bytes() as u64;
            let mut dims = shape.iter().map(|dim| *dim as u64);
            dims.try_fold(element, u64::checked_mul).unwrap_or(u64::MAX)
        };
        let sizes = || checkpoint.names().map(bytes);
        Self {
            kept: sizes().fold(0, u64::saturating_add),
            largest: sizes().max().unwrap_or(0),
        }
    }

    /// Until the model is finished: weights are packed one at a time, and while a weight is packed it is in memory twice, and
    /// three times if it is joined from parts.
    pub fn while_made(&self) -> u64 {
        self.kept.saturating_add(self.largest.saturating_mul(2))
    }
}

/// Checks that a checkpoint's weights fit, and takes the memory of the finished model from the budget.
///
/// # Errors
/// The weights need more than is left.
pub fn take(
    budget: &Budget,
    name: &str,
    checkpoint: &Checkpoint,
    precision: Precision,
) -> Result<(), SweepError> {
    let needed = Needed::by(checkpoint, precision);
    let what = format!("{name}: the weights");
    budget.check(&what, needed.while_made())?;
    budget.hold(&what, needed.kept)?.forever();
    Ok(())
}

/// Like [`take`], for a model whose blocks stay in their files.
///
/// # Errors
/// A config cannot be read, or an error of [`take`].
pub fn take_streamed(
    budget: &Budget,
    name: &str,
    checkpoint: &Checkpoint,
    precision: Precision,
) -> anyhow::Result<()> {
    let path = checkpoint.folder().join("config.json");
    let config = ModelConfig::from_json(checkpoint.config(), &path)?;
    // A tensor in f32, and its bytes as stored in the file.
    let largest = Needed::by(checkpoint, Precision::F32).largest;
    let largest = largest.saturating_mul(2);
    let what = format!("{name}: the weights, streamed");
    let bytes = Model::streamed_bytes(&config, precision).saturating_add(largest);
    budget.hold(&what, bytes)?.forever();
    Ok(())
}

/// The error for a model that fits into memory neither as a whole nor streamed, with the least that it needs.
pub fn too_little(whole: SweepError, streamed: &anyhow::Error) -> anyhow::Error {
    let least = match (&whole, streamed.downcast_ref()) {
        (SweepError::Memory { needed: all, .. }, Some(SweepError::Memory { needed, .. })) => {
            Some(*needed).filter(|needed| needed < all)
        }
        _ => None,
    };
    match least.map(|bytes| bytes.div_ceil(1 << 20)) {
        Some(least) => anyhow!(
            "{whole}; streamed from its files it needs {least} MiB: give a smaller model, or --max-memory {least}M at your own risk"
        ),
        None => whole.into(),
    }
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
