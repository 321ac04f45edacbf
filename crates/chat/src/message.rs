use serde_json::{Map, Value};

/// One turn of a conversation: an object with a `role`, as `system`, `user` or `assistant`, and whatever else the template
/// reads of it, as a rule `content`.
#[derive(Clone, Debug, PartialEq)]
pub struct Message(pub(crate) Map<String, Value>);

impl Message {
    /// A role and a text.
    pub fn new(role: &str, content: &str) -> Self {
        let fields = [("role", role), ("content", content)];
        Self(
            fields
                .map(|(key, text)| (key.to_owned(), text.into()))
                .into_iter()
                .collect(),
        )
    }

    /// A message as files hold it; `None` unless it is an object with a text as `role`.
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        object.get("role")?.as_str()?;
        Some(Self(object.clone()))
    }
}
