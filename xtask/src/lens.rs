//! `lens`: what each residual stream of a prompt says of the next token.

use crate::prompted::{self, CELL, Prompted, Shown};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::Stream;
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;

/// Options of `lens`.
#[derive(clap::Args)]
#[command(after_help = "\
Each row is a residual stream: the embedding, then the stream after each block, or after each step where a block is not \
run as a whole. The standard lens applies the final norm to it and unembeds it; the legacy lens divides it by the scale that \
the final norm has at the last stream, as the first versions of the paper did. The output's first choice is green wherever \
it stands, and probabilities below 0.1 are pale.
With --json there is one line a row: step, standard, legacy, each a list of token, text, probability.")]
pub struct Arguments {
    #[command(flatten)]
    prompted: prompted::Arguments,
    /// Look at the model under this edit
    #[arg(long, value_name = "EDIT", default_value = "id")]
    edit: Edit,
    /// Show the stream after each attention and each MLP
    #[arg(long)]
    sublayers: bool,
    /// The tokens that are shown of each lens
    #[arg(long, value_name = "N", default_value = "3")]
    top: NonZeroUsize,
}

/// What both lenses say of a residual stream.
#[derive(Serialize)]
struct Row {
    /// What made the stream.
    step: String,
    standard: Vec<Shown>,
    legacy: Vec<Shown>,
}

/// Runs the command.
///
/// # Errors
/// A model, prompt or edit that cannot be accepted, or output that cannot be written.
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
    let columns = arguments.top.get() * (CELL + 2);
    writeln!(
        out,
        "{:first$}  {:columns$}legacy lens",
        "", "standard lens"
    )?;
    for row in &rows {
        write!(out, "{:<first$}", row.step)?;
        for shown in row.standard.iter().chain(&row.legacy) {
            write!(out, "  {}", shown.cell(answer))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A row for the embedding, one for each block that is run as a whole, and one for each other step.
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
