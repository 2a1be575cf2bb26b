//! The judged rows as text for people.

use super::Row;
use super::record::Checked;
use splinter_harness::stats::paired::{Bound, Judgement};
use splinter_harness::table::{grouped, headed, or_dash};

/// Lays the judged rows out as text.
#[must_use]
pub fn rows_text(rows: &[Row]) -> String {
    let heads = ["search", "vectors", ">measured", "against", ">at", ">ratio", ">middle half", ">target", ""];
    let mut text = headed(&heads, rows.iter().map(cells));
    let problems = rows.iter().filter_map(|row| Some((row.title(), row.row.problem.as_ref()?)));
    let notes: String = problems.map(|(title, why)| format!("  {title}: {why}\n")).collect();
    if !notes.is_empty() {
        text.push_str("\nnotes\n");
        text.push_str(&notes);
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let (judged, claim) = (&row.row, &row.row.claim);
    let goal = &claim.goal;
    let show = |value: Option<f64>| or_dash(value.map(|value| claim.unit.show(value)));
    let shown = row.has_target || row.is_compared;
    let times = |ratio: f64| format!("{ratio:.3}");
    let compare = if goal.bound == Bound::AtMost { "<=" } else { ">=" };
    let middle = judged.ratio_quartiles.filter(|_| shown);
    vec![
        claim.name.clone(),
        row.situation.clone().unwrap_or_default(),
        show(judged.value.map(|value| value.median)),
        if shown { goal.against.name() } else { String::new() },
        if shown { show(judged.limit) } else { String::new() },
        judged.ratio.filter(|_| shown).map_or(String::new(), times),
        middle.map_or(String::new(), |it| format!("{} to {}", times(it.q1), times(it.q3))),
        if row.has_target { format!("{compare} {}", times(goal.target)) } else { String::new() },
        match judged.judgement() {
            Some(judgement) => Judgement::word(judgement).to_owned(),
            None if row.has_target => "not judged".to_owned(),
            None => String::new(),
        },
    ]
}

/// Says in a line what was checked.
#[must_use]
pub fn checked_text(checked: &Checked) -> String {
    let Checked { searches, hits, while_published, again } = checked;
    let [searches, hits] = [searches, hits].map(|count| grouped(*count));
    format!(
        "{searches} searches, {hits} hits, each checked; {while_published} of a vector while it was published, {again} repeated\n"
    )
}
