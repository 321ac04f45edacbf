//! Chat templates and their limits.

use crate::json::{Limited, tojson};
use crate::{ChatError, Message};
use jiff::civil::DateTime;
use layerwise_files::{Folder, OpenedFile, with_null_for_nan};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The largest accepted template, in bytes; published ones have up to 20 KiB.
pub const MAX_TEMPLATE: usize = 64 << 10;
/// The largest number of steps of a template; each instruction is one, and so are each 64 bytes of temporary text.
pub const MAX_FUEL: u64 = 250_000;
/// The largest output of a template, in bytes.
pub const MAX_OUTPUT: usize = 4 << 20;
/// The time limit of a template, for work that steps do not count, such as comparing values that contain each other.
pub const MAX_TIME: Duration = Duration::from_secs(5);

/// Bytes of the stack on which templates are parsed and run. It suffices for the deepest expression of [`MAX_TEMPLATE`] bytes,
/// and for the deepest value of [`MAX_FUEL`] steps.
const STACK: usize = 128 << 20;

/// The largest accepted `tokenizer_config.json`, in bytes.
const MAX_SETTINGS: u64 = 64 << 20;
/// The largest number of characters shown of a template's own message.
const LONGEST_REASON: usize = 500;

const FILE: &str = "chat_template.jinja";
const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";

/// A chat template with the special tokens of its tokenizer.
#[derive(Clone, Debug)]
pub struct Template {
    path: PathBuf,
    source: String,
    /// `bos_token`, `eos_token` and similar keys.
    tokens: Map<String, Json>,
}

impl Template {
    /// A template, which messages call `path`, without special tokens.
    ///
    /// # Errors
    /// [`ChatError::Item`] if it is too long, and [`ChatError::Syntax`].
    pub fn new(path: impl AsRef<Path>, source: &str) -> Result<Self, ChatError> {
        let path = path.as_ref().to_owned();
        if source.len() > MAX_TEMPLATE {
            return Err(ChatError::Item {
                path,
                item: "the chat template".to_owned(),
                expected: "at most 64 KiB",
                found: format!("{} bytes", source.len()),
            });
        }
        // Markers of an assistant's words for training do not change the text.
        static MARK: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").ok());
        let source = match &*MARK {
            Some(mark) => mark.replace_all(source, |found: &regex::Captures<'_>| {
                let statement = found.get(2).map_or("if true", |_| "endif");
                format!("{{%{} {statement} {}%}}", &found[1], &found[3])
            }),
            None => source.into(),
        };
        let template = Self {
            path,
            source: source.into_owned(),
            tokens: Map::new(),
        };
        let read = template.clone();
        on_own_stack(&template.path, move || {
            let environment = environment(DateTime::default());
            let found = environment
                .and_then(|environment| environment.template_from_str(&read.source).map(drop));
            found.map_err(|error| ChatError::Syntax {
                path: read.path,
                reason: reason(&error),
            })
        })?;
        Ok(template)
    }

    /// The template of a checkpoint's folder: `chat_template.jinja`, or else `chat_template` of `tokenizer_config.json`; among
    /// several, the one named `default`. `None` if there is none.
    ///
    /// # Errors
    /// A file cannot be read or is not as required, there are several templates without a default, and the errors of
    /// [`Template::new`].
    ///
    /// ```
    /// use layerwise_chat::{DateTime, Message, Template};
    /// use layerwise_files::{Folder, Links};
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(
    ///     folder.path().join("tokenizer_config.json"),
    ///     r#"{"bos_token": "<s>", "chat_template": "{{ bos_token }}{{ messages[0].content }}"}"#,
    /// )?;
    /// let template = Template::of_folder(&Folder::open(folder.path(), Links::Refuse)?)?.expect("it has one");
    /// assert_eq!(template.render(&[Message::new("user", "Hi")], DateTime::default())?, "<s>Hi");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_folder(folder: &Folder) -> Result<Option<Self>, ChatError> {
        let settings = object(folder, SETTINGS)?;
        let template = if folder.has(FILE)? {
            Some(Self::of_file(&folder.file(FILE, "the chat template")?)?)
        } else {
            let path = folder.path().join(SETTINGS);
            match chosen(&path, settings.get("chat_template"))? {
                Some(source) => Some(Self::new(path, source)?),
                None => None,
            }
        };
        match template {
            Some(template) => Ok(Some(template.with_tokens_of(folder)?)),
            None => Ok(None),
        }
    }

    /// The template in a file, without special tokens. In a `.json` file, such as `tokenizer_config.json`, it is `chat_template`;
    /// any other file is the template itself.
    ///
    /// # Errors
    /// The file cannot be read or is not text, a `.json` file has no template, and the errors of [`Template::new`].
    pub fn of_file(file: &OpenedFile) -> Result<Self, ChatError> {
        let extension = file.path().extension();
        if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            let settings = settings(file)?;
            let source = chosen(file.path(), settings.get("chat_template"))?;
            return match source {
                Some(source) => Self::new(file.path(), source),
                None => Err(ChatError::Item {
                    path: file.path().to_owned(),
                    item: "chat_template".to_owned(),
                    expected: "a text, or a list of named templates",
                    found: "no such key".to_owned(),
                }),
            };
        }
        let bytes = file.read_all(MAX_TEMPLATE as u64)?;
        let source = std::str::from_utf8(&bytes).map_err(|error| ChatError::Item {
            path: file.path().to_owned(),
            item: format!("byte {}", error.valid_up_to()),
            expected: "text in UTF-8",
            found: "other bytes".to_owned(),
        })?;
        Self::new(file.path(), source)
    }

    /// Adds the special tokens that a checkpoint's folder names: the keys of `tokenizer_config.json` and
    /// `special_tokens_map.json` that end in `_token`.
    ///
    /// # Errors
    /// A file cannot be read, or is not a JSON object.
    pub fn with_tokens_of(self, folder: &Folder) -> Result<Self, ChatError> {
        let mut tokens = Map::new();
        for file in [SPECIAL, SETTINGS] {
            for (key, token) in object(folder, file)? {
                let text = token.as_str().or_else(|| token.get("content")?.as_str());
                if let (true, Some(text)) = (key.ends_with("_token"), text) {
                    tokens.insert(key, text.into());
                }
            }
        }
        Ok(Self { tokens, ..self })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a conversation, up to the beginning of the assistant's answer. `now` is the time that the template gets from
    /// `strftime_now`.
    ///
    /// # Errors
    /// [`ChatError::Raised`], [`ChatError::Failed`], [`ChatError::TooMuchWork`], [`ChatError::TooMuchOutput`].
    pub fn render(&self, messages: &[Message], now: DateTime) -> Result<String, ChatError> {
        self.render_conversation(messages, now, true)
    }

    /// As [`Template::render`], with or without the beginning of an answer after the last message.
    ///
    /// # Errors
    /// As [`Template::render`].
    ///
    /// ```
    /// use layerwise_chat::{DateTime, Message, Template};
    ///
    /// let source = "{{ messages[0].content }}{% if add_generation_prompt %}<bot>{% endif %}";
    /// let template = Template::new("chat_template.jinja", source)?;
    /// let rendered = |prompt| template.render_conversation(&[Message::new("user", "Hi")], DateTime::default(), prompt);
    /// assert_eq!((rendered(true)?, rendered(false)?), ("Hi<bot>".to_owned(), "Hi".to_owned()));
    /// # Ok::<(), layerwise_chat::ChatError>(())
    /// ```
    pub fn render_conversation(
        &self,
        messages: &[Message],
        now: DateTime,
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        if messages.is_empty() {
            return Err(ChatError::NoMessages);
        }
        let template = self.clone();
        let messages: Json = messages
            .iter()
            .map(|message| Json::Object(message.0.clone()))
            .collect();
        on_own_stack(&self.path, move || {
            template.run(messages, now, add_generation_prompt)
        })
    }

    fn run(
        self,
        messages: Json,
        now: DateTime,
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let mut context = self.tokens.clone();
        let given = [
            ("messages", messages),
            ("tools", Json::Null),
            ("documents", Json::Null),
            ("add_generation_prompt", add_generation_prompt.into()),
        ];
        context.extend(given.map(|(name, value)| (name.to_owned(), value)));
        let context = Value::from(Serde(&context));
        let mut output = Limited::new(MAX_OUTPUT);
        let rendered = environment(now).and_then(|environment| {
            let template = environment.template_from_str(&self.source)?;
            template.render_captured_to(context, &mut output).map(drop)
        });
        if output.is_full {
            return Err(ChatError::TooMuchOutput {
                path: self.path,
                limit: MAX_OUTPUT,
            });
        }
        rendered.map_err(|error| self.failure(&error))?;
        String::from_utf8(output.bytes).map_err(|_| ChatError::Failed {
            path: self.path,
            reason: "it writes no text".to_owned(),
        })
    }

    fn failure(&self, error: &Error) -> ChatError {
        let path = self.path.clone();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(Raised(message)) = error.downcast_ref() {
                return ChatError::Raised {
                    path,
                    message: shortened(message),
                };
            }
            let error_of_template = error.downcast_ref::<Error>();
            if error_of_template.is_some_and(|error| error.kind() == ErrorKind::OutOfFuel) {
                return ChatError::TooMuchWork {
                    path,
                    limit: MAX_FUEL,
                };
            }
            cause = error.source();
        }
        ChatError::Failed {
            path,
            reason: reason(error),
        }
    }
}

/// Runs a function on a template, on a separate thread with a large enough stack. A thread that takes too long is abandoned.
fn on_own_stack<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ChatError> + Send + 'static,
) -> Result<T, ChatError> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
        // The receiver may have given up waiting.
        let _ = sender.send(work());
    });
    let failed = |reason: String| ChatError::Failed {
        path: path.to_owned(),
        reason,
    };
    thread.map_err(|error| failed(format!("no thread for it can be started: {error}")))?;
    match receiver.recv_timeout(MAX_TIME) {
        Ok(done) => done,
        Err(RecvTimeoutError::Timeout) => Err(ChatError::TooLong {
            path: path.to_owned(),
            seconds: MAX_TIME.as_secs(),
        }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(failed("the template library panicked".to_owned()))
        }
    }
}

/// The message with which a template refused the conversation.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

/// The functions and filters of a template, as in transformers.
fn environment(now: DateTime) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.remove_global("debug");
    environment.set_fuel(Some(MAX_FUEL));
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_unknown_method_callback(|state, value, method, arguments| {
        match (value.as_str(), method, arguments) {
            (Some(text), "title", []) => Ok(title(text).into()),
            _ => unknown_method_callback(state, value, method, arguments),
        }
    });
    environment.add_filter("tojson", |value: &Value, options: Kwargs| {
        tojson(value, options, MAX_OUTPUT)
    });
    environment.add_function(
        "raise_exception",
        |message: Value| -> Result<Value, Error> {
            let message = message.to_string();
            Err(Error::new(ErrorKind::InvalidOperation, "raise_exception")
                .with_source(Raised(message)))
        },
    );
    environment.add_function("strftime_now", move |format: &str| {
        jiff::fmt::strtime::format(format, now).map_err(|error| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("strftime_now: {error}"),
            )
        })
    });
    Ok(environment)
}

/// Python's `str.title`: a letter after a non-letter begins a word.
fn title(text: &str) -> String {
    let mut is_inside = false;
    let mut titled = String::new();
    for c in text.chars() {
        match is_inside {
            true => titled.extend(c.to_lowercase()),
            false => titled.extend(c.to_uppercase()),
        }
        is_inside = c.is_alphabetic();
    }
    titled
}

/// The JSON object in a file of the folder; empty if the file does not exist.
fn object(folder: &Folder, name: &str) -> Result<Map<String, Json>, ChatError> {
    if !folder.has(name)? {
        return Ok(Map::new());
    }
    settings(&folder.file(name, "settings of the tokenizer")?)
}

fn settings(file: &OpenedFile) -> Result<Map<String, Json>, ChatError> {
    let refused = |found: String| ChatError::Item {
        path: file.path().to_owned(),
        item: "file".to_owned(),
        expected: "a JSON object",
        found,
    };
    let bytes = file.read_all(MAX_SETTINGS)?;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let found = "a byte order mark before it: save the file as UTF-8 without one";
        return Err(refused(found.to_owned()));
    }
    // Python reads NaN and infinities, too.
    let parsed = match std::str::from_utf8(&bytes).map(with_null_for_nan) {
        Ok(json) => serde_json::from_str(&json),
        Err(_) => serde_json::from_slice(&bytes),
    };
    match parsed {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(refused("another value".to_owned())),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// The template in `chat_template`: a string, or the one named `default` in a list.
fn chosen<'a>(path: &Path, found: Option<&'a Json>) -> Result<Option<&'a str>, ChatError> {
    let refused = |item: String, expected, found: String| ChatError::Item {
        path: path.to_owned(),
        item,
        expected,
        found,
    };
    let list = match found {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(source)) => return Ok(Some(source)),
        Some(Json::Array(list)) => list,
        Some(_) => {
            return Err(refused(
                "chat_template".to_owned(),
                "a text, or a list of named templates",
                "another value".to_owned(),
            ));
        }
    };
    let mut names = Vec::new();
    for (at, entry) in list.iter().enumerate() {
        let text = |key| entry.get(key).and_then(Json::as_str);
        let (Some(name), Some(source)) = (text("name"), text("template")) else {
            return Err(refused(
                format!("chat_template[{at}]"),
                "an object with the texts `name` and `template`",
                "another value".to_owned(),
            ));
        };
        if name == "default" {
            return Ok(Some(source));
        }
        names.push(shortened(name));
    }
    Err(refused(
        "chat_template".to_owned(),
        "a template named `default` among several",
        match names.is_empty() {
            true => "an empty list".to_owned(),
            false => shortened(&names.join(", ")),
        },
    ))
}

/// An error with its causes, on one line.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    shortened(&text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_REASON) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
