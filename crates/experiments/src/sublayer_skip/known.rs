//! The quantities with published numbers.

use super::table::{Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::{Family, Kind};
use crate::core::known::Quantity;
use crate::core::models::Facts;
use crate::core::tables::Tables;

fn record<'a>(
    tables: &'a Tables,
    models: &[&Facts],
    side: (Kind, Family),
    fraction: f64,
) -> Option<&'a Record> {
    let mut records = tables.of::<Record>().iter();
    records
        .find(|r| (r.kind, r.family) == side && r.model == models[0].name && r.fraction == fraction)
}

/// Accuracy on a task in per cent: of the plain model, or without the quarter of a kind that changes its input least.
fn accuracy(tables: &Tables, models: &[&Facts], task: &str, kind: Option<Kind>) -> Option<f64> {
    let schedule = match kind {
        Some(kind) => &record(tables, models, (kind, Family::Similarity), 0.25)?.schedule,
        None => "id",
    };
    let mut tasks = tables.of::<TaskRecord>().iter();
    let own = tasks.find(|r| r.model == models[0].name && r.task == task && r.schedule == schedule);
    Some(100.0 * own?.accuracy)
}

pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "late-half-of-attention-decode-gain-percent",
        of: |tables, models, _| {
            let mut speeds = tables.of::<SpeedRecord>().iter();
            let own = speeds.find(|r| {
                r.model == models[0].name
                    && (r.kind, r.fraction, r.cached_tokens) == (Kind::DropAttn, 0.5, 32)
            });
            Some(100.0 * (own?.decode_ratio? - 1.0))
        },
    },
    Quantity {
        name: "late-third-of-attention-accuracy-lost-percent",
        of: |tables, models, _| {
            let side = (Kind::DropAttn, Family::Latter);
            Some(100.0 * record(tables, models, side, 0.33)?.relative_drop?)
        },
    },
    Quantity {
        name: "similar-half-of-attention-accuracy-lost-percent",
        of: |tables, models, _| {
            let side = (Kind::DropAttn, Family::Similarity);
            Some(100.0 * record(tables, models, side, 0.5)?.relative_drop?)
        },
    },
    Quantity {
        name: "similar-half-of-attention-late-share",
        of: |tables, models, _| {
            let (layers, own) = (models[0].layers, tables.of::<SimilarityRecord>().iter());
            let ranked = own.filter(|r| {
                r.model == models[0].name && r.kind == Kind::DropAttn && 2 * r.rank <= layers
            });
            let late: Vec<bool> = ranked.map(|r| 2 * r.source >= layers).collect();
            let count = late.iter().filter(|is_late| **is_late).count();
            (!late.is_empty()).then(|| count as f64 / late.len() as f64)
        },
    },
    Quantity {
        name: "plain-accuracy-mmlu-percent",
        of: |tables, models, _| accuracy(tables, models, "mmlu", None),
    },
    Quantity {
        name: "similar-quarter-of-attention-accuracy-mmlu-percent",
        of: |tables, models, _| accuracy(tables, models, "mmlu", Some(Kind::DropAttn)),
    },
    Quantity {
        name: "similar-quarter-of-mlps-accuracy-mmlu-percent",
        of: |tables, models, _| accuracy(tables, models, "mmlu", Some(Kind::DropMlp)),
    },
    Quantity {
        name: "plain-accuracy-boolq-percent",
        of: |tables, models, _| accuracy(tables, models, "boolq", None),
    },
    Quantity {
        name: "similar-quarter-of-attention-accuracy-boolq-percent",
        of: |tables, models, _| accuracy(tables, models, "boolq", Some(Kind::DropAttn)),
    },
    Quantity {
        name: "similar-quarter-of-mlps-accuracy-boolq-percent",
        of: |tables, models, _| accuracy(tables, models, "boolq", Some(Kind::DropMlp)),
    },
];

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::testing;

    #[test]
    fn quantities_are_found() {
        let models = testing::models();
        let tables = testing::tables(&models[..1], &[synthetic::add]);
        let of = |name: &str| {
            let mut own = QUANTITIES.iter();
            let own = own.find(|quantity| quantity.name == name).unwrap();
            (own.of)(&tables, &[&models[0]], 0)
        };
        let gain = of("late-half-of-attention-decode-gain-percent").unwrap();
        assert!((gain - 10.032).abs() < 1e-9, "{gain}");
        let lost = of("late-third-of-attention-accuracy-lost-percent").unwrap();
        assert!((lost - 2.0).abs() < 1e-9, "{lost}");
        assert_eq!(of("similar-half-of-attention-late-share"), Some(1.0));
        assert_eq!(of("plain-accuracy-mmlu-percent"), None);
    }
}
