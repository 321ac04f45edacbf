//! The quantities with published numbers: those of the linear machine at its usual threshold.

use super::claims::at;
use super::table::Record;
use crate::core::known::Quantity;
use crate::core::models::Facts;
use crate::core::tables::Tables;

fn usual<'a>(tables: &'a Tables, models: &[&Facts], task: &str) -> Option<&'a Record> {
    at(tables, &models[0].name, task, "svm", 0.0)
}

/// CommonsenseQA is published, but not measured here.
pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        name: "exit-full-accuracy-mmlu-percent",
        of: |tables, models, _| Some(100.0 * usual(tables, models, "mmlu")?.acc_full?),
    },
    Quantity {
        name: "exit-accuracy-mmlu-percent",
        of: |tables, models, _| Some(100.0 * usual(tables, models, "mmlu")?.acc_exit?),
    },
    Quantity {
        name: "exit-blocks-mmlu",
        of: |tables, models, _| Some(usual(tables, models, "mmlu")?.exit_blocks_mean),
    },
    Quantity {
        name: "exit-full-accuracy-commonsenseqa-percent",
        of: |_, _, _| None,
    },
    Quantity {
        name: "exit-accuracy-commonsenseqa-percent",
        of: |_, _, _| None,
    },
    Quantity {
        name: "exit-blocks-commonsenseqa",
        of: |_, _, _| None,
    },
    Quantity {
        name: "exit-full-accuracy-sst2-percent",
        of: |tables, models, _| Some(100.0 * usual(tables, models, "sst2")?.acc_full?),
    },
    Quantity {
        name: "exit-accuracy-change-sst2-points",
        of: |tables, models, _| {
            let own = usual(tables, models, "sst2")?;
            Some(100.0 * (own.acc_exit? - own.acc_full?))
        },
    },
    Quantity {
        name: "exit-operations-sst2",
        of: |tables, models, _| Some(usual(tables, models, "sst2")?.ops_ratio),
    },
];

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::testing;

    #[test]
    fn quantities_are_those_of_the_linear_machine() {
        let models = testing::models();
        let tables = testing::tables(&models[..1], &[synthetic::add]);
        let check = |name: &str, expected: Option<f64>| {
            let mut own = QUANTITIES.iter();
            let own = own.find(|quantity| quantity.name == name).unwrap();
            let found = (own.of)(&tables, &[&models[0]], 0);
            let pairs = found.zip(expected);
            let is_near = pairs.is_none_or(|(found, expected)| (found - expected).abs() < 1e-9);
            assert!(
                is_near && found.is_some() == expected.is_some(),
                "{name}: {found:?}"
            );
        };
        check("exit-full-accuracy-mmlu-percent", Some(40.0));
        check("exit-accuracy-mmlu-percent", Some(39.9));
        check("exit-blocks-mmlu", Some(0.8 * models[0].layers as f64));
        check("exit-accuracy-change-sst2-points", Some(-0.1));
        check("exit-operations-sst2", Some(0.79));
        check("exit-blocks-commonsenseqa", None);
    }
}
