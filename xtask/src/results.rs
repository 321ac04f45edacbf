//! The files of results: tables, figures, verdicts and the report, for `reproduce` and for `draw`.

use crate::experiments::contents::Drawn;
use crate::experiments::core::claim;
use crate::experiments::core::experiment::Experiment;
use crate::experiments::core::tables::{TableId, Tables};
use crate::experiments::results::{self, Results};
use crate::inputs::OpenedModel;
use crate::interrupt;
use crate::output::{self, Named};
use anyhow::ensure;
use layerwise::files::{Folder, Links};
use layerwise::report::ModelFacts;
use std::path::{Path, PathBuf};

/// The largest table that is read, in bytes: far larger than the tables of any model.
const MOST_BYTES: u64 = 1 << 30;

/// Refuses a folder of a model's results that could not hold them, or has the name of a file of results; and results that
/// might replace one of the inputs.
///
/// # Errors
/// The message names what is in the way.
pub fn check_folders(
    out: &Path,
    models: &[OpenedModel],
    inputs: impl IntoIterator<Item = Named>,
) -> anyhow::Result<()> {
    let mut folders = vec![out.to_owned()];
    for OpenedModel { name, .. } in models {
        ensure!(
            !output::is_name_of_result(Path::new(name)),
            "the folder of {name}'s results would have the name of a file of results; give the model another name with --model LABEL=DIR"
        );
        let folder = out.join(name);
        output::check_folder_of_results(&folder)?;
        folders.push(folder);
    }
    output::check_apart(&folders, inputs)
}

/// Writes the tables that experiments need and reads them back, so that figures and verdicts follow from the files alone.
///
/// # Errors
/// A file cannot be written.
pub fn write_tables(
    folder: &Path,
    experiments: &[&dyn Experiment],
    tables: &Tables,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Tables> {
    output::make_folder(folder)?;
    for table in results::tables_of(experiments) {
        let path = folder.join(file_of(table));
        output::write(&path, &table.csv(tables)?)?;
        written.push(path);
    }
    read_tables(folder, experiments)
}

/// Reads the tables that experiments need.
///
/// # Errors
/// A file is missing, or is not the table that it should be.
pub fn read_tables(folder: &Path, experiments: &[&dyn Experiment]) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    let files = Folder::open(folder, Links::Refuse)?;
    for table in results::tables_of(experiments) {
        let file = files.file(&file_of(table), "a table of results")?;
        table.parse(&mut tables, &file.read_all(MOST_BYTES)?, file.path())?;
    }
    Ok(tables)
}

fn file_of(table: TableId) -> String {
    format!("{}.csv", table.name())
}

/// Draws the experiments' figures of these models, as SVG and PNG.
///
/// # Errors
/// A file cannot be written, or the user interrupts.
pub fn draw(
    folder: &Path,
    experiments: &[&dyn Experiment],
    tables: &Tables,
    models: &[ModelFacts],
    provenance: &[(String, String)],
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Drawn> {
    results::draw(experiments, tables, models, provenance, |drawing| {
        interrupt::go_on()?;
        for (extension, bytes) in [("svg", drawing.svg.as_bytes()), ("png", &drawing.png)] {
            let path = folder.join(format!("{}.{extension}", drawing.name));
            output::write(&path, bytes)?;
            written.push(path);
        }
        Ok(())
    })
}

/// Judges the results, and writes the verdicts, the paper's tables and, as the last file, the report. Returns the verdicts on
/// claims whose experiments ran, and on claims that could be judged without them.
///
/// # Errors
/// A file cannot be written.
pub fn conclude(
    results: Results<'_>,
    out: &Path,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Vec<claim::Judgement>> {
    let concluded = results.conclude()?;
    for (name, bytes) in concluded.files {
        let path = out.join(name);
        output::write(&path, &bytes)?;
        written.push(path);
    }
    Ok(concluded.verdicts)
}
