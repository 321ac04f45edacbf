use serde_json::{Map, Value};

/// One turn of a conversation: an object with a `role`, such as `system`, `user` or `assistant`, usually `content`, and whatever
/// else the template reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Message(pub(crate) Map<String, Value>);

impl Message {
    /// A message with a role and a text.
    pub fn new(role: &str, content: &str) -> Self {
        let fields = [("role", role), ("content", content)];
        Self(
            fields
                .map(|(key, text)| (key.to_owned(), text.into()))
                .into_iter()
                .collect(),
        )
    }

    /// A message from a file's JSON; `None` unless it is an object whose `role` is a string.
    ///
    /// ```
    /// use layerwise_chat::Message;
    /// use serde_json::json;
    ///
    /// assert_eq!(Message::from_json(&json!({"role": "user", "content": "Hi"})), Some(Message::new("user", "Hi")));
    /// assert_eq!(Message::from_json(&json!({"content": "Hi"})), None);
    /// ```
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        object.get("role")?.as_str()?;
        Some(Self(object.clone()))
    }
}
