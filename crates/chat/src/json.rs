//! JSON in the format of Python's `json.dumps`, which chat templates were tested with.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Writes at most a number of bytes.
pub(crate) struct Limited {
    pub(crate) bytes: Vec<u8>,
    pub(crate) limit: usize,
    pub(crate) is_full: bool,
}

impl Limited {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            is_full: false,
        }
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            self.is_full = true;
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The deepest nesting that is written.
const MOST_DEEP: usize = 100;

/// The layout: one line with a space after each comma and colon, or one line per entry with indentation.
struct Layout<'a> {
    lines: Option<PrettyFormatter<'a>>,
    depth: usize,
}

impl Layout<'_> {
    fn deeper(&mut self) -> io::Result<()> {
        self.depth += 1;
        match self.depth > MOST_DEEP {
            true => Err(io::Error::other("too deep")),
            false => Ok(()),
        }
    }
}

fn separator<W: ?Sized + Write>(to: &mut W, first: bool) -> io::Result<()> {
    to.write_all(if first { b"" } else { b", " })
}

impl Formatter for Layout<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.deeper()?;
        match &mut self.lines {
            Some(lines) => lines.begin_array(to),
            None => to.write_all(b"["),
        }
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth -= 1;
        match &mut self.lines {
            Some(lines) => lines.end_array(to),
            None => to.write_all(b"]"),
        }
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        match &mut self.lines {
            Some(lines) => lines.begin_array_value(to, first),
            None => separator(to, first),
        }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        match &mut self.lines {
            Some(lines) => lines.end_array_value(to),
            None => Ok(()),
        }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.deeper()?;
        match &mut self.lines {
            Some(lines) => lines.begin_object(to),
            None => to.write_all(b"{"),
        }
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth -= 1;
        match &mut self.lines {
            Some(lines) => lines.end_object(to),
            None => to.write_all(b"}"),
        }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        match &mut self.lines {
            Some(lines) => lines.begin_object_key(to, first),
            None => separator(to, first),
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        match &mut self.lines {
            Some(lines) => lines.end_object_value(to),
            None => Ok(()),
        }
    }
}

/// The filter `tojson` of transformers, with the option `indent`, and with `ensure_ascii` if it is false.
pub(crate) fn tojson(value: &Value, options: Kwargs, limit: usize) -> Result<Value, Error> {
    const MOST_SPACES: usize = 16;
    let indent: Option<usize> = options.get::<Option<usize>>("indent")?;
    let is_ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let refused = |reason: &'static str| Error::new(ErrorKind::InvalidOperation, reason);
    if is_ascii == Some(true) {
        return Err(refused("tojson: ensure_ascii cannot be true"));
    }
    if indent.is_some_and(|spaces| spaces > MOST_SPACES) {
        return Err(refused("tojson: indent is more than 16"));
    }
    let spaces = vec![b' '; indent.unwrap_or(0)];
    let layout = Layout {
        lines: indent.map(|_| PrettyFormatter::with_indent(&spaces)),
        depth: 0,
    };
    let mut to = Limited::new(limit);
    let written = value.serialize(&mut Serializer::with_formatter(&mut to, layout));
    if written.is_err() {
        return Err(refused("tojson: the value is too large, or cannot be JSON"));
    }
    let text = String::from_utf8(to.bytes).map_err(|_| refused("tojson: no text"))?;
    Ok(Value::from(text))
}
