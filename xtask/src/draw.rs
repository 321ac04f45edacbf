//! `draw`: redraws figures, verdicts and the report from the tables of an earlier `reproduce`.

use crate::experiments;
use crate::experiments::core::tables::Tables;
use crate::experiments::results::Results;
use crate::manifest::Reported;
use crate::{ending, output, program, results, version};
use anyhow::Context;
use std::path::PathBuf;

/// Options of `draw`.
#[derive(clap::Args)]
#[command(after_help = format!("\
No model is opened. Figures and verdicts follow the tables in the folder, even if you changed them.

Example:
  {} draw layerwise-out", program::name()))]
pub struct Arguments {
    /// The folder that `reproduce` wrote
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    show: ending::Options,
}

/// Runs the command.
///
/// # Errors
/// The folder contains no results, tables cannot be read, or outputs cannot be written.
pub fn draw(arguments: &Arguments) -> anyhow::Result<()> {
    let out = &arguments.folder;
    let mut reported = Reported::read(out)?;
    reported.note_drawing(version::described());
    output::check_folder_of_results(out)?;
    let chosen = reported
        .experiments
        .iter()
        .map(|id| {
            experiments::experiment(id).with_context(|| {
                format!(
                    "{}: manifest.json: unknown experiment {id:?}; draw it with the version that made it",
                    out.display()
                )
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Read everything before replacing the first file.
    let mut each = Vec::new();
    for model in &reported.models {
        let folder = out.join(&model.name);
        output::check_folder_of_results(&folder)?;
        each.push((results::read_tables(&folder, &chosen)?, folder));
    }
    let together = match each.as_slice() {
        [_] => None,
        _ => Some(results::read_tables(out, &chosen)?),
    };
    let mut written = Vec::new();
    let mut drawn = Vec::new();
    let told = reported.told();
    for ((tables, folder), own) in each.iter().zip(&told) {
        drawn.push(results::draw(
            folder,
            &chosen,
            tables,
            std::slice::from_ref(own),
            &reported.provenance,
            &mut written,
        )?);
    }
    let provenance = &reported.provenance;
    let drawn_together = match &together {
        Some(tables) => Some(results::draw(
            out,
            &chosen,
            tables,
            &told,
            provenance,
            &mut written,
        )?),
        None => None,
    };
    let none = Tables::default();
    let first = each.first().map_or(&none, |(tables, _)| tables);
    let results = Results {
        experiments: &chosen,
        tables: together.as_ref().unwrap_or(first),
        each: &drawn,
        together: drawn_together.as_ref(),
        models: &reported.facts(),
        facts: told,
        provenance: provenance.clone(),
    };
    let verdicts = results::conclude(results, out, &mut written)?;
    arguments.show.show(&verdicts, &written)
}
