//! What usual windows of a site look like, to which an unusual one is compared.

/// How many usual windows are remembered.
const REMEMBERED_COUNT: usize = 240;
/// So many are needed for a comparison.
const NEEDED_COUNT: usize = 6;

/// One figure of the past windows.
#[derive(Debug, Clone, Default)]
pub struct Usual {
    values: Vec<f64>,
    next: usize,
}

impl Usual {
    pub fn push(&mut self, value: f64) {
        if self.values.len() < REMEMBERED_COUNT {
            self.values.push(value);
        } else {
            self.values[self.next] = value;
            self.next = (self.next + 1) % REMEMBERED_COUNT;
        }
    }

    /// Whether there is a past to compare with.
    pub fn is_known(&self) -> bool {
        self.values.len() >= NEEDED_COUNT
    }

    /// The value that so many of a hundred windows do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut values = self.values.clone();
        if values.is_empty() {
            return 0.0;
        }
        // Rounded up: of few values the highest counts.
        let at = ((values.len() - 1) * percent.min(100)).div_ceil(100);
        *values.select_nth_unstable_by(at, f64::total_cmp).1
    }
}
