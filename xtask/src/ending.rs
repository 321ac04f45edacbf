//! What `reproduce` and `draw` print at the end: the verdicts and the path of the report, or all files.

use crate::experiments::core::claim::Judgement;
use crate::experiments::core::finding::Verdict;
use crate::output;
use anyhow::{Context, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How results are shown.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct Options {
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
    /// List the files that were written, instead of the verdicts
    #[arg(long)]
    list_files: bool,
}

/// The longest statement in the table, in characters.
const STATEMENT: usize = 60;

impl Options {
    /// Prints to standard output the verdicts and the path of the report, which is the last file, or the paths of all files.
    ///
    /// # Errors
    /// Standard output is closed, or the report should be opened and cannot be.
    pub fn show(self, verdicts: &[Judgement], written: &[PathBuf]) -> anyhow::Result<()> {
        let report = written.last().context("a report was written")?;
        match self.list_files {
            true => output::print_paths(written)?,
            false => {
                write!(std::io::stdout(), "{}", table(verdicts))?;
                output::say(format_args!(
                    "{} files in all (--list-files lists them); the report:",
                    written.len()
                ));
                output::print_paths([report])?;
            }
        }
        match self.open {
            true => open(report),
            false => Ok(()),
        }
    }
}

/// The verdict on each claim and version, how many of its tested lines hold, and how many claims have each verdict.
fn table(verdicts: &[Judgement]) -> String {
    let names = |own: &Judgement| (own.claim.len(), own.version.chars().count());
    let (claim, version) = verdicts.iter().map(names).fold((5, 7), |widest, own| {
        (widest.0.max(own.0), widest.1.max(own.1))
    });
    let line = |cells: [&str; 4], statement: &str| {
        let [id, of, verdict, lines] = cells;
        format!("{id:<claim$}  {of:<version$}  {verdict:<10}  {lines:>7}  {statement}\n")
    };
    let mut text = line(["claim", "version", "verdict", "lines"], "");
    for own in verdicts {
        let tested = own.hold + own.fail + own.undecided;
        // An empty cell is easier to read than a zero.
        let lines = match tested {
            0 => "·".to_owned(),
            tested => format!("{}/{tested}", own.hold),
        };
        let cells = [&own.claim, &own.version, own.verdict.name(), lines.as_str()];
        text += &line(cells, &cut(&own.statement));
    }
    let counts = Verdict::ALL.map(|verdict| {
        let count = verdicts.iter().filter(|own| own.verdict == verdict).count();
        format!("{count} {}", verdict.name())
    });
    text + &format!("{} claims: {}\n", verdicts.len(), counts.join(", "))
}

/// A statement, shortened to what fits on a line of a terminal.
fn cut(statement: &str) -> String {
    match statement.char_indices().nth(STATEMENT) {
        None => statement.to_owned(),
        Some((end, _)) => {
            let whole = &statement[..end];
            let words = whole.rfind(' ').map_or(whole, |end| &whole[..end]);
            format!("{} …", words.trim_end_matches([',', ';', ':']))
        }
    }
}

/// Opens a page with the system's default program.
fn open(page: &Path) -> anyhow::Result<()> {
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let status = Command::new(program)
        .args(arguments)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| {
            format!(
                "{}: {program} cannot be started; open the page in a browser yourself",
                page.display()
            )
        })?;
    ensure!(
        status.success(),
        "{}: {program} cannot open it; open the page in a browser yourself",
        page.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_between_words() {
        let check = |statement: &str, expected: &str| assert_eq!(cut(statement), expected);
        check("", "");
        check(&"a".repeat(STATEMENT), &"a".repeat(STATEMENT));
        check(&"word ".repeat(20), &("word ".repeat(11) + "word …"));
        check(&"ä".repeat(80), &("ä".repeat(STATEMENT) + " …"));
    }
}
