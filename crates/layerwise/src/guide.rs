//! The guide: from a prompt to a paper's figure, a page for each step.
//!
//! | page | what it shows |
//! |---|---|
//! | [`prompt`] | a model, a prompt, the next token, a continuation |
//! | [`algebra`] | ways of running the blocks, as values |
//! | [`interventions`] | reading and writing activations |
//! | [`statistics`] | many schedules over many sequences, with standard errors |
//! | [`figure`] | from statistics to a figure as a paper prints it |
//! | [`determinism`] | what keeps results bit-identical, and what may change them |
//! | [`extending`] | your own measure, experiment or model family |
//!
//! The programs in `examples/` of this crate do the same with checkpoints and texts.

/// A model, a prompt, the next token, a continuation.
///
/// [`layerwise::open`](crate::open) returns a checkpoint's model, its tokenizer and the token that stands before a text.
/// [`Opening`](crate::Opening) does so in bf16, within a memory budget, from packed weights, or with blocks that stay in files.
/// Here a random model and token ids take the place of a checkpoint and a text:
///
/// ```
/// use layerwise::metrics::distribution::top;
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let prompt = [0, 5, 3];
/// let logits = model.logits(&prompt, &model.plain())?; // [tokens, vocab]
/// let likely = top(logits.row(prompt.len() - 1), 5)?;
/// assert!(likely[0].probability >= likely[4].probability);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Generation runs each token once, and gives the same bits as running the whole text again:
///
/// ```
/// use layerwise::generate::{Generation, Settings};
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let settings = Settings::default().with(|it| it.max_tokens = 4);
/// let mut generation = Generation::new(&model, &model.plain(), &[0, 5, 3], settings)?;
/// assert_eq!(generation.by_ref().count(), 4);
/// assert_eq!(generation.tokens().len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A rule of [`exits`](crate::exits) stops the blocks of each token once it takes the prediction as final. This rule stops when
/// one token has nine tenths of the probability; a classifier that `early-exit train` wrote is another kind of rule:
///
/// ```
/// use layerwise::exits::{Rule, Stop, Vocab};
/// use layerwise::generate::{Free, Generation, Settings};
/// use layerwise::transformer::{Missing, Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let stop = Stop::new(Rule::Top, 0.9, Vocab::Full);
/// let (settings, missing) = (Settings::default().with(|it| it.max_tokens = 4), Missing::Recompute);
/// let all = Generation::exiting(&model, &[&[0, 5, 3]], &settings, &Free, &stop, missing);
/// let mut generation = all.map_err(|failed| failed.1)?.swap_remove(0);
/// assert_eq!(generation.by_ref().count(), 4);
/// assert!(generation.blocks().iter().all(|blocks| (1..=4).contains(blocks)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod prompt {}

/// Ways of running the blocks, as values.
///
/// A [`Schedule`](crate::schedule::Schedule) is a sequence of residual updates. An [`Edit`](crate::schedule::Edit) maps one
/// schedule to another and has a text form; the page of [`schedule`](crate::schedule) lists all edits:
///
/// ```
/// use layerwise::schedule::Edit;
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7); // four blocks
/// let edit: Edit = "drop(1);repeat(2)".parse()?;
/// let altered = edit.apply(&model.plain())?;
/// assert_eq!(altered.to_string(), "attn0 mlp0 attn2 mlp2 attn2 mlp2 attn3 mlp3");
/// assert_ne!(model.logits(&[0, 5], &altered)?, model.logits(&[0, 5], &model.plain())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Schedules can be compared before any tensor is touched: equal schedules give equal bits.
///
/// ```
/// use layerwise::schedule::Edit;
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let plain = Model::random(ModelConfig::tiny(), 7).plain();
/// let [twice, once] = ["swap(0,2);swap(0,2)", "id"].map(|it| it.parse::<Edit>());
/// assert_eq!(twice?.apply(&plain)?, once?.apply(&plain)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod algebra {}

/// Reading and writing activations.
///
/// An [`Observer`](crate::transformer::Observer) is offered every [`Site`](crate::schedule::Site) of a run;
/// [`Recording`](crate::transformer::Recording) is one that keeps them:
///
/// ```
/// use layerwise::schedule::Site;
/// use layerwise::transformer::{Model, ModelConfig, Recording};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let mut recording = Recording::of(model.config(), &[Site::AttnPattern])?;
/// model.run(&[0, 5, 3], &model.plain(), &mut recording)?;
/// let pattern = recording.get(Some(2), Site::AttnPattern).unwrap(); // [heads, queries, keys]
/// assert_eq!(pattern.shape()[1..], [3, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is put in its place is an edit like any other, so it can be chained, printed and swept. This one zeroes the output of a
/// head:
///
/// ```
/// use layerwise::schedule::Edit;
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let ablated = "zero(attn.head_out[1,0])".parse::<Edit>()?.apply(&model.plain())?;
/// assert_ne!(model.logits(&[0, 5], &ablated)?, model.logits(&[0, 5], &model.plain())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Values taken from other runs come with the schedule, as [`Values`](crate::transformer::Values) describes. An observer of your
/// own can write what no edit can express.
pub mod interventions {}

/// Many schedules over many sequences, with standard errors.
///
/// A [`Plan`](crate::sweep::Plan) expands families of edits and runs the steps that schedules share once. A
/// [`Runner`](crate::sweep::Runner) carries the plan out; it takes a number of threads, a journal, shards and a memory limit:
///
/// ```
/// use layerwise::sweep::{Divergence, Plan, Runner, collect};
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let sequences: Vec<Vec<u32>> = (0..10).map(|row| (0..20).map(|at| (row * 7 + at * 3) % 50).collect()).collect();
/// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &sequences)?;
/// let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
/// let kl = &statistics[1].kl_nats;
/// assert!(kl.mean() > Some(0.0) && kl.standard_error() > Some(0.0)); // nats, clustered by sequence
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Positions of one sequence are not independent, so standard errors are clustered by sequence
/// ([`ClusteredMean`](crate::metrics::ClusteredMean)). Two schedules are compared on the same sequences, by their
/// paired [`difference`](crate::metrics::ClusteredMean::difference).
pub mod statistics {}

/// From statistics to a figure as a paper prints it.
///
/// A [`Figure`](crate::plot::Figure) is a value: panels of marks with their axes. Its SVG and PNG have the same bytes on every
/// machine, and carry a description of what they show:
///
/// ```
/// use layerwise::plot::{Axis, Dash, Figure, Line, Mark, Marker, OKABE_ITO, Panel, Point, Scale, Side, Style};
/// use layerwise::sweep::{Divergence, Plan, Runner, collect};
/// use layerwise::transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let sequences: Vec<Vec<u32>> = (0..4).map(|row| (0..20).map(|at| (row * 7 + at * 3) % 50).collect()).collect();
/// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &sequences)?;
/// let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
///
/// let each = plan.entries().iter().zip(&statistics);
/// let points = each.filter_map(|(entry, own)| {
///     let (x, y) = (entry.member.l? as f64, own.kl_nats.mean()?); // the plain model has no l
///     Some(Point { x, y, error: own.kl_nats.standard_error() })
/// });
/// let style = Style { colour: OKABE_ITO[0], dash: Dash::Solid, marker: Marker::Circle };
/// let (label, side) = ("drop(l)".to_owned(), Side::Left);
/// let line = Line { style, label, points: points.collect(), side };
/// let panel = Panel {
///     title: String::new(),
///     x: Axis::new("Block", Scale::Integer),
///     y: Axis::new("KL divergence (nats)", Scale::Linear),
///     y2: None,
///     marks: vec![Mark::Line(line)],
/// };
/// let figure = Figure {
///     title: "Leaving out a block".to_owned(),
///     description: "Mean divergence from the plain model; the band is one standard error, by sequence.".to_owned(),
///     rows: vec![vec![panel]],
///     legend: Vec::new(),
/// };
/// assert!(figure.svg("A random model.").contains("KL divergence")); // the caption
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The experiments make their figures in the same way, from their tables alone; a [`session`](crate::experiments::session) fills
/// these.
pub mod figure {}

/// What keeps results bit-identical, and what may change them.
///
/// The same inputs give the same bits on one type of machine, whatever the threads, shards, batches and interruptions:
///
/// ```
/// use layerwise::transformer::{Model, ModelConfig, State};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let whole = model.run(&[0, 5, 3, 8], &model.plain(), &mut ())?;
/// let mut state = State::new(&model, &model.plain(), 4)?;
/// for (at, token) in [0, 5, 3, 8].into_iter().enumerate() {
///     assert_eq!(state.extend(&[token])?.row(0), whole.row(at));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Another type of machine, such as one without AVX-512, agrees within rounding; the instruction set is part of a run's
/// key. [`limit_instructions`](crate::kernels::limit_instructions) holds processors that differ to a set that all of them have. bf16 is opt-in, and a run in bf16 reports its difference from f32. Random choices take a seed.
pub mod determinism {}

/// Your own measure, experiment or model family.
///
/// A [`Measure`](crate::sweep::Measure) says what an item is and which sums a schedule leaves for it; the engine does the rest.
/// Its page shows a whole measure in forty lines, and `examples/own_metric.rs` shows another.
///
/// An experiment of the report is a measure with tables, figures and claims. It registers itself from any crate that is linked
/// into the program: see [`experiments`](crate::experiments).
///
/// A family is a table of config keys, defaults and tensor names: see [`architecture`](crate::architecture). `ARCHITECTURE.md`
/// lists the files to touch and the tests that pick the family up.
pub mod extending {}
