//! Claims and the verdicts on them.

use crate::report::{Claim, ClaimLine, Report, Section, Verdict};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// The model of a line that compares models.
const ACROSS: &str = "*";

/// How a verdict is shown; the sign conveys it without colour.
struct Shown {
    class: &'static str,
    sign: &'static str,
    word: &'static str,
    /// The word after a number of claims.
    of_many: &'static str,
}

/// All verdicts, in the order in which they are counted.
const VERDICTS: [Verdict; 4] = [
    Verdict::Holds,
    Verdict::Fails,
    Verdict::Undecided,
    Verdict::NotTested,
];

fn shown(verdict: Verdict) -> Shown {
    let [class, sign, word, of_many] = match verdict {
        Verdict::Holds => ["holds", "✓", "holds", "hold"],
        Verdict::Fails => ["fails", "✗", "fails", "fail"],
        Verdict::Undecided => ["undecided", "?", "undecided", "undecided"],
        Verdict::NotTested => ["untested", "–", "not tested", "not tested"],
    };
    Shown {
        class,
        sign,
        word,
        of_many,
    }
}

/// The claims of a report, and the sections that present them.
pub(crate) struct Claims<'a> {
    all: &'a [Claim],
    /// The section that presents a claim, by its index on the page: the first that the claim belongs to.
    home: BTreeMap<&'a str, usize>,
    sections: &'a [Section],
}

impl<'a> Claims<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let mut home = BTreeMap::new();
        for (place, section) in report.sections.iter().enumerate() {
            for claim in &section.claims {
                home.entry(claim.as_str()).or_insert(place);
            }
        }
        Self {
            all: &report.claims,
            home,
            sections: &report.sections,
        }
    }

    fn named<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a Claim> + 'b {
        self.all.iter().filter(move |claim| claim.name == name)
    }

    /// The verdicts on the claims that a section presents, as signs in its heading.
    pub(crate) fn marks(&self, place: usize) -> Markup {
        let own = self.sections[place].claims.iter();
        let own = own.filter(|name| self.home.get(name.as_str()) == Some(&place));
        html! {
            span.marks {
                @for claim in own.flat_map(|name| self.named(name)) {
                    @let Shown { class, sign, word, .. } = shown(claim.verdict);
                    span class=(class) title={ (claim.name) " " (claim.version) " " (word) } {
                        span aria-hidden="true" { (sign) } " " (claim.name) span.unseen { " " (word) }
                    }
                    " "
                }
            }
        }
    }

    /// The claims of a section: those that it presents, and links to those that another presents.
    pub(crate) fn part(&self, place: usize) -> Markup {
        let (own, others): (Vec<&str>, Vec<&str>) = self.sections[place]
            .claims
            .iter()
            .map(String::as_str)
            .partition(|name| self.home.get(name) == Some(&place));
        let others: Vec<&Claim> = others
            .into_iter()
            .flat_map(|name| self.named(name))
            .collect();
        html! {
            @for claim in own.into_iter().flat_map(|name| self.named(name)) { (told(claim)) }
            @if !others.is_empty() {
                p.others {
                    "Also judged by this figure: "
                    @for (at, claim) in others.iter().enumerate() {
                        @if at > 0 { ", " }
                        a href={ "#" (id(claim)) } title=(claim.statement) { (claim.name) " " (claim.version) }
                    }
                    "."
                }
            }
        }
    }

    /// The number of claims that hold, fail, and so on.
    pub(crate) fn counts(&self) -> Markup {
        let count = |verdict| {
            self.all
                .iter()
                .filter(|claim| claim.verdict == verdict)
                .count()
        };
        html! {
            @for (at, verdict) in VERDICTS.into_iter().enumerate() {
                @let Shown { class, sign, of_many, .. } = shown(verdict);
                @if at > 0 { ", " }
                span.count.(class) { span aria-hidden="true" { (sign) } " " (count(verdict)) " " (of_many) }
            }
        }
    }

    /// The models with lines: in the report's order, then models that only claims name, then comparisons.
    fn models(&self, report: &'a Report) -> Vec<&'a str> {
        let lines = self.all.iter().flat_map(|claim| &claim.lines);
        let named: BTreeSet<&str> = lines.map(|line| line.model.as_str()).collect();
        let listed = report.models.iter().map(|model| model.name.as_str());
        let mut models: Vec<&str> = listed.filter(|model| named.contains(model)).collect();
        for model in named.iter().copied() {
            if model != ACROSS && !models.contains(&model) {
                models.push(model);
            }
        }
        models.extend(named.contains(ACROSS).then_some(ACROSS));
        models
    }

    /// The verdicts on all claims at a glance, then the claims that no section presents.
    pub(crate) fn table(&self, report: &'a Report) -> Markup {
        if self.all.is_empty() {
            return html! {};
        }
        let models = self.models(report);
        html! {
            section #verdicts aria-labelledby="verdicts-heading" {
                h2 #verdicts-heading { "Verdicts" }
                p {
                    "Each line is a claim, as the versions named beside it make it. " (self.counts())
                    ". A claim’s name leads to what was compared; the heading of a column puts the claims in its order."
                }
                div.wide tabindex="0" role="region" aria-label="Verdicts on all claims" { table.glance.sortable {
                    thead { tr {
                        (heading("Claim", "", true))
                        (heading("Verdict", "", false))
                        (heading("What is claimed", "", false))
                        (heading("Version", "", false))
                        @for model in &models { (heading(spoken(model), model_of(model), false)) }
                    } }
                    tbody {
                        @for (place, claim) in self.all.iter().enumerate() {
                            @let Shown { class, sign, word, .. } = shown(claim.verdict);
                            tr {
                                th scope="row" data-order=(place) { a href={ "#" (id(claim)) } { (claim.name) } }
                                td class=(class) data-order=(claim.verdict as usize) {
                                    span aria-hidden="true" { (sign) } " " (word)
                                }
                                td.statement { (claim.statement) }
                                td.version { (claim.version) }
                                @for model in &models { (cell(claim, model)) }
                            }
                        }
                    }
                } }
                @for claim in self.all.iter().filter(|claim| !self.home.contains_key(claim.name.as_str())) {
                    (told(claim))
                }
            }
        }
    }
}

/// The heading of a column, which the script turns into a sort button; the table is initially sorted by one of them.
fn heading(name: &str, model: &str, is_order: bool) -> Markup {
    html! {
        th scope="col" data-model=(model) aria-sort=[is_order.then_some("ascending")] { (name) }
    }
}

/// Name of a claim for links.
fn id(claim: &Claim) -> String {
    let kept = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect()
    };
    format!("claim-{}-{}", kept(&claim.name), kept(&claim.version))
}

/// The model of an element, as the script reads it; empty for all models.
fn model_of(model: &str) -> &str {
    if model == ACROSS { "" } else { model }
}

fn spoken(model: &str) -> &str {
    if model == ACROSS {
        "across models"
    } else {
        model
    }
}

/// A claim's verdict on a model: the one that its lines share, or the number of lines for each.
fn cell(claim: &Claim, model: &str) -> Markup {
    let count = |verdict| {
        let own = claim.lines.iter().filter(|line| line.model == model);
        own.filter(|line| line.verdict == verdict).count()
    };
    let counts: Vec<(Verdict, usize)> = VERDICTS
        .into_iter()
        .map(|verdict| (verdict, count(verdict)))
        .filter(|(_, count)| *count > 0)
        .collect();
    // Sorted by a column, claims that hold come first; mixed ones are sorted by their first verdict.
    let order = counts.first().map_or(VERDICTS.len() * 2, |(verdict, _)| {
        2 * *verdict as usize + usize::from(counts.len() > 1)
    });
    html! {
        td data-model=(model_of(model)) data-order=(order) {
            @for (verdict, count) in &counts {
                @let Shown { class, sign, word, of_many } = shown(*verdict);
                span.count.(class) title=(word) {
                    span aria-hidden="true" { (sign) }
                    @if counts.len() > 1 { " " (count) span.unseen { " " (of_many) } }
                    @else { span.unseen { (word) } }
                }
                " "
            }
        }
    }
}

/// A claim with its lines, part by part.
fn told(claim: &Claim) -> Markup {
    let Shown {
        class, sign, word, ..
    } = shown(claim.verdict);
    let mut parts: Vec<(&str, Vec<&ClaimLine>)> = Vec::new();
    for line in &claim.lines {
        match parts.iter_mut().find(|(part, _)| *part == line.part) {
            Some((_, own)) => own.push(line),
            None => parts.push((&line.part, vec![line])),
        }
    }
    html! {
        div.claim id=(id(claim)) {
            p {
                strong { (claim.name) } " "
                @if !claim.version.is_empty() { span.version { (claim.version) } " " }
                (claim.statement) " "
                strong class=(class) { span aria-hidden="true" { (sign) } " " (word) }
                @if !claim.reason.is_empty() { span.why { " (" (claim.reason) ")" } }
            }
            div.wide { table {
                @for (part, lines) in &parts {
                    tbody {
                        @if !part.is_empty() { tr { th.part colspan="5" scope="rowgroup" { (part) } } }
                        @for line in lines { (line_of(line)) }
                    }
                }
            } }
        }
    }
}

fn line_of(line: &ClaimLine) -> Markup {
    let Shown {
        class, sign, word, ..
    } = shown(line.verdict);
    html! {
        tr data-model=(model_of(&line.model)) {
            td class=(class) { span aria-hidden="true" { (sign) } " " (word) }
            th scope="row" { (spoken(&line.model)) }
            td {
                @if !line.measured.is_empty() {
                    span.word { "measured " } (line.measured)
                    @if !line.interval.is_empty() { " " (line.interval) }
                }
            }
            td {
                @if !line.threshold.is_empty() { span.word { "expected " } (line.threshold) }
            }
            td.reason { (line.reason) }
        }
    }
}
