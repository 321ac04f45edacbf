//! How a model reads tasks.

use super::subject::Subject;
use layerwise_corpus::Tokenizer;
use layerwise_tasks::Encoder;

/// The encoder of tasks for a model, with the habit of lm-evaluation-harness: no BOS before an item unless the user asks
/// for one, but for Gemma, which gets its own.
pub fn encoder<'a>(subject: &Subject<'_>, tokenizer: &'a Tokenizer) -> Encoder<'a> {
    let is_gemma = subject.model_type().starts_with("gemma");
    let own = subject.text.bos.filter(|_| is_gemma);
    Encoder::new(
        tokenizer,
        subject.bos.or(own),
        subject.model.config().context,
    )
}
