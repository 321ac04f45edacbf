//! Measures what every layer of a decoder-only language model contributes, by running the model under altered layer schedules.
//!
//! A [`schedule`] says which blocks of a model run, in which order, on which state and with which weight.
//! Schedules come from an algebra of edits with a text form: `drop(5)`, `swap(3,4)`, `repeat(4..8)`,
//! `parallel(2..6);drop_mlp(7)`. A [`transformer`] runs under any of them; a [`sweep`] runs many over a corpus and compares each
//! with the plain model.
//!
//! ```
//! use layerwise::schedule::EditFamily;
//! use layerwise::sweep::{Divergence, Plan, Runner, collect};
//! use layerwise::transformer::{Model, ModelConfig};
//!
//! // A real model is opened with `Model::open("path/to/checkpoint")?`.
//! let model = Model::random(ModelConfig::tiny(), 0);
//! let families: Vec<EditFamily> = vec!["drop(l)".parse()?, "swap(l,l+1)".parse()?];
//! let plan = Plan::new(model.stack(), &families, 4096)?;
//! let tokens: Vec<u32> = (0..20).map(|i| i * 7 % 50).collect();
//! let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &[tokens])?;
//! let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
//! assert_eq!(plan.labels()[1].edit, "drop(0)");
//! assert!(statistics[1].kl_nats.mean().unwrap() > 0.0); // nats
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`guide`] continues from here. The programs in `examples/` do the same with checkpoints and texts.
//! [`idioms`] translates ten idioms of TransformerLens and nnsight.
//!
//! # The crates
//! Dependencies point one way: this facade depends on [`experiments`], which depends on [`sweep`], then [`transformer`], then
//! [`architecture`], [`weights`], [`schedule`] and [`kernels`].
//! [`generate`] depends on [`transformer`] too.
//! [`chat`], [`corpus`], [`metrics`], [`journal`], [`arrays`], [`recordings`] and [`report`], which draws with [`plot`], stand
//! beside these; [`hub`] and [`files`] lie below them.
//!
//! | module | what it does |
//! |---|---|
//! | [`schedule`] | the algebra: steps, schedules, edits, families, laws, prefix sharing |
//! | [`architecture`] | model families as data: sizes and switches of the block equation, config keys, tensor names |
//! | [`transformer`] | forward pass, sites, lenses, folding of norm gains into weights |
//! | [`weights`] | checkpoint folders, mapped and validated |
//! | [`corpus`] | turns text or token ids into sequences |
//! | [`files`] | opens untrusted files |
//! | [`hub`] | finds models and data sets in the Hugging Face cache by their names on the hub |
//! | [`metrics`] | divergences, clustered standard errors, moments, CKA, probes, factorisations |
//! | [`sweep`] | plan, engine, statistics |
//! | [`recordings`] | per-token results, streamed to safetensors files: activations at any site, and what schedules change |
//! | [`exits`] | early exit: what the unembedding predicts after every block, and the rules and trained classifiers that stop there |
//! | [`generate`] | continuations of a prompt: sampling, constraints, streamed text |
//! | [`chat`] | renders conversations as text with a checkpoint's own chat template |
//! | [`experiments`] | the paper's experiments: records, figures and claims, one folder each |
//! | [`journal`] | checksummed logs of finished work: keys, shards, merging |
//! | [`arrays`] | divides a run into an array of tasks: scripts for Slurm or a shell, and the progress of each task |
//! | [`tasks`] | multiple-choice tasks: readers, few-shot prompts, accuracy as lm-evaluation-harness computes it |
//! | [`transcripts`] | N-best lists of a speech recogniser, word error rate, word lattices, correction, significance |
//! | [`rescoring`] | a transformer as a language model of transcripts |
//! | [`kernels`] | matrix products, norms, activation functions, the vocabulary pass |
//! | [`plot`] | charts as plain values, drawn as SVG and PNG |
//! | [`report`] | figures, tables and verdicts as one HTML page |

pub use layerwise_architecture as architecture;
pub use layerwise_arrays as arrays;
#[cfg(feature = "text")]
pub use layerwise_chat as chat;
#[cfg(feature = "text")]
pub use layerwise_corpus as corpus;
pub use layerwise_exits as exits;
#[cfg(feature = "experiments")]
pub use layerwise_experiments as experiments;
pub use layerwise_files as files;
pub use layerwise_generate as generate;
pub use layerwise_hub as hub;
pub use layerwise_journal as journal;
pub use layerwise_kernels as kernels;
pub use layerwise_metrics as metrics;
pub use layerwise_plot as plot;
#[cfg(feature = "text")]
pub use layerwise_recordings as recordings;
pub use layerwise_report as report;
#[cfg(feature = "experiments")]
pub use layerwise_rescoring as rescoring;
pub use layerwise_schedule as schedule;
pub use layerwise_sweep as sweep;
pub use layerwise_tasks as tasks;
pub use layerwise_transcripts as transcripts;
pub use layerwise_transformer as transformer;
pub use layerwise_weights as weights;
/// The `ndarray` version whose arrays models take and return.
pub use ndarray;

#[cfg(feature = "experiments")]
pub mod guide;
pub mod idioms;
#[cfg(feature = "text")]
mod opened;
mod opening;
#[cfg(feature = "text")]
pub use opened::{Opened, beginning, open};
pub use opening::{Loaded, OpenError, Opening, WeightBytes};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
