//! A figure's section: its drawings, its claims, its numbers.

use crate::glyphs::Glyphs;
use crate::report::{Drawing, ModelFacts, Report, Section, Table};
use crate::verdicts::Claims;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use layerwise_plot::significant;
use maud::{Markup, PreEscaped, html};
use std::collections::BTreeMap;
use std::io::Write;

/// The column of a table that names the model of each row.
const MODEL_COLUMN: &str = "model";
/// The number of rows shown for each model of a table.
const ROWS: usize = 12;
/// Significant digits of the numbers in a table.
const DIGITS: usize = 5;
/// The largest table, in bytes, that the page contains for saving; larger ones would make the page too large to mail.
const MOST_BYTES: usize = 1 << 20;

/// The sections of a report, in order. The first is unfolded.
pub(crate) fn sections(report: &Report, claims: &Claims<'_>, glyphs: &mut Glyphs) -> Vec<Markup> {
    let sections = report.sections.iter().enumerate();
    sections
        .map(|(place, section)| {
            let body = html! {
                @if !section.stands_for.is_empty() {
                    p.stands { "Stands for: " (section.stands_for) }
                }
                @if !section.caption.is_empty() { p.caption { (section.caption) } }
                div.drawings {
                    @for drawing in &section.drawings { (drawing_part(drawing, &report.models, glyphs)) }
                    p.absent hidden { "This figure was not drawn for the chosen model." }
                }
                div.compare {
                    @for (heading, text) in
                        [("The paper says", &section.paper_says), ("Measured here", &section.measured)]
                    {
                        @if !text.is_empty() { div { h3 { (heading) } p { (text) } } }
                    }
                }
                (claims.part(place))
                @if section.drawings.is_empty() { (table_body(section)) } @else { (table_part(section)) }
            };
            folded(&section.id, &section.title, &claims.marks(place), place == 0, &body)
        })
        .collect()
}

/// A part of the page that folds. A link to it unfolds it even without the script, because the link's target is inside.
pub(crate) fn folded(id: &str, title: &str, marks: &Markup, open: bool, body: &Markup) -> Markup {
    html! {
        details.part open[open] {
            summary { h2 { (title) } (marks) }
            div.body id=(id) { (body) }
        }
    }
}

fn drawing_part(drawing: &Drawing, models: &[ModelFacts], glyphs: &mut Glyphs) -> Markup {
    let model = drawing.model.as_deref().unwrap_or_default();
    let kind = models.iter().find(|facts| facts.name == model);
    let kind = kind.map_or("", |facts| facts.kind.as_str());
    // The surrounding element describes it.
    let svg = glyphs.inline(&drawing.svg);
    let svg = svg.replacen("<svg", "<svg aria-hidden=\"true\"", 1);
    let kinds = models.iter().filter(|facts| !facts.kind.is_empty()).count();
    html! {
        figure.drawing data-of=(model) data-file=(drawing.name) {
            div.plot tabindex="0" role="img" aria-label={ (drawing.title) ". " (drawing.description) } aria-describedby="hint" {
                (PreEscaped(svg))
            }
            figcaption {
                strong {
                    (drawing.title)
                    @if !model.is_empty() { " · " (model) @if !kind.is_empty() { " (" (kind) ")" } }
                    @else if kinds > 0 && kinds == models.len() { " · all models (" (models[0].kind) ")" }
                }
                ". " (drawing.description) " "
                span.save hidden {
                    "Save "
                    @for format in ["SVG", "PNG"] {
                        button type="button" data-save=(format) aria-label={ "Save " (drawing.name) " " (model) " as " (format) } {
                            (format)
                        }
                        " "
                    }
                }
            }
        }
    }
}

fn table_part(section: &Section) -> Markup {
    let table = &section.table;
    if table.rows.is_empty() && table.files.is_empty() {
        return html! {};
    }
    html! { details.numbers { summary { "Numbers of " (section.title) } (table_body(section)) } }
}

fn table_body(section: &Section) -> Markup {
    let table = &section.table;
    let column = table.columns.iter().position(|name| name == MODEL_COLUMN);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    for row in &table.rows {
        let model = column
            .and_then(|column| row.get(column))
            .map_or("", String::as_str);
        let count = counts.entry(model).or_default();
        *count += 1;
        if *count <= ROWS {
            shown.push((model, row));
        }
    }
    html! {
        @if shown.len() < table.rows.len() {
            p { (format!("The first {ROWS} rows of each model; {} rows in all.", table.rows.len())) }
        }
        (saved(section))
        @if !table.files.is_empty() {
            p.files {
                "All rows, with all digits, in the files beside this page:"
                @for file in &table.files {
                    " "
                    a data-model=(file.model.as_deref().unwrap_or_default()) href=(address(&file.path)) {
                        (file.path)
                    }
                }
            }
        }
        @if !shown.is_empty() {
            div.wide tabindex="0" role="region" aria-label={ "Numbers of " (section.title) } { table {
                thead { tr { @for name in &table.columns { th scope="col" { (name) } } } }
                tbody {
                    @for (model, row) in shown {
                        tr data-model=(model) { @for cell in row { td { (shortened(cell)) } } }
                    }
                }
            } }
        }
    }
}

/// All rows of a table as compressed CSV, for the script to save.
fn saved(section: &Section) -> Markup {
    let Some(csv) = csv(&section.table).filter(|csv| csv.len() <= MOST_BYTES) else {
        return html! {};
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder
        .write_all(csv.as_bytes())
        .and_then(|()| encoder.finish());
    let packed = packed.expect("writing to a Vec does not fail");
    html! {
        p.save hidden {
            button type="button" data-save="CSV" data-file=(section.id) data-rows=(STANDARD.encode(packed)) {
                "Save all rows as CSV"
            }
        }
    }
}

/// A table in RFC 4180 format; `None` if it is empty.
fn csv(table: &Table) -> Option<String> {
    let cell = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    let line = |cells: &Vec<String>| cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
    let lines = std::iter::once(&table.columns).chain(&table.rows);
    (!table.rows.is_empty()).then(|| lines.map(line).collect())
}

/// A cell of a table. Numbers that are not whole are rounded to [`DIGITS`] digits.
fn shortened(cell: &str) -> String {
    let number = cell.parse().ok().filter(|_| cell.contains('.'));
    number.map_or_else(|| cell.to_owned(), |number| significant(number, DIGITS))
}

/// The address of a path relative to the page, with everything but letters, digits and `-._/` percent-encoded, so that a name can
/// neither set a scheme nor escape from the attribute.
fn address(path: &str) -> String {
    let mut address = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                address.push(byte as char);
            }
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    // Without a folder in front, two slashes would name another host.
    format!("./{}", address.trim_start_matches('/'))
}
