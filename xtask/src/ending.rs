//! What is shown at the end of `reproduce` and `draw`: the verdicts and where the report is, or all files.

use crate::experiments::claims;
use crate::experiments::core::claim::Row;
use crate::experiments::core::finding::Verdict;
use crate::output;
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How results are shown.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct Options {
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
    /// List the files that were written, in place of the verdicts
    #[arg(long)]
    list_files: bool,
}

/// Most characters of a claim's statement in the table.
const STATEMENT: usize = 72;

impl Options {
    /// Prints verdicts and the path of the report, which is the last file, or the paths of all files, on standard output.
    ///
    /// # Errors
    /// Nobody reads them, or the report is to be opened and cannot be.
    pub fn show(self, verdicts: &[Row], written: &[PathBuf]) -> anyhow::Result<()> {
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

/// How many lines of each claim hold, fail and are not tested.
fn table(rows: &[Row]) -> String {
    const VERDICTS: [Verdict; 3] = [Verdict::Holds, Verdict::Fails, Verdict::NotTested];
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in rows {
        let own = counts.entry(&row.claim).or_default();
        for (count, verdict) in own.iter_mut().zip(VERDICTS) {
            *count += usize::from(row.verdict == verdict);
        }
    }
    let line = |id: &str, [holds, fails, untested]: [String; 3], statement: &str| {
        format!("{id:<6}{holds:>7}{fails:>7}{untested:>12}  {statement}\n")
    };
    let mut text = line("claim", VERDICTS.map(|it| it.name().to_owned()), "");
    let mut sums = [0; 3];
    for claim in claims() {
        let Some(own) = counts.get(claim.id) else {
            continue;
        };
        for (sum, count) in sums.iter_mut().zip(own) {
            *sum += count;
        }
        // Nothing to be seen is easier to see than zeros.
        let shown = own.map(|count| {
            if count == 0 {
                "·".to_owned()
            } else {
                count.to_string()
            }
        });
        text += &line(claim.id, shown, &cut(claim.statement));
    }
    text += &line("all", sums.map(|sum| sum.to_string()), "");
    text
}

/// A statement, no longer than a line of a terminal has room for.
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

/// Opens a page as the system does.
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
        .with_context(|| format!("{}: {program} cannot be started", page.display()))?;
    ensure!(
        status.success(),
        "{}: {program} cannot open it; open it in a browser",
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
        check(&"word ".repeat(20), &("word ".repeat(13) + "word …"));
        check(&"ä".repeat(80), &("ä".repeat(STATEMENT) + " …"));
    }
}
