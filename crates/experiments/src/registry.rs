//! The experiments by name, and their claims and tables taken together.

use super::core::claim::{Claim, Evidence, Judged};
use super::core::experiment::{Experiment, Registered};
use super::core::models::Facts;
use super::core::published::{TextTable, architectures, names};
use super::core::tables::Tables;
use std::sync::LazyLock;

/// The experiments that [`register!`](crate::register) has added, in the order of the report.
pub static EXPERIMENTS: LazyLock<Vec<&'static dyn Experiment>> = LazyLock::new(|| {
    let registered = inventory::iter::<Registered>.into_iter();
    let mut experiments: Vec<&dyn Experiment> = registered.map(|it| it.0).collect();
    experiments.sort_by_key(|experiment| (experiment.place(), experiment.id()));
    experiments
});

/// An experiment by its name.
pub fn experiment(id: &str) -> Option<&'static dyn Experiment> {
    let mut experiments = EXPERIMENTS.iter().copied();
    experiments.find(|experiment| experiment.id() == id)
}

/// Some experiments and those whose tables they need, each after the ones it needs.
pub fn with_needed(chosen: &[&'static dyn Experiment]) -> Vec<&'static dyn Experiment> {
    let mut found: Vec<&'static dyn Experiment> = Vec::new();
    for experiment in chosen {
        let needed: Vec<&'static dyn Experiment> = EXPERIMENTS
            .iter()
            .copied()
            .filter(|other| {
                let mut tables = experiment.needs().tables.iter();
                tables.any(|table| other.tables().contains(table))
            })
            .collect();
        for next in with_needed(&needed).into_iter().chain([*experiment]) {
            if !found.iter().any(|known| known.id() == next.id()) {
                found.push(next);
            }
        }
    }
    found
}

/// The claims of all experiments, by their letters and then their numbers.
pub fn claims() -> Vec<&'static Claim> {
    let each = EXPERIMENTS
        .iter()
        .flat_map(|experiment| experiment.claims());
    let mut claims: Vec<&Claim> = each.collect();
    // The paper's own first, then those of related papers by their letters.
    claims.sort_by_key(|claim| {
        let (letter, number) = claim.id.split_at(1);
        (letter != "D", letter, number.len(), number)
    });
    claims
}

/// Every claim in order, judged for the models of a run.
pub fn judge(tables: &Tables, models: &[Facts]) -> Judged {
    let evidence = Evidence { tables, models };
    let mut all = Judged::default();
    for claim in claims() {
        let judged = claim.judged(&evidence);
        all.claims.extend(judged.claims);
        all.lines.extend(judged.lines);
    }
    all
}

/// The paper's tables, with the numbers of a run.
pub fn text_tables(tables: &Tables, models: &[Facts]) -> Vec<TextTable> {
    let evidence = Evidence { tables, models };
    let each = EXPERIMENTS.iter();
    let mut found: Vec<TextTable> = each
        .flat_map(|experiment| experiment.text_tables(&evidence))
        .collect();
    found.extend([architectures(models), names(models)]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::claim::{Judgement, Row};
    use crate::core::experiment::Place;
    use crate::core::finding::Verdict;
    use crate::core::table::{parse, write};
    use crate::core::testing;
    use crate::robustness;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_experiment_has_its_own_name_tables_and_words() {
        let mut told = BTreeSet::new();
        for experiment in EXPERIMENTS.iter() {
            let (id, about) = (experiment.id(), experiment.about());
            assert!(told.insert(id), "{id}");
            assert!(told.insert(about.title), "{}", about.title);
            for text in [about.caption, about.paper_says] {
                assert!(text.ends_with('.') && text.len() > 60, "{id}: {text}");
            }
            let tables = experiment.tables();
            assert_eq!(
                tables[0].name(),
                id,
                "the first table has the experiment's name"
            );
            for table in tables {
                assert!(table.name() == id || told.insert(table.name()), "{id}");
            }
        }
    }

    #[test]
    fn experiments_have_the_order_of_the_paper() {
        let ids: Vec<&str> = EXPERIMENTS
            .iter()
            .map(|experiment| experiment.id())
            .collect();
        let expected = [
            "stages",
            "robustness",
            "cka",
            "attention-locality",
            "subword-heads",
            "wic",
            "lens-entropy",
            "lens-kl",
            "neurons",
            "suffix-probe",
            "suffix-neurons",
            "mlp-norm",
            "sublayer-ratio",
            "repeats",
            "benchmarks",
            "scale",
            "shift",
        ];
        let in_paper = EXPERIMENTS
            .iter()
            .filter(|experiment| experiment.place() < Place::AFTER_THE_PAPER);
        assert_eq!(ids[..in_paper.count()], expected);
    }

    #[test]
    fn what_is_needed_is_a_table_of_an_experiment() {
        for experiment in EXPERIMENTS.iter() {
            for table in experiment.needs().tables {
                let mut others = EXPERIMENTS
                    .iter()
                    .filter(|other| other.id() != experiment.id());
                let found = others.any(|other| other.tables().contains(table));
                assert!(found, "{}: {table:?}", experiment.id());
            }
        }
    }

    #[test]
    fn what_is_needed_comes_first() {
        let check = |chosen: &[&str], expected: &[&str]| {
            let chosen: Vec<_> = chosen.iter().filter_map(|id| experiment(id)).collect();
            let found = with_needed(&chosen);
            let ids: Vec<&str> = found.iter().map(|experiment| experiment.id()).collect();
            assert_eq!(ids, expected);
        };
        check(&[], &[]);
        check(&["cka", "wic"], &["cka", "wic"]);
        check(&["lexical-semantics"], &["wic", "lexical-semantics"]);
        check(&["suffix-probe"], &["suffix-neurons", "suffix-probe"]);
        check(
            &["stages", "neurons", "robustness"],
            &["robustness", "attention-locality", "neurons", "stages"],
        );
    }

    #[test]
    fn every_claim_has_its_place_and_its_lines() {
        let ids: Vec<&str> = claims().iter().map(|claim| claim.id).collect();
        let expected: Vec<String> = [
            ("D", 30),
            ("A", 9),
            ("F", 10),
            ("G", 1),
            ("L", 1),
            ("M", 9),
            ("P", 2),
            ("T", 10),
        ]
        .into_iter()
        .flat_map(|(letter, last)| (1..=last).map(move |number| format!("{letter}{number}")))
        .collect();
        assert_eq!(ids, expected);
        for claim in claims() {
            for id in claim.needs {
                assert!(experiment(id).is_some(), "{}: {id}", claim.id);
            }
        }
        // Without any model, each claim still has a line.
        let none = judge(&Tables::default(), &[]);
        assert!(
            none.claims
                .iter()
                .all(|row| row.verdict == Verdict::NotTested)
        );
        let mut order: Vec<&str> = none.lines.iter().map(|row| row.claim.as_str()).collect();
        order.dedup();
        assert_eq!(order, expected);
    }

    #[test]
    fn claims_survive_a_file() {
        let models = testing::models();
        let tables = testing::tables(&models, &[robustness::synthetic::add]);
        let judged = judge(&tables, &models);
        let mut text = Vec::new();
        write(&judged.claims, &mut text).unwrap();
        let read: Vec<Judgement> = parse(text.as_slice(), Path::new("verdicts.csv")).unwrap();
        assert_eq!(read, judged.claims);
        let rows = judged.lines;
        assert!(rows.iter().any(|row| row.verdict == Verdict::Holds));
        let mut text = Vec::new();
        write(&rows, &mut text).unwrap();
        let header = "claim,version,model,statement,measured,low,high,threshold,verdict,reason\n";
        assert!(text.starts_with(header.as_bytes()));
        let read: Vec<Row> = parse(text.as_slice(), Path::new("claims.csv")).unwrap();
        assert_eq!(read, rows);
    }

    #[test]
    fn the_papers_tables_are_rectangular() {
        let models = testing::models();
        let found = text_tables(&Tables::default(), &models);
        let names: Vec<&str> = found.iter().map(|table| table.name).collect();
        assert_eq!(names, ["table-1", "table-2", "table-3"]);
        for table in found {
            for row in &table.rows {
                assert_eq!(row.len(), table.columns.len(), "{}: {row:?}", table.name);
            }
        }
    }
}
