//! Renders conversations as the text that a chat model was trained on, with the checkpoint's own template.
//!
//! A checkpoint has its template in `chat_template.jinja`, or as `chat_template` in `tokenizer_config.json`. The template is
//! written in Jinja, as Hugging Face transformers reads it, and is not trusted. It sees nothing but the messages and the names of
//! special tokens, and loads no other file. Its work, its temporary text and its output are limited.
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
