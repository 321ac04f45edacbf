//! The continuations of one prompt below each other, as text or as JSON lines.

use super::first_difference;
use super::writing::{Work, line, printable, speeds};
use crate::output;
use layerwise::generate::{Continuation, Reader};
use std::io::{StdoutLock, Write};

/// Shows continuations as they are decoded.
pub(super) struct Page<'a> {
    out: StdoutLock<'static>,
    work: &'a Work<'a>,
    prompt: &'a [u32],
    is_json: bool,
    /// The continuation whose name was written last.
    begun: Option<usize>,
    /// Tokens of the plain model's continuation.
    plain: Vec<u32>,
}

impl<'a> Page<'a> {
    pub(super) fn new(work: &'a Work<'a>, prompt: &'a [u32], is_json: bool) -> Self {
        Self {
            out: std::io::stdout().lock(),
            work,
            prompt,
            is_json,
            begun: None,
            plain: Vec::new(),
        }
    }

    /// Without edits the output contains nothing but the text.
    fn is_alone(&self) -> bool {
        self.work.ways().len() == 1
    }
}

impl Reader for Page<'_> {
    type Error = anyhow::Error;

    fn goes_on(&mut self, at: usize, piece: &str) -> anyhow::Result<()> {
        if self.is_json {
            return Ok(());
        }
        if self.begun != Some(at) && !self.is_alone() {
            writeln!(self.out, "{}", output::plain(&self.work.ways()[at].name))?;
        }
        self.begun = Some(at);
        write!(self.out, "{}", printable(piece))?;
        self.out.flush()?;
        Ok(())
    }

    fn has_ended(&mut self, at: usize, found: &Continuation) -> anyhow::Result<()> {
        if at == 0 {
            self.plain.clone_from(&found.ids);
        }
        let difference = first_difference(&self.plain, &found.ids);
        if self.is_json {
            let edit = &self.work.ways()[at].name;
            let line = line(found, None, edit, self.prompt, difference)?;
            writeln!(self.out, "{line}")?;
            self.out.flush()?;
            return Ok(());
        }
        writeln!(self.out)?;
        let difference = match (at, difference) {
            (0, _) => String::new(),
            (_, None) => "; same tokens as the plain model".to_owned(),
            (_, Some(at)) => format!("; differs from token {at} on"),
        };
        let said = format!("[{}{difference}]", speeds(found, self.prompt.len()));
        match self.is_alone() {
            true => output::say(said),
            false => writeln!(self.out, "{said}\n")?,
        }
        Ok(())
    }
}
