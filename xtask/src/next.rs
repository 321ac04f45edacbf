//! `next`: shows the most likely next tokens of a prompt, for the plain model and under edits, side by side.

use crate::output;
use crate::prompted::{self, CELL, Prompted, Shown};
use layerwise::metrics::divergence::kl_nats;
use layerwise::schedule::Edit;
use ndarray::{Array1, s};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;

/// Options of `next`.
#[derive(clap::Args)]
#[command(after_help = "\
The plain model comes first, as the edit `id`. Its first choice is green wherever it appears, and probabilities below 0.1 are \
pale. The last line is KL(plain ‖ edited) at this position, in nats.
With --json each edit is one line: edit, kl_nats, next, a list of token, text, probability.")]
pub struct Arguments {
    #[command(flatten)]
    prompted: prompted::Arguments,
    /// An edit to show next to the plain model; repeatable
    #[arg(long, value_name = "EDIT")]
    edit: Vec<Edit>,
    /// The number of tokens to show
    #[arg(long, value_name = "N", default_value = "10")]
    top: NonZeroUsize,
}

#[derive(Serialize)]
struct Column {
    edit: String,
    kl_nats: f64,
    next: Vec<Shown>,
}

/// Runs the command.
///
/// # Errors
/// A model, prompt or edit is invalid, or output cannot be written.
pub fn next(arguments: &Arguments) -> anyhow::Result<()> {
    let prompted = Prompted::open(&arguments.prompted)?;
    let columns = columns(&prompted, arguments)?;
    let mut out = anstream::stdout().lock();
    if arguments.prompted.json {
        for column in &columns {
            writeln!(out, "{}", serde_json::to_string(column)?)?;
        }
        return Ok(());
    }
    let answer = columns.first().and_then(|column| column.next.first());
    let answer = answer.map_or(0, |shown| shown.token);
    let widths = columns.iter().map(|column| column.edit.chars().count());
    let widths: Vec<usize> = widths.map(|width| width.max(CELL)).collect();
    for (column, width) in columns.iter().zip(&widths) {
        write!(out, "{:<width$}  ", output::plain(&column.edit))?;
    }
    writeln!(out)?;
    for rank in 0..arguments.top.get() {
        let cells = columns.iter().filter_map(|column| column.next.get(rank));
        let cells: Vec<String> = cells.map(|shown| shown.cell(answer)).collect();
        if cells.is_empty() {
            break;
        }
        for (cell, width) in cells.iter().zip(&widths) {
            write!(out, "{cell}{}  ", " ".repeat(width - CELL))?;
        }
        writeln!(out)?;
    }
    for (column, width) in columns.iter().zip(&widths) {
        let divergence = format!("KL {:.4} nats", column.kl_nats);
        write!(out, "{divergence:<width$}  ")?;
    }
    writeln!(out)?;
    Ok(())
}

fn columns(prompted: &Prompted, arguments: &Arguments) -> anyhow::Result<Vec<Column>> {
    let model = &prompted.opened.model;
    let mut plain: Option<Array1<f32>> = None;
    let edits = std::iter::once("id".parse::<Edit>()?).chain(arguments.edit.iter().cloned());
    edits
        .map(|edit| {
            let schedule = prompted.schedule(&edit)?;
            let residual = model.run(&prompted.ids, &schedule, &mut ())?;
            let last = residual.slice(s![residual.nrows() - 1.., ..]);
            let logits = model.standard_lens(last);
            let plain = plain.get_or_insert_with(|| logits.row(0).to_owned());
            Ok(Column {
                edit: edit.to_string(),
                kl_nats: kl_nats(plain.view(), logits.row(0))?,
                next: prompted.likely(logits.row(0), arguments.top)?,
            })
        })
        .collect()
}
