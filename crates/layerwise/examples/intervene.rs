//! Intervenes on a prompt and prints how each intervention changes the next token: a zeroed head, an MLP at its mean, a steering
//! vector, a frozen attention pattern.
//!
//!     cargo run --release --package layerwise --example intervene -- MODEL "The capital of France is"

use layerwise::metrics::{distribution::top, divergence::kl_nats};
use layerwise::ndarray::{Axis, Ix2};
use layerwise::schedule::{Edit, Site, Source};
use layerwise::transformer::{Constants, Recording, Taken, Values};
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, prompt] = arguments.as_slice() else {
        return Err("expected MODEL PROMPT".into());
    };
    run(folder, prompt)
}

pub(crate) fn run(folder: &str, prompt: &str) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let (model, tokens) = (&opened.model, opened.tokens(prompt)?);
    let (plain, middle) = (model.plain(), model.config().layers / 2);

    // From a plain run: the mean output of an MLP over the prompt, and the direction from the first position's state to the
    // last's.
    let mut recording = Recording::of(model.config(), &[Site::MlpOut, Site::ResidPost])?;
    model.run(&tokens, &plain, &mut recording)?;
    let of = |site| {
        recording
            .get(Some(middle), site)
            .ok_or("every block has it")
    };
    let mean = of(Site::MlpOut)?
        .mean_axis(Axis(0))
        .ok_or("a prompt has tokens")?;
    let states = of(Site::ResidPost)?.view().into_dimensionality::<Ix2>()?;
    let direction = &states.row(states.nrows() - 1) - &states.row(0);
    let mut constants = Constants::default();
    constants.set_mean((Some(middle), Site::MlpOut), mean);
    constants.set_tensor("direction".parse()?, direction.into_dyn())?;
    let constants = Arc::new(constants);

    let before = model.logits(&tokens, &plain)?;
    let last = tokens.len() - 1;
    for text in [
        format!("zero(attn.head_out[{middle},0])"),
        format!("mean(mlp.out[{middle}])"),
        format!("add(resid.post[{middle}]@-1,direction,0.5)"),
        format!("drop(0);plain(attn.pattern[{middle}])"),
    ] {
        let edited = text.parse::<Edit>()?.apply(&plain)?;
        let mut values = Values::of(Arc::clone(&constants));
        // Frozen activations come from the plain run of the same prompt.
        let mut taken = Taken::of(edited.overlay().taken_from(Source::Plain));
        model.run(&tokens, &plain, &mut taken)?;
        values.take(Source::Plain, taken);
        let after = model.logits(&tokens, (&edited, &values))?;
        let kl = kl_nats(before.row(last), after.row(last))?;
        let next = top(after.row(last), 1)?[0].token;
        println!(
            "{text:44} KL {kl:.4} nats, next {:?}",
            opened.text(&[next])?
        );
    }
    Ok(())
}
