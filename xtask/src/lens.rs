//! `lens`: what each residual stream of a prompt predicts for the next token.

use crate::prompted::{self, CELL, Prompted, Shown};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::Stream;
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;

/// Options of `lens`.
#[derive(clap::Args)]
#[command(after_help = "\
Each row is a residual stream: the embedding, then the stream after each block, or after each step of a block that does not \
run as a whole. The standard lens applies the final norm to the stream and unembeds it; the legacy lens divides it by the \
scale that the final norm has at the last stream, as the first versions of the paper did. The first choice of the output is \
green wherever it appears, and probabilities below 0.1 are pale.
With --json each row is one line: step, standard, legacy, each a list of token, text, probability.")]
pub struct Arguments {
    #[command(flatten)]
    prompted: prompted::Arguments,
    /// Run the model under this edit
    #[arg(long, value_name = "EDIT", default_value = "id")]
    edit: Edit,
    /// Show the stream after each attention and each MLP sublayer
    #[arg(long)]
    sublayers: bool,
    /// The number of tokens to show for each lens
    #[arg(long, value_name = "N", default_value = "3")]
    top: NonZeroUsize,
}

/// What both lenses read from a residual stream.
#[derive(Serialize)]
struct Row {
    /// The embedding, block or step that the stream comes from.
    step: String,
    standard: Vec<Shown>,
    legacy: Vec<Shown>,
}

/// Runs the command.
///
/// # Errors
/// A model, prompt or edit is invalid, or output cannot be written.
pub fn lens(arguments: &Arguments) -> anyhow::Result<()> {
    let prompted = Prompted::open(&arguments.prompted)?;
    let schedule = prompted.schedule(&arguments.edit)?;
    let rows = rows(&prompted, &schedule, arguments)?;
    let mut out = anstream::stdout().lock();
    if arguments.prompted.json {
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(());
    }
    let answer = rows.last().and_then(|row| row.standard.first());
    let answer = answer.map_or(0, |shown| shown.token);
    let first = rows.iter().map(|row| row.step.chars().count()).max();
    let first = first.unwrap_or(0);
    // A model may have fewer tokens than are asked for, and more columns than a format can pad.
    let shown = rows.first().map_or(0, |row| row.standard.len());
    let (title, columns) = ("standard lens", shown * (CELL + 2));
    let padding = " ".repeat(columns.saturating_sub(title.len()));
    writeln!(out, "{:first$}  {title}{padding}legacy lens", "")?;
    for row in &rows {
        write!(out, "{:<first$}", row.step)?;
        for shown in row.standard.iter().chain(&row.legacy) {
            write!(out, "  {}", shown.cell(answer))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A row for the embedding, one for each block that runs as a whole, and one for each other step.
fn rows(
    prompted: &Prompted,
    schedule: &Schedule,
    arguments: &Arguments,
) -> anyhow::Result<Vec<Row>> {
    let model = &prompted.opened.model;
    let streams = model.streams(&prompted.ids, schedule, arguments.sublayers)?;
    let end = streams
        .last()
        .map(|last| last.residual.clone())
        .unwrap_or_default();
    let row = |stream: Stream| {
        let residual = stream.residual.view();
        let standard = model.standard_lens(residual);
        let legacy = model.legacy_lens(residual, end.view());
        Ok(Row {
            step: stream.made_by,
            standard: prompted.likely(standard.row(0), arguments.top)?,
            legacy: prompted.likely(legacy.row(0), arguments.top)?,
        })
    };
    streams.into_iter().map(row).collect()
}
