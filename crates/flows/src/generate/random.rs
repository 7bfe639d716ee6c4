//! Seeded numbers: the same seed gives the same day on every machine.

/// SplitMix64 (Steele, Lea and Flood): small, and good enough to draw traffic.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// An independent stream for one purpose.
    pub fn fork(&mut self, purpose: u64) -> Random {
        Random(self.next() ^ purpose.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From `low` to below `high`.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// From `low` to below `high`, each magnitude as likely as the others.
    pub fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        (self.range(low.ln(), high.ln())).exp()
    }

    /// From `low` to below `high`; `low` where there is nothing between.
    pub fn below(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.next() % (high - low) }
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(0, list.len() as u64) as usize]
    }

    /// Waiting time of a Poisson process with this mean.
    pub fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal around a median.
    pub fn around(&mut self, median: f64, spread: f64) -> f64 {
        let angle = std::f64::consts::TAU * self.unit();
        let normal = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * angle.cos();
        median * (spread * normal).exp()
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for place in (1..list.len()).rev() {
            list.swap(place, self.below(0, place as u64 + 1) as usize);
        }
    }
}
