//! Lists as words, with a language model's scores.

use crate::{
    CountRule, DistinctList, Gate, Judgement, LanguageModel, LanguageScore, Lattice, NBestLists,
    Template, TranscriptError, Vocabulary,
};

/// Lists, their distinct hypotheses, and a language model's scores of these.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScoredLists {
    /// The lists as they were read.
    pub lists: NBestLists,
    /// Their distinct hypotheses as words, in the same order.
    pub distinct: Vec<DistinctList>,
    /// The scores of each list's hypotheses; zeros without a language model.
    pub language: Vec<Vec<LanguageScore>>,
}

impl ScoredLists {
    /// Scores every hypothesis with a language model, in one request.
    ///
    /// # Errors
    ///
    /// The language model's errors.
    pub fn new<L: LanguageModel>(
        lists: NBestLists,
        distinct: Vec<DistinctList>,
        vocabulary: &Vocabulary,
        model: &mut L,
    ) -> Result<Self, L::Error> {
        let sentences: Vec<Vec<&str>> = distinct
            .iter()
            .flat_map(|list| list.sentences(vocabulary))
            .collect();
        let mut scores = model.sentences(&sentences)?.into_iter();
        let language = distinct
            .iter()
            .map(|list| scores.by_ref().take(list.hypotheses.len()).collect())
            .collect();
        Ok(Self::of(lists, distinct, language))
    }

    /// Lists with known scores of their hypotheses.
    ///
    /// # Panics
    ///
    /// If the numbers of lists, distinct lists and scores differ.
    pub fn of(
        lists: NBestLists,
        distinct: Vec<DistinctList>,
        language: Vec<Vec<LanguageScore>>,
    ) -> Self {
        let count = lists.utterances.len();
        assert_eq!(
            [distinct.len(), language.len()],
            [count; 2],
            "one of each per list"
        );
        Self {
            lists,
            distinct,
            language,
        }
    }

    /// A gate's judgement of each list.
    pub fn judgements(&self, gate: &Gate) -> Vec<Judgement> {
        let lists = self.distinct.iter().zip(&self.language);
        let judge = |(list, language): (&DistinctList, &Vec<LanguageScore>)| {
            gate.judge(list, &gate.scores(list, self.lists.scale, language))
        };
        lists.map(judge).collect()
    }

    /// The prompts of the lists that a gate sends, each with the list's index.
    pub fn prompts(
        &self,
        gate: &Gate,
        template: &Template,
        vocabulary: &Vocabulary,
    ) -> Vec<(usize, String)> {
        let judged = self.distinct.iter().zip(self.judgements(gate)).enumerate();
        let sent = judged.filter(|(_, (_, judgement))| judgement.is_sent);
        let prompt = |(place, (list, _)): (usize, (&DistinctList, Judgement))| {
            let words = list.hypotheses.iter();
            let texts: Vec<String> = words.map(|words| vocabulary.text(words)).collect();
            (place, template.prompt(&texts))
        };
        sent.map(prompt).collect()
    }

    /// The number of words of all references.
    pub fn reference_words(&self) -> usize {
        let references = self.distinct.iter();
        let words = references.filter_map(|list| Some(list.reference.as_ref()?.len()));
        words.sum()
    }

    /// The total errors of each list's best possible hypothesis; `None` without references.
    pub fn list_oracle(&self) -> Option<usize> {
        let errors = self.distinct.iter();
        let errors = errors.filter_map(DistinctList::oracle_errors);
        errors.reduce(|all, one| all + one)
    }

    /// The total errors of the best possible path of each list's lattice; `None` without references.
    ///
    /// # Errors
    ///
    /// A lattice has too many slots.
    pub fn lattice_oracle(&self, count: CountRule) -> Result<Option<usize>, TranscriptError> {
        let mut all = None;
        for list in &self.distinct {
            if let Some(reference) = &list.reference {
                let lattice = Lattice::of(list)?.under(count);
                *all.get_or_insert(0) += lattice.nearest(reference).1;
            }
        }
        Ok(all)
    }
}
