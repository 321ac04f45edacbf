//! Made-up readings.

use crate::reading::{Reading, Sharpness};

/// Readings whose answers are these tokens and whose sharpness grows; candidates are chosen after three blocks.
pub(crate) fn readings(tokens: &[u32]) -> Vec<Reading> {
    let reading = |(at, token): (usize, &u32)| {
        let own = Sharpness {
            gap: at as f64 / 10.0,
            top: at as f64 / 8.0,
            first: *token,
        };
        Reading {
            full: own,
            options: None,
            candidates: (at >= 2).then_some(own),
            gold: 0.0,
            state: 0.5,
        }
    };
    tokens.iter().enumerate().map(reading).collect()
}
