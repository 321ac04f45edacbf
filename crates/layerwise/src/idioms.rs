//! From TransformerLens and nnsight to layerwise: ten things to do with a model, in the words of both.
//!
//! In those libraries an intervention is a function that is called with a tensor.
//! Here it is a value: an edit with a text form. It can be printed, compared, planned together with others and run again from a
//! log. What edits have in common is computed once.
//! A function of your own works as well ([the ninth idiom](#9-a-function-of-your-own)).
//!
//! Every snippet begins with these lines; a real model is opened with `Model::open("path/to/checkpoint")`.
//!
//! ```
//! use layerwise::schedule::{Edit, Schedule};
//! use layerwise::transformer::{Model, ModelConfig};
//!
//! let model = Model::random(ModelConfig::tiny(), 7); // 4 blocks of 4 heads
//! let plain = Schedule::plain(model.stack())?;
//! let tokens = [0, 5, 3, 8, 13];
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | name there | name here |
//! |---|---|
//! | `hook_embed`, with `hook_pos_embed` added | `embed` |
//! | `blocks.5.hook_resid_pre`, `_mid`, `_post` | `resid.pre[5]`, `resid.mid[5]`, `resid.post[5]` |
//! | `blocks.5.attn.hook_q`, `_k`, `_v` | `attn.q[5]`, `attn.k[5]`, `attn.v[5]` |
//! | `blocks.5.attn.hook_pattern`, `hook_z` | `attn.pattern[5]`, `attn.head_out[5]` |
//! | `blocks.5.hook_attn_out`, `hook_mlp_out` | `attn.out[5]`, `mlp.out[5]` |
//! | `blocks.5.mlp.hook_pre`, `hook_post` | `mlp.pre[5]`, `mlp.post[5]` |
//!
//! # 1. Run with a cache
//!
//! `logits, cache = model.run_with_cache(tokens)`
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! use layerwise::schedule::Site;
//! use layerwise::transformer::Recording;
//!
//! let mut cache = Recording::of(model.config(), &[Site::ResidPost, Site::AttnPattern])?;
//! let logits = model.observed_logits(&tokens, &plain, &mut cache)?;
//! assert_eq!(logits.dim(), (5, 50)); // [seq, vocab]
//! let pattern = cache.get(Some(2), Site::AttnPattern).unwrap();
//! assert_eq!(pattern.shape(), [4, 5, 5]); // [heads, queries, keys]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 2. Ablate a head
//!
//! `model.run_with_hooks(tokens, fwd_hooks=[(get_act_name("z", 2), lambda z, hook: z[:, :, 1].zero_())])`
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! let ablated = "zero(attn.head_out[2,1])".parse::<Edit>()?.apply(&plain)?;
//! let logits = model.logits(&tokens, &ablated)?;
//! assert_ne!(logits, model.logits(&tokens, &plain)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 3. Mean-ablate every head, and see what each costs
//!
//! There: a loop over blocks and heads with a hook that writes `cache.mean(...)`. Here: a family, whose members share prefixes.
//!
//! ```
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! use layerwise::schedule::{Bounds, Source};
//! use layerwise::sweep::{Divergence, Plan, Runner, Sources, add_means, collect};
//! use layerwise::transformer::Constants;
//!
//! let text = [vec![0, 5, 3, 8], vec![0, 2, 7, 7, 1], vec![0, 9, 4]];
//! let plan = Plan::new(model.stack(), &["mean(attn.head_out[l,h])".parse()?], Bounds::default())?;
//! let (runner, mut means) = (Runner::new(), Constants::default());
//! add_means(&mut means, &runner, &model, &text, &plan.taken_from(Source::Mean))?;
//! let plan = plan.with_sources(Sources::default().constants(means));
//! assert!(plan.planned_steps() < plan.naive_steps());
//!
//! let measured = runner.measure(&model, &plan, &Divergence::new(), &text)?;
//! let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
//! let label = &plan.labels()[6];
//! assert_eq!((label.edit.as_str(), label.l, label.h), ("mean(attn.head_out[1,1])", Some(1), Some(1)));
//! assert!(statistics[6].kl_nats.mean().unwrap() > 0.0); // nats
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 4. Patch a position
//!
//! `patching.get_act_patch_resid_pre(model, corrupted_tokens, clean_cache, metric)`
//!
//! ```
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! use layerwise::schedule::Bounds;
//! use layerwise::sweep::{Pair, PairStatistics, Patching, Plan, Runner};
//!
//! let pairs = [
//!     Pair::new(vec![0, 5, 3, 8], vec![0, 2, 3, 8]).deciding(Some(5), Some(2)),
//!     Pair::new(vec![0, 6, 1, 8], vec![0, 7, 1, 8]).deciding(Some(6), Some(7)),
//! ];
//! // Every block, and every position of sequences of four tokens.
//! let bounds = Bounds::default().positions(Some(4));
//! let plan = Plan::new(model.stack(), &["donor(resid.pre[l]@p)".parse()?], bounds)?;
//! let measured = Runner::new().measure(&model, &plan, &Patching::new(), &pairs)?;
//! let results = measured.results.iter().map(Vec::as_slice);
//! let statistics = PairStatistics::collect(plan.entries().len(), results);
//! let labels = plan.labels();
//! let at = |l, p| labels.iter().position(|own| (own.l, own.p) == (Some(l), Some(p))).unwrap();
//! // The prompts differ at position 1 only, so the first block's input there carries all of the difference.
//! assert_eq!(statistics[at(0, 1)].recovered.ratio(), Some(1.0));
//! assert_eq!(statistics[at(0, 0)].recovered.ratio(), Some(0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 5. Steer
//!
//! `model.add_hook("blocks.1.hook_resid_post", lambda x, hook: x + 4 * direction)`
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! use layerwise::ndarray::Array1;
//! use layerwise::transformer::{Constants, Values};
//! use std::sync::Arc;
//!
//! let direction = Array1::from_shape_fn(32, |at| (at as f32).sin());
//! let mut constants = Constants::default();
//! constants.set_tensor("direction".parse()?, direction.into_dyn())?;
//! let values = Values::of(Arc::new(constants));
//! let steered = "add(resid.post[1],direction,4)".parse::<Edit>()?.apply(&plain)?;
//! let end = model.run(&tokens, (&steered, &values), &mut ())?;
//! assert_ne!(model.standard_lens(end.view()), model.logits(&tokens, &plain)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 6. Knock out attention
//!
//! A hook on `hook_attn_scores` that writes −∞ where the last token attends to the first two, or to everything beyond a window.
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! use layerwise::schedule::Site;
//! use layerwise::transformer::Recording;
//!
//! let cut = "cut(2,0..4,-1,0..2);window(0,3)".parse::<Edit>()?.apply(&plain)?;
//! let mut cache = Recording::of(model.config(), &[Site::AttnPattern])?;
//! model.observed_logits(&tokens, &cut, &mut cache)?;
//! let pattern = cache.get(Some(2), Site::AttnPattern).unwrap();
//! assert_eq!((pattern[[3, 4, 0]], pattern[[3, 4, 1]]), (0.0, 0.0));
//! assert!((pattern[[3, 4, 2]] + pattern[[3, 4, 3]] + pattern[[3, 4, 4]] - 1.0).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 7. Freeze what an ablation would change: the direct effect of a head
//!
//! There: two runs, the second with hooks that write back activations of the first. Here `plain` takes them from the plain pass.
//!
//! ```
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! use layerwise::sweep::{Divergence, Plan, Runner};
//!
//! let families = [
//!     "zero(attn.head_out[0,1])".parse()?,
//!     // Everything that later blocks add stays as in the plain run.
//!     "zero(attn.head_out[0,1]);plain(attn.out[1..4]);plain(mlp.out)".parse()?,
//! ];
//! let plan = Plan::new(model.stack(), &families, 1)?;
//! let text = [vec![0, 5, 3, 8, 13]];
//! let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &text)?;
//! let [_, total, direct] = &measured.results[0][..] else { panic!("three schedules") };
//! assert_ne!(total.kl_nats, direct.kl_nats);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 8. Direct logit attribution
//!
//! `cache.decompose_resid(apply_ln=True) @ model.W_U[:, token]`
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! use layerwise::ndarray::{Array2, Ix2};
//! use layerwise::schedule::Site;
//! use layerwise::transformer::Recording;
//!
//! let parts = [Site::Embed, Site::AttnOut, Site::MlpOut];
//! let mut cache = Recording::of(model.config(), &parts)?;
//! let last = model.run(&tokens, &plain, &mut cache)?;
//! // Each part is centred, then divided by the final norm's divisor for the whole stream.
//! let mut sum = Array2::zeros((5, 50));
//! for (address, part) in cache.activations() {
//!     let part = part.view().into_dimensionality::<Ix2>()?;
//!     let logits = model.legacy_lens(part, last.view());
//!     println!("{:?} {}: {} nats", address.block, address.site, logits[[4, 7]]);
//!     sum += &logits;
//! }
//! // Together they are the logits, except for the bias of the final norm.
//! let whole = model.legacy_lens(last.view(), last.view());
//! assert!((&sum - &whole).iter().all(|off| off.abs() < 1e-3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 9. A function of your own
//!
//! `with model.trace(tokens): model.transformer.h[1].mlp.output[0, -1] *= 2`, or a hook of any kind.
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! use layerwise::ndarray::{ArrayViewD, ArrayViewMutD, Axis};
//! use layerwise::schedule::Site;
//! use layerwise::transformer::{Address, Observer};
//!
//! struct Doubled;
//!
//! impl Observer for Doubled {
//!     fn wants(&self, _: Address) -> bool {
//!         false
//!     }
//!     fn observe(&mut self, _: Address, _: ArrayViewD<'_, f32>) {}
//!     fn edits(&self, address: Address) -> bool {
//!         (address.block, address.site) == (Some(1), Site::MlpOut)
//!     }
//!     fn edit(&mut self, _: Address, mut update: ArrayViewMutD<'_, f32>) {
//!         let last = update.len_of(Axis(0)) - 1;
//!         update.index_axis_mut(Axis(0), last).mapv_inplace(|value| 2.0 * value);
//!     }
//! }
//!
//! let written = model.run(&tokens, &plain, &mut Doubled)?;
//! // An edit that says the same gives the same bits.
//! let edit = "scale(mlp.out[1]@-1,2)".parse::<Edit>()?.apply(&plain)?;
//! assert_eq!(written, model.run(&tokens, &edit, &mut ())?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 10. A cache on disk
//!
//! `ActivationsStore`, or `torch.save(cache)`. The program streams the activations of a text of any size under any edit:
//! `layerwise activations --sites 'resid.post,attn.head_out[5,2]' --corpus text.jsonl --out cache.safetensors`.
//! `recordings::Activations` does the same in Rust.
//! For one sequence, with the crates `safetensors` and `tempfile`:
//!
//! ```
//! # use layerwise::schedule::{Edit, Schedule};
//! # use layerwise::transformer::{Model, ModelConfig};
//! # let model = Model::random(ModelConfig::tiny(), 7);
//! # let plain = Schedule::plain(model.stack())?;
//! # let tokens = [0, 5, 3, 8, 13];
//! use layerwise::schedule::Site;
//! use layerwise::transformer::Recording;
//! use layerwise::weights::TensorFile;
//! use safetensors::{Dtype, tensor::TensorView};
//!
//! let mut cache = Recording::of(model.config(), &[Site::ResidPost])?;
//! model.run(&tokens, &plain, &mut cache)?;
//! let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = cache
//!     .activations()
//!     .iter()
//!     .map(|(address, values)| {
//!         let name = format!("{}[{}]", address.site, address.block.unwrap());
//!         let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
//!         (name, values.shape().to_vec(), bytes)
//!     })
//!     .collect();
//! let views = bytes.iter().map(|(name, shape, bytes)| {
//!     (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
//! });
//! let file = tempfile::NamedTempFile::new()?;
//! safetensors::serialize_to_file(views, None, file.path())?;
//!
//! let again = TensorFile::open(file.path())?;
//! let kept = again.tensor("resid.post[2]")?.unwrap();
//! assert_eq!(kept.view(), cache.get(Some(2), Site::ResidPost).unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
