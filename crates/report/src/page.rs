//! The page's HTML.

use crate::glyphs::Glyphs;
use crate::policy::policy;
use crate::report::{Citation, KnownRow, ModelFacts, Report};
use crate::sections::{folded, sections};
use crate::verdicts::Claims;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

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
    let parts = sections(report, &claims, &mut glyphs);
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
                header {
                    h1 { (report.title) }
                    @for paragraph in &report.introduction { p { (paragraph) } }
                    (summary(report, &claims))
                }
                (bar(&report.models))
                div.columns {
                    (contents(report))
                    main {
                        (claims.table(report))
                        @for part in &parts { (part) }
                        (known_part(&report.known))
                        (models_part(&report.models))
                        (named_part("glossary", "Glossary", &report.glossary))
                        (citations_part(&report.citations))
                        (named_part("provenance", "Provenance", &report.provenance))
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

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The measured models and the outcome.
fn summary(report: &Report, claims: &Claims<'_>) -> Markup {
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
                a href="#verdicts" { (plural(report.claims.len(), "claim", "claims")) } ": "
                (claims.counts())
            }
        }
        @if !report.models.is_empty() {
            ul.measured {
                @for model in &report.models {
                    li data-model=(model.name) {
                        strong { (model.name) } @if !model.kind.is_empty() { " " span.kind { (model.kind) } }
                        @if !model.about.is_empty() { " " (model.about) }
                    }
                }
            }
        }
    }
}

fn bar(models: &[ModelFacts]) -> Markup {
    html! {
        div.bar role="navigation" aria-label="What is shown" {
            label for="model" { "Model" }
            select #model {
                option value="" selected { "all" }
                @for model in models { option value=(model.name) { (model.name) } }
            }
            button #unfold type="button" hidden { "Unfold all" }
            a href="#contents" { "Contents" }
        }
    }
}

fn contents(report: &Report) -> Markup {
    let mut last: Vec<(&str, &str)> = Vec::new();
    last.extend((!report.known.is_empty()).then_some(("known", "Published numbers")));
    last.extend((!report.models.is_empty()).then_some(("models", "Models")));
    last.extend((!report.glossary.is_empty()).then_some(("glossary", "Glossary")));
    last.extend((!report.citations.is_empty()).then_some(("cite", "How to cite")));
    last.extend((!report.provenance.is_empty()).then_some(("provenance", "Provenance")));
    html! {
        nav #contents aria-label="Contents" {
            h2 { "Contents" }
            ul {
                @if !report.claims.is_empty() { li { a href="#verdicts" { "Verdicts" } } }
                @for section in &report.sections {
                    li { a href={ "#" (section.id) } { (section.title) } }
                }
                @for (id, title) in last { li { a href={ "#" (id) } { (title) } } }
            }
        }
    }
}

fn known_part(known: &[KnownRow]) -> Markup {
    if known.is_empty() {
        return html! {};
    }
    let body = html! {
        div.wide tabindex="0" role="region" aria-label="Published numbers" { table {
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
    };
    folded("known", "Published numbers", &html! {}, false, &body)
}

fn models_part(models: &[ModelFacts]) -> Markup {
    if models.is_empty() {
        return html! {};
    }
    let body = html! {
        @for model in models {
            div data-model=(model.name) {
                h3 { (model.name) @if !model.kind.is_empty() { " " span.kind { (model.kind) } } }
                @if !model.about.is_empty() { p { (model.about) } }
                (facts(&model.facts))
            }
        }
    };
    folded("models", "Models", &html! {}, false, &body)
}

fn named_part(id: &str, title: &str, named: &[(String, String)]) -> Markup {
    match named.is_empty() {
        true => html! {},
        false => folded(id, title, &html! {}, false, &facts(named)),
    }
}

fn citations_part(citations: &[Citation]) -> Markup {
    if citations.is_empty() {
        return html! {};
    }
    let body = html! {
        @for Citation { text, address, bibtex } in citations {
            div.citation {
                p {
                    (text)
                    // An address other than an `https` one could do harm when clicked, so it is not made a link.
                    @if address.starts_with("https://") { " " a href=(address) rel="noreferrer" { (address) } }
                }
                pre tabindex="0" { (bibtex) }
                p.save hidden { button type="button" data-copy { "Copy" } }
            }
        }
    };
    folded("cite", "How to cite", &html! {}, false, &body)
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        dl { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}
