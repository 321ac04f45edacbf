//! Sweeps with your own metric: how far the right answer's logit is above the wrong one's, under every schedule.
//!
//!     cargo run --release --package layerwise --example own_metric -- MODEL "drop(l)"

use layerwise::ndarray::s;
use layerwise::sweep::{Failure, Measure, MeasureId, Plan, Reached, Runner};
use layerwise::transformer::Batch;
use std::error::Error;

/// A prompt with a right and a wrong next token.
struct Question {
    tokens: Vec<u32>,
    right: u32,
    wrong: u32,
}

/// The right answer's logit minus the wrong one's.
struct LogitDifference;

impl LogitDifference {
    fn of(reached: &Reached<'_, Question>) -> f64 {
        let last = reached.states.nrows() - 1;
        let normed = reached
            .model
            .final_norm(reached.states.slice(s![last.., ..]));
        let logits = reached.model.unembed(normed.view());
        let [right, wrong] = [reached.item.right, reached.item.wrong];
        f64::from(logits[[0, right as usize]] - logits[[0, wrong as usize]])
    }
}

impl Measure for LogitDifference {
    type Item = Question;
    type Observer<'a> = ();
    type Reference = ();
    type Sums = f64;

    fn id(&self) -> MeasureId {
        MeasureId::new("logit-difference", 1)
    }

    fn batch(&self, item: &Question) -> Batch {
        (&item.tokens).into()
    }

    fn particulars(&self, item: &Question) -> Vec<u32> {
        vec![item.right, item.wrong]
    }

    fn plain(&self, reached: &Reached<'_, Question>, _: Option<()>) -> Result<((), f64), Failure> {
        Ok(((), Self::of(reached)))
    }

    fn altered(&self, reached: &Reached<'_, Question>, (): &()) -> Result<f64, Failure> {
        Ok(Self::of(reached))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, edits] = arguments.as_slice() else {
        return Err("expected MODEL EDITS".into());
    };
    run(folder, edits)
}

pub(crate) fn run(folder: &str, edits: &str) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let question = |prompt: &str, right: &str, wrong: &str| -> Result<Question, Box<dyn Error>> {
        let tokenizer = opened.tokenizer.as_ref();
        let first = |text: &str| tokenizer.map_or(Ok(vec![0]), |it| it.encode(text));
        Ok(Question {
            tokens: opened.tokens(prompt)?,
            right: first(right)?[0],
            wrong: first(wrong)?[0],
        })
    };
    let questions = [
        question("The people of the United", " States", " Kingdom")?,
        question("He lives in the city of", " London", " the")?,
    ];
    let plan = Plan::new(opened.model.stack(), &[edits.parse()?], 4096)?;
    let measured = Runner::new().measure(&opened.model, &plan, &LogitDifference, &questions)?;
    for (at, label) in plan.labels().iter().enumerate() {
        let of_each = measured.results.iter().map(|of_question| of_question[at]);
        println!("{:12} {:+.3?}", label.edit, of_each.collect::<Vec<f64>>());
    }
    Ok(())
}
