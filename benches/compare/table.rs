//! Tables in Markdown.

use crate::run::{Cost, median};

/// One row after the other, all with as many cells as the head.
pub(crate) fn print(title: &str, head: &[&str], rows: &[Vec<String>]) {
    println!("\n### {title}\n");
    println!("| {} |", head.join(" | "));
    println!("|{}", "---|".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// A time that is easy to read; `-` if it was not measured.
pub(crate) fn time(costs: &[Cost]) -> String {
    median(costs).map_or_else(
        || "-".to_owned(),
        |cost| match cost.wall {
            wall if wall < 1.0 => format!("{:.0} ms", wall * 1000.0),
            wall => format!("{wall:.2} s"),
        },
    )
}

/// Processor time in the same way.
pub(crate) fn cpu(costs: &[Cost]) -> String {
    let cost = median(costs).map(|cost| Cost { wall: cost.cpu, ..cost });
    time(cost.as_slice())
}

/// How one time relates to another.
pub(crate) fn ratio(costs: &[Cost], others: &[Cost]) -> String {
    match (median(costs), median(others)) {
        (Some(cost), Some(other)) => format!("{:.2}", cost.wall / other.wall),
        _ => "-".to_owned(),
    }
}

/// The peak of memory, in all and beyond that of the other, for each of so many messages.
pub(crate) fn memory(costs: &[Cost], empty: &[Cost], messages: u32) -> String {
    match (median(costs), median(empty)) {
        (Some(cost), Some(empty)) => {
            let each = (cost.peak - empty.peak).max(0.0) / f64::from(messages);
            format!("{:.0} MB, {each:.0} B a message", cost.peak / 1e6)
        }
        _ => "-".to_owned(),
    }
}
