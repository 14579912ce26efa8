//! A gauge that is up as long as its holder lives.

use prometheus::IntGauge;

/// Raises a gauge while it lives; whatever way the holder ends, the gauge comes down again.
#[derive(Debug)]
#[must_use = "the gauge goes down again when this is dropped"]
pub struct Held {
    gauge: IntGauge,
    amount: i64,
}

impl Held {
    /// Raises `gauge` by one.
    pub fn one(gauge: &IntGauge) -> Self {
        Self::new(gauge, 1)
    }

    /// Raises `gauge` by `amount`.
    pub fn new(gauge: &IntGauge, amount: i64) -> Self {
        gauge.add(amount);
        Self { gauge: gauge.clone(), amount }
    }

    /// Changes what this holder contributes to `amount`.
    pub fn set(&mut self, amount: i64) {
        if amount != self.amount {
            self.gauge.add(amount - self.amount);
            self.amount = amount;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.sub(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_follows_the_holders() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let one = Held::one(&gauge);
        let mut many = Held::new(&gauge, 10);
        assert_eq!(gauge.get(), 11);
        many.set(3);
        assert_eq!(gauge.get(), 4);
        drop(one);
        drop(many);
        assert_eq!(gauge.get(), 0);
    }
}
