//! An algebra of layer schedules: steps, edits, families, text form and prefix sharing; no tensors, no I/O.
//!
//! # Why an algebra
//!
//! Robustness experiments on language models keep asking one question: what can the model still do if its blocks run in another
//! way: one dropped, two exchanged, five repeated?
//! Written as model surgery, each such question is a program of its own. Their cases overlap without anyone noticing, and only
//! running two of them shows whether they agree.
//! Here a way of running the blocks is a *value*, a [`Schedule`], and an experiment is an [`Edit`] of the plain schedule.
//! Values can be compared, printed and counted before any tensor is touched. Edits can be chained, and the laws that they obey
//! are tested as equations.
//! Schedules of one run share their prefixes in a [`Trie`], and each shared prefix is computed once.
//!
//! # Guide
//!
//! The plain model runs its blocks in order.
//! In a [`Residual::Sequential`] stack a block is two steps, attention and MLP; in a [`Residual::Parallel`] stack it
//! is one step with two parts.
//!
//! ```
//! use layerwise_schedule::{Edit, Residual, Schedule, Stack};
//!
//! let plain = Schedule::plain(Stack::new(3, Residual::Sequential))?;
//! assert_eq!(plain.to_string(), "attn0 mlp0 attn1 mlp1 attn2 mlp2");
//!
//! let dropped = "drop(1)".parse::<Edit>()?.apply(&plain)?;
//! assert_eq!(dropped.to_string(), "attn0 mlp0 attn2 mlp2");
//! # Ok::<(), layerwise_schedule::ScheduleError>(())
//! ```
//!
//! Edits address *source blocks*, the blocks whose weights are run, not positions.
//! After a swap, `drop_mlp(0)` finds block 0 where it now stands:
//!
//! ```
//! # use layerwise_schedule::{Edit, Residual, Schedule, Stack};
//! # let plain = Schedule::plain(Stack::new(3, Residual::Sequential))?;
//! let edit: Edit = "swap(0,2);drop_mlp(0)".parse()?;
//! assert_eq!(edit.apply(&plain)?.to_string(), "attn2 mlp2 attn1 mlp1 attn0");
//! # Ok::<(), layerwise_schedule::ScheduleError>(())
//! ```
//!
//! A text with the variables `l` and `m` is an [`EditFamily`]: one edit for each block, or pair of blocks, that is in range and
//! leaves a step:
//!
//! ```
//! use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily, Residual, Schedule, Stack, Trie};
//!
//! let stack = Stack::new(12, Residual::Sequential);
//! let family: EditFamily = "drop(l)".parse()?;
//! let members = family.expand(stack, DEFAULT_MAX_MEMBERS)?;
//! assert_eq!(members.len(), 12);
//! assert_eq!(members[5].edit.to_string(), "drop(5)");
//!
//! let schedules: Vec<Schedule> = members.into_iter().map(|member| member.schedule).collect();
//! let trie = Trie::new(&schedules);
//! assert_eq!((trie.naive_steps(), trie.planned_steps()), (264, 154));
//! # Ok::<(), layerwise_schedule::ScheduleError>(())
//! ```
//!
//! Anything without a meaning is refused with a [`ScheduleError`] that names the edit and the numbers:
//!
//! ```
//! use layerwise_schedule::Edit;
//!
//! let error = "dorp(5)".parse::<Edit>().unwrap_err();
//! assert_eq!(error.to_string(), "unknown edit `dorp` at byte 0; nearest: drop");
//! let stack = layerwise_schedule::Stack::new(12, layerwise_schedule::Residual::Sequential);
//! let error = "drop(12)".parse::<Edit>()?.resolve(stack).unwrap_err();
//! assert_eq!(error.to_string(), "`drop(12)`: 12 is out of range in a stack of 12 blocks");
//! # Ok::<(), layerwise_schedule::ScheduleError>(())
//! ```
//!
//! # Edits
//!
//! | text | meaning |
//! |---|---|
//! | `id` | nothing |
//! | `drop(S)` `drop_attn(S)` `drop_mlp(S)` | remove every step, or sublayer part, whose source is in S |
//! | `keep(S)` | drop the complement; `keep(0..k)` is an early exit |
//! | `swap(i,j)` | exchange the labels i and j wherever they occur |
//! | `reverse(a..b)` | relabel within the range: a+i becomes b−1−i |
//! | `shuffle(a..b,seed)` | relabel by a random permutation of the range, see [`Edit`](Edit#the-shuffle) |
//! | `permute(a..b,[p…])` | label a+k becomes p\[k\], where p lists every block of the range once |
//! | `repeat(S)` `repeat(S,n)` | each block of S runs n times in place (…5,5,6,6…); n is 2 if left out |
//! | `loop(a..b)` `loop(a..b,n)` | the segment runs n times as a whole (…5,6,5,6…); n is 2 if left out |
//! | `replace(i,j)` | block j's computation where i stood |
//! | `parallel(a..b)` `parallel(a..b,sum)` | the segment's blocks all read its input; their updates are averaged, or summed |
//! | `scale(S,α)` `scale_attn(S,α)` `scale_mlp(S,α)` | multiply the updates by the finite number α |
//! | `zero(A)` | set the values A to 0 |
//! | `mean(A)` | replace by the mean over positions 1… of a reference text under the plain model; not of `attn.pattern` |
//! | `resample(A)` | replace by the values at the same positions of another sequence of the reference text under the plain model |
//! | `plain(A)` | freeze: replace by the values of the same sequence under the plain schedule |
//! | `donor(A)` | replace by the values of the paired sequence under the plain schedule: activation patching |
//! | `put(A,NAME)` `add(A,NAME,α)` | replace by a named tensor; add α times a named tensor |
//! | `scale(A,α)` | multiply the value by α |
//! | `window(S,w)` `window(S,w,strict)` | in blocks S a query attends to itself, the w−1 tokens before it, and position 0 unless strict |
//! | `cut(S,U,Q,K)` | in heads U of blocks S, queries Q do not attend to keys K; the other attention weights are renormalised |
//! | `e₁ ; e₂` | first e₁, then e₂ |
//!
//! S is one block `5`, a half-open range `4..8` or `4..` (up to the last), or a bracketed list of both, `[5,7,9..12]`.
//! A block is an expression of integers, `L` (the number of blocks) and, in a family, `l` and `m`, with `+`, `-`, `*`,
//! parentheses, and a sign in front; `*` binds tighter than `+` and `-`.
//! A literal negative number counts from the end, as in `drop(-1)`. Any other negative expression, such as `(-1)` or `l-1` at l =
//! 0, is out of range.
//! A is `SITE`, `SITE[S]` or `SITE[S,U]`, each with or without `@P`: a [`Site`] by its name, blocks S, units U and positions P.
//! What is left out means all of them.
//! The site decides what its units are: heads, KV heads, neurons or dimensions of the residual stream.
//! Positions count from 0; a literal negative number counts from the end of the sequence.
//! Ranges in U and P may be open, `4..`. In a family they may use `h`, which runs over units, and `p`, which runs over positions.
//! `embed` belongs to no block.
//! Spaces are allowed between all parts; printing uses none.
//! Seeds are integers below 2⁶⁴, counts lie in 1..=65,536, and α is a decimal number such as `0.5`, `-1` or `1e-3`.
//!
//! Where the table leaves something open, these rules decide:
//!
//! - Relabelling (`swap`, `reverse`, `shuffle`, `permute`, `replace`) reaches into branches.
//!   Coefficients and weights stay with the place.
//! - Edits ignore blocks that are no longer in the schedule, but an index that the stack never had is an error.
//! - A *run* of a block is a maximal sequence of consecutive steps with that source in one step list: the schedule's
//!   own, or a branch's.
//!   `repeat` puts n copies of each run of a block where the run stood, inside branches too.
//! - `loop` and `parallel` act on the one step list that holds the whole segment: every block of the range has exactly one run in
//!   the whole schedule, in ascending order, with nothing in between.
//!   A block that is repeated, scaled or lacks a sublayer still counts as present.
//!   For `loop`, a parallel step counts as the blocks of its branches.
//!   `parallel` refuses a segment with a parallel step, except over one block, where it is `id`.
//! - The branches of `parallel` are the runs of the segment.
//!   Their weights, 1/n for n blocks or 1 with `sum`, are fixed when the edit is applied.
//! - A branch that loses its last step is removed, and so is a parallel step that loses its last branch.
//!   An empty branch would contribute a zero update, so this changes no value; the other weights stay as they are.
//! - A schedule has at most [`MAX_STEPS`] steps, those inside branches included.
//!   The count is checked before the steps are made.
//!
//! # Values
//!
//! Edits of values do not touch the steps; the schedule's [`Overlay`] keeps them.
//! They belong to *source blocks*: a block's replacements act wherever and each time it runs, and do nothing where it does not
//! run. `replace(i,j)` puts block j where i stood, so edits of j's values act there.
//! Of several edits that replace the value at one address, the last one counts.
//!
//! ```
//! use layerwise_schedule::{Edit, Residual, Schedule, Stack, Units};
//!
//! let stack = Stack::new(3, Residual::Sequential).with_units(Units::new(4, 4, 32, 16));
//! let plain = Schedule::plain(stack)?;
//! let made = |text: &str| text.parse::<Edit>()?.apply(&plain);
//! let schedule = made("swap(0,1);zero(attn.head_out[0,2])")?;
//! assert_eq!(schedule.to_string(), "attn1 mlp1 attn0 mlp0 attn2 mlp2 {zero(attn.head_out[0,2])}");
//! assert_eq!(schedule, made("zero(attn.head_out[0,2]);swap(0,1)")?);
//! assert_eq!(made("mean(mlp.out[1]);zero(mlp.out[1])")?, made("zero(mlp.out[1])")?);
//! # Ok::<(), layerwise_schedule::ScheduleError>(())
//! ```
//!
//! # Laws
//!
//! These hold as equations between schedules, wherever the edits are accepted, and are tested as equations:
//!
//! - parse ∘ print = id, and resolving keeps the meaning;
//! - `;` is associative with the neutral element `id`;
//! - `swap` is an involution, `reverse` twice is `id`, and relabellings compose as permutations;
//! - `drop` is idempotent, drops commute, `drop(S)` = `drop_attn(S);drop_mlp(S)`, `keep(S)` = `drop(∁S)`;
//! - `repeat(S,1)` = `scale(S,1)` = `id`, and `loop` of one present block = `repeat`;
//! - edits of values commute with all edits that move blocks, and with each other if their addresses are disjoint;
//! - `scale(A,1)` = `add(A,v,0)` = `id`, and `scale(A,0)` = `zero(A)`;
//! - edits on disjoint sources commute, where the sources of `keep(S)` are ∁S and those of `replace(i,j)` both blocks.
//!
//! The last law has one limit.
//! After `replace`, one label may stand at places with different coefficients, as in `scale(6,0.5);replace(6,4)`.
//! Dropping block 5 joins the unlike runs of block 4 into one, and `repeat(4)` copies what is one run at that moment. So here
//! `drop(5);repeat(4)` and `repeat(4);drop(5)` differ.

mod edit;
mod error;
mod family;
mod index;
mod naming;
mod nearest;
mod operation;
mod overlay;
mod permutation;
mod ranges;
mod reading;
mod rewriting;
mod schedule;
mod site;
mod stack;
mod stage;
mod step;
mod sublayer;
mod syntax;
mod trie;
mod values;

pub use edit::Edit;
pub use error::ScheduleError;
pub use family::{Bounds, DEFAULT_MAX_MEMBERS, EditFamily, Member};
pub use index::{Expression, Set, Span};
pub use nearest::nearest_names;
pub use operation::{Combination, Operation, Target};
pub use overlay::{Change, Changed, Mask, Overlay, text_of, text_of_mask};
pub use permutation::shuffle;
pub use ranges::{Positions, UnitRanges};
pub use schedule::{MAX_STEPS, Schedule};
pub use site::{Grain, Site};
pub use stack::{Residual, Stack, Units};
pub use stage::{Stage, ends_of_runs};
pub use step::{Branch, Coefficient, Part, Step};
pub use sublayer::Sublayer;
pub use syntax::MAX_TEXT_BYTES;
pub use trie::Trie;
pub use values::{Replacement, Selection, Source, TensorName};
