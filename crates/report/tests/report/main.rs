//! The report as a whole: its HTML, and how a browser shows it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod html;
mod sample;

use html::Document;
use layerwise_report::{
    Citation, Claim, ClaimLine, Drawing, ModelFacts, Report, Section, Table, TableFile, Verdict,
};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A name that would break out of text, attributes, addresses and scripts if it were not escaped.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;javascript:";

/// A report that contains [`HOSTILE`] everywhere.
fn hostile_report() -> Report {
    let text = || HOSTILE.to_owned();
    let svg = sample::lines(&[HOSTILE], 3).svg("");
    Report {
        title: text(),
        introduction: vec![text()],
        models: vec![ModelFacts {
            name: text(),
            kind: text(),
            about: text(),
            facts: vec![(text(), text())],
        }],
        sections: vec![Section {
            id: "robustness".to_owned(),
            title: text(),
            stands_for: text(),
            caption: text(),
            paper_says: text(),
            measured: text(),
            drawings: vec![Drawing {
                name: text(),
                model: Some(text()),
                svg,
                title: text(),
                description: text(),
            }],
            table: Table {
                columns: vec!["model".to_owned(), text()],
                rows: vec![vec![text(), text()]],
                files: vec![TableFile {
                    model: Some(text()),
                    path: format!("{HOSTILE}/robustness.csv"),
                }],
            },
            claims: vec!["D1".to_owned()],
        }],
        claims: vec![Claim {
            name: "D1".to_owned(),
            version: text(),
            statement: text(),
            verdict: Verdict::Undecided,
            reason: text(),
            lines: vec![ClaimLine {
                model: text(),
                part: text(),
                measured: text(),
                interval: text(),
                threshold: text(),
                verdict: Verdict::Undecided,
                reason: text(),
            }],
        }],
        known: Vec::new(),
        glossary: vec![(text(), text())],
        citations: vec![Citation {
            text: text(),
            address: format!("javascript:{HOSTILE}"),
            bibtex: text(),
        }],
        provenance: vec![(text(), text())],
    }
}

#[test]
fn pages_are_well_formed() {
    for report in [Report::default(), hostile_report(), sample::report(3, 5, 6)] {
        let page = report.html();
        let document = Document::parse(&page);
        let ids = document.values("id");
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "id {id:?} occurs twice");
        }
        for link in document.values("href") {
            if let Some(target) = link.strip_prefix('#') {
                assert!(ids.contains(&target), "nothing has the id {target:?}");
            } else {
                let cites = report.citations.iter().any(|work| work.address == link);
                assert!(
                    link.starts_with("./") || cites,
                    "{link:?} leads away from the page"
                );
            }
        }
        // The page's policy names its one script and its one style.
        assert_eq!(document.count("script"), 1);
        assert_eq!(document.count("style"), 1);
        assert!(document.values("style").is_empty() && document.values("src").is_empty());
    }
}

#[test]
fn names_are_text_and_nothing_else() {
    let page = hostile_report().html();
    let document = Document::parse(&page);
    assert_eq!(document.count("img"), 0);
    assert!(document.values("onerror").is_empty());
    // Once in the menu, and wherever something belongs to the model.
    assert_eq!(document.values("value"), ["", HOSTILE]);
    assert!(document.values("data-model").contains(&HOSTILE));
    assert!(document.texts().any(|text| text == HOSTILE));
    let link = document
        .values("href")
        .into_iter()
        .find(|link| link.ends_with("robustness.csv"));
    let link = link.unwrap().strip_prefix("./").unwrap();
    assert!(
        link.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"%/._-".contains(&byte)),
        "{link}"
    );
}

#[test]
fn everything_of_the_report_is_on_the_page() {
    let report = sample::report(3, 5, 6);
    let page = report.html();
    let document = Document::parse(&page);
    let texts: Vec<&str> = document.texts().collect();
    let has = |text: &str| {
        let found = texts.iter().any(|found| found.contains(text));
        assert!(found, "{text:?} is not on the page");
    };
    let drawings: usize = report
        .sections
        .iter()
        .map(|section| section.drawings.len())
        .sum();
    // The shared glyphs are in a separate element.
    assert_eq!(document.count("svg"), drawings + 1);
    let of = document.values("data-of");
    assert_eq!(of.len(), drawings);
    for model in &report.models {
        assert!(of.contains(&model.name.as_str()), "{}", model.name);
        for (name, value) in &model.facts {
            has(name);
            has(value);
        }
    }
    for section in &report.sections {
        for text in [
            &section.title,
            &section.caption,
            &section.paper_says,
            &section.measured,
        ] {
            has(text);
        }
        for drawing in &section.drawings {
            let spoken = format!("{}. {}", drawing.title, drawing.description);
            assert!(document.values("aria-label").contains(&spoken.as_str()));
            has(&drawing.description);
            let values = |svg: &str| svg.matches(" data-value=").count();
            assert!(values(&drawing.svg) > 0);
        }
    }
    let marks: usize = report
        .sections
        .iter()
        .flat_map(|section| &section.drawings)
        .map(|drawing| drawing.svg.matches(" data-value=").count())
        .sum();
    assert_eq!(document.values("data-value").len(), marks);
    for claim in &report.claims {
        for text in [&claim.name, &claim.statement, &claim.reason] {
            has(text);
        }
        for line in &claim.lines {
            for text in [
                &line.part,
                &line.measured,
                &line.interval,
                &line.threshold,
                &line.reason,
            ] {
                has(text);
            }
        }
    }
    for text in &report.introduction {
        has(text);
    }
    for work in &report.citations {
        has(&work.text);
        has(&work.bibtex);
    }
    for (name, value) in &report.glossary {
        has(name);
        has(value);
    }
    for model in &report.models {
        has(&model.kind);
        has(&model.about);
    }
    for row in &report.known {
        for text in [&row.quantity, &row.published, &row.measured] {
            has(text);
        }
    }
    for (name, value) in &report.provenance {
        has(name);
        has(value);
    }
}

#[test]
fn sections_stand_in_their_order() {
    let section = |id: &str| Section {
        id: id.to_owned(),
        ..Section::default()
    };
    let report = Report {
        sections: ["robustness", "cka", "stages", "wic"].map(section).to_vec(),
        ..Report::default()
    };
    let page = report.html();
    let document = Document::parse(&page);
    let ids = document.values("id").into_iter();
    let found = ids.filter(|id| report.sections.iter().any(|section| section.id == **id));
    assert_eq!(
        found.collect::<Vec<_>>(),
        ["robustness", "cka", "stages", "wic"]
    );
}

#[test]
fn each_model_has_the_first_rows_of_a_table() {
    let row = |index: usize, model: &str| {
        let number = format!("{index}.123456789");
        vec![format!("{model}{index}"), model.to_owned(), number]
    };
    let rows = (0..30)
        .map(|index| row(index, "a"))
        .chain((0..2).map(|index| row(index, "b")));
    let report = Report {
        sections: vec![Section {
            table: Table {
                columns: ["cell", "model", "number"].map(str::to_owned).to_vec(),
                rows: rows.collect(),
                files: Vec::new(),
            },
            ..Section::default()
        }],
        ..Report::default()
    };
    let page = report.html();
    let document = Document::parse(&page);
    let models: Vec<&str> = document.values("data-model");
    assert_eq!(models, [vec!["a"; 12], vec!["b"; 2]].concat());
    let told = "The first 12 rows of each model; 32 rows in all.";
    assert!(document.texts().any(|text| text == told));
    for cell in ["a0", "0.12346", "a11", "11.123", "b1"] {
        assert!(document.texts().any(|text| text == cell), "{cell}");
    }
}

fn line(part: &str, model: &str, verdict: Verdict) -> ClaimLine {
    ClaimLine {
        model: model.to_owned(),
        part: part.to_owned(),
        verdict,
        ..ClaimLine::default()
    }
}

#[test]
fn a_claim_is_told_once_and_linked_from_elsewhere() {
    let claim = |name: &str, models: &[&str]| Claim {
        name: name.to_owned(),
        version: "nips".to_owned(),
        lines: models
            .iter()
            .map(|model| line("", model, Verdict::Holds))
            .collect(),
        ..Claim::default()
    };
    let section = |id: &str, claims: &[&str]| Section {
        id: id.to_owned(),
        claims: claims.iter().map(|&claim| claim.to_owned()).collect(),
        ..Section::default()
    };
    let report = Report {
        sections: vec![section("wic", &["D12"]), section("stages", &["D12", "D4"])],
        claims: vec![
            claim("D12", &["a", "*"]),
            claim("D4", &["a"]),
            claim("D9", &["a"]),
        ],
        ..Report::default()
    };
    let page = report.html();
    let document = Document::parse(&page);
    let claims = document
        .values("id")
        .into_iter()
        .filter(|id| id.starts_with("claim-"));
    // D9, which no figure judges, is below the table of all claims; D12 is in the first of its sections.
    assert_eq!(
        claims.collect::<Vec<_>>(),
        ["claim-D9-nips", "claim-D12-nips", "claim-D4-nips"]
    );
    assert_eq!(page.matches("class=\"claim\"").count(), 3);
    let links = |target: &str| {
        document
            .values("href")
            .iter()
            .filter(|link| **link == target)
            .count()
    };
    // Linked from the table, and D12 from the second of its sections too.
    assert_eq!(
        ["#claim-D9-nips", "#claim-D12-nips", "#claim-D4-nips"].map(links),
        [1, 2, 1]
    );
    let across = document.texts().filter(|text| *text == "across models");
    assert_eq!(across.count(), 2);
}

#[test]
fn the_parts_of_a_claim_stand_apart_and_are_counted_together() {
    let [holds, fails, undecided, untested] = [
        Verdict::Holds,
        Verdict::Fails,
        Verdict::Undecided,
        Verdict::NotTested,
    ];
    let report = Report {
        sections: vec![Section {
            id: "robustness".to_owned(),
            claims: vec!["D1".to_owned()],
            ..Section::default()
        }],
        claims: vec![Claim {
            name: "D1".to_owned(),
            verdict: fails,
            lines: vec![
                line("drop", "a", holds),
                line("swap", "a", fails),
                line("drop", "b", fails),
                line("swap", "b", fails),
                line("drop", "c", untested),
                line("swap", "c", undecided),
            ],
            ..Claim::default()
        }],
        ..Report::default()
    };
    let page = report.html();
    let document = Document::parse(&page);
    let count = |text: &str| document.texts().filter(|own| *own == text).count();
    assert_eq!((count("drop"), count("swap")), (1, 1));
    let (_, glance) = page.split_once("class=\"glance sortable\"").unwrap();
    let (glance, _) = glance.split_once("</table>").unwrap();
    // The verdicts of the claim, of a (mixed, with "holds" first), of b (uniform), of c.
    let orders: Vec<&str> = glance
        .split("data-order=\"")
        .skip(1)
        .map(|rest| &rest[..1])
        .collect();
    assert_eq!(orders, ["0", "1", "1", "2", "5"]);
    assert_eq!(glance.matches("title=\"fails\"").count(), 2);
}

#[test]
fn the_report_of_small_models_can_be_mailed() {
    let report = sample::report(3, 20, 12);
    let page = report.html();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}

/// Needs Chromium and Python, and prints a note if they are absent. `SCREENSHOTS` names a folder for the page and pictures of it.
#[test]
fn a_browser_shows_it() {
    let found = |names: &[&str]| -> Option<PathBuf> {
        let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
        let files = names
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        files.into_iter().find(|file| file.is_file())
    };
    let browser = found(&["chromium", "chromium-browser", "google-chrome"]);
    let (Some(browser), Some(python)) = (browser, found(&["python3"])) else {
        eprintln!("skipped: a browser (chromium) and python3 are needed to test the page in one");
        return;
    };
    let kept = std::env::var_os("SCREENSHOTS").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let page = kept
        .as_deref()
        .unwrap_or(temporary.path())
        .join("report.html");
    let report = sample::report(3, 5, 8);
    std::fs::write(&page, report.html()).unwrap();
    // The targets of the page's links exist.
    for file in report
        .sections
        .iter()
        .flat_map(|section| &section.table.files)
    {
        let path = page.with_file_name(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/check.py");
    let mut command = Command::new(python);
    command.arg(script).arg(&browser).arg(&page).args(&kept);
    let outcome = command.output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stdout);
    let faults = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{told}{faults}");
    println!("{told}");
}
