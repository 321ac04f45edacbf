//! What a report says of the paper, of this project and of their words, for readers who know neither.

use layerwise_report::Citation;

/// The title of the page.
pub const TITLE: &str = "“The Remarkable Robustness of LLMs: Stages of Inference?”, measured anew";

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// What the page is about, a paragraph each.
pub fn introduction() -> Vec<String> {
    vec![
        format!(
            "Vedang Lad, Jin Hwa Lee, Wes Gurnee and Max Tegmark asked what becomes of a language model when layers are left \
             out or swapped (arXiv 2406.19384: v1 of June 2024, v3 of June 2025, and nips, the NeurIPS 2025 version). They \
             concluded that inference goes through four stages. This page shows their experiments, and some of related \
             papers, as layerwise {VERSION} measured them on the models named below, and what the numbers say of each claim."
        ),
        "Such a model passes every token of a text through a stack of blocks, one after another. Here the blocks run in \
         another order, or without some of them, and what the model then expects to come next is compared with what it \
         expects unaltered. A glossary stands at the end."
            .to_owned(),
    ]
}

/// Words of the field that the page uses.
pub fn glossary() -> Vec<(String, String)> {
    let words = [
        (
            "agreement, relative accuracy",
            "The share of positions whose most probable next token is that of the unaltered model.",
        ),
        (
            "block, layer",
            "An attention sublayer and an MLP, which each add what they compute to the residual stream. A model of L blocks \
             numbers them from 0 to L−1.",
        ),
        (
            "CKA",
            "Centred kernel alignment: how alike two sets of states of the same tokens are, 1 for equal up to a rotation.",
        ),
        (
            "depth",
            "Of block ℓ: ℓ/(L−1), from 0 to 1. Of the residual stream after s blocks: s/L.",
        ),
        (
            "entropy",
            "How undecided the expected next token is, in bits: 0 for a certain one, log₂ of the vocabulary where all are as likely.",
        ),
        (
            "KL divergence",
            "KL(plain ‖ altered), in nats: how much the altered model’s expectations differ from the plain one’s; 0 for equal.",
        ),
        (
            "logit lens",
            "The model’s last norm and output matrix applied to the residual stream after an earlier block, as if it were the \
             last. The standard lens (nips) takes the norm of that stream; the legacy lens (v1, v3) that of the last.",
        ),
        (
            "prediction and suppression neurons",
            "MLP neurons whose output weights raise, or lower, the probability of a few tokens and leave the others alone.",
        ),
        (
            "residual stream",
            "The vector of a token that blocks read and add to.",
        ),
        (
            "schedule",
            "Which blocks run, and in which order. The plain one is 0 to L−1; drop(ℓ) leaves a block out, swap(ℓ, ℓ+1) exchanges two.",
        ),
        (
            "stand-in",
            "Items made from the text at hand, where the data set of the paper was not given. They show that the measurement works.",
        ),
        (
            "toy",
            "A model of a few million parameters that comes with layerwise. What fails on it does not refute a claim about language models.",
        ),
        (
            "verdict",
            "A claim holds or fails where the numbers leave no doubt, is undecided where they agree with both, and not tested where there are none.",
        ),
        (
            "versions",
            "v1, v3 and nips are the versions of the paper that make a claim; arXiv numbers name related papers; ours are claims of this project.",
        ),
    ];
    let owned = |(word, meaning): (&str, &str)| (word.to_owned(), meaning.to_owned());
    words.into_iter().map(owned).collect()
}

/// What to cite: the paper and this project.
pub fn citations() -> Vec<Citation> {
    vec![
        Citation {
            text: "Vedang Lad, Jin Hwa Lee, Wes Gurnee, Max Tegmark: “The Remarkable Robustness of LLMs: Stages of Inference?” \
                   Advances in Neural Information Processing Systems, 2025."
                .to_owned(),
            address: "https://arxiv.org/abs/2406.19384".to_owned(),
            bibtex: "\
@inproceedings{lad2025remarkable,
  title     = {The Remarkable Robustness of {LLMs}: Stages of Inference?},
  author    = {Lad, Vedang and Lee, Jin Hwa and Gurnee, Wes and Tegmark, Max},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2025},
  url       = {https://arxiv.org/abs/2406.19384}
}"
            .to_owned(),
        },
        Citation {
            text: format!("layerwise {VERSION}: decoder-only language models under altered layer schedules."),
            address: REPOSITORY.to_owned(),
            bibtex: format!(
                "\
@software{{layerwise,
  title   = {{layerwise: decoder-only language models under altered layer schedules}},
  author  = {{{{The layerwise authors}}}},
  version = {{{VERSION}}},
  url     = {{{REPOSITORY}}}
}}"
            ),
        },
    ]
}
