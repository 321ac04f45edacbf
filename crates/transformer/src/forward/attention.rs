//! The attention of a block.

use super::Workspace;
use crate::attending::Attending;
use crate::batch::Segment;
use crate::kept::Kept;
use crate::model::Model;
use crate::reading::Reading;
use crate::scoring::{Hidden, Scoring};
use layerwise_schedule::Site;
use ndarray::{Array3, ArrayView2, Axis, s};

impl Model {
    /// Computes an attention's queries, keys and values into `workspace.qkv`, ready for their products.
    fn project(
        &self,
        index: usize,
        residual: ArrayView2<'_, f32>,
        w: &mut Workspace,
        reading: &mut Reading<'_>,
    ) {
        let (head, heads, kv_heads) = (self.config.head, self.config.heads, self.config.kv_heads);
        let block = self.blocks.get(index);
        self.read_stream(
            &block.attn_norm,
            &block.qkv,
            residual,
            Site::AttnNorm,
            (&mut w.normed, w.qkv.view_mut()),
            &mut w.crew,
            reading,
        );
        if let Some(most) = self.config.qkv_clip {
            let most = most as f32;
            w.qkv
                .view_mut()
                .mapv_inplace(|value| value.clamp(-most, most));
        }
        let (query_width, key_width) = (heads * head, kv_heads * head);
        let (mut queries, keys_values) = w.qkv.view_mut().split_at(Axis(1), query_width);
        let (mut keys, _) = keys_values.split_at(Axis(1), key_width);
        if let (Some(kind), Some([query_norm, key_norm])) =
            (self.config.query_key_norm, &block.query_key_norms)
        {
            self.normalize_heads(kind, query_norm, queries.view_mut());
            self.normalize_heads(kind, key_norm, keys.view_mut());
        }
        reading.offer(Site::AttnQ, || w.qkv.by_head(0, heads, head));
        let first = query_width;
        reading.offer(Site::AttnK, || w.qkv.by_head(first, kv_heads, head));
        let first = query_width + key_width;
        reading.offer(Site::AttnV, || w.qkv.by_head(first, kv_heads, head));
        let (mut queries, keys_values) = w.qkv.view_mut().split_at(Axis(1), query_width);
        let (mut keys, _) = keys_values.split_at(Axis(1), key_width);
        if let Some(rotations) = &w.rotations[self.config.attention.kind_of(index)] {
            for segment in &w.segments {
                let rows = s![segment.rows(), ..];
                // A segment's positions follow one another.
                let first = w.positions.partition_point(|at| *at < segment.position);
                rotations.apply(queries.slice_mut(rows), head, first);
                rotations.apply(keys.slice_mut(rows), head, first);
            }
        }
    }

    /// Adds the keys and values of rows of a residual stream to those kept, without running the attention.
    pub(crate) fn keep(
        &self,
        index: usize,
        residual: ArrayView2<'_, f32>,
        kept: &mut [Kept],
        workspace: &mut Workspace,
    ) {
        let (w, head) = (workspace, self.config.head);
        self.project(index, residual, w, &mut Reading::new(&mut ()));
        let keys_values = w.qkv.view();
        let keys = self.config.heads * head;
        for segment in &w.segments {
            for (group, kept) in kept.iter_mut().enumerate() {
                let of = |first: usize| {
                    let columns = first + group * head..first + (group + 1) * head;
                    keys_values.slice(s![segment.rows(), columns])
                };
                kept.put(
                    segment.position,
                    of(keys),
                    of(keys + self.config.kv_heads * head),
                );
            }
        }
    }

    /// Computes the attention's update into `workspace.attn_update`.
    pub(super) fn attention(
        &self,
        index: usize,
        residual: ArrayView2<'_, f32>,
        workspace: &mut Workspace,
        reading: &mut Reading<'_>,
    ) {
        let (head, heads, kv_heads) = (self.config.head, self.config.heads, self.config.kv_heads);
        let (block, settings) = (self.blocks.get(index), self.config.attention.of(index));
        let w = workspace;
        self.project(index, residual, w, reading);
        let (queries, keys_values) = w.qkv.view_mut().split_at(Axis(1), heads * head);
        let (keys, values) = keys_values.split_at(Axis(1), kv_heads * head);
        let longest = w.segments.iter().map(Segment::end).max().unwrap_or(0);
        let edits_pattern = reading.edits(Site::AttnPattern);
        let mut pattern = (edits_pattern || reading.wants(Site::AttnPattern))
            .then(|| Array3::<f32>::zeros((heads, w.seq, longest)));
        let occurrence = reading.attentions;
        reading.attentions += 1;
        let sharing = heads / kv_heads;
        let attending = Attending {
            head,
            sharing,
            scoring: Scoring::new(&self.config, settings, w.biases.as_ref()),
            queries: queries.view(),
            hidden: match &reading.overlaid {
                None => reading.absent(&w.segments),
                Some(overlaid) => {
                    let of = |segment: &Segment| {
                        let masks = overlaid.overlay.masks(index);
                        Some((segment.first_row, Hidden::new(masks, segment.end())?))
                    };
                    w.segments.iter().filter_map(of).collect()
                }
            },
        };
        let of_group = |segment: &Segment, group: usize| {
            let shared = s![segment.rows(), group * head..(group + 1) * head];
            (keys.slice(shared), values.slice(shared))
        };
        if reading.kept.is_empty() {
            // The ancestors' positions were filled in at the ancestors' turn.
            for group in 0..kv_heads {
                let own = group * sharing..(group + 1) * sharing;
                for segment in &w.segments {
                    let (keys, values) = of_group(segment, group);
                    w.path.put(segment.position, keys, values);
                    let out = s![segment.rows(), own.start * head..own.end * head];
                    attending.attend(
                        &w.path,
                        segment,
                        own.clone(),
                        w.head_out.view_mut().slice_mut(out),
                        &mut w.crew.hands[0],
                        pattern.as_mut(),
                    );
                }
            }
        } else {
            let own = occurrence * kv_heads..(occurrence + 1) * kv_heads;
            for (segment, kept) in w.segments.iter().zip(&mut reading.kept) {
                for (group, kept) in kept[own.clone()].iter_mut().enumerate() {
                    let (keys, values) = of_group(segment, group);
                    kept.put(segment.position, keys, values);
                }
            }
            let kept = reading.kept.iter().map(|kept| &kept[own.clone()]);
            let segments = w.segments.iter().zip(kept);
            match &mut pattern {
                None => attending.share(segments, w.head_out.view_mut(), &mut w.crew),
                Some(pattern) => {
                    for (segment, kept) in segments {
                        for (group, kept) in kept.iter().enumerate() {
                            let own = group * sharing..(group + 1) * sharing;
                            let out = s![segment.rows(), own.start * head..own.end * head];
                            attending.attend(
                                kept,
                                segment,
                                own,
                                w.head_out.view_mut().slice_mut(out),
                                &mut w.crew.hands[0],
                                Some(pattern),
                            );
                        }
                    }
                }
            }
        }
        if let Some(pattern) = &mut pattern {
            reading.offer(Site::AttnPattern, || pattern.view_mut().into_dyn());
        }
        if let (true, Some(pattern)) = (edits_pattern, &pattern) {
            for group in 0..kv_heads {
                let own = group * sharing..(group + 1) * sharing;
                for (at, segment) in w.segments.iter().enumerate() {
                    let path = match reading.kept.get(at) {
                        Some(kept) => &kept[occurrence * kv_heads + group],
                        None => {
                            let (keys, values) = of_group(segment, group);
                            w.path.put(segment.position, keys, values);
                            &w.path
                        }
                    };
                    let out = s![segment.rows(), own.start * head..own.end * head];
                    attending.sum_by(
                        pattern,
                        path,
                        segment,
                        own.clone(),
                        w.head_out.view_mut().slice_mut(out),
                        &mut w.crew.hands[0],
                    );
                }
            }
        }
        reading.offer(Site::AttnHeadOut, || w.head_out.by_head(0, heads, head));
        block
            .attn_out
            .apply_shared(w.head_out.view(), w.attn_update.view_mut(), &mut w.crew);
        let after = block.after_norms.as_ref().map(|[norm, _]| norm);
        self.finish(after, &mut w.attn_update, &mut w.normed);
        reading.offer(Site::AttnOut, || w.attn_update.view_mut().into_dyn());
        self.norm_the_sum(
            &block.attn_norm,
            residual,
            &mut w.attn_update,
            &mut w.normed,
        );
    }
}
