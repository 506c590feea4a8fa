//! Rates of several rounds, as medians and as ratios to the first column within each round.

use std::fmt;

/// One column for each thing compared, one row a round.
pub(crate) struct Table {
    names: Vec<&'static str>,
    rounds: Vec<Vec<f64>>,
}

impl Table {
    pub(crate) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { names: names.into_iter().collect(), rounds: Vec::new() }
    }

    pub(crate) fn add(&mut self, round: Vec<f64>) {
        self.rounds.push(round);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | per second, median [min–max] | × {}, median | × {}, median |",
            self.names[0],
            self.names[self.names.len() - 1]
        )?;
        writeln!(f, "|---|---|---|---|")?;
        for (i, name) in self.names.iter().enumerate() {
            let rates = sorted(self.rounds.iter().map(|round| round[i]));
            let to_first = sorted(self.rounds.iter().map(|round| round[i] / round[0]));
            let to_last = sorted(self.rounds.iter().map(|round| round[i] / round[round.len() - 1]));
            let middle = rates.len() / 2;
            writeln!(
                f,
                "| {name} | {:.0} [{:.0}–{:.0}] | {:.2} | {:.2} |",
                rates[middle],
                rates[0],
                rates[rates.len() - 1],
                to_first[middle],
                to_last[middle]
            )?;
        }
        Ok(())
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
