//! Multiple-choice tasks: readers of the usual data sets, few-shot prompts, and accuracy as lm-evaluation-harness computes it.
//!
//! A [`Task`] is a list of [`Item`]s: a prompt, options, and the index of the right one. [`DATA_SETS`] reads MMLU, ARC, SST-2,
//! HellaSwag, PIQA, WinoGrande, BoolQ and LAMBADA from a folder, in the layouts of their authors, of the hub (`.jsonl`) and of
//! llm-foundry. [`read_own`] reads the user's own `.jsonl`, [`read_all`] either, and [`standins`] makes tasks from any text.
//! [`Encoder`] turns items into the token ids that [`LogLikelihood`](layerwise_sweep::LogLikelihood) scores, and [`Task::score`]
//! turns the scores into `acc` and `acc_norm`. [`Scoring`] does so under every schedule of a plan, and [`ScoreTable`] writes what
//! comes out as CSV.
//! [`read_pair`] reads pairs of prompts for [`Patching`](layerwise_sweep::Patching).
//!
//! ```
//! use layerwise_sweep::Rule;
//! use layerwise_tasks::{Item, Task};
//!
//! let mut task = Task::new("colours", Rule::Choice);
//! task.items = vec![Item::new("The sky is", ["blue", "made of cheese"]).answered(0)];
//! assert_eq!(task.context(0, 0), "The sky is");
//! assert_eq!(task.items[0].options[1].scored, " made of cheese");
//! ```

mod catalogue;
mod encode;
mod error;
mod pairs;
mod read;
mod scoring;
mod standins;
mod task;

pub use catalogue::{DATA_SETS, DataSet, Form, Wanted, read_all};
pub use encode::{Encoder, Sheet, sheets};
pub use error::TaskError;
pub use pairs::{PairError, PairText, read_pair};
pub use read::read_own;
pub use scoring::{Answer, Asked, ScheduleScores, ScoreTable, Scoring, TaskScores};
pub use standins::{standins, standins_of_one_token};
pub use task::{Choice, Item, Score, Task};
