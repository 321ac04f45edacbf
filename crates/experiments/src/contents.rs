//! The results of a run, as the parts of a report.

use crate::claims;
use crate::core::claim::{self, Judged};
use crate::core::experiment::Experiment;
use crate::core::finding;
use crate::core::known::Compared;
use crate::core::models::Facts;
use crate::core::published::TextTable;
use crate::core::table::Record;
use crate::core::tables::Tables;
use crate::foreword;
use layerwise_plot::Figure;
use layerwise_report::{
    Claim, ClaimLine, Drawing, KnownRow, ModelFacts, Report, Section, Table, TableFile, Verdict,
};
use std::io;

/// The drawings of one model, or of several together.
#[derive(Debug, Default)]
pub struct Drawn {
    /// Each with its experiment.
    drawings: Vec<(&'static str, Drawing)>,
}

impl Drawn {
    /// Adds an experiment's drawing with its name and its SVG.
    pub fn add(&mut self, experiment: &'static str, name: String, figure: &Figure, svg: String) {
        let drawing = Drawing {
            name,
            model: None,
            svg,
            title: figure.title.clone(),
            description: figure.description.clone(),
        };
        self.drawings.push((experiment, drawing));
    }

    fn of(&self, experiment: &str, model: Option<&str>) -> impl Iterator<Item = Drawing> {
        let own = self
            .drawings
            .iter()
            .filter(move |(id, _)| *id == experiment);
        own.map(move |(_, drawing)| Drawing {
            model: model.map(str::to_owned),
            ..drawing.clone()
        })
    }
}

/// A run with complete tables.
pub struct Results<'a> {
    /// The experiments, in the order of the report.
    pub experiments: &'a [&'a dyn Experiment],
    /// The tables of all models, with what is derived from all of them together.
    pub tables: &'a Tables,
    /// Each model's drawings.
    pub each: &'a [Drawn],
    /// The drawings of all models together, if there are several.
    pub together: Option<&'a Drawn>,
    /// The models.
    pub models: &'a [Facts],
    /// For each model, what a reader wants to know about it.
    pub facts: Vec<ModelFacts>,
    /// Facts of the run by name.
    pub provenance: Vec<(String, String)>,
}

/// The contents of a report.
pub(crate) struct Contents<'a> {
    /// The run.
    pub(crate) results: Results<'a>,
    /// The judged claims.
    pub(crate) claims: &'a Judged,
    /// Published values next to measured ones.
    pub(crate) known: &'a [Compared],
    /// The paper's tables.
    pub(crate) text_tables: &'a [TextTable],
}

impl Contents<'_> {
    /// The report with these contents.
    ///
    /// # Errors
    /// None when writing to memory; the type is that of the writer of tables.
    pub(crate) fn report(self) -> io::Result<Report> {
        let mut sections = self
            .results
            .experiments
            .iter()
            .map(|experiment| self.section(*experiment))
            .collect::<io::Result<Vec<_>>>()?;
        sections.extend(self.text_tables.iter().map(table_section));
        let stands_for = sections.iter().map(|section| section.stands_for.as_str());
        let citations = foreword::citations(stands_for);
        let mut provenance = self.results.provenance.iter();
        let version = provenance.find(|(name, _)| name == "layerwise");
        let version = version.map_or("", |(_, version)| version.as_str());
        // Without the commit and the machine.
        let measured_by = version
            .split_once(' ')
            .map_or(version, |(number, _)| number);
        Ok(Report {
            title: foreword::TITLE.to_owned(),
            introduction: foreword::introduction(measured_by),
            models: self.results.facts,
            sections,
            claims: judged(self.claims),
            known: self.known.iter().map(known_row).collect(),
            glossary: foreword::glossary(),
            citations,
            provenance: self.results.provenance,
        })
    }

    fn section(&self, experiment: &dyn Experiment) -> io::Result<Section> {
        let (id, about) = (experiment.id(), experiment.about());
        let together = self
            .results
            .together
            .into_iter()
            .flat_map(|drawn| drawn.of(id, None));
        let each = self.results.models.iter().zip(self.results.each);
        let each = each.flat_map(|(model, drawn)| drawn.of(id, Some(&model.name)));
        Ok(Section {
            id: id.to_owned(),
            title: about.title.to_owned(),
            stands_for: about.stands_for.to_owned(),
            caption: about.caption.to_owned(),
            paper_says: about.paper_says.to_owned(),
            measured: self.measured(experiment),
            drawings: together.chain(each).collect(),
            table: self.table(experiment)?,
            claims: needing(id).map(|claim| claim.id.to_owned()).collect(),
        })
    }

    /// The finding of an experiment, or the deciding numbers of the claims that need it, in a sentence each.
    fn measured(&self, experiment: &dyn Experiment) -> String {
        if let Some(finding) = experiment.finding(self.results.tables) {
            return finding;
        }
        if needing(experiment.id()).next().is_none() {
            return "Descriptive: no claim rests on this figure alone.".to_owned();
        }
        let sentences: Vec<String> = needing(experiment.id())
            .filter_map(|claim| {
                let judged = self
                    .claims
                    .claims
                    .iter()
                    .filter(|own| own.claim == claim.id);
                let told: Vec<String> = judged
                    .filter(|own| own.verdict != finding::Verdict::NotTested)
                    .map(|own| format!("{} ({})", own.verdict.name(), own.version))
                    .collect();
                (!told.is_empty())
                    .then(|| format!("{} ({}): {}.", claim.id, claim.statement, told.join(", ")))
            })
            .collect();
        match sentences.is_empty() {
            true => {
                "No claim about this figure could be tested with these models and data.".to_owned()
            }
            false => sentences.join(" "),
        }
    }

    /// The first table of an experiment, and the files of all its tables.
    fn table(&self, experiment: &dyn Experiment) -> io::Result<Table> {
        let mut table = Table::default();
        for id in experiment.tables() {
            let name = format!("{}.csv", id.name());
            let own = self.results.models.iter().map(|model| TableFile {
                model: Some(model.name.clone()),
                path: format!("{}/{name}", model.name),
            });
            table.files.extend(own);
            if self.results.models.len() > 1 {
                table.files.push(TableFile {
                    model: None,
                    path: name,
                });
            }
            if table.columns.is_empty() {
                let csv = id.csv(self.results.tables)?;
                let mut reader = csv::Reader::from_reader(csv.as_slice());
                let cells = |row: &csv::StringRecord| row.iter().map(str::to_owned).collect();
                table.columns = cells(reader.headers()?);
                let rows = reader.records();
                table.rows = rows
                    .map(|row| Ok(cells(&row?)))
                    .collect::<io::Result<_>>()?;
            }
        }
        Ok(table)
    }
}

/// The claims that an experiment's results decide.
fn needing(experiment: &str) -> impl Iterator<Item = &'static claim::Claim> {
    let claims = claims().into_iter();
    claims.filter(move |claim| claim.needs.contains(&experiment))
}

fn table_section(table: &TextTable) -> Section {
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

/// The claims with their lines.
fn judged(judged: &Judged) -> Vec<Claim> {
    let claims = judged.claims.iter().map(|claim| {
        let own = judged.lines.iter();
        let own = own.filter(|row| (&row.claim, &row.version) == (&claim.claim, &claim.version));
        let lines = own.map(|row| {
            // A line states the claim and, after a colon, the part of it that it judges.
            let part = row.statement.strip_prefix(claim.statement.as_str());
            let both = row.low.zip(row.high);
            ClaimLine {
                model: Record::model(row).to_owned(),
                part: part.unwrap_or_default().trim_start_matches(": ").to_owned(),
                measured: number(row.measured),
                interval: both
                    .map_or_else(String::new, |(low, high)| format!("[{low:.4}, {high:.4}]")),
                threshold: row.threshold.clone(),
                verdict: verdict(row.verdict),
                reason: row.reason.clone(),
            }
        });
        Claim {
            name: claim.claim.clone(),
            version: claim.version.clone(),
            statement: claim.statement.clone(),
            verdict: verdict(claim.verdict),
            reason: claim.reason.clone(),
            lines: lines.collect(),
        }
    });
    claims.collect()
}

fn verdict(verdict: finding::Verdict) -> Verdict {
    match verdict {
        finding::Verdict::Holds => Verdict::Holds,
        finding::Verdict::Fails => Verdict::Fails,
        finding::Verdict::Undecided => Verdict::Undecided,
        finding::Verdict::NotTested => Verdict::NotTested,
    }
}

/// A hyphenated name, as the beginning of a sentence.
fn words(name: &str) -> String {
    let words = name.replace('-', " ");
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

fn known_row(row: &Compared) -> KnownRow {
    let index = row
        .index
        .map_or_else(String::new, |index| format!(" {index}"));
    KnownRow {
        quantity: format!("{}{index}", words(&row.quantity)),
        model: row.model.clone(),
        published: row.published.to_string(),
        error: row
            .read_off_error
            .map_or_else(String::new, |error| error.to_string()),
        measured: number(row.measured),
    }
}
