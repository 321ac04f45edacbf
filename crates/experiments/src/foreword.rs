//! The report's words about the paper, this project and their terms, for readers who know neither.

use layerwise_report::Citation;

/// The title of the page.
pub const TITLE: &str = "“The Remarkable Robustness of LLMs: Stages of Inference?”, measured again";

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The subject of the page, a string for each paragraph; `version` is the program's that measured.
pub fn introduction(version: &str) -> Vec<String> {
    vec![
        format!(
                "Vedang Lad, Jin Hwa Lee, Wes Gurnee and Max Tegmark asked what happens to a language model when layers are left \
                 out or swapped (arXiv 2406.19384: v1 of June 2024, v3 of June 2025, and nips, the NeurIPS 2025 version). They \
                 concluded that inference goes through four stages. This page shows their experiments, and some from related \
                 papers, as layerwise {version} measured them on the models named below, and what the numbers say about each claim."
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

/// A related paper whose experiments the page may show.
struct Related {
    arxiv: &'static str,
    year: u32,
    key: &'static str,
    /// As in BibTeX.
    authors: &'static str,
    title: &'static str,
}

const RELATED: &[Related] = &[
    Related {
        arxiv: "2303.08112",
        year: 2023,
        key: "belrose2023eliciting",
        authors: "Belrose, Nora and Furman, Zach and Smith, Logan and Halawi, Danny and Ostrovsky, Igor and McKinney, Lev and \
                  Biderman, Stella and Steinhardt, Jacob",
        title: "Eliciting Latent Predictions from Transformers with the Tuned Lens",
    },
    Related {
        arxiv: "2310.11532",
        year: 2023,
        key: "pu2023multistage",
        authors: "Pu, Jie and Nguyen, Thai-Son and Stüker, Sebastian",
        title: "Multi-stage Large Language Model Correction for Speech Recognition",
    },
    Related {
        arxiv: "2403.01509",
        year: 2024,
        key: "liu2024fantastic",
        authors: "Liu, Zhu and Kong, Cunliang and Liu, Ying and Sun, Maosong",
        title: "Fantastic Semantics and Where to Find Them: Investigating Which Layers of Generative LLMs Reflect Lexical Semantics",
    },
    Related {
        arxiv: "2403.02181",
        year: 2024,
        key: "fan2024not",
        authors: "Fan, Siqi and Jiang, Xin and Li, Xiang and Meng, Xuying and Han, Peng and Shang, Shuo and Sun, Aixin and \
                  Wang, Yequan and Wang, Zhongyuan",
        title: "Not All Layers of LLMs Are Necessary During Inference",
    },
    Related {
        arxiv: "2403.03853",
        year: 2024,
        key: "men2024shortgpt",
        authors: "Men, Xin and Xu, Mingyu and Zhang, Qingyu and Wang, Bingning and Lin, Hongyu and Lu, Yaojie and Han, Xianpei \
                  and Chen, Weipeng",
        title: "ShortGPT: Layers in Large Language Models are More Redundant Than You Expect",
    },
    Related {
        arxiv: "2403.17887",
        year: 2024,
        key: "gromov2024unreasonable",
        authors: "Gromov, Andrey and Tirumala, Kushal and Shapourian, Hassan and Glorioso, Paolo and Roberts, Daniel A.",
        title: "The Unreasonable Ineffectiveness of the Deeper Layers",
    },
    Related {
        arxiv: "2404.05741",
        year: 2024,
        key: "tyukin2024enhancing",
        authors: "Tyukin, Georgy",
        title: "Enhancing Inference Efficiency of Large Language Models: Investigating Optimization Strategies and Architectural \
                Innovations",
    },
    Related {
        arxiv: "2407.09298",
        year: 2024,
        key: "sun2024transformer",
        authors: "Sun, Qi and Pickett, Marc and Nain, Aakash Kumar and Jones, Llion",
        title: "Transformer Layers as Painters",
    },
    Related {
        arxiv: "2407.15516",
        year: 2024,
        key: "tyukin2024attention",
        authors: "Tyukin, Georgy and Dovonon, Gbetondji J-S and Kaddour, Jean and Minervini, Pasquale",
        title: "Attention Is All You Need But You Don't Need All Of It For Inference of Large Language Models",
    },
    Related {
        arxiv: "2505.13898",
        year: 2025,
        key: "csordas2025depth",
        authors: "Csordás, Róbert and Manning, Christopher D. and Potts, Christopher",
        title: "Do Language Models Use Their Depth Efficiently?",
    },
];

impl Related {
    fn citation(&self) -> Citation {
        let Self {
            arxiv,
            year,
            key,
            authors,
            title,
        } = self;
        let named = authors.split(" and ").map(|name| {
            let parts = name.split_once(", ");
            parts.map_or_else(
                || name.to_owned(),
                |(family, given)| format!("{given} {family}"),
            )
        });
        let named: Vec<String> = named.collect();
        Citation {
            text: format!("{}: “{title}” arXiv, {year}.", named.join(", ")),
            address: format!("https://arxiv.org/abs/{arxiv}"),
            bibtex: format!(
                "\
@misc{{{key},
  title  = {{{{{title}}}}},
  author = {{{authors}}},
  year   = {{{year}}},
  url    = {{https://arxiv.org/abs/{arxiv}}}
}}"
            ),
        }
    }
}

/// What to cite: the paper, the related papers that sections of the page stand for, and this project.
pub fn citations<'a>(stands_for: impl Iterator<Item = &'a str> + Clone) -> Vec<Citation> {
    let is_shown = |related: &&Related| stands_for.clone().any(|own| own.contains(related.arxiv));
    let related = RELATED.iter().filter(is_shown).map(Related::citation);
    let [paper, program] = always();
    [paper]
        .into_iter()
        .chain(related)
        .chain([program])
        .collect()
}

fn always() -> [Citation; 2] {
    [
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EXPERIMENTS;

    /// The numbers of arXiv papers in a text.
    fn papers(text: &str) -> Vec<&str> {
        let words = text.split(|own: char| !own.is_ascii_digit() && own != '.');
        let words = words.map(|word| word.trim_end_matches('.'));
        words
            .filter(|word| word.len() == 10 && word.find('.') == Some(4))
            .collect()
    }

    #[test]
    fn each_paper_that_a_section_stands_for_is_cited() {
        let stands_for = EXPERIMENTS.iter().map(|own| own.about().stands_for);
        let citations = citations(stands_for.clone());
        let numbers: Vec<&str> = stands_for.flat_map(papers).collect();
        assert!(numbers.len() >= RELATED.len(), "{numbers:?}");
        for number in numbers {
            let address = format!("https://arxiv.org/abs/{number}");
            assert!(
                citations.iter().any(|own| own.address == address),
                "{number}"
            );
        }
    }

    #[test]
    fn papers_of_sections_that_are_not_shown_are_not_cited() {
        let check = |stands_for: &[&str], expected: usize| {
            let found = citations(stands_for.iter().copied());
            assert_eq!(found.len(), expected, "{stands_for:?}");
        };
        check(&["Figure 26"], 2);
        check(&["Tyukin and others, arXiv 2407.15516 and 2404.05741"], 4);
        let shown = citations(["arXiv 2407.09298"].into_iter());
        let expected = "Qi Sun, Marc Pickett, Aakash Kumar Nain, Llion Jones: “Transformer Layers as Painters” arXiv, 2024.";
        assert_eq!(shown[1].text, expected);
        let first = shown[1].bibtex.lines().next();
        assert_eq!(first, Some("@misc{sun2024transformer,"));
    }
}
