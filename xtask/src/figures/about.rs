//! What each figure shows and what the paper says of it, for the report.

use super::FigureId;

/// A figure in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// A title of a few words.
    pub title: &'static str,
    /// The published figures and tables that it stands for, by version.
    pub stands_for: &'static str,
    /// What is drawn, with units and the positions that means go over.
    pub caption: &'static str,
    /// What the paper states about it.
    pub paper_says: &'static str,
}

impl FigureId {
    /// The figure in words.
    pub fn about(self) -> About {
        match self {
            Self::Stages => About {
                title: "Four stages of inference",
                stands_for: "Figure 1 and table 1 of every version",
                caption: "KL(plain ‖ block left out), total attention to the five previous tokens, and the densities of prediction and suppression neurons against relative depth. Each model's curve is interpolated to 101 depths, averaged within and then over families, and rescaled from its minimum to its maximum, because the units differ. Means over positions 1 to T−1; no error bands.",
                paper_says: "Four stages follow each other: detokenization, feature engineering, prediction ensembling and residual calibration. Sensitivity to ablation and local attention peak first, then prediction neurons at about 85 % of depth, then suppression neurons in the last layers.",
            },
            Self::Robustness => About {
                title: "Robustness to dropping and swapping blocks",
                stands_for: "Figures 5a and 13 (the diagram) of the NeurIPS version and v3; Figures 2 (the diagram) and 3 of v1, with the change of entropy",
                caption: "Above, blocks ℓ and ℓ+1 swapped; below, block ℓ left out; against ℓ/(L−1). KL(plain ‖ altered) in nats, share of positions whose most probable token stays the same, and change of the output's entropy in bits. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
                paper_says: "Without any fine-tuning, dropping or swapping a middle layer keeps 72 to 95 % of the original top-1 predictions. The first layer is catastrophic in every model, and the last pair in some.",
            },
            Self::Cka => About {
                title: "Similarity of representations",
                stands_for: "Figures 5b, 5c and 14 of the NeurIPS version; v3's CKA figure",
                caption: "Unbiased linear CKA, 0 to 1 without unit, between the residual streams after each pair of blocks. Last position of each sequence, in batches of sequences; the published code's estimator, all positions of a sequence as a batch, is in the table.",
                paper_says: "Representations form blocks of similar layers, which line up with the region that is robust to dropping and swapping; the first layers stand apart.",
            },
            Self::AttentionLocality => About {
                title: "Attention to the tokens just before",
                stands_for: "Figure 6a of the NeurIPS version and v3; v1's figure of attention to the previous five tokens",
                caption: "Mean attention weight, 0 to 1, on the preceding 1, 2, 4, 8 and 16 tokens together, averaged over heads, query positions and sequences, against relative depth; and the mean over pairs of a query and one of its five previous tokens. Bands are one standard error, clustered by sequence.",
                paper_says: "Attention in early layers is local and becomes less so with depth; in several models it rises a little at the end. This is the sign of detokenization: local context is integrated first.",
            },
            Self::SubwordHeads => About {
                title: "Heads that merge the pieces of a word",
                stands_for: "Figure 6b of the NeurIPS version and v3; v1's figure of subjoiner heads",
                caption: "Attention, 0 to 1, of one head from the last of 16 tokens to each of them. Above, windows whose last word is one token; below, windows whose last word is four tokens. Ten windows each; the published windows of the second kind were filtered on the attention shown, so the table has the means with and without that filter.",
                paper_says: "Early layers have heads in which the last piece of a word attends to its other pieces, most to the first, and which do nothing of the kind where the word is a single token.",
            },
            Self::Wic => About {
                title: "Word senses at each depth",
                stands_for: "Figures 7a and 18 of the NeurIPS version; v3's WiC figure",
                caption: "Accuracy, chance 0.5, of telling whether a word has one sense in two contexts, from the residual streams of the word's tokens; by a linear probe, and by a threshold on the cosine, against s/L. Bands are one standard error, clustered by word.",
                paper_says: "Accuracy rises early, peaks in the middle of the model and falls after it: semantic features are built before predictions are.",
            },
            Self::LensEntropy => About {
                title: "Entropy of the logit lens",
                stands_for: "Figures 7b and 19 of the NeurIPS version (standard lens); v1's and v3's entropy figures (legacy lens)",
                caption: "Mean entropy in bits of the distribution that each residual stream gives through the final norm and the unembedding, against s/L. The standard lens recomputes the norm's scale on each stream; the legacy lens divides every stream by the last one's scale, as the first versions did by mistake. Means over positions 1 to T−1.",
                paper_says: "Entropy falls from about the middle of the model. In the final layers of some models it stops falling or rises again, even within one family.",
            },
            Self::LensKl => About {
                title: "Divergence of the logit lens from the output",
                stands_for: "Figure 8 of the NeurIPS version (standard lens); the same figure of v1 and v3 (legacy lens)",
                caption: "Left axis: mean KL(output ‖ lens) in nats against depth, over positions 1 to T−1; the paper does not say which direction it shows, so that the other is in the table. Right axis: prediction and suppression neurons, percent of each block's.",
                paper_says: "The divergence falls from about mid-depth, fastest where the density of prediction neurons rises. Phi-1 has fewer such neurons and a flatter curve than Phi-1.5 and Phi-2.",
            },
            Self::Neurons => About {
                title: "Prediction and suppression neurons",
                stands_for: "Figure 17 of the NeurIPS version and the densities of Figure 8; v1's and v3's densities",
                caption: "Share of each block's neurons, percent, whose output weights' cosines with the columns of the unembedding have kurtosis above 10 and positive (prediction) or negative (suppression) skewness; partition neurons have high variance and low kurtosis. From the weights alone, after folding the norms.",
                paper_says: "Prediction neurons appear at about half of the depth, peak at about 85 % and become fewer in the last tenth, where suppression neurons overtake them and peak in the last layers.",
            },
            Self::SuffixProbe => About {
                title: "Probes for the ending “-ing”",
                stands_for: "Figure 12a (9) of the NeurIPS version; v1's and v3's “-ing” figures",
                caption: "Accuracy, chance 0.5, of telling from the activations of MLP neurons at the last but one token whether the next token ends in “-ing”. Points: probes on single neurons. Line: probes on the best k. Dotted: the model's own prediction. Balanced classes; folds keep documents apart.",
                paper_says: "The best single probes are suppression neurons and are about as good as the model; ensembles of prediction neurons beat single ones and sometimes the model.",
            },
            Self::SuffixNeurons => About {
                title: "Neurons that move the ending “-ing” most",
                stands_for: "Figure 21 of the NeurIPS version; v1's figure of 36 neurons and its histograms",
                caption: "For each neuron, how many tokens its output weights move by how much (logits a unit of activation): tokens that end in “-ing” and the others, on a logarithmic count axis. The 36 neurons with the largest difference of means among those of kurtosis above 10 or variance above 0.005. From the weights alone.",
                paper_says: "In the second half of GPT-2 XL, prediction neurons raise the tokens of the ending and suppression neurons lower them; of the first 32, 23 are of the first kind and 9 of the second.",
            },
            Self::MlpNorm => About {
                title: "Size of what each MLP writes",
                stands_for: "Figures 12b (10) and 20 of the NeurIPS version; v1's and v3's figures of MLP norms",
                caption: "Mean L2 norm of each MLP's output before it is added, in the residual stream's own unit, against relative depth. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
                paper_says: "The norm grows with depth and peaks in the last layers, in all 18 models: the last layers rework the residual stream before it is read out.",
            },
            Self::SublayerRatio => About {
                title: "Attention in comparison with the MLP",
                stands_for: "v1's figure of the ratio, and “attention-heavy computation” in table 1",
                caption: "Mean over positions of ‖attention output‖/‖MLP output‖; of ‖both‖/‖residual stream‖; and of the cosine of their sum with the residual stream, negative where a block erases. Against relative depth, positions 1 to T−1; bands are one standard error, clustered by sequence.",
                paper_says: "The share of attention falls gradually in comparison with the MLP's with depth: early computation is attention-heavy.",
            },
            Self::Repeats => About {
                title: "Repeating runs of blocks",
                stands_for: "Figures 12c (11), 22 and 23 of the NeurIPS version; v3's repeats figure",
                caption: "Mean entropy of the output in bits when each block of a run of three, or of five, runs twice in place, against the depth of the run's middle block. Dotted: the plain model. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
                paper_says: "Repeating late blocks lowers the output's entropy below the plain model's; repeating early blocks does not, or raises it.",
            },
            Self::Benchmarks => About {
                title: "Benchmarks under altered schedules",
                stands_for: "Figures 15 (swap), 16 (drop) and 24 (repeats) of the NeurIPS version; v3's benchmark figure",
                caption: "Accuracy on LAMBADA, ARC-Easy and HellaSwag, as lm-evaluation-harness has it (`acc`), or on stand-ins made from text where those are not given, against relative depth. Dotted: the plain model. Error bars are one standard error over items.",
                paper_says: "Accuracy mirrors the divergence: the first and last layers matter most, the middle stays near the plain model. Repeating late blocks improves Qwen models on HellaSwag.",
            },
            Self::Scale => About {
                title: "The shape against size",
                stands_for: "Figure 25 of the NeurIPS version; v1's remark that deeper models are more robust",
                caption: "For each model, against its number of blocks: medians at depths 0.2 to 0.9 of relative accuracy after a drop and a swap, and of KL(plain ‖ block left out) in nats; and the relative depths at which local attention, prediction neurons, suppression neurons and the MLP's output peak.",
                paper_says: "The same pattern shows in models above 10B parameters. The first version adds that deeper models are more robust, which later versions do not repeat.",
            },
            Self::Shift => About {
                title: "Text of another kind",
                stands_for: "Figure 26 of the NeurIPS version",
                caption: "KL(output ‖ standard lens) in nats, the lens's entropy in bits, the norm of the MLP's output and attention to the previous five tokens, on the corpus and on a second text, against depth. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
                paper_says: "On recent papers, code and other languages, GPT-2 XL shows the same pattern as on the Pile.",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::collections::BTreeSet;

    #[test]
    fn every_figure_is_told_in_its_own_words() {
        let mut titles = BTreeSet::new();
        for &figure in FigureId::value_variants() {
            let about = figure.about();
            assert!(titles.insert(about.title), "{}", about.title);
            for text in [about.caption, about.paper_says] {
                assert!(text.ends_with('.') && text.len() > 60, "{figure:?}: {text}");
            }
        }
    }
}
