//! The report's words about the paper, this project and their terms, for readers who know neither.

use layerwise_report::Citation;

/// The title of the page.
pub const TITLE: &str = "“The Remarkable Robustness of LLMs: Stages of Inference?”, measured again";

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The subject of the page, a string for each paragraph.
pub fn introduction() -> Vec<String> {
    vec![
        format!(
                "Vedang Lad, Jin Hwa Lee, Wes Gurnee and Max Tegmark asked what happens to a language model when layers are left \
                 out or swapped (arXiv 2406.19384: v1 of June 2024, v3 of June 2025, and nips, the NeurIPS 2025 version). They \
                 concluded that inference goes through four stages. This page shows their experiments, and some from related \
                 papers, as layerwise {VERSION} measured them on the models named below, and what the numbers say about each claim."
        ),
        "Such a model passes every token of a text through a stack of blocks, one after another. Here the blocks run in \
         another order, or some of them are left out, and the model’s prediction of the next token is compared with that of \
         the unaltered model. A glossary is at the end."
            .to_owned(),
    ]
}

/// Terms of the field that the page uses.
pub fn glossary() -> Vec<(String, String)> {
    let words = [
        (
            "agreement, relative accuracy",
            "The share of positions whose most probable next token is that of the unaltered model.",
        ),
        (
            "block, layer",
            "An attention sublayer and an MLP sublayer, each of which adds its output to the residual stream. A model of L blocks \
             numbers them from 0 to L−1.",
        ),
        (
            "CKA",
            "Centred kernel alignment: how similar two sets of states of the same tokens are; 1 means equal up to rotation and scale.",
        ),
        (
            "depth",
            "Of block ℓ: ℓ/(L−1), from 0 to 1. Of the residual stream after s blocks: s/L.",
        ),
        (
            "entropy",
            "The uncertainty about the next token, in bits: 0 if one token is certain, log₂ of the vocabulary size if all are equally likely.",
        ),
        (
            "KL divergence",
            "KL(plain ‖ altered), in nats: how much the altered model’s next-token distribution differs from the plain model’s; 0 if they are equal.",
        ),
        (
            "logit lens",
            "The model’s last norm and output matrix applied to the residual stream after an earlier block, as if it were the \
             last. The standard lens (nips) uses the norm of that stream, the legacy lens (v1, v3) the norm of the last stream.",
        ),
        (
            "prediction and suppression neurons",
            "MLP neurons whose output weights raise, or lower, the probability of a few tokens and hardly affect the others.",
        ),
        (
            "residual stream",
            "A vector for each token, which every block reads and adds to.",
        ),
        (
            "schedule",
            "The blocks that run, in order. The plain schedule is 0 to L−1; drop(ℓ) leaves a block out, swap(ℓ, ℓ+1) exchanges two.",
        ),
        (
            "stand-in",
            "Items made from the text at hand, used if the paper’s data set was not given. They show that the measurement works.",
        ),
        (
            "toy",
            "A model of a few million parameters that comes with layerwise. A failure on it does not refute a claim about language models.",
        ),
        (
            "verdict",
            "A claim holds or fails if the numbers leave no doubt, is undecided if they are compatible with both, and is not tested if there are none.",
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
