//! The page's HTML.

use std::collections::{BTreeMap, BTreeSet};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::glyphs::Glyphs;
use crate::policy::policy;
use crate::report::{ClaimRow, Drawing, KnownRow, ModelFacts, Report, Section, Table};
use layerwise_plot::significant;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The model of a claim that compares models.
const ACROSS: &str = "*";
/// The column of a table that names the model of each row.
const MODEL_COLUMN: &str = "model";
/// The number of rows shown for each model of a table.
const ROWS: usize = 24;
/// Significant digits of the numbers in a table.
const DIGITS: usize = 5;

impl Report {
    /// The report as an HTML document; the same report gives the same bytes.
    #[must_use]
    pub fn html(&self) -> String {
        html(self)
    }
}

fn html(report: &Report) -> String {
    let mut glyphs = Glyphs::default();
    let claims = Claims::of(report);
    let parts: Vec<Markup> = report
        .sections
        .iter()
        .map(|section| section_part(section, &claims, &mut glyphs))
        .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(SCRIPT, STYLE));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (PreEscaped(glyphs.definitions()))
                header { h1 { (report.title) } (summary(report)) }
                (bar(&report.models))
                div.columns {
                    (contents(report, &claims))
                    main {
                        @for part in &parts { (part) }
                        (claims_part(report, &claims))
                        (known_part(&report.known))
                        (models_part(&report.models))
                        (provenance_part(&report.provenance))
                    }
                }
                div #value role="status" aria-live="polite" hidden {}
                p #hint hidden { "Left and right arrow keys step through the values, Escape leaves them." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The claims of a report, in groups of the same claim and version.
struct Claims<'a> {
    groups: Vec<Vec<&'a ClaimRow>>,
    /// The section, by its place on the page, that tells a claim first.
    home: BTreeMap<&'a str, usize>,
    /// Places of the sections by their names.
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Claims<'a> {
    fn of(report: &'a Report) -> Self {
        let mut groups: Vec<Vec<&ClaimRow>> = Vec::new();
        let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for row in &report.claims {
            let group = *known.entry((&row.claim, &row.version)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(row);
        }
        let mut home = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (place, section) in report.sections.iter().enumerate() {
            places.insert(section.id.as_str(), place);
            for claim in &section.claims {
                home.entry(claim.as_str()).or_insert(place);
            }
        }
        Self {
            groups,
            home,
            places,
        }
    }

    /// The groups that belong to no section.
    fn homeless(&self) -> Vec<&[&'a ClaimRow]> {
        self.groups
            .iter()
            .filter(|rows| !self.home.contains_key(rows[0].claim.as_str()))
            .map(Vec::as_slice)
            .collect()
    }
}

/// Name of a claim's group for links.
fn claim_id(row: &ClaimRow) -> String {
    let kept = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect()
    };
    format!("claim-{}-{}", kept(&row.claim), kept(&row.version))
}

/// How a verdict is shown: class, sign, word. The sign tells it without colour.
fn verdict(row: &ClaimRow) -> (&'static str, &'static str, &'static str) {
    match row.verdict.as_str() {
        "holds" => ("holds", "✓", "holds"),
        "fails" => ("fails", "✗", "fails"),
        _ => ("untested", "–", "not tested"),
    }
}

/// The model that an element belongs to, as the script reads it: empty for all of them.
fn model_of(row: &ClaimRow) -> &str {
    if row.model == ACROSS { "" } else { &row.model }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn summary(report: &Report) -> Markup {
    let judged = |class: &str| {
        let rows = report.claims.iter();
        rows.filter(|row| verdict(row).0 == class).count()
    };
    // The paper's tables have no drawings.
    let figures = report.sections.iter();
    let figures = figures
        .filter(|section| !section.drawings.is_empty())
        .count();
    html! {
        p.summary {
            (plural(report.models.len(), "model", "models")) " · "
            (plural(figures, "figure", "figures"))
            @if !report.claims.is_empty() {
                " · "
                (plural(report.claims.len(), "judgement", "judgements")) ": "
                span.holds { "✓ " (judged("holds")) " hold" } ", "
                span.fails { "✗ " (judged("fails")) " fail" } ", "
                span.untested { "– " (judged("untested")) " not tested" }
            }
        }
    }
}

fn bar(models: &[ModelFacts]) -> Markup {
    html! {
        div.bar {
            label for="model" { "Model" }
            select #model {
                option value="" selected { "all" }
                @for model in models { option value=(model.name) { (model.name) } }
            }
            a href="#contents" { "Contents" }
        }
    }
}

fn contents(report: &Report, claims: &Claims<'_>) -> Markup {
    html! {
        nav #contents aria-label="Contents" {
            h2 { "Contents" }
            ul {
                @for section in &report.sections {
                    li { a href={ "#" (section.id) } { (section.title) } }
                }
                @if !claims.groups.is_empty() { li { a href="#claims" { "All claims" } } }
                @if !report.known.is_empty() { li { a href="#known" { "Published numbers" } } }
                @if !report.models.is_empty() { li { a href="#models" { "Models" } } }
                @if !report.provenance.is_empty() { li { a href="#provenance" { "Provenance" } } }
            }
        }
    }
}

fn section_part(section: &Section, claims: &Claims<'_>, glyphs: &mut Glyphs) -> Markup {
    let place = claims.places.get(section.id.as_str()).copied();
    html! {
        section id=(section.id) {
            h2 { (section.title) }
            @if !section.stands_for.is_empty() {
                p.stands { "Stands for: " (section.stands_for) }
            }
            div.drawings {
                @for drawing in &section.drawings { (drawing_part(drawing, glyphs)) }
                p.absent hidden { "This figure was not drawn for the chosen model." }
            }
            @if !section.caption.is_empty() { p.caption { (section.caption) } }
            div.compare {
                @for (heading, text) in
                    [("The paper says", &section.paper_says), ("Measured here", &section.measured)]
                {
                    @if !text.is_empty() { div { h3 { (heading) } p { (text) } } }
                }
            }
            @for claim in &section.claims {
                @let first = claims.home.get(claim.as_str()).copied() == place;
                @for rows in claims.groups.iter().filter(|rows| rows[0].claim == *claim) {
                    (claim_part(rows, first))
                }
            }
            @if section.drawings.is_empty() { (table_body(&section.table)) } @else { (table_part(&section.table)) }
        }
    }
}

fn drawing_part(drawing: &Drawing, glyphs: &mut Glyphs) -> Markup {
    let model = drawing.model.as_deref().unwrap_or_default();
    html! {
        figure.drawing data-of=(model) {
            div.plot tabindex="0" role="img" aria-label=(drawing.alt) aria-describedby="hint" {
                (PreEscaped(glyphs.inline(&drawing.svg)))
            }
            @if !drawing.name.is_empty() || !model.is_empty() {
                figcaption {
                    (drawing.name)
                    @if !drawing.name.is_empty() && !model.is_empty() { " · " }
                    (model)
                }
            }
        }
    }
}

/// A claim with its judgements, part by part; `linked` where links lead to it.
fn claim_part(rows: &[&ClaimRow], linked: bool) -> Markup {
    let claim = rows[0];
    let mut parts: Vec<(&str, Vec<&ClaimRow>)> = Vec::new();
    for &row in rows {
        match parts.iter_mut().find(|(part, _)| *part == row.part) {
            Some((_, own)) => own.push(row),
            None => parts.push((&row.part, vec![row])),
        }
    }
    html! {
        div.claim id=[linked.then(|| claim_id(claim))] {
            p {
                strong { (claim.claim) } " "
                @if !claim.version.is_empty() { span.version { (claim.version) } " " }
                (claim.statement)
            }
            div.wide { table {
                @for (part, rows) in &parts {
                    tbody {
                        @if !part.is_empty() { tr { th.part colspan="5" scope="rowgroup" { (part) } } }
                        @for row in rows { (claim_row(row)) }
                    }
                }
            } }
        }
    }
}

fn claim_row(row: &ClaimRow) -> Markup {
    let (class, sign, word) = verdict(row);
    html! {
        tr data-model=(model_of(row)) {
            td class=(class) { (sign) " " (word) }
            th scope="row" { (if row.model == ACROSS { "across models" } else { &row.model }) }
            td {
                @if !row.measured.is_empty() {
                    span.word { "measured " } (row.measured)
                    @if !row.standard_error.is_empty() { " ± " (row.standard_error) }
                }
            }
            td {
                @if !row.threshold.is_empty() { span.word { "expected " } (row.threshold) }
            }
            td.reason { (row.reason) }
        }
    }
}

/// The verdicts of all claims at a glance, then the claims that belong to no section.
fn claims_part(report: &Report, claims: &Claims<'_>) -> Markup {
    if claims.groups.is_empty() {
        return html! {};
    }
    let named: BTreeSet<&str> = report.claims.iter().map(|row| row.model.as_str()).collect();
    // Models in the report's order, then those that only claims name, then the comparisons.
    let listed = report.models.iter().map(|model| model.name.as_str());
    let mut models: Vec<&str> = listed.filter(|model| named.contains(model)).collect();
    for model in named {
        if model != ACROSS && !models.contains(&model) {
            models.push(model);
        }
    }
    let across = report.claims.iter().any(|row| row.model == ACROSS);
    models.extend(across.then_some(ACROSS));
    html! {
        section #claims {
            h2 { "All claims" }
            div.wide { table.glance {
                thead { tr {
                    th scope="col" { "Claim" }
                    @for model in &models {
                        th scope="col" data-model=(if *model == ACROSS { "" } else { model }) {
                            (if *model == ACROSS { "across models" } else { model })
                        }
                    }
                    th scope="col" { "Statement" }
                } }
                tbody {
                    @for rows in &claims.groups {
                        tr {
                            th scope="row" {
                                a href={ "#" (claim_id(rows[0])) } { (rows[0].claim) }
                                @if !rows[0].version.is_empty() { " " span.version { (rows[0].version) } }
                            }
                            @for model in &models {
                                (verdict_cell(rows, model))
                            }
                            td { (rows[0].statement) }
                        }
                    }
                }
            } }
            @for rows in claims.homeless() { (claim_part(rows, true)) }
        }
    }
}

/// The verdict on a claim for a model: the one that all its parts share, or how many of the tested parts hold.
fn verdict_cell(rows: &[&ClaimRow], model: &str) -> Markup {
    let own = rows.iter().filter(|row| row.model == model);
    let verdicts: BTreeSet<_> = own.clone().map(|row| verdict(row)).collect();
    let count = |class: &str| own.clone().filter(|row| verdict(row).0 == class).count();
    let model = if model == ACROSS { "" } else { model };
    let mut each = verdicts.iter();
    html! {
        @match (each.next(), each.next()) {
            (None, _) => td data-model=(model) {}
            (Some((class, sign, word)), None) => td class=(class) data-model=(model) {
                span aria-hidden="true" { (sign) } " " span.word { (word) }
            }
            (Some(_), Some(_)) => td.mixed data-model=(model) {
                (count("holds")) " of " (count("holds") + count("fails")) " hold"
            }
        }
    }
}

fn table_part(table: &Table) -> Markup {
    if table.rows.is_empty() && table.files.is_empty() {
        return html! {};
    }
    html! { details { summary { "Numbers" } (table_body(table)) } }
}

fn table_body(table: &Table) -> Markup {
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
        @if !table.files.is_empty() {
            p.files {
                "All rows, with all digits:"
                @for file in &table.files {
                    " "
                    a data-model=(file.model.as_deref().unwrap_or_default()) href=(address(&file.path)) {
                        (file.path)
                    }
                }
            }
        }
        @if !shown.is_empty() {
            div.wide { table {
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

/// A cell of a table. Numbers that are not whole are rounded to [`DIGITS`] digits.
fn shortened(cell: &str) -> String {
    let number = cell.parse().ok().filter(|_| cell.contains('.'));
    number.map_or_else(|| cell.to_owned(), |number| significant(number, DIGITS))
}

/// The address of a path from the page, with everything but letters, digits and `-._/` percent-encoded: a name can
/// neither name a scheme nor break out of its place.
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
    // Without a folder in front two slashes would name another machine.
    format!("./{}", address.trim_start_matches('/'))
}

fn known_part(known: &[KnownRow]) -> Markup {
    if known.is_empty() {
        return html! {};
    }
    html! {
        section #known {
            h2 { "Published numbers" }
            div.wide { table {
                thead { tr {
                    @for name in ["Quantity", "Model", "Published", "Measured here"] { th scope="col" { (name) } }
                } }
                tbody {
                    @for row in known {
                        tr data-model=(row.model) {
                            td { (row.quantity) }
                            td { (row.model) }
                            td {
                                (row.published)
                                @if !row.error.is_empty() { " ± " (row.error) }
                            }
                            td { (row.measured) }
                        }
                    }
                }
            } }
        }
    }
}

fn models_part(models: &[ModelFacts]) -> Markup {
    if models.is_empty() {
        return html! {};
    }
    html! {
        section #models {
            h2 { "Models" }
            @for model in models {
                div data-model=(model.name) { h3 { (model.name) } (facts(&model.facts)) }
            }
        }
    }
}

fn provenance_part(provenance: &[(String, String)]) -> Markup {
    if provenance.is_empty() {
        return html! {};
    }
    html! {
        section #provenance { h2 { "Provenance" } (facts(provenance)) }
    }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        dl { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}
