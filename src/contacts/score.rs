//! How good risks are, against the truth: ranking (AUC) and probability (Brier score, calibration error in ten bins of equal width).
//!
//! Scored are people without a positive test, as in Biazzo et al., Sci. Rep. 12, 19673 (2022): those with one are known anyway.
//! AUC = P(score of an infected person > score of one who is not), ties half; Brier = mean (score - infected)²; ECE = mean over people
//! of |mean score - share infected| of their bin (Naeini et al., AAAI 2015).

/// Bins of the reliability table.
pub const BINS: usize = 10;

/// One bin of the reliability table: people whose score is in `[b / 10, (b + 1) / 10)`, the last one closed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// People in it.
    pub people: usize,
    /// Sum of their scores.
    pub score: f64,
    /// How many of them are infected.
    pub infected: usize,
}

/// The scores of one outbreak, or of several pooled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Area under the ROC curve; none if everybody is infected or nobody.
    pub auc: Option<f64>,
    /// Brier score.
    pub brier: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// People scored.
    pub people: usize,
    /// How many of them are infected.
    pub infected: usize,
    /// The reliability table.
    pub reliability: [Bin; BINS],
}

/// Scores `score[i]`, the probability that person `i` is infected, against `infected[i]`, leaving out people `positive[i]`. All slices
/// have one length; what is longer is not looked at.
pub fn evaluate(score: &[f64], infected: &[bool], positive: &[bool]) -> Scores {
    let mut scored: Vec<(f64, bool)> = score
        .iter()
        .zip(infected)
        .zip(positive)
        .filter(|(_, positive)| !**positive)
        .map(|((score, infected), _)| (*score, *infected))
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut scores = Scores { auc: auc(&scored), people: scored.len(), ..Scores::default() };
    for &(score, infected) in &scored {
        let bin = &mut scores.reliability[((score * BINS as f64) as usize).min(BINS - 1)];
        bin.people += 1;
        bin.score += score;
        bin.infected += usize::from(infected);
        scores.infected += usize::from(infected);
        scores.brier += (score - f64::from(u8::from(infected))).powi(2);
    }
    let people = scored.len().max(1) as f64;
    scores.brier /= people;
    scores.ece = scores.reliability.iter().map(|bin| (bin.score - bin.infected as f64).abs()).sum::<f64>() / people;
    scores
}

/// AUC of (score, infected), ascending by score: the mean rank of the infected among the others.
fn auc(scored: &[(f64, bool)]) -> Option<f64> {
    let (mut others, mut won) = (0, 0.0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let infected = tied.iter().filter(|(_, infected)| *infected).count();
        let rest = tied.len() - infected;
        won += infected as f64 * (others as f64 + rest as f64 / 2.0);
        others += rest;
    }
    let infected = scored.len() - others;
    (infected > 0 && others > 0).then(|| won / (infected as f64 * others as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_a_hand_calculation() {
        let score = [0.95, 0.05, 0.15, 0.15, 0.65, 1.0];
        let infected = [true, false, true, false, false, true];
        let positive = [false, false, false, false, false, true];
        let scores = evaluate(&score, &infected, &positive);
        // Pairs (infected, other): .95 beats all three; .15 beats .05, ties .15, loses to .65.
        assert_eq!(scores.auc, Some(4.5 / 6.0));
        let brier = (0.05f64.powi(2) + 0.05f64.powi(2) + 0.85f64.powi(2) + 0.15f64.powi(2) + 0.65f64.powi(2)) / 5.0;
        assert!((scores.brier - brier).abs() < 1e-15);
        // Bins: .05 | .3 against 1 | .65 against 0 | .95 against 1.
        assert!((scores.ece - (0.05 + 0.7 + 0.65 + 0.05) / 5.0).abs() < 1e-15);
        assert_eq!(scores.reliability[1], Bin { people: 2, score: 0.3, infected: 1 });
        assert_eq!(evaluate(&[0.5], &[true], &[false]).auc, None);
        assert_eq!(evaluate(&[], &[], &[]).people, 0);
    }
}
