//! What disturbed a measurement, as far as its record says so.

use super::record::Record;
use serde_json::Value;

/// Labels of runs whose figures other load, a quota or a missed rate changed.
const LABELS: [&str; 4] = ["disturbed", "throttled", "saturated", "interrupted"];

impl Record {
    /// Says what disturbed the measurement; `None` if the record names nothing.
    ///
    /// Runs have labels. For records without labels, a load above the number of processors before the start counts.
    #[must_use]
    pub fn disturbed_by(&self) -> Option<String> {
        let found = self.at(&["environment", "disturbances"]).and_then(Value::as_array);
        if let Some(worst) = found.into_iter().flatten().max_by_key(|it| it["ms"].as_u64()) {
            let (cause, share) = (worst["cause"].as_str()?, worst["share"].as_f64()?);
            return Some(format!("{} {:.0} %", cause.replace('_', " "), share * 100.0));
        }
        // Records that were checked by the doctor name what disturbed them.
        if self.at(&["doctor"]).is_some() {
            return None;
        }
        if self.at(&["labels"]).is_some() {
            let labels = self.texts(&["labels"]).into_iter();
            let mut found = labels.filter(|label| LABELS.iter().any(|it| label.starts_with(it)));
            return found.next().map(|label| match label.split_once(": ") {
                Some((_, why)) => why.to_owned(),
                None => label.to_owned(),
            });
        }
        let load = self.load_before()?;
        let processors = self.number(&["environment", "processors"])?;
        (load > processors).then(|| format!("load {load:.1} on {processors:.0} processors"))
    }

    /// Says what makes its latencies those of the scheduler, too: a disturbance, or more workers than processors.
    #[must_use]
    pub fn latencies_disturbed_by(&self) -> Option<String> {
        let oversubscribed = || {
            let mut labels = self.texts(&["labels"]).into_iter();
            labels.find(|label| label.starts_with("oversubscribed"))
        };
        self.disturbed_by().or_else(|| oversubscribed().map(|_| "more workers than processors".to_owned()))
    }

    /// Returns the load average of the minute before it began.
    #[must_use]
    pub fn load_before(&self) -> Option<f64> {
        let load = self.text(&["environment", "load_before"])?;
        load.split(' ').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::records::file::tests::record;
    use serde_json::{Value, json};

    #[test]
    fn labels_tell_what_disturbed_a_run_and_the_load_tells_it_of_other_records() {
        let of = |more: Value| {
            let mut value = json!({"schema_version": 1, "kind": "run",
                "environment": {"processors": 2, "load_before": "2.50 1.00 0.50"}});
            let fields = value.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            let record = record(value);
            (record.disturbed_by(), record.latencies_disturbed_by())
        };
        let load = Some("load 2.5 on 2 processors".to_owned());
        assert_eq!(of(json!({})), (load.clone(), load));
        assert_eq!(of(json!({"labels": []})), (None, None));
        let others = Some("others used the processors".to_owned());
        let labels = json!({"labels": ["oversubscribed", "disturbed: others used the processors"]});
        assert_eq!(of(labels), (others.clone(), others));
        let crowded = of(json!({"labels": ["oversubscribed"]}));
        assert_eq!(crowded, (None, Some("more workers than processors".to_owned())));
        let calm = json!({"environment": {"processors": 2, "load_before": "0.50 1.00 0.50"}});
        assert_eq!(of(calm), (None, None));
    }
}
