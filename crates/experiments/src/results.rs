//! The files made from a run's tables: figures, verdicts, the paper's tables and the report, as names and bytes.

use crate::contents::Contents;
pub use crate::contents::{Drawn, Results};
use crate::core::claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::Experiment;
use crate::core::finding::Verdict;
use crate::core::known::Compared;
use crate::core::models::Facts;
use crate::core::published::TextTable;
use crate::core::sample::Units;
use crate::core::table;
use crate::core::tables::{TableId, Tables};
use crate::known_values;
use layerwise_plot::PngError;
use layerwise_report::ModelFacts;
use std::collections::BTreeSet;
use std::io;

/// Name and bytes of a file.
pub type File = (String, Vec<u8>);

/// The name, in the provenance, of the version that drew what another measured.
pub const DRAWN_BY: &str = "Drawn by";

/// Resolution of the PNG files, fit for print.
const DOTS_PER_INCH: f64 = 300.0;

/// The units that verdicts are computed from, and the tables that experiments fill, derive from or draw from, each once.
pub fn tables_of(experiments: &[&dyn Experiment]) -> Vec<TableId> {
    let mut all = vec![TableId::of::<Units>()];
    for experiment in experiments {
        for table in experiment.tables().iter().chain(experiment.needs().tables) {
            if !all.contains(table) {
                all.push(*table);
            }
        }
    }
    all
}

/// Fills the tables that need no measurement.
pub fn derive(experiments: &[&dyn Experiment], tables: &mut Tables, models: &[Facts]) {
    for experiment in experiments {
        experiment.derive(tables, models);
    }
}

/// The line below a figure: the models of a run, the version that measured them and, if the experiment reads it, the text with its
/// whole size. A figure of fewer sequences says itself how many.
pub fn caption(models: &[ModelFacts], provenance: &[(String, String)], on_text: bool) -> String {
    let of = |facts: &[(String, String)], name: &str| {
        let found = facts.iter().find(|(own, _)| own == name);
        found.map_or_else(|| "?".to_owned(), |(_, value)| value.clone())
    };
    let models = models.iter().map(|model| {
        let [text, sequences, tokens, precision] =
            ["Text", "Sequences", "Tokens", "Precision"].map(|fact| of(&model.facts, fact));
        let name = &model.name;
        let text = match on_text {
            true => format!(", text {text} ({sequences} sequences, {tokens} tokens)"),
            false => String::new(),
        };
        format!("{name} in {precision}{text}")
    });
    let models: Vec<String> = models.collect();
    let version = of(provenance, "layerwise");
    let drawn = provenance.iter().find(|(name, _)| name == DRAWN_BY);
    let drawn = drawn.map_or(String::new(), |(_, by)| format!(", drawn by {by}"));
    format!("{}. layerwise {version}{drawn}.", models.join("; "))
}

/// A figure in both formats, with its description and its [`caption`].
pub struct Drawing {
    /// The name of its files, without extension.
    pub name: String,
    /// As SVG.
    pub svg: String,
    /// As PNG.
    pub png: Vec<u8>,
}

/// Draws the experiments' figures of these models one after the other, and passes each to `keep`.
///
/// # Errors
/// A figure cannot be drawn, or an error of `keep`.
pub fn draw<E: From<PngError>>(
    experiments: &[&dyn Experiment],
    tables: &Tables,
    models: &[ModelFacts],
    provenance: &[(String, String)],
    mut keep: impl FnMut(Drawing) -> Result<(), E>,
) -> Result<Drawn, E> {
    let mut drawn = Drawn::default();
    for experiment in experiments {
        let caption = caption(models, provenance, experiment.needs().corpus);
        for (name, figure) in experiment.drawings(tables) {
            let caption = format!("{}\n{caption}", figure.description);
            keep(Drawing {
                name: name.clone(),
                svg: figure.svg(&caption),
                png: figure.png(&caption, DOTS_PER_INCH)?,
            })?;
            // The report has captions of its own.
            drawn.add(experiment.id(), name, &figure, figure.svg(""));
        }
    }
    Ok(drawn)
}

/// The conclusions from results.
pub struct Conclusions {
    /// The files of verdicts and of the paper's tables, and last the report.
    pub files: Vec<File>,
    /// The verdicts on claims whose experiments ran, and on claims that could be judged without them.
    pub verdicts: Vec<claim::Judgement>,
}

impl Results<'_> {
    /// Judges the results.
    ///
    /// # Errors
    /// The table of published values, which is part of this crate, is invalid.
    pub fn conclude(self) -> Result<Conclusions, ExperimentError> {
        let judgements = Judgements::of(self.tables, self.models)?;
        let mut files = judgements.files()?;
        let experiments = self.experiments;
        let report = Contents {
            results: self,
            claims: &judgements.claims,
            known: &judgements.known,
            text_tables: &judgements.tables,
        };
        let report = report.report()?.html();
        files.push(("report.html".to_owned(), report.into_bytes()));
        let is_run = |id: &&str| experiments.iter().any(|own| own.id() == *id);
        let mut told: BTreeSet<&str> = crate::claims()
            .into_iter()
            .filter(|claim| claim.needs.iter().all(is_run))
            .map(|claim| claim.id)
            .collect();
        let mut verdicts = judgements.claims.claims;
        let judged = verdicts
            .iter()
            .filter(|row| row.verdict != Verdict::NotTested);
        let judged: BTreeSet<String> = judged.map(|row| row.claim.clone()).collect();
        told.extend(judged.iter().map(String::as_str));
        verdicts.retain(|row| told.contains(row.claim.as_str()));
        Ok(Conclusions { files, verdicts })
    }
}

/// The conclusions from the results of all models: the paper's claims, numbers and tables.
struct Judgements {
    claims: claim::Judged,
    known: Vec<Compared>,
    tables: Vec<TextTable>,
}

impl Judgements {
    fn of(tables: &Tables, models: &[Facts]) -> Result<Self, ExperimentError> {
        Ok(Self {
            claims: crate::judge(tables, models),
            known: known_values::compare(tables, models)?,
            tables: crate::text_tables(tables, models),
        })
    }

    /// Names and bytes of the files.
    fn files(&self) -> io::Result<Vec<File>> {
        let mut verdicts = Vec::new();
        table::write(&self.claims.claims, &mut verdicts)?;
        let mut claims = Vec::new();
        table::write(&self.claims.lines, &mut claims)?;
        let mut known = Vec::new();
        table::write(&self.known, &mut known)?;
        let mut files = vec![
            ("verdicts.csv".to_owned(), verdicts),
            ("claims.csv".to_owned(), claims),
            ("known-values.csv".to_owned(), known),
        ];
        for table in &self.tables {
            files.push((format!("{}.csv", table.name), table.csv()?));
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_caption_names_the_text_of_its_numbers_alone() {
        let facts = [
            ("Text", "a.jsonl"),
            ("Sequences", "3"),
            ("Tokens", "90"),
            ("Precision", "f32"),
        ];
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let model = ModelFacts {
            name: "gpt2".to_owned(),
            kind: String::new(),
            about: String::new(),
            facts: facts.map(pair).to_vec(),
        };
        let version = [pair(("layerwise", "0.2.0"))];
        let check = |on_text: bool, expected: &str| {
            let models = std::slice::from_ref(&model);
            assert_eq!(caption(models, &version, on_text), expected);
        };
        check(
            true,
            "gpt2 in f32, text a.jsonl (3 sequences, 90 tokens). layerwise 0.2.0.",
        );
        check(false, "gpt2 in f32. layerwise 0.2.0.");
        let later = [version[0].clone(), pair((DRAWN_BY, "0.3.0"))];
        let said = caption(&[model], &later, false);
        assert_eq!(said, "gpt2 in f32. layerwise 0.2.0, drawn by 0.3.0.");
    }

    /// Maps have a cell for each block or head of the model; a table may be edited.
    #[test]
    fn lines_about_places_that_a_model_lacks_are_refused() {
        fn check<R: table::Record>(changed: &[(&str, &str)], expected: &str) {
            let field = |column: &&str| {
                let own = changed.iter().find(|(own, _)| own == column);
                own.map_or(
                    match *column {
                        "kind" => "zero",
                        "estimator" => "last-token",
                        "selection" => "single",
                        "layers" | "heads" => "3",
                        "layer" => "0",
                        _ => "1",
                    },
                    |(_, value)| *value,
                )
            };
            let line: Vec<&str> = R::COLUMNS.iter().map(field).collect();
            let text = format!("{}\n{}\n", R::COLUMNS.join(","), line.join(","));
            let said = match table::parse::<R>(text.as_bytes(), Path::new("a.csv")) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            };
            let expected = match expected {
                "" => String::new(),
                expected => format!("a.csv: line 2: {expected}"),
            };
            assert_eq!(said, expected, "{}", R::NAME);
        }
        fn check_all<R: table::Record>(other: &str) {
            check::<R>(&[], "");
            let below = |column: &str| format!("{column}: expected a number below 3, found \"3\"");
            check::<R>(&[("layer", "3")], &below("layer"));
            if !other.is_empty() {
                check::<R>(&[(other, "3")], &below(other));
            }
            for layers in ["0", "18446744073709551615"] {
                let expected =
                    format!("layers: expected a number from 1 to 1024, found \"{layers}\"");
                check::<R>(&[("layers", layers)], &expected);
            }
        }
        check_all::<crate::block_pruning::Record>("last_layer");
        check_all::<crate::depth_scores::EffectRecord>("later_layer");
        check_all::<crate::swap_distance::Record>("other_layer");
        check_all::<crate::heads::Record>("head");
        check_all::<crate::cka::Record>("other_layer");
        check_all::<crate::patching::Record>("");
        check::<crate::swap_distance::Record>(
            &[("layer", "2")],
            "other_layer: expected a block after 2, found \"1\"",
        );
        let far = [("position", "1024")];
        let expected = "position: expected a number below 1024, found \"1024\"";
        check::<crate::patching::Record>(&far, expected);
        check::<crate::subword_heads::Cell>(&[], "");
        check::<crate::subword_heads::Cell>(&far, expected);
    }
}
