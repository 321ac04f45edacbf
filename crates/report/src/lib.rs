//! One HTML page with the figures of a run, their numbers, and the verdicts on its claims.
//!
//! A [`Report`] holds the contents of the page; [`Report::html`] is a pure function from it to the page.
//!
//! ```
//! use layerwise_report::{Report, Section, Table};
//!
//! let report = Report {
//!     title: "Two models, side by side".to_owned(),
//!     sections: vec![Section {
//!         id: "depth".to_owned(),
//!         title: "Depth".to_owned(),
//!         caption: "Blocks of each model.".to_owned(),
//!         table: Table {
//!             columns: vec!["model".to_owned(), "layers".to_owned()],
//!             rows: vec![vec!["small & <fast>".to_owned(), "8".to_owned()]],
//!             files: Vec::new(),
//!         },
//!         ..Section::default()
//!     }],
//!     ..Report::default()
//! };
//! let page = report.html();
//! assert!(page.contains("<td>small &amp; &lt;fast&gt;</td>"));
//! ```
//!
//! # Why this crate exists
//!
//! A run leaves some fifty files. Readers need a single one that can be mailed, opened from a folder and printed, and that is
//! safe to open whatever a model is called. The page loads no other file, and its content security policy forbids every
//! connection, and every script but its own. This crate knows drawings, tables and verdicts, but no experiment.
//!
//! With its script, the page shows one model or all of them, and the value of the mark under the pointer, at the last tap, or
//! chosen with the arrow keys: any element with `data-value`. It sorts the verdicts by any column, and saves drawings and numbers
//! as files. The selection is part of the page's address. Without the script everything is shown, folded.

mod glyphs;
mod page;
mod policy;
mod report;
mod sections;
mod verdicts;

pub use report::{
    Citation, Claim, ClaimLine, Drawing, KnownRow, ModelFacts, Report, Section, Table, TableFile,
    Verdict,
};
