//! Makes figures, verdicts and the report from a run's tables, for `reproduce` and for `draw`.

use crate::experiments::contents::{Contents, Drawn};
use crate::experiments::core::claim;
use crate::experiments::core::experiment::Experiment;
use crate::experiments::core::finding::Verdict;
use crate::experiments::core::known::Compared;
use crate::experiments::core::models::Facts;
use crate::experiments::core::published::TextTable;
use crate::experiments::core::sample::Units;
use crate::experiments::core::table;
use crate::experiments::core::tables::{TableId, Tables};
use crate::experiments::{self, known_values};
use crate::manifest::Reported;
use crate::output;
use layerwise::files::{Folder, Links};
use layerwise::report::ModelFacts;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Resolution of the PNG files, fit for print.
const DOTS_PER_INCH: f64 = 300.0;

/// The most bytes of a table that is read, far more than the tables of any model have.
const MOST_BYTES: u64 = 1 << 30;

/// The units that verdicts are made from, and the tables that experiments fill, derive from or draw from, each once.
fn tables_of(experiments: &[&dyn Experiment]) -> Vec<TableId> {
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

/// Fills the tables that nothing has to be measured for.
pub fn derive(experiments: &[&dyn Experiment], tables: &mut Tables, models: &[Facts]) {
    for experiment in experiments {
        experiment.derive(tables, models);
    }
}

/// Writes the tables that experiments need and reads them back, so that what is drawn and judged is what the files say.
///
/// # Errors
/// A file that cannot be written.
pub fn write_tables(
    folder: &Path,
    experiments: &[&dyn Experiment],
    tables: &Tables,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Tables> {
    output::make_folder(folder)?;
    for table in tables_of(experiments) {
        let path = folder.join(file_of(table));
        output::write(&path, &table.csv(tables)?)?;
        written.push(path);
    }
    read_tables(folder, experiments)
}

/// Reads the tables that experiments need.
///
/// # Errors
/// A file that is missing, or is no such table.
pub fn read_tables(folder: &Path, experiments: &[&dyn Experiment]) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    let files = Folder::open(folder, Links::Refuse)?;
    for table in tables_of(experiments) {
        let file = files.file(&file_of(table), "a table of results")?;
        table.parse(&mut tables, &file.read_all(MOST_BYTES)?, file.path())?;
    }
    Ok(tables)
}

fn file_of(table: TableId) -> String {
    format!("{}.csv", table.name())
}

/// What stands below a figure: the models of a run, the version that drew it, and, where the figure has numbers of it, the text
/// with its size.
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
            true => format!(" on {text} ({sequences} sequences, {tokens} tokens)"),
            false => String::new(),
        };
        format!("{name} in {precision}{text}")
    });
    let models: Vec<String> = models.collect();
    let version = of(provenance, "layerwise");
    format!("{}. layerwise {version}.", models.join("; "))
}

/// Draws the experiments' figures of these models, as SVG and PNG; below each stand its description and the [`caption`].
///
/// # Errors
/// A file that cannot be written.
pub fn draw(
    folder: &Path,
    experiments: &[&dyn Experiment],
    tables: &Tables,
    models: &[ModelFacts],
    provenance: &[(String, String)],
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Drawn> {
    let mut drawn = Drawn::default();
    for experiment in experiments {
        let caption = caption(models, provenance, experiment.needs().corpus);
        for (name, figure) in experiment.drawings(tables) {
            let path = |extension: &str| folder.join(format!("{name}.{extension}"));
            let (svg, png) = (path("svg"), path("png"));
            let caption = format!("{}\n{caption}", figure.description);
            output::write(&svg, figure.svg(&caption).as_bytes())?;
            output::write(&png, &figure.png(&caption, DOTS_PER_INCH)?)?;
            written.extend([svg, png]);
            // The report has captions of its own.
            drawn.add(experiment.id(), name, &figure, figure.svg(""));
        }
    }
    Ok(drawn)
}

/// A run whose tables are complete.
pub struct Results<'a> {
    /// The experiments, in the order of the report.
    pub experiments: &'a [&'a dyn Experiment],
    /// The tables of all models, with what is derived from them all together.
    pub tables: &'a Tables,
    /// Each model's drawings.
    pub each: &'a [Drawn],
    /// The drawings of all models, where there are several.
    pub together: Option<&'a Drawn>,
    /// What the report says besides.
    pub reported: &'a Reported,
}

impl Results<'_> {
    /// Judges the results, and writes the verdicts, the paper's tables and, as the last file, the report. Returns the verdicts on the
    /// claims whose experiments were run, or that could be judged nonetheless.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn conclude(
        self,
        out: &Path,
        written: &mut Vec<PathBuf>,
    ) -> anyhow::Result<Vec<claim::Judgement>> {
        let models = self.reported.facts();
        let judgements = Judgements::of(self.tables, &models)?;
        judgements.write(out, written)?;
        let report = Contents {
            experiments: self.experiments,
            tables: self.tables,
            each: self.each,
            together: self.together,
            models: &models,
            facts: self.reported.told(),
            claims: &judgements.claims,
            known: &judgements.known,
            text_tables: &judgements.tables,
            provenance: self.reported.provenance.clone(),
        };
        let path = out.join("report.html");
        output::write(&path, report.report()?.html().as_bytes())?;
        written.push(path);
        let is_run = |id: &&str| self.experiments.iter().any(|own| own.id() == *id);
        let mut told: BTreeSet<&str> = experiments::claims()
            .into_iter()
            .filter(|claim| claim.needs.iter().all(is_run))
            .map(|claim| claim.id)
            .collect();
        let mut claims = judgements.claims.claims;
        let judged = claims
            .iter()
            .filter(|row| row.verdict != Verdict::NotTested);
        let judged: BTreeSet<String> = judged.map(|row| row.claim.clone()).collect();
        told.extend(judged.iter().map(String::as_str));
        claims.retain(|row| told.contains(row.claim.as_str()));
        Ok(claims)
    }
}

/// What the results of all models say of the paper: its claims, its numbers, its tables.
struct Judgements {
    claims: claim::Judged,
    known: Vec<Compared>,
    tables: Vec<TextTable>,
}

impl Judgements {
    fn of(tables: &Tables, models: &[Facts]) -> anyhow::Result<Self> {
        Ok(Self {
            claims: experiments::judge(tables, models),
            known: known_values::compare(tables, models)?,
            tables: experiments::text_tables(tables, models),
        })
    }

    fn write(&self, out: &Path, written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
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
        for (name, bytes) in files {
            let path = out.join(name);
            output::write(&path, &bytes)?;
            written.push(path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "gpt2 in f32 on a.jsonl (3 sequences, 90 tokens). layerwise 0.2.0.",
        );
        check(false, "gpt2 in f32. layerwise 0.2.0.");
    }
}
