//! Conversations as the text that a chat model was trained on, by the checkpoint's own template.
//!
//! A checkpoint brings its template as `chat_template.jinja` or as `chat_template` in `tokenizer_config.json`. It is written
//! in Jinja, as Hugging Face transformers reads it, and comes from a stranger. So it sees the messages and the names of
//! special tokens and nothing else, loads no other file, and has a limit on its work, on what it makes in between, and on
//! its output.
//!
//! ```
//! use layerwise_chat::{Message, Template};
//!
//! let source = "{% for it in messages %}<{{ it.role }}>{{ it.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}";
//! let template = Template::new("chat_template.jinja", source)?; // or Template::of_folder(&folder)?
//! let messages = [Message::new("user", "Who wrote Emma?")];
//! let now = jiff::civil::date(2025, 7, 1).at(12, 0, 0, 0);
//! assert_eq!(template.render(&messages, now)?, "<user>Who wrote Emma?<bot>");
//! # Ok::<(), layerwise_chat::ChatError>(())
//! ```

mod error;
mod json;
mod message;
mod template;

pub use error::ChatError;
pub use jiff::civil::DateTime;
pub use message::Message;
pub use template::{MAX_FUEL, MAX_OUTPUT, MAX_TEMPLATE, MAX_TIME, Template};
