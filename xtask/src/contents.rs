//! What a run yields, as the parts of a report.

use crate::claims::{self, CLAIMS};
use crate::figures::models::Facts;
use crate::figures::table::Record;
use crate::figures::{FigureId, stages};
use crate::known_values;
use crate::results::Results;
use crate::tables;
use anyhow::Context;
use layerwise::report::{
    ClaimRow, Drawing, KnownRow, ModelFacts, Report, Section, Table, TableFile,
};

/// What a report is made from.
pub struct Contents<'a> {
    /// The figures of the run, in reading order.
    pub figures: &'a [FigureId],
    /// The results of all models, with what is derived from them all together.
    pub results: &'a Results,
    /// Each model's results, with what is derived from them alone.
    pub each: &'a [Results],
    /// The models.
    pub models: &'a [Facts],
    /// For each model, what it was run on.
    pub facts: Vec<Vec<(String, String)>>,
    /// The claims, judged.
    pub claims: &'a [claims::Row],
    /// Published values beside measured ones.
    pub known: &'a [known_values::Compared],
    /// The paper's tables.
    pub tables: &'a [tables::Table],
    /// Facts of the run.
    pub provenance: Vec<(String, String)>,
}

impl Contents<'_> {
    /// The report of these contents.
    ///
    /// # Errors
    /// A table that is no table, which would be a fault of this program.
    pub fn report(self) -> anyhow::Result<Report> {
        let mut sections = self
            .figures
            .iter()
            .map(|&figure| self.section(figure))
            .collect::<anyhow::Result<Vec<_>>>()?;
        sections.extend(self.tables.iter().map(table_section));
        Ok(Report {
            title: "The stages of inference, layer by layer".to_owned(),
            models: self
                .models
                .iter()
                .zip(self.facts)
                .map(|(model, facts)| ModelFacts {
                    name: model.name.clone(),
                    facts,
                })
                .collect(),
            sections,
            claims: self.claims.iter().map(claim_row).collect(),
            known: self.known.iter().map(known_row).collect(),
            provenance: self.provenance,
        })
    }

    fn section(&self, figure: FigureId) -> anyhow::Result<Section> {
        let about = figure.about();
        let mut drawings = Vec::new();
        let several = self.models.len() > 1;
        let all = several.then_some((None, self.results));
        let each = self.models.iter().zip(self.each);
        let each = each.map(|(model, results)| (Some(model.name.clone()), results));
        for (model, results) in all.into_iter().chain(each) {
            for (name, drawing) in figure.drawings(results) {
                drawings.push(Drawing {
                    name,
                    model: model.clone(),
                    svg: drawing.svg(),
                    alt: format!("{}. {}", drawing.title, drawing.description),
                });
            }
        }
        let judged = CLAIMS.iter().filter(|claim| claim.needs.contains(&figure));
        Ok(Section {
            id: figure.name(),
            title: about.title.to_owned(),
            stands_for: about.stands_for.to_owned(),
            caption: about.caption.to_owned(),
            paper_says: about.paper_says.to_owned(),
            measured: self.measured(figure),
            drawings,
            table: self.table(figure)?,
            claims: judged.map(|claim| claim.id.to_owned()).collect(),
        })
    }

    /// The deciding numbers of the claims that are judged by a figure, in a sentence for each.
    fn measured(&self, figure: FigureId) -> String {
        let judged: Vec<_> = CLAIMS
            .iter()
            .filter(|claim| claim.needs.contains(&figure))
            .collect();
        let sentences: Vec<String> = judged
            .iter()
            .filter_map(|claim| {
                let verdict = |name: &str| {
                    let rows = self.claims.iter().filter(|row| row.claim == claim.id);
                    rows.filter(|row| row.verdict.name() == name).count()
                };
                let (holds, fails) = (verdict("holds"), verdict("fails"));
                (holds + fails > 0).then(|| {
                    format!(
                        "{} ({}): {holds} of {} comparisons hold.",
                        claim.id,
                        claim.statement,
                        holds + fails
                    )
                })
            })
            .collect();
        if figure == FigureId::Stages {
            return stages::peaks(&self.results.stages);
        }
        match sentences.is_empty() && !judged.is_empty() {
            true => {
                "No claim about this figure could be tested with these models and data.".to_owned()
            }
            false => sentences.join(" "),
        }
    }

    /// The first table of a figure, and the files of all its tables.
    fn table(&self, figure: FigureId) -> anyhow::Result<Table> {
        let tables = self.results.tables(figure)?;
        let mut table = Table::default();
        for (name, bytes) in &tables {
            let own = self.models.iter().map(|model| TableFile {
                model: Some(model.name.clone()),
                path: format!("{}/{name}", model.name),
            });
            table.files.extend(own);
            if self.models.len() > 1 {
                table.files.push(TableFile {
                    model: None,
                    path: (*name).to_owned(),
                });
            }
            if table.columns.is_empty() {
                let mut reader = csv::Reader::from_reader(bytes.as_slice());
                let cells = |row: &csv::StringRecord| row.iter().map(str::to_owned).collect();
                table.columns = cells(reader.headers().context("a table has heads")?);
                table.rows = reader
                    .records()
                    .map(|row| row.map(|row| cells(&row)))
                    .collect::<Result<_, _>>()
                    .context("a table has rows")?;
            }
        }
        Ok(table)
    }
}

fn table_section(table: &tables::Table) -> Section {
    Section {
        id: table.name.to_owned(),
        title: table.title.clone(),
        stands_for: table.name.replace('-', " ") + " of every version",
        table: Table {
            columns: table.columns.clone(),
            rows: table.rows.clone(),
            files: vec![TableFile {
                model: None,
                path: format!("{}.csv", table.name),
            }],
        },
        ..Section::default()
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.4}"))
}

fn claim_row(row: &claims::Row) -> ClaimRow {
    // A line states the claim, and after a colon which part of it it judges.
    let claim = CLAIMS.iter().find(|claim| claim.id == row.claim);
    let statement = claim.map_or(row.statement.as_str(), |claim| claim.statement);
    let part = row.statement.strip_prefix(statement).unwrap_or_default();
    ClaimRow {
        claim: row.claim.clone(),
        version: row.version.clone(),
        model: Record::model(row).to_owned(),
        statement: statement.to_owned(),
        part: part.trim_start_matches(": ").to_owned(),
        measured: number(row.measured),
        standard_error: number(row.standard_error),
        threshold: row.threshold.clone(),
        verdict: row.verdict.name().to_owned(),
        reason: row.reason.clone(),
    }
}

/// A name in camel case as words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

fn known_row(row: &known_values::Compared) -> KnownRow {
    let index = row
        .index
        .map_or_else(String::new, |index| format!(" {index}"));
    KnownRow {
        quantity: format!("{}{index}", words(&format!("{:?}", row.quantity))),
        model: row.model.clone(),
        published: row.published.to_string(),
        error: row
            .read_off_error
            .map_or_else(String::new, |error| error.to_string()),
        measured: number(row.measured),
    }
}
