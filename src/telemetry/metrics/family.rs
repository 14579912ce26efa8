//! Families of metrics: declared once, listed for the documentation, one value for each label of the family.

use std::{collections::HashMap, marker::PhantomData};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    core::{Collector as _, MetricVec, MetricVecBuilder},
};

use super::label::Label;

/// Why the metrics could not be made or printed.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A family was declared wrongly, or twice.
    #[error("cannot register metrics: {0}")]
    Register(prometheus::Error),
    /// The text could not be written.
    #[error("cannot print metrics: {0}")]
    Print(prometheus::Error),
}

/// One family as `docs/metrics.md` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The full name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<&'static str>,
    /// What it counts.
    pub help: &'static str,
}

/// Counters that differ in `N` labels.
#[derive(Clone, Debug)]
pub struct Counters<const N: usize>(IntCounterVec);

/// Gauges that differ in `N` labels.
#[derive(Clone, Debug)]
pub struct Gauges<const N: usize>(IntGaugeVec);

/// Histograms that differ in `N` labels.
#[derive(Clone, Debug)]
pub struct Histograms<const N: usize>(HistogramVec);

impl<const N: usize> Counters<N> {
    /// The counter with these label values; made at its first use.
    pub fn with(&self, values: [&str; N]) -> IntCounter {
        self.0.with_label_values(&values)
    }
}

impl<const N: usize> Gauges<N> {
    /// The gauge with these label values; made at its first use.
    pub fn with(&self, values: [&str; N]) -> IntGauge {
        self.0.with_label_values(&values)
    }

    /// Forgets all gauges of the family.
    pub fn clear(&self) {
        self.0.reset();
    }
}

impl<const N: usize> Histograms<N> {
    /// The histogram with these label values; made at its first use.
    pub fn with(&self, values: [&str; N]) -> Histogram {
        self.0.with_label_values(&values)
    }
}

/// One metric for each value of a closed label, found by index.
#[derive(Debug)]
pub struct ByLabel<L, M> {
    all: Box<[M]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label, M> ByLabel<L, M> {
    /// Makes one metric for each value.
    pub(super) fn new(make: impl Fn(&'static str) -> M) -> Self {
        Self { all: L::ALL.iter().map(|value| make(value.label())).collect(), label: PhantomData }
    }

    /// The metric of `value`.
    pub fn get(&self, value: L) -> &M {
        &self.all[value.index()]
    }
}

/// The upper bounds of a histogram's buckets, in seconds.
pub type Buckets = &'static [f64];

/// Removes the series of a family that have all of these labels.
pub type Forget = Box<dyn Fn(&[(&str, &str)]) + Send + Sync>;

fn forget<T: MetricVecBuilder + 'static>(family: MetricVec<T>) -> Forget {
    Box::new(move |wanted| {
        for family_now in family.collect() {
            for metric in family_now.get_metric() {
                let labels: HashMap<&str, &str> = metric.get_label().iter().map(|l| (l.name(), l.value())).collect();
                if wanted.iter().all(|(name, value)| labels.get(name) == Some(value)) {
                    // It can only fail because it is gone already.
                    let _ = family.remove(&labels);
                }
            }
        }
    })
}

/// Registers families and remembers what it registered.
pub struct Registrar<'a> {
    /// Where they go.
    pub registry: &'a prometheus::Registry,
    /// What was declared so far.
    pub definitions: Vec<Definition>,
    /// How series of backends are removed.
    pub forgetters: Vec<Forget>,
}

impl Registrar<'_> {
    /// Declares counters.
    pub fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Result<Counters<N>, MetricsError> {
        let family = IntCounterVec::new(Opts::new(name, help), &labels).map_err(MetricsError::Register)?;
        self.of_backends(&labels, &family);
        self.add(Box::new(family.clone()), Definition { name, kind: "counter", labels: labels.to_vec(), help })?;
        Ok(Counters(family))
    }

    /// Declares gauges.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Result<Gauges<N>, MetricsError> {
        let family = IntGaugeVec::new(Opts::new(name, help), &labels).map_err(MetricsError::Register)?;
        self.of_backends(&labels, &family);
        self.add(Box::new(family.clone()), Definition { name, kind: "gauge", labels: labels.to_vec(), help })?;
        Ok(Gauges(family))
    }

    /// Declares histograms.
    pub fn histograms<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        buckets: Buckets,
        help: &'static str,
    ) -> Result<Histograms<N>, MetricsError> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let family = HistogramVec::new(options, &labels).map_err(MetricsError::Register)?;
        self.of_backends(&labels, &family);
        self.add(Box::new(family.clone()), Definition { name, kind: "histogram", labels: labels.to_vec(), help })?;
        Ok(Histograms(family))
    }

    fn of_backends<T: MetricVecBuilder + 'static>(&mut self, labels: &[&str], family: &MetricVec<T>) {
        if labels.contains(&"backend") {
            self.forgetters.push(forget(family.clone()));
        }
    }

    /// Registers a collector that brings its own families.
    pub fn add(
        &mut self,
        collector: Box<dyn prometheus::core::Collector>,
        definition: Definition,
    ) -> Result<(), MetricsError> {
        self.registry.register(collector).map_err(MetricsError::Register)?;
        self.definitions.push(definition);
        Ok(())
    }
}
